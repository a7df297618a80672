"""Rule D3: the DPoP proof (RFC 9449 section 4.3), from a good one with one thing wrong; replay aside."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.dpop import DpopContext, Target, verify_dpop_proof
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.headers import HeaderFields, read_dpop
from oauth_client_attestation.core.pop import MAX_JTI_LENGTH
from oauth_client_attestation.core.results import DpopDemands, VerifiedDpopProof
from oauth_client_attestation.testing import ABSENT, ClientInstance
from tests.core.support import (
    ALGORITHMS,
    AUDIENCE,
    CHALLENGES,
    DPOP,
    ED25519,
    INSTANCE,
    LIFETIME,
    NONCES,
    NOT_A_DATE,
    NOT_A_TEXT,
    NOW,
    P256,
    RSA,
    SKEW,
    URI,
    attest,
    b64,
    instance,
    mac_members,
    refusal,
    sign_members,
    sign_octets,
    unb64,
)
from tests.fuzzing import examples

R = Reason
HEADER = {"typ": "dpop+jwt", "alg": "ES256", "jwk": INSTANCE.public_jwk}
CLAIMS = {"jti": "1", "htm": "POST", "htu": URI, "iat": NOW}
OTHER = ClientInstance()
MAX_AGE = DPOP.demands.max_age
HOUR = 3600
TOKEN = "an.access~token"
TARGET = DPOP.target
RESOURCE = replace(TARGET, access_token=TOKEN)


def prove(by: ClientInstance = INSTANCE, *, challenged: bool = False, **changes: Any) -> str:
    """Return a good proof, over a fresh nonce if ``challenged``, or one with ``claims=``, ``header=`` … changed."""
    changes = {"method": "POST", "uri": URI, "now": NOW, "nonce": NONCES.issue(NOW) if challenged else None, **changes}
    return by.prove_dpop(changes.pop("method"), changes.pop("uri"), **changes)


def check(
    token: str, *, target: Target = TARGET, nonces: Challenges = NONCES, now: float = NOW, **demands: Any
) -> VerifiedDpopProof:
    context = DpopContext(target, replace(DPOP.demands, **demands), nonces)
    return verify_dpop_proof(token, context=context, now=now)


def receive(*fields: str, **circumstances: Any) -> VerifiedDpopProof:
    """Do what a server does with the DPoP fields of a request."""
    return check(read_dpop(HeaderFields(dpop=fields), max_length=16384), **circumstances)


@pytest.mark.accepts("D3")
def test_the_proof_that_the_others_spoil_is_good() -> None:
    proof = check(prove(claims={"jti": "once"}))
    assert proof == VerifiedDpopProof(INSTANCE.thumbprint, "once", NOW + MAX_AGE + SKEW, nonce=None)
    assert not proof.challenged


@pytest.mark.accepts("D3")
def test_so_is_one_with_a_nonce() -> None:
    nonce = NONCES.issue(NOW)
    proof = check(prove(nonce=nonce, claims={"jti": "once"}))
    assert proof == VerifiedDpopProof(INSTANCE.thumbprint, "once", NOW + LIFETIME + SKEW, nonce)
    assert proof.challenged


# Section 4.3, number by number


@pytest.mark.accepts("D3")
@pytest.mark.parametrize(
    ("fields", "circumstances"),
    [
        pytest.param([prove()], {}, id="4.3 rule 1: one field"),
        pytest.param([sign_members(INSTANCE.key, HEADER, {**CLAIMS, "x": [{}]})], {}, id="4.3 rule 2: one JWT"),
        pytest.param([sign_members(INSTANCE.key, HEADER, CLAIMS)], {}, id="4.3 rule 3: just the required claims"),
        pytest.param([prove(header={"typ": "dpop+jwt"})], {}, id="4.3 rule 4: typ dpop+jwt"),
        pytest.param([prove()], {"algorithms": frozenset({"ES256"})}, id="4.3 rule 5: the one accepted algorithm"),
        pytest.param([prove(OTHER)], {}, id="4.3 rule 6: signed by the key in the header, whoever's"),
        pytest.param([prove(header={"jwk": INSTANCE.public_jwk})], {}, id="4.3 rule 7: a public key"),
        pytest.param([prove(method="GET")], {"target": Target("GET", URI)}, id="4.3 rule 8: the method"),
        pytest.param([prove()], {"target": Target("POST", f"{URI}?a#b")}, id="4.3 rule 9: the URI, but for its query"),
        pytest.param([prove(challenged=True)], {"nonce": "required"}, id="4.3 rule 10: a nonce of this server"),
        pytest.param([prove()], {"now": NOW + MAX_AGE}, id="4.3 rule 11: just recent enough"),
        pytest.param([prove(access_token=TOKEN)], {"target": RESOURCE}, id="4.3 rule 12: the access token's hash"),
    ],
)
def test_a_proof_that_keeps_the_rule_is_accepted(fields: list[str], circumstances: dict[str, Any]) -> None:
    assert receive(*fields, **circumstances).jti


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    ("reason", "fields", "circumstances"),
    [
        pytest.param(R.DPOP_FIELD_REPEATED, [prove(), prove()], {}, id="4.3 rule 1: two fields"),
        pytest.param(R.DPOP_FIELD_REPEATED, [f"{prove()}, {prove()}"], {}, id="4.3 rule 1: two fields, joined"),
        pytest.param(R.DPOP_FIELD_MALFORMED, [f'"{prove()}"'], {}, id="4.3 rule 2: no JWT, but a string"),
        pytest.param(
            R.DPOP_MALFORMED, [sign_octets(INSTANCE.key, json.dumps(HEADER).encode(), b"[]")], {}, id="4.3 rule 2: JWS"
        ),
        pytest.param(R.DPOP_JTI, [prove(claims={"jti": ABSENT})], {}, id="4.3 rule 3: no jti"),
        pytest.param(R.DPOP_HTM, [prove(claims={"htm": ABSENT})], {}, id="4.3 rule 3: no htm"),
        pytest.param(R.DPOP_HTU, [prove(claims={"htu": ABSENT})], {}, id="4.3 rule 3: no htu"),
        pytest.param(R.DPOP_IAT, [prove(claims={"iat": ABSENT})], {}, id="4.3 rule 3: no iat"),
        pytest.param(R.DPOP_TYP, [prove(header={"typ": "jwt"})], {}, id="4.3 rule 4: another typ"),
        pytest.param(
            R.DPOP_ALGORITHM, [prove()], {"algorithms": frozenset({"ES384"})}, id="4.3 rule 5: algorithm not accepted"
        ),
        pytest.param(
            R.DPOP_SIGNATURE, [prove(header={"jwk": OTHER.public_jwk})], {}, id="4.3 rule 6: signed by another key"
        ),
        pytest.param(
            R.DPOP_JWK_PRIVATE,
            [prove(header={"jwk": INSTANCE.key.export(as_dict=True)})],
            {},
            id="4.3 rule 7: a private key",
        ),
        pytest.param(R.DPOP_HTM, [prove(method="GET")], {}, id="4.3 rule 8: another method"),
        pytest.param(R.DPOP_HTU, [prove(uri=f"{URI}/")], {}, id="4.3 rule 9: another URI"),
        pytest.param(
            R.DPOP_NONCE_UNKNOWN,
            [prove(nonce=CHALLENGES.issue(NOW))],
            {"nonce": "required"},
            id="4.3 rule 10: a nonce of another server",
        ),
        pytest.param(R.DPOP_TOO_OLD, [prove()], {"now": NOW + MAX_AGE + 1}, id="4.3 rule 11: a second too old"),
        pytest.param(
            R.DPOP_ATH,
            [prove(access_token="another")],
            {"target": RESOURCE},
            id="4.3 rule 12: another access token's hash",
        ),
    ],
)
def test_a_proof_that_breaks_the_rule_is_refused(
    reason: Reason, fields: list[str], circumstances: dict[str, Any]
) -> None:
    with refusal(reason):
        receive(*fields, **circumstances)


# 2: form


def octets(members: dict[str, Any], first: str = "") -> bytes:
    """Return a JSON object with ``first`` put before its members as it is."""
    return f"{{{first}{json.dumps(members)[1:]}".encode()


@pytest.mark.refuses("D3", "A10")
@pytest.mark.parametrize(
    ("header", "payload"),
    [
        pytest.param('"typ":"dpop+jwt",', "", id="typ twice"),
        pytest.param('"alg":"none",', "", id="alg twice"),
        pytest.param(f'"jwk":{json.dumps(OTHER.public_jwk)},', "", id="jwk twice"),
        pytest.param('"x":{"kty":"EC","kty":"RSA"},', "", id="a member of an object in the header twice"),
        pytest.param("", '"htm":"GET",', id="htm twice"),
        pytest.param("", '"jti":"1",', id="jti twice, though it says the same"),
        pytest.param("", '"ath":null,"ath":"x",', id="ath twice"),
        pytest.param("", '"a":[{"b":1,"b":1}],', id="a member twice, deeper"),
        pytest.param("", '"a":NaN,', id="not a number"),
        pytest.param("", '"a":"\\udfff",', id="a lone surrogate"),
        pytest.param("", '"a":1,,', id="no JSON"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(header: str, payload: str) -> None:
    check(sign_octets(INSTANCE.key, octets(HEADER), octets(CLAIMS)))
    with refusal(R.DPOP_MALFORMED):
        check(sign_octets(INSTANCE.key, octets(HEADER, header), octets(CLAIMS, payload)))


@pytest.mark.refuses("D3", "A10")
@pytest.mark.parametrize(
    "token", ["", "e30.e30", "e30.e30.AA.AA", "e30.e30.A", "e30=.e30.AA", "é.e30.AA", "W10.e30.AA"]
)
def test_what_is_no_compact_jws_over_objects_is_refused(token: str) -> None:
    with refusal(R.DPOP_MALFORMED):
        check(token)


@pytest.mark.accepts("D3")
def test_other_claims_and_header_parameters_mean_nothing() -> None:
    header = {"kid": "another", "x5c": ["AA"], "jku": "https://other.example/", "cty": 7}
    check(prove(header=header, claims={"iss": 1, "aud": "https://other.example", "sub": [], "cnf": {"jkt": "x"}}))


@pytest.mark.refuses("D3", "A8")
@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp"], ids=json.dumps)
def test_crit_is_refused_whatever_it_names(crit: object) -> None:
    with refusal(R.DPOP_CRIT):
        check(sign_members(INSTANCE.key, {**HEADER, "crit": crit, "b64": True}, CLAIMS))


# 3: jti


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("jti", NOT_A_TEXT)
def test_a_jti_that_is_no_text_is_refused(jti: object) -> None:
    with refusal(R.DPOP_JTI):
        check(prove(claims={"jti": jti}))


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_the_longest_jti_has_256_characters() -> None:
    assert MAX_JTI_LENGTH == 256
    assert check(prove(claims={"jti": "j" * 256})).jti == "j" * 256
    with refusal(R.DPOP_JTI):
        check(prove(claims={"jti": "j" * 257}))


# 4: typ


@pytest.mark.accepts("D3")
@pytest.mark.parametrize("typ", ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt", "Application/DPOP+jwt"])
def test_typ_is_compared_as_a_media_type(typ: str) -> None:
    check(prove(header={"typ": typ}))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "typ",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param("JWT", id="any JWT"),
        pytest.param("dpop", id="without suffix"),
        pytest.param("dpop+jwt ", id="a space more"),
        pytest.param("text/dpop+jwt", id="another tree"),
        pytest.param("application/application/dpop+jwt", id="the prefix twice"),
        pytest.param("oauth-client-attestation-pop+jwt", id="a PoP's"),
        pytest.param(["dpop+jwt"], id="an array"),
    ],
)
def test_another_typ_is_refused(typ: object) -> None:
    with refusal(R.DPOP_TYP):
        check(prove(header={"typ": typ}))


@pytest.mark.refuses("D3")
def test_no_other_token_is_a_proof() -> None:
    with refusal(R.DPOP_TYP):
        check(INSTANCE.prove(AUDIENCE, now=NOW, header={"jwk": INSTANCE.public_jwk}))
    with refusal(R.DPOP_TYP):
        check(attest(claims={"jti": "1"}))


# 5: alg


@pytest.mark.accepts("D3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_is_accepted(algorithm: str) -> None:
    other = instance(algorithm)
    assert check(prove(other), algorithms=frozenset({algorithm})).thumbprint == other.thumbprint


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_off_the_list_is_refused(algorithm: str) -> None:
    with refusal(R.DPOP_ALGORITHM):
        check(prove(instance(algorithm)), algorithms=frozenset(ALGORITHMS) - {algorithm})


@pytest.mark.refuses("D3")
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
        pytest.param("RS256", id="yet another key type's"),
        pytest.param(["ES256"], id="an array"),
        pytest.param({}, id="an object"),
    ],
)
def test_another_alg_is_refused_though_the_signature_be_right(alg: object) -> None:
    with refusal(R.DPOP_ALGORITHM):
        check(sign_members(INSTANCE.key, {**HEADER, "alg": alg}, CLAIMS))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("alg", ["HS256", "none"])
def test_a_symmetric_proof_is_refused_even_where_it_is_listed(alg: str) -> None:
    token = mac_members(INSTANCE.key.export_to_pem(), {**HEADER, "alg": alg}, CLAIMS)
    with refusal(R.DPOP_ALGORITHM):
        check(token, algorithms=frozenset({"HS256", "none", "ES256"}))


@pytest.mark.refuses("D3")
def test_a_key_that_names_its_algorithm_is_for_that_one() -> None:
    other = instance("RS256")
    check(prove(other, header={"jwk": {**other.public_jwk, "alg": "RS256"}}))
    with refusal(R.DPOP_ALGORITHM):
        check(prove(other, header={"jwk": {**other.public_jwk, "alg": "PS256"}}))


# 6 and 7: signature and key


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
def test_no_part_can_be_exchanged_for_that_of_another_good_proof(position: int) -> None:
    parts, others = (token.split(".") for token in (prove(), prove(header={"cty": "x"})))
    parts[position] = others[position]
    with refusal(R.DPOP_SIGNATURE):
        check(".".join(parts))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("signature", ["", "AA", b64(bytes(64)), b64(bytes(65))], ids=["none", "short", "zero", "long"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    with refusal(R.DPOP_SIGNATURE):
        check(f"{prove().rpartition('.')[0]}.{signature}")


@pytest.mark.accepts("D3")
def test_what_else_a_jwk_says_does_not_change_whose_it_is() -> None:
    extras = {
        "kid": "another",
        "x5c": ["AA"],
        "x5t": "AA",
        "use": "sig",
        "key_ops": ["verify"],
        "alg": "ES256",
        "a": {},
    }
    assert check(prove(header={"jwk": {**INSTANCE.public_jwk, **extras}})).thumbprint == INSTANCE.thumbprint


def respelled(value: str) -> str:
    """Return another base64url spelling of the same octets: the last of 43 characters has two unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelling = value[:-1] + alphabet[alphabet.index(value[-1]) + 1]
    assert unb64(spelling) == unb64(value)
    return spelling


