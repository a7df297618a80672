"""Settings: where used proofs are recorded (section 12.1)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.module_loading import import_string

from .reader import SettingsReader

if TYPE_CHECKING:
    from ..replay import ReplayStore


DEFAULTS: Final = {
    "REPLAY_STORE": "oauth_client_attestation.replay.database.DatabaseReplayStore",
    "REPLAY_CACHE": "default",
}


class ReplaySettings(SettingsReader):
    """The store of used proofs."""

    @cached_property
    def replay_cache(self) -> str:
        """``REPLAY_CACHE``: alias of the cache for ``CacheReplayStore``; it must be shared by all processes."""
        alias = self._values["REPLAY_CACHE"]
        if not isinstance(alias, str) or alias not in settings.CACHES:
            raise self._wrong("REPLAY_CACHE", "an alias in CACHES")
        return alias

    @cached_property
    def replay_store(self) -> ReplayStore:
        """``REPLAY_STORE``: dotted path of the store that records used proofs (section 12.1; rule P8).

        The database store is right in every deployment;
        ``oauth_client_attestation.replay.cache.CacheReplayStore`` is faster where a shared cache such as Redis
        exists.
        """
        path = self._values["REPLAY_STORE"]
        try:
            store: ReplayStore = import_string(path)()
        except (ImportError, TypeError, AttributeError) as error:
            raise self._wrong("REPLAY_STORE", "the dotted path of a replay store class") from error
        return store
