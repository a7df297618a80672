"""Empty databases and caches of the benchmark's own, gone again afterwards.

POSTGRES_URL and REDIS_URL name servers; nothing is looked for at the usual ports. On PostgreSQL new databases
are created, on Redis database numbers without a key are taken and only keys with the run's prefix are deleted.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from redis import Redis


@contextmanager
def sqlite_urls(directory: Path, count: int) -> Iterator[list[str]]:
    """Name files that do not exist yet, and delete them at the end."""
    names = [f"{secrets.token_hex(4)}.sqlite3" for _ in range(count)]
    try:
        yield [f"sqlite:///{directory / name}" for name in names]
    finally:
        for name in names:
            for path in directory.glob(f"{name}*"):
                path.unlink()


@contextmanager
def postgresql_urls(server: str, count: int) -> Iterator[list[str]]:
    """Create databases, and drop them at the end."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    names = [f"client_attestation_benchmark_{secrets.token_hex(4)}" for _ in range(count)]
    with psycopg.connect(server, autocommit=True) as connection:
        try:
            for name in names:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            yield [_with_path(server, name) for name in names]
        finally:
            for name in names:
                connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@contextmanager
def redis_urls(server: str, count: int, prefix: str) -> Iterator[list[str]]:
    """Pick unused database numbers, and delete the keys with the prefix at the end."""
    from redis import Redis

    with Redis.from_url(server) as client:
        available = int(client.config_get("databases")["databases"])
        used = {int(name.removeprefix("db")) for name in client.info("keyspace")}
    numbers = [number for number in reversed(range(available)) if number not in used][:count]
    if len(numbers) < count:
        raise RuntimeError(f"the Redis server has no {count} unused databases")
    urls = [_with_path(server, str(number)) for number in numbers]
    try:
        yield urls
    finally:
        for url in urls:
            with Redis.from_url(url) as client:
                _delete_keys(client, prefix)


def _delete_keys(client: Redis, prefix: str) -> None:
    keys: list[bytes] = []
    for key in client.scan_iter(match=f"{prefix}:*", count=10_000):
        keys.append(key)
        if len(keys) == 10_000:
            client.unlink(*keys)
            keys.clear()
    if keys:
        client.unlink(*keys)


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()
