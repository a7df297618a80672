"""Public keys as JWKs (A7)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from jwcrypto.jwk import JWK

from oauth_client_attestation.core.jwk import InvalidKey, PrivateKey, WeakKey, parse_public_key
from oauth_client_attestation.testing import public_jwk
from tests.core.support import ALGORITHMS, ED25519, P256, RSA, b64, private_key, unb64

KEYS = {"EC": P256, "OKP": ED25519, "RSA": RSA}


def big_endian(number: int) -> str:
    return b64(number.to_bytes(-(-number.bit_length() // 8), "big"))


def rsa(bits: int, exponent: int = 65537) -> dict[str, str]:
    """Return an RSA key by its size alone: nobody signs with it, so its modulus need have no known factors."""
    return {"kty": "RSA", "n": big_endian((1 << (bits - 1)) | 1), "e": big_endian(exponent)}


def other_spellings(value: str) -> list[str]:
    """Return the base64url spellings of the same octets that differ in the last character's unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    octets = unb64(value)
    spellings = [value[:-1] + last for last in alphabet if value[-1] != last]
    return [spelling for spelling in spellings if unb64(spelling) == octets]


@pytest.mark.accepts("A7")
@pytest.mark.parametrize(
    ("jwk", "thumbprint"),
    [
        pytest.param(RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", id="RFC 7638 section 3.1"),
        pytest.param(ED25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", id="RFC 8037 appendix A.3"),
    ],
)
def test_thumbprints_are_those_of_the_rfcs(jwk: dict[str, str], thumbprint: str) -> None:
    assert parse_public_key(jwk).thumbprint == thumbprint


@pytest.mark.accepts("A7")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_thumbprints_agree_with_the_jose_library(algorithm: str) -> None:
    key = private_key(algorithm)
    parsed = parse_public_key(public_jwk(key))
    assert parsed.thumbprint == key.thumbprint()
    assert (parsed.key_type, parsed.curve) == (key["kty"], key.get("crv"))


@pytest.mark.accepts("A7")
@pytest.mark.parametrize("kty", KEYS)
def test_only_the_required_members_make_the_thumbprint(kty: str) -> None:
    jwk = KEYS[kty]
    extended = {
        "use": "sig",
        "key_ops": ["verify"],
        "kid": "1",
        "x5c": ["not looked at"],
        "x5t": 7,
        "alg": {"EC": "ES256", "OKP": "EdDSA", "RSA": "PS256"}[kty],
        **dict(reversed(jwk.items())),
    }
    assert parse_public_key(extended) == parse_public_key(jwk)
    assert parse_public_key(extended).thumbprint == parse_public_key(jwk).thumbprint


@pytest.mark.accepts("A7")
@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param({**P256, "use": "sig"}, id="use for signatures"),
        pytest.param({**P256, "use": None}, id="use null"),
        pytest.param({**P256, "key_ops": ["verify"]}, id="key_ops to verify"),
        pytest.param({**P256, "key_ops": ["sign", "verify", "x"]}, id="key_ops to verify among others"),
        pytest.param({**P256, "alg": "ES256"}, id="alg of the curve"),
        pytest.param({**P256, "alg": None}, id="alg null"),
        pytest.param({**ED25519, "alg": "EdDSA"}, id="EdDSA"),
        pytest.param({**ED25519, "alg": "Ed25519"}, id="Ed25519"),
        pytest.param({**RSA, "alg": "PS512"}, id="alg of RSA"),
        pytest.param({**P256, "kid": {}, "x5u": 1, "": []}, id="members unknown here"),
        pytest.param(rsa(2048), id="RSA with 2048 bits"),
        pytest.param(rsa(8192), id="RSA with 8192 bits"),
        pytest.param(rsa(2048, exponent=3), id="RSA with the exponent 3"),
        pytest.param(rsa(2048, exponent=2**32 - 1), id="RSA with an exponent of 32 bits"),
    ],
)
def test_a_public_key_for_signatures_is_accepted(jwk: dict[str, Any]) -> None:
    assert parse_public_key(jwk).key_type == jwk["kty"]


@pytest.mark.refuses("A7")
@pytest.mark.parametrize("kty", KEYS)
@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
@pytest.mark.parametrize("value", ["AQAB", None, 0], ids=["base64url", "null", "zero"])
def test_a_private_member_is_refused_whatever_it_holds(kty: str, member: str, value: object) -> None:
    with pytest.raises(PrivateKey):
        parse_public_key({**KEYS[kty], member: value})


@pytest.mark.refuses("A7")
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_key_pair_is_refused(algorithm: str) -> None:
    with pytest.raises(PrivateKey):
        parse_public_key(json.loads(private_key(algorithm).export_private()))


