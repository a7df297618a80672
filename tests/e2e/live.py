"""testproject under a real server, for tests that need HTTP on a wire or more than one process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "testproject"
SECRET_KEY = "known-to-every-process-of-the-live-site"

_START_DEADLINE = 60.0
# Variables of a site: what the caller has set is about another one.
_FOREIGN = {
    "ATOMIC_REQUESTS",
    "CACHE_URL",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "GUNICORN_CMD_ARGS",
    "JWKS_ALLOWED_PRIVATE_HOSTS",
    "OAUTH2_PROVIDER",
    "PUBLIC_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "WEB_CONCURRENCY",
}


class LiveSite:
    """testproject, migrated and running, with a database of its own.

    :ivar url: where it is, which is its issuer as well.
    """

    def __init__(
        self,
        directory: Path,
        database_url: str,
        *,
        server: str = "gunicorn",
        workers: int = 4,
        options: tuple[str, ...] = (),
        **environ: str,
    ) -> None:
        """
        :param directory: for the log and other files.
        :param database_url: a migrated database that nobody else uses.
        :param server: ``gunicorn`` (WSGI) or ``uvicorn`` (ASGI, one process).
        :param options: further arguments of the server.
        :param environ: further environment variables, such as ``CACHE_URL``.
        """
        self.workers = workers
        self._log = directory / "server.log"
        # Bound here and handed over, so that nobody else can get the port in between, nor during a restart.
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.environ = _environ(DATABASE_URL=database_url, PUBLIC_URL=self.url, **environ)
        bound = str(self._socket.fileno())
        self._command = {
            "gunicorn": [
                *["gunicorn", "testproject.wsgi:application", "--bind", f"fd://{bound}"],
                *["--config", str(Path(__file__).with_name("gunicorn.conf.py")), "--workers", str(workers)],
            ],
            "uvicorn": ["uvicorn", "testproject.asgi:application", "--fd", bound],
        }[server] + list(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def one_request_per_worker(self) -> bool:
        """Whether a worker has its hands full with one request."""
        return "gunicorn" in self._command and "--threads" not in self._command

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def logged(self) -> Iterator[list[str]]:
        """Collect the lines that the server writes within the block; the list is filled at its end."""
        before = self._log.stat().st_size
        lines: list[str] = []
        yield lines
        with self._log.open("rb") as log:
            log.seek(before)
            lines += log.read().decode("utf-8", errors="replace").splitlines()

    def manage(self, *args: str, input: str | None = None) -> str:
        """Run testproject's manage.py on the site's database and return what it printed.

        :raises RuntimeError: with its output, if it fails.
        """
        done = subprocess.run(
            [sys.executable, str(PROJECT / "manage.py"), *args],
            input=input,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"manage.py {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def shell(self, code: str) -> str:
        """Run Python code in ``manage.py shell`` and return what it printed."""
        return self.manage("shell", "--verbosity", "0", "--command", code)

    def stored(self, client_id: str) -> dict[str, int]:
        """Count what the site holds: the client's access tokens, and the used proofs of all clients."""
        counts = self.shell(
            "import json\n"
            "from oauth2_provider.models import AccessToken\n"
            "from oauth_client_attestation.models import UsedProof\n"
            f"tokens = AccessToken.objects.filter(application__client_id={client_id!r}).count()\n"
            "print(json.dumps({'access_tokens': tokens, 'used_proofs': UsedProof.objects.count()}))"
        )
        return json.loads(counts)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                cwd=PROJECT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._socket.fileno()],
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_DEADLINE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"The server ended with {self._process.returncode}:\n{self.log}")
            try:
                # The socket listens from the beginning, so the connection waits for the server by itself.
                response = requests.get(f"{self.url}/.well-known/oauth-authorization-server", timeout=2)
            except requests.Timeout:
                continue
            if response.status_code == 200:
                return
            raise RuntimeError(f"The server answers with {response.status_code}:\n{self.log}")
        raise RuntimeError(f"The server did not answer for {_START_DEADLINE:.0f} s:\n{self.log}")

    def restart(self, **environ: str) -> None:
        """Stop the server and start it on the same port and database with a changed environment."""
        self._end()
        self.environ.update(environ)
        self.start()

    def stop(self) -> None:
        """Stop the server for good and give the port back."""
        self._end()
        self._socket.close()

    def _end(self) -> None:
        """Kill the server with its workers: nothing that a site has promised may depend on a farewell."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def workers(log: list[str]) -> set[str]:
    """Return the process ids of the workers that took the logged requests."""
    return set(re.findall(r"request for worker (\d+)", "\n".join(log)))


def _environ(**environ: str) -> dict[str, str]:
    """Return the environment of a site: this process's, without what it says about any other site."""
    return {
        **{name: value for name, value in os.environ.items() if name not in _FOREIGN},
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
        "SECRET_KEY": SECRET_KEY,
        **environ,
    }


def migrate(database_url: str) -> None:
    """Create testproject's tables."""
    subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "migrate", "--verbosity", "0"],
        env=_environ(DATABASE_URL=database_url),
        check=True,
        timeout=120,
    )


@contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """Create a database on a PostgreSQL or MariaDB server and yield its URL; drop it at the end.

    :param server_url: the URL of any database there; its user must be allowed to create another.
    """
    name = f"attestation_{uuid.uuid4().hex[:12]}"
    parts = urlsplit(server_url)
    execute = _on_mariadb if parts.scheme.startswith(("mysql", "mariadb")) else on_postgresql
    execute(server_url, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        execute(server_url, f"DROP DATABASE {name}" + (" WITH (FORCE)" if execute is on_postgresql else ""))


def on_postgresql(url: str, statement: str, *parameters: str) -> None:
    """Run one statement outside a transaction."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, parameters)


def _on_mariadb(url: str, statement: str) -> None:
    import dj_database_url
    import MySQLdb

    config = dj_database_url.parse(url)
    connection = MySQLdb.connect(
        host=config["HOST"], port=int(config["PORT"] or 3306), user=config["USER"], password=config["PASSWORD"]
    )
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@contextmanager
def running_site(
    migrated_sqlite: Path, directory: Path, *, database_server: str | None = None, **options: Any
) -> Iterator[LiveSite]:
    """Run a site on a copy of an SQLite file, or on a PostgreSQL or MariaDB server.

    :param directory: for the site's files; it must be empty.
    :param database_server: the URL of a server, where the site gets a database of its own.
    :param options: what :class:`LiveSite` takes.
    """
    with ExitStack() as stack:
        if database_server is None:
            database_url = f"sqlite:///{shutil.copyfile(migrated_sqlite, directory / 'site.sqlite3')}"
        else:
            database_url = stack.enter_context(own_database(database_server))
            migrate(database_url)
        site = LiveSite(directory, database_url, **options)
        stack.callback(site.stop)
        site.start()
        yield site


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with empty tables, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "site.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def live_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site on SQLite for all tests that leave it as it was, each with applications of its own."""
    with running_site(migrated_sqlite, tmp_path_factory.mktemp("live_site")) as site:
        yield site


@pytest.fixture
def start_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveSite]]:
    """Starts a site for one test: ``start_site(workers=2, CACHE_URL=…)``, as :func:`running_site` does."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            running_site(migrated_sqlite, tmp_path_factory.mktemp("site"), **options)
        )
