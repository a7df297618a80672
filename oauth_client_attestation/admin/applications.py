"""Policies and attesters on the application's page, whichever class of the site shows it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from ..conf import app_settings
from ..models import AttestationPolicy, AttestationSignalPolicy, AttesterApplication, DpopPolicy
from .forms import ApplicationDpopPolicyForm, ApplicationPolicyForm, ApplicationSignalPolicyForm
from .trusted import TrustedAttesters


class AttestationPolicyInline(TrustedAttesters, admin.StackedInline):
    """That the application authenticates by client attestation, and in no other way."""

    model = AttestationPolicy
    form = ApplicationPolicyForm
    fields = ("methods", "challenge", "oldest_revision", "trusted_attesters")
    extra = 0
    verbose_name_plural = _("Client attestation")

    class Media:
        css = {"all": ("oauth_client_attestation/admin.css",)}


class DpopPolicyInline(admin.StackedInline):
    """That the application may use DPoP, or must."""

    model = DpopPolicy
    form = ApplicationDpopPolicyForm
    fields = ("use",)
    extra = 0
    verbose_name_plural = _("DPoP")


class AttestationSignalPolicyInline(admin.StackedInline):
    """That the application, which authenticates in another way, may or must send an attestation as well."""

    model = AttestationSignalPolicy
    form = ApplicationSignalPolicyForm
    fields = ("use",)
    extra = 0
    verbose_name_plural = _("Client attestation beside another authentication")


class TrustedAttesterFormSet(BaseInlineFormSet):
    """The forms of :class:`TrustedAttesterInline`."""

    @classmethod
    def get_default_prefix(cls) -> str:
        """Return a name that the admin's script can work with; the relation itself has none."""
        return "trusted_attesters"


class TrustedAttesterInline(admin.TabularInline):
    """The attesters that are trusted for the application: added or removed, never turned into another."""

    model = AttesterApplication
    formset = TrustedAttesterFormSet
    fk_name = "application"
    autocomplete_fields = ("attester",)
    extra = 0
    verbose_name = _("trusted attester")
    verbose_name_plural = _("Trusted attesters")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Which also spares a query for the widget of each row."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AttesterApplication]:
        """Load the names with the rows."""
        rows: QuerySet[AttesterApplication] = super().get_queryset(request)
        return rows.select_related("attester", "application")


class ApplicationInlines(admin.ModelAdmin):
    """Adds the inlines that a site's admin of applications does not have."""

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """Put ours behind those of the site."""
        inlines = list(super().get_inlines(request, obj))
        if not app_settings.admin_application_inline:
            return inlines
        models = {inline.model for inline in inlines}
        ours = (AttestationPolicyInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline)
        return [*inlines, *(inline for inline in ours if inline.model not in models)]


def extend_application_admin(site: admin.AdminSite) -> None:
    """Make the site's admin of applications one with our inlines; there may be none.

    Called once the site's URLs are made: whatever the order of INSTALLED_APPS, every application has registered,
    or replaced, its classes by then. The instance stays the same, since URLs may refer to it already, and its
    class becomes a subclass of what it was.
    """
    model = get_application_model()
    if site.is_registered(model):
        registered = site.get_model_admin(model)
        inherited = type(registered)
        if not issubclass(inherited, ApplicationInlines):
            registered.__class__ = type(
                inherited.__name__, (ApplicationInlines, inherited), {"__module__": inherited.__module__}
            )
