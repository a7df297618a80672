"""Client instances at a live testproject: they get tokens, and what must be refused is refused.

Sets up a site of its own, talks to it over HTTP only, shows every exchange and checks every outcome. Exits
with 0, or with 1 and a message as soon as anything is not as it should be.
"""

import signal
import sys
import time
from typing import NoReturn

import requests
from demo_api import ApiDemo
from demo_client import TIMEOUT, DemoClient, Unexpected
from demo_display import heading, say, show_exchange, show_field
from demo_dpop import DpopDemo
from demo_site import METADATA_PATH, SiteFailed, TemporarySite
from demo_user import UserDemo

from oauth_client_attestation.testing import AttesterBackend

CLIENT_SECRET = "the-secret-of-demo-app"  # noqa: S105 (lives as long as the demonstration)
HOUR = 3600


class Demo(DemoClient):
    """The first part: a client that acts for itself, what lets it in and what does not."""

    client_id = "demo-app"

    def run(self) -> None:
        """Tell the story; each step relies on the ones before."""
        self.set_up()
        self.discover()
        self.attest()
        self.ask_for_a_challenge()
        accepted, access_token = self.get_a_token()
        self.call_the_api(access_token)
        self.replay(accepted)
        self.come_with_a_stranger()
        self.come_late()
        self.come_with_the_secret()

    def set_up(self) -> None:
        heading(
            "0. The site",
            "What an operator does once: an application made with django-oauth-toolkit's own command, an "
            "attester with its public key, and the rule that the application gets in by attestation only.",
        )
        self._manage("migrate", "--verbosity", "0")
        self.site.start_server()
        self._register("Demo app", "confidential", "client-credentials", "--client-secret", CLIENT_SECRET)
        self.site.wait_for_server()
        say(f"gunicorn serves testproject at {self.site.url}, on a temporary SQLite database.")

    def discover(self) -> None:
        heading(
            "1. Discovery",
            "The client knows the issuer and nothing else; the metadata (RFC 8414) leads it to the rest.",
        )
        response = self.http.get(self.site.url + METADATA_PATH, timeout=TIMEOUT)
        needed = (
            "issuer",
            "authorization_endpoint",
            "pushed_authorization_request_endpoint",
            "token_endpoint",
            "token_endpoint_auth_methods_supported",
            "challenge_endpoint",
            "client_attestation_signing_alg_values_supported",
            "client_attestation_pop_signing_alg_values_supported",
            "dpop_signing_alg_values_supported",
        )
        show_exchange(response, members=needed)
        document = self._json(response)
        self._expect(
            response.status_code == 200 and all(document.get(name) for name in needed),
            "the metadata says all that the client needs",
        )
        self._expect(document["issuer"] == self.site.url, "its issuer is the one that was asked")
        self._expect(
            "attest_jwt_client_auth" in document["token_endpoint_auth_methods_supported"],
            "the token endpoint takes attestations",
        )
        self.metadata = document

    def attest(self) -> None:
        heading(
            "2. Attestation",
            "The instance makes a key, and the client's backend vouches for it. How the backend knows the "
            "instance is its own business; the authorization server is not involved.",
        )
        self.attestation = self.backend.attest(self.instance, self.client_id)
        show_field("OAuth-Client-Attestation", self.attestation)

    def ask_for_a_challenge(self) -> None:
        heading(
            "3. Challenge",
            "A challenge of the server, put into the proof, shows that the proof is fresh. The nonce beside it is for "
            "proofs of another kind, from 19 on.",
        )
        self._fetch_challenge()

    def get_a_token(self) -> tuple[dict[str, str], str]:
        heading(
            "4. Token",
            "Attestation and proof authenticate the client: no secret, and no client_id either, since the "
            "attestation names it. The response brings the next challenge.",
        )
        headers = self._headers(self.attestation)
        body = self._accepted(self._ask_for_a_token(headers), "a token is issued", "access_token")
        self._expect(body.get("token_type") == "Bearer", "it is a bearer token")
        return headers, body["access_token"]

    def call_the_api(self, access_token: str) -> None:
        heading("5. API call", "The access token works where access tokens work.")
        response = self._call_api(access_token)
        self._expect(
            response.status_code == 200 and self._json(response).get("client_id") == self.client_id,
            "the API knows the client",
        )

    def replay(self, headers: dict[str, str]) -> None:
        heading(
            "6. The same proof again",
            "Whoever copies a request from the wire cannot use it: a proof is accepted once, whichever server "
            "process gets it.",
        )
        response = self._ask_for_a_token(headers)
        self._refused(response, code="invalid_client_attestation", reason="pop_replayed")

    def come_with_a_stranger(self) -> None:
        heading(
            "7. A stranger's attestation",
            "Another backend attests the same instance for the same client under the same kid. Nothing in it "
            "is wrong, except that nobody here trusts its key.",
        )
        stranger = AttesterBackend(key_id=self.backend.key_id)
        attestation = stranger.attest(self.instance, self.client_id)
        response = self._ask_for_a_token(self._headers(attestation))
        self._refused(response, code="invalid_client_attestation", reason="attestation_signature")

    def come_late(self) -> None:
        heading(
            "8. An expired attestation",
            "The trusted backend signed it, but it expired an hour ago. That has a code of its own, so that the "
            "client knows to fetch a new attestation rather than to give up.",
        )
        two_hours_ago = time.time() - 2 * HOUR
        attestation = self.backend.attest(self.instance, self.client_id, now=two_hours_ago, lifetime=HOUR)
        response = self._ask_for_a_token(self._headers(attestation))
        self._refused(response, code="use_fresh_attestation", reason="attestation_expired")

    def come_with_the_secret(self) -> None:
        heading(
            "9. The application's secret",
            "The right secret is no way around: an application that must be attested gets in by nothing else.",
        )
        response = self._ask_for_a_token({}, client_id=self.client_id, client_secret=CLIENT_SECRET)
        self._refused(response, code="invalid_client", reason="attestation_required")

    def _ask_for_a_token(self, headers: dict[str, str], **parameters: str) -> requests.Response:
        return self._post("token_endpoint", headers, grant_type="client_credentials", scope="read", **parameters)


def main() -> int:
    signal.signal(signal.SIGTERM, _terminated)
    with TemporarySite() as site:
        try:
            demo = Demo(site)
            demo.run()
            UserDemo(site, demo.metadata).run()
            DpopDemo(site, demo.metadata).run()
            ApiDemo(site, demo.metadata).run()
        except (Unexpected, SiteFailed, requests.RequestException) as error:
            print(f"\nThe demonstration failed: {error}\n\n{site.log_text()}", file=sys.stderr)
            return 1
    say("\nEvery outcome was as expected.", "bold", "green")
    return 0


def _terminated(number: int, frame: object) -> NoReturn:
    """Let the context managers stop the server."""
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
