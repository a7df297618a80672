"""Rules A: the Client Attestation JWT, from a good one with one thing wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oauth_client_attestation.core.attestation import MAX_CANDIDATE_KEYS, peek_attestation
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.jwk import parse_public_key
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import TrustedKey
from oauth_client_attestation.testing import ABSENT, AttesterBackend, ClientInstance
from tests.core.support import (
    ALGORITHMS,
    ATTESTER,
    CLIENT_ID,
    INSTANCE,
    NOT_A_DATE,
    NOT_A_TEXT,
    NOW,
    POLICY,
    SKEW,
    attest,
    attester,
    b64,
    instance,
    mac_members,
    private_key,
    refusal,
    sign_members,
    sign_octets,
    trusted,
    unb64,
    verify,
)

HEADER = {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": "attester-1"}
CLAIMS = {"sub": CLIENT_ID, "iat": NOW, "exp": NOW + 3600, "cnf": {"jwk": INSTANCE.public_jwk}}
STRANGER = AttesterBackend()
REVISIONS = range(5, 13)


def test_the_attestation_that_the_others_spoil_is_good() -> None:
    verified = verify(attest())
    assert verified.client_id == CLIENT_ID
    assert verified.attester == "Acme"
    assert verified.thumbprint == verified.instance_key.thumbprint == INSTANCE.thumbprint
    assert (verified.issued_at, verified.expires_at) == (NOW, NOW + 3600)
    assert verified.claims == CLAIMS


def test_the_claims_of_a_verified_attestation_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        verify(attest()).claims["sub"] = "other"  # type: ignore[index]  # what is tested


# A1: typ


@pytest.mark.accepts("A1")
@pytest.mark.parametrize(
    "typ",
    [
        "oauth-client-attestation+jwt",
        "application/oauth-client-attestation+jwt",
        "OAuth-Client-Attestation+JWT",
        "APPLICATION/oauth-client-attestation+jwt",
    ],
)
def test_typ_is_compared_as_a_media_type(typ: str) -> None:
    verify(attest(header={"typ": typ}))


@pytest.mark.refuses("A1")
@pytest.mark.parametrize(
    "typ",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param("JWT", id="any JWT"),
        pytest.param("oauth-client-attestation-pop+jwt", id="a proof's"),
        pytest.param("oauth-client-attestation", id="without suffix"),
        pytest.param("application/", id="a prefix alone"),
        pytest.param("text/oauth-client-attestation+jwt", id="another prefix"),
        pytest.param("application/application/oauth-client-attestation+jwt", id="the prefix twice"),
        pytest.param("oauth-client-attestation+jwt;v=1", id="a parameter"),
        pytest.param(" oauth-client-attestation+jwt", id="a leading space"),
        pytest.param(["oauth-client-attestation+jwt"], id="an array"),
        pytest.param(1, id="a number"),
    ],
)
def test_another_typ_is_refused(typ: object) -> None:
    with refusal(Reason.ATTESTATION_TYP):
        verify(attest(header={"typ": typ}))


# A2: alg


@pytest.mark.accepts("A2", "A3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_is_accepted(algorithm: str) -> None:
    backend = attester(algorithm)
    token = backend.attest(INSTANCE, CLIENT_ID, now=NOW)
    only = replace(POLICY, attestation_algorithms=frozenset({algorithm}))
    assert verify(token, keys=[trusted(backend)], policy=only).client_id == CLIENT_ID


@pytest.mark.refuses("A2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_off_the_list_is_refused(algorithm: str) -> None:
    backend = attester(algorithm)
    token = backend.attest(INSTANCE, CLIENT_ID, now=NOW)
    others = replace(POLICY, attestation_algorithms=frozenset(ALGORITHMS) - {algorithm})
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(token, keys=[trusted(backend)], policy=others)


@pytest.mark.refuses("A2")
@pytest.mark.parametrize(
    "alg",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("none", id="none"),
        pytest.param("None", id="None"),
        pytest.param("", id="empty"),
        pytest.param("HS256", id="a MAC"),
        pytest.param("es256", id="lower case"),
        pytest.param("ES384", id="another curve's"),
        pytest.param("RS256", id="another key type's"),
        pytest.param("ES256K", id="an algorithm unknown here"),
        pytest.param(["ES256"], id="an array"),
        pytest.param({"ES256": 1}, id="an object"),
        pytest.param(256, id="a number"),
    ],
)
def test_another_alg_is_refused_though_the_signature_be_right(alg: object) -> None:
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(sign_members(ATTESTER.key, {**HEADER, "alg": alg}, CLAIMS))


@pytest.mark.refuses("A2")
@pytest.mark.parametrize("listed", [False, True], ids=["off the list", "on the list by mistake"])
def test_a_mac_keyed_with_the_public_key_is_refused(listed: bool) -> None:
    """The oldest confusion: what is public to everybody serves as everybody's secret."""
    token = mac_members(ATTESTER.key.export_to_pem(), {**HEADER, "alg": "HS256"}, CLAIMS)
    policy = replace(POLICY, attestation_algorithms=frozenset({"HS256", "ES256"})) if listed else POLICY
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(token, policy=policy)


