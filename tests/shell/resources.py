"""What the tests of resources share: each kind of place that takes an access token, and tokens to bring along.

This is also the URLconf: testproject's places, and django-ninja's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings as site
from django.http import HttpRequest
from django.test import override_settings
from django.urls import include, path
from jwcrypto.jwk import JWK
from ninja import NinjaAPI
from oauth2_provider.contrib.ninja import HttpOAuth2
from oauth2_provider.models import get_access_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import IntrospectTokenView

from oauth_client_attestation import confirmations
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.signals import client_attestation_refused
from testproject import resources
from testproject.api import Hello
from tests.kit import INTROSPECT, AttestedClient, create_access_token, provider

SCOPE = "openid read write introspection"
SCOPES = dict.fromkeys(SCOPE.split(), "…")
SIGNING_KEY = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
SERVERS = {
    "oauthlib.oauth2": {"OIDC_ENABLED": False},
    "oauthlib.openid": {"OIDC_ENABLED": True, "OIDC_RSA_PRIVATE_KEY": SIGNING_KEY},
}
_TOKEN_MIDDLEWARE = "oauth_client_attestation.resource.middleware."
METADATA_URL = "http://127.0.0.1:8000/o/.well-known/oauth-protected-resource"

ninja = NinjaAPI(docs_url=None, urls_namespace="ninja")


@ninja.api_operation(["GET", "POST"], "/hello", auth=HttpOAuth2(scopes=["read"]))
def hello_ninja(request: HttpRequest) -> dict[str, str | None]:
    return resources.greeting(request.user)


urlpatterns = [path("", include("testproject.urls")), path("ninja/", ninja.urls)]


@dataclass(frozen=True)
class Place:
    """One way in which a site asks for an access token.

    :ivar status: of its answer to nobody in particular.
    :ivar middleware: which of ours it relies on.
    :ivar metadata: whether it tells clients where the resource's metadata is.
    :ivar introspects: whether it wants to be told of a token to look into.
    :ivar openid: whether it takes OpenID Connect.
    :ivar reads_parameters: whether it takes an access token from the body or the query string.
    """

    name: str
    path: str
    status: int = 403
    middleware: str = ""
    metadata: bool = False
    introspects: bool = False
    openid: bool = False
    reads_parameters: bool = True

    def __str__(self) -> str:
        return self.name


PLACES = (
    Place("Django REST framework, the host's class", "/api/hello", status=401),
    Place("Django REST framework, ours", "/api/rest-framework", status=401),
    Place("Django REST framework, ours, with metadata", "/api/rest-framework/metadata", status=401, metadata=True),
    Place("Django REST framework, ours, open to anyone", "/api/rest-framework/anyone", status=200),
    Place("a protected view", "/api/view"),
    Place("a view with scopes", "/api/view/scoped"),
    Place("a view to read and write", "/api/view/read-write"),
    Place("a view with metadata", "/api/view/metadata", status=401, metadata=True),
    Place("a decorated view", "/api/decorated", status=401),
    Place("a decorated view with metadata", "/api/decorated/metadata", status=401, metadata=True),
    Place("a decorated view to read and write", "/api/decorated/read-write", status=401),
    Place("a decorated async view", "/api/decorated/async", status=401),
    Place("middleware, for the user", "/api/whoami", middleware="OAuth2TokenMiddleware", reads_parameters=False),
    Place("middleware, for the token", "/api/token", middleware="OAuth2ExtraTokenMiddleware", reads_parameters=False),
    Place("userinfo", "/o/userinfo/", status=401, openid=True),
    Place("introspection", INTROSPECT, introspects=True),
    Place("django-ninja", "/ninja/hello", status=401),
)


@contextmanager
def running(place: Place, server: str = "oauthlib.oauth2", **settings: Any) -> Iterator[None]:
    """Run the site with one of oauthlib's servers and the middleware that a place relies on."""
    added = [_TOKEN_MIDDLEWARE + place.middleware] if place.middleware else []
    changes = {**SERVERS[server], "SCOPES": SCOPES, **settings}
    with (
        override_settings(ROOT_URLCONF=__name__),
        provider(middleware=[*site.MIDDLEWARE, *added], **changes),
    ):
        yield


@contextmanager
def visits() -> Iterator[list[str]]:
    """Collect the views that ran: what a refused request must not reach."""
    seen: list[str] = []

    def noted(name: str, function: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return function(*args, **kwargs)

        return run

    ends = (
        (resources, "greeting"),
        (Hello, "get"),
        (IntrospectTokenView, "get_token_response"),
        (OAuth2Validator, "get_userinfo_claims"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ends:
            run = noted(name, getattr(owner, name))
            patch.setattr(owner, name, staticmethod(run) if owner is IntrospectTokenView else run)
        yield seen


@contextmanager
def reasons() -> Iterator[list[Reason]]:
    """Collect the reasons of refusals."""
    noted: list[Reason] = []

    def note(*, reason: Reason, **kwargs: Any) -> None:
        noted.append(reason)

    client_attestation_refused.connect(note)
    try:
        yield noted
    finally:
        client_attestation_refused.disconnect(note)


def bearer_token(client: AttestedClient, scope: str = SCOPE) -> str:
    """Issue an access token that is bound to nothing."""
    return create_access_token(client.application, scope=scope)


def bound_token(client: AttestedClient, scope: str = SCOPE) -> str:
    """Issue an access token that is bound to the client's key."""
    token = bearer_token(client, scope)
    row = get_access_token_model().objects.get(token=token)
    confirmations.confirm_access_token(row, client.instance.thumbprint)
    return token
