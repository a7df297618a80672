"""The admin of attestation policies."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import AttestationPolicy
from .applications import extend_application_admin
from .choices import ApplicationChoice
from .forms import AttestationPolicyForm
from .trusted import TrustedAttesters


@admin.register(AttestationPolicy)
class AttestationPolicyAdmin(ApplicationChoice, TrustedAttesters, admin.ModelAdmin):
    """Which applications authenticate by client attestation, and in no other way."""

    form = AttestationPolicyForm
    fields = ("application", "methods", "challenge", "oldest_revision", "trusted_attesters")
    list_display = ("application", "client_id", "method_names", "challenge", "oldest_revision", "updated")
    list_filter = ("challenge", "oldest_revision")
    list_select_related = ("application",)
    search_fields = ("application__name", "application__client_id")

    class Media:
        css = {"all": ("oauth_client_attestation/admin.css",)}

    def get_urls(self) -> list[Any]:
        """Where policies have pages, applications show theirs."""
        extend_application_admin(self.admin_site)
        return super().get_urls()

    @admin.display(description=_("client ID"), ordering="application__client_id")
    def client_id(self, policy: AttestationPolicy) -> str:
        """Return the application's client_id."""
        return str(policy.application.client_id)

    @admin.display(description=_("methods"))
    def method_names(self, policy: AttestationPolicy) -> str:
        """Return the methods in one line."""
        return ", ".join(policy.methods)
