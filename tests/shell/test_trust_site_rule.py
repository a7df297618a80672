"""``SITE_RULE``: a rule of the site's own, asked last and with verified evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from oauth2_provider.models import get_application_model

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.results import Evidence
from oauth_client_attestation.models import AttestationPolicy, Attester, UsedProof
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from tests.kit import DOORS, AttestedClient, Door, configure, table
from tests.shell import site_rules


@pytest.fixture
def rule(settings: Any) -> Iterator[Callable[[str], None]]:
    """Sets the site's rule by its name in :mod:`.site_rules`."""

    def use(name: str) -> None:
        configure(settings, SITE_RULE=f"tests.shell.site_rules.{name}")

    site_rules.calls.clear()
    yield use
    site_rules.calls.clear()


@pytest.mark.accepts("A3", "P3")
def test_the_rule_is_asked_once_with_what_was_verified(attested: AttestedClient, rule: Callable[[str], None]) -> None:
    rule("agree")
    attested.accepted(
        headers=attested.headers(attested.attestation(claims={"tier": "gold"}), attested.pop(claims={"jti": "once"}))
    )
    (call,) = site_rules.calls
    assert set(call) == {"request", "application", "evidence"}
    assert call["request"].path == "/o/token/"
    assert call["application"] == attested.application
    evidence = call["evidence"]
    assert isinstance(evidence, Evidence)
    assert (evidence.attestation.client_id, evidence.attestation.attester) == ("app", "Acme")
    assert evidence.attestation.thumbprint == evidence.proof.thumbprint == attested.instance.thumbprint
    assert evidence.attestation.claims["tier"] == "gold"
    assert (evidence.proof.jti, evidence.proof.challenged) == ("once", True)


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.refuses("E4", "E7")
def test_the_rule_is_asked_once_at_every_door(door: Door, db: Any, rule: Callable[[str], None]) -> None:
    client = door.register()
    parameters = door.prepare(client.application)
    rule("refuse")
    client.refused(Reason.SITE_RULE, lambda: door.send(client.http, parameters, headers=client.headers()))
    assert len(site_rules.calls) == 1
    rule("agree")
    response = door.send(client.http, parameters, headers=client.headers())
    assert door.passed(response), response.content
    assert len(site_rules.calls) == 2


@table(
    ("name", "reason", "status"),
    {
        "it denies permission": ("refuse", Reason.SITE_RULE, 400),
        "it fails": ("fail", Reason.SITE_RULE_FAILED, 503),
        "it takes other arguments": ("no_such_argument", Reason.SITE_RULE_FAILED, 503),
        "it returns False instead of raising": ("say_no", Reason.SITE_RULE_FAILED, 503),
        "it returns True": ("say_yes", Reason.SITE_RULE_FAILED, 503),
        "it is a coroutine function, which nobody would await": ("agree_later", Reason.SITE_RULE_FAILED, 503),
    },
)
@pytest.mark.refuses("E4", "E5", "E6")
def test_a_refusal_by_the_rule_uses_nothing_up(
    attested: AttestedClient,
    rule: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
    reason: Reason,
    status: int,
) -> None:
    """Whatever it does but return, nobody gets in; and the same proof is good once the rule agrees."""
    headers = attested.headers()
    rule(name)
    attested.refused(reason, status=status, headers=headers)
    assert not UsedProof.objects.exists()
    assert ("SITE_RULE failed" in caplog.text) == (reason is Reason.SITE_RULE_FAILED)
    assert "not this instance" not in caplog.text
    rule("agree")
    attested.accepted(headers=headers)
    attested.refused(Reason.POP_REPLAYED, headers=headers)


def test_a_rule_may_judge_by_claims(attested: AttestedClient, rule: Callable[[str], None]) -> None:
    rule("gold_only")
    attested.refused(Reason.SITE_RULE)
    attested.refused(Reason.SITE_RULE, headers=attested.headers(attested.attestation(claims={"tier": "silver"})))
    attested.accepted(headers=attested.headers(attested.attestation(claims={"tier": "gold"})))


