"""Where django-oauth-toolkit has pushed authorization requests of its own: what is left to do is rule B3.

Its endpoint and its views do the rest. Nothing of them is known here but that both ask the validator: an authorization
request that has been attested can only be one that is being pushed, since a browser has no attestation. What leads
from there to the code is the ``code_challenge``, which is in both and which no two requests share (RFC 7636).
"""

from __future__ import annotations

import math
import time
from typing import Any, Final

from django.db import transaction
from oauthlib.oauth2 import InvalidRequestError

from ..core.errors import ClientAttestationError
from ..instances import database
from ..models import ClientInstance, PushedAuthorizationRequest
from ..oauth2 import doors
from ..oauth2.exchange import AttestationExchange
from .store import digest_of

#: Seconds that a push is remembered: longer than the host lets anybody take over a decision. A code that came later
#: would belong to nobody.
_MEMORY: Final = 86400


def remember_push(request: Any, exchange: AttestationExchange, application: Any) -> None:
    """Remember which instance is pushing the authorization request that the host is validating.

    :raises InvalidRequestError: if it has no ``code_challenge``, or that of another instance's request.
    :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated.
    """
    if not request.code_challenge:
        raise InvalidRequestError(description="Code challenge required.")
    with transaction.atomic(using=database()):
        try:
            exchange.hold_instance()
        except ClientAttestationError as error:
            raise doors.refusal_for(request, error.reason, application.pk) from error
        pushed, _ = PushedAuthorizationRequest.objects.using(database()).get_or_create(
            digest=_digest(request, application),
            defaults={
                "application": application,
                "instance": exchange.instance,
                "valid_until": math.ceil(time.time()) + _MEMORY,
                "used": True,  # by the host
            },
        )
    if pushed.instance != exchange.instance:
        raise InvalidRequestError(description="The code challenge was used before.")


def instance_of(request: Any) -> ClientInstance | None:
    """Return the instance that has pushed the request of a code that is being issued, if one did."""
    if not request.code_challenge:
        return None
    pushed = PushedAuthorizationRequest.objects.using(database()).select_related("instance")
    found = pushed.filter(digest=_digest(request, request.client)).first()
    return None if found is None else found.instance


def _digest(request: Any, application: Any) -> str:
    return digest_of(f"code_challenge {application.pk} {request.code_challenge}")
