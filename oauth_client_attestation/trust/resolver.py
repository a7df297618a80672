"""Whose key may have signed this attestation? The sources of trust, in order (rules A3, T1 to T5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..conf import app_settings
from ..core.errors import Reason
from ..core.keys import MAC_ALGORITHMS
from ..core.results import TrustedKey, UnverifiedAttestation
from . import refresh
from .certified import certified_keys
from .registered import registered_keys
from .shared import shared_secrets


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys trusted for an attestation, and why there is none for it where that is known."""

    keys: list[TrustedKey]
    no_key: Reason = Reason.ATTESTER_NOT_TRUSTED


def trusted_keys(application_id: Any, attestation: UnverifiedAttestation, *, now: float) -> Trust:
    """Return the keys of the enabled attesters trusted for an application that may have signed.

    One query for an attestation whose key is stored. A certificate costs one more; a ``kid`` that is not known,
    or keys that were fetched long ago, may cost a fetch (:mod:`.refresh`).

    :param application_id: primary key of the application that the attestation claims to be for, or a
        :class:`~..models.NewClient`.
    :param attestation: not verified: it selects and proves nothing.
    :param now: the current time, in seconds since the epoch.
    """
    header = attestation.jwt.header
    found = registered_keys(application_id, key_id=attestation.key_id, now=now)
    keys, no_key = list(found.keys), None
    if "x5c" in header:
        certified, no_key = certified_keys(application_id, header["x5c"], now=now)
        keys += certified
    if app_settings.shared_secrets and any(header.get("alg") == name for name in MAC_ALGORITHMS):
        keys += shared_secrets(application_id)
    missing = not _named(keys, attestation.key_id)
    if found.due or missing:
        outcome = refresh.refresh_for(application_id, attestation, due=found.due, missing=missing, now=now)
        if outcome.refreshed:
            fresh = registered_keys(application_id, key_id=attestation.key_id, now=now)
            keys = [*fresh.keys, *keys[len(found.keys) :]]
        keys = [trusted for trusted in keys if trusted.attester not in outcome.unasked]
        if outcome.unavailable:
            no_key = no_key or Reason.ATTESTER_KEYS_UNAVAILABLE
    return Trust(keys, no_key or Reason.ATTESTER_NOT_TRUSTED)


def _named(keys: list[TrustedKey], key_id: str | None) -> bool:
    """Whether the key that an attestation names is there; without a name, whether any is."""
    return any(key_id is None or trusted.key_id in (None, key_id) for trusted in keys)
