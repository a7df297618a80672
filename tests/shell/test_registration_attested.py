"""A registration that itself carries an attestation: ``HasTrustedAttestation`` (rules K1 and H5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from oauth_client_attestation.challenges import fresh_challenge, fresh_dpop_nonce
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import Attester, UsedProof
from oauth_client_attestation.signals import client_attestation_accepted, client_attestation_refused
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.kit import (
    CHALLENGE_FIELD,
    ISSUER,
    SENTENCES,
    basic,
    configure,
    create_application,
    provider,
    register_attester,
    table,
)
from tests.shell.registration import METADATA, SOFTWARE_ID, Registrant, open_registration, registered

pytestmark = pytest.mark.django_db

PERMISSION = "oauth_client_attestation.registration.permission.HasTrustedAttestation"


class OfAlice:
    """A site's own permission, after ours."""

    def has_permission(self, request: Any) -> bool:
        return bool(request.headers.get("X-User") == "alice")


def attested_registration(*others: str, **changes: Any) -> Any:
    return provider(DCR_ENABLED=True, DCR_REGISTRATION_PERMISSION_CLASSES=[PERMISSION, *others], **changes)


@pytest.fixture
def registrant(settings: Any) -> Any:
    """A client at a site where registrations must be attested, by its attester or by another one."""
    client = Registrant()
    register_attester(client.backend)
    register_attester(AttesterBackend(key_id="other"), "Other")
    configure(settings, REGISTRATION_ATTESTERS=["Acme", "Other"])
    with attested_registration():
        yield client


def refused(reason: Reason, send: Callable[[], Any], *, status: int | None = None) -> Any:
    """Send a registration and assert every side of its refusal; return the response."""
    error, reasons, before = ClientAttestationError(reason), [], registered()

    def note(*, reason: Reason, **kwargs: Any) -> None:
        reasons.append(reason)

    client_attestation_refused.connect(note)
    try:
        response = send()
    finally:
        client_attestation_refused.disconnect(note)
    assert reasons == [reason]
    assert response.json() == {"error": error.code, "error_description": SENTENCES[error.code]}
    assert response.status_code == (status or error.status)
    assert "no-store" in response.headers["Cache-Control"]
    assert 16 <= len(response.headers[CHALLENGE_FIELD]) <= 512
    assert registered() == before
    return response


@pytest.mark.accepts("K1", "T5")
def test_a_registration_is_admitted_by_its_attestation(registrant: Registrant) -> None:
    client = registrant.register(headers=registrant.headers())
    registration = client.application.client_attestation_registration
    assert (registration.software_id, registration.attester.name) == (SOFTWARE_ID, "Acme")
    assert client.answer["software_id"] == SOFTWARE_ID
    client.as_client().accepted()
    client.update(METADATA)
    assert client.application.client_attestation_registration.software_id == SOFTWARE_ID


@pytest.mark.refuses("T5", "K1")
def test_the_client_gets_the_attester_that_vouched_for_it_and_no_other(registrant: Registrant) -> None:
    client = registrant.register(headers=registrant.headers())
    assert [attester.name for attester in client.application.client_attesters.all()] == ["Acme"]


@pytest.mark.refuses("T5", "K1")
def test_nor_does_it_when_it_changes_to_attestation_later(registrant: Registrant) -> None:
    metadata = {**METADATA, "token_endpoint_auth_method": "client_secret_basic"}
    first = registrant.register(metadata, headers=registrant.headers())
    second = registrant.register(metadata, headers=registrant.headers())
    client = first.update(METADATA)
    assert [attester.name for attester in client.application.client_attesters.all()] == ["Acme"]
    Attester.objects.get(name="Acme").delete()
    client = second.update(METADATA)
    assert not client.application.client_attesters.exists()


