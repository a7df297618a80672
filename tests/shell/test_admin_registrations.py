"""The admin of clients that registered themselves."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from oauth_client_attestation.models import BlockedInstance, ClientRegistration
from tests.admin_pages import POLICIES
from tests.kit import configure, register_attester
from tests.shell.registration import SOFTWARE_ID, Registrant, open_registration

pytestmark = pytest.mark.django_db

REGISTRATIONS = reverse("admin:oauth_client_attestation_clientregistration_changelist")
BLOCKS = reverse("admin:oauth_client_attestation_blockedinstance_changelist")


@pytest.fixture
def client(settings: Any) -> Registrant:
    """A client that has registered itself, with an attestation."""
    registrant = Registrant()
    register_attester(registrant.backend)
    configure(settings, REGISTRATION_ATTESTERS=["Acme"])
    with open_registration():
        return registrant.register(headers=registrant.headers())


def test_who_registered_is_visible(admin_client: Client, client: Registrant) -> None:
    page = admin_client.get(REGISTRATIONS).content.decode()
    for shown in (client.client_id, SOFTWARE_ID, "Acme", "Dynamic Client Registration"):
        assert shown in page
    assert client.answer["registration_access_token"] not in page
    registration = ClientRegistration.objects.get()
    detail = admin_client.get(
        reverse("admin:oauth_client_attestation_clientregistration_change", args=[registration.pk])
    )
    assert "ML-DSA-44" in detail.content.decode()
    assert "registered by" in admin_client.get(POLICIES).content.decode().lower()
    assert "Dynamic Client Registration" in admin_client.get(POLICIES).content.decode()


def test_the_list_of_registrations_costs_the_same_whatever_is_in_it(
    admin_client: Client, client: Registrant, django_assert_num_queries: Any
) -> None:
    with open_registration():
        for _ in range(3):
            client.register(headers=client.headers())
    with django_assert_num_queries(6):
        admin_client.get(REGISTRATIONS)


def test_what_a_client_said_is_not_edited_or_deleted(admin_client: Client, client: Registrant) -> None:
    pk = ClientRegistration.objects.get().pk
    for name, arguments, status in (("add", [], 403), ("delete", [pk], 403)):
        url = reverse(f"admin:oauth_client_attestation_clientregistration_{name}", args=arguments)
        assert admin_client.post(url, {"post": "yes"}).status_code == status
    change = reverse("admin:oauth_client_attestation_clientregistration_change", args=[pk])
    assert admin_client.post(change, {"software_id": "x"}).status_code == 403
    assert ClientRegistration.objects.get().software_id == SOFTWARE_ID


def test_a_registration_goes_with_its_application(admin_client: Client, client: Registrant) -> None:
    get_access_token_model().objects.all().delete()  # which the host's admin does not
    url = reverse("admin:oauth2_provider_application_delete", args=[client.application.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not get_application_model().objects.exists()
    assert not ClientRegistration.objects.exists()


def test_deleting_a_block_is_unblocking(admin_client: Client) -> None:
    block = BlockedInstance.objects.create(client_id="https://a.example/c", thumbprint="t" * 43, blocked=timezone.now())
    assert "t" * 43 in admin_client.get(BLOCKS).content.decode()
    change = reverse("admin:oauth_client_attestation_blockedinstance_change", args=[block.pk])
    assert admin_client.post(change, {"client_id": "x"}).status_code == 403
    url = reverse("admin:oauth_client_attestation_blockedinstance_delete", args=[block.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not BlockedInstance.objects.exists()
