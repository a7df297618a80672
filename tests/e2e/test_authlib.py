"""Authlib, the library that Django sites use as clients, at a real server: every grant of an attested client.

Authlib itself knows bearer tokens only; those that are bound to the instance's key are used with requests and httpx.
"""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
import requests

import oauth_client_attestation.client.httpx as kit_for_httpx
import oauth_client_attestation.client.requests as kit_for_requests
from oauth_client_attestation.attester import Attester
from oauth_client_attestation.client import ClientInstance, Server
from oauth_client_attestation.client.authlib import AttestationMethod
from oauth_client_attestation.client.authlib_httpx import AsyncOAuth2Client, OAuth2Client
from oauth_client_attestation.client.authlib_requests import OAuth2Session
from tests.e2e.authorization import PushingClient, hidden_fields, login
from tests.e2e.client import LiveClient, refusals
from tests.e2e.live import LiveSite
from tests.kit import table

TIMEOUT = 60
VERIFIER = "v" * 43

CLIENTS = (OAuth2Session, OAuth2Client, AsyncOAuth2Client)
MAKES = pytest.mark.parametrize("make", CLIENTS)
#: The ways to have tokens bound to the instance's key, as options of the method.
BINDING = {"normal mode with DPoP": {"dpop": True}, "combined mode": {"method": "attest_jwt_client_auth_dpop"}}


def authlib_client(
    make: Any, registered: LiveClient, instance: ClientInstance, mode: dict[str, Any] | None = None, **options: Any
) -> Any:
    """Return a client of Authlib's, as a site would set it up."""
    server = Server.from_metadata(registered.metadata, issuer=registered.site.url)
    method = AttestationMethod(instance, server, **(mode or {}))
    client = make(
        registered.client_id,
        token_endpoint=registered.metadata["token_endpoint"],
        token_endpoint_auth_method=method.name,
        revocation_endpoint_auth_method=method.name,
        scope="read",
        **options,
    )
    client.register_client_auth_method(method)
    return client


def new_instance(registered: LiveClient) -> ClientInstance:
    attester = Attester(registered.backend.key, key_id=registered.backend.key_id)
    return ClientInstance(lambda instance: attester.attest(instance.public_jwk, registered.client_id))


async def of(result: Any) -> Any:
    """Return what a client returns, be it asynchronous or not."""
    return await result if inspect.isawaitable(result) else result


@MAKES
def test_client_credentials(make: Any, live_site: LiveSite, tmp_path: Path) -> None:
    """Two tokens, a call of the API with each, and the second is revoked."""
    registered = LiveClient(live_site, tmp_path).register()
    hello = f"{live_site.url}/api/hello"

    async def run() -> None:
        client = authlib_client(make, registered, new_instance(registered))
        for _ in range(2):
            token = await of(client.fetch_token(grant_type="client_credentials", timeout=TIMEOUT))
            assert token["token_type"] == "Bearer"
            api = await of(client.get(hello))
            assert (api.status_code, api.json()["client_id"]) == (200, registered.client_id)
        revoked = await of(
            client.revoke_token(
                registered.metadata["revocation_endpoint"],
                token=token["access_token"],
                token_type_hint="access_token",
            )
        )
        assert revoked.status_code == 200, revoked.text
        assert (await of(client.get(hello))).status_code in (401, 403)
        await of(client.aclose() if make is AsyncOAuth2Client else client.close())

    with live_site.logged() as log:
        asyncio.run(run())
    assert refusals(log) == [], "a challenge was had before the first request"
    assert live_site.stored(registered.client_id)["access_tokens"] == 1


@MAKES
def test_a_pushed_authorization_request_its_code_and_a_refresh(make: Any, live_site: LiveSite, tmp_path: Path) -> None:
    """And another instance of the same client cannot use the refresh token."""
    registered = PushingClient(live_site, tmp_path).register()
    user = registered.create_user()
    session = login(live_site, user)
    metadata = registered.metadata
    options = {"redirect_uri": registered.redirect_uri, "code_challenge_method": "S256"}

    async def run() -> None:
        client = authlib_client(make, registered, new_instance(registered), **options)
        url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=VERIFIER)
        pushed = await of(
            client.post(
                metadata["pushed_authorization_request_endpoint"],
                data=dict(parse_qsl(urlsplit(url).query)),
                auth=client.client_auth(client.token_endpoint_auth_method),
            )
        )
        assert pushed.status_code == 201, pushed.text
        query = {"client_id": client.client_id, "request_uri": pushed.json()["request_uri"]}
        callback = consent(session, f"{metadata['authorization_endpoint']}?{urlencode(query)}")

        token = dict(await of(client.fetch_token(authorization_response=callback, state=state, code_verifier=VERIFIER)))
        refreshed = await of(client.refresh_token(refresh_token=token["refresh_token"]))
        assert refreshed["refresh_token"] != token["refresh_token"]
        api = await of(client.get(f"{live_site.url}/api/hello"))
        assert api.json() == {"hello": user, "client_id": registered.client_id, "scope": "read"}

        other = authlib_client(make, registered, new_instance(registered), **options)
        with pytest.raises(Exception, match="invalid_grant"):
            await of(other.refresh_token(refresh_token=refreshed["refresh_token"]))
        again = await of(client.refresh_token(refresh_token=refreshed["refresh_token"]))
        assert again["access_token"]
        for used in (client, other):
            await of(used.aclose() if make is AsyncOAuth2Client else used.close())

    with live_site.logged() as log:
        asyncio.run(run())
    assert refusals(log) == ["refresh_token_of_another_instance"]


