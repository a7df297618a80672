"""Tokens are bound to the key of the proof that they are asked for with (rule D6; RFC 9449 section 5)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import re_path
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model, get_refresh_token_model
from oauth2_provider.views import TokenView

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AccessTokenConfirmation,
    DpopPolicy,
    IdTokenConfirmation,
    RefreshTokenConfirmation,
    UsedProof,
)
from oauth_client_attestation.testing import ClientInstance
from tests.kit import (
    CHALLENGE_FIELD,
    DOORS,
    ISSUER,
    REDIRECT_URI,
    TOKEN,
    Door,
    configure,
    create_code,
    post_form,
    provider,
    stored,
    table,
)
from tests.shell.par import redemption
from tests.shell.senders import (
    KINDS,
    NONCE_FIELD,
    Sender,
    introspected,
    key_of,
    key_of_refresh_token,
    refused,
    sender,
    visitor,
)

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}
GRANTS = [door for door in DOORS if door.path == TOKEN]
#: A public client has no credentials of its own to be granted tokens for.
WAYS = [
    (kind, door)
    for kind, door in itertools.product(KINDS, GRANTS)
    if door.name != "client_credentials" or kind.startswith("attested") or "client_type" not in KINDS[kind]
]
every_way = pytest.mark.parametrize(("kind", "door"), WAYS, ids=[f"{door}, {kind}" for kind, door in WAYS])
#: One kind of client for each way to authenticate; combined mode refuses proofs with other codes.
PLAIN = [(kind, door) for kind, door in WAYS if kind in ("attested, another key", "secret, all", "public, all")]
every_plain_way = pytest.mark.parametrize(("kind", "door"), PLAIN, ids=[f"{door}, {kind}" for kind, door in PLAIN])
every_grant = pytest.mark.parametrize("door", GRANTS, ids=str)


@pytest.fixture(params=[False, True], ids=["", "atomic"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site with and without ATOMIC_REQUESTS."""
    for alias in connections.settings:
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", request.param)


@pytest.mark.accepts("D6")
@pytest.mark.usefixtures("atomic")
@every_way
def test_what_is_issued_with_a_proof_is_bound_to_its_key(kind: str, door: Door, settings: Any) -> None:
    client = sender(kind, door, settings)
    tokens = client.bound(door.prepare(client.application))
    thumbprint = client.key.thumbprint
    confirmation = AccessTokenConfirmation.objects.get()
    assert confirmation.thumbprint == thumbprint
    assert introspected(tokens["access_token"]) == ("DPoP", {"jkt": thumbprint})
    if "refresh_token" in tokens:
        assert key_of_refresh_token(tokens["refresh_token"]) == {thumbprint if client.public else None}
    assert RefreshTokenConfirmation.objects.count() == (client.public and "refresh_token" in tokens)


@pytest.mark.accepts("D6")
@every_way
def test_what_is_issued_without_a_proof_is_a_bearer_token(kind: str, door: Door, settings: Any) -> None:
    client = sender(kind, door, settings)
    DpopPolicy.objects.update(use="allowed")
    response = client.post(door.prepare(client.application))
    assert response.status_code == 200, response.content
    assert response.json()["token_type"] == "Bearer"
    assert NONCE_FIELD not in response.headers
    assert introspected(response.json()["access_token"])[1] is None
    assert not AccessTokenConfirmation.objects.exists()
    assert not RefreshTokenConfirmation.objects.exists()


@every_way
def test_storage_by_digest_changes_nothing(kind: str, door: Door, settings: Any) -> None:
    client = sender(kind, door, settings)
    with provider(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=True):
        tokens = client.bound(door.prepare(client.application))
        assert introspected(tokens["access_token"]) == ("DPoP", {"jkt": client.key.thumbprint})


@pytest.mark.parametrize("use", ["off", "optional", "required"])
@pytest.mark.accepts("D5")
@pytest.mark.refuses("D5")
@every_grant
def test_nonces_off_optional_and_required(door: Door, settings: Any, use: str) -> None:
    client = sender("secret, all", door, settings)
    configure(settings, DPOP_NONCE=use, METHODS=["attest_jwt_client_auth"])
    parameters = door.prepare(client.application)
    without = client.proof(nonce=None)
    if use == "required":
        response = refused(Reason.DPOP_NONCE_MISSING, lambda: client.post(parameters, proof=without))
        response = client.post(parameters, proof=client.proof(nonce=response.headers[NONCE_FIELD]))
    else:
        response = client.post(parameters, proof=without)
    assert response.status_code == 200, response.content
    assert response.json()["token_type"] == "DPoP"
    assert (NONCE_FIELD in response.headers) is (use != "off")


