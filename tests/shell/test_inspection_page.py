"""The page "Check an attestation" and the command: who may use them, what they show, and what they leave behind."""

from __future__ import annotations

import io
import json
import re
import time
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.inspection.checks import checks_by_part
from oauth_client_attestation.models import Refusal
from oauth_client_attestation.testing import combined_headers
from tests.kit import ISSUER, TOKEN, AttestedClient, table
from tests.shell.test_inspection import HOSTILE, everything

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:oauth_client_attestation_check")
ATTESTERS = reverse("admin:oauth_client_attestation_attester_changelist")
REFUSALS = reverse("admin:oauth_client_attestation_refusal_changelist")


def colleague(*permissions: str) -> Client:
    """A browser with the session of staff who have these rights alone; it must send the CSRF token."""
    user = User.objects.create_user("colleague", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def browser() -> Client:
    """A browser of somebody who may do nothing but this."""
    return colleague("check_attestation")


def checks(*, combined: bool = False) -> list[str]:
    return [check.name for part in checks_by_part(combined=combined).values() for check in part]


def failed(page: Any) -> list[str]:
    return [row.check.name for row in page.context["inspection"].rows if row.status == "failed"]


def test_a_good_request(browser: Client, attested: AttestedClient) -> None:
    page = browser.post(PAGE, {"attestation": f"\n {attested.attestation()}\n", "proof": attested.pop()})
    assert page.status_code == 200
    assert page.context["inspection"].verdict == "Accepted."
    text = page.content.decode()
    assert "Accepted." in text
    assert attested.instance.thumbprint in text
    assert attested.backend.key.thumbprint() in text
    assert f"<code>{ISSUER}</code>" in text
    assert re.findall(r'data-check="(\w+)"', text) == checks()
    assert "Proof of possession: header and claims" in text
    assert "<details>" in text


def test_a_good_request_in_combined_mode(browser: Client, attested: AttestedClient) -> None:
    """Nothing more has to be filled in: the proof says what it is, and most requests go to the token endpoint."""
    page = browser.post(PAGE, {"attestation": attested.attestation(), "proof": attested.dpop()})
    assert page.context["inspection"].verdict == "Accepted."
    text = page.content.decode()
    assert re.findall(r'data-check="(\w+)"', text) == checks(combined=True)
    assert "DPoP proof: header and claims" in text
    assert f"POST {ISSUER}{TOKEN}" in text
    assert f"<code>{ISSUER}{TOKEN}</code>" in text
    assert "<details>" in text


def test_a_dpop_proof_for_something_else(browser: Client, attested: AttestedClient) -> None:
    """What was filled in stays in sight."""
    proof = attested.dpop("/api/hello", method="GET", access_token="the token")
    fields = {
        "attestation": attested.attestation(),
        "proof": proof,
        "kind": "dpop",
        "method": "GET",
        "uri": f"{ISSUER}/api/hello",
        "access_token": " the token\n",
    }
    page = browser.post(PAGE, fields)
    assert page.context["inspection"].accepted
    assert "<details open>" in page.content.decode()
    for name, check in (("method", "htm"), ("uri", "htu"), ("access_token", "ath")):
        assert failed(browser.post(PAGE, fields | {name: "another"})) == [check]
    assert failed(browser.post(PAGE, fields | {"kind": "pop"})) == ["proof_typ"]
    mistaken = browser.post(PAGE, fields | {"kind": "another"})
    assert list(mistaken.context["form"].errors) == ["kind"]
    assert "<details open>" in mistaken.content.decode()


def test_each_field_has_its_label_and_its_help(browser: Client) -> None:
    """Once, and at the ids that the admin gives them."""
    page = browser.get(PAGE)
    text = page.content.decode()
    shown = re.findall(r'<label[^>]* for="id_(\w+)"', text)
    assert sorted(shown) == sorted(page.context["form"].fields)
    for name in shown:
        assert text.count(f'id="id_{name}"') == text.count(f'id="id_{name}_helptext"') == 1
        assert text.count(f'aria-describedby="id_{name}_helptext"') == 1


def test_a_refusal_is_explained(browser: Client, attested: AttestedClient) -> None:
    old = attested.attestation(now=time.time() - 7200)
    page = browser.post(PAGE, {"attestation": old, "proof": attested.pop()})
    assert failed(page) == ["exp"]
    text = page.content.decode()
    assert "Refused: attestation_expired" in text
    assert escape(str(page.context["inspection"].explanation.summary)) in text
    assert "<code>use_fresh_attestation</code>" in text
    assert "(1 hour ago)" in text


def test_header_and_claims_are_shown_on_the_page(browser: Client, attested: AttestedClient) -> None:
    token = attested.attestation(claims={"wallet": "<script>alert(1)</script> Bü\u202e\x1b[31m"})
    text = browser.post(PAGE, {"attestation": token}).content.decode()
    assert "&quot;wallet&quot;: &quot;&lt;script&gt;alert(1)&lt;/script&gt; Bü\\u202e\\u001b[31m&quot;" in text
    assert "<script>alert" not in text


def test_the_page_is_for_those_with_the_permission(attested: AttestedClient) -> None:
    staff = colleague("view_refusal", "view_attester")
    for response in (staff.get(PAGE), staff.post(PAGE, {"attestation": attested.attestation()})):
        assert response.status_code == 403
    stranger = Client().get(PAGE)
    assert stranger.status_code == 302
    assert stranger.headers["Location"].startswith(reverse("admin:login"))


def test_nobody_elses_site_can_ask(attested: AttestedClient) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("root"))
    assert browser.post(PAGE, {"attestation": attested.attestation()}).status_code == 403


