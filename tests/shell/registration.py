"""What the tests of registration share: a client that registers itself, and what it may leave behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model

from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.models import (
    AttestationPolicy,
    AttesterApplication,
    ClientRegistration,
    UsedProof,
)
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, combined_headers, request_headers
from tests.kit import ISSUER, TOKEN, AttestedClient, provider

REGISTER = "/o/register/"
SOFTWARE_ID = "example.vendor.wallet"
METHOD = "attest_jwt_client_auth"
METHOD_DPOP = "attest_jwt_client_auth_dpop"
#: What a client says of attestation.
ATTESTATION_METADATA = {
    "token_endpoint_auth_method": METHOD,
    "client_attestation_signing_alg_values_supported": ["ES256", "ML-DSA-44"],
    "client_attestation_pop_signing_alg_values_supported": ["ES256", "ES384"],
    "client_attestation_pop_methods_supported": ["attestation_pop_jwt", "dpop_combined"],
}
#: A good registration request.
METADATA = {
    "client_name": "Wallet",
    "software_id": SOFTWARE_ID,
    "grant_types": ["client_credentials"],
    **ATTESTATION_METADATA,
}


def open_registration(**changes: Any) -> Any:
    """Run the site with registration open to anybody."""
    return provider(
        DCR_REGISTRATION_PERMISSION_CLASSES=["oauth2_provider.dcr.AllowAllDCRPermission"], DCR_ENABLED=True, **changes
    )


def registered() -> tuple[int, ...]:
    """Count what a registration may leave behind."""
    models: tuple[Any, ...] = (
        get_application_model(),
        get_access_token_model(),
        AttestationPolicy,
        AttesterApplication,
        ClientRegistration,
        UsedProof,
    )
    return tuple(model.objects.count() for model in models)


@dataclass
class Registrant:
    """A client that registers itself: its attester's backend, one instance, and what the server has told it."""

    backend: AttesterBackend = field(default_factory=AttesterBackend)
    instance: ClientInstance = field(default_factory=ClientInstance)
    http: Client = field(default_factory=lambda: Client(HTTP_HOST="127.0.0.1:8000"))
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def client_id(self) -> str:
        """What the server calls it."""
        return str(self.answer["client_id"])

    @property
    def application(self) -> Any:
        """Its application."""
        return get_application_model().objects.get(client_id=self.client_id)

    def headers(self, sub: str = SOFTWARE_ID, *, attestation: str | None = None, **proof: Any) -> dict[str, str]:
        """Return the fields of an attested registration, or of one with something changed."""
        challenge = proof.pop("challenge", fresh_challenge())
        pop = proof.pop("pop", None) or self.instance.prove(proof.pop("audience", ISSUER), challenge=challenge, **proof)
        return request_headers(attestation or self.backend.attest(self.instance, sub), pop)

    def combined(self, sub: str = SOFTWARE_ID, *, nonce: str | None = None) -> dict[str, str]:
        """Return the fields of an attested registration in combined mode."""
        attestation = self.backend.attest(self.instance, sub)
        proof = self.instance.prove_dpop("POST", ISSUER + REGISTER, nonce=nonce)
        return combined_headers(attestation, proof)

    def post(self, metadata: Any = None, *, headers: dict[str, str] | None = None, body: Any = None) -> Any:
        """Send a registration request, without an attestation unless the fields are given."""
        content = json.dumps(METADATA if metadata is None else metadata) if body is None else body
        return self.http.post(REGISTER, content, content_type="application/json", headers=headers or {})

    def register(self, metadata: Any = None, **request: Any) -> Registrant:
        """Register, and keep the answer."""
        response = self.post(metadata, **request)
        assert response.status_code == 201, response.content
        return replace(self, answer=response.json())

    def manage(self, method: str, metadata: Any = None, *, client_id: str = "", token: str = "", **headers: str) -> Any:
        """Send a management request with the registration access token."""
        token = token or self.answer["registration_access_token"]
        return self.http.generic(
            method,
            f"{REGISTER}{client_id or self.client_id}/",
            "" if metadata is None else json.dumps(metadata),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", **headers},
        )

    def update(self, metadata: Any) -> Registrant:
        """Update, and keep the answer with the new token."""
        response = self.manage("PUT", metadata)
        assert response.status_code == 200, response.content
        return replace(self, answer=response.json())

    def as_client(self) -> AttestedClient:
        """Return the same instance as a client of the token endpoint."""
        return AttestedClient(self.backend, self.instance, self.client_id, http=self.http, application=self.application)

    def token_by_secret(self, secret: str) -> Any:
        """Ask for a token without an attestation."""
        return self.http.post(
            TOKEN, {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": secret}
        )
