"""A JWK Set as an operator enters it: each mistake is refused with its own message, which never shows key material."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from oauth_client_attestation.testing import generate_key, public_jwk
from oauth_client_attestation.trust.jwks import MAX_KEYS, parse_jwks
from tests.kit import table

EC = generate_key("ES256")
OTHER = generate_key("ES256")
RSA = generate_key("RS256")
PUBLIC = public_jwk(EC)
RSA_PUBLIC = public_jwk(RSA)


def _number(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


WEAK_RSA = {"kty": "RSA", "n": _number(b"\xc1" + b"\x01" * 127), "e": "AQAB"}
OFF_CURVE = {**PUBLIC, "y": public_jwk(OTHER)["y"]}


def codes(text: str | bytes) -> list[str | None]:
    """Return the code of the refusal, after having seen that its message can be shown."""
    with pytest.raises(ValidationError) as caught:
        parse_jwks(text)
    message = " ".join(caught.value.messages)
    assert message
    for key in (EC, RSA):
        private = json.loads(key.export_private())
        assert not any(len(value) > 8 and value in message for value in private.values() if isinstance(value, str))
    return [error.code for error in caught.value.error_list]


def key_set(*keys: Any, **members: Any) -> str:
    """Return a JWK Set."""
    return json.dumps({"keys": list(keys), **members})


@table(
    "text",
    {
        "a set with one key": key_set(PUBLIC),
        "a single key without a set": json.dumps(PUBLIC),
        "a set with members that mean nothing here": key_set(PUBLIC, note="of our wallet"),
        "white space around it": "\n  " + key_set(PUBLIC) + "\n",
        "octets, as a file has them": key_set(PUBLIC).encode(),
        "members of a key that mean nothing here": key_set({**PUBLIC, "x5c": ["…"], "key_ops": ["verify"]}),
    },
)
@pytest.mark.accepts("T1")
def test_a_good_set(text: str | bytes) -> None:
    (key,) = parse_jwks(text)
    assert key.thumbprint == EC.thumbprint()
    assert key.jwk == {name: PUBLIC[name] for name in ("kty", "crv", "x", "y")}


@pytest.mark.accepts("T1")
def test_what_is_kept_of_a_key() -> None:
    (key,) = parse_jwks(key_set({**PUBLIC, "kid": "2026", "use": "sig", "alg": "ES256", "x5t": "…"}))
    assert key.key_id == "2026"
    assert key.jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


@table("algorithm", {name: name for name in ("ES256", "ES384", "ES512", "Ed25519", "RS256")})
@pytest.mark.accepts("T1")
def test_every_key_type_that_can_verify(algorithm: str) -> None:
    key = generate_key(algorithm)
    assert parse_jwks(json.dumps(public_jwk(key)))[0].thumbprint == key.thumbprint()


@table(
    "text, code",
    {
        "nothing": ("", "jwks_json"),
        "not JSON": ("-----BEGIN PUBLIC KEY-----", "jwks_json"),
        "not UTF-8": (b"\xff{}", "jwks_json"),
        "a lone surrogate": ("\ud800", "jwks_json"),
        "a list": (json.dumps([PUBLIC]), "jwks_json"),
        "a member twice": ('{"keys": [], "keys": []}', "jwks_json"),
        "a member of a key twice": (key_set(PUBLIC).replace('"kty"', '"kty": "RSA", "kty"'), "jwks_json"),
        "deeply nested": ("[" * 100_000, "jwks_json"),
        "an empty set": (key_set(), "jwks_empty"),
        "keys that are no list": (json.dumps({"keys": PUBLIC}), "jwks_empty"),
        "keys that are null": (json.dumps({"keys": None}), "jwks_empty"),
        "an empty object": ("{}", "jwk_invalid"),
        "a URL of a set": ('{"jwks_uri": "https://attester.example/jwks"}', "jwk_invalid"),
        "a key that is a string": (key_set("key"), "jwk_invalid"),
        "a private EC key": (EC.export_private(), "jwk_private"),
        "a private RSA key": (key_set(json.loads(RSA.export_private())), "jwk_private"),
        "a private key as the second one": (key_set(PUBLIC, json.loads(RSA.export_private())), "jwk_private"),
        "a private member without a value": (key_set({**PUBLIC, "d": ""}), "jwk_private"),
        "a secret key": (key_set({"kty": "oct", "k": "c2VjcmV0IHNlY3JldA"}), "jwk_private"),
        "a secret key without its value": (key_set({"kty": "oct"}), "jwk_private"),
        "RSA with 1024 bits": (key_set(WEAK_RSA), "jwk_invalid"),
        "RSA with an even exponent": (key_set({**RSA_PUBLIC, "e": "BA"}), "jwk_invalid"),
        "a point off its curve": (key_set(OFF_CURVE), "jwk_invalid"),
        "a coordinate that is too short": (key_set({**PUBLIC, "x": PUBLIC["x"][:-4]}), "jwk_invalid"),
        "a coordinate with padding": (key_set({**PUBLIC, "x": PUBLIC["x"] + "="}), "jwk_invalid"),
        "a missing coordinate": (key_set({"kty": "EC", "crv": "P-256", "x": PUBLIC["x"]}), "jwk_invalid"),
        "a curve that is not offered": (key_set({**PUBLIC, "crv": "secp256k1"}), "jwk_invalid"),
        "a key for encryption": (key_set({**PUBLIC, "use": "enc"}), "jwk_invalid"),
        "a key that only signs": (key_set({**PUBLIC, "key_ops": ["sign"]}), "jwk_invalid"),
        "an alg of another key type": (key_set({**PUBLIC, "alg": "RS256"}), "jwk_invalid"),
        "an alg that does not exist": (key_set({**PUBLIC, "alg": "ES257"}), "jwk_invalid"),
        "a MAC as its alg": (key_set({**PUBLIC, "alg": "HS256"}), "jwk_invalid"),
        "a kid that is a number": (key_set({**PUBLIC, "kid": 1}), "jwk_kid"),
        "a kid that is null": (key_set({**PUBLIC, "kid": None}), "jwk_kid"),
        "a kid that is too long": (key_set({**PUBLIC, "kid": "k" * 256}), "jwk_kid"),
        "a kid with a line feed": (key_set({**PUBLIC, "kid": "a\nb"}), "jwk_kid"),
        "the same key twice": (key_set(PUBLIC, PUBLIC), "jwk_duplicate"),
        "the same key under two kids": (
            key_set({**PUBLIC, "kid": "1"}, {**PUBLIC, "kid": "2"}),
            "jwk_duplicate",
        ),
        "two keys with one kid": (
            key_set({**PUBLIC, "kid": "1"}, {**public_jwk(OTHER), "kid": "1"}),
            "jwk_duplicate_kid",
        ),
        "one key too many": (key_set(*[PUBLIC] * (MAX_KEYS + 1)), "jwks_too_many"),
    },
)
@pytest.mark.refuses("T1")
def test_a_mistake(text: str | bytes, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.refuses("T1")
def test_an_alg_that_is_a_list() -> None:
    assert codes(key_set({**PUBLIC, "alg": ["ES256"]})) == ["jwk_invalid"]


@pytest.mark.accepts("T1")
def test_as_many_keys_as_allowed() -> None:
    keys = [{**public_jwk(generate_key()), "kid": str(number)} for number in range(MAX_KEYS)]
    assert len(parse_jwks(key_set(*keys))) == MAX_KEYS


@pytest.mark.accepts("T1")
def test_a_kid_as_long_as_allowed() -> None:
    assert parse_jwks(key_set({**PUBLIC, "kid": "k" * 255}))[0].key_id == "k" * 255


def test_keys_without_a_kid_may_be_several() -> None:
    keys = parse_jwks(key_set(PUBLIC, public_jwk(OTHER)))
    assert [key.key_id for key in keys] == ["", ""]


def test_the_message_says_which_key() -> None:
    with pytest.raises(ValidationError, match=r"Key 2 is not acceptable"):
        parse_jwks(key_set(PUBLIC, OFF_CURVE))
