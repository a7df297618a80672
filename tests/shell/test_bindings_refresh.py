"""Refresh tokens belong to the instance that they were issued to, however the site handles them (rules B1, B2)."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.instances import database
from oauth_client_attestation.models import AccessTokenBinding, AttestationPolicy, RefreshTokenBinding
from tests.kit import (
    DOORS,
    TOKEN,
    AttestedClient,
    alice,
    basic,
    create_application,
    create_refresh_token,
    post_form,
    provider,
)
from tests.shell.concealment import concealed
from tests.shell.sites import HASHED, SITES

pytestmark = pytest.mark.django_db(databases="__all__")

DOOR = {door.name: door for door in DOORS}
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=itertools.product(SITES, [False, True]), ids=lambda it: f"{it[0]}{', atomic' if it[1] else ''}")
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A site of each kind, with and without ATOMIC_REQUESTS."""
    name, atomic = request.param
    for alias in connections.settings:
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", atomic)
    with provider(**SITES[name]):
        yield SITES[name]


@pytest.fixture
def client(site: dict[str, Any]) -> AttestedClient:
    """An attested client of the authorization code grant, on a site of each kind."""
    return register()


def register(client: AttestedClient | None = None, **fields: Any) -> AttestedClient:
    """Register an attested client. Where users live in another database, alice has a row beside her tokens too."""
    user = alice()
    user.save(using=database())
    return DOOR["authorization_code"].register(client, **fields)


def first_token(client: AttestedClient) -> str:
    """Redeem a code and return the refresh token."""
    return str(client.accepted(data=DOOR["authorization_code"].prepare(client.application)).json()["refresh_token"])


def refreshing(token: str, **parameters: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, **parameters}


def refresh(client: AttestedClient, token: str) -> str:
    """Refresh and return the successor."""
    return str(client.accepted(data=refreshing(token)).json()["refresh_token"])


def refused_to_another(client: AttestedClient, token: str) -> None:
    """Assert that another instance of the same client, attested as well, gets nothing for the token."""
    other = client.another()
    other.refused(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, data=refreshing(token), proof_used=True)


def live_tokens() -> int:
    return int(get_refresh_token_model().objects.filter(revoked=None).count())


@pytest.mark.accepts("B1", "B2")
def test_the_owner_refreshes_again_and_again(client: AttestedClient) -> None:
    token = first_token(client)
    for _ in range(3):
        token = refresh(client, token)
    bound = {binding.instance for binding in RefreshTokenBinding.objects.select_related("instance")}
    assert bound == {client.record()}
    assert RefreshTokenBinding.objects.count() == get_refresh_token_model().objects.count()
    assert AccessTokenBinding.objects.count() == get_access_token_model().objects.count() == 1
    assert live_tokens() == 1


@pytest.mark.accepts("B1", "B2")
@pytest.mark.refuses("B1", "B2")
def test_another_instance_cannot_and_the_owner_still_can(client: AttestedClient) -> None:
    token = first_token(client)
    refused_to_another(client, token)
    successor = refresh(client, token)
    refused_to_another(client, successor)
    refresh(client, successor)


@pytest.mark.refuses("B1", "B2")
def test_another_instance_that_holds_tokens_of_its_own_cannot(client: AttestedClient) -> None:
    other = client.another()
    client.application.instance = other.instance
    its_own = first_token(other)
    client.application.instance = client.instance
    token = first_token(client)
    other.refused(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, data=refreshing(token), proof_used=True)
    client.refused(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, data=refreshing(its_own), proof_used=True)
    refresh(client, token)
    refresh(other, its_own)


@pytest.mark.refuses("B1", "B2")
def test_the_same_key_in_another_application_cannot(client: AttestedClient) -> None:
    """An instance is one key in one application."""
    other = register(AttestedClient(client_id="other", instance=client.instance), attester={"name": "Other"})
    first_token(other)
    token = first_token(client)
    other.refused(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, data=refreshing(token), proof_used=True)
    refresh(client, token)


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        pytest.param({"client_id": "app"}, {}, id="nothing"),
        pytest.param({"client_id": "app", "client_secret": "secret"}, {}, id="the secret"),
        pytest.param({}, basic("app", "secret"), id="the secret in Basic"),
    ],
)
@pytest.mark.refuses("B1", "B2")
def test_without_an_attestation_nobody_can(
    client: AttestedClient, parameters: dict[str, str], headers: dict[str, str]
) -> None:
    token = first_token(client)
    status = 401 if headers else None
    client.refused(Reason.ATTESTATION_REQUIRED, data=refreshing(token, **parameters), headers=headers, status=status)
    refresh(client, token)


@pytest.mark.refuses("B1", "B2")
def test_a_used_token_in_the_hands_of_another_instance_revokes_nothing(client: AttestedClient) -> None:
    """Reuse protection revokes a whole family for a used token; only the owner's reuse may do that."""
    token = first_token(client)
    successor = refresh(client, token)
    refused_to_another(client, token)
    refresh(client, successor)


@pytest.mark.accepts("B2")
def test_a_used_token_in_the_hands_of_its_owner(client: AttestedClient, site: dict[str, Any]) -> None:
    """As the site has it: repeated within the grace period, refused after it, and never a server error."""
    token = first_token(client)
    successor = refresh(client, token)
    again = client.post(data=refreshing(token))
    if site.get("ROTATE_REFRESH_TOKEN") is False:
        assert again.json()["refresh_token"] == token == successor
    elif site.get("REFRESH_TOKEN_GRACE_PERIOD_SECONDS") and HASHED.items() - site.items():
        assert again.json()["refresh_token"] == successor
    else:
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    family_revoked = site.get("REFRESH_TOKEN_REUSE_PROTECTION") and again.status_code == 400
    assert live_tokens() == (0 if family_revoked else 1)
    if not family_revoked:
        refresh(client, successor)


