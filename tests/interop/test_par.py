"""Released clients that nobody here wrote push an authorization request, redeem the code and refresh the token.

The clients are npm openid-client and oauth4webapi, driven by par.mjs, with attestations added by their hook for
client authentication. The user's browser is played by a session that logs in and consents.
"""

from __future__ import annotations

import pytest
import requests

from tests.e2e.authorization import PushingClient
from tests.interop.scripts import consented, running_script

pytestmark = pytest.mark.interop


@pytest.mark.accepts("B1", "B3")
@pytest.mark.parametrize("library", ["openid-client", "oauth4webapi"])
def test_a_client_pushes_redeems_and_refreshes(node, live_site, tmp_path, library):
    client = PushingClient(live_site, tmp_path).register()
    user = client.create_user()
    with running_script(node, "par.mjs") as tell:
        url = tell(
            library=library,
            issuer=live_site.url,
            client_id=client.client_id,
            redirect_uri=client.redirect_uri,
            scope="read",
            attester_private_jwk=client.backend.key.export_private(as_dict=True)
            | {"kid": client.backend.key_id, "alg": client.backend.algorithm},
        )["authorization_url"]
        assert url.startswith(f"{live_site.url}/o/authorize/?")
        assert client.redirect_uri not in url
        report = tell(callback=consented(live_site, user, url))

    assert report["tokens"]["scope"] == report["refreshed"]["scope"] == "read"
    assert report["refreshed"]["refresh_token"] != report["tokens"]["refresh_token"]
    api = requests.get(
        f"{live_site.url}/api/hello",
        headers={"Authorization": f"Bearer {report['refreshed']['access_token']}"},
        timeout=60,
    )
    assert api.json() == {"hello": user, "client_id": client.client_id, "scope": "read"}

    # What was asked, so that a newer library does not quietly prove something else.
    asked = [(request["method"], request["url"], request["attested"]) for request in report["requests"]]
    assert asked == [
        ("GET", f"{live_site.url}/.well-known/oauth-authorization-server", False),
        ("POST", f"{live_site.url}/oauth-client-attestation/challenge", False),
        ("POST", f"{live_site.url}/o/par/", True),
        ("POST", f"{live_site.url}/o/token/", True),
        ("POST", f"{live_site.url}/o/token/", True),
    ]
