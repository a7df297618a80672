"""The record of recent refusals, and when an attester was last accepted: what is written, and what never is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_client_attestation import activity
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, Refusal
from oauth_client_attestation.testing import AttesterBackend
from tests.kit import DOORS, AttestedClient, Door, asgi_post, basic, configure, create_application, table

R = Reason


def recorded() -> list[str]:
    """Return the reasons of the record, the oldest first."""
    return list(Refusal.objects.order_by("pk").values_list("reason", flat=True))


def forged(client: AttestedClient) -> dict[str, str]:
    return client.headers(AttesterBackend().attest(client.instance, client.client_id))


def expired(client: AttestedClient) -> dict[str, str]:
    return client.headers(client.attestation(lifetime=-3600))


# What is recorded


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.refuses("E6", "E7")
def test_a_refusal_is_recorded_at_every_door(door: Door, db: Any) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    before = timezone.now()
    client.refused(R.ATTESTATION_EXPIRED, lambda: door.send(client.http, parameters, headers=expired(client)))
    refusal = Refusal.objects.get()
    assert (refusal.reason, refusal.application, refusal.attester, refusal.thumbprint) == (
        "attestation_expired",
        client.application,
        client.attester,
        client.instance.thumbprint,
    )
    assert refusal.endpoint.startswith(("oauth2_provider:", "oauth_client_attestation_par:"))
    assert before <= refusal.time <= timezone.now()


@table(
    ("request_of", "reason"),
    {
        "a forged attestation": (lambda client: {"headers": forged(client)}, R.ATTESTATION_SIGNATURE),
        "an unknown kid": (
            lambda client: {"headers": client.headers(client.attestation(header={"kid": "other"}))},
            R.ATTESTER_NOT_TRUSTED,
        ),
        "another typ": (
            lambda client: {"headers": client.headers(client.attestation(header={"typ": "JWT"}))},
            R.ATTESTATION_TYP,
        ),
        "no proof": (lambda client: {"headers": {"OAuth-Client-Attestation": client.attestation()}}, R.POP_MISSING),
        "no attestation": (
            lambda client: {"headers": {}, "data": {"grant_type": "client_credentials", "client_id": "app"}},
            R.ATTESTATION_REQUIRED,
        ),
        "an attestation for another client": (
            lambda client: {"headers": client.headers(client.attestation(claims={"sub": "other"}))},
            R.CLIENT_NOT_REGISTERED,
        ),
    },
)
@pytest.mark.refuses("E6")
def test_nobody_is_named_before_the_signature_is_verified(
    attested: AttestedClient, request_of: Callable[[AttestedClient], Any], reason: Reason
) -> None:
    """What a stranger writes into a token is not put down to an attester or an instance."""
    attested.refused(reason, **request_of(attested))
    refusal = Refusal.objects.get()
    assert (refusal.reason, refusal.attester, refusal.thumbprint) == (str(reason), None, "")
    assert (refusal.application is None) == (reason in (R.CLIENT_NOT_REGISTERED, R.POP_MISSING))


@table(
    ("request_of", "reason"),
    {
        "an expired attestation": (lambda client: {"headers": expired(client)}, R.ATTESTATION_EXPIRED),
        "another's proof": (
            lambda client: {"headers": client.headers(pop=AttestedClient().pop())},
            R.POP_SIGNATURE,
        ),
        "no challenge": (
            lambda client: {"headers": client.headers(pop=client.pop(challenge=None))},
            R.CHALLENGE_MISSING,
        ),
        "another audience": (
            lambda client: {"headers": client.headers(pop=client.pop(audience="https://other.example"))},
            R.POP_AUD,
        ),
    },
)
@pytest.mark.refuses("E6")
def test_attester_and_instance_are_named_afterwards(
    attested: AttestedClient, request_of: Callable[[AttestedClient], Any], reason: Reason
) -> None:
    attested.refused(reason, **request_of(attested))
    refusal = Refusal.objects.get()
    assert (refusal.reason, refusal.application) == (str(reason), attested.application)
    assert (refusal.attester, refusal.thumbprint) == (attested.attester, attested.instance.thumbprint)


@pytest.mark.refuses("E6", "P8")
def test_a_replay_is_recorded_with_the_instance(attested: AttestedClient) -> None:
    headers = attested.headers()
    attested.accepted(headers=headers)
    attested.refused(R.POP_REPLAYED, headers=headers)
    assert Refusal.objects.get().thumbprint == attested.instance.thumbprint


@pytest.mark.refuses("E6")
def test_no_token_key_or_claim_is_recorded(attested: AttestedClient) -> None:
    """The row as the database has it, column by column."""
    secret_claim, jti = "a-claim-of-the-attester", "the-jti-of-the-proof"
    attestation = attested.attestation(claims={"tier": secret_claim}, header={"kid": "attester-1"})
    proof = attested.pop(claims={"jti": jti}, audience="https://other.example")
    attested.refused(R.POP_AUD, headers=attested.headers(attestation, proof))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {Refusal._meta.db_table}")  # noqa: S608 (our own table)
        (row,) = cursor.fetchall()
        columns = {column[0] for column in cursor.description}
    assert columns == {"id", "time", "reason", "endpoint", "application_id", "attester_id", "thumbprint"}
    text = " ".join(map(str, row))
    for part in (*attestation.split("."), *proof.split("."), secret_claim, jti, "other.example"):
        assert part not in text
    jwk = attested.instance.public_jwk
    assert jwk["x"] not in text
    assert "eyJ" not in text


def test_an_accepted_request_is_not_recorded(attested: AttestedClient) -> None:
    attested.accepted()
    assert not Refusal.objects.exists()


def test_a_client_that_needs_no_attestation_is_not_recorded(db: Any) -> None:
    client = AttestedClient(application=create_application("free"))
    body = {"grant_type": "client_credentials"}
    assert client.post(data=body, headers=basic("free", "wrong")).status_code == 401
    assert not Refusal.objects.exists()


@pytest.mark.refuses("E4", "B5")
def test_a_client_with_its_secret_instead_is_recorded(attested: AttestedClient) -> None:
    attested.refused(R.ATTESTATION_REQUIRED, headers=basic("app", "secret"), status=401)
    refusal = Refusal.objects.get()
    assert (refusal.application, refusal.attester) == (attested.application, None)


# Where it is written


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.refuses("E6", "E7")
@pytest.mark.django_db(transaction=True)
def test_the_record_survives_the_transaction_of_the_request(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ATOMIC_REQUESTS a refusal at introspection is an exception that rolls back."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    client = door.register()
    parameters = door.prepare(client.application)
    client.refused(R.ATTESTATION_EXPIRED, lambda: door.send(client.http, parameters, headers=expired(client)))
    assert recorded() == ["attestation_expired"]


@pytest.mark.django_db(transaction=True)
def test_the_record_is_written_after_the_requests_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    client = AttestedClient().register()
    with CaptureQueriesContext(connection) as queries:
        client.refused(R.ATTESTATION_SIGNATURE, headers=forged(client))
    statements = [query["sql"] for query in queries.captured_queries]
    record = next(number for number, sql in enumerate(statements) if "INSERT" in sql and "_refusal" in sql)
    ends = [number for number, sql in enumerate(statements) if sql.startswith(("COMMIT", "ROLLBACK"))]
    assert ends[0] < record


@pytest.mark.refuses("E6")
@pytest.mark.django_db(transaction=True)
def test_it_is_recorded_under_asgi() -> None:
    client = AttestedClient().register()
    response = asgi_post(list(forged(client).items()))
    assert response.status_code == 400
    assert recorded() == ["attestation_signature"]
    response = asgi_post(list(client.headers().items()))
    assert response.status_code == 200
    assert Attester.objects.get().last_accepted is not None


@pytest.mark.django_db(transaction=True)
def test_a_request_without_anything_to_write_costs_nothing_under_asgi() -> None:
    with CaptureQueriesContext(connection) as queries:
        response = async_to_sync(AsyncClient().get)("/.well-known/oauth-authorization-server")
    assert response.status_code == 200
    assert not queries.captured_queries


# How much is written


def test_so_many_in_a_minute_and_no_more(attested: AttestedClient, settings: Any) -> None:
    """Strangers can be refused as often as they like, and each is still refused and logged."""
    configure(settings, REFUSALS_PER_MINUTE=3)
    for _ in range(5):
        attested.refused(R.ATTESTATION_SIGNATURE, headers=forged(attested))
    assert len(recorded()) == 3


def test_the_next_minute_has_its_own() -> None:
    throttle = activity._Throttle()
    for attested in (False, True):  # strangers do not crowd out those that an attester vouches for
        assert [throttle.admits_refusal(1000.0, 2, attested=attested) for _ in range(3)] == [True, True, False]
        assert not throttle.admits_refusal(1059.9, 2, attested=attested)
    assert [throttle.admits_refusal(1060.0, 2, attested=False) for _ in range(3)] == [True, True, False]


def test_the_oldest_go_first(attested: AttestedClient, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings, REFUSAL_LIMIT=10)
    monkeypatch.setattr(activity, "_PURGE_EVERY", 5)
    Refusal.objects.bulk_create(
        Refusal(time=timezone.now() - timedelta(hours=1), reason=f"old-{number}", endpoint="-") for number in range(30)
    )
    for _ in range(5):
        attested.refused(R.ATTESTATION_SIGNATURE, headers=forged(attested))
    assert recorded() == [*(f"old-{number}" for number in range(25, 30)), *["attestation_signature"] * 5]


@pytest.mark.parametrize(("present", "deleted"), [(0, 0), (9, 0), (10, 0), (11, 1), (25, 15)])
def test_the_surplus_is_what_is_beyond_the_limit(db: Any, settings: Any, present: int, deleted: int) -> None:
    configure(settings, REFUSAL_LIMIT=10)
    Refusal.objects.bulk_create(
        Refusal(time=timezone.now(), reason=str(number), endpoint="-") for number in range(present)
    )
    assert activity.purge_surplus() == deleted
    assert recorded() == [str(number) for number in range(deleted, present)]


def test_it_can_be_switched_off(attested: AttestedClient, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log and the signal do without."""
    configure(settings, RECORD_REFUSALS=False)
    attested.refused(R.ATTESTATION_SIGNATURE, headers=forged(attested))
    assert not Refusal.objects.exists()
    assert "reason=attestation_signature" in caplog.text
    attested.accepted()
    assert Attester.objects.get().last_accepted is not None


