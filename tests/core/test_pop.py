"""Rules P: the Client Attestation PoP JWT, from a good one with one thing wrong; replay aside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.pop import MAX_JTI_LENGTH, verify_pop
from oauth_client_attestation.core.results import Policy, VerifiedAttestation, VerifiedProof
from oauth_client_attestation.testing import ABSENT, ClientInstance
from tests.core.support import (
    ALGORITHMS,
    ATTESTER,
    AUDIENCE,
    CHALLENGES,
    CLIENT_ID,
    INSTANCE,
    LIFETIME,
    NOT_A_DATE,
    NOT_A_TEXT,
    NOW,
    POLICY,
    SKEW,
    attest,
    instance,
    mac_members,
    refusal,
    sign_members,
    sign_octets,
    verify,
)
from tests.fuzzing import examples

HEADER = {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}
CLAIMS = {"aud": AUDIENCE, "jti": "1", "iat": NOW, "challenge": CHALLENGES.issue(NOW)}
ATTESTATION = verify(attest())
#: For clients that cannot do challenges.
OPTIONAL = replace(POLICY, challenge_required=False)
MAX_AGE = POLICY.pop_max_age
REVISIONS = range(5, 13)
HOUR = 3600


def prove(by: ClientInstance = INSTANCE, *, challenged: bool = True, **changes: Any) -> str:
    """Return a good proof, by default over a fresh challenge, or one with ``claims=``, ``header=`` … changed."""
    changes = {"audience": AUDIENCE, "now": NOW, "challenge": CHALLENGES.issue(NOW) if challenged else None, **changes}
    return by.prove(changes.pop("audience"), **changes)


def check(
    token: str,
    *,
    attestation: VerifiedAttestation = ATTESTATION,
    policy: Policy = POLICY,
    challenges: Challenges = CHALLENGES,
    now: float = NOW,
) -> VerifiedProof:
    return verify_pop(token, attestation=attestation, policy=policy, challenges=challenges, now=now)


def floor(revision: int, base: Policy = POLICY) -> Policy:
    return replace(base, oldest_revision=revision)


@pytest.mark.accepts("P1", "P2", "P3", "P4", "P5", "P6", "P7")
def test_the_proof_that_the_others_spoil_is_good() -> None:
    challenge = CHALLENGES.issue(NOW)
    proof = check(prove(claims={"jti": "once", "challenge": challenge}))
    assert proof == VerifiedProof(INSTANCE.thumbprint, "once", NOW + LIFETIME + SKEW, challenge)


@pytest.mark.accepts("P6", "P7")
def test_so_is_one_without_challenge_where_none_is_required() -> None:
    proof = check(prove(challenged=False, claims={"jti": "once"}), policy=OPTIONAL)
    assert proof == VerifiedProof(INSTANCE.thumbprint, "once", NOW + MAX_AGE + SKEW, challenge=None)


# P1: typ


@pytest.mark.accepts("P1")
@pytest.mark.parametrize(
    "typ",
    ["oauth-client-attestation-pop+jwt", "application/OAuth-Client-Attestation-PoP+jwt"],
)
def test_typ_is_compared_as_a_media_type(typ: str) -> None:
    check(prove(header={"typ": typ}))


@pytest.mark.refuses("P1")
@pytest.mark.parametrize(
    "typ",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param("JWT", id="any JWT"),
        pytest.param("dpop+jwt", id="a DPoP proof's"),
        pytest.param("oauth-client-attestation+jwt", id="an attestation's"),
        pytest.param("oauth-client-attestation-pop", id="without suffix"),
        pytest.param(["oauth-client-attestation-pop+jwt"], id="an array"),
    ],
)
def test_another_typ_is_refused(typ: object) -> None:
    with refusal(Reason.POP_TYP):
        check(prove(header={"typ": typ}))


@pytest.mark.refuses("P1")
def test_an_attestation_is_no_proof() -> None:
    with refusal(Reason.POP_TYP):
        check(attest())


# P2: alg


@pytest.mark.accepts("P2", "P3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_is_accepted(algorithm: str) -> None:
    other = instance(algorithm)
    attestation = verify(ATTESTER.attest(other, CLIENT_ID, now=NOW))
    only = replace(POLICY, pop_algorithms=frozenset({algorithm}))
    assert check(prove(other), attestation=attestation, policy=only).thumbprint == other.thumbprint


@pytest.mark.refuses("P2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_off_the_list_is_refused(algorithm: str) -> None:
    other = instance(algorithm)
    attestation = verify(ATTESTER.attest(other, CLIENT_ID, now=NOW))
    others = replace(POLICY, pop_algorithms=frozenset(ALGORITHMS) - {algorithm})
    with refusal(Reason.POP_ALGORITHM):
        check(prove(other), attestation=attestation, policy=others)


@pytest.mark.refuses("P2")
@pytest.mark.parametrize(
    "alg",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("none", id="none"),
        pytest.param("HS256", id="a MAC"),
        pytest.param("es256", id="lower case"),
        pytest.param("ES384", id="another curve's"),
        pytest.param("EdDSA", id="another key type's"),
        pytest.param(["ES256"], id="an array"),
        pytest.param({}, id="an object"),
    ],
)
def test_another_alg_is_refused_though_the_signature_be_right(alg: object) -> None:
    with refusal(Reason.POP_ALGORITHM):
        check(sign_members(INSTANCE.key, {**HEADER, "alg": alg}, CLAIMS))


@pytest.mark.refuses("P2")
@pytest.mark.parametrize("alg", ["HS256", "none"])
def test_a_symmetric_proof_is_refused_even_where_it_is_listed(alg: str) -> None:
    token = mac_members(INSTANCE.key.export_to_pem(), {**HEADER, "alg": alg}, CLAIMS)
    policy = replace(POLICY, pop_algorithms=frozenset({"HS256", "none", "ES256"}))
    with refusal(Reason.POP_ALGORITHM):
        check(token, policy=policy)


@pytest.mark.refuses("P2")
def test_an_instance_key_that_names_its_algorithm_is_for_that_one() -> None:
    other = instance("RS256")
    cnf = {"jwk": {**other.public_jwk, "alg": "PS256"}}
    attestation = verify(ATTESTER.attest(other, CLIENT_ID, now=NOW, claims={"cnf": cnf}))
    with refusal(Reason.POP_ALGORITHM):
        check(prove(other), attestation=attestation)


# P3: signature


@pytest.mark.refuses("P3")
@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(ClientInstance(), id="another instance"),
        pytest.param(ClientInstance(key=ATTESTER.key), id="the attester itself"),
    ],
)
def test_only_the_instance_key_proves(signer: ClientInstance) -> None:
    with refusal(Reason.POP_SIGNATURE):
        check(prove(signer))


@pytest.mark.refuses("P3")
def test_a_key_in_the_proof_is_not_trusted() -> None:
    other = ClientInstance()
    header = {"jwk": other.public_jwk, "kid": INSTANCE.thumbprint}
    with refusal(Reason.POP_SIGNATURE):
        check(prove(other, header=header))


@pytest.mark.refuses("P3", "H1")
@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
def test_no_part_can_be_exchanged_for_that_of_another_good_proof(position: int) -> None:
    parts, others = (token.split(".") for token in (prove(), prove(header={"cty": "x"})))
    parts[position] = others[position]
    with refusal(Reason.POP_SIGNATURE):
        check(".".join(parts))


@pytest.mark.refuses("P3")
def test_a_proof_for_one_attestation_is_none_for_another_instances() -> None:
    attestation = verify(ATTESTER.attest(ClientInstance(), CLIENT_ID, now=NOW))
    with refusal(Reason.POP_SIGNATURE):
        check(prove(), attestation=attestation)


# A8, A10 and P9: form


@pytest.mark.refuses("A8")
@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp"], ids=json.dumps)
def test_crit_is_refused_whatever_it_names(crit: object) -> None:
    with refusal(Reason.POP_CRIT):
        check(sign_members(INSTANCE.key, {**HEADER, "crit": crit, "b64": True}, CLAIMS))


@pytest.mark.refuses("A10")
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"aud":"https://other.example",', id="aud twice"),
        pytest.param('{"a":[{"b":1,"b":1}],', id="a member twice, deeper"),
        pytest.param('{"a":Infinity,', id="infinity"),
        pytest.param('{"a":"\\udfff",', id="a lone surrogate"),
        pytest.param('[{"a":1,', id="an object in an array"),
    ],
)
def test_json_that_two_parsers_may_read_differently_is_malformed(payload: str) -> None:
    text = payload + json.dumps(CLAIMS)[1:] + "]" * payload.startswith("[")
    with refusal(Reason.POP_MALFORMED):
        check(sign_octets(INSTANCE.key, json.dumps(HEADER).encode(), text.encode()))


@pytest.mark.refuses("A10")
@pytest.mark.parametrize("token", ["", "a", "e30.e30", "e30.e30.e30.e30", "é.é.é"])
def test_what_is_no_jwt_is_malformed(token: str) -> None:
    with refusal(Reason.POP_MALFORMED):
        check(token)


@pytest.mark.accepts("P9", "A8")
def test_unknown_members_are_ignored() -> None:
    claims = {"sub": 7, "htm": "POST", "cnf": {"jwk": {"kty": "oct"}}, "ath": None, "": []}
    assert check(prove(claims=claims, header={"jwk": {}, "kid": 7, "cty": []})).challenged


# P4: aud


@pytest.mark.accepts("P4")
@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE]], ids=["a string", "an array of one"])
def test_aud_is_this_server_alone(aud: object) -> None:
    check(prove(claims={"aud": aud}))


@pytest.mark.refuses("P4")
@pytest.mark.parametrize(
    "aud",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param("https://other.example", id="another server"),
        pytest.param(f"{AUDIENCE}/", id="a trailing slash"),
        pytest.param(f"{AUDIENCE}/o/token/", id="an endpoint of this server"),
        pytest.param("https://as.example:443", id="the default port"),
        pytest.param("HTTPS://AS.EXAMPLE", id="capitals"),
        pytest.param(AUDIENCE[:-1], id="a prefix"),
        pytest.param(f" {AUDIENCE}", id="a leading space"),
        pytest.param([], id="an empty array"),
        pytest.param([AUDIENCE, AUDIENCE], id="an array with it twice"),
        pytest.param([AUDIENCE, "https://other.example"], id="an array with another beside it"),
        pytest.param(["https://other.example"], id="an array with another alone"),
        pytest.param([[AUDIENCE]], id="an array in an array"),
        pytest.param({AUDIENCE: 1}, id="an object"),
        pytest.param(1, id="a number"),
        pytest.param(True, id="true"),
    ],
)
def test_another_aud_is_refused(aud: object) -> None:
    with refusal(Reason.POP_AUD):
        check(prove(claims={"aud": aud}))


# P5: jti


@pytest.mark.accepts("P5")
@pytest.mark.parametrize("jti", ["1", "j" * MAX_JTI_LENGTH, "ü €", "d25d00ab-552b-46fc-ae19-98f440f25064"])
def test_jti_is_returned_to_the_letter(jti: str) -> None:
    assert check(prove(claims={"jti": jti})).jti == jti


def test_the_bound_on_jti_leaves_room_for_every_usual_identifier() -> None:
    assert MAX_JTI_LENGTH == 256


@pytest.mark.refuses("P5")
@pytest.mark.parametrize(
    "jti",
    [*NOT_A_TEXT, pytest.param(ABSENT, id="absent"), pytest.param("j" * (MAX_JTI_LENGTH + 1), id="too long")],
)
def test_a_jti_that_is_no_identifier_is_refused(jti: object) -> None:
    with refusal(Reason.POP_JTI):
        check(prove(claims={"jti": jti}))


# P6: times, without a challenge


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_iat_may_be_ahead_by_the_skew(skew: int) -> None:
    policy = replace(OPTIONAL, clock_skew=skew)
    for ahead in (skew - 1, skew):
        check(prove(challenged=False, now=NOW + ahead), policy=policy)
    with refusal(Reason.POP_FROM_THE_FUTURE):
        check(prove(challenged=False, now=NOW + skew + 1), policy=policy)


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("max_age", [0, 1, MAX_AGE])
def test_the_maximum_age_is_the_last_age_that_passes(max_age: int) -> None:
    policy = replace(OPTIONAL, pop_max_age=max_age)
    for age in {max(max_age - 1, 0), max_age}:
        check(prove(challenged=False, now=NOW - age), policy=policy)
    with refusal(Reason.POP_TOO_OLD):
        check(prove(challenged=False, now=NOW - max_age - 1), policy=policy)


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
def test_fractions_of_a_second_count() -> None:
    token = prove(challenged=False, claims={"iat": NOW - 0.5})
    assert check(token, policy=OPTIONAL, now=NOW + MAX_AGE - 0.5).valid_until == NOW - 0.5 + MAX_AGE + SKEW
    with refusal(Reason.POP_TOO_OLD):
        check(token, policy=OPTIONAL, now=NOW + MAX_AGE - 0.25)


@pytest.mark.refuses("P6", "A10")
@pytest.mark.parametrize("challenged", [True, False], ids=["challenge", "no challenge"])
@pytest.mark.parametrize(
    ("claim", "reason"),
    [("iat", Reason.POP_IAT), ("exp", Reason.POP_EXP), ("nbf", Reason.POP_NBF)],
    ids=["iat", "exp", "nbf"],
)
@pytest.mark.parametrize("value", NOT_A_DATE)
def test_a_time_that_is_no_date_is_refused(value: object, claim: str, reason: Reason, challenged: bool) -> None:
    with refusal(reason):
        check(prove(challenged=challenged, claims={claim: value}), policy=OPTIONAL)


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
def test_exp_beside_iat_shortens_the_window() -> None:
    token = prove(challenged=False, claims={"exp": NOW + 10})
    check(token, policy=OPTIONAL, now=NOW + 10 + SKEW - 1)
    for now in (NOW + 10 + SKEW, NOW + 10 + SKEW + 1):
        with refusal(Reason.POP_EXPIRED):
            check(token, policy=OPTIONAL, now=now)


@pytest.mark.refuses("P6")
def test_exp_beside_iat_does_not_lengthen_the_window() -> None:
    token = prove(challenged=False, claims={"exp": NOW + 10 * HOUR})
    assert check(token, policy=OPTIONAL).valid_until == NOW + MAX_AGE + SKEW
    with refusal(Reason.POP_TOO_OLD):
        check(token, policy=OPTIONAL, now=NOW + MAX_AGE + 1)


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_nbf_may_be_ahead_by_the_skew(skew: int) -> None:
    policy = replace(OPTIONAL, clock_skew=skew)
    for ahead in (skew - 1, skew):
        check(prove(challenged=False, claims={"nbf": NOW + ahead}), policy=policy)
    with refusal(Reason.POP_NBF):
        check(prove(challenged=False, claims={"nbf": NOW + skew + 1}), policy=policy)


# P6 and P7: times, with a challenge


def at_a_clock_off_by(offset: int, **claims: Any) -> dict[str, Any]:
    """Return the times of a client whose clock is wrong, in the shape that wallets of -07 send."""
    moment = NOW + offset
    return {"iat": moment, "nbf": moment, "exp": moment + 300, **claims}


@pytest.mark.accepts("P6", "P7")
@pytest.mark.parametrize("offset", [-HOUR, HOUR, -NOW, 10 * 365 * 24 * HOUR], ids=["behind", "ahead", "1970", "2037"])
@pytest.mark.parametrize("shape", ["iat alone", "iat, nbf and exp"])
def test_with_a_challenge_a_client_with_a_wrong_clock_gets_in(offset: int, shape: str) -> None:
    claims = at_a_clock_off_by(offset)
    if shape == "iat alone":
        claims = {"iat": claims["iat"]}
    for policy in (POLICY, OPTIONAL, floor(12)):
        assert check(prove(claims=claims), policy=policy).valid_until == NOW + LIFETIME + SKEW


@pytest.mark.refuses("P6")
@pytest.mark.parametrize(
    ("offset", "claims", "reason"),
    [
        pytest.param(-HOUR, {"nbf": ABSENT, "exp": ABSENT}, Reason.POP_TOO_OLD, id="behind"),
        pytest.param(HOUR, {"nbf": ABSENT, "exp": ABSENT}, Reason.POP_FROM_THE_FUTURE, id="ahead"),
        pytest.param(-HOUR, {}, Reason.POP_EXPIRED, id="behind, with exp"),
        pytest.param(HOUR, {}, Reason.POP_NBF, id="ahead, with nbf"),
    ],
)
def test_without_a_challenge_it_does_not(offset: int, claims: dict[str, Any], reason: Reason) -> None:
    with refusal(reason):
        check(prove(challenged=False, claims=at_a_clock_off_by(offset, **claims)), policy=OPTIONAL)


@pytest.mark.refuses("P6")
@pytest.mark.parametrize("offset", [-HOUR, 0, HOUR])
def test_a_client_must_not_contradict_its_own_clock(offset: int) -> None:
    """With a challenge, ``exp`` and ``nbf`` are judged by the clock that ``iat`` shows."""
    moment = NOW + offset
    check(prove(claims={"iat": moment, "exp": moment - SKEW + 1, "nbf": moment + SKEW}))
    with refusal(Reason.POP_EXPIRED):
        check(prove(claims={"iat": moment, "exp": moment - SKEW}))
    with refusal(Reason.POP_NBF):
        check(prove(claims={"iat": moment, "nbf": moment + SKEW + 1}))


@pytest.mark.accepts("P7", "C5")
@pytest.mark.refuses("P7", "P6")
def test_the_challenge_decides_how_long_a_proof_is_good() -> None:
    token = prove()
    for now in (NOW + LIFETIME - 1, NOW + LIFETIME):
        assert check(token, now=now).valid_until == NOW + LIFETIME + SKEW
    with refusal(Reason.CHALLENGE_EXPIRED):
        check(token, now=NOW + LIFETIME + 1)


@pytest.mark.accepts("C5", "P7")
def test_a_challenge_may_be_used_late_in_its_life_by_a_proof_made_early() -> None:
    """The proof's own age does not count beside a challenge in time: else another one would be demanded."""
    slow = replace(CHALLENGES, lifetime=2 * MAX_AGE)
    token = prove(challenge=slow.issue(NOW))
    assert check(token, challenges=slow, now=NOW + 2 * MAX_AGE).challenged


