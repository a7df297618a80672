"""What a site builds from our parts: decorators with arguments, middleware beside a session, introspection's answer."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import IntrospectTokenView
from oauthlib.oauth2 import Server
from rest_framework.authentication import SessionAuthentication

from oauth_client_attestation.contrib.rest_framework.authentication import OAuth2Authentication
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.replay import ReplayStore, ReplayStoreUnavailable
from oauth_client_attestation.resource.decorators import (
    protected_resource,
    rw_protected_resource,
    rw_protected_resource_metadata,
)
from testproject.resources import Protected, RestFramework
from tests.kit import (
    INTROSPECT,
    SENTENCES,
    AttestedClient,
    alice,
    basic,
    configure,
    create_application,
    provider,
    table,
)
from tests.shell.resources import bearer_token, bound_token, reasons

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

HTTP = {"SERVER_NAME": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}


class Strict(AttestationOAuth2Validator):
    """Lets in nobody but alice."""

    def validate_bearer_token(self, token: str | None, scopes: Any, request: Any) -> bool:
        return super().validate_bearer_token(token, scopes, request) and request.user.get_username() == "alice"


@csrf_exempt
@protected_resource(["read"], Strict, Server, True, "https://api.example/metadata")
def strict(request: HttpRequest) -> HttpResponse:
    return HttpResponse("strict")


@csrf_exempt
@rw_protected_resource(["introspection"])
def read_write(request: HttpRequest) -> HttpResponse:
    return HttpResponse("read or written")


@csrf_exempt
@rw_protected_resource_metadata(resource_metadata_url="https://api.example/metadata")
def read_write_metadata(request: HttpRequest) -> HttpResponse:
    return HttpResponse("read or written")


def user_name(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


class Streamed(IntrospectTokenView):
    @staticmethod
    def get_token_response(token_value: str | None = None) -> Any:
        return StreamingHttpResponse([b'{"active": true}'])


class Wordy(IntrospectTokenView):
    """Its answer is long enough to be compressed."""

    answer: Any = {"active": True, "note": "long " * 100}

    @staticmethod
    def get_token_response(token_value: str | None = None) -> Any:
        return HttpResponse(json.dumps(Wordy.answer), content_type="application/json")


class OwnBackend(Protected):
    oauthlib_backend_class = OAuthLibCore


class SessionsFirst(RestFramework):
    authentication_classes = [SessionAuthentication, OAuth2Authentication]


urlpatterns = [
    path("own-backend", OwnBackend.as_view()),
    path("sessions-first", SessionsFirst.as_view()),
    path("strict", strict),
    path("read-write", read_write),
    path("read-write/metadata", read_write_metadata),
    path("user", user_name),
    path("o/introspect/", Wordy.as_view()),
    path("o/introspect/streamed", Streamed.as_view()),
]


def call(client: AttestedClient, path: str, token: str, *, method: str = "GET", **extra: Any) -> Any:
    proof = client.dpop(path, method=method, access_token=token)
    fields = {"Authorization": f"DPoP {token}", "DPoP": proof}
    return extra.pop("http", Client(**HTTP)).generic(method, path, headers=fields, **extra)


def test_a_decorator_takes_what_the_hosts_takes(attested: AttestedClient) -> None:
    assert call(attested, "/strict", bound_token(attested)).content == b"strict"
    response = Client(**HTTP).get("/strict")
    assert response.headers["WWW-Authenticate"] == (
        'Bearer resource_metadata="https://api.example/metadata", DPoP algs="ES256 ES384 ES512 EdDSA Ed25519", '
        'resource_metadata="https://api.example/metadata"'
    )


def test_a_decorator_does_not_take_a_validator_that_knows_nothing_of_bound_tokens() -> None:
    with pytest.raises(ImproperlyConfigured, match="OAuth2Validator needs AttestationValidatorMixin first"):
        protected_resource(validator_cls=OAuth2Validator)


@table(
    "method, scope, status",
    {
        "reading with the scope to read": ("GET", "read introspection", 200),
        "asking for the headers with it": ("HEAD", "read introspection", 200),
        "writing with it": ("POST", "read introspection", 403),
        "writing with the scope to write": ("DELETE", "write introspection", 200),
        "reading with that": ("OPTIONS", "write introspection", 403),
        "reading without the view's own scope": ("GET", "read", 403),
    },
)
def test_reading_and_writing_take_their_scopes(method: str, scope: str, status: int, attested: AttestedClient) -> None:
    for _ in range(2):  # what is needed does not add up
        response = call(attested, "/read-write", bound_token(attested, scope=scope), method=method)
        assert response.status_code == status
        if status == 403:
            assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_a_site_without_the_two_scopes_is_told(attested: AttestedClient) -> None:
    with provider(SCOPES={"read": "Read"}), pytest.raises(ImproperlyConfigured, match="'read' and 'write'"):
        call(attested, "/read-write/metadata", bound_token(attested))


class Down(ReplayStore):
    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        raise ReplayStoreUnavailable("down")


@table("place", {"a decorated view": "/api/decorated", "REST framework": "/api/rest-framework", "a view": "/api/view"})
@pytest.mark.urls("testproject.urls")
def test_a_replay_store_that_does_not_answer_is_no_fault_of_the_client(
    place: str, attested: AttestedClient, settings: Any
) -> None:
    configure(settings, REPLAY_STORE=f"{__name__}.Down")
    with reasons() as noted:
        response = call(attested, place, bound_token(attested))
    assert (response.status_code, noted) == (503, [Reason.REPLAY_STORE_UNAVAILABLE])
    assert "WWW-Authenticate" not in response.headers


TOKEN_MIDDLEWARE = "oauth_client_attestation.resource.middleware.OAuth2TokenMiddleware"


def test_a_session_goes_before_a_token(attested: AttestedClient, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, TOKEN_MIDDLEWARE]
    http = Client(**HTTP)
    http.force_login(type(alice())._default_manager.create_user("bob"))
    token = bound_token(attested)
    response = http.get("/user", headers={"Authorization": f"Bearer {token}"})
    assert response.content == b"bob"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in response.headers["Vary"].split(",")}
    assert Client(**HTTP).get("/user").content == b"nobody"
    assert Client(**HTTP).get("/user", headers={"Authorization": "Bearer unknown"}).content == b"nobody"
    assert call(attested, "/user", token).content == b"alice"
    assert call(attested, "/user", bearer_token(attested)).status_code == 401


def test_a_token_without_a_user_is_nobodys(attested: AttestedClient, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, TOKEN_MIDDLEWARE]
    fields = {**attested.headers(), "DPoP": attested.dpop()}
    with override_settings(ROOT_URLCONF="testproject.urls"):
        token = attested.accepted(headers=fields).json()["access_token"]
    assert call(attested, "/user", token).content == b"nobody"


def test_the_hosts_middleware_knows_bearer_tokens_and_no_bound_ones(attested: AttestedClient, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "oauth2_provider.middleware.OAuth2TokenMiddleware"]
    settings.AUTHENTICATION_BACKENDS = ["oauth2_provider.backends.OAuth2Backend"]
    token = bearer_token(attested)
    assert Client(**HTTP).get("/user", headers={"Authorization": f"Bearer {token}"}).content == b"alice"
    token = bound_token(attested)
    with reasons() as noted:
        assert Client(**HTTP).get("/user", headers={"Authorization": f"Bearer {token}"}).content == b"nobody"
    assert noted == [Reason.ACCESS_TOKEN_AS_BEARER]
    assert call(attested, "/user", token).content == b"nobody"


@pytest.mark.refuses("D6")
def test_a_view_with_a_backend_of_its_own_refuses_what_is_bound(attested: AttestedClient) -> None:
    """The check says so (E012): the proof does not reach the validator."""
    token = bound_token(attested)
    with provider():  # the host keeps a backend in a class attribute, which classes inherit
        assert call(attested, "/own-backend", token).status_code == 403
        for bearer, status in ((token, 403), (bearer_token(attested), 200)):
            response = Client(**HTTP).get("/own-backend", headers={"Authorization": f"Bearer {bearer}"})
            assert response.status_code == status


def test_a_client_is_told_though_another_authentication_comes_first(attested: AttestedClient) -> None:
    """REST framework takes the challenge of the first one, and a session has none."""
    response = Client(**HTTP).get("/sessions-first", headers={"Authorization": f"Bearer {bound_token(attested)}"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith('DPoP error="invalid_token", ')
    assert call(attested, "/sessions-first", bound_token(attested)).status_code == 200


@pytest.mark.refuses("D6")
def test_a_bound_token_does_not_configure_a_client(attested: AttestedClient, settings: Any) -> None:
    """The endpoint takes any token with its scope, and looks it up by itself."""
    attested.application.registration_source = "dcr"
    attested.application.save()
    path = f"/o/register/{attested.application.client_id}/"
    scope = "oauth2_provider:registration"
    with provider(DCR_ENABLED=True), override_settings(ROOT_URLCONF="testproject.urls"):
        for token, status, reported in (
            (bound_token(attested, scope=scope), 401, [Reason.ACCESS_TOKEN_AS_BEARER]),
            (bearer_token(attested, scope=scope), 200, []),
            ("unknown", 401, []),
        ):
            with reasons() as noted:
                response = Client(**HTTP).get(path, headers={"Authorization": f"Bearer {token}"})
            assert (response.status_code, noted) == (status, reported)
        assert Client(**HTTP).get(path).status_code == 401
        bound = bound_token(attested, scope=scope)
        refused = Client(**HTTP).delete(path, headers={"Authorization": f"Bearer {bound}"})
        assert refused.json() == {"error": "invalid_token", "error_description": SENTENCES["invalid_token"]}
        assert refused.headers["WWW-Authenticate"].startswith('DPoP error="invalid_token", ')


def test_nothing_asks_for_rest_framework_where_it_is_not_installed() -> None:
    script = """
