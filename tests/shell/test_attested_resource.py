"""Attestations beside access tokens, at each kind of endpoint (rules S1, S2, E1, E5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oauth_client_attestation.challenges import fresh_challenge, fresh_dpop_nonce, resource_challenges
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.kit import (
    CHALLENGE_FIELD,
    ISSUER,
    SENTENCES,
    AttestedClient,
    configure,
    provider,
    stored,
    table,
)
from tests.shell.attested import (
    API,
    ENDPOINTS,
    GUARDED,
    VAULT,
    Call,
    Endpoint,
    bound_token,
    instance_token,
    record,
    visits,
)
from tests.shell.resources import reasons

pytestmark = pytest.mark.django_db

ATTESTATION, POP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"
ALGORITHMS = 'algs="ES256 ES384 ES512 EdDSA Ed25519"'


@pytest.fixture(autouse=True)
def resource(settings: Any) -> Iterator[None]:
    configure(settings, RESOURCE=API)
    with provider():
        yield


def other(client: AttestedClient) -> AttestedClient:
    """Return an instance of another client, good in itself."""
    return AttestedClient(backend=AttesterBackend(key_id="other"), client_id="other").register(
        attester={"name": "Other"}
    )


def of_another_client(call: Call) -> Call:
    stranger = other(call.client)
    return call.attested(stranger.attestation(), by=stranger.instance)


def for_the_second_time(call: Call) -> Call:
    assert call.attested().send().status_code == 200
    return call


def blocked(call: Call) -> Call:
    record(call.client, blocked=True)
    return call.attested()


def with_the_token_of_another(call: Call) -> Call:
    return call.bearing(instance_token(call.client.another())).attested()


def repeated(call: Call, field: str) -> Call:
    """As a WSGI server hands over two fields of one name."""
    call.attested()
    call.headers[field] += f", {call.headers[field]}"
    return call


def without(call: Call, field: str) -> Call:
    del call.attested().headers[field]
    return call


def with_field(call: Call, field: str, value: str) -> Call:
    call.attested().headers[field] = value
    return call


#: In normal mode: the reason, and how a request that has it is made of one with a good token.
REFUSED: dict[str, tuple[Reason, Callable[[Call], Call]]] = {
    "an attestation by nobody who is trusted": (
        Reason.ATTESTATION_SIGNATURE,
        lambda call: call.attested(AttesterBackend().attest(call.client.instance, call.client.client_id)),
    ),
    "an attestation by a key that nobody knows": (
        Reason.ATTESTER_NOT_TRUSTED,
        lambda call: call.attested(
            AttesterBackend(key_id="unknown").attest(call.client.instance, call.client.client_id)
        ),
    ),
    "an expired attestation": (
        Reason.ATTESTATION_EXPIRED,
        lambda call: call.attested(call.client.attestation(now=time.time() - 7200, lifetime=3600)),
    ),
    "an attestation of another client": (Reason.CLIENT_MISMATCH, of_another_client),
    "an attestation without a proof": (Reason.POP_MISSING, lambda call: without(call, POP)),
    "a proof without an attestation": (Reason.POP_WITHOUT_ATTESTATION, lambda call: without(call, ATTESTATION)),
    "two attestations": (Reason.ATTESTATION_FIELD_REPEATED, lambda call: repeated(call, ATTESTATION)),
    "two proofs": (Reason.POP_FIELD_REPEATED, lambda call: repeated(call, POP)),
    "no JWT for an attestation": (
        Reason.ATTESTATION_FIELD_MALFORMED,
        lambda call: with_field(call, ATTESTATION, "a b"),
    ),
    "an empty attestation": (Reason.ATTESTATION_FIELD_MALFORMED, lambda call: with_field(call, ATTESTATION, "")),
    "an attestation that is too long": (
        Reason.ATTESTATION_FIELD_TOO_LARGE,
        lambda call: with_field(call, ATTESTATION, "a" * 20_000),
    ),
    "a proof by another key": (Reason.POP_SIGNATURE, lambda call: call.attested(by=ClientInstance())),
    "a proof for the authorization server": (Reason.POP_AUD, lambda call: call.attested(audience=ISSUER)),
    "a proof for the other resource": (
        Reason.POP_AUD,
        lambda call: call.attested(audience=VAULT if call.endpoint.resource == API else API),
    ),
    "a proof without a challenge": (Reason.CHALLENGE_MISSING, lambda call: call.attested(challenge=None)),
    "a challenge of the authorization server": (
        Reason.CHALLENGE_UNKNOWN,
        lambda call: call.attested(challenge=fresh_challenge()),
    ),
    "a DPoP nonce for a challenge": (
        Reason.CHALLENGE_UNKNOWN,
        lambda call: call.attested(challenge=fresh_dpop_nonce()),
    ),
    "a challenge of an hour ago": (
        Reason.CHALLENGE_EXPIRED,
        lambda call: call.attested(challenge=resource_challenges().issue(time.time() - 3600)),
    ),
    "a proof for the second time": (Reason.POP_REPLAYED, for_the_second_time),
    "a blocked instance": (Reason.INSTANCE_BLOCKED, blocked),
    "the token of another instance": (Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE, with_the_token_of_another),
}
#: These are seen before anybody asks how possession is proven.
_BEFORE_THE_METHOD = (
    Reason.CLIENT_MISMATCH,
    Reason.POP_MISSING,
    Reason.POP_WITHOUT_ATTESTATION,
    Reason.ATTESTATION_FIELD_REPEATED,
    Reason.POP_FIELD_REPEATED,
    Reason.ATTESTATION_FIELD_MALFORMED,
    Reason.ATTESTATION_FIELD_TOO_LARGE,
)


def assert_refused(response: Any, reason: Reason, *, scheme: str = "Bearer", code: str | None = None) -> None:
    """The client is told by the code what was wrong, and gets what a better request needs."""
    code = code or ClientAttestationError(reason).of_client_authentication().code
    assert response.status_code == 401
    told = f'{scheme} error="{code}", error_description="{SENTENCES[code]}"'
    assert response.headers["WWW-Authenticate"] == (told if scheme == "Bearer" else f"{told}, {ALGORITHMS}")
    challenge = response.headers[CHALLENGE_FIELD]
    resource_challenges().match(challenge, now=time.time(), clock_skew=0)
    assert "no-store" in response.headers["Cache-Control"]
    assert str(reason) not in response.text
    if response.content:  # of REST framework
        assert response.json() == {"detail": SENTENCES[code]}


def accepts_normal_mode(endpoint: Endpoint) -> bool:
    return "attestation_pop_jwt" in endpoint.methods


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
@pytest.mark.refuses("S1", "E4", "E5")
def test_without_an_attestation(endpoint: Endpoint, attested: AttestedClient) -> None:
    call = Call(attested, endpoint).bearing()
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    if endpoint.use == "required":
        assert (visited, noted) == ([], [Reason.ATTESTATION_REQUIRED])
        assert_refused(response, Reason.ATTESTATION_REQUIRED)
    else:
        assert (response.status_code, visited, noted) == (200, [None], [])
        assert (CHALLENGE_FIELD in response.headers) == (endpoint.use == "optional")
    assert stored() == before


@pytest.mark.parametrize("endpoint", list(filter(accepts_normal_mode, ENDPOINTS)), ids=str)
@table("issue", {"with a token of the client": None, "with a token of the instance": instance_token})
@pytest.mark.accepts("S1", "S2", "P4")
def test_a_good_attestation(endpoint: Endpoint, issue: Any, attested: AttestedClient) -> None:
    call = Call(attested, endpoint).bearing(issue and issue(attested)).attested()
    with visits() as visited, reasons() as noted:
        response = call.send()
    ignored = endpoint.use == "ignored"
    assert (response.status_code, visited, noted) == (200, [None if ignored else "Acme"], []), response.content
    assert UsedProof.objects.count() == (not ignored)
    resource_challenges().match(response.headers[CHALLENGE_FIELD], now=time.time(), clock_skew=0)


@table(
    "endpoint, reason, spoil",
    {
        f"{what} at {endpoint}": (endpoint, reason, spoil)
        for endpoint in GUARDED
        for what, (reason, spoil) in REFUSED.items()
        if accepts_normal_mode(endpoint)
    },
)
@pytest.mark.refuses("S1", "S2", "H5", "P4", "P7", "P8", "E1", "E2", "E3", "E4", "E5", "E6", "A4")
def test_nobody_else_gets_in(
    endpoint: Endpoint, reason: Reason, spoil: Callable[[Call], Call], attested: AttestedClient
) -> None:
    """Where an attestation is optional, one that is not good is not taken for none."""
    call = spoil(Call(attested, endpoint).bearing())
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (visited, noted) == ([], [reason])
    assert_refused(response, reason)
    assert stored() == before


@table(
    "endpoint, spoil",
    {
        f"{what} at {endpoint}": (endpoint, spoil)
        for endpoint in ENDPOINTS
        for what, (_, spoil) in REFUSED.items()
        if endpoint.use == "ignored"
    },
)
def test_who_asks_for_none_is_told_of_none(
    endpoint: Endpoint, spoil: Callable[[Call], Call], attested: AttestedClient
) -> None:
    call = spoil(Call(attested, endpoint).bearing())
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (response.status_code, visited, noted) == (200, [None], [])
    assert stored() == before


@table(
    "endpoint, reason, spoil",
    {
        f"{what} at {endpoint}": (endpoint, reason, spoil)
        for endpoint in GUARDED
        for what, (reason, spoil) in {
            **REFUSED,
            "nothing wrong": (Reason.METHOD_NOT_ALLOWED, Call.attested),
        }.items()
        if not accepts_normal_mode(endpoint) and spoil is not for_the_second_time
    },
)
@pytest.mark.refuses("S1", "E3")
def test_normal_mode_where_combined_mode_is_wanted(
    endpoint: Endpoint, reason: Reason, spoil: Callable[[Call], Call], attested: AttestedClient
) -> None:
    reason = reason if reason in _BEFORE_THE_METHOD else Reason.METHOD_NOT_ALLOWED
    call = spoil(Call(attested, endpoint).bearing())
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (visited, noted) == ([], [reason])
    assert_refused(response, reason)
    assert stored() == before


# Combined mode


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
@table("scheme, issue", {"a bound token": ("DPoP", bound_token), "a bearer token": ("Bearer", instance_token)})
@table("nonce", {"nonces required": "required", "nonces optional": "optional"})
@pytest.mark.accepts("S1", "S2", "D1", "D4", "D5")
def test_combined_mode(
    endpoint: Endpoint, scheme: str, issue: Any, nonce: str, attested: AttestedClient, settings: Any
) -> None:
    """One proof shows that the token is presented by whom it is for, and proves the attestation; it is used once."""
    configure(settings, RESOURCE_DPOP_NONCE=nonce)
    call = Call(attested, endpoint).combined(issue(attested), scheme=scheme)
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (response.status_code, visited, noted) == (200, ["Acme"], []), response.headers
    assert response.headers["DPoP-Nonce"]
    assert UsedProof.objects.count() == 1
    with visits() as visited, reasons() as noted:
        assert call.send().status_code == 401
    assert (visited, noted) == ([], [Reason.DPOP_REPLAYED])
    assert UsedProof.objects.count() == 1


def wrong_instance(call: Call) -> Call:
    """The token and its proof are one instance's, the attestation is another's."""
    stranger = call.client.another()
    return call.combined(bound_token(call.client), stranger.attestation())


def replayed(call: Call, token: str, scheme: str) -> Call:
    assert call.combined(token, scheme=scheme).send().status_code == 200
    return call


def combined_by_another_client(call: Call) -> Call:
    stranger = other(call.client)
    token = bound_token(call.client, key=stranger.instance.thumbprint)
    return call.combined(token, stranger.attestation(), by=stranger.instance)


def combined_by_another_instance(call: Call) -> Call:
    """Which has the key that the token is bound to, and is not the instance that it was issued to."""
    stranger = call.client.another()
    token = bound_token(call.client, key=stranger.instance.thumbprint)
    return call.combined(token, stranger.attestation(), by=stranger.instance)


def combined_by_a_blocked_instance(call: Call) -> Call:
    token = bound_token(call.client)
    record(call.client, blocked=True)
    return call.combined(token)


#: Reason, scheme and code of the challenge, whether the proof admitted the token before, and the request.
COMBINED_REFUSED: dict[str, tuple[Reason, str, str, bool, Callable[[Call], Call]]] = {
    "a bound token with the attestation of another instance": (
        Reason.DPOP_KEY_MISMATCH,
        "DPoP",
        "invalid_client_attestation",
        True,
        wrong_instance,
    ),
    "a bound token with a proof by another key": (
        Reason.ACCESS_TOKEN_OF_ANOTHER_KEY,
        "DPoP",
        "invalid_token",
        False,
        lambda call: call.combined(bound_token(call.client), by=ClientInstance()),
    ),
    "a bound token of another client": (
        Reason.CLIENT_MISMATCH,
        "DPoP",
        "invalid_client_attestation",
        True,
        combined_by_another_client,
    ),
    "a bound token of another instance": (
        Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE,
        "DPoP",
        "invalid_token",
        True,
        combined_by_another_instance,
    ),
    "a bound token of a blocked instance": (
        Reason.INSTANCE_BLOCKED,
        "DPoP",
        "invalid_client_attestation",
        True,
        combined_by_a_blocked_instance,
    ),
    "a bound token and no nonce": (
        Reason.DPOP_NONCE_MISSING,
        "DPoP",
        "use_dpop_nonce",
        True,
        lambda call: call.combined(bound_token(call.client), nonce=None),
    ),
    "a bearer token and no nonce": (
        Reason.DPOP_NONCE_MISSING,
        "DPoP",
        "use_dpop_nonce",
        False,
        lambda call: call.combined(instance_token(call.client), scheme="Bearer", nonce=None),
    ),
    "a challenge for a nonce": (
        Reason.DPOP_NONCE_UNKNOWN,
        "DPoP",
        "use_dpop_nonce",
        False,
        lambda call: call.combined(instance_token(call.client), scheme="Bearer", nonce=fresh_challenge()),
    ),
    "a bearer token with a proof by another key": (
        Reason.DPOP_KEY_MISMATCH,
        "Bearer",
        "invalid_client_attestation",
        False,
        lambda call: call.combined(instance_token(call.client), scheme="Bearer", by=ClientInstance()),
    ),
    "a bearer token with a proof for no token": (
        Reason.DPOP_ATH,
        "Bearer",
        "invalid_client_attestation",
        False,
        lambda call: call.combined(instance_token(call.client), scheme="Bearer", access_token=None),
    ),
    "a bearer token with a proof for another URL": (
        Reason.DPOP_HTU,
        "Bearer",
        "invalid_client_attestation",
        False,
        lambda call: call.combined(instance_token(call.client), scheme="Bearer", uri=f"{ISSUER}/api/elsewhere"),
    ),
    "a bearer token with a proof for the second time": (
        Reason.DPOP_REPLAYED,
        "Bearer",
        "invalid_client_attestation",
        False,
        lambda call: replayed(call, instance_token(call.client), "Bearer"),
    ),
    "a bound token with a proof for the second time": (
        Reason.DPOP_REPLAYED,
        "DPoP",
        "invalid_dpop_proof",
        False,
        lambda call: replayed(call, bound_token(call.client), "DPoP"),
    ),
    "a bound token as a bearer token": (
        Reason.ACCESS_TOKEN_AS_BEARER,
        "Bearer",
        "invalid_token",
        False,
        lambda call: call.combined(bound_token(call.client), scheme="Bearer"),
    ),
}


@table(
    "endpoint, reason, scheme, code, admitted, spoil",
    {f"{what} at {endpoint}": (endpoint, *case) for endpoint in GUARDED for what, case in COMBINED_REFUSED.items()},
)
@pytest.mark.refuses("S1", "S2", "D4", "D5", "D6", "P8", "E3")
def test_combined_mode_with_something_wrong(
    endpoint: Endpoint,
    reason: Reason,
    scheme: str,
    code: str,
    admitted: bool,
    spoil: Callable[[Call], Call],
    attested: AttestedClient,
) -> None:
    """The proof of a token that was good is used up, whatever comes of the attestation."""
    call = spoil(Call(attested, endpoint))
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (visited, noted) == ([], [reason])
    if reason is Reason.ACCESS_TOKEN_AS_BEARER:
        scheme = "DPoP"
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith(f'{scheme} error="{code}", error_description="')
    assert response.headers["DPoP-Nonce"]
    assert stored() == (before[0] + admitted, *before[1:])


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
@pytest.mark.accepts("D1")
@pytest.mark.refuses("D1")
def test_a_pop_beside_a_dpop_proof_by_another_key(endpoint: Endpoint, attested: AttestedClient) -> None:
    """That is normal mode: the PoP proves the attestation, the DPoP proof presents the token."""
    holder = ClientInstance()
    token = bound_token(attested, key=holder.thumbprint)
    call = Call(attested, endpoint).combined(token, by=holder).attested()
    with visits() as visited, reasons() as noted:
        response = call.send()
    if accepts_normal_mode(endpoint):
        assert (response.status_code, visited, noted) == (200, ["Acme"], [])
        assert UsedProof.objects.count() == 2
    else:
        assert (response.status_code, visited, noted) == (401, [], [Reason.METHOD_NOT_ALLOWED])


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
@table(
    "changes",
    {
        "by the settings": {"POP_METHODS": ["attestation_pop_jwt"]},
        "without nonces": {"RESOURCE_DPOP_NONCE": "off", "METHODS": ["attest_jwt_client_auth"]},
    },
)
@pytest.mark.refuses("D2", "S1")
def test_combined_mode_where_it_is_not_offered(
    endpoint: Endpoint, changes: dict[str, Any], attested: AttestedClient, settings: Any
) -> None:
    configure(settings, **changes)
    call = Call(attested, endpoint).combined(instance_token(attested), scheme="Bearer")
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (visited, noted) == ([], [Reason.COMBINED_MODE_NOT_OFFERED])
    assert_refused(response, Reason.COMBINED_MODE_NOT_OFFERED)
    assert stored() == before
