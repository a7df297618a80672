"""testproject's settings, so that the tests run on what people are shown, made quick.

DATABASE_URL and CACHE_URL choose the database and the cache, as they do for testproject.
"""

import os

from testproject.settings import *  # noqa: F403  (settings build on settings)
from testproject.settings import CACHES, MIDDLEWARE, OAUTH_CLIENT_ATTESTATION, SHARED_CACHE

SECRET_KEY = "a key that is the same in every test process"

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# It looks through every static file whenever a test client starts.
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("whitenoise.")]

# Tests choose the replay store they are about; a faster cache must not change it for the others. So it is with what the
# site says of its resource.
_CHOSEN = ("REPLAY_STORE", "RESOURCE", "RESOURCE_ATTESTATION")
OAUTH_CLIENT_ATTESTATION = {key: value for key, value in OAUTH_CLIENT_ATTESTATION.items() if key not in _CHOSEN}
if SHARED_CACHE:
    # Each process of a parallel run would otherwise see, and clear, what the others store.
    CACHES["default"]["KEY_PREFIX"] = os.environ.get("PYTEST_XDIST_WORKER", "")

# Propagated to the root logger, where pytest's caplog listens.
LOGGING = {}
