"""Rules P: the Client Attestation PoP JWT (section 5.1 and 7.2), replay aside.

Replay (P8) needs memory, and recording a proof cannot be undone: the caller claims the proof once everything
here has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import wire
from .challenge import Challenges
from .claims import check_crit, check_typ, numeric_date, optional_text, text
from .errors import ClientAttestationError, Reason
from .jose import InvalidSignature, parse_unverified, verify_signature
from .results import Policy, VerifiedAttestation, VerifiedProof
from .strict import MalformedJwt

MAX_JTI_LENGTH: Final = 256
MAX_CHALLENGE_LENGTH: Final = 512


def verify_pop(
    token: str, *, attestation: VerifiedAttestation, policy: Policy, challenges: Challenges, now: float
) -> VerifiedProof:
    """Verify a PoP JWT against the attestation of the same request.

    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: with the reason of the first rule that refuses.
    """
    try:
        jwt = parse_unverified(token)
    except MalformedJwt as error:
        raise ClientAttestationError(Reason.POP_MALFORMED) from error
    check_typ(jwt.header, wire.POP_TYP, Reason.POP_TYP)  # P1
    algorithm = jwt.header.get("alg")
    if (
        not isinstance(algorithm, str)
        or algorithm not in policy.pop_algorithms
        or not attestation.instance_key.fits(algorithm)
    ):  # P2
        raise ClientAttestationError(Reason.POP_ALGORITHM)
    check_crit(jwt.header, Reason.POP_CRIT)  # A8
    try:
        verify_signature(jwt, attestation.instance_key, algorithm)  # P3
    except InvalidSignature as error:
        raise ClientAttestationError(Reason.POP_SIGNATURE) from error
    claims = jwt.claims
    _check_audience(claims.get("aud"), policy.audience)  # P4
    if "iss" in claims and claims["iss"] != attestation.client_id:  # older revisions
        raise ClientAttestationError(Reason.POP_ISS)
    jti = text(claims, "jti", Reason.POP_JTI, max_length=MAX_JTI_LENGTH)  # P5
    challenge = read_challenge(claims, policy)  # P7
    challenge_until = challenges.match(challenge, now=now, clock_skew=policy.clock_skew) if challenge else None
    return VerifiedProof(
        thumbprint=attestation.thumbprint,
        jti=jti,
        valid_until=_check_times(claims, challenge_until, policy, now),  # P6
        challenge=challenge,
    )


def _check_audience(audience: Any, expected: str) -> None:
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if audience != expected or not isinstance(audience, str):
        raise ClientAttestationError(Reason.POP_AUD)


def read_challenge(claims: Mapping[str, Any], policy: Policy) -> str | None:
    """Return the challenge that the proof names, or None where there is none and none is needed."""
    challenge = _challenge(claims, "challenge")
    if policy.oldest_revision <= wire.LAST_REVISION_WITH_NONCE:
        nonce = _challenge(claims, "nonce")
        if challenge is None:
            challenge = nonce
        elif nonce is not None and nonce != challenge:
            raise ClientAttestationError(Reason.CHALLENGE_MALFORMED)
    if challenge is None and policy.challenge_required:
        raise ClientAttestationError(Reason.CHALLENGE_MISSING)
    return challenge


def _challenge(claims: Mapping[str, Any], name: str) -> str | None:
    return optional_text(claims, name, Reason.CHALLENGE_MALFORMED, max_length=MAX_CHALLENGE_LENGTH)


def _check_times(claims: Mapping[str, Any], challenge_until: float | None, policy: Policy, now: float) -> float:
    """Check when the proof was made and return until when it could be accepted again (P6).

    The return value allows for a second server whose clock is behind by the skew.
    """
    skew = policy.clock_skew
    issued_at = numeric_date(claims, "iat", Reason.POP_IAT)
    expires_at = numeric_date(claims, "exp", Reason.POP_EXP)
    not_before = numeric_date(claims, "nbf", Reason.POP_NBF)
    if issued_at is None:
        if expires_at is None or policy.oldest_revision > wire.LAST_REVISION_WITHOUT_POP_IAT:
            raise ClientAttestationError(Reason.POP_IAT)
        if expires_at > now + policy.pop_max_age + skew:
            raise ClientAttestationError(Reason.POP_EXP)
        last_moment = expires_at + skew
    else:
        last_moment = issued_at + policy.pop_max_age
    # A challenge carries this server's time, so the client's clock may be as wrong as it likes; its other
    # times are then judged by that same clock, which `iat` shows.
    clock = issued_at if challenge_until is not None and issued_at is not None else now
    if expires_at is not None and clock >= expires_at + skew:
        raise ClientAttestationError(Reason.POP_EXPIRED)
    if not_before is not None and not_before > clock + skew:
        raise ClientAttestationError(Reason.POP_NBF)
    if challenge_until is not None:
        return challenge_until + skew
    if issued_at is not None and issued_at > now + skew:
        raise ClientAttestationError(Reason.POP_FROM_THE_FUTURE)
    if issued_at is not None and now > last_moment:
        raise ClientAttestationError(Reason.POP_TOO_OLD)
    return last_moment + skew
