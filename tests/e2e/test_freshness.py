"""Each of the three ways to freshness, at a live server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.e2e.client import LiveClient, assert_refused
from tests.e2e.live import LiveSite
from tests.kit import CHALLENGE_FIELD

_HOUR = 3600


def by_options(client: LiveClient) -> str:
    response = requests.options(
        client.metadata["token_endpoint"], headers={"attestation-nonce-request": "true"}, timeout=60
    )
    assert response.status_code == 200
    assert response.content == b""
    return response.headers["attestation-nonce"]


def by_endpoint(client: LiveClient) -> str:
    return client.challenge()


def by_refusal(client: LiveClient) -> str:
    refusal = client.token(client.attestation(), client.instance.prove(client.metadata["issuer"]))
    assert_refused(refusal, "use_attestation_challenge")
    return refusal.headers[CHALLENGE_FIELD]


def by_success(client: LiveClient) -> str:
    response = client.token(client.attestation(), client.pop(client.challenge()))
    assert response.status_code == 200
    return response.headers[CHALLENGE_FIELD]


WAYS = pytest.mark.parametrize("obtain", [by_options, by_endpoint, by_refusal, by_success])


@pytest.fixture
def client(live_site: LiveSite, tmp_path: Path) -> LiveClient:
    return LiveClient(live_site, tmp_path).register()


@pytest.mark.accepts("C3", "C5", "C7")
@WAYS
def test_each_way_leads_to_a_token(client: LiveClient, obtain: Callable[[LiveClient], str]) -> None:
    response = client.token(client.attestation(), client.pop(obtain(client)))

    assert response.status_code == 200, response.text


@pytest.mark.accepts("C7")
def test_a_client_of_revision_05_sends_it_as_nonce(client: LiveClient) -> None:
    now = int(time.time())
    old_shape = {"iss": client.client_id, "nonce": by_options(client), "nbf": now - 10, "exp": now + 60}
    pop = client.instance.prove(client.metadata["issuer"], claims=old_shape)

    assert client.token(client.attestation(claims={"iss": "https://attester.example"}), pop).status_code == 200


@pytest.mark.accepts("P6")
@pytest.mark.parametrize("offset", [-_HOUR, _HOUR], ids=["an hour behind", "an hour ahead"])
@WAYS
def test_with_a_challenge_the_clients_clock_does_not_matter(
    client: LiveClient, obtain: Callable[[LiveClient], str], offset: int
) -> None:
    pop = client.pop(obtain(client), now=time.time() + offset)

    assert client.token(client.attestation(), pop).status_code == 200


@pytest.mark.refuses("P6")
@pytest.mark.parametrize("offset", [-_HOUR, _HOUR], ids=["an hour behind", "an hour ahead"])
def test_without_a_challenge_it_does(live_site: LiveSite, tmp_path: Path, offset: int) -> None:
    client = LiveClient(live_site, tmp_path).register(challenge="optional")
    issuer = client.metadata["issuer"]

    right = client.token(client.attestation(), client.instance.prove(issuer))
    wrong = client.token(client.attestation(), client.instance.prove(issuer, now=time.time() + offset))

    assert right.status_code == 200
    assert_refused(wrong, "invalid_client_attestation")


@pytest.mark.accepts("C4", "C5")
@pytest.mark.parametrize("obtain", [by_options, by_endpoint])
def test_a_challenge_outlives_the_process_that_issued_it(
    start_site: Callable[..., LiveSite], tmp_path: Path, obtain: Callable[[LiveClient], str]
) -> None:
    site = start_site(workers=1)
    client = LiveClient(site, tmp_path).register()
    challenge = obtain(client)

    site.restart()

    assert client.token(client.attestation(), client.pop(challenge)).status_code == 200


@pytest.mark.accepts("C4")
@pytest.mark.refuses("C4")
def test_a_rotation_of_the_secret_keeps_challenges_while_the_old_one_is_a_fallback(
    start_site: Callable[..., LiveSite], tmp_path: Path
) -> None:
    site = start_site(workers=1, SECRET_KEY="the-first-secret-" * 4)
    client = LiveClient(site, tmp_path).register()
    before = by_options(client), client.challenge()

    site.restart(SECRET_KEY="the-second-secret-" * 4, SECRET_KEY_FALLBACKS="the-first-secret-" * 4)
    assert client.token(client.attestation(), client.pop(before[0])).status_code == 200

    site.restart(SECRET_KEY_FALLBACKS="")
    assert_refused(client.token(client.attestation(), client.pop(before[1])), "use_attestation_challenge")
