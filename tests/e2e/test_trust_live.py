"""Trust in a deployment of several processes: withdrawn at once, fetched once, and slow for nobody else (T2, T5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.testing import AttesterBackend
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, workers
from tests.e2e.wire import Answer, send, send_at_once
from tests.key_server import Gate, KeyServer

pytestmark = pytest.mark.slow

#: Seconds within which a request that waits for nothing is answered, on a busy machine.
PROMPTLY = 3
#: ``JWKS_TIMEOUT``, by default.
TIMEOUT = 5


def sites_for(start_site: Callable[..., LiveSite], *servers: KeyServer, **options: object) -> LiveSite:
    """Start a site that may fetch keys from these servers."""
    hosts = " ".join(f"127.0.0.1:{server.port}" for server in servers)
    return start_site(JWKS_ALLOWED_PRIVATE_HOSTS=hosts, **options)


def by_url(client: LiveClient, server: KeyServer) -> LiveClient:
    """Take the keys of the client's attester from a URL."""
    client.site.shell(
        "from oauth_client_attestation.models import Attester\n"
        f"attester = Attester.objects.get(name={client.attester!r})\n"
        "attester.keys.all().delete()\n"
        f"attester.jwks_uri = {server.url()!r}\n"
        "attester.full_clean()\n"
        "attester.save()"
    )
    return client


def ask_every_worker(client: LiveClient, attestations: list[str]) -> list[Answer]:
    """Send these attestations at the same time, one to each worker."""
    site, challenge = client.site, client.challenge()
    assert site.one_request_per_worker
    assert len(attestations) == site.workers
    with site.logged() as log:
        requests = [client.attested_request(attestation, client.pop(challenge)) for attestation in attestations]
        answers = send_at_once(site.url, requests, in_hand=site.workers)
    assert len(workers(log)) == site.workers
    return answers


@pytest.mark.accepts("T5", "A3")
@pytest.mark.refuses("T5", "A3", "T1")
@pytest.mark.parametrize(
    "withdraw",
    [
        pytest.param("Attester.objects.filter(name=name).update(enabled={})", id="the attester"),
        pytest.param("AttesterKey.objects.filter(attester__name=name).update(enabled={})", id="its key"),
    ],
)
def test_what_one_process_withdraws_every_other_refuses_next(
    start_site: Callable[..., LiveSite], tmp_path: Path, withdraw: str
) -> None:
    """Each worker has accepted, and remembers, the very attestation; the operator is another process."""
    client = LiveClient(start_site(workers=2), tmp_path).register()
    attestation = client.attestation()

    def switch(enabled: bool) -> None:
        client.site.shell(
            "from oauth_client_attestation.models import Attester, AttesterKey\n"
            f"name = {client.attester!r}\n" + withdraw.format(enabled)
        )

    for answer in ask_every_worker(client, [attestation] * 2):
        assert answer.status == 200, answer.body
    switch(False)
    with client.site.logged() as log:
        answers = ask_every_worker(client, [attestation] * 2)
    for answer in answers:
        assert_refused(answer, "invalid_client_attestation")
    assert refusals(log) == [Reason.ATTESTER_NOT_TRUSTED] * 2
    switch(True)
    for answer in ask_every_worker(client, [attestation] * 2):
        assert answer.status == 200, answer.body


@pytest.mark.refuses("T2")
def test_unknown_kids_at_several_processes_cause_one_fetch(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """Whose it is, the database decides; the others do not wait for it."""
    backend, stranger = AttesterBackend(), AttesterBackend()
    with KeyServer(backend) as server:
        site = sites_for(start_site, server, workers=4)
        client = by_url(LiveClient(site, tmp_path, backend).register(), server)
        with site.logged() as log:
            for round_ in range(3):
                unknown = [
                    stranger.attest(client.instance, client.client_id, header={"kid": f"unknown-{round_}-{worker}"})
                    for worker in range(site.workers)
                ]
                answers = ask_every_worker(client, unknown)
                assert {answer.status for answer in answers} <= {400, 503}
        assert server.fetches == 1
        # Who asked while the fetch was under way was told to try later.
        assert set(refusals(log)) <= {Reason.ATTESTER_NOT_TRUSTED, Reason.ATTESTER_KEYS_UNAVAILABLE}
        assert refusals(log)[-site.workers :] == [Reason.ATTESTER_NOT_TRUSTED] * site.workers
        for answer in ask_every_worker(client, [client.attestation()] * site.workers):
            assert answer.status == 200, answer.body
        assert server.fetches == 1


@pytest.mark.accepts("T2")
@pytest.mark.refuses("T2", "E5")
def test_a_slow_attester_slows_nobody_else(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """One request waits for its server. Meanwhile another attester's clients, and its own, are answered at once."""
    slow_backend, other_backend = AttesterBackend(key_id="slow"), AttesterBackend(key_id="other")
    with KeyServer(slow_backend) as slow, KeyServer(other_backend) as other:
        site = sites_for(start_site, slow, other, workers=3)
        client = by_url(LiveClient(site, tmp_path, slow_backend).register(), slow)
        others = by_url(LiveClient(site, tmp_path, other_backend).register(), other)
        challenge = client.challenge()
        gate = Gate(slow)
        waiting: list[tuple[Answer, float]] = []

        def wait() -> None:
            start = time.monotonic()
            answer = send(site.url, client.attested_request(client.attestation(), client.pop(challenge)))
            waiting.append((answer, time.monotonic() - start))

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            assert gate.entered.wait(PROMPTLY)
            start = time.monotonic()
            answer = others.token(others.attestation(), others.pop(challenge))  # which has its own keys fetched
            assert answer.status_code == 200, answer.text
            with site.logged() as log:
                own = client.token(client.attestation(), client.pop(challenge))
            assert_refused(own, "temporarily_unavailable", status=503)
            assert time.monotonic() - start < PROMPTLY
            assert refusals(log) == [Reason.ATTESTER_KEYS_UNAVAILABLE]
            assert waiting == [], "the first request has been answered: this test has shown nothing"
        finally:
            thread.join()
        ((answer, waited),) = waiting
        assert_refused(answer, "temporarily_unavailable", status=503)
        assert TIMEOUT <= waited < TIMEOUT + PROMPTLY
        assert (slow.fetches, other.fetches) == (1, 1)
        gate.open()


@pytest.mark.accepts("T2")
def test_keys_are_fetched_on_asgi_too(start_site: Callable[..., LiveSite], tmp_path: Path) -> None:
    """With ATOMIC_REQUESTS, so that they are fetched before the transaction of a view that runs in a thread."""
    backend = AttesterBackend()
    with KeyServer(backend) as server:
        site = sites_for(start_site, server, server="uvicorn", workers=1, ATOMIC_REQUESTS="1")
        client = by_url(LiveClient(site, tmp_path, backend).register(), server)
        answer = client.token(client.attestation(), client.pop(client.challenge()))
        assert answer.status_code == 200, answer.text
        assert server.fetches == 1
