"""Every place that takes an access token, and every way to bring one (rule D6; RFC 9449 section 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from oauth2_provider.models import get_grant_model

from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import UsedProof
from oauth_client_attestation.testing import ClientInstance
from tests.kit import DOORS, SENTENCES, AttestedClient, configure, create_access_token, create_code, stored, table
from tests.shell.par import redemption
from tests.shell.resources import (
    METADATA_URL,
    PLACES,
    SCOPE,
    SERVERS,
    Place,
    bearer_token,
    bound_token,
    reasons,
    running,
    visits,
)

pytestmark = pytest.mark.django_db

ALGORITHMS = 'algs="ES256 ES384 ES512 EdDSA Ed25519"'
#: Each place with each server that it works with.
SITES = [(place, server) for server in SERVERS for place in PLACES if not place.openid or server == "oauthlib.openid"]
every_site = pytest.mark.parametrize(("place", "server"), SITES, ids=str)


@dataclass
class Visit:
    """One request to a place; ``send`` may be called again."""

    client: AttestedClient
    place: Place
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def bearing(self, token: str) -> Visit:
        """Present a token as a bearer token."""
        self.headers["Authorization"] = f"Bearer {token}"
        return self

    def under_dpop(self, token: str) -> Visit:
        """Present a token under the DPoP scheme, without a proof."""
        self.headers["Authorization"] = f"DPoP {token}"
        return self

    def proving(self, token: str, instance: ClientInstance | None = None, **changes: Any) -> Visit:
        """Present a token with a proof, or one with something changed."""
        client = self.client.another() if instance else self.client
        client.instance = instance or client.instance
        path = changes.pop("path", self.place.path)
        proof = client.dpop(path, **{"method": self.method, "access_token": token, **changes})
        self.headers["DPoP"] = proof
        return self.under_dpop(token)

    def send(self) -> Any:
        """Send the request, which is a POST where it has a form."""
        http = Client(SERVER_NAME="127.0.0.1", HTTP_HOST="127.0.0.1:8000")
        path = f"{self.place.path}?{urlencode(self.query)}" if self.query else self.place.path
        if self.method == "GET":
            return http.get(path, headers=self.headers)
        return http.post(path, self.form, headers=self.headers)


def a_visit(client: AttestedClient, place: Place) -> Visit:
    if place.introspects:
        return Visit(client, place, "POST", form={"token": create_access_token(None)})
    return Visit(client, place)


@every_site
def test_a_bearer_token_opens_as_ever(place: Place, server: str, attested: AttestedClient) -> None:
    with running(place, server), visits() as visited:
        response = a_visit(attested, place).bearing(bearer_token(attested)).send()
        assert response.status_code == 200, response.content
        assert len(visited) == 1
        assert "DPoP-Nonce" not in response.headers
        assert UsedProof.objects.count() == 0


@every_site
@pytest.mark.accepts("D6")
def test_a_bound_token_opens_with_its_proof(place: Place, server: str, attested: AttestedClient) -> None:
    with running(place, server), visits() as visited:
        response = a_visit(attested, place).proving(bound_token(attested)).send()
        assert response.status_code == 200, response.content
        assert len(visited) == 1
        assert response.headers["DPoP-Nonce"]
        assert UsedProof.objects.count() == 1


def replayed(visit: Visit) -> Visit:
    visit.proving(bound_token(visit.client))
    assert visit.send().status_code == 200
    return visit


def in_the_form(visit: Visit) -> Visit:
    visit.method, visit.form["access_token"] = "POST", bound_token(visit.client)
    return visit


def in_the_query(visit: Visit) -> Visit:
    visit.query = {"access_token": bound_token(visit.client)}
    return visit


#: The reason, and how a request that has it is made.
REFUSED: dict[str, tuple[Reason, Callable[[Visit], Visit]]] = {
    "a bound token with a proof by another key": (
        Reason.ACCESS_TOKEN_OF_ANOTHER_KEY,
        lambda visit: visit.proving(bound_token(visit.client), ClientInstance()),
    ),
    "a bound token without a proof": (
        Reason.DPOP_REQUIRED,
        lambda visit: visit.under_dpop(bound_token(visit.client)),
    ),
    "a bound token as a bearer token": (
        Reason.ACCESS_TOKEN_AS_BEARER,
        lambda visit: visit.bearing(bound_token(visit.client)),
    ),
    "a bound token as a bearer token, with its proof": (
        Reason.ACCESS_TOKEN_AS_BEARER,
        lambda visit: visit.proving(token := bound_token(visit.client)).bearing(token),
    ),
    "a proof for the second time": (Reason.DPOP_REPLAYED, replayed),
    "a proof for another URL": (
        Reason.DPOP_HTU,
        lambda visit: visit.proving(bound_token(visit.client), path="/api/elsewhere"),
    ),
    "a proof for another host": (
        Reason.DPOP_HTU,
        lambda visit: visit.proving(bound_token(visit.client), uri=f"http://another.example{visit.place.path}"),
    ),
    "a proof for another method": (
        Reason.DPOP_HTM,
        lambda visit: visit.proving(bound_token(visit.client), method="DELETE"),
    ),
    "a proof for another token": (
        Reason.DPOP_ATH,
        lambda visit: visit.proving(bound_token(visit.client), access_token=bound_token(visit.client)),
    ),
    "a proof for no token": (
        Reason.DPOP_ATH,
        lambda visit: visit.proving(bound_token(visit.client), access_token=None),
    ),
    "a bearer token under the DPoP scheme": (
        Reason.ACCESS_TOKEN_NOT_BOUND,
        lambda visit: visit.proving(bearer_token(visit.client)),
    ),
    "a bound token in the form": (Reason.ACCESS_TOKEN_AS_BEARER, in_the_form),
    "a bound token in the query string": (Reason.ACCESS_TOKEN_AS_BEARER, in_the_query),
    "a proof without a nonce": (
        Reason.DPOP_NONCE_MISSING,
        lambda visit: visit.proving(bound_token(visit.client), nonce=None),
    ),
}


def assert_challenged(response: Any, reason: Reason, place: Place) -> None:
    """The client is told what was wrong, and what proofs are accepted."""
    error = ClientAttestationError(reason)
    challenge = f'DPoP error="{error.code}", error_description="{SENTENCES[error.code]}", {ALGORITHMS}'
    if place.metadata:
        challenge += f', resource_metadata="{METADATA_URL}"'
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, challenge)


def _takes_parameters(place: Place, spoil: Any) -> bool:
    return place.reads_parameters or spoil not in (in_the_form, in_the_query)


@table(
    "place, server, reason, spoil",
    {
        f"{what} at {place} with {server}": (place, server, reason, spoil)
        for place, server in SITES
        for what, (reason, spoil) in REFUSED.items()
        if _takes_parameters(place, spoil)
    },
)
@pytest.mark.refuses("D6")
def test_nobody_else_gets_in(
    place: Place, server: str, reason: Reason, spoil: Callable[[Visit], Visit], attested: AttestedClient, settings: Any
) -> None:
    configure(settings, RESOURCE_DPOP_NONCE="required")
    with running(place, server, COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT=False):
        visit = spoil(a_visit(attested, place))
        before = stored()
        with reasons() as noted, visits() as visited:
            response = visit.send()
        assert noted == [reason]
        assert visited == []
        assert_challenged(response, reason, place)
        offers = "DPoP" in visit.headers or reason is Reason.DPOP_REQUIRED
        assert ("DPoP-Nonce" in response.headers) == offers
        assert stored() == before


@every_site
@table(
    "present",
    {
        "nothing": lambda visit: visit,
        "a token that never was": lambda visit: visit.bearing("unknown"),
        "a token that never was under the DPoP scheme": lambda visit: visit.proving("unknown"),
        "credentials that are no token": lambda visit: visit.under_dpop("a b"),
        "the bare scheme": lambda visit: visit.under_dpop(""),
        "two tokens": lambda visit: visit.under_dpop(f"{bound_token(visit.client)},DPoP {bound_token(visit.client)}"),
    },
)
def test_what_is_no_good_token_is_treated_as_ever(
    place: Place, server: str, present: Callable[[Visit], Visit], attested: AttestedClient
) -> None:
    """The views decide; where they answer with 401, both schemes are offered."""
    with running(place, server), reasons() as noted, visits() as visited:
        response = present(a_visit(attested, place)).send()
        assert response.status_code == place.status
        assert noted == []
        assert visited == ([] if place.status != 200 else ["greeting"])
        assert UsedProof.objects.count() == 0
        if place.status == 401:
            assert response.headers["WWW-Authenticate"].count(f"DPoP {ALGORITHMS}") == 1
            assert response.headers["WWW-Authenticate"].count("resource_metadata=") == 2 * place.metadata


def tokens_of(client: AttestedClient, **headers: str) -> Any:
    """Redeem a code that was asked for with ``openid``."""
    code = create_code(client.application)
    get_grant_model().objects.filter(code=code).update(scope=SCOPE)
    return client.accepted(data=redemption(code), headers={**client.headers(), **headers}).json()


def openid_client() -> AttestedClient:
    return next(door for door in DOORS if door.name == "authorization_code").register(algorithm="RS256")


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.refuses("D6")
def test_an_id_token_that_was_issued_with_a_proof_is_no_way_around(place: Place) -> None:
    with running(place, "oauthlib.openid"):
        client = openid_client()
        tokens = tokens_of(client, DPoP=client.dpop())
        assert tokens["token_type"] == "DPoP"
        with reasons() as noted, visits() as visited:
            response = a_visit(client, place).bearing(tokens["id_token"]).send()
        assert visited == []
        if place.openid:
            assert (response.status_code, noted) == (401, [])
        else:
            assert noted == [Reason.ACCESS_TOKEN_AS_BEARER]
            assert_challenged(response, Reason.ACCESS_TOKEN_AS_BEARER, place)


@pytest.mark.parametrize("place", [place for place in PLACES if not place.openid], ids=str)
def test_another_id_token_does_what_the_host_lets_it(place: Place) -> None:
    """It takes them for access tokens; what is handed to views as the row of an access token is one."""
    with running(place, "oauthlib.openid"):
        client = openid_client()
        tokens = tokens_of(client)
        assert tokens["token_type"] == "Bearer"
        with visits() as visited:
            a_visit(client, place).bearing(tokens["id_token"]).send()
        assert len(visited) == (place.middleware != "OAuth2ExtraTokenMiddleware")


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_host_still_takes_no_token_from_the_query_string(place: Place, attested: AttestedClient) -> None:
    with running(place, "oauthlib.openid"), visits() as visited:
        visit = in_the_query(a_visit(attested, place))
        visit.query["access_token"] = bound_token(attested)
        assert visit.send().status_code == (401 if place.openid else place.status)
        assert visited == ([] if place.status != 200 else ["greeting"])


def test_a_scope_that_a_token_has_not_is_no_matter_of_proofs(attested: AttestedClient) -> None:
    place = PLACES[5]
    with running(place), visits() as visited:
        response = a_visit(attested, place).proving(bound_token(attested, scope="write")).send()
    assert (response.status_code, visited) == (403, [])
    assert "WWW-Authenticate" not in response.headers
    assert UsedProof.objects.count() == 0


def test_a_client_gets_in_with_the_nonce_that_it_was_given(attested: AttestedClient, settings: Any) -> None:
    configure(settings, RESOURCE_DPOP_NONCE="required")
    place = PLACES[0]
    with running(place):
        token = bound_token(attested)
        refused = a_visit(attested, place).proving(token, nonce=None).send()
        nonce = refused.headers["DPoP-Nonce"]
        accepted = a_visit(attested, place).proving(token, nonce=nonce).send()
        assert accepted.status_code == 200
        again = a_visit(attested, place).proving(token, nonce=accepted.headers["DPoP-Nonce"]).send()
        assert again.status_code == 200


def test_everybody_in_one_request_may_ask_for_the_token(attested: AttestedClient, settings: Any) -> None:
    """Two middlewares and a view verify it; a proof is used up once, and then no more."""
    prefix = "oauth_client_attestation.resource.middleware."
    for place in PLACES:
        middleware = [f"{prefix}OAuth2TokenMiddleware", f"{prefix}OAuth2ExtraTokenMiddleware"]
        settings.MIDDLEWARE = [*_without(settings.MIDDLEWARE, prefix), *middleware]
        server = "oauthlib.openid" if place.openid else "oauthlib.oauth2"
        with running(place, server):
            visit = a_visit(attested, place).proving(bound_token(attested))
            assert visit.send().status_code == 200
            assert visit.send().status_code == 401


def _without(names: list[str], prefix: str) -> list[str]:
    return [name for name in names if not name.startswith(prefix)]
