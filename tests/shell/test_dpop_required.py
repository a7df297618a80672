"""Clients that get no token without a proof, and sites without DPoP (rule D6; RFC 9449 section 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model

from oauth_client_attestation import checks
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AccessTokenConfirmation, DpopPolicy, UsedProof
from tests.kit import (
    AUTHORIZATION_REQUEST,
    CHALLENGE_FIELD,
    DOORS,
    TOKEN,
    AttestedClient,
    Door,
    alice,
    configure,
    create_application,
    provider,
    table,
)
from tests.shell.senders import NONCE_FIELD, Sender, refused, sender

pytestmark = pytest.mark.django_db

GRANTS = [door for door in DOORS if door.path == TOKEN]
NORMAL, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"
every_grant = pytest.mark.parametrize("door", GRANTS, ids=str)
#: Who requires a proof of which client.
REQUIREMENTS = {
    "the policy, of an attested client": ("attested, another key", {}, True),
    "the policy, of a client with a secret": ("secret, allowed", {}, True),
    "the policy, where the site allows all": ("secret, all", {}, True),
    "the site, of an attested client": ("attested, another key", {"REQUIRE_DPOP": True}, False),
    "the site, of a client with a policy that allows it": ("secret, allowed", {"REQUIRE_DPOP": True}, False),
    "the site, of every client": ("secret, all", {"REQUIRE_DPOP": True}, False),
}


def required(name: str, door: Door, settings: Any) -> Sender:
    """Register a client of which a proof is required."""
    kind, values, by_policy = REQUIREMENTS[name]
    client = sender(kind, door, settings)
    configure(settings, **values)
    if by_policy:
        DpopPolicy.objects.update_or_create(application=client.application, defaults={"use": "required"})
    return client


@pytest.mark.parametrize("name", REQUIREMENTS)
@every_grant
@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_no_token_without_a_proof(door: Door, name: str, settings: Any) -> None:
    """And the response has the nonce for one; a client that needs a challenge as well has both."""
    client = required(name, door, settings)
    parameters = door.prepare(client.application)
    response = refused(Reason.DPOP_REQUIRED, lambda: client.post(parameters), proof_used=client.attested is not None)
    proof = client.proof(nonce=response.headers[NONCE_FIELD])
    again = client.post(parameters, proof=proof)
    assert again.status_code == 200, again.content
    assert again.json()["token_type"] == "DPoP"


@every_grant
@pytest.mark.accepts("D1", "D6")
def test_combined_mode_is_a_proof(door: Door, settings: Any) -> None:
    client = sender("attested, combined", door, settings)
    DpopPolicy.objects.create(application=client.application)
    client.bound(door.prepare(client.application))


@every_grant
def test_the_site_requires_it_of_those_who_may_use_it(door: Door, settings: Any) -> None:
    configure(settings, REQUIRE_DPOP=True)
    client = Sender(door.create_application("free"), parameters={"client_id": "free", "client_secret": "secret"})
    response = client.post(door.prepare(client.application))
    assert response.json()["token_type"] == "Bearer"


def test_a_nonce_is_not_offered_where_there_is_none(settings: Any) -> None:
    client = sender("secret, all", DOORS[2], settings)
    configure(settings, REQUIRE_DPOP=True, DPOP_NONCE="off", METHODS=[NORMAL])
    refused(Reason.DPOP_REQUIRED, lambda: client.post({"grant_type": "client_credentials"}), nonce=False)


@pytest.mark.refuses("D6")
def test_a_client_that_has_no_challenge_either_is_given_both_at_once(settings: Any) -> None:
    client = AttestedClient().register()
    DpopPolicy.objects.create(application=client.application)
    headers = {**client.headers(pop=client.pop(challenge=None)), "DPoP": client.dpop(nonce=None)}
    response = refused(Reason.CHALLENGE_MISSING, lambda: client.post(headers=headers))
    good = client.headers(pop=client.pop(challenge=response.headers[CHALLENGE_FIELD]))
    response = client.post(headers={**good, "DPoP": client.dpop(nonce=response.headers[NONCE_FIELD])})
    assert response.json()["token_type"] == "DPoP"


@pytest.fixture
def openid() -> Iterator[None]:
    """A site on which every response type works."""
    key = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
    with provider(
        OIDC_ENABLED=True,
        OIDC_RSA_PRIVATE_KEY=key,
        SCOPES={"openid": "Sign in", "read": "Read"},
        COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT=False,
        PKCE_REQUIRED=False,
    ):
        yield


FRONT_CHANNEL = [
    ("implicit", "token"),
    ("implicit", "id_token"),
    ("implicit", "id_token token"),
    ("openid-hybrid", "code token"),
    ("openid-hybrid", "code id_token"),
    ("openid-hybrid", "code id_token token"),
]


def authorization(response_type: str, *, shown: str, **headers: str) -> dict[str, str]:
    """Let alice's browser through the authorization endpoint; return the parameters of the redirect.

    :param shown: the response type of the page, which need not be that of the form that comes back.
    """
    browser = Client(headers=headers)
    browser.force_login(alice())
    parameters = {**AUTHORIZATION_REQUEST, "client_id": "free", "scope": "openid read", "nonce": "n"}
    response = browser.get("/o/authorize/", {**parameters, "response_type": shown})
    if response.status_code == 200:
        response = browser.post("/o/authorize/", {**parameters, "response_type": response_type, "allow": "on"})
    assert response.status_code == 302, response.content
    parts = urlsplit(response["Location"])
    return {name: values[0] for name, values in parse_qs(parts.query or parts.fragment).items()}


def front_channel_client(grant: str, **fields: Any) -> Any:
    return create_application(
        "free",
        authorization_grant_type=grant,
        redirect_uris=AUTHORIZATION_REQUEST["redirect_uri"],
        algorithm="RS256",
        **fields,
    )


def issued() -> tuple[int, ...]:
    return tuple(m.objects.count() for m in (get_access_token_model(), get_id_token_model(), get_grant_model()))


@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
@pytest.mark.parametrize("consent", ["form", "tampered", "skipped"])
@pytest.mark.usefixtures("openid")
@pytest.mark.refuses("D6")
def test_no_token_over_the_front_channel(grant: str, response_type: str, consent: str) -> None:
    """No proof goes with a redirect."""
    application = front_channel_client(grant, skip_authorization=consent == "skipped")
    DpopPolicy.objects.create(application=application)
    redirect = authorization(response_type, shown="code" if consent == "tampered" else response_type)
    assert redirect["error"] == "unauthorized_client"
    assert not {"access_token", "id_token", "code"} & redirect.keys()
    assert issued() == (0, 0, 0)


@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
@pytest.mark.parametrize("use", ["allowed", "required, with DPoP off"])
@pytest.mark.usefixtures("openid")
def test_who_need_not_prove_a_key_is_given_tokens_there(
    grant: str, response_type: str, use: str, settings: Any
) -> None:
    """What the test above would miss if it were the site that refuses these response types."""
    DpopPolicy.objects.create(application=front_channel_client(grant), use=use.split(",")[0])
    if use != "allowed":
        configure(settings, DPOP="off", METHODS=[NORMAL])
    given = authorization(response_type, shown=response_type).keys() & {"access_token", "id_token", "code"}
    assert {"token" if name == "access_token" else name for name in given} == set(response_type.split())


@pytest.mark.parametrize("proof", ["x", "a.b.c", "x, y"])
@pytest.mark.usefixtures("openid")
@pytest.mark.refuses("E7")
def test_a_field_on_the_way_through_the_browser_is_no_server_error(proof: str) -> None:
    """Browsers send none; whoever does is told by a redirect, or given what everybody is."""
    DpopPolicy.objects.create(application=front_channel_client("implicit"), use="allowed")
    redirect = authorization("token", shown="token", DPoP=proof)
    assert redirect.get("error") == "invalid_dpop_proof" or redirect["token_type"] == "Bearer"
    assert not AccessTokenConfirmation.objects.exists()


@every_grant
def test_with_dpop_off_the_field_is_not_looked_at(door: Door, settings: Any) -> None:
    """Whatever the policy says: there is nothing that a proof could do."""
    client = sender("attested, another key", door, settings)
    DpopPolicy.objects.create(application=client.application)
    configure(settings, DPOP="off", METHODS=[NORMAL], REQUIRE_DPOP=True)
    for proof in ("x", client.proof()):
        response = client.post(door.prepare(client.application), proof=proof)
        assert response.status_code == 200, response.content
        assert response.json()["token_type"] == "Bearer"
        assert NONCE_FIELD not in response.headers
    assert not AccessTokenConfirmation.objects.exists()
    assert UsedProof.objects.count() == 2


@pytest.mark.refuses("D2")
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_with_dpop_off_an_attestation_needs_a_pop_jwt(door: Door, settings: Any) -> None:
    configure(settings, DPOP="off", METHODS=[NORMAL])
    client = door.register()
    parameters = door.prepare(client.application)
    headers = client.combined(door.path, method=door.method)
    refused(Reason.COMBINED_MODE_NOT_OFFERED, lambda: door.send(client.http, parameters, headers=headers), nonce=False)
    response = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(response), response.content


@table(
    "name, values",
    {
        "DPoP off": ("dpop", {"DPOP": "off"}),
        "nonces off": ("dpop_nonce", {"DPOP_NONCE": "off"}),
    },
)
@pytest.mark.refuses("D2", "D5")
@pytest.mark.parametrize("methods", [[COMBINED], [NORMAL, COMBINED]], ids=["combined", "either"])
def test_what_combined_mode_needs_cannot_be_off(
    settings: Any, methods: list[str], name: str, values: dict[str, str]
) -> None:
    """The site does not start, rather than refuse every wallet or accept one without what is said to protect it."""
    configure(settings, METHODS=methods, **values)
    with pytest.raises(ImproperlyConfigured, match=name.upper()):
        getattr(app_settings, name)
    assert [problem.id for problem in checks.configuration_errors()] == ["oauth_client_attestation.E001"]
    with pytest.raises(ImproperlyConfigured, match="E001"):
        Client().post(TOKEN, {"grant_type": "client_credentials"})
