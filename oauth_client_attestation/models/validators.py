"""What the fields of an attester may hold, whichever way it is written."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ..core.keys import ASYMMETRIC_ALGORITHMS
from ..trust.location import Location
from ..trust.outcomes import FetchFailed

MAX_CLAIM_NAME_LENGTH: Final = 255
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def validate_name(value: str) -> None:
    """Refuse a name that would spoil a log or a terminal."""
    if not value.isprintable():
        raise ValidationError(_("A name has no line ends and no control characters."), code="name")


def validate_issuer(value: str) -> None:
    """Refuse what is no StringOrURI (RFC 7519 section 2) without white space: with a colon, it is a URI."""
    if not value.isprintable() or " " in value or (":" in value and not _URI.match(value)):
        raise ValidationError(
            _("An issuer is a URI such as “https://acme.example”, or a name without spaces and colons."),
            code="issuer",
        )


def validate_algorithms(value: Any) -> None:
    """Refuse anything but a list of asymmetric JWS algorithms."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValidationError(_("This must be a list of algorithm names."), code="algorithms")
    for name in value:
        if name not in ASYMMETRIC_ALGORITHMS:
            raise ValidationError(
                _("“%(name)s” is not a signature algorithm that can be accepted."),
                code="algorithm",
                params={"name": name},
            )


def validate_required_claims(value: Any) -> None:
    """Refuse anything but an object of claim names with the values that each may have."""
    if not isinstance(value, dict):
        raise ValidationError(_("This must be a JSON object of claim names and lists of values."), code="claims")
    for name, allowed in value.items():
        if not name or len(name) > MAX_CLAIM_NAME_LENGTH or not name.isprintable():
            raise ValidationError(
                _("A claim name is a printable string of at most %(most)d characters."),
                code="claim_name",
                params={"most": MAX_CLAIM_NAME_LENGTH},
            )
        if not isinstance(allowed, list) or not all(isinstance(item, str | int | bool) for item in allowed):
            raise ValidationError(
                _("The values of “%(name)s” must be a list of strings, integers, true or false."),
                code="claim_values",
                params={"name": name},
            )
        if not all(item.isprintable() for item in allowed if isinstance(item, str)):
            raise ValidationError(
                _("A value of “%(name)s” is not printable."), code="claim_values", params={"name": name}
            )


def validate_jwks_uri(value: str) -> None:
    """Refuse a URL from which keys would never be fetched."""
    try:
        Location.parse(value)
    except FetchFailed as error:
        raise ValidationError(str(error), code=error.outcome) from error
