"""A proof of possession is used once (rule P8), whatever kind it is of."""

from __future__ import annotations

import logging

from . import replay
from .conf import app_settings
from .core.errors import ClientAttestationError, Reason
from .core.results import VerifiedDpopProof, VerifiedProof

logger = logging.getLogger("oauth_client_attestation")


def record_of(proof: VerifiedProof | VerifiedDpopProof) -> tuple[str, Reason]:
    """Return what is recorded of a proof, and the reason to refuse it where that is recorded already.

    Where each challenge is accepted once, it is the challenge, which uses up the proof with it. DPoP nonces are for
    many proofs.
    """
    if isinstance(proof, VerifiedDpopProof):
        return replay.dpop_proof_id(proof), Reason.DPOP_REPLAYED
    if proof.challenge is not None and app_settings.single_use_challenges:
        return replay.challenge_id(proof.challenge), Reason.CHALLENGE_USED  # C4
    return replay.proof_id(proof), Reason.POP_REPLAYED  # P8


def use_up(proof: VerifiedProof | VerifiedDpopProof) -> None:
    """Claim a proof, which cannot be undone: everything else has been checked.

    :raises ClientAttestationError: if it was used before, or the store does not answer.
    """
    record, used = record_of(proof)
    try:
        first = app_settings.replay_store.claim(record, valid_until=proof.valid_until)
    except replay.ReplayStoreUnavailable as error:
        logger.exception("The replay store does not answer; requests with a proof are refused until it does.")
        raise ClientAttestationError(Reason.REPLAY_STORE_UNAVAILABLE) from error
    if not first:
        raise ClientAttestationError(used)
