"""Authlib's OAuth2 clients over httpx, with :class:`.authlib.AttestationMethod` as a client authentication method.

Redirects are refused as in ``client.httpx``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from authlib.integrations import httpx_client
from authlib.integrations.httpx_client import utils

from .authlib import AttestationMethod, with_client_id
from .flow import async_steps, sync_steps


class _ClientAuth(httpx_client.OAuth2ClientAuth):
    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        if isinstance(self.auth_method, AttestationMethod):
            return sync_steps(self.auth_method.presentation, request, self._named)
        steps: Generator[Any, Any, None] = super().sync_auth_flow(request)
        return steps

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        if isinstance(self.auth_method, AttestationMethod):
            return async_steps(self.auth_method.presentation, request, self._named)
        steps: AsyncGenerator[Any, Any] = super().async_auth_flow(request)
        return steps

    def _named(self, request: Any) -> Any:
        """Return the request with the ``client_id``, which takes another one: the body is longer."""
        url, headers, body = with_client_id(self, request.method, str(request.url), request.headers, request.content)
        headers["Content-Length"] = str(len(body))
        return utils.build_request(url=url, headers=headers, body=body, initial_request=request)


class OAuth2Client(httpx_client.OAuth2Client):
    """Authlib's ``OAuth2Client``, for which such a method can be registered."""

    client_auth_class = _ClientAuth


class AsyncOAuth2Client(httpx_client.AsyncOAuth2Client):
    """Authlib's ``AsyncOAuth2Client``, for which such a method can be registered."""

    client_auth_class = _ClientAuth
