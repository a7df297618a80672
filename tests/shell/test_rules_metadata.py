"""Rules M1, M2 and C2: what the metadata documents say, and that it is what the server does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import JsonResponse
from django.test import Client

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.metadata import extend_authorization_server_metadata
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, generate_key
from tests.kit import ISSUER, AttestedClient, asgi_post, configure, table

METHOD = "attest_jwt_client_auth"
METHODS = "token_endpoint_auth_methods_supported"
ATTESTATION_ALGORITHMS = "client_attestation_signing_alg_values_supported"
POP_ALGORITHMS = "client_attestation_pop_signing_alg_values_supported"
PAR_ENDPOINT = "pushed_authorization_request_endpoint"
OURS = {"challenge_endpoint", ATTESTATION_ALGORITHMS, POP_ALGORITHMS, PAR_ENDPOINT}
DOCUMENTS = {
    "RFC 8414, at the root": "/.well-known/oauth-authorization-server",
    "RFC 8414, for an issuer with a path": "/.well-known/oauth-authorization-server/tenant",
    "OpenID Connect discovery": "/.well-known/openid-configuration",
    "OpenID Connect discovery with a slash": "/.well-known/openid-configuration/",
}

each_document = table("path", DOCUMENTS)


@pytest.fixture(autouse=True)
def openid_connect(settings: Any) -> None:
    """Only with it does django-oauth-toolkit serve the discovery document."""
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}


@pytest.fixture
def http() -> Client:
    return Client(SERVER_NAME="127.0.0.1", SERVER_PORT="8000")


def document(http: Client, path: str = DOCUMENTS["RFC 8414, at the root"], **request: Any) -> dict[str, Any]:
    response = http.get(path, **request)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    members: dict[str, Any] = response.json()
    return members


# M1


@each_document
@pytest.mark.accepts("M1")
def test_the_method_is_added_to_those_of_django_oauth_toolkit(http: Client, path: str) -> None:
    found = document(http, path)
    lists = {name: value for name, value in found.items() if name.endswith("_auth_methods_supported")}
    assert METHODS in lists
    assert all(value == ["client_secret_post", "client_secret_basic", METHOD] for value in lists.values())


@pytest.mark.accepts("M1")
def test_every_endpoint_that_authenticates_clients_says_how(http: Client) -> None:
    found = document(http)
    for endpoint in ("token", "revocation", "introspection"):
        assert found[f"{endpoint}_endpoint"]
        assert METHOD in found[f"{endpoint}_endpoint_auth_methods_supported"]


@table(
    ("configured", "expected"),
    {
        "one other method": (["client_secret_basic"], ["client_secret_basic", METHOD]),
        "no other method": ([], [METHOD]),
        "ours, by a site that wrote it down itself": ([METHOD], [METHOD]),
    },
)
@pytest.mark.accepts("M1")
def test_the_other_methods_are_those_of_the_settings(
    http: Client, settings: Any, configured: list[str], expected: list[str]
) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": configured,
    }
    assert document(http)[METHODS] == expected


@pytest.mark.accepts("M1")
def test_the_documents_leave_the_settings_as_they_are(http: Client) -> None:
    """The lists of django-oauth-toolkit's document are the settings' own objects."""
    assert document(http) == document(http)
    assert document(http)[METHODS].count(METHOD) == 1


@pytest.mark.accepts("M1")
def test_no_method_is_said_of_an_endpoint_that_is_not_there() -> None:
    extended = extend_authorization_server_metadata({"token_endpoint_auth_methods_supported": []})
    assert extended[METHODS] == [METHOD]
    assert "revocation_endpoint_auth_methods_supported" not in extended


@pytest.mark.refuses("M1")
def test_what_is_not_offered_is_neither_advertised_nor_accepted(attested: AttestedClient, http: Client) -> None:
    """Combined mode: advertised by its name and by the algorithms of DPoP."""
    found = document(http)
    assert not any("dpop" in name for name in [*found, *found[METHODS]])
    headers = {"OAuth-Client-Attestation": attested.attestation(), "DPoP": attested.pop()}
    attested.refused(Reason.COMBINED_MODE_NOT_OFFERED, headers=headers)


# M2


@each_document
@pytest.mark.accepts("M2")
def test_the_algorithms_are_those_of_the_settings(http: Client, settings: Any, path: str) -> None:
    default = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    found = document(http, path)
    assert (found[ATTESTATION_ALGORITHMS], found[POP_ALGORITHMS]) == (default, default)
    configure(settings, ATTESTATION_ALGORITHMS=["PS256"], POP_ALGORITHMS=["EdDSA", "ES512"])
    found = document(http, path)
    assert (found[ATTESTATION_ALGORITHMS], found[POP_ALGORITHMS]) == (["PS256"], ["EdDSA", "ES512"])


@pytest.mark.accepts("M2")
def test_every_advertised_algorithm_is_accepted(db: Any, http: Client) -> None:
    found = document(http)
    for attester_algorithm in found[ATTESTATION_ALGORITHMS]:
        client = AttestedClient(
            backend=AttesterBackend(algorithm=attester_algorithm),
            instance=ClientInstance(algorithm=found[POP_ALGORITHMS][0]),
            client_id=f"app-{attester_algorithm}",
        )
        client.register(attester={"name": attester_algorithm}).accepted()
        for algorithm in found[POP_ALGORITHMS]:
            client.instance = ClientInstance(algorithm=algorithm)
            client.accepted()


@pytest.mark.refuses("M2")
def test_an_algorithm_that_is_not_advertised_is_refused(attested: AttestedClient, http: Client) -> None:
    assert "PS256" not in document(http)[POP_ALGORITHMS]
    attested.instance = ClientInstance(algorithm="PS256", key=generate_key("PS256"))
    attested.refused(Reason.POP_ALGORITHM)


# C2


@each_document
@pytest.mark.accepts("C2")
def test_the_challenge_endpoint_is_where_the_document_says(attested: AttestedClient, http: Client, path: str) -> None:
    url = document(http, path)["challenge_endpoint"]
    assert url == f"{ISSUER}/oauth-client-attestation/challenge"
    challenge = http.post(urlsplit(url).path).json()["attestation_challenge"]
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))


@pytest.mark.accepts("C2", "P4")
def test_the_issuer_of_the_document_is_the_audience(attested: AttestedClient, http: Client) -> None:
    """All that a client needs comes from the document: a client that believes it gets in."""
    found = document(http)
    challenge = http.post(urlsplit(found["challenge_endpoint"]).path).json()["attestation_challenge"]
    pop = attested.pop(audience=found["issuer"], challenge=challenge)
    attested.accepted(path=urlsplit(found["token_endpoint"]).path, headers=attested.headers(pop=pop))
    pop = attested.pop(audience=found["issuer"])
    assert asgi_post(attested.headers(pop=pop).items()).json()["access_token"]


@each_document
@pytest.mark.accepts("C2", "M1", "M2")
def test_a_forged_host_changes_nothing(http: Client, settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert document(http, path, headers=forged) == document(http, path)
    assert document(http, path)["issuer"] == ISSUER


@table(
    ("issuer", "endpoint"),
    {
        "a host": ("https://as.example", "https://as.example/oauth-client-attestation/challenge"),
        "a host with a slash": ("https://as.example/", "https://as.example/oauth-client-attestation/challenge"),
        "a port": ("https://as.example:8443", "https://as.example:8443/oauth-client-attestation/challenge"),
        "a path": ("https://as.example/tenant", "https://as.example/oauth-client-attestation/challenge"),
    },
)
@pytest.mark.accepts("C2", "P4")
def test_the_issuer_is_the_one_of_the_settings_to_the_letter(
    http: Client, settings: Any, issuer: str, endpoint: str
) -> None:
    configure(settings, ISSUER=issuer)
    found = document(http)
    assert found["issuer"] == issuer
    assert found["challenge_endpoint"] == endpoint


@pytest.mark.accepts("C2")
def test_without_a_setting_of_ours_the_issuer_is_that_of_django_oauth_toolkit(http: Client, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "https://dot.example"}
    configure(settings, ISSUER=None)
    found = document(http)
    assert found["issuer"] == "https://dot.example"
    assert found["challenge_endpoint"] == "https://dot.example/oauth-client-attestation/challenge"


@each_document
@pytest.mark.refuses("C2", "M1", "M2")
def test_without_an_issuer_nothing_is_advertised(http: Client, settings: Any, path: str) -> None:
    before = document(http, path)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    configure(settings, ISSUER=None)
    found = document(http, path)
    assert set(before) - set(found) - {"device_authorization_endpoint"} == OURS
    assert METHOD not in found[METHODS]


@pytest.mark.accepts("C2")
def test_browsers_may_read_the_documents(http: Client) -> None:
    """django-oauth-toolkit's own header, which an extended document must not lose."""
    for path in DOCUMENTS.values():
        assert http.get(path).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.refuses("C2")
