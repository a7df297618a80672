"""System checks: what is pushed can be used, and what must be pushed can be pushed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from ..conf import SETTING_NAME, app_settings

_INCLUDE = (
    'Put path("…/", include("oauth_client_attestation.par_urls")) with the same prefix before django-oauth-toolkit\'s '
    "URLs, or use PushedAuthorizationMixin in your own authorization view."
)


@checks.register(checks.Tags.urls)
def check_pushed_authorization(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """The authorization endpoint takes what the other endpoint gives out, and does not ask in vain."""
    from . import routes

    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    if routes.host_has_par():
        return _of_the_host()
    served = routes.served()
    if _required() and not served:
        return [
            checks.Error(
                "Every authorization request must be pushed, and none can be: all are refused.",
                hint=_INCLUDE,
                id="oauth_client_attestation.E007",
            )
        ]
    if routes.endpoint_is_routed() and not served:
        return [
            checks.Warning(
                "The authorization endpoint does not take pushed authorization requests.",
                hint=_INCLUDE,
                id="oauth_client_attestation.W004",
            )
        ]
    return []


def _of_the_host() -> list[checks.CheckMessage]:
    if not _required():
        return []
    return [
        checks.Error(
            f"{SETTING_NAME} requires pushed authorization requests, but this django-oauth-toolkit has its own.",
            hint='Move the setting to OAUTH2_PROVIDER["REQUIRE_PUSHED_AUTHORIZATION_REQUESTS"].',
            id="oauth_client_attestation.E008",
        )
    ]


def _required() -> bool:
    try:
        return app_settings.require_pushed_authorization_requests
    except ImproperlyConfigured:  # which another check reports
        return False
