"""Whom proofs are made for, and where they may be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ..core import wire
from .errors import ForeignOrigin

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
#: Metadata of an authorization server: where clients authenticate, and where challenges are had.
_ENDPOINTS: Final = (
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
    wire.METADATA_PAR_ENDPOINT,
    wire.METADATA_CHALLENGE_ENDPOINT,
)


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server or a protected resource.

    Challenges and nonces are remembered for each server by its ``audience``, and believed from its ``origins`` only.

    :ivar audience: what a proof names: the issuer of an authorization server (RFC 8414), or the identifier of a
        resource (RFC 9728), exactly as in its metadata.
    :ivar origins: where a request may go, each as :func:`origin` returns it.
    :ivar challenge_endpoint: where a challenge or a nonce is had ahead of the first request (section 6.3).
    """

    audience: str
    origins: frozenset[str]
    challenge_endpoint: str | None = None

    def __post_init__(self) -> None:
        if self.challenge_endpoint is not None:
            self.check(self.challenge_endpoint)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], *, issuer: str) -> Server:
        """Return an authorization server by its metadata document.

        :param issuer: the issuer that the client is configured for, and whose document this should be.
        :raises ValueError: the document is another issuer's (RFC 8414 section 3.3) or no JSON object, or an endpoint is
            not a URL.
        """
        if not isinstance(metadata, Mapping):
            raise ValueError("the metadata is not an object")
        if metadata.get("issuer") != issuer:
            raise ValueError("the metadata is not that of the expected issuer")
        endpoints = [metadata[name] for name in _ENDPOINTS if metadata.get(name) is not None]
        return cls(
            audience=issuer,
            origins=frozenset(map(origin, [issuer, *endpoints])),
            challenge_endpoint=metadata.get(wire.METADATA_CHALLENGE_ENDPOINT),
        )

    @classmethod
    def resource(cls, identifier: str, *, challenge_endpoint: str | None = None) -> Server:
        """Return a protected resource by its identifier, a URL.

        :raises ValueError: ``identifier`` is not an http or https URL.
        """
        return cls(identifier, frozenset({origin(identifier)}), challenge_endpoint)

    def check(self, url: str) -> None:
        """Do nothing if ``url`` is at this server.

        :raises ForeignOrigin: it is somewhere else.
        """
        if not self.serves(url):
            raise ForeignOrigin(f"{_shown(url)} does not belong to {self.audience}, for which the proof would be")

    def serves(self, url: str) -> bool:
        """Whether ``url`` is at one of this server's origins."""
        try:
            return origin(url) in self.origins
        except ValueError:
            return False


def origin(url: str) -> str:
    """Return scheme, host and port of a URL (RFC 6454), in lower case and without a default port.

    :raises ValueError: it is not an absolute http or https URL.
    """
    parts = urlsplit(url if isinstance(url, str) else "")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an absolute http or https URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _shown(url: str) -> str:
    """Return what of a URL may be in a message: neither path nor query, which may hold a code or a token."""
    try:
        return origin(url)
    except ValueError:
        return "the request's URL"
