"""What was pushed: stored under a digest of its reference, found by the reference, used once.

In the database of django-oauth-toolkit's tokens, and never read from a replica, which may not have it yet.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import logging
import math
import secrets
from functools import partial
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import QuerySet

from ..conf import app_settings
from ..instances import database
from ..models import ClientInstance, PushedAuthorizationRequest
from .refusals import PushedRequestReason, PushedRequestRefused

logger = logging.getLogger("oauth_client_attestation")

#: What each ``request_uri`` of this server begins with (RFC 9126 section 2.2).
REFERENCE_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
#: Every so many requests of a process, a slice of those that are over goes.
PURGE_INTERVAL: Final = 100
PURGE_SLICE: Final = 500

_stored = itertools.count(1)


def store(
    application: Any, parameters: list[tuple[str, str]], *, instance: ClientInstance | None, now: float
) -> tuple[str, int]:
    """Store a request that was validated for its application.

    :param parameters: without credentials of the client.
    :param instance: the instance that has pushed it, None where the client is not attested.
    :return: the ``request_uri`` and the seconds that it lasts.
    """
    reference = REFERENCE_PREFIX + secrets.token_urlsafe(32)
    lifetime = app_settings.pushed_request_lifetime
    _requests().create(
        digest=digest_of(reference),
        application=application,
        instance=instance,
        parameters=parameters,
        valid_until=math.ceil(now) + lifetime,
    )
    if next(_stored) % PURGE_INTERVAL == 0:
        # After the request is safe: a deadlock in MariaDB rolls back the whole transaction.
        transaction.on_commit(partial(_purge_on_the_way, now), using=database(), robust=True)
    return reference, lifetime


def find(reference: str, client_id: str) -> PushedAuthorizationRequest:
    """Return an unused request of that client, whether or not it has expired, with application and instance.

    :raises PushedRequestRefused: if there is none.
    """
    pushed = _requests().select_related("application", "instance").filter(digest=digest_of(reference)).first()
    if pushed is None:
        raise PushedRequestRefused(PushedRequestReason.UNKNOWN)
    if pushed.application.client_id != client_id:
        raise PushedRequestRefused(PushedRequestReason.FOREIGN, pushed.application_id)
    if pushed.used:
        raise PushedRequestRefused(PushedRequestReason.USED, pushed.application_id)
    return pushed


def use(pushed: PushedAuthorizationRequest) -> None:
    """Use a request up, for good: of any number of decisions about it, one is carried out.

    :raises PushedRequestRefused: for the others.
    """
    if not _requests().filter(pk=pushed.pk, used=False).update(used=True, parameters=[]):
        raise PushedRequestRefused(PushedRequestReason.USED, pushed.application_id)


def purge(*, now: float) -> int:
    """Delete the requests that nobody can use any more, a slice at a time, and return how many."""
    deleted = 0
    while slice_size := purge_slice(now=now):
        deleted += slice_size
    return deleted


def purge_slice(*, now: float, size: int = PURGE_SLICE) -> int:
    """Delete up to ``size`` of them, oldest first. Who arrived at the last moment still has time to decide."""
    over = _requests().filter(valid_until__lt=math.floor(now) - app_settings.pushed_request_decision_time)
    digests = list(over.order_by("valid_until").values_list("pk", flat=True)[:size])
    deleted, _ = _requests().filter(pk__in=digests).delete()
    return deleted


def _purge_on_the_way(now: float) -> None:
    try:
        with transaction.atomic(using=database()):
            purge_slice(now=now)
    except DatabaseError:  # two processes at the same rows, for example; the next slice will do
        logger.warning("Pushed authorization requests could not be purged on the way.", exc_info=True)


def _requests() -> QuerySet[PushedAuthorizationRequest]:
    return PushedAuthorizationRequest.objects.using(database())


def digest_of(reference: str) -> str:
    """Return what a reference is stored as."""
    octets = hashlib.sha256(reference.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
