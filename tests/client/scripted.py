"""A server that answers as it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from jwcrypto.common import base64url_decode

CHALLENGE_FIELD = "OAuth-Client-Attestation-Challenge"


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Message
    body: bytes

    def jwt(self, field_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims of the token in a field."""
        header, claims, _ = self.headers[field_name].split(".")
        return json.loads(base64url_decode(header)), json.loads(base64url_decode(claims))

    @property
    def bound_fields(self) -> set[str]:
        """Which of the fields it has that are for one server only."""
        names = ("Authorization", "DPoP", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP")
        return {name for name in names if name in self.headers}


@dataclass
class ScriptedServer:
    """What it will answer, in order; then 200 with an empty object."""

    url: str
    answers: list[tuple[int, Mapping[str, str], Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def will(self, status: int, headers: Mapping[str, str] | None = None, body: Any = None) -> None:
        """Answer one more request like that."""
        self.answers.append((status, headers or {}, {} if body is None else body))

    def will_demand(self, error: str, **headers: str) -> None:
        """Answer with an error of an authorization server; ``Some_Field="…"`` adds a header field."""
        self.will(400, {name.replace("_", "-"): value for name, value in headers.items()}, {"error": error})


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Run one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.asked.append(Asked(self.command, self.path, self.headers, body))
            status, headers, answer = server.answers.pop(0) if server.answers else (200, {}, {})
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 (the names that http.server calls)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server = ScriptedServer(f"http://127.0.0.1:{listening.server_port}")
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
