"""Rule P8: a proof is accepted once within its window, across processes and hosts (section 12.1)."""

from __future__ import annotations

import base64
import hashlib
from abc import ABC, abstractmethod

from ..core.results import VerifiedDpopProof, VerifiedProof


class ReplayStoreUnavailable(Exception):
    """The store cannot say whether a proof was used, so the proof cannot be accepted."""


class ReplayStore(ABC):
    """Where used proofs are recorded. Subclass it for a store of your own and name it in ``REPLAY_STORE``."""

    @abstractmethod
    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        """Record a proof, atomically, and say whether this was the first time.

        :param proof_id: 43 characters of base64url that stand for instance key and ``jti``, or for a challenge.
        :param valid_until: seconds since the epoch up to which the record must be kept.
        :return: True for exactly one of any number of concurrent calls with the same ``proof_id``.
        :raises ReplayStoreUnavailable: if the store cannot answer.
        """

    def holds(self, proof_id: str) -> bool | None:
        """Say whether a proof is recorded, without recording it; None: this store cannot.

        For people who look into a refusal. Nothing is decided by it: between this and a claim is a race.

        :raises ReplayStoreUnavailable: if the store cannot answer.
        """
        return None


def proof_id(proof: VerifiedProof) -> str:
    """Return what a proof is recorded as: a digest, so that no claim value is stored.

    A thumbprint is 43 characters long, so thumbprint and ``jti`` cannot run into each other.
    """
    return _digest(proof.thumbprint + proof.jti)


def dpop_proof_id(proof: VerifiedDpopProof) -> str:
    """Return what a DPoP proof is recorded as.

    Not what a PoP JWT is: one key may sign both kinds, and number them alike.
    """
    return _digest("dpop " + proof.thumbprint + proof.jti)


def challenge_id(challenge: str) -> str:
    """Return what a challenge is recorded as where each is accepted once.

    The space is in no thumbprint, so it cannot be taken for a proof.
    """
    return _digest("challenge " + challenge)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("utf-8")).digest()).rstrip(b"=").decode("ascii")
