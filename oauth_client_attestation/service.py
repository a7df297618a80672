"""The seam: settings, trust and replay on one side, the core on the other.

Every door calls :func:`authenticate`. A refusal is logged and signalled here, once, with its exact reason; the
door only translates it.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from . import instances, proofs
from .challenges import authorization_server_challenges
from .conf import app_settings
from .core import wire
from .core.attestation import concerning
from .core.errors import ClientAttestationError, Reason
from .core.headers import HeaderFields
from .core.results import Evidence, UnverifiedAttestation, VerifiedAttestation
from .core.verify import UnverifiedRequest, peek_request, verify_request
from .dpop import context_of
from .instances import database_answers
from .models import AttestationPolicy, ClientInstance, NewClient
from .policies import core_policy, policy_of
from .registration import documents
from .reports import report_acceptance, report_refusal
from .trust.resolver import Trust, trusted_keys

logger = logging.getLogger("oauth_client_attestation")


def check_offered(request: UnverifiedRequest) -> None:
    """Refuse a method that this server does not offer (D2, M1).

    :raises ClientAttestationError: then.
    """
    if request.method not in app_settings.methods:
        combined = request.method == wire.METHOD_DPOP
        raise ClientAttestationError(Reason.COMBINED_MODE_NOT_OFFERED if combined else Reason.METHOD_NOT_ALLOWED)


def trust_in(policy: AttestationPolicy, request: UnverifiedRequest, *, now: float) -> Trust:
    """Return the keys trusted for an attestation, if server and policy admit the method at all.

    :param policy: of the application; one that is not saved stands for a client that is not known yet.
    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: if they do not, or the database does not answer.
    """
    check_offered(request)
    if request.method not in policy.methods:  # B5
        raise ClientAttestationError(Reason.METHOD_NOT_ALLOWED)
    if policy._state.adding:
        return trust_for_new_client(app_settings.metadata_document_attesters, request.attestation, now=now)
    with database_answers():
        return trusted_keys(policy.application_id, request.attestation, now=now)


def trust_for_new_client(attesters: Collection[str], attestation: UnverifiedAttestation, *, now: float) -> Trust:
    """Return the keys trusted for an attestation of a client that is not registered yet.

    :param attesters: the names of those that may vouch for it; no others do, trusted for all applications or not.
    :param now: the current time, in seconds since the epoch.
    :raises ClientAttestationError: if the database does not answer.
    """
    with database_answers():
        trust = trusted_keys(NewClient(tuple(attesters)), attestation, now=now)
    # MariaDB compares without regard to case.
    return replace(trust, keys=[trusted for trusted in trust.keys if trusted.attester in attesters])


def instance_of(application_id: Any, attestation: VerifiedAttestation) -> ClientInstance | None:
    """Return what is known of the instance that was attested, or None if nothing was given to it yet.

    :param application_id: primary key of the client.
    :raises ClientAttestationError: if it is blocked, or the database does not answer.
    """
    with database_answers():
        instance = instances.known(application_id, attestation.thumbprint)
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
    find_policy: Callable[[str], AttestationPolicy | None] = policy_of,
) -> tuple[AttestationPolicy, Evidence, ClientInstance | None]:
    """Authenticate the client instance behind a request to the authorization server.

    :param request: the Django request, for log and signals.
    :param fields: its attestation header fields.
    :param named_client_ids: every client_id that the request names outside the attestation (A4).
    :param second_mechanism: whether it also carries other client credentials (RFC 6749 section 2.3).
    :param admits: says whether the site considers the application usable; asked once everything else is proven,
        since the answer may depend on the request or cost something.
    :param find_policy: finds the policy of a client, for a caller that may have asked for it already.
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
        client_id = unverified.attestation.client_id
        policy = find_policy(client_id) or documents.policy_of_unknown(client_id)
        if policy is None:  # E4
            raise ClientAttestationError(Reason.CLIENT_NOT_REGISTERED)
        now = time.time()
        trust = trust_in(policy, unverified, now=now)
        evidence = verify_request(
            unverified,
            keys=trust.keys,
            policy=core_policy(policy, issuer),
            challenges=authorization_server_challenges(issuer),
            dpop=context_of(request) if unverified.method == wire.METHOD_DPOP else None,
            now=now,
            memory=app_settings.attestation_memory,
            no_key=trust.no_key,
        )
        with concerning(evidence.attestation):
            if policy._state.adding:
                policy = _registered_by_document(policy, evidence, admits)
            instance = instance_of(policy.application_id, evidence.attestation)
            if not admits(policy):  # E4
                raise ClientAttestationError(Reason.CLIENT_UNKNOWN)
            ask_site(request, policy.application, evidence)
            proofs.use_up(evidence.proof)  # P8
        if instance is not None:
            with database_answers():
                instances.note_seen(instance)
    except ClientAttestationError as cause:
        error = cause.of_client_authentication()
        if policy is None and error.reason is not Reason.DATABASE_UNAVAILABLE:
            policy = next(filter(None, map(find_policy, sorted(named_client_ids)[:2])), None)
        report_refusal(request, error, application_id=policy.application_id if policy else None)
        raise error from cause
    report_acceptance(request, evidence, application_id=policy.application_id)
    return policy, evidence, instance


def _registered_by_document(
    policy: AttestationPolicy, evidence: Evidence, admits: Callable[[AttestationPolicy], bool]
) -> AttestationPolicy:
    """Return the policy of a client that was not known until now: the host fetches its document and stores it.

    Only now, when attestation and proof are verified: nobody else has anything fetched or written.

    :param policy: what stood for it.
    :raises ClientAttestationError: if the host makes no application of the document, or none that is attested in
        this way.
    """
    with database_answers():
        made = documents.made_by_host(policy, admits)
    if not made:  # E4
        raise ClientAttestationError(Reason.CLIENT_UNKNOWN)
    with database_answers():
        adopted = documents.adopted_policy(policy.application.client_id, method=evidence.method)
    if adopted is None:  # E4
        raise ClientAttestationError(Reason.CLIENT_NOT_REGISTERED)
    if evidence.method not in adopted.methods:  # B5
        raise ClientAttestationError(Reason.METHOD_NOT_ALLOWED)
    return adopted


def prepare(fields: HeaderFields) -> None:
    """Fetch the keys that a request will need, where its transaction would not allow it later (rule T2).

    Decides nothing and reports nothing: whatever is wrong with the request is found out again.
    """
    with suppress(ClientAttestationError):
        request = peek_request(fields, max_length=app_settings.max_field_length, memory=app_settings.attestation_memory)
        client_id = request.attestation.client_id
        policy = policy_of(client_id) or documents.policy_of_unknown(client_id)
        if policy is not None:
            trust_in(policy, request, now=time.time())


def ask_site(request: HttpRequest, application: Any, evidence: Evidence) -> None:
    """Let ``SITE_RULE`` have its say. Whatever goes wrong in it refuses.

    So does an answer: False was meant to refuse, and a coroutine has not decided anything.
    """
    rule = app_settings.site_rule
    if rule is None:
        return
    try:
        answer = rule(request=request, application=application, evidence=evidence)
        if inspect.iscoroutine(answer):
            answer.close()
        if answer is not None:
            raise TypeError("SITE_RULE must return None, or raise PermissionDenied to refuse")
    except PermissionDenied as error:
        raise ClientAttestationError(Reason.SITE_RULE) from error
    except Exception as error:
        logger.exception("SITE_RULE failed; the request is refused.")
        raise ClientAttestationError(Reason.SITE_RULE_FAILED) from error
