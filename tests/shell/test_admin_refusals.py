"""Recent refusals in the admin, and the sentence for each reason."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.explanations import explain
from oauth_client_attestation.models import Attester, Refusal
from oauth_client_attestation.testing import AttesterBackend
from tests.admin_pages import REFUSALS, colleague
from tests.kit import AttestedClient, create_application, register_attester, table

pytestmark = pytest.mark.django_db

ADD_REFUSAL = reverse("admin:oauth_client_attestation_refusal_add")


def page_of(refusal: Refusal, page: str = "change") -> str:
    return reverse(f"admin:oauth_client_attestation_refusal_{page}", args=[refusal.pk])


def refusal(**fields: Any) -> Refusal:
    return Refusal.objects.create(
        **{"time": timezone.now(), "reason": Reason.POP_REPLAYED, "endpoint": "oauth2_provider:token", **fields}
    )


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_is_explained(reason: Reason) -> None:
    """In sentences of its own, with something to do."""
    explanation = explain(reason)
    assert str(explanation.summary).endswith(".")
    assert str(explanation.advice).endswith(".")
    assert explanation != explain("of another version")
    assert [other for other in Reason if explain(other).summary == explanation.summary] == [reason]


def test_a_refusal_is_listed_with_its_sentence(admin_client: Client) -> None:
    client = AttestedClient().register()
    client.refused(Reason.POP_AUD, headers=client.headers(pop=client.pop(audience="https://other.example")))
    page = admin_client.get(REFUSALS)
    (row,) = page.context["cl"].result_list
    assert (row.reason, row.attester, row.application) == ("pop_aud", client.attester, client.application)
    assert row.thumbprint == client.instance.thumbprint
    assert "aud” is not this server’s issuer" in page.content.decode()

    assert f"?q={row.thumbprint}" in page.content.decode()

    text = admin_client.get(page_of(row)).content.decode()
    assert row.thumbprint in text
    assert "Compare it with ISSUER or RESOURCE to the letter" in text
    assert "check-attestation" in text


def test_the_buttons_are_one_list(admin_client: Client) -> None:
    """For assistive technology an empty one is there as well."""
    text = admin_client.get(REFUSALS).content.decode()
    assert text.count('<ul class="object-tools">') == 1
    (tools,) = re.findall(r'<ul class="object-tools">(.*?)</ul>', text, re.DOTALL)
    assert "Check an attestation" in tools


def test_a_reason_of_another_version(admin_client: Client) -> None:
    row = refusal(reason="of_another_version")
    assert "of_another_version" in admin_client.get(REFUSALS).content.decode()
    assert "recorded by another version" in admin_client.get(page_of(row)).content.decode()


@table(
    "query, shown",
    {
        "everything": ({}, 3),
        "by reason": ({"reason": "pop_aud"}, 1),
        "by attester": ({"attester__id__exact": "{attester}"}, 1),
        "by application": ({"application__id__exact": "{application}"}, 1),
        "by endpoint": ({"endpoint": "oauth2_provider:introspect"}, 1),
        "since yesterday": ({"time__gte": "{yesterday}"}, 2),
        "by thumbprint": ({"q": "Thumbprint-1"}, 1),
        "by thumbprint in other case": ({"q": "thumbprint-1"}, 0),
        "by a part of a thumbprint": ({"q": "Thumbprint"}, 0),
    },
)
def test_filters_and_search(admin_client: Client, query: dict[str, str], shown: int) -> None:
    now = timezone.now()
    attester = register_attester(AttesterBackend())
    application = create_application("app")
    refusal(reason=Reason.POP_AUD, attester=attester, thumbprint="Thumbprint-1")
    refusal(application=application, endpoint="oauth2_provider:introspect")
    refusal(time=now - timedelta(days=3))
    known = {"attester": attester.pk, "application": application.pk, "yesterday": now - timedelta(days=1)}
    page = admin_client.get(REFUSALS, {name: value.format(**known) for name, value in query.items()})
    assert page.status_code == 200
    if connection.vendor == "mysql" and "thumbprint-1" in query.values():
        shown = 1  # it finds all text without regard to case
    assert len(page.context["cl"].result_list) == shown


def test_the_record_cannot_be_changed(admin_client: Client) -> None:
    row = refusal()
    assert admin_client.get(ADD_REFUSAL).status_code == 403
    assert admin_client.post(page_of(row), {"reason": "pop_aud"}).status_code == 403
    assert admin_client.post(page_of(row, "delete"), {"post": "yes"}).status_code == 403
    admin_client.post(REFUSALS, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(Refusal.objects.values_list("reason", flat=True)) == ["pop_replayed"]
    for page in (admin_client.get(REFUSALS), admin_client.get(page_of(row))):
        text = page.content.decode()
        assert "deletelink" not in text
        assert "addlink" not in text.partition('id="content"')[2]
        assert 'name="_save"' not in text
        assert "_selected_action" not in text


def test_who_may_not_see_them() -> None:
    row = refusal()
    browser = colleague("view_attester")
    assert [browser.get(path).status_code for path in (REFUSALS, page_of(row))] == [403, 403]
    assert REFUSALS not in browser.get("/admin/").content.decode()


def test_who_may_see_them() -> None:
    row = refusal()
    browser = colleague("view_refusal")
    assert REFUSALS in browser.get("/admin/").content.decode()
    for path in (REFUSALS, page_of(row)):
        page = browser.get(path)
        assert page.status_code == 200
        assert "check-attestation" not in page.content.decode()


def test_attesters_and_applications_with_refusals_can_be_deleted() -> None:
    """By staff who may delete those: the record goes with them and is in nobody's way."""
    attester = register_attester(AttesterBackend())
    refusal(attester=attester)
    browser = colleague("view_attester", "delete_attester", "delete_attesterkey")
    url = reverse("admin:oauth_client_attestation_attester_delete", args=[attester.pk])
    assert browser.post(url, {"post": "yes"}).status_code == 302
    assert not Attester.objects.exists()
    assert not Refusal.objects.exists()


def test_a_refusals_page_costs_the_same_with_more_rows(admin_client: Client, django_assert_num_queries: Any) -> None:
    row = refusal(attester=register_attester(AttesterBackend()), application=create_application("app"))
    admin_client.get(page_of(row))  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(page_of(row))
    for _ in range(3):
        refusal(attester=row.attester, application=row.application)
    with django_assert_num_queries(len(captured)):
        admin_client.get(page_of(row))
