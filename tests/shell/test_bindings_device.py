"""Device codes belong to the instance that asked for them (rule B4)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_device_grant_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AccessTokenBinding,
    AttestationPolicy,
    ClientInstance,
    DeviceCodeBinding,
)
from tests.kit import (
    DEVICE_AUTHORIZATION,
    DEVICE_CODE_GRANT,
    DOORS,
    TOKEN,
    AttestedClient,
    create_application,
    create_device_code,
    post_form,
)
from tests.shell.concealment import concealed
from tests.shell.test_doors_device import decide, start

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}
STATES = ["authorized", "authorization-pending", "denied", "expired"]


@pytest.fixture(params=["confidential", "public"])
def client(request: pytest.FixtureRequest) -> AttestedClient:
    """An attested client with the device code grant."""
    return DOOR["device_code"].register(client_type=request.param)


def polling(device_code: str) -> dict[str, str]:
    return {"grant_type": DEVICE_CODE_GRANT, "device_code": device_code}


def states() -> list[tuple[str, Any]]:
    return list(get_device_grant_model().objects.order_by("pk").values_list("status", "last_checked"))


@pytest.mark.accepts("B4")
@pytest.mark.refuses("B4")
def test_the_instance_that_asked_redeems_and_no_other(client: AttestedClient) -> None:
    answer = start(client)
    binding = DeviceCodeBinding.objects.get()
    assert (binding.instance, binding.application) == (client.record(), client.application)
    assert answer["device_code"] not in str(vars(binding))
    another, data = client.another(), polling(answer["device_code"])

    another.refused(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, data=data, proof_used=True)
    assert client.post(data=data).json() == {"error": "authorization_pending"}
    decide(answer["user_code"], "accept")
    another.refused(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, data=data, proof_used=True)
    client.refused(Reason.ATTESTATION_REQUIRED, data={**data, "client_id": "app"}, headers={})
    client.accepted(data=data)
    assert AccessTokenBinding.objects.get().instance == client.record()
    assert client.post(data=data).status_code == 400
    assert get_access_token_model().objects.count() == 1


@pytest.mark.parametrize("status", STATES)
@pytest.mark.refuses("B4")
def test_another_instance_learns_nothing_and_changes_nothing(client: AttestedClient, status: str) -> None:
    """Not even whether there is such a code."""
    another = client.another()
    code = create_device_code(client.application, status=status, expires_in=600)
    before = states()
    known = another.refused(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, data=polling(code), proof_used=True)
    unknown = another.refused(Reason.DEVICE_CODE_UNBOUND, data=polling("no-such-code"), proof_used=True)
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert set(known.headers) == set(unknown.headers)
    assert states() == before


@pytest.mark.refuses("B4")
def test_another_instance_does_not_let_a_code_expire(client: AttestedClient) -> None:
    code = create_device_code(client.application, status="authorization-pending", expires_in=-1)
    before = states()
    client.another().refused(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, data=polling(code), proof_used=True)
    assert states() == before


@pytest.mark.refuses("B4")
def test_another_attested_client_cannot_tell_a_code_from_none(client: AttestedClient) -> None:
    other = DOOR["device_code"].register(AttestedClient(client_id="other"), attester={"name": "Other"})
    code = create_device_code(client.application)
    other.refused(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, data=polling(code), proof_used=True)
    client.accepted(data=polling(code))


STRANGERS = pytest.mark.parametrize(
    "stranger",
    [
        pytest.param({"client_id": "free"}, id="a public client"),
        pytest.param({"client_id": "wrong-grant", "client_secret": "secret"}, id="a client without the grant"),
        pytest.param({"client_id": "nobody"}, id="an unknown client"),
        pytest.param({}, id="no client"),
    ],
)


def stranger_polls(stranger: dict[str, str]) -> Callable[[str], Any]:
    """Return how somebody without an attestation asks for a device code."""
    create_application("free", authorization_grant_type=DEVICE_CODE_GRANT, client_type="public")
    create_application("wrong-grant")
    return lambda code: post_form(Client(), TOKEN, {**polling(code), **stranger})


@STRANGERS
@pytest.mark.parametrize("status", STATES)
@pytest.mark.refuses("B4")
def test_who_is_not_attested_cannot_tell_a_bound_code_from_none(
    client: AttestedClient, status: str, stranger: dict[str, str]
) -> None:
    """And lets none expire."""
    code = create_device_code(client.application, status=status, expires_in=-1)
    before = states()
    concealed(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, stranger_polls(stranger), code)
    assert states() == before


@STRANGERS
@pytest.mark.parametrize("status", STATES)
@pytest.mark.refuses("B4")
def test_who_is_not_attested_cannot_tell_a_code_from_before_from_none(
    client: AttestedClient, status: str, stranger: dict[str, str]
) -> None:
    """It belongs to a client that must be attested by now."""
    concealed(None, stranger_polls(stranger), create_device_code(client.application, status=status, bound=False))


@pytest.mark.refuses("B4")
def test_a_bound_code_needs_its_instance_even_after_the_policy_has_gone(client: AttestedClient) -> None:
    code = create_device_code(client.application)
    AttestationPolicy.objects.all().delete()
    data = {**polling(code), "client_id": "app", "client_secret": "secret"}

    def poll(device_code: str) -> Any:
        return post_form(Client(), TOKEN, {**data, "device_code": device_code})

    concealed(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, poll, code)
    AttestationPolicy.objects.create(application=client.application)
    client.accepted(data=polling(code))


@pytest.mark.refuses("B4")
def test_an_unbound_code_fails_closed(client: AttestedClient) -> None:
    code = create_device_code(client.application, bound=False)
    client.refused(Reason.DEVICE_CODE_UNBOUND, data=polling(code), proof_used=True)


@pytest.mark.refuses("B4")
def test_a_code_that_was_revoked_with_its_instance_is_refused(client: AttestedClient) -> None:
    """Before and after its row is cleared away."""
    code = create_device_code(client.application)
    assert instances.revoke(client.record()) == 1
    client.refused(Reason.DEVICE_CODE_REVOKED, data=polling(code), proof_used=True)
    DeviceCodeBinding.objects.update(valid_until=1)
    call_command("clearattestations", stdout=io.StringIO())
    client.refused(Reason.DEVICE_CODE_UNBOUND, data=polling(code), proof_used=True)


@pytest.mark.refuses("B4")
def test_a_code_that_is_revoked_while_it_is_being_redeemed_gets_no_token(
    client: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = create_device_code(client.application)
    hold = instances.hold

    def late(instance: Any, **kwargs: Any) -> Any:
        instances.revoke(instance)
        return hold(instance, **kwargs)

    monkeypatch.setattr(instances, "hold", late)
    client.refused(Reason.DEVICE_CODE_REVOKED, data=polling(code), proof_used=True)


def test_a_code_is_bound_for_longer_than_it_can_be_redeemed(client: AttestedClient) -> None:
    with time_machine.travel(1_700_000_000, tick=False) as clock:
        answer = start(client)
        grant = get_device_grant_model().objects.get()
        clock.shift(answer["expires_in"] + 30)
        call_command("clearattestations", stdout=io.StringIO())
        assert DeviceCodeBinding.objects.count() == 1
        assert grant.expires < timezone.now()
        clock.shift(60)
        call_command("clearattestations", stdout=io.StringIO())
    assert not DeviceCodeBinding.objects.exists()


@pytest.mark.refuses("B4")
def test_a_blocked_instance_is_given_no_code(client: AttestedClient) -> None:
    start(client)
    instances.block(client.application.pk, client.instance.thumbprint)

    def send() -> Any:
        return post_form(client.http, DEVICE_AUTHORIZATION, {}, headers=client.headers())

    client.refused(Reason.INSTANCE_BLOCKED, send=send)


def test_a_device_code_of_a_free_client_leaves_no_instance() -> None:
    create_application("free", authorization_grant_type=DEVICE_CODE_GRANT, client_type="public")
    assert post_form(Client(), DEVICE_AUTHORIZATION, {"client_id": "free"}).status_code == 200
    assert not DeviceCodeBinding.objects.exists()
    assert not ClientInstance.objects.exists()
