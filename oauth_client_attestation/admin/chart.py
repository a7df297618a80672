"""Refusals by reason, as bars and as the table that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from ..explanations import Explanation, explain
from ..models import Attester, Refusal

DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Bar:
    """The refusals for one reason.

    :ivar percent: of the most frequent reason, from 1 to 100.
    :ivar url: of their list.
    """

    reason: str
    explanation: Explanation
    count: int
    percent: int
    url: str


def refusal_chart(attester: Attester, *, site: str) -> dict[str, Any]:
    """Return the refusals of an attester's attestations in the last days, the most frequent reason first.

    :param site: the name of the admin site.
    """
    since = timezone.now() - timedelta(days=DAYS)
    refusals = Refusal.objects.filter(attester=attester, time__gte=since).order_by()
    counted = list(refusals.values_list("reason").annotate(number=Count("pk")).order_by("-number", "reason"))
    most = counted[0][1] if counted else 0
    listed = reverse(f"{site}:oauth_client_attestation_refusal_changelist")

    def url(reason: str) -> str:
        return reverse(
            f"{site}:oauth_client_attestation_refusal_changelist",
            query={"attester__id__exact": attester.pk, "reason": reason, "time__gte": since.isoformat()},
        )

    return {
        "days": DAYS,
        "url": listed,
        "bars": [
            Bar(reason, explain(reason), number, max(1, 100 * number // most), url(reason))
            for reason, number in counted
        ],
    }
