"""The sequence: what is checked first, and that the evidence is of one request."""

from __future__ import annotations

from typing import Any

import pytest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.headers import HeaderFields
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import Evidence
from oauth_client_attestation.core.verify import peek_request, verify_request
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, request_headers
from tests.core.support import (
    ATTESTER,
    AUDIENCE,
    CHALLENGES,
    CLIENT_ID,
    DPOP,
    INSTANCE,
    NOW,
    POLICY,
    attest,
    refusal,
    trusted,
)

R = Reason
STRANGER = AttesterBackend()


def prove(**changes: Any) -> str:
    return INSTANCE.prove(AUDIENCE, **{"now": NOW, "challenge": CHALLENGES.issue(NOW), **changes})


def authenticate(
    attestation: str | None = None, pop: str | None = None, *, named: tuple[str, ...] = (), **demands: Any
) -> Evidence:
    fields = HeaderFields((attestation or attest(),), (pop or prove(),))
    request = peek_request(fields, max_length=16384, named_client_ids=named, memory=demands.get("memory"))
    settings = {"keys": [trusted()], "policy": POLICY, "challenges": CHALLENGES, "dpop": DPOP, "now": NOW}
    return verify_request(request, **{**settings, **demands})


@pytest.mark.accepts("A3", "A4", "P3", "H5")
def test_the_evidence_names_client_attester_and_instance() -> None:
    evidence = authenticate(pop=prove(claims={"jti": "once"}))
    assert evidence.method == "attest_jwt_client_auth"
    assert (evidence.attestation.client_id, evidence.attestation.attester) == (CLIENT_ID, "Acme")
    assert evidence.proof.thumbprint == evidence.attestation.thumbprint == INSTANCE.thumbprint
    assert evidence.proof.jti == "once"


@pytest.mark.accepts("A4")
@pytest.mark.parametrize("named", [(), (CLIENT_ID,), (CLIENT_ID, CLIENT_ID)])
def test_the_request_may_name_the_client_or_leave_it_to_sub(named: tuple[str, ...]) -> None:
    assert authenticate(named=named).attestation.client_id == CLIENT_ID


@pytest.mark.refuses("A4")
@pytest.mark.parametrize(
    "named",
    [
        pytest.param(("other",), id="another client"),
        pytest.param((CLIENT_ID, "other"), id="another client beside the right one"),
        pytest.param(("",), id="a client without name"),
        pytest.param((CLIENT_ID.upper(),), id="capitals"),
        pytest.param((f"{CLIENT_ID} ",), id="a trailing space"),
    ],
)
def test_the_request_must_not_name_another_client(named: tuple[str, ...]) -> None:
    with refusal(R.CLIENT_MISMATCH):
        authenticate(named=named)


@pytest.mark.refuses("P3", "A7")
def test_attestation_and_proof_are_of_one_instance() -> None:
    """Each is good, with the other's other half."""
    other = ClientInstance()
    others_attestation = ATTESTER.attest(other, CLIENT_ID, now=NOW)
    others_proof = other.prove(AUDIENCE, challenge=CHALLENGES.issue(NOW), now=NOW)
    authenticate(others_attestation, others_proof)
    with refusal(R.POP_SIGNATURE):
        authenticate(others_attestation, prove())
    with refusal(R.POP_SIGNATURE):
        authenticate(attest(), others_proof)


@pytest.mark.refuses("A1", "P1")
def test_the_two_tokens_cannot_change_places() -> None:
    with refusal(R.ATTESTATION_SUB):
        authenticate(prove(), attest())
    with refusal(R.ATTESTATION_TYP):
        authenticate(prove(claims={"sub": CLIENT_ID}), attest())


@pytest.mark.parametrize(
    ("first", "attestation", "pop"),
    [
        pytest.param(
            R.ATTESTATION_SIGNATURE,
            STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW - 9999),
            "e30.e30.AAAA",
            id="trust before freshness",
        ),
        pytest.param(
            R.ATTESTATION_SIGNATURE,
            STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW, claims={"cnf": 1, "exp": "never"}),
            None,
            id="trust before any claim is read",
        ),
        pytest.param(R.ATTESTATION_CNF, attest(claims={"cnf": 1, "exp": 1}), None, id="form before freshness"),
        pytest.param(
            R.ATTESTATION_EXPIRED, attest(claims={"exp": 1}), "e30.e30.AAAA", id="the attestation before the proof"
        ),
        pytest.param(
            R.POP_SIGNATURE,
            None,
            ClientInstance().prove("https://other.example", now=1, claims={"jti": 1, "iss": 1}),
            id="the proof's signature before its claims",
        ),
        pytest.param(
            R.POP_AUD,
            None,
            INSTANCE.prove("https://other.example", now=1, challenge="unknown", claims={"jti": "1"}),
            id="the audience before the challenge",
        ),
        pytest.param(
            R.CHALLENGE_UNKNOWN,
            None,
            INSTANCE.prove(AUDIENCE, now=1, challenge="unknown"),
            id="the challenge before the client's clock",
        ),
    ],
)
def test_of_two_wrongs_the_earlier_in_the_sequence_refuses(
    first: Reason, attestation: str | None, pop: str | None
) -> None:
    with refusal(first):
        authenticate(attestation, pop)


@pytest.mark.refuses("H4")
def test_size_and_form_are_checked_before_anything_is_parsed() -> None:
    token = "A" * 10_000 + ".A.A"
    with refusal(R.ATTESTATION_FIELD_TOO_LARGE):
        peek_request(HeaderFields((token,), (prove(),)), max_length=10_000)
    with refusal(R.POP_FIELD_MALFORMED):
        peek_request(HeaderFields(("e30.e30.AAAA",), ("no token",)), max_length=10_000)


@pytest.mark.accepts("A3")
@pytest.mark.refuses("P6", "P3")
def test_a_remembered_attestation_spares_the_proof_nothing() -> None:
    memory, attestation = AttestationMemory(8), attest()
    authenticate(attestation, memory=memory)
    assert memory.recall(attestation)
    authenticate(attestation, memory=memory)
    with refusal(R.POP_SIGNATURE):
        authenticate(attestation, ClientInstance().prove(AUDIENCE, now=NOW), memory=memory)
    with refusal(R.CLIENT_MISMATCH):
        authenticate(attestation, memory=memory, named=("other",))


@pytest.mark.accepts("H1")
def test_the_kit_puts_both_where_the_server_looks() -> None:
    assert request_headers("a", "p") == {"OAuth-Client-Attestation": "a", "OAuth-Client-Attestation-PoP": "p"}
