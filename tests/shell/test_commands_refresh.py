"""``refreshattesters``: which attesters it asks, what it says of each, and how it exits."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from oauth_client_attestation.models import Attester
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.refresh import TransactionOpen
from tests.attester_server import response, send
from tests.key_server import KeyServer, allow
from tests.kit import register_attester

# Nothing is fetched inside a transaction, so these tests have none of their own.
pytestmark = pytest.mark.django_db(transaction=True)

FETCHED = "The keys were fetched."


def run(*arguments: str) -> tuple[list[str], list[str], str]:
    """Return what the command said, what it complained of, and with which error it ended."""
    out, err, ended = io.StringIO(), io.StringIO(), ""
    try:
        call_command("refreshattesters", *arguments, stdout=out, stderr=err, no_color=True)
    except CommandError as error:
        ended = str(error)
    return out.getvalue().splitlines(), err.getvalue().splitlines(), ended


@pytest.fixture
def server(settings: Any) -> Iterator[KeyServer]:
    with KeyServer(AttesterBackend()) as server:
        allow(settings, server)
        yield server


def by_url(server: KeyServer, name: str, **fields: Any) -> Attester:
    return register_attester(AttesterBackend(), name, keys=False, jwks_uri=server.url(), **fields)


@pytest.mark.accepts("T2")
def test_every_enabled_attester_with_a_url(server: KeyServer) -> None:
    one, two, off = by_url(server, "One"), by_url(server, "Two"), by_url(server, "Off", enabled=False)
    register_attester(AttesterBackend(), "Without")
    assert run() == ([f"One: {FETCHED}", f"Two: {FETCHED}"], [], "")
    assert [attester.keys.count() for attester in (one, two, off)] == [1, 1, 0]
    assert server.fetches == 2


@pytest.mark.accepts("T2")
def test_those_that_are_named(server: KeyServer) -> None:
    by_url(server, "One")
    by_url(server, "Off", enabled=False)
    assert run("Off") == ([f"Off: {FETCHED}"], [], "")
    assert server.fetches == 1


@pytest.mark.refuses("T2")
def test_one_that_fails_stops_no_other_and_is_told_by_the_exit(server: KeyServer, settings: Any) -> None:
    with KeyServer() as broken:
        allow(settings, server, broken)
        broken.script = send(response(b"{}"))
        by_url(broken, "Broken")
        by_url(server, "Good")
        assert run() == (
            [f"Good: {FETCHED}"],
            ["Broken: The answer is not a JWK Set."],
            "The keys of 1 of 2 attester(s) could not be fetched.",
        )


@pytest.mark.parametrize(
    ("age", "outcome", "asked"),
    [(3590, "ok", False), (3610, "ok", True), (10, "timeout", True), (10, "", True), (None, "", True)],
)
def test_only_if_due(server: KeyServer, settings: Any, age: int | None, outcome: str, asked: bool) -> None:
    allow(settings, server, JWKS_LIFETIME=3600)
    moment = None if age is None else timezone.now() - timedelta(seconds=age)
    by_url(server, "One", fetched_at=moment, fetch_attempted_at=moment, fetch_outcome=outcome)
    assert run("--if-due") == ([f"One: {FETCHED}" if asked else "There is nothing to fetch."], [], "")
    assert server.fetches == asked


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Nobody", "One", "None"), "There is no attester with this name: Nobody, None"),
        (("One", "Without"), "This attester has no JWK Set URL: Without"),
    ],
)
def test_names_that_make_no_sense(server: KeyServer, names: tuple[str, ...], message: str) -> None:
    by_url(server, "One")
    register_attester(AttesterBackend(), "Without")
    assert run(*names) == ([], [], message)
    assert server.fetches == 0


def test_not_inside_a_transaction(server: KeyServer) -> None:
    by_url(server, "One")
    with pytest.raises(TransactionOpen), transaction.atomic():
        run()
    assert server.fetches == 0


def test_the_exit_code(tmp_path: Path) -> None:
    """As a timer sees it: 0 where there is nothing to do, 1 where something is wrong."""
    root = Path(__file__).parents[2]
    environ = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "PYTHONPATH": str(root)}
    environ.pop("DJANGO_SETTINGS_MODULE", None)

    def manage(*arguments: str) -> int:
        command = [sys.executable, str(root / "testproject" / "manage.py"), *arguments]
        return subprocess.run(command, env=environ, capture_output=True, check=False).returncode

    assert manage("migrate", "--verbosity=0") == 0
    assert manage("refreshattesters") == 0
    assert manage("refreshattesters", "Nobody") == 1
