"""Rule T2 over HTTP: servers that are down, slow, or answer with something else than an attester's keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.fetching import FetchOutcome
from tests.attester_server import JSON, drip, repeat, response, send
from tests.key_server import KeyServer, allow, register_by_url
from tests.kit import NOW, AttestedClient, configure, register_attester, table

# Nothing is fetched inside a transaction, so these tests have none of their own.
pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL, LIFETIME, MAX_STALE = 60, 3600, 86400
#: Seconds that a whole fetch may take, and that a request which waits for it may take on a busy machine.
TIMEOUT, PATIENCE = 1, 3


@pytest.fixture
def client() -> AttestedClient:
    """A client whose attester is not registered yet."""
    return AttestedClient()


@pytest.fixture
def server(client: AttestedClient, settings: Any) -> Iterator[KeyServer]:
    """The server that publishes the keys of the client's attester."""
    with KeyServer(client.backend) as server:
        allow(
            settings,
            server,
            JWKS_LIFETIME=LIFETIME,
            JWKS_MIN_INTERVAL=INTERVAL,
            JWKS_MAX_STALE=MAX_STALE,
            JWKS_TIMEOUT=TIMEOUT,
        )
        yield server


def outcome() -> str:
    return Attester.objects.get(name="Acme").fetch_outcome


def unavailable(server: KeyServer) -> None:
    server.answer(b"", status="503 Service Unavailable")


# Outages


@pytest.mark.accepts("T2")
@pytest.mark.refuses("T2", "E5")
def test_the_last_good_keys_are_kept_through_an_outage_for_a_bounded_time(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    attestation = client.attestation(lifetime=10 * MAX_STALE)
    client.accepted(headers=client.headers(attestation))
    unavailable(server)

    clock.move_to(NOW + LIFETIME)
    client.accepted(headers=client.headers(attestation))
    assert (server.fetches, outcome()) == (2, FetchOutcome.STATUS)
    clock.move_to(NOW + MAX_STALE - 1)
    client.accepted(headers=client.headers(attestation))
    clock.move_to(NOW + MAX_STALE)
    assert app_settings.attestation_memory.recall(attestation)
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE, status=503, headers=client.headers(attestation))

    server.publish(client.backend)
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE, headers=client.headers(attestation))
    clock.shift(INTERVAL)
    client.accepted(headers=client.headers(attestation))
    assert outcome() == FetchOutcome.OK


@pytest.mark.refuses("T2")
def test_a_failed_fetch_does_not_prolong_what_the_last_good_one_said(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client).accepted()
    fetched_at = Attester.objects.get().fetched_at
    unavailable(server)
    for _ in range(3):
        clock.shift(LIFETIME)
        client.accepted()
    attester = Attester.objects.get()
    assert (attester.fetched_at, server.fetches) == (fetched_at, 4)
    assert attester.fetch_attempted_at.timestamp() == NOW + 3 * LIFETIME


@pytest.mark.refuses("T2")
def test_an_outage_is_asked_about_once_in_an_interval(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    """However many clients wait for its end, and whether their keys are known or not."""
    unavailable(server)
    register_by_url(server, client)
    for _ in range(2 * INTERVAL + 1):
        client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
        clock.shift(1)
    assert server.fetches == 3  # at 0, 60 and 120 s


@pytest.mark.refuses("T2")
def test_during_an_outage_an_unknown_kid_is_not_called_untrusted(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    """The attester may have rotated its keys, so the client is told to try later; a forgery is still one."""
    register_by_url(server, client).accepted()
    unavailable(server)
    clock.shift(INTERVAL)
    stranger = AttesterBackend(key_id="attester-2")
    headers = client.headers(stranger.attest(client.instance, client.client_id))
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE, headers=headers)
    forged = client.headers(stranger.attest(client.instance, client.client_id, header={"kid": "attester-1"}))
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=forged)
    client.accepted()


