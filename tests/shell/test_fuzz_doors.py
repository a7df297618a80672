"""Whatever the two header fields hold, every door answers in JSON with an error of the specification, never with a 500.

The tokens are signed by the real attester and the real instance, so that what is wrong in them is reached.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.testing import ABSENT, generate_key, request_headers, sign
from tests import fuzzing
from tests.kit import CHALLENGE_FIELD, DOORS, ISSUER, SENTENCES, AttestedClient, Door, basic, edited

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)


def examples(count: int) -> Callable[[Any], Any]:
    """Run a property on ``count`` examples. They share a database, an attester and an instance: none depends on what
    another one left there."""
    return settings(
        max_examples=fuzzing.examples(count),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


#: What a field can hold once a server has decoded it as latin-1, the octets that servers refuse themselves included.
FIELDS = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text("abcXYZ019-_.,; =\"'\t\0\x7f\xe9", max_size=60),
    st.from_regex(r"\A[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){0,4}\Z"),
    st.integers(1, 40_000).map("a".__mul__),
    st.integers(5_000, 40_000).map(lambda size: "e30." + "a" * size + ".a"),
)

_NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, -0.0, 1e308, -1e308, 2**63, 2**64, 10**30, 10**400, 253_402_300_800, time.time() * 1000]),
)
_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\0", "\ud800", "\U0001f600", "x" * 3000, "none", "app", "ES256", "HS256", ISSUER, "application/"]
    ),
)
#: Any JSON value, absurd ones included; lone surrogates arrive as escapes.
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

ATTESTATION_CLAIMS = ("sub", "exp", "iat", "nbf", "iss", "cnf", "aud", "status", "wallet_name")
POP_CLAIMS = ("aud", "jti", "iat", "exp", "nbf", "iss", "challenge", "nonce")
HEADER_PARAMETERS = ("typ", "alg", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5t#S256", "zip", "cty")


def check(door: Door, client: AttestedClient, response: Any) -> None:
    """Assert what every answer to an attested request has, good or bad."""
    assert response.status_code in {door.status, 400}, response.content
    assert CHALLENGE_FIELD in response.headers
    if response.status_code == 400:
        assert response.headers["Content-Type"].split(";")[0] == "application/json"
        error = response.json()
        assert error == {"error": error["error"], "error_description": SENTENCES[error["error"]]}
        assert "no-store" in response.headers["Cache-Control"]
    else:
        assert door.passed(response), response.content


def send(door: Door, client: AttestedClient, attestation: str, pop: str) -> Any:
    """Send a request with two fields; return the response, which has passed :func:`check`."""
    parameters = door.prepare(client.application)
    response = door.send(client.http, parameters, headers=request_headers(attestation, pop))
    check(door, client, response)
    return response


@pytest.fixture
def client(door: Door) -> AttestedClient:
    """An attested client at ``door``, over an HTTP client that shows a server error instead of raising it."""
    client = door.register()
    client.http.raise_request_exception = False
    return client


@every_door
@given(attestation=FIELDS, pop=FIELDS, spoil=st.sampled_from(["both", "attestation", "pop"]))
@examples(30)
@pytest.mark.refuses("H3", "H4", "A10", "E7")
def test_any_field_values(door: Door, client: AttestedClient, attestation: str, pop: str, spoil: str) -> None:
    response = send(
        door,
        client,
        client.attestation() if spoil == "pop" else attestation,
        client.pop() if spoil == "attestation" else pop,
    )
    assert response.status_code == 400


_MEMBERS = st.one_of(
    st.tuples(st.just("attestation"), st.just("claims"), st.sampled_from(ATTESTATION_CLAIMS)),
    st.tuples(st.just("pop"), st.just("claims"), st.sampled_from(POP_CLAIMS)),
    st.tuples(st.sampled_from(["attestation", "pop"]), st.just("header"), st.sampled_from(HEADER_PARAMETERS)),
    st.tuples(st.sampled_from(["attestation", "pop"]), st.sampled_from(["claims", "header"]), st.text(max_size=8)),
)


@every_door
@given(member=_MEMBERS, value=VALUES)
@examples(60)
@pytest.mark.accepts("A8", "P9")
@pytest.mark.refuses("A10", "E7")
def test_any_value_of_any_member(door: Door, client: AttestedClient, member: tuple[str, str, str], value: Any) -> None:
    token, part, name = member
    tokens = {"attestation": client.attestation(), "pop": client.pop()}
    key = client.backend.key if token == "attestation" else client.instance.key

    def change(octets: bytes) -> bytes:
        return json.dumps({**json.loads(octets), name: value}).encode()

    changed = {"header" if part == "header" else "payload": change}
    tokens[token] = edited(tokens[token], key=key, **changed)
    send(door, client, **tokens)


#: What each required claim may be; every other JSON type must be refused.
REQUIRED = [
    *(("attestation", name, type_) for name, type_ in (("sub", str), ("exp", float), ("cnf", dict))),
    *(("pop", name, type_) for name, type_ in (("aud", str), ("jti", str), ("iat", float), ("challenge", str))),
]


@pytest.mark.parametrize("door", [DOORS[2], DOORS[4], DOORS[6], DOORS[8]], ids=str)
@given(claim=st.sampled_from(REQUIRED), value=VALUES)
@examples(50)
@pytest.mark.refuses("A4", "A5", "A7", "A10", "P4", "P5", "P6", "P7")
def test_a_required_claim_of_another_type_is_refused(
    door: Door, client: AttestedClient, claim: tuple[str, str, type], value: Any
) -> None:
    """Signed by :func:`oauth_client_attestation.testing.sign`, so this is what a site's own tests can send too."""
    token, name, expected = claim
    if expected is float and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    elif isinstance(value, expected):
        value = [value, value]
    challenge = fresh_challenge()
    attestation = {
        "sub": "app",
        "iat": int(time.time()),
        "exp": int(time.time()) + 3600,
        "cnf": {"jwk": client.instance.public_jwk},
    }
    pop = {"aud": ISSUER, "jti": str(time.time_ns()), "iat": int(time.time()), "challenge": challenge}
    (attestation if token == "attestation" else pop)[name] = value
    response = send(
        door,
        client,
        sign(
            client.backend.key,
            {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": client.backend.key_id},
            attestation,
        ),
        sign(client.instance.key, {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}, pop),
    )
    assert response.status_code == 400


def _nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * depth + b"]" * depth + b"}"


#: Payloads that are no JSON object, or one that two parsers could read differently.
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.integers(1, 5500).map(_nested),
    st.integers(1, 2000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(300, 10_000).map(lambda digits: b'{"exp":1' + b"0" * digits + b"}"),
    st.sampled_from(
        [
            b"",
            b"null",
            b"[]",
            b'"app"',
            b"1e999",
            b"{",
            b'{"sub":"app","sub":"app"}',
            b'{"exp":1e999}',
            b'{"exp":NaN}',
            b'{"exp":-Infinity}',
            b'{"sub":"\\ud800"}',
            b'{"sub":"\xff"}',
            b"\xef\xbb\xbf{}",
            '{"sub":"app"}'.encode("utf-16"),
            b'{"sub":"app"} {}',
        ]
    ),
)


@every_door
@given(token=st.sampled_from(["attestation", "pop"]), part=st.sampled_from(["header", "payload"]), octets=PAYLOADS)
@examples(30)
@pytest.mark.refuses("A10", "E7")
def test_any_octets_for_a_header_or_a_payload(
    door: Door, client: AttestedClient, token: str, part: str, octets: bytes
) -> None:
    tokens = {"attestation": client.attestation(), "pop": client.pop()}
    key = client.backend.key if token == "attestation" else client.instance.key
    changed: dict[str, Any] = {part: lambda _: octets}
    tokens[token] = edited(tokens[token], key=key, **changed)
    assert send(door, client, **tokens).status_code == 400


@every_door
@given(
    name=st.sampled_from(ATTESTATION_CLAIMS + POP_CLAIMS),
    token=st.sampled_from(["attestation", "pop"]),
    value=VALUES,
    first=st.booleans(),
)
@examples(15)
@pytest.mark.refuses("A10")
def test_a_member_that_appears_twice_is_refused(
    door: Door, client: AttestedClient, name: str, token: str, value: Any, first: bool
) -> None:
    """Whichever of the two a lenient parser would take, and though the other one is good."""
    tokens = {"attestation": client.attestation(), "pop": client.pop()}
    key = client.backend.key if token == "attestation" else client.instance.key

    def repeat(octets: bytes) -> bytes:
        good = json.loads(octets)
        members = [f"{json.dumps(other)}:{json.dumps(content)}" for other, content in good.items()]
        twice = f"{json.dumps(name)}:{json.dumps(value)}"
        missing = [] if name in good else [twice]
        members = [twice, *members, *missing] if first else [*members, *missing, twice]
        return ("{" + ",".join(members) + "}").encode()

    tokens[token] = edited(tokens[token], key=key, payload=repeat)
    assert send(door, client, **tokens).status_code == 400


_JWK_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "d", "k", "kid", "use", "key_ops", "alg", "x5c", "ext")
_KEY_TYPES = ("ES256", "ES384", "ES512", "Ed25519", "RS256")
_KEYS = {name: json.loads(generate_key(name).export_public()) for name in _KEY_TYPES}