@pytest.mark.refuses("A2")
def test_alg_none_is_refused_even_where_it_is_listed() -> None:
    parts = [json.dumps({**HEADER, "alg": "none"}).encode(), json.dumps(CLAIMS).encode(), b""]
    policy = replace(POLICY, attestation_algorithms=frozenset({"none"}))
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(".".join(map(b64, parts)), policy=policy)


@pytest.mark.accepts("A2")
@pytest.mark.refuses("A2")
def test_an_attester_may_use_the_algorithms_it_registered_only() -> None:
    backend = attester("PS256")
    token = backend.attest(INSTANCE, CLIENT_ID, now=NOW)
    verify(token, keys=[trusted(backend, algorithms=frozenset({"PS256", "ES256"}))])
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(token, keys=[trusted(backend, algorithms=frozenset({"PS384", "ES256"}))])


@pytest.mark.refuses("A2")
def test_an_attester_cannot_widen_the_servers_list() -> None:
    narrow = replace(POLICY, attestation_algorithms=frozenset({"ES384"}))
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(attest(), keys=[trusted(algorithms=frozenset({"ES256"}))], policy=narrow)


@pytest.mark.refuses("A2")
def test_a_key_that_names_another_algorithm_is_not_tried() -> None:
    backend = attester("RS256")
    key = TrustedKey("Acme", parse_public_key({**backend.public_jwk, "alg": "PS256"}))
    with refusal(Reason.ATTESTATION_ALGORITHM):
        verify(backend.attest(INSTANCE, CLIENT_ID, now=NOW), keys=[key])


# A3: signature and trust


@pytest.mark.refuses("A3", "T5")
def test_without_a_trusted_key_nothing_is_accepted() -> None:
    with refusal(Reason.ATTESTER_NOT_TRUSTED):
        verify(attest(), keys=[])


@pytest.mark.refuses("A3")
def test_a_strangers_signature_is_refused() -> None:
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW))


@pytest.mark.refuses("A3")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"jwk": STRANGER.public_jwk}, id="jwk"),
        pytest.param({"jku": "https://stranger.example/jwks"}, id="jku"),
        pytest.param({"x5c": ["MIIB"], "x5u": "https://stranger.example/chain"}, id="x5c and x5u"),
        pytest.param({"kid": INSTANCE.thumbprint}, id="kid"),
    ],
)
def test_a_key_in_the_token_is_not_trusted(header: dict[str, Any]) -> None:
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW, header=header))


@pytest.mark.refuses("A3")
def test_an_instance_cannot_attest_itself() -> None:
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(sign_members(INSTANCE.key, HEADER, CLAIMS))


