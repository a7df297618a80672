"""Binding what is issued to the key of the DPoP proof it was asked for with (rules D6, D7; RFC 9449).

The proof is verified once the client is authenticated, and used up in the transaction that stores what it binds: a
request that fails for another reason leaves it unused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from oauthlib.oauth2 import InvalidGrantError, InvalidRequestError

from .. import confirmations, dpop, policies, proofs
from ..conf import app_settings
from ..core import wire
from ..core.errors import ClientAttestationError, Reason
from ..core.results import VerifiedDpopProof
from ..instances import database
from ..models import DpopPolicy
from . import doors
from .exchange import AttestationExchange, exchange_of

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class SenderValidatorMixin(_Validator):
    """For ``OAuth2Validator``: tokens of a request with a DPoP proof are bound to its key."""

    def validate_grant_type(self, client_id: str, grant_type: str, client: Any, request: Any, *args: Any) -> bool:
        """Verify the DPoP proof of a token request. Both oauthlib lines ask this between authentication and issuance.

        :raises AttestationOAuth2Error: if the proof is not good, or there is none and the client needs one.
        """
        allowed = bool(super().validate_grant_type(client_id, grant_type, client, request, *args))
        if allowed:
            _require_proof(request)
        return allowed

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse tokens without a proof to clients that need one, and a ``dpop_jkt`` that is no thumbprint (D7).

        :raises InvalidRequestError: for the latter, which the client is told by a redirect.
        """
        if response_type != "code" and is_required(client, exchange_of(request)):
            return False
        jkt = _asked_jkt(request)
        if (jkt is not None and not _THUMBPRINT.fullmatch(jkt)) or wire.DPOP_JKT in request.duplicate_params:
            raise InvalidRequestError(description="dpop_jkt is not a thumbprint.", state=request.state, request=request)
        return bool(super().validate_response_type(client_id, response_type, client, request, *args, **kwargs))

    def validate_code(self, client_id: str, code: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Ask for the key that the authorization request named (D7).

        :raises AttestationOAuth2Error: if the proof is by another one, or missing.
        """
        _refuse_if(confirmations.code_refusal(code, _thumbprint(request)), request)
        return bool(super().validate_code(client_id, code, client, request, *args, **kwargs))

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Ask for the key of a public client's token before the host looks at it, and may revoke its family.

        :raises AttestationOAuth2Error: if the proof is by another one, or missing.
        """
        _refuse_if(confirmations.refresh_token_refusal(refresh_token, _thumbprint(request)), request)
        return bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))

    def _save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Use the proof up, and see to it that the access token belongs to its key, wherever the host has it from.

        :raises AttestationOAuth2Error: if the proof was used before, or there is none and the client needs one.
        :raises InvalidGrantError: if the host repeats tokens that belong to another key.
        """
        _require_proof(request)
        _use_up(request)
        thumbprint, asked = _thumbprint(request), token["access_token"]
        super()._save_bearer_token(token, request, *args, **kwargs)
        if not token["access_token"]:  # which the host stores as a digest, and cannot repeat
            return
        if token["access_token"] != asked:  # a refresh token used twice within its grace period
            if confirmations.stored_access_token(token["access_token"]) != confirmations.StoredToken(thumbprint):
                raise InvalidGrantError(request=request)
        elif request.grant_type == "refresh_token" and not self.rotate_refresh_token(request):  # in the same row
            confirmations.confirm_again(asked, thumbprint)
            _confirm_refresh_token(vars(request).get("refresh_token_instance"), request)
        if thumbprint is not None:
            token["token_type"] = wire.DPOP_SCHEME

    def _create_access_token(self, expires: Any, request: Any, token: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        access_token = super()._create_access_token(expires, request, token, *args, **kwargs)
        if (thumbprint := _thumbprint(request)) is not None:
            confirmations.confirm_access_token(access_token, thumbprint)
        return access_token

    def _create_refresh_token(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        refresh_token = super()._create_refresh_token(request, *args, **kwargs)
        _confirm_refresh_token(refresh_token, request)
        return refresh_token

    def _save_id_token(self, jti: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Bind the ID token, which is stored in a transaction of its own before the other tokens are."""
        id_token = super()._save_id_token(jti, request, *args, **kwargs)
        if (thumbprint := _thumbprint(request)) is not None:
            confirmations.confirm_id_token(id_token, thumbprint)
        return id_token

    def _create_authorization_code(self, request: Any, code: Any, *args: Any, **kwargs: Any) -> Any:
        """Bind the code to the key that the authorization request names (D7)."""
        jkt = _asked_jkt(request)
        if jkt is None:
            return super()._create_authorization_code(request, code, *args, **kwargs)
        with transaction.atomic(using=database()):
            grant = super()._create_authorization_code(request, code, *args, **kwargs)
            confirmations.confirm_code(grant, jkt)
        return grant


