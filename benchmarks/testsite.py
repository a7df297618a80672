"""A testproject of the benchmark's own: a process with its environment, a database, applications, a server.

Importing the package's models needs Django set up, and settings are read once in a process. So every
measurement that involves Django runs in a process of its own, and imports in its functions.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from oauth_client_attestation.testing import AttesterBackend, ClientInstance, request_headers

ROOT = Path(__file__).resolve().parent.parent
ISSUER = "http://127.0.0.1:8000"
SECRET = "secret"
T = TypeVar("T")


def in_own_process(call: Callable[..., T], arguments: Mapping[str, Any], *, environ: Mapping[str, str], log: Path) -> T:
    """Return what a function returns in a new process, whose standard error goes to ``log``."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_prepare, initargs=(dict(environ), str(log))) as pool:
        return pool.submit(call, **arguments).result()


def _prepare(environ: dict[str, str], log: str) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.stderr.fileno())
    for name in ("DATABASE_URL", "CACHE_URL", "SECRET_KEY", "DEBUG"):
        os.environ.pop(name, None)
    python_path = [str(ROOT), str(ROOT / "testproject")]
    sys.path[:0] = python_path
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "PUBLIC_URL": ISSUER,
        "PYTHONPATH": os.pathsep.join(python_path),
        **environ,
    }


def set_up(*databases: str) -> None:
    """Set Django up and make the tables."""
    import django
    from django.core.management import call_command

    django.setup()
    for alias in databases:
        call_command("migrate", database=alias, verbosity=0)


@dataclass
class Applications:
    """Three applications with the client_credentials grant: attested, with an unhashed and with a hashed secret.

    Each method returns the header fields of one token request.
    """

    backend: AttesterBackend = field(default_factory=AttesterBackend)
    instance: ClientInstance = field(default_factory=ClientInstance)

    def register(self) -> None:
        """Create them in the database, and the attester, with the policy that a new application gets."""
        from oauth2_provider.models import get_application_model

        from oauth_client_attestation.models import AttestationPolicy, Attester
        from oauth_client_attestation.trust.jwks import parse_jwks
        from oauth_client_attestation.trust.registration import replace_keys

        model = get_application_model()
        attested, _, _ = (
            model.objects.create(
                client_id=name,
                client_type=model.CLIENT_CONFIDENTIAL,
                authorization_grant_type=model.GRANT_CLIENT_CREDENTIALS,
                client_secret=SECRET,
                hash_client_secret=name == "hashed",
            )
            for name in ("attested", "unhashed", "hashed")
        )
        AttestationPolicy.objects.create(application=attested)
        attester = Attester.objects.create(name="Acme")
        replace_keys(attester, parse_jwks(json.dumps(self.backend.jwks)))
        attester.applications.set([attested])
        self._attestation = self.backend.attest(self.instance, "attested")

    def attested(self) -> dict[str, str]:
        """The same instance and attestation every time, with a new proof over a new challenge."""
        from oauth_client_attestation.challenges import fresh_challenge

        return request_headers(self._attestation, self.instance.prove(ISSUER, challenge=fresh_challenge()))

    def unhashed(self) -> dict[str, str]:
        return _basic("unhashed")

    def hashed(self) -> dict[str, str]:
        return _basic("hashed")


def _basic(client_id: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{client_id}:{SECRET}".encode()).decode("ascii")
    return {"Authorization": f"Basic {credentials}"}


@contextmanager
def connection_of_another_worker() -> Iterator[None]:
    """Keep a second connection to the database open.

    SQLite writes its log back into the file when the last connection closes, which a single worker's does after
    every request. That costs as much as the request itself, and says nothing about a site under load.
    """
    from django.db import connections

    connection = connections.create_connection("default")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM oauth_client_attestation_usedproof")
            cursor.fetchall()
        yield
    finally:
        connection.close()


@contextmanager
def server(workers: int) -> Iterator[tuple[str, int]]:
    """Run the site under gunicorn with sync workers, on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        command = [sys.executable, "-m", "gunicorn", "testproject.wsgi:application"]
        options = ["--workers", str(workers), "--bind", f"fd://{listener.fileno()}", "--log-level", "warning"]
        process = subprocess.Popen([*command, *options], cwd=ROOT / "testproject", pass_fds=[listener.fileno()])
        try:
            yield listener.getsockname()
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
