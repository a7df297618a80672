"""Attestations at resources: that whoever uses an access token is a genuine instance of its client (rules S1, S2)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import HttpRequest

from ..challenges import resource_challenges
from ..conf import app_settings
from ..core import wire
from ..core.errors import ClientAttestationError, Reason
from ..core.results import Evidence, VerifiedDpopProof
from ..instances import database, database_answers
from ..models import IntrospectedToken
from ..oauth2.exchange import AttestationExchange, exchange_for
from ..presented import Demand, verified


def attestation_of(
    request: HttpRequest,
    *,
    required: bool = True,
    resource: str | None = None,
    methods: Collection[str] | None = None,
) -> Evidence | None:
    """Return what the attestation of a request to a resource says, once it and its proof are verified (section 7.6).

    Ask after the access token has been verified: attestation and token have to be of the same client, and of the same
    instance where the token is bound to one. However often it is asked, the proof is used up once.

    :param required: whether a request without an attestation is refused.
    :param resource: the identifier of the resource, if it is not the one of the settings: what the proof has to name
        as its audience (P4).
    :param methods: how possession of the key may be proven, out of ``attestation_pop_jwt`` and ``dpop_combined``, if
        not in every way that ``POP_METHODS`` allows.
    :return: None where there is none and none is required.
    :raises ClientAttestationError: if it is refused; logged and signalled already. Its ``code`` belongs into
        ``WWW-Authenticate``, where the middleware puts it if the view answers with 401 or 403 (E5).
    """
    exchange = exchange_for(request)
    audience = resource or app_settings.resource
    known = None if audience is None else exchange.attested_resources.get(audience)
    question = (audience, required, None if methods is None else frozenset(methods))
    if question in exchange.refused_attestations:  # REST framework's pages ask again for each form on them
        raise exchange.refused_attestations[question]
    try:
        if known is not None and methods is not None and wire.POP_METHODS[known.method] not in methods:
            raise ClientAttestationError(Reason.METHOD_NOT_ALLOWED)
        evidence = known or _evidence(exchange, audience, required=required, methods=methods)
    except ClientAttestationError as error:
        exchange.refuse_at_resource(error, application_id=_application_id(exchange))
        exchange.refused_attestations[question] = error
        raise
    if evidence is not None and audience is not None:
        exchange.attested_resources[audience] = evidence
    return evidence


def check_agreement(exchange: AttestationExchange, token: Any) -> None:
    """Compare an access token that is verified only now with the attestations that were verified before it.

    Whoever asks for both has them in agreement, whatever the order.

    :param token: its row.
    :raises ClientAttestationError: if one is of another client, or of another instance than the token is bound to.
    """
    for evidence in exchange.attested_resources.values():
        with database_answers():
            client_id, bound_to = _client_id(token), _instance_key(token)
        if client_id != evidence.attestation.client_id:  # A4
            raise ClientAttestationError(Reason.CLIENT_MISMATCH)
        if bound_to not in (None, evidence.attestation.thumbprint):
            raise ClientAttestationError(Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE)
        combined = isinstance(evidence.proof, VerifiedDpopProof)
        # D3: nobody has compared its ath.
        if combined and exchange.attested_before_token and evidence.proof != exchange.proven_with_token:
            raise ClientAttestationError(Reason.DPOP_ATH)


def _evidence(
    exchange: AttestationExchange, audience: str | None, *, required: bool, methods: Collection[str] | None
) -> Evidence | None:
    exchange.visit_resource()
    if not exchange.fields.committed:
        if required:
            raise ClientAttestationError(Reason.ATTESTATION_REQUIRED)
        return None
    if audience is None:
        raise ClientAttestationError(Reason.RESOURCE_NOT_CONFIGURED)
    verdict = exchange.token_verdict
    token = None if verdict is None else verdict.token
    exchange.attested_before_token |= token is None
    with database_answers():
        client_id, bound_to = (None, None) if token is None else (_client_id(token), _instance_key(token))
    demand = Demand(
        audience=audience,
        challenges=resource_challenges(),
        client_id=client_id,
        thumbprint=bound_to,
        methods=methods,
        at_resource=True,
        access_token=None if verdict is None else verdict.value,
        used_up=exchange.presenter,
    )
    evidence, _ = verified(exchange.request, exchange.fields, demand)
    if isinstance(evidence.proof, VerifiedDpopProof):
        exchange.presenter = evidence.proof
    return evidence


def _client_id(token: Any) -> str:
    """Return the client that an access token was issued to.

    :raises ClientAttestationError: if nobody says whose token it is.
    """
    if token.application is not None:
        return str(token.application.client_id)
    introspected = IntrospectedToken.objects.using(database()).filter(access_token=token.pk).first()
    if introspected is None or not introspected.client_id:
        raise ClientAttestationError(Reason.CLIENT_UNKNOWN)
    return introspected.client_id


def _instance_key(token: Any) -> str | None:
    """Return the thumbprint of the instance that an access token was issued to, if it is known here.

    Asked of the token, or of an ID token, which the host takes for one: with its row, its binding would be gone too.

    :raises ClientAttestationError: if the token has been revoked since it was verified.
    """
    rows = type(token)._base_manager.using(database()).filter(pk=token.pk)
    row = rows.values_list("client_attestation_binding__instance__thumbprint").first()
    if row is None:
        raise ClientAttestationError(Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE)
    thumbprint: str | None = row[0]
    return thumbprint


def _application_id(exchange: AttestationExchange) -> Any:
    token = exchange.token_verdict.token if exchange.token_verdict is not None else None
    return getattr(token, "application_id", None)