@pytest.mark.refuses("D3", "A7")
@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="a string"),
        pytest.param(json.dumps(INSTANCE.public_jwk), id="JSON in a string"),
        pytest.param([INSTANCE.public_jwk], id="an array"),
        pytest.param({"keys": [INSTANCE.public_jwk]}, id="a set"),
        pytest.param({}, id="an empty object"),
        pytest.param({"kid": INSTANCE.thumbprint}, id="a name alone"),
        pytest.param({**INSTANCE.public_jwk, "kty": "RSA"}, id="another type"),
        pytest.param({**INSTANCE.public_jwk, "crv": "P-384"}, id="another curve"),
        pytest.param({**INSTANCE.public_jwk, "crv": "secp256k1"}, id="a curve that is not accepted"),
        pytest.param({**INSTANCE.public_jwk, "y": P256["y"]}, id="a point off the curve"),
        pytest.param({**INSTANCE.public_jwk, "y": ABSENT}, id="half a point"),
        pytest.param({**INSTANCE.public_jwk, "x": respelled(INSTANCE.public_jwk["x"])}, id="not canonical"),
        pytest.param({**INSTANCE.public_jwk, "x": INSTANCE.public_jwk["x"] + "="}, id="padded"),
        pytest.param({**INSTANCE.public_jwk, "x": "AAAA" + INSTANCE.public_jwk["x"]}, id="zeros first"),
        pytest.param({**INSTANCE.public_jwk, "use": "enc"}, id="for encryption"),
        pytest.param({**INSTANCE.public_jwk, "key_ops": ["sign"]}, id="not for verifying"),
        pytest.param({**INSTANCE.public_jwk, "alg": "ES384"}, id="for an algorithm that it does not fit"),
        pytest.param({**INSTANCE.public_jwk, "alg": "HS256"}, id="for a MAC"),
        pytest.param({"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}, id="RSA of 1024 bits"),
        pytest.param({"kty": "RSA", "n": b64(b"\xff" * 2048), "e": "AQAB"}, id="RSA of 16384 bits"),
        pytest.param({**RSA, "e": "AQ"}, id="RSA with the exponent 1"),
        pytest.param({**ED25519, "x": b64(b"\1" + bytes(31))}, id="Ed25519 of small order"),
    ],
)
def test_a_jwk_that_is_no_acceptable_public_key_is_refused(jwk: object) -> None:
    if isinstance(jwk, dict):
        jwk = {name: value for name, value in jwk.items() if value is not ABSENT}
    with refusal(R.DPOP_JWK):
        check(prove(header={"jwk": jwk}))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(INSTANCE.key.export(as_dict=True), id="EC"),
        pytest.param(instance("EdDSA").key.export(as_dict=True), id="Ed25519"),
        pytest.param(instance("RS256").key.export(as_dict=True), id="RSA"),
        pytest.param({**INSTANCE.public_jwk, "d": None}, id="a private member that is null"),
        pytest.param({**INSTANCE.public_jwk, "k": "AA"}, id="a secret beside a public key"),
        pytest.param({"kty": "oct", "k": b64(bytes(32))}, id="symmetric"),
        pytest.param({"kty": "oct"}, id="symmetric, without its value"),
    ],
)
def test_a_private_or_symmetric_jwk_is_refused(jwk: object) -> None:
    with refusal(R.DPOP_JWK_PRIVATE):
        check(prove(header={"jwk": jwk}))


