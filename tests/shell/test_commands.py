"""The commands: what they write, what they refuse, and that a refusal writes nothing."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AttestationPolicy,
    Attester,
    AttesterApplication,
    AttesterKey,
    DpopPolicy,
    Refusal,
    TrustAnchor,
    UsedProof,
)
from oauth_client_attestation.replay.database import PURGE_SLICE
from oauth_client_attestation.testing import AttesterBackend, generate_key
from tests.certificates import build_ca, make_chain, pem
from tests.kit import AttestedClient, configure, create_application, register_attester, table

pytestmark = pytest.mark.django_db

NOW = 1_700_000_000


def run(*arguments: str) -> tuple[str, str]:
    """Run a command as ``manage.py`` does; return what it said and what it warned about."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    """A file with a good JWK Set."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(AttesterBackend().jwks))
    return path


def written() -> tuple[int, ...]:
    """Count what the commands write."""
    models = (Attester, AttesterKey, TrustAnchor, AttesterApplication, AttestationPolicy, DpopPolicy)
    return tuple(model.objects.count() for model in models)


@pytest.mark.accepts("T1", "T5", "B5")
def test_from_the_commands_to_a_token(tmp_path: Path) -> None:
    """What the README says an operator does is enough."""
    client = AttestedClient()
    create_application("app")
    file = tmp_path / "acme.json"
    file.write_text(json.dumps(client.backend.jwks))
    run("createattester", "Acme", "--jwks", str(file), "--application", "app")
    run("requireattestation", "app")
    client.accepted()
    secret = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    client.refused(Reason.ATTESTATION_REQUIRED, headers={}, data=secret)


def test_an_attester_with_everything(jwks: Path) -> None:
    create_application("one")
    create_application("two")
    create_application("three")
    out, err = run(
        *("createattester", "Acme", "--jwks", str(jwks), "--issuer", "https://acme.example"),
        *("--algorithm", "ES256", "--algorithm", "ES384", "--application", "one", "--application", "two"),
    )
    attester = Attester.objects.get()
    assert (attester.name, attester.issuer, attester.enabled) == ("Acme", "https://acme.example", True)
    assert (attester.algorithms, attester.all_applications) == (["ES256", "ES384"], False)
    assert set(attester.applications.values_list("client_id", flat=True)) == {"one", "two"}
    assert attester.keys.get().key_id == "attester-1"
    assert (out, err) == ("Attester 'Acme' created with 1 key(s).\n", "")


def test_an_attester_for_all_applications(jwks: Path) -> None:
    _, err = run("createattester", "Acme", "--jwks", str(jwks), "--all-applications")
    attester = Attester.objects.get()
    assert attester.all_applications
    assert not attester.applications.exists()
    assert err == ""


def test_an_attester_for_nobody_comes_with_a_warning(jwks: Path) -> None:
    _, err = run("createattester", "Acme", "--jwks", str(jwks))
    assert "not trusted for any application yet" in err
    assert written() == (1, 1, 0, 0, 0, 0)


def test_keys_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = io.BytesIO(json.dumps(AttesterBackend().jwks).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(octets))
    run("createattester", "Acme", "--jwks", "-", "--all-applications")
    assert AttesterKey.objects.count() == 1


