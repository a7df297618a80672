"""A pushed ``prompt``: the user logs in because the client has asked for that, or the client is told (RFC 9126)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_grant_model

from oauth_client_attestation.models import PushedAuthorizationRequest
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from tests.kit import AUTHORIZE, ISSUER, PASSWORD, alice, provider, table
from tests.shell.par import Pusher, answer_of, attested, browser, consent, url_of

pytestmark = pytest.mark.django_db

OPENID = {
    "OIDC_ENABLED": True,
    "SCOPES": {"openid": "Sign you in", "read": "Read your data", "write": "Change your data"},
}
LOGIN_REQUIRED = {"error": "login_required", "state": "xyz", "iss": ISSUER}


@pytest.fixture
def pusher() -> Pusher:
    """A client that must be attested."""
    return attested()


@pytest.fixture
def url(pusher: Pusher) -> str:
    """Where the client sends the browser of a user who has to log in again."""
    return url_of("app", pusher.pushed(prompt="login"))


def log_in(http: Client, page: str) -> None:
    """Send the form of the login page."""
    assert http.post(page, {"username": "alice", "password": PASSWORD}).status_code == 302


def refused(http: Client, url: str, response: Any) -> None:
    """Assert that the client is told, and that the request is used up by that."""
    assert answer_of(response) == LOGIN_REQUIRED
    log_in(http, "/accounts/login/")
    for again in (http.get(url), http.post(url, {"allow": "on"})):
        assert (again.status_code, "Location" in again.headers) == (400, False)
    assert not get_grant_model().objects.exists()


def test_a_user_who_comes_back_without_having_logged_in(url: str) -> None:
    """Or a login page that lets known users pass."""
    http = browser()
    assert http.get(url)["Location"].startswith("/accounts/login/")
    refused(http, url, http.get(url))


@table("way", {"as the first request": 0, "after the login page was shown": 1})
@table("target", {"to its URL": "", "to the bare endpoint": AUTHORIZE})
def test_a_decision_without_a_login(url: str, way: int, target: str) -> None:
    """Past the page, whose form is known."""
    http = browser()
    for _ in range(way):
        http.get(url)
    query = dict(pair.split("=") for pair in url.partition("?")[2].replace("%3A", ":").split("&"))
    refused(http, url, http.post(target or url, {**query, "allow": "on"}))


def test_an_old_session_that_comes_back(url: str) -> None:
    """The browser arrives without its session's cookie, so that nobody is known, and then brings it again."""
    http = browser()
    session = http.cookies.pop("sessionid")
    assert http.get(url)["Location"].startswith("/accounts/login/")
    http.cookies["sessionid"] = session.value
    refused(http, url, http.get(url))


def test_a_login_on_another_device(url: str) -> None:
    http = browser()
    http.get(url)
    assert Client().login(username="alice", password=PASSWORD)
    refused(http, url, http.get(url))


def test_a_login_of_somebody_else_by_an_api(url: str) -> None:
    """Which reports it with the request of a browser where alice is still logged in."""
    http = browser()
    http.get(url)
    request = HttpRequest()
    request.session = http.session
    bob = type(alice()).objects.create_user("bob")
    user_logged_in.send(type(bob), request=request, user=bob)
    request.session.save()
    refused(http, url, http.get(url))


def test_a_login_without_a_session_changes_nothing() -> None:
    user_logged_in.send(type(alice()), request=None, user=alice())
    user_logged_in.send(type(alice()), request=HttpRequest(), user=alice())
    assert alice().last_login > timezone.now() - timedelta(minutes=1)


@table("milliseconds, asked", {"just before": (-1, True), "in the same millisecond": (0, False), "after": (1, False)})
def test_the_login_is_younger_than_the_request_for_it(
    url: str, time_machine: Any, milliseconds: int, asked: bool
) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    http = browser()
    login = http.get(url)["Location"]
    time_machine.shift(milliseconds / 1000)
    log_in(http, login)
    response = http.get(url)
    if asked:
        assert answer_of(response) == LOGIN_REQUIRED
    else:
        assert response.status_code == 200


def test_a_user_who_has_logged_in_may_reload_and_decide(url: str) -> None:
    http = browser()
    log_in(http, http.get(url)["Location"])
    for _ in range(2):
        assert http.get(url).status_code == 200
    assert answer_of(consent(http, url))["code"]


def test_a_second_request_asks_for_a_second_login(pusher: Pusher, url: str) -> None:
    http = browser()
    log_in(http, http.get(url)["Location"])
    other = url_of("app", pusher.pushed(prompt="login"))
    assert http.get(other)["Location"].startswith("/accounts/login/")
    assert http.get(url).status_code == 200


def test_two_answers_at_once(pusher: Pusher, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another request uses it up while this one is about to say ``login_required``."""
    http = browser()
    http.get(url)
    original = AttestationOAuth2Validator.validate_response_type

    def slow(self: Any, *args: Any, **kwargs: Any) -> bool:
        PushedAuthorizationRequest.objects.update(used=True)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(AttestationOAuth2Validator, "validate_response_type", slow)
    response = http.get(url)
    assert (response.status_code, "Location" in response.headers) == (400, False)
    assert "no-store" in response.headers["Cache-Control"]


# What is not supported is refused when it is pushed


class Silent(AttestationOAuth2Validator):
    """A site that knows who may be logged in silently."""

    def validate_silent_login(self, request: Any) -> bool:
        return True

    def validate_silent_authorization(self, request: Any) -> bool:
        return True


class HalfSilent(AttestationOAuth2Validator):
    """One that has forgotten the other question."""

    def validate_silent_login(self, request: Any) -> bool:
        return True


STOCK = f"{AttestationOAuth2Validator.__module__}.{AttestationOAuth2Validator.__name__}"


@table(
    "validator, scope, status",
    {
        "nobody says who is known": (STOCK, "openid read", 400),
        "nobody says who has agreed": (f"{__name__}.HalfSilent", "openid read", 400),
        "the site says": (f"{__name__}.Silent", "openid read", 201),
        "it is not about OpenID": (STOCK, "read", 201),
    },
)
def test_prompt_none_of_openid(pusher: Pusher, validator: str, scope: str, status: int) -> None:
    with provider(**OPENID, OAUTH2_VALIDATOR_CLASS=validator):
        response = pusher.push(scope=scope, prompt="none")
        assert response.status_code == status, response.content
        if status == 400:
            body = {"error": "invalid_request", "error_description": "prompt=none is not supported."}
            assert response.json() == body
        else:
            page = browser().get(url_of("app", response.json()["request_uri"]))
            assert page.status_code == 200, page.content


@table("enabled, status", {"where users register": (True, 201), "where they do not": (False, 400)})
def test_prompt_create(pusher: Pusher, enabled: bool, status: int) -> None:
    changes = {"OIDC_RP_INITIATED_REGISTRATION_ENABLED": enabled, "OIDC_RP_INITIATED_REGISTRATION_URL": "/register/"}
    with provider(**changes):
        response = pusher.push(prompt="create")
        assert response.status_code == status, response.content
        if status == 400:
            body = {"error": "invalid_request", "error_description": "prompt=create is not supported."}
            assert response.json() == body
        else:
            url = url_of("app", response.json()["request_uri"])
            assert Client().get(url)["Location"].startswith("/register/?next=")
