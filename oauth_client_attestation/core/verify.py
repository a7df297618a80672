"""The sequence, and nothing else: what is checked in which order (section 7).

1. :func:`peek_request`: the header fields, and who claims to be calling. Costs no cryptography.
2. The caller looks up that client's policy and the keys trusted for it.
3. :func:`verify_request`: the attestation, then the proof.
4. The caller claims the proof in its replay store: the one step that cannot be undone comes last (P8).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from . import wire
from .attestation import concerning, peek_attestation, verify_attestation
from .challenge import Challenges
from .dpop import DpopContext, verify_dpop_proof
from .errors import ClientAttestationError, Reason
from .headers import HeaderFields, read_fields
from .memory import AttestationMemory
from .pop import verify_pop
from .results import (
    Evidence,
    Policy,
    TrustedKey,
    UnverifiedAttestation,
    VerifiedAttestation,
    VerifiedDpopProof,
    VerifiedProof,
)


@dataclass(frozen=True, slots=True)
class UnverifiedRequest:
    """A request's attestation, parsed for routing, and its proof, not parsed.

    :ivar proof: a PoP JWT; in combined mode a DPoP proof.
    :ivar method: the client authentication method that is being used (D1).
    """

    attestation: UnverifiedAttestation
    proof: str
    method: str


def peek_request(
    fields: HeaderFields,
    *,
    max_length: int,
    named_client_ids: Collection[str] = (),
    memory: AttestationMemory | None = None,
) -> UnverifiedRequest:
    """Read the header fields and say who claims to be calling.

    :param max_length: the most characters a field may have (H4).
    :param named_client_ids: every client_id that the request names outside the attestation (A4).
    :param memory: attestations that were verified before.
    :raises ClientAttestationError: if the fields break a rule H, or the attestation is for another client.
    """
    tokens = read_fields(fields, max_length=max_length)
    attestation = peek_attestation(tokens.attestation, memory=memory)
    if any(client_id != attestation.client_id for client_id in named_client_ids):  # A4
        raise ClientAttestationError(Reason.CLIENT_MISMATCH)
    return UnverifiedRequest(attestation, tokens.proof, wire.METHOD_DPOP if tokens.combined else wire.METHOD_POP_JWT)


def verify_request(
    request: UnverifiedRequest,
    *,
    keys: Sequence[TrustedKey],
    policy: Policy,
    challenges: Challenges,
    now: float,
    dpop: DpopContext | None = None,
    memory: AttestationMemory | None = None,
    no_key: Reason = Reason.ATTESTER_NOT_TRUSTED,
) -> Evidence:
    """Verify attestation and proof. The proof still has to be claimed (P8).

    :param keys: the keys trusted for the client that the attestation names.
    :param now: the current time, in seconds since the epoch.
    :param dpop: what a proof in combined mode has to be like; its nonce is required whatever is said there (D5).
        None: there is no combined mode.
    :param memory: attestations that were verified before.
    :param no_key: why there is no key for the attestation among ``keys``, where the caller knows better.
    :raises ClientAttestationError: with the reason of the first rule that refuses.
    """
    attestation = verify_attestation(
        request.attestation, keys=keys, policy=policy, now=now, memory=memory, no_key=no_key
    )
    proof: VerifiedProof | VerifiedDpopProof
    with concerning(attestation):
        if request.method == wire.METHOD_DPOP:
            proof = verify_combined(request.proof, attestation=attestation, dpop=dpop, now=now)
        else:
            proof = verify_pop(request.proof, attestation=attestation, policy=policy, challenges=challenges, now=now)
    return Evidence(attestation, proof, request.method)


def verify_combined(
    token: str, *, attestation: VerifiedAttestation, dpop: DpopContext | None, now: float
) -> VerifiedDpopProof:
    """Verify a DPoP proof as the attestation's proof of possession (section 7.3). It still has to be claimed.

    :param dpop: as in :func:`verify_request`.
    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: with the reason of the first rule that refuses.
    """
    if dpop is None:  # D2
        raise ClientAttestationError(Reason.COMBINED_MODE_NOT_OFFERED)
    context = replace(dpop, demands=replace(dpop.demands, nonce="required"))  # D5
    try:
        proof = verify_dpop_proof(token, context=context, now=now)
    except ClientAttestationError as error:
        raise error.of_client_authentication() from error
    if proof.thumbprint != attestation.thumbprint:  # D4
        raise ClientAttestationError(Reason.DPOP_KEY_MISMATCH)
    return proof