def test_a_nonce_of_another_server_means_nothing_where_there_are_none(settings: Any) -> None:
    client = sender("secret, all", DOOR["client_credentials"], settings)
    configure(settings, DPOP_NONCE="off", METHODS=["attest_jwt_client_auth"])
    response = client.post({"grant_type": "client_credentials"}, proof=client.proof(nonce="theirs"))
    assert response.json()["token_type"] == "DPoP"
    assert NONCE_FIELD not in response.headers


@pytest.mark.refuses("D3", "D6", "E7")
@every_plain_way
def test_a_bad_proof_leaves_everything_as_it_was(kind: str, door: Door, settings: Any) -> None:
    """The code unredeemed, the refresh token good, nothing stored; and no bearer token instead."""
    client = sender(kind, door, settings)
    parameters = door.prepare(client.application)
    for reason, proof in {
        Reason.DPOP_FIELD_MALFORMED: "x",
        Reason.DPOP_HTU: client.proof(uri="https://elsewhere.example/o/token/"),
        Reason.DPOP_HTM: client.proof(method="GET"),
        Reason.DPOP_NONCE_UNKNOWN: client.proof(nonce="n" * 43),
        Reason.DPOP_JWK: client.proof(header={"jwk": {"kty": "EC"}}),
        Reason.DPOP_JWK_PRIVATE: client.proof(header={"jwk": {"kty": "oct", "k": "x"}}),
    }.items():
        refused(
            reason,
            lambda it=proof: client.post(parameters, proof=it),
            proof_used=client.attested is not None,
        )
    client.bound(parameters)


@pytest.mark.refuses("D3", "P8")
@pytest.mark.usefixtures("atomic")
@every_plain_way
def test_a_used_proof_leaves_the_code_to_a_fresh_one(kind: str, door: Door, settings: Any) -> None:
    client = sender(kind, door, settings)
    used = client.proof()
    assert client.post(door.prepare(client.application), proof=used).json()["token_type"] == "DPoP"
    parameters = door.prepare(client.application)
    refused(
        Reason.DPOP_REPLAYED,
        lambda: client.post(parameters, proof=used),
        proof_used=client.attested is not None,
    )
    client.bound(parameters)


@table(
    "grant, fault, error",
    {
        "a code verifier": ("authorization_code", {"code_verifier": "w" * 64}, "invalid_grant"),
        "a redirect URI": ("authorization_code", {"redirect_uri": f"{REDIRECT_URI}/x"}, "invalid_request"),
        "a code": ("authorization_code", {"code": "x"}, "invalid_grant"),
        "a refresh token": ("refresh_token", {"refresh_token": "x"}, "invalid_grant"),
        "a scope": ("client_credentials", {"scope": "everything"}, "invalid_scope"),
        "a password": ("password", {"password": "x"}, "invalid_grant"),
        "a resource": ("client_credentials", {"resource": "x"}, "invalid_target"),
        "a grant": ("client_credentials", {"grant_type": "password", "username": "x", "password": "x"}, None),
    },
)
@pytest.mark.usefixtures("atomic")
@pytest.mark.accepts("D3")
def test_a_good_proof_beside_something_wrong_is_not_used_up(
    grant: str, fault: dict[str, str], error: str | None, settings: Any
) -> None:
    """Nothing was bound to its key, so the client may send it again."""
    door = DOOR[grant]
    client = sender("secret, all", door, settings)
    parameters, proof = door.prepare(client.application), client.proof()
    before = stored()
    response = client.post({**parameters, **fault}, proof=proof)
    assert response.status_code in (400, 401), response.content
    assert error is None or response.json()["error"] == error
    assert stored() == before
    assert client.post(parameters, proof=proof).json()["token_type"] == "DPoP"


@pytest.mark.refuses("D3")
def test_a_client_that_is_not_authenticated_has_no_proof_looked_at(settings: Any) -> None:
    client = sender("secret, all", DOOR["client_credentials"], settings)
    client.parameters["client_secret"] = "wrong"
    before = stored()
    for proof in ("x", client.proof()):
        response = client.post({"grant_type": "client_credentials"}, proof=proof)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert stored() == before


