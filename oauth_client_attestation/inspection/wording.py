"""Values of strangers, and times, in a form that people can read and no terminal or page can be fooled by."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.x509 import load_der_x509_certificate
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..core.claims import numeric_date
from ..core.errors import ClientAttestationError, Reason
from ..core.jose import parse_unverified
from ..core.strict import MalformedJwt

_MAX_CERTIFICATES: Final = 8
_MAX_CERTIFICATE_LENGTH: Final = 16384


def printable(text: str, *, keep: str = "") -> str:
    """Escape, as JSON does, what does not print or changes how the rest prints.

    :param keep: characters that stay as they are.
    """
    return "".join(c if c.isprintable() or c in keep else json.dumps(c)[1:-1] for c in text)


def pretty(members: Mapping[str, Any]) -> str:
    """Return a JSON object as indented text."""
    return printable(json.dumps(dict(members), indent=2, ensure_ascii=False), keep="\n")


def parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return header and claims of a token, not verified; None: it is no strict JWT."""
    try:
        jwt = parse_unverified(token)
    except MalformedJwt:
        return None
    return jwt.header, jwt.claims


def moment(seconds: float, now: float) -> str:
    """Return a time in UTC, and how long before or after ``now`` that is."""
    time, reference = datetime.fromtimestamp(seconds, UTC), datetime.fromtimestamp(now, UTC)
    distance = abs(seconds - now)
    if distance < 60:
        span = ngettext("%d second", "%d seconds", int(distance)) % int(distance)
    else:
        span = timesince(min(time, reference), max(time, reference)).replace("\xa0", " ")
    relative = _("in %(span)s") if seconds > now else _("%(span)s ago")
    return f"{time:%Y-%m-%d %H:%M:%S} UTC ({relative % {'span': span}})"


def claimed_moment(claims: Mapping[str, Any], name: str, now: float) -> str | None:
    """Return the time that a claim names, or None where it is absent or no time."""
    try:
        seconds = numeric_date(claims, name, Reason.ATTESTATION_MALFORMED)
    except ClientAttestationError:
        return None
    return None if seconds is None else moment(seconds, now)


def certificates(header: Mapping[str, Any], now: float) -> list[str]:
    """Return subject, issuer and last moment of each certificate of an ``x5c`` header."""
    chain = header.get("x5c")
    return [_certificate(encoded, now) for encoded in chain[:_MAX_CERTIFICATES]] if isinstance(chain, list) else []


def _certificate(encoded: Any, now: float) -> str:
    try:
        if len(encoded) > _MAX_CERTIFICATE_LENGTH:
            return _("(too large to be shown)")
        certificate = load_der_x509_certificate(binascii.a2b_base64(encoded))
        return _("%(subject)s, issued by %(issuer)s, valid until %(until)s") % {
            "subject": printable(certificate.subject.rfc4514_string()),
            "issuer": printable(certificate.issuer.rfc4514_string()),
            "until": moment(certificate.not_valid_after_utc.timestamp(), now),
        }
    # Each kind of malformed certificate has a class of its own, often without a common base.
    except Exception:
        return _("(not a certificate)")
