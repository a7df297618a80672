"""What is issued along with a signal: bound to the instance where the signal is required, and else not (rule S1)."""

from __future__ import annotations

from typing import Any

import pytest
from oauth2_provider.models import (
    get_access_token_model,
    get_id_token_model,
    get_refresh_token_model,
)

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AccessTokenBinding,
    AttestationSignalPolicy,
    AuthorizationCodeBinding,
    DeviceCodeBinding,
    IdTokenBinding,
    RefreshTokenBinding,
)
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from tests.kit import (
    AUTHORIZATION_REQUEST,
    CHALLENGE_FIELD,
    DEVICE_CODE_GRANT,
    DOORS,
    REDIRECT_URI,
    TOKEN,
    Door,
    create_code,
    create_device_code,
    create_refresh_token,
    table,
)
from tests.shell.concealment import concealed
from tests.shell.par import answer_of, browser, consent, redemption, url_of
from tests.shell.senders import key_of
from tests.shell.signallers import CLOSED_TO_PUBLIC, DOOR, WHO, Signaller
from tests.shell.test_doors_device import decide
from tests.shell.test_doors_no_other_way import (  # noqa: F401  (fixtures are found by name)
    FRONT_CHANNEL,
    authorization,
    issued,
    openid,
    rsa_key,
)

pytestmark = pytest.mark.django_db

every_client = pytest.mark.parametrize("who", WHO)
GRANTS = [door for door in DOORS if door.path == TOKEN]
BINDINGS = (AccessTokenBinding, RefreshTokenBinding, AuthorizationCodeBinding, DeviceCodeBinding, IdTokenBinding)
BAD = {"OAuth-Client-Attestation": "e30.e30.e30", "OAuth-Client-Attestation-PoP": "e30.e30.e30"}


def entered(door: str, who: str, use: str, settings: Any, **fields: Any) -> Signaller:
    """Register a client of which nothing is issued but through a door."""
    client = Signaller(door=DOOR[door], who=who).enter(use, settings, **fields)
    vars(client.application).pop("instance", None)
    return client


def bound() -> set[Any]:
    """Return the instances that anything belongs to."""
    return {row.instance for model in BINDINGS for row in model.objects.select_related("instance")}


def refreshing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


def polling(device_code: str) -> dict[str, str]:
    return {"grant_type": DEVICE_CODE_GRANT, "device_code": device_code}


# Required


@pytest.mark.parametrize("door", GRANTS, ids=str)
@pytest.mark.parametrize("combined", [False, True], ids=["normal mode", "combined mode"])
@pytest.mark.accepts("S1", "B1")
def test_every_grant_binds_its_tokens(door: Door, combined: bool, settings: Any) -> None:
    """In combined mode to the key as well, which a DPoP proof at a resource answers for."""
    client = Signaller(door=door).enter("required", settings)
    answer = client.passes(client.good(combined=combined)).json()
    token = get_access_token_model().objects.get(token=answer["access_token"])
    assert AccessTokenBinding.objects.get(access_token=token).instance == client.record()
    if "refresh_token" in answer:
        refresh_token = get_refresh_token_model().objects.get(token=answer["refresh_token"])
        assert RefreshTokenBinding.objects.get(refresh_token=refresh_token).instance == client.record()
    assert answer["token_type"] == ("DPoP" if combined else "Bearer")
    assert key_of(answer["access_token"]) == (client.instance.thumbprint if combined else None)


@every_client
@pytest.mark.accepts("S1", "B1", "B2")
@pytest.mark.refuses("S1", "B1", "B2")
def test_a_refresh_token_is_the_instances(who: str, settings: Any) -> None:
    client = entered("authorization_code", who, "required", settings)
    token = client.passes().json()["refresh_token"]
    another = client.another()
    for _ in range(2):
        about = refreshing(token)
        refused = another.turned_away(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, proof_used=True, **about)
        assert refused.json()["error"] == "invalid_grant"
        client.turned_away(Reason.ATTESTATION_REQUIRED, {}, **about)
        client.turned_away(Reason.ATTESTATION_FIELD_MALFORMED, {**BAD, "OAuth-Client-Attestation": "e30"}, **about)
        token = client.passes(**about).json()["refresh_token"]
    assert bound() == {client.record()}


