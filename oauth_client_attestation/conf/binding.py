"""Settings: what is kept about client instances (section 10.3; rules B1 to B4)."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "RECORD_INSTANCE_TIMES": True,
    "INSTANCE_RETENTION_DAYS": 90,
}


class BindingSettings(SettingsReader):
    """The records of instances that hold something."""

    @cached_property
    def record_instance_times(self) -> bool:
        """``RECORD_INSTANCE_TIMES``: keep the day on which an instance was first and last seen.

        Off, neither is recorded, ``clearattestations`` empties what was, and an instance is forgotten as soon as
        it holds nothing.
        """
        return self._switch("RECORD_INSTANCE_TIMES")

    @cached_property
    def instance_retention_days(self) -> int:
        """``INSTANCE_RETENTION_DAYS``: how long an instance that holds nothing is remembered.

        Counted from the day on which it was last seen; ``clearattestations`` deletes the record then. A blocked
        instance is remembered until it is unblocked.
        """
        return self._integer("INSTANCE_RETENTION_DAYS", 0, 3650)