# 8 and 9: htm and htu


@pytest.mark.accepts("D3")
@pytest.mark.parametrize("method", ["GET", "DELETE", "PROPFIND", "post"])
def test_any_method_may_be_proved(method: str) -> None:
    check(prove(method=method), target=Target(method, URI))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("htm", ["post", "Post", "POST ", "GET", "", None, 7, True, ["POST"], {"POST": 1}], ids=repr)
def test_another_method_is_refused(htm: object) -> None:
    """Methods are case-sensitive (RFC 9110 section 9.1)."""
    with refusal(R.DPOP_HTM):
        check(prove(claims={"htm": htm}))


@pytest.mark.accepts("D3")
@pytest.mark.parametrize(
    ("claimed", "requested"),
    [
        pytest.param("HTTPS://AS.example:443/./o/%74oken", URI, id="another spelling in the proof"),
        pytest.param(URI, "HTTPS://AS.example:443/./o/%74oken", id="another spelling in the request"),
        pytest.param(f"{URI}?a=1#b", f"{URI}?c=2", id="other queries"),
        pytest.param("https://as.example", "https://as.example/", id="no path"),
    ],
)
def test_both_uris_are_normalised(claimed: str, requested: str) -> None:
    check(prove(uri=claimed), target=Target("POST", requested))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "htu",
    [
        pytest.param("http://as.example/o/token", id="another scheme"),
        pytest.param("https://as.example:8443/o/token", id="another port"),
        pytest.param("https://other.example/o/token", id="another host"),
        pytest.param("https://as.example/o/revoke_token", id="another path"),
        pytest.param("https://me@as.example/o/token", id="user information"),
        pytest.param("https://as.example/o/to\tken", id="a tab"),
        pytest.param("/o/token", id="a path alone"),
        pytest.param("", id="empty"),
        pytest.param(None, id="null"),
        pytest.param(7, id="a number"),
        pytest.param([URI], id="an array"),
        pytest.param({"uri": URI}, id="an object"),
    ],
)
def test_another_uri_is_refused(htu: object) -> None:
    with refusal(R.DPOP_HTU):
        check(prove(claims={"htu": htu}))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("requested", ["/o/token", "", "https://me@as.example/o/token"], ids=repr)