import sys
sys.modules["rest_framework"] = None
from django.conf import settings
from tests import settings as site
named = {name: getattr(site, name) for name in dir(site) if name.isupper()}
apps = [name for name in site.INSTALLED_APPS if name != "rest_framework"]
settings.configure(**{**named, "INSTALLED_APPS": apps, "ROOT_URLCONF": "oauth_client_attestation.urls"})
import django
django.setup()
from django.core import checks
import oauth_client_attestation.resource.decorators, oauth_client_attestation.resource.middleware
checks.run_checks()
"""
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


# What the introspection endpoint says


def introspected(token: str, path: str = INTROSPECT, **fields: str) -> Any:
    create_application("rs", name="rs")
    http = Client(**HTTP)
    return http.post(path, {"token": token}, headers={**basic("rs", "secret"), **fields})


@table("encoding", {"as it is": "", "compressed": "gzip"})
@pytest.mark.accepts("D6")
def test_an_answer_is_completed_even_if_it_is_compressed(
    encoding: str, attested: AttestedClient, settings: Any
) -> None:
    """Middleware behind ours may compress it, and requests asks for that by itself."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"]
    token = bound_token(attested)
    response = introspected(token, **{"Accept-Encoding": encoding})
    assert response.json()["cnf"] == {"jkt": attested.instance.thumbprint}
    assert response.json()["token_type"] == "DPoP"
    assert response.json()["note"] == Wordy.answer["note"]
    assert int(response.headers["Content-Length"]) == len(response.content)


