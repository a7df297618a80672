"""The latest challenge and DPoP nonce of each server (section 6; RFC 9449 section 8)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Final

from ..core import wire
from .errors import ChallengeUnavailable
from .servers import Server

#: Seconds within which the body of a challenge endpoint's answer has to be there, and octets that it may have.
ENDPOINT_SECONDS: Final = 10.0
ENDPOINT_OCTETS: Final = 8192

#: The characters of a nonce (RFC 9449 section 8.1), without the comma, by which repeated fields are joined. A
#: server's word goes into what we sign and send, so its length is bounded as well.
_VALUE: Final = re.compile(r"[!#-+\--\[\]-~]{1,2048}", re.ASCII)


class EndpointBody:
    """The body of a challenge endpoint's answer while it comes in: a server must not hold its clients up with it."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._deadline = time.monotonic() + ENDPOINT_SECONDS

    def add(self, octets: bytes) -> None:
        """Take what has come in next.

        :raises ChallengeUnavailable: it is too much, or too late.
        """
        self._octets += octets
        if len(self._octets) > ENDPOINT_OCTETS or time.monotonic() > self._deadline:
            raise ChallengeUnavailable("the challenge endpoint's answer is too long, or takes too long")

    def __bytes__(self) -> bytes:
        return bytes(self._octets)


class Freshness:
    """What servers have given an instance to put into its next proofs. Safe to share between threads."""

    def __init__(self) -> None:
        self._challenges: dict[str, str] = {}
        self._nonces: dict[str, str] = {}
        self._asked: set[str] = set()

    def challenge(self, server: Server) -> str | None:
        """Return the latest challenge of ``server``."""
        return self._challenges.get(server.audience)

    def nonce(self, server: Server) -> str | None:
        """Return the latest DPoP nonce of ``server``."""
        return self._nonces.get(server.audience)

    def first_time(self, server: Server) -> bool:
        """Whether nobody has asked this since; a server that hands out nothing is not asked for it twice."""
        first = server.audience not in self._asked
        self._asked.add(server.audience)
        return first

    def learn(self, server: Server, url: str, headers: Mapping[str, str]) -> None:
        """Remember what a response brings in its header fields (section 6.2).

        :param url: where the response came from. What another origin says about freshness does not count.
        :param headers: its header fields, in any mapping that ignores case.
        """
        if server.serves(url):
            _keep(self._challenges, server, headers.get(wire.CHALLENGE_FIELD))
            _keep(self._nonces, server, headers.get(wire.DPOP_NONCE_FIELD))

    def learn_from_endpoint(self, server: Server, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Remember what the challenge endpoint answers (section 6.3). Anything but 200 brings nothing."""
        if status != 200 or server.challenge_endpoint is None:
            return
        self.learn(server, server.challenge_endpoint, headers)
        _keep(self._challenges, server, json_member(body, wire.CHALLENGE_MEMBER))


def json_member(body: bytes, name: str) -> object:
    """Return a member of a JSON object, or ``None`` where there is no such thing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document.get(name) if isinstance(document, dict) else None


def _keep(values: dict[str, str], server: Server, value: object) -> None:
    if isinstance(value, str) and _VALUE.fullmatch(value):
        values[server.audience] = value
