"""The admin of who must push authorization requests."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import PushedAuthorizationPolicy
from .choices import ApplicationChoice


@admin.register(PushedAuthorizationPolicy)
class PushedAuthorizationPolicyAdmin(ApplicationChoice, admin.ModelAdmin):
    """Which applications must push their authorization requests, attested or not."""

    list_display = ("application", "client_id", "created")
    list_select_related = ("application",)
    search_fields = ("application__name", "application__client_id")

    @admin.display(description=_("client ID"), ordering="application__client_id")
    def client_id(self, policy: PushedAuthorizationPolicy) -> str:
        """Return the application's client_id."""
        return str(policy.application.client_id)
