"""What an adversary tried with attestations that come along with something else (rules S1, S2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.generic import View
from oauth2_provider.views.mixins import ClientProtectedResourceMixin

from oauth_client_attestation.challenges import fresh_resource_challenge
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.resource.attestation import attestation_of
from oauth_client_attestation.resource.decorators import protected_resource
from oauth_client_attestation.resource.views import ClientAttestationMixin, client_attestation
from oauth_client_attestation.signals import client_attestation_refused
from oauth_client_attestation.testing import AttesterBackend
from tests.kit import AttestedClient, configure, create_access_token
from tests.shell.test_documents import Published, Site, site  # noqa: F401  (a fixture is found by name)

pytestmark = pytest.mark.django_db


class Async(ClientAttestationMixin, View):
    async def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"hello": request.client_attestation.attestation.client_id})


@client_attestation()
@protected_resource(["read"])
def outside(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"hello": "anybody"})


def again(request: HttpRequest) -> HttpResponse:
    for _ in range(3):
        with suppress(ClientAttestationError):
            attestation_of(request)
    return HttpResponse(status=401)


urlpatterns = [
    path("again", again),
    path("async", Async.as_view()),
    path("outside", outside),
    path("", include("testproject.urls")),
]


@pytest.mark.refuses("S1", "H5", "K1")
@pytest.mark.parametrize("use", ["optional", "required"])
def test_nothing_is_fetched_for_an_unknown_client_that_sends_a_bad_attestation(
    site: Site,  # noqa: F811  (a fixture)
    settings: Any,
    use: str,
) -> None:
    configure(settings, ATTESTATION_SIGNAL=use)
    stranger = AttesterBackend(key_id=site.client.backend.key_id)
    headers = site.client.headers(stranger.attest(site.client.instance, site.client.client_id))
    parameters = {"client_id": site.client.client_id}
    response = site.client.post("/o/par/", parameters, headers=headers)
    assert response.status_code == 400
    assert not Published.fetched


@pytest.mark.accepts("K1")
@pytest.mark.parametrize("use", ["optional", "required"])
def test_an_attested_client_is_known_at_first_sight_whatever_others_signal(
    site: Site,  # noqa: F811  (a fixture)
    settings: Any,
    use: str,
) -> None:
    configure(settings, ATTESTATION_SIGNAL=use)
    site.pushed()


@pytest.mark.urls(__name__)
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_an_async_view_with_the_mixin(attested: AttestedClient) -> None:
    response = attested.http.get("/async")
    assert response.status_code == 401
    headers = attested.headers(pop=attested.pop(challenge=fresh_resource_challenge()))
    assert attested.http.get("/async", headers=headers).json() == {"hello": "app"}


@pytest.mark.urls(__name__)
@pytest.mark.refuses("D3", "S2")
def test_a_combined_proof_counts_for_no_token_that_it_was_not_compared_with(attested: AttestedClient) -> None:
    """The attestation is asked for first, which is the wrong order."""
    bearer = create_access_token(attested.application)
    bound = attested.accepted(headers=attested.combined()).json()["access_token"]
    for token, scheme, proven, status in (
        (bearer, "Bearer", None, 401),
        (bearer, "Bearer", bearer, 401),
        (bound, "DPoP", None, 401),
        (bound, "DPoP", bound, 200),
    ):
        headers = attested.combined("/outside", method="GET", access_token=proven)
        response = attested.http.get("/outside", headers={**headers, "Authorization": f"{scheme} {token}"})
        assert response.status_code == status, (scheme, proven)


def test_a_view_that_authenticates_clients_has_no_use_for_the_mixin() -> None:
    with pytest.raises(ImproperlyConfigured, match="authenticates clients"):
        type("Wrong", (ClientProtectedResourceMixin, ClientAttestationMixin), {})


@pytest.mark.refuses("C3", "C5")
def test_a_door_gives_its_own_challenge_though_middleware_has_looked_for_a_token(
    attested: AttestedClient, settings: Any
) -> None:
    ours = "oauth_client_attestation.resource.middleware.OAuth2TokenMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, ours]
    stray = {"Authorization": "Bearer stray"}
    data = {"grant_type": "client_credentials"}
    response = attested.post(data=data, headers={**attested.headers(pop=attested.pop(challenge=None)), **stray})
    assert response.json()["error"] == "use_attestation_challenge"
    pop = attested.pop(challenge=response.headers["OAuth-Client-Attestation-Challenge"])
    assert attested.post(data=data, headers={**attested.headers(pop=pop), **stray}).status_code == 200


@pytest.mark.urls(__name__)
@pytest.mark.refuses("E6", "S2")
def test_a_refusal_that_is_asked_for_again_in_one_request_is_reported_once(attested: AttestedClient) -> None:
    reasons: list[Reason] = []

    def note(*, reason: Reason, **kwargs: Any) -> None:
        reasons.append(reason)

    client_attestation_refused.connect(note)
    try:
        assert attested.http.get("/again").status_code == 401
    finally:
        client_attestation_refused.disconnect(note)
    assert reasons == [Reason.ATTESTATION_REQUIRED]
