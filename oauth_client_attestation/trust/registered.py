"""The keys that are stored for the attesters of one application (rules A3, T1, T2, T5), in one query."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from django.db import connections, router
from django.db.models import Case, DateTimeField, F, Q, When
from django.db.models.expressions import RawSQL

from ..conf import app_settings
from ..core.attestation import MAX_CANDIDATE_KEYS
from ..core.jwk import InvalidKey, parse_public_key
from ..core.keys import PublicKey
from ..core.results import TrustedKey
from ..models import AttesterApplication, AttesterKey, NewClient
from .moments import stored_time
from .terms import TERMS, trusted_key

logger = logging.getLogger("oauth_client_attestation")

# Where the statement's parameters go.
_APPLICATION: Final = object()
_KEY_ID: Final = object()
_NOW: Final = object()
_STALE: Final = object()
_DUE: Final = object()
_LATEST: Final = object()


@dataclass(frozen=True, slots=True)
class RegisteredKeys:
    """What the database has for an attestation.

    :ivar keys: those that may have signed it.
    :ivar due: the attesters of those that were fetched so long ago that they should be fetched again.
    """

    keys: list[TrustedKey]
    due: frozenset[str]


def registered_keys(application_id: Any, *, key_id: str | None, now: float) -> RegisteredKeys:
    """Return the keys of the enabled attesters trusted for an application that may have signed.

    An attestation with a ``kid`` is matched with the keys of that ``kid`` and with keys that have none. Only
    enabled keys within their validity window count, and fetched ones within ``JWKS_MAX_STALE``. At most one key
    more than the verifier tries is read, so that the cost does not grow with the number of attesters. The
    database is asked each time: an attester that was disabled is refused from the next request on, in every
    process.

    :param application_id: primary key of the application that the attestation claims to be for.
    :param key_id: the attestation's ``kid``, where it has one.
    :param now: the current time, in seconds since the epoch.
    """
    named: list[TrustedKey] = []
    unnamed: list[TrustedKey] = []
    due_attesters = set()
    for pk, registered_id, jwk, due, fetched_from, jwks_uri, *terms in _rows(application_id, key_id, now):
        # MariaDB compares without regard to case.
        if (key_id is not None and registered_id not in (key_id, "")) or fetched_from not in ("", jwks_uri):
            continue
        if due:
            due_attesters.add(terms[0])
        try:
            key = _loaded(jwk if isinstance(jwk, str) else json.dumps(jwk, sort_keys=True))
        except InvalidKey:  # written past the validation, or accepted by an older version
            logger.error("Attester key %s of %r is not acceptable and is ignored.", pk, terms[0])
            continue
        (named if registered_id else unnamed).append(trusted_key(key, registered_id, *terms))
    if key_id is not None and named:
        # However many keys without a kid there are, whoever they belong to: the one that was named is tried.
        unnamed = unnamed[: max(0, MAX_CANDIDATE_KEYS - len(named))]
    return RegisteredKeys([*named, *unnamed], frozenset(due_attesters))


def _rows(application_id: Any, key_id: str | None, now: float) -> list[tuple[Any, ...]]:
    alias = router.db_for_read(AttesterKey)
    connection = connections[alias]
    new_client = application_id if isinstance(application_id, NewClient) else None
    if new_client is not None and not new_client.attesters:
        return []
    sql, parameters = _statement(alias, key_id is not None, new_client)
    moment = stored_time(now)
    adapt = DateTimeField().get_db_prep_value
    values = {
        id(_APPLICATION): AttesterApplication._meta.get_field("application").get_db_prep_value(
            None if new_client else application_id, connection
        ),
        id(_KEY_ID): key_id,
        id(_NOW): adapt(moment, connection),
        id(_STALE): adapt(moment - timedelta(seconds=app_settings.jwks_max_stale), connection),
        id(_LATEST): adapt(moment + timedelta(seconds=app_settings.jwks_min_interval), connection),
        id(_DUE): adapt(moment - timedelta(seconds=app_settings.jwks_lifetime), connection),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, [values.get(id(parameter), parameter) for parameter in parameters])
        return list(cursor.fetchall())


@lru_cache(maxsize=16)
def _statement(alias: str, with_key_id: bool, new_client: NewClient | None) -> tuple[str, tuple[Any, ...]]:
    """Return the query and its parameters, compiled once for a database.

    Compiling it takes the ORM several times as long as the database needs to answer, and this is asked with
    every attested request.
    """
    # A subquery rather than a join, which would repeat a key for each application its attester is linked to.
    linked = AttesterApplication.objects.filter(application_id=RawSQL("%s", [_APPLICATION])).values("attester_id")
    trusted = Q(attester__all_applications=True) | Q(attester_id__in=linked)
    keys = AttesterKey.objects.using(alias).filter(
        Q(attester__name__in=new_client.attesters) if new_client else trusted,
        Q(not_before=None) | Q(not_before__lte=_time(_NOW)),
        Q(not_after=None) | Q(not_after__gt=_time(_NOW)),
        # What came from a URL that is no longer the attester's is nobody's.
        Q(fetched_from="")
        # Up to now: a fetch in the future was dated by a clock that was wrong, and would never grow old.
        | Q(
            fetched_from=F("attester__jwks_uri"),
            attester__fetched_at__gt=_time(_STALE),
            attester__fetched_at__lte=_time(_LATEST),
        ),
        attester__enabled=True,
        enabled=True,
    )
    if with_key_id:
        keys = keys.filter(Q(key_id=RawSQL("%s", [_KEY_ID])) | Q(key_id=""))
    keys = keys.annotate(due=Q(attester__fetched_at__lte=_time(_DUE)) & ~Q(fetched_from=""))
    columns = ("pk", "key_id", "jwk", "due", "fetched_from", *(f"attester__{name}" for name in ("jwks_uri", *TERMS)))
    order = [Case(When(key_id="", then=1), default=0), "pk"] if with_key_id else ["pk"]
    rows = keys.order_by(*order).values_list(*columns)[: MAX_CANDIDATE_KEYS + 1]
    sql, parameters = rows.query.get_compiler(alias).as_sql()
    return sql, tuple(parameters)


def _time(place: object) -> RawSQL:
    return RawSQL("%s", [place], output_field=DateTimeField())


@lru_cache(maxsize=1024)
def _loaded(jwk: str) -> PublicKey:
    """Load a stored key; a pure function of its text, so it can be kept."""
    return parse_public_key(json.loads(jwk))
