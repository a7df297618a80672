"""A connection that cannot be led elsewhere and cannot outlast its deadline (rule T2).

The name is resolved once, every address is checked, and the connection goes to a checked address, so that a second
answer of the DNS changes nothing. One deadline covers resolving, connecting, the TLS handshake and each octet of
the answer: a limit on single reads lets a server that drips hold its caller for hours. Proxies of the environment
are not used, since a proxy would resolve the name again and make the check worthless.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from .addresses import is_public
from .outcomes import FetchFailed, FetchOutcome

#: (family, type, protocol, canonical name, socket address), as :func:`socket.getaddrinfo` has it.
_Address = tuple[Any, Any, int, str, Any]


class Deadline:
    """A point in time for everything together, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left.

        :raises TimeoutError: none is.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class BoundedReader(io.RawIOBase):
    """What a socket receives, until the deadline and up to a number of octets."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        """Tell :class:`io.BufferedReader` that it can read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive into ``buffer``.

        :raises TimeoutError: at the deadline.
        :raises FetchFailed: more octets arrived than the limit allows.
        """
        self._connection.settimeout(self._deadline.remaining())
        count = self._connection.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise FetchFailed(FetchOutcome.TOO_LARGE)
        return count


@contextmanager
def connection_to(
    host: str, port: int, deadline: Deadline, *, allow_private: bool, encrypt: bool, tls: ssl.SSLContext | None
) -> Iterator[socket.socket]:
    """Connect to a host, and close the connection afterwards.

    :param allow_private: whether addresses that are not public will do.
    :param encrypt: whether to speak TLS, with a certificate for ``host``.
    :param tls: which authorities to trust; None: those that the system trusts.
    :raises FetchFailed: the name does not resolve, or to an address that is not public.
    :raises TimeoutError: at the deadline.
    :raises OSError: no address could be reached, or the TLS handshake failed (:class:`ssl.SSLError`).
    """
    addresses = _resolve(host, port, deadline)
    # All of them: where some are public and some are not, the name was set up to be tried until it hits.
    if not allow_private and not all(is_public(address[4][0]) for address in addresses):
        raise FetchFailed(FetchOutcome.PRIVATE_ADDRESS)
    with _connect(addresses, deadline) as connection:
        if not encrypt:
            connection.settimeout(deadline.remaining())
            yield connection
            return
        context = tls or ssl.create_default_context()
        connection.settimeout(deadline.remaining())
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            encrypted.settimeout(deadline.remaining())
            yield encrypted


def _resolve(host: str, port: int, deadline: Deadline) -> list[_Address]:
    """Resolve a name, in a thread because the system's resolver has no time limit that could be set.

    At the deadline the thread is left behind; it ends when the resolver gives up, and keeps no process alive.
    """
    answer: Future[list[_Address]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=look_up, name="oauth_client_attestation-resolver", daemon=True).start()
    try:
        return answer.result(deadline.remaining())
    except (socket.gaierror, UnicodeError) as error:  # the latter: an empty label, or one that is too long
        raise FetchFailed(FetchOutcome.UNKNOWN_HOST) from error


def _connect(addresses: list[_Address], deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers, which may have to be an IPv4 address after a dead IPv6 one.

    Each has its share of the time left.
    """
    failure: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _name, address) in enumerate(addresses):
        share = deadline.remaining() / (len(addresses) - position)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(share)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure
