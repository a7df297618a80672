"""Bindings between processes: refreshes at the same moment, and a block that meets a token request (rules B1, B2)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oauth_client_attestation.testing import ClientInstance
from tests.e2e.client import LiveClient, assert_refused
from tests.e2e.live import PROJECT, LiveSite, running_site
from tests.e2e.wire import Answer, send, send_at_once
from tests.kit import PASSWORD
from tests.services import service_url

pytestmark = pytest.mark.slow

ROUNDS = 8
FIRST_REQUESTS = 8
DEADLINE = 30.0

GRACE = {"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
ROTATION = {"REFRESH_TOKEN_REUSE_PROTECTION": False}
SITES: dict[str, dict[str, Any]] = {
    "sqlite, grace": {"provider": GRACE},
    "sqlite, rotation, atomic": {"provider": ROTATION, "ATOMIC_REQUESTS": "1"},
    "postgresql, grace": {"database_server": "POSTGRES_URL", "provider": GRACE},
    "postgresql, rotation, atomic": {"database_server": "POSTGRES_URL", "provider": ROTATION, "ATOMIC_REQUESTS": "1"},
    "mariadb, grace": {"database_server": "MARIADB_URL", "provider": GRACE},
    "mariadb, rotation, atomic": {"database_server": "MARIADB_URL", "provider": ROTATION, "ATOMIC_REQUESTS": "1"},
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
    """A site with four worker processes."""
    options = dict(request.param)
    if "database_server" in options:
        options["database_server"] = service_url(options["database_server"])
    provider = json.dumps(options.pop("provider"))
    directory = tmp_path_factory.mktemp("site")
    with running_site(migrated_sqlite, directory, OAUTH2_PROVIDER=provider, **options) as site:
        yield site


@pytest.fixture
def client(site: LiveSite, tmp_path: Path) -> LiveClient:
    """A client of its own for each test, which alice gives her password."""
    return with_password_grant(LiveClient(site, tmp_path).register())


def with_password_grant(client: LiveClient) -> LiveClient:
    client.site.shell(
        "from django.contrib.auth.models import User\n"
        "from oauth2_provider.models import Application\n"
        "alice, new = User.objects.get_or_create(username='alice')\n"
        f"alice.set_password({PASSWORD!r})\n"
        "alice.save()\n"
        f"Application.objects.filter(client_id={client.client_id!r}).update(authorization_grant_type='password')"
    )
    return client


def request(client: LiveClient, body: str) -> bytes:
    """Return an attested request with a proof of its own."""
    return client.attested_request(client.attestation(), client.pop(client.challenge()), body)


def password_request(client: LiveClient) -> bytes:
    return request(client, f"grant_type=password&username=alice&password={PASSWORD.replace(' ', '+')}")


def refresh_request(client: LiveClient, token: str) -> bytes:
    return request(client, f"grant_type=refresh_token&refresh_token={token}")


def families(client: LiveClient) -> list[dict[str, int]]:
    """Return of each family of refresh tokens how many there are, live, and bound, and their access tokens."""
    return json.loads(
        client.site.shell(
            "import json\n"
            "from django.db.models import Count, Q\n"
            "from oauth2_provider.models import RefreshToken\n"
            f"tokens = RefreshToken.objects.filter(application__client_id={client.client_id!r})\n"
            "families = tokens.values('token_family').annotate(tokens=Count('pk'),\n"
            "    live=Count('pk', filter=Q(revoked=None)), access=Count('access_token'),\n"
            "    bound=Count('client_attestation_binding'),\n"
            "    instances=Count('client_attestation_binding__instance', distinct=True))\n"
            "names = ('tokens', 'live', 'access', 'bound', 'instances')\n"
            "print(json.dumps([{name: family[name] for name in names} for family in families]))"
        )
    )


@pytest.mark.accepts("B1", "B2")
def test_two_refreshes_of_one_token_at_once_leave_one_family(site: LiveSite, client: LiveClient) -> None:
    """Again and again, each worker with one of the two in its hand: whatever they answer, one successor is left."""
    token = send(site.url, password_request(client)).json()["refresh_token"]
    for _ in range(ROUNDS):
        both = [refresh_request(client, token), refresh_request(client, token)]
        answers = send_at_once(site.url, both, in_hand=2)
        assert {answer.status for answer in answers} <= {200, 400}, [answer.body for answer in answers]
        successors = {answer.json()["refresh_token"] for answer in answers if answer.status == 200}
        assert len(successors) == 1
        assert all(answer.json()["error"] == "invalid_grant" for answer in answers if answer.status == 400)
        token = successors.pop()
    (family,) = families(client)
    assert family == {"tokens": ROUNDS + 1, "live": 1, "access": 1, "bound": ROUNDS + 1, "instances": 1}
    assert send(site.url, refresh_request(client, token)).status == 200


@pytest.mark.refuses("B1", "B2")
def test_the_owner_and_another_instance_at_once(site: LiveSite, client: LiveClient) -> None:
    token = send(site.url, password_request(client)).json()["refresh_token"]
    thief = LiveClient(site, client.directory, client.backend, ClientInstance(), client.client_id)
    for _ in range(ROUNDS):
        both = [refresh_request(client, token), refresh_request(thief, token)]
        owners, thiefs = send_at_once(site.url, both, in_hand=2)
        assert_refused(thiefs, "invalid_grant")
        assert owners.status == 200, owners.body
        token = owners.json()["refresh_token"]
    (family,) = families(client)
    assert (family["live"], family["instances"]) == (1, 1)


@pytest.mark.accepts("B1")
def test_the_first_requests_of_an_instance_at_once(site: LiveSite, client: LiveClient) -> None:
    """Each would make the record: one does, and none fails over it."""
    requests = [password_request(client) for _ in range(FIRST_REQUESTS)]
    answers = send_at_once(site.url, requests, in_hand=site.workers)
    assert Counter(answer.status for answer in answers) == {200: FIRST_REQUESTS}
    assert families(client) == [{"tokens": 1, "live": 1, "access": 1, "bound": 1, "instances": 1}] * FIRST_REQUESTS
    assert site.shell("from oauth_client_attestation.models import ClientInstance as I\n" + _counted(client)) == "1\n"


def _counted(client: LiveClient) -> str:
    return f"print(I.objects.filter(application__client_id={client.client_id!r}).count())"


@pytest.mark.services
@pytest.mark.refuses("B1")
def test_a_block_that_meets_a_token_request_leaves_no_token(start_site: Any, tmp_path: Path) -> None:
    """The request has locked its instance and is held up before it has stored the token; the command waits for it."""
    site = start_site(database_server=service_url("POSTGRES_URL"))
    client = with_password_grant(LiveClient(site, tmp_path).register())
    assert send(site.url, password_request(client)).status == 200
    with (
        psycopg.connect(site.environ["DATABASE_URL"]) as holding,
        psycopg.connect(site.environ["DATABASE_URL"], autocommit=True) as looking,
        ThreadPoolExecutor() as pool,
    ):
        holding.execute("LOCK TABLE oauth2_provider_accesstoken IN SHARE MODE")
        request = password_request(client)
        answer = pool.submit(send, site.url, request)
        _wait_for(looking, waiting=1)
        command = [sys.executable, str(PROJECT / "manage.py"), "blockinstance", "--", client.instance.thumbprint]
        block = subprocess.Popen(command, env=site.environ, stdout=subprocess.PIPE, text=True)
        _wait_for(looking, waiting=2)
        holding.rollback()
        issued: Answer = answer.result()
        said, _ = block.communicate(timeout=DEADLINE)
    assert issued.status == 200, issued.body
    assert said.endswith("is blocked; 2 token(s) and code(s) revoked.\n")
    assert [(family["live"], family["access"]) for family in families(client)] == [(0, 0), (0, 0)]
    assert site.stored(client.client_id)["access_tokens"] == 0
    for refused in (refresh_request(client, issued.json()["refresh_token"]), password_request(client)):
        assert_refused(send(site.url, refused), "invalid_client_attestation")


def _wait_for(connection: Any, *, waiting: int) -> None:
    """Wait until that many others wait for a lock."""
    deadline = time.monotonic() + DEADLINE
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while connection.execute(statement).fetchone()[0] < waiting:
        assert time.monotonic() < deadline, "nobody waits for a lock"
