"""Rule T2 over HTTP: an attester's keys by URL, from a real server on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.fetching import FetchOutcome
from tests.key_server import KeyServer, allow, register_by_url
from tests.kit import DOORS, NOW, AttestedClient, Door, create_application, register_attester, table

# Nothing is fetched inside a transaction, so these tests have none of their own.
pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL, LIFETIME = 60, 3600


@pytest.fixture
def client() -> AttestedClient:
    """A client whose attester is not registered yet."""
    return AttestedClient()


@pytest.fixture
def server(client: AttestedClient, settings: Any) -> Iterator[KeyServer]:
    """The server that publishes the keys of the client's attester."""
    with KeyServer(client.backend) as server:
        allow(settings, server, JWKS_LIFETIME=LIFETIME, JWKS_MIN_INTERVAL=INTERVAL)
        yield server


def signed_by(client: AttestedClient, backend: AttesterBackend, **changes: Any) -> dict[str, str]:
    return client.headers(backend.attest(client.instance, client.client_id, **changes))


# The first use, and what is kept


@pytest.mark.accepts("T2")
def test_the_first_attestation_has_the_keys_fetched(client: AttestedClient, server: KeyServer) -> None:
    register_by_url(server, client)
    assert server.fetches == 0
    client.accepted()
    assert server.fetches == 1
    key = AttesterKey.objects.get()
    assert (key.key_id, key.fetched_from, key.enabled) == ("attester-1", server.url(), True)
    attester = Attester.objects.get()
    assert attester.fetch_outcome == FetchOutcome.OK
    assert attester.fetched_at == attester.fetch_attempted_at is not None


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.accepts("T2")
def test_keys_are_fetched_at_every_door(door: Door, server: KeyServer, client: AttestedClient) -> None:
    door.register(client)
    client.attester.keys.all().delete()
    Attester.objects.update(jwks_uri=server.url())
    response = door.send(client.http, door.prepare(client.application), headers=client.headers())
    assert door.passed(response), response.content
    assert server.fetches == 1


@pytest.mark.accepts("T2")
def test_fetched_keys_are_not_fetched_again_while_they_are_young(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    clock.shift(LIFETIME - 1)
    client.accepted()
    assert server.fetches == 1
    clock.shift(1)
    client.accepted()
    client.accepted()
    assert server.fetches == 2


@pytest.mark.accepts("T2", "T1")
def test_an_attester_may_have_entered_keys_and_a_url(client: AttestedClient, server: KeyServer) -> None:
    """An entered key is used without a fetch, and stays what it is when it is published too."""
    entered, published = AttesterBackend(key_id="entered"), client.backend
    register_by_url(server, client)
    client.attester.delete()
    client.attester = register_attester(entered, applications=(client.application,), jwks_uri=server.url())
    client.accepted(headers=signed_by(client, entered))
    assert server.fetches == 0
    server.publish(published, entered)
    client.accepted()
    assert server.fetches == 1
    assert dict(AttesterKey.objects.values_list("key_id", "fetched_from")) == {
        "entered": "",
        "attester-1": server.url(),
    }


# Rotation


@pytest.mark.accepts("T2")
def test_a_new_key_is_accepted_with_the_next_request(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    old, new = client.backend, AttesterBackend(key_id="attester-2")
    server.publish(old, new)
    clock.shift(INTERVAL)
    client.accepted(headers=signed_by(client, new))
    client.accepted(headers=signed_by(client, old))
    assert server.fetches == 2


@pytest.mark.refuses("T2")
def test_a_new_key_may_go_unnoticed_for_the_interval(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    new = AttesterBackend(key_id="attester-2")
    server.publish(client.backend, new)
    clock.shift(INTERVAL - 1)
    client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=signed_by(client, new))
    clock.shift(1)
    client.accepted(headers=signed_by(client, new))
    assert server.fetches == 2


@pytest.mark.refuses("T2", "A3")
def test_a_key_in_the_set_under_another_kid_is_not_the_one_that_is_named(
    client: AttestedClient, server: KeyServer
) -> None:
    register_by_url(server, client)
    attestation = client.attestation(header={"kid": "attester-2"})
    client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))
    assert server.fetches == 1


