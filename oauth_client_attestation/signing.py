"""Keys that sign: what client instances, attesters and the kit for tests have in common. Needs no Django.

Verifying is the core's business (``core.jose``); it also says which keys are acceptable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from .core.jose import UnsuitableAlgorithm
from .core.jwk import InvalidKey, parse_public_key

_KEY_PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
    **{name: {"kty": "RSA", "size": 2048} for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
}
#: The first that most servers accept; whoever needs another names it.
_USUAL_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "PS256")


def generate_key(algorithm: str = "ES256") -> JWK:
    """Return a new private key for ``algorithm``."""
    return JWK.generate(**_KEY_PARAMETERS[algorithm])


def load_private_key(octets: bytes) -> JWK:
    """Return the private key of a JWK, or of a PEM block without a passphrase, which has no ``kid``.

    :raises InvalidKey: it is neither. Nothing of it is in the message.
    """
    try:
        if octets.lstrip().startswith(b"{"):
            key = JWK.from_json(octets.decode("utf-8"))
        else:
            members = JWK.from_pem(octets).export(as_dict=True)
            del members["kid"]  # that of jwcrypto's making: nobody has registered it
            key = JWK(**members)
    except (JWException, ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause, which may quote the file.
        raise InvalidKey("the key is neither a JWK nor an unencrypted private key in PEM") from None
    own_public_jwk(key)
    return key


def public_jwk(key: JWK) -> dict[str, Any]:
    """Return the public part of ``key`` as a JWK, with its ``kid`` and other parameters."""
    members: dict[str, Any] = json.loads(key.export_public())
    return members


def bare_jwk(jwk: object) -> dict[str, Any]:
    """Return the members that make up a public key, and no others: what ``cnf`` and DPoP headers carry.

    :raises InvalidKey: it is no acceptable public key; :class:`~.core.jwk.PrivateKey` for one with private
        members, :class:`~.core.jwk.WeakKey` for a weak one (section 7.1; rule A7).
    """
    return dict(parse_public_key(jwk).jwk)


def own_public_jwk(key: JWK) -> dict[str, Any]:
    """Return the same of one's own key.

    :raises InvalidKey: as :func:`bare_jwk`, and for a symmetric or public key.
    """
    return bare_jwk(_verifying(key))


def suitable_algorithm(key: JWK, algorithm: str | None = None) -> str:
    """Return the algorithm that ``key`` signs with: ``algorithm``, the key's own, or the usual one for its type.

    :raises InvalidKey: a symmetric key, a public one, or one that servers would refuse as too weak.
    :raises UnsuitableAlgorithm: ``algorithm`` does not fit the key, or contradicts its ``alg``.
    """
    parsed = parse_public_key(_verifying(key))
    wanted = algorithm or parsed.algorithm
    candidates = (wanted,) if wanted else _USUAL_ALGORITHMS
    for candidate in candidates:
        if parsed.fits(candidate):
            return candidate
    raise UnsuitableAlgorithm(f"{wanted} does not fit the key")


def sign(key: JWK, header: Mapping[str, Any], payload: Mapping[str, Any] | str | bytes) -> str:
    """Return a compact JWS. A ``str`` or ``bytes`` payload is signed as it is, valid JSON or not."""
    body = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    jws = JWS(body)
    jws.allowed_algs = [*jws.allowed_algs, str(header["alg"])]
    jws.add_signature(key, None, json.dumps(header), None)
    token: str = jws.serialize(compact=True)
    return token


def _verifying(key: JWK) -> dict[str, Any]:
    if not key.has_private:
        raise InvalidKey("the key is not the private key of a pair")
    # `use` and `key_ops` of a private key are about signing, and jwcrypto copies them.
    return {name: value for name, value in public_jwk(key).items() if name not in {"use", "key_ops"}}
