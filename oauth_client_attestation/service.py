"""The seam: settings, trust and replay on one side, the core on the other.

Every door calls :func:`authenticate`. A refusal is logged and signalled here, once, with its exact reason; the
door only translates it.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError
from django.http import HttpRequest

from . import activity, instances, replay
from .challenges import authorization_server_challenges
from .conf import app_settings
from .core import wire
from .core.attestation import concerning
from .core.errors import ClientAttestationError, Reason
from .core.headers import HeaderFields
from .core.results import Evidence, Policy, UnverifiedAttestation, VerifiedAttestation, VerifiedProof
from .core.verify import peek_request, verify_request
from .models import AttestationPolicy, ClientInstance
from .signals import client_attestation_accepted, client_attestation_refused
from .trust.resolver import Trust, trusted_keys

logger = logging.getLogger("oauth_client_attestation")


def policy_of(client_id: str) -> AttestationPolicy | None:
    """Return the policy of the application with exactly that client_id, its application loaded, if it has one.

    :raises ClientAttestationError: if the database does not answer.
    """
    if "\0" in client_id:  # PostgreSQL cannot even be asked
        return None
    policies = AttestationPolicy.objects.select_related("application")
    with _database_answers():
        policy = policies.filter(application__client_id=client_id).first()
    # MariaDB compares without regard to case, and finds another client than the one that was named.
    return policy if policy is not None and policy.application.client_id == client_id else None


def trust_in(policy: AttestationPolicy, attestation: UnverifiedAttestation, *, now: float) -> Trust:
    """Return the keys trusted for an attestation, if the application's policy admits the method at all.

    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: if it does not, or the database does not answer.
    """
    if wire.METHOD_POP_JWT not in policy.methods or wire.METHOD_POP_JWT not in app_settings.methods:  # B5, M1
        raise ClientAttestationError(Reason.METHOD_NOT_ALLOWED)
    with _database_answers():
        return trusted_keys(policy.application_id, attestation, now=now)


def instance_of(policy: AttestationPolicy, attestation: VerifiedAttestation) -> ClientInstance | None:
    """Return what is known of the instance that was attested, or None if nothing was given to it yet.

    :raises ClientAttestationError: if it is blocked, or the database does not answer.
    """
    with _database_answers():
        instance = instances.known(policy.application_id, attestation.thumbprint)
    if instance is not None and instance.blocked:
        raise ClientAttestationError(Reason.INSTANCE_BLOCKED)
    return instance


def authenticate(
    request: HttpRequest,
    fields: HeaderFields,
    *,
    named_client_ids: frozenset[str],
    second_mechanism: bool,
    admits: Callable[[AttestationPolicy], bool],
) -> tuple[AttestationPolicy, Evidence, ClientInstance | None]:
    """Authenticate the client instance behind a request to the authorization server.

    :param request: the Django request, for log and signals.
    :param fields: its attestation header fields.
    :param named_client_ids: every client_id that the request names outside the attestation (A4).
    :param second_mechanism: whether it also carries other client credentials (RFC 6749 section 2.3).
    :param admits: says whether the site considers the application usable; asked once everything else is proven,
        since the answer may depend on the request or cost something.
    :return: the policy of the authenticated application, what was verified, and the record of the instance, if
        there is one.
    :raises ClientAttestationError: if any rule refuses; logged and signalled already.
    """
    policy: AttestationPolicy | None = None
    try:
        issuer = app_settings.issuer
        if issuer is None:  # P4
            raise ClientAttestationError(Reason.ISSUER_NOT_CONFIGURED)
        if second_mechanism:  # B5
            raise ClientAttestationError(Reason.SECOND_MECHANISM)
        unverified = peek_request(
            fields,
            max_length=app_settings.max_field_length,
            named_client_ids=named_client_ids,
            memory=app_settings.attestation_memory,
        )
        policy = policy_of(unverified.attestation.client_id)
        if policy is None:  # E4
            raise ClientAttestationError(Reason.CLIENT_NOT_REGISTERED)
        now = time.time()
        trust = trust_in(policy, unverified.attestation, now=now)
        evidence = verify_request(
            unverified,
            keys=trust.keys,
            policy=core_policy(policy, issuer),
            challenges=authorization_server_challenges(issuer),
            now=now,
            memory=app_settings.attestation_memory,
            no_key=trust.no_key,
        )
        with concerning(evidence.attestation):
            instance = instance_of(policy, evidence.attestation)
            if not admits(policy):  # E4
                raise ClientAttestationError(Reason.CLIENT_UNKNOWN)
            _ask_site(request, policy, evidence)
            _claim(evidence.proof)
        if instance is not None:
            with _database_answers():
                instances.note_seen(instance)
    except ClientAttestationError as error:
        if policy is None and error.reason is not Reason.DATABASE_UNAVAILABLE:
            policy = next(filter(None, map(policy_of, sorted(named_client_ids)[:2])), None)
        report_refusal(request, error, application_id=policy.application_id if policy else None)
        raise
    facts = {
        "application": policy.application_id,
        "attester": evidence.attestation.attester,
        "endpoint": endpoint_of(request),
    }
    logger.info(
        "Client attestation accepted: application=%(application)s attester=%(attester)r endpoint=%(endpoint)s",
        facts,
        extra={f"client_attestation_{name}": value for name, value in facts.items()},
    )
    activity.note_accepted(request, attester=evidence.attestation.attester)
    _send(client_attestation_accepted, request=request, evidence=evidence)
    return policy, evidence, instance


def prepare(fields: HeaderFields) -> None:
    """Fetch the keys that a request will need, where its transaction would not allow it later (rule T2).

    Decides nothing and reports nothing: whatever is wrong with the request is found out again.
    """
    with suppress(ClientAttestationError):
        attestation = peek_request(
            fields, max_length=app_settings.max_field_length, memory=app_settings.attestation_memory
        ).attestation
        policy = policy_of(attestation.client_id)
        if policy is not None:
            trust_in(policy, attestation, now=time.time())


def report_refusal(request: HttpRequest | None, error: ClientAttestationError, *, application_id: Any = None) -> None:
    """Log a refusal, send its signal and note it for the record (E6). None holds a token, a key or a claim value.

    The log record has the facts as attributes too, for structured formatters: ``client_attestation_reason``,
    ``…_application``, ``…_endpoint``.
    """
    reason = error.reason
    facts = {"reason": str(reason), "application": application_id, "endpoint": endpoint_of(request)}
    logger.warning(
        "Client attestation refused: reason=%(reason)s application=%(application)s endpoint=%(endpoint)s",
        facts,
        extra={f"client_attestation_{name}": value for name, value in facts.items()},
    )
    activity.note_refusal(request, error, endpoint=endpoint_of(request), application_id=application_id)
    _send(client_attestation_refused, request=request, reason=reason, application_id=application_id)


@contextmanager
def _database_answers() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        logger.exception("The database does not answer; attested requests are refused until it does.")
        raise ClientAttestationError(Reason.DATABASE_UNAVAILABLE) from error


def core_policy(policy: AttestationPolicy, issuer: str) -> Policy:
    """Return what is demanded of an application, from its policy and the settings.

    :param issuer: of this authorization server.
    """
    return Policy(
        audience=issuer,
        attestation_algorithms=frozenset(app_settings.attestation_algorithms),
        pop_algorithms=frozenset(app_settings.pop_algorithms),
        challenge_required=policy.challenge != AttestationPolicy.Challenge.OPTIONAL,
        clock_skew=app_settings.clock_skew,
        pop_max_age=app_settings.pop_max_age,
        attestation_max_age=app_settings.attestation_max_age,
        oldest_revision=policy.oldest_revision or app_settings.oldest_revision,
    )


def _ask_site(request: HttpRequest, policy: AttestationPolicy, evidence: Evidence) -> None:
    """Let ``SITE_RULE`` have its say. Whatever goes wrong in it refuses.

    So does an answer: False was meant to refuse, and a coroutine has not decided anything.
    """
    rule = app_settings.site_rule
    if rule is None:
        return
    try:
        answer = rule(request=request, application=policy.application, evidence=evidence)
        if inspect.iscoroutine(answer):
            answer.close()
        if answer is not None:
            raise TypeError("SITE_RULE must return None, or raise PermissionDenied to refuse")
    except PermissionDenied as error:
        raise ClientAttestationError(Reason.SITE_RULE) from error
    except Exception as error:
        logger.exception("SITE_RULE failed; the request is refused.")
        raise ClientAttestationError(Reason.SITE_RULE_FAILED) from error


def record_of(proof: VerifiedProof) -> tuple[str, Reason]:
    """Return what is recorded of a proof, and the reason to refuse it where that is recorded already.

    Where each challenge is accepted once, it is the challenge, which uses up the proof with it.
    """
    if proof.challenge is not None and app_settings.single_use_challenges:
        return replay.challenge_id(proof.challenge), Reason.CHALLENGE_USED  # C4
    return replay.proof_id(proof), Reason.POP_REPLAYED  # P8


def _claim(proof: VerifiedProof) -> None:
    """Use up the proof."""
    record, used = record_of(proof)
    try:
        first = app_settings.replay_store.claim(record, valid_until=proof.valid_until)
    except replay.ReplayStoreUnavailable as error:
        logger.exception("The replay store does not answer; attested requests are refused until it does.")
        raise ClientAttestationError(Reason.REPLAY_STORE_UNAVAILABLE) from error
    if not first:
        raise ClientAttestationError(used)


def endpoint_of(request: HttpRequest | None) -> str:
    """Return the name of the URL that a request came to."""
    match = getattr(request, "resolver_match", None)
    return match.view_name if match else "-"


def _send(signal: Any, **arguments: Any) -> None:
    signal.send_robust(sender=AttestationPolicy, **arguments)  # which logs the exceptions of receivers
