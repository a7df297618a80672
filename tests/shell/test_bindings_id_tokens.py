"""ID tokens: the host takes them for access tokens, so a lost phone must lose them too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import IdTokenBinding
from tests.kit import (
    DOORS,
    INTROSPECT,
    AttestedClient,
    create_access_token,
    create_code,
    holder,
    post_form,
    provider,
)
from tests.shell.par import redemption

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}
SCOPE = "openid read introspection"
SIGNING_KEY = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
WAYS = pytest.mark.parametrize("shut_out", ["block", "revoke"])


@pytest.fixture(autouse=True, params=[True, False], ids=["rotation", "no rotation"])
def site(request: pytest.FixtureRequest) -> Iterator[None]:
    """A site with OpenID Connect."""
    scopes = {"openid": "Sign in", "read": "Read", "introspection": "Introspect"}
    rotation = {"ROTATE_REFRESH_TOKEN": request.param}
    with provider(OIDC_ENABLED=True, OIDC_RSA_PRIVATE_KEY=SIGNING_KEY, SCOPES=scopes, **rotation):
        yield


@pytest.fixture
def client() -> AttestedClient:
    """An attested client that may be given ID tokens."""
    return DOOR["authorization_code"].register(algorithm="RS256")


def tokens_of(client: AttestedClient) -> dict[str, str]:
    """Redeem a code that was asked for with ``openid``."""
    code = create_code(client.application)
    get_grant_model().objects.filter(code=code).update(scope=SCOPE)
    tokens: dict[str, str] = client.accepted(data=redemption(code)).json()
    return tokens


def refreshed(client: AttestedClient, tokens: dict[str, str]) -> dict[str, str]:
    data = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    tokens = client.accepted(data=data).json()
    return tokens


def opens(token: str) -> tuple[int, int]:
    """Return what an API and the introspection endpoint answer a bearer of this token."""
    bearer = {"Authorization": f"Bearer {token}"}
    about = {"token": create_access_token(None)}
    return (
        Client().get("/api/hello", headers=bearer).status_code,
        post_form(Client(), INTROSPECT, about, headers=bearer).status_code,
    )


def shut(client: AttestedClient, way: str) -> int:
    if way == "revoke":
        return instances.revoke(client.record())
    return instances.block(client.application.pk, client.instance.thumbprint)


@WAYS
def test_what_an_instance_loses(client: AttestedClient, shut_out: str) -> None:
    other = client.another()
    tokens, of_another = tokens_of(client), tokens_of(other)
    assert opens(tokens["id_token"]) == (200, 200)
    assert shut(client, shut_out) == 2  # the refresh token with its access token, and the ID token
    assert opens(tokens["id_token"]) == opens(tokens["access_token"])
    assert {status // 100 for status in opens(tokens["id_token"])} == {4}
    assert opens(of_another["id_token"]) == (200, 200)
    assert [binding.instance for binding in IdTokenBinding.objects.all()] == [other.record()]


@WAYS
def test_those_from_before_a_refresh_are_lost_as_well(client: AttestedClient, shut_out: str) -> None:
    first = tokens_of(client)
    second = refreshed(client, first)
    given = [first["id_token"], second["id_token"]]
    assert [opens(token) for token in given] == [(200, 200)] * 2
    assert IdTokenBinding.objects.filter(instance=client.record()).count() == 2
    shut(client, shut_out)
    assert not get_id_token_model().objects.exists()
    assert [opens(token) for token in given] == [opens(first["access_token"])] * 2


def test_an_instance_that_is_blocked_before_its_id_token_is_stored_is_given_none(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = create_code(client.application)
    get_grant_model().objects.filter(code=code).update(scope=SCOPE)
    holder(client.application)
    hold = instances.hold

    def late(instance: Any, **kwargs: Any) -> Any:
        instances.block(client.application.pk, client.instance.thumbprint)
        return hold(instance, **kwargs)

    monkeypatch.setattr(instances, "hold", late)
    client.refused(Reason.INSTANCE_BLOCKED, data=redemption(code), proof_used=True)
    assert not get_id_token_model().objects.exists()


def test_an_id_token_of_a_client_that_is_not_attested_is_bound_to_nobody() -> None:
    free = DOOR["authorization_code"].create_application("free", algorithm="RS256")
    code = create_code(free)
    get_grant_model().objects.filter(code=code).update(scope=SCOPE)
    data = {**redemption(code), "client_id": "free", "client_secret": "secret"}
    response = AttestedClient().post(data=data, headers={})
    assert response.json()["id_token"]
    assert get_id_token_model().objects.count() == get_access_token_model().objects.count() == 1
    assert not IdTokenBinding.objects.exists()