@pytest.mark.refuses("A7")
@pytest.mark.parametrize("jwk", [{"kty": "oct", "k": "AQAB"}, {"kty": "oct"}, {**P256, "kty": "oct"}])
def test_a_symmetric_key_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(PrivateKey):
        parse_public_key(jwk)


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(rsa(1024), id="1024 bits"),
        pytest.param(rsa(2047), id="2047 bits"),
        pytest.param(rsa(8193), id="8193 bits"),
        pytest.param({**RSA, "n": "AQ"}, id="one bit"),
        pytest.param(rsa(2048, exponent=1), id="the exponent 1"),
        pytest.param(rsa(2048, exponent=2), id="the exponent 2"),
        pytest.param(rsa(2048, exponent=65536), id="an even exponent"),
        pytest.param(rsa(2048, exponent=2**32 + 1), id="an exponent of 33 bits"),
        pytest.param({**RSA, "e": RSA["n"]}, id="an exponent of 2048 bits"),
    ],
)
def test_a_weak_rsa_key_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(WeakKey):
        parse_public_key(jwk)


UNUSABLE = [
    pytest.param({**P256, "kty": "ec"}, id="kty in lower case"),
    pytest.param({**P256, "kty": "AKP"}, id="an unknown kty"),
    pytest.param({**P256, "kty": None}, id="kty null"),
    pytest.param({**P256, "kty": ["EC"]}, id="kty an array"),
    pytest.param({**P256, "kty": {}}, id="kty an object"),
    pytest.param({**P256, "kty": "OKP"}, id="an EC curve as OKP"),
    pytest.param({**ED25519, "kty": "EC", "y": ED25519["x"]}, id="an OKP curve as EC"),
    pytest.param({**P256, "crv": "P-192"}, id="a curve too small"),
    pytest.param({**P256, "crv": "p-256"}, id="crv in lower case"),
    pytest.param({**P256, "crv": "P-384"}, id="another curve's name"),
    pytest.param({**P256, "crv": "secp256k1"}, id="secp256k1"),
    pytest.param({**P256, "crv": "BP-256"}, id="an unknown curve"),
    pytest.param({**P256, "crv": ["P-256"]}, id="crv an array"),
    pytest.param(json.loads(JWK.generate(kty="EC", crv="secp256k1").export_public()), id="a secp256k1 key"),
    pytest.param(
        {"kty": "OKP", "crv": "Ed448", "x": b64(Ed448PrivateKey.generate().public_key().public_bytes_raw())},
        id="an Ed448 key",
    ),
    pytest.param({**ED25519, "crv": "X25519"}, id="a key for agreement, not signatures"),
    pytest.param({**P256, "use": "enc"}, id="use for encryption"),
    pytest.param({**P256, "use": ["sig"]}, id="use an array"),
    pytest.param({**P256, "use": ""}, id="use empty"),
    pytest.param({**P256, "key_ops": ["sign"]}, id="key_ops without verify"),
    pytest.param({**P256, "key_ops": []}, id="no key_ops"),
    pytest.param({**P256, "key_ops": "verify"}, id="key_ops a string"),
    pytest.param({**P256, "key_ops": [["verify"], {}]}, id="key_ops of arrays"),
    pytest.param({**P256, "key_ops": {"verify": True}}, id="key_ops an object"),
    pytest.param({**P256, "alg": "ES384"}, id="alg of another curve"),
    pytest.param({**P256, "alg": "RS256"}, id="alg of another key type"),
    pytest.param({**P256, "alg": "HS256"}, id="a symmetric alg"),
    pytest.param({**P256, "alg": "none"}, id="alg none"),
    pytest.param({**P256, "alg": "ECDH-ES"}, id="alg for key agreement"),
    pytest.param({**P256, "alg": ""}, id="alg empty"),
    pytest.param({**P256, "alg": 256}, id="alg a number"),
    pytest.param({**P256, "alg": ["ES256"]}, id="alg an array"),
    pytest.param({**P256, "alg": {"ES256": 1}}, id="alg an object"),
    pytest.param({**RSA, "alg": "RSA-OAEP"}, id="alg for encryption"),
    pytest.param({**RSA, "alg": "ES256"}, id="an EC alg for RSA"),
    pytest.param({**ED25519, "alg": "Ed448"}, id="alg of another OKP curve"),
    pytest.param({**P256, "y": P256["x"]}, id="a point off its curve"),
    pytest.param({**P256, "x": "A" * 43, "y": "A" * 43}, id="the point 0, 0"),
    pytest.param({**P256, "x": b64(b"\xff" * 32)}, id="a coordinate beyond the field"),
    pytest.param({**P256, "x": b64(b"\0" + unb64(P256["x"]))}, id="a coordinate with a zero in front"),
    pytest.param({**P256, "x": b64(unb64(P256["x"])[1:])}, id="a coordinate an octet short"),
    pytest.param({**P256, "x": b64(b"\1" * 10_000)}, id="a coordinate of 10000 octets"),
    pytest.param({**ED25519, "x": b64(unb64(ED25519["x"])[1:])}, id="an Ed25519 key an octet short"),
    pytest.param({**ED25519, "x": b64(unb64(ED25519["x"]) + b"\0")}, id="an Ed25519 key an octet long"),
    pytest.param({**P256, "x": P256["x"] + "="}, id="a padded coordinate"),
    pytest.param({**P256, "y": P256["y"].replace("_", "/")}, id="base64 instead of base64url"),
    pytest.param({**P256, "x": P256["x"] + "\n"}, id="a coordinate and a line feed"),
    pytest.param({**P256, "x": "é" * 43}, id="a coordinate outside ASCII"),
    pytest.param({**P256, "x": 1}, id="a coordinate as a number"),
    pytest.param({**P256, "x": None}, id="a coordinate null"),
    pytest.param({**P256, "x": ""}, id="a coordinate empty"),
    pytest.param({**RSA, "n": b64(b"\0" + unb64(RSA["n"]))}, id="a modulus with a zero octet in front"),
    pytest.param({**RSA, "e": b64(b"\0\1\0\1")}, id="an exponent with a zero octet in front"),
    pytest.param({**RSA, "e": "AA"}, id="the exponent 0"),
    pytest.param({**RSA, "e": 65537}, id="an exponent as a number"),
]


