"""An instance at a live site that pushes its authorization requests, and its user's browser without a window."""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from oauth_client_attestation.testing import ClientInstance, request_headers
from tests.e2e.client import LiveClient
from tests.e2e.live import LiveSite

PASSWORD = "correct horse battery staple"
_TIMEOUT = 60


@dataclass
class PushingClient(LiveClient):
    """The same client with the authorization code grant.

    :ivar redirect_uri: where the browser goes with the code; nobody needs to answer there.
    """

    redirect_uri: str = "https://client.example/callback"
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def register(self, *, challenge: str = "required") -> PushingClient:
        """Register the application for the authorization code grant."""
        super().register(challenge=challenge)
        self.site.shell(
            "from oauth2_provider.models import Application\n"
            f"Application.objects.filter(client_id={self.client_id!r}).update(\n"
            f"    authorization_grant_type='authorization-code', redirect_uris={self.redirect_uri!r})"
        )
        return self

    def create_user(self) -> str:
        """Create a user of the site; return the name."""
        name = f"user-{self.client_id}"
        self.site.shell(
            "from django.contrib.auth import get_user_model\n"
            f"get_user_model().objects.create_user({name!r}, password={PASSWORD!r})"
        )
        return name

    def fields(self, instance: ClientInstance | None = None) -> dict[str, str]:
        """Return the two header fields for one request, of this instance or of another."""
        instance = instance or self.instance
        attestation = self.backend.attest(instance, self.client_id)
        return request_headers(attestation, instance.prove(self.metadata["issuer"], challenge=self.challenge()))

    def push(self, **changes: str) -> str:
        """Push a request; return its reference."""
        challenge = urlsafe_b64encode(sha256(self.code_verifier.encode()).digest()).rstrip(b"=").decode()
        request = {
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": "read",
            "state": "xyz",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        url = self.metadata["pushed_authorization_request_endpoint"]
        response = requests.post(url, data=request, headers=self.fields(), timeout=_TIMEOUT)
        assert response.status_code == 201, response.text
        return response.json()["request_uri"]

    def authorization_url(self, reference: str) -> str:
        """Return where the browser is sent."""
        query = urlencode({"client_id": self.client_id, "request_uri": reference})
        return f"{self.metadata['authorization_endpoint']}?{query}"

    def code(self, session: requests.Session) -> str:
        """Push, let the user consent, and return the code."""
        url = self.authorization_url(self.push())
        page = session.get(url, timeout=_TIMEOUT)
        decision = {**self.consent_fields(page), "allow": "on"}
        answer = session.post(url, data=decision, allow_redirects=False, timeout=_TIMEOUT)
        assert answer.status_code == 302, answer.text
        return self.code_in(answer.headers["Location"])

    def consent_fields(self, page: requests.Response) -> dict[str, str]:
        """Return the hidden fields of a consent page."""
        return hidden_fields(page)

    def code_in(self, location: str) -> str:
        """Return the code of a redirect."""
        assert location.startswith(f"{self.redirect_uri}?"), location
        answer = dict(parse_qsl(urlsplit(location).query))
        assert (answer["state"], answer["iss"]) == ("xyz", self.site.url)
        return answer["code"]

    def redemption(self, code: str) -> dict[str, str]:
        """Return the token request for a code."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.code_verifier,
        }

    def redeem(self, code: str, instance: ClientInstance | None = None) -> requests.Response:
        """Send a code to the token endpoint, as this instance or as another."""
        return self._token(self.redemption(code), instance)

    def refresh(self, refresh_token: str, instance: ClientInstance | None = None) -> requests.Response:
        """Use a refresh token, as this instance or as another."""
        return self._token({"grant_type": "refresh_token", "refresh_token": refresh_token}, instance)

    def codes(self) -> int:
        """Count the client's codes that nobody has redeemed."""
        counted = self.site.shell(
            "import json\n"
            "from oauth2_provider.models import Grant\n"
            f"print(json.dumps(Grant.objects.filter(application__client_id={self.client_id!r}).count()))"
        )
        return int(json.loads(counted))

    def _token(self, data: dict[str, str], instance: ClientInstance | None) -> requests.Response:
        return requests.post(
            self.metadata["token_endpoint"], data=data, headers=self.fields(instance), timeout=_TIMEOUT
        )


def login(site: LiveSite, user: str) -> requests.Session:
    """Return a session in which a user is logged in."""
    session, url = requests.Session(), f"{site.url}/accounts/login/"
    fields = hidden_fields(session.get(url, timeout=_TIMEOUT))
    data: dict[str, Any] = {**fields, "username": user, "password": PASSWORD}
    answer = session.post(url, data=data, allow_redirects=False, timeout=_TIMEOUT)
    assert answer.status_code == 302, answer.text
    return session


def hidden_fields(page: requests.Response) -> dict[str, str]:
    """Return the hidden fields of a page's forms."""
    found = re.findall(r'<input type="hidden" name="([^"]*)"(?: value="([^"]*)")?', page.text)
    return {name: unescape(value) for name, value in found}
