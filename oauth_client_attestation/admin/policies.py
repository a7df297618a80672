"""The admin of attestation policies."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..conf import app_settings
from ..core import wire
from ..models import AttestationPolicy
from .applications import extend_application_admin
from .choices import ApplicationChoice
from .forms import AttestationPolicyForm
from .trusted import TrustedAttesters

_SHORT: Final = {wire.METHOD_POP_JWT: _("normal mode"), wire.METHOD_DPOP: _("combined mode")}


@admin.register(AttestationPolicy)
class AttestationPolicyAdmin(ApplicationChoice, TrustedAttesters, admin.ModelAdmin):
    """Which applications authenticate by client attestation, and in no other way."""

    form = AttestationPolicyForm
    fields = ("application", "methods", "challenge", "oldest_revision", "trusted_attesters")
    list_display = ("application", "client_id", "method_names", "challenge", "oldest_revision", "source", "updated")
    list_filter = ("challenge", "oldest_revision", "application__registration_source")
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
        """Return the methods that are accepted; without any, nobody gets in."""
        accepted = [mode for method, mode in _SHORT.items() if method in {*policy.methods} & {*app_settings.methods}]
        if not accepted:
            problem = _("none that METHODS has, so every request of this application is refused")
            return format_html('<span class="client-attestation-problem">{}</span>', problem)
        return ", ".join(map(str, accepted))

    @admin.display(description=_("registered by"), ordering="application__registration_source")
    def source(self, policy: AttestationPolicy) -> str:
        """Return how the application came to be: entered, or by itself."""
        return str(policy.application.get_registration_source_display())
