"""Which views serve pushed authorization requests at this site, if any."""

from __future__ import annotations

from typing import Any, Final

from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from oauth2_provider import settings as host_settings
from oauth2_provider.views import AuthorizationView

#: Name of the endpoint.
ENDPOINT: Final = "oauth_client_attestation_par:pushed-authorization-request"


def host_has_par() -> bool:
    """Whether django-oauth-toolkit has pushed authorization requests of its own; ours then step aside."""
    return "PAR_ENABLED" in host_settings.DEFAULTS


def authorization_view() -> type | None:
    """Return the class of the view at the authorization endpoint, None if there is none or it has no class."""
    try:
        view_class = getattr(resolve(reverse("oauth2_provider:authorize")).func, "view_class", None)
    except (NoReverseMatch, Resolver404):
        return None
    return view_class if isinstance(view_class, type) else None


def authorization_core() -> Any:
    """Return the ``OAuthLibCore`` that authorization requests are validated with."""
    view_class: Any = authorization_view()
    if view_class is None or not issubclass(view_class, AuthorizationView):
        view_class = AuthorizationView
    return view_class.get_oauthlib_core()


def endpoint_is_routed() -> bool:
    """Whether clients can push."""
    try:
        reverse(ENDPOINT)
    except NoReverseMatch:
        return False
    return True


def served() -> bool:
    """Whether what clients push can be used too: the authorization endpoint has to be ours, or have the mixin."""
    from .authorization import PushedAuthorizationMixin

    view_class = authorization_view()
    return endpoint_is_routed() and view_class is not None and issubclass(view_class, PushedAuthorizationMixin)