@pytest.mark.accepts("T2")
def test_the_outage_of_one_attester_is_not_anothers(
    client: AttestedClient, server: KeyServer, settings: Any, clock: time_machine.Traveller
) -> None:
    """Of two attesters of one client, one rotates its keys while the other is down."""
    unavailable(server)
    register_by_url(server, client)
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    other_backend = AttesterBackend(key_id="other")
    with KeyServer(other_backend) as other:
        allow(settings, server, other)
        register_attester(other_backend, "Other", keys=False, applications=(client.application,), jwks_uri=other.url())
        client.accepted(headers=client.headers(other_backend.attest(client.instance, client.client_id)))
        assert (server.fetches, other.fetches) == (1, 1)


@pytest.mark.accepts("T2")
def test_a_good_attester_is_asked_before_one_that_failed(
    client: AttestedClient, server: KeyServer, settings: Any, clock: time_machine.Traveller
) -> None:
    """A client whose attester rotates its keys does not wait for another attester that is down."""
    unavailable(server)
    register_by_url(server, client)
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    old, new = AttesterBackend(key_id="old"), AttesterBackend(key_id="new")
    with KeyServer(old) as other:
        allow(settings, server, other)
        register_attester(old, "Other", keys=False, applications=(client.application,), jwks_uri=other.url())
        client.accepted(headers=client.headers(old.attest(client.instance, client.client_id)))
        other.publish(old, new)
        clock.shift(INTERVAL)
        before = server.fetches
        client.accepted(headers=client.headers(new.attest(client.instance, client.client_id)))
        assert (server.fetches, other.fetches) == (before, 2)


# Servers that are slow


@table(
    "script",
    {
        "after the header": lambda: drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"),
        "within the header": lambda: drip(b"HTTP/1.1 200 OK\r\nX-Padding: ", b"x"),
        "from the first octet": lambda: drip(b""),
    },
)
@pytest.mark.refuses("T2", "E5")
def test_a_slow_server_is_given_up_in_time(
    client: AttestedClient, server: KeyServer, script: Callable[[], Any]
) -> None:
    """One request waits, for no longer than JWKS_TIMEOUT; those after it are answered at once."""
    register_by_url(server, client)
    server.script = script()
    start = time.monotonic()
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE, status=503)
    waited = time.monotonic() - start
    assert TIMEOUT <= waited < TIMEOUT + PATIENCE
    assert outcome() == FetchOutcome.TIMEOUT
    assert server.abandoned.wait(PATIENCE), "the connection stays open"

    for _ in range(10):
        client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    assert server.fetches == 1


@pytest.mark.accepts("T2")
def test_keys_that_are_due_cost_one_client_the_time_limit_and_nobody_a_token(
    client: AttestedClient, server: KeyServer, settings: Any
) -> None:
    configure(settings, JWKS_LIFETIME=INTERVAL)
    register_by_url(server, client).accepted()
    server.script = drip(b"")
    with time_machine.travel(time.time() + INTERVAL, tick=True):
        start = time.monotonic()
        client.accepted()
        assert TIMEOUT <= time.monotonic() - start < TIMEOUT + PATIENCE
        for _ in range(10):
            client.accepted()
        assert server.fetches == 2


# Servers that answer with something else