def test_nothing_is_kept(browser: Client, attested: AttestedClient) -> None:
    """Neither in a table nor in a session, and no browser keeps the page; and the proof is as good as before."""
    attestation, pop = attested.attestation(), attested.pop()
    before = everything()
    page = browser.post(PAGE, {"attestation": attestation, "proof": pop})
    assert "no-store" in page.headers["Cache-Control"]
    assert everything() == before
    assert LogEntry.objects.count() == Refusal.objects.count() == 0
    assert all(pop not in str(session.get_decoded()) for session in Session.objects.all())
    attested.accepted(headers=attested.headers(attestation, pop))
    assert failed(browser.post(PAGE, {"attestation": attestation, "proof": pop})) == ["unused"]


def test_tokens_are_taken_from_the_body_alone(browser: Client, attested: AttestedClient) -> None:
    """A URL is logged and remembered."""
    token = attested.attestation()
    page = browser.get(PAGE, {"attestation": token, "proof": token, "access_token": token, "client_id": "app"})
    assert "inspection" not in page.context
    assert token not in page.content.decode()
    assert 'value="app"' in page.content.decode()


def test_a_crash_report_does_not_have_them(browser: Client, attested: AttestedClient) -> None:
    request = browser.post(PAGE, {"attestation": attested.attestation()}).wsgi_request
    assert request.sensitive_post_parameters == ("attestation", "proof", "access_token")


@table("token", {name: token for name, token in HOSTILE.items() if "surrogate" not in name})
@pytest.mark.parametrize("place", ["attestation", "proof", "client_id", "audience", "at"])
def test_anything_can_be_pasted(browser: Client, attested: AttestedClient, token: str, place: str) -> None:
    paste(browser, {"attestation": attested.attestation(), "proof": attested.pop(), place: token})


@table("token", {name: token for name, token in HOSTILE.items() if "surrogate" not in name})
@pytest.mark.parametrize("place", ["kind", "method", "uri", "access_token"])
def test_anything_can_be_pasted_about_a_dpop_proof(
    browser: Client, attested: AttestedClient, token: str, place: str
) -> None:
    paste(browser, {"attestation": attested.attestation(), "proof": attested.dpop(), place: token})


def paste(browser: Client, fields: dict[str, str]) -> None:
    """Send the form, and expect a refusal of whatever kind, or a mistake pointed out."""
    page = browser.post(PAGE, fields)
    assert page.status_code == 200
    assert "<script>alert" not in page.content.decode()
    assert "inspection" not in page.context or not page.context["inspection"].accepted


@table("at", {"before there were any": "1969-12-31 23:59:59", "the end of time": "9999-12-31 23:59:59", "no": "soon"})
def test_a_time_that_cannot_be_meant(browser: Client, attested: AttestedClient, at: str) -> None:
    page = browser.post(PAGE, {"attestation": attested.attestation(), "at": at})
    assert list(page.context["form"].errors) == ["at"]
    assert "inspection" not in page.context