@pytest.mark.refuses("T2")
def test_unknown_kids_cause_one_fetch_in_an_interval(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    """Whoever knows a client_id can send them, and the attester's server is somebody else's."""
    register_by_url(server, client)
    stranger = AttesterBackend()
    for second in range(2 * INTERVAL + 1):
        client.refused(
            Reason.ATTESTER_NOT_TRUSTED, headers=signed_by(client, stranger, header={"kid": f"unknown-{second}"})
        )
        clock.shift(1)
    assert server.fetches == 3  # at 0, 60 and 120 s


@pytest.mark.refuses("T2")
def test_a_clock_that_was_ahead_does_not_stop_the_fetching(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    """A row that says "asked in a year" is believed for an interval at most."""
    clock.shift(365 * 86400)
    register_by_url(server, client)
    client.accepted()
    clock.move_to(NOW)
    new = AttesterBackend(key_id="attester-2")
    server.publish(client.backend, new)
    client.accepted(headers=signed_by(client, new))


# Withdrawal


@pytest.mark.refuses("T2")
def test_a_withdrawn_key_is_gone_after_its_lifetime(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    attestation = client.attestation(lifetime=10 * LIFETIME)
    client.accepted(headers=client.headers(attestation))
    server.publish(AttesterBackend(key_id="attester-2"))
    clock.shift(LIFETIME - 1)
    client.accepted(headers=client.headers(attestation))
    clock.shift(1)
    assert app_settings.attestation_memory.recall(attestation)
    client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))
    assert server.fetches == 2
    assert [key.key_id for key in AttesterKey.objects.all()] == ["attester-2"]


@pytest.mark.refuses("T2")
def test_a_withdrawn_key_is_gone_with_whatever_fetches_next(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    new = AttesterBackend(key_id="attester-2")
    server.publish(new)
    clock.shift(INTERVAL)
    client.accepted(headers=signed_by(client, new))
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.refuses("T2")
def test_a_key_that_the_operator_disabled_stays_disabled_however_often_it_is_published(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    AttesterKey.objects.update(enabled=False)
    for publish in (
        lambda: server.publish(client.backend),
        lambda: server.publish(AttesterBackend(key_id="other")),  # withdrawn by the attester …
        lambda: server.publish(client.backend),  # … and published again
    ):
        publish()
        clock.shift(LIFETIME)
        client.refused(Reason.ATTESTER_NOT_TRUSTED)
    assert server.fetches == 4
    AttesterKey.objects.update(enabled=True)
    client.accepted()


@pytest.mark.refuses("T2")
def test_the_keys_of_a_former_url_are_believed_no_longer(
    client: AttestedClient, server: KeyServer, settings: Any, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    attestation = client.attestation()
    client.accepted(headers=client.headers(attestation))
    new = AttesterBackend(key_id="attester-2")
    with KeyServer(new) as other:
        allow(settings, server, other)
        Attester.objects.update(jwks_uri=other.url())
        clock.shift(INTERVAL)
        client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))
        client.accepted(headers=signed_by(client, new))
        assert (server.fetches, other.fetches) == (1, 1)


@pytest.mark.refuses("T2")
def test_without_its_url_the_fetched_keys_are_nobodys(client: AttestedClient, server: KeyServer) -> None:
    register_by_url(server, client)
    client.accepted()
    Attester.objects.update(jwks_uri="")
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


@table(
    "change",
    {
        "it was disabled": {"enabled": False},
        "its link was taken away": {"all_applications": False},
    },
)
@pytest.mark.refuses("T2", "T5")
def test_nothing_is_fetched_for_an_attester_that_is_not_trusted(
    client: AttestedClient, server: KeyServer, change: dict[str, Any]
) -> None:
    register_by_url(server, client, all_applications=True)
    client.attester.applications.clear()
    Attester.objects.update(**change)
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    assert server.fetches == 0


@table(
    "wrong",
    {
        "another client is named": {"data": {"grant_type": "client_credentials", "client_id": "other"}},
        "a secret comes along": {"data": {"grant_type": "client_credentials", "client_secret": "secret"}},
    },
)
@pytest.mark.refuses("T2")
def test_nothing_is_fetched_for_a_request_that_is_refused_anyway(
    client: AttestedClient, server: KeyServer, wrong: dict[str, Any]
) -> None:
    register_by_url(server, client)
    assert client.post(**wrong).status_code == 400
    assert server.fetches == 0


# jku


@pytest.mark.accepts("T2")
def test_a_jku_that_is_a_configured_url_says_which_to_fetch(
    client: AttestedClient, server: KeyServer, settings: Any
) -> None:
    register_by_url(server, client)
    with KeyServer(AttesterBackend(key_id="other")) as other:
        allow(settings, server, other)
        backend = AttesterBackend(key_id="other")
        register_attester(backend, "Other", keys=False, applications=(client.application,), jwks_uri=other.url())
        attestation = client.attestation(header={"jku": server.url()})
        client.accepted(headers=client.headers(attestation))
        assert (server.fetches, other.fetches) == (1, 0)


@table(
    "member",
    {
        "as jku": lambda url: {"jku": url},
        "as jku in a list": lambda url: {"jku": [url]},
        "as x5u": lambda url: {"x5u": url},
        "as jwks_uri": lambda url: {"jwks_uri": url},
    },
)
@pytest.mark.refuses("T2", "A3")
def test_a_url_that_is_not_configured_is_never_fetched(
    client: AttestedClient, server: KeyServer, settings: Any, member: Callable[[str], dict[str, Any]]
) -> None:
    """Not even one on a host from which keys may be fetched, and not for the attestation that names it."""
    register_by_url(server, client)
    stranger = AttesterBackend(key_id="stranger")
    with KeyServer(stranger) as other:
        allow(settings, server, other)
        for key_id in ("stranger", "attester-1"):
            header = {"kid": key_id, **member(other.url())}
            reason = Reason.ATTESTER_NOT_TRUSTED if key_id == "stranger" else Reason.ATTESTATION_SIGNATURE
            client.refused(reason, headers=signed_by(client, stranger, header=header))
        assert (server.fetches, other.fetches) == (1, 0)
        client.accepted(headers=client.headers(client.attestation(header=member(other.url()))))


@pytest.mark.refuses("T2", "T5")
def test_a_jku_of_an_attester_that_is_not_trusted_for_the_client_is_not_fetched(
    client: AttestedClient, server: KeyServer, settings: Any
) -> None:
    register_by_url(server, client)
    theirs = create_application("theirs", policy={})
    other_backend = AttesterBackend(key_id="other")
    with KeyServer(other_backend) as other:
        allow(settings, server, other)
        register_attester(other_backend, "Other", keys=False, applications=(theirs,), jwks_uri=other.url())
        headers = signed_by(client, other_backend, header={"jku": other.url()})
        client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=headers)
        assert other.fetches == 0
        client.client_id = "theirs"
        client.accepted(headers=signed_by(client, other_backend))


@pytest.mark.refuses("T2")
@pytest.mark.parametrize("named", ["attester-1", "unknown"])
def test_a_jku_does_not_keep_a_withdrawn_key_alive(
    client: AttestedClient, server: KeyServer, settings: Any, clock: time_machine.Traveller, named: str
) -> None:
    """Whoever has the key names the URL of another attester, so that its own is not asked."""
    client.backend.key_id = None if named == "unknown" else named
    server.publish(client.backend)
    register_by_url(server, client)
    other_backend = AttesterBackend(key_id="other")
    with KeyServer(other_backend) as other:
        allow(settings, server, other)
        register_attester(other_backend, "Other", keys=False, applications=(client.application,), jwks_uri=other.url())
        attestation = client.attestation(header={"jku": other.url(), "kid": named}, lifetime=10 * LIFETIME)
        client.accepted()
        client.accepted(headers=client.headers(attestation))
        server.publish(AttesterBackend(key_id="attester-2"))
        clock.shift(LIFETIME)
        client.refused(Reason.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))