@table(
    "arguments, message",
    {
        "no name": (("--jwks", "{jwks}"), "the following arguments are required: name"),
        "no keys": (("Acme",), "Nothing could be believed: give --jwks, --jwks-uri or --trust-anchor."),
        "a name that is taken": (("Taken", "--jwks", "{jwks}"), "Attester with this Name already exists."),
        "an empty name": (("", "--jwks", "{jwks}"), "This field cannot be blank."),
        "a name that is too long": (("a" * 101, "--jwks", "{jwks}"), "at most 100 characters"),
        "an issuer that is too long": (
            ("Acme", "--jwks", "{jwks}", "--issuer", "https://" + "a" * 2048),
            "at most 2048 characters",
        ),
        "a file that is not there": (("Acme", "--jwks", "{jwks}.missing"), "The JWK Set cannot be read: "),
        "a folder": (("Acme", "--jwks", "{jwks}/.."), "The JWK Set cannot be read: "),
        "a file that is no JWK Set": (("Acme", "--jwks", __file__), "This is not a JSON object"),
        "an algorithm that does not exist": (
            ("Acme", "--jwks", "{jwks}", "--algorithm", "ES257"),
            "“ES257” is not a signature algorithm",
        ),
        "a MAC": (
            ("Acme", "--jwks", "{jwks}", "--algorithm", "ES256", "--algorithm", "HS256"),
            "“HS256” is not a signature algorithm",
        ),
        "no algorithm at all": (
            ("Acme", "--jwks", "{jwks}", "--algorithm", "none"),
            "“none” is not a signature algorithm",
        ),
        "a URL that is not https": (
            ("Acme", "--jwks-uri", "http://acme.example/jwks"),
            "The URL is not https, and its host is not one of JWKS_ALLOWED_PRIVATE_HOSTS.",
        ),
        "a file that is no certificate": (
            ("Acme", "--trust-anchor", "{jwks}"),
            "jwks.json: This is not a certificate in PEM",
        ),
        "an anchor that is not there": (
            ("Acme", "--trust-anchor", "{jwks}.missing"),
            "The trust anchor cannot be read: ",
        ),
        "an age of nothing": (("Acme", "--jwks", "{jwks}", "--max-age", "0"), "greater than or equal to 1"),
        "an age that is no number": (("Acme", "--jwks", "{jwks}", "--max-age", "1h"), "argument --max-age: invalid"),
        "a claim without a name": (
            ("Acme", "--jwks", "{jwks}", "--require-claim", "=high"),
            "Write “name” or “name=value”.",
        ),
        "a claim without a value": (
            ("Acme", "--jwks", "{jwks}", "--require-claim", "level="),
            "“level=” has no value",
        ),
        "a claim with any value and a certain one": (
            ("Acme", "--jwks", "{jwks}", "--require-claim", "level", "--require-claim", "level=high"),
            "“level” is required with any value, and with a certain one.",
        ),
        "an application that does not exist": (
            ("Acme", "--jwks", "{jwks}", "--application", "app", "--application", "nobody"),
            "There is no application with this client_id: nobody",
        ),
        "an unknown option": (("Acme", "--jwks", "{jwks}", "--enabled"), "unrecognized arguments: --enabled"),
    },
)
@pytest.mark.refuses("T1", "T5")
def test_createattester_refuses(jwks: Path, arguments: tuple[str, ...], message: str) -> None:
    create_application("app")
    register_attester(AttesterBackend(), "Taken")
    before = written()
    with pytest.raises(CommandError) as caught:
        run("createattester", *(argument.format(jwks=jwks) for argument in arguments))
    assert message in str(caught.value)
    assert written() == before


@pytest.mark.refuses("T1")
def test_createattester_refuses_a_private_key_without_showing_it(tmp_path: Path) -> None:
    private = json.loads(generate_key().export_private())
    file = tmp_path / "private.json"
    file.write_text(json.dumps({"keys": [private]}))
    with pytest.raises(CommandError, match="Key 1 contains a private or secret key") as caught:
        run("createattester", "Acme", "--jwks", str(file))
    assert private["d"] not in str(caught.value)
    assert written() == (0, 0, 0, 0, 0, 0)


@pytest.mark.accepts("T1")
def test_keys_in_pem(tmp_path: Path) -> None:
    client = AttestedClient()
    create_application("app", policy={})
    file = tmp_path / "acme.pem"
    file.write_bytes(client.backend.key.export_to_pem())
    run("createattester", "Acme", "--jwks", str(file), "--application", "app")
    client.accepted()


@pytest.mark.accepts("T3")
def test_trust_anchors(tmp_path: Path) -> None:
    """Several files, each with several certificates, some of them twice."""
    chain = make_chain()
    client = AttestedClient(backend=AttesterBackend(key=chain.jwk, key_id=None))
    create_application("app", policy={})
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    first.write_text(pem(build_ca("Other"), chain.anchor))
    second.write_text(chain.pem)
    out, _ = run(
        *("createattester", "Acme", "--trust-anchor", str(first), "--trust-anchor", str(second)),
        *("--application", "app"),
    )
    assert out == "Attester 'Acme' created with 0 key(s) and 2 trust anchor(s).\n"
    client.accepted(headers=client.headers(client.attestation(header={"x5c": chain.x5c})))


@pytest.mark.accepts("T2", "T5")
def test_a_url_and_limits() -> None:
    out, err = run(
        *("createattester", "Acme", "--jwks-uri", "https://acme.example/jwks", "--max-age", "600"),
        *("--require-claim", "level=high", "--require-claim", "level=substantial", "--require-claim", "wallet"),
        *("--require-claim", "version=3", "--all-applications"),
    )
    attester = Attester.objects.get()
    assert (attester.jwks_uri, attester.max_age, attester.fetch_attempted_at) == (
        "https://acme.example/jwks",
        600,
        None,
    )
    assert attester.required_claims == {"level": ["high", "substantial"], "wallet": [], "version": [3]}
    assert out.splitlines() == [
        "Attester 'Acme' created with 0 key(s).",
        "Its keys are fetched when one is needed, or now by refreshattesters.",
    ]
    assert err == ""