def test_a_request_whose_uri_nobody_could_prove_is_refused_and_no_failure(requested: str) -> None:
    with refusal(R.DPOP_HTU):
        check(prove(uri=requested), target=Target("POST", requested))


# 10: the nonce


@pytest.mark.accepts("D3")
@pytest.mark.parametrize("use", ["optional", "required"])
def test_a_fresh_nonce_is_accepted(use: str) -> None:
    assert check(prove(challenged=True), nonce=use).challenged


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3", "D5")
def test_a_proof_may_do_without_a_nonce_unless_it_is_required() -> None:
    for use in ("off", "optional"):
        assert check(prove(), nonce=use).nonce is None
    with refusal(R.DPOP_NONCE_MISSING):
        check(prove(), nonce="required")


USELESS = [
    pytest.param(R.DPOP_NONCE_UNKNOWN, "5c1a9e10-29ff-4c2b-ae73-57c0957c09c4", id="a foreign one"),
    pytest.param(R.DPOP_NONCE_UNKNOWN, "c" * 512, id="a foreign one of 512 characters"),
    pytest.param(R.DPOP_NONCE_UNKNOWN, CHALLENGES.issue(NOW), id="a challenge for a PoP JWT"),
    pytest.param(R.DPOP_NONCE_UNKNOWN, NONCES.issue(NOW + SKEW + 1), id="from the future"),
    pytest.param(R.DPOP_NONCE_EXPIRED, NONCES.issue(NOW - LIFETIME - 1), id="expired"),
    pytest.param(R.DPOP_NONCE_MALFORMED, "c" * 513, id="too long"),
    *[pytest.param(R.DPOP_NONCE_MALFORMED, value.values[0], id=f"unusable: {value.id}") for value in NOT_A_TEXT],
]


