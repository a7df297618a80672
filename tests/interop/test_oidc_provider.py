"""Our client kit against an authorization server that nobody here wrote: npm oidc-provider, revision -12 of the draft.

The server is driven by oidc_provider.mjs. It requires a challenge in normal mode and a DPoP nonce in combined mode,
and says what it has answered, so that a kit that quietly does something else is noticed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import pytest
import requests

import oauth_client_attestation.client.httpx as kit_for_httpx
import oauth_client_attestation.client.requests as kit_for_requests
from oauth_client_attestation.attester import Attester
from oauth_client_attestation.client import ClientInstance, Server
from oauth_client_attestation.signing import generate_key, public_jwk
from tests.e2e.authorization import hidden_fields

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
REDIRECT_URI = "https://client.example/callback"
NORMAL, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"
KEY = generate_key()
ATTESTER = Attester(KEY)
TIMEOUT = 60

MODES = pytest.mark.parametrize(
    ("method", "token_type", "demand"),
    [
        pytest.param(NORMAL, "Bearer", "use_attestation_challenge", id="normal"),
        pytest.param(COMBINED, "DPoP", "use_dpop_nonce", id="combined"),
    ],
)


@dataclass
class Provider:
    """A running oidc-provider."""

    issuer: str
    process: subprocess.Popen[str]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What it says about itself; it has no document but that of OpenID Connect."""
        return requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=TIMEOUT).json()

    def answered(self) -> list[tuple[str, int, str | None]]:
        """Stop it, and return path, status and error code of each request by the client that it has answered."""
        rest, _ = self.process.communicate(timeout=TIMEOUT)
        lines = [json.loads(line) for line in rest.splitlines() if line.startswith("{")]
        return [(line["path"], line["status"], line["error"]) for line in lines]


