"""Rule B5: an application registered for attestation gets in no other way, at no door."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy
from tests.kit import (
    CODE_CHALLENGE,
    DOORS,
    INTROSPECT,
    REDIRECT_URI,
    AttestedClient,
    Door,
    alice,
    basic,
    create_access_token,
    create_application,
    post_form,
    stored,
)

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)


@dataclass(frozen=True)
class Attempt:
    """What a request without an attestation brings to get in as ``app`` all the same.

    :ivar client_ids: ``client_id`` parameters, in this order.
    :ivar query: parameters in the query string.
    """

    sentence: str
    client_ids: tuple[str, ...] = ()
    form: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def send(self, door: Door, http: Client, parameters: dict[str, str]) -> Any:
        """Send it to a door."""
        named = [("client_id", client_id) for client_id in self.client_ids]
        return door.send(
            http, [*named, *self.form.items(), *parameters.items()], headers=self.headers, query=self.query
        )

    @property
    def status(self) -> int:
        """RFC 6749 section 5.2: 401 for a client that tried the Authorization field."""
        return 401 if self.headers else 400


SECRET = {"client_secret": "secret"}
FREE_SECRET = {"client_secret": "free's secret"}
ASSERTION = {
    "client_assertion": "e30.e30.e30",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}
BASIC = basic("app", "secret")
ATTEMPTS = (
    Attempt("the right secret in the form", ("app",), SECRET),
    Attempt("a wrong secret in the form", ("app",), {"client_secret": "wrong"}),
    Attempt("an empty secret", ("app",), {"client_secret": ""}),
    Attempt("the client_id alone, as a public client", ("app",)),
    Attempt("the right secret in Basic", headers=BASIC),
    Attempt("an empty secret in Basic", headers=basic("app", "")),
    Attempt("Basic and the client_id", ("app",), headers=BASIC),
    Attempt("Basic and the secret in the form", ("app",), SECRET, BASIC),
    Attempt("Basic with a percent-encoded client_id", headers=basic("%61pp", "secret")),
    Attempt("Basic in lower case, no Basic to the host", ("app",), SECRET, basic("app", "secret", scheme="basic")),
    Attempt("Basic that is no base64", ("app",), SECRET, {"Authorization": "Basic %%%"}),
    Attempt("Basic without a colon", ("app",), SECRET, {"Authorization": "Basic YXBw"}),
    Attempt("Basic of a client that is free to use it", ("app",), headers=basic("free", "free's secret")),
    Attempt("Basic beside a free client's client_id and secret", ("free",), FREE_SECRET, BASIC),
    Attempt("client_id twice, a free client's first", ("free", "app"), SECRET),
    Attempt("a client assertion", ("app",), ASSERTION),
)
#: Requests that never name ``app`` where a client is named, so that the host refuses them in its own words.
DISGUISED = (
    Attempt("client_id twice, a free client's last", ("app", "free"), SECRET),
    Attempt("the client_id in upper case", ("APP",), SECRET),
    Attempt("the client_id with a space after it", ("app ",), SECRET),
    Attempt("Basic with the client_id in upper case", headers=basic("APP", "secret")),
    Attempt("the secret alone", form=SECRET),
    Attempt("nothing at all"),
)


def register(door: Door, client_type: str) -> AttestedClient:
    """Register ``app``, which must be attested, and ``free``, which need not."""
    client = door.register(client_type=client_type)
    door.create_application("free", client_secret="free's secret")
    return client


@every_door
@pytest.mark.parametrize("client_type", ["confidential", "public"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.sentence)
@pytest.mark.refuses("B5", "E4", "E5", "E7")
def test_no_other_way(door: Door, client_type: str, attempt: Attempt) -> None:
    client = register(door, client_type)
    parameters = door.prepare(client.application)
    response = client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: attempt.send(door, client.http, parameters),
        status=attempt.status,
    )
    assert response.headers.get("WWW-Authenticate") == ('Basic realm="oauth"' if attempt.headers else None)


@every_door
@pytest.mark.parametrize("attempt", DISGUISED, ids=lambda attempt: attempt.sentence)
@pytest.mark.refuses("B5")
def test_no_way_in_disguise(door: Door, attempt: Attempt) -> None:
    """Databases that compare without regard to case or trailing space find the application by another name."""
    client = register(door, "public")
    parameters = door.prepare(client.application)
    before = stored()
    response = attempt.send(door, client.http, parameters)
    assert not door.passed(response)
    unknown_code = door.name == "device_code" and response.json() == {"error": "device_not_found"}
    assert response.status_code in {400, 401, 403} or unknown_code
    assert stored() == before


@every_door
@pytest.mark.parametrize("named", [(), ("free",)], ids=["client_id absent", "a free client's client_id"])
@pytest.mark.parametrize("charset", ["utf-16", "utf-32"])
@pytest.mark.refuses("B5")
def test_credentials_in_another_charset_open_nothing(door: Door, named: tuple[str, ...], charset: str) -> None:
    """A parameter named ``encoding`` tells django-oauth-toolkit how to decode Basic: the client that it finds there is
    not the one that anybody else reads."""
    client = register(door, "confidential")
    attempt = Attempt("", named, {"encoding": charset}, basic("app", "secret", charset=charset))
    parameters = door.prepare(client.application)
    before = stored()
    response = attempt.send(door, client.http, parameters)
    assert not door.passed(response)
    unknown_code = door.name == "device_code" and response.json() == {"error": "device_not_found"}
    assert response.status_code in {400, 401, 403} or unknown_code
    assert stored() == before


@pytest.mark.parametrize("door", [door for door in DOORS if door.method == "POST"], ids=str)
@pytest.mark.parametrize("query", [{"client_id": "app"}, {"client_id": "app", **SECRET}], ids=["client_id", "secret"])
@pytest.mark.refuses("B5")
def test_no_way_through_the_query_string(door: Door, query: dict[str, str]) -> None:
    client = register(door, "public")
    parameters = door.prepare(client.application)
    before = stored()
    response = door.send(client.http, parameters, query=query)
    assert response.status_code in {400, 401}
    assert not door.passed(response)
    assert stored() == before


@every_door
@pytest.mark.refuses("B5")
def test_neither_multipart_nor_json_is_a_way_in(door: Door) -> None:
    client = register(door, "public")
    parameters = {**door.prepare(client.application), "client_id": "app", **SECRET}
    before = stored()
    for content in ({}, {"content_type": "application/json"}, {"content_type": "text/plain"}):
        data = urlencode(parameters) if content == {"content_type": "text/plain"} else parameters
        response = client.http.post(door.path, data, **content)
        assert response.status_code in {400, 401, 403}, response.content
    assert stored() == before


@every_door
@pytest.mark.accepts("B5")
def test_the_way_is_open_again_without_the_policy(door: Door) -> None:
    """It is the policy that closes it, and nothing that stays behind but what is bound to an instance (B2)."""
    client = register(door, "confidential")
    client.application.instance = None
    parameters = {**door.prepare(client.application), "client_id": "app", **SECRET}
    client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: door.send(client.http, parameters),
    )
    AttestationPolicy.objects.all().delete()
    assert door.passed(door.send(client.http, parameters))


@pytest.mark.parametrize("methods", [[], ["attest_jwt_client_auth_dpop"]], ids=["no method", "another method"])
@every_door
@pytest.mark.refuses("B5")
def test_a_policy_without_this_method_opens_no_door(door: Door, methods: list[str]) -> None:
    """Rows can be written past the form; such an application gets in neither with an attestation nor without."""
    client = register(door, "public")
    AttestationPolicy.objects.update(methods=methods)
    parameters = {**door.prepare(client.application), "client_id": "app"}
    client.refused(Reason.METHOD_NOT_ALLOWED, send=lambda: door.send(client.http, parameters, headers=client.headers()))
    client.refused(Reason.ATTESTATION_REQUIRED, send=lambda: door.send(client.http, parameters))


@pytest.fixture(scope="module")
def rsa_key() -> str:
    """The key that signs ID tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def openid(settings: Any, rsa_key: str) -> None:
    """OpenID Connect, and the implicit grant, switched on."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": rsa_key,
        "SCOPES": {"openid": "OpenID Connect", **settings.OAUTH2_PROVIDER["SCOPES"]},
        "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": False,
        "PKCE_REQUIRED": False,
    }


FRONT_CHANNEL = [
    ("implicit", "token"),
    ("implicit", "id_token"),
    ("implicit", "id_token token"),
    ("openid-hybrid", "code token"),
    ("openid-hybrid", "code id_token"),
    ("openid-hybrid", "code id_token token"),
]


def authorization(client_id: str, response_type: str, *, consent: str = "form") -> dict[str, str]:
    """Let alice's browser through the authorization endpoint; return the parameters of the redirect.

    :param consent: ``form``: she presses the button of the page; ``tampered``: what she submits was not on it;
        ``skipped``: the application needs no consent.
    """
    browser = Client()
    browser.force_login(alice())
    parameters = {
        "client_id": client_id,
        "response_type": response_type,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid read",
        "state": "xyz",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CODE_CHALLENGE,
        "code_challenge_method": "S256",
    }
    shown = {**parameters, "response_type": "code"} if consent == "tampered" else parameters
    response = browser.get("/o/authorize/", shown)
    if response.status_code == 200:
        response = browser.post("/o/authorize/", {**parameters, "allow": "on"})
    assert response.status_code == 302, response.content
    parts = urlsplit(response["Location"])
    return {name: values[0] for name, values in parse_qs(parts.query or parts.fragment).items()}


def issued() -> tuple[int, ...]:
    """Count what the authorization endpoint hands out."""
    return tuple(m.objects.count() for m in (get_access_token_model(), get_id_token_model(), get_grant_model()))


@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
@pytest.mark.parametrize("consent", ["form", "tampered", "skipped"])
@pytest.mark.refuses("B5")
def test_no_token_over_the_front_channel(openid: None, grant: str, response_type: str, consent: str) -> None:
    client = AttestedClient().register(
        authorization_grant_type=grant,
        redirect_uris=REDIRECT_URI,
        algorithm="RS256",
        skip_authorization=consent == "skipped",
    )
    redirect = authorization(client.client_id, response_type, consent=consent)
    assert redirect["error"] == "unauthorized_client"
    assert not {"access_token", "id_token", "code"} & redirect.keys()
    assert issued() == (0, 0, 0)


@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
def test_a_free_client_is_given_its_tokens_over_the_front_channel(openid: None, grant: str, response_type: str) -> None:
    """What the test above would miss if it were the site that refuses these response types."""
    create_application("app", authorization_grant_type=grant, redirect_uris=REDIRECT_URI, algorithm="RS256")
    given = authorization("app", response_type).keys() & {"access_token", "id_token", "code"}
    assert {"token" if name == "access_token" else name for name in given} == set(response_type.split())


@pytest.mark.accepts("B5")
def test_with_openid_connect_a_code_is_still_redeemed_by_attestation_only(openid: None) -> None:
    client = AttestedClient().register(
        authorization_grant_type="authorization-code", redirect_uris=REDIRECT_URI, algorithm="RS256"
    )
    code = authorization("app", "code")["code"]
    redemption = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": "v" * 64,
    }
    client.refused(Reason.ATTESTATION_REQUIRED, headers={}, data={**redemption, "client_id": "app", **SECRET})
    tokens = client.accepted(data=redemption).json()
    assert {"access_token", "refresh_token", "id_token"} <= tokens.keys()


@pytest.mark.refuses("B5")
def test_a_bearer_token_does_not_stand_in_for_the_attestation_of_a_named_client() -> None:
    """Introspection takes a token instead of client authentication; not from a client that has named itself."""
    client = AttestedClient().register()
    token = create_access_token(client.application, scope="introspection")
    headers = {"Authorization": f"Bearer {token}"}
    client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: post_form(client.http, INTROSPECT, {"token": token, "client_id": "app"}, headers=headers),
    )
    spoiled = {**headers, "OAuth-Client-Attestation": "e30"}
    client.refused(
        Reason.ATTESTATION_FIELD_MALFORMED,
        send=lambda: post_form(client.http, INTROSPECT, {"token": token}, headers=spoiled),
    )
