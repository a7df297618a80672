"""Settings: clients that register themselves (section 9; RFC 7591; client ID metadata documents)."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "REGISTRATION_ATTESTERS": (),
    "METADATA_DOCUMENT_ATTESTERS": (),
}


class RegistrationSettings(SettingsReader):
    """Who may vouch for clients that nobody at this site has entered."""

    @cached_property
    def registration_attesters(self) -> tuple[str, ...]:
        """``REGISTRATION_ATTESTERS``: names of the attesters that are linked to a client that registers itself
        (RFC 7591; rule K1), and of those that may attest a registration.

        With none, such a client is registered and cannot authenticate until somebody links an attester to it.
        Whoever is here can attest any client that registers, so the list is as strong as the permission to.
        """
        return self._names("REGISTRATION_ATTESTERS")

    @cached_property
    def metadata_document_attesters(self) -> tuple[str, ...]:
        """``METADATA_DOCUMENT_ATTESTERS``: names of the attesters that are linked to a client that is known by its
        client ID metadata document.

        Anybody can publish such a document, and an attester here decides for which it vouches. With none, no
        such client can authenticate, and nothing is fetched for an attested one that is not known yet.
        """
        return self._names("METADATA_DOCUMENT_ATTESTERS")

    def _names(self, setting: str) -> tuple[str, ...]:
        value = self._values[setting]
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
            raise self._wrong(setting, "a list of names of attesters")
        return tuple(value)
