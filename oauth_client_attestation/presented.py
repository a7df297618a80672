"""An attestation that comes along with something else: another client authentication, or an access token (rules S).

It is verified like one that authenticates the client. What is said of the client must agree with what the other thing
says, and a request that carries one passes with it or not at all (H5): a failed signal is never taken for none.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from oauth2_provider.models import get_application_model

from . import instances, proofs
from .conf import app_settings
from .core import wire
from .core.attestation import concerning
from .core.challenge import Challenges
from .core.dpop import DpopContext
from .core.errors import ClientAttestationError, Reason
from .core.headers import HeaderFields
from .core.results import Evidence, VerifiedDpopProof
from .core.verify import UnverifiedRequest, peek_request, verify_request
from .dpop import context_of
from .instances import database_answers
from .models import AttestationPolicy, ClientInstance
from .policies import core_policy
from .reports import report_acceptance
from .service import ask_site, instance_of
from .trust.resolver import trusted_keys


@dataclass(frozen=True, slots=True)
class Demand:
    """Whose attestation is wanted, and where it has to be good.

    :ivar audience: what the proof names as its audience (P4).
    :ivar challenges: of the server that it is shown to.
    :ivar client_id: the client that the other thing belongs to; None where nothing else says.
    :ivar thumbprint: of the instance that the other thing belongs to; None where it belongs to none.
    :ivar methods: how possession may be proven, as in the metadata; None: as the settings say.
    :ivar at_resource: whether it is shown to a resource.
    :ivar access_token: that comes along.
    :ivar used_up: a DPoP proof of the same request that has been used up already.
    """

    audience: str
    challenges: Challenges
    client_id: str | None = None
    thumbprint: str | None = None
    methods: Collection[str] | None = None
    at_resource: bool = False
    access_token: str | None = None
    used_up: VerifiedDpopProof | None = None


def verified(request: HttpRequest, fields: HeaderFields, demand: Demand) -> tuple[Evidence, ClientInstance | None]:
    """Verify an attestation and its proof, ask the site, and use the proof up.

    :return: what was verified, and the record of the instance if there is one.
    :raises ClientAttestationError: with the reason of the first rule that refuses; the caller reports it.
    """
    try:
        return _verified(request, fields, demand)
    except ClientAttestationError as error:
        raise error.of_client_authentication() from error


def prepare(fields: HeaderFields) -> None:
    """Fetch the keys that will be needed, where the request's transaction would not allow it later (rule T2).

    Decides nothing and reports nothing: whatever is wrong with the request is found out again.
    """
    with suppress(ClientAttestationError):
        unverified = peek_request(
            fields, max_length=app_settings.max_field_length, memory=app_settings.attestation_memory
        )
        _check_method(unverified, accepted={*app_settings.pop_methods, *app_settings.resource_pop_methods})
        application = _registered(unverified.attestation.client_id)
        with database_answers():
            trusted_keys(None if application is None else application.pk, unverified.attestation, now=time.time())


def _verified(request: HttpRequest, fields: HeaderFields, demand: Demand) -> tuple[Evidence, ClientInstance | None]:
    unverified = peek_request(
        fields,
        max_length=app_settings.max_field_length,
        named_client_ids=() if demand.client_id is None else (demand.client_id,),
        memory=app_settings.attestation_memory,
    )
    _check_method(
        unverified, accepted=app_settings.resource_pop_methods if demand.at_resource else app_settings.pop_methods
    )
    if demand.methods is not None:
        _check_method(unverified, accepted=demand.methods)
    # Its trust decides; for a client that is not registered here, attesters that are trusted for all of them.
    application = _registered(unverified.attestation.client_id)
    application_id = None if application is None else application.pk
    now = time.time()
    with database_answers():
        trust = trusted_keys(application_id, unverified.attestation, now=now)
    evidence = verify_request(
        unverified,
        keys=trust.keys,
        policy=core_policy(_policy_of(application), demand.audience),
        challenges=demand.challenges,
        now=now,
        dpop=_dpop_context(request, unverified, demand),
        memory=app_settings.attestation_memory,
        no_key=trust.no_key,
    )
    with concerning(evidence.attestation):
        if demand.thumbprint not in (None, evidence.attestation.thumbprint):
            raise ClientAttestationError(Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE)  # S2
        instance = None if application_id is None else instance_of(application_id, evidence.attestation)
        ask_site(request, application, evidence)
        if evidence.proof != demand.used_up:
            proofs.use_up(evidence.proof)  # P8
    if instance is not None:
        with database_answers():
            instances.note_seen(instance)
    report_acceptance(request, evidence, application_id=application_id)
    return evidence, instance


def _registered(client_id: str) -> Any:
    """Return the application with exactly that client_id, or None."""
    if "\0" in client_id:  # PostgreSQL cannot even be asked
        return None
    with database_answers():
        applications = get_application_model()._base_manager.select_related("client_attestation_policy")
        application = applications.filter(client_id=client_id).first()
    # MariaDB compares without regard to case.
    return application if application is not None and application.client_id == client_id else None


def _policy_of(application: Any) -> AttestationPolicy:
    """Return what is demanded of the client's attestations; those that are no authentication have no policy."""
    policy: AttestationPolicy | None = getattr(application, "client_attestation_policy", None)
    return policy or AttestationPolicy()


def _check_method(request: UnverifiedRequest, *, accepted: Collection[str]) -> None:
    if wire.POP_METHODS[request.method] not in accepted:  # S1
        combined = request.method == wire.METHOD_DPOP
        raise ClientAttestationError(Reason.COMBINED_MODE_NOT_OFFERED if combined else Reason.METHOD_NOT_ALLOWED)


def _dpop_context(request: HttpRequest, unverified: UnverifiedRequest, demand: Demand) -> DpopContext | None:
    if unverified.method != wire.METHOD_DPOP:
        return None
    return context_of(request, at_resource=demand.at_resource, access_token=demand.access_token)