@pytest.mark.refuses("D3", "D5")
@pytest.mark.parametrize("use", ["optional", "required"])
@pytest.mark.parametrize(("reason", "nonce"), USELESS)
def test_a_nonce_of_no_use_is_refused_even_where_none_is_required(reason: Reason, nonce: object, use: str) -> None:
    with refusal(reason):
        check(prove(claims={"nonce": nonce}), nonce=use)


@pytest.mark.accepts("D3")
@pytest.mark.parametrize(("reason", "nonce"), USELESS)
def test_where_none_is_handed_out_a_nonce_means_nothing(reason: Reason, nonce: object) -> None:
    """It is another server's, and the client's clock is what there is to go by."""
    token = prove(claims={"nonce": nonce, "jti": "once"})
    assert check(token, nonce="off") == check(prove(claims={"jti": "once"}))
    with refusal(R.DPOP_TOO_OLD):
        check(token, nonce="off", now=NOW + MAX_AGE + 1)


# 11: times


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_iat_may_be_ahead_by_the_skew(skew: int) -> None:
    for ahead in (skew - 1, skew):
        check(prove(now=NOW + ahead), clock_skew=skew)
    with refusal(R.DPOP_FROM_THE_FUTURE):
        check(prove(now=NOW + skew + 1), clock_skew=skew)


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
@pytest.mark.parametrize("max_age", [0, MAX_AGE])
def test_iat_may_be_as_old_as_a_proof(max_age: int) -> None:
    """The skew does not lengthen it."""
    for age in (max_age - 1, max_age):
        assert check(prove(now=NOW - age), max_age=max_age).valid_until == NOW - age + max_age + SKEW
    with refusal(R.DPOP_TOO_OLD):
        check(prove(now=NOW - max_age - 1), max_age=max_age)


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_fractions_of_a_second_count() -> None:
    token = prove(claims={"iat": NOW - 0.5})
    assert check(token, now=NOW + MAX_AGE - 0.5).valid_until == NOW - 0.5 + MAX_AGE + SKEW
    with refusal(R.DPOP_TOO_OLD):
        check(token, now=NOW + MAX_AGE - 0.25)


