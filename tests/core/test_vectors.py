"""The tokens printed in the drafts, as published, and what becomes of each here, with the reason.

Their attesters' keys are unpublished, so that nobody can verify a printed attestation: its claims are signed again
with an attester of our own. The proofs are verified as printed, where the printed attestation has their key.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.headers import HeaderFields
from oauth_client_attestation.core.jose import InvalidSignature, parse_unverified, verify_signature
from oauth_client_attestation.core.jwk import parse_public_key
from oauth_client_attestation.core.results import Evidence, Policy
from oauth_client_attestation.core.verify import peek_request, verify_request
from oauth_client_attestation.testing import sign
from tests.core.support import ATTESTER, CHALLENGES, DPOP, INSTANCE, LIFETIME, POLICY, refusal, trusted

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "draft-examples.json").read_text(encoding="utf-8")
)["vectors"]
AS, RS = "https://as.example.com", "https://rs.example.com"
CLIENT_ID = "https://client.example.com"
PUBLISHED_CHALLENGE = "5c1a9e10-29ff-4c2b-ae73-57c0957c09c4"
#: When the attestation of -05 and -07 begins to be valid, and when it expires.
NBF, EXP = 1_300_815_780, 1_300_819_380
#: When the tokens of -08 to -10 were issued.
IAT = 1_772_487_595


def name(vector: dict[str, Any]) -> str:
    audience = str(vector["claims"].get("aud", "")).removeprefix("https://").partition(".")[0]
    return " ".join(filter(None, (vector["revision"], vector["kind"], audience)))


def find(revision: str, kind: str, audience: str | None = None) -> dict[str, Any]:
    (found,) = (
        vector
        for vector in VECTORS
        if (vector["revision"], vector["kind"], vector["claims"].get("aud")) == (revision, kind, audience)
    )
    return found


POPS = [vector for vector in VECTORS if vector["kind"] == "pop"]
REVISIONS = sorted({vector["revision"] for vector in VECTORS})


def test_the_file_holds_what_these_tests_are_about() -> None:
    assert REVISIONS == ["-05", "-07", "-08", "-09", "-10"]
    assert len(POPS) == 8
    assert not any(vector["attester_key_published"] for vector in VECTORS if vector["kind"] == "attestation")


@pytest.mark.accepts("A10")
@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_every_token_is_parsed_to_the_printed_header_and_claims(vector: dict[str, Any]) -> None:
    parsed = parse_unverified(vector["token"])
    assert dict(parsed.header) == vector["header"]
    assert dict(parsed.claims) == vector["claims"]
    assert len(parsed.signature) == 64


@pytest.mark.accepts("P3")
@pytest.mark.refuses("P3")
@pytest.mark.parametrize("vector", POPS, ids=name)
def test_a_printed_proof_verifies_as_the_file_says(vector: dict[str, Any]) -> None:
    """The proofs of -05 and -07 were signed with a key that their attestation does not show."""
    key = parse_public_key(find(vector["revision"], "attestation")["claims"]["cnf"]["jwk"])
    if vector["verifies_with_cnf_of_example_attestation"]:
        verify_signature(parse_unverified(vector["token"]), key, vector["header"]["alg"])
    else:
        with pytest.raises(InvalidSignature):
            verify_signature(parse_unverified(vector["token"]), key, vector["header"]["alg"])


@pytest.mark.refuses("A3")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_printed_attestation_is_refused_as_signed_by_a_stranger(revision: str) -> None:
    vector = find(revision, "attestation")
    with refusal(Reason.ATTESTATION_SIGNATURE):
        authenticate(vector["token"], find(revision, "pop", AS)["token"], now=IAT)


@dataclass(frozen=True, slots=True)
class IssuedAsPrinted(Challenges):
    """A server that did issue the challenge of the examples, and ``LIFETIME`` ago at most."""

    def match(self, challenge: str, *, now: float, clock_skew: int) -> float:
        if challenge == PUBLISHED_CHALLENGE:
            return now + LIFETIME
        return Challenges.match(self, challenge, now=now, clock_skew=clock_skew)


PRINTED_CHALLENGE_IS_OURS = IssuedAsPrinted(CHALLENGES.keys, CHALLENGES.context, CHALLENGES.lifetime)


def authenticate(
    attestation: str, pop: str, *, now: float, policy: Policy = POLICY, challenges: Challenges = CHALLENGES
) -> Evidence:
    """Send both through the whole core, as a server does whose issuer is that of the examples."""
    policy = replace(policy, audience=AS) if policy.audience == POLICY.audience else policy
    request = peek_request(HeaderFields((attestation,), (pop,)), max_length=16384, named_client_ids=(CLIENT_ID,))
    return verify_request(request, keys=[trusted()], policy=policy, challenges=challenges, dpop=DPOP, now=now)


def signed_again(revision: str, **changes: Any) -> str:
    """Return a printed attestation's header and claims under our attester's signature."""
    vector = find(revision, "attestation")
    return sign(ATTESTER.key, vector["header"], {**vector["claims"], **changes})


def proved_again(revision: str) -> str:
    """Return a printed proof's header and claims under our instance's signature, for want of a key that fits."""
    vector = find(revision, "pop", AS)
    return sign(INSTANCE.key, vector["header"], vector["claims"])


def floor(revision: int, **changes: Any) -> Policy:
    return replace(POLICY, **{"audience": AS, "oldest_revision": revision, **changes})


# -10, whose example is in the shape of today


@pytest.mark.accepts("A1", "A2", "A4", "A5", "A6", "A7", "P1", "P2", "P3", "P4", "P5", "P6")
@pytest.mark.parametrize("revision", range(5, 13))
@pytest.mark.parametrize("audience", [AS, RS])
def test_the_proof_of_10_is_accepted_by_whoever_issued_its_challenge(audience: str, revision: int) -> None:
    evidence = authenticate(
        signed_again("-10"),
        find("-10", "pop", audience)["token"],
        now=IAT,
        policy=floor(revision, audience=audience),
        challenges=PRINTED_CHALLENGE_IS_OURS,
    )
    assert evidence.attestation.client_id == CLIENT_ID
    assert evidence.proof.challenged
    assert evidence.proof.jti == "d25d00ab-552b-46fc-ae19-98f440f25064"


@pytest.mark.refuses("P7")
@pytest.mark.parametrize("required", [True, False])
def test_a_challenge_that_is_not_ours_is_all_that_is_wrong_with_it(required: bool) -> None:
    with refusal(Reason.CHALLENGE_UNKNOWN):
        authenticate(
            signed_again("-10"),
            find("-10", "pop", AS)["token"],
            now=IAT,
            policy=floor(5, challenge_required=required),
        )


@pytest.mark.refuses("P4")
def test_the_proof_for_the_resource_server_is_refused_by_the_authorization_server() -> None:
    with refusal(Reason.POP_AUD):
        authenticate(
            signed_again("-10"),
            find("-10", "pop", RS)["token"],
            now=IAT,
            challenges=PRINTED_CHALLENGE_IS_OURS,
        )


# -08 and -09, whose proofs say neither when they were made nor until when they are good


@pytest.mark.refuses("P6")
@pytest.mark.parametrize("revision", ["-08", "-09"])
@pytest.mark.parametrize("audience", [AS, RS])
@pytest.mark.parametrize("oldest", [5, 6, 7, 8, 9])
def test_the_proofs_of_08_and_09_lack_iat(oldest: int, audience: str, revision: str) -> None:
    """Their ``nonce`` is taken for the challenge; ``iat``, required from -07 on, is missing in the example."""
    with refusal(Reason.POP_IAT):
        authenticate(
            signed_again(revision),
            find(revision, "pop", audience)["token"],
            now=IAT,
            policy=floor(oldest, audience=audience),
            challenges=PRINTED_CHALLENGE_IS_OURS,
        )


@pytest.mark.refuses("P6", "P7")
@pytest.mark.parametrize("revision", ["-08", "-09"])
@pytest.mark.parametrize("oldest", [10, 11, 12])
@pytest.mark.parametrize(
    ("required", "reason"), [(True, Reason.CHALLENGE_MISSING), (False, Reason.POP_IAT)], ids=["required", "optional"]
)
def test_from_floor_10_on_their_nonce_is_no_challenge(
    required: bool, reason: Reason, oldest: int, revision: str
) -> None:
    with refusal(reason):
        authenticate(
            signed_again(revision),
            find(revision, "pop", AS)["token"],
            now=IAT,
            policy=floor(oldest, challenge_required=required),
            challenges=PRINTED_CHALLENGE_IS_OURS,
        )


# -05 and -07, with iss, nbf and exp in both, and a proof bounded by exp


@pytest.mark.refuses("P3")
@pytest.mark.parametrize("revision", ["-05", "-07"])
def test_the_proofs_of_05_and_07_are_not_by_the_attested_key(revision: str) -> None:
    with refusal(Reason.POP_SIGNATURE):
        authenticate(
            signed_again(revision),
            find(revision, "pop", AS)["token"],
            now=NBF,
            challenges=PRINTED_CHALLENGE_IS_OURS,
        )


OLD = {"now": EXP, "oldest": 5, "challenges": PRINTED_CHALLENGE_IS_OURS}


@pytest.mark.accepts("A6", "A9", "P6")
@pytest.mark.refuses("P6", "P7", "A5", "A6", "A9")
@pytest.mark.parametrize("revision", ["-05", "-07"])
@pytest.mark.parametrize(
    ("reason", "change"),
    [
        pytest.param(None, {}, id="accepted at floor 5, near its end"),
        pytest.param(None, {"oldest": 6}, id="accepted at floor 6"),
        pytest.param(None, {"now": EXP - 360}, id="accepted once exp is no more than a proof's age and the skew ahead"),
        pytest.param(None, {"now": EXP + 59}, id="accepted within the skew"),
        pytest.param(Reason.POP_EXP, {"now": EXP - 361}, id="its exp is too far ahead a second before"),
        pytest.param(Reason.POP_EXP, {"now": NBF}, id="its exp, an hour ahead, bounds nothing when it is new"),
        pytest.param(Reason.ATTESTATION_EXPIRED, {"now": EXP + 60}, id="the attestation expired, and the skew is over"),
        pytest.param(Reason.ATTESTATION_NBF, {"now": NBF - 61}, id="the attestation is not valid yet"),
        pytest.param(Reason.POP_IAT, {"oldest": 7}, id="floor 7 wants iat in the proof"),
        pytest.param(Reason.POP_IAT, {"oldest": 9}, id="floor 9 as well"),
        pytest.param(Reason.CHALLENGE_MISSING, {"oldest": 10}, id="floor 10 knows no nonce"),
        pytest.param(Reason.ATTESTATION_IAT, {"oldest": 12}, id="floor 12 wants iat in the attestation"),
        pytest.param(Reason.CHALLENGE_UNKNOWN, {"challenges": CHALLENGES}, id="the nonce is not ours"),
    ],
)
def test_their_claims_signed_by_one_key_are_accepted_down_to_their_floor(
    reason: Reason | None, change: dict[str, Any], revision: str
) -> None:
    case = {**OLD, **change}
    with refusal(reason) if reason else nullcontext():
        evidence = authenticate(
            signed_again(revision, cnf={"jwk": INSTANCE.public_jwk}),
            proved_again(revision),
            now=case["now"],
            policy=floor(case["oldest"]),
            challenges=case["challenges"],
        )
        assert evidence.attestation.issued_at is None
        assert evidence.proof.challenged


@pytest.mark.refuses("A9")
def test_iss_of_07_is_compared_with_the_attesters_own() -> None:
    token = signed_again("-07", cnf={"jwk": INSTANCE.public_jwk})
    request = peek_request(HeaderFields((token,), (proved_again("-07"),)), max_length=16384)
    demands: dict[str, Any] = {"policy": floor(5), "challenges": PRINTED_CHALLENGE_IS_OURS, "dpop": DPOP, "now": EXP}
    verify_request(request, keys=[trusted(issuer="https://attester.example.com")], **demands)
    with refusal(Reason.ATTESTATION_ISS):
        verify_request(request, keys=[trusted(issuer="https://server.example.com")], **demands)
