"""The third part: one proof authenticates the instance and binds its tokens (DPoP, RFC 9449), in combined mode."""

from collections.abc import Mapping
from typing import Any

import requests
from demo_app import AppDemo
from demo_client import API_PATH
from demo_display import heading, say
from demo_site import TemporarySite

from oauth_client_attestation.testing import ClientInstance, combined_headers

METHOD = "attest_jwt_client_auth_dpop"
NONCE_FIELD = "DPoP-Nonce"
STALE_NONCE = (
    "import time; from oauth_client_attestation.challenges import dpop_nonces; "
    "print(dpop_nonces().issue(time.time() - 3600))"
)


class DpopDemo(AppDemo):
    """An instance that signs once for each request."""

    client_id = "wallet-app"
    name = "Wallet app"

    def __init__(self, site: TemporarySite, metadata: Mapping[str, Any]) -> None:
        super().__init__(site, metadata)
        self.nonce: str | None = None

    def run(self) -> None:
        """Tell the story; each step relies on the ones before."""
        self.set_up()
        tokens = self.redeem(self.authorize(self.push()))
        proof = self.call_the_api(tokens["access_token"])
        self.misuse(tokens["access_token"], proof)
        self.introspect(tokens["access_token"])
        tokens = self.refresh(tokens["refresh_token"])
        self.refresh_elsewhere(tokens["refresh_token"])
        self.prove_by_another_key(tokens["refresh_token"])
        tokens = self.come_with_a_stale_nonce(tokens["refresh_token"])
        tokens = self.come_with_two_proofs(tokens["refresh_token"])
        self.ask_for_two_proofs(tokens["refresh_token"])

    def set_up(self) -> None:
        heading(
            "19. One proof for both",
            "A third application: a wallet. Its tokens are to be bound to the key of the instance, by a DPoP proof "
            "with each request (RFC 9449). That proof shows that the instance has its key, so beside the attestation "
            "no other is needed: combined mode.",
        )
        self._register_app()
        self._expect(
            METHOD in self.metadata["token_endpoint_auth_methods_supported"]
            and "ES256" in self.metadata["dpop_signing_alg_values_supported"],
            "the metadata offers it",
        )
        self.attestation = self.backend.attest(self.instance, self.client_id)

    def push(self) -> str:
        heading(
            "20. A nonce",
            "The instance pushes its authorization request, and does not know yet what to put into a DPoP proof so "
            "that the server believes it to be fresh. It is told: a nonce, which takes the place of the challenge.",
        )
        self._refused(self._push_request(), code="use_dpop_nonce", reason="dpop_nonce_missing")
        say("\nOnce more, with the nonce:\n")
        body = self._accepted(self._push_request(), "the request is kept for the browser", "request_uri", status=201)
        return body["request_uri"]

    def authorize(self, reference: str) -> str:
        heading("21. Login and consent", "As in 12: the browser proves nothing.")
        return self._code_by_consent(reference)

    def redeem(self, code: str) -> dict[str, Any]:
        heading(
            "22. Bound tokens",
            "One signature authenticates the instance and says which key the tokens belong to. The code was bound to "
            "it already, by the proof that came with the pushed request.",
        )
        response = self._redeem(code, self._combined("token_endpoint"))
        tokens = self._accepted(response, "an access token and a refresh token", "access_token", "refresh_token")
        self._is_bound(tokens)
        return tokens

    def call_the_api(self, access_token: str) -> str:
        heading(
            "23. API call with a proof",
            "The token is presented under the scheme DPoP, with a proof for this request and this token (ath).",
        )
        proof = self._proof_for_api(access_token, self.instance)
        self._greets_the_user(self._call_api(access_token, scheme="DPoP", DPoP=proof))
        return proof

    def misuse(self, access_token: str, proof: str) -> None:
        heading(
            "24. The same token in other hands",
            "Whoever copies the token has nothing. As a bearer token it is refused; so it is with a proof by another "
            "key, and with the owner's proof, which has been used.",
        )
        response = self._call_api(access_token)
        self._refused_by_api(response, code="invalid_token", reason="access_token_as_bearer")
        say("\nWith a proof by another key:\n")
        response = self._call_api(
            access_token, scheme="DPoP", DPoP=self._proof_for_api(access_token, self.other_instance)
        )
        self._refused_by_api(response, code="invalid_token", reason="access_token_of_another_key")
        say("\nWith the owner's proof of 23:\n")
        response = self._call_api(access_token, scheme="DPoP", DPoP=proof)
        self._refused_by_api(response, code="invalid_dpop_proof", reason="dpop_replayed")

    def introspect(self, access_token: str) -> None:
        heading(
            "25. Introspection",
            "An API elsewhere learns from the server which key the token is bound to (RFC 7662). Here the instance "
            "asks about its own token: combined mode works wherever a client authenticates.",
        )
        headers = self._combined("introspection_endpoint")
        body = self._accepted(self._post("introspection_endpoint", headers, token=access_token), "it is told", "active")
        self._expect(body.get("token_type") == "DPoP", "the token is good under the scheme DPoP")
        self._expect(body.get("cnf") == {"jkt": self.instance.thumbprint}, "with a proof by the key of the instance")

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        heading(
            "26. Refresh by the owner, and a replay",
            "Again one proof. The same request once more is refused: in combined mode a DPoP proof that is not good is "
            "an attestation that is not proven, and the code says so.",
        )
        headers = self._combined("token_endpoint")
        tokens = self._refreshed(refresh_token, headers)
        self._is_bound(tokens)
        say("\nThe same request again:\n")
        self._refused(self._refresh(refresh_token, headers), code="invalid_client_attestation", reason="dpop_replayed")
        return tokens

    def refresh_elsewhere(self, refresh_token: str) -> None:
        heading(
            "27. Another instance", "As in 16: attestation and proof are good, and the refresh token is not its own."
        )
        self.other_attestation = self.backend.attest(self.other_instance, self.client_id)
        headers = self._combined("token_endpoint", self.other_attestation, self.other_instance)
        response = self._refresh(refresh_token, headers)
        self._refused(response, code="invalid_grant", reason="refresh_token_of_another_instance", attested=True)

    def prove_by_another_key(self, refresh_token: str) -> None:
        heading(
            "28. The attestation of one, the proof of another",
            "The thief has the attestation too, which is no secret, and proves with a key of their own.",
        )
        headers = self._combined("token_endpoint", self.attestation, self.other_instance)
        response = self._refresh(refresh_token, headers)
        self._refused(response, code="invalid_client_attestation", reason="dpop_key_mismatch")

    def come_with_a_stale_nonce(self, refresh_token: str) -> dict[str, Any]:
        heading(
            "29. A stale nonce",
            "The phone wakes up after an hour. So as not to wait for that, a nonce is made as it was then.",
        )
        self.nonce = self._manage("shell", "--no-imports", "--verbosity", "0", "--command", STALE_NONCE)
        say("")
        response = self._refresh(refresh_token, self._combined("token_endpoint"))
        self._refused(response, code="use_dpop_nonce", reason="dpop_nonce_expired")
        say("\nOnce more, with the nonce of this answer:\n")
        return self._refreshed(refresh_token, self._combined("token_endpoint"))

    def come_with_two_proofs(self, refresh_token: str) -> dict[str, Any]:
        heading(
            "30. Two proofs",
            "A library that does DPoP and knows nothing of combined mode sends both: the PoP authenticates the "
            "instance, the DPoP proof binds the tokens. That is normal mode, and as good.",
        )
        tokens = self._refreshed(refresh_token, self._both("token_endpoint"))
        self._is_bound(tokens)
        return tokens

    def ask_for_two_proofs(self, refresh_token: str) -> None:
        heading(
            "31. An application without combined mode",
            "An operator may ask for a PoP, of one application or, by the settings, of all. One proof is then one too "
            "few; two are as good as before.",
        )
        self._manage("requireattestation", self.client_id, "--method", "normal")
        say("")
        response = self._refresh(refresh_token, self._combined("token_endpoint"))
        self._refused(response, code="invalid_client_attestation", reason="method_not_allowed")
        say("\nWith both:\n")
        self._is_bound(self._refreshed(refresh_token, self._both("token_endpoint")))

    def _push_request(self) -> requests.Response:
        headers = self._combined("pushed_authorization_request_endpoint")
        return self._push(headers, state=self.state, code_verifier=self.code_verifier)

    def _combined(
        self, endpoint: str, attestation: str | None = None, instance: ClientInstance | None = None
    ) -> dict[str, str]:
        """Return the two header fields of combined mode, with a new proof over the latest nonce."""
        proof = (instance or self.instance).prove_dpop("POST", self.metadata[endpoint], nonce=self.nonce)
        return combined_headers(attestation or self.attestation, proof)

    def _both(self, endpoint: str) -> dict[str, str]:
        """Return three header fields: those of normal mode, and a DPoP proof."""
        return {**self._headers(self.attestation), **self._combined(endpoint)}

    def _proof_for_api(self, access_token: str, instance: ClientInstance) -> str:
        return instance.prove_dpop("GET", self.site.url + API_PATH, nonce=self.nonce, access_token=access_token)

    def _is_bound(self, tokens: Mapping[str, Any]) -> None:
        self._expect(tokens.get("token_type") == "DPoP", "the access token is no bearer token")

    def _refused_by_api(self, response: requests.Response, *, code: str, reason: str) -> None:
        challenge = response.headers.get("WWW-Authenticate", "")
        self._expect(
            response.status_code == 401 and challenge.startswith(f'DPoP error="{code}",') and "algs=" in challenge,
            f"refused with {code}, and the API says which proofs it takes",
        )
        self._says_why_in_the_log_only(response, reason, f"refused: reason={reason} ")

    def _keep_freshness(self, response: requests.Response) -> None:
        super()._keep_freshness(response)
        self._expect(NONCE_FIELD in response.headers, "and a fresh nonce")
        self.nonce = response.headers[NONCE_FIELD]
