"""Codes and tokens under way: what another process does between two steps of one request.

With processes of their own: tests/e2e/test_par_race.py and tests/e2e/test_bindings_race.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

from oauth_client_attestation import bindings, instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from tests.kit import (
    CHALLENGE_FIELD,
    DOORS,
    TOKEN,
    AttestedClient,
    create_application,
    create_code,
    create_refresh_token,
    holder,
    post_form,
)
from tests.shell.concealment import concealed
from tests.shell.par import redemption

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}


@pytest.fixture
def client() -> AttestedClient:
    """An attested client with the authorization code grant."""
    return DOOR["authorization_code"].register()


def bound_code(client: AttestedClient) -> str:
    """Issue a code whose authorization request was pushed by the client's instance."""
    code = create_code(client.application)
    instance = holder(client.application)
    assert instance
    bindings.bind_authorization_code(get_grant_model().objects.get(code=code), instance)
    return code


def live_families() -> int:
    """Count the authorizations of which a live refresh token is left."""
    live = get_refresh_token_model().objects.filter(revoked=None)
    return int(live.values("token_family").distinct().count())


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any], *, after: bool = False) -> None:
    """Let somebody act once, right before the tokens of the next request are stored or right after."""
    save = AttestationOAuth2Validator.save_bearer_token

    def interleaved(self: Any, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(AttestationOAuth2Validator, "save_bearer_token", save)
        if not after:
            act()
        saved = save(self, *args, **kwargs)
        if after:
            act()
        return saved

    monkeypatch.setattr(AttestationOAuth2Validator, "save_bearer_token", interleaved)


@pytest.mark.parametrize("kind", ["attested", "attested, bound", "confidential", "public"])
def test_of_two_redemptions_one_yields_tokens_and_the_other_leaves_none(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The other one found the code good before the first one was done."""
    client = AttestedClient()
    parameters: dict[str, str] = {}
    if kind.startswith("attested"):
        client = DOOR["authorization_code"].register()
        code = bound_code(client) if kind.endswith("bound") else create_code(client.application)
    else:
        code = create_code(DOOR["authorization_code"].create_application("free", client_type=kind))
        parameters = {"client_id": "free"} | ({"client_secret": "secret"} if kind == "confidential" else {})

    def redeem() -> Any:
        headers = client.headers() if client.application else {}
        return post_form(Client(), TOKEN, {**redemption(code), **parameters}, headers=headers)

    first: list[Any] = []
    meanwhile(monkeypatch, lambda: first.append(redeem()))
    second = redeem()
    assert first[0].status_code == 200, first[0].content
    assert (second.status_code, second.json()) == (400, {"error": "invalid_grant"})
    assert live_families() == 1
    assert get_access_token_model().objects.count() == 1
    assert not get_grant_model().objects.exists()
    third = redeem()
    assert (third.status_code, third.json()) == (400, {"error": "invalid_grant"})


def test_a_code_that_is_revoked_while_it_is_being_redeemed_yields_nothing(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = bound_code(client)
    meanwhile(monkeypatch, lambda: instances.revoke(client.record()))
    response = client.post(data=redemption(code))
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert live_families() == 0
    assert not get_access_token_model().objects.exists()


@pytest.mark.refuses("E7")
@pytest.mark.parametrize("shut_out", ["block", "revoke"])
@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials", "password"])
def test_tokens_that_are_revoked_before_the_response_is_made_are_no_server_error(
    monkeypatch: pytest.MonkeyPatch, grant: str, shut_out: str
) -> None:
    """The host looks for the access token once more, after the lock on the instance is gone."""
    client = DOOR[grant].register()
    parameters = DOOR[grant].prepare(client.application)

    def act() -> None:
        if shut_out == "block":
            instances.block(client.application.pk, client.instance.thumbprint)
        else:
            instances.revoke(client.record())

    meanwhile(monkeypatch, act, after=True)
    response = client.post(data=parameters)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert response.headers["Content-Type"] == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers[CHALLENGE_FIELD]
    assert live_families() == 0
    assert not get_access_token_model().objects.exists()


def test_an_error_of_the_same_kind_elsewhere_is_not_ours_to_answer(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a client that is not attested, and outside the token endpoint."""
    free = DOOR["authorization_code"].create_application("free")
    token = create_refresh_token(free)
    meanwhile(monkeypatch, get_access_token_model().objects.all().delete, after=True)
    secret = {"client_id": "free", "client_secret": "secret"}
    data = {"grant_type": "refresh_token", "refresh_token": token, **secret}
    with pytest.raises(get_access_token_model().DoesNotExist):
        client.post(data=data, headers={})


@pytest.mark.parametrize("client_type", ["confidential", "public"])
@pytest.mark.refuses("B3")
def test_who_is_not_attested_cannot_tell_a_bound_code_from_none(client: AttestedClient, client_type: str) -> None:
    create_application("free", authorization_grant_type="authorization-code", client_type=client_type)
    credentials = {"client_id": "free"} | ({"client_secret": "secret"} if client_type == "confidential" else {})
    code = bound_code(client)

    def redeem(presented: str) -> Any:
        return post_form(Client(), TOKEN, {**redemption(presented), **credentials})

    answer = concealed(Reason.CODE_OF_ANOTHER_INSTANCE, redeem, code)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})
    client.accepted(data=redemption(code))
