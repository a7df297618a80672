"""The verdict, check by check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from ..core.errors import ClientAttestationError, Reason
from ..core.results import TrustedKey
from ..explanations import Explanation, explain
from .asides import OF_THE_PROOF, Status, not_applicable, not_looked_at
from .checks import PART_TITLES, Check, check_that_refused, checks_by_part
from .facts import Fact, facts_of
from .steps import Found, Question, nothing_recorded, take

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Row:
    """A check, what came of it, and a sentence where there is more to say."""

    check: Check
    status: Status
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The verdict on an attestation, and on a proof if one was given.

    :ivar rows: every check of such a request, in the order of the code that decides.
    :ivar error: the refusal; None: nothing that was looked at refuses.
    :ivar with_proof: whether there was a proof to judge.
    :ivar combined: whether that was a DPoP proof (D1).
    :ivar facts: what it was based on. No token, and no claim but ``sub`` and times.
    """

    rows: tuple[Row, ...]
    error: ClientAttestationError | None
    with_proof: bool
    combined: bool
    facts: tuple[Fact, ...] = field(repr=False)

    @property
    def parts(self) -> Iterator[tuple[_StrPromise, list[Row]]]:
        """The rows, by what they are about."""
        rows = iter(self.rows)
        for part, checks in checks_by_part(combined=self.combined).items():
            yield PART_TITLES[part], list(islice(rows, len(checks)))

    @property
    def accepted(self) -> bool:
        """Whether nothing refuses."""
        return self.error is None

    @property
    def explanation(self) -> Explanation | None:
        """The refusal in words."""
        return None if self.error is None else explain(self.error.reason)

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        if self.error is not None:
            return _("Refused: %(reason)s") % {"reason": self.error.reason}
        return _("Accepted.") if self.with_proof else _("The attestation is good. A request also needs a proof.")


def inspect(question: Question) -> Inspection:
    """Judge an attestation as the endpoints would, without an effect on them.

    Policies, trust and settings are those of today, whatever the time to judge at.

    :raises ClientAttestationError: if the database does not answer, so that there is no verdict.
    """
    with nothing_recorded():
        found = take(question)
        checks = [check for part in checks_by_part(combined=question.combined).values() for check in part]
        names = [check.name for check in checks]
        refused_at = len(checks)
        if found.error is not None:
            refused_at = names.index(check_that_refused(found.error.reason, late=_is_late(found.error, found)).name)
        signer = found.signer if refused_at > names.index("attestation_signature") else None
        return Inspection(
            _rows(checks, question, found, signer, refused_at),
            found.error,
            bool(question.proof),
            question.combined,
            facts_of(question, found, signer),
        )


def _is_late(error: ClientAttestationError, found: Found) -> bool:
    """Whether a refusal is that of the second check with its reason.

    Of ``alg``, the list is asked first and the key later; of times, first whether they are any, and then, when
    the instance key is known, whether they are good.
    """
    if error.reason is Reason.ATTESTATION_ALGORITHM:
        return found.algorithm_is_accepted
    return bool(error.thumbprint)


def _rows(
    checks: Sequence[Check], question: Question, found: Found, signer: TrustedKey | None, refused_at: int
) -> tuple[Row, ...]:
    aside = {name: (Status.NOT_LOOKED_AT, note) for name, note in not_looked_at(question, found)}
    aside |= dict.fromkeys(not_applicable(question, found, signer), (Status.NOT_APPLICABLE, ""))
    rows = []
    for position, check in enumerate(checks):
        status, note = aside.get(check.name, (Status.PASSED, ""))
        if position == refused_at:
            status, note = Status.FAILED, _note(found)
        elif position > refused_at and (question.proof or check.name not in OF_THE_PROOF):
            status, note = Status.NOT_REACHED, ""
        rows.append(Row(check, status, note))
    return tuple(rows)


def _note(found: Found) -> str:
    if found.error is not None and found.error.reason is Reason.ATTESTER_KEYS_UNAVAILABLE:
        return _(
            "Nothing is fetched here. A request would have the keys fetched, unless that was tried a moment ago; "
            "an attester’s keys can be fetched in the list of attesters, too."
        )
    return ""