@table("encoding", {"as it is": "", "compressed": "gzip"})
def test_an_answer_about_a_bearer_token_stays_as_it_was(encoding: str, attested: AttestedClient, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"]
    response = introspected(bearer_token(attested), **{"Accept-Encoding": encoding})
    content = gzip.decompress(response.content) if encoding else response.content
    assert json.loads(content) == Wordy.answer


@table(
    "answer",
    {
        "text": HttpResponse("eyJ.eyJ.sig", content_type="application/token-introspection+jwt"),
        "a list": HttpResponse("[]"),
        "compressed in a way that we do not know": HttpResponse(b"\x1b", headers={"Content-Encoding": "br"}),
        "half of something compressed": HttpResponse(gzip.compress(b"{}")[:9], headers={"Content-Encoding": "gzip"}),
        "nothing that was compressed": HttpResponse("{}", headers={"Content-Encoding": "gzip"}),
    },
)
@pytest.mark.refuses("D6")
def test_an_answer_that_cannot_be_completed_is_not_given(
    answer: HttpResponse, attested: AttestedClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Wordy, "get_token_response", staticmethod(lambda token: answer))
    assert_unavailable(introspected(bound_token(attested)))
    assert "cannot be completed with cnf" in caplog.text


def test_who_asks_about_nothing_is_answered_as_ever(attested: AttestedClient) -> None:
    create_application("rs", name="rs")
    response = Client(**HTTP).post(INTROSPECT, headers=basic("rs", "secret"))
    assert response.json() == Wordy.answer


def test_an_answer_that_is_streamed_is_not_given(attested: AttestedClient) -> None:
    assert_unavailable(introspected(bound_token(attested), "/o/introspect/streamed"))


def test_nothing_is_said_while_the_database_does_not_answer(
    attested: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(token: str) -> None:
        raise DatabaseError

    token = bound_token(attested)
    monkeypatch.setattr("oauth_client_attestation.oauth2.introspection.stored_access_token", down)
    assert_unavailable(introspected(token))


def assert_unavailable(response: Any) -> None:
    assert response.status_code == 503
    assert response.json() == {"error": "temporarily_unavailable"}
    assert response.headers["Cache-Control"] == "no-store"


@table("answer", {"inactive": {"active": False}, "active, in words": {"active": "true"}})
def test_an_inactive_answer_stays_as_it_was(
    answer: dict[str, Any], attested: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wordy, "answer", answer)
    assert introspected(bound_token(attested)).json() == answer
