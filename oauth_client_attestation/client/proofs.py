"""What proofs say, before they are signed: header parameters and claims (section 5.1; RFC 9449 section 4.2)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from ..core import wire
from ..core.strict import encode_base64url
from .servers import origin


def pop_parts(
    audience: str, *, algorithm: str, now: float, challenge: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a Client Attestation PoP JWT in the shape of revision -12.

    :param audience: the issuer of the authorization server, or the identifier of the resource.
    :param now: seconds since the epoch.
    :param challenge: the latest challenge of that server.
    """
    claims: dict[str, Any] = {"aud": audience, "jti": str(uuid.uuid4()), "iat": int(now)}
    if challenge is not None:
        claims["challenge"] = challenge
    return {"typ": wire.POP_TYP, "alg": algorithm}, claims


def target_of(url: str) -> str:
    """Return the ``htu`` of a URL: without query and fragment."""
    return origin(url) + (urlsplit(url).path or "/")


def dpop_parts(
    method: str,
    target: str,
    *,
    jwk: Mapping[str, Any],
    algorithm: str,
    now: float,
    nonce: str | None = None,
    access_token: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a DPoP proof.

    :param target: the request's URL, without query and fragment.
    :param jwk: the public key, without any other members.
    :param now: seconds since the epoch.
    :param nonce: the latest nonce of that server.
    :param access_token: the token that goes with the request (``ath``).
    """
    claims: dict[str, Any] = {
        "jti": str(uuid.uuid4()),
        "htm": method,
        "htu": target,
        "iat": int(now),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = encode_base64url(sha256(access_token.encode("utf-8")).digest())
    return {"typ": wire.DPOP_TYP, "alg": algorithm, "jwk": dict(jwk)}, claims
