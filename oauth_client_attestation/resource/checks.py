"""System checks: places of django-oauth-toolkit that would take a bound token for a bearer token, as far as visible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from oauth2_provider.middleware import OAuth2ExtraTokenMiddleware
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views.mixins import OAuthLibMixin

from ..conf import app_settings
from . import routes
from .classes import is_our_backend, is_our_validator

_MIDDLEWARE = "oauth_client_attestation.resource.middleware.OAuth2ExtraTokenMiddleware"


@checks.register(checks.Tags.urls)
def check_resources(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """No routed view has a validator that knows nothing of bound tokens."""
    if not getattr(settings, "ROOT_URLCONF", None) or not _may_bind_tokens():
        return []
    return [message for route, view in routes.views() for message in _of_view(route, view)]


@checks.register(checks.Tags.security)
def check_token_middleware(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """No middleware takes whatever is presented as a bearer token for one."""
    if not _may_bind_tokens():
        return []
    return [
        checks.Error(
            f"{path} makes a token that is bound to a key request.access_token without a proof of that key.",
            hint=f'Put "{_MIDDLEWARE}" in its place.',
            id="oauth_client_attestation.E011",
        )
        for path in settings.MIDDLEWARE
        if _is_extra_token_middleware(path)
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_hosts(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """A proof names the host that it was made for, and the request's own word must not be all there is to compare."""
    if "*" not in settings.ALLOWED_HOSTS or not _may_bind_tokens():
        return []
    return [
        checks.Warning(
            'ALLOWED_HOSTS has "*": a DPoP proof that was made for another host would be accepted from whoever sends '
            "it on with that host's name.",
            hint='List the names of this site, such as ALLOWED_HOSTS = ["api.example.com"].',
            id="oauth_client_attestation.W005",
        )
    ]


def _may_bind_tokens() -> bool:
    try:
        return app_settings.dpop != "off"
    except ImproperlyConfigured:  # which another check reports
        return False


def _of_view(route: str, view: Any) -> Iterator[checks.CheckMessage]:
    decorator = routes.host_decorator(view)
    if decorator is not None:
        yield checks.Error(
            f"The view at {route} is decorated with django-oauth-toolkit's {decorator}, which takes a token that is "
            "bound to a key for a bearer token.",
            hint=f"Import {decorator} from oauth_client_attestation.resource.decorators.",
            id="oauth_client_attestation.E010",
        )
    view_class = getattr(view, "view_class", None)
    if isinstance(view_class, type) and issubclass(view_class, OAuthLibMixin):
        yield from _of_classes(route, view_class)


def _of_classes(route: str, view_class: Any) -> Iterator[checks.CheckMessage]:
    """Classes of a view's own; those of the settings have checks of their own."""
    for name, own, configured, is_ours, mixin in (
        (
            "validator_class",
            view_class.get_validator_class(),
            oauth2_settings.OAUTH2_VALIDATOR_CLASS,
            is_our_validator,
            "AttestationValidatorMixin",
        ),
        (
            "oauthlib_backend_class",
            view_class.get_oauthlib_backend_class(),
            oauth2_settings.OAUTH2_BACKEND_CLASS,
            is_our_backend,
            "AttestationBackendMixin",
        ),
    ):
        if own is not configured and not is_ours(own):
            yield checks.Error(
                f"The view at {route}, {view_class.__qualname__}, has a {name} of its own that knows nothing of client "
                "attestation and of tokens that are bound to a key.",
                hint=f"Leave {name} out, or put {mixin} first among the bases of {own.__qualname__}.",
                id="oauth_client_attestation.E012",
            )


def _is_extra_token_middleware(path: str) -> bool:
    try:
        middleware = import_string(path)
    except ImportError:  # which Django reports
        return False
    return isinstance(middleware, type) and issubclass(middleware, OAuth2ExtraTokenMiddleware)
