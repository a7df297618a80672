"""(a) Verifying attestation and proof, against bare ES256 verifications with ``cryptography``.

The core alone: no Django, no database, no replay store. *Cold* is the first request of an instance: its
attestation and its key were never seen. *Warm* is every later one: the attestation is remembered, the proof
new. The attester's key is a loaded object in both, as the resolver keeps it.
"""

from __future__ import annotations

import base64
import statistics
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.headers import HeaderFields
from oauth_client_attestation.core.jwk import parse_public_key
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import Evidence, Policy, TrustedKey
from oauth_client_attestation.core.verify import peek_request, verify_request
from oauth_client_attestation.testing import AttesterBackend, ClientInstance

from .measure import Row, Timings, compare, interleave, medians

AUDIENCE = "https://as.example"
CLIENT_ID = "app"
WARM_INSTANCES = 50


@dataclass(frozen=True, slots=True)
class Signature:
    """What a bare verification starts from: a JWS taken apart, its key as numbers and loaded."""

    signing_input: bytes
    octets: bytes
    numbers: EllipticCurvePublicNumbers
    key: EllipticCurvePublicKey

    def verify(self) -> None:
        self._verify_with(self.key)

    def load_and_verify(self) -> None:
        self._verify_with(self.numbers.public_key())

    def _verify_with(self, key: EllipticCurvePublicKey) -> None:
        r = int.from_bytes(self.octets[:32], "big")
        s = int.from_bytes(self.octets[32:], "big")
        key.verify(encode_dss_signature(r, s), self.signing_input, ECDSA(SHA256()))


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: its two header fields, and the two signatures in them."""

    fields: HeaderFields
    attestation: Signature
    proof: Signature


class Verifier:
    """The package's verifier as the service calls it, and requests for it."""

    def __init__(self) -> None:
        self._backend = AttesterBackend()
        self._keys = [TrustedKey("Acme", parse_public_key(self._backend.public_jwk))]
        algorithms = frozenset({"ES256"})
        self._policy = Policy(AUDIENCE, algorithms, algorithms)
        self._challenges = Challenges((b"a secret of this benchmark, 32 octets",), f"as {AUDIENCE}", 3600)

    def attest(self, instance: ClientInstance) -> str:
        return self._backend.attest(instance, CLIENT_ID)

    def sample(self, instance: ClientInstance, attestation: str) -> Sample:
        """Return a request with a new proof over a new challenge."""
        pop = instance.prove(AUDIENCE, challenge=self._challenges.issue(time.time()))
        return Sample(
            HeaderFields(attestation=(attestation,), pop=(pop,)),
            _signature(attestation, self._backend.public_jwk),
            _signature(pop, instance.public_jwk),
        )

    def verify(self, sample: Sample, memory: AttestationMemory | None) -> Evidence:
        request = peek_request(sample.fields, max_length=16384, memory=memory)
        return verify_request(
            request,
            keys=self._keys,
            policy=self._policy,
            challenges=self._challenges,
            now=time.time(),
            memory=memory,
        )


def measure(*, rounds: int, calls: int) -> list[Row]:
    """Return the rows of this part."""
    verifier = Verifier()
    return [*_cold(verifier, rounds, calls), *_warm(verifier, rounds, calls)]


def _cold(verifier: Verifier, rounds: int, calls: int) -> list[Row]:
    samples = []
    for _ in range(rounds * calls):
        instance = ClientInstance()
        samples.append(verifier.sample(instance, verifier.attest(instance)))
    ours, two, two_loading = iter(samples), iter(samples), iter(samples)

    def verify_two() -> None:
        sample = next(two)
        sample.attestation.verify()
        sample.proof.verify()

    def verify_two_loading_one_key() -> None:
        sample = next(two_loading)
        sample.attestation.verify()
        sample.proof.load_and_verify()

    taken = interleave(
        {
            "ours": lambda: verifier.verify(next(ours), None),
            "two": verify_two,
            "two, loading": verify_two_loading_one_key,
        },
        rounds=rounds,
        calls=calls,
    )
    return [
        _row("cold, to two bare verifications", taken["ours"], taken["two"], "≤ 2.0"),
        _row("cold, to two bare verifications, one loading its key", taken["ours"], taken["two, loading"], ""),
    ]


def _warm(verifier: Verifier, rounds: int, calls: int) -> list[Row]:
    memory = AttestationMemory(1024)
    instances = [ClientInstance() for _ in range(WARM_INSTANCES)]
    attested = [(instance, verifier.attest(instance)) for instance in instances]
    for instance, attestation in attested:
        verifier.verify(verifier.sample(instance, attestation), memory)
    samples = [verifier.sample(*attested[number % WARM_INSTANCES]) for number in range(rounds * calls)]
    ours, one = iter(samples), iter(samples)
    taken = interleave(
        {
            "ours": lambda: verifier.verify(next(ours), memory),
            "one": lambda: next(one).proof.verify(),
        },
        rounds=rounds,
        calls=calls,
    )
    return [_row("warm, to one bare verification", taken["ours"], taken["one"], "≤ 2.0")]


def _row(what: str, ours: Timings, bare: Timings, target: str) -> Row:
    ours_medians, bare_medians = medians(ours), medians(bare)
    ours_us, bare_us = (statistics.median(values) * 1e6 for values in (ours_medians, bare_medians))
    detail = f"{ours_us:.0f} µs to {bare_us:.0f} µs"
    return compare("verification", what, ours_medians, bare_medians, target=target, detail=detail)


def _signature(token: str, jwk: dict[str, str]) -> Signature:
    signing_input, _, signature = token.rpartition(".")
    x, y = (int.from_bytes(_octets(jwk[name]), "big") for name in ("x", "y"))
    numbers = EllipticCurvePublicNumbers(x, y, SECP256R1())
    return Signature(signing_input.encode("ascii"), _octets(signature), numbers, numbers.public_key())


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