@pytest.mark.refuses("A3", "H1")
@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
def test_no_part_can_be_exchanged_for_that_of_another_good_attestation(position: int) -> None:
    parts, others = (
        token.split(".")
        for token in (
            attest(),
            ATTESTER.attest(INSTANCE, "other", now=NOW, header={"kid": "other", "cty": "x"}),
        )
    )
    parts[position] = others[position]
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(".".join(parts))


@pytest.mark.accepts("A3")
def test_each_of_several_keys_is_tried_and_the_right_one_named() -> None:
    keys = [trusted(AttesterBackend(), name=f"other {number}") for number in range(MAX_CANDIDATE_KEYS - 1)]
    assert verify(attest(), keys=[*keys, trusted()]).attester == "Acme"
    assert verify(attest(), keys=[trusted(), *keys]).attester == "Acme"


@pytest.mark.refuses("A3")
def test_the_number_of_keys_that_are_tried_is_bounded() -> None:
    others = [trusted(AttesterBackend()) for _ in range(MAX_CANDIDATE_KEYS)]
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(attest(), keys=others)
    with refusal(Reason.ATTESTER_KEY_AMBIGUOUS):
        verify(attest(), keys=[trusted(), *others])


@pytest.mark.accepts("A2", "A3")
def test_keys_that_the_algorithm_is_not_for_are_passed_over() -> None:
    other_curve, restricted = trusted(attester("ES384")), trusted(STRANGER, algorithms=frozenset({"ES384"}))
    assert verify(attest(), keys=[other_curve, restricted, trusted()]).attester == "Acme"


@pytest.mark.refuses("A3")
def test_keys_that_the_algorithm_is_not_for_count_all_the_same() -> None:
    """The caller reads one key more than the bound and no further, so what lies beyond is unknown."""
    with refusal(Reason.ATTESTER_KEY_AMBIGUOUS):
        verify(attest(), keys=[trusted(), *[trusted(attester("ES384"))] * MAX_CANDIDATE_KEYS])


@pytest.mark.accepts("T1")
@pytest.mark.parametrize(
    ("kid", "expected"),
    [
        pytest.param("attester-1", "attester-1", id="a kid"),
        pytest.param("k" * 255, "k" * 255, id="a kid of 255 characters"),
        pytest.param("schlüssel", "schlüssel", id="a kid outside ASCII"),
        pytest.param(ABSENT, None, id="none"),
    ],
)
def test_peeking_finds_the_kid_to_select_keys_by(kid: object, expected: str | None) -> None:
    assert peek_attestation(attest(header={"kid": kid})).key_id == expected


@pytest.mark.refuses("T1")
@pytest.mark.parametrize("kid", [*NOT_A_TEXT, pytest.param("k" * 256, id="256 characters")])
def test_a_kid_that_is_no_identifier_is_malformed(kid: object) -> None:
    with refusal(Reason.ATTESTATION_MALFORMED):
        peek_attestation(attest(header={"kid": kid}))


# A4: sub


@pytest.mark.accepts("A4")
@pytest.mark.parametrize("sub", ["app", "https://client.example/", "c" * 255, "Ä pp", "APP"])
def test_sub_names_the_client_to_the_letter(sub: str) -> None:
    token = attest(claims={"sub": sub})
    assert peek_attestation(token).client_id == verify(token).client_id == sub


@pytest.mark.refuses("A4")
@pytest.mark.parametrize(
    "sub",
    [*NOT_A_TEXT, pytest.param(ABSENT, id="absent"), pytest.param("c" * 256, id="256 characters")],
)
def test_a_sub_that_is_no_identifier_is_refused(sub: object) -> None:
    with refusal(Reason.ATTESTATION_SUB):
        peek_attestation(attest(claims={"sub": sub}))


# A5: exp


