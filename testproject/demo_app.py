"""What the parts with a user have in common: an app that pushes, sends its user's browser, redeems and refreshes."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from demo_browser import Browser
from demo_client import DemoClient
from demo_display import say
from demo_site import TemporarySite

from oauth_client_attestation.testing import ClientInstance

REDIRECT_URI = "https://app.example/callback"  # nobody answers there: the demonstration reads the URL
USER = "ada"
PASSWORD = "the-password-of-ada"  # noqa: S105 (lives as long as the demonstration)


class AppDemo(DemoClient):
    """The instance of an app on the user's phone, and another one.

    :ivar name: of the app, as its user reads it.
    """

    name: str

    def __init__(self, site: TemporarySite, metadata: Mapping[str, Any]) -> None:
        super().__init__(site, metadata)
        self.other_instance = ClientInstance()
        self.other_attestation = ""
        self.state = random_text()
        self.code_verifier = random_text()

    def _register_app(self) -> None:
        self._register(self.name, "public", "authorization-code", "--redirect-uris", REDIRECT_URI)

    def _push(self, headers: dict[str, str], *, state: str, code_verifier: str) -> requests.Response:
        digest = sha256(code_verifier.encode()).digest()
        return self._post(
            "pushed_authorization_request_endpoint",
            headers,
            response_type="code",
            redirect_uri=REDIRECT_URI,
            scope="read",
            state=state,
            code_challenge=urlsafe_b64encode(digest).rstrip(b"=").decode(),
            code_challenge_method="S256",
        )

    def _code_by_consent(self, reference: str) -> str:
        """Log Ada in, let her consent, and return the code that comes of it."""
        browser = Browser(self.site.url)
        query = urlencode({"client_id": self.client_id, "request_uri": reference})
        browser.open(f"{self.metadata['authorization_endpoint']}?{query}")
        self._expect("Password" in browser.form, "she is asked to log in")
        say("\nShe logs in:\n")
        browser.submit(username=USER, password=PASSWORD)
        self._expect(
            self.name in browser.form and "Read your data" in browser.form,
            "she is asked whether the app may read her data",
        )
        say("\nShe consents:\n")
        browser.submit(allow="Authorize")
        self._expect(browser.location.startswith(f"{REDIRECT_URI}?"), "she is sent back to the app")
        answer = dict(parse_qsl(urlsplit(browser.location).query))
        self._expect(
            (answer.get("state"), answer.get("iss")) == (self.state, self.metadata["issuer"]),
            "state and iss say that this answers the app's request, and that this server does (RFC 9207)",
        )
        self._expect(bool(answer.get("code")), "and there is a code")
        return answer["code"]

    def _redeem(self, code: str, headers: dict[str, str]) -> requests.Response:
        return self._post(
            "token_endpoint",
            headers,
            grant_type="authorization_code",
            code=code,
            redirect_uri=REDIRECT_URI,
            code_verifier=self.code_verifier,
        )

    def _refresh(self, refresh_token: str, headers: dict[str, str]) -> requests.Response:
        return self._post("token_endpoint", headers, grant_type="refresh_token", refresh_token=refresh_token)

    def _refreshed(self, refresh_token: str, headers: dict[str, str]) -> dict[str, Any]:
        """Use a refresh token as its owner does, and return what it is exchanged for."""
        response = self._refresh(refresh_token, headers)
        tokens = self._accepted(response, "the owner is given new tokens", "access_token", "refresh_token")
        self._expect(tokens["refresh_token"] != refresh_token, "with another refresh token in place of the old one")
        return tokens

    def _greets_the_user(self, response: requests.Response) -> None:
        body = self._json(response)
        self._expect(
            response.status_code == 200 and (body.get("hello"), body.get("client_id")) == (USER, self.client_id),
            "the API knows user and client",
        )


def random_text() -> str:
    """Return what nobody can guess, long enough for a code verifier (43 characters, RFC 7636)."""
    return secrets.token_urlsafe(32)
