"""The settings: ``OAUTH_CLIENT_ATTESTATION = {…}`` in ``settings.py``.

Each is a typed property that says what it does, what breaks if it is wrong and where the draft allows it.
Values are read and validated on first use and again after ``override_settings``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from django.core.signals import setting_changed

from . import (
    admin,
    attesters,
    binding,
    dpop,
    freshness,
    par,
    refusals,
    registration,
    replay,
    signal,
    trust,
    verification,
)
from .admin import AdminSettings
from .attesters import AttesterSettings
from .binding import BindingSettings
from .dpop import DpopSettings
from .freshness import FreshnessSettings
from .par import PushedRequestSettings
from .reader import SETTING_NAME
from .refusals import RefusalSettings
from .registration import RegistrationSettings
from .replay import ReplaySettings
from .signal import SignalSettings
from .trust import TrustSettings
from .verification import VerificationSettings

__all__ = ["DEFAULTS", "SETTING_NAME", "ClientAttestationSettings", "app_settings"]

#: Every key with its default.
DEFAULTS: Final[Mapping[str, Any]] = {
    **verification.DEFAULTS,
    **freshness.DEFAULTS,
    **dpop.DEFAULTS,
    **attesters.DEFAULTS,
    **trust.DEFAULTS,
    **replay.DEFAULTS,
    **signal.DEFAULTS,
    **binding.DEFAULTS,
    **par.DEFAULTS,
    **registration.DEFAULTS,
    **refusals.DEFAULTS,
    **admin.DEFAULTS,
}


class ClientAttestationSettings(
    FreshnessSettings,
    SignalSettings,
    DpopSettings,
    AttesterSettings,
    TrustSettings,
    ReplaySettings,
    VerificationSettings,
    BindingSettings,
    PushedRequestSettings,
    RegistrationSettings,
    RefusalSettings,
    AdminSettings,
):
    """The validated settings. One instance, :data:`app_settings`, serves the process."""

    defaults = DEFAULTS

    def validate(self) -> None:
        """Read every setting.

        :raises ImproperlyConfigured: for the first that is wrong. A missing issuer is not raised here; the
            system check reports it.
        """
        for section in type(self).__mro__:
            for name, member in vars(section).items():
                if isinstance(member, cached_property):
                    getattr(self, name)

    def follow_setting_changes(self) -> None:
        """Forget what was read whenever a test overrides a setting it may depend on."""
        setting_changed.connect(self._forget, dispatch_uid=SETTING_NAME)

    def _forget(self, *, setting: str, **kwargs: Any) -> None:
        if setting in (SETTING_NAME, "OAUTH2_PROVIDER", "CACHES", "SECRET_KEY", "SECRET_KEY_FALLBACKS"):
            self.__dict__.clear()


app_settings: Final = ClientAttestationSettings()