def test_from_a_refusal_to_its_verdict(admin_client: Client, attested: AttestedClient) -> None:
    """The link from the record fills in client and time, so that a token from the log is judged as it was then."""
    attestation, pop = attested.attestation(lifetime=600), attested.pop(claims={"aud": "https://other.example"})
    attested.refused(Reason.POP_AUD, headers=attested.headers(attestation, pop))
    refusal = Refusal.objects.get()
    link = admin_client.get(reverse("admin:oauth_client_attestation_refusal_change", args=[refusal.pk])).context[
        "check_url"
    ]
    assert link.startswith(PAGE)
    form = admin_client.get(link).context["form"]
    with time_machine.travel(time.time() + 3600):
        page = admin_client.post(PAGE, {**form.initial, "attestation": attestation, "proof": pop})
        assert failed(page) == ["aud"]
        assert failed(admin_client.post(PAGE, {"attestation": attestation, "proof": pop})) == ["exp"]


@pytest.mark.parametrize("url", [ATTESTERS, REFUSALS], ids=["attesters", "refusals"])
@table(
    "permissions, offered",
    {
        "with the permission": (("check_attestation", "view_attester", "view_refusal"), True),
        "and another": (("check_attestation", "view_attester", "add_attester", "view_refusal"), True),
        "without": (("view_attester", "add_attester", "view_refusal"), False),
    },
)
def test_the_lists_lead_to_the_page(url: str, permissions: tuple[str, ...], offered: bool) -> None:
    assert colleague(*permissions).get(url).content.decode().count(f'href="{PAGE}"') == offered


def without_policies(execute: Any, sql: str, *context: Any) -> Any:
    """A database that fails where policies are looked up."""
    if "attestationpolicy" in sql:
        raise DatabaseError("broken")
    return execute(sql, *context)


def test_there_may_be_no_verdict(browser: Client, files: dict[str, str]) -> None:
    token = Path(files["good"]).read_text()
    with connection.execute_wrapper(without_policies):
        page = browser.post(PAGE, {"attestation": token})
        code, text = run(files["good"])
    assert page.status_code == 200
    assert page.context["form"].non_field_errors() == ["There is no verdict: database_unavailable."]
    assert "inspection" not in page.context
    assert (code, text) == (2, "There is no verdict: database_unavailable.")