# P7: the challenge


@pytest.mark.refuses("P7", "E1")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_required_challenge_cannot_be_left_out(revision: int) -> None:
    with refusal(Reason.CHALLENGE_MISSING):
        check(prove(challenged=False), policy=floor(revision))


@pytest.mark.refuses("P7", "E1")
@pytest.mark.parametrize("policy", [POLICY, OPTIONAL], ids=["required", "optional"])
@pytest.mark.parametrize(
    ("reason", "challenge"),
    [
        pytest.param(Reason.CHALLENGE_UNKNOWN, "5c1a9e10-29ff-4c2b-ae73-57c0957c09c4", id="a foreign one"),
        pytest.param(Reason.CHALLENGE_UNKNOWN, "c" * 512, id="a foreign one of 512 characters"),
        pytest.param(
            Reason.CHALLENGE_UNKNOWN,
            replace(CHALLENGES, context="rs https://rs.example").issue(NOW),
            id="of the resource server",
        ),
        pytest.param(Reason.CHALLENGE_UNKNOWN, CHALLENGES.issue(NOW + SKEW + 1), id="from the future"),
        pytest.param(Reason.CHALLENGE_EXPIRED, CHALLENGES.issue(NOW - LIFETIME - 1), id="expired"),
        pytest.param(Reason.CHALLENGE_MALFORMED, "c" * 513, id="too long"),
        *[
            pytest.param(Reason.CHALLENGE_MALFORMED, value.values[0], id=f"unusable: {value.id}")
            for value in NOT_A_TEXT
        ],
    ],
)
def test_a_challenge_of_no_use_is_refused_even_where_none_is_required(
    reason: Reason, challenge: object, policy: Policy
) -> None:
    with refusal(reason):
        check(prove(claims={"challenge": challenge}), policy=policy)


