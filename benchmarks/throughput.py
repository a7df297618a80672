"""(b) Attested token requests a second, against the same endpoint with a client secret.

Both kinds are client_credentials requests to one site; the attested ones come from one instance, with a new
proof each that was signed beforehand. They are measured twice: *in process*, where Django's WSGI handler with
the site's settings is called without server, socket or concurrency, which is the steady figure; and *live*,
where several clients at once talk to gunicorn, and share the machine with it.
"""

from __future__ import annotations

import io
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from . import testsite
from .measure import Row, Timings, compare, interleave, means

PATH = "/o/token/"
BODY = b"grant_type=client_credentials"
CONTENT_TYPE = "application/x-www-form-urlencoded"
WORKERS = 4
CLIENTS = 4
TIMEOUT = 60

Headers = Mapping[str, str]


def measure(name: str, *, rounds: int, calls: int) -> list[Row]:
    """Return the rows for the database and cache of this process, which ``name`` names."""
    testsite.set_up("default")
    applications = testsite.Applications()
    applications.register()
    return [
        *_in_process(name, applications, rounds, calls),
        # Half the rounds: each has twice the requests.
        *_live(name, applications, -(-rounds // 2), calls),
    ]


def _in_process(name: str, applications: testsite.Applications, rounds: int, calls: int) -> list[Row]:
    from django.core.wsgi import get_wsgi_application

    handler = get_wsgi_application()

    def side(headers: Callable[[], Headers], count: int) -> Callable[[], None]:
        environs = iter([_environ(headers()) for _ in range(count + 1)])
        _call(handler, next(environs))
        return lambda: _call(handler, next(environs))

    sides = {
        "attested": side(applications.attested, rounds * calls),
        "unhashed": side(applications.unhashed, rounds * calls),
    }
    hashed = side(applications.hashed, rounds)
    hashed_timings: Timings = []
    with testsite.connection_of_another_worker():
        timings = interleave(
            sides, rounds=rounds, calls=calls, after_round=lambda: hashed_timings.append([_timed(hashed)])
        )
    return _rows(f"{name}, in process", {**timings, "hashed": hashed_timings}, requests_per_call=1)


def _live(name: str, applications: testsite.Applications, rounds: int, calls: int) -> list[Row]:
    with testsite.server(WORKERS) as address:

        def side(headers: Callable[[], Headers], count: int, size: int) -> Callable[[], None]:
            batches = iter([[_request(headers()) for _ in range(size)] for _ in range(count)])
            return lambda: _send_all(address, next(batches))

        # Two batches of each side in a round, one there and one back, and one to wake every worker up.
        sides = {
            "attested": side(applications.attested, 2 * rounds + 1, calls),
            "unhashed": side(applications.unhashed, 2 * rounds + 1, calls),
        }
        hashed = side(applications.hashed, rounds, CLIENTS)
        hashed_timings: Timings = []

        def time_hashed() -> None:
            hashed_timings.append([_timed(hashed) / CLIENTS * calls])

        for warm_up in sides.values():
            warm_up()
        timings = interleave(sides, rounds=rounds, calls=2, after_round=time_hashed)
    where = f"{name}, live, {WORKERS} workers, {CLIENTS} clients"
    return _rows(where, {**timings, "hashed": hashed_timings}, requests_per_call=calls)


def _rows(where: str, timings: Mapping[str, Timings], *, requests_per_call: int) -> list[Row]:
    rates = {side: [requests_per_call / seconds for seconds in means(taken)] for side, taken in timings.items()}

    def row(other: str, what: str, target: str) -> Row:
        attested, others = (statistics.median(rates[side]) for side in ("attested", other))
        return compare(
            "throughput",
            f"{where}: attested to {what}",
            rates["attested"],
            rates[other],
            target=target,
            detail=f"{attested:.3g}/s to {others:.3g}/s",
        )

    return [row("unhashed", "unhashed secret", "≥ 0.85"), row("hashed", "hashed secret", "")]


def _timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _environ(headers: Headers) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "CONTENT_TYPE": CONTENT_TYPE,
        "CONTENT_LENGTH": str(len(BODY)),
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _call(handler: Callable[..., Any], environ: dict[str, Any]) -> None:
    """Answer a request as a WSGI server would, down to closing the response, which closes the connection."""
    statuses: list[str] = []
    response = handler(environ, lambda status, headers: statuses.append(status))
    body = b"".join(response)
    response.close()
    if statuses != ["200 OK"]:
        raise RuntimeError(f"the site answered {statuses}: {body!r}")


def _request(headers: Headers) -> bytes:
    """Return a request as it goes over the wire. Sync workers close every connection, so it says so too."""
    fields = {
        "Host": "127.0.0.1:8000",
        "Connection": "close",
        "Content-Type": CONTENT_TYPE,
        "Content-Length": str(len(BODY)),
        **headers,
    }
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + BODY


def _send_all(address: tuple[str, int], requests: Iterable[bytes]) -> None:
    """Send the requests with so many clients at once, each taking the next one as soon as it has an answer."""
    pending = iter(list(requests))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def client() -> None:
        try:
            while (request := _next(pending, lock)) is not None:
                _send(address, request)
        except BaseException as error:
            failures.append(error)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if failures:
        raise failures[0]


def _next(pending: Iterator[bytes], lock: threading.Lock) -> bytes | None:
    with lock:
        return next(pending, None)


def _send(address: tuple[str, int], request: bytes) -> None:
    with socket.create_connection(address, timeout=TIMEOUT) as connection:
        connection.sendall(request)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the site answered {answer!r}")