@pytest.mark.refuses("A7")
@pytest.mark.parametrize("jwk", UNUSABLE)
def test_an_unusable_key_is_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(InvalidKey) as caught:
        parse_public_key(jwk)
    assert not isinstance(caught.value, PrivateKey | WeakKey)


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(("kty", "member"), [(kty, member) for kty, jwk in KEYS.items() for member in jwk])
def test_a_key_that_lacks_a_member_is_refused(kty: str, member: str) -> None:
    with pytest.raises(InvalidKey):
        parse_public_key({name: value for name, value in KEYS[kty].items() if name != member})


@pytest.mark.refuses("A7")
@pytest.mark.parametrize("jwk", [None, True, 1, "EC", [], [P256], [["kty", "EC"]]])
def test_a_key_that_is_no_object_is_refused(jwk: object) -> None:
    with pytest.raises(InvalidKey):
        parse_public_key(jwk)


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(("kty", "member"), [("EC", "x"), ("EC", "y"), ("OKP", "x"), ("RSA", "n")])
def test_one_key_has_one_spelling_and_so_one_thumbprint(kty: str, member: str) -> None:
    spellings = other_spellings(KEYS[kty][member])
    assert spellings
    for spelling in spellings:
        with pytest.raises(InvalidKey):
            parse_public_key({**KEYS[kty], member: spelling})


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(("crv", "octets"), [("P-256", 32), ("P-384", 48), ("P-521", 66)])
def test_coordinates_have_exactly_the_length_of_their_curve(crv: str, octets: int) -> None:
    """RFC 7518 section 6.2.1.2; a key whose coordinate starts with a zero octet must keep it."""
    jwk = json.loads(JWK.generate(kty="EC", crv=crv).export_public())
    assert parse_public_key(jwk).curve == crv
    assert len(unb64(jwk["x"])) == octets
    for name in ("x", "y"):
        for length in (octets - 1, octets + 1):
            value = unb64(jwk[name])
            changed = value[1:] if length < octets else b"\0" + value
            with pytest.raises(InvalidKey):
                parse_public_key({**jwk, name: b64(changed)})


@pytest.mark.refuses("A7")
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\1" + bytes(31), id="the neutral element"),
        pytest.param(b"\xec" + b"\xff" * 30 + b"\x7f", id="the point of order 2"),
        pytest.param(bytes(32), id="a point of order 4"),
        pytest.param(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            id="a point of order 8",
        ),
        pytest.param(b"\xee" + b"\xff" * 30 + b"\x7f", id="another spelling of the neutral element"),
    ],
)
def test_an_ed25519_key_of_small_order_is_refused(octets: bytes) -> None:
    """Under such a key anybody makes signatures without a private key, so it proves possession of nothing."""
    with pytest.raises(InvalidKey):
        parse_public_key({**ED25519, "x": b64(octets)})


def test_an_error_shows_no_part_of_the_key() -> None:
    for jwk in ({**P256, "y": P256["x"]}, {**P256, "d": "secret"}, rsa(1024), {**P256, "x": "secret!"}):
        with pytest.raises(InvalidKey) as caught:
            parse_public_key(jwk)
        for name, value in jwk.items():
            assert name in ("kty", "crv") or value not in str(caught.value)


def test_a_key_does_not_show_itself() -> None:
    assert "object at" not in repr(parse_public_key(P256))
    assert P256["x"] not in repr(parse_public_key(P256))
