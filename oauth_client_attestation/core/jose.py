"""The border to the JOSE library: the only module that imports jwcrypto.

Signatures are checked by jwcrypto's algorithms over keys loaded by ``cryptography``. Its own ``JWK`` object is
not used: building one costs more than verifying a signature, and an instance key is new with every
attestation.

Foreign exceptions end here. Parsing is strict (A10): a payload that two parsers could read differently is
refused before anyone reads it. What was parsed but not verified is called ``Unverified…``; a signature is
checked by :func:`verify_signature` alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidSignature as CryptographyInvalidSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from jwcrypto.common import JWException
from jwcrypto.jwa import JWA

MIN_RSA_BITS: Final = 2048
#: An upper bound too: verifying with an absurdly large key is work that a stranger could order.
MAX_RSA_BITS: Final = 8192

# alg -> (kty, crv, octets of the signature; for RSA as many as the modulus has). RFC 7518, RFC 8037, RFC 9864.
_ALGORITHMS: Final[Mapping[str, tuple[str, str | None, int | None]]] = {
    "ES256": ("EC", "P-256", 64),
    "ES384": ("EC", "P-384", 96),
    "ES512": ("EC", "P-521", 132),
    "EdDSA": ("OKP", "Ed25519", 64),
    "Ed25519": ("OKP", "Ed25519", 64),
    "RS256": ("RSA", None, None),
    "RS384": ("RSA", None, None),
    "RS512": ("RSA", None, None),
    "PS256": ("RSA", None, None),
    "PS384": ("RSA", None, None),
    "PS512": ("RSA", None, None),
}
_LONGEST_REMEMBERED_HEADER: Final = 512
#: Levels of nesting in a header or payload. What has a meaning here needs three; claims of others may need more.
_MAX_DEPTH: Final = 200
#: Every asymmetric algorithm a deployment may list.
ASYMMETRIC_ALGORITHMS: Final = frozenset(_ALGORITHMS)
# alg -> octets of the MAC, which are also the fewest that its secret may have (RFC 7518 section 3.2).
_MAC_OCTETS: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
#: The algorithms of an attester with a shared secret (T4).
MAC_ALGORITHMS: Final = frozenset(_MAC_OCTETS)

_CURVES: Final[Mapping[str, tuple[EllipticCurve, int]]] = {
    "P-256": (SECP256R1(), 32),
    "P-384": (SECP384R1(), 48),
    "P-521": (SECP521R1(), 66),
}
_ED25519_PRIME: Final = 2**255 - 19
#: The y coordinates of the points whose order is 1, 2, 4 or 8.
_ED25519_SMALL_ORDER: Final = frozenset(
    {
        0,
        1,
        _ED25519_PRIME - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
#: What a public key of each type consists of (RFC 7518 section 6, RFC 8037 section 2).
PUBLIC_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}


class MalformedJwt(ValueError):
    """Not a JWS in compact serialization over one strict JSON object (A10)."""


class InvalidKey(ValueError):
    """A JWK that is not an acceptable public key. ``str()`` says why without showing the key."""


class PrivateKey(InvalidKey):
    """The JWK has private or symmetric members."""


class WeakKey(InvalidKey):
    """The JWK is a public key, but too weak, or larger than anyone needs."""


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


class _LoadedKey:
    """The part of jwcrypto's key interface that its signature algorithms use for verifying."""

    __slots__ = ("_key", "_members")

    def __init__(
        self, key: EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey, members: Mapping[str, str]
    ) -> None:
        self._key = key
        self._members = members

    def __getitem__(self, name: str) -> str:
        return self._members[name]

    def get_op_key(self, operation: str, arg: str | None = None) -> object:
        """Return the key for ``verify``; :meth:`PublicKey.fits` has compared the curve already."""
        if operation != "verify":
            raise ValueError("a public key only verifies")
        return self._key


