"""What the tests of the signal share: clients that send an attestation beside another authentication (rule S1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import Client

from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import AttestationSignalPolicy
from oauth_client_attestation.testing import ClientInstance, request_headers
from tests.kit import (
    DEVICE_AUTHORIZATION,
    DOORS,
    REDIRECT_URI,
    AttestedClient,
    Door,
    basic,
    configure,
    create_application,
    register_attester,
)

#: How the client authenticates, the attestation aside.
WHO = ("secret in the form", "secret in Basic", "public")
#: Where the host does not let a public client in at all.
CLOSED_TO_PUBLIC = {"client_credentials", "introspection", "introspection_get"}
DOOR = {door.name: door for door in DOORS}


@dataclass
class Signaller(AttestedClient):
    """A client that authenticates by a secret, or not at all, and one instance of it that is attested.

    :ivar door: the door that its requests go to.
    :ivar who: one of ``WHO``.
    """

    door: Door = DOOR["client_credentials"]
    who: str = "secret in the form"

    def enter(self, use: str, settings: Any, *, source: str = "policy", **fields: Any) -> Signaller:
        """Create the application, its attester, and what says that an attestation may or must come along.

        :param source: whether it is a ``setting`` or a ``policy`` that says so.

        Where it must, what is issued for the application beforehand is bound to the instance.
        """
        public = {"client_type": "public"} if self.who == "public" else {}
        self.application = self.door.create_application(self.client_id, **public, **fields)
        self.attester = register_attester(
            self.backend, f"Attester of {self.client_id}", applications=(self.application,)
        )
        if source == "setting":
            configure(settings, ATTESTATION_SIGNAL=use)
        elif use != "off":
            AttestationSignalPolicy.objects.create(application=self.application, use=use)
        if use == "required":
            self.application.instance = self.instance
        return self

    def at(self, door: str) -> Signaller:
        """Return the same client at another door."""
        return _same(self, door=DOOR[door])

    def another(self) -> Signaller:
        """Return another instance of the same application, which has the same secret."""
        return _same(self, instance=ClientInstance(), http=Client(HTTP_HOST="127.0.0.1:8000"))

    def authorization(self, secret: str = "secret") -> dict[str, str]:
        """Return the Authorization field."""
        return basic(self.client_id, secret) if self.who == "secret in Basic" else {}

    def credentials(self, secret: str = "secret") -> dict[str, str]:
        """Return what the client puts into the form, for itself."""
        if self.who == "secret in Basic":  # the host's device authorization endpoint wants to be told twice
            return {"client_id": self.client_id} if self.door.path == DEVICE_AUTHORIZATION else {}
        named = {"client_id": self.client_id}
        return named if self.who == "public" else {**named, "client_secret": secret}

    def good(self, *, combined: bool = False) -> dict[str, str]:
        """Return the fields of a good attestation and its proof."""
        return self.combined(self.door.path, method=self.door.method) if combined else self.headers()

    def send(self, fields: dict[str, str] | None = None, *, secret: str = "secret", **parameters: Any) -> Any:
        """Send a request to the door.

        :param fields: header fields; without them, those of a good attestation.
        :param parameters: what the request is about; without them, something good is prepared.
        """
        parameters = parameters or self.door.prepare(self.application)
        fields = self.good() if fields is None else fields
        return self.door.send(
            self.http,
            {**parameters, **self.credentials(secret)},
            headers={**fields, **self.authorization(secret)},
        )

    def passes(self, fields: dict[str, str] | None = None, **parameters: Any) -> Any:
        """Send a request and assert that it gets what it wants; return the response."""
        response = self.send(fields, **parameters)
        assert self.door.passed(response), response.content
        return response

    def turned_away(self, reason: Reason, fields: dict[str, str] | None = None, **request: Any) -> Any:
        """Send a request and assert every side of its refusal; return the response."""
        used = request.pop("proof_used", False)
        parameters = request or self.door.prepare(self.application)
        tried_basic = self.who == "secret in Basic" and ClientAttestationError(reason).code == "invalid_client"
        return self.refused(
            reason,
            lambda: self.send(fields, **parameters),
            status=401 if tried_basic else None,
            proof_used=used,
        )


def _same(client: Signaller, **changes: Any) -> Signaller:
    return Signaller(**{**vars(client), **changes})


def another_client(client: AttestedClient, **fields: Any) -> dict[str, str]:
    """Return a good attestation and proof of the same key, in another application.

    :param fields: of that application.
    """
    other = create_application("other", redirect_uris=REDIRECT_URI, **fields)
    client.attester.applications.add(other)
    return request_headers(client.backend.attest(client.instance, "other"), client.pop())
