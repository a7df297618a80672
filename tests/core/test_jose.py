"""Compact JWS (A10) and signatures (A2, A3, P2, P3), at the border to the JOSE library."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oauth_client_attestation.core.jose import (
    InvalidSignature,
    UnsuitableAlgorithm,
    UnverifiedJwt,
    parse_unverified,
    verify_signature,
)
from oauth_client_attestation.core.jwk import InvalidKey, parse_public_key
from oauth_client_attestation.core.keys import ASYMMETRIC_ALGORITHMS, PublicKey
from oauth_client_attestation.core.strict import MalformedJwt
from oauth_client_attestation.testing import generate_key, public_jwk, sign
from tests.core.support import ALGORITHMS, ED25519, P256, b64, private_key, unb64

# Compact JWS


@pytest.mark.refuses("A10")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("e30", id="one part"),
        pytest.param("e30.e30", id="two parts"),
        pytest.param("e30.e30.e30.e30", id="four parts"),
        pytest.param("e30.e30.e30.e30.e30", id="five parts"),
        pytest.param("..", id="three empty parts"),
        pytest.param("e30..AAAA", id="an empty payload"),
        pytest.param(".e30.AAAA", id="an empty header"),
    ],
)
def test_a_compact_jws_has_three_parts(value: str) -> None:
    with pytest.raises(MalformedJwt):
        parse_unverified(value)


@pytest.mark.refuses("A10")
@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param("e30=", id="padding"),
        pytest.param("e3=0", id="padding within"),
        pytest.param("e30====", id="much padding"),
        pytest.param("e", id="one character"),
        pytest.param("e30gI", id="one character too many"),
        pytest.param("e30+", id="the plus of base64"),
        pytest.param("e30/", id="the slash of base64"),
        pytest.param("e30?", id="the mark that foreign characters are mapped to"),
        pytest.param("e30 ", id="a space"),
        pytest.param("e30\n", id="a line feed"),
        pytest.param("e3\n0", id="a line feed within"),
        pytest.param("e30\0", id="a NUL"),
        pytest.param("e3é", id="a letter outside ASCII"),
        pytest.param("e3\ud800", id="a surrogate"),
    ],
)
def test_each_part_is_base64url_without_padding(position: int, part: str) -> None:
    parts = ["e30", "e30", "AAAA"]
    parts[position] = part
    with pytest.raises(MalformedJwt):
        parse_unverified(".".join(parts))


@pytest.mark.accepts("A10")
def test_a_parsed_token_is_what_was_signed() -> None:
    parsed = parse_unverified("eyJhbGciOiJFUzI1NiJ9.eyJhIjoiPz8_In0.-_8")
    assert parsed.header == {"alg": "ES256"}
    assert parsed.claims == {"a": "???"}
    assert parsed.signing_input == b"eyJhbGciOiJFUzI1NiJ9.eyJhIjoiPz8_In0"
    assert parsed.signature == b"\xfb\xff"


def test_a_header_that_was_parsed_before_cannot_be_changed() -> None:
    """Headers are parsed once and shared between requests."""
    first, second = (parse_unverified("eyJhbGciOiJFUzI1NiJ9.e30.AAAA") for _ in range(2))
    with pytest.raises(TypeError):
        first.header["alg"] = "none"  # type: ignore[index]  # what is tested
    assert second.header == {"alg": "ES256"}


# Signatures


def public(algorithm: str) -> PublicKey:
    return parse_public_key(public_jwk(private_key(algorithm)))


def signed(algorithm: str) -> UnverifiedJwt:
    return parse_unverified(sign(private_key(algorithm), {"alg": algorithm}, {"sub": "app"}))


def spoiled(jwt: UnverifiedJwt, **changes: bytes) -> UnverifiedJwt:
    return UnverifiedJwt(
        jwt.header,
        jwt.claims,
        changes.get("signing_input", jwt.signing_input),
        changes.get("signature", jwt.signature),
    )


def published(token: str) -> UnverifiedJwt:
    """Split a published example; its payload need not be the JSON that ``parse_unverified`` asks for."""
    signing_input, _, signature = token.rpartition(".")
    return UnverifiedJwt({}, {}, signing_input.encode("ascii"), unb64(signature))


OF_RSA = tuple(name for name in ALGORITHMS if name.startswith(("RS", "PS")))
#: For each key of the tests the algorithms that it fits.
FITTING = {
    "ES256": ("ES256",),
    "ES384": ("ES384",),
    "ES512": ("ES512",),
    "EdDSA": ("EdDSA", "Ed25519"),
    "RS256": OF_RSA,
}


def test_the_algorithms_are_these_and_no_other() -> None:
    assert set(ALGORITHMS) == ASYMMETRIC_ALGORITHMS


@pytest.mark.accepts("A2", "P2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_of_each_algorithm_verifies(algorithm: str) -> None:
    verify_signature(signed(algorithm), public(algorithm), algorithm)


@pytest.mark.accepts("A2")
def test_the_example_of_rfc_7515_appendix_a_3_verifies() -> None:
    token = (
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
        "Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    assert parse_unverified(token).claims["iss"] == "joe"
    verify_signature(parse_unverified(token), parse_public_key(P256), "ES256")


@pytest.mark.accepts("A2")
@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_the_example_of_rfc_8037_appendix_a_4_verifies(algorithm: str) -> None:
    token = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    verify_signature(published(token), parse_public_key(ED25519), algorithm)


@pytest.mark.refuses("A2", "P2")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("of_key", FITTING)
def test_an_algorithm_takes_its_own_kind_of_key_only(of_key: str, algorithm: str) -> None:
    """Refused before any cryptography, whatever the key would have made of it."""
    key = public(of_key)
    assert key.fits(algorithm) is (algorithm in FITTING[of_key])
    if not key.fits(algorithm):
        with pytest.raises(UnsuitableAlgorithm):
            verify_signature(signed(algorithm), key, algorithm)


@pytest.mark.refuses("A2", "P2")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "ES256K", "Ed448", "RS1", "es256", "ES256 ", ""])
@pytest.mark.parametrize("of_key", ["ES256", "EdDSA", "RS256"])
def test_an_algorithm_that_is_not_listed_fits_no_key(of_key: str, algorithm: str) -> None:
    assert not public(of_key).fits(algorithm)
    with pytest.raises(UnsuitableAlgorithm):
        verify_signature(signed(of_key), public(of_key), algorithm)


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", OF_RSA)
def test_a_signature_by_one_rsa_algorithm_is_none_by_another(algorithm: str) -> None:
    """What a key signed with PKCS #1 v1.5 is not a PSS signature, nor is one hash another."""
    for other in set(OF_RSA) - {algorithm}:
        with pytest.raises(InvalidSignature):
            verify_signature(signed(algorithm), public(algorithm), other)


