"""Who is trusted for an application, next to its policy."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import AttestationPolicy, AttestationSignalPolicy, Attester


class TrustedAttesters(BaseModelAdmin):
    """Shows the attesters whose attestations are accepted for the application of a policy."""

    readonly_fields = ("trusted_attesters",)
    #: What it means that there are none.
    nobody_trusted = gettext_lazy(
        "No enabled attester is trusted for it, so every request of this application is refused."
    )

    @admin.display(description=gettext_lazy("trusted attesters"))
    def trusted_attesters(self, policy: AttestationPolicy | AttestationSignalPolicy) -> str:
        """Return the enabled ones; without any, nobody gets in."""
        if policy._state.adding:
            return self.get_empty_value_display()
        attesters = Attester.objects.trusted_for(policy.application_id)
        names = [
            _("%(name)s (for all applications)") % {"name": attester.name}
            if attester.all_applications
            else attester.name
            for attester in attesters
        ]
        if not names:
            return str(self.nobody_trusted)
        return format_html_join(", ", "{}", ((name,) for name in names))
