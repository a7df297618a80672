"""Authlib's ``OAuth2Session``, with :class:`.authlib.AttestationMethod` as a client authentication method."""

from __future__ import annotations

import requests
from authlib.integrations import requests_client
from authlib.integrations.requests_client.oauth2_session import OAuth2ClientAuth

from .authlib import AttestationMethod, with_client_id
from .requests import PresentationAuth


class _ClientAuth(OAuth2ClientAuth):
    def __call__(self, req: requests.PreparedRequest) -> requests.PreparedRequest:
        if not isinstance(self.auth_method, AttestationMethod):
            authenticated: requests.PreparedRequest = super().__call__(req)
            return authenticated
        parts = with_client_id(self, str(req.method), str(req.url), req.headers, req.body)
        req.url, req.headers, req.body = parts
        return PresentationAuth(self.auth_method.presentation)(req)


class OAuth2Session(requests_client.OAuth2Session):
    """Authlib's ``OAuth2Session``, for which such a method can be registered."""

    client_auth_class = _ClientAuth
