"""The replay stores on the servers that sites run them on: who is first when many connections ask (rule P8)."""

from __future__ import annotations

import itertools
import math
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import pytest
from django.core.cache import caches
from django.db import connections, transaction

from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.replay import ReplayStoreUnavailable
from oauth_client_attestation.replay import database as database_store
from oauth_client_attestation.replay.cache import CacheReplayStore
from oauth_client_attestation.replay.database import DatabaseReplayStore
from tests.e2e.live import own_database
from tests.e2e.proxy import CuttableProxy
from tests.kit import configure
from tests.services import service_url

pytestmark = pytest.mark.services

ALIAS = "replay"
CALLERS = 16
ROUNDS = 20
EXPIRED = 500


class Router:
    """Sends used proofs to the server under test, whatever the default database is."""

    def db_for_read(self, model: type, **hints: Any) -> str | None:
        return ALIAS if model is UsedProof else None

    db_for_write = db_for_read


@pytest.fixture(scope="module", params=["POSTGRES_URL", "MARIADB_URL"])
def used_proofs_table(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[str]:
    """A database of its own on a server, reachable as a second database; yields the server's vendor."""
    with django_db_blocker.unblock(), own_database(service_url(request.param)) as url:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
        connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: config})[ALIAS]
        try:
            with connections[ALIAS].schema_editor() as editor:
                editor.create_model(UsedProof)
            yield connections[ALIAS].vendor
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.settings[ALIAS]


@pytest.fixture
def database(used_proofs_table: str, settings: Any) -> DatabaseReplayStore:
    """The database store on that server, empty."""
    settings.DATABASE_ROUTERS = [Router()]
    UsedProof.objects.all().delete()
    return DatabaseReplayStore()


@pytest.fixture
def redis_at(settings: Any) -> Iterator[Callable[[str], CacheReplayStore]]:
    """Returns the cache store on a Redis by its URL."""

    def store(url: str) -> CacheReplayStore:
        redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
        settings.CACHES = {**settings.CACHES, ALIAS: redis}
        configure(settings, REPLAY_CACHE=ALIAS)
        return CacheReplayStore()

    return store


@pytest.fixture
def redis(redis_at: Callable[[str], CacheReplayStore]) -> CacheReplayStore:
    """The cache store on Redis."""
    return redis_at(service_url("REDIS_URL"))


def new_proof() -> str:
    """Return what a proof that nobody has used is recorded as."""
    return secrets.token_urlsafe(32)


def at_once(callers: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work`` in as many threads, each with connections of its own, starting together."""
    barrier = threading.Barrier(callers)

    def call(number: int) -> Any:
        try:
            barrier.wait(timeout=60)
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(call, range(callers)))


def outcome(store: Any, proof: str) -> bool | str:
    """Claim a proof; an outage is an outcome, too."""
    try:
        return store.claim(proof, valid_until=time.time() + 300)
    except ReplayStoreUnavailable:
        return "unavailable"


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
@pytest.mark.parametrize("atomic", [False, True], ids=["by itself", "in a transaction"])
def test_of_claims_at_once_one_is_first(database: DatabaseReplayStore, atomic: bool) -> None:
    """With and without ATOMIC_REQUESTS, the others waiting for the end of the first one's transaction."""
    proofs = [new_proof() for _ in range(ROUNDS)]

    def claim_all(number: int) -> list[bool]:
        won = []
        for proof in proofs:
            with transaction.atomic(using=ALIAS) if atomic else nullcontext():
                won.append(database.claim(proof, valid_until=time.time() + 300))
        return won

    results = at_once(CALLERS, claim_all)

    assert [sum(winners) for winners in zip(*results, strict=True)] == [1] * ROUNDS
    assert UsedProof.objects.count() == ROUNDS


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
@pytest.mark.parametrize("commit", [True, False], ids=["committed", "rolled back"])
def test_a_claim_waits_for_the_transaction_of_an_earlier_one(
    database: DatabaseReplayStore, used_proofs_table: str, commit: bool
) -> None:
    """What is not committed may still be undone: neither yes nor no would be true before.

    Of several that wait for a claim that is undone, one is first. MariaDB lets two of them wait for each
    other and ends all but one, which is a refusal too.
    """
    proof = new_proof()
    waiting = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
        " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[used_proofs_table]

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using=ALIAS):
            assert database.claim(proof, valid_until=time.time() + 300) is True
            later = pool.submit(at_once, 3, lambda number: outcome(database, proof))
            deadline = time.monotonic() + 30
            while _count(waiting) < 3:
                assert time.monotonic() < deadline, "the later claims do not wait"
                wait([later], timeout=0.2)  # MariaDB renews its table ten times a second, if it is left alone
            transaction.set_rollback(not commit, using=ALIAS)
        outcomes = Counter(later.result(timeout=60))

    if commit:
        assert outcomes == {False: 3}
    else:
        assert outcomes[True] == 1
        assert outcomes["unavailable"] == 0 or used_proofs_table == "mysql"
    assert UsedProof.objects.count() == 1