@pytest.mark.accepts("A2", "P2")
@pytest.mark.parametrize(("signed_as", "verified_as"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_the_two_names_of_eddsa_over_ed25519_mean_the_same(signed_as: str, verified_as: str) -> None:
    verify_signature(signed(signed_as), parse_public_key(public_jwk(private_key(signed_as))), verified_as)


@pytest.mark.refuses("A2", "P2")
@pytest.mark.parametrize(
    ("of_key", "own", "fitting"),
    [
        ("RS256", "PS256", ["PS256"]),
        ("ES256", "ES256", ["ES256"]),
        ("EdDSA", "EdDSA", ["EdDSA", "Ed25519"]),
        ("Ed25519", "Ed25519", ["EdDSA", "Ed25519"]),
    ],
)
def test_a_key_that_names_its_algorithm_is_for_that_one(of_key: str, own: str, fitting: list[str]) -> None:
    """RFC 7517 section 4.4; RFC 9864 gave EdDSA over Ed25519 its second name."""
    key = parse_public_key({**public_jwk(private_key(of_key)), "alg": own})
    assert [algorithm for algorithm in ALGORITHMS if key.fits(algorithm)] == fitting


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda signature: b"", id="empty"),
        pytest.param(lambda signature: signature[:-1], id="an octet short at the end"),
        pytest.param(lambda signature: signature[1:], id="an octet short at the start"),
        pytest.param(lambda signature: signature + b"\0", id="a zero octet behind"),
        pytest.param(lambda signature: b"\0" + signature, id="a zero octet in front"),
        pytest.param(lambda signature: signature * 2, id="twice"),
        pytest.param(lambda signature: bytes(len(signature)), id="zeroes"),
        pytest.param(lambda signature: b"\xff" * len(signature), id="ones"),
        pytest.param(lambda signature: bytes([signature[0] ^ 1]) + signature[1:], id="the first octet changed"),
        pytest.param(lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]), id="the last octet changed"),
    ],
)
def test_a_spoiled_signature_is_refused(algorithm: str, change: Callable[[bytes], bytes]) -> None:
    jwt = signed(algorithm)
    with pytest.raises(InvalidSignature):
        verify_signature(spoiled(jwt, signature=change(jwt.signature)), public(algorithm), algorithm)


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r, s: b"\0" + r + b"\0" + s, id="both halves padded"),
        pytest.param(lambda r, s: s + r, id="the halves exchanged"),
        pytest.param(lambda r, s: bytes(len(r)) + s, id="r is zero"),
        pytest.param(lambda r, s: r + bytes(len(s)), id="s is zero"),
        pytest.param(lambda r, s: b"\x30\x44" + r + s, id="the start of a DER sequence in front"),
    ],
)
def test_an_ecdsa_signature_is_two_halves_of_fixed_length(
    algorithm: str, change: Callable[[bytes, bytes], bytes]
) -> None:
    """RFC 7518 section 3.4; a library that splits in the middle would take a padded one for good."""
    jwt = signed(algorithm)
    half = len(jwt.signature) // 2
    signature = change(jwt.signature[:half], jwt.signature[half:])
    with pytest.raises(InvalidSignature):
        verify_signature(spoiled(jwt, signature=signature), public(algorithm), algorithm)


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_a_der_signature_is_refused(algorithm: str) -> None:
    jwt = signed(algorithm)
    half = len(jwt.signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (jwt.signature[:half], jwt.signature[half:]))
    with pytest.raises(InvalidSignature):
        verify_signature(spoiled(jwt, signature=encode_dss_signature(r, s)), public(algorithm), algorithm)


