"""HTTP requests as octets, so that a test decides what is on the wire and when."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from itertools import islice
from selectors import EVENT_READ, DefaultSelector
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def http_request(method: str, url: str, fields: Iterable[tuple[str, str]], body: str = "") -> bytes:
    """Return an HTTP/1.1 request with exactly these header fields beside those it cannot do without."""
    parts = urlsplit(url)
    lines = [
        f"{method} {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: close",
        *((f"Content-Length: {len(body)}", "Expect: 100-continue") if body else ()),
        *(f"{name}: {value}" for name, value in fields),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def send(url: str, request: bytes) -> Answer:
    """Send one request."""
    return send_at_once(url, [request], in_hand=0)[0]


def send_at_once(url: str, requests: Sequence[bytes], *, in_hand: int) -> list[Answer]:
    """Send requests with a body so that the server has several in its hands at the same moment.

    Each goes over a connection of its own, but for its last octet. The server's ``100 Continue`` says that a
    worker has turned to a request and waits for its body; the last octets follow in one go as soon as that
    many do.

    :param in_hand: how many requests the server can work on at a time.
    """
    parts = urlsplit(url)
    with ExitStack() as stack:
        connections = []
        for request in requests:
            connection = socket.create_connection((parts.hostname, parts.port), timeout=_TIMEOUT)
            connections.append(stack.enter_context(connection))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request[:-1])

        held = list(islice(_as_they_answer(connections), in_hand))
        for connection in held:
            interim = connection.recv(1024)
            assert interim.startswith(b"HTTP/1.1 100 "), interim

        last_octets = dict(zip(connections, (request[-1:] for request in requests), strict=True))
        for connection in sorted(connections, key=lambda connection: connection not in held):
            connection.sendall(last_octets[connection])

        answers = {}
        for connection in _as_they_answer(connections):
            answers[connection] = _read(connection)
            connection.close()  # at once: a server may wait for it before it turns to its next request
        return [answers[connection] for connection in connections]


def _as_they_answer(connections: Sequence[socket.socket]) -> Iterator[socket.socket]:
    """Yield each connection once, when there is something to read from it."""
    with DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, EVENT_READ)
        while selector.get_map():
            ready = selector.select(_TIMEOUT)
            if not ready:
                raise TimeoutError(f"{len(selector.get_map())} of {len(connections)} requests got no answer")
            for key, _ in ready:
                selector.unregister(key.fileobj)
                yield key.fileobj  # type: ignore[misc]  # a socket here


def _read(connection: socket.socket) -> Answer:
    with HTTPResponse(connection) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())
