"""The way of a request through the rules, up to where something would be recorded.

The steps are those of :func:`..service.authenticate`, by the same functions and in the same order. What has an
effect, or needs the request itself, is left out: the memory of attestations, the site's rule, the claim, the
log, the signals and the record of refusals.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal

from django.db import DatabaseError, router, transaction

from .. import replay
from ..challenges import authorization_server_challenges
from ..conf import app_settings
from ..core import wire
from ..core.attestation import accepted_algorithm, candidate_keys, verify_attestation, verifying_key
from ..core.claims import check_typ
from ..core.dpop import Target
from ..core.errors import ClientAttestationError, Reason
from ..core.headers import HeaderFields
from ..core.pop import verify_pop
from ..core.results import (
    Policy,
    TrustedKey,
    UnverifiedAttestation,
    VerifiedAttestation,
    VerifiedDpopProof,
    VerifiedProof,
)
from ..core.verify import UnverifiedRequest, peek_request, verify_combined
from ..dpop import context_for
from ..metadata import absolute_url
from ..models import AttestationPolicy, Attester
from ..policies import core_policy, policy_of
from ..proofs import record_of
from ..service import instance_of, trust_in
from ..trust.resolver import Trust
from . import wording

#: Between these a time to judge at may lie: far from where dates and certificates end.
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged.

    :ivar proof: empty: the attestation alone.
    :ivar kind: which field the proof came in: a PoP JWT, or a DPoP proof in its place; empty: its ``typ`` says it.
    :ivar audience: what ``aud`` of a PoP JWT has to be; empty: this server's issuer.
    :ivar client_id: the client that the request named; empty: none.
    :ivar method: of the HTTP request, for a DPoP proof.
    :ivar uri: of the HTTP request, for a DPoP proof; empty: the token endpoint.
    :ivar access_token: presented along with a DPoP proof; empty: none.
    :ivar at: the time to judge at, in seconds since the epoch, from ``EARLIEST`` to ``LATEST``; None: now.
    """

    attestation: str = field(repr=False)
    proof: str = field(default="", repr=False)
    kind: Literal["", "pop", "dpop"] = ""
    audience: str = ""
    client_id: str = ""
    method: str = "POST"
    uri: str = ""
    access_token: str = field(default="", repr=False)
    at: float | None = None

    @property
    def combined(self) -> bool:
        """Whether there is a DPoP proof in place of a PoP JWT (D1)."""
        return bool(self.proof) and (self.kind == "dpop" or (self.kind == "" and _is_dpop(self.proof)))

    @property
    def target(self) -> Target:
        """What a DPoP proof has to be for."""
        uri = self.uri or absolute_url("oauth2_provider:token") or ""
        return Target(self.method, uri, self.access_token or None)


@dataclass(slots=True)
class Found:
    """How far the request came, and what was found on the way."""

    now: float
    issuer: str | None
    unverified: UnverifiedAttestation | None = None
    policy: AttestationPolicy | None = None
    demands: Policy | None = None
    trust: Trust | None = None
    attestation: VerifiedAttestation | None = None
    proof: VerifiedProof | VerifiedDpopProof | None = None
    error: ClientAttestationError | None = None
    used: bool | None = None

    @property
    def signer(self) -> TrustedKey | None:
        """The key that verified the attestation's signature, once one has."""
        if self.unverified is None or self.demands is None or self.trust is None:
            return None
        keys, no_key = self.trust.keys, self.trust.no_key
        algorithm = accepted_algorithm(self.unverified.jwt.header, keys, self.demands)
        candidates = candidate_keys(keys, algorithm, self.unverified.key_id, no_key)
        return verifying_key(self.unverified, candidates, algorithm, no_key)

    @property
    def algorithm_is_accepted(self) -> bool:
        """Whether the attestation's algorithm is on the list, whatever key there is."""
        if self.unverified is None or self.demands is None or self.trust is None:
            return False
        try:
            accepted_algorithm(self.unverified.jwt.header, self.trust.keys, self.demands)
        except ClientAttestationError:
            return False
        return True


