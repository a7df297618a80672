"""The database as replay store (rule P8): who was first, in and out of transactions, and when it does not answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.results import VerifiedProof
from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.replay import ReplayStoreUnavailable, proof_id
from oauth_client_attestation.replay import database as database_store
from oauth_client_attestation.replay.database import DatabaseReplayStore, purge_slice
from tests.kit import AttestedClient, create_application, table

NOW = 1_700_000_000.0
PROOF = "A" * 43


def claim(proof: str = PROOF, *, valid_until: float = NOW) -> bool:
    """Claim a proof in a store of its own: nothing is kept in the process."""
    return DatabaseReplayStore().claim(proof, valid_until=valid_until)


@pytest.mark.django_db
@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_of_two_claims_one_is_first() -> None:
    assert claim() is True
    assert claim() is False
    assert claim("B" * 43) is True


@pytest.mark.django_db
@pytest.mark.refuses("P8")
def test_a_record_counts_until_it_is_purged() -> None:
    """An expired proof is refused by its age; the store need not look at the clock."""
    assert claim(valid_until=0) is True
    assert claim(valid_until=0) is False


@pytest.mark.django_db
@table("valid_until, stored", {"whole seconds": (NOW, 1_700_000_000), "a fraction more": (NOW + 0.1, 1_700_000_001)})
def test_a_record_is_never_kept_too_short(valid_until: float, stored: int) -> None:
    claim(valid_until=valid_until)
    assert UsedProof.objects.get().valid_until == stored


def test_what_a_proof_is_recorded_as() -> None:
    """Thumbprint and jti cannot run into each other, and neither is stored."""
    first, second = (
        VerifiedProof(thumbprint=thumbprint, jti=jti, valid_until=NOW, challenge=None)
        for thumbprint, jti in (("t" * 43, "u1"), ("u" * 43, "t1"))
    )
    assert proof_id(first) != proof_id(second)
    assert len(proof_id(first)) == 43
    assert "u1" not in proof_id(first)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("proofs", [(PROOF, PROOF), (PROOF,)], ids=["after a replay", "after a first use"])
@pytest.mark.refuses("P8")
def test_the_transaction_around_a_claim_goes_on(proofs: tuple[str, ...]) -> None:
    """With ATOMIC_REQUESTS the request's transaction must survive the failed INSERT (PostgreSQL)."""
    with transaction.atomic():
        assert [claim(proof) for proof in proofs] == [True, False][: len(proofs)]
        create_application("written afterwards")
        assert UsedProof.objects.count() == 1
    assert UsedProof.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_rolled_back_has_used_no_proof() -> None:
    with transaction.atomic():
        assert claim() is True
        transaction.set_rollback(True)
    assert claim() is True


@pytest.mark.django_db(transaction=True)
@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_a_site_with_atomic_requests(settings: Any) -> None:
    client = AttestedClient().register()
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        headers = client.headers()
        client.accepted(headers=headers)
        client.refused(Reason.POP_REPLAYED, headers=headers)
        introspection = client.http.post("/o/introspect/", {"token": "x"}, headers=client.headers())
        assert introspection.json() == {"active": False}
        assert UsedProof.objects.count() == 2
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


def failing(statement: str) -> Any:
    """Let the database fail at one kind of statement about used proofs."""

    def execute_or_fail(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith(statement) and "usedproof" in sql:
            raise DatabaseError("the disk is full")
        return execute(sql, *arguments)

    return connection.execute_wrapper(execute_or_fail)


@pytest.mark.django_db
@pytest.mark.refuses("P8")
def test_a_store_that_does_not_answer_says_so() -> None:
    with failing("INSERT"), pytest.raises(ReplayStoreUnavailable):
        claim()


@pytest.mark.django_db(transaction=True)
@pytest.mark.refuses("P8", "E5")
def test_nobody_gets_in_while_the_store_does_not_answer() -> None:
    """503 and temporarily_unavailable: the client has done nothing wrong."""
    client = AttestedClient().register()
    with failing("INSERT"):
        client.refused(Reason.REPLAY_STORE_UNAVAILABLE, status=503)
    client.accepted()


@pytest.mark.django_db
@table("seconds, purged", {"a second before": (-1, 0), "at the second": (0, 0), "a second after": (1, 1)})
def test_a_slice_leaves_what_can_still_be_replayed(seconds: int, purged: int) -> None:
    claim(valid_until=NOW)
    assert purge_slice("default", now=NOW + seconds) == purged


@pytest.mark.django_db
def test_a_slice_is_bounded_and_takes_the_oldest() -> None:
    UsedProof.objects.bulk_create(UsedProof(proof_id=str(number), valid_until=number) for number in range(10))
    assert purge_slice("default", now=NOW, size=4) == 4
    assert sorted(UsedProof.objects.values_list("valid_until", flat=True)) == [4, 5, 6, 7, 8, 9]


@pytest.mark.django_db(transaction=True)
def test_expired_proofs_are_purged_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_store, "PURGE_INTERVAL", 3)
    UsedProof.objects.create(proof_id="expired", valid_until=NOW - 1)
    store = DatabaseReplayStore()
    left = []
    with time_machine.travel(NOW, tick=False):
        for number in range(3):
            store.claim(str(number), valid_until=NOW)
            left.append(UsedProof.objects.filter(pk="expired").exists())
    assert left == [True, True, False]
    assert UsedProof.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_purge_waits_for_the_claim_to_be_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong with it must not take the claim along, as a deadlock in MariaDB would."""
    monkeypatch.setattr(database_store, "PURGE_INTERVAL", 1)
    UsedProof.objects.create(proof_id="expired", valid_until=0)
    with transaction.atomic():
        assert claim(valid_until=time.time() + 60) is True
        assert UsedProof.objects.filter(pk="expired").exists()
    assert not UsedProof.objects.filter(pk="expired").exists()


@pytest.mark.django_db(transaction=True)
def test_a_purge_that_fails_costs_nobody_a_token(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_store, "PURGE_INTERVAL", 1)
    UsedProof.objects.create(proof_id="expired", valid_until=int(time.time()) - 1)
    with failing("DELETE"):
        assert claim(valid_until=time.time() + 60) is True
    assert "could not be purged on the way" in caplog.text
    assert UsedProof.objects.count() == 2
