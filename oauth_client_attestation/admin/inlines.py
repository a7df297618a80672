"""What belongs to an attester: its keys, its trust anchors, and the applications it may vouch for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..models import Attester, AttesterApplication, AttesterKey, TrustAnchor
from .choices import ApplicationChoice


class AttesterPart(admin.TabularInline):
    """Rows that come from what is entered or fetched: they are disabled rather than deleted.

    They are part of the attester, so whoever may see or change it may see or change them.
    """

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They come from the fields above, from the URL or from the command."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They go with what they come from."""
        return False

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Name the field also for those who do not see the heading of its column."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs["aria-label"] = capfirst(db_field.verbose_name)
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for the attester."""
        return _may(request, "change")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for the attester."""
        return _may(request, "view") or _may(request, "change")


def _may(request: HttpRequest, what: str) -> bool:
    return request.user.has_perm(f"{Attester._meta.app_label}.{get_permission_codename(what, Attester._meta)}")


class AttesterKeyForm(forms.ModelForm):
    """A key whose window can be set, unless it was fetched: withdrawn and published again, it would lose it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"not_before", "not_after"} & set(self.fields):
            self.fields[name].disabled = bool(self.instance.fetched_from)


class AttesterKeyInline(AttesterPart):
    """The keys by their thumbprints."""

    model = AttesterKey
    form = AttesterKeyForm
    fields = ("thumbprint", "key_id", "key_type", "source", "enabled", "not_before", "not_after")
    readonly_fields = ("thumbprint", "key_id", "key_type", "source")
    verbose_name_plural = _("Known keys")

    @admin.display(description=_("key type"))
    def key_type(self, key: AttesterKey) -> str:
        """Return type and curve."""
        return " ".join(filter(None, (key.jwk.get("kty"), key.jwk.get("crv"))))

    @admin.display(description=_("source"))
    def source(self, key: AttesterKey) -> str:
        """Say where the key comes from, and whether it counts."""
        if not key.fetched_from:
            return str(_("entered"))
        if key.fetched_from == key.attester.jwks_uri:
            return str(_("fetched"))
        return str(_("fetched from a former URL, so it does not count"))


class TrustAnchorInline(AttesterPart):
    """The trust anchors by their fingerprints."""

    model = TrustAnchor
    fields = ("subject", "fingerprint", "key_type", "not_before", "not_after", "enabled")
    readonly_fields = ("subject", "fingerprint", "key_type", "not_before", "not_after")
    verbose_name_plural = _("Known trust anchors")


class AttesterApplicationInline(ApplicationChoice, admin.TabularInline):
    """The applications that the attester may vouch for: added or removed, never turned into another."""

    model = AttesterApplication
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Which also spares a query for the widget of each row."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AttesterApplication]:
        """Load the names with the rows."""
        rows: QuerySet[AttesterApplication] = super().get_queryset(request)
        return rows.select_related("application", "attester")