def take(question: Question) -> Found:
    """Take a request through the rules and say how far it came.

    :raises ClientAttestationError: if the database does not answer, so that there is no verdict.
    """
    found = Found(
        now=time.time() if question.at is None else question.at, issuer=question.audience or app_settings.issuer
    )
    try:
        _decide(question, found)
    except ClientAttestationError as error:
        if error.reason is Reason.DATABASE_UNAVAILABLE:
            raise
        found.error = error
    return found


@contextmanager
def nothing_recorded() -> Iterator[None]:
    """Undo whatever the block writes to the database, and keep it from fetching keys.

    Keys are never fetched while a transaction is open (rule T2), and this one is rolled back.

    :raises ClientAttestationError: if the database does not answer.
    """
    alias = router.db_for_write(Attester)
    try:
        with transaction.atomic(using=alias):
            try:
                yield
            finally:
                transaction.set_rollback(True, using=alias)
    except DatabaseError as error:
        raise ClientAttestationError(Reason.DATABASE_UNAVAILABLE) from error


def _decide(question: Question, found: Found) -> None:
    if found.issuer is None:  # P4
        raise ClientAttestationError(Reason.ISSUER_NOT_CONFIGURED)
    named = {question.client_id} if question.client_id else ()
    request = peek_request(_fields(question), max_length=app_settings.max_field_length, named_client_ids=named)
    found.unverified = request.attestation
    found.policy = policy_of(found.unverified.client_id)
    if found.policy is None:  # E4
        raise ClientAttestationError(Reason.CLIENT_NOT_REGISTERED)
    if not question.proof:
        request = replace(request, method=_any_method(found.policy.methods))
    found.trust = trust_in(found.policy, request, now=found.now)
    found.demands = core_policy(found.policy, found.issuer)
    found.attestation = verify_attestation(
        found.unverified, keys=found.trust.keys, policy=found.demands, now=found.now, no_key=found.trust.no_key
    )
    if question.proof:
        found.proof = _verify_proof(question, request, found.attestation, found.demands, found.now)
    instance_of(found.policy.application_id, found.attestation)
    if found.proof is not None:
        _look_for_use(found, found.proof, now=question.at is None)


def _fields(question: Question) -> HeaderFields:
    """Return the header fields of the request.

    It needs a proof. The attestation, whose form is looked at first, stands in for one that is not given.
    """
    attestation, proof = (question.attestation,), (question.proof or question.attestation,)
    return HeaderFields(attestation, dpop=proof) if question.combined else HeaderFields(attestation, pop=proof)


def _is_dpop(token: str) -> bool:
    parts = wording.parts(token)
    if parts is None:
        return False
    try:
        check_typ(parts[0], wire.DPOP_TYP, Reason.DPOP_TYP)
    except ClientAttestationError:
        return False
    return True


def _any_method(allowed: Collection[str]) -> str:
    """Return a method that server and policy admit, if there is one: without a proof any will do."""
    admitted = (method for method in wire.METHODS if method in allowed and method in app_settings.methods)
    return next(admitted, wire.METHOD_POP_JWT)


def _verify_proof(
    question: Question, request: UnverifiedRequest, attestation: VerifiedAttestation, demands: Policy, now: float
) -> VerifiedProof | VerifiedDpopProof:
    if request.method == wire.METHOD_DPOP:
        dpop = context_for(question.target)
        return verify_combined(request.proof, attestation=attestation, dpop=dpop, now=now)
    challenges = authorization_server_challenges(demands.audience)
    return verify_pop(request.proof, attestation=attestation, policy=demands, challenges=challenges, now=now)


def _look_for_use(found: Found, proof: VerifiedProof | VerifiedDpopProof, *, now: bool) -> None:
    """Refuse a proof that was used, if it is judged now: when it was used is not recorded."""
    record, reason = record_of(proof)
    try:
        found.used = app_settings.replay_store.holds(record)
    except replay.ReplayStoreUnavailable as error:
        raise ClientAttestationError(Reason.REPLAY_STORE_UNAVAILABLE) from error
    if found.used and now:  # P8, C4
        raise ClientAttestationError(reason).of_client_authentication()
