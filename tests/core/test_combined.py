"""Rules D1, D4 and D5: combined mode, where a DPoP proof shows possession of the attested key (section 7.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oauth_client_attestation.core.dpop import verify_dpop_proof
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.headers import HeaderFields, read_dpop
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import Evidence, VerifiedDpopProof, VerifiedProof
from oauth_client_attestation.core.strict import MalformedJwt
from oauth_client_attestation.core.verify import peek_request, verify_request
from oauth_client_attestation.testing import ABSENT, AttesterBackend, ClientInstance, combined_headers
from tests.core.support import (
    ALGORITHMS,
    ATTESTER,
    AUDIENCE,
    CHALLENGES,
    CLIENT_ID,
    DPOP,
    INSTANCE,
    LIFETIME,
    NONCES,
    NOW,
    POLICY,
    SKEW,
    URI,
    attest,
    instance,
    refusal,
    trusted,
)

R = Reason
OTHER = ClientInstance()
MAX = 16384
USES = ("off", "optional", "required")


def prove(by: ClientInstance = INSTANCE, **changes: Any) -> str:
    """Return a good DPoP proof with a fresh nonce, or one with ``claims=``, ``nonce=`` … changed."""
    changes = {"method": "POST", "uri": URI, "now": NOW, "nonce": NONCES.issue(NOW), **changes}
    return by.prove_dpop(changes.pop("method"), changes.pop("uri"), **changes)


def authenticate(*dpop: str, attestation: str | None = None, pop: tuple[str, ...] = (), **demands: Any) -> Evidence:
    """Send an attestation and DPoP proofs through the whole core; by default one good proof."""
    fields = HeaderFields((attestation or attest(),), pop, dpop or (prove(),))
    request = peek_request(fields, max_length=MAX, memory=demands.get("memory"))
    settings = {"keys": [trusted()], "policy": POLICY, "challenges": CHALLENGES, "dpop": DPOP, "now": NOW}
    return verify_request(request, **{**settings, **demands})


def refused(*dpop: str, **demands: Any) -> ClientAttestationError:
    with pytest.raises(ClientAttestationError) as caught:
        authenticate(*dpop, **demands)
    return caught.value


def using(nonce: str) -> dict[str, Any]:
    """Return the demands of a server that uses nonces that way."""
    return {"dpop": replace(DPOP, demands=replace(DPOP.demands, nonce=nonce))}


@pytest.mark.accepts("D1", "D3", "D4", "D5")
@pytest.mark.parametrize("use", USES)
def test_attestation_and_dpop_proof_of_one_key_authenticate(use: str) -> None:
    nonce = NONCES.issue(NOW)
    evidence = authenticate(prove(nonce=nonce, claims={"jti": "once"}), **using(use))
    assert evidence.method == "attest_jwt_client_auth_dpop"
    assert (evidence.attestation.client_id, evidence.attestation.attester) == (CLIENT_ID, "Acme")
    assert evidence.proof == VerifiedDpopProof(INSTANCE.thumbprint, "once", NOW + LIFETIME + SKEW, nonce)
    assert evidence.proof.challenged


@pytest.mark.accepts("D1", "D4")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_instance_key_of_each_algorithm_proves(algorithm: str) -> None:
    """What counts is the list for DPoP proofs; the one for PoP JWTs is about another kind of proof."""
    other = instance(algorithm)
    only = replace(DPOP, demands=replace(DPOP.demands, algorithms=frozenset({algorithm})))
    policy = replace(POLICY, pop_algorithms=frozenset())
    attestation = ATTESTER.attest(other, CLIENT_ID, now=NOW)
    evidence = authenticate(prove(other), attestation=attestation, dpop=only, policy=policy)
    assert evidence.proof.thumbprint == evidence.attestation.thumbprint == other.thumbprint


@pytest.mark.accepts("D1")
def test_the_method_is_known_before_anything_is_verified() -> None:
    """For rule D2, which the caller keeps: refusing what is not on offer costs no cryptography."""
    fields = HeaderFields((attest(),), (), ("e30.e30.AAAA",))
    request = peek_request(fields, max_length=MAX)
    assert (request.method, request.proof) == ("attest_jwt_client_auth_dpop", "e30.e30.AAAA")
    request = peek_request(HeaderFields(fields.attestation, fields.dpop, fields.dpop), max_length=MAX)
    assert (request.method, request.proof) == ("attest_jwt_client_auth", "e30.e30.AAAA")


@pytest.mark.accepts("H5")
@pytest.mark.refuses("D2", "E3")
def test_a_caller_without_combined_mode_has_the_other_one() -> None:
    pop = INSTANCE.prove(AUDIENCE, challenge=CHALLENGES.issue(NOW), now=NOW)
    assert authenticate(pop=(pop,), dpop=None).method == "attest_jwt_client_auth"
    error = refused(dpop=None)
    assert (error.reason, error.code) == (R.COMBINED_MODE_NOT_OFFERED, "invalid_client_attestation")
    assert (error.attester, error.thumbprint) == ("Acme", INSTANCE.thumbprint)


# D4: the key


@pytest.mark.refuses("D4", "E3")
@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(OTHER, id="another instance"),
        pytest.param(ClientInstance(key=ATTESTER.key), id="the attester itself"),
        pytest.param(instance("RS256"), id="a key of another type"),
    ],
)
def test_a_proof_by_another_key_is_refused(signer: ClientInstance) -> None:
    """It is good as it stands, so that its key is all that is wrong with it."""
    token = prove(signer)
    assert verify_dpop_proof(token, context=DPOP, now=NOW).thumbprint == signer.thumbprint
    error = refused(token)
    assert (error.reason, error.code) == (R.DPOP_KEY_MISMATCH, "invalid_client_attestation")
    assert (error.attester, error.thumbprint) == ("Acme", INSTANCE.thumbprint)


@pytest.mark.refuses("D4")
def test_the_attested_key_in_the_header_does_not_help_another_signer() -> None:
    assert refused(prove(OTHER, header={"jwk": INSTANCE.public_jwk})).reason is R.DPOP_SIGNATURE


@pytest.mark.refuses("D4")
def test_the_attestation_is_verified_first_and_like_any_other() -> None:
    stranger = AttesterBackend().attest(INSTANCE, CLIENT_ID, now=NOW)
    assert refused("e30.e30.AAAA", attestation=stranger).reason is R.ATTESTATION_SIGNATURE
    error = refused("e30.e30.AAAA", attestation=attest(now=NOW - 9999))
    assert (error.reason, error.code) == (R.ATTESTATION_EXPIRED, "use_fresh_attestation")


@pytest.mark.accepts("D1")
@pytest.mark.refuses("D4", "D5")
def test_a_remembered_attestation_spares_the_proof_nothing() -> None:
    memory, attestation = AttestationMemory(8), attest()
    authenticate(attestation=attestation, memory=memory)
    assert memory.recall(attestation)
    authenticate(attestation=attestation, memory=memory)
    assert refused(prove(OTHER), attestation=attestation, memory=memory).reason is R.DPOP_KEY_MISMATCH
    assert refused(prove(nonce=None), attestation=attestation, memory=memory).reason is R.DPOP_NONCE_MISSING


# D5: the nonce


@pytest.mark.refuses("D5")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("reason", "nonce"),
    [
        pytest.param(R.DPOP_NONCE_MISSING, ABSENT, id="none"),
        pytest.param(R.DPOP_NONCE_MALFORMED, 7, id="a number"),
        pytest.param(R.DPOP_NONCE_MALFORMED, None, id="null"),
        pytest.param(R.DPOP_NONCE_MALFORMED, "", id="an empty one"),
        pytest.param(R.DPOP_NONCE_UNKNOWN, "5c1a9e10-29ff-4c2b-ae73-57c0957c09c4", id="a foreign one"),
        pytest.param(R.DPOP_NONCE_UNKNOWN, CHALLENGES.issue(NOW), id="a challenge for a PoP JWT"),
        pytest.param(R.DPOP_NONCE_EXPIRED, NONCES.issue(NOW - LIFETIME - 1), id="a stale one"),
    ],
)
def test_a_nonce_is_required_whatever_the_server_says_of_other_proofs(reason: Reason, nonce: object, use: str) -> None:
    error = refused(prove(claims={"nonce": nonce}), **using(use))
    assert (error.reason, error.code, error.status) == (reason, "use_dpop_nonce", 400)
    assert (error.attester, error.thumbprint) == ("Acme", INSTANCE.thumbprint)


@pytest.mark.accepts("D5")
@pytest.mark.refuses("D5")
def test_the_challenge_mechanism_is_not_used() -> None:
    """Its claim is one more unknown claim, whatever it says, and no stand-in for the nonce."""
    assert POLICY.challenge_required
    for challenge in (ABSENT, CHALLENGES.issue(NOW), "unknown", 7):
        authenticate(prove(claims={"challenge": challenge}))
    error = refused(prove(nonce=None, claims={"challenge": CHALLENGES.issue(NOW)}))
    assert error.reason is R.DPOP_NONCE_MISSING
    with refusal(R.CHALLENGE_UNKNOWN):  # nor the other way round
        authenticate(pop=(INSTANCE.prove(AUDIENCE, challenge=NONCES.issue(NOW), now=NOW),))


@pytest.mark.accepts("D5")
@pytest.mark.refuses("D5")
def test_the_nonce_ends_to_the_second() -> None:
    token = prove()
    for now in (NOW + LIFETIME - 1, NOW + LIFETIME):
        assert authenticate(token, now=now).proof.valid_until == NOW + LIFETIME + SKEW
    assert refused(token, now=NOW + LIFETIME + 1).reason is R.DPOP_NONCE_EXPIRED


# D1: which proof it is


@pytest.mark.accepts("D1")
@pytest.mark.parametrize(
    "dpop",
    [
        pytest.param((prove(),), id="a good one"),
        pytest.param((prove(OTHER),), id="one by another key"),
        pytest.param((prove(nonce=None, claims={"htu": "https://other.example/"}),), id="one that is not good"),
        pytest.param(("nonsense",), id="one that is none"),
        pytest.param((prove(), prove()), id="two"),
    ],
)
def test_beside_a_pop_the_dpop_proof_is_not_looked_at(dpop: tuple[str, ...]) -> None:
    pop = INSTANCE.prove(AUDIENCE, challenge=CHALLENGES.issue(NOW), now=NOW, claims={"jti": "of the PoP"})
    evidence = authenticate(*dpop, pop=(pop,))
    assert evidence.method == "attest_jwt_client_auth"
    assert isinstance(evidence.proof, VerifiedProof)
    assert evidence.proof.jti == "of the PoP"


@pytest.mark.refuses("D1", "P3")
def test_a_good_dpop_proof_does_not_make_up_for_a_bad_pop() -> None:
    error = refused(pop=(OTHER.prove(AUDIENCE, challenge=CHALLENGES.issue(NOW), now=NOW),))
    assert (error.reason, error.code) == (R.POP_SIGNATURE, "invalid_client_attestation")
    assert refused(pop=("nonsense",)).reason is R.POP_FIELD_MALFORMED
    assert refused(pop=("",)).reason is R.POP_FIELD_MALFORMED


@pytest.mark.refuses("D1", "D3", "P1")
def test_neither_kind_of_proof_stands_in_for_the_other() -> None:
    pop = INSTANCE.prove(AUDIENCE, challenge=CHALLENGES.issue(NOW), now=NOW)
    assert refused(pop).reason is R.DPOP_TYP
    assert refused(pop=(prove(),)).reason is R.POP_TYP
    assert refused(attest(claims={"jti": "1"})).reason is R.DPOP_TYP


# E3: what the client is told


@pytest.mark.refuses("D3", "E3")
@pytest.mark.parametrize(
    ("reason", "change"),
    [
        pytest.param(R.DPOP_JTI, {"claims": {"jti": ABSENT}}, id="jti"),
        pytest.param(R.DPOP_TYP, {"header": {"typ": "JWT"}}, id="typ"),
        pytest.param(R.DPOP_JWK, {"header": {"jwk": ABSENT}}, id="jwk"),
        pytest.param(R.DPOP_JWK_PRIVATE, {"header": {"jwk": INSTANCE.key.export(as_dict=True)}}, id="private jwk"),
        pytest.param(R.DPOP_SIGNATURE, {"header": {"jwk": OTHER.public_jwk}}, id="signature"),
        pytest.param(R.DPOP_HTM, {"method": "GET"}, id="htm"),
        pytest.param(R.DPOP_HTU, {"uri": "https://as.example/o/revoke_token"}, id="htu"),
        pytest.param(R.DPOP_IAT, {"claims": {"iat": ABSENT}}, id="iat"),
        pytest.param(R.DPOP_EXPIRED, {"claims": {"exp": NOW - SKEW}}, id="exp"),
    ],
)
def test_a_bad_proof_is_a_bad_attestation_here_and_a_bad_proof_elsewhere(
    reason: Reason, change: dict[str, Any]
) -> None:
    token = prove(**change)
    error = refused(token)
    assert (error.reason, error.code, error.status) == (reason, "invalid_client_attestation", 400)
    with pytest.raises(ClientAttestationError) as alone:
        verify_dpop_proof(token, context=DPOP, now=NOW)
    assert (alone.value.reason, alone.value.code) == (reason, "invalid_dpop_proof")


@pytest.mark.refuses("D3", "E3")
@pytest.mark.parametrize(
    ("reason", "values"),
    [
        pytest.param(R.DPOP_FIELD_REPEATED, (prove(), prove()), id="two fields"),
        pytest.param(R.DPOP_FIELD_REPEATED, (f"{prove()},{prove()}",), id="two fields, joined"),
        pytest.param(R.DPOP_FIELD_MALFORMED, ("nonsense",), id="nonsense"),
        pytest.param(R.DPOP_FIELD_TOO_LARGE, ("A" * (MAX + 1),), id="too much"),
    ],
)
def test_so_is_a_field_that_holds_no_proof(reason: Reason, values: tuple[str, ...]) -> None:
    error = refused(*values)
    assert (error.reason, error.code, error.status) == (reason, "invalid_client_attestation", 400)
    with pytest.raises(ClientAttestationError) as alone:
        read_dpop(HeaderFields(dpop=values), max_length=MAX)
    assert (alone.value.reason, alone.value.code) == (reason, "invalid_dpop_proof")


def test_what_caused_a_refusal_is_kept_for_whoever_debugs_it() -> None:
    """And nothing is its own cause, which not every error reporter survives."""
    for error in (refused("e30.W10.AAAA"), refused("nonsense")):
        assert isinstance(error.__cause__, ClientAttestationError)
        assert error.__cause__ is not error
        assert (error.__cause__.reason, error.__cause__.code) == (error.reason, "invalid_dpop_proof")
    assert isinstance(refused("e30.W10.AAAA").__cause__.__cause__, MalformedJwt)


@pytest.mark.accepts("H1", "D1")
def test_the_kit_puts_both_where_the_server_looks() -> None:
    assert combined_headers("a", "d") == {"OAuth-Client-Attestation": "a", "DPoP": "d"}
