"""The door out of Django: a mixin for ``OAuthLibCore``, and the class for sites that have none of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from oauth2_provider.oauth2_backends import OAuthLibCore

from .device import DeviceAuthorizationBackendMixin
from .exchange import HOLDER_KEY, exchange_for

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_backends import OAuthLibCore as _Backend
else:
    _Backend = object


class AttestationBackendMixin(DeviceAuthorizationBackendMixin, _Backend):
    """Carries the facts of the HTTP request to the validator, where no parameter can forge them.

    Put it before ``OAuthLibCore`` in the bases of your backend.
    """

    def extract_headers(self, request: HttpRequest) -> dict[str, Any]:
        """Return the headers for oauthlib with the request's exchange among them."""
        headers: dict[str, Any] = super().extract_headers(request)
        headers[HOLDER_KEY] = exchange_for(request)
        return headers

    def create_token_response(self, request: HttpRequest) -> tuple[str | None, dict[str, str], str, int]:
        """Return the response with the media type that its body has, on every path (E7)."""
        uri, headers, body, status = super().create_token_response(request)
        return uri, {"Content-Type": "application/json", "Cache-Control": "no-store", **headers}, body, status


class AttestationOAuthLibCore(AttestationBackendMixin, OAuthLibCore):
    """For ``OAUTH2_PROVIDER["OAUTH2_BACKEND_CLASS"]`` on sites without a backend of their own."""
