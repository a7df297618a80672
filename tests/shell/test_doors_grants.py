"""Whole flows of an attested client, from the user's browser over the API to the revocation of its tokens."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_client_attestation.core.errors import Reason
from tests.kit import (
    CODE_CHALLENGE,
    CODE_VERIFIER,
    DOORS,
    INTROSPECT,
    PASSWORD,
    REDIRECT_URI,
    REVOKE,
    AttestedClient,
    alice,
    create_application,
    create_code,
    create_refresh_token,
)

pytestmark = pytest.mark.django_db

AUTHORIZE = "/o/authorize/"
DOOR = {door.name: door for door in DOORS}


def authorize(client_id: str, **changes: str) -> dict[str, str]:
    """Let alice's browser through the authorization endpoint; return the parameters of the redirect."""
    browser = Client()
    browser.force_login(alice())
    parameters = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "read write",
        "state": "xyz",
        "code_challenge": CODE_CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    page = browser.get(f"{AUTHORIZE}?{urlencode(parameters)}")
    assert page.status_code == 200, page.content
    hidden = {name: value for name, value in page.context["form"].initial.items() if value is not None}
    answer = browser.post(AUTHORIZE, {**hidden, "allow": "on"})
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(REDIRECT_URI + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def redemption(code: str, **changes: str) -> dict[str, str]:
    """Return the token request for a code, without a client_id."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": CODE_VERIFIER,
        **changes,
    }


@pytest.fixture(params=["confidential", "public"])
def client(request: pytest.FixtureRequest) -> AttestedClient:
    """An attested client with the authorization code grant."""
    return DOOR["authorization_code"].register(client_type=request.param)


@pytest.mark.accepts("B5", "H5", "E7")
def test_from_the_browser_to_the_api_and_back(client: AttestedClient) -> None:
    redirect = authorize(client.client_id)
    assert redirect["state"] == "xyz"
    tokens = client.accepted(data=redemption(redirect["code"])).json()
    api = client.http.get("/api/hello", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert api.json() == {"hello": "alice", "client_id": client.client_id, "scope": "read write"}

    refreshed = client.accepted(data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}).json()
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    assert client.post(INTROSPECT, {"token": refreshed["access_token"]}).json()["username"] == "alice"

    assert client.post(REVOKE, {"token": refreshed["refresh_token"]}).status_code == 200
    assert client.post(INTROSPECT, {"token": refreshed["access_token"]}).json() == {"active": False}
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


def test_a_code_is_redeemed_once(client: AttestedClient) -> None:
    code = authorize(client.client_id)["code"]
    client.accepted(data=redemption(code))
    again = client.post(data=redemption(code))
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert get_access_token_model().objects.count() == 1


def test_an_attestation_does_not_replace_pkce(client: AttestedClient) -> None:
    code = authorize(client.client_id)["code"]
    response = client.post(data=redemption(code, code_verifier="w" * 64))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "request_for",
    [
        pytest.param(lambda application: redemption(create_code(application)), id="code"),
        pytest.param(
            lambda application: {"grant_type": "refresh_token", "refresh_token": create_refresh_token(application)},
            id="refresh token",
        ),
    ],
)
def test_what_another_client_was_given_stays_that_clients(client: AttestedClient, request_for: Any) -> None:
    """A good attestation lets its client in, and no further than that client may go."""
    other = AttestedClient(client_id="other")
    DOOR["authorization_code"].register(other, attester={"name": "Other"})
    data = request_for(other.application)
    response = client.post(data=data)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    other.accepted(data=data)


def test_revoking_another_clients_token_changes_nothing(client: AttestedClient) -> None:
    other = create_application("other", policy={})
    token = create_refresh_token(other)
    assert client.post(REVOKE, {"token": token}).status_code == 200
    assert get_refresh_token_model().objects.get(token=token).revoked is None


def test_the_password_grant_gives_alices_token() -> None:
    client = DOOR["password"].register()
    data = {"grant_type": "password", "username": alice().username, "password": PASSWORD}
    token = client.accepted(data=data).json()["access_token"]
    assert get_access_token_model().objects.get(token=token).user == alice()


def test_a_wrong_password_is_no_better_with_an_attestation() -> None:
    client = DOOR["password"].register()
    data = {"grant_type": "password", "username": alice().username, "password": "wrong"}
    response = client.post(data=data)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert not get_access_token_model().objects.exists()


def test_client_credentials_give_the_clients_own_token(attested: AttestedClient) -> None:
    token = attested.accepted().json()["access_token"]
    row = get_access_token_model().objects.get(token=token)
    assert (row.application, row.user, row.scope) == (attested.application, None, "read")
    assert not get_refresh_token_model().objects.exists()


def test_an_attestation_does_not_open_another_grant(attested: AttestedClient) -> None:
    """The application is registered for client_credentials alone."""
    data = {"grant_type": "password", "username": alice().username, "password": PASSWORD}
    response = attested.post(data=data)
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


def test_a_form_sent_as_multipart_is_the_same_request(attested: AttestedClient) -> None:
    """django-oauth-toolkit reads it, so it must be guarded: the test client sends multipart by default."""
    attested.accepted()
    secret = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    attested.refused(Reason.ATTESTATION_REQUIRED, headers={}, data=secret)
