"""Middleware for sites whose views look at ``request.user`` or ``request.access_token`` (rule D6).

It takes the place of django-oauth-toolkit's of the same names: one knows only bearer tokens, the other takes any token
for one. A token that is refused for want of the right proof is answered here with 401, since a view that allows
anonymous access would otherwise serve its client as somebody else. Other tokens that are no good are left to the view.

Put it behind ``ClientAttestationMiddleware``, which says in ``WWW-Authenticate`` what was wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from oauth2_provider.models import get_access_token_model

from ..core import wire
from . import access

_SCHEMES: Final = ("bearer", wire.DPOP_SCHEME.lower())


class _AccessTokenMiddleware:
    """Verifies the access token of an ``Authorization`` field. For sync and async sites."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Let the request through with what its token stands for, or answer it."""
        if self._is_async:
            return self._acall(request)
        refusal = self._answer(request) if _has_token(request) else None
        return self._completed(cast("HttpResponseBase", self.get_response(request)) if refusal is None else refusal)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        refusal = await sync_to_async(self._answer)(request) if _has_token(request) else None
        if refusal is not None:
            return self._completed(refusal)
        return self._completed(await cast("Awaitable[HttpResponseBase]", self.get_response(request)))

    def _answer(self, request: HttpRequest) -> HttpResponse | None:
        if not self._is_wanted(request):
            return None
        valid, oauth_request = access.verify(request, ())
        if valid:
            self._adopt(request, oauth_request)
            return None
        if access.refusal_for_want_of_proof(request) is None:
            return None
        return access.refused(request, oauth_request)

    def _is_wanted(self, request: HttpRequest) -> bool:
        """Whether it matters who has the token."""
        return True

    def _adopt(self, request: HttpRequest, oauth_request: Any) -> None:
        """Put what a good token stands for where views look for it."""
        raise NotImplementedError

    def _completed(self, response: HttpResponseBase) -> HttpResponseBase:
        patch_vary_headers(cast("HttpResponse", response), ("Authorization",))
        return response


class OAuth2TokenMiddleware(_AccessTokenMiddleware):
    """Makes the user of an access token ``request.user``, if nobody is logged in.

    Before or behind ``AuthenticationMiddleware``, as the host's. It asks no authentication backend: ``OAuth2Backend``
    need not be among them.
    """

    def _is_wanted(self, request: HttpRequest) -> bool:
        return not hasattr(request, "user") or request.user.is_anonymous

    def _adopt(self, request: HttpRequest, oauth_request: Any) -> None:
        if oauth_request.user is not None:
            request.user = oauth_request.user
            # Where AuthenticationMiddleware, if it comes later, and request.auser() look first.
            request._cached_user = request._acached_user = oauth_request.user  # type: ignore[attr-defined]  # as the host's does


class OAuth2ExtraTokenMiddleware(_AccessTokenMiddleware):
    """Makes the row of an access token ``request.access_token``: unlike the host's, of one that may be used."""

    def _adopt(self, request: HttpRequest, oauth_request: Any) -> None:
        # The host takes an ID token for an access token as well, which is a row of another kind.
        if isinstance(oauth_request.access_token, get_access_token_model()):
            request.access_token = oauth_request.access_token  # type: ignore[attr-defined]  # as the host's does


def _has_token(request: HttpRequest) -> bool:
    return request.headers.get("Authorization", "").partition(" ")[0].lower() in _SCHEMES
