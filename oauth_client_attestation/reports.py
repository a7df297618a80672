"""What becomes known of an outcome: the log, the signals, and the record for the admin (E6).

None of them holds a token, a key or a claim value.
"""

from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest

from . import activity
from .core.errors import ClientAttestationError
from .core.results import Evidence
from .models import AttestationPolicy
from .signals import client_attestation_accepted, client_attestation_refused

logger = logging.getLogger("oauth_client_attestation")


def report_acceptance(request: HttpRequest, evidence: Evidence, *, application_id: Any) -> None:
    """Log that a request was accepted, send the signal and note it for the record.

    :param application_id: primary key of the application; None where a client is being registered.
    """
    facts = {
        "application": application_id,
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


def report_refusal(request: HttpRequest | None, error: ClientAttestationError, *, application_id: Any = None) -> None:
    """Log a refusal, send its signal and note it for the record.

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


def endpoint_of(request: HttpRequest | None) -> str:
    """Return the name of the URL that a request came to."""
    match = getattr(request, "resolver_match", None)
    return match.view_name if match else "-"


def _send(signal: Any, **arguments: Any) -> None:
    signal.send_robust(sender=AttestationPolicy, **arguments)  # which logs the exceptions of receivers
