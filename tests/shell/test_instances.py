"""Client instances: when they are recorded, blocked at every door, relieved of what they hold, and forgotten."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.core.management import call_command
from django.db.models import RestrictedError
from django.test import override_settings
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from oauth_client_attestation import bindings, instances
from oauth_client_attestation.checks import check_databases
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import (
    AccessTokenBinding,
    AttestationPolicy,
    Attester,
    ClientInstance,
    DeviceCodeBinding,
    IdTokenBinding,
    PushedAuthorizationRequest,
    RefreshTokenBinding,
)
from oauth_client_attestation.signals import client_attestation_accepted
from oauth_client_attestation.testing import ClientInstance as Instance
from tests.kit import (
    DOORS,
    INTROSPECT,
    AttestedClient,
    Door,
    alice,
    configure,
    create_code,
    create_device_code,
    create_refresh_token,
    holder,
)

pytestmark = pytest.mark.django_db

DOOR = {door.name: door for door in DOORS}
every_door = pytest.mark.parametrize("door", DOORS, ids=str)
NOW = 1_700_000_000
DAY = date(2023, 11, 14)


def clear() -> str:
    out = io.StringIO()
    call_command("clearattestations", stdout=out, no_color=True)
    return out.getvalue()


def record(client: AttestedClient, **fields: Any) -> ClientInstance:
    """Make the record of an instance that holds nothing."""
    return ClientInstance.objects.create(
        application=client.application, thumbprint=client.instance.thumbprint, **fields
    )


# When there is a record


@every_door
def test_there_is_a_record_once_something_is_bound(door: Door) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    binds = {"authorization_code", "refresh_token", "client_credentials", "password", "device_code"}
    expected = door.name in binds or bool(door.member and door.path not in (INTROSPECT,))
    with time_machine.travel(NOW, tick=False):
        assert door.passed(door.send(client.http, parameters, headers=client.headers()))
    if not expected:
        assert not ClientInstance.objects.exists()
        return
    instance = ClientInstance.objects.get()
    assert (instance.application, instance.thumbprint) == (client.application, client.instance.thumbprint)
    assert instance.blocked is None
    if door.name not in {"refresh_token", "device_code"}:  # whose records the kit has made before
        assert (instance.attester, instance.first_seen, instance.last_seen) == (client.attester, DAY, DAY)


def test_a_refused_request_leaves_no_record(attested: AttestedClient) -> None:
    attested.refused(Reason.POP_SIGNATURE, headers=attested.headers(pop=Instance().prove("x")))
    assert not ClientInstance.objects.exists()


def test_the_days_are_coarse_and_the_last_one_follows(attested: AttestedClient) -> None:
    for seconds in (0, 3600, 2 * 86400, 2 * 86400 + 60):
        with time_machine.travel(NOW + seconds, tick=False):
            attested.accepted()
    instance = attested.record()
    assert (instance.first_seen, instance.last_seen) == (DAY, DAY + timedelta(days=2))


def test_the_days_can_be_switched_off(attested: AttestedClient, settings: Any) -> None:
    configure(settings, RECORD_INSTANCE_TIMES=False)
    for seconds in (0, 86400):
        with time_machine.travel(NOW + seconds, tick=False):
            attested.accepted()
    instance = attested.record()
    assert (instance.first_seen, instance.last_seen) == (None, None)


def test_what_was_recorded_before_they_were_switched_off_is_emptied(attested: AttestedClient, settings: Any) -> None:
    attested.accepted()
    assert attested.record().first_seen
    configure(settings, RECORD_INSTANCE_TIMES=False)
    clear()
    assert (attested.record().first_seen, attested.record().last_seen) == (None, None)


# Blocked


@every_door
@pytest.mark.refuses("E3", "E7")
def test_a_blocked_instance_is_refused_at_every_door(door: Door) -> None:
    client = door.register()
    other = client.another()
    parameters = door.prepare(client.application)
    instances.block(client.application.pk, client.instance.thumbprint, revoke_tokens=False)
    client.refused(Reason.INSTANCE_BLOCKED, send=lambda: door.send(client.http, parameters, headers=client.headers()))
    instances.unblock(client.record())
    assert door.passed(door.send(client.http, parameters, headers=client.headers()))
    client.application.instance = other.instance
    parameters = door.prepare(client.application)
    assert door.passed(door.send(other.http, parameters, headers=other.headers()))


def test_a_blocked_instance_uses_up_no_proof(attested: AttestedClient) -> None:
    """It is refused before the proof is claimed, so a request that was refused can be sent again once unblocked."""
    instances.block(attested.application.pk, attested.instance.thumbprint)
    headers = attested.headers()
    attested.refused(Reason.INSTANCE_BLOCKED, headers=headers)
    instances.unblock(attested.record())
    attested.accepted(headers=headers)


def test_a_block_is_not_told_to_those_who_do_not_have_the_key(attested: AttestedClient) -> None:
    instances.block(attested.application.pk, attested.instance.thumbprint)
    forged = attested.headers(pop=attested.another().pop())
    attested.refused(Reason.POP_SIGNATURE, headers=forged)


def test_a_block_holds_for_its_application_only(attested: AttestedClient) -> None:
    other = AttestedClient(client_id="other", instance=attested.instance)
    other.register(attester={"name": "Other"})
    instances.block(attested.application.pk, attested.instance.thumbprint)
    attested.refused(Reason.INSTANCE_BLOCKED)
    other.accepted()


def test_an_instance_that_is_blocked_between_authentication_and_issuance_is_refused(attested: AttestedClient) -> None:
    """The lock asks again. Between processes: tests/e2e/test_bindings_race.py."""
    attested.accepted()

    def late(**kwargs: Any) -> None:
        instances.block(attested.application.pk, attested.instance.thumbprint)

    client_attestation_accepted.connect(late)
    try:
        response = attested.post()
    finally:
        client_attestation_accepted.disconnect(late)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_attestation")
    assert not get_access_token_model().objects.exists()


def test_blocking_twice_keeps_the_first_moment(attested: AttestedClient) -> None:
    for seconds in (0, 60):
        with time_machine.travel(NOW + seconds, tick=False):
            instances.block(attested.application.pk, attested.instance.thumbprint)
    assert attested.record().blocked.timestamp() == NOW


# Revoked


def hold_everything(client: AttestedClient) -> None:
    """Give an instance one of each, and a used refresh token."""
    create_refresh_token(client.application)
    used = create_refresh_token(client.application)
    client.accepted(data={"grant_type": "refresh_token", "refresh_token": used})
    bindings.bind_authorization_code(
        get_grant_model().objects.get(code=create_code(client.application)), client.record()
    )
    create_device_code(client.application)
    id_token = get_id_token_model().objects.create(
        application=client.application, user=alice(), expires=timezone.now() + timedelta(hours=1)
    )
    bindings.bind_id_token(id_token, client.record())
    PushedAuthorizationRequest.objects.create(
        digest=client.instance.thumbprint, application=client.application, instance=client.record(), valid_until=2**40
    )


@pytest.mark.parametrize("shut_out", ["revoke", "block"])
def test_an_instance_loses_what_it_holds_and_no_other_does(shut_out: str) -> None:
    client = DOOR["authorization_code"].register()
    other = client.another()
    hold_everything(client)
    client.application.instance = other.instance
    hold_everything(other)
    if shut_out == "revoke":
        revoked = instances.revoke(client.record())
    else:
        revoked = instances.block(client.application.pk, client.instance.thumbprint)
    assert revoked == 5  # two refresh tokens with their access tokens, an ID token, a code, a device code
    for mine, its in ((client.record(), 0), (other.record(), 1)):
        assert RefreshTokenBinding.objects.filter(instance=mine, refresh_token__revoked=None).count() == 2 * its
        assert AccessTokenBinding.objects.filter(instance=mine).count() == 2 * its
        assert get_id_token_model().objects.filter(client_attestation_binding__instance=mine).count() == its
        assert get_grant_model().objects.filter(client_attestation_binding__instance=mine).count() == its
        assert DeviceCodeBinding.objects.filter(instance=mine, revoked=False).count() == its
        assert PushedAuthorizationRequest.objects.filter(instance=mine).count() == its
    assert client.record().blocked is None if shut_out == "revoke" else client.record().blocked


def test_access_tokens_without_a_refresh_token_are_revoked(attested: AttestedClient) -> None:
    token = attested.accepted().json()["access_token"]
    assert instances.revoke(attested.record()) == 1
    response = attested.post(INTROSPECT, {"token": token})
    assert response.json() == {"active": False}


def test_revoking_does_not_block(attested: AttestedClient) -> None:
    attested.accepted()
    instances.revoke(attested.record())
    attested.accepted()


# No deletion sets a token free


def test_an_instance_that_holds_something_cannot_be_deleted(attested: AttestedClient) -> None:
    attested.accepted()
    with pytest.raises(RestrictedError):
        attested.record().delete()
    with pytest.raises(RestrictedError):
        ClientInstance.objects.all().delete()


def test_deleting_the_application_deletes_instances_and_what_they_hold() -> None:
    client = DOOR["authorization_code"].register()
    hold_everything(client)
    client.application.delete()
    for model in apps.get_app_config("oauth_client_attestation").get_models():
        if model is not Attester and model.__name__ not in {"AttesterKey", "UsedProof"}:
            assert not model.objects.exists(), model
    assert not get_refresh_token_model().objects.exists()


def test_deleting_the_user_deletes_tokens_with_their_bindings_and_keeps_the_instance() -> None:
    client = DOOR["authorization_code"].register()
    hold_everything(client)
    alice().delete()
    assert not get_refresh_token_model().objects.exists()
    assert not RefreshTokenBinding.objects.exists()
    assert not AccessTokenBinding.objects.exists()
    assert not IdTokenBinding.objects.exists()
    assert client.record().blocked is None


def test_deleting_the_attester_leaves_instances_and_bindings_alone() -> None:
    client = DOOR["authorization_code"].register()
    hold_everything(client)
    before = RefreshTokenBinding.objects.count()
    client.attester.delete()
    assert client.record().attester is None
    assert RefreshTokenBinding.objects.count() == before == 3


def test_every_reference_to_an_instance_is_protected() -> None:
    """Whatever is bound to an instance must not outlive its record as if it were free."""
    ways = {
        relation.field.model.__name__: relation.on_delete.__name__
        for relation in ClientInstance._meta.get_fields(include_hidden=True)
        if relation.auto_created and not relation.concrete
    }
    restricted = {name for name, way in ways.items() if way == "RESTRICT"}
    assert restricted == {
        "AccessTokenBinding",
        "AuthorizationCodeBinding",
        "DeviceCodeBinding",
        "IdTokenBinding",
        "RefreshTokenBinding",
    }
    assert {way for name, way in ways.items() if name not in restricted} <= {"CASCADE"}, "deleted with it at least"


# Forgotten


@pytest.mark.parametrize(("days", "kept"), [(89, True), (90, True), (91, False)])
def test_an_instance_that_holds_nothing_is_forgotten_in_time(attested: AttestedClient, days: int, kept: bool) -> None:
    record(attested, last_seen=DAY)
    with time_machine.travel(NOW + days * 86400, tick=False):
        said = clear()
    assert ClientInstance.objects.exists() is kept
    assert ("1 client instance(s) that held nothing deleted." in said) is not kept


def test_how_long_is_a_setting(attested: AttestedClient, settings: Any) -> None:
    configure(settings, INSTANCE_RETENTION_DAYS=0)
    record(attested, last_seen=DAY)
    with time_machine.travel(NOW, tick=False):
        clear()
        assert ClientInstance.objects.exists()
    with time_machine.travel(NOW + 86400, tick=False):
        clear()
    assert not ClientInstance.objects.exists()


def test_without_days_it_is_forgotten_at_once(attested: AttestedClient, settings: Any) -> None:
    configure(settings, RECORD_INSTANCE_TIMES=False)
    attested.accepted()
    clear()
    assert ClientInstance.objects.exists(), "it holds an access token"
    get_access_token_model().objects.all().delete()
    clear()
    assert not ClientInstance.objects.exists()


def test_a_blocked_instance_is_not_forgotten(attested: AttestedClient) -> None:
    record(attested, last_seen=DAY, blocked=timezone.now())
    clear()
    attested.refused(Reason.INSTANCE_BLOCKED)


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param(lambda client: create_refresh_token(client.application), id="refresh token"),
        pytest.param(lambda client: client.accepted(), id="access token"),
        pytest.param(lambda client: create_device_code(client.application), id="device code"),
        pytest.param(
            lambda client: bindings.bind_authorization_code(
                get_grant_model().objects.get(code=create_code(client.application)), holder(client.application)
            ),
            id="code",
        ),
        pytest.param(
            lambda client: PushedAuthorizationRequest.objects.create(
                digest="d", application=client.application, instance=client.record(), valid_until=2**40
            ),
            id="pushed request",
        ),
    ],
)
def test_an_instance_that_holds_something_is_not_forgotten(attested: AttestedClient, issue: Any) -> None:
    holder(attested.application)
    issue(attested)
    ClientInstance.objects.update(last_seen=DAY)
    clear()
    assert ClientInstance.objects.exists()


def test_many_are_forgotten_in_slices(attested: AttestedClient) -> None:
    ClientInstance.objects.bulk_create(
        ClientInstance(application=attested.application, thumbprint=f"{number:043}", last_seen=DAY)
        for number in range(1100)
    )
    assert "1100 client instance(s)" in clear()


def test_the_policy_may_go_and_the_instance_stays(attested: AttestedClient) -> None:
    instances.block(attested.application.pk, attested.instance.thumbprint)
    AttestationPolicy.objects.all().delete()
    AttestationPolicy.objects.create(application=attested.application)
    attested.refused(Reason.INSTANCE_BLOCKED)


# The database


class Elsewhere:
    """A router that sends this package's tables to another database than the tokens."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.label == "oauth_client_attestation.RefreshTokenBinding" else None


