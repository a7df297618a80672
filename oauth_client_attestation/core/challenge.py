"""Rules C: challenges that every process of a deployment can check without shared state (section 6).

A challenge is ``base64url(time || random || tag)``: eight octets of Unix time, sixteen random ones and the
first sixteen of an HMAC-SHA256 over purpose, audience, time and random octets. It is opaque to the client,
54 characters of ``[A-Za-z0-9_-]``, and good for one purpose at one audience until its lifetime is over.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from .errors import ClientAttestationError, Reason
from .strict import MalformedJwt, decode_base64url, encode_base64url

_TIME_OCTETS: Final = 8
_RANDOM_OCTETS: Final = 16
_TAG_OCTETS: Final = 16
_OCTETS: Final = _TIME_OCTETS + _RANDOM_OCTETS + _TAG_OCTETS
_LENGTH: Final = -(-_OCTETS * 8 // 6)


@dataclass(frozen=True, slots=True)
class Challenges:
    """Issues and matches the challenges of one server.

    :ivar keys: secrets; the first signs, all of them verify, so that a rotation invalidates nothing (C4).
    :ivar context: what a challenge is good for: purpose and audience. Another context's is unknown here.
    :ivar lifetime: in seconds.
    """

    keys: tuple[bytes, ...]
    context: str
    lifetime: int

    def issue(self, now: float) -> str:
        """Return a new challenge. ``now`` is in seconds since the epoch."""
        body = int(now).to_bytes(_TIME_OCTETS, "big") + secrets.token_bytes(_RANDOM_OCTETS)
        return encode_base64url(body + self._tag(self.keys[0], body))

    def match(self, challenge: str, *, now: float, clock_skew: int) -> float:
        """Return the last moment at which ``challenge`` is good, in seconds since the epoch.

        :param clock_skew: how far the clock of the process that issued it may be ahead, in seconds.
        :raises ClientAttestationError: if this server did not issue it, or its lifetime is over.
        """
        octets = _octets(challenge)
        body, tag = octets[:-_TAG_OCTETS], octets[-_TAG_OCTETS:]
        matches = [hmac.compare_digest(tag, self._tag(key, body)) for key in self.keys]
        if not any(matches):
            raise ClientAttestationError(Reason.CHALLENGE_UNKNOWN)
        issued_at = int.from_bytes(body[:_TIME_OCTETS], "big")
        if issued_at > now + clock_skew:
            raise ClientAttestationError(Reason.CHALLENGE_UNKNOWN)
        if now > issued_at + self.lifetime:
            raise ClientAttestationError(Reason.CHALLENGE_EXPIRED)
        return float(issued_at + self.lifetime)

    def _tag(self, key: bytes, body: bytes) -> bytes:
        message = self.context.encode("utf-8") + b"\0" + body
        return hmac.digest(key, message, hashlib.sha256)[:_TAG_OCTETS]


def _octets(challenge: str) -> bytes:
    if len(challenge) != _LENGTH:
        raise ClientAttestationError(Reason.CHALLENGE_UNKNOWN)
    try:
        octets = decode_base64url(challenge)
    except MalformedJwt as error:
        raise ClientAttestationError(Reason.CHALLENGE_UNKNOWN) from error
    if encode_base64url(octets) != challenge:  # one challenge has one spelling
        raise ClientAttestationError(Reason.CHALLENGE_UNKNOWN)
    return octets
