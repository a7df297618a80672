"""What the browser of a pushed request keeps, and what it sends back to the client."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_grant_model

from oauth_client_attestation.models import PushedAuthorizationRequest
from oauth_client_attestation.par.visit import MAX_VISITS
from tests.kit import AUTHORIZE, ISSUER, PASSWORD, alice, provider, table
from tests.shell.par import Pusher, answer_of, attested, browser, consent, url_of

pytestmark = pytest.mark.django_db

#: A whole second, so that times can be compared to the second.
NOW = 1_800_000_000


@pytest.fixture
def pusher() -> Pusher:
    """A client that must be attested."""
    return attested()


def visits(http: Client) -> list[str]:
    """Return the names of the cookies that a browser would send of its visits."""
    return [name for name, cookie in http.cookies.items() if name.startswith("oauth_pushed_") and cookie.value]


def name_of_the_last(pusher: Pusher) -> str:
    return f"oauth_pushed_{PushedAuthorizationRequest.objects.latest('valid_until').digest[:16]}"


@table("start", {"a known user": browser, "nobody": Client})
def test_a_browser_keeps_no_more_than_the_latest_visits(pusher: Pusher, time_machine: Any, start: Any) -> None:
    """However often another site sends it here; servers refuse requests with too many cookies."""
    time_machine.move_to(NOW, tick=False)
    http, names = start(), []
    for _ in range(3 * MAX_VISITS):
        http.get(url_of("app", pusher.pushed()))
        names.append(name_of_the_last(pusher))
        time_machine.shift(1)
    assert sorted(visits(http)) == sorted(names[-MAX_VISITS:])


def test_a_visit_that_goes_on_is_not_the_one_that_falls(pusher: Pusher, time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)
    http, urls = browser(), []
    for _ in range(MAX_VISITS):
        urls.append(url_of("app", pusher.pushed(prompt="login")))
        http.get(urls[-1])
        time_machine.shift(1)
    http.post("/accounts/login/", {"username": "alice", "password": PASSWORD})
    time_machine.shift(100)
    assert [http.get(url).status_code for url in urls] == [200] * MAX_VISITS


@table("allow", {"allowed": True, "refused": False})
def test_a_visit_ends_with_the_decision(pusher: Pusher, allow: bool) -> None:
    http, other = browser(), url_of("app", pusher.pushed())
    http.get(other)
    kept = visits(http)
    consent(http, url_of("app", pusher.pushed()), allow=allow)
    assert visits(http) == kept
    assert http.get(other).status_code == 200


def test_a_visit_ends_with_login_required(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed(prompt="login"))
    http.get(url)
    assert len(visits(http)) == 1
    assert answer_of(http.get(url))["error"] == "login_required"
    assert visits(http) == []


def test_the_cookie_says_nothing_of_the_user(pusher: Pusher, time_machine: Any) -> None:
    """Whoever gets at the browser later reads when it was here, and not since when its user had been logged in."""
    time_machine.move_to(NOW - 86400, tick=False)
    http = browser()
    last_login = alice().last_login
    time_machine.move_to(NOW, tick=False)
    http.get(url_of("app", pusher.pushed(prompt="login")))
    (name,) = visits(http)
    cookie = http.cookies[name]
    assert cookie.value.partition(":")[0] == f"{NOW}.{NOW * 1000}"
    assert last_login.date().isoformat() not in cookie.value
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (AUTHORIZE, True, "Lax")


STATES = {"spaces around it": " a ", "a line end": "a\r\nb", "signs of a URL": "a&iss=https://attacker.example#?"}


@table("state", STATES)
@table("allow", {"a code": True, "a refusal": False})
def test_the_client_gets_its_state_as_it_was(pusher: Pusher, state: str, allow: bool) -> None:
    redirect = answer_of(consent(browser(), url_of("app", pusher.pushed(state=state)), allow=allow))
    assert redirect["state"] == state
    assert redirect["iss"] == ISSUER


def test_a_nonce_arrives_as_it_was(pusher: Pusher) -> None:
    scopes = {"openid": "Sign you in", "read": "Read your data"}
    with provider(OIDC_ENABLED=True, SCOPES=scopes):
        consent(browser(), url_of("app", pusher.pushed(scope="openid read", nonce=" n ")))
    assert get_grant_model().objects.get().nonce == " n "


@table("with_issuer", {"where codes have it": True, "where they do not": False})
def test_an_error_names_the_issuer_as_a_code_does(pusher: Pusher, with_issuer: bool) -> None:
    """RFC 9207 section 2."""
    with provider(COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS=with_issuer):
        answers = [
            answer_of(consent(browser(), url_of("app", pusher.pushed()), allow=allow)) for allow in (True, False)
        ]
        answers.append(answer_of(Client().get(url_of("app", pusher.pushed(prompt="none")))))
    expected = ISSUER if with_issuer else None
    assert [answer.get("iss") for answer in answers] == [expected] * 3


def test_no_page_of_a_pushed_request_is_kept_by_a_cache(pusher: Pusher) -> None:
    http, url = browser(), url_of("app", pusher.pushed())
    nobody = Client().get(url)
    page = http.get(url)
    decided = http.post(url, {"allow": "on"})
    used = http.get(url)
    assert [response.status_code for response in (nobody, page, decided, used)] == [302, 200, 302, 400]
    for response in (nobody, page, decided, used):
        assert response.headers["Cache-Control"] == "no-store"
