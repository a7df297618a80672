"""The border to the JOSE library: strict parsing (A10), public keys (A7) and signatures (A2, A3, P2, P3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK

from oauth_client_attestation.core.jose import (
    ASYMMETRIC_ALGORITHMS,
    InvalidKey,
    InvalidSignature,
    MalformedJwt,
    PrivateKey,
    PublicKey,
    UnsuitableAlgorithm,
    UnverifiedJwt,
    WeakKey,
    parse_json_object,
    parse_public_key,
    parse_unverified,
    verify_signature,
)
from oauth_client_attestation.testing import generate_key, public_jwk, sign
from tests.core.support import ALGORITHMS, b64, private_key, unb64

HEADER = b'{"alg":"ES256"}'


def token(payload: bytes, header: bytes = HEADER) -> str:
    return f"{b64(header)}.{b64(payload)}.{b64(b'signature')}"


def nested(depth: int, kind: str) -> bytes:
    """Return an object that holds ``depth`` arrays or objects in each other, and one escape sequence."""
    opening, closing = {"arrays": (b"[", b"]"), "objects": (b'{"a":', b"}")}[kind]
    return b'{"\\u0061":' + opening * depth + b"1" + closing * depth + b"}"


# Strict parsing

NOT_STRICT_JSON = [
    pytest.param(b"", id="nothing"),
    pytest.param(b" ", id="white space"),
    pytest.param(b"null", id="null"),
    pytest.param(b"true", id="true"),
    pytest.param(b"1", id="a number"),
    pytest.param(b'"claims"', id="a string"),
    pytest.param(b"[]", id="an array"),
    pytest.param(b'[{"a":1}]', id="an object in an array"),
    pytest.param(b'{"a":1}{"b":2}', id="two objects"),
    pytest.param(b'{"a":1} x', id="an object and a word"),
    pytest.param(b'{"a":1,}', id="a trailing comma"),
    pytest.param(b"{'a':1}", id="single quotes"),
    pytest.param(b"{a:1}", id="a bare member name"),
    pytest.param(b'{"a":1/*c*/}', id="a comment"),
    pytest.param(b'{"a":01}', id="a leading zero"),
    pytest.param(b'{"a":0x1}', id="a hexadecimal number"),
    pytest.param(b'{"a":+1}', id="a leading plus"),
    pytest.param(b'{"a":.5}', id="no digit before the point"),
    pytest.param(b'{"a":"\n"}', id="a raw line feed in a string"),
    pytest.param(b'{"a":"\0"}', id="a raw NUL in a string"),
    pytest.param(b'{"a":"\\x41"}', id="an escape that JSON lacks"),
    pytest.param(b'{"a":1', id="an open end"),
    pytest.param(b'{"a":1,"a":1}', id="a member twice"),
    pytest.param(b'{"a":1,"b":2,"a":3}', id="a member twice with another between"),
    pytest.param(b'{"a":1,"\\u0061":2}', id="a member twice, once escaped"),
    pytest.param(b'{"":1,"":2}', id="the empty member twice"),
    pytest.param(b'{"a":{"b":1,"b":2}}', id="a member twice, one level down"),
    pytest.param(b'{"a":[[{"b":{"c":1,"c":1}}]]}', id="a member twice, deep within arrays"),
    pytest.param(b'{"a":NaN}', id="NaN"),
    pytest.param(b'{"a":Infinity}', id="Infinity"),
    pytest.param(b'{"a":-Infinity}', id="-Infinity"),
    pytest.param(b'{"a":1e999}', id="a number beyond every float"),
    pytest.param(b'{"a":-1e999}', id="a negative one"),
    pytest.param(b'{"a":[{"b":1.0E+309}]}', id="one deep within"),
    pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="an integer of 5000 digits"),
    pytest.param(b'{"a":"\xff"}', id="an octet that UTF-8 lacks"),
    pytest.param(b'{"a":"\xc0\xaf"}', id="an overlong encoding"),
    pytest.param(b'{"a":"\xed\xa0\x80"}', id="an encoded surrogate"),
    pytest.param(b'{"a":"\\ud800"}', id="a lone surrogate"),
    pytest.param(b'{"a":"\\udc00\\ud800"}', id="surrogates in the wrong order"),
    pytest.param(b'{"\\uDFFF":1}', id="a lone surrogate in a member name"),
    pytest.param(b'{"a":[{"b":"x\\ud83dx"}]}', id="a lone surrogate deep within"),
    pytest.param(b'\xef\xbb\xbf{"a":1}', id="a byte order mark"),
    pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
    pytest.param('{"a":1}'.encode("utf-32-le"), id="UTF-32"),
    pytest.param(nested(100_000, "arrays"), id="100000 arrays in each other"),
    pytest.param(nested(100_000, "objects"), id="100000 objects in each other"),
    pytest.param(b'{"a":' + b"[" * 100_000, id="100000 arrays never closed"),
]


@pytest.mark.refuses("A10")
@pytest.mark.parametrize("text", NOT_STRICT_JSON)
def test_anything_but_one_strict_object_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedJwt):
        parse_json_object(text)
    with pytest.raises(MalformedJwt):
        parse_unverified(token(text))
    with pytest.raises(MalformedJwt):
        parse_unverified(token(b"{}", header=text))


@pytest.mark.refuses("A10")
@pytest.mark.parametrize("kind", ["arrays", "objects"])
def test_nesting_is_refused_or_read_but_never_overflows(kind: str) -> None:
    """At the depth where parsing gives up, and a little before and after, nothing but MalformedJwt comes out."""

    def readable(depth: int) -> bool:
        try:
            parse_json_object(nested(depth, kind).replace(b"\\u0061", b"a"))
        except MalformedJwt:
            return False
        return True

    low, high = 1, 100_000
    assert readable(low)
    assert not readable(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if readable(middle) else (low, middle)
    outcomes = set()
    for depth in range(low - 10, low + 10):
        try:
            parse_json_object(nested(depth, kind))
        except MalformedJwt:
            outcomes.add("malformed")
        else:
            outcomes.add("read")
    assert outcomes == {"read", "malformed"}


@pytest.mark.accepts("A10")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"{}", {}, id="an empty object"),
        pytest.param(b' \r\n\t{"a": 1}\n', {"a": 1}, id="white space around it"),
        pytest.param(b'{"a":{"b":1},"b":{"b":1}}', {"a": {"b": 1}, "b": {"b": 1}}, id="a name once a level"),
        pytest.param(b'{"a":1,"A":2}', {"a": 1, "A": 2}, id="names that differ in case"),
        pytest.param(b'{"a":1.5e3,"b":-0.5}', {"a": 1500.0, "b": -0.5}, id="fractions and exponents"),
        pytest.param('{"ä":"€\\u20ac"}'.encode(), {"ä": "€€"}, id="text outside ASCII, raw and escaped"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}, id="a pair of surrogates"),
        pytest.param(b'{"a":"\\\\ud800"}', {"a": "\\ud800"}, id="an escaped backslash before ud800"),
        pytest.param(b'{"a":' + b"9" * 400 + b"}", {"a": int("9" * 400)}, id="an integer of 400 digits"),
        pytest.param(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", None, id="a hundred arrays in each other"),
    ],
)
def test_strict_json_is_read(text: bytes, value: dict[str, Any] | None) -> None:
    parsed = parse_unverified(token(text)).claims
    assert parsed == (json.loads(text) if value is None else value)


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
        first.header["alg"] = "none"  # type: ignore[index]
    assert second.header == {"alg": "ES256"}


# Public keys

P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RSA = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn"
        "Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqb"
        "w0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
}
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


@pytest.mark.refuses("A7")
def test_an_ed25519_key_off_the_curve_lets_no_signature_in() -> None:
    """The library that loads it finds out only when it verifies; either will do."""
    with pytest.raises((InvalidKey, InvalidSignature)):
        verify_signature(signed("EdDSA"), parse_public_key({**ED25519, "x": b64(b"\2" + bytes(31))}), "EdDSA")


def test_an_error_shows_no_part_of_the_key() -> None:
    for jwk in ({**P256, "y": P256["x"]}, {**P256, "d": "secret"}, rsa(1024), {**P256, "x": "secret!"}):
        with pytest.raises(InvalidKey) as caught:
            parse_public_key(jwk)
        for name, value in jwk.items():
            assert name in ("kty", "crv") or value not in str(caught.value)


def test_a_key_does_not_show_itself() -> None:
    assert "object at" not in repr(parse_public_key(P256))
    assert P256["x"] not in repr(parse_public_key(P256))


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


@pytest.mark.refuses("A3", "P3")
def test_a_loaded_key_only_verifies() -> None:
    """The JOSE library asks a key for what it wants to do with it."""
    with pytest.raises(ValueError, match="only verifies"):
        public("ES256").loaded.get_op_key("sign")
