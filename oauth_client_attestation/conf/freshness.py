"""Settings: challenges and nonces (section 6)."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "CHALLENGE_ENDPOINT": True,
    "CHALLENGE_LIFETIME": 300,
    "SINGLE_USE_CHALLENGES": False,
    "OPTIONS_NONCE_ENDPOINTS": (
        "oauth2_provider:token",
        "oauth2_provider:revoke-token",
        "oauth2_provider:introspect",
        "oauth2_provider:device-authorization",
        "oauth_client_attestation_par:pushed-authorization-request",
    ),
    "ADVERTISE_OPTIONS_NONCE": False,
}


class FreshnessSettings(SettingsReader):
    """How a client obtains a challenge, and how long it is good for."""

    @cached_property
    def challenge_endpoint(self) -> bool:
        """``CHALLENGE_ENDPOINT``: serve the challenge endpoint, and advertise it (section 6.3; rules C1, C2).

        Off, clients get their challenges from earlier responses, errors included, and by OPTIONS.
        """
        return self._switch("CHALLENGE_ENDPOINT")

    @cached_property
    def challenge_lifetime(self) -> int:
        """``CHALLENGE_LIFETIME``: seconds that a challenge stays good (section 6; rule C4)."""
        return self._integer("CHALLENGE_LIFETIME", 10, 86400)

    @cached_property
    def single_use_challenges(self) -> bool:
        """``SINGLE_USE_CHALLENGES``: accept each challenge once (section 6 and 12.1; rule C4).

        Off, a client may use a challenge as often as it likes within its lifetime, and each proof counts once.
        On, a client that keeps using one is told ``use_attestation_challenge`` and needs a second request
        wherever it did not take the fresh challenge from the response before.
        """
        return self._switch("SINGLE_USE_CHALLENGES")

    @cached_property
    def options_nonce_endpoints(self) -> frozenset[str]:
        """``OPTIONS_NONCE_ENDPOINTS``: names of the URLs that hand out a nonce by OPTIONS (rule C7).

        The way of revision -05: ``OPTIONS`` with ``attestation-nonce-request: true``. The default is every
        endpoint that authenticates clients; empty leaves OPTIONS alone.
        """
        value = self._values["OPTIONS_NONCE_ENDPOINTS"]
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in value):
            raise self._wrong("OPTIONS_NONCE_ENDPOINTS", "a list of URL names")
        return frozenset(value)

    @cached_property
    def advertise_options_nonce(self) -> bool:
        """``ADVERTISE_OPTIONS_NONCE``: list those endpoints in the metadata as revision -05 does (rule C7).

        Switch it on for clients of that revision only: at least one released client takes
        ``client_attestation_pop_nonce_required`` for a boolean and then refuses the whole document.
        """
        return self._switch("ADVERTISE_OPTIONS_NONCE")
