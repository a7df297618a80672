"""The attestation beside another client authentication, at every door of the authorization server (rule S1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from oauth_client_attestation import instances
from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.kit import CHALLENGE_FIELD, DOORS, INTROSPECT, ISSUER, Door, stored, table
from tests.shell.senders import refused
from tests.shell.signallers import CLOSED_TO_PUBLIC, WHO, Signaller, another_client

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)
#: Every client at every door that the host opens to it.
ENTRANCES = [
    (door, who) for door, who in itertools.product(DOORS, WHO) if who != "public" or door.name not in CLOSED_TO_PUBLIC
]
every_entrance = pytest.mark.parametrize(("door", "who"), ENTRANCES, ids=[f"{door}, {who}" for door, who in ENTRANCES])
#: The same, and whether the attestation is optional there. Basic differs in the status of a refusal alone.
#: In turns: what is wrong with an attestation is found in the same place, whether it had to come along or could.
STRICT = [
    (door, who, use) for (door, who), use in zip(ENTRANCES, itertools.cycle(("optional", "required")), strict=False)
]


def _blocked(client: Signaller) -> dict[str, str]:
    instances.block(client.application.pk, client.instance.thumbprint, revoke_tokens=False)
    return client.good()


def _not_linked(client: Signaller) -> dict[str, str]:
    client.attester.applications.clear()
    return client.good()


def _used(client: Signaller) -> dict[str, str]:
    fields = client.good()
    client.passes(fields)
    return fields


FAULTS: dict[str, tuple[Reason, Callable[[Signaller], dict[str, str]]]] = {
    "a stranger has attested": (
        Reason.ATTESTATION_SIGNATURE,
        lambda client: client.headers(AttesterBackend().attest(client.instance, client.client_id)),
    ),
    "another instance has signed the proof": (
        Reason.POP_SIGNATURE,
        lambda client: client.headers(pop=ClientInstance().prove(ISSUER, challenge=fresh_challenge())),
    ),
    "the proof is for another server": (
        Reason.POP_AUD,
        lambda client: client.headers(pop=client.pop(audience="https://other.example")),
    ),
    "the attestation is for another client": (Reason.CLIENT_MISMATCH, another_client),
    "the proof was used before": (Reason.POP_REPLAYED, _used),
    "the proof answers no challenge": (
        Reason.CHALLENGE_MISSING,
        lambda client: client.headers(pop=client.pop(challenge=None)),
    ),
    "the proof has no nonce, in combined mode": (
        Reason.DPOP_NONCE_MISSING,
        lambda client: client.combined(client.door.path, method=client.door.method, nonce=None),
    ),
    "the instance is blocked": (Reason.INSTANCE_BLOCKED, _blocked),
    "the attestation is missing": (
        Reason.POP_WITHOUT_ATTESTATION,
        lambda client: {"OAuth-Client-Attestation-PoP": client.pop()},
    ),
    "the proof is missing": (
        Reason.POP_MISSING,
        lambda client: {"OAuth-Client-Attestation": client.attestation()},
    ),
    "two attestations, joined by the server": (
        Reason.ATTESTATION_FIELD_REPEATED,
        lambda client: client.headers(f"{client.attestation()}, {client.attestation()}"),
    ),
    "both fields are empty": (
        Reason.ATTESTATION_FIELD_MALFORMED,
        lambda _: {"OAuth-Client-Attestation": "", "OAuth-Client-Attestation-PoP": ""},
    ),
    "the attester is not linked to the application": (Reason.ATTESTER_NOT_TRUSTED, _not_linked),
}


@every_entrance
@table(
    "use, source, combined",
    {
        "optional": ("optional", "setting", False),
        "optional by policy, in combined mode": ("optional", "policy", True),
        "required by policy": ("required", "policy", False),
        "required, in combined mode": ("required", "setting", True),
    },
)
@pytest.mark.accepts("S1", "C3", "E7")
def test_a_good_attestation_beside_another_authentication(
    door: Door, who: str, use: str, source: str, combined: bool, settings: Any
) -> None:
    client = Signaller(door=door, who=who).enter(use, settings, source=source)
    response = client.passes(client.good(combined=combined))
    assert 16 <= len(response.headers[CHALLENGE_FIELD]) <= 512
    assert "no-store" in response.headers["Cache-Control"]
    assert UsedProof.objects.count() == 1


@every_door
@pytest.mark.refuses("S1", "P8")
def test_a_proof_of_combined_mode_is_accepted_once(door: Door, settings: Any) -> None:
    client = Signaller(door=door).enter("optional", settings)
    fields, about = client.good(combined=True), door.prepare(client.application)
    client.passes(fields)
    send = partial(client.send, fields, **about)
    refused(Reason.DPOP_REPLAYED, send, code="invalid_client_attestation")
    client.passes(client.good(combined=True), **about)


@pytest.mark.parametrize(("door", "who", "use"), STRICT, ids=[f"{door}, {who}, {use}" for door, who, use in STRICT])
@pytest.mark.parametrize(("reason", "fields"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.refuses("S1", "H5", "C3", "E1", "E7")
def test_a_bad_attestation_is_refused_beside_a_good_authentication(
    door: Door, who: str, use: str, reason: Reason, fields: Callable[[Signaller], dict[str, str]], settings: Any
) -> None:
    """Optional does not mean that a bad one counts as none. Nothing that the request is about is used up by it."""
    client = Signaller(door=door, who=who).enter(use, settings, source="setting" if use == "optional" else "policy")
    spoiled = fields(client)
    about = door.prepare(client.application)
    client.turned_away(reason, spoiled, **about)
    client.attester.applications.add(client.application)
    InstanceRecord.objects.update(blocked=None)
    client.passes(**about)


@every_entrance
@table(
    "use, source",
    {
        "off": ("off", "setting"),
        "optional": ("optional", "setting"),
        "optional by policy": ("optional", "policy"),
        "required": ("required", "setting"),
        "required by policy": ("required", "policy"),
    },
)
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1", "E4", "E5")
def test_no_attestation(door: Door, who: str, use: str, source: str, settings: Any) -> None:
    """Where it is required, neither a secret nor being public is enough at any door."""
    client = Signaller(door=door, who=who).enter(use, settings, source=source)
    if use == "required":
        response = client.turned_away(Reason.ATTESTATION_REQUIRED, {})
        assert response.headers.get("WWW-Authenticate") == ('Basic realm="oauth"' if client.authorization() else None)
        return
    response = client.passes({})
    assert CHALLENGE_FIELD not in response.headers
    assert not UsedProof.objects.exists()


#: Of what a request with an attestation is refused for where it is no signal: a second mechanism, or what is wrong.
OFF = {
    "the attestation is good": (Reason.CLIENT_NOT_REGISTERED, Signaller.good),
    "the attestation is good, in combined mode": (
        Reason.CLIENT_NOT_REGISTERED,
        lambda client: client.good(combined=True),
    ),
    "a stranger has attested": (Reason.CLIENT_NOT_REGISTERED, FAULTS["a stranger has attested"][1]),
    **{name: FAULTS[name] for name in ("the attestation is for another client", "the attestation is missing")},
}


@every_entrance
@pytest.mark.parametrize(("reason", "fields"), OFF.values(), ids=OFF.keys())
@pytest.mark.refuses("S1", "B5", "H5")
def test_switched_off_every_attestation_is_client_authentication(
    door: Door, who: str, reason: Reason, fields: Callable[[Signaller], dict[str, str]], settings: Any
) -> None:
    client = Signaller(door=door, who=who).enter("off", settings)
    about = door.prepare(client.application)
    client.turned_away(reason if who == "public" else Reason.SECOND_MECHANISM, fields(client), **about)
    client.passes({}, **about)


@every_door
@pytest.mark.parametrize("who", ["secret in the form", "secret in Basic"])
@pytest.mark.parametrize("use", ["optional", "required"])
@pytest.mark.refuses("S1", "P8")
def test_a_wrong_secret_is_refused_as_the_host_does_and_uses_nothing_up(
    door: Door, who: str, use: str, settings: Any
) -> None:
    client = Signaller(door=door, who=who).enter(use, settings)
    fields, about = client.good(), door.prepare(client.application)
    before = stored()
    response = client.send(fields, secret="wrong", **about)
    if door.path == INTROSPECT:
        assert response.status_code == 403
    else:
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert stored() == before
    client.passes(fields, **about)
