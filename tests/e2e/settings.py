"""testproject's settings with what the tests switch by environment, and server errors in the log.

SECRET_KEY_FALLBACKS: secrets that were rotated out, separated by spaces. ATOMIC_REQUESTS: 1 to switch it on.
JWKS_ALLOWED_PRIVATE_HOSTS: as the setting, separated by spaces.
OAUTH2_PROVIDER: further settings of django-oauth-toolkit, as JSON.
"""

import json
import os

from testproject.settings import *  # noqa: F403  (settings build on settings)
from testproject.settings import DATABASES, LOGGING, OAUTH2_PROVIDER, OAUTH_CLIENT_ATTESTATION

SECRET_KEY_FALLBACKS = os.environ.get("SECRET_KEY_FALLBACKS", "").split()

OAUTH2_PROVIDER.update(json.loads(os.environ.get("OAUTH2_PROVIDER", "{}")))

DATABASES["default"]["ATOMIC_REQUESTS"] = os.environ.get("ATOMIC_REQUESTS") == "1"

OAUTH_CLIENT_ATTESTATION["JWKS_ALLOWED_PRIVATE_HOSTS"] = os.environ.get("JWKS_ALLOWED_PRIVATE_HOSTS", "").split()

# Django mails the traceback of a 500 to the admins, of whom there are none.
LOGGING["loggers"]["django.request"] = {"handlers": ["stderr"], "level": "ERROR", "propagate": False}
