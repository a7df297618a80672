"""For the tests of inspection: one request that every check applies to, and for each reason what spoils it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from django.utils import timezone

from oauth_client_attestation.challenges import authorization_server_challenges, dpop_nonces
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.anchors import parse_anchors
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.jwk import parse_public_key
from oauth_client_attestation.core.results import VerifiedDpopProof, VerifiedProof
from oauth_client_attestation.inspection import Question
from oauth_client_attestation.inspection.checks import CHECKS_BY_PART, Part
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterKey, ClientInstance
from oauth_client_attestation.proofs import record_of
from oauth_client_attestation.replay import ReplayStore, ReplayStoreUnavailable
from oauth_client_attestation.testing import ABSENT, AttesterBackend, generate_key, public_jwk
from oauth_client_attestation.trust.jwks import parse_jwks
from oauth_client_attestation.trust.registration import replace_anchors, replace_keys
from tests.certificates import Chain, build_leaf, make_chain, x5c
from tests.core.support import b64, sign_members, unb64
from tests.kit import ISSUER, TOKEN, AttestedClient


class UnansweringStore(ReplayStore):
    """A replay store that is down."""

    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        raise ReplayStoreUnavailable

    def holds(self, proof_id: str) -> bool | None:
        raise ReplayStoreUnavailable


class PlainStore(ReplayStore):
    """A site's own replay store, which can only claim."""

    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        return True


#: What a sample in combined mode presents along with its proof.
ACCESS_TOKEN = "an access token"


@dataclass(frozen=True)
class At:
    """As a claim: the time so many seconds from now."""

    distance: int


