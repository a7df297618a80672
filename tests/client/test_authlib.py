"""The method in Authlib's clients: which of them may use it, and that their other methods are left as they were."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations import httpx_client, requests_client
from authlib.oauth2.rfc7523 import ClientSecretJWT

from oauth_client_attestation.client import RedirectRefused
from oauth_client_attestation.client.authlib import AttestationMethod
from oauth_client_attestation.client.authlib_httpx import AsyncOAuth2Client, OAuth2Client
from oauth_client_attestation.client.authlib_requests import OAuth2Session
from tests.client.conftest import server_at

ATTESTATION, POP, DPOP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "client-kit.md"
CHALLENGE = "challenge-0123456789"
METHOD, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"
TOKEN = {"access_token": "t", "token_type": "Bearer"}


def fetch_token(make: Callable[..., Any], method: Any, url: str, **options: Any) -> Any:
    """Have a client of Authlib's fetch a token."""
    options.setdefault("token_endpoint_auth_method", getattr(method, "name", None))
    client = make("app", **options)
    if method is not None:
        client.register_client_auth_method(method)
    if not isinstance(client, httpx_client.AsyncOAuth2Client):
        with client:
            return client.fetch_token(url, grant_type="client_credentials")

    async def fetch() -> Any:
        async with client:
            return await client.fetch_token(url, grant_type="client_credentials")

    return asyncio.run(fetch())


OURS = pytest.mark.parametrize("make", [OAuth2Session, OAuth2Client, AsyncOAuth2Client])


@OURS
@pytest.mark.parametrize(("name", "proof"), [(METHOD, POP), (COMBINED, DPOP)])
def test_a_registered_method_authenticates_the_client(make, server, instance, name: str, proof: str) -> None:
    server.will(200, {}, TOKEN)
    method = AttestationMethod(instance, server_at(server), method=name)
    assert fetch_token(make, method, f"{server.url}/token")["access_token"] == "t"

    (asked,) = server.asked
    assert asked.bound_fields == {ATTESTATION, proof}
    assert asked.body == b"grant_type=client_credentials&client_id=app"


@OURS
def test_a_demand_is_met(make, server, instance) -> None:
    server.will_demand("use_attestation_challenge", OAuth_Client_Attestation_Challenge=CHALLENGE)
    server.will(200, {}, TOKEN)
    method = AttestationMethod(instance, server_at(server))
    assert fetch_token(make, method, f"{server.url}/token")["access_token"] == "t"
    assert server.asked[1].jwt(POP)[1]["challenge"] == CHALLENGE
    assert server.asked[1].body == server.asked[0].body


@pytest.mark.parametrize(
    ("make", "location"),
    [
        (OAuth2Session, "http://{}/token"),
        (OAuth2Session, "////{}/token"),
        (OAuth2Session, "http:////{}/token"),
        (OAuth2Client, "http://{}/token"),
        (AsyncOAuth2Client, "http://{}/token"),
    ],
)
def test_it_is_not_redirected_elsewhere(make, server, elsewhere, instance, location: str) -> None:
    server.will(307, {"Location": location.format(elsewhere.url.removeprefix("http://"))})
    server.will(307, {"Location": f"{elsewhere.url}/token"})  # where the first was taken for a path
    method = AttestationMethod(instance, server_at(server))
    options = {} if make is OAuth2Session else {"follow_redirects": True}
    with pytest.raises(RedirectRefused):
        fetch_token(make, method, f"{server.url}/token", **options)
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "make", [requests_client.OAuth2Session, httpx_client.OAuth2Client, httpx_client.AsyncOAuth2Client]
)
def test_a_client_that_shows_no_answers_is_refused(make, server, instance) -> None:
    """It would take the fields along when it is redirected, and could not answer a demand."""
    method = AttestationMethod(instance, server_at(server))
    with pytest.raises(TypeError, match="authlib_requests"):
        fetch_token(make, method, f"{server.url}/token")
    assert server.asked == []


@OURS
@pytest.mark.parametrize(
    ("method", "options", "body"),
    [
        (None, {}, b"client_id=app"),
        (None, {"client_secret": "s"}, b"grant_type=client_credentials"),
        (ClientSecretJWT(), {"client_secret": "s" * 32}, b"client_assertion="),
    ],
    ids=["none", "client_secret_basic", "client_secret_jwt"],
)
def test_authlibs_own_methods_work_as_before(make, server, method, options, body: bytes) -> None:
    server.will(200, {}, TOKEN)
    assert fetch_token(make, method, f"{server.url}/token", **options)["access_token"] == "t"
    assert body in server.asked[0].body
    assert server.asked[0].bound_fields <= {"Authorization"}


def test_a_client_is_named_once(server, instance) -> None:
    method = AttestationMethod(instance, server_at(server))
    with OAuth2Session("app", token_endpoint_auth_method=METHOD) as client:
        client.register_client_auth_method(method)
        auth = client.client_auth(METHOD)
        client.post(f"{server.url}/par", data={"client_id": "app", "scope": "read"}, auth=auth)
    assert server.asked[0].body == b"client_id=app&scope=read"


def test_the_pages_snippets_work_in_authlibs_django_integration(server, instance) -> None:
    """Those of docs/client-kit.md, up to a token of a server that says the least."""
    metadata = {"issuer": server.url, "token_endpoint": f"{server.url}/token"}
    scope: dict[str, Any] = {"metadata": metadata, "issuer": server.url}
    scope |= {"instance": instance, "server": server_at(server)}
    server.will(200, {}, TOKEN)
    exec(snippet("AttestationMethod(instance, server)"), scope)  # noqa: S102 (our own document)
    scope["client"].close()
    assert scope["client"].token["access_token"] == "t"

    exec(snippet("class AttestedApp"), scope)  # noqa: S102  # the page's own example
    server.will(200, {}, metadata)
    server.will(200, {}, TOKEN)
    app = scope["oauth"].create_client("as")
    assert app.fetch_access_token(grant_type="client_credentials")["access_token"] == "t"

    assert [asked.path for asked in server.asked] == ["/token", "/.well-known/oauth-authorization-server", "/token"]
    assert [asked.bound_fields for asked in server.asked] == [{ATTESTATION, POP}, set(), {ATTESTATION, POP}]


def snippet(containing: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    return str(found)