@pytest.mark.accepts("P7")
def test_a_challenge_from_a_process_with_a_clock_ahead_is_accepted() -> None:
    assert check(prove(challenge=CHALLENGES.issue(NOW + SKEW))).challenged


# Older revisions


@pytest.mark.accepts("P7")
@pytest.mark.refuses("P7")
@pytest.mark.parametrize("revision", REVISIONS)
def test_nonce_is_a_challenge_down_from_revision_9(revision: int) -> None:
    token = prove(challenged=False, claims={"nonce": CHALLENGES.issue(NOW)})
    if revision <= 9:
        assert check(token, policy=floor(revision)).challenged
    else:
        with refusal(Reason.CHALLENGE_MISSING):
            check(token, policy=floor(revision))


@pytest.mark.accepts("P7")
@pytest.mark.parametrize("revision", REVISIONS)
def test_nonce_and_challenge_may_say_the_same(revision: int) -> None:
    challenge = CHALLENGES.issue(NOW)
    token = prove(claims={"challenge": challenge, "nonce": challenge})
    assert check(token, policy=floor(revision)).challenged


@pytest.mark.accepts("P9")
@pytest.mark.refuses("P7")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("good", ["challenge", "nonce", "both"])
def test_nonce_and_challenge_must_not_differ(revision: int, good: str) -> None:
    """Where ``nonce`` means nothing any more, it is one more unknown claim."""
    claims = {name: CHALLENGES.issue(NOW) if good in (name, "both") else "c" * 54 for name in ("challenge", "nonce")}
    token = prove(claims=claims)
    if revision <= 9:
        with refusal(Reason.CHALLENGE_MALFORMED):
            check(token, policy=floor(revision))
    elif good == "nonce":
        with refusal(Reason.CHALLENGE_UNKNOWN):
            check(token, policy=floor(revision))
    else:
        assert check(token, policy=floor(revision)).challenged