@every_client
@pytest.mark.accepts("S1", "B3")
@pytest.mark.refuses("S1", "B3")
def test_a_code_is_the_instances_that_pushed_its_request(who: str, settings: Any) -> None:
    client = entered("pushed_authorization_request", who, "required", settings)
    reference = client.passes(**AUTHORIZATION_REQUEST).json()["request_uri"]
    code = answer_of(consent(browser(), url_of("app", reference)))["code"]
    assert AuthorizationCodeBinding.objects.get().instance == client.record()
    redeeming = client.at("authorization_code")
    redeeming.another().turned_away(Reason.CODE_OF_ANOTHER_INSTANCE, proof_used=True, **redemption(code))
    redeeming.turned_away(Reason.ATTESTATION_REQUIRED, {}, **redemption(code))
    redeeming.passes(**redemption(code))
    assert bound() == {client.record()}


@every_client
@pytest.mark.accepts("S1", "B4")
@pytest.mark.refuses("S1", "B4")
def test_a_device_code_is_the_instances_that_asked_for_it(who: str, settings: Any) -> None:
    """While it waits for the user's decision too: nobody else learns what that is."""
    client = entered("device_authorization", who, "required", settings)
    answer = client.passes().json()
    binding = DeviceCodeBinding.objects.get()
    assert (binding.instance, binding.application) == (client.record(), client.application)
    about = polling(answer["device_code"])
    client, another = client.at("device_code"), client.another().at("device_code")

    def others_are_refused() -> None:
        another.turned_away(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, proof_used=True, **about)
        client.turned_away(Reason.ATTESTATION_REQUIRED, {}, **about)
        client.turned_away(Reason.POP_SIGNATURE, client.headers(pop=another.pop()), **about)

    others_are_refused()
    assert client.send(**about).json() == {"error": "authorization_pending"}
    decide(answer["user_code"], "accept")
    others_are_refused()
    client.passes(**about)
    assert AccessTokenBinding.objects.get().instance == client.record()
    assert not client.door.passed(client.send(**about))


@pytest.mark.parametrize("who", [who for who in WHO if who != "public"])
@pytest.mark.parametrize("status", ["authorized", "authorization-pending", "denied", "expired"])
@pytest.mark.refuses("S1", "B4", "E7")
def test_a_wrong_secret_learns_nothing_of_a_device_code(who: str, status: str, settings: Any) -> None:
    """The host answers from its state before anybody has authenticated."""
    client = Signaller(door=DOOR["device_code"], who=who).enter("required", settings)
    code = create_device_code(client.application, status=status)
    fields = client.good()
    for value in (code, "no-such-code"):
        response = client.send(fields, secret="wrong", **polling(value))
        assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
        assert response.headers["Content-Type"] == "application/json"
        assert "no-store" in response.headers["Cache-Control"]
    assert (client.send(fields, **polling(code)).status_code == 200) is (status == "authorized")


@pytest.mark.parametrize("free_use", ["off", "optional"])
@pytest.mark.refuses("S1", "B4")
def test_another_client_learns_nothing_of_a_device_code(free_use: str, settings: Any) -> None:
    """Not even of one from before the attestation was required."""
    client = Signaller(door=DOOR["device_code"]).enter("required", settings)
    free = Signaller(door=DOOR["device_code"], client_id="free").enter(free_use, settings)
    unbound = create_device_code(client.application, status="denied", bound=False)
    concealed(None, lambda code: free.send({}, **polling(code)), unbound)
    of_the_instance = create_device_code(client.application, status="denied")
    concealed(Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE, lambda code: free.send({}, **polling(code)), of_the_instance)


@every_client
@pytest.mark.usefixtures("openid")
@pytest.mark.accepts("S1")
def test_an_id_token_is_the_instances(who: str, settings: Any) -> None:
    client = entered("authorization_code", who, "required", settings, algorithm="RS256")
    code = create_code(client.application)
    client.application.grant_set.update(scope="openid")
    client.passes(**redemption(code))
    assert IdTokenBinding.objects.get().id_token == get_id_token_model().objects.get()
    assert bound() == {client.record()}


@every_client
@pytest.mark.refuses("S1")
def test_blocking_an_instance_takes_what_it_was_given(who: str, settings: Any) -> None:
    client = entered("authorization_code", who, "required", settings)
    token = client.passes().json()["refresh_token"]
    instances.block(client.application.pk, client.instance.thumbprint)
    assert not get_access_token_model().objects.exists()
    client.turned_away(Reason.INSTANCE_BLOCKED, **refreshing(token))
    client.another().turned_away(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, proof_used=True, **refreshing(token))


@pytest.mark.usefixtures("openid")
@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
@pytest.mark.parametrize("consent", ["form", "tampered", "skipped"])
@pytest.mark.parametrize("source", ["setting", "policy"])
@pytest.mark.refuses("S1", "B5")
def test_no_token_over_the_front_channel(
    grant: str,
    response_type: str,
    consent: str,
    source: str,
    settings: Any,
) -> None:
    """No attestation can be sent there."""
    Signaller().enter(
        "required",
        settings,
        source=source,
        authorization_grant_type=grant,
        redirect_uris=REDIRECT_URI,
        algorithm="RS256",
        skip_authorization=consent == "skipped",
    )
    redirect = authorization("app", response_type, consent=consent)
    assert redirect["error"] == "unauthorized_client"
    assert not {"access_token", "id_token", "code"} & redirect.keys()
    assert issued() == (0, 0, 0)