def establish(exchange: AttestationExchange, application: Any) -> VerifiedDpopProof | None:
    """Return the DPoP proof of an authenticated client's request, verified once, or None where it binds nothing.

    In combined mode it is the one that authenticated the client. Proofs of clients that may not use DPoP are ignored,
    as by a server that knows nothing of it.

    :raises ClientAttestationError: if it is not good.
    """
    if exchange.sender is None:
        evidence = exchange.evidence or exchange.signal
        if evidence is not None and isinstance(evidence.proof, VerifiedDpopProof):
            exchange.sender, exchange.sender_used_up = evidence.proof, True
        elif exchange.fields.dpop and is_allowed(application, exchange):
            exchange.sender = dpop.verify(exchange.request, exchange.fields)
    return exchange.sender


def use_up(exchange: AttestationExchange) -> None:
    """Use up the proof that what is being stored will be bound to, if there is one, once.

    :raises ClientAttestationError: if it was used before.
    """
    if exchange.sender is not None and not exchange.sender_used_up:
        proofs.use_up(exchange.sender)
        exchange.sender_used_up = True


def is_allowed(application: Any, exchange: AttestationExchange | None) -> bool:
    """Whether an application may have its tokens bound."""
    if app_settings.dpop == "off":
        return False
    if app_settings.dpop == "all":
        return True
    own = _policies_of(application, exchange)
    return own.attestation is not None or own.dpop is not None


def is_required(application: Any, exchange: AttestationExchange | None) -> bool:
    """Whether an application gets no token without a proof."""
    if app_settings.dpop == "off":
        return False
    policy = _policies_of(application, exchange).dpop
    if policy is not None and policy.use == DpopPolicy.Use.REQUIRED:
        return True
    return app_settings.require_dpop and is_allowed(application, exchange)


def _policies_of(application: Any, exchange: AttestationExchange | None) -> policies.ClientPolicies:
    return (exchange or policies).policies_of(application.client_id)


def _require_proof(request: Any) -> None:
    """Verify the proof of a token request, if there is one, and refuse a request that needs one and has none."""
    exchange = exchange_of(request)
    try:
        proof = establish(exchange, request.client) if exchange is not None else None
    except ClientAttestationError as error:
        raise doors.refusal_for(request, error.reason, request.client.pk) from error
    if proof is None and is_required(request.client, exchange):
        raise doors.refusal_for(request, Reason.DPOP_REQUIRED, request.client.pk)


def _use_up(request: Any) -> None:
    exchange = exchange_of(request)
    if exchange is not None:
        try:
            use_up(exchange)
        except ClientAttestationError as error:
            raise doors.refusal_for(request, error.reason, request.client.pk) from error


def _thumbprint(request: Any) -> str | None:
    exchange = exchange_of(request)
    return exchange.sender.thumbprint if exchange is not None and exchange.sender is not None else None


def _confirm_refresh_token(refresh_token: Any, request: Any) -> None:
    """Bind the refresh token of a public client to the key of the request's proof, if there is one.

    A confidential client authenticates, which may be by keys that change (RFC 9449 section 5).

    :param refresh_token: its row, new or issued before; None where the host has made another.
    :raises InvalidGrantError: if it has become another key's in the meantime.
    """
    thumbprint = _thumbprint(request)
    if refresh_token is None or thumbprint is None or request.client.client_type != request.client.CLIENT_PUBLIC:
        return
    if confirmations.confirm_refresh_token(refresh_token, thumbprint) != thumbprint:
        raise InvalidGrantError(request=request)


def _refuse_if(reason: Reason | None, request: Any) -> None:
    if reason is not None:
        raise doors.refusal_for(request, reason, request.client.pk)


def _asked_jkt(request: Any) -> str | None:
    """Return the ``dpop_jkt`` of an authorization request, if its client may use DPoP."""
    jkt: str | None = getattr(request, wire.DPOP_JKT, None)  # a parameter, and meant as one
    return jkt if jkt and is_allowed(request.client, exchange_of(request)) else None
