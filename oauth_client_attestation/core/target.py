"""The target URI of a request, in the one form in which two of them are compared (D3; RFC 9449 section 4.3)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# RFC 3986, for what can be the target of a request: no user information, no zone, no percent-encoding in the host.
# Its own grammar, since the standard library drops a tab or a line feed in silence and reads brackets differently
# from release to release. A path may have what browsers leave as it is, such as "|", "[" or a lone "%".
_TARGET: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9._~-]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/[!$-;=@-\[\]^_a-z|~]*)?)"
    r"(?:[?#].*)?",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def normalised_target(uri: str) -> str:
    """Return an http(s) URI without query and fragment, normalised (RFC 3986 sections 6.2.2 and 6.2.3).

    Scheme and host in lower case, no default port, no dot segments, ``/`` for an empty path. Every octet of the
    path is spelled one way, whether it needed its percent-encoding or not: a web application is given the path
    decoded, so it could not tell ``%2F`` from ``/`` either.

    :raises ValueError: if it is no absolute http(s) URI with a host, or has user information.
    """
    match = _TARGET.fullmatch(uri)
    if match is None:
        raise ValueError("not an http(s) URI with a host")
    scheme, authority, port = match["scheme"].lower(), match["host"].lower(), match["port"]
    if port and int(port) != _DEFAULT_PORTS[scheme]:
        authority = f"{authority}:{int(port)}"
    return f"{scheme}://{authority}{_path(match['path'])}"


def _path(path: str) -> str:
    """Decode, take out the dot segments and encode again. Decoded first: ``%2e%2e`` is a dot segment too."""
    octets: list[bytes] = []
    segments = unquote_to_bytes(path).split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del octets[-1:]
        elif segment != b".":
            octets.append(segment)
    if segments and segments[-1] in (b".", b".."):
        octets.append(b"")
    return "/" + quote(b"/".join(octets))
