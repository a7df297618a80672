"""The second part: two instances of an app, one of which is given tokens by a user, and nobody else can use them."""

from typing import Any

from demo_app import PASSWORD, USER, AppDemo, random_text
from demo_display import heading, say


class UserDemo(AppDemo):
    """The instance on the user's phone, and another one."""

    client_id = "photo-app"
    name = "Photo app"

    def run(self) -> None:
        """Tell the story; each step relies on the ones before."""
        self.set_up()
        tokens = self.redeem(self.authorize(self.push()))
        self.call_the_api(tokens["access_token"])
        tokens = self.refresh(tokens["refresh_token"])
        self.refresh_elsewhere(tokens["refresh_token"])
        tokens = self.refresh_again(tokens["refresh_token"])
        self.lose_the_phone(**tokens)

    def set_up(self) -> None:
        heading(
            "10. An app and its user",
            "A second application: an app on many phones, each of which has an instance of the same client. It is "
            "a public one: nobody is given the secret that django-oauth-toolkit makes for every application, and "
            "it would open nothing. Ada is a user of the site.",
        )
        self._register_app()
        self._manage(
            *["shell", "--no-imports", "--command"],
            f'from django.contrib.auth.models import User; User.objects.create_user("{USER}", password="{PASSWORD}")',
        )

    def push(self) -> str:
        heading(
            "11. Pushed authorization request",
            "A browser cannot attest anything. So the app on Ada's phone sends its authorization request straight "
            "to the server (RFC 9126), as this instance, and gets a reference to it. What comes of the request "
            "will belong to this instance.",
        )
        self.attestation = self.backend.attest(self.instance, self.client_id)
        self._fetch_challenge()
        say("\nWith attestation and proof:\n")
        response = self._push(self._headers(self.attestation), state=self.state, code_verifier=self.code_verifier)
        body = self._accepted(response, "the request is kept for the browser", "request_uri", "expires_in", status=201)
        return body["request_uri"]

    def authorize(self, reference: str) -> str:
        heading(
            "12. Login and consent",
            "Ada's browser brings the client_id and the reference, and nothing else; whatever else it sent would "
            "not count. Shown are addresses, what she reads in the forms and what she enters.",
        )
        return self._code_by_consent(reference)

    def redeem(self, code: str) -> dict[str, Any]:
        heading(
            "13. Tokens",
            "The instance that pushed redeems the code, with the PKCE verifier that only it knows, and with a new "
            "proof by the same key. The refresh token is bound to that key.",
        )
        response = self._redeem(code, self._headers(self.attestation))
        return self._accepted(response, "an access token and a refresh token", "access_token", "refresh_token")

    def call_the_api(self, access_token: str) -> None:
        heading("14. API call for the user", "This access token speaks for Ada.")
        self._greets_the_user(self._call_api(access_token))

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        heading(
            "15. Refresh by the owner",
            "The instance that was given the refresh token uses it, and is given the next one, which is bound as "
            "the first was.",
        )
        return self._refreshed(refresh_token, self._headers(self.attestation))

    def refresh_elsewhere(self, refresh_token: str) -> None:
        heading(
            "16. Another instance",
            "That new refresh token has been copied to another phone with the same app. The same backend attests "
            "this instance too, and its attestation and proof are as good as any. It has another key.",
        )
        self.other_attestation = self.backend.attest(self.other_instance, self.client_id)
        headers = self._headers(self.other_attestation, self.other_instance)
        response = self._refresh(refresh_token, headers)
        self._refused(response, code="invalid_grant", reason="refresh_token_of_another_instance", attested=True)

    def refresh_again(self, refresh_token: str) -> dict[str, Any]:
        heading(
            "17. The owner again",
            "The same refresh token is good where it belongs: whoever copied it has ended nothing by trying it.",
        )
        return self._refreshed(refresh_token, self._headers(self.attestation))

    def lose_the_phone(self, access_token: str, refresh_token: str, **rest: Any) -> None:
        heading(
            "18. A lost phone",
            "Ada's phone is gone. The operator blocks that one instance, by the thumbprint of its key (RFC 7638), "
            "which the admin shows. It loses what it holds and gets in nowhere any more; the others never notice.",
        )
        # After --, since a thumbprint may begin with a hyphen.
        self._manage("blockinstance", "--", self.instance.thumbprint)
        say("\nIts access token:\n")
        self._expect(self._call_api(access_token).status_code == 401, "its access token is revoked")
        say("\nThe other instance:\n")
        headers = self._headers(self.other_attestation, self.other_instance)
        response = self._push(headers, state=random_text(), code_verifier=random_text())
        self._accepted(response, "the other instance is served as before", "request_uri", status=201)
        say("\nThe instance on the lost phone:\n")
        response = self._refresh(refresh_token, self._headers(self.attestation))
        self._refused(response, code="invalid_client_attestation", reason="instance_blocked")
