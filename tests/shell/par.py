"""What the tests of pushed authorization requests share: who pushes, and the user's browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client

from oauth_client_attestation.testing import ClientInstance
from tests.kit import (
    AUTHORIZATION_REQUEST,
    AUTHORIZE,
    CODE_VERIFIER,
    PAR,
    REDIRECT_URI,
    TOKEN,
    AttestedClient,
    alice,
    basic,
    create_application,
    post_form,
)


@dataclass
class Pusher:
    """A client that pushes, by whichever way it authenticates.

    :ivar attested: for one that must be attested; else None.
    :ivar parameters: what it puts into the form to authenticate or to name itself.
    :ivar authorization: the Authorization field of its requests.
    """

    client_id: str
    attested: AttestedClient | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    authorization: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Return the header fields of one request."""
        return {**(self.attested.headers() if self.attested else {}), **self.authorization}

    def push(self, *, without: str = "", **changes: Any) -> Any:
        """Push a good request, or one with a parameter changed or missing; return the response."""
        parameters = {**AUTHORIZATION_REQUEST, **self.parameters, **changes}
        pairs = [
            (name, value)
            for name, values in parameters.items()
            for value in (values if isinstance(values, list) else [values])
            if name != without
        ]
        return post_form(Client(), PAR, pairs, headers=self.headers)

    def pushed(self, **changes: Any) -> str:
        """Push a request that is accepted; return its reference."""
        response = self.push(**changes)
        assert response.status_code == 201, response.content
        return str(response.json()["request_uri"])

    def redeem(self, code: str, *, by: ClientInstance | None = None) -> Any:
        """Send a code to the token endpoint; ``by`` is another instance of the same client."""
        headers = self.headers
        if by is not None and self.attested is not None:
            headers = AttestedClient(self.attested.backend, by, self.client_id).headers()
        return post_form(Client(), TOKEN, {**redemption(code), **self.parameters}, headers=headers)


def attested(client_id: str = "app", **fields: Any) -> Pusher:
    """Register a client that must be attested."""
    client = AttestedClient(client_id=client_id).register(
        attester={"name": f"Attester of {client_id}"}, **{**_CODE_GRANT, **fields}
    )
    return Pusher(client_id, attested=client)


def with_secret(client_id: str = "free", **fields: Any) -> Pusher:
    """Register a client with a secret, which it sends in the form."""
    create_application(client_id, **{**_CODE_GRANT, **fields})
    return Pusher(client_id, parameters={"client_id": client_id, "client_secret": "secret"})


def with_basic(client_id: str = "free", **fields: Any) -> Pusher:
    """Register a client with a secret, which it sends by Basic."""
    create_application(client_id, **{**_CODE_GRANT, **fields})
    return Pusher(client_id, authorization=basic(client_id, "secret"))


def public(client_id: str = "free", **fields: Any) -> Pusher:
    """Register a client that names itself and is protected by PKCE."""
    create_application(client_id, client_type="public", **{**_CODE_GRANT, **fields})
    return Pusher(client_id, parameters={"client_id": client_id})


_CODE_GRANT = {"authorization_grant_type": "authorization-code", "redirect_uris": REDIRECT_URI}


def browser() -> Client:
    """Return a browser in which alice is logged in."""
    http = Client()
    http.force_login(alice())
    return http


def url_of(client_id: str, reference: str, **added: str) -> str:
    """Return where a client sends the browser."""
    return f"{AUTHORIZE}?{urlencode({'client_id': client_id, 'request_uri': reference, **added})}"


def page_fields(page: Any) -> dict[str, str]:
    """Return what the consent page would send back, the decision left out."""
    form = page.context["form"]
    values = {name: form.get_initial_for_field(form.fields[name], name) for name in form.fields if name != "allow"}
    return {name: str(value) for name, value in values.items() if value is not None}


def consent(http: Client, url: str, *, allow: bool = True, **changes: str) -> Any:
    """Open a consent page and send its form, with fields changed; return the response."""
    page = http.get(url)
    assert page.status_code == 200, page.content
    decision = {"allow": "on"} if allow else {}
    return http.post(url, {**page_fields(page), **decision, **changes})


def answer_of(response: Any) -> dict[str, str]:
    """Return the parameters of a redirect to the client."""
    assert response.status_code == 302, response.content
    assert response["Location"].startswith(f"{REDIRECT_URI}?"), response["Location"]
    return dict(parse_qsl(urlsplit(response["Location"]).query))


def redemption(code: str) -> dict[str, str]:
    """Return the token request for a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": CODE_VERIFIER,
    }
