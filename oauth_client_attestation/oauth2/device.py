"""The device flow (RFC 8628), the same on both oauthlib lines and for every client of the site.

The client is authenticated before anything else is looked at; a device code is redeemed once, by the client
that it was issued to, and by the instance that asked for it where one did (B4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, JsonResponse
from django.utils.crypto import get_random_string
from oauth2_provider.models import get_device_grant_model
from oauth2_provider.views import TokenView
from oauthlib.common import Request as OAuthlibRequest
from oauthlib.oauth2 import InvalidClientError, InvalidGrantError
from oauthlib.oauth2.rfc8628 import errors as device_errors

from ..core.errors import ClientAttestationError
from . import doors
from .bindings import bind_device_code, device_code_refusal, refuse_if, refused, report_concealed
from .errors import AttestationOAuth2Error, error_response
from .exchange import AttestationExchange, exchange_for, exchange_of

DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"


if TYPE_CHECKING:  # what the mixins are mixed into
    from oauth2_provider.oauth2_backends import OAuthLibCore as _Backend
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Backend = _Validator = object


class DeviceAuthorizationBackendMixin(_Backend):
    """For ``OAuthLibCore``: the device authorization endpoint."""

    def create_device_authorization_response(self, request: HttpRequest) -> tuple[dict[str, str], Any, int]:
        """Authenticate an attested client first, so that ``client_id`` may be absent from its request."""
        try:
            _authenticate_first(self, request)
        except AttestationOAuth2Error as error:
            return error.headers, error.json, error.status_code
        _name_client(exchange_for(request))
        headers, body, status = super().create_device_authorization_response(request)
        if isinstance(body, dict):
            # oauthlib 4 echoes the scope, which is no member of RFC 8628's response and which
            # django-oauth-toolkit's DeviceCodeResponse does not know.
            body.pop("scope", None)
            try:
                bind_device_code(exchange_for(request), body)
            except AttestationOAuth2Error as error:
                return error.headers, error.json, error.status_code
        return headers, body, status


class DeviceGrantValidatorMixin(_Validator):
    """For ``OAuth2Validator``: redeeming a device code at the token endpoint."""

    def validate_grant_type(self, client_id: str, grant_type: str, client: Any, request: Any, *args: Any) -> bool:
        """Check that a device code belongs to the client and the instance that have just authenticated.

        Both oauthlib lines call this between client authentication and issuance; oauthlib 3 has no other place
        where the code and its client meet.

        :raises InvalidGrantError: if the code is another client's, or not one that can be redeemed.
        :raises AttestationOAuth2Error: if it is another instance's (B4).
        """
        allowed = bool(super().validate_grant_type(client_id, grant_type, client, request, *args))
        if allowed and grant_type == DEVICE_CODE_GRANT:
            grant = _redeemable_grant(client.client_id, request.device_code)
            if grant is None:
                raise InvalidGrantError
            refuse_if(device_code_refusal(exchange_of(request), grant.device_code), request)
            request.user = grant.user
            # Both, or a scope in this request would fill in for one that the user was not asked about.
            request.scope, request.scopes = grant.scope, grant.scope.split()
        return allowed

    def validate_device_code(self, client_id: str, device_code: str, request: Any) -> str | None:
        """Return the state of a device code in oauthlib 4's words, or None where the client has no such code."""
        model = get_device_grant_model()
        grant = model.objects.filter(client_id=client_id, device_code=device_code).first()
        if grant is None:
            return None
        if grant.is_expired():
            return str(device_errors.ExpiredTokenError.error)
        states = {
            model.AUTHORIZED: "authorized",
            model.AUTHORIZATION_PENDING: device_errors.AuthorizationPendingError.error,
            model.DENIED: device_errors.AccessDenied.error,
        }
        return states.get(grant.status)

    def _save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Redeem the device code in the transaction that stores its token: of two requests, one wins.

        :raises InvalidGrantError: for the other one.
        :raises AttestationOAuth2Error: if the code has been revoked since it was looked at.
        """
        if request.grant_type == DEVICE_CODE_GRANT:
            refuse_if(device_code_refusal(exchange_of(request), request.device_code), request)
            model = get_device_grant_model()
            redeemed = model.objects.filter(
                client_id=request.client.client_id, device_code=request.device_code, status=model.AUTHORIZED
            ).update(status=model.EXPIRED)
            if not redeemed:
                raise InvalidGrantError
        super()._save_bearer_token(token, request, *args, **kwargs)


def answer_before_token_view(request: HttpRequest, view_class: type[TokenView]) -> JsonResponse | None:
    """Answer a device grant's token request that need not go any further.

    Done before the view, which answers from the state of the device code: that is for an authenticated client.

    :return: the refusal, or None for a request that may go on.
    """
    if request.method != "POST" or request.POST.get("grant_type") != DEVICE_CODE_GRANT:
        return None
    try:
        _authenticate_to_poll(view_class.get_oauthlib_core(), request)
    except AttestationOAuth2Error as error:
        return error_response(error)
    except InvalidClientError as error:
        return JsonResponse(dict(error.twotuples), status=error.status_code, headers={"Cache-Control": "no-store"})
    if not request.POST.get("device_code"):
        body = {"error": "invalid_request", "error_description": "Missing device_code parameter."}
        return JsonResponse(body, status=400, headers={"Cache-Control": "no-store"})
    return _answer_from_code(request)


def _answer_from_code(request: HttpRequest) -> JsonResponse | None:
    """Tell nobody but the instance that asked for a device code its state (B4), and let a code expire in time.

    Whoever else presents it cannot tell it from a code that never was: an attested instance gets the same refusal
    for both, and for everybody else the view looks for a code that never was. The view answers from the stored
    state, which says that a code has expired only once somebody looked.
    """
    exchange = exchange_for(request)
    attested = exchange.evidence is not None
    device_code = request.POST["device_code"]
    grant = get_device_grant_model().objects.filter(device_code=device_code).first()
    reason = device_code_refusal(exchange, device_code if grant is None else grant.device_code)
    if reason is not None and attested:
        return error_response(refused(exchange, ClientAttestationError(reason)))
    if reason is not None:
        report_concealed(exchange, reason, None)
        _conceal_code(request)
    elif grant is not None and not attested and exchange.policies_of(grant.client_id).demand_attestation:
        _conceal_code(request)
    elif grant is not None:
        grant.is_expired()
    return None


def _conceal_code(request: HttpRequest) -> None:
    """Let the view look for a device code that nobody was given."""
    _put_into_form(request, "device_code", get_random_string(40))


def _authenticate_first(core: Any, request: HttpRequest) -> None:
    """Authenticate a request that concerns attestation; the verdict is kept for when oauthlib asks.

    :raises AttestationOAuth2Error: if it is refused.
    """
    oauth_request = OAuthlibRequest(*core._extract_params(request))
    if doors.concerns_attestation(oauth_request):
        core.server.request_validator.authenticate_attested_client(oauth_request)


def _authenticate_to_poll(core: Any, request: HttpRequest) -> None:
    """Authenticate every client that comes with an attestation or must, also beside another authentication (S1).

    The attestation is not verified again when oauthlib asks.

    :raises AttestationOAuth2Error: if the attestation is refused.
    :raises InvalidClientError: if the other authentication fails.
    """
    _authenticate_first(core, request)
    exchange = exchange_for(request)
    if exchange.evidence is not None:
        return
    oauth_request = OAuthlibRequest(*core._extract_params(request))
    concerned = exchange.fields.committed or doors.names_client_to_be_attested(oauth_request)
    if concerned and not doors.ask_host(core.server.request_validator, oauth_request):
        raise InvalidClientError


def _redeemable_grant(client_id: str, device_code: str) -> Any:
    model = get_device_grant_model()
    grant = model.objects.filter(client_id=client_id, device_code=device_code, status=model.AUTHORIZED).first()
    return None if grant is None or grant.is_expired() else grant


def _name_client(exchange: AttestationExchange) -> None:
    """Add the ``client_id`` that was authenticated, which the device authorization view reads from the form."""
    if exchange.evidence is None:
        return
    _put_into_form(exchange.request, "client_id", exchange.evidence.attestation.client_id)


def _put_into_form(request: HttpRequest, name: str, value: str) -> None:
    form = request.POST.copy()
    form[name] = value
    # The stubs let POST be only what Django parsed, which cannot be changed.
    request.POST = form  # type: ignore[assignment]  # as above
