"""A testproject of its own for the demonstration: an empty SQLite database, a free port, gone afterwards."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
METADATA_PATH = "/.well-known/oauth-authorization-server"
START_TIMEOUT = 60
STOP_TIMEOUT = 10
LOGGER = " oauth_client_attestation "


class SiteFailed(Exception):
    """A command failed, or the server did not start or stopped; the message says which and why."""


class TemporarySite:
    """Leave the context, by whatever way, and server and files are gone."""

    def __enter__(self) -> "TemporarySite":
        with ExitStack() as stack:
            directory = tempfile.TemporaryDirectory(prefix="client-attestation-demo-")
            self.directory = Path(stack.enter_context(directory))
            # The server inherits the open socket, so nobody can take the port before it listens.
            self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
            self._environment = self._clean_environment()
            self._log = self.directory / "server.log"
            self._log_read = 0
            self._server: subprocess.Popen[bytes] | None = None
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def manage(self, *arguments: str) -> str:
        """Run a management command in the site's directory and return what it says."""
        done = subprocess.run(
            [sys.executable, str(HERE / "manage.py"), *arguments],
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SiteFailed(f"manage.py {arguments[0]} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout.strip()

    def start_server(self) -> None:
        """Start gunicorn; :meth:`wait_for_server` says when it answers."""
        descriptor = self._listener.fileno()
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [
                    *[sys.executable, "-m", "gunicorn", "testproject.wsgi:application"],
                    *["--bind", f"fd://{descriptor}", "--workers", "2", "--preload"],
                ],
                cwd=HERE,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(descriptor,),
                # Ctrl-C is for the demonstration, which then stops the server.
                start_new_session=True,
            )
        self._listener.close()

    def wait_for_server(self) -> None:
        """Return when the site answers."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._server is None or self._server.poll() is not None or time.monotonic() > deadline:
                raise SiteFailed(f"The server did not start:\n{self.log_text()}")
            time.sleep(0.1)

    def new_log_lines(self) -> list[str]:
        """Return what the package has logged since the last call, without time and level."""
        with self._log.open("rb") as log:
            log.seek(self._log_read)
            lines = log.read().decode().splitlines()
            self._log_read = log.tell()
        return [line.partition(LOGGER)[2] for line in lines if LOGGER in line]

    def log_text(self) -> str:
        """Return everything the server has written."""
        return self._log.read_text() if self._log.exists() else ""

    def _answers(self) -> bool:
        session = requests.Session()
        session.trust_env = False
        try:
            return session.get(self.url + METADATA_PATH, timeout=5).ok
        except requests.RequestException:
            return False

    def _clean_environment(self) -> dict[str, str]:
        """The caller's database, cache and server options are not for this site."""
        own = {"DATABASE_URL", "CACHE_URL", "DEBUG", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"}
        return {
            **{name: value for name, value in os.environ.items() if name not in own},
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "DATABASE_URL": f"sqlite:///{self.directory / 'db.sqlite3'}",
            "PUBLIC_URL": self.url,
            "SECRET_KEY": secrets.token_urlsafe(48),
        }

    def _stop(self) -> None:
        if self._server is None:
            return
        self._server.terminate()
        try:
            self._server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
