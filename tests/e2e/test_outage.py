"""What clients see while the replay store is down: a clean 503, and no token without a record (P8, E5, E7)."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from oauth_client_attestation.core.errors import Reason
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, on_postgresql
from tests.e2e.proxy import CuttableProxy
from tests.e2e.wire import Answer, send
from tests.services import service_url

pytestmark = pytest.mark.slow

_TIMEOUT = 60
CALLERS = 8


def assert_unavailable(client: LiveClient) -> None:
    """Assert that a good request is refused for want of the store, and that nothing comes of it."""
    with client.site.logged() as log:
        answer = client.token(client.attestation(), client.pop(client.challenge()))
    assert_refused(answer, "temporarily_unavailable", status=503)
    assert refusals(log) == [Reason.REPLAY_STORE_UNAVAILABLE]
    assert "The replay store does not answer" in "\n".join(log)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.refuses("P8", "E5", "E7")
def test_without_redis_nobody_gets_in_and_the_rest_of_the_site_answers(
    start_site: Callable[..., LiveSite], tmp_path: Path, closed_port: int
) -> None:
    """A store that is not there cannot say that a proof is new."""
    site = start_site(workers=1, CACHE_URL=f"redis://127.0.0.1:{closed_port}/0")
    client = LiveClient(site, tmp_path).register()

    assert_unavailable(client)
    assert site.stored(client.client_id)["access_tokens"] == 0

    with site.logged() as log:
        replies = requests.get(f"{site.url}/accounts/login/", timeout=_TIMEOUT)
        spoilt = client.token(client.attestation(), client.pop("not-a-challenge-of-this-server"))
    assert replies.status_code == 200
    assert_refused(spoilt, "use_attestation_challenge")
    assert refusals(log) == [Reason.CHALLENGE_UNKNOWN]


@pytest.mark.refuses("P8", "E5", "E7")
@pytest.mark.parametrize(
    "services",
    [
        pytest.param({}, id="sqlite"),
        pytest.param({"database_server": "POSTGRES_URL"}, id="postgresql", marks=pytest.mark.services),
        pytest.param({"database_server": "MARIADB_URL"}, id="mariadb", marks=pytest.mark.services),
    ],
)
def test_without_the_table_of_used_proofs_nobody_gets_in(
    start_site: Callable[..., LiveSite], tmp_path: Path, services: dict[str, str]
) -> None:
    """In the transaction of the request, which a failed statement must not break for the answer."""
    urls = {option: service_url(variable) for option, variable in services.items()}
    site = start_site(workers=1, ATOMIC_REQUESTS="1", **urls)
    client = LiveClient(site, tmp_path).register()
    answer = client.token(client.attestation(), client.pop(client.challenge()))
    assert answer.status_code == 200, answer.text

    table = "oauth_client_attestation_usedproof"
    site.shell(
        f"from django.db import connection\nconnection.cursor().execute('ALTER TABLE {table} RENAME TO set_aside')"
    )
    assert_unavailable(client)
    site.shell(
        f"from django.db import connection\nconnection.cursor().execute('ALTER TABLE set_aside RENAME TO {table}')"
    )

    answer = client.token(client.attestation(), client.pop(client.challenge()))
    assert answer.status_code == 200, answer.text
    assert site.stored(client.client_id) == {"access_tokens": 2, "used_proofs": 2}


class Load:
    """What several callers are answered who ask for a token again and again, each time with a new proof.

    :ivar seen: the answers so far; all of them at the end.
    """

    def __init__(self, client: LiveClient) -> None:
        self.seen: list[Answer] = []
        self._client = client
        self._attestation, self._challenge = client.attestation(), client.challenge()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._enough = threading.Event()
        self._callers = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def __enter__(self) -> Load:
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._enough.set()
        for caller in self._callers:
            caller.join()
        self.seen += self._answers.queue

    @property
    def tokens(self) -> set[str]:
        """The tokens issued so far."""
        return {answer.json()["access_token"] for answer in self.seen if answer.status == 200}

    def wait_for(self, *statuses: int) -> None:
        """Wait until answers with one of these statuses have come, three for each caller."""
        missing = 3 * CALLERS
        while missing:
            self.seen.append(self._answers.get(timeout=_TIMEOUT))
            missing -= self.seen[-1].status in statuses

    def _ask(self) -> None:
        while not self._enough.is_set():
            proof = self._client.pop(self._challenge)
            request = self._client.attested_request(self._attestation, proof)
            self._answers.put(send(self._client.site.url, request))


@pytest.mark.services
@pytest.mark.refuses("P8", "E5", "E7")
def test_redis_goes_and_comes_back_under_load(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """Every answer is a token or a 503, and after the outage the tokens are back without a restart."""
    redis = urlsplit(service_url("REDIS_URL"))
    with CuttableProxy(redis.hostname or "127.0.0.1", redis.port or 6379) as proxy:
        credentials, at, _ = redis.netloc.rpartition("@")
        site = start_site(CACHE_URL=redis._replace(netloc=credentials + at + proxy.address).geturl())
        client = LiveClient(site, tmp_path).register()

        with Load(client) as load:
            load.wait_for(200)
            assert {answer.status for answer in load.seen} == {200}
            proxy.cut()
            load.wait_for(503)
            proxy.mend()
            load.wait_for(200)

    for answer in load.seen:
        if answer.status != 200:
            assert_refused(answer, "temporarily_unavailable", status=503)
    assert site.stored(client.client_id)["access_tokens"] == len(load.tokens)


@pytest.mark.services
@pytest.mark.refuses("P8")
def test_postgresql_goes_and_comes_back_under_load(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """Without its database the whole site fails, not only client authentication; nobody is let in for it.

    Whatever moment the outage hits, no token is there without a record of its proof.
    """
    server = service_url("POSTGRES_URL")
    site = start_site(database_server=server)
    client = LiveClient(site, tmp_path).register()
    database = urlsplit(site.environ["DATABASE_URL"]).path[1:]

    with Load(client) as load:
        load.wait_for(200)
        assert {answer.status for answer in load.seen} == {200}
        on_postgresql(server, f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false")
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        on_postgresql(server, terminate, database)
        load.wait_for(500, 503)
        on_postgresql(server, f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true")
        load.wait_for(200)

    assert {answer.status for answer in load.seen} <= {200, 500, 503}
    for answer in load.seen:
        # At the replay store it is a refusal; anywhere else at the door it is no matter of client authentication.
        if answer.status == 503 and answer.json() == {"error": "temporarily_unavailable"}:
            assert "no-store" in answer.headers["Cache-Control"]
        elif answer.status == 503:
            assert_refused(answer, "temporarily_unavailable", status=503)
    stored = site.stored(client.client_id)
    # The database may have gone after it took a token and before the client was told.
    assert len(load.tokens) <= stored["access_tokens"] <= stored["used_proofs"]
