"""What the tests of DPoP share: clients that send proofs, and what a refusal of one looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from django.test import Client
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_client_attestation.challenges import fresh_dpop_nonce
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.instances import database
from oauth_client_attestation.models import AccessTokenConfirmation, DpopPolicy, RefreshTokenConfirmation
from oauth_client_attestation.signals import client_attestation_refused
from oauth_client_attestation.testing import ClientInstance
from tests.kit import (
    CHALLENGE_FIELD,
    INTROSPECT,
    ISSUER,
    SENTENCES,
    TOKEN,
    AttestedClient,
    Door,
    basic,
    configure,
    create_application,
    post_form,
    stored,
)

NONCE_FIELD = "DPoP-Nonce"
#: Every way to be a client whose tokens are bound, by the words of its registration.
KINDS = {
    "attested, combined": {},
    "attested, another key": {},
    "attested, another key, public": {"client_type": "public"},
    "secret, all": {},
    "public, all": {"client_type": "public"},
    "secret, allowed": {},
    "public, required": {"client_type": "public"},
}


@dataclass
class Sender:
    """A client that sends DPoP proofs along, by whichever way it authenticates.

    :ivar key: the key that signs the proofs; in combined mode it is the instance's.
    :ivar attested: for one that must be attested; else None.
    :ivar parameters: what it puts into the form to authenticate or to name itself.
    """

    application: Any
    key: ClientInstance = field(default_factory=ClientInstance)
    attested: AttestedClient | None = None
    combined: bool = False
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether its refresh tokens are bound to the key as well."""
        return bool(self.application.client_type == "public")

    def proof(self, path: str = TOKEN, *, method: str = "POST", **changes: Any) -> str:
        """Return a good proof with a fresh nonce, or one with ``claims=``, ``nonce=`` … changed."""
        nonce = changes.pop("nonce", fresh_dpop_nonce())
        return self.key.prove_dpop(method, changes.pop("uri", ISSUER + path), nonce=nonce, **changes)

    def headers(self, proof: str | None = None) -> dict[str, str]:
        """Return the header fields of a request with a proof, or without one."""
        dpop = {} if proof is None else {"DPoP": proof}
        if self.attested is None:
            return dpop
        if proof is not None and self.combined:
            return {"OAuth-Client-Attestation": self.attested.attestation(), **dpop}
        return {**self.attested.headers(), **dpop}

    def post(self, parameters: dict[str, str], *, proof: str | None = None, path: str = TOKEN) -> Any:
        """Send a request; by default without a proof."""
        return post_form(visitor(), path, {**parameters, **self.parameters}, headers=self.headers(proof))

    def bound(self, parameters: dict[str, str]) -> Any:
        """Send a request with a good proof and assert that its tokens are bound to the key; return the body."""
        response = self.post(parameters, proof=self.proof())
        assert response.status_code == 200, response.content
        assert response.json()["token_type"] == "DPoP"
        assert response.headers[NONCE_FIELD]
        assert "no-store" in response.headers["Cache-Control"]
        assert key_of(response.json()["access_token"]) == self.key.thumbprint
        return response.json()

    def by_another_key(self) -> Sender:
        """Return the same client with another key for its proofs."""
        return replace(self, key=ClientInstance(), combined=False)


def visitor() -> Client:
    """Return an HTTP client of the site at its issuer's address, which proofs name."""
    return Client(SERVER_NAME="127.0.0.1", HTTP_HOST="127.0.0.1:8000")


def sender(kind: str, door: Door, settings: Any) -> Sender:
    """Register a client of one of :data:`KINDS` that may use a door."""
    fields = KINDS[kind]
    if kind.startswith("attested"):
        client = door.register(**fields)
        combined = kind.endswith("combined")
        key = client.instance if combined else ClientInstance()
        return Sender(client.application, key, client, combined)
    application = door.create_application("free", **fields)
    if kind.endswith("all"):
        configure(settings, DPOP="all")
    else:
        DpopPolicy.objects.create(application=application, use=kind.split(", ")[1])
    secret = {"client_secret": "secret"} if kind.startswith("secret") else {}
    return Sender(application, parameters={"client_id": "free", **secret})


def refused(
    reason: Reason,
    send: Callable[[], Any],
    *,
    code: str | None = None,
    status: int = 400,
    nonce: bool = True,
    proof_used: bool = False,
) -> Any:
    """Send a request and assert every side of its refusal; return the response.

    The reason by the signal, code and sentence in the body, the headers, and that nothing was stored.

    :param code: where it is not the reason's own: in combined mode a proof is the attestation's.
    :param nonce: whether the response offers a DPoP nonce.
    :param proof_used: whether the proof that authenticated the client was used up before the refusal.
    """
    expected = code or ClientAttestationError(reason).code
    reasons: list[Reason] = []

    def note(*, reason: Reason, **kwargs: Any) -> None:
        reasons.append(reason)

    before = stored()
    client_attestation_refused.connect(note)
    try:
        response = send()
    finally:
        client_attestation_refused.disconnect(note)
    assert reasons == [reason]
    assert response.json() == {"error": expected, "error_description": SENTENCES[expected]}
    assert response.status_code == status
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    assert 16 <= len(response.headers[CHALLENGE_FIELD]) <= 512
    assert (NONCE_FIELD in response.headers) is nonce
    assert stored() == (before[0] + proof_used, *before[1:])
    return response


def row_of(access_token: str) -> Any:
    """Return the row of an access token."""
    checksum = sha256(access_token.encode()).hexdigest()
    return get_access_token_model().objects.get(token_checksum=checksum)


def key_of(access_token: str) -> str | None:
    """Return the thumbprint that is stored of an access token, or None for a bearer token."""
    confirmations = AccessTokenConfirmation.objects.filter(pk=row_of(access_token).pk)
    return confirmations.values_list("thumbprint", flat=True).first()


def key_of_refresh_token(refresh_token: str) -> set[str | None]:
    """Return what is stored of each row of a refresh token."""
    checksum = sha256(refresh_token.encode()).hexdigest()
    rows = get_refresh_token_model().objects.filter(token_checksum=checksum)
    assert rows
    keys = dict(RefreshTokenConfirmation.objects.values_list("pk", "thumbprint"))
    return {keys.get(row.pk) for row in rows}


def introspected(access_token: str) -> tuple[Any, Any]:
    """Return what another client is told of a token: its type and what confirms it."""
    row = row_of(access_token)
    own = type(row.application).objects.using(database()).filter(client_id="introspector").first()
    if own is None:
        create_application("introspector")
    headers = basic("introspector", "secret")
    answer = post_form(visitor(), INTROSPECT, {"token": access_token}, headers=headers).json()
    assert answer["active"] is True
    return answer.get("token_type"), answer.get("cnf")
