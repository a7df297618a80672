"""An attestation beside another client authentication, at the doors of the authorization server (rule S1).

The other authentication comes first. Where the attestation is required, what is issued is bound to the instance as if
it had authenticated by it.
"""

from __future__ import annotations

from typing import Any

from ..challenges import authorization_server_challenges
from ..conf import app_settings
from ..core.errors import ClientAttestationError, Reason
from ..policies import ClientPolicies
from ..presented import Demand, verified
from .errors import AttestationOAuth2Error
from .exchange import AttestationExchange


def is_wanted(policies: ClientPolicies) -> bool:
    """Whether an attestation of the client is a signal, and not its authentication."""
    return policies.signal_use != "off"


def check(exchange: AttestationExchange | None, application: Any) -> None:
    """Verify the attestation that comes along with a request whose client has just authenticated otherwise, once.

    :raises AttestationOAuth2Error: if it is refused, or there is none where one is required.
    """
    if exchange is None or _is_verified(exchange, application):
        return
    try:
        use = exchange.policies_of_known(application).signal_use
        if use == "required" or (use == "optional" and exchange.fields.committed):
            _verify(exchange, application, required=use == "required")
    except ClientAttestationError as error:
        raise AttestationOAuth2Error(exchange.refuse(error, application_id=application.pk), exchange) from error


def note_failure(exchange: AttestationExchange | None) -> None:
    """Note that the client of a request with an attestation could not be authenticated otherwise.

    At introspection the host then asks for an access token, which must not let in what nobody has verified (H5).
    """
    if exchange is not None and exchange.fields.committed:
        exchange.client_failed = True


def _is_verified(exchange: AttestationExchange, application: Any) -> bool:
    """Whether the attestation was verified before: oauthlib 3 authenticates twice in the device grant."""
    signal = exchange.signal
    return signal is not None and bool(signal.attestation.client_id == application.client_id)


def _verify(exchange: AttestationExchange, application: Any, *, required: bool) -> None:
    if not exchange.fields.committed:
        raise ClientAttestationError(Reason.ATTESTATION_REQUIRED)
    issuer = app_settings.issuer
    if issuer is None:  # P4
        raise ClientAttestationError(Reason.ISSUER_NOT_CONFIGURED)
    demand = Demand(
        audience=issuer,
        challenges=authorization_server_challenges(issuer),
        client_id=application.client_id,
    )
    exchange.signal, instance = verified(exchange.request, exchange.fields, demand)
    if required:
        exchange.adopt(exchange.signal, instance, application_id=application.pk)
