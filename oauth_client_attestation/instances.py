"""The records of client instances: found, made, locked, blocked, and relieved of what they hold.

They live in the database of django-oauth-toolkit's tokens, which is asked for writing, never a replica: an
instance that was blocked is refused from the next request on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import OperationalError, connections, router, transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from .conf import app_settings
from .core.errors import ClientAttestationError, Reason
from .core.results import VerifiedAttestation
from .models import Attester, ClientInstance, DeviceCodeBinding, PushedAuthorizationRequest

#: How often a block is tried where the database picks it as the one to give up in a deadlock.
_ATTEMPTS: Final = 3

logger = logging.getLogger("oauth_client_attestation")


def database() -> str:
    """Return the alias of the database of tokens, instances and bindings."""
    return router.db_for_write(get_access_token_model())


@contextmanager
def database_answers() -> Iterator[None]:
    """Refuse while the database does not answer.

    :raises ClientAttestationError: then.
    """
    try:
        yield
    except DatabaseError as error:
        logger.exception("The database does not answer; attested requests are refused until it does.")
        raise ClientAttestationError(Reason.DATABASE_UNAVAILABLE) from error


def today() -> date:
    """Return the day as it is recorded: in UTC."""
    return datetime.now(UTC).date()


def known(application_id: Any, thumbprint: str) -> ClientInstance | None:
    """Return the record of an instance, if there is one."""
    return ClientInstance.objects.using(database()).filter(application_id=application_id, thumbprint=thumbprint).first()


def hold(instance: ClientInstance | None, *, application_id: Any, attestation: VerifiedAttestation) -> ClientInstance:
    """Return the record of an attested instance, locked until the transaction ends; make it if there is none.

    :param instance: the record that authentication found, if it did.
    :raises ClientAttestationError: if the instance is blocked.
    """
    locked = None
    if instance is not None:
        locked = ClientInstance.objects.using(database()).select_for_update().filter(pk=instance.pk).first()
    if locked is None:
        attesters = Attester.objects.using(database()).filter(name=attestation.attester)
        seen = today() if app_settings.record_instance_times else None
        locked = _made(
            application_id,
            attestation.thumbprint,
            attester_id=attesters.values_list("pk", flat=True).first(),
            first_seen=seen,
            last_seen=seen,
        )
    if locked.blocked:
        raise ClientAttestationError(Reason.INSTANCE_BLOCKED)
    return locked


def note_seen(instance: ClientInstance) -> None:
    """Record that an instance was seen: one UPDATE on the first request of a day."""
    if app_settings.record_instance_times and instance.last_seen != today():
        ClientInstance.objects.using(database()).filter(pk=instance.pk).update(last_seen=today())


def block(application_id: Any, thumbprint: str, *, revoke_tokens: bool = True) -> int:
    """Refuse an instance at every endpoint from the next request on, whether it ever held anything or not.

    :param revoke_tokens: whether it loses what it holds as well; access and ID tokens would work until they expire.
    :return: how many tokens and codes were revoked.
    :raises DatabaseError: if it is not blocked: its application is being deleted, or the database does not answer.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _blocked(application_id, thumbprint, revoke_tokens=revoke_tokens)
        except OperationalError:  # a deadlock, after which a transaction of the caller's is of no use either
            if connections[database()].in_atomic_block:
                raise
    return _blocked(application_id, thumbprint, revoke_tokens=revoke_tokens)


def unblock(instance: ClientInstance) -> None:
    """Let an instance in again. What was revoked stays revoked."""
    ClientInstance.objects.using(database()).filter(pk=instance.pk).update(blocked=None)


def revoke(instance: ClientInstance) -> int:
    """Revoke what an instance holds; it may come back for more.

    :return: how many tokens and codes were revoked.
    """
    with transaction.atomic(using=database()):
        ClientInstance.objects.using(database()).select_for_update().filter(pk=instance.pk).first()
        return _revoke_held(instance)


