"""The metadata documents: one source, at the root, under a prefix and in the path-component forms."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import Client, override_settings
from django.urls import include, path

from oauth_client_attestation.core.errors import Reason
from tests.kit import (
    CHALLENGE,
    CHALLENGE_FIELD,
    INTROSPECT,
    ISSUER,
    REVOKE,
    TOKEN,
    configure,
    create_access_token,
    create_application,
    table,
)

SERVER = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/tenant",
    "/o/.well-known/oauth-authorization-server",
    "/o/.well-known/oauth-authorization-server/tenant",
]
DISCOVERY = [
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/o/.well-known/openid-configuration",
]
RESOURCE = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/api",
    "/o/.well-known/oauth-protected-resource",
]
OPENID = {
    "OAUTH2_VALIDATOR_CLASS": "oauth_client_attestation.oauth2.validators.AttestationOAuth2Validator",
    "OAUTH2_BACKEND_CLASS": "oauth_client_attestation.oauth2.backends.AttestationOAuthLibCore",
    "OIDC_ENABLED": True,
    "SCOPES": {"openid": "sign in", "read": "read"},
    "PKCE_REQUIRED": True,
}

# A site that mounts django-oauth-toolkit under a prefix and forgot the documents there.
urlpatterns = [
    path("", include("oauth_client_attestation.urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


def document(url, host="127.0.0.1", **settings):
    response = Client(SERVER_NAME=host).get(url)
    assert response.status_code == 200, response.content
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return response.json()


def with_settings(**changes):
    return override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, **changes})


@pytest.mark.accepts("M1", "M2", "C2")
@pytest.mark.parametrize("url", SERVER + DISCOVERY)
def test_every_form_says_the_same(url):
    with override_settings(OAUTH2_PROVIDER=OPENID):
        found = document(url)

    assert found["issuer"] == ISSUER
    assert found["challenge_endpoint"] == f"{ISSUER}/oauth-client-attestation/challenge"
    methods = [value for name, value in found.items() if name.endswith("_endpoint_auth_methods_supported")]
    assert methods
    assert all(value[-2:] == ["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"] for value in methods)
    assert found["dpop_signing_alg_values_supported"] == ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    assert found["client_attestation_signing_alg_values_supported"] == ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    assert (
        found["client_attestation_pop_signing_alg_values_supported"]
        == found["client_attestation_signing_alg_values_supported"]
    )
    assert "client_attestation_pop_nonce_required" not in found


@override_settings(OAUTH2_PROVIDER=OPENID, ALLOWED_HOSTS=["*"])
@pytest.mark.parametrize("url", SERVER + DISCOVERY + RESOURCE)
def test_nothing_comes_from_a_forged_host(url):
    response = Client(SERVER_NAME="evil.example").get(url)

    assert response.status_code == 200
    assert b"evil.example" not in response.content


@pytest.mark.parametrize("url", RESOURCE)
def test_the_resource_document_names_the_configured_server(url):
    found = document(url)

    assert found["resource"] == ISSUER
    assert found["authorization_servers"] == [ISSUER]


@pytest.mark.parametrize("url", RESOURCE)
def test_the_resource_document_promises_no_attestation_that_the_resource_would_ignore(url):
    assert not [name for name in document(url) if "attestation" in name or "challenge" in name]


@pytest.mark.accepts("S1", "S2")
@pytest.mark.parametrize("url", RESOURCE)
def test_the_resource_document_says_what_it_wants_of_attestations(url):
    algorithms = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    with with_settings(RESOURCE_ATTESTATION="optional", RESOURCE="https://api.example"):
        found = document(url)
    assert found["resource"] == "https://api.example"
    assert found["challenge_endpoint"] == f"{ISSUER}/oauth-client-attestation/resource-challenge"
    assert found["client_attestation_pop_methods_supported"] == ["attestation_pop_jwt", "dpop_combined", "none"]
    assert found["client_attestation_signing_alg_values_supported"] == algorithms
    assert found["client_attestation_pop_signing_alg_values_supported"] == algorithms
    assert found["dpop_signing_alg_values_supported"] == algorithms


@pytest.mark.accepts("M2")
@pytest.mark.refuses("M2")
@pytest.mark.parametrize("url", RESOURCE)
def test_the_resource_document_says_how_proofs_are_signed(url):
    assert document(url)["dpop_signing_alg_values_supported"] == ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    with with_settings(DPOP_ALGORITHMS=["ES384"]):
        assert document(url)["dpop_signing_alg_values_supported"] == ["ES384"]
    with with_settings(DPOP="off", METHODS=["attest_jwt_client_auth"]):
        assert not [name for name in document(url) if "dpop" in name]


@pytest.mark.django_db
@pytest.mark.parametrize("url", RESOURCE)
def test_the_resource_document_does_not_say_that_every_token_is_bound(url):
    """However it is required of those who ask for one: a bearer token from before is good until it expires."""
    token = create_access_token(create_application("app"))
    with with_settings(DPOP="all", REQUIRE_DPOP=True):
        assert "dpop_bound_access_tokens_required" not in document(url)
        response = Client(SERVER_NAME="127.0.0.1").get("/api/hello", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.content


def test_a_device_can_find_its_endpoint():
    assert document(SERVER[0])["device_authorization_endpoint"] == f"{ISSUER}/o/device-authorization/"


@pytest.mark.accepts("C7")
def test_revision_05_endpoints_are_listed_only_where_that_is_switched_on():
    with with_settings(ADVERTISE_OPTIONS_NONCE=True, OPTIONS_NONCE_ENDPOINTS=["oauth2_provider:token", "no:such"]):
        assert document(SERVER[0])["client_attestation_pop_nonce_required"] == [f"{ISSUER}/o/token/"]


ES384_ONLY = {"ATTESTATION_ALGORITHMS": ["ES384"]}
POP_ES384_ONLY = {"POP_ALGORITHMS": ["ES384"]}


@pytest.mark.parametrize(
    ("setting", "member", "reason"),
    [
        (ES384_ONLY, "client_attestation_signing_alg_values_supported", Reason.ATTESTATION_ALGORITHM),
        (POP_ES384_ONLY, "client_attestation_pop_signing_alg_values_supported", Reason.POP_ALGORITHM),
    ],
)
def test_an_algorithm_leaves_document_and_behaviour_together(attested, setting, member, reason):
    assert "ES256" in document(SERVER[0])[member]
    attested.accepted()

    with with_settings(**setting):
        assert "ES256" not in document(SERVER[0])[member]
        attested.refused(reason)


METHOD_MEMBERS = [
    f"{endpoint}_endpoint_auth_methods_supported" for endpoint in ("token", "revocation", "introspection")
]


@pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
def test_a_method_leaves_document_and_behaviour_together(attested, path):
    data = {"grant_type": "client_credentials", "token": "x"}
    found = document(SERVER[0])
    assert all("attest_jwt_client_auth" in found[member] for member in METHOD_MEMBERS)
    assert attested.post(path, data).status_code == 200

    with with_settings(METHODS=[]):
        found = document(SERVER[0])
        assert not [name for member in METHOD_MEMBERS for name in found[member] if name.startswith("attest")]
        assert not [name for name in found if name.startswith("client_attestation")]
        attested.refused(Reason.METHOD_NOT_ALLOWED, path=path, data=data)
        secret = {**data, "client_id": "app", "client_secret": "secret"}
        attested.refused(Reason.ATTESTATION_REQUIRED, path=path, data=secret, headers={})


def test_the_challenge_endpoint_leaves_document_and_behaviour_together():
    client = Client(SERVER_NAME="127.0.0.1")
    assert client.post(document(SERVER[0])["challenge_endpoint"]).status_code == 200

    with with_settings(CHALLENGE_ENDPOINT=False):
        assert "challenge_endpoint" not in document(SERVER[0])
        assert client.post(CHALLENGE).status_code == 404


def test_an_endpoint_leaves_document_and_behaviour_together():
    ask = {"attestation-nonce-request": "true"}
    for endpoints, served in (["oauth2_provider:token"], True), ([], False):
        with with_settings(ADVERTISE_OPTIONS_NONCE=True, OPTIONS_NONCE_ENDPOINTS=endpoints):
            listed = document(SERVER[0])["client_attestation_pop_nonce_required"]
            response = Client(SERVER_NAME="127.0.0.1").options(TOKEN, headers=ask)
            assert bool(listed) is served
            assert ("attestation-nonce" in response.headers) is served


@override_settings(OAUTH2_PROVIDER={**OPENID, "OIDC_ISS_ENDPOINT": ""}, OAUTH_CLIENT_ATTESTATION={})
def test_without_an_issuer_a_check_says_so():
    assert "oauth_client_attestation.E002" in {message.id for message in run_checks()}


def test_a_forgotten_prefix_is_a_warning():
    assert "oauth_client_attestation.W002" not in {message.id for message in run_checks()}
    with override_settings(ROOT_URLCONF=__name__):
        (warning,) = [message for message in run_checks() if message.id == "oauth_client_attestation.W002"]

    assert "/o/.well-known/oauth-authorization-server" in warning.msg
    assert "metadata_urls" in warning.hint


@table(
    "dpop, listed, hidden",
    {
        "another field": ("attested", ["X-Other"], f"{CHALLENGE_FIELD}, DPoP-Nonce, WWW-Authenticate"),
        "the challenge": ("attested", [CHALLENGE_FIELD], "DPoP-Nonce, WWW-Authenticate"),
        "the challenge and the nonce": ("attested", [CHALLENGE_FIELD, "dpop-nonce"], "WWW-Authenticate"),
        "all of them": ("attested", [CHALLENGE_FIELD, "DPoP-Nonce", "WWW-Authenticate"], None),
        "the challenge, without DPoP": ("off", [CHALLENGE_FIELD], None),
        "another field, without DPoP": ("off", ["X-Other"], CHALLENGE_FIELD),
    },
)
def test_a_cors_list_that_hides_a_field_of_ours_is_a_warning(settings, dpop, listed, hidden):
    configure(settings, DPOP=dpop, METHODS=["attest_jwt_client_auth"])
    settings.CORS_EXPOSE_HEADERS = listed
    found = [message.msg for message in run_checks() if message.id == "oauth_client_attestation.W003"]
    assert found == ([] if hidden is None else [f"CORS_EXPOSE_HEADERS hides from browser-based clients: {hidden}."])
