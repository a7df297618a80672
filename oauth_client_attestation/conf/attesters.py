"""Settings: how long fetched keys are believed, shared secrets, and a rule of the site's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from django.utils.module_loading import import_string

from .reader import SettingsReader

DEFAULTS: Final = {
    "JWKS_LIFETIME": 3600,
    "JWKS_MIN_INTERVAL": 60,
    "JWKS_MAX_STALE": 86400,
    "SHARED_SECRETS": {},
    "SITE_RULE": None,
}

_LEAST_SECRET_OCTETS: Final = 32


class AttesterSettings(SettingsReader):
    """Where trust in attesters comes from, beside the database."""

    @cached_property
    def jwks_lifetime(self) -> int:
        """``JWKS_LIFETIME``: seconds after which fetched keys are fetched again when they are needed (rule T2).

        A key that the attester withdraws is believed for at most as long, if its URL answers.
        """
        return self._integer("JWKS_LIFETIME", 60, 30 * 86400)

    @cached_property
    def jwks_min_interval(self) -> int:
        """``JWKS_MIN_INTERVAL``: seconds between two fetches for one attester, whatever asks for them (rule T2).

        An unknown ``kid`` asks for one, and anyone can send an unknown ``kid``. It is also how long a new key of
        the attester may go unnoticed.
        """
        value = self._integer("JWKS_MIN_INTERVAL", 1, 86400)
        if value > self.jwks_lifetime:
            raise self._wrong("JWKS_MIN_INTERVAL", "no more than JWKS_LIFETIME")
        return value

    @cached_property
    def jwks_max_stale(self) -> int:
        """``JWKS_MAX_STALE``: seconds that the last good keys are believed while the URL does not answer (T2).

        After that the attester is not believed until it answers again. Longer survives longer outages; whoever
        can keep the attester from answering can keep a withdrawn key alive for as long.
        """
        return self._integer("JWKS_MAX_STALE", 60, 365 * 86400)

    @cached_property
    def shared_secrets(self) -> Mapping[str, bytes]:
        """``SHARED_SECRETS``: for attesters that sign with a MAC, name of the attester to secret (rule T4).

        ``{"Acme": b"…"}``, at least 32 octets of randomness each, 48 for HS384 and 64 for HS512. Whoever has the
        secret can attest, this site included, so prefer keys. With none, no MAC is accepted.
        """
        value = self._values["SHARED_SECRETS"]
        if not isinstance(value, Mapping) or not all(
            isinstance(name, str) and isinstance(secret, bytes) and len(secret) >= _LEAST_SECRET_OCTETS
            for name, secret in value.items()
        ):
            raise self._wrong(
                "SHARED_SECRETS", f"a dict of attester names and secrets of {_LEAST_SECRET_OCTETS} bytes or more"
            )
        return dict(value)

    @cached_property
    def site_rule(self) -> Callable[..., Any] | None:
        """``SITE_RULE``: dotted path of a function that has the last word, or ``None``.

        It is called as ``rule(request=…, application=…, evidence=…)`` once attestation and proof are verified
        and the application is usable, before the proof is used up; it refuses by raising Django's
        ``PermissionDenied``. Any other exception refuses too.
        """
        path = self._values["SITE_RULE"]
        if path is None:
            return None
        try:
            rule: Callable[..., Any] = import_string(path)
        except (ImportError, AttributeError, TypeError) as error:
            raise self._wrong("SITE_RULE", "the dotted path of a function, or None") from error
        if not callable(rule):
            raise self._wrong("SITE_RULE", "the dotted path of a function, or None")
        return rule
