"""Rule K1: dynamic registration over HTTP, what it stores and what it tells, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.core import checks
from django.test import override_settings
from oauth2_provider.models import get_application_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterApplication, ClientRegistration
from oauth_client_attestation.registration.checks import check_registration
from tests.kit import ISSUER, configure, create_application, host_alone, provider, register_attester, table
from tests.shell.registration import (
    ATTESTATION_METADATA,
    METADATA,
    METHOD,
    METHOD_DPOP,
    REGISTER,
    Registrant,
    open_registration,
    registered,
)

pytestmark = pytest.mark.django_db

SIGNING = "client_attestation_signing_alg_values_supported"
POP_SIGNING = "client_attestation_pop_signing_alg_values_supported"
POP_METHODS = "client_attestation_pop_methods_supported"


@pytest.fixture
def registrant(settings: Any) -> Any:
    """A client at a site where anybody may register, and where its attester vouches for whoever did."""
    client = Registrant()
    register_attester(client.backend)
    configure(settings, REGISTRATION_ATTESTERS=["Acme"])
    with open_registration():
        yield client


def refused(response: Any, before: tuple[int, ...]) -> str:
    """Assert that metadata is refused and nothing stored; return the sentence."""
    assert response.status_code == 400, response.content
    assert response.headers["Content-Type"] == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.json()["error"] == "invalid_client_metadata"
    assert registered() == before
    return str(response.json()["error_description"])


@pytest.mark.accepts("K1")
def test_a_client_registers_and_authenticates(registrant: Registrant) -> None:
    client = registrant.register()
    assert {name: client.answer[name] for name in ATTESTATION_METADATA} == ATTESTATION_METADATA
    assert client.answer["client_name"] == "Wallet"
    assert client.answer["registration_access_token"]
    client.as_client().accepted()


@pytest.mark.refuses("K1")
def test_at_testproject_it_gets_no_token_to_look_into_those_of_others(registrant: Registrant) -> None:
    client = registrant.register().as_client()
    body = {"grant_type": "client_credentials", "scope": "read introspection"}
    response = client.post(data=body)
    assert response.json()["error"] == "invalid_scope"
    assert client.accepted(data={**body, "scope": "read write"}).json()["scope"] == "read write"


@pytest.mark.accepts("K1", "B5")
def test_what_is_stored_of_a_client_that_registered_itself(registrant: Registrant) -> None:
    application = registrant.register().application
    assert application.client_attestation_policy.methods == [METHOD]
    assert application.client_attestation_policy.challenge == "required"
    assert [attester.name for attester in application.client_attesters.all()] == ["Acme"]
    registration = application.client_attestation_registration
    assert registration.attestation_algorithms == ["ES256", "ML-DSA-44"]
    assert registration.pop_algorithms == ["ES256", "ES384"]
    assert registration.pop_methods == ["attestation_pop_jwt", "dpop_combined"]
    assert (registration.software_id, registration.attester) == ("", None)


@pytest.mark.accepts("K1")
def test_what_a_client_does_not_say_is_not_returned(registrant: Registrant) -> None:
    client = registrant.register({"grant_types": ["client_credentials"], "token_endpoint_auth_method": METHOD})
    assert not {SIGNING, POP_SIGNING, POP_METHODS, "software_id"} & set(client.answer)
    client.as_client().accepted()


@pytest.mark.refuses("K1", "B5")
def test_the_secret_is_neither_told_nor_empty_nor_good_for_anything(registrant: Registrant) -> None:
    client = registrant.register()
    assert not {name for name in client.answer if "secret" in name}
    stored = client.application.client_secret
    assert stored
    assert not check_password("", stored)
    for secret in ("", stored):
        client.as_client().refused(
            Reason.ATTESTATION_REQUIRED, send=lambda secret=secret: client.token_by_secret(secret)
        )


@pytest.mark.accepts("K1")
def test_either_method_is_accepted_where_it_is_offered(registrant: Registrant) -> None:
    client = registrant.register({**METADATA, "token_endpoint_auth_method": METHOD_DPOP})
    assert client.answer["token_endpoint_auth_method"] == METHOD_DPOP
    assert client.application.client_attestation_policy.methods == [METHOD_DPOP]


@pytest.mark.refuses("K1", "M1")
@table(
    "offered, method",
    {
        "the combined mode where only the normal one is offered": ([METHOD], METHOD_DPOP),
        "the normal mode where only the other one is offered": ([METHOD_DPOP], METHOD),
        "either where none is offered": ([], METHOD),
    },
)
def test_a_method_that_is_not_offered_is_refused(
    registrant: Registrant, settings: Any, offered: list[str], method: str
) -> None:
    configure(settings, METHODS=offered)
    before = registered()
    refused(registrant.post({**METADATA, "token_endpoint_auth_method": method}), before)


@pytest.mark.refuses("K1")
@table(
    "member, value",
    {
        "none as an algorithm of the attestation": (SIGNING, ["ES256", "none"]),
        "none in other letters": (SIGNING, ["None", "ES256"]),
        "none as an algorithm of the proof": (POP_SIGNING, ["none", "ES256"]),
        "none as a way to prove possession": (POP_METHODS, ["attestation_pop_jwt", "none"]),
        "HS256 for proofs": (POP_SIGNING, ["ES256", "HS256"]),
        "HS512 for proofs": (POP_SIGNING, ["HS512", "ES256"]),
        "a MAC that is not registered": (POP_SIGNING, ["ES256", "hs1"]),
        "a string instead of an array": (SIGNING, "ES256"),
        "an object instead of an array": (POP_SIGNING, {"ES256": True}),
        "an empty array": (SIGNING, []),
        "no ways to prove possession": (POP_METHODS, []),
        "false": (POP_METHODS, False),
        "a number in the array": (SIGNING, ["ES256", 7]),
        "null in the array": (POP_SIGNING, ["ES256", None]),
        "an array in the array": (POP_METHODS, [["attestation_pop_jwt"]]),
        "an empty string": (SIGNING, ["ES256", ""]),
        "a string with a line end": (SIGNING, ["ES256", "a\nb"]),
        "a string that is too long": (SIGNING, ["ES256", "A" * 65]),
        "too many strings": (SIGNING, ["ES256"] * 33),
        "no algorithm of the attestation in common": (SIGNING, ["RS256", "ML-DSA-44"]),
        "a MAC for the attestation where no secret is shared": (SIGNING, ["HS256"]),
        "no algorithm of the proof in common": (POP_SIGNING, ["ES256K"]),
        "only the way of the other method": (POP_METHODS, ["dpop_combined"]),
        "the implicit grant": ("grant_types", ["implicit"]),
        "an unknown method": ("token_endpoint_auth_method", "attest_jwt_client_auth_2"),
        "a method that is no string": ("token_endpoint_auth_method", [METHOD]),
        "grants that the host does not know": ("grant_types", ["magic"]),
        "a name that is no string": ("client_name", ["Wallet"]),
    },
)
def test_metadata_that_cannot_be_accepted(registrant: Registrant, member: str, value: Any) -> None:
    before = registered()
    metadata = {**METADATA, "redirect_uris": ["https://client.example/callback"], member: value}
    sentence = refused(registrant.post(metadata), before)
    assert "Traceback" not in sentence


@pytest.mark.accepts("K1")
def test_what_is_null_is_not_there(registrant: Registrant) -> None:
    client = registrant.register({**METADATA, "client_name": None, POP_METHODS: None, "redirect_uris": None})
    assert not {"client_name", POP_METHODS} & set(client.answer)


@pytest.mark.refuses("K1")
@table(
    "body",
    {
        "nothing": b"",
        "no JSON": b"grant_type=client_credentials",
        "an array": b"[]",
        "octets that are no text": b'{"client_name": "\xff"}',
        "very deep": b'{"client_name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "a NUL": json.dumps({**METADATA, "client_name": "a\0b"}).encode(),
        "a NUL deep inside": json.dumps({**METADATA, "contacts": [{"a\0": 1}]}).encode(),
        "half of a surrogate pair": b'{"grant_types": ["client_credentials"], "client_name": "\\ud800"}',
        "a number that is too long": b'{"client_name": ' + b"1" * 10_000 + b"}",
        "a redirect URI with no port": json.dumps({**METADATA, "redirect_uris": ["https://a.example:x/"]}).encode(),
        "a redirect URI with half an address": json.dumps({**METADATA, "redirect_uris": ["https://[::1/"]}).encode(),
        "redirect URIs that are numbers": json.dumps({**METADATA, "redirect_uris": [1]}).encode(),
        "a name that is too long": json.dumps({**METADATA, "client_name": "a" * 256}).encode(),
        "a body that is too large": json.dumps({**METADATA, "client_name": "a" * 3_000_000}).encode(),
    },
)
def test_a_body_that_cannot_be_read_is_refused_in_json(registrant: Registrant, body: bytes) -> None:
    before = registered()
    refused(registrant.post(body=body), before)


@pytest.mark.accepts("K1", "T4")
def test_a_mac_for_the_attestation_will_do_where_a_secret_is_shared(registrant: Registrant, settings: Any) -> None:
    configure(settings, SHARED_SECRETS={"Acme": b"s" * 32})
    assert registrant.register({**METADATA, SIGNING: ["HS256"]}).answer[SIGNING] == ["HS256"]


@pytest.mark.refuses("A3", "T5", "K1")
def test_without_attesters_in_the_settings_a_client_registers_and_cannot_authenticate(
    registrant: Registrant, settings: Any
) -> None:
    configure(settings, REGISTRATION_ATTESTERS=[])
    client = registrant.register().as_client()
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    AttesterApplication.objects.create(attester=Attester.objects.get(), application=client.application)
    client.accepted()


@pytest.mark.refuses("T5")
def test_an_attester_that_does_not_exist_is_nobody(
    registrant: Registrant, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(settings, REGISTRATION_ATTESTERS=["ACME", "Nobody"])
    client = registrant.register().as_client()
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    assert "'Nobody'" in caplog.text
    assert "'ACME'" in caplog.text


@pytest.mark.accepts("K1")
@table(
    "method, client_type",
    {"a secret": ("client_secret_basic", "confidential"), "nothing": ("none", "public")},
)
def test_clients_of_other_methods_register_as_ever(registrant: Registrant, method: str, client_type: str) -> None:
    metadata = {"redirect_uris": ["https://client.example/callback"], "token_endpoint_auth_method": method}
    client = registrant.register(metadata)
    assert client.answer["token_endpoint_auth_method"] == method
    assert ("client_secret" in client.answer) == (method != "none")
    assert client.application.client_type == client_type
    assert not AttestationPolicy.objects.exists()
    assert not ClientRegistration.objects.exists()


@pytest.mark.accepts("K1")
def test_a_client_with_a_secret_may_say_what_it_can_attest(registrant: Registrant) -> None:
    client = registrant.register({**METADATA, "token_endpoint_auth_method": "client_secret_basic"})
    assert client.answer[SIGNING] == METADATA[SIGNING]
    assert client.token_by_secret(client.answer["client_secret"]).status_code == 200


@pytest.mark.refuses("K1")
def test_a_failure_while_storing_leaves_nothing(registrant: Registrant, monkeypatch: pytest.MonkeyPatch) -> None:
    before = registered()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(ClientRegistration.objects, "update_or_create", fail)
    registrant.http.raise_request_exception = False
    assert registrant.post().status_code == 500
    assert registered() == before


@pytest.mark.refuses("K1")
def test_who_may_not_register_is_told_in_json() -> None:
    before = registered()
    with provider(DCR_REGISTRATION_PERMISSION_CLASSES=["oauth2_provider.dcr.IsAuthenticatedDCRPermission"]):
        response = Registrant().post()
    assert (response.status_code, response.json()["error"]) == (401, "access_denied")
    assert registered() == before


def test_registration_that_is_switched_off_is_not_there() -> None:
    with provider(DCR_ENABLED=False):
        assert Registrant().post().status_code == 404


def test_other_methods_of_http_are_not_allowed(registrant: Registrant) -> None:
    assert registrant.http.get(REGISTER).status_code == 405


def test_no_session_and_no_csrf_token_is_needed(registrant: Registrant) -> None:
    registrant.http.handler.enforce_csrf_checks = True
    registrant.register()


def test_the_answer_is_not_cached(registrant: Registrant) -> None:
    assert registrant.post().headers["Cache-Control"] == "no-store"


@pytest.mark.refuses("B5")
def test_a_client_stays_attested_when_this_package_does_not_serve_registration(registrant: Registrant) -> None:
    client = registrant.register()
    with host_alone(), override_settings(ROOT_URLCONF="tests.shell.par_urls"):
        response = client.manage("PUT", {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"})
        assert response.status_code == 200
    client.as_client().refused(
        Reason.ATTESTATION_REQUIRED, send=lambda: client.token_by_secret(client.application.client_secret)
    )


@pytest.mark.accepts("K1", "M1")
def test_the_metadata_leads_to_the_registration_endpoint(registrant: Registrant) -> None:
    document = registrant.http.get("/.well-known/oauth-authorization-server").json()
    assert document["registration_endpoint"] == f"{ISSUER}{REGISTER}"
    assert METHOD in document["token_endpoint_auth_methods_supported"]


def test_the_check_asks_for_our_urls_where_registration_is_on() -> None:
    assert check_registration(None) == []
    with override_settings(ROOT_URLCONF="tests.shell.par_urls"):
        (warning,) = check_registration(None)
        assert (warning.id, warning.level) == ("oauth_client_attestation.W006", checks.WARNING)
        with provider(DCR_ENABLED=False):
            assert check_registration(None) == []
    with override_settings(ROOT_URLCONF="django.contrib.auth.urls"):
        assert check_registration(None) == []


def test_another_application_is_not_touched(registrant: Registrant) -> None:
    other = create_application("other")
    registrant.register()
    assert get_application_model().objects.get(pk=other.pk).client_type == "confidential"
    assert not AttestationPolicy.objects.filter(application=other).exists()
