"""Rule T4: attestations with a MAC, where a secret is shared with the attester, and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.keys import SharedSecret
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import TrustedKey
from tests.core.support import (
    ATTESTER,
    CLIENT_ID,
    INSTANCE,
    NOW,
    POLICY,
    b64,
    mac_members,
    refusal,
    trusted,
    unb64,
    verify,
)

DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
OCTETS = {"HS256": 32, "HS384": 48, "HS512": 64}
SECRET = bytes(range(64))
CLAIMS = {"sub": CLIENT_ID, "iat": NOW, "exp": NOW + 3600, "cnf": {"jwk": INSTANCE.public_jwk}}


def mac(secret: bytes, algorithm: str = "HS256", **header: Any) -> str:
    """Return an attestation with a MAC."""
    members = {"typ": "oauth-client-attestation+jwt", "alg": algorithm, **header}
    return mac_members(secret, members, CLAIMS, DIGESTS[algorithm])


def shared(secret: bytes = SECRET, **terms: Any) -> TrustedKey:
    return TrustedKey("Acme", SharedSecret(secret), **terms)


@pytest.mark.accepts("T4", "A2")
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_mac_with_the_shared_secret_is_accepted(algorithm: str) -> None:
    """Also with a secret no longer than the MAC, beside public keys, and with whatever kid."""
    assert verify(mac(SECRET, algorithm), keys=[shared()]).attester == "Acme"
    least = SECRET[: OCTETS[algorithm]]
    assert verify(mac(least, algorithm, kid="any"), keys=[trusted(), shared(least)]).attester == "Acme"


@pytest.mark.refuses("T4", "A2")
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_secret_shorter_than_the_mac_is_refused(algorithm: str) -> None:
    """RFC 7518 section 3.2: a key of the same size as the hash output or larger must be used."""
    short = SECRET[: OCTETS[algorithm] - 1]
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(mac(short, algorithm), keys=[shared(short)])


@pytest.mark.refuses("T4", "A2")
@pytest.mark.parametrize("listed", [False, True], ids=["off the list", "on the list by mistake"])
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_without_a_secret_no_mac_is_accepted(algorithm: str, listed: bool) -> None:
    policy = replace(POLICY, attestation_algorithms=frozenset({algorithm, "ES256"})) if listed else POLICY
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(mac(SECRET, algorithm), keys=[trusted()], policy=policy)


@pytest.mark.refuses("T4", "A3")
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(ATTESTER.key.export_to_pem(), id="as PEM"),
        pytest.param(ATTESTER.key.export_public().encode(), id="as a JWK"),
        pytest.param(json.dumps(ATTESTER.public_jwk).encode(), id="as it is registered"),
        pytest.param(unb64(ATTESTER.public_jwk["x"]), id="its x coordinate"),
        pytest.param(b"\4" + b"".join(unb64(ATTESTER.public_jwk[name]) for name in "xy"), id="its point"),
        pytest.param(INSTANCE.key.export_to_pem(), id="the instance's key"),
        pytest.param(b"", id="nothing"),
        pytest.param(b64(SECRET).encode(), id="the secret in base64url"),
    ],
)
def test_public_octets_are_nobodys_secret(secret: bytes) -> None:
    """The oldest confusion, where a secret is configured, so that MACs are verified at all."""
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(mac(secret), keys=[trusted(), shared()])


@pytest.mark.refuses("T4", "A3")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda tag: tag[:-1], id="an octet less"),
        pytest.param(lambda tag: tag[:1], id="one octet"),
        pytest.param(lambda tag: b"", id="none"),
        pytest.param(lambda tag: tag + b"\0", id="an octet more"),
        pytest.param(lambda tag: bytes([tag[0] ^ 1]) + tag[1:], id="a bit"),
    ],
)
def test_another_mac_is_refused(change: Any) -> None:
    head, _, tag = mac(SECRET).rpartition(".")
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(f"{head}.{b64(change(unb64(tag)))}", keys=[shared()])


@pytest.mark.refuses("T4", "A3")
def test_the_mac_of_another_algorithm_is_refused() -> None:
    head, _, _ = mac(SECRET, "HS256").rpartition(".")
    tag = hmac.digest(SECRET, head.encode(), hashlib.sha512)
    for forged in (tag, tag[:32]):
        with refusal(Reason.ATTESTATION_SIGNATURE):
            verify(f"{head}.{b64(forged)}", keys=[shared()])


@pytest.mark.refuses("T4", "A2")
def test_a_secret_verifies_macs_only_and_the_attesters_list_counts() -> None:
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(ATTESTER.attest(INSTANCE, CLIENT_ID, now=NOW), keys=[shared()])
    verify(mac(SECRET), keys=[shared(algorithms=frozenset({"HS256"}))])
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(mac(SECRET), keys=[shared(algorithms=frozenset({"HS512", "ES256"}))])


@pytest.mark.refuses("T4", "P2")
def test_a_shared_secret_of_one_attester_is_not_anothers() -> None:
    other = TrustedKey("Other", SharedSecret(bytes(64)))
    assert verify(mac(SECRET), keys=[other, shared()]).attester == "Acme"
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(mac(SECRET), keys=[other])


@pytest.mark.refuses("T4")
def test_memory_does_not_outlast_a_secret() -> None:
    memory, token = AttestationMemory(8), mac(SECRET)
    verify(token, keys=[shared()], memory=memory)
    assert memory.recall(token)
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(token, keys=[shared(bytes(64))], memory=memory)
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(token, keys=[trusted()], memory=memory)


def test_a_secret_is_not_shown() -> None:
    assert repr(SECRET) not in repr(shared())
    assert "secret=" not in repr(shared()).replace("SharedSecret", "")
