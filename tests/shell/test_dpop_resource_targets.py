"""What a proof at a resource has to be for: the URL that the client called, whatever is between it and Django."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.views import ProtectedResourceView

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.resource.decorators import protected_resource
from tests.kit import ISSUER, AttestedClient, table
from tests.shell.resources import bearer_token, bound_token, reasons

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@csrf_exempt
@protected_resource()
def anything(request: HttpRequest, name: str = "") -> HttpResponse:
    return HttpResponse(name)


class Everything(ProtectedResourceView):
    """Answers every method."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("got")

    post = put = patch = delete = get


urlpatterns = [path("view", csrf_exempt(Everything.as_view())), re_path(r"^(?P<name>.*)$", anything)]


def call(
    client: AttestedClient,
    path: str,
    *,
    method: str = "GET",
    uri: str | None = None,
    proof: dict[str, Any] | None = None,
    **extra: Any,
) -> Any:
    """Call a path with a bound token and a proof for ``uri``."""
    token = bound_token(client)
    field = client.dpop(path, method=method, access_token=token, uri=uri or ISSUER + path, **(proof or {}))
    http = Client(SERVER_NAME="127.0.0.1", HTTP_HOST="127.0.0.1:8000")
    return http.generic(method, path, headers={"Authorization": f"DPoP {token}", "DPoP": field}, **extra)


def refused_for(reason: Reason, client: AttestedClient, path: str, **call_with: Any) -> None:
    with reasons() as noted:
        assert call(client, path, **call_with).status_code == 401
    assert noted == [reason]


#: Of a request for /api, what the client called, and what a proxy makes of it.
PROXIES: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "TLS ends at a proxy": (
        {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        "https://127.0.0.1:8000/api",
    ),
    "a proxy with a name of its own": (
        {"USE_X_FORWARDED_HOST": True, "ALLOWED_HOSTS": ["api.example"]},
        {"HTTP_X_FORWARDED_HOST": "api.example"},
        "http://api.example/api",
    ),
    "a proxy with a port of its own": (
        {"USE_X_FORWARDED_HOST": True, "ALLOWED_HOSTS": ["api.example"]},
        {"HTTP_X_FORWARDED_HOST": "api.example:8443"},
        "http://api.example:8443/api",
    ),
    "both": (
        {
            "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
            "USE_X_FORWARDED_HOST": True,
            "ALLOWED_HOSTS": ["api.example"],
        },
        {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "api.example"},
        "https://API.example:443/api",
    ),
    "a prefix": ({}, {"SCRIPT_NAME": "/mounted/here"}, f"{ISSUER}/mounted/here/api"),
    "a prefix by a setting": ({"FORCE_SCRIPT_NAME": "/mounted"}, {}, f"{ISSUER}/mounted/api"),
}


@table("site, extra, uri", PROXIES)
@pytest.mark.accepts("D6")
def test_the_clients_url_counts(
    settings: Any, site: dict[str, Any], extra: dict[str, str], uri: str, attested: AttestedClient
) -> None:
    for name, value in site.items():
        setattr(settings, name, value)
    assert call(attested, "/api", uri=uri, **extra).status_code == 200
    refused_for(Reason.DPOP_HTU, attested, "/api", uri=f"{ISSUER}/api", **extra)


@table("site, extra, uri", {name: row for name, row in PROXIES.items() if row[0] and row[1]})
@pytest.mark.refuses("D6")
def test_the_word_of_a_proxy_that_there_is_not_counts_for_nothing(
    site: dict[str, Any], extra: dict[str, str], uri: str, attested: AttestedClient
) -> None:
    refused_for(Reason.DPOP_HTU, attested, "/api", uri=uri, **extra)
    assert call(attested, "/api", uri=f"{ISSUER}/api", **extra).status_code == 200


@table(
    "path, spelled",
    {
        "letters beyond ASCII": ("/prüfung/Ω", "/pr%C3%BCfung/%CE%A9"),
        "letters beyond ASCII, in lower case": ("/prüfung", "/pr%c3%bcfung"),
        "a space": ("/a b", "/a%20b"),
        "a percent sign": ("/100%", "/100%25"),
        "a letter that needs no encoding": ("/~user", "/%7Euser"),
        "a plus": ("/a+b", "/a%2Bb"),
        "a semicolon": ("/a;v=1", "/a;v=1"),
        "a colon in the first segment": ("/a:b", "/a:b"),
        "two slashes": ("/a//b", "/a//b"),
        "two slashes in front": ("//a", "//a"),
        "an encoded question mark": ("/a?b", "/a%3Fb"),
        "an encoded number sign": ("/a#b", "/a%23b"),
        "dot segments": ("/a/c", "/a/b/../c"),
        "nothing": ("/", ""),
    },
)
@pytest.mark.accepts("D6")
def test_paths_are_compared_and_not_their_spelling(path: str, spelled: str, attested: AttestedClient) -> None:
    sent = "/" + quote(path[1:], safe="/:;=+~").replace("/", "%2F", path.startswith("//"))
    response = call(attested, sent, uri=ISSUER + spelled)
    assert (response.status_code, response.content.decode()) == (200, path[1:])


@table("query", {"a query": "?a=1&b=%20", "one that Django reads differently": "?a=1;b=2&[x]=y", "an empty one": "?"})
def test_the_query_does_not_count(query: str, attested: AttestedClient) -> None:
    assert call(attested, f"/api{query}", uri=f"{ISSUER}/api").status_code == 200
    assert call(attested, "/api", uri=f"{ISSUER}/api{query}").status_code == 200


@table("method", {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")})
@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_each_method_takes_a_proof_of_its_own(method: str, attested: AttestedClient) -> None:
    for place in ("/view", "/api"):
        assert call(attested, place, method=method).status_code == 200
        other = "GET" if method == "HEAD" else "HEAD"
        refused_for(Reason.DPOP_HTM, attested, place, method=method, proof={"claims": {"htm": other}})
        refused_for(Reason.DPOP_HTM, attested, place, method=method, proof={"claims": {"htm": method.lower()}})


def test_a_preflight_takes_no_token(attested: AttestedClient) -> None:
    http = Client(HTTP_HOST="127.0.0.1:8000")
    response = http.options("/view", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "GET"})
    assert response.status_code == 200
    assert "WWW-Authenticate" not in response.headers


def test_a_parameter_cannot_pass_for_an_error(attested: AttestedClient) -> None:
    """What nobody has set, oauthlib answers from the query string; the host would stumble over it."""
    http = Client(HTTP_HOST="127.0.0.1:8000")
    for token in ("unknown", bearer_token(attested, scope="")):
        for query in ("oauth2_error=x", "token_verdict=x", "client=x&user=x"):
            response = http.get(f"/api?{query}", headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == (401 if token == "unknown" else 200)


def test_a_query_that_cannot_be_decoded_is_a_bad_request(attested: AttestedClient) -> None:
    assert call(attested, "/api?a=%zz").status_code == 400
