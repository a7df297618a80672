"""``make bench``, or ``python -m benchmarks``: measure, and say which targets are met.

A missed target is a line in the table, not a failure: machines differ, and so do the moments on one machine.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import replay, services, testsite, throughput, verification
from .measure import Row
from .report import as_json, as_table

PARTS = ("verification", "throughput", "replay")


@dataclass
class Run:
    """What to measure with, and the rows so far."""

    directory: Path
    postgres: str | None
    redis: str | None
    rounds: int
    many: int
    rows: list[Row] = field(default_factory=list)
    #: Short, so that a key in Redis takes up about as much room as it does without.
    prefix: str = field(default_factory=lambda: secrets.token_hex(2))

    def verification(self) -> None:
        self._measure("verification", verification.measure, rounds=self.rounds, calls=100)

    def throughput(self) -> None:
        """On each database with its own replay store, and once with proofs in Redis beside it."""
        names = ["SQLite", *(["PostgreSQL"] if self.postgres else [])]
        for name in names:
            self._throughput(name, database=name)
        if self.redis:
            self._throughput(f"{names[-1]} and Redis", database=names[-1], cache="Redis")

    def replay(self) -> None:
        self._replay("SQLite", replay.measure_databases, "DATABASE_URL")
        if self.postgres:
            self._replay("PostgreSQL", replay.measure_databases, "DATABASE_URL")
        if self.redis:
            self._replay("Redis", replay.measure_caches, "CACHE_URL")

    def _throughput(self, name: str, *, database: str, cache: str | None = None) -> None:
        with ExitStack() as stack:
            environ = {"DATABASE_URL": self._urls(database, 1, stack)[0]}
            if cache:
                environ["CACHE_URL"] = self._urls(cache, 1, stack)[0]
            self._measure(f"throughput, {name}", throughput.measure, environ, name=name, rounds=self.rounds, calls=20)

    def _replay(self, name: str, measure: Callable[..., list[Row]], variable: str) -> None:
        with ExitStack() as stack:
            few, many = self._urls(name, 2, stack)
            environ = {variable: few, f"FULL_{variable}": many}
            arguments = {"name": name, "many": self.many, "rounds": self.rounds, "calls": 200}
            self._measure(f"replay, {name}", measure, environ, **arguments)

    def _urls(self, service: str, count: int, stack: ExitStack) -> list[str]:
        if service == "PostgreSQL":
            return stack.enter_context(services.postgresql_urls(str(self.postgres), count))
        if service == "Redis":
            return stack.enter_context(services.redis_urls(str(self.redis), count, self.prefix))
        return stack.enter_context(services.sqlite_urls(self.directory, count))

    def _measure(
        self, title: str, call: Callable[..., list[Row]], environ: dict[str, str] | None = None, **arguments: Any
    ) -> None:
        print(f"{title} …", file=sys.stderr, flush=True)
        log = self.directory / "log"
        own = {"CACHE_KEY_PREFIX": self.prefix, "SECRET_KEY": secrets.token_urlsafe(50)}
        try:
            self.rows += testsite.in_own_process(call, arguments, environ={**own, **(environ or {})}, log=log)
        except Exception:
            print(log.read_text()[-4000:], file=sys.stderr)
            raise


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument(
        "--quick", action="store_true", help="try the benchmark itself: so little work that the figures say nothing"
    )
    options = parser.parse_args()
    parts = options.only or PARTS
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        run = Run(
            Path(directory),
            os.environ.get("POSTGRES_URL"),
            os.environ.get("REDIS_URL"),
            rounds=2 if options.quick else 25,
            many=20_000 if options.quick else 1_000_000,
        )
        for part in parts:
            getattr(run, part)()
    without_services = set(parts) == {"verification"}
    left_out = [
        f"{service}, since {variable} is not set"
        for service, variable in (("PostgreSQL", "POSTGRES_URL"), ("Redis", "REDIS_URL"))
        if not os.environ.get(variable) and not without_services
    ]
    print((as_json if options.json else as_table)(run.rows, left_out))


if __name__ == "__main__":
    main()