@pytest.mark.accepts("T4")
def test_a_shared_secret_is_enough(settings: Any) -> None:
    configure(settings, SHARED_SECRETS={"Acme": b"s" * 32})
    run("createattester", "Acme", "--all-applications")
    assert written() == (1, 0, 0, 0, 0, 0)


NORMAL, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"


@table(
    "arguments, methods, challenge",
    {
        "by default": ((), [NORMAL, COMBINED], "required"),
        "challenge required": (("--challenge", "required"), [NORMAL, COMBINED], "required"),
        "challenge optional": (("--challenge", "optional"), [NORMAL, COMBINED], "optional"),
        "either method": (("--method", "either"), [NORMAL, COMBINED], "required"),
        "by a PoP JWT": (("--method", "normal"), [NORMAL], "required"),
        "by a DPoP proof": (("--method", "combined"), [COMBINED], "required"),
    },
)
@pytest.mark.accepts("B5")
def test_requireattestation(arguments: tuple[str, ...], methods: list[str], challenge: str) -> None:
    application = create_application("app")
    register_attester(AttesterBackend(), applications=(application,))
    out, err = run("requireattestation", "app", *arguments)
    policy = AttestationPolicy.objects.get()
    assert (policy.application, policy.methods, policy.challenge) == (application, methods, challenge)
    assert out == f"app now authenticates by {' or '.join(methods)} only; challenge {challenge}.\n"
    assert err == ""
    assert not DpopPolicy.objects.exists()


@table("before", {"nothing said so far": None, "allowed so far": "allowed", "required already": "required"})
def test_requireattestation_requires_dpop_as_well(before: str | None) -> None:
    application = create_application("app")
    register_attester(AttesterBackend(), applications=(application,))
    if before is not None:
        DpopPolicy.objects.create(application=application, use=before)
    out, _ = run("requireattestation", "app", "--require-dpop")
    assert out.endswith("; DPoP required.\n")
    assert [(policy.application, policy.use) for policy in DpopPolicy.objects.all()] == [(application, "required")]
    run("requireattestation", "app")
    assert DpopPolicy.objects.get().use == "required"


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_requireattestation_with_dpop_holds_at_the_token_endpoint() -> None:
    client = AttestedClient()
    register_attester(client.backend, applications=(create_application("app"),))
    run("requireattestation", "app", "--require-dpop")
    client.refused(Reason.DPOP_REQUIRED, proof_used=True)
    client.accepted(headers=client.combined())
    client.accepted(headers={**client.headers(), "DPoP": client.another().dpop()})


def test_requireattestation_leaves_a_dpop_policy_alone() -> None:
    DpopPolicy.objects.create(application=create_application("app"), use="allowed")
    run("requireattestation", "app")
    assert DpopPolicy.objects.get().use == "allowed"


def test_requireattestation_cannot_require_what_the_settings_make_nothing_of(settings: Any) -> None:
    create_application("app")
    configure(settings, DPOP="off", METHODS=[NORMAL])
    with pytest.raises(CommandError, match="DPOP is off in the settings"):
        run("requireattestation", "app", "--require-dpop")
    assert written() == (0, 0, 0, 0, 0, 0)


def test_requireattestation_warns_of_a_method_that_the_server_does_not_offer(settings: Any) -> None:
    register_attester(AttesterBackend(), applications=(create_application("app"),))
    configure(settings, METHODS=[NORMAL])
    _, err = run("requireattestation", "app", "--method", "combined")
    assert err == "METHODS in the settings has no such method, so nobody gets in.\n"
    _, err = run("requireattestation", "app")
    assert err == ""


def test_requireattestation_changes_the_policy_there_is() -> None:
    create_application("app", policy={"challenge": "optional"})
    run("requireattestation", "app")
    assert AttestationPolicy.objects.get().challenge == "required"


def test_requireattestation_leaves_the_applications_secret_alone() -> None:
    """An empty secret would authenticate by itself as soon as the policy is gone."""
    application = create_application("app")
    before = application.client_secret
    run("requireattestation", "app")
    application.refresh_from_db()
    assert application.client_secret == before


