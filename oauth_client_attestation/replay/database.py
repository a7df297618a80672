"""Used proofs in the database: right in every deployment."""

from __future__ import annotations

import itertools
import logging
import math
import time
from functools import partial
from typing import Final

from django.db import Error as DjangoDatabaseError
from django.db import IntegrityError, connections, router, transaction

from ..models import UsedProof
from . import ReplayStore, ReplayStoreUnavailable

logger = logging.getLogger("oauth_client_attestation")

#: Every so many claims of a process, a slice of expired rows goes. The slice is larger than the interval, so
#: that a table that has grown becomes smaller again.
PURGE_INTERVAL: Final = 100
PURGE_SLICE: Final = 500


class DatabaseReplayStore(ReplayStore):
    """One row a proof; the primary key decides who was first.

    With ``ATOMIC_REQUESTS`` the row lives in the request's transaction: a request that is rolled back had no
    effect, and its proof counts as unused.
    """

    def __init__(self) -> None:
        self._claims = itertools.count(1)

    def claim(self, proof_id: str, *, valid_until: float) -> bool:
        alias = router.db_for_write(UsedProof)
        used = UsedProof(proof_id=proof_id, valid_until=math.ceil(valid_until))
        try:
            if connections[alias].in_atomic_block:
                # A failed INSERT would break the surrounding transaction on PostgreSQL.
                with transaction.atomic(using=alias):
                    used.save(using=alias, force_insert=True)
            else:
                used.save(using=alias, force_insert=True)
        except IntegrityError:
            return False
        except DjangoDatabaseError as error:
            raise ReplayStoreUnavailable from error
        if next(self._claims) % PURGE_INTERVAL == 0:
            # After the claim is safe: a deadlock in MariaDB rolls back the whole transaction, claim included.
            transaction.on_commit(partial(_purge_on_the_way, alias), using=alias, robust=True)
        return True

    def holds(self, proof_id: str) -> bool:
        try:
            return UsedProof.objects.using(router.db_for_write(UsedProof)).filter(pk=proof_id).exists()
        except DjangoDatabaseError as error:
            raise ReplayStoreUnavailable from error


def purge_slice(alias: str, *, now: float, size: int = PURGE_SLICE) -> int:
    """Delete up to ``size`` rows that count no longer at ``now``, oldest first, and return how many.

    A slice at a time, because one DELETE over millions of rows holds its locks for as long.
    """
    expired = UsedProof.objects.using(alias).filter(valid_until__lt=math.floor(now)).order_by("valid_until")
    proof_ids = list(expired.values_list("pk", flat=True)[:size])
    deleted, _ = UsedProof.objects.using(alias).filter(pk__in=proof_ids).delete()
    return deleted


def _purge_on_the_way(alias: str) -> None:
    try:
        with transaction.atomic(using=alias):
            purge_slice(alias, now=time.time())
    except DjangoDatabaseError:  # two processes at the same rows, for example; the next slice will do
        logger.warning("Expired used proofs could not be purged on the way.", exc_info=True)
