"""Blocks of instances whose client registered itself: they outlive its row, and its key makes no other (rule K1)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, connections
from django.db.models.signals import pre_delete
from oauth2_provider.models import get_application_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import BlockedInstance, ClientInstance
from oauth_client_attestation.registration import blocks
from tests.kit import configure, create_application, provider, register_attester, table
from tests.shell import test_registration_attested as attested
from tests.shell.registration import Registrant
from tests.shell.test_command_blockinstance import NEVER_SEEN, run
from tests.shell.test_documents import URL, Site
from tests.shell.test_documents import site as _site

pytestmark = pytest.mark.django_db

site = _site
NOT_THERE = f"{URL} is no client at the moment. The block is kept until it is one again.\n"


@pytest.fixture
def registrant(settings: Any) -> Any:
    """A client at a site where registrations must be attested."""
    client = Registrant()
    register_attester(client.backend)
    configure(settings, REGISTRATION_ATTESTERS=["Acme"])
    with attested.attested_registration():
        yield client


def blocked_as_registered(client: Registrant) -> None:
    registered = client.register(headers=client.headers())
    registered.as_client().accepted()
    instances.block(registered.application.pk, client.instance.thumbprint)


def blocked_as_another_client(client: Registrant) -> None:
    instances.block(create_application("other").pk, client.instance.thumbprint)


def blocked_and_deleted(client: Registrant) -> None:
    registered = client.register(headers=client.headers())
    instances.block(registered.application.pk, client.instance.thumbprint)
    assert registered.manage("DELETE").status_code == 204


def blocked_and_deleted_by_an_operator(client: Registrant) -> None:
    registered = client.register(headers=client.headers())
    instances.block(registered.application.pk, client.instance.thumbprint)
    registered.application.delete()


@pytest.mark.refuses("K1", "B5")
@table(
    "block",
    {
        "as the client that it registered": blocked_as_registered,
        "as an instance of another client": blocked_as_another_client,
        "and its client deleted itself": blocked_and_deleted,
        "and an operator deleted its client": blocked_and_deleted_by_an_operator,
    },
)
def test_a_blocked_key_registers_nothing(registrant: Registrant, block: Callable[[Registrant], None]) -> None:
    block(registrant)
    attested.refused(Reason.INSTANCE_BLOCKED, lambda: registrant.post(headers=registrant.headers()))
    Registrant(registrant.backend).register(headers=Registrant(registrant.backend).headers())


@pytest.mark.accepts("K1")
def test_a_key_that_was_unblocked_registers_again(registrant: Registrant) -> None:
    blocked_and_deleted(registrant)
    thumbprint = registrant.instance.thumbprint
    assert run("--unblock", "--", thumbprint) == f"{thumbprint} is no longer blocked.\n"
    assert not BlockedInstance.objects.exists()
    registrant.register(headers=registrant.headers())


def test_what_was_not_blocked_is_not_kept(registrant: Registrant) -> None:
    client = registrant.register(headers=registrant.headers())
    client.as_client().accepted()
    client.application.delete()
    assert not BlockedInstance.objects.exists()


def test_nor_is_a_block_of_a_client_that_an_operator_has_entered() -> None:
    application = create_application()
    instances.block(application.pk, "A" * 43)
    application.delete()
    assert not BlockedInstance.objects.exists()


@pytest.mark.refuses("B5", "K1")
def test_an_instance_is_blocked_while_its_clients_row_is_away(site: Site) -> None:
    site.pushed()
    site.prune()
    thumbprint = site.client.instance.thumbprint
    said = run("--application", URL, "--", thumbprint, warns=NOT_THERE)
    assert said == f"{thumbprint} is blocked; 0 token(s) and code(s) revoked.\n"
    run("--", thumbprint)
    assert BlockedInstance.objects.count() == 1
    assert site.push().json()["error"] == "invalid_client_attestation"
    assert ClientInstance.objects.get(thumbprint=thumbprint).blocked
    assert not BlockedInstance.objects.exists()


@pytest.mark.accepts("K1")
@pytest.mark.parametrize("arguments", [[], ["--application", URL]], ids=["everywhere", "of the client"])
def test_an_instance_is_let_in_again_while_its_clients_row_is_away(site: Site, arguments: list[str]) -> None:
    thumbprint = site.client.instance.thumbprint
    instances.block(site.pushed().pk, thumbprint)
    site.prune()
    run("--unblock", *arguments, "--", thumbprint)
    assert not BlockedInstance.objects.exists()
    site.pushed()


@table(
    ("arguments", "message"),
    {
        "nothing to unblock": (["--unblock", "--application", URL], "holds anything or is blocked.$"),
        "no document": (["--application", "http://client.example/c"], "There is no application"),
        "another case": (["--unblock", "--application", URL.upper()], "is blocked.$"),
    },
)
def test_what_is_no_client_and_could_not_be_one_is_not_blocked(site: Site, arguments: list[str], message: str) -> None:
    BlockedInstance.objects.create(client_id=URL, thumbprint="B" * 42 + "A", blocked="2026-01-01T00:00Z")
    with pytest.raises(CommandError, match=message):
        run(*arguments, "--", "A" * 43)
    assert BlockedInstance.objects.count() == 1


def test_where_no_documents_are_taken_a_url_is_a_mistyped_client_id() -> None:
    with provider(CIMD_ENABLED=False), pytest.raises(CommandError, match="There is no application"):
        run("--application", URL, "--", "A" * 43)
    assert not BlockedInstance.objects.exists()


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[Exception]:
    """Have the database refuse to block an instance, once with each error; return what is left of them."""
    left, made = list(errors), instances._made

    def fail(*args: Any, **kwargs: Any) -> ClientInstance:
        if left:
            raise left.pop(0)
        return made(*args, **kwargs)

    monkeypatch.setattr(instances, "_made", fail)
    return left


@table(
    "error", {"a deadlock": OperationalError("deadlock"), "a client that is being deleted": IntegrityError("no client")}
)
def test_a_block_that_the_database_refuses_is_reported(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    create_application("app", policy={})
    failing(monkeypatch, error)
    with pytest.raises(CommandError, match="not blocked everywhere.*again"):
        run("--application", "app", "--", "A" * 43, warns=NEVER_SEEN)
    assert not ClientInstance.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deadlock_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    application = create_application("app", policy={})
    left = failing(monkeypatch, OperationalError("deadlock"), OperationalError("deadlock"))
    instances.block(application.pk, "A" * 43)
    assert not left
    assert ClientInstance.objects.get().blocked
    failing(monkeypatch, *[OperationalError("deadlock")] * 3)
    with pytest.raises(OperationalError):
        instances.block(application.pk, "B" * 43)


def test_a_client_that_is_made_at_the_same_moment_has_the_instance_blocked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = blocks.remember

    def made_meanwhile(client_id: str, thumbprint: str) -> None:
        site.pushed()
        remember(client_id, thumbprint)

    monkeypatch.setattr(blocks, "remember", made_meanwhile)
    run("--application", URL, "--", site.client.instance.thumbprint)
    assert ClientInstance.objects.get().blocked


@pytest.mark.refuses("B5")
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connections[instances.database()].vendor == "sqlite", reason="one transaction at a time: there is no meanwhile"
)
@pytest.mark.parametrize("known", [True, False], ids=["known", "never seen"])
def test_an_instance_that_is_blocked_while_its_client_is_pruned_stays_blocked(site: Site, known: bool) -> None:
    """The pruning has locked the row, read what is there, and goes on to other clients of its batch."""
    application = site.pushed()
    thumbprint = site.client.instance.thumbprint if known else "A" * 43
    reading, blocked = threading.Event(), threading.Event()

    def linger(**kwargs: Any) -> None:
        reading.set()
        blocked.wait(1)

    pre_delete.connect(linger, sender=get_application_model())  # after ours

    def prune() -> None:
        try:
            site.prune()
        finally:
            connection.close()

    said, refused = io.StringIO(), []

    def block() -> None:
        reading.wait(5)
        try:
            call_command("blockinstance", "--application", URL, "--", thumbprint, stdout=said, stderr=said)
        except CommandError as error:
            refused.append(str(error))
        finally:
            blocked.set()
            connection.close()

    threads = [threading.Thread(target=prune), threading.Thread(target=block)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        pre_delete.disconnect(linger, sender=get_application_model())
    if refused:  # and not in vain, but the operator was told
        assert "again" in refused[0]
        run("--application", URL, "--", thumbprint, warns=NOT_THERE)
    else:
        assert "is blocked" in said.getvalue()
    assert not get_application_model().objects.filter(pk=application.pk).exists()
    assert BlockedInstance.objects.filter(client_id=URL, thumbprint=thumbprint).exists()