@pytest.mark.accepts("D6")
@every_grant
def test_the_proof_of_a_client_that_may_not_use_dpop_is_ignored(door: Door) -> None:
    """As by a server that knows nothing of it (RFC 9449 section 5)."""
    client = Sender(door.create_application("free"), parameters={"client_id": "free", "client_secret": "secret"})
    for proof in ("x", client.proof()):
        response = client.post(door.prepare(client.application), proof=proof)
        assert response.status_code == 200, response.content
        assert response.json()["token_type"] == "Bearer"
    assert not AccessTokenConfirmation.objects.exists()
    assert not UsedProof.objects.exists()


@pytest.mark.accepts("D6")
def test_revocation_is_as_ever(settings: Any) -> None:
    """By its client, with or without a proof."""
    client = sender("secret, all", DOOR["password"], settings)
    for name in ("access_token", "refresh_token"):
        tokens = client.bound(DOOR["password"].prepare(client.application))
        response = client.post({"token": tokens[name]}, path="/o/revoke_token/")
        assert response.status_code == 200
        assert not get_access_token_model().objects.exists()
        assert not AccessTokenConfirmation.objects.exists()


@pytest.mark.accepts("D6")
@pytest.mark.parametrize("kind", ["attested, combined", "secret, all"])
def test_the_key_is_the_proofs_and_of_any_accepted_algorithm(kind: str, settings: Any) -> None:
    client = sender(kind, DOOR["client_credentials"], settings)
    for algorithm in ("ES384", "EdDSA"):
        client.key = ClientInstance(algorithm)
        if client.attested is not None:
            client.attested.instance = client.key
        client.bound({"grant_type": "client_credentials"})


SCOPE = "openid read"
SIGNING_KEY = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()


class TestOpenIdConnect:
    """With ID tokens, from oauthlib's other server."""

    @pytest.fixture(autouse=True)
    def site(self) -> Iterator[None]:
        scopes = {"openid": "Sign in", "read": "Read", "introspection": "Introspect"}
        with provider(OIDC_ENABLED=True, OIDC_RSA_PRIVATE_KEY=SIGNING_KEY, SCOPES=scopes):
            yield

    @pytest.fixture(params=["attested, combined", "attested, another key", "secret, all", "public, all"])
    def client(self, request: pytest.FixtureRequest, settings: Any) -> Sender:
        client = sender(request.param, DOOR["authorization_code"], settings)
        client.application.algorithm = "RS256"
        client.application.save()
        return client

    def code_of(self, client: Sender) -> str:
        code = create_code(client.application)
        get_grant_model().objects.filter(code=code).update(scope=SCOPE)
        return code

    def confirmed(self) -> set[str]:
        assert IdTokenConfirmation.objects.count() == get_id_token_model().objects.count()
        return set(IdTokenConfirmation.objects.values_list("thumbprint", flat=True))

    @pytest.mark.accepts("D6")
    def test_the_id_token_is_bound_too(self, client: Sender) -> None:
        tokens = client.bound(redemption(self.code_of(client)))
        assert tokens["id_token"]
        assert self.confirmed() == {client.key.thumbprint}
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.bound(refresh)["id_token"]
        assert self.confirmed() == {client.key.thumbprint}

    def test_without_a_proof_it_is_not(self, client: Sender) -> None:
        response = client.post(redemption(self.code_of(client)))
        assert response.json()["token_type"] == "Bearer"
        assert response.json()["id_token"]
        assert not IdTokenConfirmation.objects.exists()

    @pytest.mark.refuses("D3", "P8")
    def test_a_used_proof_leaves_the_code_and_gives_out_no_token(self, client: Sender) -> None:
        used = client.proof()
        assert client.post(redemption(self.code_of(client)), proof=used).status_code == 200
        code = self.code_of(client)
        access_tokens, refresh_tokens = (
            set(model.objects.values_list("pk", flat=True))
            for model in (get_access_token_model(), get_refresh_token_model())
        )
        response = client.post(redemption(code), proof=used)
        expected = "invalid_client_attestation" if client.combined else "invalid_dpop_proof"
        assert (response.status_code, response.json()["error"]) == (400, expected)
        assert response.headers[CHALLENGE_FIELD]
        assert response.headers[NONCE_FIELD]
        assert set(get_access_token_model().objects.values_list("pk", flat=True)) == access_tokens
        assert set(get_refresh_token_model().objects.values_list("pk", flat=True)) == refresh_tokens
        assert self.confirmed() == {client.key.thumbprint}
        client.bound(redemption(code))