@pytest.mark.accepts("K1")
def test_the_response_has_a_fresh_challenge_and_the_log_a_line(
    registrant: Registrant, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = []

    def note(*, evidence: Any, **kwargs: Any) -> None:
        accepted.append(evidence.attestation.client_id)

    client_attestation_accepted.connect(note)
    caplog.set_level("INFO", "oauth_client_attestation")
    response = registrant.post(headers=registrant.headers())
    client_attestation_accepted.disconnect(note)
    assert response.headers[CHALLENGE_FIELD]
    assert accepted == [SOFTWARE_ID]
    assert "accepted: application=None attester='Acme' " in caplog.text
    assert "endpoint=oauth_client_attestation_registration:register" in caplog.text
    assert SOFTWARE_ID not in caplog.text


@pytest.mark.refuses("K1", "H5")
def test_a_registration_without_an_attestation_is_refused(registrant: Registrant) -> None:
    refused(Reason.ATTESTATION_REQUIRED, registrant.post)


@pytest.mark.refuses("K1", "E1", "P8")
def test_a_registration_is_not_admitted_twice(registrant: Registrant) -> None:
    headers = registrant.headers()
    registrant.register(headers=headers)
    refused(Reason.POP_REPLAYED, lambda: registrant.post(headers=headers))


@pytest.mark.refuses("K1")
@table(
    "reason, change",
    {
        "an attestation for other software": (
            Reason.REGISTRATION_SUB,
            lambda client: {"headers": client.headers("example.vendor.other")},
        ),
        "no software_id": (
            Reason.REGISTRATION_SUB,
            lambda client: {
                "headers": client.headers(),
                "metadata": {name: value for name, value in METADATA.items() if name != "software_id"},
            },
        ),
        "a software_id that is no string": (
            Reason.REGISTRATION_SUB,
            lambda client: {"headers": client.headers(), "metadata": {**METADATA, "software_id": [SOFTWARE_ID]}},
        ),
        "no challenge": (Reason.CHALLENGE_MISSING, lambda client: {"headers": client.headers(challenge=None)}),
        "the challenge of another server": (
            Reason.CHALLENGE_UNKNOWN,
            lambda client: {"headers": client.headers(challenge=fresh_challenge()[:-1] + "-")},
        ),
        "another audience": (
            Reason.POP_AUD,
            lambda client: {"headers": client.headers(audience="https://elsewhere.example")},
        ),
        "the registration endpoint as the audience": (
            Reason.POP_AUD,
            lambda client: {"headers": client.headers(audience=f"{ISSUER}/o/register/")},
        ),
        "a foreign attester": (
            Reason.ATTESTER_NOT_TRUSTED,
            lambda client: {"headers": replace(client, backend=AttesterBackend(key_id="stranger")).headers()},
        ),
        "a stranger under the attester's kid": (
            Reason.ATTESTATION_SIGNATURE,
            lambda client: {"headers": replace(client, backend=AttesterBackend()).headers()},
        ),
        "an attestation that has expired": (
            Reason.ATTESTATION_EXPIRED,
            lambda client: {
                "headers": client.headers(
                    attestation=client.backend.attest(client.instance, SOFTWARE_ID, lifetime=-3600)
                )
            },
        ),
        "the proof of another instance": (
            Reason.POP_SIGNATURE,
            lambda client: {"headers": client.headers(pop=ClientInstance().prove(ISSUER, challenge=fresh_challenge()))},
        ),
        "a proof without an attestation": (
            Reason.POP_WITHOUT_ATTESTATION,
            lambda client: {
                "headers": {"OAuth-Client-Attestation-PoP": client.headers()["OAuth-Client-Attestation-PoP"]}
            },
        ),
        "an attestation without a proof": (
            Reason.POP_MISSING,
            lambda client: {"headers": {"OAuth-Client-Attestation": client.headers()["OAuth-Client-Attestation"]}},
        ),
    },
)
def test_an_attestation_that_admits_nobody(
    registrant: Registrant, reason: Reason, change: Callable[[Registrant], dict[str, Any]]
) -> None:
    request = change(registrant)
    refused(reason, lambda: registrant.post(**request))
    assert not UsedProof.objects.exists()


@pytest.mark.refuses("K1")
def test_an_attestation_for_a_client_of_this_server_is_no_permission_to_register_others(
    registrant: Registrant,
) -> None:
    create_application(SOFTWARE_ID, policy={})
    refused(Reason.REGISTRATION_SUB, lambda: registrant.post(headers=registrant.headers()))


@pytest.mark.refuses("K1")
def test_nor_is_one_for_a_client_that_is_known_by_its_document(registrant: Registrant, settings: Any) -> None:
    url = "https://vendor.example/wallet.json"

    def send() -> Any:
        return registrant.post({**METADATA, "software_id": url}, headers=registrant.headers(url))

    configure(settings, METADATA_DOCUMENT_ATTESTERS=["Other"])
    with attested_registration(CIMD_ENABLED=True):
        refused(Reason.REGISTRATION_SUB, send)
    assert send().status_code == 201, "where documents are not taken it is a name like any other"


@pytest.mark.refuses("K1", "T5")
@table(
    "attester, names",
    {
        "it is not named": ({}, ["Other"]),
        "nobody is named": ({}, []),
        "it is trusted for all applications": ({"all_applications": True}, ["Other"]),
        "its name is written in other letters": ({}, ["ACME"]),
        "it is disabled": ({"enabled": False}, ["Acme"]),
    },
)
def test_an_attester_that_may_not_vouch_for_registrations(
    registrant: Registrant, settings: Any, attester: dict[str, Any], names: list[str]
) -> None:
    Attester.objects.filter(name="Acme").update(**attester)
    configure(settings, REGISTRATION_ATTESTERS=names)
    refused(Reason.ATTESTER_NOT_TRUSTED, lambda: registrant.post(headers=registrant.headers()))


@pytest.mark.accepts("K1", "D1", "D5")
@pytest.mark.refuses("D5", "P8")
def test_a_registration_is_admitted_in_combined_mode(registrant: Registrant) -> None:
    response = refused(Reason.DPOP_NONCE_MISSING, lambda: registrant.post(headers=registrant.combined()))
    headers = registrant.combined(nonce=response.headers["DPoP-Nonce"])
    registrant.register(headers=headers)
    error = ClientAttestationError(Reason.DPOP_REPLAYED).of_client_authentication()
    assert registrant.post(headers=headers).json()["error"] == error.code == "invalid_client_attestation"


@pytest.mark.refuses("M1", "D2")
def test_where_the_combined_mode_is_not_offered_it_admits_no_registration(
    registrant: Registrant, settings: Any
) -> None:
    configure(settings, METHODS=["attest_jwt_client_auth"])
    headers = registrant.combined(nonce=fresh_dpop_nonce())
    refused(Reason.COMBINED_MODE_NOT_OFFERED, lambda: registrant.post(headers=headers))


@pytest.mark.refuses("M1")
def test_where_the_method_is_not_offered_no_registration_is_attested(registrant: Registrant, settings: Any) -> None:
    configure(settings, METHODS=[])
    refused(Reason.METHOD_NOT_ALLOWED, lambda: registrant.post(headers=registrant.headers()))


@pytest.mark.refuses("H5")
def test_what_carries_an_attestation_is_judged_by_it_though_anybody_may_register(registrant: Registrant) -> None:
    stranger = replace(registrant, backend=AttesterBackend(key_id="stranger"))
    with open_registration():
        refused(Reason.ATTESTER_NOT_TRUSTED, lambda: registrant.post(headers=stranger.headers()))
        assert registrant.post().status_code == 201
        assert registrant.post(headers=registrant.headers()).status_code == 201


@pytest.mark.refuses("K1")
def test_another_permission_has_its_say_too(registrant: Registrant) -> None:
    with attested_registration(f"{__name__}.OfAlice"):
        before = registered()
        response = registrant.post(headers=registrant.headers())
        assert (response.status_code, response.json()["error"]) == (401, "access_denied")
        assert registered() == (*before[:-1], before[-1] + 1), "only the proof is used up"
        registrant.register(headers={**registrant.headers(), "X-User": "alice"})


@pytest.mark.refuses("K1")
def test_metadata_that_cannot_be_accepted_uses_up_the_proof_and_nothing_else(registrant: Registrant) -> None:
    before = registered()
    metadata = {**METADATA, "client_attestation_pop_signing_alg_values_supported": ["HS256"]}
    response = registrant.post(metadata, headers=registrant.headers())
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    assert registered() == (*before[:-1], before[-1] + 1)


@pytest.mark.accepts("K1")
def test_a_client_with_a_secret_may_have_its_registration_attested(registrant: Registrant) -> None:
    metadata = {**METADATA, "token_endpoint_auth_method": "client_secret_basic"}
    client = registrant.register(metadata, headers=registrant.headers())
    assert client.answer["client_secret"]
    assert client.application.client_attestation_registration.attester.name == "Acme"
    assert not hasattr(client.application, "client_attestation_policy")


def test_basic_at_registration_is_not_tried_beside_an_attestation(registrant: Registrant) -> None:
    headers = {**registrant.headers(), **basic("app", "secret")}
    assert registrant.post(headers=headers).status_code == 201


@pytest.mark.refuses("K1", "E7")
@override_settings(ROOT_URLCONF="tests.shell.par_urls")
def test_the_permission_refuses_at_the_view_of_the_host_as_well(registrant: Registrant) -> None:
    refused(Reason.ATTESTATION_REQUIRED, registrant.post)


@pytest.mark.accepts("K1", "P8")
def test_with_atomic_requests_a_proof_is_used_up_with_what_it_admitted(
    registrant: Registrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    headers = registrant.headers()
    client = registrant.register(headers=headers)
    refused(Reason.POP_REPLAYED, lambda: registrant.post(headers=headers))
    client.as_client().accepted()
