"""Two servers, an instance, and one client for each library and way of using it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests

import oauth_client_attestation.client.httpx as kit_for_httpx
import oauth_client_attestation.client.requests as kit_for_requests
from oauth_client_attestation.attester import Attester
from oauth_client_attestation.client import ClientInstance, Server
from oauth_client_attestation.signing import generate_key
from tests.client.scripted import ScriptedServer, scripted_server

ATTESTER = Attester(generate_key(), key_id="attester-1")
TIMEOUT = 30


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """An authorization server, or a resource."""
    with scripted_server() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    """Another origin."""
    with scripted_server() as running:
        yield running


@pytest.fixture
def instance() -> ClientInstance:
    """An instance of ``app`` with a source of attestations."""
    return ClientInstance(lambda instance: ATTESTER.attest(instance.public_jwk, "app"))


@dataclass
class Library:
    """How a library is used."""

    kit: ModuleType
    send: Callable[..., Any]

    def request(self, method: str, url: str, auth: Any, **options: Any) -> Any:
        return self.send(method, url, auth=auth, timeout=TIMEOUT, **options)

    def authenticated(self, instance: ClientInstance, at: ScriptedServer, **options: Any) -> Any:
        """Send a token request."""
        auth = self.kit.ClientAuth(instance, server_at(at), **options)
        return self.request("POST", f"{at.url}/token", auth, data={"grant_type": "client_credentials"})


def server_at(at: ScriptedServer, **changes: Any) -> Server:
    """Return what a client knows of a server without a challenge endpoint."""
    metadata = {"issuer": at.url, "token_endpoint": f"{at.url}/token"}
    return replace(Server.from_metadata(metadata, issuer=at.url), **changes)


def _with_requests(method: str, url: str, **options: Any) -> requests.Response:
    with requests.Session() as http:
        return http.request(method, url, **options)


def _with_httpx(method: str, url: str, **options: Any) -> httpx.Response:
    with httpx.Client(follow_redirects=True) as http:
        return http.request(method, url, **options)


def _with_asynchronous_httpx(method: str, url: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(follow_redirects=True) as http:
            return await http.request(method, url, **options)

    return asyncio.run(send())


LIBRARIES = {
    "requests": Library(kit_for_requests, _with_requests),
    "httpx": Library(kit_for_httpx, _with_httpx),
    "asynchronous httpx": Library(kit_for_httpx, _with_asynchronous_httpx),
}


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    """Each of the libraries."""
    return request.param