@pytest.mark.refuses("D3", "A10")
@pytest.mark.parametrize("challenged", [True, False], ids=["nonce", "no nonce"])
@pytest.mark.parametrize(("claim", "reason"), [("iat", R.DPOP_IAT), ("exp", R.DPOP_EXPIRED), ("nbf", R.DPOP_EXPIRED)])
@pytest.mark.parametrize("value", NOT_A_DATE)
def test_a_time_that_is_no_date_is_refused(value: object, claim: str, reason: Reason, challenged: bool) -> None:
    with refusal(reason):
        check(prove(challenged=challenged, claims={claim: value}))


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_exp_shortens_the_window_and_does_not_lengthen_it() -> None:
    token = prove(claims={"exp": NOW + 10})
    check(token, now=NOW + 10 + SKEW - 1)
    for now in (NOW + 10 + SKEW, NOW + 10 + SKEW + 1):
        with refusal(R.DPOP_EXPIRED):
            check(token, now=now)
    with refusal(R.DPOP_TOO_OLD):
        check(prove(claims={"exp": NOW + 10 * HOUR}), now=NOW + MAX_AGE + 1)


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
@pytest.mark.parametrize("skew", [0, SKEW])
def test_nbf_may_be_ahead_by_the_skew(skew: int) -> None:
    for ahead in (skew - 1, skew):
        check(prove(claims={"nbf": NOW + ahead}), clock_skew=skew)
    with refusal(R.DPOP_EXPIRED):
        check(prove(claims={"nbf": NOW + skew + 1}), clock_skew=skew)


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
@pytest.mark.parametrize("offset", [-HOUR, HOUR, -NOW, 10 * 365 * 24 * HOUR], ids=["behind", "ahead", "1970", "2037"])
def test_with_a_nonce_a_client_with_a_wrong_clock_gets_in(offset: int) -> None:
    moment = NOW + offset
    for claims in ({"iat": moment}, {"iat": moment, "nbf": moment, "exp": moment + 300}):
        for use in ("optional", "required"):
            assert check(prove(challenged=True, claims=claims), nonce=use).valid_until == NOW + LIFETIME + SKEW
        with pytest.raises(ClientAttestationError):
            check(prove(claims=claims))
        with pytest.raises(ClientAttestationError):
            check(prove(challenged=True, claims=claims), nonce="off")


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("offset", [-HOUR, 0, HOUR])
def test_a_client_must_not_contradict_its_own_clock(offset: int) -> None:
    """With a nonce, ``exp`` and ``nbf`` are judged by the clock that ``iat`` shows."""
    moment = NOW + offset
    check(prove(challenged=True, claims={"iat": moment, "exp": moment - SKEW + 1, "nbf": moment + SKEW}))
    with refusal(R.DPOP_EXPIRED):
        check(prove(challenged=True, claims={"iat": moment, "exp": moment - SKEW}))
    with refusal(R.DPOP_EXPIRED):
        check(prove(challenged=True, claims={"iat": moment, "nbf": moment + SKEW + 1}))


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3", "D5")
def test_the_nonce_decides_how_long_a_proof_is_good() -> None:
    token = prove(challenged=True)
    for now in (NOW + LIFETIME - 1, NOW + LIFETIME):
        assert check(token, now=now, max_age=0).valid_until == NOW + LIFETIME + SKEW
    with refusal(R.DPOP_NONCE_EXPIRED):
        check(token, now=NOW + LIFETIME + 1, max_age=10 * LIFETIME)
    for ahead in (SKEW - 1, SKEW):
        assert check(prove(nonce=NONCES.issue(NOW + ahead))).challenged