@pytest.mark.refuses("B2")
def test_a_token_from_before_the_client_was_marked_fails_closed(client: AttestedClient) -> None:
    token = create_refresh_token(client.application, bound=False)
    client.refused(Reason.REFRESH_TOKEN_UNBOUND, data=refreshing(token), proof_used=True)
    get_refresh_token_model().objects.update(revoked=timezone.now())
    sibling = create_refresh_token(client.application)
    family = get_refresh_token_model().objects.get(token=token).token_family
    get_refresh_token_model().objects.filter(token=sibling).update(token_family=family)
    client.refused(Reason.REFRESH_TOKEN_UNBOUND, data=refreshing(token), proof_used=True)
    refresh(client, sibling)


@pytest.mark.refuses("B2")
def test_nothing_of_a_family_is_left_when_its_instance_is_relieved_of_it(client: AttestedClient) -> None:
    """Not within the grace period either."""
    used = first_token(client)
    successor = refresh(client, used)
    instances.revoke(client.record())
    for token in (used, successor):
        response = client.post(data=refreshing(token))
        assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert live_tokens() == 0


@pytest.mark.refuses("B2")
def test_a_token_that_is_revoked_while_it_is_being_refreshed_has_no_successor(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was good when the host looked at it, and it is not once the instance is locked."""
    token = first_token(client)
    hold = instances.hold

    def late(instance: Any, **kwargs: Any) -> Any:
        instances.revoke(instance)
        return hold(instance, **kwargs)

    monkeypatch.setattr(instances, "hold", late)
    response = client.post(data=refreshing(token))
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert get_refresh_token_model().objects.count() == 1


@pytest.mark.accepts("B2")
@pytest.mark.refuses("B2")
def test_a_bound_token_needs_its_instance_even_after_the_policy_has_gone(client: AttestedClient) -> None:
    """Whoever copied it from the phone has no use for it, whatever becomes of the client."""
    token = first_token(client)
    AttestationPolicy.objects.all().delete()
    secret = {"client_id": "app", "client_secret": "secret"}
    concealed(
        Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, lambda it: post_form(Client(), TOKEN, refreshing(it, **secret)), token
    )
    AttestationPolicy.objects.create(application=client.application)
    refresh(client, token)


@pytest.mark.parametrize(
    ("client_type", "credentials"), [("confidential", {"client_secret": "secret"}), ("public", {})]
)
@pytest.mark.refuses("B1")
def test_a_client_that_is_not_attested_cannot_use_the_token_of_one(
    client: AttestedClient, client_type: str, credentials: dict[str, str]
) -> None:
    """Nor tell it from none, and it revokes nothing, even if the token has been used."""
    create_application("free", authorization_grant_type="authorization-code", client_type=client_type)
    parameters = {"client_id": "free", **credentials}

    def send(token: str) -> Any:
        return post_form(Client(), TOKEN, refreshing(token, **parameters))

    used = first_token(client)
    token = refresh(client, used)
    for presented in {used, token}:
        answer = concealed(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, send, presented)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})
    refresh(client, token)


def test_clients_that_are_not_attested_refresh_as_ever(site: dict[str, Any]) -> None:
    alice().save(using=database())
    client = AttestedClient(application=DOOR["authorization_code"].create_application("free"))
    secret = {"client_id": "free", "client_secret": "secret"}
    code = {**DOOR["authorization_code"].prepare(client.application), **secret}
    token = client.post(data=code, headers={}).json()["refresh_token"]
    response = client.post(data=refreshing(token, **secret), headers={})
    assert response.status_code == 200, response.content
    assert not RefreshTokenBinding.objects.exists()
    assert not AccessTokenBinding.objects.exists()


def test_cleartokens_takes_the_bindings_along(client: AttestedClient) -> None:
    token = first_token(client)
    refresh(client, token)
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=2))
    with provider(REFRESH_TOKEN_EXPIRE_SECONDS=3600, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=0):
        get_refresh_token_model().objects.exclude(revoked=None).update(revoked=timezone.now() - timedelta(days=2))
        call_command("cleartokens")
    assert not get_refresh_token_model().objects.exists()
    assert not RefreshTokenBinding.objects.exists()
    assert not AccessTokenBinding.objects.exists()


@pytest.mark.parametrize(
    "name", ["attestation_jkt", "instance", "evidence", "policy", "thumbprint", "refresh_token_instance", "_instance"]
)
@pytest.mark.refuses("B1")
def test_no_parameter_passes_for_the_instance(name: str) -> None:
    client = register()
    token = first_token(client)
    for value in (client.instance.thumbprint, str(client.record().pk), "1"):
        data = refreshing(token, **{name: value})
        client.another().refused(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, data=data, proof_used=True)
    client.accepted(data=refreshing(token, **{name: "1"}))


@pytest.mark.slow
@pytest.mark.timeout(900)  # a whole module, on a slow machine
@pytest.mark.skipif("tokens" in connections, reason="this is the other run")
def test_all_of_this_with_the_tokens_in_another_database() -> None:
    """In a process of its own, since databases are made once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:xdist",
            "--ds",
            "tests.two_databases",
            "-k",
            "not atomic",
            __file__,
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed, 1 skipped", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 100
