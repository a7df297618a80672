"""Rule P8 between processes: a proof is accepted once, whatever the store and however many ask at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oauth_client_attestation.core.errors import Reason
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, running_site, workers
from tests.e2e.wire import send_at_once
from tests.services import service_url

pytestmark = pytest.mark.slow

WORKERS = 4
AT_ONCE = 200
ROUNDS = 25
DIFFERENT = 40
IN_HAND = WORKERS  # with threads as well, where one process may get hold of every connection

THREADS = ("--threads", "8")
# By default each worker takes one request at a time, as `make serve` starts them.
SITES: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "sqlite-threads-atomic": {"options": THREADS, "ATOMIC_REQUESTS": "1"},
    "postgresql": {"database_server": "POSTGRES_URL"},
    "postgresql-threads": {"database_server": "POSTGRES_URL", "options": THREADS},
    "postgresql-threads-atomic": {
        "database_server": "POSTGRES_URL",
        "options": THREADS,
        "ATOMIC_REQUESTS": "1",
    },
    "mariadb": {"database_server": "MARIADB_URL"},
    "mariadb-threads": {"database_server": "MARIADB_URL", "options": THREADS},
    "mariadb-threads-atomic": {"database_server": "MARIADB_URL", "options": THREADS, "ATOMIC_REQUESTS": "1"},
    "redis": {"CACHE_URL": "REDIS_URL"},
    "redis-threads": {"CACHE_URL": "REDIS_URL", "options": THREADS},
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
    if not request.param:
        yield request.getfixturevalue("live_site")
        return
    options = dict(request.param)
    for name in {"database_server", "CACHE_URL"} & set(options):
        options[name] = service_url(options[name])
    directory = tmp_path_factory.mktemp("site")
    with running_site(migrated_sqlite, directory, **options) as site:
        yield site


@pytest.fixture
def client(site: LiveSite, tmp_path: Path) -> LiveClient:
    """A client of its own for each test."""
    return LiveClient(site, tmp_path).register()


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_one_proof_sent_200_times_at_once_is_accepted_once(site: LiveSite, client: LiveClient) -> None:
    """Every worker finds each of the requests good by itself: only the store knows of the others."""
    assert site.workers == WORKERS
    request = client.attested_request(client.attestation(), client.pop(client.challenge()))
    before = site.stored(client.client_id)

    with site.logged() as log:
        answers = send_at_once(site.url, [request] * AT_ONCE, in_hand=IN_HAND)

    assert Counter(answer.status for answer in answers) == {200: 1, 400: AT_ONCE - 1}
    (accepted,) = (answer for answer in answers if answer.status == 200)
    assert accepted.json()["access_token"]
    for answer in answers:
        if answer is not accepted:
            assert_refused(answer, "invalid_client_attestation")
    assert refusals(log) == [Reason.POP_REPLAYED] * (AT_ONCE - 1)
    if site.one_request_per_worker:
        assert len(workers(log)) == WORKERS
    stored = site.stored(client.client_id)
    assert (before["access_tokens"], stored["access_tokens"]) == (0, 1)
    in_database = "CACHE_URL" not in site.environ
    assert stored["used_proofs"] - before["used_proofs"] == (1 if in_database else 0)


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_a_proof_that_every_worker_has_in_hand_is_accepted_once(site: LiveSite, client: LiveClient) -> None:
    """Again and again: a store that looked first and wrote then would win this about every other time."""
    attestation, challenge = client.attestation(), client.challenge()

    for _ in range(ROUNDS):
        request = client.attested_request(attestation, client.pop(challenge))
        answers = send_at_once(site.url, [request] * IN_HAND, in_hand=IN_HAND)
        assert Counter(answer.status for answer in answers) == {200: 1, 400: IN_HAND - 1}

    assert site.stored(client.client_id)["access_tokens"] == ROUNDS


@pytest.mark.accepts("P8")
def test_different_proofs_sent_at_once_are_all_accepted(site: LiveSite, client: LiveClient) -> None:
    """A lock or a deadlock in the store must pass neither for a replay nor for an outage."""
    attestation, challenge = client.attestation(), client.challenge()
    requests = [client.attested_request(attestation, client.pop(challenge)) for _ in range(DIFFERENT)]

    answers = send_at_once(site.url, requests, in_hand=IN_HAND)

    assert Counter(answer.status for answer in answers) == {200: DIFFERENT}
    assert len({answer.json()["access_token"] for answer in answers}) == DIFFERENT
    assert site.stored(client.client_id)["access_tokens"] == DIFFERENT
