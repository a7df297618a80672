"""A registration that itself carries an attestation (rule K1): who may vouch for a client that there is not yet.

The client has no client_id before it is registered, so ``sub`` cannot be one. It is the ``software_id`` of the
request (RFC 7591 section 2): the attester says of which software the instance is, and that is the software which
registers. It must not be the client_id of an application, nor one that could be by its document: an attestation that
lets an instance in as a client of this server is no permission to register others.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from django.http import HttpRequest
from oauth2_provider.models import get_application_model

from .. import proofs, service
from ..challenges import authorization_server_challenges
from ..conf import app_settings
from ..core import wire
from ..core.attestation import concerning
from ..core.errors import ClientAttestationError, Reason
from ..core.headers import HeaderFields
from ..core.results import Evidence
from ..core.verify import UnverifiedRequest, peek_request, verify_request
from ..dpop import context_of
from ..instances import database_answers
from ..models import AttestationPolicy
from ..oauth2.errors import AttestationOAuth2Error
from ..oauth2.exchange import exchange_for
from ..policies import core_policy
from ..reports import report_acceptance
from ..trust.resolver import Trust
from . import blocks, documents
from .body import read_metadata
from .client_metadata import InvalidClientMetadata


def admitted(request: HttpRequest) -> Evidence | None:
    """Verify the attestation that a registration request carries, once; None if it carries none.

    :raises AttestationOAuth2Error: if it is refused. What carries an attestation is judged by it, whether one was
        asked for or not (H5).
    """
    exchange = exchange_for(request)
    if exchange.fields.committed and exchange.evidence is None:
        try:
            exchange.evidence = _verified(request, exchange.fields)
        except ClientAttestationError as error:
            refusal = exchange.refuse(error.of_client_authentication())
            raise AttestationOAuth2Error(refusal, exchange) from error
        report_acceptance(request, exchange.evidence, application_id=None)
    return exchange.evidence


def demanded(request: HttpRequest) -> Evidence:
    """The same where one is required.

    :raises AttestationOAuth2Error: if there is none.
    """
    evidence = admitted(request)
    if evidence is None:
        exchange = exchange_for(request)
        error = ClientAttestationError(Reason.ATTESTATION_REQUIRED)
        raise AttestationOAuth2Error(exchange.refuse(error), exchange)
    return evidence


def prepare(fields: HeaderFields) -> None:
    """Fetch the keys that will be needed, where the request's transaction would not allow it later (rule T2)."""
    with suppress(ClientAttestationError):
        _trust(peek_request(fields, max_length=app_settings.max_field_length), now=time.time())


def _verified(request: HttpRequest, fields: HeaderFields) -> Evidence:
    issuer = app_settings.issuer
    if issuer is None:  # P4
        raise ClientAttestationError(Reason.ISSUER_NOT_CONFIGURED)
    unverified = peek_request(fields, max_length=app_settings.max_field_length, memory=app_settings.attestation_memory)
    software_id = unverified.attestation.client_id
    if software_id != _software_id(request):  # A4, K1
        raise ClientAttestationError(Reason.REGISTRATION_SUB)
    now = time.time()
    trust = _trust(unverified, now=now)
    evidence = verify_request(
        unverified,
        keys=trust.keys,
        policy=core_policy(AttestationPolicy(), issuer),
        challenges=authorization_server_challenges(issuer),
        now=now,
        dpop=context_of(request) if unverified.method == wire.METHOD_DPOP else None,
        memory=app_settings.attestation_memory,
        no_key=trust.no_key,
    )
    with concerning(evidence.attestation):
        if _is_client(software_id):  # K1
            raise ClientAttestationError(Reason.REGISTRATION_SUB)
        with database_answers():
            blocked = blocks.is_blocked(evidence.attestation.thumbprint)
        if blocked:
            raise ClientAttestationError(Reason.INSTANCE_BLOCKED)
        proofs.use_up(evidence.proof)
    return evidence


def _trust(request: UnverifiedRequest, *, now: float) -> Trust:
    """Return the keys of the attesters that may vouch for a registration."""
    service.check_offered(request)
    return service.trust_for_new_client(app_settings.registration_attesters, request.attestation, now=now)


def _software_id(request: HttpRequest) -> Any:
    try:
        return read_metadata(request).get("software_id")
    except InvalidClientMetadata:
        return None


def _is_client(software_id: str) -> bool:
    """Whether an attestation with this ``sub`` lets an instance in, or could."""
    if "\0" in software_id or documents.policy_of_unknown(software_id) is not None:
        return True
    with database_answers():
        return bool(get_application_model().objects.filter(client_id=software_id).exists())
