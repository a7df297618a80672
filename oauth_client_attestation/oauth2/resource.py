"""Access tokens at resources: one that is bound to a key is good with a DPoP proof by that key alone (rule D6).

Every view, decorator and permission of django-oauth-toolkit that asks the configured validator is covered; what makes
a validator of its own is replaced by :mod:`oauth_client_attestation.resource`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jwcrypto.common import JWException
from oauth2_provider.models import get_access_token_model

from .. import confirmations, dpop, proofs
from ..confirmations import StoredToken
from ..core import wire
from ..core.errors import ClientAttestationError, Reason
from ..resource.attestation import check_agreement
from .exchange import AttestationExchange, ResourceVerdict, exchange_of
from .remote import RemoteTokenMixin

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object

# RFC 9110 section 11.4: the scheme, case-insensitive, spaces, a token68 (RFC 9449 section 7.1).
_CREDENTIALS: Final = re.compile(r"dpop +([A-Za-z0-9\-._~+/]+=*)", re.ASCII | re.IGNORECASE)


class ResourceValidatorMixin(RemoteTokenMixin, _Validator):
    """For ``OAuth2Validator``: bearer tokens as before, bound tokens under the ``DPoP`` scheme."""

    def validate_bearer_token(self, token: str | None, scopes: Any, request: Any) -> bool:
        """Let a token in that is good, and presented by whom it is for.

        oauthlib calls this whatever scheme was used, and finds a token under none but ``Bearer``.
        """
        exchange = _begin(request)
        if _client_failed(exchange):
            return False
        presented = _presented_with_proof(request)
        value = presented or token
        if not super().validate_bearer_token(value, scopes, request) or value is None:
            return False
        if not isinstance(request.access_token, get_access_token_model()):  # a kind of the site's own, bound to nothing
            return _admit(request, exchange, value, presented, StoredToken(None))
        return _admit(request, exchange, value, presented, confirmations.stored_access_token(value))

    def validate_jwt_bearer_token(self, token: str | None, scopes: Any, request: Any) -> bool:
        """Let an ID token in as the host does, unless it was issued along with a bound access token."""
        if _uses_dpop_scheme(request):
            return self.validate_bearer_token(None, scopes, request)
        exchange = _begin(request)
        if _client_failed(exchange):
            return False
        try:
            good = super().validate_jwt_bearer_token(token, scopes, request)
        except (ValueError, JWException):  # what looks like an ID token, and cannot be read
            return False
        if not good:
            return False
        return _admit(request, exchange, token, None, confirmations.stored_id_token(request.access_token))


def _begin(request: Any) -> AttestationExchange | None:
    """Note that a token is asked for, and return the exchange.

    The host looks for ``oauth2_error`` afterwards: where nobody has set it, oauthlib answers with the parameter of
    that name, and the host with a server error.
    """
    request.oauth2_error = {}
    exchange = exchange_of(request)
    if exchange is not None and not exchange.client_failed:
        exchange.token_verdict = ResourceVerdict()
    return exchange


def _client_failed(exchange: AttestationExchange | None) -> bool:
    """Whether this is the introspection endpoint's second try, after one that an attestation came along with (H5)."""
    return exchange is not None and exchange.client_failed


def _admit(
    request: Any,
    exchange: AttestationExchange | None,
    value: str | None,
    presented: str | None,
    stored: StoredToken | None,
) -> bool:
    """Whether a token that the host has just found good may be used by this request.

    :param value: of the token.
    :param presented: the token, if it was presented under the ``DPoP`` scheme.
    :param stored: what is stored of it now; None if it was revoked since the host looked.
    """
    if stored is None:
        request.client = request.user = request.access_token = None
        return False
    try:
        _check_sender(exchange, presented, stored.bound_to)
        if exchange is not None:
            check_agreement(exchange, request.access_token)
    except ClientAttestationError as error:
        if exchange is not None:
            exchange.refuse_at_resource(error, application_id=request.client.pk if request.client else None)
        request.oauth2_error = {"error": error.code, "error_description": error.description}
        request.client = request.user = request.access_token = None
        return False
    if exchange is not None:
        exchange.token_verdict = ResourceVerdict(
            token=request.access_token,
            value=value,
            scheme=wire.BEARER_SCHEME if presented is None else wire.DPOP_SCHEME,
        )
    return True


def _check_sender(exchange: AttestationExchange | None, presented: str | None, bound_to: str | None) -> None:
    if presented is None:
        if bound_to is not None:
            raise ClientAttestationError(Reason.ACCESS_TOKEN_AS_BEARER)
        return
    if bound_to is None:
        raise ClientAttestationError(Reason.ACCESS_TOKEN_NOT_BOUND)
    if exchange is None:
        raise ClientAttestationError(Reason.BACKEND_NOT_INSTALLED)
    if not exchange.fields.dpop:
        raise ClientAttestationError(Reason.DPOP_REQUIRED)
    proof = dpop.verify(exchange.request, exchange.fields, at_resource=True, access_token=presented)
    if proof.thumbprint != bound_to:
        raise ClientAttestationError(Reason.ACCESS_TOKEN_OF_ANOTHER_KEY)
    exchange.proven_with_token = proof
    if proof != exchange.presenter:  # middleware, authentication and view may each ask in one request
        proofs.use_up(proof)
        exchange.presenter = proof


def _uses_dpop_scheme(request: Any) -> bool:
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    return bool(scheme.lower() == wire.DPOP_SCHEME.lower())


def _presented_with_proof(request: Any) -> str | None:
    """Return the token of an ``Authorization: DPoP`` field, which has to be a whole one."""
    credentials = _CREDENTIALS.fullmatch(request.headers.get("Authorization", ""))
    return credentials[1] if credentials else None
