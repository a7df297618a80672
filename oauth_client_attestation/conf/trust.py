"""Settings: fetching JWK Sets by URL (rule T2)."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from .reader import SettingsReader

DEFAULTS: Final = {
    "JWKS_TIMEOUT": 5,
    "JWKS_MAX_BYTES": 65536,
    "JWKS_ALLOWED_PRIVATE_HOSTS": (),
}


class TrustSettings(SettingsReader):
    """How long, how much, and from where."""

    @cached_property
    def jwks_timeout(self) -> int:
        """``JWKS_TIMEOUT``: seconds for fetching a JWK Set, from the DNS to the last octet (rule T2).

        A total, so that a server that sends an octet now and then is given up as soon as one that is silent.
        """
        return self._integer("JWKS_TIMEOUT", 1, 60)

    @cached_property
    def jwks_max_bytes(self) -> int:
        """``JWKS_MAX_BYTES``: the most octets that a fetched JWK Set may have (rule T2)."""
        return self._integer("JWKS_MAX_BYTES", 1024, 1 << 20)

    @cached_property
    def jwks_allowed_private_hosts(self) -> frozenset[tuple[str, int | None]]:
        """``JWKS_ALLOWED_PRIVATE_HOSTS``: hosts whose JWK Set may have a private address, or plain http (rule T2).

        ``"host"`` is for the default port, ``"host:port"`` for another; ``[…]`` around an IPv6 address. Whoever
        can edit attesters can make the server send a GET there, so list only names that the operator controls.
        """
        value = self._values["JWKS_ALLOWED_PRIVATE_HOSTS"]
        if not isinstance(value, list | tuple | set | frozenset):
            raise self._wrong_hosts()
        return frozenset(map(self._host, value))

    def _host(self, entry: Any) -> tuple[str, int | None]:
        try:
            parts = urlsplit(f"//{entry}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise self._wrong_hosts() from error
        if not isinstance(entry, str) or not host or parts.netloc != entry or "@" in entry or entry.endswith(":"):
            raise self._wrong_hosts()
        return host, port

    def _wrong_hosts(self) -> Exception:
        return self._wrong("JWKS_ALLOWED_PRIVATE_HOSTS", 'a list of "host" or "host:port"')
