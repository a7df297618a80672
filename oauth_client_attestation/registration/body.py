"""The body of a registration request: read once, strictly, and shown to the host in words that it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from .client_metadata import InvalidClientMetadata


def read_metadata(request: HttpRequest) -> dict[str, Any]:
    """Return the client metadata of a request (RFC 7591 section 3.1), without members that are ``null``, which say
    as much as ones that are not there (RFC 7592 section 2.2).

    :raises InvalidClientMetadata: if it is no JSON object, or has strings that no database takes, URIs that the
        host could not take to pieces or a name that is none.
    """
    try:
        metadata = json.loads(request.body)
        if isinstance(metadata, dict):
            _check_strings(metadata)
            _check_redirect_uris(metadata.get("redirect_uris"))
            return _with_a_name({name: value for name, value in metadata.items() if value is not None})
    except (ValueError, RecursionError, RequestDataTooBig) as error:  # a UnicodeError is a ValueError
        raise InvalidClientMetadata("The request body cannot be read as client metadata.") from error
    raise InvalidClientMetadata("The request body must be a JSON object.")


def _check_strings(value: Any) -> None:
    """:raises ValueError: for a NUL, which PostgreSQL does not store, or half of a surrogate pair, which none does."""
    if isinstance(value, str):
        value.encode("utf-8")
        if "\0" in value:
            raise ValueError
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_strings(name)
            _check_strings(item)


def _check_redirect_uris(uris: Any) -> None:
    """Do with them what the host does. :raises ValueError: if it would be a server error there."""
    for uri in uris if isinstance(uris, list) else ():
        if isinstance(uri, str):
            _ = urlsplit(uri).port


def _with_a_name(metadata: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(metadata.get("client_name", ""), str):
        raise InvalidClientMetadata("client_name must be a string.")
    return metadata


@contextmanager
def shown_as(request: HttpRequest, metadata: Mapping[str, Any]) -> Iterator[None]:
    """Have the host read other metadata from the request for as long as the block lasts."""
    original = request.body
    request._body = json.dumps(metadata).encode()  # what `body` returns, once read
    try:
        yield
    finally:
        request._body = original
