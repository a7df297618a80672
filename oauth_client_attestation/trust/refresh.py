"""Fetching an attester's JWK Set again, at a bounded rate and outside of transactions (rule T2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connections, router, transaction

from ..conf import app_settings
from ..core.results import UnverifiedAttestation
from ..models import Attester, AttesterKey
from .fetching import FetchFailed, FetchOutcome, fetch_jwk_set
from .jwks import EnteredKey
from .moments import aware_time, stored_time

logger = logging.getLogger("oauth_client_attestation")

#: How many URLs one request may have fetched: it waits for each.
_MAX_FETCHES: Final = 2


@dataclass(frozen=True, slots=True)
class Refresh:
    """What came of it.

    :ivar refreshed: whether keys were fetched, so that looking again is worth it.
    :ivar unavailable: whether an attester could not be asked, so that its keys may be others than are known.
    :ivar unasked: the attesters that should have been asked and were not, for want of time: until they are,
        what is known of their keys does not count.
    """

    refreshed: bool
    unavailable: bool
    unasked: frozenset[str]


def refresh_for(
    application_id: Any, attestation: UnverifiedAttestation, *, due: Set[str], missing: bool, now: float
) -> Refresh:
    """Fetch what an attestation may need: keys that are due, or a ``kid`` that is not known.

    Each attester is asked once in ``JWKS_MIN_INTERVAL`` seconds by all processes together. Those that answered
    last time come first, so that a server that is down is not waited for by the clients of another attester;
    among them those whose turn is longest ago, so that each has its turn.

    :param application_id: primary key of the application that the attestation claims to be for.
    :param attestation: not verified. Its ``jku`` narrows the choice among the configured URLs and adds none.
    :param due: the attesters whose keys are fetched again for their age, whatever the attestation says: a key
        that was withdrawn must not live on because its thief names the URL of another.
    :param missing: whether the key that the attestation names is not known.
    :param now: the current time, in seconds since the epoch.
    """
    attesters = list(Attester.objects.trusted_for(application_id).exclude(jwks_uri=""))
    jku = attestation.jwt.header.get("jku")
    may_have_it = {attester.pk for attester in attesters if attester.jwks_uri == jku} or {
        attester.pk for attester in attesters
    }
    attesters.sort(key=_turn)
    refreshed = unavailable = False
    unasked = set()
    fetches = 0
    for attester in attesters:
        if attester.name not in due and not (missing and attester.pk in may_have_it):
            continue
        if not _is_free(attester, now):
            unavailable = unavailable or attester.fetch_outcome != FetchOutcome.OK
            continue
        if fetches == _MAX_FETCHES:
            unavailable = True
            unasked |= {attester.name} & due
            continue
        if _in_transaction() or not _claim(attester, now):
            unavailable = True
            continue
        fetches += 1
        outcome, keys = _fetch(attester, now)
        refreshed = refreshed or outcome == FetchOutcome.OK
        unavailable = unavailable or outcome != FetchOutcome.OK
        missing = missing and not any(attestation.key_id in (None, key.key_id) for key in keys)
    return Refresh(refreshed, unavailable, frozenset(unasked))


def fetch_now(attester: Attester, *, now: float) -> FetchOutcome:
    """Fetch the keys of one attester whatever the rate, for people and for the command.

    :param now: the current time, in seconds since the epoch.
    :raises TransactionOpen: inside a transaction, which would stay open for as long as the attester likes.
    """
    if _in_transaction():
        raise TransactionOpen
    Attester.objects.filter(pk=attester.pk).update(fetch_attempted_at=stored_time(now), fetch_outcome="")
    return _fetch(attester, now)[0]


class TransactionOpen(RuntimeError):
    """A fetch was asked for inside a database transaction."""


def _in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def _turn(attester: Attester) -> tuple[bool, float]:
    fetched = aware_time(attester.fetched_at).timestamp() if attester.fetched_at else 0
    return attester.fetch_outcome != FetchOutcome.OK, fetched


def _is_free(attester: Attester, now: float) -> bool:
    """Whether the last attempt, as it was read, is long enough ago. One in the distant future was misdated."""
    attempted = attester.fetch_attempted_at
    interval = timedelta(seconds=app_settings.jwks_min_interval)
    return attempted is None or not stored_time(now) - interval < attempted <= stored_time(now) + interval


def _claim(attester: Attester, now: float) -> bool:
    """Say whether it is this process that fetches: of those that saw the same last attempt, one does."""
    claimed = Attester.objects.filter(pk=attester.pk, fetch_attempted_at=attester.fetch_attempted_at).update(
        fetch_attempted_at=stored_time(now), fetch_outcome=""
    )
    return bool(claimed)


def _fetch(attester: Attester, now: float) -> tuple[FetchOutcome, list[EnteredKey]]:
    """Fetch and store. Whatever goes wrong is this attester's failed fetch, and nobody else's."""
    try:
        keys = fetch_jwk_set(attester.jwks_uri)
        _store(attester, keys, now)
    except FetchFailed as error:
        outcome = error.outcome
        logger.warning("The keys of attester %r could not be fetched: %s", attester.name, outcome)
    except Exception:
        outcome = FetchOutcome.BAD_RESPONSE
        logger.exception("The keys of attester %r could not be fetched.", attester.name)
    else:
        return FetchOutcome.OK, keys
    Attester.objects.filter(pk=attester.pk, jwks_uri=attester.jwks_uri).update(fetch_outcome=outcome)
    return outcome, []


def _store(attester: Attester, keys: list[EnteredKey], now: float) -> None:
    """Make ``keys`` the fetched keys of the attester. One that was disabled is kept, or it would come back."""
    fetched = {key.thumbprint: key for key in keys}
    with transaction.atomic(using=router.db_for_write(AttesterKey)):
        current = Attester.objects.select_for_update().filter(pk=attester.pk, jwks_uri=attester.jwks_uri).first()
        if current is None:  # deleted, or given another URL, while we asked
            return
        if current.fetched_at and stored_time(now) < current.fetched_at <= stored_time(time.time()):
            return  # another process asked later and was answered sooner
        current.keys.exclude(fetched_from="").exclude(thumbprint__in=fetched).filter(enabled=True).delete()
        entered = set(current.keys.filter(fetched_from="").values_list("thumbprint", flat=True))
        for key in fetched.values():
            if key.thumbprint not in entered:
                AttesterKey.objects.update_or_create(
                    attester=current,
                    thumbprint=key.thumbprint,
                    defaults={"key_id": key.key_id, "jwk": key.jwk, "fetched_from": current.jwks_uri},
                )
        current.fetched_at = stored_time(now)
        current.fetch_outcome = FetchOutcome.OK
        current.save(update_fields=("fetched_at", "fetch_outcome"))
