"""An application that had users before it was marked: the two ways to attestation that docs/operators.md describes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_refresh_token_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy
from tests.kit import (
    CHALLENGE_FIELD,
    DOORS,
    TOKEN,
    AttestedClient,
    create_code,
    create_refresh_token,
    post_form,
    register_attester,
)
from tests.shell.par import redemption

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}


@pytest.fixture
def client() -> AttestedClient:
    """A public client without a policy, and an instance of it that is able to attest."""
    client = AttestedClient(application=DOOR["authorization_code"].create_application("app", client_type="public"))
    client.attester = register_attester(client.backend, applications=(client.application,))
    return client


def refreshing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, "client_id": "app"}


def without_attestation(parameters: dict[str, str]) -> Any:
    return post_form(Client(), TOKEN, {**parameters, "client_id": "app"})


def test_an_attestation_before_there_is_a_policy_is_refused(client: AttestedClient) -> None:
    """So no version of the app can attest ahead of time."""
    code = create_code(client.application)
    client.refused(Reason.CLIENT_NOT_REGISTERED, data=redemption(code))


def test_an_app_that_attests_when_it_is_told_to(client: AttestedClient) -> None:
    token = without_attestation(redemption(create_code(client.application))).json()["refresh_token"]
    AttestationPolicy.objects.create(application=client.application)

    told = without_attestation(refreshing(token))
    assert (told.status_code, told.json()["error"]) == (400, "invalid_client")
    challenge = told.headers[CHALLENGE_FIELD]

    def attested() -> Any:
        headers = client.headers(pop=client.pop(challenge=challenge))
        return client.post(data=refreshing(token), headers=headers)

    client.refused(Reason.REFRESH_TOKEN_UNBOUND, send=attested, proof_used=True)
    token = client.accepted(data=redemption(create_code(client.application))).json()["refresh_token"]
    client.accepted(data=refreshing(token))


def test_a_second_application_for_the_version_that_attests(client: AttestedClient) -> None:
    """The old version goes on until its application is deleted, with all that is left of it."""
    new = DOOR["authorization_code"].register(AttestedClient(client_id="app-2"), attester={"name": "For the new one"})
    old_token = create_refresh_token(client.application)
    new_token = new.accepted(data=redemption(create_code(new.application))).json()["refresh_token"]
    old_token = without_attestation(refreshing(old_token)).json()["refresh_token"]
    client.application.delete()
    response = without_attestation(refreshing(old_token))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert get_refresh_token_model().objects.count() == 1
    new.accepted(data={"grant_type": "refresh_token", "refresh_token": new_token})
