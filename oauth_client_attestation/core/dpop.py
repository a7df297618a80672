"""Rules D3 and D4: the DPoP proof (RFC 9449 section 4.3), replay aside.

Replay needs memory, and recording a proof cannot be undone: the caller claims the proof once everything here has
passed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import wire
from .challenge import Challenges
from .claims import check_crit, check_typ, numeric_date, optional_text, text
from .errors import ClientAttestationError, Reason
from .jose import InvalidSignature, parse_unverified, verify_signature
from .jwk import InvalidKey, PrivateKey, parse_public_key
from .keys import PublicKey
from .pop import MAX_CHALLENGE_LENGTH, MAX_JTI_LENGTH
from .results import DpopDemands, VerifiedDpopProof
from .strict import MalformedJwt, encode_base64url
from .target import normalised_target

_NONCE_REASONS: Final = {
    Reason.CHALLENGE_UNKNOWN: Reason.DPOP_NONCE_UNKNOWN,
    Reason.CHALLENGE_EXPIRED: Reason.DPOP_NONCE_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a proof has to be for.

    :ivar method: of the HTTP request; case-sensitive (RFC 9110 section 9.1).
    :ivar uri: of the request, as the client sees it: behind a proxy, the proxy's.
    :ivar access_token: presented along with the proof; None where there is none.
    """

    method: str
    uri: str
    access_token: str | None = None


@dataclass(frozen=True, slots=True)
class DpopContext:
    """What a proof is checked against: the request that it came with, what is demanded, and the server's nonces."""

    target: Target
    demands: DpopDemands
    nonces: Challenges


def verify_dpop_proof(token: str, *, context: DpopContext, now: float) -> VerifiedDpopProof:
    """Verify a DPoP proof. It still has to be claimed, and its key compared with the one that is expected.

    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: with the reason of the first rule that refuses, in the order of section 4.3; the
        key comes before what it is needed for. Its numbers are beside the rules.
    """
    target, demands = context.target, context.demands
    try:
        jwt = parse_unverified(token)
    except MalformedJwt as error:
        raise ClientAttestationError(Reason.DPOP_MALFORMED) from error  # 2
    claims = jwt.claims
    jti = text(claims, "jti", Reason.DPOP_JTI, max_length=MAX_JTI_LENGTH)  # 3
    check_typ(jwt.header, wire.DPOP_TYP, Reason.DPOP_TYP)  # 4
    key = _key(jwt.header)  # 7
    algorithm = jwt.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in demands.algorithms or not key.fits(algorithm):  # 5
        raise ClientAttestationError(Reason.DPOP_ALGORITHM)
    check_crit(jwt.header, Reason.DPOP_CRIT)  # RFC 7515 section 4.1.11
    try:
        verify_signature(jwt, key, algorithm)  # 6
    except InvalidSignature as error:
        raise ClientAttestationError(Reason.DPOP_SIGNATURE) from error
    if claims.get("htm") != target.method:  # 8
        raise ClientAttestationError(Reason.DPOP_HTM)
    _check_uri(claims.get("htu"), target.uri)  # 9
    nonce = _nonce(claims, demands)  # 10
    nonce_until = None if nonce is None else _match(nonce, context, now)
    valid_until = _check_times(claims, nonce_until, demands, now)  # 11
    if target.access_token is not None:
        _check_access_token(claims.get("ath"), target.access_token)  # 12
    return VerifiedDpopProof(thumbprint=key.thumbprint, jti=jti, valid_until=valid_until, nonce=nonce)


def _key(header: Mapping[str, Any]) -> PublicKey:
    try:
        return parse_public_key(header.get("jwk"))
    except PrivateKey as error:
        raise ClientAttestationError(Reason.DPOP_JWK_PRIVATE) from error
    except InvalidKey as error:
        raise ClientAttestationError(Reason.DPOP_JWK) from error


def _check_uri(claimed: Any, expected: str) -> None:
    try:
        same = isinstance(claimed, str) and normalised_target(claimed) == normalised_target(expected)
    except ValueError as error:
        raise ClientAttestationError(Reason.DPOP_HTU) from error
    if not same:
        raise ClientAttestationError(Reason.DPOP_HTU)


def _nonce(claims: Mapping[str, Any], demands: DpopDemands) -> str | None:
    """Return the nonce to be matched. Where this server hands out none, one of another server means nothing."""
    if demands.nonce == "off":
        return None
    nonce = optional_text(claims, "nonce", Reason.DPOP_NONCE_MALFORMED, max_length=MAX_CHALLENGE_LENGTH)
    if nonce is None and demands.nonce == "required":
        raise ClientAttestationError(Reason.DPOP_NONCE_MISSING)
    return nonce


def _match(nonce: str, context: DpopContext, now: float) -> float:
    try:
        return context.nonces.match(nonce, now=now, clock_skew=context.demands.clock_skew)
    except ClientAttestationError as error:
        raise ClientAttestationError(_NONCE_REASONS[error.reason]) from error


def _check_times(claims: Mapping[str, Any], nonce_until: float | None, demands: DpopDemands, now: float) -> float:
    """Check when the proof was made and return until when it could be accepted again.

    A nonce carries this server's time, so the client's clock may be as wrong as it likes; ``exp`` and ``nbf`` are
    then judged by that same clock. The return value allows for a second server whose clock is behind by the skew.
    """
    skew = demands.clock_skew
    issued_at = numeric_date(claims, "iat", Reason.DPOP_IAT)
    expires_at = numeric_date(claims, "exp", Reason.DPOP_EXPIRED)
    not_before = numeric_date(claims, "nbf", Reason.DPOP_EXPIRED)
    if issued_at is None:
        raise ClientAttestationError(Reason.DPOP_IAT)
    clock = now if nonce_until is None else issued_at
    if expires_at is not None and clock >= expires_at + skew:
        raise ClientAttestationError(Reason.DPOP_EXPIRED)
    if not_before is not None and not_before > clock + skew:
        raise ClientAttestationError(Reason.DPOP_EXPIRED)
    if nonce_until is not None:
        return nonce_until + skew
    if issued_at > now + skew:
        raise ClientAttestationError(Reason.DPOP_FROM_THE_FUTURE)
    if now > issued_at + demands.max_age:
        raise ClientAttestationError(Reason.DPOP_TOO_OLD)
    return issued_at + demands.max_age + skew


def _check_access_token(claimed: Any, access_token: str) -> None:
    if claimed != encode_base64url(hashlib.sha256(access_token.encode("utf-8")).digest()):
        raise ClientAttestationError(Reason.DPOP_ATH)