@every_door
@given(
    key_type=st.sampled_from(_KEY_TYPES),
    changes=st.dictionaries(
        st.sampled_from(_JWK_MEMBERS),
        st.one_of(VALUES, st.just(ABSENT), st.sampled_from(["EC", "RSA", "oct", "OKP", "P-256", "X25519", "AQAB"])),
        max_size=3,
    ),
)
@example(key_type="ES256", changes={"alg": []})
@examples(40)
@pytest.mark.refuses("A7", "P2", "P3")
def test_any_instance_key(door: Door, client: AttestedClient, key_type: str, changes: dict[str, Any]) -> None:
    """The proof is signed by another key than the one in ``cnf``, so nothing that is in there may pass."""
    jwk = {name: value for name, value in {**_KEYS[key_type], **changes}.items() if value is not ABSENT}
    attestation = client.attestation(claims={"cnf": {"jwk": jwk}})
    assert send(door, client, attestation, client.pop()).status_code == 400


@every_door
@given(
    # A NUL is refused before anything is read; test_doors_every.py has that.
    client_id=st.one_of(
        st.none(),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
        st.integers(1, 4000).map("a".__mul__),
    ),
    authorization=st.one_of(
        st.none(), FIELDS.map(lambda value: f"Basic {value}"), st.text(max_size=20).map(lambda name: basic(name, "x"))
    ),
)
@examples(30)
@pytest.mark.refuses("A4", "B5", "E7")
def test_any_other_naming_of_the_client(
    door: Door, client: AttestedClient, client_id: str | None, authorization: Any
) -> None:
    """Beside a good attestation: another client_id, or credentials that cannot even be decoded."""
    headers = authorization if isinstance(authorization, dict) else {"Authorization": authorization or ""}
    named = {} if client_id is None else {"client_id": client_id}
    parameters = {**door.prepare(client.application), **named}
    response = door.send(client.http, parameters, headers={**client.headers(), **headers})
    check(door, client, response)
    good = client_id in (None, "", client.client_id) and authorization is None
    assert response.status_code == (door.status if good else 400)


@every_door
@pytest.mark.refuses("E7")
def test_a_query_string_that_cannot_be_decoded(door: Door, client: AttestedClient) -> None:
    """It has nothing to do with attestation, but an attested request must not be a server error for it."""
    response = client.http.post(f"{door.path}?x=%zz", door.prepare(client.application), headers=client.headers())
    assert response.status_code == 400
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
