"""A client instance that authenticates by attestation, for Python programs. Needs no Django.

:class:`ClientInstance` holds a key and an attestation, :class:`Server` says whom the proofs are for. Both go into
the ``ClientAuth`` or ``ResourceAuth`` of the HTTP library in use: ``client.requests``, ``client.httpx``, or the
method for Authlib's clients in ``client.authlib`` and ``client.authlib_httpx``, each with an extra of that name.
"""

from __future__ import annotations

from .errors import ChallengeUnavailable, ClientKitError, ForeignOrigin, RedirectRefused, UnusableAttestation
from .instance import ClientInstance
from .servers import Server

__all__ = [
    "ChallengeUnavailable",
    "ClientInstance",
    "ClientKitError",
    "ForeignOrigin",
    "RedirectRefused",
    "Server",
    "UnusableAttestation",
]
