"""The admin of client instances: found by thumbprint, blocked, relieved of what they hold; never edited or deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import DatabaseError
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import instances
from ..models import AccessTokenBinding, ClientInstance, RefreshTokenBinding


@admin.register(ClientInstance)
class ClientInstanceAdmin(admin.ModelAdmin):
    """Which instances hold something, and the way to shut one out."""

    list_display = (
        "thumbprint",
        "application",
        "attester",
        "first_seen",
        "last_seen",
        "refresh_tokens",
        "access_tokens",
        "blocked",
    )
    list_filter = (("blocked", admin.EmptyFieldListFilter),)
    list_select_related = ("application", "attester")
    ordering = ("-pk",)
    # Exactly, so that the index answers.
    search_fields = ("thumbprint__exact",)
    search_help_text = _("The whole thumbprint of an instance’s key.")
    show_full_result_count = False
    actions = ("block", "unblock", "revoke")
    fields = readonly_fields = list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientInstance]:
        """Count what is held with the list, not per row."""
        rows: QuerySet[ClientInstance] = super().get_queryset(request).using(instances.database())
        return rows.annotate(
            _refresh_tokens=_count(RefreshTokenBinding, refresh_token__revoked__isnull=True),
            _access_tokens=_count(AccessTokenBinding, access_token__expires__gt=timezone.now()),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are made when something is bound."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the actions change something; they need the permission in full."""
        return super().has_change_permission(request, obj) and not self._here(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not here: a block would be forgotten. Together with its application an instance may go."""
        return super().has_delete_permission(request, obj) and not self._here(request, "changelist", "change", "delete")

    @admin.display(description=_("refresh tokens"), ordering="_refresh_tokens")
    def refresh_tokens(self, instance: Any) -> int:
        """Return how many live refresh tokens it holds."""
        return int(instance._refresh_tokens)

    @admin.display(description=_("access tokens"), ordering="_access_tokens")
    def access_tokens(self, instance: Any) -> int:
        """Return how many live access tokens it holds."""
        return int(instance._access_tokens)

    @admin.action(description=_("Block selected instances and revoke what they hold"), permissions=["change"])
    def block(self, request: HttpRequest, chosen: QuerySet[ClientInstance]) -> None:
        """Refuse the selected instances at every endpoint from the next request on."""
        rows = list(chosen)
        try:
            revoked = sum(instances.block(row.application_id, row.thumbprint) for row in rows)
        except DatabaseError:
            self.message_user(request, gettext("Not all of them are blocked. Look again."), messages.ERROR)
            return
        self._logged(request, rows, gettext("Blocked."))
        blocked = ngettext("%d instance blocked", "%d instances blocked", len(rows)) % len(rows)
        self.message_user(request, f"{blocked}; {_revoked(revoked)}.")

    @admin.action(description=_("Unblock selected instances"), permissions=["change"])
    def unblock(self, request: HttpRequest, chosen: QuerySet[ClientInstance]) -> None:
        """Let the selected instances in again; what was revoked stays revoked."""
        rows = list(chosen)
        for row in rows:
            instances.unblock(row)
        self._logged(request, rows, gettext("Unblocked."))
        count = len(rows)
        self.message_user(request, ngettext("%d instance unblocked.", "%d instances unblocked.", count) % count)

    @admin.action(description=_("Revoke what selected instances hold"), permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ClientInstance]) -> None:
        """Revoke tokens and pending codes of the selected instances, which may come back for more."""
        rows = list(chosen)
        revoked = sum(instances.revoke(row) for row in rows)
        self._logged(request, rows, gettext("Revoked what it held."))
        self.message_user(request, f"{_revoked(revoked)}.")

    def _logged(self, request: HttpRequest, rows: list[ClientInstance], message: str) -> None:
        for row in rows:
            self.log_change(request, row, message)

    def _here(self, request: HttpRequest, *pages: str) -> bool:
        """Whether the request is for one of these pages of this admin, and not for another model's."""
        match = request.resolver_match
        names = {f"{self.opts.app_label}_{self.opts.model_name}_{page}" for page in pages}
        return match is not None and match.url_name in names


def _count(binding: type[Model], **live: Any) -> Any:
    """Count the live tokens of each instance in the query of the list."""
    bound: Any = binding._default_manager.filter(instance=OuterRef("pk"), **live)
    counted = bound.order_by().values("instance").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


def _revoked(count: int) -> str:
    return ngettext("%d token or code revoked", "%d tokens and codes revoked", count) % count
