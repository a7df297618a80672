"""Fetching keys from the admin: from a real server, outside of any transaction, by those who may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client

from oauth_client_attestation.models import Attester
from oauth_client_attestation.testing import AttesterBackend
from tests.admin_pages import FETCH, LIST, change, colleague, submitted
from tests.attester_server import response, send
from tests.key_server import KeyServer, allow
from tests.kit import register_attester

# Nothing is fetched inside a transaction, so these tests have none of their own.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def staff(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, admin_client: Client) -> Client:
    """A superuser's browser, at a site with a transaction for each request and at one without."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)
    return admin_client


@pytest.fixture
def server(settings: Any) -> Iterator[KeyServer]:
    with KeyServer(AttesterBackend()) as server:
        allow(settings, server)
        yield server


def by_url(server: KeyServer, name: str = "Acme") -> Attester:
    return register_attester(AttesterBackend(), name, keys=False, jwks_uri=server.url())


def said(response: Any) -> list[tuple[str, str]]:
    return [(message.level_tag, message.message) for message in get_messages(response.wsgi_request)]


@pytest.mark.accepts("T2")
def test_the_button_of_an_attester(staff: Client, server: KeyServer) -> None:
    attester = by_url(server)
    page = staff.get(change(attester))
    assert "Fetch keys now" in page.content.decode()
    done = staff.post(FETCH, {"attester": page.context["attester_pk"]})
    assert (done.status_code, done["Location"]) == (302, change(attester))
    assert said(done) == [("success", "Acme: The keys were fetched.")]
    assert attester.keys.get().fetched_from == server.url()
    assert "fetched" in staff.get(change(attester)).content.decode()


@pytest.mark.accepts("T2")
@pytest.mark.refuses("T2")
def test_the_action_asks_and_then_says_what_came_of_each(staff: Client, server: KeyServer, settings: Any) -> None:
    good = by_url(server)
    with KeyServer() as broken:
        allow(settings, server, broken)
        broken.script = send(response(b"", status="500 Oh No"))
        bad = by_url(broken, "Bad")
        without = register_attester(AttesterBackend(), "Without")
        chosen = {"_selected_action": [good.pk, bad.pk, without.pk]}
        asked = staff.post(LIST, {"action": "fetch_keys", **chosen})
        assert (server.fetches, broken.fetches) == (0, 0)
        pks = re.findall(r'name="attester" value="(\d+)"', asked.content.decode())
        assert set(pks) == {str(good.pk), str(bad.pk)}
        done = staff.post(FETCH, {"attester": pks, "list": "1"})
    assert (done.status_code, done["Location"]) == (302, LIST)
    assert said(done) == [
        ("success", "Acme: The keys were fetched."),
        ("error", "Bad: The server answered with another status than 200."),
    ]
    assert (good.keys.count(), bad.keys.count()) == (1, 0)
    bad.refresh_from_db()
    assert bad.fetch_outcome == "status"
    assert "another status than 200" in staff.get(LIST).content.decode()


def test_the_action_without_a_url(staff: Client) -> None:
    attester = register_attester(AttesterBackend())
    done = staff.post(LIST, {"action": "fetch_keys", "_selected_action": [attester.pk]})
    assert said(done) == [("warning", "None of the selected attesters has a JWK Set URL.")]
    assert "Fetch keys now" not in staff.get(change(attester)).content.decode()


def test_no_further_fetch_is_begun_once_it_takes_too_long(
    staff: Client, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    attesters = [by_url(server, name) for name in ("One", "Two", "Three")]
    monkeypatch.setattr("oauth_client_attestation.admin.fetching._PATIENCE", 0)
    done = staff.post(FETCH, {"attester": [attester.pk for attester in attesters]})
    assert said(done) == [("warning", "The keys of 3 attesters were not fetched, since the others took too long.")]
    assert server.fetches == 0


def test_saving_a_page_fetches_nothing(staff: Client, server: KeyServer) -> None:
    attester = by_url(server)
    assert staff.post(change(attester), submitted(staff.get(change(attester)))).status_code == 302
    assert server.fetches == 0


@pytest.mark.parametrize("chosen", ["", "0", "-1", "x", "9" * 30, "１"], ids=repr)
def test_an_attester_that_does_not_exist(staff: Client, chosen: str) -> None:
    assert staff.post(FETCH, {"attester": chosen, "list": "1"})["Location"] == LIST


@pytest.mark.parametrize("permissions", [(), ("view_attester",), ("add_attester",)], ids=repr)
def test_who_may_not_change_attesters_fetches_nothing(server: KeyServer, permissions: tuple[str, ...]) -> None:
    attester = by_url(server)
    assert colleague(*permissions).post(FETCH, {"attester": attester.pk}).status_code == 403
    assert server.fetches == 0


def test_who_may_change_attesters_fetches(server: KeyServer) -> None:
    attester = by_url(server)
    assert colleague("change_attester").post(FETCH, {"attester": attester.pk}).status_code == 302
    assert server.fetches == 1


def test_nobody_else_and_never_by_a_link(admin_client: Client, server: KeyServer) -> None:
    attester = by_url(server)
    stranger = Client().post(FETCH, {"attester": attester.pk})
    assert stranger["Location"].startswith("/admin/login/")
    assert admin_client.get(FETCH, {"attester": attester.pk}).status_code == 405
    assert server.fetches == 0


def test_another_site_cannot_make_a_browser_fetch(admin_client: Client, admin_user: Any, server: KeyServer) -> None:
    attester = by_url(server)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert browser.post(FETCH, {"attester": attester.pk}).status_code == 403
    page = browser.get(change(attester)).content.decode()
    fields = re.search(rf'action="{FETCH}">(.*?)</form>', page)
    assert fields
    values = dict(re.findall(r'name="([^"]+)" value="([^"]+)"', fields[1]))
    assert browser.post(FETCH, values).status_code == 302
    assert server.fetches == 1
