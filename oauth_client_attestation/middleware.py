"""The middleware: what a response owes the client instance, and errors that nobody else answers (C3, E7)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views import TokenView

from . import activity, checks
from .core import wire
from .core.errors import ClientAttestationError, Reason
from .nonces import asks_for_nonce, nonce_response
from .oauth2 import introspection
from .oauth2.errors import AttestationOAuth2Error, error_response
from .oauth2.exchange import exchange_for, existing_exchange
from .oauth2.guard import answer_before_view, is_door
from .oauth2.www_authenticate import challenge_for_proof
from .resource import registration

logger = logging.getLogger("oauth_client_attestation")

_EXPOSE_FIELD = "Access-Control-Expose-Headers"
_EXPOSED_FIELDS = (wire.CHALLENGE_FIELD, wire.NONCE_FIELD, wire.DPOP_NONCE_FIELD, "WWW-Authenticate")


class ClientAttestationMiddleware:
    """Serves sync and async sites. It refuses to start on a configuration that would leave a door unguarded,
    since system checks do not run under a WSGI or ASGI server.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        """:raises ImproperlyConfigured: if a system check of this package reports an error."""
        problems = checks.configuration_errors()
        if problems:
            raise ImproperlyConfigured("; ".join(f"{problem.id}: {problem.msg}" for problem in problems))
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Let the request through and complete its response."""
        if self._is_async:
            return self._acall(request)
        response = introspection.confirmed(request, cast("HttpResponseBase", self.get_response(request)))
        activity.write(request)
        return _completed(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        response = introspection.confirmed(request, response)
        if activity.is_noted(request):
            await sync_to_async(activity.write)(request)
        return _completed(request, response)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Answer what must not reach the view: nonce requests, what cannot be read, refused device grants, and bound
        tokens where the host does not ask its validator."""
        if asks_for_nonce(request):
            return nonce_response()
        return (
            answer_before_view(request, view)
            or introspection.look_before_view(request, view)
            or registration.answer_before_view(request, view)
        )

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer where django-oauth-toolkit would not, and the response would be a server error (E7).

        At introspection, any refusal; at the token endpoint, that the instance was blocked or relieved of what it
        holds while its tokens were on the way: the view looks for the access token that has just been stored; at a
        resource, what a view was told that asked for an attestation itself.
        """
        if isinstance(exception, AttestationOAuth2Error):
            return error_response(exception)
        if isinstance(exception, ClientAttestationError):
            return HttpResponse(status=401)
        if isinstance(exception, DatabaseError) and is_door(request):
            return _unavailable(request)
        if isinstance(exception, get_access_token_model().DoesNotExist) and _issues_to_instance(request):
            return JsonResponse({"error": "invalid_grant"}, status=400, headers={"Cache-Control": "no-store"})
        return None


def _unavailable(request: HttpRequest) -> JsonResponse:
    logger.exception("The database does not answer.")
    exchange = exchange_for(request)
    refusal = exchange.refuse(ClientAttestationError(Reason.DATABASE_UNAVAILABLE))
    return error_response(AttestationOAuth2Error(refusal, exchange))


def _issues_to_instance(request: HttpRequest) -> bool:
    """Whether this is an attested request at the token endpoint."""
    exchange = existing_exchange(request)
    match = request.resolver_match
    view_class = getattr(match.func, "view_class", None) if match else None
    at_token_endpoint = isinstance(view_class, type) and issubclass(view_class, TokenView)
    return at_token_endpoint and exchange is not None and exchange.evidence is not None


def _completed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    exchange = existing_exchange(request)
    if exchange is not None:
        for name, value in exchange.response_headers.items():
            response.headers[name] = value
        if wire.DPOP_NONCE_FIELD in response.headers:  # RFC 9449 section 8.2
            response.headers.setdefault("Cache-Control", "no-store")
        if exchange.token_verdict is not None:
            challenge_for_proof(response, exchange.token_verdict)
    if "Origin" in request.headers:
        _expose(response)
    return response


def _expose(response: HttpResponseBase) -> None:
    """Let a script of another origin read the headers that are for it (C6); others stay listed.

    Without an ``Access-Control-Allow-Origin`` beside it, which is not ours to give, the list has no effect.
    """
    ours = [name for name in _EXPOSED_FIELDS if name in response.headers]
    if ours:
        listed = response.headers.get(_EXPOSE_FIELD, "")
        already = {name.strip().lower() for name in listed.split(",")}
        added = [name for name in ours if name.lower() not in already]
        response.headers[_EXPOSE_FIELD] = ", ".join([*filter(None, [listed]), *added])