def forget(*, slice_size: int = 500) -> int:
    """Delete a slice of the instances that hold nothing, are not blocked and have not been seen for long enough.

    :return: how many; 0 when there are no more.
    """
    rows = ClientInstance.objects.using(database())
    if app_settings.record_instance_times:
        since = today() - timedelta(days=app_settings.instance_retention_days)
        rows = rows.filter(Q(last_seen__isnull=True) | Q(last_seen__lt=since))
    rows = _holding_nothing(rows.filter(blocked__isnull=True))
    with transaction.atomic(using=database()):
        locked = [row.pk for row in rows.select_for_update().order_by("pk")[:slice_size]]
        # Asked again, since something may have been issued to them until they were locked.
        return rows.filter(pk__in=locked).delete()[0]


def forget_times() -> int:
    """Empty the days on which instances were seen; return of how many instances."""
    rows = ClientInstance.objects.using(database()).exclude(first_seen=None, last_seen=None)
    return rows.update(first_seen=None, last_seen=None)


def _holding_nothing(rows: QuerySet[ClientInstance]) -> QuerySet[ClientInstance]:
    """Keep the instances that no row refers to."""
    for relation in ClientInstance._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel):
            referring = relation.field.model._base_manager.using(database())
            rows = rows.filter(~Exists(referring.filter(**{relation.field.name: OuterRef("pk")})))
    return rows


def _made(application_id: Any, thumbprint: str, **fields: Any) -> ClientInstance:
    """Return the record of an instance, made if need be and locked.

    An upsert rather than a SELECT and an INSERT: it waits for whoever inserts the same row, and takes the lock at
    once, where two failed INSERTs would wait for each other's shared lock (MariaDB).
    """
    alias = database()
    row = ClientInstance(application_id=application_id, thumbprint=thumbprint, **fields)
    features = connections[alias].features
    rows = ClientInstance.objects.using(alias)
    rows.bulk_create(
        [row],
        update_conflicts=True,
        update_fields=["thumbprint"],
        unique_fields=["thumbprint", "application"] if features.supports_update_conflicts_with_target else None,
    )
    return rows.select_for_update().get(application_id=application_id, thumbprint=thumbprint)


def _blocked(application_id: Any, thumbprint: str, *, revoke_tokens: bool) -> int:
    with transaction.atomic(using=database()):
        instance = _made(application_id, thumbprint)
        if instance.blocked is None:
            instance.blocked = timezone.now()
            instance.save(using=database(), update_fields=["blocked"])
        return _revoke_held(instance) if revoke_tokens else 0


def _revoke_held(instance: ClientInstance) -> int:
    """Revoke refresh tokens, access tokens, ID tokens, codes, pushed requests and device codes.

    Refresh tokens first, and each before its access token: the order in which django-oauth-toolkit locks them.
    ID tokens are bearer tokens to django-oauth-toolkit, and those from before a refresh are still good.
    """
    alias = database()
    held = {"client_attestation_binding__instance": instance}
    refresh_tokens = list(get_refresh_token_model().objects.using(alias).filter(revoked__isnull=True, **held))
    for token in refresh_tokens:
        token.revoke()
    access_tokens: list[Any] = list(get_access_token_model().objects.using(alias).filter(**held))
    for token in access_tokens:
        token.revoke()
    id_tokens: list[Any] = list(get_id_token_model().objects.using(alias).filter(**held))
    for token in id_tokens:
        token.revoke()
    codes: Any = get_grant_model().objects.using(alias).filter(**held)
    PushedAuthorizationRequest.objects.using(alias).filter(instance=instance).delete()
    device_codes: int = (
        DeviceCodeBinding.objects.using(alias).filter(instance=instance, revoked=False).update(revoked=True)
    )
    deleted: dict[str, int] = codes.delete()[1]
    tokens = len(refresh_tokens) + len(access_tokens) + len(id_tokens)
    return tokens + deleted.get(codes.model._meta.label, 0) + device_codes
