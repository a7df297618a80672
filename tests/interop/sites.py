"""Live sites with OpenID Connect."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

from jwcrypto.jwk import JWK

from tests.e2e.live import LiveSite, running_site


def openid_connect_site(migrated_sqlite: Path, directory: Path, **settings: Any) -> AbstractContextManager[LiveSite]:
    """Run a site of one worker that signs ID tokens.

    :param settings: of this package.
    """
    return running_site(
        migrated_sqlite,
        directory,
        workers=1,
        DJANGO_SETTINGS_MODULE="tests.interop.settings",
        OAUTH2_PROVIDER=json.dumps({"OIDC_RSA_PRIVATE_KEY": signing_key()}),
        OAUTH_CLIENT_ATTESTATION=json.dumps(settings),
    )


@cache
def signing_key() -> str:
    """Return the key of ID tokens, made once."""
    return JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
