"""System checks: each wrong thing has its own id, and a hint that says what to write where."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpResponse
from django.test import override_settings
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator

from oauth_client_attestation.checks import MIDDLEWARE
from oauth_client_attestation.middleware import ClientAttestationMiddleware
from oauth_client_attestation.oauth2.backends import AttestationBackendMixin
from oauth_client_attestation.oauth2.validators import AttestationValidatorMixin
from tests.kit import configure, table


class ValidatorTheWrongWayRound(OAuth2Validator, AttestationValidatorMixin):
    """Its own methods never reach the mixin's."""


class BackendTheWrongWayRound(OAuthLibCore, AttestationBackendMixin):
    """Likewise."""


def found(*, deploy: bool = False) -> list[checks.CheckMessage]:
    """Return what the checks of this package say."""
    messages = checks.run_checks(include_deployment_checks=deploy)
    return [message for message in messages if str(message.id).startswith("oauth_client_attestation.")]


def provider_setting(settings: Any, **values: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **values}


def without_middleware(settings: Any) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]


@pytest.fixture(autouse=True)
def _same_urls() -> Any:
    """A check may have loaded another URLconf."""
    yield
    from django.urls import clear_url_caches

    clear_url_caches()


def test_testproject_has_nothing_to_repair() -> None:
    assert found() == []


WRONG = {
    "settings that are no dict": (
        lambda settings: setattr(settings, "OAUTH_CLIENT_ATTESTATION", ["ISSUER"]),
        "E001",
        "must be a dict",
    ),
    "a key that does not exist": (lambda settings: configure(settings, ISUER="x"), "E001", "unknown keys: ISUER"),
    "an issuer with a query": (
        lambda settings: configure(settings, ISSUER="https://as.example/?tenant=1"),
        "E001",
        "without query and fragment",
    ),
    "an issuer that is no URL": (lambda settings: configure(settings, ISSUER="as.example"), "E001", "['ISSUER']"),
    "a MAC among the algorithms": (
        lambda settings: configure(settings, ATTESTATION_ALGORITHMS=["HS256"]),
        "E001",
        "['ATTESTATION_ALGORITHMS']",
    ),
    "no algorithm for proofs": (
        lambda settings: configure(settings, POP_ALGORITHMS=[]),
        "E001",
        "['POP_ALGORITHMS']",
    ),
    "a store that does not exist": (
        lambda settings: configure(settings, REPLAY_STORE="no.such.Store"),
        "E001",
        "['REPLAY_STORE']",
    ),
    "a cache store on local memory": (
        lambda settings: (
            setattr(settings, "CACHES", {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}),
            configure(settings, REPLAY_STORE="oauth_client_attestation.replay.cache.CacheReplayStore"),
        ),
        "E001",
        "for several processes",
    ),
    "a cache that does not exist": (
        lambda settings: configure(settings, REPLAY_CACHE="no such cache"),
        "E001",
        "['REPLAY_CACHE']",
    ),
    "no issuer": (
        lambda settings: (
            configure(settings, ISSUER=None),
            provider_setting(settings, OIDC_ISS_ENDPOINT=""),
        ),
        "E002",
        'OAUTH_CLIENT_ATTESTATION = {"ISSUER": "https://as.example.com"}',
    ),
    "the host's own validator": (
        lambda settings: provider_setting(
            settings, OAUTH2_VALIDATOR_CLASS="oauth2_provider.oauth2_validators.OAuth2Validator"
        ),
        "E003",
        "oauth_client_attestation.oauth2.validators.AttestationOAuth2Validator",
    ),
    "a validator with the mixin last": (
        lambda settings: provider_setting(settings, OAUTH2_VALIDATOR_CLASS=f"{__name__}.ValidatorTheWrongWayRound"),
        "E003",
        "AttestationValidatorMixin first among the bases",
    ),
    "the host's own backend": (
        lambda settings: provider_setting(
            settings, OAUTH2_BACKEND_CLASS="oauth2_provider.oauth2_backends.OAuthLibCore"
        ),
        "E004",
        "oauth_client_attestation.oauth2.backends.AttestationOAuthLibCore",
    ),
    "a backend with the mixin last": (
        lambda settings: provider_setting(settings, OAUTH2_BACKEND_CLASS=f"{__name__}.BackendTheWrongWayRound"),
        "E004",
        "AttestationBackendMixin first among the bases",
    ),
    "no middleware": (without_middleware, "E005", MIDDLEWARE),
    "no challenge endpoint": (
        lambda settings: setattr(settings, "ROOT_URLCONF", "oauth2_provider.urls"),
        "E006",
        'path("", include("oauth_client_attestation.urls"))',
    ),
}