#: What oauthlib and the host keep on a request, and what this package keeps elsewhere, by its name.
FORGED = (
    "sender",
    "sender_used_up",
    "_sender",
    "dpop",
    "thumbprint",
    "jkt",
    "dpop_jkt",
    "cnf",
    "token_type",
    "evidence",
    "exchange",
    "dpop_policy",
    "policy",
    "access_token",
    "refresh_token_instance",
    "token_verdict",
    "presenter",
)


@pytest.mark.refuses("D3", "D6")
@pytest.mark.parametrize("door", [door for door in GRANTS if door.name != "refresh_token"], ids=str)
def test_no_parameter_passes_for_a_proof(door: Door, settings: Any) -> None:
    client = sender("secret, all", door, settings)
    forged = dict.fromkeys(FORGED, client.key.thumbprint)
    response = client.post({**forged, **door.prepare(client.application)})
    assert response.status_code == 200, response.content
    assert response.json()["token_type"] == "Bearer"
    assert not AccessTokenConfirmation.objects.exists()
    DpopPolicy.objects.create(application=client.application)
    parameters = {**forged, **door.prepare(client.application)}
    refused(Reason.DPOP_REQUIRED, lambda: client.post(parameters))
    used = client.proof()
    assert client.post(parameters, proof=used).json()["token_type"] == "DPoP"
    parameters = {**forged, **door.prepare(client.application)}
    refused(Reason.DPOP_REPLAYED, lambda: client.post(parameters, proof=used))


@pytest.mark.refuses("D3")
def test_a_proof_in_a_parameter_is_none(settings: Any) -> None:
    client = sender("secret, all", DOOR["client_credentials"], settings)
    proof = client.proof()
    parameters = {"grant_type": "client_credentials", "DPoP": proof, "dpop": proof, "HTTP_DPOP": proof}
    response = client.post(parameters)
    assert response.json()["token_type"] == "Bearer"
    assert key_of(response.json()["access_token"]) is None


#: A site whose token endpoint is at the end of any path.
urlpatterns = [re_path(r"^.*o/token/$", TokenView.as_view())]


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_the_host_that_a_proof_is_for_is_not_in_the_path(settings: Any) -> None:
    """Who is sent a proof for its own site cannot take it to a path that begins with the name of that site."""
    settings.ROOT_URLCONF = __name__
    client = sender("secret, all", DOOR["client_credentials"], settings)
    data = {"grant_type": "client_credentials", **client.parameters}

    def send(uri: str) -> Any:
        return visitor().post(
            TOKEN, data, PATH_INFO=f"//elsewhere.example{TOKEN}", headers={"DPoP": client.proof(uri=uri)}
        )

    refused(Reason.DPOP_HTU, lambda: send(f"http://elsewhere.example{TOKEN}"))
    assert send(f"{ISSUER}//elsewhere.example{TOKEN}").json()["token_type"] == "DPoP"


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_the_target_is_the_one_that_the_client_sees(settings: Any) -> None:
    """Behind a proxy, the proxy's, where Django is told so."""
    client = sender("secret, all", DOOR["client_credentials"], settings)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    settings.ALLOWED_HOSTS = ["as.example"]
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "as.example"}
    data = {"grant_type": "client_credentials", **client.parameters}

    def send(uri: str) -> Any:
        return post_form(Client(), TOKEN, data, headers={**forwarded, "DPoP": client.proof(uri=uri)})

    for uri in ("https://as.example/o/token/", "HTTPS://AS.example:443/o/./token/?x#y"):
        assert send(uri).json()["token_type"] == "DPoP", uri
    for uri in (ISSUER + TOKEN, "http://as.example/o/token/", "https://as.example/o/token", "https://as.example:8443/"):
        refused(Reason.DPOP_HTU, lambda it=uri: send(it))


@pytest.mark.accepts("D6")
def test_an_attested_client_and_its_neighbour_have_keys_of_their_own() -> None:
    client = DOOR["client_credentials"].register()
    other = client.another()
    tokens = {
        it.instance.thumbprint: it.accepted(headers=it.combined()).json()["access_token"] for it in (client, other)
    }
    assert {thumbprint: key_of(token) for thumbprint, token in tokens.items()} == {it: it for it in tokens}
