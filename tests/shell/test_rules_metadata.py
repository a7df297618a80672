"""Rules M1, M2, S1 and C2: what the metadata documents say, and that it is what the server does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.test import Client

from oauth_client_attestation.challenges import fresh_resource_challenge
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.metadata import extend_authorization_server_metadata
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, generate_key
from tests.kit import ISSUER, AttestedClient, asgi_post, configure, create_access_token, table

METHOD, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"
METHODS = "token_endpoint_auth_methods_supported"
ATTESTATION_ALGORITHMS = "client_attestation_signing_alg_values_supported"
POP_ALGORITHMS = "client_attestation_pop_signing_alg_values_supported"
DPOP_ALGORITHMS = "dpop_signing_alg_values_supported"
PAR_ENDPOINT = "pushed_authorization_request_endpoint"
OURS = {"challenge_endpoint", ATTESTATION_ALGORITHMS, POP_ALGORITHMS, DPOP_ALGORITHMS, PAR_ENDPOINT}
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
    return Client(SERVER_NAME="127.0.0.1", HTTP_HOST="127.0.0.1:8000")


def document(http: Client, path: str = DOCUMENTS["RFC 8414, at the root"], **request: Any) -> dict[str, Any]:
    response = http.get(path, **request)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    members: dict[str, Any] = response.json()
    return members


# M1


@each_document
@pytest.mark.accepts("M1")
def test_the_methods_are_added_to_those_of_django_oauth_toolkit(http: Client, path: str) -> None:
    found = document(http, path)
    lists = {name: value for name, value in found.items() if name.endswith("_auth_methods_supported")}
    assert METHODS in lists
    expected = ["client_secret_post", "client_secret_basic", METHOD, COMBINED]
    assert all(value == expected for value in lists.values())


@pytest.mark.accepts("M1")
def test_every_endpoint_that_authenticates_clients_says_how(http: Client) -> None:
    found = document(http)
    for endpoint in ("token", "revocation", "introspection"):
        assert found[f"{endpoint}_endpoint"]
        assert {METHOD, COMBINED} <= {*found[f"{endpoint}_endpoint_auth_methods_supported"]}


@table(
    ("configured", "expected"),
    {
        "one other method": (["client_secret_basic"], ["client_secret_basic", METHOD, COMBINED]),
        "no other method": ([], [METHOD, COMBINED]),
        "one of ours, by a site that wrote it down itself": ([METHOD], [METHOD, COMBINED]),
        "both of ours, in another order": ([COMBINED, METHOD], [METHOD, COMBINED]),
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
    assert document(http)[METHODS].count(METHOD) == document(http)[METHODS].count(COMBINED) == 1


@pytest.mark.accepts("M1")
def test_no_method_is_said_of_an_endpoint_that_is_not_there() -> None:
    extended = extend_authorization_server_metadata({"token_endpoint_auth_methods_supported": []})
    assert extended[METHODS] == [METHOD, COMBINED]
    assert "revocation_endpoint_auth_methods_supported" not in extended


@table(
    ("offered", "advertised", "accepted"),
    {
        "both methods": ([METHOD, COMBINED], [METHOD, COMBINED], {METHOD, COMBINED}),
        "normal mode": ([METHOD], [METHOD], {METHOD}),
        "combined mode": ([COMBINED], [COMBINED], {COMBINED}),
        "none": ([], [], set()),
    },
)
@pytest.mark.accepts("M1", "D2")
@pytest.mark.refuses("M1", "D2")
def test_what_is_not_offered_is_neither_advertised_nor_accepted(
    attested: AttestedClient,
    http: Client,
    settings: Any,
    offered: list[str],
    advertised: list[str],
    accepted: set[str],
) -> None:
    configure(settings, METHODS=offered)
    assert [name for name in document(http)[METHODS] if name.startswith("attest")] == advertised
    refusals = {METHOD: Reason.METHOD_NOT_ALLOWED, COMBINED: Reason.COMBINED_MODE_NOT_OFFERED}
    for method, headers in {METHOD: attested.headers(), COMBINED: attested.combined()}.items():
        if method in accepted:
            attested.accepted(headers=headers)
        else:
            attested.refused(refusals[method], headers=headers)


# M2


@each_document
@pytest.mark.accepts("M2")
def test_the_algorithms_are_those_of_the_settings(http: Client, settings: Any, path: str) -> None:
    members = (ATTESTATION_ALGORITHMS, POP_ALGORITHMS, DPOP_ALGORITHMS)
    default = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
    found = document(http, path)
    assert [found[name] for name in members] == [default, default, default]
    chosen = (["PS256"], ["EdDSA", "ES512"], ["ES384"])
    configure(
        settings, **dict(zip(("ATTESTATION_ALGORITHMS", "POP_ALGORITHMS", "DPOP_ALGORITHMS"), chosen, strict=True))
    )
    found = document(http, path)
    assert tuple(found[name] for name in members) == chosen


@table(
    ("changes", "expected"),
    {
        "both modes": ({}, {ATTESTATION_ALGORITHMS, POP_ALGORITHMS, DPOP_ALGORITHMS}),
        "normal mode, and DPoP": ({"METHODS": [METHOD]}, {ATTESTATION_ALGORITHMS, POP_ALGORITHMS, DPOP_ALGORITHMS}),
        "normal mode without DPoP": (
            {"METHODS": [METHOD], "DPOP": "off"},
            {ATTESTATION_ALGORITHMS, POP_ALGORITHMS},
        ),
        "combined mode": ({"METHODS": [COMBINED]}, {ATTESTATION_ALGORITHMS, DPOP_ALGORITHMS}),
        "DPoP for everybody": ({"METHODS": [], "DPOP": "all"}, {DPOP_ALGORITHMS}),
        "nothing": ({"METHODS": [], "DPOP": "off"}, set()),
    },
)
@each_document
@pytest.mark.accepts("M2")
@pytest.mark.refuses("M2")
def test_each_algorithm_list_is_there_where_it_is_used(
    http: Client, settings: Any, changes: dict[str, Any], expected: set[str], path: str
) -> None:
    configure(settings, **changes)
    found = document(http, path)
    assert {name for name in found if name.endswith("signing_alg_values_supported") and name in OURS} == expected
    assert all(found[name] for name in expected)


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
    for algorithm in found[DPOP_ALGORITHMS]:
        client.instance = ClientInstance(algorithm=algorithm)
        client.accepted(headers=client.combined())


@pytest.mark.refuses("M2")
def test_an_algorithm_that_is_not_advertised_is_refused(attested: AttestedClient, http: Client) -> None:
    assert "PS256" not in document(http)[POP_ALGORITHMS]
    assert "PS256" not in document(http)[DPOP_ALGORITHMS]
    attested.instance = ClientInstance(algorithm="PS256", key=generate_key("PS256"))
    attested.refused(Reason.POP_ALGORITHM)
    combined = attested.combined()
    response = attested.post(headers=combined)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_attestation")


# S1: what is said of attestations beside something else, and that it is what is accepted

POP_METHODS = "client_attestation_pop_methods_supported"
RESOURCE = "/.well-known/oauth-protected-resource"
JWT, DPOP_COMBINED = "attestation_pop_jwt", "dpop_combined"
WITHOUT_DPOP = {"DPOP": "off", "METHODS": [METHOD]}

#: Settings, and which proofs are accepted at the authorization server and at its resources.
PROOFS = {
    "the default": ({}, {JWT, DPOP_COMBINED}, {JWT, DPOP_COMBINED}),
    "proofs of possession alone": ({"POP_METHODS": [JWT]}, {JWT}, {JWT}),
    "combined mode alone": ({"POP_METHODS": [DPOP_COMBINED]}, {DPOP_COMBINED}, {DPOP_COMBINED}),
    "no DPoP": (WITHOUT_DPOP, {JWT}, {JWT}),
    "no nonces at the authorization server": ({"DPOP_NONCE": "off", "METHODS": [METHOD]}, {JWT}, {JWT, DPOP_COMBINED}),
    "no nonces at resources": (
        {"RESOURCE_DPOP_NONCE": "off", "METHODS": ["attest_jwt_client_auth"]},
        {JWT, DPOP_COMBINED},
        {JWT},
    ),
    "another order": ({"POP_METHODS": [DPOP_COMBINED, JWT]}, {JWT, DPOP_COMBINED}, {JWT, DPOP_COMBINED}),
    "methods of client authentication do not count": ({"METHODS": []}, {JWT, DPOP_COMBINED}, {JWT, DPOP_COMBINED}),
}

each_use = table("use", {"optional": "optional", "required": "required"})


def expected_methods(accepted: set[str], use: str) -> set[str]:
    return accepted | ({"none"} if use == "optional" else set())


def assert_algorithms(found: dict[str, Any], accepted: set[str]) -> None:
    assert found[ATTESTATION_ALGORITHMS]
    assert JWT not in accepted or found[POP_ALGORITHMS]
    assert DPOP_COMBINED not in accepted or found[DPOP_ALGORITHMS]


@pytest.fixture
def signalling(attested: AttestedClient) -> AttestedClient:
    """A client that authenticates by its secret, and may attest."""
    attested.application.client_attestation_policy.delete()
    return attested


def by_secret(client: AttestedClient, headers: dict[str, str]) -> int:
    data = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": "secret"}
    response = client.post(data=data, headers=headers)
    assert response.status_code == 200 or response.json()["error"].startswith("invalid_client"), response.content
    return int(response.status_code)


@each_use
@table(("changes", "at_server", "at_resource"), PROOFS)
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_the_proofs_that_go_with_a_secret_are_those_that_are_advertised(
    signalling: AttestedClient,
    http: Client,
    settings: Any,
    use: str,
    changes: dict[str, Any],
    at_server: set[str],
    at_resource: set[str],
) -> None:
    configure(settings, ATTESTATION_SIGNAL=use, **changes)
    found = document(http)
    assert len(found[POP_METHODS]) == len({*found[POP_METHODS]})
    assert {*found[POP_METHODS]} == expected_methods(at_server, use)
    assert_algorithms(found, at_server)
    presented = {JWT: signalling.headers(), DPOP_COMBINED: signalling.combined(), "none": {}}
    let_in = {method for method, headers in presented.items() if by_secret(signalling, headers) == 200}
    assert let_in == {*found[POP_METHODS]}


@each_document
@pytest.mark.accepts("S1")
def test_every_document_says_how_a_signal_is_proven(http: Client, settings: Any, path: str) -> None:
    configure(settings, ATTESTATION_SIGNAL="optional", METHODS=[])
    assert document(http, path)[POP_METHODS] == [JWT, DPOP_COMBINED, "none"]
    configure(settings, ATTESTATION_SIGNAL="required", METHODS=[])
    assert document(http, path)[POP_METHODS] == [JWT, DPOP_COMBINED]


@each_document
@pytest.mark.refuses("S1")
def test_nothing_is_said_of_signals_where_there_are_none(signalling: AttestedClient, http: Client, path: str) -> None:
    assert POP_METHODS not in document(http, path)
    data = {"grant_type": "client_credentials", "client_id": signalling.client_id, "client_secret": "secret"}
    signalling.refused(Reason.SECOND_MECHANISM, data=data)


def resource_proofs(client: AttestedClient, path: str) -> dict[str, dict[str, str]]:
    """Return the fields of a request to a resource for each kind of proof."""
    token = create_access_token(client.application)
    bearer = {"Authorization": f"Bearer {token}"}
    pop = client.pop(challenge=fresh_resource_challenge())
    combined = client.combined(path, method="GET", access_token=token)
    return {JWT: {**bearer, **client.headers(pop=pop)}, DPOP_COMBINED: {**bearer, **combined}, "none": bearer}


@table(
    ("use", "path"),
    {
        "optional, Django REST framework": ("optional", "/api/attested/optional"),
        "optional, a view": ("optional", "/api/view/attested/optional"),
        "required, Django REST framework": ("required", "/api/attested"),
        "required, a decorator": ("required", "/api/decorated/attested"),
    },
)
@table(("changes", "at_server", "at_resource"), PROOFS)
@pytest.mark.accepts("S1", "S2")
@pytest.mark.refuses("S1", "S2")
def test_the_proofs_that_go_with_an_access_token_are_those_that_the_resource_advertises(
    signalling: AttestedClient,
    http: Client,
    settings: Any,
    changes: dict[str, Any],
    at_server: set[str],
    at_resource: set[str],
    use: str,
    path: str,
) -> None:
    configure(settings, RESOURCE_ATTESTATION=use, **changes)
    found = document(http, RESOURCE)
    assert {*found[POP_METHODS]} == expected_methods(at_resource, use)
    assert_algorithms(found, at_resource)
    let_in = set()
    for method, headers in resource_proofs(signalling, path).items():
        response = signalling.http.get(path, headers=headers)
        assert response.status_code in (200, 401)
        let_in |= {method} if response.status_code == 200 else set()
    assert let_in == {*found[POP_METHODS]}


@pytest.mark.refuses("S1")
def test_the_document_of_a_resource_without_attestations_says_nothing_of_them(http: Client, settings: Any) -> None:
    configure(settings, ATTESTATION_SIGNAL="required")
    found = document(http, RESOURCE)
    assert not {POP_METHODS, ATTESTATION_ALGORITHMS, POP_ALGORITHMS, "challenge_endpoint"} & set(found)


@pytest.mark.accepts("S2")
def test_a_client_that_believes_the_document_of_the_resource_gets_in(
    signalling: AttestedClient, http: Client, settings: Any
) -> None:
    """Audience, challenge and algorithm come from it alone."""
    configure(settings, RESOURCE_ATTESTATION="required", RESOURCE="https://api.example.com/v1")
    found = document(http, RESOURCE)
    assert found["resource"] == "https://api.example.com/v1"
    assert found["challenge_endpoint"] == f"{ISSUER}/oauth-client-attestation/resource-challenge"
    answer = http.post(urlsplit(found["challenge_endpoint"]).path)
    assert "no-store" in answer.headers["Cache-Control"]
    pop = signalling.pop(audience=found["resource"], challenge=answer.json()["attestation_challenge"])
    bearer = {"Authorization": f"Bearer {create_access_token(signalling.application)}"}
    response = signalling.http.get("/api/attested", headers={**bearer, **signalling.headers(pop=pop)})
    assert response.status_code == 200, response.content


@pytest.mark.refuses("S2", "C2")
def test_the_challenge_endpoint_of_the_resource_leaves_with_the_setting(http: Client, settings: Any) -> None:
    configure(settings, RESOURCE_ATTESTATION="optional", CHALLENGE_ENDPOINT=False)
    assert "challenge_endpoint" not in document(http, RESOURCE)
    assert http.post("/oauth-client-attestation/resource-challenge").status_code == 404


@table(
    "changes",
    {
        "without DPoP": WITHOUT_DPOP,
        "without nonces at resources": {"RESOURCE_DPOP_NONCE": "off", "METHODS": ["attest_jwt_client_auth"]},
    },
)
def test_combined_mode_cannot_be_the_only_one_where_there_is_none(settings: Any, changes: dict[str, Any]) -> None:
    """The list would be empty, and nothing accepted."""
    configure(settings, POP_METHODS=[DPOP_COMBINED], **changes)
    with pytest.raises(ImproperlyConfigured, match="POP_METHODS"):
        app_settings.validate()


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
    assert not {METHOD, COMBINED} & {*found[METHODS]}


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
        METHODS: ["private_key_jwt", METHOD, COMBINED],
        "challenge_endpoint": f"{ISSUER}/oauth-client-attestation/challenge",
        ATTESTATION_ALGORITHMS: ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        POP_ALGORITHMS: ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        DPOP_ALGORITHMS: ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        PAR_ENDPOINT: f"{ISSUER}/o/par/",
    }


@pytest.mark.accepts("M1")
def test_extending_leaves_the_original_alone() -> None:
    original = {"issuer": ISSUER, METHODS: ["private_key_jwt"]}
    extend_authorization_server_metadata(original)
    assert original == {"issuer": ISSUER, METHODS: ["private_key_jwt"]}
