"""testproject's settings, and beside its database and cache a second one of each, to be filled.

FULL_DATABASE_URL and FULL_CACHE_URL name those; CACHE_KEY_PREFIX keeps the keys of one run apart. Challenges
last longer, since proofs are signed before a run, which takes a while on a slow machine.
"""

import os

from testproject.settings import *  # noqa: F403  (settings build on settings)
from testproject.settings import CACHES, DATABASES, OAUTH_CLIENT_ATTESTATION, database

OAUTH_CLIENT_ATTESTATION = {**OAUTH_CLIENT_ATTESTATION, "CHALLENGE_LIFETIME": 3600}

if url := os.environ.get("FULL_DATABASE_URL"):
    DATABASES["full"] = database(url)
    DATABASE_ROUTERS = ["benchmarks.replay.Router"]

if url := os.environ.get("FULL_CACHE_URL"):
    CACHES["full"] = {**CACHES["default"], "LOCATION": url}

for cache in CACHES.values():
    cache["KEY_PREFIX"] = os.environ.get("CACHE_KEY_PREFIX", "")