@pytest.mark.accepts("P8")
@pytest.mark.parametrize("atomic", [False, True], ids=["by itself", "in a transaction"])
def test_claims_and_purges_do_not_disturb_each_other(
    database: DatabaseReplayStore, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """Every claim of a new proof is the first one, while each caller purges, and nothing live is purged."""
    monkeypatch.setattr(database_store, "PURGE_INTERVAL", 3)
    monkeypatch.setattr(database_store, "PURGE_SLICE", 40)
    past = int(time.time()) - 10
    UsedProof.objects.bulk_create(UsedProof(proof_id=new_proof(), valid_until=past) for _ in range(EXPIRED))

    def claim_new_ones(number: int) -> list[bool | str]:
        outcomes = []
        for _ in range(ROUNDS):
            with transaction.atomic(using=ALIAS) if atomic else nullcontext():
                outcomes.append(outcome(database, new_proof()))
        return outcomes

    outcomes = Counter(itertools.chain.from_iterable(at_once(CALLERS, claim_new_ones)))

    assert outcomes == {True: CALLERS * ROUNDS}
    assert UsedProof.objects.filter(valid_until__gt=past).count() == CALLERS * ROUNDS
    assert UsedProof.objects.filter(valid_until=past).count() < EXPIRED


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_of_claims_at_once_one_is_first_on_redis(redis: CacheReplayStore) -> None:
    proofs = [new_proof() for _ in range(ROUNDS)]

    results = at_once(CALLERS, lambda number: [outcome(redis, proof) for proof in proofs])

    assert [Counter(outcomes) for outcomes in zip(*results, strict=True)] == [{True: 1, False: CALLERS - 1}] * ROUNDS


@pytest.mark.refuses("P8")
@pytest.mark.parametrize("seconds", [-5, 0, 0.4, 300], ids=["over", "now", "a moment", "five minutes"])
def test_redis_keeps_a_record_at_least_as_long_as_the_proof_counts(redis: CacheReplayStore, seconds: float) -> None:
    """And not for ever. A record whose time is over lives for a second: no key is without an end."""
    proof = new_proof()
    before = time.time()

    assert redis.claim(proof, valid_until=before + seconds) is True

    assert redis.claim(proof, valid_until=before + seconds) is False
    client = caches[ALIAS]._cache.get_client()
    (key,) = client.keys(f"*oauth-client-attestation:{proof}")
    remaining = client.pttl(key) / 1000
    assert before + seconds <= time.time() + remaining
    assert 0 < remaining <= max(1, math.ceil(seconds))


@pytest.mark.refuses("P8")
def test_a_redis_that_is_not_there_gives_no_answer(redis_at: Callable[[str], CacheReplayStore]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        store = redis_at(f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        assert outcome(store, new_proof()) == "unavailable"


@pytest.mark.refuses("P8")
def test_a_redis_that_comes_back_answers_again(redis_at: Callable[[str], CacheReplayStore]) -> None:
    """Without a restart, and with what it recorded before."""
    url = urlsplit(service_url("REDIS_URL"))
    credentials, at, _ = url.netloc.rpartition("@")
    with CuttableProxy(url.hostname or "127.0.0.1", url.port or 6379) as proxy:
        store = redis_at(url._replace(netloc=credentials + at + proxy.address).geturl())
        before, during = new_proof(), new_proof()
        assert outcome(store, before) is True
        proxy.cut()
        assert outcome(store, during) == "unavailable"
        assert outcome(store, before) == "unavailable"
        proxy.mend()
        assert outcome(store, before) is False
        assert outcome(store, during) is True


def _count(query: str) -> int:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]
