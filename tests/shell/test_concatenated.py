"""The concatenated form of revisions -04 to -07: what came as one string is judged as what comes in two fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone
from jwcrypto.common import base64url_decode

from oauth_client_attestation.concatenated import verify_concatenated
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.results import Evidence
from oauth_client_attestation.models import AttestationPolicy
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from oauth_client_attestation.signals import client_attestation_accepted, client_attestation_refused
from oauth_client_attestation.testing import ABSENT, ClientInstance
from tests.kit import NOW, AttestedClient, configure, stored, table

Parts = Callable[[AttestedClient], tuple[str, str]]


@pytest.fixture
def message() -> HttpRequest:
    """A request whose body, say, has the string; it has none of the header fields."""
    return RequestFactory().post("/messages")


def joined(client: AttestedClient) -> str:
    return f"{client.attestation()}~{client.pop()}"


def verified(value: str, message: HttpRequest, **more: Any) -> Evidence:
    """Verify, and assert that exactly this became known of it."""
    known: list[Any] = []

    def note(**sent: Any) -> None:
        known.append(sent["evidence"])

    client_attestation_accepted.connect(note)
    try:
        evidence = verify_concatenated(value, request=message, **more)
    finally:
        client_attestation_accepted.disconnect(note)
    assert known == [evidence]
    return evidence


def refused(reason: Reason, value: str, message: HttpRequest, **more: Any) -> None:
    """Assert the reason, raised and signalled alike, and that nothing was stored."""
    reasons: list[Reason] = []

    def note(**sent: Any) -> None:
        reasons.append(sent["reason"])

    before = stored()
    client_attestation_refused.connect(note)
    try:
        with pytest.raises(ClientAttestationError) as error:
            verify_concatenated(value, request=message, **more)
    finally:
        client_attestation_refused.disconnect(note)
    assert [error.value.reason, *reasons] == [reason, reason]
    assert stored() == before


def of_revision_05(client: AttestedClient) -> tuple[str, str]:
    """With ``iss`` in both, ``nbf``, and ``nonce`` and ``exp`` in the proof instead of ``challenge`` and ``iat``."""
    pop = client.pop()
    challenge = claims_of(pop)["challenge"]
    return (
        client.attestation(claims={"iss": "https://attester.example", "iat": ABSENT, "nbf": NOW - 10}),
        client.pop(
            claims={
                "iss": client.client_id,
                "challenge": ABSENT,
                "iat": ABSENT,
                "nonce": challenge,
                "nbf": NOW - 10,
                "exp": NOW + 60,
            }
        ),
    )


def of_revision_07(client: AttestedClient) -> tuple[str, str]:
    """With ``iss`` in both, and ``iat`` and ``challenge`` in the proof."""
    return (
        client.attestation(claims={"iss": "https://attester.example", "iat": ABSENT}),
        client.pop(claims={"iss": client.client_id}),
    )


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64url_decode(token.split(".")[1]))
    return claims


@table("parts", {"revision -05": of_revision_05, "revision -07": of_revision_07})
@pytest.mark.accepts("S1")
def test_it_is_accepted_in_the_shape_of(
    attested: AttestedClient, message: HttpRequest, clock: Any, parts: Parts
) -> None:
    attestation, pop = parts(attested)
    evidence = verified(f"{attestation}~{pop}", message, client_id=attested.client_id)
    assert evidence.attestation.client_id == attested.client_id
    assert evidence.attestation.thumbprint == attested.instance.thumbprint
    assert evidence.proof.thumbprint == attested.instance.thumbprint


def test_the_evidence_is_that_of_the_same_tokens_in_two_fields(attested: AttestedClient, message: HttpRequest) -> None:
    known: list[Evidence] = []

    def note(**sent: Any) -> None:
        known.append(sent["evidence"])

    attestation = attested.attestation()
    client_attestation_accepted.connect(note)
    try:
        attested.accepted(headers=attested.headers(attestation))
    finally:
        client_attestation_accepted.disconnect(note)
    evidence = verified(f"{attestation}~{attested.pop()}", message)
    assert evidence.attestation == known[0].attestation


def test_the_client_need_not_authenticate_by_attestation(attested: AttestedClient, message: HttpRequest) -> None:
    AttestationPolicy.objects.all().delete()
    assert verified(joined(attested), message).attestation.client_id == attested.client_id


@pytest.mark.refuses("P8")
def test_it_is_accepted_once(attested: AttestedClient, message: HttpRequest) -> None:
    value = joined(attested)
    verified(value, message)
    refused(Reason.POP_REPLAYED, value, message)


@pytest.mark.refuses("P8")
def test_it_is_used_up_for_the_token_endpoint_as_well(attested: AttestedClient, message: HttpRequest) -> None:
    attestation, pop = attested.attestation(), attested.pop()
    verified(f"{attestation}~{pop}", message)
    attested.refused(Reason.POP_REPLAYED, headers=attested.headers(attestation, pop))


def test_header_fields_of_the_request_are_not_looked_at(attested: AttestedClient) -> None:
    bad = {"OAuth-Client-Attestation": "x", "OAuth-Client-Attestation-PoP": "y", "DPoP": attested.dpop("/messages")}
    message = RequestFactory().post("/messages", headers=bad)
    assert verified(joined(attested), message)
    good = RequestFactory().post("/messages", headers=attested.headers())
    refused(Reason.POP_MISSING, attested.attestation(), good)


@table(
    ("change", "reason"),
    {
        "no tilde": (lambda value: value.partition("~")[0], Reason.POP_MISSING),
        "nothing": (lambda value: "", Reason.POP_MISSING),
        "nothing after the tilde": (lambda value: value.partition("~")[0] + "~", Reason.POP_FIELD_MALFORMED),
        "nothing before it": (lambda value: "~" + value.partition("~")[2], Reason.ATTESTATION_FIELD_MALFORMED),
        "a tilde at the end": (lambda value: value + "~", Reason.POP_FIELD_MALFORMED),
        "a third token": (lambda value: value + "~" + value.partition("~")[2], Reason.POP_FIELD_MALFORMED),
        "the tokens the other way round": (
            lambda value: "~".join(reversed(value.split("~"))),
            Reason.ATTESTATION_SUB,
        ),
        "white space": (lambda value: value.replace("~", " ~ "), Reason.ATTESTATION_FIELD_MALFORMED),
        "a comma": (lambda value: value + "," + value.partition("~")[2], Reason.POP_FIELD_REPEATED),
        "too much": (lambda value: value + "A" * 20000, Reason.POP_FIELD_TOO_LARGE),
    },
)
@pytest.mark.refuses("S1")
def test_what_is_not_two_tokens_is_refused(
    attested: AttestedClient, message: HttpRequest, change: Callable[[str], str], reason: Reason
) -> None:
    refused(reason, change(joined(attested)), message)


@table(
    ("parts", "reason"),
    {
        "an attestation by a stranger": (
            lambda client: (client.attestation(header={"kid": "nobody"}), client.pop()),
            Reason.ATTESTER_NOT_TRUSTED,
        ),
        "an attestation that has expired": (
            lambda client: (client.attestation(lifetime=-3600), client.pop()),
            Reason.ATTESTATION_EXPIRED,
        ),
        "a proof by another instance": (
            lambda client: (client.attestation(), client.another().pop()),
            Reason.POP_SIGNATURE,
        ),
        "a proof for another server": (
            lambda client: (client.attestation(), client.pop(audience="https://other.example")),
            Reason.POP_AUD,
        ),
        "a proof by another client's name": (
            lambda client: (client.attestation(), client.pop(claims={"iss": "other"})),
            Reason.POP_ISS,
        ),
        "no challenge": (lambda client: (client.attestation(), client.pop(challenge=None)), Reason.CHALLENGE_MISSING),
        "a challenge of another": (
            lambda client: (client.attestation(), client.pop(challenge="of-another-server")),
            Reason.CHALLENGE_UNKNOWN,
        ),
        "a DPoP proof for a proof": (
            lambda client: (client.attestation(), client.dpop("/messages")),
            Reason.POP_TYP,
        ),
    },
)
@pytest.mark.refuses("S1")
def test_the_rules_are_the_same(attested: AttestedClient, message: HttpRequest, parts: Parts, reason: Reason) -> None:
    refused(reason, "~".join(parts(attested)), message)


@pytest.mark.refuses("S1", "A4")
def test_the_client_that_the_transport_names_is_the_one(attested: AttestedClient, message: HttpRequest) -> None:
    refused(Reason.CLIENT_MISMATCH, joined(attested), message, client_id="other")


@pytest.mark.refuses("S1")
def test_a_blocked_instance_is_refused(attested: AttestedClient, message: HttpRequest) -> None:
    InstanceRecord.objects.create(
        application=attested.application, thumbprint=attested.instance.thumbprint, blocked=timezone.now()
    )
    refused(Reason.INSTANCE_BLOCKED, joined(attested), message)
    attested.instance = ClientInstance()
    assert verified(joined(attested), message)


@pytest.mark.refuses("S1")
def test_a_rule_of_the_site_is_asked(attested: AttestedClient, message: HttpRequest, settings: Any) -> None:
    configure(settings, SITE_RULE="tests.shell.site_rules.refuse")
    refused(Reason.SITE_RULE, joined(attested), message)


@pytest.mark.refuses("P4")
def test_without_an_issuer_nothing_is_verified(attested: AttestedClient, message: HttpRequest, settings: Any) -> None:
    value = joined(attested)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    configure(settings, ISSUER=None)
    refused(Reason.ISSUER_NOT_CONFIGURED, value, message)


@pytest.mark.accepts("S1")
@pytest.mark.refuses("S1")
def test_a_newer_floor_knows_no_such_form(attested: AttestedClient, message: HttpRequest, settings: Any) -> None:
    configure(settings, OLDEST_REVISION=8)
    refused(Reason.ATTESTATION_FIELD_MALFORMED, joined(attested), message)
    configure(settings, OLDEST_REVISION=7)
    assert verified(joined(attested), message)


@pytest.mark.refuses("S1")
def test_where_only_the_combined_mode_is_accepted_there_is_none(
    attested: AttestedClient, message: HttpRequest, settings: Any
) -> None:
    configure(settings, POP_METHODS=["dpop_combined"])
    refused(Reason.METHOD_NOT_ALLOWED, joined(attested), message)


def test_what_is_verified_is_no_client_authentication(attested: AttestedClient, message: HttpRequest) -> None:
    """It issues nothing and keeps nothing but that the proof was used."""
    before = stored()
    verified(joined(attested), message)
    assert stored() == (before[0] + 1, *before[1:])
