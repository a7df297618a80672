"""Writing an attester's keys and trust anchors, for the admin and the command alike."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from django.db import router, transaction
from django.db.models import Q

from ..core import anchors as core
from ..models import Attester, AttesterKey, TrustAnchor
from .jwks import EnteredKey
from .moments import stored_time


def replace_keys(attester: Attester, keys: Iterable[EnteredKey]) -> None:
    """Make ``keys`` the attester's entered keys, in one transaction: those that stay keep their row.

    Keys that were fetched are left alone, but for one that is entered now. Where keys are fetched too, one that
    was disabled stays as if it had been fetched, or the next fetch would bring it back enabled; so does one whose
    window has closed.
    """
    entered = {key.thumbprint: key for key in keys}
    with transaction.atomic(using=router.db_for_write(AttesterKey)):
        removed = attester.keys.filter(fetched_from="").exclude(thumbprint__in=entered)
        if attester.jwks_uri:
            closed = Q(enabled=False) | Q(not_after__lte=stored_time(time.time()))
            removed.filter(closed).update(enabled=False, fetched_from=attester.jwks_uri)
        removed.delete()
        for key in entered.values():
            AttesterKey.objects.update_or_create(
                attester=attester,
                thumbprint=key.thumbprint,
                defaults={"key_id": key.key_id, "jwk": key.jwk, "fetched_from": ""},
            )


def replace_anchors(attester: Attester, anchors: Iterable[core.TrustAnchor]) -> None:
    """Make ``anchors`` the attester's trust anchors, in one transaction: those that stay keep their row."""
    entered = {anchor.fingerprint: anchor for anchor in anchors}
    with transaction.atomic(using=router.db_for_write(TrustAnchor)):
        attester.trust_anchors.exclude(fingerprint__in=entered).delete()
        for anchor in entered.values():
            TrustAnchor.objects.get_or_create(
                attester=attester,
                fingerprint=anchor.fingerprint,
                defaults={
                    "certificate": anchor.pem,
                    "subject": anchor.subject,
                    "subject_digest": anchor.subject_digest,
                    "key_type": anchor.key_description,
                    "not_before": stored_time(anchor.not_before),
                    "not_after": stored_time(anchor.not_after),
                },
            )


def forget_fetched_elsewhere(attester: Attester) -> None:
    """Delete the keys fetched from a URL that is no longer the attester's, which counted no more.

    One that was disabled is kept, or it would come back with the URL.
    """
    attester.keys.filter(enabled=True).exclude(fetched_from__in=("", attester.jwks_uri)).delete()


def jwks_text(jwks: Iterable[dict[str, Any]]) -> str:
    """Return keys as a JWK Set for people to read; empty where there is none."""
    keys = list(jwks)
    return json.dumps({"keys": keys}, indent=2) if keys else ""


def entered_jwks(attester: Attester) -> str:
    """Return the keys that were entered for an attester as a JWK Set."""
    return jwks_text(key.jwk for key in attester.keys.filter(fetched_from=""))


def entered_anchors(attester: Attester) -> str:
    """Return the attester's trust anchors in PEM."""
    return "".join(attester.trust_anchors.values_list("certificate", flat=True))