class _LoadedSecret:
    """The same of a shared secret."""

    __slots__ = ("_encoded",)

    def __init__(self, secret: bytes) -> None:
        self._encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")

    def get_op_key(self, operation: str, arg: str | None = None) -> str:
        """Return the secret as ``k`` of a JWK."""
        return self._encoded


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that passed :func:`parse_public_key`. Equal keys have equal thumbprints (RFC 7638)."""

    thumbprint: str
    key_type: str
    curve: str | None
    algorithm: str | None = field(compare=False)
    modulus_octets: int | None = field(compare=False)
    loaded: _LoadedKey = field(compare=False, repr=False)

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by ``algorithm`` can be verified with this key (A2, P2)."""
        wanted = _ALGORITHMS.get(algorithm)
        if wanted is None or wanted[0] != self.key_type or wanted[1] not in (None, self.curve):
            return False
        # RFC 7517 section 4.4: a key that names its algorithm is for that one; RFC 9864 gave EdDSA over
        # Ed25519 a second name.
        return self.algorithm is None or _canonical_name(self.algorithm) == _canonical_name(algorithm)

    def signature_octets(self, algorithm: str) -> int | None:
        """Return the one length that a signature by ``algorithm`` has."""
        return _ALGORITHMS[algorithm][2] or self.modulus_octets


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A secret that an attester shares with the server (T4). It never comes from a token.

    :ivar secret: at least 32 octets; HS384 and HS512 need 48 and 64.
    """

    secret: bytes = field(repr=False)
    loaded: _LoadedSecret = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "loaded", _LoadedSecret(self.secret))

    def fits(self, algorithm: str) -> bool:
        """Whether it is long enough for ``algorithm``, which is a MAC."""
        return len(self.secret) >= _MAC_OCTETS.get(algorithm, sys.maxsize)

    def signature_octets(self, algorithm: str) -> int | None:
        """Return the length of the MAC."""
        return _MAC_OCTETS[algorithm]


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
        claims=_json_object(_decode(parts[1])),
        signing_input=token[: len(token) - len(parts[2]) - 1].encode("ascii"),
        signature=_decode(parts[2]),
    )


def parse_public_key(jwk: object) -> PublicKey:
    """Accept a JWK as a public key for signatures (A7).

    :raises PrivateKey: it has private members, or is symmetric.
    :raises WeakKey: RSA below 2048 or above 8192 bits.
    :raises InvalidKey: anything else: not an object, an unknown type or curve, a point off its curve, a value
        that is not in its canonical encoding (one key must have one thumbprint), ``use`` or ``key_ops`` for
        something else.
    """
    if not isinstance(jwk, Mapping):
        raise InvalidKey("a JWK is a JSON object")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise PrivateKey("the JWK contains private key material")
    key_type = jwk.get("kty")
    if key_type == "oct":
        raise PrivateKey("the JWK is a symmetric key")
    members = PUBLIC_MEMBERS.get(key_type) if isinstance(key_type, str) else None
    if members is None:
        raise InvalidKey("the key type is not EC, OKP or RSA")
    public: dict[str, str] = {"kty": str(key_type)}
    for name in members:
        value = jwk.get(name)
        if not isinstance(value, str) or not value:
            raise InvalidKey(f"the member {name!r} is missing or not a string")
        public[name] = value
    _check_purpose(jwk)
    algorithm = jwk.get("alg")
    if algorithm is not None and not (isinstance(algorithm, str) and algorithm in _ALGORITHMS):
        raise InvalidKey("the member 'alg' names an algorithm that is not supported")
    try:
        key = _load_curve(public) if "crv" in public else _load_rsa(public)
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, InvalidKey):
            raise
        raise InvalidKey("the key's values do not make a valid public key") from error
    parsed = PublicKey(
        thumbprint=_thumbprint(public),
        key_type=public["kty"],
        curve=public.get("crv"),
        algorithm=algorithm,
        modulus_octets=(key.key_size + 7) // 8 if isinstance(key, RSAPublicKey) else None,
        loaded=_LoadedKey(key, public),
    )
    if algorithm is not None and not parsed.fits(algorithm):
        raise InvalidKey("the member 'alg' does not fit the key")
    return parsed


def public_key_of(key: object) -> PublicKey:
    """Accept a key that ``cryptography`` loaded, as from a certificate, by the rules of :func:`parse_public_key`.

    :raises InvalidKey: as there.
    """
    if isinstance(key, EllipticCurvePublicKey):
        point = key.public_numbers()
        for name, (curve, octets) in _CURVES.items():
            if curve.name == key.curve.name:
                x, y = (_encode(number.to_bytes(octets, "big")) for number in (point.x, point.y))
                return parse_public_key({"kty": "EC", "crv": name, "x": x, "y": y})
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        n, e = (_encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        return parse_public_key({"kty": "RSA", "n": n, "e": e})
    if isinstance(key, Ed25519PublicKey):
        return parse_public_key({"kty": "OKP", "crv": "Ed25519", "x": _encode(key.public_bytes_raw())})
    raise InvalidKey("the key is not one of EC over P-256, P-384 or P-521, of RSA or of Ed25519")


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
    try:
        JWA.signing_alg(algorithm).verify(key.loaded, token.signing_input, token.signature)
    except (CryptographyInvalidSignature, JWException, ValueError) as error:
        raise InvalidSignature from error


def parse_json_object(text: bytes) -> dict[str, Any]:
    """Parse one JSON object strictly (A10): no duplicate member, no NaN or infinity, no lone surrogate.

    :raises MalformedJwt: otherwise.
    """
    return _json_object(text)


def _parse_header(segment: str) -> Mapping[str, Any]:
    """Parse a JOSE header. Signers repeat theirs to the letter, so most are parsed once.

    Long ones are not kept: nobody has verified them yet, and strangers could fill the memory.
    """
    if len(segment) <= _LONGEST_REMEMBERED_HEADER:
        return _parse_short_header(segment)
    return MappingProxyType(_json_object(_decode(segment)))


@lru_cache(maxsize=256)
def _parse_short_header(segment: str) -> Mapping[str, Any]:
    return MappingProxyType(_json_object(_decode(segment)))


def _canonical_name(algorithm: str) -> str:
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use") not in (None, "sig"):
        raise InvalidKey("the member 'use' is not 'sig'")
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        raise InvalidKey("the member 'key_ops' does not include 'verify'")


def _thumbprint(public: Mapping[str, str]) -> str:
    """RFC 7638 over the required members: names and base64url by now, with nothing in them to escape."""
    members = ",".join([f'"{name}":"{public[name]}"' for name in sorted(public)])
    digest = hashlib.sha256(f"{{{members}}}".encode("ascii")).digest()
    return _encode(digest)


def _load_rsa(public: Mapping[str, str]) -> RSAPublicKey:
    modulus, exponent = (_canonical_integer(public[name]) for name in ("n", "e"))
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise WeakKey(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 32:
        raise WeakKey("the RSA exponent is not an odd number of 3 or more and 32 bits at most")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _load_curve(public: Mapping[str, str]) -> EllipticCurvePublicKey | Ed25519PublicKey:
    curve = public["crv"]
    if public["kty"] == "OKP" and curve == "Ed25519":
        return Ed25519PublicKey.from_public_bytes(_edwards_point(public["x"]))
    if public["kty"] != "EC" or curve not in _CURVES:
        raise InvalidKey("the curve is not P-256, P-384, P-521 or Ed25519")
    parameters, octets = _CURVES[curve]
    x, y = (int.from_bytes(_coordinate(public[name], octets), "big") for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, parameters).public_key()  # refuses a point off the curve


def _edwards_point(value: str) -> bytes:
    """Return the encoded point of an Ed25519 key (RFC 8032 section 5.1.2), refusing what the library lets pass.

    Under a point of small order one signature is good for every message; above the prime, a second encoding
    would give the same key a second thumbprint.
    """
    octets = _coordinate(value, 32)
    y = int.from_bytes(octets, "little") & ((1 << 255) - 1)  # without the sign of x
    if y >= _ED25519_PRIME or y in _ED25519_SMALL_ORDER:
        raise WeakKey("the point is of small order, or not in its canonical encoding")
    return octets


def _coordinate(value: str, length: int) -> bytes:
    octets = _canonical_octets(value)
    if len(octets) != length:
        raise InvalidKey("a coordinate has the wrong length for its curve")
    return octets


def _canonical_octets(value: str) -> bytes:
    try:
        octets = _decode(value)
    except MalformedJwt as error:
        raise InvalidKey("a value is not base64url") from error
    if _encode(octets) != value:
        raise InvalidKey("a value is not in canonical base64url")
    return octets


def _canonical_integer(value: str) -> int:
    octets = _canonical_octets(value)
    if octets[:1] == b"\0":  # RFC 7518 section 2, Base64urlUInt: the fewest octets possible
        raise InvalidKey("a number has leading zero octets")
    return int.from_bytes(octets, "big")


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        octets = text.encode("ascii").translate(_BASE64_ALPHABET)
        return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4), strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are
        raise MalformedJwt("not base64url") from error


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedJwt("not strict JSON") from error
    if not isinstance(value, dict):
        raise MalformedJwt("not a JSON object")
    if text.count(b"[") + text.count(b"{") > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise MalformedJwt("nested too deeply")
    if b"\\u" in text:
        try:  # an escaped lone surrogate makes a string that no encoder, database or log can take
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise MalformedJwt("a string is not Unicode") from error
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested deeper than that. Interpreters differ in what they give up on."""
    level = [value]
    for _ in range(levels):
        containers = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in containers for child in items if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


#: base64url to base64; the characters that only base64 has lead nowhere.
_BASE64_ALPHABET: Final = bytes.maketrans(b"-_+/=", b"+/???")

_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_finite, parse_float=_finite)
