"""Required claims as people write them: ``name``, or ``name=value``, one in a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..core.claims import canonical_scalar


def parse_requirement(text: str) -> tuple[str, list[Any]]:
    """Parse ``name`` (any value will do) or ``name=value`` into the name and the list of values, none or one.

    ``true``, ``false`` and integers are what they are in JSON, and ``"…"`` is a JSON string; everything else is
    text. A name with ``=`` in it is written as a JSON string too.

    :raises ValidationError: no name, no value after ``=``, JSON that cannot be compared, or text that does not
        print: some databases cannot take a NUL, and none half of a surrogate pair.
    """
    name, rest = _name(text.strip())
    if not name:
        raise ValidationError(_("Write “name” or “name=value”."), code="claim_name")
    if not name.isprintable():
        raise ValidationError(_("The name is not printable."), code="claim_name")
    if not rest:
        return name, []
    return name, [_value(name, rest.removeprefix("=").strip())]


def merge_requirements(requirements: Iterable[tuple[str, list[Any]]]) -> dict[str, list[Any]]:
    """Merge what :func:`parse_requirement` returned; a name that comes again allows one more value.

    :raises ValidationError: a name comes with a value and without one.
    """
    merged: dict[str, list[Any]] = {}
    for name, values in requirements:
        if name in merged and bool(merged[name]) is not bool(values):
            raise ValidationError(
                _("“%(name)s” is required with any value, and with a certain one."),
                code="claim_any",
                params={"name": name},
            )
        known = set(map(canonical_scalar, merged.setdefault(name, [])))
        merged[name] += [value for value in values if canonical_scalar(value) not in known]
    return merged


def requirement_lines(claims: dict[str, list[Any]]) -> Iterator[str]:
    """Return required claims as the model has them in the form that :func:`parse_requirement` reads."""
    for name, values in claims.items():
        written = json.dumps(name) if "=" in name or name.startswith('"') or name != name.strip() else name
        yield from (f"{written}={_written(value)}" for value in values) if values else (written,)


def _name(text: str) -> tuple[str, str]:
    """Return the name and what follows it, from ``=`` on."""
    if text.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            end = len(text)
        else:
            rest = text[end:].lstrip()
            if not rest or rest.startswith("="):
                return str(name), rest
        raise ValidationError(_("The name is not a JSON string followed by “=”."), code="claim_name")
    name, separator, value = text.partition("=")
    return name.strip(), separator + value


def _value(name: str, text: str) -> Any:
    if not text:
        raise ValidationError(
            _('“%(name)s=” has no value: leave “=” out to allow any, or write "" for empty text.'),
            code="claim_value",
            params={"name": name},
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, str) and not value.isprintable():
        raise ValidationError(_("The value of “%(name)s” is not printable."), code="claim_value", params={"name": name})
    if not isinstance(value, str | int):
        raise ValidationError(
            _("The value of “%(name)s” is neither text, an integer, true nor false. Put text in quotes."),
            code="claim_value",
            params={"name": name},
        )
    return value


def _written(value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable() and value == value.strip():
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return value
    return json.dumps(value)