@pytest.mark.accepts("A5")
@pytest.mark.refuses("A5", "E2")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_exp_is_the_first_moment_that_is_too_late(skew: int) -> None:
    """RFC 7519 section 4.1.4: on or after, it must not be accepted; skew moves that moment."""
    policy = replace(POLICY, clock_skew=skew)
    token = attest(lifetime=100)
    end = NOW + 100 + skew
    verify(token, policy=policy, now=end - 1)
    for now in (end, end + 1):
        with refusal(Reason.ATTESTATION_EXPIRED):
            verify(token, policy=policy, now=now)


@pytest.mark.accepts("A5")
@pytest.mark.refuses("A5", "E2")
def test_fractions_of_a_second_count() -> None:
    token = attest(claims={"exp": NOW + 0.5})
    assert verify(token, now=NOW + SKEW + 0.25).expires_at == NOW + 0.5
    with refusal(Reason.ATTESTATION_EXPIRED):
        verify(token, now=NOW + SKEW + 0.5)


@pytest.mark.accepts("A5")
def test_the_year_9999_is_still_a_date() -> None:
    assert verify(attest(claims={"exp": 253_402_300_799})).expires_at == 253_402_300_799


@pytest.mark.refuses("A5", "A10")
@pytest.mark.parametrize("exp", [*NOT_A_DATE, pytest.param(ABSENT, id="absent")])
def test_an_exp_that_is_no_date_is_refused(exp: object) -> None:
    with refusal(Reason.ATTESTATION_EXP):
        verify(attest(claims={"exp": exp}))


# A6: iat


@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6")
@pytest.mark.parametrize("revision", REVISIONS)
def test_iat_is_required_from_revision_12_on(revision: int) -> None:
    policy = replace(POLICY, oldest_revision=revision)
    token = attest(claims={"iat": ABSENT})
    if revision <= 11:
        assert verify(token, policy=policy).issued_at is None
    else:
        with refusal(Reason.ATTESTATION_IAT):
            verify(token, policy=policy)
    verify(attest(), policy=policy)


@pytest.mark.refuses("A6")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_maximum_age_cannot_be_escaped_by_leaving_iat_out(revision: int) -> None:
    policy = replace(POLICY, oldest_revision=revision, attestation_max_age=10**9)
    with refusal(Reason.ATTESTATION_IAT):
        verify(attest(claims={"iat": ABSENT}), policy=policy)


@pytest.mark.refuses("A6", "A10")
@pytest.mark.parametrize("iat", NOT_A_DATE)
def test_an_iat_that_is_no_date_is_refused(iat: object) -> None:
    with refusal(Reason.ATTESTATION_IAT):
        verify(attest(claims={"iat": iat}))


@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_iat_may_be_ahead_by_the_skew(skew: int) -> None:
    policy = replace(POLICY, clock_skew=skew)
    for ahead in (skew - 1, skew):
        verify(attest(claims={"iat": NOW + ahead}), policy=policy)
    with refusal(Reason.ATTESTATION_FROM_THE_FUTURE):
        verify(attest(claims={"iat": NOW + skew + 1}), policy=policy)


@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6", "E2")
def test_the_maximum_age_is_the_last_age_that_passes() -> None:
    policy = replace(POLICY, attestation_max_age=600)
    for age in (599, 600):
        verify(attest(claims={"iat": NOW - age}), policy=policy)
    with refusal(Reason.ATTESTATION_TOO_OLD):
        verify(attest(claims={"iat": NOW - 601}), policy=policy)


@pytest.mark.accepts("A6")
def test_without_a_maximum_age_exp_alone_decides() -> None:
    assert verify(attest(claims={"iat": 0})).issued_at == 0


@pytest.mark.refuses("A6")
def test_a_maximum_age_of_zero_is_a_maximum_age() -> None:
    policy = replace(POLICY, attestation_max_age=0)
    verify(attest(), policy=policy)
    with refusal(Reason.ATTESTATION_TOO_OLD):
        verify(attest(claims={"iat": NOW - 1}), policy=policy)


# A7: cnf


