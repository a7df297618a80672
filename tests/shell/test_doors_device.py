"""The device flow (RFC 8628) of attested clients: both endpoints, the user's decision, one token for one code."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_device_grant_model

from oauth_client_attestation.core.errors import Reason
from tests.kit import (
    DEVICE_AUTHORIZATION,
    DEVICE_CODE_GRANT,
    DOORS,
    TOKEN,
    AttestedClient,
    alice,
    create_device_code,
    post_form,
)

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}


def decide(user_code: str, action: str) -> None:
    """Let alice's browser enter the user code and accept or deny."""
    browser = Client()
    browser.force_login(alice())
    entered = browser.post("/o/device/", {"user_code": user_code})
    assert entered.status_code == 302, entered.content
    decided = browser.post(entered["Location"], {"action": action})
    assert decided.status_code == 302, decided.content


def poll(client: AttestedClient, device_code: str, **extra: Any) -> Any:
    """Ask for the token."""
    return client.post(data={"grant_type": DEVICE_CODE_GRANT, "device_code": device_code}, **extra)


@pytest.fixture(params=["confidential", "public"])
def client(request: pytest.FixtureRequest) -> AttestedClient:
    """An attested client with the device code grant."""
    return DOOR["device_code"].register(client_type=request.param)


@pytest.fixture
def other() -> AttestedClient:
    """Another attested client with the device code grant."""
    return DOOR["device_code"].register(AttestedClient(client_id="other"), attester={"name": "Other"})


def start(client: AttestedClient, **parameters: str) -> dict[str, Any]:
    """Ask for a device code, without a client_id unless ``parameters`` has one."""
    response = post_form(client.http, DEVICE_AUTHORIZATION, parameters, headers=client.headers())
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.accepts("B4")
@pytest.mark.parametrize("parameters", [{}, {"client_id": "app"}], ids=["client_id absent", "client_id present"])
@pytest.mark.parametrize(("asked", "granted"), [({}, "read"), ({"scope": "read write"}, "read write")])
@pytest.mark.accepts("A4", "E7")
def test_the_whole_flow(
    client: AttestedClient, parameters: dict[str, str], asked: dict[str, str], granted: str
) -> None:
    answer = start(client, **parameters, **asked)
    assert set(answer) == {"verification_uri", "expires_in", "user_code", "device_code", "interval"}
    grant = get_device_grant_model().objects.get()
    assert (grant.client_id, grant.scope) == ("app", granted)

    pending = poll(client, answer["device_code"])
    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")

    decide(answer["user_code"], "accept")
    tokens = poll(client, answer["device_code"]).json()
    row = get_access_token_model().objects.get(token=tokens["access_token"])
    assert (row.application, row.user, row.scope) == (client.application, alice(), granted)


def test_a_denied_code_is_answered_with_access_denied(client: AttestedClient) -> None:
    answer = start(client)
    decide(answer["user_code"], "deny")
    response = poll(client, answer["device_code"])
    assert (response.status_code, response.json()["error"]) == (400, "access_denied")
    assert not get_access_token_model().objects.exists()


@pytest.mark.parametrize(
    "status",
    [
        "authorized",
        "authorization-pending",
        "expired",
    ],
)
def test_an_expired_code_is_answered_with_expired_token(client: AttestedClient, status: str) -> None:
    """RFC 8628 section 3.5, whatever the user had decided by then."""
    code = create_device_code(client.application, status=status, expires_in=-1)
    response = poll(client, code)
    assert (response.status_code, response.json()["error"]) == (400, "expired_token")
    assert not get_access_token_model().objects.exists()


def test_a_code_is_redeemed_once(client: AttestedClient) -> None:
    code = create_device_code(client.application)
    client.accepted(data={"grant_type": DEVICE_CODE_GRANT, "device_code": code})
    again = poll(client, code)
    assert again.status_code == 400
    assert again.json()["error"] in {"invalid_grant", "expired_token"}
    assert get_access_token_model().objects.count() == 1


@pytest.mark.refuses("A4")
def test_another_attested_client_cannot_redeem_a_code(client: AttestedClient, other: AttestedClient) -> None:
    code = create_device_code(client.application)
    stolen = poll(other, code)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert not get_access_token_model().objects.exists()
    client.accepted(data={"grant_type": DEVICE_CODE_GRANT, "device_code": code})