WITHOUT_END = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"keys": ['


def private_jwks(client: AttestedClient) -> bytes:
    return json.dumps({"keys": [json.loads(client.backend.key.export_private())]}).encode()


def good_jwks(client: AttestedClient) -> bytes:
    return json.dumps(client.backend.jwks).encode()


@table(
    ("script", "expected"),
    {
        "too much": (lambda client: send(response(good_jwks(client) + b" " * 65536)), FetchOutcome.TOO_LARGE),
        "without an end": (lambda client: repeat(WITHOUT_END, b" " * 4096), FetchOutcome.TOO_LARGE),
        "a redirect to a private address": (
            lambda client: send(response(status="302 Found", Location="http://127.0.0.1:1/jwks")),
            FetchOutcome.REDIRECT,
        ),
        "a redirect with the keys": (
            lambda client: send(response(good_jwks(client), status="307 Temporary Redirect", Location="/jwks")),
            FetchOutcome.REDIRECT,
        ),
        "an error with the keys": (
            lambda client: send(response(good_jwks(client), status="404 Not Found")),
            FetchOutcome.STATUS,
        ),
        "a page": (
            lambda client: send(response(b"<html></html>", content_type="text/html")),
            FetchOutcome.CONTENT_TYPE,
        ),
        "the keys as a page": (
            lambda client: send(response(good_jwks(client), content_type="text/html")),
            FetchOutcome.CONTENT_TYPE,
        ),
        "no JSON": (lambda client: send(response(b"keys")), FetchOutcome.NOT_A_JWK_SET),
        "a key outside a set": (
            lambda client: send(response(json.dumps(client.backend.public_jwk).encode())),
            FetchOutcome.NOT_A_JWK_SET,
        ),
        "no keys": (lambda client: send(response(b'{"keys": []}', content_type=JSON)), FetchOutcome.NO_USABLE_KEY),
        "private keys": (lambda client: send(response(private_jwks(client))), FetchOutcome.PRIVATE_KEY),
        "half of it": (
            lambda client: send(response(good_jwks(client)[:-20], length=len(good_jwks(client)))),
            FetchOutcome.BAD_RESPONSE,
        ),
        "no HTTP": (lambda client: send(b"SSH-2.0-OpenSSH_9.9\r\n"), FetchOutcome.BAD_RESPONSE),
        "nothing": (lambda client: send(b""), None),
    },
)
@pytest.mark.refuses("T2", "E5", "E7")
def test_another_answer_is_not_the_keys(
    client: AttestedClient,
    server: KeyServer,
    clock: time_machine.Traveller,
    caplog: pytest.LogCaptureFixture,
    script: Callable[[AttestedClient], Any],
    expected: FetchOutcome | None,
) -> None:
    """First in place of the keys; then later on, when it takes nothing away from what is known."""
    bad = script(client)
    register_by_url(server, client)
    server.script, good = bad, server.script
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE, status=503)
    assert outcome() == (expected or outcome()) != FetchOutcome.OK
    assert not AttesterKey.objects.exists()
    assert "could not be fetched" in caplog.text

    server.script = good
    clock.shift(INTERVAL)
    client.accepted()
    server.script = bad
    clock.shift(LIFETIME)
    client.accepted()
    assert outcome() == (expected or outcome()) != FetchOutcome.OK
    assert AttesterKey.objects.count() == 1


@pytest.mark.refuses("T2")
def test_a_redirect_is_not_followed(client: AttestedClient, server: KeyServer, settings: Any) -> None:
    """Not even to a server from which keys may be fetched, and which has them."""
    register_by_url(server, client)
    with KeyServer(client.backend) as other:
        allow(settings, server, other)
        server.answer(b"", status="302 Found", Location=other.url())
        client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
        assert (server.fetches, other.fetches) == (1, 0)


@pytest.mark.refuses("T2")
def test_a_private_address_that_is_not_allowed_is_not_connected_to(
    client: AttestedClient, server: KeyServer, settings: Any
) -> None:
    """The URL was entered while it was allowed, or past the validation."""
    register_by_url(server, client)
    configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[])
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    assert server.fetches == 0
    assert outcome() == FetchOutcome.NOT_HTTPS


@pytest.mark.refuses("T2")
def test_nothing_of_the_answer_or_the_token_is_logged(
    client: AttestedClient, server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    register_by_url(server, client)
    server.answer(b'{"keys": "what the server says"}')
    client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    assert "not_a_jwk_set" in caplog.text
    for word in ("what the server says", "eyJ", server.url()):
        assert word not in caplog.text


@pytest.mark.accepts("T2")
def test_keys_that_are_due_are_asked_of_their_own_attester(
    client: AttestedClient, server: KeyServer, settings: Any, clock: time_machine.Traveller
) -> None:
    """A client does not wait for the server of another attester, whose keys are due as well, and which is down."""
    register_by_url(server, client).accepted()
    other_backend = AttesterBackend(key_id="other")
    with KeyServer(other_backend) as other:
        allow(settings, server, other)
        register_attester(other_backend, "Other", keys=False, applications=(client.application,), jwks_uri=other.url())

        def accepted_by_other() -> None:
            client.accepted(headers=client.headers(other_backend.attest(client.instance, client.client_id)))

        accepted_by_other()
        unavailable(server)
        before = (server.fetches, other.fetches)
        clock.shift(LIFETIME)
        accepted_by_other()
        accepted_by_other()
        assert (server.fetches, other.fetches) == (before[0], before[1] + 1)
        client.accepted()
        assert server.fetches == before[0] + 1
