"""Combined mode at every door: one DPoP proof authenticates the client, or nothing does (rules D1 to D5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from oauth_client_attestation import instances
from oauth_client_attestation.challenges import dpop_nonces, fresh_challenge
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, UsedProof
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.kit import (
    CHALLENGE,
    CHALLENGE_FIELD,
    DOORS,
    ISSUER,
    PAR,
    TOKEN,
    AttestedClient,
    Door,
    basic,
    configure,
    create_device_code,
    holder,
    stored,
    table,
)
from tests.shell.senders import NONCE_FIELD, key_of, refused

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)
#: Where a proof beside a PoP JWT is looked at: something is bound to its key there.
BINDING_DOORS = [door for door in DOORS if door.path in (TOKEN, PAR)]
OTHER_DOORS = [door for door in DOORS if door not in BINDING_DOORS]
NORMAL, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"


def combined(client: AttestedClient, door: Door, **changes: Any) -> dict[str, str]:
    """Return the header fields of a request to a door; by default good ones."""
    return client.combined(door.path, **{"method": door.method, **changes})


def passes(client: AttestedClient, door: Door, parameters: dict[str, str], headers: dict[str, str]) -> Any:
    response = door.send(client.http, parameters, headers=headers)
    assert door.passed(response), response.content
    return response


@pytest.mark.accepts("D1", "D2", "D3", "D4", "D5", "E7")
@every_door
def test_one_proof_is_enough(door: Door) -> None:
    client = door.register()
    response = passes(client, door, door.prepare(client.application), combined(client, door))
    assert response.headers[CHALLENGE_FIELD]
    assert response.headers[NONCE_FIELD]
    assert "no-store" in response.headers["Cache-Control"]
    assert UsedProof.objects.count() == 1


def _another_key(client: AttestedClient, door: Door) -> dict[str, str]:
    return combined(client.another(), door, attestation=client.attestation())


def _stale(client: AttestedClient, door: Door) -> dict[str, str]:
    return combined(client, door, nonce=dpop_nonces().issue(time.time() - 3600))


def _joined(client: AttestedClient, door: Door) -> dict[str, str]:
    headers = combined(client, door)
    return {**headers, "DPoP": f"{headers['DPoP']}, {headers['DPoP']}"}


def _by_a_stranger(client: AttestedClient, door: Door) -> dict[str, str]:
    return combined(client, door, attestation=AttesterBackend().attest(client.instance, client.client_id))


def _elsewhere(door: Door) -> str:
    return ISSUER + (PAR if door.path == TOKEN else TOKEN)


FAULTS: dict[str, tuple[Reason, str, Callable[[AttestedClient, Door], dict[str, str]]]] = {
    "by another key": (Reason.DPOP_KEY_MISMATCH, "invalid_client_attestation", _another_key),
    "no nonce": (Reason.DPOP_NONCE_MISSING, "use_dpop_nonce", lambda it, door: combined(it, door, nonce=None)),
    "a stale nonce": (Reason.DPOP_NONCE_EXPIRED, "use_dpop_nonce", _stale),
    "a nonce of nobody's": (
        Reason.DPOP_NONCE_UNKNOWN,
        "use_dpop_nonce",
        lambda it, door: combined(it, door, nonce="n" * 43),
    ),
    "a challenge for a nonce": (
        Reason.DPOP_NONCE_UNKNOWN,
        "use_dpop_nonce",
        lambda it, door: combined(it, door, nonce=fresh_challenge()),
    ),
    "a nonce that is a number": (
        Reason.DPOP_NONCE_MALFORMED,
        "use_dpop_nonce",
        lambda it, door: combined(it, door, claims={"nonce": 1}),
    ),
    "for another method": (
        Reason.DPOP_HTM,
        "invalid_client_attestation",
        lambda it, door: combined(it, door, method="PUT"),
    ),
    "for another endpoint": (
        Reason.DPOP_HTU,
        "invalid_client_attestation",
        lambda it, door: combined(it, door, uri=_elsewhere(door)),
    ),
    "for another host": (
        Reason.DPOP_HTU,
        "invalid_client_attestation",
        lambda it, door: combined(it, door, uri=f"https://elsewhere.example{door.path}"),
    ),
    "a PoP JWT for a DPoP proof": (
        Reason.DPOP_TYP,
        "invalid_client_attestation",
        lambda it, door: combined(it, door, header={"typ": "oauth-client-attestation-pop+jwt"}),
    ),
    "no JWT": (
        Reason.DPOP_FIELD_MALFORMED,
        "invalid_client_attestation",
        lambda it, door: {**combined(it, door), "DPoP": "x"},
    ),
    "two of them": (Reason.DPOP_FIELD_REPEATED, "invalid_client_attestation", _joined),
    "an attestation that a stranger has signed": (
        Reason.ATTESTATION_SIGNATURE,
        "invalid_client_attestation",
        _by_a_stranger,
    ),
    "an expired attestation": (
        Reason.ATTESTATION_EXPIRED,
        "use_fresh_attestation",
        lambda it, door: combined(it, door, attestation=it.attestation(lifetime=-3600)),
    ),
    "an attestation for another client": (
        Reason.CLIENT_NOT_REGISTERED,
        "invalid_client",
        lambda it, door: combined(it, door, attestation=it.attestation(claims={"sub": "nobody"})),
    ),
}


@table("reason, code, headers", FAULTS)
@every_door
@pytest.mark.refuses("D1", "D3", "D4", "D5", "E1", "E3", "E7")
def test_one_thing_wrong(
    door: Door, reason: Reason, code: str, headers: Callable[[AttestedClient, Door], dict[str, str]]
) -> None:
    """And nothing of it lasts: what the request was about is there for a good one."""
    client = door.register()
    parameters = door.prepare(client.application)
    refused(reason, lambda: door.send(client.http, parameters, headers=headers(client, door)), code=code)
    passes(client, door, parameters, combined(client, door))


@pytest.mark.accepts("D5")
@pytest.mark.refuses("D5")
@every_door
def test_a_client_without_a_nonce_is_given_one_and_gets_in_with_it(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    response = refused(
        Reason.DPOP_NONCE_MISSING,
        lambda: door.send(client.http, parameters, headers=combined(client, door, nonce=None)),
    )
    response = passes(client, door, parameters, combined(client, door, nonce=response.headers[NONCE_FIELD]))
    parameters = door.prepare(client.application)
    passes(client, door, parameters, combined(client, door, nonce=response.headers[NONCE_FIELD]))


@pytest.mark.accepts("D5")
def test_the_challenge_endpoint_has_a_nonce_too() -> None:
    client = AttestedClient().register()
    nonce = client.http.post(CHALLENGE).headers[NONCE_FIELD]
    client.accepted(headers=client.combined(nonce=nonce))


@pytest.mark.accepts("D5")
def test_a_nonce_stands_in_for_the_clients_clock() -> None:
    client = AttestedClient().register()
    client.accepted(headers=client.combined(now=time.time() - 86400))
    client.accepted(headers=client.combined(now=time.time() + 86400))


@pytest.mark.parametrize("use", ["optional", "required"])
@pytest.mark.accepts("D5")
@pytest.mark.refuses("D5")
def test_a_nonce_is_required_whatever_is_said_of_other_proofs(settings: Any, use: str) -> None:
    configure(settings, DPOP_NONCE=use)
    client = AttestedClient().register()
    refused(Reason.DPOP_NONCE_MISSING, lambda: client.post(headers=client.combined(nonce=None)))
    assert client.accepted(headers=client.combined()).headers[NONCE_FIELD]


@pytest.mark.refuses("D3", "P8")
@every_door
def test_a_proof_is_good_once(door: Door) -> None:
    client = door.register()
    good = combined(client, door)
    passes(client, door, door.prepare(client.application), good)
    parameters = door.prepare(client.application)
    refused(
        Reason.DPOP_REPLAYED,
        lambda: door.send(client.http, parameters, headers=good),
        code="invalid_client_attestation",
    )
    passes(client, door, parameters, combined(client, door))


@pytest.mark.accepts("P8")
def test_a_pop_jwt_and_a_proof_may_have_the_same_jti() -> None:
    client = AttestedClient().register()
    client.accepted(headers=client.headers(pop=client.pop(claims={"jti": "one"})))
    client.accepted(headers=client.combined(claims={"jti": "one"}))
    refused(
        Reason.DPOP_REPLAYED,
        lambda: client.post(headers=client.combined(claims={"jti": "one"})),
        code="invalid_client_attestation",
    )


@pytest.mark.refuses("D2")
@every_door
def test_a_server_that_does_not_offer_it(door: Door, settings: Any) -> None:
    configure(settings, METHODS=[NORMAL])
    client = door.register()
    parameters = door.prepare(client.application)
    refused(
        Reason.COMBINED_MODE_NOT_OFFERED,
        lambda: door.send(client.http, parameters, headers=combined(client, door)),
    )
    passes(client, door, parameters, client.headers())


@pytest.mark.accepts("B5", "D1")
@pytest.mark.refuses("B5", "D2")
@every_door
def test_a_policy_with_one_method_refuses_the_other(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    AttestationPolicy.objects.update(methods=[NORMAL])
    refused(Reason.METHOD_NOT_ALLOWED, lambda: door.send(client.http, parameters, headers=combined(client, door)))
    AttestationPolicy.objects.update(methods=[COMBINED])
    refused(
        Reason.METHOD_NOT_ALLOWED,
        lambda: door.send(client.http, parameters, headers=client.headers()),
        nonce=False,
    )
    both = {**client.headers(), "DPoP": client.dpop(door.path, method=door.method)}
    refused(Reason.METHOD_NOT_ALLOWED, lambda: door.send(client.http, parameters, headers=both))
    passes(client, door, parameters, combined(client, door))


@pytest.mark.refuses("B5", "D1", "H5")
@every_door
def test_a_proof_alone_attests_nothing(door: Door) -> None:
    client = door.register()
    parameters = {**door.prepare(client.application), "client_id": "app"}
    proof = {"DPoP": client.dpop(door.path, method=door.method)}
    refused(Reason.ATTESTATION_REQUIRED, lambda: door.send(client.http, parameters, headers=proof))
    secret = {**parameters, "client_secret": "secret"}
    refused(Reason.ATTESTATION_REQUIRED, lambda: door.send(client.http, secret, headers=proof))


@pytest.mark.refuses("B5")
@every_door
def test_a_secret_beside_it_is_a_second_mechanism(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    headers = {**combined(client, door), **basic("app", "secret")}
    refused(Reason.SECOND_MECHANISM, lambda: door.send(client.http, parameters, headers=headers))
    passes(client, door, parameters, combined(client, door))


@pytest.mark.refuses("A4")
@every_door
def test_a_request_that_names_another_client(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    refused(
        Reason.CLIENT_MISMATCH,
        lambda: door.send(client.http, {**parameters, "client_id": "other"}, headers=combined(client, door)),
    )
    passes(client, door, {**parameters, "client_id": "app"}, combined(client, door))


@every_door
def test_a_blocked_instance(door: Door) -> None:
    client = door.register()
    holder(client.application)
    instances.block(client.application.pk, client.instance.thumbprint)
    parameters = {"token": "x"} if door.member in ("", "active") else {**AUTHORIZATION, **_grant_of(door)}
    refused(Reason.INSTANCE_BLOCKED, lambda: door.send(client.http, parameters, headers=combined(client, door)))


AUTHORIZATION = {"redirect_uri": "https://client.example/callback", "response_type": "code", "scope": "read"}


def _grant_of(door: Door) -> dict[str, str]:
    """Return parameters that reach client authentication; what a blocked instance held is gone already."""
    if door.path != TOKEN:
        return {}
    grant = door.grant if door.name == "device_code" else door.name
    return {"grant_type": grant, **dict.fromkeys(("code", "refresh_token", "device_code", "username", "password"), "x")}


@pytest.mark.accepts("D1")
@pytest.mark.parametrize("key", ["the instance's key", "another key"])
@pytest.mark.parametrize("door", BINDING_DOORS, ids=str)
def test_a_proof_beside_a_pop_jwt_is_a_proof_of_its_own(door: Door, key: str) -> None:
    """Normal mode decides who calls; the other proof, what the tokens are bound to."""
    client = door.register()
    prover = client.instance if key.startswith("the") else ClientInstance()
    proof = prover.prove_dpop(door.method, ISSUER + door.path)
    response = passes(client, door, door.prepare(client.application), {**client.headers(), "DPoP": proof})
    assert UsedProof.objects.count() == 2
    if door.path == TOKEN:
        assert response.json()["token_type"] == "DPoP"
        assert key_of(response.json()["access_token"]) == prover.thumbprint
    assert response.headers[NONCE_FIELD]


@pytest.mark.refuses("D1", "D3")
@pytest.mark.parametrize("door", BINDING_DOORS, ids=str)
def test_a_bad_proof_beside_a_good_pop_jwt(door: Door) -> None:
    """With the code of proofs, since the client is who it says."""
    client = door.register()
    parameters = door.prepare(client.application)
    for reason, proof in {
        Reason.DPOP_FIELD_MALFORMED: "x",
        Reason.DPOP_HTU: client.dpop(uri=_elsewhere(door)),
        Reason.DPOP_HTM: client.dpop(door.path, method="GET"),
        Reason.DPOP_TOO_OLD: client.dpop(door.path, nonce=None, now=time.time() - 3600),
        Reason.DPOP_NONCE_EXPIRED: client.dpop(door.path, nonce=dpop_nonces().issue(time.time() - 3600)),
    }.items():
        headers = {**client.headers(), "DPoP": proof}
        refused(reason, lambda it=headers: door.send(client.http, parameters, headers=it), proof_used=True)
    passes(client, door, parameters, client.headers())


@pytest.mark.refuses("D1")
@every_door
def test_a_bad_pop_jwt_beside_a_good_proof(door: Door) -> None:
    """The proof does not stand in for it."""
    client = door.register()
    parameters = door.prepare(client.application)
    proof = {"DPoP": client.dpop(door.path, method=door.method)}
    bad = client.headers(pop=client.pop(audience="https://elsewhere.example"))
    refused(Reason.POP_AUD, lambda: door.send(client.http, parameters, headers={**bad, **proof}))
    passes(client, door, parameters, {**client.headers(), **proof})


@pytest.mark.parametrize("door", OTHER_DOORS, ids=str)
def test_where_nothing_is_bound_a_proof_beside_a_pop_jwt_is_not_looked_at(door: Door) -> None:
    """RFC 9449 gives it no meaning there."""
    client = door.register()
    passes(client, door, door.prepare(client.application), {**client.headers(), "DPoP": "x"})
    assert UsedProof.objects.count() == 1


@pytest.mark.accepts("C5", "D5")
@pytest.mark.refuses("D5", "P7")
@pytest.mark.parametrize("door", BINDING_DOORS, ids=str)
def test_who_needs_a_challenge_and_a_nonce_gets_both_at_once(door: Door, settings: Any) -> None:
    configure(settings, DPOP_NONCE="required")
    client = door.register()
    parameters = door.prepare(client.application)

    def headers(challenge: str | None, nonce: str | None) -> dict[str, str]:
        proof = ClientInstance().prove_dpop("POST", ISSUER + door.path, nonce=nonce)
        return {**client.headers(pop=client.pop(challenge=challenge)), "DPoP": proof}

    response = refused(
        Reason.CHALLENGE_MISSING, lambda: door.send(client.http, parameters, headers=headers(None, None))
    )
    good = headers(response.headers[CHALLENGE_FIELD], response.headers[NONCE_FIELD])
    passes(client, door, parameters, good)


@pytest.mark.accepts("C6")
def test_scripts_of_another_origin_can_read_the_nonce() -> None:
    client = AttestedClient().register()
    headers = {**client.combined(nonce=None), "Origin": "https://wallet.example"}
    response = client.post(headers=headers)
    exposed = {name.strip() for name in response.headers["Access-Control-Expose-Headers"].split(",")}
    assert {NONCE_FIELD, CHALLENGE_FIELD} <= exposed


@pytest.mark.accepts("D1")
def test_a_device_that_has_to_wait_is_given_a_nonce_for_its_next_try() -> None:
    door = next(door for door in DOORS if door.name == "device_code")
    client = door.register()
    code = create_device_code(client.application, status="authorization-pending")
    waiting = {"grant_type": door.grant, "device_code": code}
    before = stored()
    response = door.send(client.http, waiting, headers=combined(client, door))
    assert (response.status_code, response.json()["error"]) == (400, "authorization_pending")
    assert response.headers[NONCE_FIELD]
    assert stored() == (before[0] + 1, *before[1:])
