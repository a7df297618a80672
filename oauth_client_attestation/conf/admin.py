"""Settings: the admin."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "ADMIN_APPLICATION_INLINE": True,
}


class AdminSettings(SettingsReader):
    """How this package shows itself in the admin."""

    @cached_property
    def admin_application_inline(self) -> bool:
        """``ADMIN_APPLICATION_INLINE``: show policy and attesters on the application's page in the admin.

        Whatever class shows applications there is extended, and has the inlines that it lacks. Off, a site puts
        ``AttestationPolicyInline`` and ``TrustedAttesterInline`` where it likes, or leaves them out.
        """
        return self._switch("ADMIN_APPLICATION_INLINE")
