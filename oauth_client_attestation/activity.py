"""What the admin shows of recent requests: refusals, and when an attester was last believed.

A request's events are noted while it is served and written once its response is made: outside of its
transaction, which a refusal may roll back. They are for people, so writing them never fails a request, and a
stranger who is refused over and over causes a bounded number of writes.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import router, transaction
from django.http import HttpRequest
from django.utils import timezone

from .conf import app_settings
from .core.errors import ClientAttestationError, Reason
from .models import Attester, Refusal

logger = logging.getLogger("oauth_client_attestation")

_ATTRIBUTE: Final = "_oauth_client_attestation_activity"
#: Seconds between two writes of ``last_accepted`` for one attester by one process.
_ACCEPTED_INTERVAL: Final = 60
#: Records after which the oldest beyond ``REFUSAL_LIMIT`` are deleted.
_PURGE_EVERY: Final = 100


@dataclass
class _Noted:
    accepted: set[str] = field(default_factory=set)
    refusals: list[dict[str, Any]] = field(default_factory=list)


class _Throttle:
    """How much this process has written lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, float] = {}
        self._minute = 0.0
        self._recorded = {True: 0, False: 0}
        self._until_purge = 0

    def admits_accepted(self, attester: str, now: float) -> bool:
        with self._lock:
            if now - self._accepted.get(attester, -_ACCEPTED_INTERVAL) < _ACCEPTED_INTERVAL:
                return False
            self._accepted[attester] = now
            return True

    def admits_refusal(self, now: float, per_minute: int, *, attested: bool) -> bool:
        """Count those that an attester's signature vouches for apart: strangers must not crowd them out."""
        with self._lock:
            if now - self._minute >= 60:
                self._minute, self._recorded = now, {True: 0, False: 0}
            self._recorded[attested] += 1
            return self._recorded[attested] <= per_minute

    def is_time_to_purge(self) -> bool:
        with self._lock:
            self._until_purge = (self._until_purge or _PURGE_EVERY) - 1
            return self._until_purge == 0


_throttle: Final = _Throttle()


def note_accepted(request: HttpRequest, *, attester: str) -> None:
    """Note that an attestation of an attester was accepted."""
    _noted(request).accepted.add(attester)


def note_refusal(
    request: HttpRequest | None, error: ClientAttestationError, *, endpoint: str, application_id: Any
) -> None:
    """Note a refusal. Without a request there is no response after which it could be written; the log has it."""
    if request is None or error.reason is Reason.DATABASE_UNAVAILABLE:
        return
    _noted(request).refusals.append(
        {
            "time": timezone.now(),
            "reason": str(error.reason),
            "endpoint": endpoint[:128],
            "application_id": application_id,
            "attester": error.attester,
            "thumbprint": error.thumbprint,
        }
    )


def is_noted(request: HttpRequest) -> bool:
    """Whether there is anything to write."""
    return hasattr(request, _ATTRIBUTE)


def write(request: HttpRequest) -> None:
    """Write what was noted of a request, as far as the limits allow."""
    noted: _Noted | None = request.__dict__.pop(_ATTRIBUTE, None)
    if noted is None:
        return
    now = time.monotonic()
    try:
        for attester in noted.accepted:
            if _throttle.admits_accepted(attester, now):
                Attester.objects.filter(name=attester).update(last_accepted=timezone.now())
        if app_settings.record_refusals:
            for refusal in noted.refusals:
                attested = bool(refusal["attester"])
                if _throttle.admits_refusal(now, app_settings.refusals_per_minute, attested=attested):
                    _record(refusal)
    except DatabaseError:
        logger.exception("The record of refusals cannot be written.")


def purge_surplus() -> int:
    """Delete the oldest refusals beyond ``REFUSAL_LIMIT``, with and without an attester; return how many."""
    deleted = 0
    for strangers in (True, False):
        refusals = Refusal.objects.filter(attester=None) if strangers else Refusal.objects.exclude(attester=None)
        newest = refusals.order_by("-pk").values_list("pk", flat=True)
        oldest_kept = newest[app_settings.refusal_limit - 1 :].first()
        if oldest_kept is not None:
            deleted += int(refusals.filter(pk__lt=oldest_kept).delete()[0])
    return deleted


def _record(refusal: dict[str, Any]) -> None:
    name = refusal.pop("attester")
    with transaction.atomic(using=router.db_for_write(Refusal)):
        attester = Attester.objects.filter(name=name).values_list("pk", flat=True).first() if name else None
        Refusal.objects.create(**refusal, attester_id=attester)
        if _throttle.is_time_to_purge():
            purge_surplus()


def _noted(request: HttpRequest) -> _Noted:
    noted = request.__dict__.get(_ATTRIBUTE)
    if not isinstance(noted, _Noted):
        noted = request.__dict__[_ATTRIBUTE] = _Noted()
    return noted
