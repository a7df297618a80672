"""Clients that register themselves, under a real server and at the same moment (rules K1, P8, B5)."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.e2e.client import LiveClient, assert_refused
from tests.e2e.live import LiveSite, running_site
from tests.e2e.wire import http_request, send_at_once
from tests.kit import AUTHORIZATION_REQUEST
from tests.services import service_url
from tests.shell.registration import METADATA, SOFTWARE_ID

pytestmark = pytest.mark.slow

AT_ONCE = 12
CIMD = {"CIMD_ENABLED": True, "CIMD_METADATA_FETCHER": "tests.e2e.documents.Fetcher"}
SITES: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "sqlite-atomic": {"ATOMIC_REQUESTS": "1"},
    "postgresql": {"database_server": "POSTGRES_URL"},
    "postgresql-atomic": {"database_server": "POSTGRES_URL", "ATOMIC_REQUESTS": "1"},
    "mariadb": {"database_server": "MARIADB_URL"},
    "mariadb-atomic": {"database_server": "MARIADB_URL", "ATOMIC_REQUESTS": "1"},
}
BACKEND = AttesterBackend(key_id="registrar")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(options, id=name, marks=[] if name.startswith("sqlite") else [pytest.mark.services])
        for name, options in SITES.items()
    ],
)
def site(
    request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSite]:
    """A site with four worker processes, and the attester that its settings name."""
    options = dict(request.param)
    if "database_server" in options:
        options["database_server"] = service_url(options["database_server"])
    directory = tmp_path_factory.mktemp("site")
    (directory / "jwks.json").write_text(json.dumps(BACKEND.jwks))
    with running_site(migrated_sqlite, directory, OAUTH2_PROVIDER=json.dumps(CIMD), **options) as site:
        site.manage("createattester", "Registrar", "--jwks", str(directory / "jwks.json"))
        yield site


def client_of(site: LiveSite, directory: Path, client_id: str) -> LiveClient:
    return LiveClient(site, directory, backend=BACKEND, instance=ClientInstance(), client_id=client_id)


@pytest.mark.accepts("K1")
@pytest.mark.refuses("P8")
def test_of_many_registrations_with_one_proof_one_is_admitted(site: LiveSite, tmp_path: Path) -> None:
    client = client_of(site, tmp_path, SOFTWARE_ID)
    headers = {
        "Content-Type": "application/json",
        "OAuth-Client-Attestation": client.attestation(),
        "OAuth-Client-Attestation-PoP": client.pop(client.challenge()),
    }
    request = http_request("POST", client.metadata["registration_endpoint"], headers.items(), json.dumps(METADATA))
    answers = send_at_once(site.url, [request] * AT_ONCE, in_hand=site.workers)
    assert Counter(answer.status for answer in answers) == {201: 1, 400: AT_ONCE - 1}
    for answer in answers:
        if answer.status == 400:
            assert_refused(answer, "invalid_client_attestation")
    (registered,) = (answer.json() for answer in answers if answer.status == 201)
    assert "client_secret" not in registered
    client.client_id = registered["client_id"]
    token = client.token(client.attestation(), client.pop(client.challenge()))
    assert token.status_code == 200, token.text
    authorization = {"Authorization": f"Bearer {registered['registration_access_token']}"}
    url = registered["registration_client_uri"]
    assert requests.delete(url, headers=authorization, timeout=60).status_code == 204
    gone = client.token(client.attestation(), client.pop(client.challenge()))
    assert_refused(gone, "invalid_client")


@pytest.mark.accepts("K1", "B5")
def test_many_instances_of_a_client_that_nobody_knows_yet(site: LiveSite, tmp_path: Path) -> None:
    """They all come at once with the first request there is of their client; one row comes of it."""
    client_id = f"https://client.example/{uuid.uuid4().hex}.json"
    clients = [client_of(site, tmp_path, client_id) for _ in range(AT_ONCE)]
    url = clients[0].metadata["pushed_authorization_request_endpoint"]
    pushes = []
    for client in clients:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "OAuth-Client-Attestation": client.attestation(),
            "OAuth-Client-Attestation-PoP": client.pop(client.challenge()),
        }
        body = urlencode({**AUTHORIZATION_REQUEST, "code_challenge": uuid.uuid4().hex + uuid.uuid4().hex})
        pushes.append(http_request("POST", url, headers.items(), body))
    with site.logged() as log:
        answers = send_at_once(site.url, pushes, in_hand=site.workers)
    assert Counter(answer.status for answer in answers) == {201: AT_ONCE}, (log, [a.body for a in answers])
    facts = site.shell(
        "import json\n"
        "from oauth2_provider.models import Application\n"
        f"row = Application.objects.get(client_id={client_id!r})\n"
        "attesters = [attester.name for attester in row.client_attesters.all()]\n"
        "print(json.dumps([row.client_type, row.client_attestation_policy.methods, attesters]))"
    )
    assert json.loads(facts) == ["confidential", ["attest_jwt_client_auth"], ["Registrar"]]
