"""The list of recent refusals: why was this wallet refused?"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import AllValuesFieldListFilter, RelatedOnlyFieldListFilter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..explanations import explain
from ..models import Refusal
from .inspection import PERMISSION, CheckAttestationMixin, check_url


@admin.register(Refusal)
class RefusalAdmin(CheckAttestationMixin, admin.ModelAdmin):
    """What the site recorded, for reading; ``clearattestations`` deletes it."""

    list_display = ("time", "explained", "endpoint", "application", "attester", "instance")
    list_filter = (
        ("reason", AllValuesFieldListFilter),
        "time",
        ("endpoint", AllValuesFieldListFilter),
        ("attester", RelatedOnlyFieldListFilter),
        ("application", RelatedOnlyFieldListFilter),
    )
    list_select_related = ("application", "attester")
    search_fields = ("thumbprint__exact",)
    search_help_text = _("The whole thumbprint of an instance key.")
    show_full_result_count = False
    actions = None
    fields = ("time", "reason", "summary", "advice", "endpoint", "application", "attester", "thumbprint")
    readonly_fields = fields

    class Media:
        css = {"all": ("oauth_client_attestation/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refusals happen."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are what they are."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They go with their attester or application, whoever may delete that; there is no other way to."""
        return True

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Show the list to those who may see it."""
        return {"add": False, "change": False, "delete": False, "view": self.has_view_permission(request)}

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Not one by one: they are a record."""
        raise PermissionDenied

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a refusal, with the way to checking another attestation under the same circumstances."""
        context: dict[str, Any] = {"show_delete": False, **(extra_context or {})}
        refusal = self.get_object(request, object_id)
        if isinstance(refusal, Refusal) and request.user.has_perm(PERMISSION):
            client_id = refusal.application.client_id if refusal.application else ""
            context["check_url"] = check_url(client_id=client_id, at=refusal.time, site=self.admin_site.name)
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("reason"), ordering="reason")
    def explained(self, refusal: Refusal) -> str:
        """Return the reason, and what it means."""
        return format_html(
            '{}<div class="client-attestation-quiet">{}</div>', refusal.reason, explain(refusal.reason).summary
        )

    @admin.display(description=_("instance"))
    def instance(self, refusal: Refusal) -> str:
        """Return the start of the thumbprint, with the way to all refusals of that instance."""
        if not refusal.thumbprint:
            return self.get_empty_value_display()
        return format_html(
            '<a href="?q={}" title="{}">{}…</a>', refusal.thumbprint, refusal.thumbprint, refusal.thumbprint[:8]
        )

    @admin.display(description=_("what happened"))
    def summary(self, refusal: Refusal) -> str:
        """Return what the reason means."""
        return str(explain(refusal.reason).summary)

    @admin.display(description=_("what to do"))
    def advice(self, refusal: Refusal) -> str:
        """Return what to do about it."""
        return str(explain(refusal.reason).advice)
