"""Pushed authorization requests (RFC 9126): from the push through the user's browser to a token, for every client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from oauth2_provider.models import get_application_model, get_grant_model

from oauth_client_attestation.models import (
    AuthorizationCodeBinding,
    PushedAuthorizationPolicy,
    PushedAuthorizationRequest,
)
from oauth_client_attestation.par import store
from tests.kit import (
    AUTHORIZATION_REQUEST,
    AUTHORIZE,
    ISSUER,
    PASSWORD,
    REDIRECT_URI,
    alice,
    configure,
    create_access_token,
    provider,
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
    url_of,
    with_basic,
    with_secret,
)

pytestmark = pytest.mark.django_db

OPENID = {
    "OIDC_ENABLED": True,
    "SCOPES": {"openid": "Sign you in", "read": "Read your data", "write": "Change your data"},
    "OAUTH2_VALIDATOR_CLASS": "oauth_client_attestation.oauth2.validators.AttestationOAuth2Validator",
}
#: A whole second, so that times can be compared to the second.
NOW = 1_800_000_000
#: Each way in which a client can authenticate, or has none, and both kinds of attested client.
PUSHERS = {
    "attested": attested,
    "attested, public": lambda: attested(client_type="public"),
    "secret in the form": with_secret,
    "secret by Basic": with_basic,
    "public": public,
}
every_pusher = table("pusher", PUSHERS)


@pytest.fixture
def pusher(request: pytest.FixtureRequest) -> Pusher:
    """One of :data:`PUSHERS`, registered; an attested client where a test does not say which."""
    return getattr(request, "param", attested)()


@pytest.fixture(params=[{}, OPENID], ids=["oauth2", "openid"])
def server(request: pytest.FixtureRequest) -> Iterator[None]:
    """The site with oauthlib's plain server, and with the one for OpenID Connect."""
    with provider(**request.param):
        yield


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("pusher", PUSHERS.values(), ids=PUSHERS.keys(), indirect=True)
@pytest.mark.accepts("B3", "B5", "E7")
def test_from_the_push_to_a_token(pusher: Pusher) -> None:
    response = pusher.push()
    assert response.status_code == 201, response.content
    assert set(response.json()) == {"request_uri", "expires_in"}
    assert response.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert response.json()["expires_in"] == 90
    assert "no-store" in response.headers["Cache-Control"]

    http, url = browser(), url_of(pusher.client_id, response.json()["request_uri"])
    redirect = answer_of(consent(http, url))
    assert (set(redirect), redirect["state"], redirect["iss"]) == ({"code", "state", "iss"}, "xyz", ISSUER)

    token = pusher.redeem(redirect["code"])
    assert token.status_code == 200, token.content
    assert token.json()["scope"] == "read write"


def test_neither_reference_nor_credentials_are_stored() -> None:
    pusher = with_secret()
    reference = pusher.pushed(client_assertion="x", client_assertion_type="y")
    (row,) = PushedAuthorizationRequest.objects.all()
    stored = f"{vars(row)}"
    assert reference.rpartition(":")[2] not in stored
    assert "secret" not in stored
    assert dict(row.parameters) == {**AUTHORIZATION_REQUEST, "client_id": "free"}
    assert row.instance is None


@pytest.mark.parametrize("pusher", [attested, with_basic], indirect=True, ids=["attested", "Basic"])
def test_an_authenticated_client_need_not_name_itself(pusher: Pusher) -> None:
    named = pusher.push(client_id=pusher.client_id)
    assert named.status_code == 201
    assert answer_of(consent(browser(), url_of(pusher.client_id, pusher.pushed())))["code"]


def test_a_user_who_has_to_log_in_comes_back_to_the_same_request(pusher: Pusher) -> None:
    http, url = Client(), url_of("app", pusher.pushed())
    alice()
    login = http.get(url)
    assert login["Location"].startswith("/accounts/login/?next=")
    assert "redirect_uri" not in login["Location"]
    back = http.post(login["Location"], {"username": "alice", "password": PASSWORD})
    assert back["Location"] == url
    assert answer_of(consent(http, back["Location"]))["code"]


