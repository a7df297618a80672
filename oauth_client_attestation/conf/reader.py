"""Reading one setting, and saying what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ..core.keys import ASYMMETRIC_ALGORITHMS

SETTING_NAME: Final = "OAUTH_CLIENT_ATTESTATION"


class SettingsReader:
    """What the sections share. Errors name the setting and what it may be."""

    #: Every key with its default.
    defaults: ClassVar[Mapping[str, Any]] = {}

    @property
    def _values(self) -> Mapping[str, Any]:
        values = getattr(settings, SETTING_NAME, {})
        if not isinstance(values, Mapping):
            raise ImproperlyConfigured(f"{SETTING_NAME} must be a dict.")
        unknown = sorted(set(values) - set(self.defaults))
        if unknown:
            raise ImproperlyConfigured(f"{SETTING_NAME} has unknown keys: {', '.join(map(str, unknown))}.")
        return {**self.defaults, **values}

    def _algorithms(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        if (
            not isinstance(value, list | tuple)
            or not value
            or not all(isinstance(name, str) and name in ASYMMETRIC_ALGORITHMS for name in value)
        ):
            raise self._wrong(name, f"a non-empty list out of {', '.join(sorted(ASYMMETRIC_ALGORITHMS))}")
        return tuple(value)

    def _integer(self, name: str, least: int, most: int) -> int:
        value = self._values[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(name, f"an integer from {least} to {most}")
        return value

    def _switch(self, name: str) -> bool:
        value = self._values[name]
        if not isinstance(value, bool):
            raise self._wrong(name, "True or False")
        return value

    def _choice(self, name: str, choices: tuple[str, ...]) -> Any:
        value = self._values[name]
        if not isinstance(value, str) or value not in choices:
            raise self._wrong(name, " or ".join(map(repr, choices)))
        return value

    @staticmethod
    def _wrong(name: str, expected: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"{SETTING_NAME}[{name!r}] must be {expected}.")
