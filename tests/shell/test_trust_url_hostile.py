"""Rule T2 against an attester that means harm, and against a clock that was wrong: nobody else pays for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_client_attestation.core.attestation import MAX_CANDIDATE_KEYS
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.jwks import MAX_UNNAMED_KEYS, parse_jwks
from oauth_client_attestation.trust.outcomes import FetchOutcome
from oauth_client_attestation.trust.refresh import fetch_now
from oauth_client_attestation.trust.registration import replace_keys
from tests.attester_server import send
from tests.key_server import KeyServer, allow, register_by_url
from tests.kit import NOW, AttestedClient, register_attester, table

pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL, LIFETIME, STALE = 60, 3600, 86400


@pytest.fixture
def hostile(settings: Any) -> Iterator[KeyServer]:
    """The server of another attester of the same application."""
    with KeyServer() as server:
        allow(settings, server, JWKS_LIFETIME=LIFETIME, JWKS_MIN_INTERVAL=INTERVAL, JWKS_MAX_STALE=STALE)
        yield server


@pytest.fixture
def client(hostile: KeyServer) -> AttestedClient:
    """A client whose own attester has an entered key, and that trusts the hostile attester too."""
    client = AttestedClient().register()
    hostile.publish(AttesterBackend(key_id=None))
    register_attester(
        AttesterBackend(), "Hostile", keys=False, applications=(client.application,), jwks_uri=hostile.url()
    )
    fetch_now(Attester.objects.get(name="Hostile"), now=timezone.now().timestamp())
    assert AttesterKey.objects.filter(key_id="").count() == 1
    return client


def publish(server: KeyServer, *jwks: dict[str, Any]) -> None:
    server.answer(json.dumps({"keys": jwks}).encode())


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@table(
    "answer",
    {
        "a negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
        "a chunk of no size": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        "a negative length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}",
        "no HTTP": b"\xff\x00" * 50,
    },
)
@pytest.mark.accepts("T2")
def test_an_answer_that_cannot_be_read_is_that_attesters_failure(
    client: AttestedClient, hostile: KeyServer, clock: time_machine.Traveller, answer: bytes
) -> None:
    fetch_now(Attester.objects.get(name="Hostile"), now=NOW)
    hostile.script = send(answer)
    clock.shift(LIFETIME + 1)
    client.accepted()
    assert Attester.objects.get(name="Hostile").fetch_outcome not in (FetchOutcome.OK, "")


@pytest.mark.accepts("T2")
def test_a_set_that_cannot_be_stored_is_that_attesters_failure(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("oauth_client_attestation.trust.refresh._store", broken)
    outcome = fetch_now(Attester.objects.get(name="Hostile"), now=timezone.now().timestamp())
    assert outcome == FetchOutcome.BAD_RESPONSE
    client.accepted()


@pytest.mark.accepts("T2")
def test_keys_without_a_kid_cannot_crowd_out_a_key_that_is_named(client: AttestedClient) -> None:
    """However many there are: here they were stored past the limit on fetching."""
    other = Attester.objects.get(name="Hostile")
    for _ in range(MAX_CANDIDATE_KEYS + 1):
        (key,) = parse_jwks(json.dumps(AttesterBackend(key_id=None).public_jwk))
        AttesterKey.objects.create(attester=other, thumbprint=key.thumbprint, jwk=key.jwk)
    AttesterKey.objects.filter(key_id="attester-1").update(id=AttesterKey.objects.latest("pk").pk + 1)
    client.accepted()


@pytest.mark.refuses("T2")
def test_a_published_set_has_few_keys_without_a_kid(client: AttestedClient, hostile: KeyServer) -> None:
    attester = Attester.objects.get(name="Hostile")
    backends = [AttesterBackend(key_id=None) for _ in range(MAX_UNNAMED_KEYS + 1)]
    publish(hostile, *(backend.public_jwk for backend in backends))
    assert fetch_now(attester, now=timezone.now().timestamp()) == FetchOutcome.TOO_MANY_KEYS
    publish(hostile, *(backend.public_jwk for backend in backends[1:]))
    assert fetch_now(attester, now=timezone.now().timestamp()) == FetchOutcome.OK


@pytest.mark.accepts("T1", "T2")
def test_nothing_of_a_key_is_stored_that_was_not_validated() -> None:
    jwk = AttesterBackend("RS256").public_jwk
    (key,) = parse_jwks(json.dumps({**jwk, "crv": {"a": 1}, "x": "\0", "y": "A" * 40000, "x5c": ["-"], "ext": True}))
    assert key.jwk == {name: jwk[name] for name in ("kty", "n", "e", "kid")}


# Withdrawn keys stay withdrawn


@pytest.mark.refuses("T2")
def test_a_withdrawn_key_does_not_outlive_its_time_because_others_are_asked_first(
    settings: Any, clock: time_machine.Traveller
) -> None:
    """A thief leaves out the kid, so that every attester is due at once, and one request asks two of them."""
    with ExitStack() as stack:
        servers = [stack.enter_context(KeyServer(AttesterBackend(key_id=None))) for _ in range(4)]
        allow(settings, *servers, JWKS_LIFETIME=LIFETIME, JWKS_MIN_INTERVAL=INTERVAL, JWKS_MAX_STALE=STALE)
        stolen = AttesterBackend(key_id=None)
        servers[-1].publish(stolen)
        client = register_by_url(servers[0], AttestedClient(backend=stolen))
        for number, server in enumerate(servers[1:]):
            attester = register_attester(stolen, f"Other {number}", keys=False, jwks_uri=server.url())
            attester.applications.set([client.application])
        for attester in Attester.objects.all():
            fetch_now(attester, now=NOW)
        client.accepted()
        servers[-1].publish(AttesterBackend(key_id=None))
        clock.shift(LIFETIME + 1)
        client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
        client.refused(Reason.ATTESTATION_SIGNATURE)


@pytest.mark.refuses("T2")
def test_a_fetch_in_the_future_is_none(
    client: AttestedClient, hostile: KeyServer, clock: time_machine.Traveller
) -> None:
    """The clock was wrong, the key was withdrawn, the clock was put right: the fetch would never grow old."""
    other = AttesterBackend(key_id="other")
    hostile.publish(other)
    clock.shift(timedelta(days=400))
    fetch_now(Attester.objects.get(name="Hostile"), now=timezone.now().timestamp())
    client.accepted(headers=client.headers(other.attest(client.instance, client.client_id)))
    clock.move_to(NOW)
    hostile.publish(AttesterBackend(key_id="new"))
    client.refused(
        Reason.ATTESTER_NOT_TRUSTED,
        headers=client.headers(other.attest(client.instance, client.client_id)),
    )


@pytest.mark.refuses("T2")
def test_a_disabled_key_stays_disabled_when_it_is_no_longer_entered(client: AttestedClient, hostile: KeyServer) -> None:
    hostile.publish(client.backend)
    Attester.objects.filter(pk=client.attester.pk).update(jwks_uri=hostile.url())
    client.attester.refresh_from_db()
    client.attester.keys.update(enabled=False)
    replace_keys(client.attester, [])
    assert fetch_now(client.attester, now=timezone.now().timestamp()) == FetchOutcome.OK
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.refuses("T2")
def test_a_key_whose_window_closed_stays_out_when_it_is_no_longer_entered(
    client: AttestedClient, hostile: KeyServer
) -> None:
    hostile.publish(client.backend)
    Attester.objects.filter(pk=client.attester.pk).update(jwks_uri=hostile.url())
    client.attester.refresh_from_db()
    client.attester.keys.update(not_after=timezone.now() - timedelta(seconds=1))
    replace_keys(client.attester, [])
    assert fetch_now(client.attester, now=timezone.now().timestamp()) == FetchOutcome.OK
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.refuses("T2")
def test_an_answer_that_was_asked_for_earlier_does_not_replace_a_newer_one(
    client: AttestedClient, hostile: KeyServer, clock: time_machine.Traveller
) -> None:
    attester = Attester.objects.get(name="Hostile")
    hostile.publish(AttesterBackend(key_id="new"))
    clock.shift(10)
    assert fetch_now(attester, now=NOW + 10) == FetchOutcome.OK
    hostile.publish(AttesterBackend(key_id="old"))
    fetch_now(attester, now=NOW + 5)
    assert list(attester.keys.values_list("key_id", flat=True)) == ["new"]


# What strangers can make the server do


@pytest.mark.refuses("T2")
def test_an_unknown_kid_writes_nothing_within_the_interval(client: AttestedClient, hostile: KeyServer) -> None:
    for number in range(10):
        attester = register_attester(
            client.backend, f"Other {number}", keys=False, jwks_uri=hostile.url(), all_applications=True
        )
        fetch_now(attester, now=timezone.now().timestamp())
    unknown = client.headers(client.attestation(header={"kid": "unknown"}))
    with CaptureQueriesContext(connection) as queries:
        client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=unknown)
    changes = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert changes == []
