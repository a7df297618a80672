"""A fetcher that makes up the document of each client, for sites under a real server."""

from __future__ import annotations

import time
from typing import Any

from oauth_client_attestation.registration.documents import AttestedDocumentMixin
from tests.kit import REDIRECT_URI


class MadeUp:
    """Every client has a document, which takes its time to come."""

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        time.sleep(0.3)
        document = {
            "client_id": client_id,
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "attest_jwt_client_auth",
        }
        return document, 300


class Fetcher(AttestedDocumentMixin, MadeUp):
    """The same, as the site has it."""
