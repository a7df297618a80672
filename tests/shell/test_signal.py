"""Who may and who must send an attestation beside another client authentication, and what becomes of it (rule S1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import RequestFactory
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.views import TokenView
from oauthlib.common import Request as OAuthlibRequest
from oauthlib.oauth2 import Server

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.results import Evidence
from oauth_client_attestation.models import AttestationPolicy, AttestationSignalPolicy, AttesterKey, UsedProof
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.signals import client_attestation_accepted, client_attestation_refused
from tests.kit import (
    DOORS,
    INTROSPECT,
    TOKEN,
    Door,
    configure,
    create_access_token,
    post_form,
    stored,
    table,
)
from tests.shell import site_rules
from tests.shell.signallers import DOOR, WHO, Signaller, another_client
from tests.shell.test_rules_errors import missing_table

pytestmark = pytest.mark.django_db

every_door = pytest.mark.parametrize("door", DOORS, ids=str)
both_uses = pytest.mark.parametrize("use", ["optional", "required"])
RULES = "tests.shell.site_rules"


@contextmanager
def listening(signal: Any) -> Iterator[list[dict[str, Any]]]:
    """Collect what a signal is sent with."""
    sent: list[dict[str, Any]] = []

    def note(**arguments: Any) -> None:
        sent.append(arguments)

    signal.connect(note)
    try:
        yield sent
    finally:
        signal.disconnect(note)


# Whose attestation


@every_door
@both_uses
@pytest.mark.refuses("S1", "A4", "B5")
def test_the_attestation_of_a_client_that_authenticates_by_it(door: Door, use: str, settings: Any) -> None:
    """It is no signal of another client; and that client has no way in beside it."""
    client = Signaller(door=door).enter(use, settings)
    fields = another_client(client, policy={}, authorization_grant_type=door.grant)
    about = door.prepare(client.application)
    client.turned_away(Reason.CLIENT_MISMATCH, fields, **about)
    secret = {"client_id": "other", "client_secret": "secret"}
    client.refused(Reason.SECOND_MECHANISM, lambda: door.send(client.http, {**about, **secret}, headers=fields))
    client.refused(Reason.ATTESTATION_REQUIRED, lambda: door.send(client.http, {**about, **secret}))


@every_door
@pytest.mark.parametrize("attested_as", ["app", "other"])
@table("use", {"the other one may not send any": "off", "either may": "optional", "either must": "required"})
@pytest.mark.refuses("S1", "A4", "H5")
def test_one_client_in_the_form_and_another_in_basic(door: Door, use: str, attested_as: str, settings: Any) -> None:
    """Whichever of the two the host lets in, it is the one that is attested, or the request is refused."""
    client = Signaller(door=door, who="secret in Basic").enter("optional", settings)
    other = Signaller(door=door, client_id="other", instance=client.instance).enter(use, settings)
    attested = client if attested_as == "app" else other
    about = {**door.prepare(client.application), "client_id": "other"}
    headers = {**attested.good(), **client.authorization()}
    if use == "off":
        client.refused(Reason.SECOND_MECHANISM, lambda: door.send(client.http, about, headers=headers))
    elif attested is other:
        client.refused(Reason.CLIENT_MISMATCH, lambda: door.send(client.http, about, headers=headers))
    else:
        before = stored()
        response = door.send(client.http, about, headers=headers)
        if not door.passed(response):
            assert stored() == (before[0] + 1, *before[1:])
        else:
            assert UsedProof.objects.count() == 1
    bad = {**attested.headers(pop=attested.pop(audience="https://other.example")), **client.authorization()}
    before = stored()
    assert not door.passed(door.send(client.http, about, headers=bad))
    assert stored() == before


@every_door
@pytest.mark.refuses("S1", "E4")
def test_an_attestation_of_a_client_that_nothing_else_names(door: Door, settings: Any) -> None:
    """That would be client authentication, which its application is not registered for."""
    client = Signaller(door=door, who="public").enter("optional", settings, source="setting")
    about, fields = door.prepare(client.application), client.good()
    client.refused(Reason.CLIENT_NOT_REGISTERED, lambda: door.send(client.http, about, headers=fields))


# Who says so


@every_door
@pytest.mark.parametrize("source", ["setting", "policy"])
@both_uses
@pytest.mark.accepts("B5")
@pytest.mark.refuses("B5", "S1")
def test_a_client_that_authenticates_by_attestation_has_nothing_to_signal(
    door: Door, use: str, source: str, settings: Any
) -> None:
    client = Signaller(door=door).enter(use, settings, source=source)
    client.application.instance = client.instance
    AttestationPolicy.objects.create(application=client.application)
    about = door.prepare(client.application)
    client.turned_away(Reason.ATTESTATION_REQUIRED, {}, **about)
    client.turned_away(Reason.SECOND_MECHANISM, **about)
    response = door.send(client.http, about, headers=client.good())
    assert door.passed(response), response.content


@every_door
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_the_policy_of_an_application_overrules_the_setting(door: Door, settings: Any) -> None:
    may = Signaller(door=door).enter("optional", settings)
    must = Signaller(door=door, client_id="other").enter("required", settings)
    configure(settings, ATTESTATION_SIGNAL="required")
    may.passes({})
    configure(settings, ATTESTATION_SIGNAL="optional")
    must.turned_away(Reason.ATTESTATION_REQUIRED, {})
    configure(settings, ATTESTATION_SIGNAL="off")
    must.turned_away(Reason.ATTESTATION_REQUIRED, {})
    must.passes()
    may.passes()


@table(
    "methods, combined, reason",
    {
        "a PoP JWT where a DPoP proof is wanted": (["dpop_combined"], False, Reason.METHOD_NOT_ALLOWED),
        "a DPoP proof where a PoP JWT is wanted": (["attestation_pop_jwt"], True, Reason.COMBINED_MODE_NOT_OFFERED),
    },
)
@both_uses
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1", "D2")
def test_possession_is_proven_as_the_server_says(
    methods: list[str], combined: bool, reason: Reason, use: str, settings: Any
) -> None:
    """``METHODS``, which is about client authentication, has no say in it."""
    client = Signaller().enter(use, settings)
    configure(settings, POP_METHODS=methods)
    client.turned_away(reason, client.good(combined=combined))
    client.passes(client.good(combined=not combined))


# What the site learns


@every_door
@both_uses
@pytest.mark.accepts("S1", "E6")
def test_the_sites_rule_and_the_signal_get_the_evidence(
    door: Door, use: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: oauthlib 3 authenticates twice in the device grant, and so does whoever polls for a bound code."""
    client = Signaller(door=door).enter(use, settings)
    configure(settings, SITE_RULE=f"{RULES}.agree")
    monkeypatch.setattr(site_rules, "calls", [])
    with listening(client_attestation_accepted) as sent:
        client.passes(client.headers(client.attestation(claims={"tier": "gold"})))
    (call,), (arguments,) = site_rules.calls, sent
    evidence = arguments["evidence"]
    assert isinstance(evidence, Evidence)
    assert call["evidence"] == evidence
    assert call["application"] == client.application
    assert call["request"] == arguments["request"]
    assert call["request"].path == door.path
    assert evidence.attestation.claims["tier"] == "gold"
    assert evidence.attestation.thumbprint == client.instance.thumbprint
    assert evidence.attestation.attester == client.attester.name


