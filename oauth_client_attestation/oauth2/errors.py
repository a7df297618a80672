"""A refusal in the language of the doors: an oauthlib error, or a response where nobody catches that."""

from __future__ import annotations

from django.http import JsonResponse
from oauthlib.oauth2 import OAuth2Error

from ..core import wire
from ..core.errors import ClientAttestationError
from .exchange import AttestationExchange


class AttestationOAuth2Error(OAuth2Error):
    """A :class:`ClientAttestationError` that oauthlib and django-oauth-toolkit answer with.

    It is not given the oauthlib request, from which the base class would echo ``state`` (E6).
    """

    def __init__(self, refusal: ClientAttestationError, exchange: AttestationExchange | None) -> None:
        self.error = refusal.code
        self.exchange = exchange
        authorization = exchange.request.headers.get("Authorization", "") if exchange else ""
        attempted_basic = authorization[:6].lower() == "basic "
        # RFC 6749 section 5.2: a client that tried the Authorization field is answered with 401 and its scheme.
        self._basic = refusal.code == wire.ERROR_INVALID_CLIENT and attempted_basic
        super().__init__(description=refusal.description, status_code=401 if self._basic else refusal.status)
        if exchange is not None:
            exchange.add_error_headers(self._own_headers)

    @property
    def headers(self) -> dict[str, str]:
        """The response headers: never cached, always with a fresh challenge (C3, E1)."""
        challenge = self.exchange.challenge_headers if self.exchange else {}
        return {**self._own_headers, **challenge}

    @property
    def _own_headers(self) -> dict[str, str]:
        headers = {"Cache-Control": "no-store"}
        if self._basic:
            headers["WWW-Authenticate"] = 'Basic realm="oauth"'
        return headers


def error_response(error: AttestationOAuth2Error) -> JsonResponse:
    """Answer with ``error`` where django-oauth-toolkit would let it through as a 500 (E7)."""
    return JsonResponse(dict(error.twotuples), status=error.status_code, headers=error.headers)
