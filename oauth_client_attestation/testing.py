"""A kit for tests: attesters, client instances, attestations and proofs.

For your own test suite and for demonstrations; nothing in the package imports it. Every object signs with a
key that it makes itself, and every claim or header parameter can be replaced, or removed with
:data:`ABSENT`, so that a test sends a valid request with one thing wrong.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from .core import wire

#: As a value in ``claims`` or ``header``: leave that member out.
ABSENT: Final = object()

_KEY_PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
    **{name: {"kty": "RSA", "size": 2048} for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
}


def generate_key(algorithm: str = "ES256") -> JWK:
    """Return a new private key for ``algorithm``."""
    return JWK.generate(**_KEY_PARAMETERS[algorithm])


def public_jwk(key: JWK) -> dict[str, Any]:
    """Return the public part of ``key`` as a JWK."""
    members: dict[str, Any] = json.loads(key.export_public())
    return members


def sign(key: JWK, header: Mapping[str, Any], payload: Mapping[str, Any] | str | bytes) -> str:
    """Return a compact JWS. A ``str`` or ``bytes`` payload is signed as it is, valid JSON or not."""
    body = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    jws = JWS(body)
    jws.allowed_algs = [*jws.allowed_algs, str(header["alg"])]
    jws.add_signature(key, None, json.dumps(header), None)
    token: str = jws.serialize(compact=True)
    return token


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
        own: dict[str, Any] = {"aud": audience, "jti": str(uuid.uuid4()), "iat": int(moment)}
        if challenge is not None:
            own["challenge"] = challenge
        return sign(
            self.key,
            _merged({"typ": wire.POP_TYP, "alg": self.algorithm}, header),
            _merged(own, claims),
        )


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
        own_header = {"typ": wire.ATTESTATION_TYP, "alg": self.algorithm}
        if self.key_id is not None:
            own_header["kid"] = self.key_id
        own = {
            "sub": client_id,
            "iat": int(moment),
            "exp": int(moment) + lifetime,
            "cnf": {"jwk": instance.public_jwk},
        }
        return sign(self.key, _merged(own_header, header), _merged(own, claims))


def request_headers(attestation: str, pop: str) -> dict[str, str]:
    """Return the two header fields of an attested request."""
    return {wire.ATTESTATION_FIELD: attestation, wire.POP_FIELD: pop}


def _merged(own: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**own, **(changes or {})}.items() if value is not ABSENT}