@pytest.mark.accepts("A7")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_instance_key_of_each_kind_is_accepted(algorithm: str) -> None:
    other = instance(algorithm)
    assert verify(ATTESTER.attest(other, CLIENT_ID, now=NOW)).thumbprint == other.thumbprint


@pytest.mark.accepts("A7")
def test_other_members_of_cnf_are_ignored_beside_jwk() -> None:
    cnf = {"jwk": INSTANCE.public_jwk, "jkt": "x", "x5t#S256": 7, "kid": None}
    assert verify(attest(claims={"cnf": cnf})).thumbprint == INSTANCE.thumbprint


PUBLIC = INSTANCE.public_jwk
PRIVATE = json.loads(INSTANCE.key.export_private())


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(
    ("reason", "cnf"),
    [
        pytest.param(Reason.ATTESTATION_CNF, ABSENT, id="absent"),
        pytest.param(Reason.ATTESTATION_CNF, None, id="null"),
        pytest.param(Reason.ATTESTATION_CNF, "jwk", id="a string that contains jwk"),
        pytest.param(Reason.ATTESTATION_CNF, ["jwk"], id="an array that contains jwk"),
        pytest.param(Reason.ATTESTATION_CNF, {}, id="empty"),
        pytest.param(Reason.ATTESTATION_CNF, {"jkt": INSTANCE.thumbprint}, id="a thumbprint alone"),
        pytest.param(Reason.ATTESTATION_CNF, {"x5t#S256": "x"}, id="a certificate's thumbprint alone"),
        pytest.param(Reason.ATTESTATION_CNF, {"x5c": ["MIIB"]}, id="a certificate alone"),
        pytest.param(Reason.ATTESTATION_CNF, {"jku": "https://x.example", "kid": "1"}, id="a reference"),
        pytest.param(Reason.ATTESTATION_CNF, PUBLIC, id="the key without jwk around it"),
        pytest.param(Reason.ATTESTATION_CNF, {"JWK": PUBLIC}, id="JWK in capitals"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": None}, id="jwk null"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": json.dumps(PUBLIC)}, id="jwk a string"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": [PUBLIC]}, id="jwk an array"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {}}, id="jwk empty"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {**PUBLIC, "y": PUBLIC["x"]}}, id="off the curve"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {**PUBLIC, "crv": "secp256k1"}}, id="an unknown curve"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {**PUBLIC, "use": "enc"}}, id="for encryption"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {**PUBLIC, "alg": "HS256"}}, id="for a MAC"),
        pytest.param(Reason.ATTESTATION_CNF, {"jwk": {**PUBLIC, "alg": ["ES256"]}}, id="alg an array"),
        pytest.param(Reason.ATTESTATION_CNF_PRIVATE, {"jwk": PRIVATE}, id="a private key"),
        pytest.param(Reason.ATTESTATION_CNF_PRIVATE, {"jwk": {**PUBLIC, "d": None}}, id="d null"),
        pytest.param(Reason.ATTESTATION_CNF_PRIVATE, {"jwk": {"kty": "oct", "k": "AQ"}}, id="a secret"),
        pytest.param(
            Reason.ATTESTATION_CNF_WEAK,
            {"jwk": {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 128)}},
            id="RSA with 1024 bits",
        ),
        pytest.param(
            Reason.ATTESTATION_CNF_WEAK,
            {"jwk": {"kty": "RSA", "e": "AQAB", "n": b64(b"\x7f" + b"\xff" * 255)}},
            id="RSA with 2047 bits",
        ),
    ],
)
def test_a_cnf_without_an_acceptable_key_is_refused(reason: Reason, cnf: object) -> None:
    with refusal(reason):
        verify(attest(claims={"cnf": cnf}))


# A8: what is unknown


@pytest.mark.accepts("A8")
def test_unknown_members_are_ignored() -> None:
    claims = {"wallet_name": "w", "status": {"status_list": {}}, "jti": 1, "aud": [None], "": {}}
    header = {**HEADER, "cty": 7, "x5c": "not looked at", "b64": True, "": []}
    assert verify(sign_members(ATTESTER.key, header, {**CLAIMS, **claims})).claims["wallet_name"] == "w"