@pytest.fixture
def files(attested: AttestedClient, tmp_path: Path) -> dict[str, str]:
    """Files with a good attestation, a good proof and a bad attestation."""
    tokens = {
        "good": attested.attestation(),
        "pop": attested.pop(),
        "dpop": attested.dpop(access_token="the-token"),
        "access token": "the-token",
        "old": attested.attestation(now=time.time() - 7200),
        "empty": "\n",
    }
    for name, token in tokens.items():
        (tmp_path / name).write_text(f"{token}\n")
    return {name: str(tmp_path / name) for name in tokens}


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it said."""
    out = io.StringIO()
    try:
        call_command("checkattestation", *arguments, stdout=out, no_color=True)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as exit_:
        return int(str(exit_.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_accepts(files: dict[str, str], attested: AttestedClient) -> None:
    before = everything()
    code, text = run(files["good"], "--pop", files["pop"], "--client-id", "app", "--audience", ISSUER)
    assert code == 0
    assert text.startswith("Accepted.\n")
    assert re.search(rf"^Instance key +{attested.instance.thumbprint}$", text, re.MULTILINE)
    assert "  passed          A5   It has not expired.\n" in text
    assert everything() == before
    attested.accepted(headers=attested.headers(*(Path(files[name]).read_text().strip() for name in ("good", "pop"))))


def test_the_command_accepts_a_dpop_proof(files: dict[str, str], attested: AttestedClient) -> None:
    before = everything()
    code, text = run(files["good"], "--dpop", files["dpop"])
    assert code == 0
    assert re.search(rf"^Request +POST {ISSUER}{TOKEN}$", text, re.MULTILINE)
    assert "  passed          D4   The key is the one in the attestation.\n" in text
    arguments = ("--method", "POST", "--url", f"{ISSUER}{TOKEN}", "--access-token", files["access token"])
    assert run(files["good"], "--dpop", files["dpop"], *arguments)[0] == 0
    assert everything() == before
    tokens = [Path(files[name]).read_text().strip() for name in ("good", "dpop")]
    attested.accepted(headers=combined_headers(*tokens))


@table(
    "arguments, check",
    {
        "another method": (("--dpop", "{dpop}", "--method", "GET"), "htm"),
        "another URL": (("--dpop", "{dpop}", "--url", "https://other.example"), "htu"),
        "another access token": (("--dpop", "{dpop}", "--access-token", "{pop}"), "ath"),
        "a PoP JWT": (("--dpop", "{pop}"), "dpop_typ"),
        "a DPoP proof as a PoP JWT": (("--pop", "{dpop}"), "proof_typ"),
    },
)
def test_the_command_refuses_a_dpop_proof(files: dict[str, str], arguments: tuple[str, ...], check: str) -> None:
    code, text = run(files["good"], "--json", *(argument.format(**files) for argument in arguments))
    verdict = json.loads(text)
    assert code == 1
    assert [found["name"] for found in verdict["checks"] if found["status"] == "failed"] == [check]
    assert verdict["error"] == "invalid_client_attestation"
    assert verdict["combined"] is (arguments[0] == "--dpop")
    for name in ("dpop", "access token"):
        assert Path(files[name]).read_text().strip() not in text


def test_the_command_refuses(files: dict[str, str]) -> None:
    code, text = run(files["old"], "--pop", files["pop"])
    assert code == 1
    assert text.startswith("Refused: attestation_expired\n")
    assert "  failed          A5   It has not expired.\n" in text
    assert Path(files["old"]).read_text().strip() not in text


@pytest.mark.parametrize("form", ["seconds", "iso", "iso with zone"])
def test_the_command_judges_at_a_time(files: dict[str, str], form: str) -> None:
    then = datetime.fromtimestamp(int(time.time()) - 7000, UTC)
    at = {
        "seconds": str(then.timestamp()),
        "iso": f"{then:%Y-%m-%d %H:%M:%S}",
        "iso with zone": then.isoformat(),
    }[form]
    assert run(files["old"], "--at", at)[0] == 0


def test_the_command_writes_json(files: dict[str, str], attested: AttestedClient) -> None:
    code, text = run(files["old"], "--json")
    verdict = json.loads(text)
    assert code == 1
    assert (verdict["accepted"], verdict["with_proof"], verdict["combined"]) == (False, False, False)
    assert (verdict["reason"], verdict["error"]) == ("attestation_expired", "use_fresh_attestation")
    assert verdict["explanation"]
    assert verdict["advice"]
    statuses = {check["name"]: (check["rule"], check["status"]) for check in verdict["checks"]}
    assert list(statuses) == checks()
    assert (statuses["exp"], statuses["nbf"][1]) == (("A5", "failed"), "not_reached")
    assert {"name": "attester", "value": "Acme"} in verdict["facts"]
    accepted = json.loads(run(files["good"], "--json", "--pop", files["pop"])[1])
    assert (accepted["accepted"], accepted["reason"], accepted["explanation"]) == (True, None, None)


def test_the_command_reads_standard_input(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, arguments in (
        ("good", ()),
        ("good", ("-",)),
        ("pop", (files["good"], "--pop", "-")),
        ("dpop", (files["good"], "--dpop", "-")),
        ("access token", (files["good"], "--dpop", files["dpop"], "--access-token", "-")),
    ):
        octets = io.BytesIO(Path(files[name]).read_bytes())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(octets))
        assert run(*arguments)[0] == 0


@table(
    "arguments, message",
    {
        "a file that is not there": (("{good}.missing",), "The token cannot be read: "),
        "a folder": (("{good}/..",), "The token cannot be read: "),
        "nothing": (("{empty}",), "There is no token to check."),
        "both from standard input": (("-", "--pop", "-"), "Only one of them"),
        "proof and access token from standard input": (
            ("{good}", "--dpop", "-", "--access-token", "-"),
            "Only one of them",
        ),
        "two proofs": (("{good}", "--pop", "{pop}", "--dpop", "{dpop}"), "not allowed with argument"),
        "no time": (("{good}", "--at", "soon"), "a time is ISO 8601, or seconds"),
        "no date": (("{good}", "--at", "2026-13-01 00:00"), "a time is ISO 8601, or seconds"),
        "not a number": (("{good}", "--at", "nan"), "a time is ISO 8601, or seconds"),
        "a time long ago": (("{good}", "--at", "-5"), "outside of 2000 to 2200"),
        "a time far away": (("{good}", "--at", "9000000000"), "outside of 2000 to 2200"),
    },
)
def test_the_command_says_what_is_wrong(files: dict[str, str], arguments: tuple[str, ...], message: str) -> None:
    code, text = run(*(argument.format(**files) for argument in arguments))
    assert message in text
    assert code != 0


def test_octets_that_are_no_text(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "octets").write_bytes(b"\xff\x00\x1b[31m")
    code, text = run(str(tmp_path / "octets"), "--pop", files["pop"])
    assert code == 1
    assert text.startswith("Refused: attestation_field_malformed\n")
    assert "\x1b" not in text
