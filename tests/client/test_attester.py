"""Attestations as a site's own attester signs them."""

from __future__ import annotations

from typing import Any

import pytest
from jwcrypto.jwk import JWK

from oauth_client_attestation.attester import OWN_CLAIMS, Attester
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.jose import UnsuitableAlgorithm, parse_unverified
from oauth_client_attestation.core.jwk import InvalidKey, PrivateKey, WeakKey, parse_public_key
from oauth_client_attestation.core.results import TrustedKey
from oauth_client_attestation.signing import generate_key, public_jwk
from tests.core.support import ALGORITHMS, NOW, private_key, verify

KEY = generate_key()
INSTANCE_KEY = generate_key()
INSTANCE_JWK = public_jwk(INSTANCE_KEY)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    jwt = parse_unverified(token)
    return dict(jwt.header), dict(jwt.claims)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_server_accepts_the_attestations_of_every_algorithm(algorithm: str) -> None:
    key = private_key(algorithm)
    token = Attester(key, algorithm=algorithm).attest(INSTANCE_JWK, "app", now=NOW)
    verified = verify(token, keys=[TrustedKey("Acme", parse_public_key(public_jwk(key)))])
    assert verified.instance_key.thumbprint == INSTANCE_KEY.thumbprint()


def test_an_attestation_says_what_section_4_asks_for_and_no_more() -> None:
    header, claims = parts(Attester(KEY).attest(INSTANCE_JWK | {"kid": "mine", "alg": "ES256"}, "app", now=7250))
    assert header == {"typ": "oauth-client-attestation+jwt", "alg": "ES256"}
    assert claims == {
        "sub": "app",
        "iat": 7200,
        "exp": 7200 + 86400,
        "cnf": {"jwk": {name: INSTANCE_JWK[name] for name in ("kty", "crv", "x", "y")}},
    }


@pytest.mark.parametrize(("now", "issued"), [(7199.9, 3600), (7200, 7200), (7201, 7200), (10799, 7200), (10800, 10800)])
def test_the_time_is_rounded_down(now: float, issued: int) -> None:
    _, claims = parts(Attester(KEY).attest(INSTANCE_JWK, "app", now=now))
    assert (claims["iat"], claims["exp"]) == (issued, issued + 86400)


def test_older_revisions_want_more() -> None:
    attester = Attester(KEY, issuer="https://backend.example", not_before=True, lifetime=120, rounding=60)
    _, claims = parts(attester.attest(INSTANCE_JWK, "app", now=119, claims={"wallet_name": "Purse"}))
    assert claims["iss"] == "https://backend.example"
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (60, 60, 180)
    assert claims["wallet_name"] == "Purse"


@pytest.mark.parametrize(
    ("members", "key_id", "sent"), [({}, None, None), ({"kid": "a"}, None, "a"), ({"kid": "a"}, "b", "b")]
)
def test_a_key_has_the_name_that_it_has_or_is_given(
    members: dict[str, str], key_id: str | None, sent: str | None
) -> None:
    key = JWK(**KEY.export(as_dict=True), **members)
    header, _ = parts(Attester(key, key_id=key_id).attest(INSTANCE_JWK, "app"))
    assert header.get("kid") == sent


@pytest.mark.parametrize(
    ("jwk", "error"),
    [
        pytest.param(INSTANCE_KEY.export(as_dict=True), PrivateKey, id="private"),
        pytest.param(JWK.generate(kty="oct", size=256).export(as_dict=True), PrivateKey, id="symmetric"),
        pytest.param(public_jwk(JWK.generate(kty="RSA", size=1024)), WeakKey, id="weak"),
        pytest.param(INSTANCE_JWK | {"y": INSTANCE_JWK["x"]}, InvalidKey, id="off its curve"),
        pytest.param(INSTANCE_JWK | {"use": "enc"}, InvalidKey, id="for encryption"),
        pytest.param([], InvalidKey, id="no JWK"),
    ],
)
def test_an_instance_key_that_servers_would_refuse_is_not_attested(jwk: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Attester(KEY).attest(jwk, "app")


@pytest.mark.parametrize("name", sorted(OWN_CLAIMS))
def test_a_further_claim_replaces_none_of_the_attesters_own(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Attester(KEY).attest(INSTANCE_JWK, "app", claims={name: "x"})


@pytest.mark.parametrize(
    "client_id",
    ["", "a" * 256, "a\nb", "a\0", "a\x7f", "a\x85", "a\ud800", 7, None, b"app", ["app"]],
    ids=["empty", "long", "line break", "NUL", "DEL", "C1", "half a pair", "number", "none", "octets", "list"],
)
def test_an_attestation_names_its_client(client_id: Any) -> None:
    with pytest.raises(ValueError, match="client"):
        Attester(KEY).attest(INSTANCE_JWK, client_id)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), [-float("inf")], "\ud800", {"a": {"\udfff": 1}}, {1, 2}, b"octets"],
    ids=["NaN", "infinity", "within a list", "half a pair", "in a name", "set", "octets"],
)
def test_a_further_claim_is_one_that_servers_can_read(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Attester(KEY).attest(INSTANCE_JWK, "app", claims={"x": value})


@pytest.mark.parametrize(
    ("key", "error"),
    [
        pytest.param(JWK.generate(kty="oct", size=256), InvalidKey, id="symmetric"),
        pytest.param(JWK(**INSTANCE_JWK), InvalidKey, id="public"),
        pytest.param(JWK.generate(kty="RSA", size=1024), WeakKey, id="weak"),
    ],
)
def test_a_key_that_servers_would_refuse_does_not_sign(key: JWK, error: type[Exception]) -> None:
    with pytest.raises(error):
        Attester(key)


def test_an_algorithm_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UnsuitableAlgorithm):
        Attester(KEY, algorithm="RS256")


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("lifetime", "rounding"),
    [(119, 60), (60, 0), (0, 1), (-1, 1), (60, -1), (60, NAN), (NAN, 1), (INFINITY, 1), (INFINITY, INFINITY), (9, 1.5)],
)
def test_an_attestation_that_would_expire_in_no_time_is_not_offered(lifetime: int, rounding: int) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        Attester(KEY, lifetime=lifetime, rounding=rounding)


def test_another_attesters_key_signs_nothing_that_counts() -> None:
    token = Attester(generate_key()).attest(INSTANCE_JWK, "app", now=NOW)
    with pytest.raises(ClientAttestationError) as refused:
        verify(token, keys=[TrustedKey("Acme", parse_public_key(public_jwk(KEY)))])
    assert refused.value.reason is Reason.ATTESTATION_SIGNATURE
