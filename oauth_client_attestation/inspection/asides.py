"""Checks that had nothing to check, and checks that only a real request can be put to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import app_settings
from ..core.errors import ClientAttestationError
from ..core.pop import read_challenge
from ..core.results import Policy, TrustedKey
from . import wording
from .checks import CHECKS_BY_PART, Part
from .steps import Found, Question


class Status(TextChoices):
    """What came of a check."""

    PASSED = "passed", gettext_lazy("passed")
    FAILED = "failed", gettext_lazy("failed")
    NOT_REACHED = "not_reached", gettext_lazy("not reached")
    NOT_APPLICABLE = "not_applicable", gettext_lazy("not applicable")
    NOT_LOOKED_AT = "not_looked_at", gettext_lazy("not looked at")


#: What is not asked where there is no proof.
OF_THE_PROOF: Final = frozenset(
    ["proof_size", "proof_once", "proof_form", "unused", *(check.name for check in CHECKS_BY_PART[Part.PROOF])]
)


def not_applicable(question: Question, found: Found, signer: TrustedKey | None) -> Iterator[str]:
    """Yield the names of the checks that a token gives nothing to, as far as it was read."""
    if not question.proof:
        yield from OF_THE_PROOF
    if not question.access_token:
        yield "ath"
    if not question.client_id:
        yield "client_id"
    if app_settings.site_rule is None:
        yield "site_rule"
    claims: Collection[str] = found.unverified.jwt.claims if found.unverified else ()
    if "nbf" not in claims:
        yield from ("nbf_form", "nbf")
    if "iss" not in claims:
        yield "iss"
    if "iat" not in claims:
        yield from ("iat_form", "iat", "age")
    if signer and not signer.required_claims:
        yield "required_claims"
    if signer and found.demands and signer.max_age is None and found.demands.attestation_max_age is None:
        yield "age"
    if found.attestation and found.demands and (parts := wording.parts(question.proof)):
        if "iss" not in parts[1]:
            yield "proof_iss"
        if _names_no_challenge(parts[1], found.demands):
            yield "challenge"


def _names_no_challenge(claims: Mapping[str, Any], demands: Policy) -> bool:
    try:
        return read_challenge(claims, demands) is None
    except ClientAttestationError:
        return False


def not_looked_at(question: Question, found: Found) -> Iterator[tuple[str, str]]:
    """Yield the names of the checks that need more than tokens, with why."""
    yield "one_mechanism", _("That depends on the rest of the request.")
    if found.attestation is not None:
        yield "usable", _("That depends on the request.")
        if app_settings.site_rule is not None:
            yield "site_rule", _("SITE_RULE is not called: it may have effects.")
    if found.proof is not None and question.proof:
        if found.used is None:
            yield "unused", _("The replay store cannot say without recording the proof.")
        elif question.at is not None:
            used = _("It has been used by now; when is not recorded.")
            yield "unused", used if found.used else _("It has not been used since, as far as that is still recorded.")
