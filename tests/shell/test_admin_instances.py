"""The admin of client instances: what staff see, what they can do, and what nobody can."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from oauth_client_attestation import instances, models
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import ClientInstance
from tests.kit import DOORS, AttestedClient, create_refresh_token

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}
NAME = "admin:oauth_client_attestation_clientinstance"
LIST = reverse(f"{NAME}_changelist")
BLOCK, UNBLOCK, REVOKE = "block", "unblock", "revoke"


@pytest.fixture
def client() -> AttestedClient:
    """An attested client that holds two tokens of each kind."""
    client = DOOR["client_credentials"].register(authorization_grant_type="authorization-code")
    create_refresh_token(client.application)
    create_refresh_token(client.application)
    ClientInstance.objects.update(attester=client.attester)
    return client


def colleague(*permissions: str) -> Client:
    """A browser with the session of staff who have these rights alone."""
    user = User.objects.create_user("colleague", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def act(browser: Client, action: str, *instances: ClientInstance) -> Any:
    chosen = [instance.pk for instance in instances]
    return browser.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)


def cells(page: Any) -> dict[str, str]:
    """Return the first row of the list by column."""
    changelist = page.context["cl"]
    row = changelist.result_list[0]
    model_admin = admin.site.get_model_admin(ClientInstance)
    return {
        name: str(getattr(model_admin, name, lambda it, n=name: getattr(it, n))(row))
        for name in model_admin.list_display
    }


def test_the_list_says_who_holds_what(admin_client: Client, client: AttestedClient) -> None:
    get_refresh_token_model().objects.first().revoke()
    page = admin_client.get(LIST)
    shown = cells(page)
    assert shown["thumbprint"] == client.instance.thumbprint
    assert (shown["application"], shown["attester"]) == ("app", "Acme")
    assert (shown["refresh_tokens"], shown["access_tokens"], shown["blocked"]) == ("1", "1", "None")
    content = page.content.decode()
    for token in get_access_token_model().objects.values_list("token", flat=True):
        assert token not in content


def test_the_list_costs_the_same_for_many_rows(admin_client: Client, client: AttestedClient) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(LIST).status_code == 200
        return len(captured)

    queries()  # content types are looked up once in a process
    few = queries()
    for number in range(30):
        other = AttestedClient(client_id=f"app-{number}")
        DOOR["authorization_code"].register(other, attester={"name": f"Attester {number}"})
        create_refresh_token(other.application)
    ClientInstance.objects.update(attester=client.attester)
    assert queries() == few


def test_a_thumbprint_is_found_exactly(admin_client: Client, client: AttestedClient) -> None:
    other = client.another()
    ClientInstance.objects.create(application=client.application, thumbprint=other.instance.thumbprint)
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(LIST, {"q": client.instance.thumbprint})
    assert [row.thumbprint for row in page.context["cl"].result_list] == [client.instance.thumbprint]
    exactly = f"{connection.ops.quote_name('thumbprint')} = '{client.instance.thumbprint}'"
    assert any(exactly in query["sql"] for query in captured), "not by the index"
    assert not admin_client.get(LIST, {"q": client.instance.thumbprint[:20]}).context["cl"].result_list


def test_blocking(admin_client: Client, client: AttestedClient) -> None:
    page = act(admin_client, BLOCK, client.record())
    assert [str(message) for message in page.context["messages"]] == ["1 instance blocked; 2 tokens and codes revoked."]
    assert client.record().blocked
    assert not get_access_token_model().objects.exists()
    data = {"grant_type": "client_credentials"}
    client.refused(Reason.INSTANCE_BLOCKED, data=data)
    entry = LogEntry.objects.get()
    assert (entry.change_message, entry.object_repr) == ("Blocked.", f"#{client.record().pk}")
    assert client.instance.thumbprint not in str(vars(entry)), "the log is kept for longer than the record"


def test_a_block_that_the_database_refuses_is_reported(
    admin_client: Client, client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(instances, "block", fail)
    page = act(admin_client, BLOCK, client.record())
    assert [str(message) for message in page.context["messages"]] == ["Not all of them are blocked. Look again."]
    assert client.record().blocked is None


def test_unblocking(admin_client: Client, client: AttestedClient) -> None:
    act(admin_client, BLOCK, client.record())
    page = act(admin_client, UNBLOCK, client.record())
    assert [str(message) for message in page.context["messages"]] == ["1 instance unblocked."]
    assert client.record().blocked is None
    assert not get_access_token_model().objects.exists()


def test_revoking(admin_client: Client, client: AttestedClient) -> None:
    page = act(admin_client, REVOKE, client.record())
    assert [str(message) for message in page.context["messages"]] == ["2 tokens and codes revoked."]
    assert client.record().blocked is None
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


@pytest.mark.parametrize("action", [BLOCK, UNBLOCK, REVOKE])
def test_who_may_only_look_may_not_act(client: AttestedClient, action: str) -> None:
    browser = colleague("view_clientinstance")
    page = browser.get(LIST)
    assert page.status_code == 200
    assert action not in page.content.decode().partition('name="action"')[2].partition("</select>")[0]
    act(browser, action, client.record())
    assert client.record().blocked is None
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 2


def test_who_has_no_right_sees_nothing() -> None:
    assert colleague("view_attester").get(LIST).status_code == 403


def test_nobody_adds_edits_or_deletes_an_instance(admin_client: Client, client: AttestedClient) -> None:
    instance = client.record()
    assert admin_client.get(reverse(f"{NAME}_add")).status_code == 403
    page = admin_client.get(reverse(f"{NAME}_change", args=[instance.pk]))
    assert page.status_code == 200
    assert "_save" not in page.content.decode()
    assert "deletelink" not in page.content.decode()
    changed = admin_client.post(reverse(f"{NAME}_change", args=[instance.pk]), {"thumbprint": "x"})
    assert changed.status_code == 403
    assert admin_client.post(reverse(f"{NAME}_delete", args=[instance.pk]), {"post": "yes"}).status_code == 403
    act(admin_client, "delete_selected", instance)
    assert client.record().thumbprint == instance.thumbprint
    assert "delete_selected" not in admin_client.get(LIST).content.decode()


def test_an_application_with_instances_can_be_deleted_in_the_admin(
    admin_client: Client, client: AttestedClient
) -> None:
    """It is the host that keeps one with tokens from being deleted there; an instance does not."""
    label = get_application_model()._meta.label_lower.replace(".", "_")
    delete = reverse(f"admin:{label}_delete", args=[client.application.pk])
    assert "client instance" not in admin_client.get(delete).context["perms_lacking"]
    get_refresh_token_model().objects.all().delete()
    get_access_token_model().objects.all().delete()
    page = admin_client.get(delete)
    assert not page.context["perms_lacking"]
    assert not page.context["protected"]
    admin_client.post(delete, {"post": "yes"})
    assert not ClientInstance.objects.exists()


def test_bindings_have_no_admin() -> None:
    for name in ("AccessTokenBinding", "RefreshTokenBinding", "AuthorizationCodeBinding", "DeviceCodeBinding"):
        assert not admin.site.is_registered(getattr(models, name))
