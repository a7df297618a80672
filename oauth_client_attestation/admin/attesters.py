"""The admin of attesters."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from ..models import Attester
from ..trust import registration
from ..trust.others import sharing_a_key_on_other_terms
from .chart import refusal_chart
from .fetching import FetchKeys
from .forms import MISUSED, AttesterForm
from .inlines import AttesterApplicationInline, AttesterKeyInline, TrustAnchorInline
from .inspection import LinksToCheck
from .state import AttesterState, LastFetchFilter, outcome_label

_FETCH_STATE = ("fetched_at", "fetch_attempted_at", "fetch_outcome")


@admin.register(Attester)
class AttesterAdmin(LinksToCheck, FetchKeys, AttesterState):
    """Who vouches for client instances, with which keys, for whom and how far."""

    form = AttesterForm
    inlines = (AttesterApplicationInline, AttesterKeyInline, TrustAnchorInline)
    list_display = (
        "name",
        "enabled",
        "sources",
        "key_count",
        "soonest_expiry",
        "last_fetch",
        "accepted",
        "refused_today",
        "trusted_for",
    )
    list_filter = ("enabled", "all_applications", LastFetchFilter)
    search_fields = ("name", "issuer", "jwks_uri", "keys__key_id", "keys__thumbprint", "trust_anchors__subject")
    actions = ("enable", "disable", "fetch_keys")
    readonly_fields = ("accepted", "last_fetch_outcome", "fetched_at", "fetch_attempted_at", "created", "updated")

    class Media:
        css = {"all": ("oauth_client_attestation/admin.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: Attester | None = None) -> list[Any]:
        """Show the fields for entering to those who may enter, and the state of what exists."""
        enters = self.has_change_permission(request, obj) if obj else True
        keys = ("jwks", "jwks_file", "anchors", "anchors_file", "jwks_uri") if enters else ("jwks_uri",)
        limits = ("all_applications", "algorithms", "max_age", "required_claims", "issuer")
        state = ("accepted", "last_fetch_outcome", "fetch_attempted_at", "fetched_at", "created", "updated")
        return [
            (None, {"fields": ("name", "enabled")}),
            (_("Key sources"), {"fields": keys}),
            (_("How far it is trusted"), {"fields": limits}),
            *([(_("State"), {"fields": state})] if obj else []),
        ]

    def get_inlines(self, request: HttpRequest, obj: Attester | None) -> Any:
        """Show what is known of an attester once there is one."""
        return super().get_inlines(request, obj) if obj else (AttesterApplicationInline,)

    @method_decorator(sensitive_post_parameters("jwks", "anchors", *MISUSED))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Keep what is pasted, which may be a private key by mistake, out of error reports."""
        return super().changeform_view(request, *args, **kwargs)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Add the chart of refusals, and whether there is a URL to fetch keys from."""
        attester: Attester | None = kwargs.get("obj")
        if attester is not None:
            context["refusals"] = refusal_chart(attester, site=self.admin_site.name)
            context["attester_pk"] = str(attester.pk)
            context["can_fetch"] = bool(attester.jwks_uri) and self.has_change_permission(request, attester)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Attester, form: Any, change: bool) -> None:
        """Write what was changed and nothing else: a refresh writes to the same row. A new URL was never fetched."""
        written = {field.name for field in obj._meta.concrete_fields}.intersection(form.changed_data)
        if "jwks_uri" in written:
            obj.fetched_at = obj.fetch_attempted_at = None
            obj.fetch_outcome = ""
            written.update(_FETCH_STATE)
        obj.save(update_fields=[*written, "updated"] if change else None)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store keys and trust anchors with the attester, in the admin's transaction."""
        super().save_related(request, form, formsets, change)
        registration.replace_keys(form.instance, form.cleaned_data["jwks"])
        registration.replace_anchors(form.instance, form.cleaned_data["anchors"])
        registration.forget_fetched_elsewhere(form.instance)
        for other in sharing_a_key_on_other_terms(form.instance):
            text = _(
                "“%(other)s” has one of these keys too, on other terms. An application that trusts both believes an "
                "attestation on the terms of the one whose key was entered first."
            )
            self.message_user(request, text % {"other": other}, messages.WARNING)

    @admin.display(description=gettext_lazy("outcome of the last fetch"))
    def last_fetch_outcome(self, attester: Attester) -> str:
        """Return the outcome as a sentence."""
        return outcome_label(attester.fetch_outcome) if attester.fetch_attempted_at else self.get_empty_value_display()

    @admin.action(description=gettext_lazy("Enable selected attesters"), permissions=["change"])
    def enable(self, request: HttpRequest, attesters: QuerySet[Attester]) -> None:
        """Believe the selected attesters from the next request on."""
        count = self._switch(request, attesters, enabled=True)
        self.message_user(request, ngettext("%d attester enabled.", "%d attesters enabled.", count) % count)

    @admin.action(description=gettext_lazy("Disable selected attesters"), permissions=["change"])
    def disable(self, request: HttpRequest, attesters: QuerySet[Attester]) -> None:
        """Believe the selected attesters no longer, from the next request on."""
        count = self._switch(request, attesters, enabled=False)
        self.message_user(request, ngettext("%d attester disabled.", "%d attesters disabled.", count) % count)

    def _switch(self, request: HttpRequest, attesters: QuerySet[Attester], *, enabled: bool) -> int:
        """Set the flag, and write into the history of each who did."""
        changed = list(attesters.exclude(enabled=enabled))
        Attester.objects.filter(pk__in=[attester.pk for attester in changed]).update(
            enabled=enabled, updated=timezone.now()
        )
        for attester in changed:
            self.log_change(request, attester, [{"changed": {"fields": ["Enabled"]}}])
        return len(changed)
