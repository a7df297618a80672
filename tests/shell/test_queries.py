"""What attestation costs in database queries: a constant, whatever the site holds."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_application_model

from oauth_client_attestation import activity
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.anchors import parse_anchors
from oauth_client_attestation.instances import today
from oauth_client_attestation.models import (
    AttestationPolicy,
    Attester,
    AttesterApplication,
    AttesterKey,
    ClientInstance,
    TrustAnchor,
    UsedProof,
)
from oauth_client_attestation.replay import database as database_store
from oauth_client_attestation.testing import AttesterBackend, generate_key, public_jwk
from oauth_client_attestation.trust.registration import replace_anchors
from tests.certificates import make_chain
from tests.key_server import KeyServer, allow
from tests.kit import (
    DOORS,
    AttestedClient,
    Door,
    configure,
    create_application,
    holder,
    host_alone,
    secret_attestation,
)

# Without the test's own transaction, so that no savepoints are counted that a site does not have.
pytestmark = pytest.mark.django_db(transaction=True)

CLIENT_CREDENTIALS = next(door for door in DOORS if door.name == "client_credentials")
#: Reading the policy with its application takes the place of the host's reading the application, so what is added is
#: the query for the keys, the record of the instance, the record of the proof, the lock on the instance, and the
#: binding of the access token.
ADDED = 5
#: What a door adds to that, or does not need of it.
MORE = {
    # Which instance's is the code, and which key's; the binding of the refresh token. The host deletes the code in a
    # transaction of its own, which begins and ends.
    "authorization_code": 3 - 2,
    # Which instance's is the token, and which key's; whether it is still good under the lock; the binding of its
    # successor.
    "refresh_token": 4,
    "client_credentials": 0,
    "password": 1,  # the binding of the refresh token
    "revocation": -2,  # nothing is issued
    "introspection": -2 + 1,  # the key of the token that it is about
    "introspection_get": -2 + 1,
}


def queries(door: Door, http: Client, application: Any, parameters: dict[str, str], **request: Any) -> list[str]:
    """Return the queries of one good request."""
    prepared = {**door.prepare(application), **parameters}
    with CaptureQueriesContext(connection) as captured:
        response = door.send(http, prepared, **request)
    assert door.passed(response), response.content
    return [query["sql"] for query in captured.captured_queries]


def with_secret(door: Door, free: Any) -> int:
    """Count the queries for a client with an unhashed secret."""
    return len(queries(door, Client(), free, {"client_id": free.client_id, "client_secret": "secret"}))


@pytest.fixture
def client() -> AttestedClient:
    """An attested client whose next request is not the one that purges on the way."""
    app_settings.__dict__.pop("replay_store", None)
    return seen_lately(CLIENT_CREDENTIALS.register())


def seen_lately(client: AttestedClient) -> AttestedClient:
    """Let the instance have been given something earlier in the day, and its attester be on record as accepted."""
    holder(client.application)
    ClientInstance.objects.update(last_seen=today())
    assert activity._throttle.admits_accepted(client.attester.name, time.monotonic())
    return client


@pytest.mark.parametrize("named", [{}, {"client_id": "app"}], ids=["client_id absent", "client_id present"])
def test_an_attested_request_adds_five_queries(client: AttestedClient, named: dict[str, str]) -> None:
    free = create_application("free")
    with host_alone():
        own = with_secret(CLIENT_CREDENTIALS, free)
    attested = queries(CLIENT_CREDENTIALS, client.http, client.application, named, headers=client.headers())
    assert len(attested) - own == ADDED, attested


def test_once_a_minute_the_last_acceptance_is_written(client: AttestedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    monkeypatch.setattr(activity, "_throttle", activity._Throttle())
    first, second = (
        queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers()) for _ in range(2)
    )
    assert len(second) == len(usual)
    assert len(first) == len(usual) + 1
    assert first[-1].startswith("UPDATE")
    assert "last_accepted" in first[-1], "it is the last thing that is done"


def test_a_certificate_adds_one_query(client: AttestedClient) -> None:
    """Whatever the number of anchors and attesters, and whether its key is registered as well."""
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    chain = make_chain()
    replace_anchors(client.attester, parse_anchors(chain.pem))
    client.attester.keys.all().delete()
    client.backend = AttesterBackend(key_id=None, key=chain.jwk)

    def certified() -> list[str]:
        attestation = client.attestation(header={"x5c": chain.x5c})
        return queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers(attestation))

    assert len(certified()) == len(usual) + 1
    (anchor,) = TrustAnchor.objects.all()
    others = Attester.objects.bulk_create(Attester(name=f"Attester {number}") for number in range(200))
    for attester in others:
        if attester.pk % 40 == 0:
            attester.applications.add(client.application)
    TrustAnchor.objects.bulk_create(
        TrustAnchor(
            attester=attester,
            fingerprint="x",
            certificate=anchor.certificate,
            subject="",
            subject_digest=anchor.subject_digest,
            key_type="",
            not_before=anchor.not_before,
            not_after=anchor.not_after,
        )
        for attester in others
    )
    assert len(certified()) == len(usual) + 1
    disabled = [
        AttesterKey(attester=attester, thumbprint=chain.jwk.thumbprint(), jwk={}, enabled=False) for attester in others
    ]
    AttesterKey.objects.bulk_create(disabled)
    assert len(certified()) == len(usual) + 1


def test_a_shared_secret_adds_one_query(client: AttestedClient, settings: Any) -> None:
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    configure(settings, SHARED_SECRETS={"Acme": bytes(32)})
    app_settings.__dict__.pop("replay_store", None)
    attestation = secret_attestation(client, bytes(32))
    by_secret = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers(attestation))
    assert len(by_secret) == len(usual) + 1


def test_fetched_keys_cost_what_entered_keys_do(client: AttestedClient, settings: Any) -> None:
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    with KeyServer(client.backend) as server:
        allow(settings, server)
        client.attester.keys.all().delete()
        Attester.objects.update(jwks_uri=server.url())
        queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
        fetched = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
        assert server.fetches == 1
    assert len(fetched) == len(usual)


def test_a_refusal_is_recorded_by_one_query_and_one_more_for_the_attester(client: AttestedClient) -> None:
    """Beside its savepoint or transaction, and without the record there is none."""
    stranger = AttesterBackend().attest(client.instance, client.client_id)
    for attestation, added in ((stranger, 1), (client.attestation(lifetime=-3600), 2)):
        with CaptureQueriesContext(connection) as captured:
            assert client.post(headers=client.headers(attestation)).status_code == 400
        statements = [query["sql"] for query in captured.captured_queries]
        begin = max(number for number, sql in enumerate(statements) if sql.startswith("BEGIN"))
        assert len(statements[begin + 1 : -1]) == added
        assert "INSERT" in statements[-2]


def test_the_first_request_of_an_instance_adds_two_more(client: AttestedClient) -> None:
    """Whose attester it is, and its record."""
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    new = client.another()
    first = queries(CLIENT_CREDENTIALS, new.http, client.application, {}, headers=new.headers())
    assert len(first) - len(usual) == 2, first


def test_the_first_request_of_a_day_adds_one(client: AttestedClient) -> None:
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    ClientInstance.objects.update(last_seen=today() - timedelta(days=1))
    first = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    assert len(first) - len(usual) == 1, first
    second = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    assert len(second) == len(usual)


def test_a_client_that_needs_no_attestation_pays_one_query() -> None:
    """Whether it has a policy has to be asked."""
    free = create_application("free")
    with host_alone():
        own = with_secret(CLIENT_CREDENTIALS, free)
    assert with_secret(CLIENT_CREDENTIALS, free) - own == 1


# The host's own device flow does not work with every oauthlib, and some doors it does not have: there is nothing to
# compare with.
@pytest.mark.parametrize("door", [door for door in DOORS if door.name in MORE], ids=str)
def test_what_each_door_adds(door: Door) -> None:
    client = seen_lately(door.register())
    free = door.create_application("free")
    with host_alone():
        own = with_secret(door, free)
    attested = queries(door, client.http, client.application, {}, headers=client.headers())
    assert len(attested) - own == ADDED + MORE[door.name], attested


def test_a_token_that_is_bound_adds_its_confirmation(client: AttestedClient) -> None:
    """In combined mode nothing else: the proof that is on record is the one that there is."""
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    combined = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.combined())
    assert len(combined) == len(usual) + 1
    assert len([sql for sql in combined if "INSERT" in sql and "accesstokenconfirmation" in sql]) == 1


def test_a_proof_beside_a_pop_jwt_adds_its_record_too(client: AttestedClient) -> None:
    """In the transaction of the tokens, in a savepoint."""
    usual = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    both = {**client.headers(), "DPoP": client.dpop()}
    beside = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=both)
    assert len([sql for sql in beside if "SAVEPOINT" not in sql]) == len(usual) + 2, beside


def test_a_proof_costs_a_client_that_needs_no_attestation_as_much(client: AttestedClient, settings: Any) -> None:
    configure(settings, DPOP="all")
    app_settings.__dict__.pop("replay_store", None)
    free = create_application("free")
    usual = with_secret(CLIENT_CREDENTIALS, free)
    named = {"client_id": "free", "client_secret": "secret"}
    proven = queries(CLIENT_CREDENTIALS, client.http, free, named, headers={"DPoP": client.dpop()})
    assert len([sql for sql in proven if "SAVEPOINT" not in sql]) == usual + 2, proven


@pytest.mark.parametrize("use", ["optional", "required"])
def test_an_attestation_beside_a_secret_costs_what_it_costs_alone(
    client: AttestedClient, use: str, settings: Any
) -> None:
    """And one query: the policies that the host's reading of the application does not load. Required, what is issued is
    bound; optional, there is no instance to lock and nothing to bind."""
    attested = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    AttestationPolicy.objects.all().delete()
    configure(settings, ATTESTATION_SIGNAL=use)
    app_settings.__dict__.pop("replay_store", None)
    named = {"client_id": "app", "client_secret": "secret"}
    beside = queries(CLIENT_CREDENTIALS, client.http, client.application, named, headers=client.headers())
    assert len(beside) - len(attested) == (2 if use == "required" else 0), beside
    if use == "optional":
        assert len(queries(CLIENT_CREDENTIALS, client.http, client.application, named)) == with_secret(
            CLIENT_CREDENTIALS, create_application("free")
        )


def test_the_site_may_grow(client: AttestedClient) -> None:
    """200 applications with policies, 200 attesters, 400 keys and 5,000 proofs later it is as many queries."""
    before = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    applications = get_application_model().objects.bulk_create(
        get_application_model()(
            client_id=f"client-{number}",
            client_type="confidential",
            authorization_grant_type="client-credentials",
            client_secret="secret",
        )
        for number in range(200)
    )
    AttestationPolicy.objects.bulk_create(AttestationPolicy(application=application) for application in applications)
    attesters = Attester.objects.bulk_create(
        Attester(name=f"Attester {number}", all_applications=number % 2 == 0) for number in range(200)
    )
    AttesterApplication.objects.bulk_create(
        AttesterApplication(attester=attester, application=application)
        for attester, application in zip(attesters, applications, strict=True)
    )
    AttesterApplication.objects.bulk_create(
        AttesterApplication(attester=attester, application=client.application) for attester in attesters
    )
    jwk = public_jwk(generate_key())
    AttesterKey.objects.bulk_create(
        AttesterKey(attester=attester, key_id=f"key-{attester.pk}-{copy}", thumbprint=f"{attester.pk}-{copy}", jwk=jwk)
        for attester in attesters
        for copy in range(2)
    )
    UsedProof.objects.bulk_create(
        UsedProof(proof_id=f"proof-{number}", valid_until=int(time.time()) + 3600) for number in range(5000)
    )
    after = queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers())
    assert [sql.split()[0] for sql in after] == [sql.split()[0] for sql in before]
    assert "LIMIT 17" in next(sql for sql in after if "attesterkey" in sql), "keys are read without a bound"


def test_the_purge_on_the_way_is_rare_and_small(client: AttestedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then a request deletes a slice of what has expired: two queries and their savepoint more."""
    assert database_store.PURGE_INTERVAL >= 100
    monkeypatch.setattr(database_store, "PURGE_INTERVAL", 5)
    UsedProof.objects.bulk_create(UsedProof(proof_id=f"expired-{number}", valid_until=1) for number in range(600))
    counts = [
        len(queries(CLIENT_CREDENTIALS, client.http, client.application, {}, headers=client.headers()))
        for _ in range(5)
    ]
    assert len(set(counts[:4])) == 1
    assert counts[0] < counts[4] <= counts[0] + 5
    assert UsedProof.objects.filter(valid_until=1).count() == 100
