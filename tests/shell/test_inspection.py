"""Why was this wallet refused? The verdict is that of the doors, in their order, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from jwcrypto.jwk import JWK
from oauth2_provider.models import get_access_token_model

from oauth_client_attestation.challenges import authorization_server_challenges
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.confirmations import confirm_access_token
from oauth_client_attestation.core import wire
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.inspection import Inspection, Question, Status, inspect
from oauth_client_attestation.inspection.checks import CHECKS, CHECKS_BY_PART, ELSEWHERE, Part, checks_by_part
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterKey
from oauth_client_attestation.replay.cache import CacheReplayStore
from oauth_client_attestation.signals import client_attestation_accepted, client_attestation_refused
from oauth_client_attestation.testing import ABSENT, AttesterBackend, sign
from tests.certificates import make_chain
from tests.core.support import b64, sign_members, unb64
from tests.inspections import FAULTS, At, Fault, Sample, add_anchor, register_sample, use
from tests.key_server import KeyServer
from tests.kit import (
    ISSUER,
    TOKEN,
    AttestedClient,
    configure,
    create_access_token,
    create_application,
    register_attester,
    table,
)
from tests.services import service_url

pytestmark = pytest.mark.django_db

#: The checks of a request with either kind of proof, by whether it is a DPoP proof.
NAMES = {
    combined: [check.name for part in checks_by_part(combined=combined).values() for check in part]
    for combined in (False, True)
}
#: What only a request can be asked.
LEFT_OUT = {"one_mechanism", "usable", "site_rule"}
LEFT_OUT_REASONS = {Reason.SECOND_MECHANISM, Reason.CLIENT_UNKNOWN, Reason.SITE_RULE, Reason.SITE_RULE_FAILED}


@pytest.fixture
def sample(settings: Any) -> Sample:
    """A request that every check applies to."""
    configure(settings, SITE_RULE="tests.shell.site_rules.refuse")
    return register_sample()


@contextmanager
def judged(sample: Sample, settings: Any, *faults: Fault) -> Iterator[Inspection]:
    """Judge a sample with faults."""
    for fault in faults:
        fault.spoil(sample)
    ours = {**settings.OAUTH_CLIENT_ATTESTATION, **sample.settings}
    provider = {**settings.OAUTH2_PROVIDER}
    if ours["ISSUER"] is None:
        provider.pop("OIDC_ISS_ENDPOINT")
    question = sample.question()
    with override_settings(OAUTH_CLIENT_ATTESTATION=ours, OAUTH2_PROVIDER=provider):
        yield inspect(question)


def statuses(inspection: Inspection) -> dict[str, Status]:
    return {row.check.name: row.status for row in inspection.rows}


def facts(inspection: Inspection) -> dict[str, str]:
    return {fact.name: fact.value for fact in inspection.facts}


def test_every_reason_has_its_place() -> None:
    """A reason that is added needs a check here, and a fault in the tests."""
    placed = {reason for check in CHECKS for reason in check.reasons}
    assert placed | ELSEWHERE == set(Reason)
    assert not placed & ELSEWHERE
    shown = {fault.reason for fault in FAULTS} | {Reason.CHALLENGE_USED}
    assert shown == placed - LEFT_OUT_REASONS
    for combined, names in NAMES.items():
        assert {fault.check for fault in FAULTS if fault.combined is combined} == set(names) - LEFT_OUT
        assert len(set(names)) == len(names)


@table("combined", {"a PoP JWT": False, "a DPoP proof": True})
def test_a_good_request_passes_every_check(sample: Sample, combined: bool) -> None:
    inspection = inspect(replace(sample, combined=combined).question())
    assert inspection.accepted
    assert inspection.verdict == "Accepted."
    assert inspection.combined is combined
    assert statuses(inspection) == {
        name: Status.NOT_LOOKED_AT if name in LEFT_OUT else Status.PASSED for name in NAMES[combined]
    }
    assert [row for _, rows in inspection.parts for row in rows] == list(inspection.rows)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_fails_its_check(sample: Sample, settings: Any, fault: Fault) -> None:
    """Everything before it has passed, nothing after it was reached, and the doors say the same."""
    with judged(replace(sample, combined=fault.combined), settings, fault) as inspection:
        assert inspection.error is not None
        assert inspection.error.reason is fault.reason
        assert inspection.error.code != "invalid_dpop_proof", "in combined mode it is the client's authentication"
        found = statuses(inspection)
    names = NAMES[fault.combined]
    position = names.index(fault.check)
    nothing_to_check = {"iat_needed": {"iat_form"}, "proof_times": {"challenge"}}.get(fault.check, set())
    for name in names[:position]:
        expected = {Status.NOT_LOOKED_AT} if name in LEFT_OUT else {Status.PASSED}
        assert found[name] in (expected | {Status.NOT_APPLICABLE} if name in nothing_to_check else expected), name
    assert found[fault.check] is Status.FAILED
    assert {found[name] for name in names[position + 1 :]} <= {Status.NOT_REACHED}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_of_two_faults_the_first_in_the_table_is_found(sample: Sample, settings: Any, fault: Fault) -> None:
    """The order of the table is that of the code, which knows nothing of the table.

    The next checks are enough: the code asks one after the other.
    """
    names = NAMES[fault.combined]
    position = names.index(fault.check)
    for other in FAULTS:
        if other.combined is not fault.combined or other.slots & fault.slots:
            continue
        if not position < names.index(other.check) <= position + 4:
            continue
        both = Sample(sample.client, combined=fault.combined)
        with transaction.atomic(), judged(both, settings, other, fault) as inspection:
            assert inspection.error is not None
            assert inspection.error.reason is fault.reason, f"{other} was found before {fault}"
            transaction.set_rollback(True)


def test_an_attestation_alone(sample: Sample) -> None:
    inspection = inspect(sample.question(proof=""))
    assert inspection.accepted
    assert inspection.verdict == "The attestation is good. A request also needs a proof."
    found = statuses(inspection)
    assert {found[check.name] for check in CHECKS_BY_PART[Part.PROOF]} == {Status.NOT_APPLICABLE}
    assert {found[check.name] for check in CHECKS_BY_PART[Part.ATTESTATION]} == {Status.PASSED}


def test_a_bad_attestation_alone(sample: Sample, settings: Any) -> None:
    sample.claims["exp"] = At(-300)
    inspection = inspect(sample.question(proof=""))
    assert inspection.error is not None
    assert inspection.error.reason is Reason.ATTESTATION_EXPIRED
    found = statuses(inspection)
    assert (found["attestation_signature"], found["exp"], found["nbf"]) == (
        Status.PASSED,
        Status.FAILED,
        Status.NOT_REACHED,
    )
    assert found["aud"] is Status.NOT_APPLICABLE


@table("methods", {"both modes": list(wire.METHODS), "combined mode alone": [wire.METHOD_DPOP]})
@table("where", {"the server": "settings", "the policy": "policy"})
def test_an_attestation_alone_is_of_either_mode(
    attested: AttestedClient, settings: Any, where: str, methods: list[str]
) -> None:
    """It does not say how possession of its key will be proven."""
    if where == "settings":
        configure(settings, METHODS=methods)
    else:
        AttestationPolicy.objects.update(methods=methods)
    question = Question(attested.attestation())
    assert inspect(question).accepted
    normal = inspect(replace(question, proof=attested.pop()))
    assert normal.accepted is (wire.METHOD_POP_JWT in methods)
    assert inspect(replace(question, proof=attested.dpop())).accepted


@table(
    "proof, kind, reason",
    {
        "a PoP JWT": ("pop", "", None),
        "a DPoP proof": ("dpop", "", None),
        "a DPoP proof with the long media type": ("application/DPoP+JWT", "", None),
        "a PoP JWT in the field of PoP JWTs": ("pop", "pop", None),
        "a DPoP proof in the field of DPoP proofs": ("dpop", "dpop", None),
        "a PoP JWT in the field of DPoP proofs": ("pop", "dpop", Reason.DPOP_TYP),
        "a DPoP proof in the field of PoP JWTs": ("dpop", "pop", Reason.POP_TYP),
        "neither": ("JWT", "", Reason.POP_TYP),
        "neither, in the field of DPoP proofs": ("JWT", "dpop", Reason.DPOP_TYP),
    },
)
def test_which_kind_of_proof_it_is(attested: AttestedClient, proof: str, kind: Any, reason: Reason | None) -> None:
    token = attested.pop() if proof == "pop" else attested.dpop(header={} if proof == "dpop" else {"typ": proof})
    inspection = inspect(Question(attested.attestation(), proof=token, kind=kind))
    assert (inspection.error and inspection.error.reason) is reason
    assert inspection.combined is (kind == "dpop" or (not kind and "dpop" in proof.lower()))


def test_a_proof_for_another_request(attested: AttestedClient) -> None:
    """Method and URL are those of the token endpoint unless others are named, and compared as at a door."""
    proof = attested.dpop("/o/introspect/", method="GET")
    question = Question(attested.attestation(), proof=proof)
    for changes, reason in (
        ({}, Reason.DPOP_HTM),
        ({"method": "GET"}, Reason.DPOP_HTU),
        ({"uri": f"{ISSUER}/o/introspect/"}, Reason.DPOP_HTM),
        ({"method": "get", "uri": f"{ISSUER}/o/introspect/"}, Reason.DPOP_HTM),
        ({"method": "GET", "uri": "no URL"}, Reason.DPOP_HTU),
        ({"method": "GET", "uri": f"{ISSUER.upper()}/o/%69ntrospect/?token=x"}, None),
    ):
        inspection = inspect(replace(question, **changes))
        assert (inspection.error and inspection.error.reason) is reason, changes
        assert facts(inspection)["target"] == (
            f"{changes.get('method', 'POST')} {changes.get('uri', 'http://127.0.0.1:8000/o/token/')}"
        )


def test_where_there_is_no_token_endpoint_it_has_to_be_named(attested: AttestedClient, settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    question = Question(attested.attestation(), proof=attested.dpop())
    refused = inspect(question)
    assert refused.error is not None
    assert refused.error.reason is Reason.DPOP_HTU
    assert "not known" in facts(refused)["target"]
    assert inspect(replace(question, uri=ISSUER + TOKEN)).accepted


def test_the_access_token_of_a_proof(attested: AttestedClient) -> None:
    token = create_access_token(attested.application)
    question = Question(attested.attestation(), proof=attested.dpop(access_token=token))
    assert statuses(inspect(question))["ath"] is Status.NOT_APPLICABLE
    unbound = inspect(replace(question, access_token=token))
    assert statuses(unbound)["ath"] is Status.PASSED
    assert facts(unbound)["token_key"] == "none that is known here"
    row = get_access_token_model().objects.get(token=token)
    confirm_access_token(row, attested.another().instance.thumbprint)
    found = facts(inspect(replace(question, access_token=token)))
    assert found["proof_key"] == found["instance"] == attested.instance.thumbprint
    assert found["token_key"] == row.dpop_confirmation.thumbprint != found["instance"]
    other = inspect(replace(question, access_token="another"))
    assert other.error is not None
    assert (other.error.reason, other.error.code) == (Reason.DPOP_ATH, "invalid_client_attestation")


def test_the_key_of_somebody_elses_proof_is_shown(attested: AttestedClient) -> None:
    stranger = attested.another()
    inspection = inspect(Question(attested.attestation(), proof=stranger.dpop()))
    assert inspection.error is not None
    assert inspection.error.reason is Reason.DPOP_KEY_MISMATCH
    found = facts(inspection)
    assert (found["instance"], found["proof_key"]) == (attested.instance.thumbprint, stranger.instance.thumbprint)


@table("setting", {"optional": "optional", "required": "required"})
def test_the_nonce_is_required_whatever_is_said_of_other_proofs(
    attested: AttestedClient, settings: Any, setting: str
) -> None:
    configure(settings, DPOP_NONCE=setting)
    inspection = inspect(Question(attested.attestation(), proof=attested.dpop(nonce=None)))
    assert inspection.error is not None
    assert (inspection.error.reason, inspection.error.code) == (Reason.DPOP_NONCE_MISSING, "use_dpop_nonce")
    assert inspect(Question(attested.attestation(), proof=attested.dpop())).accepted


def test_what_is_absent_is_not_checked(attested: AttestedClient) -> None:
    """A plain request of revision -12, to an attester without terms, where challenges are optional."""
    AttestationPolicy.objects.update(challenge="optional")
    inspection = inspect(Question(attested.attestation(), proof=attested.pop(challenge=None)))
    assert inspection.accepted
    found = statuses(inspection)
    assert {name for name, status in found.items() if status is Status.NOT_APPLICABLE} == {
        *("client_id", "nbf_form", "nbf", "iss", "required_claims", "age", "proof_iss", "challenge", "site_rule")
    }


def test_a_challenge_that_was_used_where_each_counts_once(sample: Sample, settings: Any) -> None:
    configure(settings, SINGLE_USE_CHALLENGES=True)
    use(sample)
    sample.proof_claims["jti"] = "another"
    inspection = inspect(sample.question())
    assert inspection.error is not None
    assert inspection.error.reason is Reason.CHALLENGE_USED
    assert statuses(inspection)["unused"] is Status.FAILED


def test_a_store_that_can_only_claim_is_not_asked(sample: Sample, settings: Any) -> None:
    configure(settings, REPLAY_STORE="tests.inspections.PlainStore")
    inspection = inspect(sample.question())
    assert inspection.accepted
    assert statuses(inspection)["unused"] is Status.NOT_LOOKED_AT


@table("combined", {"a PoP JWT": False, "a DPoP proof": True})
def test_a_token_from_the_log_is_judged_at_its_time(sample: Sample, combined: bool) -> None:
    """What was good then is good, though it has expired since, and was used."""
    sample = replace(sample, combined=combined)
    question = sample.question()
    use(sample)
    then = time.time()
    with time_machine.travel(then + 7200, tick=False):
        late = inspect(question)
        assert late.error is not None
        assert late.error.reason is Reason.ATTESTATION_EXPIRED
        assert facts(late)["attestation_exp"].endswith("(1 hour ago)")
        inspection = inspect(replace(question, at=then))
    assert inspection.accepted
    assert facts(inspection)["attestation_exp"].endswith("(in 59 minutes)")
    (row,) = (row for row in inspection.rows if row.check.name == "unused")
    assert row.status is Status.NOT_LOOKED_AT


@table("combined, reason", {"PoP JWT": (False, Reason.POP_REPLAYED), "DPoP proof": (True, Reason.DPOP_REPLAYED)})
def test_a_used_proof_is_seen_at_its_time_too(attested: AttestedClient, combined: bool, reason: Reason) -> None:
    headers = attested.combined() if combined else attested.headers()
    attested.accepted(headers=headers)
    attestation, proof = headers.values()
    now = inspect(Question(attestation, proof=proof))
    assert now.error is not None
    assert (now.error.reason, now.error.code) == (reason, "invalid_client_attestation")
    then = inspect(Question(attestation, proof=proof, at=time.time()))
    assert then.accepted
    assert "has been used by now" in then.rows[-1].note


@pytest.mark.services
@pytest.mark.parametrize("answers", [True, False], ids=["answers", "is down"])
def test_redis_is_asked_whether_a_proof_was_used(attested: AttestedClient, settings: Any, answers: bool) -> None:
    url = service_url("REDIS_URL") if answers else "redis://127.0.0.1:1/0"
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    settings.CACHES = {**settings.CACHES, "replay": redis}
    configure(settings, REPLAY_STORE=f"{CacheReplayStore.__module__}.CacheReplayStore", REPLAY_CACHE="replay")
    attestation, pop = attested.attestation(), attested.pop()
    before = inspect(Question(attestation, proof=pop))
    if answers:
        assert before.accepted
        attested.accepted(headers=attested.headers(attestation, pop))
        after = inspect(Question(attestation, proof=pop))
        assert after.error is not None
        assert after.error.reason is Reason.POP_REPLAYED
    else:
        assert before.error is not None
        assert before.error.reason is Reason.REPLAY_STORE_UNAVAILABLE


def test_another_audience(sample: Sample) -> None:
    """For a proof that was meant for another issuer: challenges are its own, too."""
    audience = "https://other.example"
    sample.proof_claims |= {
        "aud": audience,
        "challenge": authorization_server_challenges(audience).issue(time.time()),
    }
    question = sample.question()
    refused = inspect(question)
    assert refused.error is not None
    assert refused.error.reason is Reason.POP_AUD
    accepted = inspect(replace(question, audience=audience))
    assert accepted.accepted
    assert facts(accepted)["audience"] == audience


def test_what_an_entered_key_is_shown_as(sample: Sample) -> None:
    found = facts(inspect(sample.question()))
    assert found["attester"] == "Acme"
    assert sample.client.backend.key.thumbprint() in found["key"]
    assert "attester-1" in found["key"]
    assert found["source"] == "entered"
    assert found["instance"] == sample.client.instance.thumbprint
    assert (found["client_id"], found["application"]) == ("app", str(sample.client.application))
    assert "challenge required" in found["policy"]


def test_what_a_fetched_key_is_shown_as(sample: Sample) -> None:
    url = "https://attester.example/jwks"
    Attester.objects.update(jwks_uri=url, fetched_at=datetime.now(UTC))
    AttesterKey.objects.update(fetched_from=url)
    assert facts(inspect(sample.question()))["source"].startswith(f"fetched from {url}, last ")


def test_what_a_certificate_is_shown_as(sample: Sample) -> None:
    chain = make_chain()
    add_anchor(sample, chain)
    sample.header |= {"x5c": chain.x5c, "kid": ABSENT}
    sample.parts["key"] = chain.jwk
    inspection = inspect(sample.question())
    assert inspection.accepted
    assert "under a trust anchor" in facts(inspection)["source"]
    shown = [fact.value for fact in inspection.facts if fact.name == "certificate"]
    assert [value.partition(", valid until 2049-12-31")[0] for value in shown] == [
        "CN=Attester,O=Acme, issued by CN=Issuing 1,O=Acme",
        "CN=Issuing 1,O=Acme, issued by CN=Root,O=Acme",
    ]


def test_what_a_shared_secret_is_shown_as(sample: Sample, settings: Any) -> None:
    secret = b"a secret of thirty-two octets or more"
    configure(settings, SHARED_SECRETS={"Acme": secret})
    key = JWK(kty="oct", k=b64(secret))
    claims = json.loads(unb64(sample.question().attestation.split(".")[1]))
    header = {"typ": "oauth-client-attestation+jwt", "alg": "HS256"}
    inspection = inspect(Question(sign(key, header, claims)))
    assert inspection.accepted
    assert facts(inspection)["source"] == "SHARED_SECRETS in the settings"
    assert b64(secret) not in repr(inspection.facts)


def test_who_could_have_signed_is_shown_where_nobody_did(sample: Sample) -> None:
    register_attester(AttesterBackend(key_id="lost"), "Linked to nobody")
    register_attester(AttesterBackend(key_id="lost"), "Disabled", enabled=False, all_applications=True)
    AttesterKey.objects.filter(key_id="attester-1").update(enabled=False)
    sample.header["kid"] = "lost"
    inspection = inspect(sample.question())
    assert inspection.error is not None
    assert inspection.error.reason is Reason.ATTESTER_NOT_TRUSTED
    found: dict[str, list[str]] = {}
    for fact in inspection.facts:
        found.setdefault(fact.name, []).append(fact.value)
    assert found["named_key"] == ["kid “lost”"]
    assert found["trusted"] == ["Acme: kid “attester-1” (disabled)"]
    assert found["not_trusted"] == ["Disabled: disabled", "Linked to nobody: not linked to the application"]


def test_a_name_cannot_fool_a_terminal(sample: Sample) -> None:
    """Applications may register themselves under a name of their choice."""
    type(sample.client.application).objects.update(name="A\x1b[2J\n\u202eB")
    assert facts(inspect(sample.question()))["application"] == "A\\u001b[2J\\n\\u202eB"


def everything() -> dict[str, Any]:
    """Return every row of every table."""
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
    }


@pytest.mark.parametrize("good", [True, False], ids=["accepted", "refused"])
@table("combined", {"a PoP JWT": False, "a DPoP proof": True})
def test_nothing_is_recorded(
    attested: AttestedClient, caplog: pytest.LogCaptureFixture, good: bool, combined: bool
) -> None:
    """Neither in the database nor in memory, neither logged nor signalled; and the proof is good afterwards."""
    headers = attested.combined() if combined else attested.headers()
    attestation, proof = headers.values()
    signals: list[Any] = []

    def note(**kwargs: Any) -> None:
        signals.append(kwargs)

    client_attestation_accepted.connect(note)
    client_attestation_refused.connect(note)
    before = everything()
    caplog.set_level(logging.DEBUG, "oauth_client_attestation")
    inspection = inspect(Question(attestation, proof=proof, client_id="" if good else "other"))
    assert inspection.accepted is good
    assert everything() == before
    assert caplog.records == []
    assert signals == []
    assert app_settings.attestation_memory.recall(attestation) is None
    attested.accepted(headers=headers)
    assert len(signals) == 1
    assert app_settings.attestation_memory.recall(attestation) is not None


def test_what_is_remembered_does_not_decide(attested: AttestedClient) -> None:
    """An attestation that the process remembers is judged from the beginning."""
    attestation = attested.attestation()
    attested.accepted(headers=attested.headers(attestation))
    key = AttesterKey.objects.get()
    AttesterKey.objects.update(jwk=AttesterBackend().public_jwk)
    inspection = inspect(Question(attestation))
    assert inspection.error is not None
    assert inspection.error.reason is Reason.ATTESTATION_SIGNATURE
    key.save()
    assert inspect(Question(attestation)).accepted


@pytest.mark.django_db(transaction=True)
def test_nothing_is_fetched(settings: Any) -> None:
    """A request has unknown keys fetched; looking into one does not, and says so."""
    client = AttestedClient()
    with KeyServer(client.backend) as server:
        configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[f"127.0.0.1:{server.port}"])
        application = create_application("app", policy={})
        attester = Attester.objects.create(name="Acme", jwks_uri=server.url(scheme="http"))
        attester.applications.add(application)
        before = everything()
        inspection = inspect(Question(client.attestation()))
        assert inspection.error is not None
        assert inspection.error.reason is Reason.ATTESTER_KEYS_UNAVAILABLE
        (row,) = (row for row in inspection.rows if row.status is Status.FAILED)
        assert row.note.startswith("Nothing is fetched here.")
        assert server.fetches == 0
        assert everything() == before
        client.accepted()
        assert server.fetches == 1
        assert inspect(Question(client.attestation())).accepted


def test_without_a_database_there_is_no_verdict(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    question = sample.question()
    with connection.execute_wrapper(_broken), pytest.raises(ClientAttestationError) as caught:
        inspect(question)
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE


def _broken(*args: Any) -> Any:
    raise DatabaseError("broken")


HOSTILE = {
    "a megabyte": "e" * 1_000_000,
    "HTML": "<script>alert(1)</script>",
    "a NUL": "eyJ\0.eyJ.eyJ",
    "only dots": "..",
    "not ASCII": "eyЈ.eyJ.eyJ",
    "a lone surrogate": "ey\ud800.eyJ.eyJ",
    "deep JSON": f"{b64(b'[' * 5000)}.{b64(b'[' * 5000)}.eyJ",
    "not base64": "e.e.e",
    "an astronomic time": sign_members(
        AttesterBackend().key, {"alg": "ES256"}, {"sub": "app", "exp": 253402300799, "iat": -1, "nbf": 1e308}
    ),
    "markup in every place": sign_members(
        AttesterBackend().key,
        {"alg": "<b>", "kid": "<script>", "typ": "</pre>", "x5c": ["<i>", 7, None, {}]},
        {"sub": "<script>alert(1)</script>", "exp": "<", "aud": ["\u202e\u0000\u001b[31m"]},
    ),
    "markup in a DPoP proof": sign_members(
        AttesterBackend().key,
        {"alg": "<b>", "typ": "dpop+jwt", "jwk": {"kty": "<script>", "x": ["<"]}},
        {"jti": "<script>alert(1)</script>", "htm": "<", "htu": ["\u202e"], "nonce": {"<": 1}, "iat": 1e308},
    ),
    "x5c that is no list": sign_members(AttesterBackend().key, {"alg": "ES256", "x5c": "<"}, {"sub": "app"}),
}


@table("token", HOSTILE)
@table("kind", {"of whatever kind": "", "as a DPoP proof": "dpop"})
@pytest.mark.parametrize("place", ["attestation", "proof", "both"])
def test_anything_can_be_judged(attested: AttestedClient, token: str, place: str, kind: Any) -> None:
    attestation = token if place != "proof" else attested.attestation()
    good = attested.dpop() if kind else attested.pop()
    inspection = inspect(Question(attestation, proof=token if place != "attestation" else good, kind=kind))
    assert not inspection.accepted
    assert [row.status for row in inspection.rows].count(Status.FAILED) == 1
    for fact in inspection.facts:
        assert fact.value.isprintable()