@pytest.fixture
def start_provider(node: str) -> Iterator[Callable[..., Provider]]:
    """Starts one: ``start_provider(not_before=…)``."""
    started: list[subprocess.Popen[str]] = []

    def start(*, not_before: float = 0) -> Provider:
        process = subprocess.Popen(
            [node, str(HERE / "oidc_provider.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        config = {"redirect_uri": REDIRECT_URI, "attester_jwk": public_jwk(KEY), "not_before": not_before}
        process.stdin.write(json.dumps(config) + "\n")
        process.stdin.flush()
        return Provider(process.stdout.readline().strip(), process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def provider(start_provider: Callable[..., Provider]) -> Provider:
    return start_provider()


class Client:
    """A client in one of the modes, over one of the libraries."""

    def __init__(self, provider: Provider, method: str, http: Any, **changes: Any) -> None:
        self.metadata = provider.metadata
        self.server = replace(Server.from_metadata(self.metadata, issuer=provider.issuer), **changes)
        self.method = method
        self.instance = ClientInstance(lambda instance: ATTESTER.attest(instance.public_jwk, method))
        self.http = http
        self.kit = kit_for_requests if isinstance(http, requests.Session) else kit_for_httpx

    def post(self, endpoint: str, **form: str) -> Any:
        """Send a form to an endpoint, which is named as in the metadata, as this client."""
        auth = self.kit.ClientAuth(self.instance, self.server, method=self.method)
        return self.http.post(self.metadata[endpoint], data=form, auth=auth, timeout=TIMEOUT)

    def get(self, endpoint: str, access_token: str, token_type: str) -> Any:
        """Use an access token."""
        url = self.metadata[endpoint]
        auth = self.kit.ResourceAuth(self.instance, Server.resource(url), access_token, token_type=token_type)
        return self.http.get(url, auth=auth, timeout=TIMEOUT)


@pytest.fixture(params=["requests", "httpx"])
def http(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The library that the client uses."""
    with requests.Session() if request.param == "requests" else httpx.Client() as session:
        yield session


@MODES
def test_a_client_gets_tokens(provider, http, method, token_type, demand):
    client = Client(provider, method, http)

    for _ in range(2):
        answer = client.post("token_endpoint", grant_type="client_credentials")
        assert (answer.status_code, answer.json()["token_type"]) == (200, token_type), answer.text

    assert provider.answered() == [("/challenge", 200, None), ("/token", 200, None), ("/token", 200, None)]


@MODES
def test_a_client_answers_what_the_server_asks_for(provider, http, method, token_type, demand):
    """Once: without the challenge endpoint the first answer is an error, and nothing after it is."""
    client = Client(provider, method, http, challenge_endpoint=None)

    for _ in range(2):
        answer = client.post("token_endpoint", grant_type="client_credentials")
        assert (answer.status_code, answer.json()["token_type"]) == (200, token_type), answer.text

    assert provider.answered() == [("/token", 400, demand), ("/token", 200, None), ("/token", 200, None)]


@MODES
def test_an_asynchronous_client_does_the_same(provider, method, token_type, demand):
    async def twice() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=TIMEOUT) as http:
            client = Client(provider, method, http, challenge_endpoint=None)
            return [await client.post("token_endpoint", grant_type="client_credentials") for _ in range(2)]

    assert [answer.json()["token_type"] for answer in asyncio.run(twice())] == [token_type] * 2
    assert provider.answered() == [("/token", 400, demand), ("/token", 200, None), ("/token", 200, None)]


@MODES
def test_a_client_fetches_a_fresh_attestation(start_provider, http, method, token_type, demand):
    now = time.time()
    provider = start_provider(not_before=now - 5 * 3600)
    client = Client(provider, method, http)
    times = iter([now - 10 * 3600, now])
    client.instance = ClientInstance(lambda instance: ATTESTER.attest(instance.public_jwk, method, now=next(times)))

    answer = client.post("token_endpoint", grant_type="client_credentials")

    assert answer.status_code == 200, answer.text
    assert provider.answered() == [
        ("/challenge", 200, None),
        ("/token", 400, "use_fresh_attestation"),
        ("/token", 200, None),
    ]


@MODES
def test_a_refusal_is_not_answered_with_another_attempt(provider, http, method, token_type, demand):
    client = Client(provider, method, http)
    stranger = Attester(generate_key())
    client.instance = ClientInstance(lambda instance: stranger.attest(instance.public_jwk, method))

    answer = client.post("token_endpoint", grant_type="client_credentials")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert provider.answered() == [("/challenge", 200, None), ("/token", 401, "invalid_client")]


@MODES
def test_a_client_pushes_redeems_refreshes_and_revokes(provider, http, method, token_type, demand):
    """And uses the tokens at the server's own resource, where a bound one takes a nonce of its own."""
    client = Client(provider, method, http)
    verifier = secrets.token_urlsafe(48)
    pushed = client.post(
        "pushed_authorization_request_endpoint",
        client_id=method,
        response_type="code",
        redirect_uri=REDIRECT_URI,
        scope="openid",
        code_challenge=urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        code_challenge_method="S256",
    )
    assert pushed.status_code == 201, pushed.text
    query = urlencode({"client_id": method, "request_uri": pushed.json()["request_uri"]})

    code = consent(f"{client.metadata['authorization_endpoint']}?{query}")
    tokens = client.post(
        "token_endpoint",
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier=verifier,
    ).json()
    refreshed = client.post("token_endpoint", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    for issued in (tokens, refreshed):
        assert issued["token_type"] == token_type
        info = client.get("userinfo_endpoint", issued["access_token"], token_type)
        assert (info.status_code, info.json()) == (200, {"sub": "ada"})
    assert client.post("revocation_endpoint", token=refreshed["refresh_token"]).status_code == 200

    nonce = [("/me", 401, "use_dpop_nonce")] if method == COMBINED else []
    assert provider.answered() == [
        ("/challenge", 200, None),
        ("/request", 201, None),
        ("/token", 200, None),
        ("/token", 200, None),
        *nonce,
        ("/me", 200, None),
        ("/me", 200, None),
        ("/token/revocation", 200, None),
    ]


def consent(url: str) -> str:
    """Log in and consent on the server's pages; return the code with which the browser is sent away."""
    with requests.Session() as browser:
        page = browser.get(url, timeout=TIMEOUT)
        for entered in ({"login": "ada", "password": "any"}, {}):
            form = {**hidden_fields(page), **entered}
            page = browser.post(page.url, data=form, allow_redirects=False, timeout=TIMEOUT)
            while page.is_redirect:
                target = urljoin(page.url, page.headers["Location"])
                if target.startswith(f"{REDIRECT_URI}?"):
                    return dict(parse_qsl(urlsplit(target).query))["code"]
                page = browser.get(target, allow_redirects=False, timeout=TIMEOUT)
    raise AssertionError(page.text)
