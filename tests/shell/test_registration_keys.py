"""Clients that register themselves, and an attester whose keys are fetched (rules K1 and T2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey
from tests.key_server import KeyServer, allow
from tests.kit import configure, provider, register_attester
from tests.shell import test_registration_attested as attested
from tests.shell.registration import METADATA, Registrant
from tests.shell.test_documents import Published, Site

# Nothing is fetched inside a transaction, so these tests have none of their own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A site where registrations must be attested."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    with attested.attested_registration():
        yield


@pytest.fixture
def registrant(site: None, settings: Any) -> Iterator[Registrant]:
    """A client whose attester publishes its keys."""
    client = Registrant()
    with KeyServer(client.backend) as server:
        allow(settings, server)
        register_attester(client.backend, keys=False, jwks_uri=server.url())
        configure(settings, REGISTRATION_ATTESTERS=["Acme"], METADATA_DOCUMENT_ATTESTERS=["Acme"])
        yield client


def forget_keys() -> None:
    """Let the next request be the first one of the attester."""
    AttesterKey.objects.all().delete()
    Attester.objects.update(fetched_at=None, fetch_attempted_at=None)


@pytest.mark.accepts("K1", "T2")
def test_keys_are_fetched_for_a_registration(registrant: Registrant) -> None:
    registrant.register(headers=registrant.headers()).as_client().accepted()


@pytest.mark.accepts("K1", "T2")
def test_keys_are_fetched_for_the_management_of_one(registrant: Registrant) -> None:
    client = registrant.register(headers=registrant.headers())
    forget_keys()
    assert client.manage("PUT", METADATA, **client.as_client().headers()).status_code == 200


@pytest.mark.accepts("K1", "T2")
def test_keys_are_fetched_for_a_client_that_is_not_known_yet(registrant: Registrant) -> None:
    cache.clear()
    Published.documents.clear()
    site = Site()
    site.client.backend = registrant.backend
    site.publish()
    with provider(CIMD_ENABLED=True, CIMD_METADATA_FETCHER="tests.shell.test_documents.Fetcher"):
        site.pushed()


@pytest.mark.refuses("K1", "T2")
def test_nothing_is_fetched_from_an_attester_that_may_not_vouch_for_registrations(
    registrant: Registrant, settings: Any
) -> None:
    configure(settings, REGISTRATION_ATTESTERS=["Other"])
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, lambda: registrant.post(headers=registrant.headers()))
    assert Attester.objects.get().fetch_attempted_at is None
