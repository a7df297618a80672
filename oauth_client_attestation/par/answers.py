"""What the authorization endpoint answers to a browser that came with a ``request_uri``."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from oauth2_provider.exceptions import FatalClientError
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error

from .refusals import PushedRequestRefused, report


def not_stored(response: HttpResponseBase) -> HttpResponseBase:
    """Keep a page about one user's request out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


def with_issuer(url: str, issuer: str) -> str:
    """Add ``iss`` to an answer that has none: django-oauth-toolkit gives it to those with a code."""
    added = urlencode({"iss": issuer})
    if added in re.split("[?#&]", url):
        return url
    return f"{url}{'&' if '?' in url else '?'}{added}"


def refusal(refused: PushedRequestRefused) -> FatalClientError:
    """Report a ``request_uri`` that cannot be used, and return the error for the page (RFC 9101 section 7)."""
    report(refused.reason, refused.application_id)
    description = gettext("This link was used before, has expired, or is not valid. Start again in the application.")
    return FatalClientError(CustomOAuth2Error("invalid_request_uri", description=description))
