"""Whatever arrives, the verifiers return evidence or raise their one exception: anything else would be a 500."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core.attestation import peek_attestation
from oauth_client_attestation.core.dpop import verify_dpop_proof
from oauth_client_attestation.core.errors import ClientAttestationError
from oauth_client_attestation.core.headers import HeaderFields, read_dpop, read_fields
from oauth_client_attestation.core.jose import (
    InvalidSignature,
    UnsuitableAlgorithm,
    UnverifiedJwt,
    parse_unverified,
    verify_signature,
)
from oauth_client_attestation.core.jwk import InvalidKey, parse_public_key
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import Evidence, VerifiedDpopProof
from oauth_client_attestation.core.strict import MalformedJwt, parse_json_object
from oauth_client_attestation.core.verify import peek_request, verify_request
from oauth_client_attestation.testing import public_jwk
from tests.core.support import (
    ALGORITHMS,
    ATTESTER,
    AUDIENCE,
    CHALLENGES,
    CLIENT_ID,
    DPOP,
    INSTANCE,
    NONCES,
    NOW,
    POLICY,
    URI,
    attest,
    b64,
    private_key,
    sign_members,
    sign_octets,
    trusted,
)
from tests.fuzzing import examples

OFTEN = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

ATTESTATION_HEADER = {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": "attester-1"}
ATTESTATION_CLAIMS = {
    "sub": CLIENT_ID,
    "iss": "https://attester.example",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 3600,
    "cnf": {"jwk": INSTANCE.public_jwk},
}
POP_HEADER = {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}


def pop_claims() -> dict[str, Any]:
    challenge = CHALLENGES.issue(NOW)
    own = {"aud": AUDIENCE, "jti": "1", "iat": NOW, "nbf": NOW, "exp": NOW + 300, "iss": CLIENT_ID}
    return {**own, "challenge": challenge, "nonce": challenge}


#: Lone surrogates and non-finite numbers included: Python writes both as JSON that a strict parser refuses.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, NOW, NOW * 1000, 10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["ES256", "none", "EC", "RSA", "oct", "P-256", "sig", AUDIENCE, "a\0", "\ud800"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=4,
)


def mutations(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return replacements for one or two of the named members, or of any other; ``...`` removes one."""
    return st.dictionaries(
        st.sampled_from([*names, "crit", "b64", ""]), anything | st.just(...), min_size=1, max_size=2
    )


def mutated(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}


def authenticate(attestation: str, pop: str, *, memory: AttestationMemory | None = None) -> Evidence | None:
    """Return what was verified, or None where it was refused in the one way there is."""
    try:
        request = peek_request(HeaderFields((attestation,), (pop,)), max_length=16384, memory=memory)
        return verify_request(
            request, keys=[trusted()], policy=POLICY, challenges=CHALLENGES, dpop=DPOP, now=NOW, memory=memory
        )
    except ClientAttestationError:
        return None


DPOP_HEADER = {"typ": "dpop+jwt", "alg": "ES256", "jwk": INSTANCE.public_jwk}


def dpop_claims() -> dict[str, Any]:
    own = {"jti": "1", "htm": "POST", "htu": URI, "iat": NOW, "nbf": NOW, "exp": NOW + 300}
    return {**own, "nonce": NONCES.issue(NOW)}


def good_pop() -> str:
    return sign_members(INSTANCE.key, POP_HEADER, pop_claims())


def test_the_request_that_is_mutated_below_is_good() -> None:
    attestation = sign_members(ATTESTER.key, ATTESTATION_HEADER, ATTESTATION_CLAIMS)
    assert authenticate(attestation, good_pop()) is not None