def test_a_challenge_of_a_server_that_forgot_its_secret_is_replaced(start_site: Any, tmp_path: Path) -> None:
    """The one demand that a client with a challenge meets in practice, besides an old challenge."""
    site = start_site(workers=1)
    registered = LiveClient(site, tmp_path).register()
    with authlib_client(OAuth2Session, registered, new_instance(registered)) as client:
        client.fetch_token(grant_type="client_credentials")
        site.restart(SECRET_KEY="another secret")
        with site.logged() as log:
            assert client.fetch_token(grant_type="client_credentials")["access_token"]
    assert refusals(log) == ["challenge_unknown"]


@table("mode", BINDING)
def test_a_bound_token_is_used_with_requests_and_httpx(
    mode: dict[str, Any], live_site: LiveSite, tmp_path: Path
) -> None:
    """Each client's token by each library at two resources; by another instance's key, or as Bearer, by none."""
    registered = LiveClient(live_site, tmp_path).register()

    async def run(make: Any) -> None:
        instance = new_instance(registered)
        client = authlib_client(make, registered, instance, mode)
        token = await of(client.fetch_token(grant_type="client_credentials", timeout=TIMEOUT))
        assert token["token_type"] == "DPoP"
        for path in ("/api/view", "/api/rest-framework"):
            for answer in await used(live_site, path, token, instance):
                assert (answer.status_code, answer.json()) == (200, {"hello": None})
        for spoilt in ((token, new_instance(registered)), ({**token, "token_type": "Bearer"}, instance)):
            for answer in await used(live_site, "/api/view", *spoilt):
                assert answer.status_code == 401
        await of(client.aclose() if make is AsyncOAuth2Client else client.close())

    with live_site.logged() as log:
        for make in CLIENTS:
            asyncio.run(run(make))
    assert refusals(log) == (["access_token_of_another_key"] * 3 + ["access_token_as_bearer"] * 3) * len(CLIENTS)


def test_a_nonce_of_a_server_that_forgot_its_secret_is_replaced(start_site: Any, tmp_path: Path) -> None:
    """At the token endpoint and at a resource, by each library."""
    site = start_site(workers=1)
    registered = LiveClient(site, tmp_path).register()

    async def run(client: Any, instance: ClientInstance) -> None:
        token = await of(client.fetch_token(grant_type="client_credentials", timeout=TIMEOUT))
        for answer in await used(site, "/api/view", token, instance):
            assert answer.status_code == 200, answer.text

    for make in (OAuth2Session, OAuth2Client):
        instance = new_instance(registered)
        with authlib_client(make, registered, instance, BINDING["combined mode"]) as client:
            asyncio.run(run(client, instance))
            site.restart(SECRET_KEY=f"another secret for {make.__module__}")
            with site.logged() as log:
                asyncio.run(run(client, instance))
        assert refusals(log) == ["dpop_nonce_unknown"] * 2, "the resource's latest nonce is shared by the libraries"


async def used(site: LiveSite, path: str, token: Any, instance: ClientInstance) -> list[Any]:
    """Return the answers of a resource to a token that is sent by each library of the kit."""
    options = {"access_token": token["access_token"], "token_type": token["token_type"]}
    url, server = site.url + path, Server.resource(f"{site.url}/api")
    answers = [requests.get(url, auth=kit_for_requests.ResourceAuth(instance, server, **options), timeout=TIMEOUT)]
    auth = kit_for_httpx.ResourceAuth(instance, server, **options)
    with httpx.Client(auth=auth, timeout=TIMEOUT) as http:
        answers.append(http.get(url))
    async with httpx.AsyncClient(auth=auth, timeout=TIMEOUT) as http:
        answers.append(await http.get(url))
    return answers


def consent(session: requests.Session, url: str) -> str:
    """Let the user consent; return where the browser is sent."""
    decision = {**hidden_fields(session.get(url, timeout=TIMEOUT)), "allow": "on"}
    answer = session.post(url, data=decision, allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]
