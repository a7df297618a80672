"""Every door: each grant and each endpoint authenticates an attested client, and refuses a bad attestation alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, request_headers
from tests.kit import CHALLENGE_FIELD, DOORS, ISSUER, AttestedClient, Door, basic, create_application

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)
client_types = pytest.mark.parametrize("client_type", ["confidential", "public"])


@every_door
@client_types
@pytest.mark.parametrize("names_client", [False, True], ids=["client_id absent", "client_id present"])
@pytest.mark.accepts("A4", "C3", "E7", "H5")
def test_an_attested_client_passes_every_door(door: Door, client_type: str, names_client: bool) -> None:
    client = door.register(client_type=client_type)
    parameters = door.prepare(client.application)
    if names_client:
        parameters["client_id"] = client.client_id
    response = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(response), response.content
    assert 16 <= len(response.headers[CHALLENGE_FIELD]) <= 512
    assert "no-store" in response.headers["Cache-Control"]


def _other_client_attested(client: AttestedClient) -> dict[str, str]:
    other = create_application("other", policy={})
    client.attester.applications.add(other)
    return request_headers(client.backend.attest(client.instance, "other"), client.pop())


def _attester_disabled(client: AttestedClient) -> dict[str, str]:
    client.attester.enabled = False
    client.attester.save()
    return client.headers()


def _proof_used(client: AttestedClient) -> dict[str, str]:
    headers = client.headers()
    endpoint = next(door for door in DOORS if door.name == "revocation")
    assert endpoint.passed(endpoint.send(client.http, {"token": "unknown"}, headers=headers))
    return headers


SPOILED: dict[str, tuple[Reason, Callable[[AttestedClient], dict[str, str]]]] = {
    "the attestation is no JWT": (
        Reason.ATTESTATION_FIELD_MALFORMED,
        lambda client: request_headers("e30", client.pop()),
    ),
    "two attestations, joined by the server": (
        Reason.ATTESTATION_FIELD_REPEATED,
        lambda client: request_headers(f"{client.attestation()}, {client.attestation()}", client.pop()),
    ),
    "the proof is missing": (
        Reason.POP_MISSING,
        lambda client: {"OAuth-Client-Attestation": client.attestation()},
    ),
    "the attestation is missing": (
        Reason.POP_WITHOUT_ATTESTATION,
        lambda client: {"OAuth-Client-Attestation-PoP": client.pop()},
    ),
    "both fields are empty": (
        Reason.ATTESTATION_FIELD_MALFORMED,
        lambda client: {"OAuth-Client-Attestation": "", "OAuth-Client-Attestation-PoP": ""},
    ),
    "the attestation has expired": (
        Reason.ATTESTATION_EXPIRED,
        lambda client: client.headers(client.attestation(now=time.time() - 7200)),
    ),
    "a stranger has attested": (
        Reason.ATTESTATION_SIGNATURE,
        lambda client: client.headers(AttesterBackend().attest(client.instance, client.client_id)),
    ),
    "the attester is disabled": (Reason.ATTESTER_NOT_TRUSTED, _attester_disabled),
    "the attestation is for another client": (Reason.CLIENT_MISMATCH, _other_client_attested),
    "another instance has signed the proof": (
        Reason.POP_SIGNATURE,
        lambda client: client.headers(pop=ClientInstance().prove(ISSUER, challenge=fresh_challenge())),
    ),
    "the proof is for another server": (
        Reason.POP_AUD,
        lambda client: client.headers(pop=client.pop(audience="https://other.example")),
    ),
    "the proof answers no challenge": (
        Reason.CHALLENGE_MISSING,
        lambda client: client.headers(pop=client.pop(challenge=None)),
    ),
    "the challenge is another server's": (
        Reason.CHALLENGE_UNKNOWN,
        lambda client: client.headers(
            pop=client.pop(challenge=Challenges((b"another",), f"as {ISSUER}", 300).issue(time.time()))
        ),
    ),
    "the proof was used before": (Reason.POP_REPLAYED, _proof_used),
}


@every_door
@pytest.mark.parametrize(("reason", "headers"), SPOILED.values(), ids=SPOILED.keys())
@pytest.mark.refuses("H2", "H3", "H5", "H6", "A3", "A4", "A5", "P3", "P4", "P7", "P8", "T5")
@pytest.mark.refuses("C3", "E1", "E2", "E3", "E4", "E5", "E6", "E7")
def test_a_bad_attestation_is_refused_at_every_door(
    door: Door, reason: Reason, headers: Callable[[AttestedClient], dict[str, str]]
) -> None:
    """A public client that names itself could get in without an attestation at every one of them, were it not
    registered for one; so nothing but the attestation can be what refuses it."""
    client = door.register(client_type="public")
    parameters = {**door.prepare(client.application), "client_id": client.client_id}
    spoiled = headers(client)
    client.refused(reason, send=lambda: door.send(client.http, parameters, headers=spoiled))
    client.attester.enabled = True
    client.attester.save()
    again = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(again), f"the refused request has used up what it was about: {again.content!r}"


@every_door
@pytest.mark.accepts("C3", "C5", "E1")
def test_the_challenge_of_a_refusal_is_good_for_the_next_try(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    refusal = client.refused(
        Reason.CHALLENGE_MISSING,
        send=lambda: door.send(client.http, parameters, headers=client.headers(pop=client.pop(challenge=None))),
    )
    pop = client.pop(challenge=refusal.headers[CHALLENGE_FIELD])
    response = door.send(client.http, parameters, headers=client.headers(pop=pop))
    assert door.passed(response), response.content
    next_pop = client.pop(challenge=response.headers[CHALLENGE_FIELD])
    assert door.passed(door.send(client.http, door.prepare(client.application), headers=client.headers(pop=next_pop)))


@every_door
@client_types
@pytest.mark.parametrize("secret", [False, True], ids=["without a secret", "with its secret"])
@pytest.mark.refuses("H5", "E4")
def test_an_attestation_commits_a_client_that_needs_none(door: Door, client_type: str, secret: bool) -> None:
    """The site's other clients get in as ever, but not with an attestation that nobody asked them for."""
    client = AttestedClient()
    client.application = door.create_application(client_type=client_type)
    parameters = {**door.prepare(client.application), "client_id": "app"}
    reason = Reason.CLIENT_NOT_REGISTERED
    if secret:
        parameters["client_secret"] = "secret"
        reason = Reason.SECOND_MECHANISM
    client.refused(reason, send=lambda: door.send(client.http, parameters, headers=client.headers()))


