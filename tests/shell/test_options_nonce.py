"""Nonces on OPTIONS (rule C7), the mechanism of revision -05."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client, override_settings

from oauth_client_attestation.conf import DEFAULTS
from oauth_client_attestation.core.errors import Reason
from tests.kit import CHALLENGE, DEVICE_AUTHORIZATION, INTROSPECT, ISSUER, PAR, REVOKE, TOKEN

ENDPOINTS = (TOKEN, REVOKE, INTROSPECT, DEVICE_AUTHORIZATION, PAR)
ASK = {"attestation-nonce-request": "true"}
PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "OPTIONS",
    "Access-Control-Request-Headers": "attestation-nonce-request",
}
CORS_OUTSIDE = "corsheaders.middleware.CorsMiddleware"


def options(path, **headers):
    return Client(SERVER_NAME="127.0.0.1").options(path, headers=headers)


def with_cors(position):
    from django.conf import settings

    ours = "oauth_client_attestation.middleware.ClientAttestationMiddleware"
    middleware = [name for name in settings.MIDDLEWARE if name != CORS_OUTSIDE]
    middleware.insert(middleware.index(ours) + (1 if position == "inside" else 0), CORS_OUTSIDE)
    return override_settings(MIDDLEWARE=middleware, CORS_ALLOWED_ORIGINS=["https://app.example"])


@pytest.mark.accepts("C7")
@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_nonce_is_served_without_a_body_and_is_never_cached(path):
    response = options(path, **ASK)

    assert response.status_code == 200
    assert response.content == b""
    assert 16 <= len(response.headers["attestation-nonce"]) <= 512
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Type" not in response.headers


@pytest.mark.accepts("C7")
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("claim", ["nonce", "challenge"])
def test_the_nonce_is_good_under_either_name(attested, path, claim):
    nonce = options(path, **ASK).headers["attestation-nonce"]

    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=None, claims={claim: nonce})))


@pytest.mark.refuses("C7")
@override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, "OLDEST_REVISION": 10})
def test_the_old_name_is_refused_where_its_revision_is_below_the_floor(attested):
    nonce = options(TOKEN, **ASK).headers["attestation-nonce"]

    attested.refused(
        Reason.CHALLENGE_MISSING,
        headers=attested.headers(pop=attested.pop(challenge=None, claims={"nonce": nonce})),
    )


@pytest.mark.refuses("C7")
@pytest.mark.parametrize(
    "headers",
    [{}, {"attestation-nonce-request": "false"}, {"attestation-nonce-request": "TRUE"}, {**ASK, **PREFLIGHT}],
    ids=["not requested", "false", "another case", "a preflight"],
)
@pytest.mark.parametrize("path", ENDPOINTS)
def test_anything_but_a_nonce_request_is_answered_as_before(path, headers):
    with override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, "OPTIONS_NONCE_ENDPOINTS": []}):
        before = options(path, **headers)
    after = options(path, **headers)

    assert "attestation-nonce" not in after.headers
    assert (after.status_code, after.content, dict(after.headers)) == (
        before.status_code,
        before.content,
        dict(before.headers),
    )


@pytest.mark.refuses("C7")
@pytest.mark.parametrize("path", [CHALLENGE, "/o/authorize/", "/api/hello", "/nowhere"])
def test_other_paths_are_untouched(db, path):
    assert "attestation-nonce" not in options(path, **ASK).headers


@pytest.mark.refuses("C7")
@override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, "OPTIONS_NONCE_ENDPOINTS": ["oauth2_provider:token"]})
def test_the_setting_names_the_endpoints_that_serve_it():
    assert "attestation-nonce" in options(TOKEN, **ASK).headers
    assert "attestation-nonce" not in options(REVOKE, **ASK).headers


@pytest.mark.parametrize("position", ["outside", "inside"])
def test_django_cors_headers_answers_the_preflight_and_we_the_request(position):
    with with_cors(position):
        preflight = options(TOKEN, **PREFLIGHT)
        answer = options(TOKEN, Origin="https://app.example", **ASK)

    assert "attestation-nonce" not in preflight.headers
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert answer.headers["attestation-nonce"]
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "attestation-nonce" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.accepts("C6")
@pytest.mark.parametrize("position", ["outside", "inside"])
def test_a_browser_client_can_read_the_challenge(attested, position):
    with with_cors(position):
        response = attested.accepted(headers={**attested.headers(), "Origin": "https://app.example"})

    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "OAuth-Client-Attestation-Challenge" in response.headers["Access-Control-Expose-Headers"]


def test_headers_that_the_site_exposes_stay_exposed(attested):
    with with_cors("inside"), override_settings(CORS_EXPOSE_HEADERS=["X-Of-The-Site"]):
        response = attested.accepted(headers={**attested.headers(), "Origin": "https://app.example"})

    assert response.headers["Access-Control-Expose-Headers"].split(", ") == [
        "X-Of-The-Site",
        "OAuth-Client-Attestation-Challenge",
    ]


def test_a_request_of_the_same_origin_gets_no_list(attested):
    assert "Access-Control-Expose-Headers" not in attested.accepted().headers


@override_settings(ALLOWED_HOSTS=["testserver"])
def test_the_middleware_serves_async_sites():
    response = async_to_sync(AsyncClient().options)(TOKEN, headers=ASK)

    assert response.headers["attestation-nonce"]


def test_the_default_is_every_endpoint_that_authenticates_clients():
    from django.urls import reverse

    assert {reverse(name) for name in DEFAULTS["OPTIONS_NONCE_ENDPOINTS"]} == set(ENDPOINTS)
