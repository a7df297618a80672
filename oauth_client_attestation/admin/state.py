"""The state of attesters at a glance, with a number of queries that does not depend on how many there are."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django.contrib import admin
from django.db.models import Count, F, IntegerField, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Least
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..conf import app_settings
from ..models import Attester, AttesterApplication, AttesterKey, Refusal, TrustAnchor
from ..trust.moments import aware_time, stored_time
from ..trust.outcomes import FetchOutcome


class LastFetchFilter(admin.SimpleListFilter):
    """Finds the attesters whose keys could not be fetched."""

    title = gettext_lazy("last fetch")
    parameter_name = "last_fetch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [("good", _("good")), ("failed", _("failed")), ("never", _("never"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Attester]) -> QuerySet[Attester]:
        """Leave out attesters without a URL, if anything was chosen."""
        with_url = queryset.exclude(jwks_uri="")
        match self.value():
            case "good":
                return with_url.filter(fetch_outcome=FetchOutcome.OK)
            case "failed":
                return with_url.exclude(fetch_outcome=FetchOutcome.OK).exclude(fetch_attempted_at=None)
            case "never":
                return with_url.filter(fetch_attempted_at=None)
        return queryset


class AttesterState(admin.ModelAdmin):
    """The columns of the list, some of which the page of an attester shows too."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attester]:
        """Count and compare in the database, with the list and not per row."""
        attesters: QuerySet[Attester] = super().get_queryset(request)
        now = timezone.now()
        ours = {"attester": OuterRef("pk")}
        believed = Q(fetched_from="") | Q(fetched_from=OuterRef("jwks_uri"))
        keys = AttesterKey.objects.filter(believed, **ours, enabled=True)
        anchors = TrustAnchor.objects.filter(**ours, enabled=True)
        key_expiry, anchor_expiry = _soonest(keys, now), _soonest(anchors, now)
        return attesters.annotate(
            _entered=_count(keys.filter(fetched_from="")),
            _fetched=_count(keys.exclude(fetched_from="")),
            _anchors=_count(anchors),
            _expired=_count(keys.filter(not_after__lte=now)) + _count(anchors.filter(not_after__lte=now)),
            # Least() is null on some databases if one of the two is.
            _expiry=Least(Coalesce(key_expiry, anchor_expiry), Coalesce(anchor_expiry, key_expiry)),
            _applications=_count(AttesterApplication.objects.filter(**ours)),
            _refused_today=_count(Refusal.objects.filter(**ours, time__gte=_midnight())),
        ).annotate(_keys=F("_entered") + F("_fetched"))

    @admin.display(description=gettext_lazy("key sources"))
    def sources(self, attester: Any) -> str:
        """Say where its keys come from."""
        there_is = {
            _("entered"): attester._entered,
            _("URL"): attester.jwks_uri,
            _("certificates"): attester._anchors,
            _("shared secret"): attester.name in app_settings.shared_secrets,
        }
        return ", ".join(source for source, present in there_is.items() if present) or _("none")

    @admin.display(description=gettext_lazy("keys"), ordering="_keys")
    def key_count(self, attester: Any) -> int:
        """Return the number of keys that are enabled."""
        return int(attester._keys)

    @admin.display(description=gettext_lazy("soonest expiry"), ordering="_expiry")
    def soonest_expiry(self, attester: Any) -> str | None:
        """Return when the next enabled key or anchor expires, and how many have."""
        expired: int = attester._expired
        parts = [] if attester._expiry is None else [_day(attester._expiry)]
        if expired:
            parts.append(_problem(ngettext("%d expired", "%d expired", expired) % expired))
        return format_html("{} {}", *parts) if len(parts) == 2 else next(iter(parts), None)

    @admin.display(description=gettext_lazy("last fetch"), ordering="fetch_attempted_at")
    def last_fetch(self, attester: Attester) -> str | None:
        """Return when its URL was asked last, and what came of it."""
        if not attester.jwks_uri:
            return None
        if attester.fetch_attempted_at is None:
            return _("never")
        ago = _ago(attester.fetch_attempted_at)
        if attester.fetch_outcome == FetchOutcome.OK:
            return ago
        return format_html("{} {}", ago, _problem(outcome_label(attester.fetch_outcome)))

    @admin.display(description=gettext_lazy("last accepted"), ordering="last_accepted")
    def accepted(self, attester: Attester) -> str:
        """Return when one of its attestations was accepted last."""
        return _("never") if attester.last_accepted is None else _ago(attester.last_accepted)

    @admin.display(description=gettext_lazy("refused today"), ordering="_refused_today")
    def refused_today(self, attester: Any) -> str:
        """Return how many of its attestations were refused since midnight, with the way to them."""
        if not attester._refused_today:
            return "0"
        query = {"attester__id__exact": attester.pk, "time__gte": _midnight().isoformat()}
        url = reverse(f"{self.admin_site.name}:oauth_client_attestation_refusal_changelist", query=query)
        return format_html('<a href="{}">{}</a>', url, attester._refused_today)

    @admin.display(description=gettext_lazy("trusted for"))
    def trusted_for(self, attester: Any) -> str:
        """Say for how many applications it may vouch."""
        if attester.all_applications:
            return _("all applications")
        count: int = attester._applications
        return ngettext("%d application", "%d applications", count) % count


def outcome_label(outcome: str) -> str:
    """Return the sentence of a stored outcome, which another version may have written."""
    if not outcome:
        return _("It was begun and has not ended.")
    return str(FetchOutcome(outcome).label) if outcome in FetchOutcome.values else outcome


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("attester").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _soonest(rows: QuerySet[Any], now: datetime) -> Subquery:
    later = rows.filter(not_after__gt=now).order_by().values("attester")
    return Subquery(later.annotate(soonest=Min("not_after")).values("soonest"))


def _midnight() -> datetime:
    return stored_time(timezone.make_aware(datetime.combine(timezone.localdate(datetime.now(UTC)), time.min)))


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(aware_time(moment)), "DATE_FORMAT")


def _ago(moment: datetime) -> str:
    return _("%(time)s ago") % {"time": timesince(aware_time(moment), depth=1)}


def _problem(text: str) -> str:
    return format_html('<span class="client-attestation-problem">{}</span>', text)
