"""The key of an attestation that brings its certificate (rule T3), if an anchor vouches for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from ..core import anchors as core
from ..core.certificates import CertificateChain, parse_chain
from ..core.errors import ClientAttestationError, Reason
from ..core.results import TrustedKey
from ..models import Attester, AttesterKey, TrustAnchor
from .moments import stored_time
from .terms import TERMS, trusted_key

logger = logging.getLogger("oauth_client_attestation")

#: How many rows are read for one attestation: those whose names are in its chain.
_MAX_ROWS: Final = 256


def certified_keys(application_id: Any, x5c: Any, *, now: float) -> tuple[list[TrustedKey], Reason | None]:
    """Return the leaf's key once for each attester under whose anchors the chain is good now.

    An attester that has this very key as a registered one which is disabled, or outside its window, is left out:
    a key that an operator withdrew does not come back by its certificate.

    One query finds the anchors that the chain names, and only their signatures are verified. A refusal costs
    another, since it is said only where there are anchors.

    :param application_id: primary key of the application that the attestation claims to be for.
    :param x5c: the attestation's ``x5c`` header, as it is.
    :param now: the current time, in seconds since the epoch.
    :return: the keys; and why the chain is not good, where there are anchors and it is not.
    """
    anchors = TrustAnchor.objects.filter(attester__in=Attester.objects.trusted_for(application_id), enabled=True)
    try:
        chain = parse_chain(x5c)
        return _keys(chain, _named(chain, anchors, now), now), None
    except ClientAttestationError as error:
        return [], error.reason if anchors.exists() else None


def _named(chain: CertificateChain, anchors: QuerySet[TrustAnchor], now: float) -> list[tuple[Any, ...]]:
    """Return the anchors whose names are in the chain, and whether their attester withdrew the leaf's key."""
    moment = stored_time(now)
    withdrawn = AttesterKey.objects.filter(
        Q(enabled=False) | Q(not_before__gt=moment) | Q(not_after__lte=moment),
        attester=OuterRef("attester"),
        thumbprint=chain.key.thumbprint,
    )
    rows = (
        anchors.filter(subject_digest__in=chain.names)
        .annotate(withdrawn=Exists(withdrawn))
        .order_by("attester_id", "pk")
        .values_list("attester_id", "certificate", "withdrawn", *(f"attester__{name}" for name in TERMS))
    )
    found = list(rows[: _MAX_ROWS + 1])
    if len(found) > _MAX_ROWS:
        logger.error("More than %d trust anchors have the names in one chain: not all are tried.", _MAX_ROWS)
    return found[:_MAX_ROWS]


def _keys(chain: CertificateChain, rows: list[tuple[Any, ...]], now: float) -> list[TrustedKey]:
    """Return the keys.

    :raises ClientAttestationError: with the first refusal, if the chain is good under nobody's anchors.
    """
    keys: list[TrustedKey] = []
    withdrawn = False
    refusal: ClientAttestationError | None = None
    for terms, is_withdrawn, anchors in _by_attester(chain, rows):
        try:
            key = chain.verify(anchors=anchors, now=now)
        except ClientAttestationError as error:
            refusal = refusal or error
            continue
        if is_withdrawn:
            withdrawn = True
        else:
            keys.append(trusted_key(key, None, *terms))
    if not rows:
        chain.verify(anchors=(), now=now)
    if refusal and not keys and not withdrawn:
        raise refusal
    return keys


def _by_attester(
    chain: CertificateChain, rows: list[tuple[Any, ...]]
) -> Iterator[tuple[tuple[Any, ...], bool, list[core.TrustAnchor]]]:
    """Yield for each attester its terms, whether it withdrew the key, and its anchors: few of the issuer's name."""
    tried: set[core.TrustAnchor] = set()
    for _attester, group in groupby(rows, key=lambda row: row[0]):
        of_one = list(group)
        anchors = []
        for anchor in _anchors(of_one):
            if anchor.subject_digest == chain.issuer and anchor not in tried:
                if len(tried) == core.MAX_NAMESAKES:
                    logger.error("More than %d trust anchors have one subject: not all are tried.", len(tried))
                    continue
                tried.add(anchor)
            anchors.append(anchor)
        yield of_one[0][3:], of_one[0][2], anchors


def _anchors(rows: Iterable[tuple[Any, ...]]) -> Iterator[core.TrustAnchor]:
    for _, certificate, _withdrawn, name, *_terms in rows:
        try:
            yield from _parsed(certificate)
        except core.InvalidAnchor:  # written past the validation, or accepted by an older version
            logger.error("A trust anchor of attester %r is not acceptable and is ignored.", name)


@lru_cache(maxsize=512)
def _parsed(certificate: str) -> list[core.TrustAnchor]:
    """Parse a stored anchor; a pure function of its text, so it can be kept."""
    return list(core.parse_anchors(certificate))
