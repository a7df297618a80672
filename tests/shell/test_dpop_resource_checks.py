"""Checks of what a site has left in use that would take a bound token for a bearer token."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.test import override_settings
from django.urls import clear_url_caches, include, path
from oauth2_provider.middleware import OAuth2ExtraTokenMiddleware

from oauth_client_attestation.resource.checks import check_hosts, check_resources, check_token_middleware
from tests.kit import configure, table
from tests.shell import host_places

HOST_MIDDLEWARE = "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware"
OUR_MIDDLEWARE = "oauth_client_attestation.resource.middleware.OAuth2ExtraTokenMiddleware"


class Inherits(OAuth2ExtraTokenMiddleware):
    """A site's own."""


@pytest.fixture(autouse=True)
def _same_urls() -> Any:
    """A check may have loaded another URLconf."""
    yield
    clear_url_caches()


def routed(settings: Any, view: Any) -> list[checks.CheckMessage]:
    """Return what the check says of a site with one view."""
    settings.ROOT_URLCONF = (path("api/", include([path("<int:number>/it", view)])),)
    return check_resources(None)


@table("name, view", host_places.DECORATED)
def test_a_decorator_of_the_host_is_found(settings: Any, name: str, view: Any) -> None:
    (message,) = routed(settings, view)
    assert (message.id, message.level) == ("oauth_client_attestation.E010", checks.ERROR)
    assert f"at api/<int:number>/it is decorated with django-oauth-toolkit's {name}," in message.msg
    assert message.hint == f"Import {name} from oauth_client_attestation.resource.decorators."


@table("view", host_places.FINE)
def test_what_knows_of_bound_tokens_is_not_complained_of(settings: Any, view: Any) -> None:
    assert routed(settings, view) == []


@table(
    "view, name, words",
    {
        "a validator": (host_places.OwnValidator, "validator_class", "AttestationValidatorMixin first"),
        "a validator by a method": (host_places.OwnByMethod, "validator_class", "bases of WithValidatorInFront"),
        "a backend": (host_places.OwnBackend, "oauthlib_backend_class", "AttestationBackendMixin first"),
    },
)
def test_a_class_of_a_views_own_is_found(settings: Any, view: Any, name: str, words: str) -> None:
    (message,) = routed(settings, view.as_view())
    assert (message.id, message.level) == ("oauth_client_attestation.E012", checks.ERROR)
    assert f"The view at api/<int:number>/it, {view.__name__}, has a {name} of its own" in message.msg
    assert words in str(message.hint)


def test_every_view_is_named() -> None:
    with override_settings(ROOT_URLCONF="tests.shell.host_places"):
        assert [message.msg.split()[3] for message in check_resources(None)] == ["api/decorated", "own,"]


@table(
    "names, found",
    {
        "the host's": ([HOST_MIDDLEWARE], True),
        "one that inherits from it": ([f"{__name__}.Inherits"], True),
        "ours": ([OUR_MIDDLEWARE], False),
        "a function": ([f"{__name__}.routed"], False),
        "none that exists": (["no.such.middleware"], False),
    },
)
def test_middleware_of_the_host_is_found(settings: Any, names: list[str], found: bool) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *names]
    messages = check_token_middleware(None)
    assert [message.id for message in messages] == ["oauth_client_attestation.E011"] * found
    if found:
        assert names[0] in messages[0].msg
        assert OUR_MIDDLEWARE in str(messages[0].hint)


@table(
    "hosts, found",
    {"any host": (["*"], True), "any host and one": (["api.example", "*"], True), "one host": (["api.example"], False)},
)
def test_a_site_that_answers_to_any_name_is_told(settings: Any, hosts: list[str], found: bool) -> None:
    settings.ALLOWED_HOSTS = hosts
    messages = check_hosts(None)
    assert [message.id for message in messages] == ["oauth_client_attestation.W005"] * found
    if found:
        assert messages[0].level == checks.WARNING
        assert "ALLOWED_HOSTS" in str(messages[0].hint)


@table(
    "values",
    {
        "off": {"DPOP": "off", "METHODS": ["attest_jwt_client_auth"]},
        "a setting that is wrong, of which another check speaks": {"DPOP": 1},
    },
)
def test_nothing_is_said_while_no_token_is_bound(settings: Any, values: dict[str, Any]) -> None:
    configure(settings, **values)
    settings.ALLOWED_HOSTS = ["*"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, HOST_MIDDLEWARE]
    settings.ROOT_URLCONF = "tests.shell.host_places"
    assert check_resources(None) == check_token_middleware(None) == check_hosts(None) == []


def test_a_site_without_urls_has_none_to_check(settings: Any) -> None:
    settings.ROOT_URLCONF = None
    assert check_resources(None) == []