@pytest.mark.refuses("A3", "P3")
def test_the_salt_of_pss_is_as_long_as_its_hash() -> None:
    """RFC 7518 section 3.5; the same signature with the right salt verifies."""
    key = private_key("PS256")
    signing_input = signed("PS256").signing_input

    def salted(length: int) -> UnverifiedJwt:
        scheme = padding.PSS(padding.MGF1(SHA256()), length)
        signature = key.get_op_key("sign").sign(signing_input, scheme, SHA256())
        return UnverifiedJwt({}, {}, signing_input, signature)

    verify_signature(salted(32), public("PS256"), "PS256")
    for length in (0, 20, 64):
        with pytest.raises(InvalidSignature):
            verify_signature(salted(length), public("PS256"), "PS256")


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_signed_counts_to_the_octet(algorithm: str) -> None:
    jwt = signed(algorithm)
    for signing_input in (jwt.signing_input + b"A", jwt.signing_input.swapcase(), b""):
        with pytest.raises(InvalidSignature):
            verify_signature(spoiled(jwt, signing_input=signing_input), public(algorithm), algorithm)


@pytest.mark.refuses("A3", "P3")
@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA"])
def test_another_key_of_the_same_kind_does_not_verify(algorithm: str) -> None:
    other = parse_public_key(public_jwk(generate_key(algorithm)))
    with pytest.raises(InvalidSignature):
        verify_signature(signed(algorithm), other, algorithm)


@pytest.mark.refuses("A7")
def test_an_ed25519_key_off_the_curve_lets_no_signature_in() -> None:
    """The library that loads it finds out only when it verifies; either will do."""
    with pytest.raises((InvalidKey, InvalidSignature)):
        verify_signature(signed("EdDSA"), parse_public_key({**ED25519, "x": b64(b"\2" + bytes(31))}), "EdDSA")
