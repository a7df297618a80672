"""A site with ``USE_TZ = False``, whose database takes no time with a zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from oauth_client_attestation import inspection
from oauth_client_attestation.core.anchors import parse_anchors
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey, Refusal
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.registration import replace_anchors
from tests.admin_pages import ADD, LIST, POLICIES, REFUSALS, change, submitted
from tests.certificates import make_chain
from tests.key_server import KeyServer, allow, register_by_url
from tests.kit import AttestedClient

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC


@pytest.fixture(autouse=True)
def clock(settings: Any) -> Iterator[time_machine.Traveller]:
    settings.USE_TZ = False
    settings.TIME_ZONE = "America/Chicago"  # six hours behind at that time
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1")
@pytest.mark.django_db
def test_the_window_of_a_key_is_in_the_sites_time(clock: time_machine.Traveller) -> None:
    client = AttestedClient().register()
    AttesterKey.objects.update(not_after=datetime(2027, 1, 15, 2, 0, 1))
    client.accepted()
    clock.shift(1)
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.accepts("T3")
@pytest.mark.django_db
def test_certificates_are_accepted() -> None:
    chain = make_chain()
    client = AttestedClient(AttesterBackend(key_id=None, key=chain.jwk)).register()
    replace_anchors(client.attester, parse_anchors(chain.pem))
    client.attester.keys.all().delete()
    client.accepted(headers=client.headers(client.attestation(header={"x5c": chain.x5c})))


@pytest.mark.accepts("T2")
@pytest.mark.django_db(transaction=True)
def test_keys_are_fetched_and_believed_for_their_lifetime(settings: Any, clock: time_machine.Traveller) -> None:
    client = AttestedClient()
    with KeyServer(client.backend) as server:
        allow(settings, server, JWKS_LIFETIME=3600, JWKS_MIN_INTERVAL=60)
        register_by_url(server, client).accepted()
        assert Attester.objects.get().fetched_at == datetime(2027, 1, 15, 2, 0, 0)
        clock.shift(3599)
        client.accepted()
        assert server.fetches == 1
        clock.shift(1)
        client.accepted()
        assert server.fetches == 2
        client.refused(
            Reason.ATTESTER_NOT_TRUSTED,
            headers=client.headers(client.attestation(header={"kid": "unknown"})),
        )


# The pages

CHECK = reverse("admin:oauth_client_attestation_check")


@pytest.fixture
def dated() -> AttestedClient:
    """A client whose attester has every time that there is."""
    client = AttestedClient().register()
    replace_anchors(client.attester, parse_anchors(make_chain().pem))
    Attester.objects.update(
        jwks_uri="https://acme.example/jwks",
        fetched_at=datetime(2027, 1, 15, 1),
        fetch_attempted_at=datetime(2027, 1, 15, 1, 30),
        fetch_outcome="timeout",
        last_accepted=datetime(2027, 1, 15, 1, 59),
    )
    AttesterKey.objects.update(not_before=datetime(2027, 1, 15), not_after=datetime(2027, 1, 16, 23))
    for hour, day in ((1, 15), (23, 14)):
        Refusal.objects.create(
            time=datetime(2027, 1, day, hour),
            reason=Reason.POP_AUD,
            endpoint="-",
            attester=client.attester,
            application=client.application,
        )
    return client


@pytest.mark.django_db
def test_the_list_of_attesters(dated: AttestedClient, admin_client: Client) -> None:
    """Its day begins at midnight of the site."""
    page = admin_client.get(LIST)
    (row,) = page.context["cl"].result_list
    model_admin = page.context["cl"].model_admin
    assert model_admin.soonest_expiry(row) == "Jan. 16, 2027"
    assert model_admin.last_fetch(row).startswith("30\xa0minutes ago")
    assert model_admin.accepted(row) == "1\xa0minute ago"
    assert row._refused_today == 1
    assert "time__gte=2027-01-15T00%3A00%3A00" in model_admin.refused_today(row)
    follow = model_admin.refused_today(row).partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert len(admin_client.get(follow).context["cl"].result_list) == 1


@pytest.mark.django_db
def test_the_page_of_an_attester(dated: AttestedClient, admin_client: Client) -> None:
    page = admin_client.get(change(dated.attester))
    assert [(bar.reason, bar.count) for bar in page.context["refusals"]["bars"]] == [("pop_aud", 2)]
    windows = {"keys-0-not_after_0": "2027-01-20", "keys-0-not_after_1": "12:00:00"}
    assert admin_client.post(change(dated.attester), submitted(page, **windows)).status_code == 302
    assert AttesterKey.objects.get().not_after == datetime(2027, 1, 20, 12)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [ADD, POLICIES, REFUSALS, CHECK])
def test_another_page(dated: AttestedClient, admin_client: Client, path: str) -> None:
    assert admin_client.get(path).status_code == 200


@pytest.mark.django_db
def test_a_refusal_leads_to_checking_at_its_time(dated: AttestedClient, admin_client: Client) -> None:
    refusal = Refusal.objects.earliest("time")
    page = admin_client.get(reverse("admin:oauth_client_attestation_refusal_change", args=[refusal.pk]))
    form = admin_client.get(page.context["check_url"]).context["form"]
    shown = form["at"].subwidgets[0].data["value"]
    page = admin_client.post(CHECK, {"attestation": dated.attestation(), "at": shown})
    facts = {str(label): value for label, value, _url in page.context["facts"]}
    assert facts["Judged at"] == "2027-01-15 05:00:00 UTC"


@pytest.mark.django_db
def test_a_time_far_off_is_no_time_to_judge_at(dated: AttestedClient, admin_client: Client) -> None:
    page = admin_client.post(CHECK, {"attestation": dated.attestation(), "at": "1999-12-31 12:00:00"})
    assert list(page.context["form"].errors) == ["at"]


@pytest.mark.django_db
def test_why_there_is_no_key(dated: AttestedClient, clock: time_machine.Traveller) -> None:
    """The states of keys, and when they were fetched."""

    def trusted() -> str:
        facts = inspection.inspect(inspection.Question(dated.attestation(header={"kid": "unknown"}))).facts
        return next(fact.value for fact in facts if fact.name == "trusted")

    assert "last 2027-01-15 07:00:00 UTC (1 hour ago)" in trusted()
    assert "outside of its validity" not in trusted()
    AttesterKey.objects.update(not_after=datetime(2027, 1, 15, 1, 59, 59))
    assert "outside of its validity" in trusted()
