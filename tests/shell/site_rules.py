"""Rules of a site's own, for ``SITE_RULE`` in tests: dotted paths lead here."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied

#: What the rule was called with, by the tests of this process.
calls: list[dict[str, Any]] = []


def agree(**facts: Any) -> None:
    calls.append(facts)


def refuse(**facts: Any) -> None:
    calls.append(facts)
    raise PermissionDenied("not this instance")


def fail(**facts: Any) -> None:
    calls.append(facts)
    raise ZeroDivisionError


def say_no(**facts: Any) -> bool:
    calls.append(facts)
    return False


def say_yes(**facts: Any) -> bool:
    calls.append(facts)
    return True


async def agree_later(**facts: Any) -> None:
    calls.append(facts)


def no_such_argument(*, request: Any) -> None:
    raise AssertionError("called with fewer arguments than it was given")


def gold_only(*, evidence: Any, **facts: Any) -> None:
    if evidence.attestation.claims.get("tier") != "gold":
        raise PermissionDenied


NOT_CALLABLE = "agree"
