"""What the tests of the core share: one attester, one instance, and a policy their tokens satisfy at ``NOW``."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK

from oauth_client_attestation.core.attestation import peek_attestation, verify_attestation
from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.dpop import DpopContext, Target
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.jwk import parse_public_key
from oauth_client_attestation.core.keys import ASYMMETRIC_ALGORITHMS
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import DpopDemands, Policy, TrustedKey, VerifiedAttestation
from oauth_client_attestation.testing import ABSENT, AttesterBackend, ClientInstance, generate_key

NOW = 1_800_000_000
CLIENT_ID = "app"
AUDIENCE = "https://as.example"
POLICY = Policy(audience=AUDIENCE, attestation_algorithms=ASYMMETRIC_ALGORITHMS, pop_algorithms=ASYMMETRIC_ALGORITHMS)
SKEW = POLICY.clock_skew
LIFETIME = 300
CHALLENGES = Challenges((b"a secret that only this server knows",), f"as {AUDIENCE}", LIFETIME)
#: The request that DPoP proofs are for, and this server's nonces: of the same secret, for a purpose of their own.
URI = "https://as.example/o/token"
NONCES = Challenges(CHALLENGES.keys, "dpop", LIFETIME)
DPOP = DpopContext(Target("POST", URI), DpopDemands(algorithms=ASYMMETRIC_ALGORITHMS), NONCES)
ATTESTER = AttesterBackend()
INSTANCE = ClientInstance()

#: In an order of its own: a set's differs between the processes of a parallel run.
ALGORITHMS = (
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
)
#: The public keys of RFC 7515 appendix A.3, RFC 8037 appendix A.2 and RFC 7638 section 3.1.
P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RSA = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn"
        "Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqb"
        "w0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
}
#: Values that are never a NumericDate (RFC 7519 section 2, A10).
NOT_A_DATE = [
    pytest.param("1800000000", id="a string"),
    pytest.param(None, id="null"),
    pytest.param(True, id="true"),
    pytest.param(False, id="false"),
    pytest.param([NOW], id="an array"),
    pytest.param({}, id="an object"),
    pytest.param(-1, id="before 1970"),
    pytest.param(-0.5, id="half a second before 1970"),
    pytest.param(NOW * 1000, id="milliseconds"),
    pytest.param(253_402_300_800, id="the year 10000"),
    pytest.param(10**400, id="more than a float can hold"),
]
#: Values that are never a usable identifier.
NOT_A_TEXT = [
    pytest.param("", id="empty"),
    pytest.param(None, id="null"),
    pytest.param(7, id="a number"),
    pytest.param(True, id="true"),
    pytest.param(["app"], id="an array"),
    pytest.param({"app": 1}, id="an object"),
    pytest.param("app\n", id="with a line feed"),
    pytest.param("a\0pp", id="with a NUL"),
    pytest.param("app\u2028", id="with a line separator"),
    pytest.param("app\u202e", id="with a change of direction"),
]


@contextmanager
def refusal(reason: Reason) -> Iterator[None]:
    """Assert that the block is refused, for this reason and no other."""
    with pytest.raises(ClientAttestationError) as caught:
        yield
    assert caught.value.reason is reason


@cache
def private_key(algorithm: str) -> JWK:
    """Return the one key of this run for ``algorithm``; the RSA algorithms share theirs, being slow to make."""
    if algorithm.startswith(("RS", "PS")) and algorithm != "RS256":
        return private_key("RS256")
    return generate_key(algorithm)


def instance(algorithm: str) -> ClientInstance:
    """Return an instance that signs with ``algorithm``."""
    return ClientInstance(algorithm=algorithm, key=private_key(algorithm))


def attester(algorithm: str) -> AttesterBackend:
    """Return an attester that signs with ``algorithm``."""
    return AttesterBackend(algorithm=algorithm, key=private_key(algorithm))


def trusted(backend: AttesterBackend = ATTESTER, name: str = "Acme", **fields: Any) -> TrustedKey:
    """Return the key of a backend as the deployment trusts it."""
    return TrustedKey(name, parse_public_key(backend.public_jwk), **fields)


def attest(**changes: Any) -> str:
    """Return a good attestation of ``INSTANCE``, or one with ``claims=``, ``header=``, ``now=`` … changed."""
    return ATTESTER.attest(INSTANCE, CLIENT_ID, **{"now": NOW, **changes})


def verify(
    token: str,
    *,
    keys: Sequence[TrustedKey] | None = None,
    policy: Policy = POLICY,
    now: float = NOW,
    memory: AttestationMemory | None = None,
) -> VerifiedAttestation:
    """Peek and verify an attestation, as a request's way through the core does."""
    unverified = peek_attestation(token, memory=memory)
    return verify_attestation(
        unverified, keys=[trusted()] if keys is None else keys, policy=policy, now=now, memory=memory
    )


def b64(octets: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign_octets(key: JWK, header: bytes, payload: bytes) -> str:
    """Return an ES256 signature over any octets at all, for tokens that no JOSE library would make."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    r, s = decode_dss_signature(key.get_op_key("sign").sign(signing_input.encode(), ECDSA(SHA256())))
    return f"{signing_input}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def sign_members(key: JWK, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """Like :func:`sign_octets`, of two JSON objects; ``alg`` may say anything, or be ``ABSENT``."""
    present = {name: value for name, value in header.items() if value is not ABSENT}
    return sign_octets(key, json.dumps(present).encode(), json.dumps(payload).encode())


def mac_members(secret: bytes, header: Mapping[str, Any], payload: Mapping[str, Any], digest: str = "sha256") -> str:
    """Return an HMAC over two JSON objects, whatever ``alg`` says."""
    signing_input = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), digest))}"