@pytest.mark.refuses("A8")
@pytest.mark.parametrize(
    "crit",
    [["exp"], ["b64"], ["typ"], ["https://x.example/y"], [], None, "exp", {}],
    ids=json.dumps,
)
def test_crit_is_refused_whatever_it_names(crit: object) -> None:
    """No extension is understood, and an empty or malformed ``crit`` is wrong by RFC 7515 itself."""
    with refusal(Reason.ATTESTATION_CRIT):
        verify(sign_members(ATTESTER.key, {**HEADER, "crit": crit, "b64": True}, CLAIMS))


# A9: nbf and iss


@pytest.mark.accepts("A9")
@pytest.mark.refuses("A9")
@pytest.mark.parametrize("skew", [0, SKEW])
@pytest.mark.parametrize("iat", [NOW, ABSENT], ids=["with iat", "without iat"])
def test_nbf_may_be_ahead_by_the_skew(skew: int, iat: object) -> None:
    policy = replace(POLICY, clock_skew=skew)
    for ahead in (skew - 1, skew):
        verify(attest(claims={"nbf": NOW + ahead, "iat": iat}), policy=policy)
    with refusal(Reason.ATTESTATION_NBF):
        verify(attest(claims={"nbf": NOW + skew + 1, "iat": iat}), policy=policy)


@pytest.mark.refuses("A9", "A10")
@pytest.mark.parametrize("nbf", NOT_A_DATE)
def test_an_nbf_that_is_no_date_is_refused(nbf: object) -> None:
    with refusal(Reason.ATTESTATION_NBF):
        verify(attest(claims={"nbf": nbf}))


ISSUER = "https://attester.example"


@pytest.mark.accepts("A9")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("configured", "iss"),
    [
        pytest.param(ISSUER, ISSUER, id="the configured one"),
        pytest.param(ISSUER, ABSENT, id="none, though one is configured"),
        pytest.param("", ISSUER, id="any, where none is configured"),
        pytest.param("", ABSENT, id="none at all"),
        pytest.param("", "i" * 2048, id="a long one"),
    ],
)
def test_iss_is_optional_in_every_revision(revision: int, configured: str, iss: object) -> None:
    """Required up to -07, removed in -08; both shapes are accepted, whatever the floor."""
    policy = replace(POLICY, oldest_revision=revision)
    verify(attest(claims={"iss": iss}), keys=[trusted(issuer=configured)], policy=policy)


@pytest.mark.refuses("A9")
@pytest.mark.parametrize("iss", [f"{ISSUER}/", ISSUER.upper(), "https://other.example", CLIENT_ID])
def test_another_iss_than_the_configured_one_is_refused(iss: str) -> None:
    with refusal(Reason.ATTESTATION_ISS):
        verify(attest(claims={"iss": iss}), keys=[trusted(issuer=ISSUER)])


@pytest.mark.refuses("A9")
@pytest.mark.parametrize("iss", [*NOT_A_TEXT, pytest.param("i" * 2049, id="too long")])
@pytest.mark.parametrize("configured", ["", ISSUER], ids=["none configured", "one configured"])
def test_an_iss_that_is_no_identifier_is_refused(configured: str, iss: object) -> None:
    with refusal(Reason.ATTESTATION_ISS):
        verify(attest(claims={"iss": iss}), keys=[trusted(issuer=configured)])


# A10: strict JSON


