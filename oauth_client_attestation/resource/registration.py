"""The client configuration endpoint (RFC 7592), where the host looks for a token by itself and not by the validator.

What it looks for is a registration access token, which is never bound. But any access token of the client passes for
one if the site grants its scope, ``DCR_REGISTRATION_SCOPE``, like others; so a bound one is refused before (rule D6).
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from oauth2_provider.utils import parse_bearer_token
from oauth2_provider.views.dynamic_client_registration import DynamicClientRegistrationManagementView

from ..confirmations import stored_access_token
from ..core.errors import ClientAttestationError, Reason
from ..instances import database_answers
from ..oauth2.exchange import exchange_for


def answer_before_view(request: HttpRequest, view: Any) -> JsonResponse | None:
    """Return the answer to a request with a bound token at that endpoint, or None."""
    view_class = getattr(view, "view_class", None)
    if not (isinstance(view_class, type) and issubclass(view_class, DynamicClientRegistrationManagementView)):
        return None
    token = parse_bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
    if token is None:
        return None
    try:
        with database_answers():
            stored = stored_access_token(token)
        if stored is None or stored.bound_to is None:
            return None
        raise ClientAttestationError(Reason.ACCESS_TOKEN_AS_BEARER)
    except ClientAttestationError as error:
        exchange_for(request).refuse_at_resource(error)
        body = {"error": error.code, "error_description": error.description}
        return JsonResponse(body, status=error.status, headers={"Cache-Control": "no-store"})