@pytest.mark.refuses("P7")
@pytest.mark.parametrize("nonce", NOT_A_TEXT)
def test_a_nonce_that_is_no_challenge_is_refused_where_nonces_are_read(nonce: object) -> None:
    with refusal(Reason.CHALLENGE_MALFORMED):
        check(prove(claims={"nonce": nonce}), policy=floor(9))
    check(prove(claims={"nonce": nonce}), policy=floor(10))


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("challenged", [True, False], ids=["challenge", "no challenge"])
def test_exp_stands_in_for_iat_up_to_revision_6(revision: int, challenged: bool) -> None:
    token = prove(challenged=challenged, claims={"iat": ABSENT, "exp": NOW + 300})
    policy = floor(revision, OPTIONAL)
    if revision <= 6:
        assert check(token, policy=policy).challenged is challenged
    else:
        with refusal(Reason.POP_IAT):
            check(token, policy=policy)


@pytest.mark.refuses("P6")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("challenged", [True, False], ids=["challenge", "no challenge"])
def test_a_proof_without_iat_and_exp_is_refused_in_every_revision(revision: int, challenged: bool) -> None:
    with refusal(Reason.POP_IAT):
        check(prove(challenged=challenged, claims={"iat": ABSENT}), policy=floor(revision, OPTIONAL))


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("challenged", [True, False], ids=["challenge", "no challenge"])
def test_a_far_future_exp_bounds_nothing(challenged: bool) -> None:
    """Without ``iat``, ``exp`` may lie ahead as far as a proof may be old, and the skew."""
    furthest = NOW + MAX_AGE + SKEW
    for exp in (furthest - 1, furthest):
        check(prove(challenged=challenged, claims={"iat": ABSENT, "exp": exp}), policy=floor(6, OPTIONAL))
    with refusal(Reason.POP_EXP):
        check(prove(challenged=challenged, claims={"iat": ABSENT, "exp": furthest + 1}), policy=floor(6, OPTIONAL))


