"""Public keys as JWKs (rule A7): which are accepted, and their thumbprints (RFC 7517, RFC 7518, RFC 7638, RFC 8037)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

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

from .keys import ASYMMETRIC_ALGORITHMS, PublicKey
from .strict import MalformedJwt, decode_base64url, encode_base64url

MIN_RSA_BITS: Final = 2048
#: An upper bound too: verifying with an absurdly large key is work that a stranger could order.
MAX_RSA_BITS: Final = 8192

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
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}


class InvalidKey(ValueError):
    """A JWK that is not an acceptable public key. ``str()`` says why without showing the key."""


class PrivateKey(InvalidKey):
    """The JWK has private or symmetric members."""


class WeakKey(InvalidKey):
    """The JWK is a public key, but too weak, or larger than anyone needs."""


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
    members = _MEMBERS.get(key_type) if isinstance(key_type, str) else None
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
    if algorithm is not None and not (isinstance(algorithm, str) and algorithm in ASYMMETRIC_ALGORITHMS):
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
        jwk=MappingProxyType(public),
        loaded=key,
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
                x, y = (_encode_integer(number, octets) for number in (point.x, point.y))
                return parse_public_key({"kty": "EC", "crv": name, "x": x, "y": y})
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        n, e = (_encode_integer(number, -(-number.bit_length() // 8)) for number in (numbers.n, numbers.e))
        return parse_public_key({"kty": "RSA", "n": n, "e": e})
    if isinstance(key, Ed25519PublicKey):
        return parse_public_key({"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key.public_bytes_raw())})
    raise InvalidKey("the key is not one of EC over P-256, P-384 or P-521, of RSA or of Ed25519")


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
    return encode_base64url(digest)


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


def _encode_integer(number: int, octets: int) -> str:
    return encode_base64url(number.to_bytes(octets, "big"))


def _canonical_octets(value: str) -> bytes:
    try:
        octets = decode_base64url(value)
    except MalformedJwt as error:
        raise InvalidKey("a value is not base64url") from error
    if encode_base64url(octets) != value:
        raise InvalidKey("a value is not in canonical base64url")
    return octets


def _canonical_integer(value: str) -> int:
    octets = _canonical_octets(value)
    if octets[:1] == b"\0":  # RFC 7518 section 2, Base64urlUInt: the fewest octets possible
        raise InvalidKey("a number has leading zero octets")
    return int.from_bytes(octets, "big")
