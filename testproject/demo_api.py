"""The fourth part: an API that wants to know whether the caller is a genuine instance, beside its access token."""

from collections.abc import Mapping
from typing import Any

import requests
from demo_app import AppDemo
from demo_client import TIMEOUT
from demo_display import heading, say, show_exchange

from oauth_client_attestation.testing import request_headers

RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource/api"
API_PATH = "/api/attested"


class ApiDemo(AppDemo):
    """An instance that shows its attestation to an API as well."""

    client_id = "bank-app"
    name = "Bank app"

    def run(self) -> None:
        """Tell the story; each step relies on the ones before."""
        self.set_up()
        self.resource, access_token = self.discover(), self.get_a_token()
        self.come_with_the_token_alone(access_token)
        headers = self.come_with_an_attestation(access_token)
        self.come_again(access_token, headers)
        self.come_with_what_was_for_the_server(access_token)
        self.come_as_another_instance(access_token)

    def set_up(self) -> None:
        heading(
            "32. An API that wants to know who calls",
            "A fourth application. Its API is not content with an access token: it wants to see that a genuine "
            "instance of the application presents it, so each call carries an attestation as well.",
        )
        self._register(self.name, "confidential", "client-credentials")
        self.attestation = self.backend.attest(self.instance, self.client_id)

    def discover(self) -> str:
        heading(
            "33. Discovery of the API",
            "The API has an identifier of its own, which proofs for it name, and a challenge endpoint of its own "
            "(RFC 9728). Its metadata says that attestations are welcome, and how possession of the key may be proven.",
        )
        needed = (
            "resource",
            "authorization_servers",
            "challenge_endpoint",
            "client_attestation_pop_methods_supported",
        )
        response = self.http.get(self.site.url + RESOURCE_METADATA_PATH, timeout=TIMEOUT)
        show_exchange(response, members=needed)
        document = self._json(response)
        self._expect(all(document.get(name) for name in needed), "the metadata says all that the client needs")
        self._expect(document["authorization_servers"] == [self.metadata["issuer"]], "this server issues its tokens")
        self._expect(document["resource"] != self.metadata["issuer"], "the API is somebody else than the server")
        return document["resource"]

    def get_a_token(self) -> str:
        heading("34. Token", "As in 4.")
        self._fetch_challenge()
        say("\nWith attestation and proof:\n")
        response = self._post("token_endpoint", self._headers(self.attestation), grant_type="client_credentials")
        return self._accepted(response, "a token is issued", "access_token")["access_token"]

    def come_with_the_token_alone(self, access_token: str) -> None:
        heading(
            "35. The token alone",
            "The token is good, and not enough. The answer brings a challenge of the API.",
        )
        self._not_let_in(self._visit(access_token, {}), code="invalid_client", reason="attestation_required")

    def come_with_an_attestation(self, access_token: str) -> dict[str, str]:
        heading(
            "36. Token and attestation",
            "The same attestation that the server has seen, with a proof for this API over its challenge.",
        )
        headers = self._proven()
        response = self._visit(access_token, headers)
        body = self._accepted(response, "the API knows who has attested the instance", "attested_by")
        self._expect(body["attested_by"] == f"{self.name} backend", "and its view can read it")
        return headers

    def come_again(self, access_token: str, headers: dict[str, str]) -> None:
        heading("37. The same proof again", "As at the server, a proof is accepted once.")
        response = self._visit(access_token, headers)
        self._not_let_in(response, code="invalid_client_attestation", reason="pop_replayed")

    def come_with_what_was_for_the_server(self, access_token: str) -> None:
        heading(
            "38. A proof for the authorization server",
            "Whoever is shown a proof cannot use it elsewhere: it says for whom it was made.",
        )
        headers = self._headers(self.attestation)
        response = self._visit(access_token, headers)
        self._not_let_in(response, code="invalid_client_attestation", reason="pop_aud")

    def come_as_another_instance(self, access_token: str) -> None:
        heading(
            "39. Another instance with the same token",
            "It is a bearer token, which whoever has copied it can use where it alone counts. Here the attestation, "
            "good as it is, says that this is not the instance that the token was issued to.",
        )
        self.other_attestation = self.backend.attest(self.other_instance, self.client_id)
        response = self._visit(access_token, self._proven(other=True))
        self._not_let_in(response, code="invalid_token", reason="access_token_of_another_instance")

    def _proven(self, *, other: bool = False) -> dict[str, str]:
        """Return the two header fields, with a new proof for the API over its latest challenge."""
        instance, attestation = (
            (self.other_instance, self.other_attestation) if other else (self.instance, self.attestation)
        )
        return request_headers(attestation, instance.prove(self.resource, challenge=self.challenge))

    def _visit(self, access_token: str, headers: Mapping[str, str]) -> requests.Response:
        fields: dict[str, Any] = {"Authorization": f"Bearer {access_token}", **headers}
        response = self.http.get(self.site.url + API_PATH, headers=fields, timeout=TIMEOUT)
        show_exchange(response)
        return response

    def _not_let_in(self, response: requests.Response, *, code: str, reason: str) -> None:
        challenge = response.headers.get("WWW-Authenticate", "")
        self._expect(
            response.status_code == 401 and challenge.startswith(f'Bearer error="{code}",'), f"refused with {code}"
        )
        self._says_why_in_the_log_only(response, reason, f"refused: reason={reason} ")
        self._keep_freshness(response)
