"""Used proofs in a cache that every process shares, such as Redis."""

from __future__ import annotations

import math
import time

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured

from ..conf import app_settings
from . import ReplayStore, ReplayStoreUnavailable

# Local memory is per process, the file cache checks and then writes, the dummy forgets: each would let a
# second use pass.
_UNSUITABLE = (DummyCache, FileBasedCache, LocMemCache)


class CacheReplayStore(ReplayStore):
    """One key a proof, set only if it is not there: ``cache.add`` is a single command in Redis and Memcached.

    The cache must not evict: a record that is thrown away early is a proof that can be used twice.
    """

    def __init__(self) -> None:
        """:raises ImproperlyConfigured: if the cache cannot do this for several processes."""
        self._alias = app_settings.replay_cache
        if isinstance(caches[self._alias], _UNSUITABLE):
            raise ImproperlyConfigured(
                f"The cache {self._alias!r} cannot record used proofs for several processes. "
                "Use Redis or Memcached, or the database store."
            )

    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        timeout = max(1, math.ceil(valid_until - time.time()))
        try:
            return bool(caches[self._alias].add(_key(proof_id), 1, timeout))
        except Exception as error:  # each cache library has its own errors, without a common base
            raise ReplayStoreUnavailable from error

    def holds(self, proof_id: str) -> bool:
        try:
            return caches[self._alias].get(_key(proof_id)) is not None
        except Exception as error:  # as above
            raise ReplayStoreUnavailable from error


def _key(proof_id: str) -> str:
    return f"oauth-client-attestation:{proof_id}"
