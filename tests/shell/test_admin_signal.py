"""The signal in the admin: who may and who must send an attestation beside another authentication."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from oauth2_provider.models import get_application_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, AttestationSignalPolicy, IntrospectedToken
from tests.admin_pages import ADD_SIGNAL_POLICY, SIGNAL_POLICIES, colleague, submitted
from tests.kit import create_application, table
from tests.shell.signallers import Signaller
from tests.shell.test_admin_application import added, errors, page_of

pytestmark = pytest.mark.django_db

SIGNAL_POLICY = "client_attestation_signal"


def with_signal_policy(use: str, client_id: str, **fields: Any) -> Any:
    application = create_application(client_id, **fields)
    AttestationSignalPolicy.objects.create(application=application, use=use)
    return application


def page_of_policy(application: Any) -> str:
    policy = application.client_attestation_signal
    return reverse("admin:oauth_client_attestation_attestationsignalpolicy_change", args=[policy.pk])


@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_an_application_that_must_send_an_attestation(admin_client: Client, settings: Any) -> None:
    client = Signaller().enter("off", settings)
    client.turned_away(Reason.SECOND_MECHANISM)
    saved = admin_client.post(ADD_SIGNAL_POLICY, {"application": str(client.application.pk), "use": "required"})
    assert saved.status_code == 302, saved.context["errors"]
    client.turned_away(Reason.ATTESTATION_REQUIRED, {})
    client.passes()
    changed = {"application": str(client.application.pk), "use": "optional"}
    assert admin_client.post(page_of_policy(client.application), changed).status_code == 302
    client.passes({})
    client.passes()


@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_a_signal_policy_from_the_applications_page(admin_client: Client, settings: Any) -> None:
    """The same as on the page of its own, everything as offered; and saving the page without one makes none."""
    client = Signaller().enter("off", settings)
    url = page_of(client.application)
    page = admin_client.get(url)
    assert admin_client.post(url, submitted(page)).status_code == 302
    assert not AttestationSignalPolicy.objects.exists()

    saved = admin_client.post(url, added(page, SIGNAL_POLICY))
    assert saved.status_code == 302, errors(saved)
    assert AttestationSignalPolicy.objects.get().use == "required"
    client.turned_away(Reason.ATTESTATION_REQUIRED, {})
    client.passes()

    page = admin_client.get(url)
    assert admin_client.post(url, submitted(page, **{f"{SIGNAL_POLICY}-0-use": "optional"})).status_code == 302
    assert AttestationSignalPolicy.objects.get().use == "optional"
    client.passes({})


@table(
    "fields, name",
    {
        "no application": ({"application": ""}, "application"),
        "a use that is neither": ({"use": "off"}, "use"),
        "no use": ({"use": ""}, "use"),
    },
)
def test_a_mistake_in_a_signal_policy(admin_client: Client, fields: dict[str, str], name: str) -> None:
    application = create_application("app")
    page = admin_client.post(ADD_SIGNAL_POLICY, {"application": str(application.pk), "use": "required", **fields})
    assert list(page.context["adminform"].form.errors) == [name]
    assert not AttestationSignalPolicy.objects.exists()


@pytest.mark.parametrize("grant", ["implicit", "openid-hybrid"])
@pytest.mark.refuses("S1")
def test_an_application_that_is_given_tokens_in_the_open(admin_client: Client, grant: str) -> None:
    """Required, it would never get one; optional, it changes nothing."""
    application = create_application(
        "app", authorization_grant_type=grant, redirect_uris="https://client.example/", algorithm="RS256"
    )
    page = admin_client.post(ADD_SIGNAL_POLICY, {"application": str(application.pk), "use": "required"})
    (message,) = page.context["adminform"].form.errors["application"]
    assert "where no attestation can be sent" in message
    assert not AttestationSignalPolicy.objects.exists()
    saved = admin_client.post(ADD_SIGNAL_POLICY, {"application": str(application.pk), "use": "optional"})
    assert saved.status_code == 302


@pytest.mark.refuses("S1")
def test_an_application_that_must_send_one_gets_no_other_grant(admin_client: Client) -> None:
    """Its own field is hidden in the inline, and what it says must not be."""
    application = with_signal_policy("required", "app", redirect_uris="https://client.example/")
    url = page_of(application)
    shown = admin_client.post(url, submitted(admin_client.get(url), authorization_grant_type="implicit"))
    assert "where no attestation can be sent" in shown.content.decode()
    application.refresh_from_db()
    assert application.authorization_grant_type == "client-credentials"


def test_an_application_that_registered_itself_has_no_signal_policy(admin_client: Client) -> None:
    application = create_application("app")
    get_application_model().objects.update(cimd_expires_at="2100-01-01T00:00:00Z")
    page = admin_client.post(ADD_SIGNAL_POLICY, {"application": str(application.pk), "use": "optional"})
    (message,) = page.context["adminform"].form.errors["application"]
    assert "registered itself" in message


def test_the_page_says_who_is_trusted(admin_client: Client, settings: Any) -> None:
    client = Signaller().enter("required", settings)
    page = page_of_policy(client.application)
    assert f"{client.attester.name}</div>" in admin_client.get(page).content.decode()
    client.attester.applications.clear()
    assert "every request with an attestation is refused" in admin_client.get(page).content.decode()


def test_the_list_says_what_each_policy_does(admin_client: Client) -> None:
    """One of an application that authenticates by attestation does nothing."""
    with_signal_policy("optional", "app")
    assert '<td class="field-effect">optional</td>' in admin_client.get(SIGNAL_POLICIES).content.decode()
    AttestationPolicy.objects.create(application=get_application_model().objects.get())
    assert "none: it authenticates by attestation" in admin_client.get(SIGNAL_POLICIES).content.decode()


def test_the_list_costs_the_same_with_more_rows(admin_client: Client, django_assert_num_queries: Any) -> None:
    with_signal_policy("required", "first", policy={})
    admin_client.get(SIGNAL_POLICIES)  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(SIGNAL_POLICIES)
    for number in range(5):
        with_signal_policy("optional", f"app-{number}", policy={} if number % 2 else None)
    with django_assert_num_queries(len(captured)):
        page = admin_client.get(SIGNAL_POLICIES)
    assert len(page.context["cl"].result_list) == 6


def test_a_signal_policy_is_found(admin_client: Client) -> None:
    with_signal_policy("required", "wallet")
    with_signal_policy("optional", "other")
    for query in ({"q": "wallet"}, {"use__exact": "required"}):
        (found,) = admin_client.get(SIGNAL_POLICIES, query).context["cl"].result_list
        assert found.application.client_id == "wallet"


@table(
    "permissions, pages",
    {
        "none": ((), {}),
        "viewing": (("view_attestationsignalpolicy",), {SIGNAL_POLICIES: 200}),
        "viewing attestation policies": (("view_attestationpolicy",), {}),
        "adding": (
            ("view_attestationsignalpolicy", "add_attestationsignalpolicy"),
            {SIGNAL_POLICIES: 200, ADD_SIGNAL_POLICY: 200},
        ),
    },
)
def test_staff_without_rights(permissions: tuple[str, ...], pages: dict[str, int]) -> None:
    browser = colleague(*permissions)
    expected = {SIGNAL_POLICIES: 403, ADD_SIGNAL_POLICY: 403, **pages}
    assert {path: browser.get(path).status_code for path in expected} == expected


@pytest.mark.refuses("S1")
def test_on_the_applications_page_it_is_a_right_of_its_own() -> None:
    application = with_signal_policy("required", "app")
    browser = colleague("view_application", "change_application")
    page = browser.get(page_of(application))
    assert page.context["inline_admin_formsets"] == []
    stolen = {f"{SIGNAL_POLICY}-TOTAL_FORMS": "1", f"{SIGNAL_POLICY}-INITIAL_FORMS": "1"}
    stolen |= {
        f"{SIGNAL_POLICY}-0-DELETE": "on",
        f"{SIGNAL_POLICY}-0-id": str(AttestationSignalPolicy.objects.get().pk),
    }
    browser.post(page_of(application), submitted(page, **stolen))
    assert AttestationSignalPolicy.objects.exists()


@pytest.mark.refuses("S1")
def test_whose_a_remote_token_is_has_no_page_and_no_right() -> None:
    assert IntrospectedToken not in admin.site._registry
    assert not Permission.objects.filter(content_type__model="introspectedtoken").exists()