@pytest.mark.usefixtures("openid")
@pytest.mark.parametrize(("grant", "response_type"), FRONT_CHANNEL)
@pytest.mark.accepts("S1")
def test_where_it_is_optional_there_are_tokens_over_the_front_channel(
    grant: str,
    response_type: str,
    settings: Any,  # noqa: F811  (a fixture)
) -> None:
    client = {"authorization_grant_type": grant, "redirect_uris": REDIRECT_URI, "algorithm": "RS256"}
    Signaller().enter("optional", settings, **client)
    assert "error" not in authorization("app", response_type)


# Optional


ISSUING = [*GRANTS, DOOR["device_authorization"], DOOR["pushed_authorization_request"]]


@pytest.mark.parametrize(
    ("door", "who"),
    [(door, who) for door in ISSUING for who in WHO if who != "public" or door.name not in CLOSED_TO_PUBLIC],
    ids=str,
)
@pytest.mark.accepts("S1")
def test_an_optional_signal_binds_nothing(door: Door, who: str, settings: Any) -> None:
    client = Signaller(door=door, who=who).enter("optional", settings)
    client.passes()
    assert bound() == set()
    assert not InstanceRecord.objects.exists()


@every_client
@pytest.mark.accepts("S1")
def test_what_an_optional_signal_came_along_with_is_anybodys_who_has_the_secret(who: str, settings: Any) -> None:
    client = entered("authorization_code", who, "optional", settings)
    token = client.passes().json()["refresh_token"]
    for fields in (client.another().headers(), {}, client.good()):
        token = client.passes(fields, **refreshing(token)).json()["refresh_token"]
    asking = entered_again(client, DEVICE_CODE_GRANT, "device_authorization")
    code = asking.passes().json()
    decide(code["user_code"], "accept")
    asking.at("device_code").passes(asking.another().headers(), **polling(code["device_code"]))


def entered_again(client: Signaller, grant: str, door: str) -> Signaller:
    """Return the same client, registered for another grant."""
    client.application.authorization_grant_type = grant
    client.application.save()
    return client.at(door)


@pytest.mark.accepts("S1", "D6")
def test_in_combined_mode_the_key_binds_the_token_all_the_same(settings: Any) -> None:
    client = entered("client_credentials", "secret in the form", "optional", settings)
    answer = client.passes(client.good(combined=True)).json()
    assert answer["token_type"] == "DPoP"
    assert key_of(answer["access_token"]) == client.instance.thumbprint
    assert bound() == set()


# When it is changed


@every_client
@pytest.mark.refuses("S1", "B2")
def test_tokens_from_before_it_was_required(who: str, settings: Any) -> None:
    """Whoever has them could otherwise make them their own."""
    client = entered("authorization_code", who, "optional", settings)
    token = client.passes().json()["refresh_token"]
    AttestationSignalPolicy.objects.update(use="required")
    client.turned_away(Reason.REFRESH_TOKEN_UNBOUND, proof_used=True, **refreshing(token))
    AttestationSignalPolicy.objects.update(use="optional")
    client.passes({}, **refreshing(token))


@every_client
@table("use", {"optional": "optional", "off": "off"})
@pytest.mark.refuses("S1", "B1")
def test_what_was_bound_stays_bound(who: str, use: str, settings: Any) -> None:
    client = Signaller(door=DOOR["refresh_token"], who=who).enter("required", settings)
    token = create_refresh_token(client.application)
    if use == "off":
        AttestationSignalPolicy.objects.all().delete()
    else:
        AttestationSignalPolicy.objects.update(use=use)
    concealed(Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE, lambda value: client.send({}, **refreshing(value)), token)
    AttestationSignalPolicy.objects.update_or_create(application=client.application, defaults={"use": "required"})
    client.passes(**refreshing(token))


@pytest.mark.accepts("S1")
def test_a_free_client_is_none_the_wiser(settings: Any) -> None:
    """Where others must be attested, whoever need not gets the host's answers."""
    Signaller(client_id="must").enter("required", settings)
    free = Signaller(client_id="free").enter("off", settings)
    response = free.passes({})
    assert CHALLENGE_FIELD not in response.headers
    introspecting = free.at("introspection")
    assert introspecting.passes({}, token=response.json()["access_token"]).json()["active"] is True
    assert bound() == set()
