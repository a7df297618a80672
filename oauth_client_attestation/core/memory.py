"""Remembering attestations whose signature was verified, within one process.

An instance sends the same attestation with every request until it expires (section 10.2); the second time,
it need not be parsed and its signature need not be checked again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from .results import SignedAttestation, TrustedKey, UnverifiedAttestation


@dataclass(frozen=True, slots=True)
class RememberedAttestation:
    """An attestation as parsed, the key that verified it, and what was found."""

    unverified: UnverifiedAttestation
    trusted: TrustedKey
    signed: SignedAttestation


class AttestationMemory:
    """A bounded, thread-safe memory of verified signatures, by the whole token.

    An entry counts as verified only where the caller presents the same key of the same attester, with the same
    issuer, algorithms, maximum age and required claims, as trusted now: whoever withdraws a key or disables an
    attester withdraws the entry. Freshness and policy are not remembered. Only what was verified is kept, so a
    stranger cannot flush it.
    """

    def __init__(self, size: int) -> None:
        """:param size: the most entries kept; the least recently used goes first. 0 remembers nothing."""
        self._size = size
        self._entries: OrderedDict[str, RememberedAttestation] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, token: str) -> RememberedAttestation | None:
        """Return what is remembered of ``token``."""
        with self._lock:
            found = self._entries.get(token)
            if found is not None:
                self._entries.move_to_end(token)
            return found

    def remember(self, attestation: RememberedAttestation) -> None:
        """Keep what was verified."""
        if self._size <= 0:
            return
        with self._lock:
            self._entries[attestation.unverified.token] = attestation
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
