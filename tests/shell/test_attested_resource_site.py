"""Attestations at resources of a whole site: async, transactions, rules of its own, and views that ask twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.views.generic import View
from oauth2_provider.views import ProtectedResourceView, ReadWriteScopedResourceView, ScopedProtectedResourceView
from rest_framework.views import APIView

from oauth_client_attestation import middleware
from oauth_client_attestation.challenges import fresh_resource_challenge
from oauth_client_attestation.contrib.rest_framework.authentication import OAuth2Authentication
from oauth_client_attestation.contrib.rest_framework.permissions import HasClientAttestation
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, UsedProof
from oauth_client_attestation.resource.attestation import attestation_of
from oauth_client_attestation.resource.decorators import protected_resource
from oauth_client_attestation.resource.views import ClientAttestationMixin, client_attestation
from oauth_client_attestation.trust import fetching
from tests.key_server import KeyServer, allow
from tests.kit import CHALLENGE_FIELD, ISSUER, AttestedClient, configure, create_access_token, provider, stored, table
from tests.shell import site_rules
from tests.shell.attested import (
    API,
    ASGI_SITE,
    GUARDED,
    Call,
    Endpoint,
    bound_token,
    instance_token,
    visits,
)
from tests.shell.resources import reasons

RULES = "tests.shell.site_rules."
NORMAL = [endpoint for endpoint in GUARDED if "attestation_pop_jwt" in endpoint.methods]
every_endpoint = pytest.mark.parametrize("endpoint", GUARDED, ids=str)
every_normal_endpoint = pytest.mark.parametrize("endpoint", NORMAL, ids=str)


@pytest.fixture(autouse=True)
def resource(settings: Any) -> Iterator[None]:
    configure(settings, RESOURCE=API)
    with provider():
        yield


def good(client: AttestedClient, endpoint: Endpoint, *, site: str = ISSUER) -> Call:
    """Return a request that an endpoint accepts, whichever proof it wants."""
    call = Call(client, endpoint, site=site)
    if endpoint in NORMAL:
        return call.bearing(instance_token(client)).attested()
    return call.combined(bound_token(client))


# ASGI


@every_endpoint
@pytest.mark.django_db
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_under_asgi(endpoint: Endpoint, attested: AttestedClient) -> None:
    call = good(attested, endpoint, site=ASGI_SITE)
    with visits() as visited, reasons() as noted:
        accepted = call.send_async()
        assert (accepted.status_code, visited, noted) == (200, ["Acme"], [])
        refused = call.send_async()
    replayed = Reason.POP_REPLAYED if endpoint in NORMAL else Reason.DPOP_REPLAYED
    assert (refused.status_code, visited, noted) == (401, ["Acme"], [replayed])
    assert CHALLENGE_FIELD in accepted.headers
    assert CHALLENGE_FIELD in refused.headers


@every_normal_endpoint
@table(
    "repeated, reason",
    {
        "two attestations": ("OAuth-Client-Attestation", Reason.ATTESTATION_FIELD_REPEATED),
        "two proofs": ("OAuth-Client-Attestation-PoP", Reason.POP_FIELD_REPEATED),
    },
)
@pytest.mark.django_db
@pytest.mark.refuses("H2")
def test_fields_that_an_asgi_server_hands_over_apart(
    endpoint: Endpoint, repeated: str, reason: Reason, attested: AttestedClient
) -> None:
    fields = good(attested, endpoint).headers
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    headers += [(b"host", b"testserver"), (repeated.lower().encode(), fields[repeated].encode())]
    before = stored()
    with visits() as visited, reasons() as noted:
        request = async_to_sync(AsyncClient().request)
        response = request(method="GET", path=endpoint.path, query_string="", headers=headers)
    assert (response.status_code, visited, noted) == (401, [], [reason])
    assert stored() == before


# Transactions


@pytest.fixture
def in_transaction(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a transaction was open, at each fetch."""
    seen: list[bool] = []
    fetch = fetching.fetch_jwk_set

    def noted(*args: Any, **kwargs: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return fetch(*args, **kwargs)

    monkeypatch.setattr("oauth_client_attestation.trust.refresh.fetch_jwk_set", noted)
    return seen


@pytest.fixture
def key_server(settings: Any) -> Iterator[tuple[AttestedClient, KeyServer]]:
    """A client whose attester publishes its keys, and the server where it does."""
    client = AttestedClient()
    with KeyServer(client.backend) as server:
        allow(settings, server)
        yield client, server


@table("atomic", {"with ATOMIC_REQUESTS": True, "without": False})
@pytest.mark.parametrize("endpoint", [one for one in GUARDED if "async" not in one.path], ids=str)
@pytest.mark.django_db(transaction=True)
@pytest.mark.accepts("T2")
def test_keys_are_fetched_before_the_transaction_begins(
    endpoint: Endpoint,
    atomic: bool,
    key_server: tuple[AttestedClient, KeyServer],
    in_transaction: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    client, server = key_server
    client.register()
    client.attester.keys.all().delete()
    Attester.objects.update(jwks_uri=server.url())
    call = good(client, endpoint)
    with visits() as visited:
        response = call.send()
    assert (response.status_code, visited) == (200, ["Acme"])
    assert in_transaction == [False]
    assert UsedProof.objects.count() == 1
    with reasons() as noted:
        assert call.send().status_code == 401
    assert noted == [Reason.POP_REPLAYED if endpoint in NORMAL else Reason.DPOP_REPLAYED]
    assert UsedProof.objects.count() == 1


# The site's own rule


@every_endpoint
@table(
    "rule, reason, status",
    {
        "that agrees": ("agree", None, 200),
        "that refuses": ("refuse", Reason.SITE_RULE, 401),
        "that fails": ("fail", Reason.SITE_RULE_FAILED, 503),
    },
)
@pytest.mark.django_db
def test_the_rule_of_the_site(
    endpoint: Endpoint, rule: str, reason: Reason | None, status: int, attested: AttestedClient, settings: Any
) -> None:
    configure(settings, SITE_RULE=RULES + rule)
    site_rules.calls.clear()
    call = good(attested, endpoint)
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (response.status_code, noted) == (status, [reason] if reason else [])
    assert visited == (["Acme"] if reason is None else [])
    assert [facts["application"] for facts in site_rules.calls] == [attested.application]
    assert site_rules.calls[0]["evidence"].attestation.thumbprint == attested.instance.thumbprint
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


# CORS


@every_endpoint
@pytest.mark.django_db
@pytest.mark.accepts("C6")
def test_scripts_of_other_origins_can_read_what_is_for_them(endpoint: Endpoint, attested: AttestedClient) -> None:
    call = good(attested, endpoint)
    exposed = {"OAuth-Client-Attestation-Challenge", *(["DPoP-Nonce"] if endpoint not in NORMAL else [])}
    for more in (set(), {"WWW-Authenticate"}):  # the second time it is refused
        listed = call.send(Origin="https://app.example").headers["Access-Control-Expose-Headers"]
        assert set(listed.split(", ")) == exposed | more


@pytest.mark.django_db
def test_a_preflight_request_carries_no_attestation(attested: AttestedClient) -> None:
    assert Client(HTTP_HOST="127.0.0.1:8000").options("/api/view/attested").status_code == 200


# Whose token, whose attestation


@every_normal_endpoint
@table("token", {"no token": {}, "a token that never was": {"Authorization": "Bearer unknown"}})
@pytest.mark.django_db
@pytest.mark.refuses("P8")
def test_a_proof_is_not_used_up_by_a_request_without_a_good_token(
    endpoint: Endpoint, token: dict[str, str], attested: AttestedClient
) -> None:
    call = good(attested, endpoint)
    good_token = {"Authorization": call.headers.pop("Authorization")}
    before = stored()
    with visits() as visited, reasons() as noted:
        assert call.send(**token).status_code in (401, 403)
    assert (visited, noted) == ([], [])
    assert stored() == before
    assert call.send(**good_token).status_code == 200


@every_normal_endpoint
@pytest.mark.django_db
@pytest.mark.refuses("S1", "A4")
def test_a_token_of_nobody_in_particular(endpoint: Endpoint, attested: AttestedClient) -> None:
    call = Call(attested, endpoint).bearing(create_access_token(None)).attested()
    before = stored()
    with visits() as visited, reasons() as noted:
        assert call.send().status_code == 401
    assert (visited, noted) == ([], [Reason.CLIENT_UNKNOWN])
    assert stored() == before


@every_normal_endpoint
@pytest.mark.django_db
@pytest.mark.accepts("S1")
def test_a_client_that_authenticates_otherwise_at_the_authorization_server(
    endpoint: Endpoint, attested: AttestedClient
) -> None:
    AttestationPolicy.objects.all().delete()
    with visits() as visited:
        assert good(attested, endpoint).send().status_code == 200
    assert visited == ["Acme"]


@every_normal_endpoint
@table(
    "policy, pop, reason",
    {
        "a challenge that is optional": ({"challenge": "optional"}, {"challenge": None}, None),
        "an older revision, of which there are to be none": (
            {"oldest_revision": 12},
            {"claims": {"challenge": None, "nonce": "…"}},
            Reason.CHALLENGE_MISSING,
        ),
    },
)
@pytest.mark.django_db
def test_what_the_policy_of_the_application_says(
    endpoint: Endpoint,
    policy: dict[str, Any],
    pop: dict[str, Any],
    reason: Reason | None,
    attested: AttestedClient,
) -> None:
    AttestationPolicy.objects.update(**policy)
    if "claims" in pop:
        pop = {"challenge": None, "claims": {"nonce": fresh_resource_challenge()}}
    call = Call(attested, endpoint).bearing().attested(**pop)
    with reasons() as noted:
        response = call.send()
    assert (response.status_code, noted) == ((200, []) if reason is None else (401, [reason]))


@pytest.mark.parametrize("endpoint", [one for one in NORMAL if one.resource == API], ids=str)
@pytest.mark.django_db
@pytest.mark.refuses("P4", "E4")
def test_a_resource_without_an_identifier(
    endpoint: Endpoint, attested: AttestedClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware.checks, "configuration_errors", list)  # with which it would not start
    configure(settings, RESOURCE=None, ISSUER=None)
    call = Call(attested, endpoint).bearing().attested()
    with provider(OIDC_ISS_ENDPOINT=""), visits() as visited, reasons() as noted:
        assert call.send().status_code == 401
    assert (visited, noted) == ([], [Reason.RESOURCE_NOT_CONFIGURED])


@every_normal_endpoint
@pytest.mark.django_db
@pytest.mark.refuses("E7")
def test_a_database_that_does_not_answer(
    endpoint: Endpoint, attested: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("gone away")

    call = good(attested, endpoint)
    monkeypatch.setattr("oauth_client_attestation.presented.trusted_keys", fail)
    before = stored()
    with visits() as visited, reasons() as noted:
        response = call.send()
    assert (response.status_code, visited, noted) == (503, [], [Reason.DATABASE_UNAVAILABLE])
    assert "WWW-Authenticate" not in response.headers
    assert stored() == before


# Views that ask in another order, or more than once


def answer(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def asks_twice(request: HttpRequest) -> HttpResponse:
    once = attestation_of(request, resource=API)
    assert attestation_of(request, resource=API, required=False) is once
    return answer(request)


def asks_for_combined_mode_later(request: HttpRequest) -> HttpResponse:
    attestation_of(request, resource=API)
    attestation_of(request, resource=API, methods=["dpop_combined"])
    return answer(request)


def asks_for_two_resources(request: HttpRequest) -> HttpResponse:
    attestation_of(request, resource=API)
    attestation_of(request, resource=f"{ISSUER}/elsewhere")
    return answer(request)


class PermissionThenToken(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [HasClientAttestation]

    def get(self, request: Any) -> HttpResponse:
        return answer(request)


urlpatterns = [
    path("the-wrong-way-round", client_attestation(resource=API)(protected_resource(["read"])(answer))),
    path("twice", protected_resource(["read"])(asks_twice)),
    path("combined-later", protected_resource(["read"])(asks_for_combined_mode_later)),
    path("two-resources", protected_resource(["read"])(asks_for_two_resources)),
    path("permission-alone", PermissionThenToken.as_view()),
]


@pytest.fixture
def own_views(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def at(client: AttestedClient, place: str) -> Call:
    return Call(client, Endpoint(place, place))


def another_instance(client: AttestedClient) -> AttestedClient:
    return client.another()


def another_client(client: AttestedClient) -> AttestedClient:
    return AttestedClient(client_id="other").register(attester={"name": "Other"})


@table(
    "whose, reason",
    {
        "the client's own": (None, None),
        "another instance's": (another_instance, Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE),
        "another client's": (another_client, Reason.CLIENT_MISMATCH),
    },
)
@table("combined", {"in normal mode": False, "in combined mode": True})
@pytest.mark.django_db
@pytest.mark.refuses("S1", "A4")
def test_a_token_that_is_looked_at_last(
    combined: bool,
    whose: Callable[[AttestedClient], AttestedClient] | None,
    reason: Reason | None,
    attested: AttestedClient,
    own_views: None,
) -> None:
    """Decorators in the wrong order leave no gap: token and attestation are compared whichever comes first."""
    holder = attested if whose is None else whose(attested)
    call = at(attested, "/the-wrong-way-round")
    if combined:
        call.combined(bound_token(holder, key=attested.instance.thumbprint))
    else:
        call.bearing(instance_token(holder)).attested()
    with reasons() as noted:
        response = call.send()
    assert (response.status_code, noted) == ((200, []) if reason is None else (401, [reason]))


@table("place", {"one that asks again": "/twice", "one that has no permission but this": "/permission-alone"})
@table("combined", {"in normal mode": False, "in combined mode": True})
@pytest.mark.django_db
def test_a_proof_is_used_up_once_in_a_request(
    place: str, combined: bool, attested: AttestedClient, own_views: None
) -> None:
    call = at(attested, place)
    call = call.combined(bound_token(attested)) if combined else call.bearing().attested()
    assert call.send().status_code == 200
    assert UsedProof.objects.count() == 1
    assert call.send().status_code == 401


@pytest.mark.django_db
def test_the_permission_alone_compares_the_token_too(attested: AttestedClient, own_views: None) -> None:
    call = at(attested, "/permission-alone").bearing(instance_token(another_client(attested))).attested()
    with reasons() as noted:
        assert call.send().status_code == 401
    assert noted == [Reason.CLIENT_MISMATCH]


@pytest.mark.django_db
@pytest.mark.refuses("S1")
def test_whoever_asks_for_combined_mode_is_not_given_what_another_was_content_with(
    attested: AttestedClient, own_views: None
) -> None:
    with reasons() as noted:
        response = at(attested, "/combined-later").bearing().attested().send()
    assert (response.status_code, noted) == (401, [Reason.METHOD_NOT_ALLOWED])
    assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_client_attestation"')
    assert at(attested, "/combined-later").combined(bound_token(attested)).send().status_code == 200


@pytest.mark.django_db
@pytest.mark.refuses("P4")
def test_a_proof_for_one_resource_is_none_for_the_next(attested: AttestedClient, own_views: None) -> None:
    call = at(attested, "/two-resources").bearing().attested()
    with reasons() as noted:
        assert call.send().status_code == 401
    assert noted == [Reason.POP_AUD]


# Classes


@pytest.mark.parametrize(
    "base", [ProtectedResourceView, ScopedProtectedResourceView, ReadWriteScopedResourceView], ids=lambda c: c.__name__
)
@pytest.mark.django_db
@pytest.mark.refuses("S1")
def test_the_mixin_behind_any_view_of_the_host(base: Any, attested: AttestedClient, settings: Any) -> None:
    view = type(
        "Own", (base, ClientAttestationMixin), {"required_scopes": ["read"], "get": lambda _, request: answer(request)}
    )
    urls = type("Urls", (), {"urlpatterns": [path("own", view.as_view())]})
    settings.ROOT_URLCONF = urls
    with reasons() as noted:
        assert at(attested, "/own").bearing().send().status_code == 401
    assert noted == [Reason.ATTESTATION_REQUIRED]
    assert at(attested, "/own").bearing().attested().send().status_code == 200


@table(
    "bases, words",
    {
        "before the token": ((ClientAttestationMixin, ProtectedResourceView), "behind ProtectedResourceMixin"),
        "before REST framework": ((ClientAttestationMixin, APIView), "HasClientAttestation"),
        "behind REST framework": ((APIView, ClientAttestationMixin), "HasClientAttestation"),
    },
)
@pytest.mark.refuses("S1")
def test_a_class_that_would_not_ask_for_both_cannot_be_made(bases: tuple[type, ...], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        type("Own", bases, {})


def test_the_mixin_is_asked_in_a_view_without_a_token_too() -> None:
    order = type("Own", (ClientAttestationMixin,), {}).__mro__
    assert order.index(ClientAttestationMixin) < order.index(View)