def forged(client: AttestedClient) -> dict[str, Any]:
    return {"headers": client.headers(AttesterBackend().attest(client.instance, client.client_id))}


@table(
    ("spoil", "reason"),
    {
        "the attestation is forged": (forged, Reason.ATTESTATION_SIGNATURE),
        "the attester is disabled": (lambda _: Attester.objects.update(enabled=False), Reason.ATTESTER_NOT_TRUSTED),
        "the attestation has expired": (
            lambda client: {"headers": client.headers(client.attestation(lifetime=-3600))},
            Reason.ATTESTATION_EXPIRED,
        ),
        "a required claim is missing": (
            lambda _: Attester.objects.update(required_claims={"level": []}),
            Reason.ATTESTATION_CLAIM_MISSING,
        ),
        "the proof is another instance's": (
            lambda client: {
                "headers": client.headers(pop=AttestedClient(client.backend, ClientInstance(), client.client_id).pop())
            },
            Reason.POP_SIGNATURE,
        ),
        "the challenge is nobody's": (
            lambda client: {"headers": client.headers(pop=client.pop(challenge="x" * 32))},
            Reason.CHALLENGE_UNKNOWN,
        ),
        "there is no proof": (
            lambda client: {"headers": {"OAuth-Client-Attestation": client.attestation()}},
            Reason.POP_MISSING,
        ),
        "there is no attestation": (
            lambda client: {"data": {"grant_type": "client_credentials", "client_id": "app"}, "headers": {}},
            Reason.ATTESTATION_REQUIRED,
        ),
        "the policy is gone": (lambda _: AttestationPolicy.objects.all().delete(), Reason.CLIENT_NOT_REGISTERED),
        "a secret came along": (
            lambda client: {"data": {"grant_type": "client_credentials", "client_secret": "secret"}},
            Reason.SECOND_MECHANISM,
        ),
    },
)
@pytest.mark.refuses("A3", "P3")
def test_the_rule_is_not_asked_about_what_is_refused_anyway(
    attested: AttestedClient,
    rule: Callable[[str], None],
    spoil: Callable[[AttestedClient], Any],
    reason: Reason,
) -> None:
    """It costs something, perhaps, and may trust its arguments."""
    rule("agree")
    request = spoil(attested)
    attested.refused(reason, **(request if isinstance(request, dict) else {}))
    assert site_rules.calls == []


@pytest.mark.refuses("E4")
def test_the_rule_is_not_asked_about_an_unusable_application(
    attested: AttestedClient, rule: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_application_model(), "is_usable", lambda *_: False)
    rule("agree")
    attested.refused(Reason.CLIENT_UNKNOWN)
    assert site_rules.calls == []


@pytest.mark.refuses("P8")
def test_the_rule_is_asked_about_a_replay_which_is_refused_after_it(
    attested: AttestedClient, rule: Callable[[str], None]
) -> None:
    """Using up the proof comes last, so that a refusal by the rule leaves it usable."""
    rule("agree")
    headers = attested.headers()
    attested.accepted(headers=headers)
    attested.refused(Reason.POP_REPLAYED, headers=headers)
    assert len(site_rules.calls) == 2


def test_without_a_rule_nobody_is_asked(attested: AttestedClient) -> None:
    assert app_settings.site_rule is None
    attested.accepted()


@table(
    "path",
    {
        "nothing of that name": "tests.shell.site_rules.no_such_rule",
        "no such module": "tests.shell.no_such_module.rule",
        "no dotted path": "rule",
        "not callable": "tests.shell.site_rules.NOT_CALLABLE",
        "the function itself": site_rules.agree,
        "empty": "",
    },
)
def test_a_rule_that_cannot_be_found_keeps_the_server_from_starting(settings: Any, path: Any) -> None:
    """Rather than to let in, or keep out, everybody."""
    configure(settings, SITE_RULE=path)
    with pytest.raises(ImproperlyConfigured, match="SITE_RULE"):
        app_settings.validate()