# Transactions


@pytest.fixture
def in_transaction(server: KeyServer) -> list[bool]:
    """Whether the process under test was in a transaction, noted by the server with each request."""
    seen: list[bool] = []
    site = connections["default"]  # this thread's
    publish = server.script

    def inspect(connection: Any, stop: Any) -> None:
        seen.append(site.in_atomic_block)
        publish(connection, stop)

    server.script = inspect
    return seen


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.accepts("T2")
def test_with_atomic_requests_keys_are_fetched_before_the_transaction(
    door: Door,
    client: AttestedClient,
    server: KeyServer,
    in_transaction: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    door.register(client)
    client.attester.keys.all().delete()
    Attester.objects.update(jwks_uri=server.url())
    parameters = door.prepare(client.application)
    with CaptureQueriesContext(connections["default"]) as queries:
        response = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(response), response.content
    assert in_transaction == [False]
    assert any(query["sql"].startswith("BEGIN") for query in queries.captured_queries), "the setting has no effect"


@pytest.mark.accepts("T2")
def test_without_atomic_requests_no_transaction_is_open_either(
    client: AttestedClient, server: KeyServer, in_transaction: list[bool]
) -> None:
    register_by_url(server, client).accepted()
    assert in_transaction == [False]


@pytest.mark.refuses("T2")
def test_inside_an_open_transaction_nothing_is_fetched(client: AttestedClient, server: KeyServer) -> None:
    """It would stay open, with its locks, for as long as the attester likes."""
    register_by_url(server, client)
    with transaction.atomic():
        client.refused(Reason.ATTESTER_KEYS_UNAVAILABLE)
    assert server.fetches == 0
    client.accepted()


@pytest.mark.accepts("T2")
@pytest.mark.refuses("T2")
def test_inside_an_open_transaction_the_known_keys_count(
    client: AttestedClient, server: KeyServer, clock: time_machine.Traveller
) -> None:
    register_by_url(server, client)
    client.accepted()
    clock.shift(LIFETIME)
    with transaction.atomic():
        client.accepted()
        client.refused(
            Reason.ATTESTER_KEYS_UNAVAILABLE, headers=signed_by(client, AttesterBackend(key_id="attester-2"))
        )
    assert server.fetches == 1
