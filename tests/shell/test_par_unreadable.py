"""Parameters that the host would stumble over: an answer in JSON at every door, and no server error (E7)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory
from oauth2_provider.models import get_device_grant_model
from oauthlib.oauth2 import InvalidRequestError

from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.par.routes import authorization_core
from oauth_client_attestation.par.validation import validate
from tests.kit import (
    AUTHORIZATION_REQUEST,
    CHALLENGE_FIELD,
    DEVICE_CODE_GRANT,
    DOORS,
    PAR,
    AttestedClient,
    Door,
    basic,
    create_application,
    provider,
    table,
)
from tests.shell.par import public

pytestmark = [pytest.mark.django_db, pytest.mark.refuses("E7")]

UNREADABLE = {
    "a resource with half an address": ("resource", "https://["),
    "a resource with a host that is none once normalized": ("resource", "https://℀.example/"),
    "a redirect_uri with half an address": ("redirect_uri", "https://["),
    "a redirect_uri with a port beyond all": ("redirect_uri", "https://client.example:99999/callback"),
    "a redirect_uri with a port that is no number": ("redirect_uri", "https://client.example:x/callback"),
}


def invalid_request(response: Any, description: str) -> None:
    """Assert the answer in JSON."""
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    assert response.json() == {"error": "invalid_request", "error_description": description}
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("door", DOORS, ids=str)
@table("name, value", UNREADABLE)
def test_a_uri_that_cannot_be_read(door: Door, name: str, value: str) -> None:
    client = door.register()
    prepared = {**door.prepare(client.application), name: value}
    response = door.send(Client(raise_request_exception=False), prepared, headers=client.headers())
    invalid_request(response, "The request cannot be read.")
    good = door.send(client.http, door.prepare(client.application), headers=client.headers())
    assert door.passed(good), good.content


@table("where", {"in the query": True, "repeated, with a good one last": False})
def test_every_one_of_them_is_read(where: bool) -> None:
    door = next(door for door in DOORS if door.name == "client_credentials")
    client = door.register()
    parameters = [("grant_type", "client_credentials")]
    bad, good = ("resource", "https://["), ("resource", "https://api.example/")
    query, body = ([bad], parameters) if where else ([], [*parameters, bad, good])
    response = door.send(Client(raise_request_exception=False), body, query=query, headers=client.headers())
    invalid_request(response, "The request cannot be read.")


class Fussy(AttestationOAuth2Validator):
    """A site that takes one more parameter to pieces."""

    def validate_scopes(self, client_id: str, scopes: Any, client: Any, request: Any, *args: Any) -> bool:
        return int(request.organization) > 0


def test_what_only_the_site_takes_to_pieces() -> None:
    public()
    parameters = [*AUTHORIZATION_REQUEST.items(), ("client_id", "free")]
    with provider(OAUTH2_VALIDATOR_CLASS=f"{__name__}.Fussy"):
        request = RequestFactory().post(PAR)
        validate(authorization_core(), request, [*parameters, ("organization", "1")])
        with pytest.raises(InvalidRequestError, match="A parameter cannot be read."):
            validate(authorization_core(), request, [*parameters, ("organization", "one")])


# The device authorization endpoint, whose view reads the form


@pytest.fixture
def device() -> Door:
    """That endpoint."""
    return next(door for door in DOORS if door.name == "device_authorization")


@table("client_type, headers", {"a public client": ("public", {}), "a client with Basic": ("confidential", None)})
def test_a_device_that_names_its_client_in_the_query(device: Door, client_type: str, headers: Any) -> None:
    create_application("dev", client_type=client_type, authorization_grant_type=DEVICE_CODE_GRANT)
    headers = basic("dev", "secret") if headers is None else headers
    http = Client(raise_request_exception=False)
    response = device.send(http, {"scope": "read"}, query={"client_id": "dev"}, headers=headers)
    invalid_request(response, "client_id belongs in the body.")
    assert not get_device_grant_model().objects.exists()
    assert device.passed(device.send(http, {"scope": "read", "client_id": "dev"}, headers=headers))


def test_an_attested_device_that_names_its_client_in_the_query(device: Door) -> None:
    """It is told too, although its attestation names it; elsewhere it need not be named."""
    client: AttestedClient = device.register()
    query = {"client_id": "app"}
    response = device.send(client.http, {"scope": "read"}, query=query, headers=client.headers())
    invalid_request(response, "client_id belongs in the body.")
    assert CHALLENGE_FIELD in response.headers
    assert device.passed(device.send(client.http, {"scope": "read"}, headers=client.headers()))
