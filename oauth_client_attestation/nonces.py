"""Nonces on OPTIONS, the way of revision -05 to freshness (rule C7): a challenge under another name."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from .challenges import fresh_challenge
from .conf import app_settings
from .core import wire


def asks_for_nonce(request: HttpRequest) -> bool:
    """Whether this is a nonce request at an endpoint that serves it.

    A CORS preflight asks for permission on behalf of such a request and is left to whoever handles CORS.
    """
    match = request.resolver_match
    return (
        request.method == "OPTIONS"
        and request.headers.get(wire.NONCE_REQUEST_FIELD) == "true"
        and "Access-Control-Request-Method" not in request.headers
        and match is not None
        and match.view_name in app_settings.options_nonce_endpoints
    )


def nonce_response() -> HttpResponse:
    """Return 200 with the nonce and no body; 503 while there is no issuer that a nonce could be good for."""
    response = HttpResponse(headers={"Cache-Control": "no-store"})
    del response.headers["Content-Type"]  # there is no body to be of a type
    nonce = fresh_challenge()
    if nonce is None:
        response.status_code = 503
    else:
        response.headers[wire.NONCE_FIELD] = nonce
    return response