def test_looking_at_the_page_does_not_use_the_request_up(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    for _ in range(3):
        assert http.get(url).status_code == 200
    assert answer_of(consent(http, url))["code"]


@table(
    "seconds, good",
    {"a second before": (89, True), "on the second": (90, True), "a second after": (91, False)},
)
def test_a_browser_arrives_in_time(pusher: Pusher, time_machine: Any, seconds: int, good: bool) -> None:
    time_machine.move_to(NOW, tick=False)
    url = url_of("app", pusher.pushed())
    time_machine.shift(seconds)
    assert browser().get(url).status_code == (200 if good else 400)


@table(
    "seconds, good",
    {"a second before": (899, True), "on the second": (900, True), "a second after": (901, False)},
)
def test_a_user_decides_in_time(pusher: Pusher, time_machine: Any, seconds: int, good: bool) -> None:
    """From the moment the browser arrived, and however often it was here since."""
    time_machine.move_to(NOW, tick=False)
    http, url = browser(), url_of("app", pusher.pushed())
    time_machine.shift(80)
    page = http.get(url)
    time_machine.shift(600)
    assert http.get(url).status_code == 200
    time_machine.shift(seconds - 600)
    decided = http.post(url, {**page_fields(page), "allow": "on"})
    assert decided.status_code == (302 if good else 400)


def test_only_the_browser_that_arrived_has_the_time_to_decide(pusher: Pusher, time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)
    first, url = browser(), url_of("app", pusher.pushed())
    assert first.get(url).status_code == 200
    time_machine.shift(91)
    another = browser()
    assert another.get(url).status_code == 400
    for cookie in first.cookies.values():
        if cookie.key.startswith("oauth_pushed_"):  # its own cookie for another request is no better
            another.cookies[cookie.key] = cookie.value[:-1] + ("A" if cookie.value[-1] != "A" else "B")
    assert another.get(url).status_code == 400
    assert first.get(url).status_code == 200


def test_a_refusal_by_the_user_is_final(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    redirect = answer_of(consent(http, url, allow=False))
    assert redirect == {"error": "access_denied", "state": "xyz", "iss": ISSUER}
    assert http.get(url).status_code == 400
    assert not get_grant_model().objects.exists()


def test_an_application_that_asks_nobody(pusher: Pusher) -> None:
    get_application_model().objects.update(skip_authorization=True)
    http, url = browser(), url_of("app", pusher.pushed())
    code = answer_of(http.get(url))["code"]
    assert http.get(url).status_code == 400
    assert pusher.redeem(code).status_code == 200


def test_an_approval_that_was_given_before(pusher: Pusher) -> None:
    """``approval_prompt`` comes from the push as well."""
    create_access_token(get_application_model().objects.get(), scope="read write")
    http = browser()
    asked = url_of("app", pusher.pushed(), approval_prompt="auto")
    assert http.get(asked).status_code == 200
    automatic = url_of("app", pusher.pushed(approval_prompt="auto"))
    assert pusher.redeem(answer_of(http.get(automatic))["code"]).status_code == 200


def test_the_only_redirect_uri_need_not_be_named(pusher: Pusher) -> None:
    code = answer_of(consent(browser(), url_of("app", pusher.pushed(without="redirect_uri"))))["code"]
    assert get_grant_model().objects.get(code=code).redirect_uri == REDIRECT_URI


def test_openid_connect_parameters_arrive(pusher: Pusher) -> None:
    claims = '{"id_token": {"email": {"essential": true}}}'
    with provider(**OPENID):
        reference = pusher.pushed(scope="openid read", nonce="n-0S6", claims=claims)
        code = answer_of(consent(browser(), url_of("app", reference)))["code"]
    grant = get_grant_model().objects.get(code=code)
    assert (grant.nonce, grant.scope) == ("n-0S6", "openid read")
    assert grant.claims == claims


def test_a_resource_may_be_repeated(pusher: Pusher) -> None:
    resources = ["https://a.example/api", "https://b.example/api"]
    code = answer_of(consent(browser(), url_of("app", pusher.pushed(resource=resources))))["code"]
    assert get_grant_model().objects.get(code=code).resource == resources


def test_prompt_none_without_a_user_is_answered_at_once(pusher: Pusher) -> None:
    redirect = answer_of(Client().get(url_of("app", pusher.pushed(prompt="none"))))
    assert redirect == {"error": "login_required", "state": "xyz", "iss": ISSUER}


def test_prompt_login_sends_a_known_user_to_log_in(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed(prompt="login"))
    login = http.get(url)
    assert login["Location"].startswith("/accounts/login/?next=")
    back = http.post(login["Location"], {"username": "alice", "password": PASSWORD})
    assert back["Location"] == url
    assert answer_of(consent(http, url))["code"]


def test_prompt_login_lets_another_user_in(pusher: Pusher) -> None:
    """Whose login empties the session, so what is remembered of the request must not live there."""
    alice()
    http, url = Client(), url_of("app", pusher.pushed(prompt="login"))
    http.force_login(type(alice()).objects.create_user("bob", password=PASSWORD))
    login = http.get(url)
    http.post(login["Location"], {"username": "alice", "password": PASSWORD})
    code = answer_of(consent(http, url))["code"]
    assert get_grant_model().objects.get(code=code).user == alice()


def test_a_page_may_send_its_form_to_the_bare_endpoint(pusher: Pusher) -> None:
    """A site's template may have an ``action`` without the query string."""
    http, url = browser(), url_of("app", pusher.pushed())
    fields = page_fields(http.get(url))
    code = answer_of(http.post(AUTHORIZE, {**fields, "scope": "introspection", "allow": "on"}))["code"]
    assert get_grant_model().objects.get(code=code).scope == "read write"
    assert AuthorizationCodeBinding.objects.count() == 1


@every_pusher
def test_a_request_that_was_not_pushed_goes_on_as_ever(pusher: Any) -> None:
    """A code that comes of it belongs to no instance; PKCE protects it (docs/operators.md)."""
    client = pusher()
    url = f"{AUTHORIZE}?" + "&".join(
        f"{name}={value}" for name, value in {**AUTHORIZATION_REQUEST, "client_id": client.client_id}.items()
    )
    code = answer_of(consent(browser(), url))["code"]
    assert not AuthorizationCodeBinding.objects.exists()
    assert client.redeem(code).status_code == 200


@every_pusher
@table("by_setting", {"of all applications": True, "of this application": False})
def test_what_must_be_pushed_can_be_pushed(pusher: Any, by_setting: bool, settings: Any) -> None:
    client = pusher()
    require(settings, by_setting)
    assert answer_of(consent(browser(), url_of(client.client_id, client.pushed())))["code"]


def require(settings: Any, by_setting: bool) -> None:
    if by_setting:
        configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    else:
        PushedAuthorizationPolicy.objects.create(application=get_application_model().objects.get())


def test_clearattestations_deletes_what_is_over(pusher: Pusher, time_machine: Any) -> None:
    """Not before the last who may have arrived has had the time to decide."""
    time_machine.move_to(NOW, tick=False)
    used = url_of("app", pusher.pushed())
    consent(browser(), used)
    time_machine.shift(1)
    pusher.pushed()
    time_machine.shift(90 + 900)
    call_command("clearattestations")
    assert PushedAuthorizationRequest.objects.count() == 1
    time_machine.shift(1)
    call_command("clearattestations")
    assert not PushedAuthorizationRequest.objects.exists()


def test_a_slice_of_what_is_over_goes_on_the_way(
    pusher: Pusher, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(store, "PURGE_INTERVAL", 1)
    application = get_application_model().objects.get()
    PushedAuthorizationRequest.objects.bulk_create(
        PushedAuthorizationRequest(digest=f"over-{number}", application=application, valid_until=1)
        for number in range(store.PURGE_SLICE + 1)
    )
    with django_capture_on_commit_callbacks(execute=True):
        pusher.pushed()
    assert PushedAuthorizationRequest.objects.count() == 2


def test_a_request_that_was_used_keeps_nothing_of_what_it_said(pusher: Pusher) -> None:
    consent(browser(), url_of("app", pusher.pushed(login_hint="alice@example.com")))
    (row,) = PushedAuthorizationRequest.objects.all()
    assert (row.used, row.parameters) == (True, [])
