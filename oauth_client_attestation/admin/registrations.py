"""The admin of clients that registered themselves: what they said, and which of their instances stay blocked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import BlockedInstance, ClientRegistration


@admin.register(ClientRegistration)
class ClientRegistrationAdmin(admin.ModelAdmin):
    """Who registered itself, who vouched for that, and what the client says it is capable of; for reading."""

    list_display = ("application", "client_id", "source", "attester", "software_id", "created", "updated")
    list_filter = ("application__registration_source", "created", ("attester", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("application", "attester")
    search_fields = ("application__name", "application__client_id", "software_id")
    actions = None
    fields = readonly_fields = (
        "application",
        "client_id",
        "source",
        "attester",
        "software_id",
        "method",
        "attestation_algorithms",
        "pop_algorithms",
        "pop_methods",
        "created",
        "updated",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They register themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is what they said."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Together with its application a registration may go, and not by itself."""
        match = request.resolver_match
        here = f"{self.opts.app_label}_{self.opts.model_name}_"
        return super().has_delete_permission(request, obj) and not (
            match is not None and (match.url_name or "").startswith(here)
        )

    @admin.display(description=_("client ID"), ordering="application__client_id")
    def client_id(self, registration: ClientRegistration) -> str:
        """Return the application's client_id."""
        return str(registration.application.client_id)

    @admin.display(description=_("registered by"), ordering="application__registration_source")
    def source(self, registration: ClientRegistration) -> str:
        """Return how the application came to be."""
        return str(registration.application.get_registration_source_display())


@admin.register(BlockedInstance)
class BlockedInstanceAdmin(admin.ModelAdmin):
    """Blocks that outlive the row of their client; deleting one here unblocks the instance, as the command does."""

    list_display = ("thumbprint", "client_id", "blocked")
    search_fields = ("thumbprint__exact", "client_id__exact")
    search_help_text = _("The whole thumbprint of an instance’s key, or the whole client ID.")
    fields = readonly_fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They are made when the row of a client goes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are as they were."""
        return False
