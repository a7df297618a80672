"""A client instance that knows of a live site what any client may know: its issuer."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from oauth_client_attestation.testing import AttesterBackend, ClientInstance, request_headers
from tests.e2e.live import LiveSite
from tests.e2e.wire import Answer, http_request
from tests.kit import CHALLENGE_FIELD, SENTENCES

_TIMEOUT = 60
_FORM = "grant_type=client_credentials"


@dataclass
class LiveClient:
    """An application that must be attested, its attester, and one instance that talks HTTP."""

    site: LiveSite
    directory: Path
    backend: AttesterBackend = field(default_factory=AttesterBackend)
    instance: ClientInstance = field(default_factory=ClientInstance)
    client_id: str = field(default_factory=lambda: f"app-{uuid.uuid4().hex[:12]}")

    def register(self, *, challenge: str = "required") -> LiveClient:
        """Do what an operator does, with the same commands, in one process to save time."""
        jwks = self.directory / f"{self.client_id}.json"
        jwks.write_text(json.dumps(self.backend.jwks))
        self.site.shell(
            "from django.core.management import call_command\n"
            f"app = {self.client_id!r}\n"
            "call_command('createapplication', 'confidential', 'client-credentials', name=app, client_id=app,\n"
            "             hash_client_secret=False)\n"
            f"call_command('createattester', {self.attester!r}, jwks={str(jwks)!r}, application=[app])\n"
            f"call_command('requireattestation', app, challenge={challenge!r})"
        )
        return self

    @property
    def attester(self) -> str:
        """The name under which the backend is registered."""
        return f"attester of {self.client_id}"

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the site says about itself (RFC 8414)."""
        response = requests.get(f"{self.site.url}/.well-known/oauth-authorization-server", timeout=_TIMEOUT)
        assert response.status_code == 200
        assert response.json()["issuer"] == self.site.url
        return response.json()

    def challenge(self) -> str:
        """Ask the challenge endpoint for one."""
        response = requests.post(self.metadata["challenge_endpoint"], timeout=_TIMEOUT)
        assert response.status_code == 200
        return response.json()["attestation_challenge"]

    def attestation(self, **changes: Any) -> str:
        """Return a good attestation, or one with ``claims=``, ``now=`` … changed."""
        return self.backend.attest(self.instance, self.client_id, **changes)

    def pop(self, challenge: str, **changes: Any) -> str:
        """Return a good proof over a challenge, or one with ``claims=``, ``now=`` … changed."""
        return self.instance.prove(self.metadata["issuer"], challenge=challenge, **changes)

    def token(self, attestation: str, pop: str) -> requests.Response:
        """Ask for an access token."""
        return requests.post(
            self.metadata["token_endpoint"],
            data=_FORM,
            headers={"Content-Type": "application/x-www-form-urlencoded", **request_headers(attestation, pop)},
            timeout=_TIMEOUT,
        )

    def token_request(self, *fields: tuple[str, str], body: str = _FORM) -> bytes:
        """Return a token request with these header fields, as octets."""
        form = ("Content-Type", "application/x-www-form-urlencoded")
        return http_request("POST", self.metadata["token_endpoint"], [form, *fields], body)

    def attested_request(self, attestation: str, pop: str, body: str = _FORM) -> bytes:
        """Return a token request in the method's usual form, as octets."""
        return self.token_request(*request_headers(attestation, pop).items(), body=body)


def assert_refused(answer: Answer | requests.Response, code: str, *, status: int = 400) -> None:
    """Assert what a client sees of a refusal: status, body and headers."""
    seen = answer.status_code if isinstance(answer, requests.Response) else answer.status
    body = answer.content if isinstance(answer, requests.Response) else answer.body
    assert seen == status, body
    assert answer.headers["Content-Type"].split(";")[0] == "application/json", body
    assert answer.json() == {"error": code, "error_description": SENTENCES[code]}
    assert "no-store" in answer.headers["Cache-Control"]
    assert 16 <= len(answer.headers[CHALLENGE_FIELD]) <= 512


def refusals(log: list[str]) -> list[str]:
    """Return the reasons of the refusals that a site has logged."""
    return re.findall(r"Client attestation refused: reason=(\w+)", "\n".join(log))
