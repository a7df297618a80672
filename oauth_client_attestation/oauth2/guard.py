"""What is answered before a door's view runs: requests that cannot be read, and nothing but JSON (E7)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import SuspiciousOperation
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from oauth2_provider import views
from oauth2_provider.views import DeviceAuthorizationView, IntrospectTokenView, RevokeTokenView, TokenView
from oauthlib.common import urldecode

from .. import presented, service
from ..par.endpoint import PushedAuthorizationRequestView
from ..registration import admission
from ..registration.views import AttestedManagementMixin, AttestedRegistrationMixin
from .device import answer_before_token_view
from .exchange import exchange_for

#: The views that authenticate clients.
DOORS: Final = (
    TokenView,
    RevokeTokenView,
    IntrospectTokenView,
    DeviceAuthorizationView,
    PushedAuthorizationRequestView,
    # Of versions that have pushed authorization requests of their own.
    *filter(None, [getattr(views, "PushedAuthorizationRequestView", None)]),
)


def is_door(request: HttpRequest) -> bool:
    """Whether this is a request to an endpoint that authenticates clients."""
    match = request.resolver_match
    view_class = getattr(match.func, "view_class", None) if match else None
    return isinstance(view_class, type) and issubclass(view_class, DOORS)


def answer_before_view(request: HttpRequest, view: Any) -> HttpResponse | None:
    """Return the answer to a request at a door that must not reach its view, or None."""
    view_class = getattr(view, "view_class", None)
    view_class = view_class if isinstance(view_class, type) else None
    _prepare(request, view_class)
    if view_class is None or not issubclass(view_class, DOORS):
        return None
    if not _readable(request, view_class):
        return _invalid_request(request, "The request cannot be read.")
    if issubclass(view_class, DeviceAuthorizationView) and _names_client_in_query_alone(request):
        return _invalid_request(request, "client_id belongs in the body.")
    return answer_before_token_view(request, view_class) if issubclass(view_class, TokenView) else None


def _prepare(request: HttpRequest, view_class: type | None) -> None:
    """Fetch the keys that an attested request will need, whatever it is for, before its transaction begins (T2)."""
    if not _has_atomic_requests():
        return
    fields = exchange_for(request).fields
    if not fields.committed:
        return
    if view_class is not None and issubclass(view_class, AttestedRegistrationMixin):
        admission.prepare(fields)
    elif view_class is not None and issubclass(view_class, (*DOORS, AttestedManagementMixin)):
        service.prepare(fields)
        presented.prepare(fields)
    else:
        presented.prepare(fields)


def _readable(request: HttpRequest, view_class: Any) -> bool:
    """Whether Django can read the body, oauthlib the query string, a database the values, and the host its URIs.

    PostgreSQL cannot be asked about a NUL, and no parameter of OAuth may have one. The host takes URIs to pieces
    before it compares them.
    """
    try:
        uri = view_class.get_oauthlib_core()._get_escaped_full_path(request)  # as oauthlib will see it
        urldecode(urlsplit(uri).query)
        parameters = [*request.GET.lists(), *request.POST.lists()]
        for name, values in parameters:
            _take_to_pieces(name, values)
        return not any("\0" in value for _, values in parameters for value in values)
    except (SuspiciousOperation, MultiPartParserError, ValueError):  # a UnicodeError is a ValueError
        return False


def _take_to_pieces(name: str, values: list[str]) -> None:
    """Do with a parameter that is a URI what the host does. Of a resource with a bad port it can say so itself.

    :raises ValueError: if it would be a server error there.
    """
    if name in ("redirect_uri", "resource"):
        for value in values:
            uri = urlsplit(value)
            _ = uri.port if name == "redirect_uri" else None


def _names_client_in_query_alone(request: HttpRequest) -> bool:
    """Whether oauthlib would know a device by its query, and its view look for it in the form (RFC 8628)."""
    return request.method == "POST" and "client_id" in request.GET and "client_id" not in request.POST


def _invalid_request(request: HttpRequest, description: str) -> JsonResponse:
    exchange_for(request)  # so that the middleware completes the response
    body = {"error": "invalid_request", "error_description": description}
    return JsonResponse(body, status=400, headers={"Cache-Control": "no-store"})


def _has_atomic_requests() -> bool:
    """Whether views run in a transaction, in which nothing may be fetched (T2)."""
    return any(database.get("ATOMIC_REQUESTS") for database in connections.settings.values())