@dataclass
class Sample:
    """A request that every check applies to; ``settings`` are those of the site that judges it.

    :ivar combined: whether it has a DPoP proof in place of a PoP JWT, and an access token.
    """

    client: AttestedClient
    combined: bool = False
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    proof_header: dict[str, Any] = field(default_factory=dict)
    proof_claims: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def question(self, **changes: Any) -> Question:
        """Return the request with what was changed, signed by its rightful owners."""
        now = int(time.time())
        header = {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": "attester-1"}
        claims = {
            "sub": "app",
            "iss": "https://acme.example",
            "iat": At(-60),
            "nbf": At(-60),
            "exp": At(3600),
            "cnf": {"jwk": self.client.instance.public_jwk},
            "level": "high",
        }
        proof_header, proof_claims = self._dpop(now) if self.combined else self._pop(now)
        parts: dict[str, Any] = {
            "key": self.client.backend.key,
            "proof_key": self.client.instance.key,
            "suffix": "",
            "proof_suffix": "",
            "client_id": "app",
            **self.parts,
        }
        attestation = sign_members(parts["key"], _merged(header, self.header), _merged(claims, self.claims))
        proof = sign_members(
            parts["proof_key"], _merged(proof_header, self.proof_header), _merged(proof_claims, self.proof_claims)
        )
        question = Question(
            attestation + parts["suffix"],
            proof=proof + parts["proof_suffix"],
            kind="dpop" if self.combined else "",
            client_id=parts["client_id"],
            access_token=ACCESS_TOKEN if self.combined else "",
        )
        return replace(question, **changes)

    def _pop(self, now: int) -> tuple[dict[str, Any], dict[str, Any]]:
        challenge = authorization_server_challenges(ISSUER).issue(now)
        return (
            {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"},
            {"aud": ISSUER, "iss": "app", "jti": "1", "iat": At(0), "challenge": challenge},
        )

    def _dpop(self, now: int) -> tuple[dict[str, Any], dict[str, Any]]:
        ath = b64(sha256(ACCESS_TOKEN.encode()).digest())
        nonce = dpop_nonces().issue(now)
        return (
            {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.client.instance.public_jwk},
            {"jti": "1", "htm": "POST", "htu": ISSUER + TOKEN, "iat": At(0), "nonce": nonce, "ath": ath},
        )


def register_sample() -> Sample:
    """Create the site that a sample is good at."""
    attester = {"issuer": "https://acme.example", "max_age": 3600, "required_claims": {"level": ["high"]}}
    return Sample(AttestedClient().register(attester=attester))


@dataclass(frozen=True)
class Fault:
    """What is wrong with a request, and the check that it fails.

    :ivar slots: what is changed: two faults with one in common cannot be in the same request.
    :ivar combined: whether the request has a DPoP proof.
    """

    check: str
    reason: Reason
    slots: frozenset[str]
    spoil: Callable[[Sample], Any]
    combined: bool = False

    def __str__(self) -> str:
        return f"{self.check}-{self.reason}{'-combined' if self.combined else ''}"


def _merged(own: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    members = {name: value for name, value in {**own, **changes}.items() if value is not ABSENT}
    now = int(time.time())
    return {name: now + value.distance if isinstance(value, At) else value for name, value in members.items()}


def _in(where: str, check: str, reason: Reason, **values: Any) -> Fault:
    slots = frozenset(f"{where}.{name}" for name in values)
    return Fault(check, reason, slots, lambda sample: getattr(sample, where).update(values))


def _row(model: Any, check: str, reason: Reason, **values: Any) -> Fault:
    slots = frozenset(f"{model.__name__}.{name}" for name in values)
    return Fault(check, reason, slots, lambda sample: model.objects.update(**values))


def _by(check: str, reason: Reason, slots: str, *steps: Callable[[Sample], Any]) -> Fault:
    return Fault(check, reason, frozenset(slots.split()), lambda sample: [step(sample) for step in steps])


def _expired_challenge(sample: Sample) -> None:
    sample.proof_claims["challenge"] = authorization_server_challenges(ISSUER).issue(time.time() - 4000)


def _keys_by_url(sample: Sample) -> None:
    AttesterKey.objects.all().delete()
    Attester.objects.update(jwks_uri="https://attester.example/jwks")


def _many_keys(sample: Sample) -> None:
    jwks = {"keys": [AttesterBackend(key_id=None).public_jwk for _ in range(17)]}
    replace_keys(sample.client.attester, parse_jwks(json.dumps(jwks)))


def add_anchor(sample: Sample, chain: Chain) -> None:
    """Give the attester of a sample the anchor of a chain."""
    replace_anchors(sample.client.attester, parse_anchors(chain.pem))


def _chain(reason: Reason, present: Callable[[Chain], list[str]], **leaf: Any) -> Fault:
    def spoil(sample: Sample) -> None:
        chain = make_chain(**leaf)
        AttesterKey.objects.all().delete()
        add_anchor(sample, chain)
        sample.header["x5c"] = present(chain)

    return Fault("attester", reason, frozenset({"keys"}), spoil)


def use(sample: Sample) -> None:
    """Record the proof of a sample as one that was accepted."""
    name, kind = ("nonce", VerifiedDpopProof) if sample.combined else ("challenge", VerifiedProof)
    sample.proof_claims[name] = fresh = json.loads(unb64(sample.question().proof.split(".")[1]))[name]
    thumbprint = parse_public_key(sample.client.instance.public_jwk).thumbprint
    record, _ = record_of(kind(thumbprint, "1", time.time() + 60, fresh))
    app_settings.replay_store.claim(record, valid_until=time.time() + 60)


def _block(sample: Sample) -> None:
    client = sample.client
    ClientInstance.objects.create(
        application=client.application, thumbprint=client.instance.thumbprint, blocked=timezone.now()
    )


def _optional(sample: Sample) -> None:
    AttestationPolicy.objects.update(challenge="optional")
    sample.proof_claims["challenge"] = ABSENT


def _expired_nonce(sample: Sample) -> None:
    sample.proof_claims["nonce"] = dpop_nonces().issue(time.time() - 4000)


_STRANGER = generate_key()
R = Reason

#: Of a request with a PoP JWT: one or more for each reason.
_FAULTS = (
    _in("settings", "issuer", R.ISSUER_NOT_CONFIGURED, ISSUER=None),
    _in("claims", "attestation_size", R.ATTESTATION_FIELD_TOO_LARGE, pad="x" * 20000),
    _in("parts", "attestation_once", R.ATTESTATION_FIELD_REPEATED, suffix=", eyJ"),
    _in("parts", "attestation_form", R.ATTESTATION_FIELD_MALFORMED, suffix="!"),
    _in("proof_claims", "proof_size", R.POP_FIELD_TOO_LARGE, pad="x" * 20000),
    _in("parts", "proof_once", R.POP_FIELD_REPEATED, proof_suffix=", eyJ"),
    _in("parts", "proof_form", R.POP_FIELD_MALFORMED, proof_suffix="!"),
    _in("claims", "attestation_json", R.ATTESTATION_MALFORMED, other=float("nan")),
    _in("header", "attestation_json", R.ATTESTATION_MALFORMED, kid=7),
    _in("claims", "sub", R.ATTESTATION_SUB, sub=""),
    _in("parts", "client_id", R.CLIENT_MISMATCH, client_id="other"),
    _by("registered", R.CLIENT_NOT_REGISTERED, "policy", lambda sample: AttestationPolicy.objects.all().delete()),
    _in("settings", "method", R.METHOD_NOT_ALLOWED, METHODS=[]),
    _in("header", "attestation_typ", R.ATTESTATION_TYP, typ="JWT"),
    _in("header", "attestation_alg", R.ATTESTATION_ALGORITHM, alg="HS256"),
    _in("header", "attestation_crit", R.ATTESTATION_CRIT, crit=["exp"]),
    _row(Attester, "attester", R.ATTESTER_NOT_TRUSTED, enabled=False),
    _by("attester", R.ATTESTER_KEYS_UNAVAILABLE, "keys", _keys_by_url),
    _by("attester", R.ATTESTER_KEY_AMBIGUOUS, "keys", _many_keys),
    _chain(R.ATTESTATION_X5C_MALFORMED, lambda chain: ["!"]),
    _chain(R.ATTESTATION_X5C_ANCHOR_INCLUDED, lambda chain: x5c([*chain.certificates, chain.anchor])),
    _chain(R.ATTESTATION_X5C_SELF_SIGNED, lambda chain: x5c([build_leaf("Attester", None)])),
    _chain(R.ATTESTATION_X5C_EXPIRED, lambda chain: chain.x5c, not_after=1_600_000_000.0),
    _chain(R.ATTESTATION_X5C_NOT_TRUSTED, lambda chain: make_chain().x5c),
    _row(Attester, "attestation_alg_fits", R.ATTESTATION_ALGORITHM, algorithms=["ES384"]),
    _in("parts", "attestation_signature", R.ATTESTATION_SIGNATURE, key=_STRANGER),
    _in("claims", "exp_form", R.ATTESTATION_EXP, exp="soon"),
    _in("claims", "iat_form", R.ATTESTATION_IAT, iat=True),
    _in("claims", "nbf_form", R.ATTESTATION_NBF, nbf="now"),
    _in("claims", "iss", R.ATTESTATION_ISS, iss="https://other.example"),
    _in("claims", "cnf", R.ATTESTATION_CNF, cnf={}),
    _in("claims", "cnf", R.ATTESTATION_CNF_PRIVATE, cnf={"jwk": {"kty": "oct", "k": "AAAA"}}),
    _in("claims", "cnf", R.ATTESTATION_CNF_WEAK, cnf={"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
    _in("claims", "required_claims", R.ATTESTATION_CLAIM_MISSING, level=ABSENT),
    _in("claims", "required_claims", R.ATTESTATION_CLAIM_VALUE, level="low"),
    _in("claims", "exp", R.ATTESTATION_EXPIRED, exp=At(-300)),
    _in("claims", "nbf", R.ATTESTATION_NBF, nbf=At(300)),
    _in("claims", "iat_needed", R.ATTESTATION_IAT, iat=ABSENT),
    _in("claims", "iat", R.ATTESTATION_FROM_THE_FUTURE, iat=At(300)),
    _in("claims", "age", R.ATTESTATION_TOO_OLD, iat=At(-4000)),
    _in("proof_claims", "proof_json", R.POP_MALFORMED, other=float("nan")),
    _in("proof_header", "proof_typ", R.POP_TYP, typ="JWT"),
    _in("proof_header", "proof_alg", R.POP_ALGORITHM, alg="ES384"),
    _in("proof_header", "proof_crit", R.POP_CRIT, crit=["exp"]),
    _in("parts", "proof_signature", R.POP_SIGNATURE, proof_key=_STRANGER),
    _in("proof_claims", "aud", R.POP_AUD, aud="https://other.example"),
    _in("proof_claims", "proof_iss", R.POP_ISS, iss="other"),
    _in("proof_claims", "jti", R.POP_JTI, jti=""),
    _in("proof_claims", "challenge_given", R.CHALLENGE_MALFORMED, challenge=7),
    _in("proof_claims", "challenge_given", R.CHALLENGE_MISSING, challenge=ABSENT),
    _in("proof_claims", "challenge", R.CHALLENGE_UNKNOWN, challenge="x" * 54),
    _by("challenge", R.CHALLENGE_EXPIRED, "proof_claims.challenge", _expired_challenge),
    _in("proof_claims", "proof_times", R.POP_IAT, iat="now"),
    _in("proof_claims", "proof_times", R.POP_EXP, exp="soon"),
    _in("proof_claims", "proof_times", R.POP_NBF, nbf=At(300)),
    _in("proof_claims", "proof_times", R.POP_EXPIRED, exp=At(-300)),
    _by(
        "proof_times",
        R.POP_TOO_OLD,
        "policy proof_claims.challenge proof_claims.iat",
        _optional,
        lambda sample: sample.proof_claims.update(iat=At(-4000)),
    ),
    _by(
        "proof_times",
        R.POP_FROM_THE_FUTURE,
        "policy proof_claims.challenge proof_claims.iat",
        _optional,
        lambda sample: sample.proof_claims.update(iat=At(300)),
    ),
    _by("not_blocked", R.INSTANCE_BLOCKED, "instance", _block),
    _in("settings", "unused", R.REPLAY_STORE_UNAVAILABLE, REPLAY_STORE="tests.inspections.UnansweringStore"),
    _by("unused", R.POP_REPLAYED, "proof_claims.challenge", use),
)
_PRIVATE = {"kty": "oct", "k": "AAAA"}
#: Of a request with a DPoP proof, apart from those that are common to both.
_DPOP_FAULTS = (
    _in("proof_claims", "proof_size", R.DPOP_FIELD_TOO_LARGE, pad="x" * 20000),
    _in("parts", "proof_once", R.DPOP_FIELD_REPEATED, proof_suffix=", eyJ"),
    _in("parts", "proof_form", R.DPOP_FIELD_MALFORMED, proof_suffix="!"),
    _in("settings", "method", R.COMBINED_MODE_NOT_OFFERED, METHODS=["attest_jwt_client_auth"]),
    _row(AttestationPolicy, "method", R.METHOD_NOT_ALLOWED, methods=["attest_jwt_client_auth"]),
    _in("proof_claims", "dpop_json", R.DPOP_MALFORMED, other=float("nan")),
    _in("proof_claims", "dpop_jti", R.DPOP_JTI, jti=""),
    _in("proof_header", "dpop_typ", R.DPOP_TYP, typ="JWT"),
    _in("proof_header", "dpop_jwk", R.DPOP_JWK, jwk=ABSENT),
    _in("proof_header", "dpop_jwk", R.DPOP_JWK_PRIVATE, jwk=_PRIVATE),
    _in("proof_header", "dpop_alg", R.DPOP_ALGORITHM, alg="ES384"),
    _in("proof_header", "dpop_crit", R.DPOP_CRIT, crit=["exp"]),
    _in("parts", "dpop_signature", R.DPOP_SIGNATURE, proof_key=_STRANGER),
    _in("proof_claims", "htm", R.DPOP_HTM, htm="post"),
    _in("proof_claims", "htu", R.DPOP_HTU, htu="https://other.example/o/token/"),
    _in("proof_claims", "nonce_given", R.DPOP_NONCE_MISSING, nonce=ABSENT),
    _in("proof_claims", "nonce_given", R.DPOP_NONCE_MALFORMED, nonce=7),
    _in("proof_claims", "nonce", R.DPOP_NONCE_UNKNOWN, nonce="x" * 54),
    _by("nonce", R.DPOP_NONCE_EXPIRED, "proof_claims.nonce", _expired_nonce),
    _in("proof_claims", "dpop_times", R.DPOP_IAT, iat="now"),
    _in("proof_claims", "dpop_times", R.DPOP_EXPIRED, exp=At(-300)),
    _in("proof_claims", "ath", R.DPOP_ATH, ath=b64(sha256(b"another").digest())),
    _by(
        "dpop_key",
        R.DPOP_KEY_MISMATCH,
        "parts.proof_key proof_header.jwk",
        lambda sample: sample.parts.update(proof_key=_STRANGER),
        lambda sample: sample.proof_header.update(jwk=public_jwk(_STRANGER)),
    ),
    _by("unused", R.DPOP_REPLAYED, "proof_claims.nonce", use),
)
_OF_A_POP = {check.name for check in CHECKS_BY_PART[Part.PROOF]} | {"method", "proof_size", "proof_once", "proof_form"}
FAULTS = (
    *_FAULTS,
    *(
        replace(fault, combined=True)
        for fault in (*_FAULTS, *_DPOP_FAULTS)
        if fault in _DPOP_FAULTS or (fault.check not in _OF_A_POP and fault.reason is not R.POP_REPLAYED)
    ),
)
