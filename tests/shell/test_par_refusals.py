"""Pushed authorization requests: everything that is refused, by a good request with one thing wrong."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_grant_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, PushedAuthorizationPolicy, PushedAuthorizationRequest
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.testing import ClientInstance
from tests.kit import (
    AUTHORIZATION_REQUEST,
    AUTHORIZE,
    PAR,
    REDIRECT_URI,
    TOKEN,
    AttestedClient,
    basic,
    configure,
    create_application,
    post_form,
    provider,
    register_attester,
    table,
)
from tests.shell.par import (
    Pusher,
    answer_of,
    attested,
    browser,
    consent,
    page_fields,
    public,
    redemption,
    url_of,
    with_basic,
    with_secret,
)

pytestmark = pytest.mark.django_db

SENTENCE = "This link was used before, has expired, or is not valid. Start again in the application."


@pytest.fixture
def pusher() -> Pusher:
    """A client that must be attested."""
    return attested()


@pytest.fixture
def reasons(caplog: pytest.LogCaptureFixture) -> Any:
    """Collects why authorization requests were refused."""
    caplog.set_level(logging.WARNING, logger="oauth_client_attestation")
    return lambda: [
        record.client_attestation_reason
        for record in caplog.records
        if record.getMessage().startswith("Authorization request refused")
    ]


def turned_away(response: Any) -> None:
    """Assert the error page: no redirect anywhere, one sentence, no code."""
    assert response.status_code == 400
    assert "Location" not in response.headers
    page = response.content.decode()
    assert "invalid_request_uri" in page
    assert SENTENCE in page
    assert REDIRECT_URI not in page
    assert not get_grant_model().objects.exists()


# The push

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another redirect_uri": ({"redirect_uri": "https://attacker.example/"}, "invalid_request"),
    "a relative redirect_uri": ({"redirect_uri": "/callback"}, "invalid_request"),
    "no response_type": ({"without": "response_type"}, "invalid_request"),
    "an unknown response_type": ({"response_type": "codes"}, "unauthorized_client"),
    "the implicit response_type": ({"response_type": "token"}, "unauthorized_client"),
    "an unknown scope": ({"scope": "read everything"}, "invalid_scope"),
    "no code_challenge": ({"without": "code_challenge"}, "invalid_request"),
    "an unknown code_challenge_method": ({"code_challenge_method": "S512"}, "invalid_request"),
    "a plain code_challenge": ({"code_challenge_method": "plain"}, "invalid_request"),
    "a code_challenge that is plain by default": ({"without": "code_challenge_method"}, "invalid_request"),
    "an empty code_challenge": ({"code_challenge": ""}, "invalid_request"),
    "a code_challenge that is too short": ({"code_challenge": "c" * 42}, "invalid_request"),
    "a code_challenge longer than any": ({"code_challenge": "c" * 129}, "invalid_request"),
    "a nonce longer than any": ({"nonce": "n" * 256}, "invalid_request"),
    "a request_uri": ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
    "an empty request_uri": ({"request_uri": ""}, "invalid_request"),
    "a request object": ({"request": "eyJ"}, "request_not_supported"),
    "a repeated state": ({"state": ["a", "b"]}, "invalid_request"),
    "a repeated nonce": ({"nonce": ["a", "b"]}, "invalid_request"),
    "a resource that is no URI": ({"resource": "api"}, "invalid_target"),
    "a resource with a port beyond all": ({"resource": "https://api.example:99999/"}, "invalid_target"),
    "prompt=none with another": ({"prompt": "none login"}, "invalid_request"),
}


@table("changes, code", WRONG)
@table("register", {"attested": attested, "secret": with_secret, "public": public})
def test_a_push_with_one_thing_wrong(register: Any, changes: dict[str, Any], code: str) -> None:
    pusher = register()
    response = pusher.push(**changes)
    assert (response.status_code, response.json()["error"]) == (400, code), response.content
    assert set(response.json()) <= {"error", "error_description"}
    assert "no-store" in response.headers["Cache-Control"]
    assert not PushedAuthorizationRequest.objects.exists()


def test_claims_that_are_no_json(pusher: Pusher) -> None:
    scopes = {"openid": "Sign you in", "read": "Read your data", "write": "Change your data"}
    with provider(OIDC_ENABLED=True, SCOPES=scopes):
        response = pusher.push(scope="openid", claims="{")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_parameters_outside_the_body(pusher: Pusher) -> None:
    response = post_form(Client(), f"{PAR}?scope=read", AUTHORIZATION_REQUEST, headers=pusher.headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert not PushedAuthorizationRequest.objects.exists()


@table("length, status", {"as long as it may be": (0, 201), "a character more": (1, 413)})
def test_a_request_is_not_longer_than_its_bound(pusher: Pusher, length: int, status: int) -> None:
    parameters = {**AUTHORIZATION_REQUEST, "client_id": "app", "ui_locales": ""}
    rest = 32768 - sum(len(name) + len(value) for name, value in parameters.items())
    response = pusher.push(ui_locales="x" * (rest + length))
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert PushedAuthorizationRequest.objects.count() == (status == 201)


@table(
    "register, parameters, headers",
    {
        "a wrong secret": (with_secret, {"client_id": "free", "client_secret": "wrong"}, {}),
        "a wrong secret by Basic": (with_basic, {}, basic("free", "wrong")),
        "a confidential client without its secret": (with_secret, {"client_id": "free"}, {}),
        "nobody": (with_secret, {}, {}),
        "an unknown client": (public, {"client_id": "unknown"}, {}),
    },
)
def test_a_client_that_is_not_authenticated(register: Any, parameters: Any, headers: Any) -> None:
    register()
    response = post_form(Client(), PAR, {**AUTHORIZATION_REQUEST, **parameters}, headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
    assert not PushedAuthorizationRequest.objects.exists()


@pytest.mark.refuses("B5")
@table(
    "parameters, headers",
    {
        "its client_id alone": ({"client_id": "app"}, {}),
        "its secret": ({"client_id": "app", "client_secret": "secret"}, {}),
        "its secret by Basic": ({}, basic("app", "secret")),
    },
)
def test_a_client_that_must_be_attested_pushes_in_no_other_way(pusher: Pusher, parameters: Any, headers: Any) -> None:
    assert pusher.attested is not None
    pusher.attested.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: post_form(Client(), PAR, {**AUTHORIZATION_REQUEST, **parameters}, headers=headers),
        status=401 if headers else 400,
    )


def test_a_client_cannot_push_for_another() -> None:
    pusher = with_basic()
    public("other")
    response = pusher.push(client_id="other")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert not PushedAuthorizationRequest.objects.exists()


def test_an_application_without_the_grant() -> None:
    pusher = with_secret(authorization_grant_type="client-credentials")
    response = pusher.push()
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_another_method(pusher: Pusher, method: str) -> None:
    response = getattr(Client(), method)(PAR, headers=pusher.headers)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")


# The browser


def test_a_request_uri_is_used_once(pusher: Pusher, reasons: Any) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    page = http.get(url)
    answer_of(http.post(url, {**page_fields(page), "allow": "on"}))
    get_grant_model().objects.all().delete()
    turned_away(http.post(url, {**page_fields(page), "allow": "on"}))
    turned_away(http.get(url))
    turned_away(Client().get(url))
    assert reasons() == ["pushed_request_used"] * 3


def test_a_request_uri_that_expired(pusher: Pusher, reasons: Any, time_machine: Any) -> None:
    time_machine.move_to(1_800_000_000, tick=False)
    url = url_of("app", pusher.pushed())
    time_machine.shift(91)
    turned_away(browser().get(url))
    assert reasons() == ["pushed_request_expired"]


def test_a_request_uri_of_another_client(pusher: Pusher, reasons: Any) -> None:
    public("other")
    reference = pusher.pushed()
    turned_away(browser().get(url_of("other", reference)))
    assert reasons() == ["pushed_request_foreign"]
    assert answer_of(consent(browser(), url_of("app", reference)))["code"], "its owner can still use it"


GUESSED: dict[str, Any] = {
    "a guess": lambda reference: reference[:-1] + ("A" if reference[-1] != "A" else "B"),
    "its random part alone": lambda reference: reference.rpartition(":")[2],
    "its digest": lambda reference: PushedAuthorizationRequest.objects.get().digest,
    "the prefix alone": lambda reference: reference.rpartition(":")[0],
    "in capitals": str.upper,
    "nothing": lambda reference: "",
    "a URL": lambda reference: "https://client.example/request.jwt",
    "a NUL": lambda reference: reference + "\0",
}


@table("guess", GUESSED)
def test_a_request_uri_that_was_never_given_out(pusher: Pusher, reasons: Any, guess: Any) -> None:
    """Even beside parameters that would be good ones without it."""
    reference = guess(pusher.pushed())
    url = f"{AUTHORIZE}?{urlencode({**AUTHORIZATION_REQUEST, 'client_id': 'app', 'request_uri': reference})}"
    for http in (browser(), Client()):
        turned_away(http.get(url))
    assert reasons() == ["pushed_request_unknown"] * 2


@table(
    "query",
    {
        "no client_id": lambda reference: [("request_uri", reference)],
        "two client_ids": lambda reference: [("client_id", "app"), ("client_id", "app"), ("request_uri", reference)],
        "two references": lambda reference: [("client_id", "app"), ("request_uri", "x"), ("request_uri", reference)],
        "no reference": lambda reference: [("client_id", "app"), ("request_uri", "")],
    },
)
def test_a_query_that_does_not_name_one_request(pusher: Pusher, query: Any) -> None:
    turned_away(browser().get(f"{AUTHORIZE}?{urlencode(query(pusher.pushed()))}"))


ADDED = {
    "redirect_uri": "https://attacker.example/",
    "scope": "read write introspection",
    "state": "forged",
    "response_type": "token",
    "code_challenge": "f" * 43,
    "code_challenge_method": "plain",
    "nonce": "forged",
    "claims": '{"id_token": {"forged": null}}',
    "resource": "https://attacker.example/",
    "prompt": "none",
    "approval_prompt": "auto",
    "response_mode": "fragment",
    "client_secret": "secret",
    "user": "1",
    "pushed": "1",
}


def carried_out(pusher: Pusher, response: Any) -> None:
    """Assert that what was pushed was carried out, and nothing else."""
    redirect = answer_of(response)
    assert set(redirect) == {"code", "state", "iss"}
    assert redirect["state"] == "xyz"
    grant = get_grant_model().objects.get(code=redirect["code"])
    kept = ("redirect_uri", "scope", "code_challenge", "code_challenge_method", "nonce", "claims", "resource")
    assert {name: getattr(grant, name) for name in kept} == {
        **{name: value for name, value in AUTHORIZATION_REQUEST.items() if name in kept},
        "nonce": "",
        "claims": "{}",
        "resource": [],
    }
    assert pusher.redeem(redirect["code"]).json()["scope"] == "read write"


@pytest.mark.parametrize("name", [*ADDED, "all at once"])
def test_parameters_added_in_the_browser_have_no_effect(pusher: Pusher, name: str) -> None:
    added = {name: ADDED[name]} if name in ADDED else ADDED
    carried_out(pusher, consent(browser(), url_of("app", pusher.pushed(), **added)))


@pytest.mark.parametrize("name", [*ADDED, "client_id", "all at once"])
def test_a_tampered_field_of_the_consent_page_has_no_effect(pusher: Pusher, name: str) -> None:
    create_application("other")
    fields = {**ADDED, "client_id": "other"}
    changes = {name: fields[name]} if name in fields else fields
    carried_out(pusher, consent(browser(), url_of("app", pusher.pushed()), **changes))


def test_a_page_that_sends_nothing_but_the_decision(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    carried_out(pusher, http.post(url, {"allow": "on"}))


def test_another_request_uri_in_the_form_has_no_effect(pusher: Pusher) -> None:
    """The user has seen the page of the one in the URL."""
    url, other = url_of("app", pusher.pushed()), pusher.pushed(scope="read", state="other")
    carried_out(pusher, consent(browser(), url, request_uri=other))


def test_a_redirect_uri_that_is_no_longer_registered(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    page = http.get(url)
    get_application_model().objects.update(redirect_uris="https://new.example/callback")
    for response in (http.get(url), http.post(url, {**page_fields(page), "allow": "on"})):
        assert response.status_code == 400
        assert "Location" not in response.headers
    assert not get_grant_model().objects.exists()


# Who redeems


@pytest.mark.accepts("B3")
@pytest.mark.refuses("B3")
def test_another_instance_cannot_redeem_the_code(pusher: Pusher) -> None:
    assert pusher.attested is not None
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    another = pusher.attested.another()
    another.refused(Reason.CODE_OF_ANOTHER_INSTANCE, data=redemption(code), proof_used=True)
    assert pusher.redeem(code).status_code == 200
    assert get_access_token_model().objects.count() == 1


@pytest.mark.refuses("B3")
def test_an_instance_that_holds_something_else_cannot_redeem_the_code(pusher: Pusher) -> None:
    """One that has a record of its own."""
    assert pusher.attested is not None
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    another = Pusher("app", attested=pusher.attested.another())
    another.pushed()
    assert another.redeem(code).json()["error"] == "invalid_grant"
    assert pusher.redeem(code).status_code == 200


@pytest.mark.refuses("B3", "B5")
def test_the_code_is_worth_nothing_without_an_attestation(pusher: Pusher) -> None:
    assert pusher.attested is not None
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    secret = {**redemption(code), "client_id": "app", "client_secret": "secret"}
    pusher.attested.refused(Reason.ATTESTATION_REQUIRED, data=secret, headers={})
    assert pusher.redeem(code).status_code == 200


@pytest.mark.refuses("B3")
def test_the_code_stays_bound_when_the_policy_goes(pusher: Pusher) -> None:
    """The application may use its secret again; the code was not given to it."""
    assert pusher.attested is not None
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    pusher.attested.application.client_attestation_policy.delete()
    secret = {**redemption(code), "client_id": "app", "client_secret": "secret"}
    response = post_form(Client(), TOKEN, secret)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.fixture
def overtaken() -> tuple[AttestedClient, str]:
    """An attested client, and a code of a request that its secret had pushed before it had its policy."""
    reference = with_secret("app").pushed()
    application = get_application_model().objects.get()
    client = AttestedClient(application=application)
    register_attester(client.backend, applications=(application,))
    AttestationPolicy.objects.create(application=application)
    return client, answer_of(consent(browser(), url_of("app", reference)))["code"]


@pytest.mark.refuses("B3")
@table("by_setting", {"of all applications": True, "of this application": False})
def test_a_code_of_nobody_is_worth_nothing_where_pushing_is_required(
    overtaken: tuple[AttestedClient, str], by_setting: bool, settings: Any
) -> None:
    """Whoever has the verifier could redeem it, with any instance."""
    client, code = overtaken
    if by_setting:
        configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    else:
        PushedAuthorizationPolicy.objects.create(application=client.application)
    client.refused(Reason.CODE_UNBOUND, data=redemption(code), proof_used=True)
    assert get_grant_model().objects.count() == 1


@pytest.mark.accepts("B3")
def test_a_code_of_nobody_is_good_where_pushing_is_not_required(overtaken: tuple[AttestedClient, str]) -> None:
    """Of another application, it is."""
    client, code = overtaken
    PushedAuthorizationPolicy.objects.create(application=create_application("other"))
    client.accepted(data=redemption(code))


def test_a_client_with_a_secret_has_codes_of_nobody(settings: Any) -> None:
    configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    pusher = with_secret()
    assert pusher.redeem(answer_of(consent(browser(), url_of("free", pusher.pushed())))["code"]).status_code == 200


def test_an_instance_that_is_blocked_gets_no_code(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    page = http.get(url)
    InstanceRecord.objects.update(blocked=timezone.now())
    redirect = answer_of(http.post(url, {**page_fields(page), "allow": "on"}))
    assert (redirect["error"], redirect["state"]) == ("unauthorized_client", "xyz")
    assert not get_grant_model().objects.exists()


def test_blocking_an_instance_ends_what_it_has_pushed(pusher: Pusher) -> None:
    url = url_of("app", pusher.pushed())
    record = InstanceRecord.objects.get()
    instances.block(record.application_id, record.thumbprint)
    turned_away(browser().get(url))


class Hasty(AttestationOAuth2Validator):
    """A site on which another request redeems each code a moment earlier."""

    def validate_code(self, client_id: str, code: str, *args: Any, **kwargs: Any) -> bool:
        valid = super().validate_code(client_id, code, *args, **kwargs)
        get_grant_model().objects.filter(code=code).delete()
        return valid


@pytest.mark.refuses("E7")
def test_a_code_that_another_request_redeems_meanwhile(pusher: Pusher) -> None:
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    with provider(OAUTH2_VALIDATOR_CLASS=f"{__name__}.Hasty"):
        response = pusher.redeem(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


# Who must push


@table("by_setting", {"of all applications": True, "of this application": False})
@table("register", {"attested": attested, "secret": with_secret, "public": public})
@table(
    "way",
    {
        "on its first page": lambda http, url, fields: http.get(url),
        "past the page": lambda http, url, fields: http.post(AUTHORIZE, {**fields, "allow": "on"}),
    },
)
def test_a_request_that_should_have_been_pushed(
    register: Any, by_setting: bool, way: Any, settings: Any, reasons: Any
) -> None:
    pusher = register()
    http, url = browser(), f"{AUTHORIZE}?{urlencode({**AUTHORIZATION_REQUEST, 'client_id': pusher.client_id})}"
    fields = page_fields(http.get(url))
    application = get_application_model().objects.get()
    if by_setting:
        configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    else:
        PushedAuthorizationPolicy.objects.create(application=application)
    redirect = answer_of(way(http, url, fields))
    assert (redirect["error"], redirect["state"]) == ("invalid_request", "xyz")
    assert redirect["error_description"] == "A pushed authorization request is required."
    assert reasons() == ["pushed_request_required"]
    assert not get_grant_model().objects.exists()


def test_pushing_is_not_required_of_a_client_that_is_known_by_its_metadata_document() -> None:
    """The host prunes such an application, and the policy would go with it."""
    application = create_application("https://client.example/client.json", cimd_expires_at=timezone.now())
    policy = PushedAuthorizationPolicy(application=application)
    with pytest.raises(ValidationError) as refused:
        policy.full_clean()
    assert {error.code for error in refused.value.error_dict["application"]} == {"metadata_document"}
    application.cimd_expires_at = None
    policy.full_clean()


def test_what_is_required_of_one_application_is_not_of_another() -> None:
    PushedAuthorizationPolicy.objects.create(application=create_application("other"))
    pusher = public()
    url = f"{AUTHORIZE}?{urlencode({**AUTHORIZATION_REQUEST, 'client_id': 'free'})}"
    assert pusher.redeem(answer_of(consent(browser(), url))["code"]).status_code == 200


def test_a_new_instance_is_not_the_one_that_pushed(pusher: Pusher) -> None:
    code = answer_of(consent(browser(), url_of("app", pusher.pushed())))["code"]
    assert pusher.redeem(code, by=ClientInstance()).json()["error"] == "invalid_grant"
