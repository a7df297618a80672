"""Binding what is issued to the instance it is issued to, in the language of the doors (rules B1 to B4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from oauthlib.oauth2 import InvalidGrantError

from .. import bindings, instances, reports
from ..core.errors import ClientAttestationError, Reason
from ..models import ClientInstance
from ..par.requirement import all_must_push
from . import doors
from .errors import AttestationOAuth2Error
from .exchange import AttestationExchange, exchange_of

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class BindingValidatorMixin(_Validator):
    """For ``OAuth2Validator``: what an attested instance is given is bound to it, and asked of it again."""

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Ask for the instance before the host looks at the token, and may revoke its whole family (B1, B2).

        :raises AttestationOAuth2Error: if the token is another instance's, or bound to none for a client that must
            be attested.
        :raises InvalidGrantError: if it is an instance's, and the client is not attested.
        """
        reason = bindings.refresh_token_refusal(
            refresh_token, application_id=client.pk, instance=_instance(request), attested=_attested(request)
        )
        refuse_if(reason, request)
        return bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Ask for the instance that pushed the authorization request (B3).

        :raises AttestationOAuth2Error: if another one did, or none for a client that must be attested and must push.
        :raises InvalidGrantError: if one did, and the client is not attested.
        """
        reason = bindings.code_refusal(
            code,
            application_id=client.pk,
            instance=_instance(request),
            attested=_attested(request),
            all_must_push=all_must_push(client),
        )
        refuse_if(reason, request)
        return bool(super().validate_code(client_id, code, client, request, *args, **kwargs))

    def _save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Lock the instance before anything is issued to it, and before the tokens that it replaces.

        :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated.
        :raises InvalidGrantError: if the refresh token has been revoked since it was looked at, or if the host would
            repeat tokens that it stores only as digests.
        """
        _hold_instance(request)
        presented = vars(request).get("refresh_token_instance")
        if presented is not None and _attested(request) and bindings.revoked_meanwhile(presented):
            raise InvalidGrantError(request=request)
        super()._save_bearer_token(token, request, *args, **kwargs)
        if not token["access_token"]:  # a refresh token used twice within its grace period
            raise InvalidGrantError(request=request)

    def _save_id_token(self, jti: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Bind the ID token, which is stored in a transaction of its own before the other tokens are.

        :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated.
        """
        _hold_instance(request)
        id_token = super()._save_id_token(jti, request, *args, **kwargs)
        if instance := _instance(request):
            bindings.bind_id_token(id_token, instance)
        return id_token

    def _create_access_token(self, expires: Any, request: Any, token: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        access_token = super()._create_access_token(expires, request, token, *args, **kwargs)
        if instance := _instance(request):
            bindings.bind_access_token(access_token, instance)
        return access_token

    def _create_refresh_token(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        refresh_token = super()._create_refresh_token(request, *args, **kwargs)
        if instance := _instance(request):
            bindings.bind_refresh_token(refresh_token, instance)
        return refresh_token


def device_code_refusal(exchange: AttestationExchange | None, device_code: str) -> Reason | None:
    """Say why a device code may not be used by whoever presents it (B4).

    :param device_code: as it is stored, where it is: MariaDB finds it in another case too.
    """
    return bindings.device_code_refusal(
        device_code,
        instance=exchange.instance if exchange else None,
        attested=exchange is not None and exchange.evidence is not None,
    )


def bind_device_code(exchange: AttestationExchange, response: dict[str, Any]) -> None:
    """Bind the device code of a response to the attested instance, before the host stores the code (B4).

    :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated.
    """
    try:
        with transaction.atomic(using=instances.database()):
            instance = exchange.hold_instance()
            if instance is not None:
                bindings.bind_device_code(response["device_code"], instance, expires_in=response["expires_in"])
    except ClientAttestationError as error:
        raise refused(exchange, error) from error


def refused(exchange: AttestationExchange, error: ClientAttestationError) -> AttestationOAuth2Error:
    """Report the refusal of a request that was authenticated, if it was, and return it to be raised or answered."""
    return AttestationOAuth2Error(exchange.refuse(error, application_id=exchange.application_id), exchange)


def refuse_if(reason: Reason | None, request: Any) -> None:
    """Refuse what the authenticated client of an oauthlib request presents, if there is a reason to.

    :raises AttestationOAuth2Error: then, if the client is attested.
    :raises InvalidGrantError: for any other client, which gets the host's own answer to what never was.
    """
    if reason is None:
        return
    if _attested(request):
        raise doors.refusal_for(request, reason, request.client.pk)
    report_concealed(exchange_of(request), reason, request.client.pk)
    raise InvalidGrantError(request=request)


def report_concealed(exchange: AttestationExchange | None, reason: Reason, application_id: Any) -> None:
    """Report a refusal of which the response says nothing: it gets neither a sentence nor a challenge.

    Without the instance's key, what belongs to an instance cannot be told from what never was.
    """
    request = exchange.request if exchange else None
    reports.report_refusal(request, ClientAttestationError(reason), application_id=application_id)


def _hold_instance(request: Any) -> None:
    """Lock the record of the instance behind an oauthlib request until the transaction ends, if there is one.

    :raises AttestationOAuth2Error: if the instance has been blocked since it was authenticated.
    """
    exchange = exchange_of(request)
    if exchange is not None:
        try:
            exchange.hold_instance()
        except ClientAttestationError as error:
            raise doors.refusal_for(request, error.reason, request.client.pk) from error


def _attested(request: Any) -> bool:
    exchange = exchange_of(request)
    return exchange is not None and exchange.evidence is not None


def _instance(request: Any) -> ClientInstance | None:
    exchange = exchange_of(request)
    return exchange.instance if exchange is not None else None
