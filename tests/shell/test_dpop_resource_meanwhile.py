"""A bound token that is revoked or replaced while somebody presents it is never taken for a bearer token (D6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError
from oauth2_provider.models import get_access_token_model, get_id_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import IntrospectTokenView

from oauth_client_attestation.models import AccessTokenConfirmation
from tests.kit import INTROSPECT, AttestedClient, configure, provider, table
from tests.shell.resources import SERVERS

pytestmark = pytest.mark.django_db


def revoke() -> None:
    get_access_token_model().objects.all().delete()


def replace() -> None:
    """Do what a refresh without rotation does to the row, for another client of the same token: none is bound now."""
    AccessTokenConfirmation.objects.all().delete()
    get_access_token_model().objects.update(token="another", token_checksum="0" * 64)


def afterwards(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, act: Callable[[], Any]) -> None:
    """Let something happen between the host's look at the token and ours."""
    host = getattr(owner, name)

    def look(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = host(self, *args, **kwargs)
        act()
        return answer

    monkeypatch.setattr(owner, name, look)


@pytest.mark.refuses("D6")
@table("act", {"revoked": revoke, "replaced in place": replace})
@pytest.mark.parametrize("path", ["/api/hello", "/api/view", "/api/decorated"])
def test_a_token_that_goes_meanwhile_is_no_bearer_token(
    attested: AttestedClient, monkeypatch: pytest.MonkeyPatch, path: str, act: Callable[[], None]
) -> None:
    token = attested.accepted(headers=attested.combined()).json()["access_token"]
    afterwards(monkeypatch, OAuth2Validator, "validate_bearer_token", act)
    response = attested.http.get(path, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code in (401, 403)
    assert b"hello" not in response.content


@pytest.mark.refuses("D6")
def test_nor_is_an_id_token(attested: AttestedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    afterwards(monkeypatch, OAuth2Validator, "validate_id_token", lambda: get_id_token_model().objects.all().delete())
    rows = get_id_token_model().objects
    row = rows.create(application=attested.application, scope="openid read", expires="2200-01-01T00:00Z")
    monkeypatch.setattr(OAuth2Validator, "_load_id_token", lambda self, token: row)
    with provider(**SERVERS["oauthlib.openid"], SCOPES={"openid": "…", "read": "…"}):
        response = attested.http.get("/api/view", headers={"Authorization": "Bearer eyJ.eyJ.eyJ"})
    assert response.status_code in (401, 403)


@pytest.mark.refuses("D6", "E7")
@table(
    "token",
    {
        "three parts": "eyJ.a.b",
        "empty parts": "ey..",
        "five parts": "ey....",
        "JSON that is no object": "ey.W10.b",
    },
)
def test_what_looks_like_an_id_token_and_cannot_be_read_is_refused(attested: AttestedClient, token: str) -> None:
    with provider(**SERVERS["oauthlib.openid"]):
        for path in ("/api/view", "/api/hello", INTROSPECT):
            response = attested.http.get(path, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code in (401, 403), path


@pytest.mark.refuses("D6")
@table("act", {"revoked": revoke, "replaced in place": replace})
def test_introspection_says_what_a_token_was_bound_to_though_it_goes_meanwhile(
    attested: AttestedClient, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> None:
    token = attested.accepted(headers=attested.combined()).json()["access_token"]
    afterwards(monkeypatch, IntrospectTokenView, "post", act)
    answer = attested.http.post(INTROSPECT, {"token": token}, headers=attested.combined(INTROSPECT)).json()
    assert answer["active"] is True
    assert answer["cnf"] == {"jkt": attested.instance.thumbprint}
    assert answer["token_type"] == "DPoP"


@pytest.mark.refuses("E7")
def test_a_door_whose_database_fails_says_so_in_json(attested: AttestedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Any, *args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(OAuth2Validator, "validate_bearer_token", down)
    response = attested.http.post(INTROSPECT, {"token": "t"}, headers={"Authorization": "Bearer t"})
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.refuses("D3", "P8")
def test_nonces_at_resources_are_not_off_where_combined_mode_is_on_offer(settings: Any) -> None:
    from oauth_client_attestation.checks import configuration_errors

    configure(settings, RESOURCE_DPOP_NONCE="off")
    (problem,) = configuration_errors()
    assert "RESOURCE_DPOP_NONCE" in problem.msg
    configure(settings, METHODS=["attest_jwt_client_auth"])
    assert not configuration_errors()