def test_a_binding_in_another_database_than_its_token_is_a_system_check() -> None:
    assert check_databases(None) == []
    with override_settings(DATABASE_ROUTERS=["tests.shell.test_instances.Elsewhere"]):
        (error,) = check_databases(None)
    assert error.id == "oauth_client_attestation.E009"
    assert "RefreshTokenBinding" in error.msg


def test_a_missing_record_is_made_under_the_lock(attested: AttestedClient) -> None:
    """It was there when the instance was authenticated, and has been cleared away since."""
    attested.accepted()
    gone = attested.record()
    get_access_token_model().objects.all().delete()
    ClientInstance.objects.all().delete()

    class Attestation:
        attester = "Acme"
        thumbprint = attested.instance.thumbprint

    made = instances.hold(gone, application_id=attested.application.pk, attestation=Attestation())  # type: ignore[arg-type]  # a stand-in
    assert (made.pk, made.attester) == (attested.record().pk, attested.attester)
    instances.block(attested.application.pk, attested.instance.thumbprint)
    with pytest.raises(ClientAttestationError) as error:
        instances.hold(made, application_id=attested.application.pk, attestation=Attestation())  # type: ignore[arg-type]  # a stand-in
    assert error.value.reason is Reason.INSTANCE_BLOCKED


def test_a_denied_or_expired_device_code_is_no_longer_counted_once_cleared(attested: AttestedClient) -> None:
    create_device_code(attested.application)
    DeviceCodeBinding.objects.update(valid_until=1)
    ClientInstance.objects.update(last_seen=DAY)
    clear()
    assert not ClientInstance.objects.exists()
    assert get_device_grant_model().objects.count() == 1, "that row is the host's"
