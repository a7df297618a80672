"""Choosing an application among any number of them."""

from __future__ import annotations

from django.contrib.admin.options import BaseModelAdmin
from django.http import HttpRequest
from oauth2_provider.models import get_application_model


class ApplicationChoice(BaseModelAdmin):
    """Finds the application by typing where the site's admin can search for it, and else takes its key."""

    raw_id_fields = ("application",)

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Ask what the site has registered, which an option of the class could not."""
        model = get_application_model()
        searchable = self.admin_site.is_registered(model) and self.admin_site.get_model_admin(model).search_fields
        return ("application",) if searchable else ()
