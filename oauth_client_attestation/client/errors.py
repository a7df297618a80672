"""What the client kit refuses to do. No message contains a token or a key."""

from __future__ import annotations


class ClientKitError(Exception):
    """The base of what the client kit raises."""


class ForeignOrigin(ClientKitError):
    """A request goes where its attestation and proof were not made for. Nothing was sent."""


class RedirectRefused(ForeignOrigin):
    """A server redirects a request with an attestation or a proof to another origin."""


class UnusableAttestation(ClientKitError):
    """An attestation is malformed, or for another key than the instance's."""


class ChallengeUnavailable(ClientKitError):
    """The challenge endpoint takes too long to answer, or its answer is too long. It is not asked again."""
