"""The scripts that play a client, and the browser of its user."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.authorization import hidden_fields, login
from tests.e2e.live import LiveSite

HERE = Path(__file__).resolve().parent
_TIMEOUT = 60


@contextmanager
def running_script(node: str, name: str) -> Iterator[Callable[..., Any]]:
    """Start a script; yield what writes a line to it, and returns the line with which it answers."""
    with subprocess.Popen(
        [node, str(HERE / name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def tell(**message: Any) -> Any:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, process.stderr.read()
            return json.loads(line)

        try:
            yield tell
        finally:
            process.kill()


def consented(site: LiveSite, user: str, url: str) -> str:
    """Log a user in, consent to an authorization request, and return where the browser is sent."""
    session = login(site, user)
    decision = {**hidden_fields(session.get(url, timeout=_TIMEOUT)), "allow": "on"}
    answer = session.post(url, data=decision, allow_redirects=False, timeout=_TIMEOUT)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]