@every_door
@both_uses
@table("rule, reason", {"refuses": ("refuse", Reason.SITE_RULE), "fails": ("fail", Reason.SITE_RULE_FAILED)})
@pytest.mark.refuses("S1")
def test_a_refusal_by_the_sites_rule_uses_nothing_up(
    door: Door, use: str, rule: str, reason: Reason, settings: Any
) -> None:
    client = Signaller(door=door).enter(use, settings)
    fields, about = client.good(), door.prepare(client.application)
    configure(settings, SITE_RULE=f"{RULES}.{rule}")
    client.turned_away(reason, fields, **about)
    configure(settings, SITE_RULE=None)
    client.passes(fields, **about)


@every_door
@both_uses
@pytest.mark.refuses("S1", "E6")
def test_a_refusal_is_reported_with_its_application(door: Door, use: str, settings: Any) -> None:
    client = Signaller(door=door).enter(use, settings)
    with listening(client_attestation_refused) as sent:
        client.turned_away(Reason.POP_AUD, client.headers(pop=client.pop(audience="https://other.example")))
    assert [arguments["application_id"] for arguments in sent] == [client.application.pk]


@pytest.mark.accepts("S1", "P8")
def test_it_is_verified_once_however_often_the_host_asks(settings: Any) -> None:
    client = Signaller().enter("required", settings)
    headers = client.good()
    request = RequestFactory(HTTP_HOST="127.0.0.1:8000").post(TOKEN, client.credentials(), headers=headers)
    core = TokenView.get_oauthlib_core()
    with listening(client_attestation_accepted) as sent:
        for _ in range(2):
            oauth_request = OAuthlibRequest(*core._extract_params(request))
            assert core.server.request_validator.authenticate_client(oauth_request)
    assert len(sent) == UsedProof.objects.count() == 1


# No other way


