"""Where django-oauth-toolkit has pushed authorization requests of its own, ours step aside and only B3 is left.

The released versions have none, so a host that has is played here: its endpoint asks the validator and keeps the
request, its authorization endpoint is the stock view, which the kept parameters are put into. That is how its
development version does it, down to the hidden fields, which the browser can change.
"""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.models import get_grant_model
from oauth2_provider.settings import DEFAULTS
from oauth2_provider.views import AuthorizationView, TokenView
from oauthlib.common import Request as OAuthlibRequest

from oauth_client_attestation import par_urls
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AuthorizationCodeBinding, PushedAuthorizationPolicy
from oauth_client_attestation.oauth2.errors import AttestationOAuth2Error, error_response
from oauth_client_attestation.testing import ClientInstance
from tests.kit import AUTHORIZATION_REQUEST, AUTHORIZE, configure, table
from tests.shell.par import Pusher, answer_of, attested, browser, page_fields, redemption, url_of, with_secret

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

_kept: dict[str, dict[str, str]] = {}


@csrf_exempt
def host_par(request: HttpRequest) -> JsonResponse:
    core = TokenView.get_oauthlib_core()
    oauth_request = OAuthlibRequest(*core._extract_params(request))
    try:
        if not core.server.request_validator.authenticate_client(oauth_request):
            return JsonResponse({"error": "invalid_client"}, status=401)
        core.validate_authorization_request(request)
    except AttestationOAuth2Error as error:
        return error_response(error)
    except OAuthToolkitError as error:
        return JsonResponse({"error": error.oauthlib_error.error}, status=400)
    reference = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(32)}"
    _kept[reference] = {name: value for name, value in request.POST.items() if name != "client_secret"}
    return JsonResponse({"request_uri": reference, "expires_in": 60}, status=201)


class HostAuthorizationView(AuthorizationView):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "request_uri" in request.GET:
            query = urlencode(_kept.pop(request.GET["request_uri"]))
            request.GET, request.META["QUERY_STRING"] = QueryDict(query), query
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response


urlpatterns = [
    path("", include("oauth_client_attestation.urls")),
    path("o/par/", host_par),
    path("o/authorize/", HostAuthorizationView.as_view()),
    path("o/", include("oauth_client_attestation.metadata_urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("accounts/", include("django.contrib.auth.urls")),
]


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A django-oauth-toolkit that knows the setting."""
    monkeypatch.setitem(DEFAULTS, "PAR_ENABLED", True)
    yield
    _kept.clear()


@pytest.fixture
def pusher() -> Pusher:
    """A client that must be attested."""
    return attested()


def decide(pusher: Pusher, *, client_id: str = "app", push: dict[str, str] | None = None, **changes: str) -> Any:
    """Push and consent, with fields of the page changed; return the answer."""
    http, url = browser(), url_of(client_id, pusher.pushed(client_id=client_id, **(push or {})))
    page = http.get(url)
    assert page.status_code == 200, page.content
    return http.post(url, {**page_fields(page), "allow": "on", **changes})


@pytest.mark.accepts("B3")
@pytest.mark.refuses("B3")
def test_the_code_belongs_to_the_instance_that_pushed(pusher: Pusher) -> None:
    assert pusher.attested is not None
    code = answer_of(decide(pusher))["code"]
    assert AuthorizationCodeBinding.objects.count() == 1
    another = pusher.attested.another()
    another.refused(Reason.CODE_OF_ANOTHER_INSTANCE, data=redemption(code), proof_used=True)
    assert pusher.redeem(code, by=ClientInstance()).json()["error"] == "invalid_grant"
    assert pusher.redeem(code).status_code == 200


def test_the_code_of_another_client_belongs_to_nobody() -> None:
    pusher = with_secret()
    code = answer_of(decide(pusher, client_id="free"))["code"]
    assert not AuthorizationCodeBinding.objects.exists()
    assert pusher.redeem(code).status_code == 200


@pytest.mark.refuses("B3")
def test_an_instance_cannot_take_over_the_request_of_another(pusher: Pusher) -> None:
    """By pushing one with the same code_challenge, before the first has its code."""
    assert pusher.attested is not None
    reference = pusher.pushed(client_id="app")
    thief = Pusher("app", attested=pusher.attested.another())
    assert thief.push(client_id="app").json() == {"error": "invalid_request"}
    http, url = browser(), url_of("app", reference)
    code = answer_of(http.post(url, {**page_fields(http.get(url)), "allow": "on"}))["code"]
    assert thief.redeem(code).json()["error"] == "invalid_grant"
    assert pusher.redeem(code).status_code == 200


def test_an_instance_may_push_the_same_request_again(pusher: Pusher) -> None:
    pusher.pushed(client_id="app")
    assert pusher.redeem(answer_of(decide(pusher))["code"]).status_code == 200


@pytest.mark.refuses("B3")
def test_an_attested_request_without_pkce_cannot_be_pushed(pusher: Pusher) -> None:
    response = pusher.push(client_id="app", without="code_challenge")
    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


@table("required, error", {"where pushing is required": (True, "invalid_request"), "elsewhere": (False, None)})
@pytest.mark.refuses("B3")
def test_a_tampered_code_challenge(pusher: Pusher, monkeypatch: Any, required: bool, error: str | None) -> None:
    """What comes of it belongs to no instance, as a request that was not pushed."""
    application = type(pusher.attested.application)  # type: ignore[union-attr]  # there is one
    monkeypatch.setattr(application, "require_pushed_authorization_requests", required, raising=False)
    redirect = answer_of(decide(pusher, code_challenge="f" * 43))
    assert redirect.get("error") == error
    assert get_grant_model().objects.count() == (0 if required else 1)
    assert not AuthorizationCodeBinding.objects.exists()


@pytest.fixture
def routes_at_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What ``par_urls`` has on such a host; every other test gets back what it has on this one."""
    yield importlib.reload(par_urls).urlpatterns
    monkeypatch.undo()
    assert len(importlib.reload(par_urls).urlpatterns) == 2


def test_nothing_of_ours_is_routed(routes_at_start: list[Any]) -> None:
    assert routes_at_start == []


def test_nothing_of_ours_is_advertised(client: Any) -> None:
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert "pushed_authorization_request_endpoint" not in document


def test_what_we_require_is_for_the_host_to_require(pusher: Pusher, settings: Any) -> None:
    """The check says so; until then nothing is refused over a setting that the host does not know."""
    assert pusher.attested is not None
    PushedAuthorizationPolicy.objects.create(application=pusher.attested.application)
    configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    assert "oauth_client_attestation.E008" in {message.id for message in run_checks()}
    url = f"{AUTHORIZE}?{urlencode({**AUTHORIZATION_REQUEST, 'client_id': 'app'})}"
    assert browser().get(url).status_code == 200


def test_without_the_requirement_the_checks_are_content() -> None:
    assert [message.id for message in run_checks() if "E00" in str(message.id)] == []
