"""Authentication for Django REST framework that tells clients which proof of their key is missing (rule D6).

The host's class refuses the same tokens, but a view that allows anonymous access then takes the client for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.contrib.rest_framework import authentication as host
from rest_framework.exceptions import APIException, AuthenticationFailed

from ...oauth2.exchange import exchange_for
from ...oauth2.www_authenticate import with_challenge_for_proof

if TYPE_CHECKING:  # what the mixin is mixed into
    from rest_framework.authentication import BaseAuthentication as _Authentication
    from rest_framework.request import Request
else:
    _Authentication = object


class DpopAuthenticationMixin(_Authentication):
    """For ``OAuth2Authentication``. Put it before that class in the bases of your own."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return user and token; None if there is no good token.

        :raises AuthenticationFailed: if the token is good by itself, and refused for want of the right proof.
        :raises APIException: with status 503, if it cannot be said whether the proof was used before.
        """
        authenticated = super().authenticate(request)
        verdict = exchange_for(request).token_verdict if request is not None else None
        if authenticated is not None or verdict is None or verdict.error is None:
            return authenticated
        error = verdict.error
        if error.status == 503:
            unavailable = APIException(error.description, error.code)
            unavailable.status_code = error.status
            raise unavailable
        raise AuthenticationFailed(error.description, error.code)

    def authenticate_header(self, request: Request) -> str:
        """Return ``WWW-Authenticate``: the host's challenge, and the one for a proof."""
        field = super().authenticate_header(request) or ""
        return with_challenge_for_proof(field, exchange_for(request).token_verdict)


class OAuth2Authentication(DpopAuthenticationMixin, host.OAuth2Authentication):
    """Takes the place of the host's class of the same name."""


class OAuth2ProtectedResourceAuthentication(DpopAuthenticationMixin, host.OAuth2ProtectedResourceAuthentication):
    """The same, with the resource's metadata in the challenge (RFC 9728)."""
