"""What all parts of the demonstration do: prove, send, show, and check what came of it."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import requests
from demo_display import say, show_exchange
from demo_site import TemporarySite

from oauth_client_attestation.testing import AttesterBackend, ClientInstance, request_headers

CHALLENGE_FIELD = "OAuth-Client-Attestation-Challenge"
API_PATH = "/api/hello"
TIMEOUT = 30


class Unexpected(Exception):
    """An outcome is not what it should be."""


class DemoClient:
    """The client's side: a backend that attests, an instance that proves, and what the server told them."""

    client_id: str

    def __init__(self, site: TemporarySite, metadata: Mapping[str, Any] | None = None) -> None:
        self.site = site
        self.backend = AttesterBackend(key_id=f"{self.client_id}-2026")
        self.instance = ClientInstance()
        self.http = requests.Session()
        self.http.trust_env = False
        self.metadata = metadata or {}
        self.attestation = ""
        self.challenge = ""

    def _manage(self, *arguments: str) -> str:
        say("$ manage.py " + shlex.join(arguments), "bold")
        output = self.site.manage(*arguments)
        if output:
            say(output)
        return output

    def _register(self, name: str, client_type: str, grant: str, *options: str) -> None:
        """Do what an operator does once for an application, in words that ``createapplication`` knows."""
        jwks = self.site.directory / f"{self.client_id}.jwks.json"
        jwks.write_text(json.dumps(self.backend.jwks))
        named = ("--client-id", self.client_id, "--name", name)
        self._manage("createapplication", client_type, grant, *named, *options)
        self._manage("createattester", f"{name} backend", "--jwks", jwks.name, "--application", self.client_id)
        self._manage("requireattestation", self.client_id)

    def _fetch_challenge(self) -> None:
        response = self._post("challenge_endpoint", {})
        self.challenge = self._json(response).get("attestation_challenge", "")
        self._expect(
            response.status_code == 200 and bool(self.challenge),
            "a challenge is to be had without authentication",
        )

    def _headers(self, attestation: str, instance: ClientInstance | None = None) -> dict[str, str]:
        """Return the two header fields, with a new proof over the latest challenge."""
        proof = (instance or self.instance).prove(self.metadata["issuer"], challenge=self.challenge)
        return request_headers(attestation, proof)

    def _post(self, endpoint: str, headers: Mapping[str, str], **parameters: str) -> requests.Response:
        """Send a form to an endpoint, which is named as in the metadata."""
        response = self.http.post(self.metadata[endpoint], data=parameters, headers=headers, timeout=TIMEOUT)
        show_exchange(response)
        return response

    def _call_api(self, access_token: str, *, scheme: str = "Bearer", **headers: str) -> requests.Response:
        headers["Authorization"] = f"{scheme} {access_token}"
        response = self.http.get(self.site.url + API_PATH, headers=headers, timeout=TIMEOUT)
        show_exchange(response)
        return response

    def _accepted(self, response: requests.Response, what: str, *members: str, status: int = 200) -> dict[str, Any]:
        """Expect a good answer with these members, and return its body."""
        body = self._json(response)
        self._expect(response.status_code == status and all(body.get(name) for name in members), what)
        self._expect(self._logged("accepted: "), "the log says whose attestation was accepted")
        self._keep_freshness(response)
        return body

    def _refused(self, response: requests.Response, *, code: str, reason: str, attested: bool = False) -> None:
        """Expect a refusal.

        :param attested: whether attestation and proof were good, and what was asked for was refused.
        """
        body = self._json(response)
        self._expect(
            response.status_code == 400 and body.get("error") == code and "access_token" not in body,
            f"refused with {code}",
        )
        logged = [*(["accepted: "] if attested else []), f"refused: reason={reason} "]
        self._says_why_in_the_log_only(response, reason, *logged)
        self._keep_freshness(response)

    def _says_why_in_the_log_only(self, response: requests.Response, reason: str, *logged: str) -> None:
        self._expect(
            self._logged(*logged) and reason not in f"{response.headers}{response.text}",
            f"the exact reason, {reason}, is in the server's log only",
        )

    def _keep_freshness(self, response: requests.Response) -> None:
        """Keep what the response brings for the next proof."""
        self._expect(CHALLENGE_FIELD in response.headers, "the response brings a fresh challenge")
        self.challenge = response.headers[CHALLENGE_FIELD]

    def _logged(self, *wanted: str) -> bool:
        """Whether the log has these lines more than last time, and no others."""
        lines = self.site.new_log_lines()
        for line in lines:
            say(f"server log: {line}", "dim")
        return len(lines) == len(wanted) and all(part in line for part, line in zip(wanted, lines, strict=True))

    @staticmethod
    def _json(response: requests.Response) -> dict[str, Any]:
        try:
            document = response.json()
        except requests.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise Unexpected(f"{response.url} answered {response.status_code} without a JSON object")
        return document

    @staticmethod
    def _expect(condition: bool, what: str) -> None:
        if not condition:
            raise Unexpected(f"this is not true: {what}")
        say(f"ok: {what}", "green")
