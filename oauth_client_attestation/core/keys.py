"""The keys that verify signatures, and the algorithms each is for (rules A2, P2, T4)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LoadedKey: TypeAlias = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

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
#: Every asymmetric algorithm a deployment may list.
ASYMMETRIC_ALGORITHMS: Final = frozenset(_ALGORITHMS)
# alg -> octets of the MAC, which are also the fewest that its secret may have (RFC 7518 section 3.2).
_MAC_OCTETS: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
#: The algorithms of an attester with a shared secret (T4).
MAC_ALGORITHMS: Final = frozenset(_MAC_OCTETS)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that passed :func:`~.jwk.parse_public_key`. Equal keys have equal thumbprints (RFC 7638).

    :ivar algorithm: the ``alg`` it names, if any.
    :ivar modulus_octets: of an RSA key.
    :ivar jwk: the members that make the key, and no other (RFC 7638 section 3.2).
    """

    thumbprint: str
    key_type: str
    curve: str | None
    algorithm: str | None = field(compare=False)
    modulus_octets: int | None = field(compare=False)
    jwk: Mapping[str, str] = field(compare=False, repr=False)
    loaded: LoadedKey = field(compare=False, repr=False)

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

    def fits(self, algorithm: str) -> bool:
        """Whether it is long enough for ``algorithm``, which is a MAC."""
        return len(self.secret) >= _MAC_OCTETS.get(algorithm, sys.maxsize)

    def signature_octets(self, algorithm: str) -> int | None:
        """Return the length of the MAC."""
        return _MAC_OCTETS[algorithm]


def _canonical_name(algorithm: str) -> str:
    return "Ed25519" if algorithm == "EdDSA" else algorithm
