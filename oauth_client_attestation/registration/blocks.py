"""Blocks that outlive the row of their client.

A client that registered itself can delete itself, and one that is known by its metadata document is pruned and made
again; what refers to such a row goes with it. A block must not: it is remembered by ``client_id`` meanwhile, and a
key that is blocked registers nothing.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from oauth2_provider.cimd import is_cimd_client_id
from oauth2_provider.settings import oauth2_settings

from ..instances import database
from ..models import BlockedInstance, ClientInstance


def is_blocked(thumbprint: str) -> bool:
    """Whether the instance with this key is blocked in any application, or was in one that has gone."""
    known = ClientInstance.objects.using(database()).filter(thumbprint=thumbprint, blocked__isnull=False)
    return known.exists() or remembered(thumbprint).exists()


def remembered(thumbprint: str) -> QuerySet[BlockedInstance]:
    """Return the blocks of an instance whose clients have gone."""
    return BlockedInstance.objects.using(database()).filter(thumbprint=thumbprint)


def may_return(client_id: str) -> bool:
    """Whether there could be a client of this name, though there is no row: one that is known by its document."""
    return bool(oauth2_settings.CIMD_ENABLED) and is_cimd_client_id(client_id)


def remember(client_id: str, thumbprint: str) -> None:
    """Block an instance of a client that has no row."""
    values = {"blocked": timezone.now()}
    BlockedInstance.objects.get_or_create(client_id=client_id, thumbprint=thumbprint, defaults=values)


def remember_all(application: Any) -> None:
    """Remember which instances of a self-registered client are blocked, whose row is about to go.

    Every record is locked, not only those that are blocked already: whoever blocks one now has done so before, and
    it is seen, or finds that there is nothing left to block, and says so.
    """
    if application.registration_source == application.RegistrationSource.MANUAL:
        return
    with transaction.atomic(using=database()):
        rows = ClientInstance.objects.using(database()).select_for_update().filter(application=application)
        BlockedInstance.objects.bulk_create(
            [
                BlockedInstance(client_id=application.client_id, thumbprint=row.thumbprint, blocked=row.blocked)
                for row in rows.order_by("pk")
                if row.blocked
            ],
            ignore_conflicts=True,
        )


def restore(application: Any) -> None:
    """Block again what was blocked before the row was made anew, in the caller's transaction."""
    for block in BlockedInstance.objects.using(database()).filter(client_id=application.client_id):
        if block.client_id == application.client_id:  # MariaDB compares without regard to case
            ClientInstance.objects.update_or_create(
                application=application, thumbprint=block.thumbprint, defaults={"blocked": block.blocked}
            )
            block.delete()