@every_door
@pytest.mark.parametrize(
    ("credentials", "headers", "status"),
    [
        pytest.param({"client_secret": "secret"}, {}, 400, id="its secret in the form"),
        pytest.param({}, basic("app", "secret"), 400, id="its secret in Basic"),
        pytest.param({}, basic("app", ""), 400, id="Basic without a secret"),
        pytest.param({}, basic("app", "secret", scheme="basic"), 400, id="the scheme in lower case"),
        pytest.param({"client_assertion": "e30.e30.e30"}, {}, 400, id="a client assertion"),
    ],
)
@pytest.mark.refuses("B5")
def test_a_second_mechanism_beside_a_good_attestation_is_refused(
    door: Door, credentials: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """RFC 6749 section 2.3: one method in each request."""
    client = door.register()
    parameters = {**door.prepare(client.application), **credentials}
    client.refused(
        Reason.SECOND_MECHANISM,
        send=lambda: door.send(client.http, parameters, headers={**client.headers(), **headers}),
        status=status,
    )


def _naming(parameters: dict[str, str], *client_ids: str) -> Any:
    return [*(("client_id", client_id) for client_id in client_ids), *parameters.items()]


@every_door
@pytest.mark.parametrize(
    "client_ids",
    [
        pytest.param(("other",), id="another client's"),
        pytest.param(("APP",), id="its own in upper case"),
        pytest.param(("app ",), id="its own with a space after it"),
        pytest.param(("unknown",), id="a client_id that nobody has"),
        pytest.param(("app", "other"), id="its own and then another"),
        pytest.param(("other", "app"), id="another and then its own"),
    ],
)
@pytest.mark.refuses("A4")
def test_every_client_id_in_the_request_must_be_the_attested_one(door: Door, client_ids: tuple[str, ...]) -> None:
    client = door.register()
    door.create_application("other", policy={})
    parameters = _naming(door.prepare(client.application), *client_ids)
    client.refused(Reason.CLIENT_MISMATCH, send=lambda: door.send(client.http, parameters, headers=client.headers()))


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.refuses("A4", "E7")
def test_a_client_id_with_a_nul_cannot_be_read(door: Door) -> None:
    """PostgreSQL cannot even be asked for it, so nobody is."""
    client = door.register()
    parameters = _naming(door.prepare(client.application), "app\0")
    response = door.send(client.http, parameters, headers=client.headers())
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert response.headers["OAuth-Client-Attestation-Challenge"]


@pytest.mark.parametrize("door", [door for door in DOORS if door.method == "POST"], ids=str)
@pytest.mark.refuses("A4", "E7")
def test_a_client_id_in_the_query_of_a_post_does_not_name_another_client(door: Door) -> None:
    """RFC 6749 section 3.2 has parameters in the body only; some doors read the query all the same."""
    client = door.register()
    door.create_application("other", policy={})
    parameters = {**door.prepare(client.application), "client_id": "app"}
    response = door.send(client.http, parameters, headers=client.headers(), query={"client_id": "other"})
    assert response.status_code == 400, response.content
    assert response.json()["error"] in {"invalid_client_attestation", "invalid_request"}