@pytest.mark.refuses("A10")
@OFTEN
@given(header=mutations(*ATTESTATION_HEADER), claims=mutations(*ATTESTATION_CLAIMS))
def test_an_attestation_with_any_members_that_a_trusted_attester_signed(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Signed, so that every check behind the signature is reached; header and claims also each alone."""
    for changes in ((header, {}), ({}, claims), (header, claims)):
        payload = mutated(ATTESTATION_CLAIMS, changes[1])
        evidence = authenticate(
            sign_members(ATTESTER.key, mutated(ATTESTATION_HEADER, changes[0]), payload), good_pop()
        )
        if evidence:
            assert evidence.attestation.client_id == payload["sub"] == CLIENT_ID
            assert evidence.attestation.expires_at == payload["exp"]


@pytest.mark.refuses("A7")
@OFTEN
@given(changes=mutations("kty", "crv", "x", "y", "n", "e", "d", "use", "key_ops", "alg", "kid"))
@example(changes={"alg": []})
@example(changes={"alg": {}})
def test_an_attestation_with_any_instance_key(changes: dict[str, Any]) -> None:
    claims = {**ATTESTATION_CLAIMS, "cnf": {"jwk": mutated(INSTANCE.public_jwk, changes)}}
    evidence = authenticate(sign_members(ATTESTER.key, ATTESTATION_HEADER, claims), good_pop())
    assert evidence is None or evidence.proof.thumbprint == INSTANCE.thumbprint


@pytest.mark.refuses("A10")
@OFTEN
@given(header=mutations(*POP_HEADER, "jwk"), claims=mutations(*pop_claims()))
def test_a_proof_with_any_members_that_the_instance_signed(header: dict[str, Any], claims: dict[str, Any]) -> None:
    for changes in ((header, {}), ({}, claims), (header, claims)):
        payload = mutated(pop_claims(), changes[1])
        evidence = authenticate(attest(), sign_members(INSTANCE.key, mutated(POP_HEADER, changes[0]), payload))
        if evidence:
            assert payload["aud"] in (AUDIENCE, [AUDIENCE])
            assert evidence.proof.jti == payload["jti"]
            assert evidence.proof.valid_until >= NOW


def prove_dpop(header: Mapping[str, Any], claims: Mapping[str, Any]) -> VerifiedDpopProof | None:
    """Return what was verified of a DPoP proof that the instance signed, or None where it was refused."""
    return verified_dpop(sign_members(INSTANCE.key, header, claims))


def verified_dpop(token: str) -> VerifiedDpopProof | None:
    try:
        return verify_dpop_proof(token, context=DPOP, now=NOW)
    except ClientAttestationError:
        return None


@pytest.mark.refuses("D3")
@OFTEN
@given(header=mutations(*DPOP_HEADER), claims=mutations(*dpop_claims()))
def test_a_dpop_proof_with_any_members_that_its_key_signed(header: dict[str, Any], claims: dict[str, Any]) -> None:
    assert prove_dpop(DPOP_HEADER, dpop_claims())
    for changes in ((header, {}), ({}, claims), (header, claims)):
        payload = mutated(dpop_claims(), changes[1])
        if proof := prove_dpop(mutated(DPOP_HEADER, changes[0]), payload):
            assert proof.thumbprint == INSTANCE.thumbprint
            assert (proof.jti, proof.nonce) == (payload["jti"], payload.get("nonce"))
            assert proof.valid_until >= NOW


@pytest.mark.refuses("D3")
@OFTEN
@given(changes=mutations("kty", "crv", "x", "y", "n", "e", "d", "use", "key_ops", "alg", "kid", "x5c"))
def test_a_dpop_proof_with_any_key(changes: dict[str, Any]) -> None:
    proof = prove_dpop({**DPOP_HEADER, "jwk": mutated(INSTANCE.public_jwk, changes)}, dpop_claims())
    assert proof is None or proof.thumbprint == INSTANCE.thumbprint


@st.composite
def spoiled_octets(draw: st.DrawFn, original: bytes) -> bytes:
    """Return ``original`` with a piece cut out and anything put in its place."""
    start = draw(st.integers(0, len(original)))
    end = draw(st.integers(start, min(start + 8, len(original))))
    piece = draw(
        st.binary(max_size=8)
        | st.sampled_from([b'"', b"\\", b"\\u", b"\\ud800", b"{", b"[" * 2000, b"NaN", b"1e999", b"9" * 5000, b"\0"])
    )
    return original[:start] + piece + original[end:]


@pytest.mark.refuses("A10")
@OFTEN
@given(
    header=spoiled_octets(json.dumps(ATTESTATION_HEADER).encode()),
    payload=spoiled_octets(json.dumps(ATTESTATION_CLAIMS).encode()),
)
def test_any_octets_that_a_trusted_attester_signed(header: bytes, payload: bytes) -> None:
    good = (json.dumps(ATTESTATION_HEADER).encode(), json.dumps(ATTESTATION_CLAIMS).encode())
    for pair in ((header, good[1]), (good[0], payload), (header, payload)):
        authenticate(sign_octets(ATTESTER.key, *pair), good_pop())


@pytest.mark.refuses("D3", "A10")
@OFTEN
@given(
    header=spoiled_octets(json.dumps(DPOP_HEADER).encode()),
    payload=spoiled_octets(json.dumps(dpop_claims()).encode()),
)
def test_any_octets_that_the_key_of_a_dpop_proof_signed(header: bytes, payload: bytes) -> None:
    good = (json.dumps(DPOP_HEADER).encode(), json.dumps(dpop_claims()).encode())
    for pair in ((header, good[1]), (good[0], payload), (header, payload)):
        proof = verified_dpop(sign_octets(INSTANCE.key, *pair))
        assert proof is None or proof.thumbprint == INSTANCE.thumbprint


@pytest.mark.refuses("A3", "P3", "A10")
@OFTEN
@given(data=st.data())
def test_a_token_spoiled_on_the_way(data: st.DataObject) -> None:
    """Whatever a stranger changes in the text, nothing but the text's own meaning may come out."""
    attestation, pop = attest(), good_pop()
    wire = st.sampled_from(list("AQgw019-_.=+/ ~,\0é\n"))
    which = data.draw(st.sampled_from(["attestation", "pop"]))
    text = attestation if which == "attestation" else pop
    position = data.draw(st.integers(0, len(text) - 1))
    spoiled = text[:position] + data.draw(st.text(wire, max_size=3)) + text[position + data.draw(st.integers(0, 3)) :]
    evidence = authenticate(spoiled, pop) if which == "attestation" else authenticate(attestation, spoiled)
    if evidence:
        assert evidence.attestation.claims == parse_unverified(attestation).claims
        assert spoiled.rpartition(".")[0] == text.rpartition(".")[0]


@pytest.mark.refuses("H2", "H3")
@OFTEN
@given(
    attestation=st.lists(st.text(st.characters(exclude_categories=()), max_size=50), max_size=3),
    pop=st.lists(st.text(max_size=50), max_size=3),
    dpop=st.lists(st.text(max_size=50), max_size=3),
    max_length=st.integers(0, 60),
)
def test_any_header_fields(attestation: list[str], pop: list[str], dpop: list[str], max_length: int) -> None:
    with suppress(ClientAttestationError):
        tokens = read_fields(HeaderFields(attestation, pop, dpop), max_length=max_length)
        assert attestation == [tokens.attestation]
        assert (pop, dpop)[tokens.combined] == [tokens.proof]
        assert bool(pop) is not tokens.combined
    with suppress(ClientAttestationError):
        assert [read_dpop(HeaderFields(attestation, pop, dpop), max_length=max_length)] == dpop


@OFTEN
@given(token=st.text(st.characters(exclude_categories=())) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.x*"))
def test_any_text_for_a_token(token: str) -> None:
    with suppress(ClientAttestationError):
        peek_attestation(token)
    assert verified_dpop(token) is None
    with suppress(MalformedJwt):
        parse_unverified(token)


@OFTEN
@given(text=st.binary() | spoiled_octets(b'{"a":[1.5e3,"\\u0061",{"b":null}],"c":true}'))
def test_any_octets_for_json(text: bytes) -> None:
    """What passes can be written again, and says the same to a parser that knows no strictness."""
    try:
        members = parse_json_object(text)
    except MalformedJwt:
        return
    json.dumps(members, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert members == json.loads(text)


@OFTEN
@given(jwk=anything | st.sampled_from(ALGORITHMS).map(lambda name: public_jwk(private_key(name))))
def test_any_json_for_a_key(jwk: Any) -> None:
    with suppress(InvalidKey):
        parse_public_key(jwk)


@pytest.mark.refuses("A3", "P3")
@OFTEN
@given(
    of_key=st.sampled_from(["ES256", "ES384", "ES512", "EdDSA", "RS256"]),
    algorithm=st.sampled_from(ALGORITHMS) | st.text(max_size=10),
    signature=st.sampled_from([0, 1, 64, 96, 132, 256]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
)
def test_any_octets_for_a_signature(of_key: str, algorithm: str, signature: bytes) -> None:
    """None verifies, for nobody finds a signature by chance."""
    key = parse_public_key(public_jwk(private_key(of_key)))
    with pytest.raises((InvalidSignature, UnsuitableAlgorithm)):
        verify_signature(UnverifiedJwt({}, {}, b"e30.e30", signature), key, algorithm)


@pytest.mark.refuses("C4")
@OFTEN
@given(challenge=st.text(max_size=600) | st.binary(min_size=40, max_size=40).map(b64), now=st.integers(0, 2**40))
def test_any_text_for_a_challenge(challenge: str, now: int) -> None:
    with pytest.raises(ClientAttestationError):
        CHALLENGES.match(challenge, now=now, clock_skew=60)


def test_memory_changes_no_verdict() -> None:
    """The same spoiled requests, with a memory that knows the good attestation."""
    memory, attestation = AttestationMemory(4), attest()
    assert authenticate(attestation, good_pop(), memory=memory)
    for position in range(len(attestation)):
        spoiled = attestation[:position] + ("A" if attestation[position] != "A" else "B") + attestation[position + 1 :]
        afresh, remembering = authenticate(spoiled, good_pop()), authenticate(spoiled, good_pop(), memory=memory)
        assert (afresh is None) is (remembering is None)
