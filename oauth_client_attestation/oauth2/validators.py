"""The door into oauthlib: a mixin for ``OAuth2Validator``, and the class for sites that have none of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.cimd import is_cimd_client_id
from oauth2_provider.oauth2_validators import OAuth2Validator

from ..core.errors import Reason
from ..models import AttestationPolicy
from ..par.validators import PushedAuthorizationValidatorMixin
from . import doors, signal
from .bindings import BindingValidatorMixin
from .codes import AuthorizationCodeValidatorMixin
from .device import DeviceGrantValidatorMixin
from .exchange import exchange_of
from .resource import ResourceValidatorMixin
from .senders import SenderValidatorMixin

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class AttestationValidatorMixin(
    BindingValidatorMixin,
    SenderValidatorMixin,
    PushedAuthorizationValidatorMixin,
    AuthorizationCodeValidatorMixin,
    DeviceGrantValidatorMixin,
    ResourceValidatorMixin,
    _Validator,
):
    """Client attestation in front of django-oauth-toolkit's own client authentication.

    Put it before ``OAuth2Validator`` in the bases of your validator. Where a request carries an attestation it
    raises on failure and never returns False: django-oauth-toolkit falls back to other methods on False (H5).
    """

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """True for every attested request and every client that must be attested, public ones included."""
        doors.seal(request)
        return doors.concerns_attestation(request) or bool(
            super().client_authentication_required(request, *args, **kwargs)
        )

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Authenticate by attestation, or let the next class do it for clients that are free to (B5)."""
        doors.seal(request)
        if not doors.concerns_attestation(request):
            authenticated = bool(super().authenticate_client(request, *args, **kwargs))
            if authenticated:
                doors.refuse_unless_free(request, request.client)
                signal.check(exchange_of(request), request.client)
            else:
                signal.note_failure(exchange_of(request))
            return authenticated
        self.authenticate_attested_client(request)
        return True

    def authenticate_attested_client(self, request: Any) -> None:
        """Authenticate a request that concerns attestation and make its application the request's client.

        :raises AttestationOAuth2Error: if it is refused.
        """

        def adopt(policy: AttestationPolicy) -> bool:
            client_id = policy.application.client_id
            if not is_cimd_client_id(client_id):
                request.client = policy.application  # _load_application takes it from here and saves its query
            return self._load_application(client_id, request) is not None

        policy = doors.authenticate(request, adopt)
        if not adopt(policy):  # the verdict may be older than this oauthlib request
            raise doors.refusal(request, Reason.CLIENT_UNKNOWN, policy)

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Let a public client in, unless it must be attested (B5)."""
        known = bool(super().authenticate_client_id(client_id, request, *args, **kwargs))
        if known:
            doors.refuse_unless_free(request, request.client)
            signal.check(exchange_of(request), request.client)
        return known

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse response types that hand out tokens before the client has authenticated (B5)."""
        if response_type != "code" and doors.must_be_attested(request, client.client_id):
            return False
        return bool(super().validate_response_type(client_id, response_type, client, request, *args, **kwargs))


class AttestationOAuth2Validator(AttestationValidatorMixin, OAuth2Validator):
    """For ``OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"]`` on sites without a validator of their own."""
