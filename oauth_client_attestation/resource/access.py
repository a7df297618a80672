"""Whether the access token of a request lets it in: asked of the classes that the site configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.www_authenticate import build_bearer_challenge, challenge_status

from ..core.errors import ClientAttestationError
from ..oauth2.exchange import existing_exchange


def verify(
    request: HttpRequest, scopes: Sequence[str], *, validator_class: Any = None, server_class: Any = None
) -> tuple[bool, Any]:
    """Look for an access token in a request and verify it, with its DPoP proof if it is bound.

    :param scopes: what the token must have been granted, all of them.
    :param validator_class: instead of the configured one; likewise the server class.
    :return: whether the token is good, and oauthlib's request with ``user`` and ``access_token`` if it is; None where
        the host did not get that far.
    :raises SuspiciousOperation: if the query string cannot be decoded, which Django answers with 400.
    """
    validator = (validator_class or oauth2_settings.OAUTH2_VALIDATOR_CLASS)()
    server = (server_class or oauth2_settings.OAUTH2_SERVER_CLASS)(validator, **oauth2_settings.server_kwargs)
    backend = oauth2_settings.OAUTH2_BACKEND_CLASS(server)
    try:
        valid, oauth_request = backend.verify_request(request, scopes=list(scopes))
    except ValueError as error:
        if str(error) == "Invalid hex encoding in query string.":
            raise SuspiciousOperation(str(error)) from error
        raise
    return bool(valid), oauth_request


def refusal_for_want_of_proof(request: HttpRequest) -> ClientAttestationError | None:
    """Return why the access token of a request, good by itself, was refused by the last one who asked; None otherwise.

    Such a request is not anonymous: its client has to be told, so that it can try again with the right proof.
    """
    exchange = existing_exchange(request)
    return exchange.token_verdict.error if exchange is not None and exchange.token_verdict is not None else None


def refused(
    request: HttpRequest, oauth_request: Any, *, advertise_metadata: bool = False, metadata_url: str | None = None
) -> HttpResponse:
    """Answer a request that was not let in (RFC 6750 section 3); the middleware adds the challenge for a proof.

    :param advertise_metadata: whether to name the metadata of the protected resource (RFC 9728 section 5.1).
    :param metadata_url: where that is, if not where the host serves it.
    """
    # Not getattr: an attribute that nobody has set would be answered from the query string.
    error = vars(oauth_request).get("oauth2_error") if oauth_request is not None else None
    where = {} if advertise_metadata and metadata_url is None else {"resource_metadata_url": metadata_url}
    challenge = build_bearer_challenge(request, oauth2_error=error, **where)
    return HttpResponse(status=challenge_status(error), headers={"WWW-Authenticate": challenge})
