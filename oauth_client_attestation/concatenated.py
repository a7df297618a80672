"""The concatenated form of revisions -04 to -07, ``<attestation>~<pop>``, for transports without header fields."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

from .challenges import authorization_server_challenges
from .conf import app_settings
from .core.errors import ClientAttestationError, Reason
from .core.headers import HeaderFields
from .core.results import Evidence
from .presented import Demand, verified
from .reports import report_refusal

#: The last revision that has this form.
LAST_REVISION: Final = 7


def verify_concatenated(value: str, *, request: HttpRequest, client_id: str | None = None) -> Evidence:
    """Verify an attestation and its proof that came as one string, with the same rules, evidence and errors.

    :param value: two compact JWTs, joined by a tilde.
    :param request: whatever brought it, for log, signals and ``SITE_RULE``; its header fields are not looked at.
    :param client_id: the client that the transport names; the attestation's ``sub`` has to be the same (A4).
    :return: the evidence. The proof is used up: the same string is refused from now on.
    :raises ClientAttestationError: if any rule refuses, or ``OLDEST_REVISION`` is newer than this form; logged and
        signalled already.
    """
    try:
        return _verified(value, request, client_id)
    except ClientAttestationError as error:
        report_refusal(request, error)
        raise


def _verified(value: str, request: HttpRequest, client_id: str | None) -> Evidence:
    issuer = app_settings.issuer
    if issuer is None:  # P4
        raise ClientAttestationError(Reason.ISSUER_NOT_CONFIGURED)
    attestation, separator, pop = value.partition("~")
    if not separator:
        raise ClientAttestationError(Reason.POP_MISSING)
    if app_settings.oldest_revision > LAST_REVISION:  # to newer revisions it is no form at all
        raise ClientAttestationError(Reason.ATTESTATION_FIELD_MALFORMED)
    demand = Demand(audience=issuer, challenges=authorization_server_challenges(issuer), client_id=client_id)
    evidence, _ = verified(request, HeaderFields((attestation,), (pop,)), demand)
    return evidence
