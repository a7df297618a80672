"""What the introspection endpoint says of a bound token: ``cnf`` and ``token_type`` (D6; RFC 9449 section 6.2)."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from typing import Any, cast

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from oauth2_provider.views import IntrospectTokenView

from ..confirmations import stored_access_token
from ..core import wire
from .exchange import exchange_for, existing_exchange

logger = logging.getLogger("oauth_client_attestation")


def look_before_view(request: HttpRequest, view: Any) -> HttpResponse | None:
    """Look for the key that the token in question is bound to, while it is certainly there.

    Afterwards it may have been revoked, and its confirmation with it, and the answer be that of a bearer token.

    :return: the answer if the database does not; None for a request that may go on.
    """
    view_class = getattr(view, "view_class", None)
    token = (request.POST if request.method == "POST" else request.GET).get("token")
    if token is None or not (isinstance(view_class, type) and issubclass(view_class, IntrospectTokenView)):
        return None
    try:
        stored = stored_access_token(token)
    except DatabaseError:
        logger.exception("The database does not answer; whether a token is bound cannot be said.")
        return _unavailable()
    exchange_for(request).introspected = stored
    return None


def confirmed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the answer of the introspection endpoint with the key that the token is bound to, if it is bound to one.

    Done to the response, because a resource server takes an answer without it for that of a bearer token: nothing
    that a site routes or overrides may leave it out. What cannot be read, and so not be completed, is not passed on.
    """
    exchange = existing_exchange(request)
    stored = exchange.introspected if exchange is not None else None
    if stored is None or stored.bound_to is None or response.status_code != 200:
        return response
    try:
        answer = _read(response)
    except (ValueError, OSError, EOFError, zlib.error):  # all but the first are gzip's
        logger.exception(
            "The answer of the introspection endpoint cannot be completed with cnf; let nothing but JSON come out of "
            "the view, and put ClientAttestationMiddleware behind middleware that encodes responses."
        )
        return _unavailable()
    if answer.get("active") is not True:
        return response
    content = json.dumps({**answer, "token_type": wire.DPOP_SCHEME, "cnf": {"jkt": stored.bound_to}})
    return _with_content(cast("HttpResponse", response), content.encode())


def _read(response: HttpResponseBase) -> dict[str, Any]:
    """Return what the answer says, which middleware inside this one may have compressed.

    :raises ValueError: if it is no JSON object; of its subclasses, whatever is wrong with the octets.
    """
    if not isinstance(response, HttpResponse):
        raise ValueError("a response that is streamed")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    content = gzip.decompress(response.content) if encoding == "gzip" else response.content
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("no JSON object")
    return answer


def _with_content(response: HttpResponse, content: bytes) -> HttpResponse:
    response.content = content
    for name in ("Content-Encoding", "ETag"):  # both of what it was before
        del response.headers[name]
    if "Content-Length" in response.headers:
        response.headers["Content-Length"] = str(len(response.content))
    return response


def _unavailable() -> JsonResponse:
    body = {"error": wire.ERROR_TEMPORARILY_UNAVAILABLE}
    return JsonResponse(body, status=503, headers={"Cache-Control": "no-store"})
