"""The pushed authorization request endpoint (RFC 9126 section 2)."""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View
from oauth2_provider.views import TokenView
from oauthlib.common import Request as OAuthlibRequest
from oauthlib.oauth2 import InvalidClientError, InvalidRequestError, OAuth2Error

from ..core import wire
from ..core.errors import ClientAttestationError, Reason
from ..instances import database
from ..oauth2 import doors, senders
from ..oauth2.errors import AttestationOAuth2Error, error_response
from ..oauth2.exchange import exchange_for
from . import store
from .routes import authorization_core
from .validation import validate

#: Parameters that authenticate the client and are no part of its request (RFC 9126 section 2.1).
CREDENTIALS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
#: The most characters that the names and values of one request may have together; anybody who is a public client
#: can have them stored.
MAX_LENGTH: Final = 32768


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(login_not_required, name="dispatch")
class PushedAuthorizationRequestView(View):
    """Takes an authorization request from an authenticated client and gives it a reference.

    Clients authenticate as at the token endpoint: by attestation, by a secret, or, public ones, not at all.
    """

    http_method_names = ("post", "options")

    @classmethod
    def get_oauthlib_core(cls) -> Any:
        """Return the core that authenticates clients: the token endpoint's."""
        return TokenView.get_oauthlib_core()

    @method_decorator(sensitive_post_parameters("client_secret", "client_assertion"))
    def post(self, request: HttpRequest) -> JsonResponse:
        """Return 201 and the ``request_uri``, or an error in JSON (RFC 9126 sections 2.2 and 2.3)."""
        try:
            application = self._authenticate(request)
            parameters = _parameters(request, application)
            length = sum(len(name) + len(value) for name, value in parameters)
            if length > MAX_LENGTH:
                return _json({"error": "invalid_request", "error_description": "The request is too large."}, 413)
            exchange_for(request).pushed = True
            parameters = _with_proven_key(request, application, parameters)
            validate(authorization_core(), request, parameters)
            reference, lifetime = _store(request, application, parameters)
        except AttestationOAuth2Error as error:
            return error_response(error)
        except OAuth2Error as error:
            # Without `state`, which is for redirects.
            body = {"error": error.error, "error_description": error.description}
            return _json({name: value for name, value in body.items() if value}, error.status_code, error.headers)
        return _json({"request_uri": reference, "expires_in": lifetime}, 201)

    def _authenticate(self, request: HttpRequest) -> Any:
        """Return the application of the client.

        :raises OAuth2Error: if it cannot be authenticated, or the request is another client's.
        """
        core = self.get_oauthlib_core()
        oauth_request: Any = OAuthlibRequest(*core._extract_params(request))
        if not doors.ask_host(core.server.request_validator, oauth_request):
            raise InvalidClientError
        if doors.named_client_ids(oauth_request) - {oauth_request.client.client_id}:
            raise InvalidRequestError(description="client_id is not that of the authenticated client.")
        return oauth_request.client


def _parameters(request: HttpRequest, application: Any) -> list[tuple[str, str]]:
    """Return what is pushed, with ``client_id``, which an authenticated client may leave out.

    :raises InvalidRequestError: if there are parameters elsewhere than in the body.
    """
    if request.GET:
        raise InvalidRequestError(description="The parameters belong in the body.")
    pushed = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in CREDENTIALS and name != "client_id"
    ]
    return [("client_id", application.client_id), *pushed]


def _with_proven_key(
    request: HttpRequest, application: Any, parameters: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the parameters with the key of the request's DPoP proof, if it has one (D7; RFC 9449 section 10.1).

    :raises AttestationOAuth2Error: if the proof is not good, or by another key than the one that ``dpop_jkt`` names.
    """
    exchange = exchange_for(request)
    try:
        proof = senders.establish(exchange, application)
        if proof is None or not senders.is_allowed(application, exchange):  # nobody would ask for the key again
            return parameters
        named = {value for name, value in parameters if name == wire.DPOP_JKT}
        if named - {proof.thumbprint}:
            raise ClientAttestationError(Reason.DPOP_JKT_MISMATCH)
    except ClientAttestationError as error:
        raise AttestationOAuth2Error(exchange.refuse(error, application_id=application.pk), exchange) from error
    return parameters if named else [*parameters, (wire.DPOP_JKT, proof.thumbprint)]


def _store(request: HttpRequest, application: Any, parameters: list[tuple[str, str]]) -> tuple[str, int]:
    """Store the request for the instance that has pushed it, if one did.

    :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated, or the DPoP proof was
        used before.
    """
    exchange = exchange_for(request)
    with transaction.atomic(using=database()):
        try:
            exchange.hold_instance()
            senders.use_up(exchange)
        except ClientAttestationError as error:
            raise AttestationOAuth2Error(exchange.refuse(error, application_id=application.pk), exchange) from error
        return store.store(application, parameters, instance=exchange.instance, now=time.time())


def _json(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store", **(headers or {})})