@pytest.mark.parametrize("status", ["authorized", "authorization-pending", "denied", "expired"])
def test_another_attested_client_does_not_learn_the_state_of_a_code(
    client: AttestedClient, other: AttestedClient, status: str
) -> None:
    response = poll(other, create_device_code(client.application, status=status))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("code_of", "code"),
    [
        pytest.param("authorized", None, id="authorized"),
        pytest.param("authorization-pending", None, id="pending"),
        pytest.param("denied", None, id="denied"),
        pytest.param("expired", None, id="expired"),
        pytest.param(None, "no-such-code", id="unknown"),
        pytest.param(None, "", id="empty"),
        pytest.param(None, None, id="missing"),
    ],
)
@pytest.mark.parametrize("client_type", ["confidential", "public"])
@pytest.mark.refuses("B5", "E7")
def test_the_state_of_a_code_is_not_revealed_before_the_client_is_authenticated(
    client_type: str, code_of: str | None, code: str | None
) -> None:
    client = DOOR["device_code"].register(client_type=client_type)
    if code_of:
        code = create_device_code(client.application, status=code_of)
    parameters = {"grant_type": DEVICE_CODE_GRANT, "client_id": "app"}
    if code is not None:
        parameters["device_code"] = code
    client.refused(Reason.ATTESTATION_REQUIRED, data=parameters, headers={})
    stranger = {"OAuth-Client-Attestation": client.attestation()}
    client.refused(Reason.POP_MISSING, data=parameters, headers=stranger)


@pytest.mark.parametrize("parameters", [{}, {"device_code": ""}], ids=["missing", "empty"])
@pytest.mark.accepts("E7")
def test_a_missing_device_code_is_a_json_error(client: AttestedClient, parameters: dict[str, str]) -> None:
    response = client.post(data={"grant_type": DEVICE_CODE_GRANT, **parameters})
    assert response.status_code == 400
    assert response.json() == {"error": "invalid_request", "error_description": "Missing device_code parameter."}
    assert response.headers["Cache-Control"] == "no-store"


def test_an_unknown_code_is_a_json_error(client: AttestedClient) -> None:
    response = poll(client, "no-such-code")
    assert response.status_code in {400, 404}
    assert response.json()["error"] in {"invalid_grant", "device_not_found"}


def test_a_code_with_a_nul_is_a_json_error(client: AttestedClient) -> None:
    """PostgreSQL cannot be asked for it."""
    client.http.raise_request_exception = False
    response = poll(client, "a\0b")
    assert response.status_code in {400, 404}, response.content
    assert response.json()["error"]


@pytest.mark.refuses("P8")
def test_a_polling_client_needs_a_fresh_proof_each_time(client: AttestedClient) -> None:
    code = create_device_code(client.application, status="authorization-pending")
    headers = client.headers()
    assert poll(client, code, headers=headers).json()["error"] == "authorization_pending"
    data = {"grant_type": DEVICE_CODE_GRANT, "device_code": code}
    client.refused(Reason.POP_REPLAYED, path=TOKEN, data=data, headers=headers)


def test_a_client_without_the_grant_gets_no_code_redeemed(attested: AttestedClient) -> None:
    """Registered for client_credentials alone, with a row that it should not have."""
    code = create_device_code(attested.application)
    response = poll(attested, code)
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.refuses("B4")
def test_a_code_that_was_given_to_a_public_client_in_the_open_is_refused_once_attestation_is_required() -> None:
    """The policy came between the device authorization and the token: no instance asked for the code."""
    client = AttestedClient()
    application = DOOR["device_code"].create_application(client_type="public")
    started = post_form(client.http, DEVICE_AUTHORIZATION, {"client_id": "app"})
    assert started.status_code == 200, started.content
    decide(started.json()["user_code"], "accept")
    application.delete()
    DOOR["device_code"].register(client, client_type="public")
    data = {"grant_type": DEVICE_CODE_GRANT, "device_code": started.json()["device_code"]}
    client.refused(Reason.ATTESTATION_REQUIRED, data={**data, "client_id": "app"}, headers={})
    client.refused(Reason.DEVICE_CODE_UNBOUND, data=data, proof_used=True)