@pytest.mark.refuses("A10")
@pytest.mark.parametrize(
    ("header", "payload"),
    [
        pytest.param('{"typ":"x",%s', "{%s", id="a header member twice"),
        pytest.param("{%s", '{"sub":"other",%s', id="a claim twice"),
        pytest.param("{%s", '{"a":{"b":1,"b":2},%s', id="a member twice, deeper"),
        pytest.param("{%s", '{"a":NaN,%s', id="NaN"),
        pytest.param("{%s", '{"a":1e999,%s', id="infinity"),
        pytest.param("{%s", '{"a":"\\ud800",%s', id="a lone surrogate"),
        pytest.param("{%s", "[{%s]", id="an object in an array"),
        pytest.param("{%s", "\ufeff{%s", id="a byte order mark"),
    ],
)
def test_json_that_two_parsers_may_read_differently_is_malformed(header: str, payload: str) -> None:
    """Signed by a trusted attester, so that nothing but the form is wrong."""
    token = sign_octets(
        ATTESTER.key,
        header.replace("{%s", json.dumps(HEADER)).replace("%s", json.dumps(HEADER)[1:]).encode(),
        payload.replace("{%s", json.dumps(CLAIMS)).replace("%s", json.dumps(CLAIMS)[1:]).encode(),
    )
    with refusal(Reason.ATTESTATION_MALFORMED):
        peek_attestation(token)


@pytest.mark.refuses("A10")
@pytest.mark.parametrize("token", ["", "a", "e30.e30", "e30.e30.e30.e30", "e30.e30.=", "é.é.é"])
def test_what_is_no_jwt_is_malformed(token: str) -> None:
    with refusal(Reason.ATTESTATION_MALFORMED):
        peek_attestation(token)


# The memory of verified attestations


def remembered(token: str, memory: AttestationMemory, **demands: Any) -> None:
    verify(token, memory=memory, **demands)
    assert memory.recall(token) is not None


def test_a_remembered_attestation_is_neither_parsed_nor_verified_again() -> None:
    """The claims are one object: those that the first request found."""
    memory, token = AttestationMemory(8), attest()
    first = verify(token, memory=memory)
    assert peek_attestation(token, memory=memory) is peek_attestation(token, memory=memory)
    assert verify(token, memory=memory).claims is first.claims
    assert verify(token).claims is not first.claims


def test_what_is_remembered_equals_what_is_verified_afresh() -> None:
    memory, token = AttestationMemory(8), attest(claims={"nbf": NOW, "iss": ISSUER})
    assert verify(token, memory=memory) == verify(token, memory=memory) == verify(token)


@pytest.mark.refuses("A3", "A2", "A9", "T5")
@pytest.mark.parametrize(
    ("reason", "keys"),
    [
        pytest.param(Reason.ATTESTER_NOT_TRUSTED, [], id="no key is trusted any more"),
        pytest.param(Reason.ATTESTATION_SIGNATURE, [trusted(STRANGER)], id="another key is trusted instead"),
        pytest.param(Reason.ATTESTATION_ISS, [trusted(issuer="https://o.example")], id="an issuer was set"),
        pytest.param(
            Reason.ATTESTATION_ALGORITHM, [trusted(algorithms=frozenset({"ES384"}))], id="algorithms were set"
        ),
        pytest.param(
            Reason.ATTESTER_KEY_AMBIGUOUS,
            [trusted(), *[trusted(STRANGER)] * MAX_CANDIDATE_KEYS],
            id="more keys than are tried",
        ),
    ],
)
def test_memory_does_not_outlast_trust(reason: Reason, keys: list[TrustedKey]) -> None:
    memory, token = AttestationMemory(8), attest(claims={"iss": ISSUER})
    remembered(token, memory)
    with refusal(reason):
        verify(token, memory=memory, keys=keys)


