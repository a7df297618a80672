"""For the validator: who must push, and whose a code is that comes from a pushed request (rule B3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from oauthlib.oauth2 import InvalidRequestError, UnauthorizedClientError

from ..bindings import bind_authorization_code
from ..instances import database
from ..models import ClientInstance
from ..oauth2 import doors
from ..oauth2.exchange import exchange_of
from . import host
from .refusals import PushedRequestReason, report
from .requirement import host_requires, is_required
from .routes import host_has_par

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class PushedAuthorizationValidatorMixin(_Validator):
    """For ``OAuth2Validator``: authorization requests, whichever view takes them."""

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a request that should have been pushed and was not (RFC 9126 sections 5 and 6).

        oauthlib asks this once of every authorization request, when its ``redirect_uri`` is known to be the
        client's.

        :raises InvalidRequestError: which the client is told by a redirect.
        """
        exchange = exchange_of(request)
        if host_has_par():
            if exchange is not None and exchange.evidence is not None:
                host.remember_push(request, exchange, client)
        elif not (exchange and exchange.pushed) and is_required(client):
            raise _unpushed(request, client)
        return bool(super().validate_response_type(client_id, response_type, client, request, *args, **kwargs))

    def _create_authorization_code(self, request: Any, code: Any, *args: Any, **kwargs: Any) -> Any:
        """Bind the code to the instance that pushed the request (B3), in the transaction that stores it.

        :raises UnauthorizedClientError: if that instance was blocked, or forgotten, in the meantime.
        """
        instance = _pushed_by(request)
        if instance is None:
            return super()._create_authorization_code(request, code, *args, **kwargs)
        with transaction.atomic(using=database()):
            # Locked, so that blocking it finds the code, or this finds it blocked.
            held = ClientInstance.objects.using(database()).select_for_update().filter(pk=instance.pk, blocked=None)
            if not held:
                raise UnauthorizedClientError(request=request)
            grant = super()._create_authorization_code(request, code, *args, **kwargs)
            bind_authorization_code(grant, instance)
        return grant


def _pushed_by(request: Any) -> ClientInstance | None:
    """Return the instance that pushed the request of the code that is being issued.

    :raises InvalidRequestError: where the host should have seen to it that one did. It asks before the consent page,
        whose fields can be changed.
    """
    exchange = exchange_of(request)
    if not host_has_par():
        return exchange.pushed_by if exchange else None
    instance = host.instance_of(request)
    if instance is None and doors.must_be_attested(request, request.client.client_id) and host_requires(request.client):
        raise _unpushed(request, request.client)
    return instance


def _unpushed(request: Any, application: Any) -> InvalidRequestError:
    report(PushedRequestReason.REQUIRED, application.pk)
    description = "A pushed authorization request is required."
    return InvalidRequestError(description=description, state=request.state, request=request)
