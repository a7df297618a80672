"""Strict JSON (A10): one object that every parser reads alike, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oauth_client_attestation.core.jose import parse_unverified
from oauth_client_attestation.core.strict import MalformedJwt, parse_json_object
from tests.core.support import b64

HEADER = b'{"alg":"ES256"}'


def token(payload: bytes, header: bytes = HEADER) -> str:
    return f"{b64(header)}.{b64(payload)}.{b64(b'signature')}"


def nested(depth: int, kind: str) -> bytes:
    """Return an object that holds ``depth`` arrays or objects in each other, and one escape sequence."""
    opening, closing = {"arrays": (b"[", b"]"), "objects": (b'{"a":', b"}")}[kind]
    return b'{"\\u0061":' + opening * depth + b"1" + closing * depth + b"}"


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


@pytest.mark.accepts("A10")
def test_many_arrays_beside_each_other_are_not_deep() -> None:
    assert parse_json_object(b'{"a":[' + b"[]," * 300 + b"[]]}") == {"a": [[]] * 301}


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