@pytest.mark.refuses("A2", "A5", "A6")
@pytest.mark.parametrize(
    ("reason", "change", "now"),
    [
        pytest.param(Reason.ATTESTATION_EXPIRED, {}, NOW + 3600 + SKEW, id="it expired"),
        pytest.param(Reason.ATTESTATION_NBF, {}, NOW - SKEW - 1, id="the clock was put back"),
        pytest.param(Reason.ATTESTATION_TOO_OLD, {"attestation_max_age": 9}, NOW + 10, id="it became too old"),
        pytest.param(
            Reason.ATTESTATION_ALGORITHM,
            {"attestation_algorithms": frozenset({"ES384"})},
            NOW,
            id="its algorithm left the list",
        ),
    ],
)
def test_memory_does_not_outlast_policy_and_freshness(reason: Reason, change: dict[str, Any], now: float) -> None:
    memory, token = AttestationMemory(8), attest(claims={"nbf": NOW})
    remembered(token, memory)
    with refusal(reason):
        verify(token, memory=memory, policy=replace(POLICY, **change), now=now)


@pytest.mark.refuses("A6")
def test_memory_does_not_outlast_a_raised_floor() -> None:
    memory, token = AttestationMemory(8), attest(claims={"iat": ABSENT})
    remembered(token, memory)
    with refusal(Reason.ATTESTATION_IAT):
        verify(token, memory=memory, policy=replace(POLICY, oldest_revision=12))


def test_a_key_that_moved_to_another_attester_speaks_for_that_one() -> None:
    memory, token = AttestationMemory(8), attest()
    remembered(token, memory)
    assert verify(token, memory=memory, keys=[trusted(name="Other")]).attester == "Other"


@pytest.mark.accepts("A3")
def test_trust_that_returns_lets_it_in_again() -> None:
    memory, token = AttestationMemory(8), attest()
    remembered(token, memory)
    with refusal(Reason.ATTESTER_NOT_TRUSTED):
        verify(token, memory=memory, keys=[])
    assert verify(token, memory=memory).attester == "Acme"


@pytest.mark.refuses("A3", "A7")
@pytest.mark.parametrize(
    ("reason", "token"),
    [
        pytest.param(Reason.ATTESTATION_SIGNATURE, STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW), id="a bad signature"),
        pytest.param(Reason.ATTESTATION_CNF, attest(claims={"cnf": {}}), id="a bad claim"),
    ],
)
def test_what_did_not_verify_is_not_remembered(reason: Reason, token: str) -> None:
    """A stranger must not fill the memory, nor find a refusal turned into an acceptance."""
    memory = AttestationMemory(8)
    for _ in range(2):
        with refusal(reason):
            verify(token, memory=memory)
        assert memory.recall(token) is None


@pytest.mark.refuses("A3")
def test_a_remembered_attestation_with_another_signature_is_another_token() -> None:
    memory, token = AttestationMemory(8), attest()
    remembered(token, memory)
    signing_input, _, signature = token.rpartition(".")
    octets = bytearray(unb64(signature))
    octets[-1] ^= 1
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(f"{signing_input}.{b64(bytes(octets))}", memory=memory)


def test_the_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    memory = AttestationMemory(2)
    first, second, third = (attest(claims={"n": number}) for number in range(3))
    remembered(first, memory)
    remembered(second, memory)
    remembered(first, memory)
    remembered(third, memory)
    assert memory.recall(second) is None
    assert memory.recall(first) is not None
    assert memory.recall(third) is not None


def test_what_was_forgotten_is_verified_again() -> None:
    memory = AttestationMemory(1)
    first, second = (attest(claims={"n": number}) for number in range(2))
    for token in (first, second, first):
        remembered(token, memory)
    assert memory.recall(second) is None


@pytest.mark.parametrize("size", [0, -1])
def test_a_memory_without_room_remembers_nothing(size: int) -> None:
    memory, token = AttestationMemory(size), attest()
    verify(token, memory=memory)
    assert memory.recall(token) is None
    verify(token, memory=memory)


def test_an_instance_key_is_not_the_attesters() -> None:
    """Two keys meet in an attestation; the one that proves is the one in ``cnf``."""
    other = ClientInstance(key=private_key("ES256"))
    verified = verify(ATTESTER.attest(other, CLIENT_ID, now=NOW))
    assert verified.thumbprint == other.thumbprint != ATTESTER.key.thumbprint()
