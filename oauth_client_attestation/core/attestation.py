"""Rules A: the Client Attestation JWT (section 4 and 7.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from . import wire
from .claims import (
    check_crit,
    check_required_claims,
    check_typ,
    frozen_object,
    numeric_date,
    optional_text,
    text,
)
from .errors import ClientAttestationError, Reason
from .jose import InvalidSignature, parse_unverified, verify_signature
from .jwk import InvalidKey, PrivateKey, WeakKey, parse_public_key
from .keys import MAC_ALGORITHMS, PublicKey, SharedSecret
from .memory import AttestationMemory, RememberedAttestation
from .results import Policy, SignedAttestation, TrustedKey, UnverifiedAttestation, VerifiedAttestation
from .strict import MalformedJwt

MAX_CLIENT_ID_LENGTH: Final = 255
MAX_KEY_ID_LENGTH: Final = 255
MAX_ISSUER_LENGTH: Final = 2048
#: How many keys are tried on an attestation whose ``kid`` does not single one out: each is work.
MAX_CANDIDATE_KEYS: Final = 16


def peek_attestation(token: str, *, memory: AttestationMemory | None = None) -> UnverifiedAttestation:
    """Parse an attestation for routing. Nothing in the result may be believed.

    :raises ClientAttestationError: if it is not strict (A10), or ``sub`` or ``kid`` is no usable string (A4).
    """
    if memory and (remembered := memory.recall(token)):
        return remembered.unverified
    try:
        jwt = parse_unverified(token)
    except MalformedJwt as error:
        raise ClientAttestationError(Reason.ATTESTATION_MALFORMED) from error
    key_id = optional_text(jwt.header, "kid", Reason.ATTESTATION_MALFORMED, max_length=MAX_KEY_ID_LENGTH)
    client_id = text(jwt.claims, "sub", Reason.ATTESTATION_SUB, max_length=MAX_CLIENT_ID_LENGTH)
    return UnverifiedAttestation(client_id, key_id, token, jwt)


def verify_attestation(
    unverified: UnverifiedAttestation,
    *,
    keys: Sequence[TrustedKey],
    policy: Policy,
    now: float,
    memory: AttestationMemory | None = None,
    no_key: Reason = Reason.ATTESTER_NOT_TRUSTED,
) -> VerifiedAttestation:
    """Verify an attestation (section 7.1).

    :param keys: the keys trusted for the client that it names; the caller selected them by ``kid`` (A3, T1, T5).
    :param now: the current time, in seconds since the epoch.
    :param memory: signatures that were verified before.
    :param no_key: why there is no key for it among ``keys``, where the caller knows better (T2, T3).
    :raises ClientAttestationError: with the reason of the first rule that refuses; with attester and thumbprint
        once the signature was verified.
    """
    signed = _verify_signed(unverified, keys, policy, memory, no_key)
    with concerning(signed):
        _check_freshness(signed, policy, now)
    return VerifiedAttestation(
        client_id=signed.client_id,
        attester=signed.attester,
        instance_key=signed.instance_key,
        expires_at=signed.expires_at,
        issued_at=signed.issued_at,
        claims=signed.claims,
    )


def concerning(attestation: SignedAttestation | VerifiedAttestation) -> AbstractContextManager[None]:
    """Add to a refusal whom it is about, which is known once the signature was verified."""
    return _concerning(attestation.attester, attestation.instance_key.thumbprint)


@contextmanager
def _concerning(attester: str, thumbprint: str = "") -> Iterator[None]:
    try:
        yield
    except ClientAttestationError as error:
        error.attester = attester
        error.thumbprint = thumbprint
        raise


def _verify_signed(
    unverified: UnverifiedAttestation,
    keys: Sequence[TrustedKey],
    policy: Policy,
    memory: AttestationMemory | None,
    no_key: Reason,
) -> SignedAttestation:
    header = unverified.jwt.header
    check_typ(header, wire.ATTESTATION_TYP, Reason.ATTESTATION_TYP)  # A1
    algorithm = accepted_algorithm(header, keys, policy)
    check_crit(header, Reason.ATTESTATION_CRIT)  # A8
    candidates = candidate_keys(keys, algorithm, unverified.key_id, no_key)
    if memory and (remembered := memory.recall(unverified.token)) and remembered.trusted in candidates:
        return remembered.signed
    trusted = verifying_key(unverified, candidates, algorithm, no_key)
    with _concerning(trusted.attester):
        signed = _read_claims(unverified, trusted)
    with concerning(signed):
        check_required_claims(signed.claims, trusted.required_claims)
    if memory:
        memory.remember(RememberedAttestation(unverified, trusted, signed))
    return signed


def accepted_algorithm(header: Mapping[str, Any], keys: Sequence[TrustedKey], policy: Policy) -> str:
    """Return the algorithm, if it is on the list, or a MAC where a secret is shared with an attester (A2, T4)."""
    algorithm = header.get("alg")
    if isinstance(algorithm, str):
        by_secret = algorithm in MAC_ALGORITHMS and any(isinstance(trusted.key, SharedSecret) for trusted in keys)
        if by_secret or algorithm in policy.attestation_algorithms:
            return algorithm
    raise ClientAttestationError(Reason.ATTESTATION_ALGORITHM)


def candidate_keys(keys: Sequence[TrustedKey], algorithm: str, key_id: str | None, no_key: Reason) -> list[TrustedKey]:
    """Return the keys that an algorithm fits, as the key and the attester's terms have it (A2, A3, T5)."""
    if not keys:  # A3, T5
        raise ClientAttestationError(no_key)
    if len(keys) > MAX_CANDIDATE_KEYS:
        raise ClientAttestationError(Reason.ATTESTER_KEY_AMBIGUOUS)
    fitting = [
        trusted
        for trusted in keys
        if trusted.key.fits(algorithm) and (not trusted.algorithms or algorithm in trusted.algorithms)
    ]
    if not fitting:  # A2
        raise _refusal(keys, key_id, Reason.ATTESTATION_ALGORITHM, no_key)
    return fitting


