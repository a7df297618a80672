"""Who may pass a door of the authorization server: rules H5 and B5, the same at every endpoint.

A request that carries an attestation is authenticated by it or refused. A client that must present one gets in
with nothing else. Everybody else is django-oauth-toolkit's business.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from .. import policies, reports
from ..core.errors import ClientAttestationError, Reason
from ..models import AttestationPolicy
from . import signal
from .errors import AttestationOAuth2Error
from .exchange import AttestationExchange, exchange_of

#: Attributes that are read from an oauthlib request before anything has set them.
_UNSET_ATTRIBUTES = ("encoding", "refresh_token_instance")


def seal(oauth_request: Any) -> None:
    """Give the attributes that nobody has set yet a value, so that no parameter of the same name answers for them."""
    for name in _UNSET_ATTRIBUTES:
        if name not in vars(oauth_request):
            setattr(oauth_request, name, None)


def concerns_attestation(oauth_request: Any) -> bool:
    """Whether a request has to be authenticated here: it carries a field of ours (H5), or names a client that
    must be attested (B5)."""
    exchange = exchange_of(oauth_request)
    if exchange is None:
        return _carries_fields(oauth_request) or _policy_of_named(oauth_request) is not None
    if _policy_of_named(oauth_request) is not None:
        return True
    return exchange.fields.committed and not _is_signal(oauth_request, exchange)


def authenticate(oauth_request: Any, admits: Callable[[AttestationPolicy], bool]) -> AttestationPolicy:
    """Authenticate a request for which :func:`concerns_attestation` is true.

    :param admits: says whether the site considers an application usable.
    :return: the policy of the authenticated application, the application loaded.
    :raises AttestationOAuth2Error: otherwise; never falls through to another method.
    """
    exchange = exchange_of(oauth_request)
    if exchange is None:
        raise refusal(oauth_request, Reason.BACKEND_NOT_INSTALLED, _policy_of_named(oauth_request))
    if not exchange.fields.committed:
        raise refusal(oauth_request, Reason.ATTESTATION_REQUIRED, _policy_of_named(oauth_request))
    try:
        return exchange.authenticate(
            named_client_ids=named_client_ids(oauth_request),
            second_mechanism=_second_mechanism(oauth_request),
            admits=admits,
        )
    except ClientAttestationError as error:
        raise AttestationOAuth2Error(error, exchange) from error


def ask_host(validator: Any, oauth_request: Any) -> bool:
    """Whether the client of a request is authenticated, or a public one, in the order of oauthlib's own endpoints.

    :raises AttestationOAuth2Error: if its attestation is refused.
    """
    if validator.client_authentication_required(oauth_request):
        return bool(validator.authenticate_client(oauth_request))
    return bool(validator.authenticate_client_id(oauth_request.client_id, oauth_request))


def required_policy(oauth_request: Any, client_id: str) -> AttestationPolicy | None:
    """Return the policy of a client that must be attested, or None for one that is free to do otherwise.

    :raises AttestationOAuth2Error: if the database does not answer: nobody is free on a guess.
    """
    exchange = exchange_of(oauth_request)
    try:
        return (exchange or policies).policy_of(client_id)
    except ClientAttestationError as error:
        raise refusal(oauth_request, error.reason, None) from error


def must_be_attested(oauth_request: Any, client_id: str) -> bool:
    """Whether a client gets nothing without an attestation, as its authentication or beside another (B5, S1).

    :raises AttestationOAuth2Error: if the database does not answer.
    """
    try:
        return (exchange_of(oauth_request) or policies).policies_of(client_id).demand_attestation
    except ClientAttestationError as error:
        raise refusal(oauth_request, error.reason, None) from error


def names_client_to_be_attested(oauth_request: Any) -> bool:
    """Whether a client that gets nothing without an attestation is about to act.

    :raises AttestationOAuth2Error: if the database does not answer.
    """
    named = filter(None, _acting_client_ids(oauth_request))
    return any(must_be_attested(oauth_request, client_id) for client_id in named)


def refuse_unless_free(oauth_request: Any, application: Any) -> None:
    """Refuse an application that another method has just let in, if it must be attested (B5).

    This is asked of the outcome, so it holds however the other method found its client.

    :raises AttestationOAuth2Error: if the application has a policy, or must send an attestation as well and none can
        be seen.
    """
    policy = required_policy(oauth_request, application.client_id)
    if policy is not None:
        raise refusal(oauth_request, Reason.ATTESTATION_REQUIRED, policy)
    if exchange_of(oauth_request) is None and must_be_attested(oauth_request, application.client_id):  # S1
        raise refusal_for(oauth_request, Reason.BACKEND_NOT_INSTALLED, application.pk)


def refusal(oauth_request: Any, reason: Reason, policy: AttestationPolicy | None) -> AttestationOAuth2Error:
    """Report a refusal that is decided at the door, and return it to be raised.

    :param policy: of the application in question, if one is known.
    """
    return refusal_for(oauth_request, reason, policy.application_id if policy else None)


def refusal_for(oauth_request: Any, reason: Reason, application_id: Any) -> AttestationOAuth2Error:
    """The same, of an application by its primary key."""
    exchange = exchange_of(oauth_request)
    error = ClientAttestationError(reason)
    if exchange is None:
        reports.report_refusal(None, error, application_id=application_id)
    else:
        exchange.refuse(error, application_id=application_id)
    return AttestationOAuth2Error(error, exchange)


def named_client_ids(oauth_request: Any) -> frozenset[str]:
    """Return every client_id that a request names outside its attestation (A4).

    As a parameter, of which oauthlib sees the last one only, or as the user name of Basic.
    """
    named = _acting_client_ids(oauth_request)
    if exchange := exchange_of(oauth_request):
        named += exchange.request.GET.getlist("client_id") + exchange.request.POST.getlist("client_id")
    return frozenset(client_id for client_id in named if isinstance(client_id, str) and client_id)


def _acting_client_ids(oauth_request: Any) -> list[Any]:
    """Return the two client_ids that django-oauth-toolkit would authenticate; either may be missing."""
    return [oauth_request.client_id, _basic_client_id(oauth_request)]


def _policy_of_named(oauth_request: Any) -> AttestationPolicy | None:
    """Return the policy of a client that is about to act. Others that are named cost no query each."""
    for client_id in _acting_client_ids(oauth_request):
        if client_id and (policy := required_policy(oauth_request, client_id)) is not None:
            return policy
    return None


def _is_signal(oauth_request: Any, exchange: AttestationExchange) -> bool:
    """Whether the fields come along with another authentication, of a client that may send them so (S1)."""
    named = [client_id for client_id in _acting_client_ids(oauth_request) if client_id]
    try:
        return bool(named) and all(signal.is_wanted(exchange.policies_of(client_id)) for client_id in named)
    except ClientAttestationError as error:
        raise refusal(oauth_request, error.reason, None) from error


def _carries_fields(oauth_request: Any) -> bool:
    headers = oauth_request.headers
    return "HTTP_OAUTH_CLIENT_ATTESTATION" in headers or "HTTP_OAUTH_CLIENT_ATTESTATION_POP" in headers


def _second_mechanism(oauth_request: Any) -> bool:
    """Whether other client credentials came along: a secret, an assertion, or Basic (RFC 6749 section 2.3)."""
    if _basic_credentials(oauth_request) is not None:
        return True
    return any(getattr(oauth_request, name, None) for name in ("client_secret", "client_assertion"))


def _basic_credentials(oauth_request: Any) -> str | None:
    scheme, _, credentials = oauth_request.headers.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials if scheme.lower() == "basic" else None


def _basic_client_id(oauth_request: Any) -> str | None:
    credentials = _basic_credentials(oauth_request)
    if credentials is None:
        return None
    try:
        user_name = base64.b64decode(credentials).decode("utf-8").partition(":")[0]
    except ValueError:
        return None
    return unquote_plus(user_name)
