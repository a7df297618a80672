"""An authorization server and a resource server in processes and databases of their own, and a client of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.testing import ClientInstance, combined_headers, request_headers
from tests.e2e.client import LiveClient, refusals
from tests.e2e.live import LiveSite
from tests.kit import table

pytestmark = pytest.mark.slow

PLACES = ("/api/view", "/api/rest-framework", "/api/decorated", "/api/decorated/async")
_TIMEOUT = 60


def resource_server(start_site: Callable[..., LiveSite], authorization_server: LiveSite, **options: Any) -> LiveSite:
    """Start a site that asks another one about tokens."""
    authorization_server.shell(
        "from django.core.management import call_command\n"
        "call_command('createapplication', 'confidential', 'client-credentials', client_id='rs',\n"
        "             client_secret='of the resource server', hash_client_secret=False)"
    )
    asks = {
        "RESOURCE_SERVER_INTROSPECTION_URL": f"{authorization_server.url}/o/introspect/",
        "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": ["rs", "of the resource server"],
    }
    return start_site(OAUTH2_PROVIDER=json.dumps(asks), **options)


def issued(client: LiveClient, *, combined: bool) -> dict[str, Any]:
    """Ask for a token that is bound to the instance's key."""
    endpoint = client.metadata["token_endpoint"]
    answer = requests.post(f"{client.site.url}/oauth-client-attestation/challenge", timeout=_TIMEOUT)
    proof = client.instance.prove_dpop("POST", endpoint, nonce=answer.headers["DPoP-Nonce"])
    attestation = client.attestation()
    headers = (
        combined_headers(attestation, proof)
        if combined
        else {**request_headers(attestation, client.pop(answer.json()["attestation_challenge"])), "DPoP": proof}
    )
    response = requests.post(endpoint, data={"grant_type": "client_credentials"}, headers=headers, timeout=_TIMEOUT)
    assert response.status_code == 200, response.text
    assert response.json()["token_type"] == "DPoP"
    return response.json()


def call(site: LiveSite, path: str, token: str, instance: ClientInstance, *, at: LiveSite | None = None) -> Any:
    """Call a resource with a token and a proof for its URL, or for the same path at another site."""
    return send(site, path, token, instance.prove_dpop("GET", f"{(at or site).url}{path}", access_token=token))


def send(site: LiveSite, path: str, token: str, proof: str) -> requests.Response:
    fields = {"Authorization": f"DPoP {token}", "DPoP": proof}
    return requests.get(site.url + path, headers=fields, timeout=_TIMEOUT)


def bear(site: LiveSite, path: str, token: str) -> requests.Response:
    return requests.get(site.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT)


@table("server, combined", {"under WSGI": ("gunicorn", False), "under ASGI": ("uvicorn", True)})
@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_a_bound_token_is_bound_at_another_server_too(
    server: str, combined: bool, start_site: Callable[..., LiveSite], tmp_path: Path
) -> None:
    home = start_site(workers=1)
    client = LiveClient(home, tmp_path).register()
    away = resource_server(start_site, home, server=server, workers=1)
    token = issued(client, combined=combined)["access_token"]

    with away.logged() as log:
        first = bear(away, PLACES[0], token)
        assert first.status_code == 401
        assert 'DPoP error="invalid_token"' in first.headers["WWW-Authenticate"]
    assert refusals(log) == [Reason.ACCESS_TOKEN_AS_BEARER]

    for path in PLACES:
        answer = call(away, path, token, client.instance)
        assert (answer.status_code, answer.json()) == (200, {"hello": None})
    home.stop()  # what it has said is kept
    for path in PLACES:
        proof = client.instance.prove_dpop("GET", away.url + path, access_token=token)
        assert send(away, path, token, proof).status_code == 200
        with away.logged() as log:
            for refused in (
                send(away, path, token, proof),
                bear(away, path, token),
                call(away, path, token, client.instance, at=home),
                call(away, path, token, ClientInstance()),
                call(away, path, token + "x", client.instance),
            ):
                assert refused.status_code in (401, 403)
                assert "hello" not in refused.text
        assert refusals(log) == [
            Reason.DPOP_REPLAYED,
            Reason.ACCESS_TOKEN_AS_BEARER,
            Reason.DPOP_HTU,
            Reason.ACCESS_TOKEN_OF_ANOTHER_KEY,
        ]