# 12: ath


@pytest.mark.accepts("D3")
def test_ath_is_looked_at_where_there_is_an_access_token() -> None:
    check(prove(access_token=TOKEN), target=RESOURCE)
    check(prove(claims={"ath": 7}))


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "ath",
    [
        pytest.param(ABSENT, id="absent"),
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param(TOKEN, id="the token itself"),
        pytest.param(b64(hashlib.sha256(b"another").digest()), id="another token's"),
        pytest.param(b64(hashlib.sha256(f"DPoP {TOKEN}".encode()).digest()), id="with the scheme"),
        pytest.param(b64(hashlib.sha256(TOKEN.upper().encode()).digest()), id="of the token in capitals"),
        pytest.param(b64(hashlib.sha256(TOKEN.encode()).digest()) + "=", id="padded"),
        pytest.param(b64(hashlib.sha256(TOKEN.encode()).digest())[:-1], id="cut off"),
        pytest.param(b64(hashlib.sha256(TOKEN.encode()).digest()).swapcase(), id="in other letters"),
        pytest.param(b64(hashlib.sha256(TOKEN.encode()).digest()[:16]), id="half of it, as of at_hash"),
        pytest.param(b64(hashlib.sha512(TOKEN.encode()).digest()), id="of another hash function"),
        pytest.param(hashlib.sha256(TOKEN.encode()).hexdigest(), id="hexadecimal"),
        pytest.param(7, id="a number"),
        pytest.param(True, id="true"),
        pytest.param([b64(hashlib.sha256(TOKEN.encode()).digest())], id="an array"),
        pytest.param({}, id="an object"),
        pytest.param("ä", id="outside ASCII"),
    ],
)
def test_another_ath_is_refused(ath: object) -> None:
    with refusal(R.DPOP_ATH):
        check(prove(claims={"ath": ath}), target=RESOURCE)


@pytest.mark.refuses("D3")
@pytest.mark.parametrize("token", ["", "ä", "\U0001f511", " "], ids=ascii)
def test_an_access_token_that_nobody_issued_is_hashed_all_the_same(token: str) -> None:
    target = replace(TARGET, access_token=token)
    check(prove(access_token=token), target=target)
    with refusal(R.DPOP_ATH):
        check(prove(), target=target)


