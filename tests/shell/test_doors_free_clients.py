"""The site's other clients, which need no attestation, get from every door what the host alone gives them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.kit import (
    CHALLENGE_FIELD,
    DEVICE_AUTHORIZATION,
    DEVICE_CODE_GRANT,
    DOORS,
    INTROSPECT,
    TOKEN,
    Door,
    alice,
    basic,
    create_access_token,
    create_application,
    create_device_code,
    host_alone,
    post_form,
    stored,
)

pytestmark = pytest.mark.django_db

CONFIDENTIAL = {"client_type": "confidential"}
PUBLIC = {"client_type": "public"}
#: application, parameters, headers, and whether the client gets in
CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str], bool]] = {
    "secret in the form": (CONFIDENTIAL, {"client_id": "free", "client_secret": "secret"}, {}, True),
    "secret in Basic": (CONFIDENTIAL, {}, basic("free", "secret"), True),
    "secret in Basic and client_id": (CONFIDENTIAL, {"client_id": "free"}, basic("free", "secret"), True),
    "public, client_id alone": (PUBLIC, {"client_id": "free"}, {}, True),
    "public, with its secret": (PUBLIC, {"client_id": "free", "client_secret": "secret"}, {}, True),
    "wrong secret": (CONFIDENTIAL, {"client_id": "free", "client_secret": "wrong"}, {}, False),
    "wrong secret in Basic": (CONFIDENTIAL, {}, basic("free", "wrong"), False),
    "confidential, client_id alone": (CONFIDENTIAL, {"client_id": "free"}, {}, False),
    "an unknown client": (CONFIDENTIAL, {"client_id": "unknown", "client_secret": "secret"}, {}, False),
    "nobody": (CONFIDENTIAL, {}, {}, False),
}
#: Where a public client has to authenticate all the same, or a client has to name itself.
CLOSED = {
    ("client_credentials", "public, client_id alone"),
    ("introspection", "public, client_id alone"),
    ("introspection_get", "public, client_id alone"),
    ("device_authorization", "secret in Basic"),
}


def seen(response: Any) -> tuple[Any, ...]:
    """Return what a client sees of a response, random values aside."""
    body = response.json() if response.content else {}
    random = {"access_token", "refresh_token", "device_code", "user_code", "exp", "request_uri"}
    return (
        response.status_code,
        {name: "…" if name in random else value for name, value in body.items()},
        {name: value for name, value in response.headers.items() if name not in ("Content-Length", "Vary")},
    )


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.parametrize("who", CREDENTIALS)
@pytest.mark.accepts("B5")
def test_a_free_client_sees_no_difference(door: Door, who: str) -> None:
    fields, parameters, headers, gets_in = CREDENTIALS[who]
    application = door.create_application("free", **fields)
    create_application("app", policy={})
    before = stored()[0]

    def send() -> Any:
        http = Client(raise_request_exception=False)
        return door.send(http, {**door.prepare(application), **parameters}, headers=headers)

    response = send()
    assert door.passed(response) == (gets_in and (door.name, who) not in CLOSED), response.content
    assert CHALLENGE_FIELD not in response.headers
    assert stored()[0] == before, "a proof was recorded for a request without one"
    with host_alone():
        alone = send()
    if alone.status_code != 500:  # this host's device flow does not work with every oauthlib
        assert seen(response) == seen(alone)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("a[]=1", id="brackets"),
        pytest.param("a=b|c^d", id="a pipe and a circumflex"),
        pytest.param("a=%22b%22&c='d'", id="quotes"),
        pytest.param("a", id="no value"),
        pytest.param("a=%ff", id="octets that are no UTF-8"),
    ],
)
def test_whatever_else_is_in_the_query(query: str) -> None:
    """The host escapes what oauthlib would not take, so such requests have always been good ones."""
    application = create_application("free")
    token = create_access_token(application)

    def send() -> Any:
        return Client().get(f"{INTROSPECT}?token={token}&{query}", headers=basic("free", "secret"))

    response = send()
    with host_alone():
        alone = send()
    assert alone.status_code == 200
    assert seen(response) == seen(alone)


def test_a_bearer_token_at_introspection() -> None:
    """A resource server may introspect with a token that has the scope for it (RFC 7662 section 2.1)."""
    application = create_application("free")
    token = create_access_token(application, scope="introspection")
    headers = {"Authorization": f"Bearer {token}"}
    assert post_form(Client(), INTROSPECT, {"token": token}, headers=headers).json()["active"] is True
    narrow = {"Authorization": f"Bearer {create_access_token(application)}"}
    assert post_form(Client(), INTROSPECT, {"token": token}, headers=narrow).status_code == 403


@pytest.mark.parametrize(
    ("client_type", "credentials"), [("public", {}), ("confidential", {"client_secret": "secret"})]
)
def test_the_device_flow_of_a_free_client(client_type: str, credentials: dict[str, str]) -> None:
    """From code to token, once; another client's code is none of its business."""
    create_application("free", authorization_grant_type=DEVICE_CODE_GRANT, client_type=client_type)
    other = create_application("other", authorization_grant_type=DEVICE_CODE_GRANT, client_type="public")
    named = {"client_id": "free", **credentials}
    started = post_form(Client(), DEVICE_AUTHORIZATION, named).json()
    polling = {"grant_type": DEVICE_CODE_GRANT, "device_code": started["device_code"], **named}
    assert post_form(Client(), TOKEN, polling).json() == {"error": "authorization_pending"}

    browser = Client()
    browser.force_login(alice())
    entered = browser.post("/o/device/", {"user_code": started["user_code"]})
    browser.post(entered["Location"], {"action": "accept"})
    assert post_form(Client(), TOKEN, polling).json()["access_token"]
    assert post_form(Client(), TOKEN, polling).status_code == 400

    stolen = {"grant_type": DEVICE_CODE_GRANT, "device_code": create_device_code(other), **named}
    assert post_form(Client(), TOKEN, stolen).json()["error"] == "invalid_grant"


def test_a_missing_device_code_is_a_json_error_for_everybody() -> None:
    """The host would answer with a server error."""
    create_application("free", authorization_grant_type=DEVICE_CODE_GRANT, client_type="public")
    response = post_form(Client(), TOKEN, {"grant_type": DEVICE_CODE_GRANT, "client_id": "free"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