@pytest.mark.parametrize("who", [who for who in WHO if who != "public"])
@both_uses
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1", "H5")
def test_an_access_token_does_not_replace_a_client_authentication_that_failed(
    who: str, use: str, settings: Any
) -> None:
    """The host's introspection takes one instead. What comes along with a wrong secret would never be verified."""
    client = Signaller(door=DOOR["introspection"]).enter(use, settings)
    token = create_access_token(client.application, scope="introspection")
    bearer = {"Authorization": f"Bearer {token}"}

    def introspect(secret: dict[str, str], fields: dict[str, str]) -> Any:
        form = {"token": token, "client_id": "app", **secret}
        return post_form(client.http, INTROSPECT, form, headers={**fields, **bearer})

    fields = client.good()
    for secret in ({"client_secret": "wrong"}, {}):
        for spoiled in (client.headers(pop=client.pop(audience="https://other.example")), fields):
            before = stored()
            response = introspect(secret, spoiled)
            assert response.status_code == 403
            assert stored() == before
    assert introspect({"client_secret": "secret"}, fields).json()["active"] is True
    if use == "required":
        client.refused(Reason.ATTESTATION_REQUIRED, lambda: introspect({"client_secret": "secret"}, {}))
    # The token alone is no client authentication, and gets what it gets from the host.
    assert post_form(client.http, INTROSPECT, {"token": token}, headers=bearer).json()["active"] is True


@both_uses
@pytest.mark.refuses("S1", "H5")
def test_an_attestation_with_an_access_token_is_client_authentication(use: str, settings: Any) -> None:
    client = Signaller(door=DOOR["introspection"]).enter(use, settings)
    token = create_access_token(client.application, scope="introspection")
    headers = {**client.good(), "Authorization": f"Bearer {token}"}
    client.refused(
        Reason.CLIENT_NOT_REGISTERED, lambda: post_form(client.http, INTROSPECT, {"token": token}, headers=headers)
    )


class StockBackendTokenView(TokenView):
    """The token endpoint of a site that forgot the backend; the middleware would refuse to start."""

    @classmethod
    def get_oauthlib_core(cls) -> OAuthLibCore:
        return OAuthLibCore(Server(AttestationOAuth2Validator()))


@table("attest", {"with the attestation": True, "with the secret alone": False})
@pytest.mark.parametrize("who", ["secret in the form", "secret in Basic", "public"])
@pytest.mark.refuses("S1", "H5")
def test_without_the_backend_the_door_stays_shut(who: str, attest: bool, settings: Any) -> None:
    client = Signaller(door=DOOR["password"], who=who).enter("required", settings)
    form = {**client.door.prepare(client.application), **client.credentials()}
    headers = {**(client.good() if attest else {}), **client.authorization()}
    request = RequestFactory().post(TOKEN, form, headers=headers)
    request.user = AnonymousUser()
    before = stored()
    with listening(client_attestation_refused) as sent:
        response = StockBackendTokenView.as_view()(request)
    assert [arguments["reason"] for arguments in sent] == [Reason.BACKEND_NOT_INSTALLED]
    assert response.status_code in (400, 401)
    assert b'"invalid_client"' in response.content
    assert stored() == before


# Trouble


@every_door
@both_uses
@pytest.mark.django_db(transaction=True)
@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1", "E7")
def test_with_a_transaction_around_the_request(
    door: Door, use: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At introspection a refusal is an exception, which rolls back."""
    for alias in connections.settings:
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
    client = Signaller(door=door).enter(use, settings)
    fields, about = client.good(), door.prepare(client.application)
    client.turned_away(Reason.ATTESTATION_SIGNATURE, client.headers(client.attestation()[:-4] + "AAAA"), **about)
    client.passes(fields, **about)
    client.turned_away(Reason.POP_REPLAYED, fields)


@every_door
@both_uses
@table(
    "model, reason",
    {
        "policies": (AttestationSignalPolicy, Reason.DATABASE_UNAVAILABLE),
        "keys": (AttesterKey, Reason.DATABASE_UNAVAILABLE),
        "used proofs": (UsedProof, Reason.REPLAY_STORE_UNAVAILABLE),
    },
)
@pytest.mark.refuses("S1", "E5", "E7")
def test_what_cannot_be_looked_up_refuses_for_now(
    transactional_db: None, door: Door, use: str, model: Any, reason: Reason, settings: Any
) -> None:
    client = Signaller(door=door).enter(use, settings)
    configure(settings, REPLAY_STORE="oauth_client_attestation.replay.database.DatabaseReplayStore")
    fields, about = client.good(), door.prepare(client.application)

    def send() -> Any:
        with missing_table(model):
            return client.send(fields, **about)

    response = client.refused(reason, send)
    assert response.status_code == 503
    client.passes(fields, **about)


@every_door
@both_uses
@pytest.mark.refuses("S1", "P4")
def test_a_server_that_does_not_know_its_name(door: Door, use: str, settings: Any) -> None:
    client = Signaller(door=door).enter(use, settings)
    client.passes()  # brings the middleware up, which refuses to start like this
    fields, about = client.good(), door.prepare(client.application)
    with listening(client_attestation_refused) as sent:
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        configure(settings, ISSUER=None)
        before = stored()
        response = client.send(fields, **about)
    assert not door.passed(response)
    assert response.json()["error"] == "invalid_client"
    assert [arguments["reason"] for arguments in sent] == [Reason.ISSUER_NOT_CONFIGURED]
    assert stored() == before
