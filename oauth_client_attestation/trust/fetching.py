"""Fetching a JWK Set by URL (rule T2): one GET, of which every octet is somebody else's.

An administrator enters the URL, but what its host, its DNS and its server do is not the administrator's. No redirect is
followed: no specification asks for it, and each would be a new URL that nobody entered. django-oauth-toolkit's
``SafeMetadataFetcher`` is not used: its time limit is one on single reads, and it knows no reasons.
"""

from __future__ import annotations

import codecs
import io
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..conf import app_settings
from .connections import BoundedReader, Deadline, connection_to
from .jwks import EnteredKey, parse_published_jwks
from .location import Location
from .outcomes import FetchFailed, FetchOutcome

__all__ = ["FetchFailed", "FetchOutcome", "Location", "fetch_jwk_set"]

#: Octets beside the content: status line, header fields, sizes of chunks.
_FRAMING: Final = 65536
_MEDIA_TYPES: Final = ("application/jwk-set+json", "application/json")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_OUTCOMES: Final = {
    "jwks_json": FetchOutcome.NOT_A_JWK_SET,
    "jwks_not_a_set": FetchOutcome.NOT_A_JWK_SET,
    "jwks_empty": FetchOutcome.NO_USABLE_KEY,
    "jwks_unusable": FetchOutcome.NO_USABLE_KEY,
    "jwks_too_many": FetchOutcome.TOO_MANY_KEYS,
    "jwks_unnamed": FetchOutcome.TOO_MANY_KEYS,
    "jwk_private": FetchOutcome.PRIVATE_KEY,
    "jwk_duplicate": FetchOutcome.REPEATED_KEY,
    "jwk_duplicate_kid": FetchOutcome.REPEATED_KEY,
}


def fetch_jwk_set(url: str, *, timeout: float | None = None, tls: ssl.SSLContext | None = None) -> list[EnteredKey]:
    """Fetch a JWK Set (RFC 7517 section 5) and return the keys in it that can be used, at least one.

    Blocks for ``timeout`` at most. Not to be called while a database transaction is open.

    :param timeout: seconds for everything together; None: ``JWKS_TIMEOUT``.
    :param tls: for certificates of an authority that the system does not trust; None: those it trusts.
    :raises FetchFailed: for any other result.
    """
    location = Location.parse(url)
    limit = app_settings.jwks_max_bytes
    deadline = Deadline(app_settings.jwks_timeout if timeout is None else timeout)
    try:
        with connection_to(
            location.host,
            location.port,
            deadline,
            allow_private=location.allowed_private,
            encrypt=location.secure,
            tls=tls,
        ) as connection:
            connection.sendall(_request(location))
            content = _content(BoundedReader(connection, deadline, limit + _FRAMING), limit)
    except TimeoutError as error:
        raise FetchFailed(FetchOutcome.TIMEOUT) from error
    except ssl.SSLError as error:
        raise FetchFailed(FetchOutcome.TLS, _tls_detail(error)) from error
    except (HTTPException, ValueError):  # the latter for sizes that are none; not chained: they quote the answer
        raise FetchFailed(FetchOutcome.BAD_RESPONSE) from None
    except OSError as error:
        raise FetchFailed(FetchOutcome.UNREACHABLE) from error
    return _keys(content)


def _request(location: Location) -> bytes:
    lines = (
        f"GET {location.target} HTTP/1.1",
        f"Host: {location.authority}",
        f"Accept: {', '.join(_MEDIA_TYPES)}",
        "Accept-Encoding: identity",
        "User-Agent: django-oauth-client-attestation",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode("ascii")


@dataclass(frozen=True, slots=True)
class _Source:
    """All of a socket that :class:`HTTPResponse` uses."""

    reader: BoundedReader

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reader)


def _content(reader: BoundedReader, limit: int) -> bytes:
    """Read the response and return its content, once its header is one that a JWK Set may have."""
    with HTTPResponse(cast(socket.socket, _Source(reader)), method="GET") as response:
        response.begin()
        if response.status in _REDIRECTS:
            raise FetchFailed(FetchOutcome.REDIRECT)
        if response.status != 200:
            raise FetchFailed(FetchOutcome.STATUS, _("The status is %(status)d.") % {"status": response.status})
        # The charset is not looked at: JSON is UTF-8 (RFC 8259 section 8.1), and some servers claim another.
        if response.headers.get_content_type() not in _MEDIA_TYPES:
            raise FetchFailed(FetchOutcome.CONTENT_TYPE)
        # Nothing is decompressed, so that a few octets cannot become many.
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise FetchFailed(FetchOutcome.CONTENT_ENCODING)
        if (response.length or 0) > limit:
            raise FetchFailed(FetchOutcome.TOO_LARGE)
        content = response.read(limit + 1)
        if len(content) > limit:
            raise FetchFailed(FetchOutcome.TOO_LARGE)
        if response.length:  # announced, and missing
            raise FetchFailed(FetchOutcome.BAD_RESPONSE)
    return content


def _keys(content: bytes) -> list[EnteredKey]:
    try:
        # RFC 8259 section 8.1 forbids the mark and allows it to be ignored; editors still write it.
        return parse_published_jwks(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        raise FetchFailed(_OUTCOMES[error.code or ""], " ".join(error.messages)) from None


def _tls_detail(error: ssl.SSLError) -> str:
    """Return what OpenSSL says of the certificate; it is none of the server's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _("The certificate is not accepted: %(problem)s.") % {"problem": error.verify_message.rstrip(".")}
    return ""
