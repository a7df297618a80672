"""A resource server in a process and database of its own: its own attesters, and tokens by introspection (S1, S2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.testing import AttesterBackend, combined_headers, request_headers
from tests.e2e.client import LiveClient, refusals
from tests.e2e.live import LiveSite
from tests.e2e.test_dpop_remote import issued, resource_server
from tests.kit import CHALLENGE_FIELD, table

pytestmark = pytest.mark.slow

PLACES = ("/api/attested", "/api/view/attested", "/api/decorated/attested", "/api/decorated/attested/async")
#: Nothing is shared with the authorization server, its secret as little as its database.
OWN_SECRET = "of-the-resource-server-alone"
_TIMEOUT = 60


def token_of(client: LiveClient) -> str:
    """Ask the authorization server for a bearer token."""
    response = client.token(client.attestation(), client.pop(client.challenge()))
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


def trust(site: LiveSite, client: LiveClient, *, applications: list[str] | None) -> None:
    """Have a site trust a client's attester, for some applications or for all."""
    jwks = client.directory / f"{client.client_id}.away.json"
    jwks.write_text(json.dumps(client.backend.jwks))
    whom = "all_applications=True" if applications is None else f"application={applications!r}"
    site.shell(
        "from django.core.management import call_command\n"
        f"for app in {applications or []!r}:\n"
        "    call_command('createapplication', 'confidential', 'client-credentials', name=app, client_id=app)\n"
        f"call_command('createattester', {client.attester!r}, jwks={str(jwks)!r}, {whom})"
    )


def resource_of(site: LiveSite) -> dict[str, Any]:
    """Return what a site says of its API (RFC 9728)."""
    response = requests.get(f"{site.url}/.well-known/oauth-protected-resource/api", timeout=_TIMEOUT)
    assert response.status_code == 200
    return response.json()


def challenge_of(site: LiveSite) -> str:
    """Ask for a challenge of a site's resources where its metadata says."""
    response = requests.post(resource_of(site)["challenge_endpoint"], timeout=_TIMEOUT)
    assert response.status_code == 200
    return response.json()["attestation_challenge"]


def fields(client: LiveClient, site: LiveSite, *, challenge: str | None = None, **pop: Any) -> dict[str, str]:
    """Return an attestation and a proof for a site's resource, or with something changed."""
    audience = pop.pop("audience", resource_of(site)["resource"])
    proof = client.instance.prove(audience, challenge=challenge or challenge_of(site), **pop)
    return request_headers(client.attestation(), proof)


def call(site: LiveSite, path: str, token: str, headers: dict[str, str], scheme: str = "Bearer") -> requests.Response:
    return requests.get(site.url + path, headers={"Authorization": f"{scheme} {token}", **headers}, timeout=_TIMEOUT)


def combined(client: LiveClient, site: LiveSite, path: str, token: str) -> requests.Response:
    """Call a resource in combined mode, with the nonce that it asks for."""
    nonce = None
    while True:
        proof = client.instance.prove_dpop("GET", site.url + path, nonce=nonce, access_token=token)
        response = call(site, path, token, combined_headers(client.attestation(), proof), scheme="DPoP")
        if nonce is not None:
            return response
        assert response.headers["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce"')
        nonce = response.headers["DPoP-Nonce"]


@table("server", {"under WSGI": "gunicorn", "under ASGI": "uvicorn"})
@table("local", {"an attester trusted for all applications": False, "an application of its own": True})
@pytest.mark.accepts("S1", "S2", "P4")
@pytest.mark.refuses("S1", "S2", "A3", "A4", "P4", "P7", "P8", "T5")
def test_a_resource_server_of_its_own(
    server: str, local: bool, start_site: Callable[..., LiveSite], tmp_path: Path
) -> None:
    home = start_site(workers=1)
    client = LiveClient(home, tmp_path).register()
    stranger = LiveClient(home, tmp_path, backend=AttesterBackend(key_id="of-a-stranger")).register()
    away = resource_server(start_site, home, server=server, workers=1, SECRET_KEY=OWN_SECRET)
    token, bound, foreign = token_of(client), issued(client, combined=True)["access_token"], token_of(stranger)

    with away.logged() as log:
        assert call(away, PLACES[0], token, fields(client, away)).status_code == 401
    assert refusals(log) == [Reason.ATTESTER_NOT_TRUSTED]
    trust(away, client, applications=[client.client_id] if local else None)

    for path in PLACES:
        with away.logged() as log:
            refused = [call(away, path, token, {})]
            headers = fields(client, away, challenge=refused[0].headers[CHALLENGE_FIELD])
            accepted = call(away, path, token, headers)
            assert (accepted.status_code, accepted.json()["attested_by"]) == (200, client.attester)
            refused += [
                call(away, path, token, headers),
                call(away, path, token, fields(client, away, audience=home.url)),
                call(away, path, token, fields(client, away, challenge=challenge_of(home))),
                call(away, path, foreign, fields(client, away)),
                call(away, path, foreign, fields(stranger, away)),
                call(away, path, token, fields(stranger, away)),
            ]
        assert [response.status_code for response in refused] == [401] * len(refused)
        assert all(response.headers["WWW-Authenticate"].startswith('Bearer error="') for response in refused)
        assert all("hello" not in response.text for response in refused)
        assert refusals(log) == [
            Reason.ATTESTATION_REQUIRED,
            Reason.POP_REPLAYED,
            Reason.POP_AUD,
            Reason.CHALLENGE_UNKNOWN,
            Reason.CLIENT_MISMATCH,
            Reason.ATTESTER_NOT_TRUSTED,
            Reason.CLIENT_MISMATCH,
        ]
        assert combined(client, away, path, bound).status_code == 200

    home.stop()  # what it has said of the tokens is kept, and of attesters it was never asked
    for path in PLACES:
        with away.logged() as log:
            headers = fields(client, away)
            assert call(away, path, token, headers).status_code == 200
            assert combined(client, away, path, bound).status_code == 200
            assert call(away, path, token, headers).status_code == 401
            assert call(away, path, foreign, fields(client, away)).status_code == 401
        assert refusals(log) == [Reason.DPOP_NONCE_MISSING, Reason.POP_REPLAYED, Reason.CLIENT_MISMATCH]

    if local:
        block(away, client)
        with away.logged() as log:
            assert call(away, PLACES[0], token, fields(client, away)).status_code == 401
        assert refusals(log) == [Reason.INSTANCE_BLOCKED]


def block(site: LiveSite, client: LiveClient) -> None:
    """Shut an instance out, with the command for it."""
    site.manage("blockinstance", "--application", client.client_id, "--", client.instance.thumbprint)
