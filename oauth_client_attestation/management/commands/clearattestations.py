"""``manage.py clearattestations``: delete what is no longer needed. Run it from time to time, like ``cleartokens``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import router
from django.utils import timezone

from ... import bindings, instances
from ...activity import purge_surplus
from ...conf import app_settings
from ...models import Refusal, UsedProof
from ...par import store
from ...replay.database import purge_slice


class Command(BaseCommand):
    help = (
        "Delete expired used proofs, pushed requests and device code bindings, instances that hold nothing, and "
        "records of refusals that are older than REFUSAL_RETENTION_DAYS or beyond REFUSAL_LIMIT."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        alias = router.db_for_write(UsedProof)
        now = time.time()
        self._say(_in_slices(lambda: purge_slice(alias, now=now)), "expired used proof(s)")
        for deleted, what in (
            (_forget_refusals(), "old record(s) of refusals"),
            (store.purge(now=now), "pushed authorization request(s)"),
            (bindings.forget_device_codes(now=now), "binding(s) of expired device codes"),
            (_in_slices(instances.forget), "client instance(s) that held nothing"),
        ):
            if deleted:
                self._say(deleted, what)
        if not app_settings.record_instance_times:
            instances.forget_times()

    def _say(self, deleted: int, what: str) -> None:
        self.stdout.write(self.style.SUCCESS(f"{deleted} {what} deleted."))


def _forget_refusals() -> int:
    retained_since = timezone.now() - timedelta(days=app_settings.refusal_retention_days)
    return int(Refusal.objects.filter(time__lt=retained_since).delete()[0]) + purge_surplus()


def _in_slices(delete_slice: Callable[[], int]) -> int:
    deleted = 0
    while slice_size := delete_slice():
        deleted += slice_size
    return deleted
