"""Sites that have a validator, a backend or a middleware of their own put our mixins first and keep what is theirs."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from oauth2_provider.models import get_access_token_model
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator

from oauth_client_attestation.checks import MIDDLEWARE
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.oauth2.backends import AttestationBackendMixin
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator, AttestationValidatorMixin
from tests.kit import DOORS, AttestedClient, Door, create_application, provider, stored

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)


class SiteValidator(AttestationValidatorMixin, OAuth2Validator):
    """A site's validator, which stores tokens in its own way and locks some applications out."""

    def _load_application(self, client_id: str, request: Any) -> Any:
        application = super()._load_application(client_id, request)
        if application is not None and application.name == "locked":
            request.client = None
            return None
        return application

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> Any:
        token["issued_by"] = "the site"
        return super().save_bearer_token(token, request, *args, **kwargs)


class SiteBackend(AttestationBackendMixin, OAuthLibCore):
    """A site's backend, which adds a header for its validator."""

    def extract_headers(self, request: Any) -> dict[str, Any]:
        headers: dict[str, Any] = super().extract_headers(request)
        return {**headers, "X-Tenant": "site"}


class SiteLogin(OAuth2Validator):
    """A base of the site's between our mixin and the host: a second way to authenticate a client."""

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        if request.headers.get("HTTP_X_MASTER_KEY") == "open sesame":
            return self._load_application(request.client_id or "app", request) is not None
        return bool(super().authenticate_client(request, *args, **kwargs))


class SiteLoginValidator(AttestationValidatorMixin, SiteLogin):
    """The same, guarded."""


@pytest.fixture
def site() -> Any:
    """The site with its own classes."""
    with provider(OAUTH2_VALIDATOR_CLASS=f"{__name__}.SiteValidator", OAUTH2_BACKEND_CLASS=f"{__name__}.SiteBackend"):
        yield


@every_door
@pytest.mark.accepts("B5", "E7")
@pytest.mark.refuses("B5", "E7")
def test_a_site_with_its_own_classes(site: None, door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    named = {**parameters, "client_id": "app", "client_secret": "secret"}
    client.refused(Reason.ATTESTATION_REQUIRED, send=lambda: door.send(client.http, named))
    response = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(response), response.content
    if door.member == "access_token":
        assert response.json()["issued_by"] == "the site"


@every_door
@pytest.mark.refuses("E4")
def test_an_application_that_the_site_refuses_is_refused(site: None, door: Door) -> None:
    """The attestation is good; what the site decides about its application still holds."""
    client = door.register(name="locked")
    parameters = door.prepare(client.application)
    client.refused(Reason.CLIENT_UNKNOWN, send=lambda: door.send(client.http, parameters, headers=client.headers()))


@every_door
@pytest.mark.parametrize("named", [{}, {"client_id": "app"}], ids=["client_id absent", "client_id present"])
@pytest.mark.refuses("B5")
def test_the_sites_own_way_to_authenticate_is_closed_to_an_attested_client(door: Door, named: dict[str, str]) -> None:
    with provider(OAUTH2_VALIDATOR_CLASS=f"{__name__}.SiteLoginValidator"):
        client = door.register()
        parameters = {**door.prepare(client.application), **named}
        before = stored()
        response = door.send(client.http, parameters, headers={"X-Master-Key": "open sesame"})
        # A device code is not there for whoever names no client.
        assert response.status_code == (404 if door.name == "device_code" and not named else 400)
        assert not door.passed(response)
        assert stored() == before


class OtherMethodsOnly(AttestationOAuth2Validator):
    """A validator that says no to every client that authenticates."""

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        super().authenticate_client(request, *args, **kwargs)
        return False


def test_a_site_may_refuse_after_us() -> None:
    """An attested client that the site's validator turns away gets the host's refusal."""
    with provider(OAUTH2_VALIDATOR_CLASS=f"{__name__}.OtherMethodsOnly"):
        client = AttestedClient().register()
        response = client.post()
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
        assert not get_access_token_model().objects.exists()


class Passing:
    """A site's middleware that answers some requests by itself."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return HttpResponse("closed", status=503) if "closed" in request.GET else self.get_response(request)


@pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
@pytest.mark.accepts("C3")
def test_our_middleware_anywhere_in_the_list(settings: Any, position: int) -> None:
    others = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]
    others.insert(len(others) if position == -1 else 0, MIDDLEWARE)
    settings.MIDDLEWARE = [f"{__name__}.Passing", *others]
    client = AttestedClient().register()
    client.accepted()
    assert client.http.get("/o/token/?closed").content == b"closed"


def test_a_request_without_attestation_is_left_alone(settings: Any) -> None:
    """No header of ours on a page of the site."""
    response = Client().get("/accounts/login/")
    assert response.status_code == 200
    assert not [name for name in response.headers if name.lower().startswith("oauth-client")]
    assert create_application("free")
