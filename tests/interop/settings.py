"""The settings of the live sites, with OpenID Connect, which gives them a second discovery document.

OAUTH_CLIENT_ATTESTATION: further settings of this package, as JSON.
"""

import json
import os

from tests.e2e.settings import *  # noqa: F403  (settings build on settings)
from tests.e2e.settings import OAUTH2_PROVIDER, OAUTH_CLIENT_ATTESTATION

OAUTH2_PROVIDER["OIDC_ENABLED"] = True
OAUTH2_PROVIDER["SCOPES"]["openid"] = "Sign you in"

OAUTH_CLIENT_ATTESTATION.update(json.loads(os.environ["OAUTH_CLIENT_ATTESTATION"]))
