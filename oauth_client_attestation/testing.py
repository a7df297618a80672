"""A kit for tests: attesters, client instances, attestations and proofs.

For your own test suite and for demonstrations; nothing in the package imports it. Every object signs with a
key that it makes itself, and every claim or header parameter can be replaced, or removed with
:data:`ABSENT`, so that a test sends a valid request with one thing wrong.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jwcrypto.jwk import JWK

from .attester import attestation_parts
from .client.proofs import dpop_parts, pop_parts
from .core import wire
from .signing import generate_key, public_jwk, sign

__all__ = [
    "ABSENT",
    "AttesterBackend",
    "ClientInstance",
    "combined_headers",
    "generate_key",
    "public_jwk",
    "request_headers",
    "sign",
]

#: As a value in ``claims`` or ``header``: leave that member out.
ABSENT: Final = object()


@dataclass
class ClientInstance:
    """An instance of an app: a key, and the proofs it signs."""

    algorithm: str = "ES256"
    key: JWK = field(default_factory=lambda: generate_key("ES256"))

    def __post_init__(self) -> None:
        if self.algorithm != "ES256" and self.key["kty"] == "EC" and self.key["crv"] == "P-256":
            self.key = generate_key(self.algorithm)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public key, as an attestation carries it."""
        return public_jwk(self.key)

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 SHA-256 thumbprint of the key."""
        value: str = self.key.thumbprint()
        return value

    def prove(
        self,
        audience: str,
        *,
        challenge: str | None = None,
        now: float | None = None,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a Client Attestation PoP JWT in the shape of revision -12.

        :param audience: the issuer of the authorization server, or the identifier of the resource.
        :param challenge: a challenge of that server.
        :param now: the time to sign with, in seconds since the epoch; the current time by default.
        :param claims: claims to replace or add; :data:`ABSENT` removes one.
        :param header: the same for header parameters.
        """
        moment = time.time() if now is None else now
        own_header, own = pop_parts(audience, algorithm=self.algorithm, now=moment, challenge=challenge)
        return sign(self.key, _merged(own_header, header), _merged(own, claims))

    def prove_dpop(
        self,
        method: str,
        uri: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        now: float | None = None,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a DPoP proof (RFC 9449 section 4.2).

        :param method: of the HTTP request.
        :param uri: of the HTTP request.
        :param nonce: a DPoP nonce of that server.
        :param access_token: the token that is presented along with the proof.
        :param now: the time to sign with, in seconds since the epoch; the current time by default.
        :param claims: claims to replace or add; :data:`ABSENT` removes one.
        :param header: the same for header parameters.
        """
        moment = time.time() if now is None else now
        own_header, own = dpop_parts(
            method,
            uri,
            jwk=self.public_jwk,
            algorithm=self.algorithm,
            now=moment,
            nonce=nonce,
            access_token=access_token,
        )
        return sign(self.key, _merged(own_header, header), _merged(own, claims))


@dataclass
class AttesterBackend:
    """A client's backend: a key, and the attestations it signs."""

    algorithm: str = "ES256"
    key_id: str | None = "attester-1"
    key: JWK = field(default_factory=lambda: generate_key("ES256"))

    def __post_init__(self) -> None:
        if self.algorithm != "ES256" and self.key["kty"] == "EC" and self.key["crv"] == "P-256":
            self.key = generate_key(self.algorithm)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public key with its ``kid``."""
        members = public_jwk(self.key)
        if self.key_id is not None:
            members["kid"] = self.key_id
        return members

    @property
    def jwks(self) -> dict[str, Any]:
        """The JWK Set that an operator registers."""
        return {"keys": [self.public_jwk]}

    def attest(
        self,
        instance: ClientInstance,
        client_id: str,
        *,
        now: float | None = None,
        lifetime: int = 3600,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a Client Attestation JWT for ``instance`` in the shape of revision -12.

        :param client_id: the client that the instance belongs to.
        :param now: the time to sign with, in seconds since the epoch; the current time by default.
        :param lifetime: seconds until it expires.
        :param claims: claims to replace or add; :data:`ABSENT` removes one.
        :param header: the same for header parameters.
        """
        moment = time.time() if now is None else now
        own_header, own = attestation_parts(
            client_id,
            instance.public_jwk,
            algorithm=self.algorithm,
            key_id=self.key_id,
            issued_at=int(moment),
            lifetime=lifetime,
        )
        return sign(self.key, _merged(own_header, header), _merged(own, claims))


def request_headers(attestation: str, pop: str) -> dict[str, str]:
    """Return the two header fields of an attested request."""
    return {wire.ATTESTATION_FIELD: attestation, wire.POP_FIELD: pop}


def combined_headers(attestation: str, dpop: str) -> dict[str, str]:
    """Return the two header fields of an attested request in combined mode."""
    return {wire.ATTESTATION_FIELD: attestation, wire.DPOP_FIELD: dpop}


def _merged(own: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**own, **(changes or {})}.items() if value is not ABSENT}
