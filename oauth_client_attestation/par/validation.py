"""Whether a pushed request would be carried out when the browser brings it (RFC 9126 section 2.1, step 3)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from oauth2_provider.models import get_grant_model
from oauth2_provider.oauth2_validators import is_valid_resource_uri
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import urlencode
from oauthlib.oauth2 import InvalidRequestError
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error
from oauthlib.openid import RequestValidator

#: What a request may have as often as it likes (RFC 8707 section 2).
REPEATABLE = "resource"


def validate(core: Any, request: HttpRequest, parameters: list[tuple[str, str]]) -> None:
    """Validate an authorization request as the authorization endpoint will, before there is a user.

    :param core: the ``OAuthLibCore`` of that endpoint.
    :param parameters: names and values, the client's own ``client_id`` among them.
    :raises OAuth2Error: with the code that the authorization endpoint would answer with.
    """
    _check_names(parameters)
    _check_prompt(dict(parameters), core.server.request_validator)
    _check_lengths(dict(parameters))
    # Whether somebody is logged in is asked when there is a browser.
    asked = [(name, value) for name, value in parameters if name != "prompt"]
    try:
        _check_resources(parameters)
        core.server.validate_authorization_request(
            request.path, http_method="POST", body=urlencode(asked), headers=core.extract_headers(request)
        )
    except ValueError as error:  # of something that the host, or the site, takes to pieces
        raise InvalidRequestError(description="A parameter cannot be read.") from error
    _check_challenge_method(dict(parameters))


def _check_names(parameters: list[tuple[str, str]]) -> None:
    names = [name for name, _ in parameters if name != REPEATABLE]
    if "request_uri" in names:  # RFC 9126 section 2.1, step 2
        raise InvalidRequestError(description="request_uri must not be pushed.")
    if "request" in names:
        raise CustomOAuth2Error("request_not_supported", description="Request objects are not supported.")
    if len(names) != len(set(names)):
        raise InvalidRequestError(description="A parameter is repeated.")


def _check_prompt(parameters: dict[str, str], validator: Any) -> None:
    """Refuse what the authorization endpoint has no answer for, or one that the client would never see."""
    values = set(parameters.get("prompt", "").split())
    if "none" in values and len(values) > 1:  # OpenID Connect Core section 3.1.2.1
        raise InvalidRequestError(description="prompt=none excludes other values.")
    openid = oauth2_settings.OIDC_ENABLED and "openid" in parameters.get("scope", "").split()
    if "none" in values and openid and not _can_be_silent(validator):
        raise InvalidRequestError(description="prompt=none is not supported.")
    # Prompt Create 1.0 section 4.1.1
    if "create" in values and not oauth2_settings.OIDC_RP_INITIATED_REGISTRATION_ENABLED:
        raise InvalidRequestError(description="prompt=create is not supported.")


def _can_be_silent(validator: Any) -> bool:
    """Whether the site has said who may log in silently: django-oauth-toolkit has not, and oauthlib raises."""
    return all(
        getattr(type(validator), name) is not getattr(RequestValidator, name)
        for name in ("validate_silent_login", "validate_silent_authorization")
    )


def _check_resources(parameters: list[tuple[str, str]]) -> None:
    for name, value in parameters:
        if name == REPEATABLE and not is_valid_resource_uri(value):
            raise CustomOAuth2Error("invalid_target", description="A resource must be an absolute URI with a host.")


def _check_lengths(parameters: dict[str, str]) -> None:
    """What is longer than its column would be an error of the server's later on; an empty challenge is none."""
    if not 43 <= len(parameters.get("code_challenge", "c" * 43)) <= 128:  # RFC 7636 section 4.2
        raise InvalidRequestError(description="code_challenge must have 43 to 128 characters.")
    if len(parameters.get("nonce", "")) > get_grant_model()._meta.get_field("nonce").max_length:
        raise InvalidRequestError(description="nonce is too long.")


def _check_challenge_method(parameters: dict[str, str]) -> None:
    """django-oauth-toolkit asks this only when it issues the code."""
    plain = parameters.get("code_challenge_method", "plain") == "plain"
    if plain and parameters.get("code_challenge") and oauth2_settings.COMPLIANT_BCP_RFC9700_PKCE_METHOD:
        raise InvalidRequestError(description="code_challenge_method must be S256.")
