"""Reading single header parameters and claims with the strictness that rules A8 and A10 ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from .errors import ClientAttestationError, Reason
from .results import RequiredClaim

# The year 9999. A time beyond it is a mistake (milliseconds, most often), and refusing it here keeps every
# later sum finite.
_LATEST_DATE: Final = 253_402_300_799


def numeric_date(claims: Mapping[str, Any], name: str, refusal: Reason) -> float | None:
    """Return a NumericDate (RFC 7519 section 2) in seconds since the epoch, or None where it is absent.

    :raises ClientAttestationError: with ``refusal`` for anything but a number from 0 to the year 9999.
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_DATE:
        raise ClientAttestationError(refusal)
    return float(value)


def text(members: Mapping[str, Any], name: str, refusal: Reason, *, max_length: int) -> str:
    """Return a non-empty string without control characters.

    Control characters are refused because the value goes on to databases and logs, some of which cannot take
    a NUL and all of which can be confused by a line feed.

    :raises ClientAttestationError: with ``refusal`` otherwise, the absent member included.
    """
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= max_length or not value.isprintable():
        raise ClientAttestationError(refusal)
    return value


def optional_text(members: Mapping[str, Any], name: str, refusal: Reason, *, max_length: int) -> str | None:
    """Like :func:`text`, and None where the member is absent."""
    return text(members, name, refusal, max_length=max_length) if name in members else None


def check_typ(header: Mapping[str, Any], expected: str, refusal: Reason) -> None:
    """Refuse a ``typ`` other than ``expected``, compared as RFC 7515 section 4.1.9 says (A1, P1)."""
    value = header.get("typ")
    if not isinstance(value, str) or value.lower().removeprefix("application/") != expected:
        raise ClientAttestationError(refusal)


def check_crit(header: Mapping[str, Any], refusal: Reason) -> None:
    """Refuse ``crit``: no extension is understood here, so each one it could name is unknown (A8)."""
    if "crit" in header:
        raise ClientAttestationError(refusal)


def check_required_claims(claims: Mapping[str, Any], required: Iterable[RequiredClaim]) -> None:
    """Refuse an attestation without a claim that its attester must make, or with a value that is not allowed."""
    for claim in required:
        if claim.name not in claims:
            raise ClientAttestationError(Reason.ATTESTATION_CLAIM_MISSING)
        value = claims[claim.name]
        values = value if isinstance(value, tuple) else (value,)
        if claim.allowed and claim.allowed.isdisjoint(filter(None, map(canonical_scalar, values))):
            raise ClientAttestationError(Reason.ATTESTATION_CLAIM_VALUE)


def canonical_scalar(value: object) -> str:
    """Return the JSON text of a string, number, boolean or null; of anything else, nothing."""
    return json.dumps(value) if value is None or isinstance(value, str | int | float) else ""


def frozen_object(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a JSON object that nobody can change, down to its leaves: lists become tuples."""
    return MappingProxyType({name: _frozen(value) for name, value in members.items()})


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return frozen_object(value)
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return value
