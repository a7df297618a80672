"""Settings: the record of recent refusals."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "RECORD_REFUSALS": True,
    "REFUSALS_PER_MINUTE": 60,
    "REFUSAL_LIMIT": 10000,
    "REFUSAL_RETENTION_DAYS": 14,
}


class RefusalSettings(SettingsReader):
    """What is recorded for the people who are asked why a client was refused."""

    @cached_property
    def record_refusals(self) -> bool:
        """``RECORD_REFUSALS``: keep recent refusals for the admin. The log and the signal do without."""
        return self._switch("RECORD_REFUSALS")

    @cached_property
    def refusals_per_minute(self) -> int:
        """``REFUSALS_PER_MINUTE``: the most that one process records in a minute; the rest is in the log only.

        Strangers can be refused as often as they like, and each record is a write. Refusals of attestations whose
        signature was verified are counted apart, so that strangers cannot crowd them out.
        """
        return self._integer("REFUSALS_PER_MINUTE", 1, 100_000)

    @cached_property
    def refusal_limit(self) -> int:
        """``REFUSAL_LIMIT``: the most records that are kept, with and without an attester each; the oldest go first."""
        return self._integer("REFUSAL_LIMIT", 10, 10_000_000)

    @cached_property
    def refusal_retention_days(self) -> int:
        """``REFUSAL_RETENTION_DAYS``: days after which ``clearattestations`` deletes a record."""
        return self._integer("REFUSAL_RETENTION_DAYS", 1, 3650)
