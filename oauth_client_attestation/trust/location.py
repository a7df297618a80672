"""Where a JWK Set is: a URL, taken apart strictly before anything is connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ..conf import app_settings
from .outcomes import FetchFailed, FetchOutcome

DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# RFC 3986 section 2. urlsplit() silently drops tabs and line feeds, which two parsers may read differently.
_URL: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


@dataclass(frozen=True, slots=True)
class Location:
    """The parts of a URL that a request needs.

    :ivar host: in lower case; an IPv6 address without its brackets.
    :ivar target: path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Location:
        """Take a URL apart.

        :raises FetchFailed: ``BAD_URL`` or ``NOT_HTTPS``; nothing has been resolved or connected to.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:  # brackets that do not match, or a port that is no port
            raise FetchFailed(FetchOutcome.BAD_URL) from error
        if not _URL.fullmatch(url) or not host or port == 0 or "@" in parts.netloc or "#" in url:
            raise FetchFailed(FetchOutcome.BAD_URL)
        if parts.scheme not in DEFAULT_PORTS:
            raise FetchFailed(FetchOutcome.NOT_HTTPS)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        location = cls(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], target)
        if not location.secure and not location.allowed_private:
            raise FetchFailed(FetchOutcome.NOT_HTTPS)
        return location

    @property
    def secure(self) -> bool:
        """Whether it is https."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port, as the ``Host`` field has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def allowed_private(self) -> bool:
        """Whether ``JWKS_ALLOWED_PRIVATE_HOSTS`` names this host and port."""
        port = None if self.port == DEFAULT_PORTS[self.scheme] else self.port
        hosts = app_settings.jwks_allowed_private_hosts
        return (self.host, self.port) in hosts or (port is None and (self.host, None) in hosts)
