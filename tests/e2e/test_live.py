"""A client instance at a real server, by HTTP alone: what it may count on, and what it is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.testing import AttesterBackend
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, workers
from tests.e2e.wire import Answer, send_at_once
from tests.kit import CHALLENGE_FIELD

ROUNDS = 13  # of a challenge from each worker: more than fifty in all


def ask_every_worker(client: LiveClient, proofs: list[str]) -> list[Answer]:
    """Ask each worker of the client's site for a token, at the same time, each with a proof of its own."""
    site, attestation = client.site, client.attestation()
    assert site.one_request_per_worker
    assert len(proofs) == site.workers
    with site.logged() as log:
        requests = [client.attested_request(attestation, proof) for proof in proofs]
        answers = send_at_once(site.url, requests, in_hand=site.workers)
    assert len(workers(log)) == site.workers
    return answers


def challenges_of_every_worker(client: LiveClient) -> list[str]:
    """Return the challenges that the workers send along when they refuse a proof without one."""
    proofs = [client.instance.prove(client.site.url) for _ in range(client.site.workers)]
    answers = ask_every_worker(client, proofs)
    for answer in answers:
        assert_refused(answer, "use_attestation_challenge")
    return [answer.headers[CHALLENGE_FIELD] for answer in answers]


def assert_every_worker_accepts(client: LiveClient, challenge: str | None = None) -> None:
    """Assert that each worker answers a proof over a challenge with a token."""
    challenge = challenge or client.challenge()
    for answer in ask_every_worker(client, [client.pop(challenge) for _ in range(client.site.workers)]):
        assert answer.status == 200, answer.body


def assert_every_worker_refuses(client: LiveClient, reason: Reason, challenge: str | None = None) -> None:
    """Assert that each worker refuses a proof over a challenge for a reason."""
    challenge = challenge or client.challenge()
    with client.site.logged() as log:
        answers = ask_every_worker(client, [client.pop(challenge) for _ in range(client.site.workers)])
    for answer in answers:
        assert_refused(answer, ClientAttestationError(reason).code)
    assert refusals(log) == [reason] * client.site.workers


@pytest.mark.accepts("A3", "C1", "C2", "M1", "P8")
@pytest.mark.refuses("A3", "A5", "E2", "P8")
def test_a_client_that_knows_the_issuer_gets_a_token_and_uses_it(live_site: LiveSite, tmp_path: Path) -> None:
    """The whole way from the metadata to the API; then the same with one thing wrong at a time."""
    client = LiveClient(live_site, tmp_path).register()
    assert "attest_jwt_client_auth" in client.metadata["token_endpoint_auth_methods_supported"]
    attestation, pop = client.attestation(), client.pop(client.challenge())
    before = live_site.stored(client.client_id)

    token = client.token(attestation, pop)

    assert token.status_code == 200, token.text
    assert token.headers["Cache-Control"] == "no-store"
    assert token.json()["token_type"] == "Bearer"
    hello = requests.get(
        f"{live_site.url}/api/hello",
        headers={"Authorization": f"Bearer {token.json()['access_token']}"},
        timeout=60,
    )
    assert (hello.status_code, hello.json()["client_id"]) == (200, client.client_id)

    def good_pop() -> str:
        return client.pop(client.challenge())

    stranger = AttesterBackend()  # under the attester's own kid
    now = time.time()
    for wrong, request in {
        Reason.POP_REPLAYED: (attestation, pop),
        Reason.ATTESTATION_SIGNATURE: (stranger.attest(client.instance, client.client_id), good_pop()),
        Reason.ATTESTATION_EXPIRED: (client.attestation(now=now - 7200, lifetime=3600), good_pop()),
    }.items():
        with live_site.logged() as log:
            answer = client.token(*request)
        assert_refused(answer, ClientAttestationError(wrong).code)
        assert refusals(log) == [wrong]

    after = live_site.stored(client.client_id)
    assert (before["access_tokens"], after["access_tokens"]) == (0, 1)
    assert after["used_proofs"] - before["used_proofs"] == 1


@pytest.mark.accepts("C4", "C5")
def test_a_challenge_of_any_worker_is_good_at_every_worker(live_site: LiveSite, tmp_path: Path) -> None:
    """Fifty times: a challenge used in time gets a token, wherever it comes from and wherever it goes."""
    client = LiveClient(live_site, tmp_path).register()
    of_workers = [challenges_of_every_worker(client) for _ in range(ROUNDS)]

    for challenges in of_workers:
        for answer in ask_every_worker(client, [client.pop(challenge) for challenge in challenges]):
            assert answer.status == 200, answer.body
    for challenge in [client.challenge(), *of_workers[-1]]:
        assert_every_worker_accepts(client, challenge)


@pytest.mark.accepts("C3", "C5")
def test_the_challenge_on_a_response_is_good_for_the_next_request(live_site: LiveSite, tmp_path: Path) -> None:
    """On a refusal, and on a success: an instance needs the challenge endpoint for its first request only."""
    client = LiveClient(live_site, tmp_path).register()
    attestation = client.attestation()

    answer = client.token(attestation, client.instance.prove(live_site.url))

    assert_refused(answer, "use_attestation_challenge")
    for _ in range(3):
        answer = client.token(attestation, client.pop(answer.headers[CHALLENGE_FIELD]))
        assert answer.status_code == 200, answer.text


@pytest.mark.accepts("C4", "C5")
@pytest.mark.refuses("C4", "E1")
def test_a_challenge_survives_the_rotation_of_the_secret(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """While the old secret is among the fallbacks; once it is gone, so are the challenges it made."""
    site = start_site(workers=2)
    client = LiveClient(site, tmp_path).register()
    challenge = client.challenge()

    site.restart(SECRET_KEY="the-next-secret", SECRET_KEY_FALLBACKS=site.environ["SECRET_KEY"])
    assert_every_worker_accepts(client, challenge)
    assert_every_worker_accepts(client)

    site.restart(SECRET_KEY_FALLBACKS="")
    assert_every_worker_refuses(client, Reason.CHALLENGE_UNKNOWN, challenge)
    assert_every_worker_accepts(client)


@pytest.mark.accepts("A3")
@pytest.mark.refuses("A3")
def test_a_disabled_attester_is_refused_by_every_worker_at_the_next_request(
    live_site: LiveSite, tmp_path: Path
) -> None:
    """Although every worker has just verified that very attestation, and may remember it."""
    client = LiveClient(live_site, tmp_path).register()

    def enable(enabled: bool) -> None:
        live_site.shell(
            "from oauth_client_attestation.models import Attester\n"
            f"assert Attester.objects.filter(name={client.attester!r}).update(enabled={enabled})"
        )

    assert_every_worker_accepts(client)
    enable(False)
    assert_every_worker_refuses(client, Reason.ATTESTER_NOT_TRUSTED)
    assert live_site.stored(client.client_id)["access_tokens"] == live_site.workers
    enable(True)
    assert_every_worker_accepts(client)