@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
@pytest.mark.parametrize("challenged", [True, False], ids=["challenge", "no challenge"])
def test_without_iat_exp_and_nbf_are_judged_by_this_servers_clock(challenged: bool) -> None:
    def bounded(**claims: Any) -> VerifiedProof:
        token = prove(challenged=challenged, claims={"iat": ABSENT, "exp": NOW, **claims})
        return check(token, policy=floor(6, OPTIONAL))

    bounded(exp=NOW - SKEW + 1)
    for exp in (NOW - SKEW, NOW - SKEW - 1):
        with refusal(Reason.POP_EXPIRED):
            bounded(exp=exp)
    for nbf in (NOW + SKEW - 1, NOW + SKEW):
        bounded(nbf=nbf)
    with refusal(Reason.POP_NBF):
        bounded(nbf=NOW + SKEW + 1)


@pytest.mark.accepts("P6")
def test_without_iat_and_challenge_exp_and_both_skews_bound_the_replay_window() -> None:
    token = prove(challenged=False, claims={"iat": ABSENT, "exp": NOW + 100})
    assert check(token, policy=floor(6, OPTIONAL)).valid_until == NOW + 100 + 2 * SKEW


@pytest.mark.accepts("P9")
@pytest.mark.parametrize("revision", REVISIONS)
def test_iss_may_name_the_client(revision: int) -> None:
    check(prove(claims={"iss": CLIENT_ID}), policy=floor(revision))


