"""Compact JWS (RFC 7515), and the border to the JOSE library: the only module of the core that imports jwcrypto.

Signatures are checked by jwcrypto's algorithms over keys loaded by ``cryptography``. Its own ``JWK`` object is
not used: building one costs more than verifying a signature, and an instance key is new with every
attestation.

Foreign exceptions end here. What was parsed but not verified is called ``Unverified…``; a signature is
checked by :func:`verify_signature` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidSignature as CryptographyInvalidSignature
from jwcrypto.common import JWException
from jwcrypto.jwa import JWA

from .keys import LoadedKey, PublicKey, SharedSecret
from .strict import MalformedJwt, decode_base64url, encode_base64url, parse_json_object

_LONGEST_REMEMBERED_HEADER: Final = 512


class InvalidSignature(ValueError):
    """The signature does not verify."""


class UnsuitableAlgorithm(ValueError):
    """The algorithm is unknown or does not fit the key."""


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A parsed JWS whose signature nobody has checked: for routing only."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes


def parse_unverified(token: str) -> UnverifiedJwt:
    """Split and parse a compact JWS without verifying it.

    :raises MalformedJwt: wrong number of parts, bad base64url, not UTF-8, not JSON, nested too deeply,
        duplicate members, a number without a finite value, or anything but an object.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise MalformedJwt("a compact JWS has three parts")
    return UnverifiedJwt(
        header=_parse_header(parts[0]),
        claims=parse_json_object(decode_base64url(parts[1])),
        signing_input=token[: len(token) - len(parts[2]) - 1].encode("ascii"),
        signature=decode_base64url(parts[2]),
    )


def verify_signature(token: UnverifiedJwt, key: PublicKey | SharedSecret, algorithm: str) -> None:
    """Check the signature of ``token`` with ``key``; returns nothing, since a bool would invite ``if not``.

    :raises UnsuitableAlgorithm: ``algorithm`` is unknown or not one for this key.
    :raises InvalidSignature: it does not verify.
    """
    if not key.fits(algorithm):
        raise UnsuitableAlgorithm
    # RFC 7518 section 3.4, RFC 8032 section 5.1.7, RFC 8017 section 8.1.2: neither shortened nor padded.
    if len(token.signature) != key.signature_octets(algorithm):
        raise InvalidSignature
    verifying = _VerifyingSecret(key) if isinstance(key, SharedSecret) else _VerifyingKey(key)
    try:
        JWA.signing_alg(algorithm).verify(verifying, token.signing_input, token.signature)
    except (CryptographyInvalidSignature, JWException, ValueError) as error:
        raise InvalidSignature from error


def _parse_header(segment: str) -> Mapping[str, Any]:
    """Parse a JOSE header. Signers repeat theirs to the letter, so most are parsed once.

    Long ones are not kept: nobody has verified them yet, and strangers could fill the memory.
    """
    if len(segment) <= _LONGEST_REMEMBERED_HEADER:
        return _parse_short_header(segment)
    return MappingProxyType(parse_json_object(decode_base64url(segment)))


@lru_cache(maxsize=256)
def _parse_short_header(segment: str) -> Mapping[str, Any]:
    return MappingProxyType(parse_json_object(decode_base64url(segment)))


class _VerifyingKey:
    """A public key behind the part of jwcrypto's key interface that its algorithms use to verify."""

    __slots__ = ("_key",)

    def __init__(self, key: PublicKey) -> None:
        self._key = key

    def __getitem__(self, name: str) -> str:
        return self._key.jwk[name]

    def get_op_key(self, operation: str, curve: str | None = None) -> LoadedKey:
        """Return the key; :meth:`PublicKey.fits` has compared the curve already."""
        return self._key.loaded


class _VerifyingSecret:
    """The same of a shared secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: SharedSecret) -> None:
        self._secret = secret

    def get_op_key(self, operation: str) -> str:
        """Return the secret as ``k`` of a JWK."""
        return encode_base64url(self._secret.secret)
