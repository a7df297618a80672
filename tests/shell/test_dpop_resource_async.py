"""The same places under ASGI, where the whole stack is async and views are not, or are."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient
from django.urls import path

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.testing import ClientInstance
from tests.kit import AttestedClient, create_access_token, table
from tests.shell.resources import PLACES, Place, bearer_token, bound_token, reasons, running, visits

pytestmark = pytest.mark.django_db

#: What the test client calls the site, under ASGI too.
SITE = "http://testserver"


def send(place: Place, fields: dict[str, str]) -> Any:
    """Send a request through the ASGI handler."""
    http = AsyncClient()
    if place.introspects:
        data = {"token": create_access_token(None)}
        return async_to_sync(http.post)(place.path, data, headers=fields)
    return async_to_sync(http.get)(place.path, headers=fields)


def proven(client: AttestedClient, place: Place, token: str, instance: ClientInstance | None = None) -> dict[str, str]:
    method = "POST" if place.introspects else "GET"
    by = client.another()
    by.instance = instance or client.instance
    proof = by.dpop(uri=SITE + place.path, method=method, access_token=token)
    return {"Authorization": f"DPoP {token}", "DPoP": proof}


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_every_place(place: Place, attested: AttestedClient) -> None:
    server = "oauthlib.openid" if place.openid else "oauthlib.oauth2"
    with running(place, server), visits() as visited:
        assert send(place, {"Authorization": f"Bearer {bearer_token(attested)}"}).status_code == 200
        token = bound_token(attested)
        fields = proven(attested, place, token)
        accepted = send(place, fields)
        assert accepted.status_code == 200
        assert accepted.headers["DPoP-Nonce"]
        assert len(visited) == 2
        assert UsedProof.objects.count() == 1
        for reason, refused in {
            Reason.DPOP_REPLAYED: fields,
            Reason.ACCESS_TOKEN_OF_ANOTHER_KEY: proven(attested, place, token, ClientInstance()),
            Reason.ACCESS_TOKEN_AS_BEARER: {"Authorization": f"Bearer {token}"},
            Reason.DPOP_REQUIRED: {"Authorization": f"DPoP {token}"},
            Reason.ACCESS_TOKEN_NOT_BOUND: proven(attested, place, bearer_token(attested)),
        }.items():
            with reasons() as noted:
                response = send(place, refused)
            assert noted == [reason]
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"].startswith('DPoP error="')
        assert len(visited) == 2
        assert UsedProof.objects.count() == 1


def test_two_proofs_are_none(attested: AttestedClient) -> None:
    """An ASGI server hands over each occurrence of a field."""
    place = PLACES[0]
    token = bound_token(attested)
    proofs = [proven(attested, place, token)["DPoP"] for _ in range(2)]
    headers = [
        (b"host", b"testserver"),
        (b"authorization", f"DPoP {token}".encode()),
        *((b"dpop", proof.encode()) for proof in proofs),
    ]
    with running(place), reasons() as noted:
        request = async_to_sync(AsyncClient().request)
        response = request(method="GET", path=place.path, query_string="", headers=headers)
    assert (response.status_code, noted) == (401, [Reason.DPOP_FIELD_REPEATED])


async def who(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return JsonResponse({"hello": user.get_username()})


urlpatterns = [path("who", who)]


@table("behind", {"behind AuthenticationMiddleware": True, "before it": False})
def test_an_async_view_is_told_of_the_user(behind: bool, attested: AttestedClient, settings: Any) -> None:
    ours, host = (
        "oauth_client_attestation.resource.middleware.OAuth2TokenMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    )
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [
        name
        for one in settings.MIDDLEWARE
        for name in ([one] if one != host else [host, ours] if behind else [ours, host])
    ]
    place = Place("who", "/who")
    response = send(place, proven(attested, place, bound_token(attested)))
    assert response.json() == {"hello": "alice"}