def test_a_document_that_django_oauth_toolkit_does_not_serve_is_not_ours_to_serve(http: Client, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": False}
    assert http.get(DOCUMENTS["OpenID Connect discovery"]).status_code == 404
    assert document(http)["challenge_endpoint"]


# A site with a metadata view of its own


def own_metadata(request: Any) -> JsonResponse:
    """The view of such a site, as the documentation shows it."""
    members = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", METHODS: ["private_key_jwt"]}
    return JsonResponse(extend_authorization_server_metadata(members))


@pytest.mark.accepts("C2", "M1", "M2")
def test_a_site_extends_a_document_of_its_own(rf: Any) -> None:
    found = json.loads(own_metadata(rf.get("/")).content)
    assert found == {
        "issuer": ISSUER,
        "token_endpoint": f"{ISSUER}/token",
        METHODS: ["private_key_jwt", METHOD],
        "challenge_endpoint": f"{ISSUER}/oauth-client-attestation/challenge",
        ATTESTATION_ALGORITHMS: ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        POP_ALGORITHMS: ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        PAR_ENDPOINT: f"{ISSUER}/o/par/",
    }


@pytest.mark.accepts("M1")
def test_extending_leaves_the_original_alone() -> None:
    original = {"issuer": ISSUER, METHODS: ["private_key_jwt"]}
    extend_authorization_server_metadata(original)
    assert original == {"issuer": ISSUER, METHODS: ["private_key_jwt"]}
