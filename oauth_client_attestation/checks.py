"""System checks: what is missing, and what to write where. Ids are stable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.module_loading import import_string

from .conf import SETTING_NAME, app_settings
from .core import wire

MIDDLEWARE = "oauth_client_attestation.middleware.ClientAttestationMiddleware"


@checks.register(checks.Tags.security)
def check_configuration(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Everything without which the package cannot do its work, or would leave a door open."""
    return [*configuration_errors(), *_middleware_errors()]


@checks.register(checks.Tags.urls)
def check_urls(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """The challenge endpoint is routed."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("oauth_client_attestation:challenge")
    except NoReverseMatch:
        return [
            checks.Error(
                "The challenge endpoint is not routed.",
                hint='Add path("", include("oauth_client_attestation.urls")) to your root URLconf, before '
                "django-oauth-toolkit's URLs.",
                id="oauth_client_attestation.E006",
            )
        ]
    return []


@checks.register(checks.Tags.urls)
def check_metadata_urls(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Wherever django-oauth-toolkit serves metadata, the extended documents come first."""
    from .metadata import AttestationMetadataMixin

    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        path = reverse("oauth2_provider:oauth-server-metadata")
        view_class = getattr(resolve(path).func, "view_class", None)
    except (NoReverseMatch, Resolver404):
        return []
    if isinstance(view_class, type) and issubclass(view_class, AttestationMetadataMixin):
        return []
    return [
        checks.Warning(
            f"The metadata document at {path} says nothing of client attestation.",
            hint='Put path("…/", include("oauth_client_attestation.metadata_urls")) with the same prefix before '
            "django-oauth-toolkit's URLs, or use AttestationMetadataMixin in your own view.",
            id="oauth_client_attestation.W002",
        )
    ]


@checks.register(checks.Tags.models)
def check_databases(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """What is bound, its binding and the instance are in one database, so that one transaction writes them."""
    from oauth2_provider.models import get_grant_model, get_id_token_model

    from .instances import database
    from .models import UsedProof

    own = apps.get_app_config("oauth_client_attestation").get_models()
    apart = [
        model._meta.label
        for model in (get_grant_model(), get_id_token_model(), *own)
        if model is not UsedProof and router.db_for_write(model) != database()
    ]
    if not apart:
        return []
    return [
        checks.Error(
            f"Tokens cannot be bound: not in their database {database()!r}: {', '.join(apart)}.",
            hint="Let DATABASE_ROUTERS send this app, like all of django-oauth-toolkit, to one database.",
            id="oauth_client_attestation.E009",
        )
    ]


@checks.register(checks.Tags.security)
def check_cors(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """django-cors-headers replaces the list of exposed headers where it has one of its own."""
    exposed = {str(name).lower() for name in getattr(settings, "CORS_EXPOSE_HEADERS", ())}
    hidden = [name for name in (wire.CHALLENGE_FIELD, *_dpop_fields()) if name.lower() not in exposed]
    if not exposed or not hidden:
        return []
    return [
        checks.Warning(
            f"CORS_EXPOSE_HEADERS hides from browser-based clients: {', '.join(hidden)}.",
            hint=f'Add them to it, and "{wire.NONCE_FIELD}" for clients of revision -05.',
            id="oauth_client_attestation.W003",
        )
    ]


def _dpop_fields() -> tuple[str, ...]:
    try:
        return () if app_settings.dpop == "off" else (wire.DPOP_NONCE_FIELD, "WWW-Authenticate")
    except ImproperlyConfigured:  # which another check reports
        return ()


@checks.register(checks.Tags.security, deploy=True)
def check_deployment(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """What is tolerable on a developer's machine only."""
    try:
        issuer = app_settings.issuer
    except ImproperlyConfigured:
        return []
    if issuer is not None and not issuer.startswith("https://"):
        return [
            checks.Warning(
                "The issuer is not an https URL.",
                hint=f'Set {SETTING_NAME} = {{"ISSUER": "https://…"}} (RFC 8414 section 2).',
                id="oauth_client_attestation.W001",
            )
        ]
    return []


def configuration_errors() -> list[checks.CheckMessage]:
    """Return the errors that the middleware refuses to start with."""
    try:
        app_settings.validate()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="oauth_client_attestation.E001")]
    return list(_errors())


def _errors() -> Iterator[checks.CheckMessage]:
    if app_settings.issuer is None:
        yield checks.Error(
            "The issuer of this authorization server is not set, so every attested request is refused.",
            hint=f'Set {SETTING_NAME} = {{"ISSUER": "https://as.example.com"}}, exactly as clients find it in '
            "the metadata.",
            id="oauth_client_attestation.E002",
        )
    from oauth2_provider.oauth2_backends import OAuthLibCore
    from oauth2_provider.oauth2_validators import OAuth2Validator

    from .oauth2.backends import AttestationBackendMixin
    from .oauth2.validators import AttestationValidatorMixin

    yield from _mixin_error(
        "OAUTH2_VALIDATOR_CLASS",
        AttestationValidatorMixin,
        OAuth2Validator,
        "oauth_client_attestation.oauth2.validators.AttestationOAuth2Validator",
        "Applications that must be attested would be let in with a secret, or with nothing.",
        "E003",
    )
    yield from _mixin_error(
        "OAUTH2_BACKEND_CLASS",
        AttestationBackendMixin,
        OAuthLibCore,
        "oauth_client_attestation.oauth2.backends.AttestationOAuthLibCore",
        "Every attested request is refused.",
        "E004",
    )


def _mixin_error(
    setting: str, mixin: type, base: type, default: str, consequence: str, number: str
) -> Iterator[checks.CheckMessage]:
    from oauth2_provider.settings import oauth2_settings

    from .resource.classes import comes_first

    if not comes_first(getattr(oauth2_settings, setting), mixin, base):
        yield checks.Error(
            f'OAUTH2_PROVIDER["{setting}"] does not use {mixin.__name__}, or not before {base.__name__}. {consequence}',
            hint=f'Set it to "{default}", or put {mixin.__name__} first among the bases of your own class.',
            id=f"oauth_client_attestation.{number}",
        )


def _middleware_errors() -> Iterator[checks.CheckMessage]:
    from .middleware import ClientAttestationMiddleware

    for path in settings.MIDDLEWARE:
        try:
            middleware = import_string(path)
        except ImportError:
            continue
        if isinstance(middleware, type) and issubclass(middleware, ClientAttestationMiddleware):
            return
    yield checks.Error(
        "The client attestation middleware is not installed: some refusals would not be answered as OAuth "
        "errors, and successful responses would carry no challenge.",
        hint=f'Add "{MIDDLEWARE}" near the top of MIDDLEWARE.',
        id="oauth_client_attestation.E005",
    )
