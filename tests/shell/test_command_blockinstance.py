"""``manage.py blockinstance``: one instance is shut out, known or not, and let in again."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from oauth2_provider.models import get_access_token_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.instances import database
from oauth_client_attestation.models import ClientInstance
from tests.kit import AttestedClient, create_application, table

pytestmark = pytest.mark.django_db


NEVER_SEEN = (
    "Nothing was ever given to an instance with this thumbprint, or it has been forgotten since. "
    "Compare it with the source, upper and lower case included.\n"
)


def run(*arguments: str, warns: str = "") -> str:
    """Run the command and return what it said; assert what it warned of."""
    out, err = io.StringIO(), io.StringIO()
    call_command("blockinstance", *arguments, stdout=out, stderr=err, no_color=True)
    assert err.getvalue() == warns
    return out.getvalue()


def test_a_lost_phone(attested: AttestedClient) -> None:
    other = attested.another()
    attested.accepted()
    other.accepted()
    said = run("--", attested.instance.thumbprint)
    assert said == f"{attested.instance.thumbprint} is blocked; 1 token(s) and code(s) revoked.\n"
    attested.refused(Reason.INSTANCE_BLOCKED)
    other.accepted()
    assert get_access_token_model().objects.count() == 2


def test_it_may_keep_its_tokens(attested: AttestedClient) -> None:
    attested.accepted()
    assert run("--keep-tokens", "--", attested.instance.thumbprint).endswith("is blocked; it keeps its tokens.\n")
    attested.refused(Reason.INSTANCE_BLOCKED)
    assert get_access_token_model().objects.count() == 1


def test_let_in_again(attested: AttestedClient) -> None:
    attested.accepted()
    run("--", attested.instance.thumbprint)
    assert run("--unblock", "--", attested.instance.thumbprint).endswith(" is no longer blocked.\n")
    attested.accepted()


def test_in_advance(attested: AttestedClient) -> None:
    """The instance never held anything, but its thumbprint is known from the attester."""
    run("--application", "app", "--", attested.instance.thumbprint, warns=NEVER_SEEN)
    run("--application", "app", "--", attested.instance.thumbprint)
    attested.refused(Reason.INSTANCE_BLOCKED)
    record = attested.record()
    assert (record.first_seen, record.last_seen, record.attester) == (None, None, None)


def test_in_every_application_or_in_one(attested: AttestedClient) -> None:
    other = AttestedClient(client_id="other", instance=attested.instance).register(attester={"name": "Other"})
    attested.accepted()
    other.accepted()
    thumbprint = attested.instance.thumbprint
    run("--application", "other", "--", thumbprint)
    other.refused(Reason.INSTANCE_BLOCKED)
    attested.accepted()
    run("--", thumbprint)
    attested.refused(Reason.INSTANCE_BLOCKED)
    run("--unblock", "--application", "app", "--", thumbprint)
    attested.accepted()
    other.refused(Reason.INSTANCE_BLOCKED)


@pytest.mark.skipif(connections[database()].vendor == "mysql", reason="finds the instance, as it does with all text")
def test_a_thumbprint_in_another_case_is_not_taken_for_the_instance(attested: AttestedClient) -> None:
    """Whoever runs it must not believe that the lost phone is blocked."""
    attested.accepted()
    thumbprint = attested.instance.thumbprint
    mistyped = thumbprint[:-1].swapcase() + thumbprint[-1]
    with pytest.raises(CommandError, match="No instance with this thumbprint"):
        run("--", mistyped)
    run("--application", "app", "--", mistyped, warns=NEVER_SEEN)
    attested.accepted()


@table(
    ("arguments", "message"),
    {
        "too short": (["A" * 42], "43 characters of base64url"),
        "not base64url": (["A" * 42 + "+"], "43 characters of base64url"),
        "bits left over": (["A" * 42 + "B"], "the last is one of AEIMQUYcgkosw048"),
        "of another length": (["A" * 42 + "A\n"], "43 characters of base64url"),
        "an unknown application": (["A" * 43, "--application", "nobody"], "no application with this client_id: nobody"),
        "another case": (["A" * 43, "--application", "APP"], "no application with this client_id: APP"),
        "nothing known": (["A" * 43], "Name its --application to block it in advance"),
        "nothing to unblock": (["A" * 43, "--unblock"], "holds anything or is blocked.$"),
        "nothing to unblock in it": (["A" * 43, "--unblock", "--application", "app"], "holds anything or is blocked.$"),
    },
)
def test_a_refusal_writes_nothing(arguments: list[str], message: str) -> None:
    create_application("app", policy={})
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not ClientInstance.objects.exists()
