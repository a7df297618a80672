"""The admin of who may, and who must, send an attestation beside another authentication."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..models import AttestationSignalPolicy
from .choices import ApplicationChoice
from .trusted import TrustedAttesters


@admin.register(AttestationSignalPolicy)
class AttestationSignalPolicyAdmin(ApplicationChoice, TrustedAttesters, admin.ModelAdmin):
    """Which applications, that authenticate in another way, may or must send an attestation as well."""

    fields = ("application", "use", "trusted_attesters")
    nobody_trusted = _("No enabled attester is trusted for it, so every request with an attestation is refused.")
    list_display = ("application", "client_id", "effect", "created")
    list_filter = ("use",)
    list_select_related = ("application", "application__client_attestation_policy")
    search_fields = ("application__name", "application__client_id")

    class Media:
        css = {"all": ("oauth_client_attestation/admin.css",)}

    @admin.display(description=_("client ID"), ordering="application__client_id")
    def client_id(self, policy: AttestationSignalPolicy) -> str:
        """Return the application's client_id."""
        return str(policy.application.client_id)

    @admin.display(description=_("use"), ordering="use")
    def effect(self, policy: AttestationSignalPolicy) -> str:
        """Return what is demanded of the application, or why nothing is."""
        if hasattr(policy.application, "client_attestation_policy"):
            problem = _("none: it authenticates by attestation")
            return format_html('<span class="client-attestation-problem">{}</span>', problem)
        return policy.get_use_display()
