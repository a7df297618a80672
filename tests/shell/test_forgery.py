"""Nothing that a client sends under the name of an attribute changes who it is.

oauthlib answers for an attribute that its request object does not have from the body and the query string. State kept
there could be sent along; so every name that this package or oauthlib uses is sent, at every door.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
from typing import Any

import pytest
from django.test import RequestFactory
from oauthlib.common import Request as OAuthlibRequest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.headers import HeaderFields
from oauth_client_attestation.core.results import (
    DpopDemands,
    Evidence,
    Policy,
    SignedAttestation,
    UnverifiedAttestation,
    VerifiedAttestation,
    VerifiedDpopProof,
    VerifiedProof,
)
from oauth_client_attestation.models import (
    AccessTokenConfirmation,
    AttestationPolicy,
    AttestationSignalPolicy,
    AuthorizationCodeConfirmation,
    DpopPolicy,
    IdTokenConfirmation,
    IntrospectedToken,
    RefreshTokenConfirmation,
    UsedProof,
)
from oauth_client_attestation.oauth2 import exchange
from oauth_client_attestation.oauth2.errors import AttestationOAuth2Error
from oauth_client_attestation.policies import ClientPolicies
from oauth_client_attestation.presented import Demand
from tests.kit import DEVICE_AUTHORIZATION, DOORS, INTROSPECT, PAR, Door, stored
from tests.shell.signallers import Signaller

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)

_RECORDS = (
    ClientPolicies,
    Demand,
    DpopDemands,
    Evidence,
    HeaderFields,
    Policy,
    SignedAttestation,
    UnverifiedAttestation,
    VerifiedAttestation,
    VerifiedDpopProof,
    VerifiedProof,
    exchange.ResourceVerdict,
)
_MODELS = (
    AccessTokenConfirmation,
    AttestationPolicy,
    AttestationSignalPolicy,
    AuthorizationCodeConfirmation,
    DpopPolicy,
    IdTokenConfirmation,
    IntrospectedToken,
    RefreshTokenConfirmation,
    UsedProof,
)
_CLASSES = (exchange.AttestationExchange, AttestationOAuth2Error)
#: What a request must be able to say, so that it is no forgery.
_PARAMETERS = {"client_id", "client_secret", "client_assertion"}


def own_names() -> set[str]:
    """Return every name under which this package keeps something."""
    made = exchange.AttestationExchange(RequestFactory().post("/"))
    names = {exchange.HOLDER_KEY, exchange._ATTRIBUTE, *vars(made)}
    for record in _RECORDS:
        names |= {field.name for field in dataclasses.fields(record)}
    for model in _MODELS:
        names |= {field.name for field in model._meta.get_fields()} | {field.attname for field in model._meta.fields}
    for owner in _CLASSES:
        names |= {name for name, _ in inspect.getmembers(owner) if not name.startswith("__")}
    return names - _PARAMETERS


def oauthlib_names() -> set[str]:
    """Return every attribute of an oauthlib request, those that validators add included."""
    made = OAuthlibRequest("/")
    added = {
        "refresh_token_instance",
        "oauth2_error",
        "resource_owner",
        "encoding",
        "id_token",
        "access_token_instance",
    }
    return ({*vars(made), *vars(OAuthlibRequest), *made._params, *added} - _PARAMETERS) | {"__class__", "__dict__"}


#: Values that would be believed as a flag, an identifier, or a record.
VALUES = ("", "1", "true", "None", "app", "free", "[]", '{"thumbprint": "x"}', "oauth_client_attestation.exchange")
#: Token and revocation endpoint refuse a query string before they look at anything else.
PLACES = [
    *(pytest.param(door, "form", id=f"{door}-form") for door in DOORS if door.method == "POST"),
    *(
        pytest.param(door, "query", id=f"{door}-query")
        for door in DOORS
        if door.path in (INTROSPECT, DEVICE_AUTHORIZATION)
    ),
]


def test_the_names_are_those_that_matter() -> None:
    """The sets below are made by introspection: an empty one would prove nothing."""
    assert {"evidence", "fields", "policy", "instance", "_error", "thumbprint", "challenge", "methods"} <= own_names()
    assert {"signal", "client_failed", "application_id", "attested_resources"} <= own_names()
    assert {"sender", "sender_used_up", "token_verdict", "nonce", "dpop", "use"} <= own_names()
    assert {"client", "user", "scopes", "grant_type", "headers", "decoded_body", "_params"} <= oauthlib_names()


def outcome(response: Any) -> tuple[int, Any]:
    """Return what decides: the status, and the error code where there is one."""
    try:
        return response.status_code, response.json().get("error")
    except ValueError:
        return response.status_code, response.content[:80]


@every_door
@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.accepts("B5", "H5")
@pytest.mark.refuses("B5", "H5", "P8")
def test_names_of_ours_all_at_once(door: Door, value: str) -> None:
    client = door.register()
    # A request object, which that door refuses from everybody.
    forged = dict.fromkeys(own_names() - ({"request"} if door.path == PAR else set()), value)
    parameters = {**forged, **door.prepare(client.application)}
    client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: door.send(client.http, {**parameters, "client_id": "app"}),
    )
    expired = client.headers(client.attestation(now=time.time() - 7200))
    client.refused(Reason.ATTESTATION_EXPIRED, send=lambda: door.send(client.http, parameters, headers=expired))
    good = client.headers()
    response = door.send(client.http, parameters, headers=good)
    assert door.passed(response), response.content
    client.refused(Reason.POP_REPLAYED, send=lambda: door.send(client.http, parameters, headers=good))


@pytest.mark.parametrize(("door", "place"), PLACES)
@pytest.mark.refuses("B5", "H5")
def test_names_of_ours_one_by_one(door: Door, place: str) -> None:
    """One could undo what another does when they come together."""
    client = door.register()
    parameters = {**door.prepare(client.application), "client_id": "app"}
    before = stored()
    for name in sorted(own_names()):
        response = send_with(door, client.http, place, parameters, {name: "1"})
        assert outcome(response) == (400, "invalid_client"), name
    assert stored() == before


@pytest.mark.parametrize(("door", "place"), PLACES)
@pytest.mark.accepts("B5")
@pytest.mark.refuses("B5")
def test_names_of_oauthlib(door: Door, place: str) -> None:
    """Some mean something to oauthlib; they must mean the same to an attested client as to one with a secret."""
    client = door.register()
    free = door.create_application("free")
    client.http.raise_request_exception = False
    parameters = door.prepare(client.application)
    names = sorted(oauthlib_names() - set(parameters))

    before = stored()
    for name in names:
        refused = send_with(door, client.http, place, {**parameters, "client_id": "app"}, {name: "1"})
        assert outcome(refused) == (400, "invalid_client"), name
    assert stored() == before

    for name in names:
        parameters = door.prepare(client.application)
        response = send_with(door, client.http, place, parameters, {name: "1"}, headers=client.headers())
        if not door.passed(response):
            secret = {**door.prepare(free), "client_id": "free", "client_secret": "secret"}
            assert outcome(response) == outcome(send_with(door, client.http, place, secret, {name: "1"})), name


def send_with(
    door: Door, http: Any, place: str, parameters: dict[str, str], extra: dict[str, str], **request: Any
) -> Any:
    """Send ``extra`` along, in the form or in the query string."""
    if place == "query":
        return door.send(http, parameters, query=extra, **request)
    return door.send(http, {**extra, **parameters}, **request)


@every_door
@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1", "P8")
def test_names_of_ours_beside_another_authentication(door: Door, value: str, settings: Any) -> None:
    """None of them passes for a signal, nor for one that was optional."""
    client = Signaller(door=door).enter("required", settings)
    forged = dict.fromkeys(own_names() - ({"request"} if door.path == PAR else set()), value)
    parameters = {**forged, **door.prepare(client.application), **client.credentials()}
    client.refused(Reason.ATTESTATION_REQUIRED, lambda: door.send(client.http, parameters))
    expired = client.headers(client.attestation(now=time.time() - 7200))
    client.refused(Reason.ATTESTATION_EXPIRED, lambda: door.send(client.http, parameters, headers=expired))
    response = door.send(client.http, parameters, headers=client.good())
    assert door.passed(response), response.content


@every_door
@pytest.mark.refuses("S1")
def test_names_of_ours_one_by_one_beside_another_authentication(door: Door, settings: Any) -> None:
    client = Signaller(door=door).enter("required", settings)
    about = {**door.prepare(client.application), **client.credentials()}
    before = stored()
    for name in sorted(own_names()):
        response = send_with(door, client.http, "form", about, {name: "1"})
        assert outcome(response) == (400, "invalid_client"), name
    assert stored() == before


@every_door
@pytest.mark.parametrize("name", [exchange.HOLDER_KEY, exchange._ATTRIBUTE, "X-" + exchange.HOLDER_KEY])
@pytest.mark.accepts("B5")
@pytest.mark.refuses("B5")
def test_a_header_named_like_the_holder(door: Door, name: str) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: door.send(client.http, {**parameters, "client_id": "app"}, headers={name: "1"}),
    )
    good = {**client.headers(), name: "1"}
    assert door.passed(door.send(client.http, parameters, headers=good))
