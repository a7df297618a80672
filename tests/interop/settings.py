"""The settings of the live sites, with OpenID Connect, which gives them a second discovery document.

ADVERTISE_OPTIONS_NONCE: 1 to list the endpoints of revision -05 in the metadata.
"""

import os

from tests.e2e.settings import *  # noqa: F403  (settings build on settings)
from tests.e2e.settings import OAUTH2_PROVIDER, OAUTH_CLIENT_ATTESTATION

OAUTH2_PROVIDER["OIDC_ENABLED"] = True
OAUTH2_PROVIDER["SCOPES"]["openid"] = "Sign you in"

OAUTH_CLIENT_ATTESTATION["ADVERTISE_OPTIONS_NONCE"] = os.environ["ADVERTISE_OPTIONS_NONCE"] == "1"
