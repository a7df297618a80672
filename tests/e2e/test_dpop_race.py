"""Rule D3 between processes: a DPoP proof binds once, whether it authenticates the client as well or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.testing import ClientInstance, request_headers
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, running_site
from tests.e2e.wire import Answer, send, send_at_once
from tests.kit import PASSWORD
from tests.services import service_url

pytestmark = pytest.mark.slow

ROUNDS = 8
WORKERS = 4
NONCE_FIELD = "DPoP-Nonce"
SITES: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "sqlite, atomic": {"ATOMIC_REQUESTS": "1"},
    "postgresql": {"database_server": "POSTGRES_URL"},
    "postgresql, atomic": {"database_server": "POSTGRES_URL", "ATOMIC_REQUESTS": "1"},
    "mariadb": {"database_server": "MARIADB_URL"},
    "mariadb, atomic": {"database_server": "MARIADB_URL", "ATOMIC_REQUESTS": "1"},
    "redis": {"CACHE_URL": "REDIS_URL"},
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(options, id=name, marks=[] if name.startswith("sqlite") else [pytest.mark.services])
        for name, options in SITES.items()
    ],
)
def site(
    request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSite]:
    """A site with four worker processes, where each refresh token may be used again for a while."""
    options = dict(request.param)
    for name in {"database_server", "CACHE_URL"} & set(options):
        options[name] = service_url(options[name])
    provider = json.dumps({"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120})
    with running_site(migrated_sqlite, tmp_path_factory.mktemp("site"), OAUTH2_PROVIDER=provider, **options) as site:
        yield site


@pytest.fixture
def client(site: LiveSite, tmp_path: Path) -> LiveClient:
    """A client of its own for each test."""
    return LiveClient(site, tmp_path).register()


def proof(client: LiveClient, *, key: ClientInstance | None = None) -> str:
    """Return a proof with a nonce that the site has offered."""
    nonce = send(client.site.url, combined(client, prove(client.instance, client, None))).headers[NONCE_FIELD]
    return prove(key or client.instance, client, nonce)


def prove(key: ClientInstance, client: LiveClient, nonce: str | None) -> str:
    return key.prove_dpop("POST", client.metadata["token_endpoint"], nonce=nonce)


def combined(client: LiveClient, dpop: str) -> bytes:
    """Return a request that the proof itself authenticates."""
    return client.token_request(("OAuth-Client-Attestation", client.attestation()), ("DPoP", dpop))


def beside(client: LiveClient, dpop: str, **request: str) -> bytes:
    """Return a request that a PoP JWT of its own authenticates."""
    attested = request_headers(client.attestation(), client.pop(client.challenge()))
    return client.token_request(*attested.items(), ("DPoP", dpop), **request)


def counted(client: LiveClient) -> dict[str, int]:
    """Count the client's access tokens, those that are bound, and its refresh tokens that are live and bound."""
    return json.loads(
        client.site.shell(
            "import json\n"
            "from oauth2_provider.models import AccessToken, RefreshToken\n"
            f"access = AccessToken.objects.filter(application__client_id={client.client_id!r})\n"
            f"live = RefreshToken.objects.filter(application__client_id={client.client_id!r}, revoked=None)\n"
            "bound = {'dpop_confirmation__isnull': False}\n"
            "print(json.dumps({'tokens': access.count(), 'bound': access.filter(**bound).count(),\n"
            "                  'live': live.count(), 'live_bound': live.filter(**bound).count()}))"
        )
    )


def one_wins(answers: list[Answer], code: str) -> None:
    assert Counter(answer.status for answer in answers) == {200: 1, 400: len(answers) - 1}
    for answer in answers:
        if answer.status == 200:
            assert answer.json()["token_type"] == "DPoP"
        else:
            assert_refused(answer, code)
            assert answer.headers[NONCE_FIELD]


@pytest.mark.accepts("D3", "P8")
@pytest.mark.refuses("D3", "P8")
def test_one_proof_in_combined_mode_at_once(site: LiveSite, client: LiveClient) -> None:
    for _ in range(ROUNDS):
        request = combined(client, proof(client))
        with site.logged() as log:
            one_wins(send_at_once(site.url, [request] * WORKERS, in_hand=WORKERS), "invalid_client_attestation")
        assert refusals(log) == [Reason.DPOP_REPLAYED] * (WORKERS - 1)
    assert counted(client) == {"tokens": ROUNDS, "bound": ROUNDS, "live": 0, "live_bound": 0}


@pytest.mark.accepts("D3", "D6", "P8")
@pytest.mark.refuses("D3", "D6", "P8")
def test_one_proof_beside_pop_jwts_at_once(site: LiveSite, client: LiveClient) -> None:
    """Each request is authenticated by a proof of its own, and all would bind to the one key."""
    key = ClientInstance()
    for _ in range(ROUNDS):
        dpop = proof(client, key=key)
        requests = [beside(client, dpop) for _ in range(WORKERS)]
        with site.logged() as log:
            one_wins(send_at_once(site.url, requests, in_hand=WORKERS), "invalid_dpop_proof")
        assert refusals(log) == [Reason.DPOP_REPLAYED] * (WORKERS - 1)
    assert counted(client) == {"tokens": ROUNDS, "bound": ROUNDS, "live": 0, "live_bound": 0}


@pytest.mark.accepts("D3")
def test_different_proofs_at_once(site: LiveSite, client: LiveClient) -> None:
    """A lock or a deadlock passes neither for a replay nor for an outage."""
    requests = [combined(client, proof(client)) for _ in range(WORKERS * 4)]
    answers = send_at_once(site.url, requests, in_hand=WORKERS)
    assert Counter(answer.status for answer in answers) == {200: len(requests)}
    assert counted(client)["bound"] == len(requests)


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_two_refreshes_at_once_with_a_key_each(site: LiveSite, client: LiveClient) -> None:
    """The client is public and its token bound to none yet: it becomes one key's, and no token is the other's."""
    site.shell(
        "from django.contrib.auth.models import User\n"
        "from oauth2_provider.models import Application\n"
        "alice, new = User.objects.get_or_create(username='alice')\n"
        f"alice.set_password({PASSWORD!r})\n"
        "alice.save()\n"
        f"app = Application.objects.filter(client_id={client.client_id!r})\n"
        "app.update(authorization_grant_type='password', client_type='public')"
    )
    login = f"grant_type=password&username=alice&password={PASSWORD.replace(' ', '+')}"
    for _ in range(ROUNDS):
        pop = client.pop(client.challenge())
        token = send(site.url, client.attested_request(client.attestation(), pop, login)).json()["refresh_token"]
        body = f"grant_type=refresh_token&refresh_token={token}"
        keys = [ClientInstance(), ClientInstance()]
        requests = [beside(client, proof(client, key=key), body=body) for key in keys]
        first, second = send_at_once(site.url, requests, in_hand=2)
        assert sorted((first.status, second.status)) == [200, 400], (first.body, second.body)
        winner, loser, key = (first, second, keys[0]) if first.status == 200 else (second, first, keys[1])
        assert winner.json()["token_type"] == "DPoP"
        assert loser.json()["error"] == "invalid_grant"
        successor = f"grant_type=refresh_token&refresh_token={winner.json()['refresh_token']}"
        answer = send(site.url, beside(client, proof(client, key=key), body=successor))
        assert answer.status == 200, answer.body
    assert counted(client) == {"tokens": ROUNDS, "bound": ROUNDS, "live": ROUNDS, "live_bound": ROUNDS}