# When it cannot be written


@pytest.fixture
def without_the_table(transactional_db: Any) -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.delete_model(Refusal)
    yield
    with connection.schema_editor() as editor:
        editor.create_model(Refusal)


@pytest.mark.refuses("E7")
def test_a_record_that_cannot_be_written_changes_no_answer(
    without_the_table: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = AttestedClient().register()
    client.refused(R.ATTESTATION_SIGNATURE, headers=forged(client))
    assert "The record of refusals cannot be written" in caplog.text
    client.accepted()


@pytest.mark.django_db(transaction=True)
def test_a_last_acceptance_that_cannot_be_written_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The attester's row is locked, say, by somebody who edits it."""
    client = AttestedClient().register()

    def locked(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.match(r"UPDATE .*last_accepted", sql):
            sql = "UPDATE no_such_table SET a = 1"
            params = None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(locked):
        client.accepted()
    assert "cannot be written" in caplog.text
    assert Attester.objects.get().last_accepted is None


# When an attester was last accepted


def test_when_an_attester_was_last_accepted_is_written(attested: AttestedClient) -> None:
    assert attested.attester.last_accepted is None
    attested.refused(R.ATTESTATION_EXPIRED, headers=expired(attested))
    assert Attester.objects.get().last_accepted is None
    updated, before = attested.attester.updated, timezone.now()
    attested.accepted()
    attester = Attester.objects.get()
    assert before <= attester.last_accepted <= timezone.now()
    assert attester.updated == updated, "nobody has edited it"


def test_it_is_written_once_a_minute(attested: AttestedClient) -> None:
    attested.accepted()
    first = Attester.objects.get().last_accepted
    attested.accepted()
    assert Attester.objects.get().last_accepted == first
    throttle = activity._Throttle()
    moments = (1000.0, 1059.9, 1060.0, 1060.1)
    assert [throttle.admits_accepted("Acme", moment) for moment in moments] == [True, False, True, False]
    assert throttle.admits_accepted("Other", 1060.2)


def test_a_disabled_policy_is_not_an_acceptance(attested: AttestedClient) -> None:
    AttestationPolicy.objects.all().delete()
    attested.refused(R.CLIENT_NOT_REGISTERED)
    assert Attester.objects.get().last_accepted is None


# Deleting what it is about


@table(
    "delete",
    {
        "the attester": lambda client: client.attester.delete(),
        "the application": lambda client: client.application.delete(),
    },
)
def test_the_record_goes_with_what_it_is_about(
    attested: AttestedClient, delete: Callable[[AttestedClient], Any]
) -> None:
    attested.refused(R.ATTESTATION_EXPIRED, headers=expired(attested))
    delete(attested)
    assert not Refusal.objects.exists()