@table("spoil, number, words", WRONG)
@pytest.mark.refuses("B5", "P4", "P8")
def test_one_wrong_thing(settings: Any, spoil: Any, number: str, words: str) -> None:
    spoil(settings)
    (message,) = found()
    assert message.id == f"oauth_client_attestation.{number}"
    assert message.level == checks.ERROR
    assert words in f"{message.msg} {message.hint or ''}"
    with pytest.raises(SystemCheckError, match=f"oauth_client_attestation.{number}"):
        call_command("check")


@table("spoil, number, words", {name: row for name, row in WRONG.items() if row[1] <= "oauth_client_attestation.E004"})
def test_a_server_does_not_start_with_it(settings: Any, spoil: Any, number: str, words: str) -> None:
    """System checks do not run under a WSGI or ASGI server; the middleware asks for those that guard a door."""
    spoil(settings)
    if number in {"E005", "E006"}:
        ClientAttestationMiddleware(lambda request: HttpResponse())
        return
    with pytest.raises(ImproperlyConfigured, match=f"oauth_client_attestation.{number}"):
        ClientAttestationMiddleware(lambda request: HttpResponse())


def test_several_wrong_things_are_all_named(settings: Any) -> None:
    provider_setting(
        settings,
        OAUTH2_VALIDATOR_CLASS="oauth2_provider.oauth2_validators.OAuth2Validator",
        OAUTH2_BACKEND_CLASS="oauth2_provider.oauth2_backends.OAuthLibCore",
    )
    without_middleware(settings)
    assert [message.id for message in found()] == [f"oauth_client_attestation.E00{number}" for number in (3, 4, 5)]
    with pytest.raises(ImproperlyConfigured, match=r"E003.*; oauth_client_attestation\.E004"):
        ClientAttestationMiddleware(lambda request: HttpResponse())


@table(
    "issuer, ids",
    {
        "http": ("http://as.example", ["oauth_client_attestation.W001"]),
        "https": ("https://as.example", []),
    },
)
def test_an_issuer_without_tls_is_for_a_developers_machine(settings: Any, issuer: str, ids: list[str]) -> None:
    configure(settings, ISSUER=issuer)
    assert [message.id for message in found(deploy=True)] == ids
    assert found() == []
    if ids:
        (message,) = found(deploy=True)
        assert message.level == checks.WARNING
        assert 'OAUTH_CLIENT_ATTESTATION = {"ISSUER": "https://…"}' in str(message.hint)


def test_the_issuer_may_be_the_one_of_openid_connect(settings: Any) -> None:
    settings.OAUTH_CLIENT_ATTESTATION = {}
    assert found() == []


class Subclass(ClientAttestationMiddleware):
    """A site's own."""


def test_a_subclass_of_the_middleware_will_do(settings: Any) -> None:
    own = f"{__name__}.Subclass"
    settings.MIDDLEWARE = ["no.such.middleware", *(own if name == MIDDLEWARE else name for name in settings.MIDDLEWARE)]
    assert found() == []


def test_a_broken_setting_says_nothing_about_deployment(settings: Any) -> None:
    """One thing at a time: E001 is there already."""
    with override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": 1}):
        assert [message.id for message in found(deploy=True)] == ["oauth_client_attestation.E001"]
