"""What a client says of attestation about itself (section 9; rule K1), wherever it says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..conf import app_settings
from ..core import wire
from ..core.keys import MAC_ALGORITHMS

#: The most entries that a list may have, and characters an entry: they are stored for whoever may register.
MAX_ENTRIES: Final = 32
MAX_LENGTH: Final = 64
_ENTRY: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_LENGTH}}}")
_MAC: Final = re.compile(r"HS\d+", re.IGNORECASE)
#: How possession is proven in each method.
_POP_METHOD: Final = {wire.METHOD_POP_JWT: wire.POP_METHOD_JWT, wire.METHOD_DPOP: wire.POP_METHOD_DPOP}


class InvalidClientMetadata(Exception):
    """Metadata that cannot be accepted (RFC 7591 section 3.2.2).

    ``str()`` of it is the public sentence. It names members, and never a value that the client sent.
    """


@dataclass(frozen=True, slots=True)
class AttestationMetadata:
    """The client metadata of section 9, validated.

    :ivar method: the ``token_endpoint_auth_method``, if it is one of this package's; None for every other one.
    :ivar attestation_algorithms: JWS algorithms for the attestation, None where the client did not say.
    :ivar pop_algorithms: the same for proofs.
    :ivar pop_methods: the ways in which it can prove possession, None where it did not say.
    """

    method: str | None
    attestation_algorithms: list[str] | None
    pop_algorithms: list[str] | None
    pop_methods: list[str] | None

    @property
    def members(self) -> dict[str, list[str]]:
        """The three lists under their names, as far as the client gave them."""
        lists = {
            wire.METADATA_ATTESTATION_ALGORITHMS: self.attestation_algorithms,
            wire.METADATA_POP_ALGORITHMS: self.pop_algorithms,
            wire.METADATA_POP_METHODS: self.pop_methods,
        }
        return {name: value for name, value in lists.items() if value is not None}


def read_attestation_metadata(metadata: Mapping[str, Any]) -> AttestationMetadata:
    """Validate the members of section 9 and the authentication method.

    The lists say what the client is capable of. One that has nothing in common with what this server accepts is
    refused, since the client could never authenticate; for the rest, the server's own lists decide.

    :param metadata: all the metadata of the client, parsed.
    :raises InvalidClientMetadata: if a member is malformed, has a forbidden value, or leaves nothing in common.
    """
    method = metadata.get("token_endpoint_auth_method")
    if method not in wire.METHODS:
        method = None
    elif method not in app_settings.methods:
        raise InvalidClientMetadata("This server does not offer the token_endpoint_auth_method.")
    read = AttestationMetadata(
        method=method,
        attestation_algorithms=_list(metadata, wire.METADATA_ATTESTATION_ALGORITHMS),
        pop_algorithms=_list(metadata, wire.METADATA_POP_ALGORITHMS, forbidden=_is_symmetric),
        pop_methods=_list(metadata, wire.METADATA_POP_METHODS),
    )
    if method is not None:
        _check_usable(method, read)
    return read


def _list(
    metadata: Mapping[str, Any], name: str, *, forbidden: Callable[[str], bool] = lambda value: False
) -> list[str] | None:
    """Return a list of values, None where there is no such member, or ``null``."""
    values = metadata.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not 0 < len(values) <= MAX_ENTRIES:
        raise InvalidClientMetadata(f"{name} must be an array of 1 to {MAX_ENTRIES} strings.")
    for value in values:
        if not isinstance(value, str) or not _ENTRY.fullmatch(value):
            raise InvalidClientMetadata(f"{name} must have strings of 1 to {MAX_LENGTH} visible ASCII characters.")
        if value.lower() == "none":
            raise InvalidClientMetadata(f"{name} must not have the value none.")
        if forbidden(value):
            raise InvalidClientMetadata(f"{name} must not have a symmetric algorithm.")
    return values


def _is_symmetric(algorithm: str) -> bool:
    return algorithm in MAC_ALGORITHMS or _MAC.fullmatch(algorithm) is not None


def _check_usable(method: str, read: AttestationMetadata) -> None:
    """Refuse what leaves the client no way to authenticate by its method."""
    by_secret = MAC_ALGORITHMS if app_settings.shared_secrets else ()  # T4
    by_attester = {*app_settings.attestation_algorithms, *by_secret}
    _check_common(wire.METADATA_ATTESTATION_ALGORITHMS, read.attestation_algorithms, by_attester)
    if method == wire.METHOD_POP_JWT:
        _check_common(wire.METADATA_POP_ALGORITHMS, read.pop_algorithms, app_settings.pop_algorithms)
    _check_common(wire.METADATA_POP_METHODS, read.pop_methods, {_POP_METHOD[method]})


def _check_common(name: str, values: list[str] | None, accepted: Collection[str]) -> None:
    if values is not None and set(values).isdisjoint(accepted):
        raise InvalidClientMetadata(f"{name} has nothing that this server accepts with this method.")
