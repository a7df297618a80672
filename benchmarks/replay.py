"""(c) One claim in a replay store that holds many proofs, against one in a store that holds few.

Two stores of a kind stand side by side and take turns: two SQLite files, two PostgreSQL databases, two Redis
databases. Every claim is of a new proof, by the package's own store class over a connection that stays open;
after each round its claims are deleted again, so that the stores keep their size.
"""

from __future__ import annotations

import secrets
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from . import testsite
from .measure import Row, Timings, compare, interleave, means, medians

FEW = 1_000
#: So many seconds do the proofs live: to the end of the run, and in Redis not for ever after a crash.
LIFETIME = 7200
#: Over so many seconds their ends are spread, as those of a site with challenges are.
SPREAD = 300
BATCH = 10_000


class Router:
    """Sends every query to the database whose turn it is (``DATABASE_ROUTERS``)."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return self.alias


class Side(ABC):
    """One of the two stores: the package's, and what it takes to fill, weigh and clear it."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._claimed: list[str] = []
        self._last_valid_until = 0

    def fill(self, count: int) -> float:
        """Record so many live proofs, the first to expire first, and return how many octets each takes up."""
        before = self.octets()
        start = int(time.time()) + LIFETIME
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            self.record([(_proof_id(), start + SPREAD * number // count) for number in numbers])
        self._last_valid_until = start + SPREAD
        return (self.octets() - before) / count

    def claim(self) -> None:
        """Claim a new proof, which expires after all others."""
        proof_id = _proof_id()
        if not self.store_claim(proof_id, self._last_valid_until):
            raise RuntimeError("a new proof was taken for a used one")
        self._claimed.append(proof_id)

    def undo(self) -> None:
        """Delete what was claimed."""
        self.delete(self._claimed)
        self._claimed = []

    @abstractmethod
    def store_claim(self, proof_id: str, valid_until: float) -> bool: ...

    @abstractmethod
    def record(self, proofs: list[tuple[str, int]]) -> None: ...

    @abstractmethod
    def delete(self, proof_ids: list[str]) -> None: ...

    @abstractmethod
    def octets(self) -> int: ...


class DatabaseSide(Side):
    """``DatabaseReplayStore`` on one of two databases."""

    def __init__(self, alias: str) -> None:
        from django.db import connections

        from oauth_client_attestation.models import UsedProof
        from oauth_client_attestation.replay.database import DatabaseReplayStore

        super().__init__(alias)
        self._proofs = UsedProof
        self._rows = UsedProof.objects.using(alias)
        self._connection = connections[alias]
        self._store = DatabaseReplayStore()

    def store_claim(self, proof_id: str, valid_until: float) -> bool:
        Router.alias = self._alias
        return self._store.claim(proof_id, valid_until=valid_until)

    def record(self, proofs: list[tuple[str, int]]) -> None:
        self._rows.bulk_create(
            self._proofs(proof_id=proof_id, valid_until=valid_until) for proof_id, valid_until in proofs
        )

    def delete(self, proof_ids: list[str]) -> None:
        self._rows.filter(pk__in=proof_ids).delete()

    def octets(self) -> int:
        """The table with its indexes, after what the database puts off has been done."""
        with self._connection.cursor() as cursor:
            if self._connection.vendor == "sqlite":
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            else:
                cursor.execute("VACUUM ANALYZE")
                cursor.execute("SELECT pg_total_relation_size(%s)", [self._proofs._meta.db_table])
            return int(cursor.fetchone()[0])


class CacheSide(Side):
    """``CacheReplayStore`` on one of two Redis databases."""

    def __init__(self, alias: str) -> None:
        from django.conf import settings
        from django.core.cache import caches
        from django.test.utils import override_settings

        from oauth_client_attestation.replay.cache import CacheReplayStore

        super().__init__(alias)
        with override_settings(OAUTH_CLIENT_ATTESTATION={**settings.OAUTH_CLIENT_ATTESTATION, "REPLAY_CACHE": alias}):
            self._store = CacheReplayStore()
        self._cache = caches[alias]
        self._client = self._cache._cache.get_client()

    def store_claim(self, proof_id: str, valid_until: float) -> bool:
        return self._store.claim(proof_id, valid_until=valid_until)

    def record(self, proofs: list[tuple[str, int]]) -> None:
        """By SET with EX, as ``cache.add`` does, many in a pipeline."""
        now = int(time.time())
        pipeline = self._client.pipeline(transaction=False)
        for proof_id, valid_until in proofs:
            pipeline.set(self._key(proof_id), 1, ex=valid_until - now)
        pipeline.execute()

    def delete(self, proof_ids: list[str]) -> None:
        self._client.delete(*map(self._key, proof_ids))

    def octets(self) -> int:
        return int(self._client.info("memory")["used_memory"])

    def _key(self, proof_id: str) -> str:
        return self._cache.make_and_validate_key(f"oauth-client-attestation:{proof_id}")


def measure_databases(name: str, *, many: int, rounds: int, calls: int) -> list[Row]:
    """Return the row for the two databases of this process, which ``name`` names."""
    testsite.set_up("default", "full")
    return _measure(name, DatabaseSide("default"), DatabaseSide("full"), many, rounds, calls)


def measure_caches(name: str, *, many: int, rounds: int, calls: int) -> list[Row]:
    """Return the row for the two caches of this process, which ``name`` names."""
    testsite.set_up()
    return _measure(name, CacheSide("default"), CacheSide("full"), many, rounds, calls)


def _measure(name: str, few_side: Side, many_side: Side, many: int, rounds: int, calls: int) -> list[Row]:
    few_side.fill(FEW)
    octets = many_side.fill(many)

    def undo() -> None:
        few_side.undo()
        many_side.undo()

    for side in (few_side, many_side):
        for _ in range(calls):
            side.claim()
    undo()
    timings = interleave({"few": few_side.claim, "many": many_side.claim}, rounds=rounds, calls=calls, after_round=undo)
    what = f"{name}: a claim among {many:,} live proofs to one among {FEW:,}"
    return [
        _row(f"{what}, mean", means, timings, "≤ 1.2", f"; {octets:.0f} bytes a proof"),
        _row(f"{what}, median", medians, timings, "", ""),
    ]


def _row(
    what: str, typical: Callable[[Timings], list[float]], timings: Mapping[str, Timings], target: str, weight: str
) -> Row:
    few, many = typical(timings["few"]), typical(timings["many"])
    few_us, many_us = (statistics.median(values) * 1e6 for values in (few, many))
    return compare("replay", what, many, few, target=target, detail=f"{many_us:.0f} µs to {few_us:.0f} µs{weight}")


def _proof_id() -> str:
    """Return 43 random characters of base64url, which is what a digest looks like."""
    return secrets.token_urlsafe(32)
