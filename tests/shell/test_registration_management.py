"""Rule K1: the management of a registration (RFC 7592), and that no client leaves attestation by it (B5)."""

from __future__ import annotations

from typing import Any

import pytest
from oauth2_provider.models import get_application_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, AttesterApplication, ClientInstance, ClientRegistration
from tests.kit import AttestedClient, configure, provider, register_attester, table
from tests.shell.registration import (
    ATTESTATION_METADATA,
    METADATA,
    METHOD,
    METHOD_DPOP,
    SOFTWARE_ID,
    Registrant,
    open_registration,
    registered,
)

pytestmark = pytest.mark.django_db

CALLBACK = "https://client.example/callback"
WITH_SECRET = {**METADATA, "token_endpoint_auth_method": "client_secret_basic"}
POP_SIGNING = "client_attestation_pop_signing_alg_values_supported"


@pytest.fixture
def client(settings: Any) -> Any:
    """A client that has registered itself for attestation."""
    registrant = Registrant()
    register_attester(registrant.backend)
    configure(settings, REGISTRATION_ATTESTERS=["Acme"])
    with open_registration():
        yield registrant.register()


def refused(response: Any, before: tuple[int, ...], code: str = "invalid_client_metadata", status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert "no-store" in response.headers["Cache-Control"]
    assert registered() == before


@pytest.mark.accepts("K1")
def test_a_client_reads_what_it_registered(client: Registrant) -> None:
    response = client.manage("GET")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json() == client.answer
    assert {name: response.json()[name] for name in ATTESTATION_METADATA} == ATTESTATION_METADATA


@pytest.mark.accepts("K1")
def test_a_client_updates_what_it_registered_and_gets_a_token(client: Registrant) -> None:
    updated = client.update({**METADATA, "client_name": "Purse", POP_SIGNING: ["ES512", "EdDSA"]})
    assert updated.answer["client_name"] == "Purse"
    assert updated.answer[POP_SIGNING] == ["ES512", "EdDSA"]
    assert updated.manage("GET").json() == updated.answer
    assert client.manage("GET").status_code == 401, "the token before was replaced"
    updated.as_client().accepted()


@pytest.mark.accepts("K1")
def test_what_an_update_leaves_out_is_no_longer_said(client: Registrant) -> None:
    updated = client.update({"grant_types": ["client_credentials"], "token_endpoint_auth_method": METHOD})
    assert not set(ATTESTATION_METADATA) - {"token_endpoint_auth_method"} & set(updated.answer)
    updated.as_client().accepted()


@pytest.mark.accepts("K1")
def test_a_client_deletes_itself_with_everything_that_was_stored_of_it(client: Registrant) -> None:
    attested = client.as_client()
    attested.accepted()
    response = client.manage("DELETE")
    assert (response.status_code, response.content) == (204, b"")
    assert not get_application_model().objects.exists()
    assert not AttestationPolicy.objects.exists()
    assert not ClientRegistration.objects.exists()
    assert not ClientInstance.objects.exists()
    assert not AttesterApplication.objects.exists()
    attested.refused(Reason.CLIENT_NOT_REGISTERED)


@pytest.mark.refuses("K1", "B5")
@table(
    "method",
    {
        "a secret": "client_secret_basic",
        "a secret in the body": "client_secret_post",
        "nothing": "none",
        "the default, which is a secret": None,
    },
)
def test_an_attested_client_cannot_change_to_another_method(client: Registrant, method: str | None) -> None:
    before = registered()
    metadata = {name: value for name, value in METADATA.items() if name != "token_endpoint_auth_method"}
    if method is not None:
        metadata["token_endpoint_auth_method"] = method
    refused(client.manage("PUT", {**metadata, "client_name": "Purse"}), before)
    assert client.manage("GET").json() == client.answer, "the registration and its token are as they were"
    assert client.application.client_type == "confidential"
    client.as_client().refused(Reason.ATTESTATION_REQUIRED, send=lambda: client.token_by_secret("secret"))
    client.as_client().accepted()


@pytest.mark.accepts("K1")
def test_an_attested_client_changes_to_the_other_method(client: Registrant, settings: Any) -> None:
    configure(settings, METHODS=[METHOD, METHOD_DPOP])
    updated = client.update({**METADATA, "token_endpoint_auth_method": METHOD_DPOP})
    assert updated.answer["token_endpoint_auth_method"] == METHOD_DPOP
    assert updated.application.client_attestation_policy.methods == [METHOD_DPOP]
    updated.as_client().refused(Reason.METHOD_NOT_ALLOWED)


@pytest.mark.accepts("K1", "B5")
@table(
    "metadata",
    {
        "from a secret": WITH_SECRET,
        "from nothing": {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"},
    },
)
def test_a_client_changes_to_attestation(client: Registrant, metadata: dict[str, Any]) -> None:
    other = Registrant(client.backend, client.instance).register(metadata)
    secret = other.answer.get("client_secret", "")
    updated = other.update(METADATA)
    assert updated.answer["token_endpoint_auth_method"] == METHOD
    assert "client_secret" not in updated.answer
    assert updated.application.client_type == "confidential"
    assert updated.application.client_secret
    attested = updated.as_client()
    attested.refused(Reason.ATTESTATION_REQUIRED, send=lambda: updated.token_by_secret(secret))
    attested.accepted()


@pytest.mark.accepts("B5")
def test_an_update_leaves_alone_what_an_operator_has_decided(client: Registrant) -> None:
    AttestationPolicy.objects.update(challenge="optional", oldest_revision=12)
    AttesterApplication.objects.all().delete()
    updated = client.update(METADATA)
    policy = updated.application.client_attestation_policy
    assert (policy.challenge, policy.oldest_revision) == ("optional", 12)
    updated.as_client().refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.accepts("K1")
@pytest.mark.refuses("B5")
@pytest.mark.parametrize("methods", [[METHOD_DPOP], [METHOD, METHOD_DPOP]], ids=["narrowed", "widened"])
def test_an_update_leaves_alone_which_methods_an_operator_allows(client: Registrant, methods: list[str]) -> None:
    """Nor does it matter in which order a client names the two."""
    AttestationPolicy.objects.update(methods=methods)
    for method in (METHOD, METHOD_DPOP, METHOD):
        client = client.update({**METADATA, "token_endpoint_auth_method": method})
        assert client.application.client_attestation_policy.methods == methods
        assert client.answer["token_endpoint_auth_method"] in methods
        assert client.manage("GET").json() == client.answer


@pytest.mark.refuses("B5", "K1")
@table("metadata", {"of its own policy": METADATA, "of the operator's": WITH_SECRET})
def test_a_client_does_not_change_to_a_method_that_an_operator_has_shut_out(
    client: Registrant, metadata: dict[str, Any]
) -> None:
    client = client.register(metadata)
    policy, _ = AttestationPolicy.objects.get_or_create(application=client.application)
    policy.methods, wanted = ([METHOD_DPOP], METHOD) if metadata is METADATA else ([METHOD], METHOD_DPOP)
    policy.save()
    if metadata is METADATA:
        client = client.update({**METADATA, "token_endpoint_auth_method": wanted})
    else:
        before = registered()
        refused(client.manage("PUT", {**METADATA, "token_endpoint_auth_method": wanted}), before)
    assert client.application.client_attestation_policy.methods == policy.methods


@pytest.mark.refuses("K1")
@table(
    "changes",
    {
        "a symmetric algorithm": {POP_SIGNING: ["HS256"]},
        "a method that is not offered": {"token_endpoint_auth_method": METHOD_DPOP},
        "the implicit grant": {"grant_types": ["implicit"], "redirect_uris": [CALLBACK]},
        "a grant that the host does not know": {"grant_types": ["magic"]},
    },
)
def test_an_update_that_cannot_be_accepted_changes_nothing(
    client: Registrant, settings: Any, changes: dict[str, Any]
) -> None:
    configure(settings, METHODS=[METHOD])
    before = registered()
    refused(client.manage("PUT", {**METADATA, "client_name": "Purse", **changes}), before)
    assert client.manage("GET").json() == client.answer


@pytest.mark.refuses("K1")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_token_of_another_client_is_refused(client: Registrant, method: str) -> None:
    other = Registrant(client.backend).register()
    before = registered()
    metadata = METADATA if method == "PUT" else None
    refused(client.manage(method, metadata, client_id=other.client_id), before, "invalid_token", 401)
    assert other.manage("GET").json() == other.answer


@pytest.mark.refuses("K1")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_access_token_of_the_client_is_no_registration_access_token(client: Registrant, method: str) -> None:
    token = client.as_client().accepted().json()["access_token"]
    before = registered()
    refused(client.manage(method, METADATA, token=token), before, "invalid_token", 401)


@pytest.mark.refuses("K1")
def test_an_application_that_an_operator_has_made_cannot_be_managed(client: Registrant) -> None:
    get_application_model().objects.update(registration_source="manual")
    before = registered()
    for method in ("GET", "PUT", "DELETE"):
        refused(client.manage(method, METADATA), before, "invalid_token", 401)


@pytest.mark.accepts("H5", "K1")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_management_request_may_carry_an_attestation(client: Registrant, method: str) -> None:
    response = client.manage(method, METADATA, **client.as_client().headers())
    assert response.status_code in (200, 204), response.content
    assert response.headers["OAuth-Client-Attestation-Challenge"]


@pytest.mark.refuses("H5", "K1", "P8")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_management_request_with_an_attestation_is_judged_by_it(client: Registrant, method: str) -> None:
    attested = client.as_client()
    metadata = {**METADATA, "client_name": "Purse"}

    def send(headers: dict[str, str]) -> Any:
        return lambda: client.manage(method, metadata, **headers)

    used = attested.headers()
    assert client.manage("GET", **used).status_code == 200
    before = registered()
    attested.refused(Reason.POP_REPLAYED, send=send(used))
    other = AttestedClient(client.backend, client.instance, SOFTWARE_ID)
    attested.refused(Reason.CLIENT_MISMATCH, send=send(other.headers()))
    stranger = Registrant().headers(client.client_id)
    attested.refused(Reason.ATTESTATION_SIGNATURE, send=send(stranger))
    assert registered() == before
    assert client.manage("GET").json() == client.answer


def test_management_that_is_switched_off_is_not_there(client: Registrant) -> None:
    with provider(DCR_ENABLED=False):
        response = client.manage("GET", **client.as_client().headers())
    assert response.status_code == 404


def test_a_body_that_cannot_be_read_is_refused_in_json(client: Registrant) -> None:
    before = registered()
    refused(client.manage("PUT", "a\0b"), before)