@pytest.mark.refuses("P3")
@pytest.mark.parametrize("revision", [5, 12])
@pytest.mark.parametrize("iss", ["other", CLIENT_ID.upper(), "", None, [CLIENT_ID], {}, 0, f" {CLIENT_ID}"], ids=repr)
def test_iss_must_not_name_anybody_else(revision: int, iss: object) -> None:
    with refusal(Reason.POP_ISS):
        check(prove(claims={"iss": iss}), policy=floor(revision))


# P8: how long a proof has to be remembered


def quarters(low: float, high: float) -> st.SearchStrategy[float]:
    """Moments from ``low`` to ``high``, both included, by quarters of a second."""
    return st.integers(int(low * 4), int(high * 4)).map(lambda number: number / 4)


@st.composite
def acceptable(draw: st.DrawFn, kind: str) -> tuple[Policy, Challenges, dict[str, Any], list[float]]:
    """Return a policy, a server, times that pass at ``NOW``, and the moments at which a rule changes its mind."""
    challenged = kind.startswith("challenge")
    skew, max_age, lifetime = draw(st.integers(1, 120)), draw(st.integers(0, 600)), draw(st.integers(1, 600))
    policy = replace(
        POLICY,
        challenge_required=challenged,
        clock_skew=skew,
        pop_max_age=max_age,
        oldest_revision=draw(st.integers(5, 12 if kind.endswith("iat") else 6)),
    )
    challenges = replace(CHALLENGES, lifetime=lifetime)
    claims: dict[str, Any] = {"iat": ABSENT}
    turns = []
    if challenged:
        issued = NOW + draw(st.integers(-lifetime, skew))
        name = draw(st.sampled_from(["challenge", "nonce"] if policy.oldest_revision <= 9 else ["challenge"]))
        claims[name] = challenges.issue(issued)
        turns.append(issued + lifetime)
    if kind.endswith("iat"):
        claims["iat"] = NOW + draw(quarters(-7000, 7000) if challenged else quarters(-max_age, skew))
        turns.append(claims["iat"] + max_age)
    clock = claims["iat"] if kind == "challenge and iat" else NOW
    if kind.endswith("exp") or draw(st.booleans()):
        claims["exp"] = clock + draw(quarters(-skew + 0.25, max_age + skew))
        turns.append(claims["exp"] + skew)
    if draw(st.booleans()):
        claims["nbf"] = clock + draw(quarters(-600, skew))
    return policy, challenges, claims, turns


@pytest.mark.parametrize("kind", ["iat", "exp", "challenge and iat", "challenge and exp"])
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), delay=quarters(-200, 2000))
def test_valid_until_is_never_before_the_last_acceptance(kind: str, data: st.DataObject, delay: float) -> None:
    """A proof that is accepted at some other moment is on record then, even by a clock that is behind by the skew.

    Tried at any moment, and around each one at which a rule changes its mind.
    """
    policy, challenges, claims, turns = data.draw(acceptable(kind))
    token = prove(challenged=False, claims=claims)
    proof = check(token, policy=policy, challenges=challenges)
    assert proof.challenged is kind.startswith("challenge")
    for moment in (turn + nudge for turn in (NOW + delay, *turns) for nudge in (-1, -0.25, 0, 0.25, 1)):
        try:
            again = check(token, policy=policy, challenges=challenges, now=moment)
        except ClientAttestationError:
            continue
        assert again == proof
        assert moment + policy.clock_skew <= proof.valid_until
    longest = max(challenges.lifetime, policy.pop_max_age) + 3 * policy.clock_skew
    assert NOW <= proof.valid_until <= NOW + longest