@table(
    "attester, warned",
    {
        "no attester": (None, True),
        "one that is disabled": ({"enabled": False, "all_applications": True}, True),
        "one for another application": ({}, True),
        "one for all applications": ({"all_applications": True}, False),
    },
)
def test_requireattestation_warns_when_nobody_could_get_in(attester: dict[str, Any] | None, warned: bool) -> None:
    create_application("app")
    if attester is not None:
        register_attester(AttesterBackend(), applications=(create_application("other"),), **attester)
    _, err = run("requireattestation", "app")
    assert ("No enabled attester is trusted for it yet" in err) is warned


@table(
    "arguments, message",
    {
        "no application": ((), "the following arguments are required: client_id"),
        "an application that does not exist": (("nobody",), "There is no application with this client_id: nobody"),
        "a method that does not exist": (("app", "--method", "client_secret_basic"), "invalid choice"),
        "a challenge that is neither": (("app", "--challenge", "never"), "invalid choice"),
        "an implicit application": (("implicit",), "given tokens at the authorization endpoint"),
        "a hybrid application": (("hybrid",), "given tokens at the authorization endpoint"),
        "a method by its name in the draft": (("app", "--method", "attest_jwt_client_auth"), "invalid choice"),
    },
)
@pytest.mark.refuses("B5")
def test_requireattestation_refuses(arguments: tuple[str, ...], message: str) -> None:
    create_application("app")
    create_application("implicit", authorization_grant_type="implicit", redirect_uris="https://client.example/")
    create_application("hybrid", authorization_grant_type="openid-hybrid", redirect_uris="https://client.example/")
    with pytest.raises(CommandError) as caught:
        run("requireattestation", *arguments)
    assert message in str(caught.value)
    assert written() == (0, 0, 0, 0, 0, 0)


@table("seconds, kept", {"a second before": (-1, True), "at the second": (0, True), "a second after": (1, False)})
def test_clearattestations_keeps_what_can_still_be_replayed(seconds: int, kept: bool) -> None:
    """``valid_until`` is the last moment at which the proof could be accepted."""
    UsedProof.objects.create(proof_id="proof", valid_until=NOW)
    with time_machine.travel(NOW + seconds, tick=False):
        out, _ = run("clearattestations")
    assert UsedProof.objects.exists() is kept
    assert out.splitlines()[0] == f"{0 if kept else 1} expired used proof(s) deleted."


def test_clearattestations_works_in_slices(django_assert_num_queries: Any) -> None:
    """Two queries a slice and one that finds nothing more; eight to see that there is nothing else to delete."""
    UsedProof.objects.bulk_create(
        UsedProof(proof_id=str(number), valid_until=NOW - number) for number in range(1, 2 * PURGE_SLICE + 2)
    )
    UsedProof.objects.create(proof_id="current", valid_until=NOW)
    with time_machine.travel(NOW, tick=False), django_assert_num_queries(15):
        out, _ = run("clearattestations")
    assert out.splitlines()[0] == f"{2 * PURGE_SLICE + 1} expired used proof(s) deleted."
    assert UsedProof.objects.get().pk == "current"


@pytest.mark.refuses("P8")
def test_clearattestations_lets_nothing_be_replayed(attested: AttestedClient) -> None:
    headers = attested.headers()
    attested.accepted(headers=headers)
    run("clearattestations")
    attested.refused(Reason.POP_REPLAYED, headers=headers)


@table("seconds, kept", {"a second before": (-1, True), "at the second": (0, True), "a second after": (1, False)})
def test_clearattestations_forgets_refusals(settings: Any, seconds: int, kept: bool) -> None:
    configure(settings, REFUSAL_RETENTION_DAYS=2)
    refused = datetime.fromtimestamp(NOW - 2 * 86400, UTC)
    Refusal.objects.create(time=refused, reason=Reason.POP_REPLAYED, endpoint="-")
    with time_machine.travel(NOW + seconds, tick=False):
        out, _ = run("clearattestations")
    assert Refusal.objects.exists() is kept
    assert out.splitlines()[1:] == ([] if kept else ["1 old record(s) of refusals deleted."])


def test_clearattestations_keeps_no_more_refusals_than_the_limit(settings: Any) -> None:
    configure(settings, REFUSAL_LIMIT=10)
    moment = datetime.fromtimestamp(NOW, UTC)
    Refusal.objects.bulk_create(Refusal(time=moment, reason=str(number), endpoint="-") for number in range(13))
    with time_machine.travel(NOW, tick=False):
        out, _ = run("clearattestations")
    assert {refusal.reason for refusal in Refusal.objects.all()} == set(map(str, range(3, 13)))
    assert out.splitlines()[1] == "3 old record(s) of refusals deleted."


def test_clearattestations_takes_no_arguments() -> None:
    with pytest.raises(CommandError, match="unrecognized arguments"):
        run("clearattestations", "--all")
