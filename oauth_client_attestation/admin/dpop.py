"""The admin of who may, and who must, use DPoP."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import DpopPolicy
from .choices import ApplicationChoice
from .forms import DpopPolicyForm


@admin.register(DpopPolicy)
class DpopPolicyAdmin(ApplicationChoice, admin.ModelAdmin):
    """Which applications may have their tokens bound to a key, or must, attested or not."""

    form = DpopPolicyForm
    list_display = ("application", "client_id", "use", "created")
    list_filter = ("use",)
    list_select_related = ("application",)
    search_fields = ("application__name", "application__client_id")

    @admin.display(description=_("client ID"), ordering="application__client_id")
    def client_id(self, policy: DpopPolicy) -> str:
        """Return the application's client_id."""
        return str(policy.application.client_id)