# The order, and what has to be remembered


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        pytest.param(R.DPOP_JTI, {"claims": {"jti": 1, "iat": "x"}, "header": {"typ": "JWT"}}, id="3 before 4"),
        pytest.param(R.DPOP_TYP, {"header": {"typ": "JWT", "jwk": 1}}, id="4 before 7"),
        pytest.param(R.DPOP_JWK_PRIVATE, {"header": {"jwk": RSA | {"d": "AA"}}}, id="7 before 5"),
        pytest.param(R.DPOP_ALGORITHM, {"header": {"jwk": RSA}}, id="5 before 6"),
        pytest.param(R.DPOP_SIGNATURE, {"header": {"jwk": OTHER.public_jwk}, "method": "GET"}, id="6 before 8"),
        pytest.param(R.DPOP_HTM, {"method": "GET", "uri": "x"}, id="8 before 9"),
        pytest.param(R.DPOP_HTU, {"uri": "x", "nonce": "unknown"}, id="9 before 10"),
        pytest.param(R.DPOP_NONCE_UNKNOWN, {"nonce": "unknown", "now": 1}, id="10 before 11"),
        pytest.param(R.DPOP_TOO_OLD, {"now": 1, "access_token": "another"}, id="11 before 12"),
    ],
)
def test_of_two_wrongs_the_earlier_in_the_sequence_refuses(first: Reason, changes: dict[str, Any]) -> None:
    with refusal(first):
        check(prove(**changes), target=RESOURCE)


def quarters(low: float, high: float) -> st.SearchStrategy[float]:
    """Moments from ``low`` to ``high``, both included, by quarters of a second."""
    return st.integers(int(low * 4), int(high * 4)).map(lambda number: number / 4)


@st.composite
def acceptable(draw: st.DrawFn, challenged: bool) -> tuple[DpopDemands, Challenges, dict[str, Any], list[float]]:
    """Return demands, a server, times that pass at ``NOW``, and the moments at which a rule changes its mind."""
    skew, max_age, lifetime = draw(st.integers(1, 120)), draw(st.integers(0, 600)), draw(st.integers(1, 600))
    use = draw(st.sampled_from(["optional", "required"] if challenged else ["optional", "off"]))
    demands = replace(DPOP.demands, clock_skew=skew, max_age=max_age, nonce=use)
    nonces = replace(NONCES, lifetime=lifetime)
    clock = NOW + draw(quarters(-7000, 7000) if challenged else quarters(-max_age, skew))
    claims: dict[str, Any] = {"iat": clock}
    turns = [clock + max_age]
    if challenged:
        issued = NOW + draw(st.integers(-lifetime, skew))
        claims["nonce"] = nonces.issue(issued)
        turns.append(issued + lifetime)
    else:
        clock = NOW
    if draw(st.booleans()):
        claims["exp"] = clock + draw(quarters(-skew + 0.25, max_age + skew))
        turns.append(claims["exp"] + skew)
    if draw(st.booleans()):
        claims["nbf"] = clock + draw(quarters(-600, skew))
    return demands, nonces, claims, turns


@pytest.mark.parametrize("challenged", [True, False], ids=["nonce", "no nonce"])
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), delay=quarters(-200, 2000))
def test_valid_until_is_never_before_the_last_acceptance(challenged: bool, data: st.DataObject, delay: float) -> None:
    """A proof that is accepted at some other moment is on record then, even by a clock that is behind by the skew.

    Tried at any moment, and around each one at which a rule changes its mind.
    """
    demands, nonces, claims, turns = data.draw(acceptable(challenged))
    context, token = DpopContext(TARGET, demands, nonces), prove(claims=claims)
    proof = verify_dpop_proof(token, context=context, now=NOW)
    assert proof.challenged is challenged
    for moment in (turn + nudge for turn in (NOW + delay, *turns) for nudge in (-1, -0.25, 0, 0.25, 1)):
        try:
            again = verify_dpop_proof(token, context=context, now=moment)
        except ClientAttestationError:
            continue
        assert again == proof
        assert moment + demands.clock_skew <= proof.valid_until
    assert NOW <= proof.valid_until <= NOW + max(nonces.lifetime, demands.max_age) + 2 * demands.clock_skew