def verifying_key(
    unverified: UnverifiedAttestation, candidates: Sequence[TrustedKey], algorithm: str, no_key: Reason
) -> TrustedKey:
    """Return the first key that verifies the signature (A3)."""
    for trusted in candidates:
        try:
            verify_signature(unverified.jwt, trusted.key, algorithm)
        except InvalidSignature:
            continue
        return trusted
    raise _refusal(candidates, unverified.key_id, Reason.ATTESTATION_SIGNATURE, no_key)  # A3


def _refusal(keys: Sequence[TrustedKey], key_id: str | None, reason: Reason, no_key: Reason) -> ClientAttestationError:
    """Return the refusal where none of ``keys`` will do: ``reason``, unless the one that was meant is not there.

    Keys without a ``kid`` are tried on every attestation; that they fail says nothing about the key it names. One
    that names none may have meant a key that the caller knows to be missing.
    """
    if key_id is None:
        meant_is_there = no_key is Reason.ATTESTER_NOT_TRUSTED
    else:
        meant_is_there = any(trusted.key_id in (None, key_id) for trusted in keys)
    return ClientAttestationError(reason if meant_is_there else no_key)


def _read_claims(unverified: UnverifiedAttestation, trusted: TrustedKey) -> SignedAttestation:
    claims = unverified.jwt.claims
    expires_at = numeric_date(claims, "exp", Reason.ATTESTATION_EXP)
    if expires_at is None:  # A5
        raise ClientAttestationError(Reason.ATTESTATION_EXP)
    issued_at = numeric_date(claims, "iat", Reason.ATTESTATION_IAT)  # A6
    not_before = numeric_date(claims, "nbf", Reason.ATTESTATION_NBF)  # A9
    issuer = optional_text(claims, "iss", Reason.ATTESTATION_ISS, max_length=MAX_ISSUER_LENGTH)
    if issuer is not None and trusted.issuer and issuer != trusted.issuer:  # A9
        raise ClientAttestationError(Reason.ATTESTATION_ISS)
    return SignedAttestation(
        client_id=unverified.client_id,
        attester=trusted.attester,
        instance_key=_instance_key(claims.get("cnf")),
        expires_at=expires_at,
        issued_at=issued_at,
        not_before=not_before,
        max_age=trusted.max_age,
        claims=frozen_object(claims),
    )


def _instance_key(confirmation: Any) -> PublicKey:
    """Return the key of ``cnf.jwk`` (RFC 7800 section 3.2, A7)."""
    if not isinstance(confirmation, dict) or "jwk" not in confirmation:
        raise ClientAttestationError(Reason.ATTESTATION_CNF)
    try:
        return parse_public_key(confirmation["jwk"])
    except PrivateKey as error:
        raise ClientAttestationError(Reason.ATTESTATION_CNF_PRIVATE) from error
    except WeakKey as error:
        raise ClientAttestationError(Reason.ATTESTATION_CNF_WEAK) from error
    except InvalidKey as error:
        raise ClientAttestationError(Reason.ATTESTATION_CNF) from error


def _check_freshness(signed: SignedAttestation, policy: Policy, now: float) -> None:
    if now >= signed.expires_at + policy.clock_skew:  # A5
        raise ClientAttestationError(Reason.ATTESTATION_EXPIRED)
    if signed.not_before is not None and signed.not_before > now + policy.clock_skew:  # A9
        raise ClientAttestationError(Reason.ATTESTATION_NBF)
    max_age = min((age for age in (signed.max_age, policy.attestation_max_age) if age is not None), default=None)
    if signed.issued_at is None:
        needed = policy.oldest_revision > wire.LAST_REVISION_WITHOUT_ATTESTATION_IAT
        if needed or max_age is not None:  # A6
            raise ClientAttestationError(Reason.ATTESTATION_IAT)
        return
    if signed.issued_at > now + policy.clock_skew:  # A6
        raise ClientAttestationError(Reason.ATTESTATION_FROM_THE_FUTURE)
    if max_age is not None and now - signed.issued_at > max_age:
        raise ClientAttestationError(Reason.ATTESTATION_TOO_OLD)
