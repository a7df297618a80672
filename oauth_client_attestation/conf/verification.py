"""Settings: which attestations and proofs are accepted (sections 4, 5 and 7)."""

from __future__ import annotations

from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from ..core import wire
from ..core.memory import AttestationMemory
from .reader import SettingsReader

DEFAULTS: Final = {
    "ISSUER": None,
    "METHODS": ("attest_jwt_client_auth", "attest_jwt_client_auth_dpop"),
    "ATTESTATION_ALGORITHMS": ("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
    "POP_ALGORITHMS": ("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
    "OLDEST_REVISION": 5,
    "CLOCK_SKEW": 60,
    "POP_MAX_AGE": 300,
    "ATTESTATION_MAX_AGE": None,
    "MAX_FIELD_LENGTH": 16384,
    "ATTESTATION_MEMORY_SIZE": 1024,
}


class VerificationSettings(SettingsReader):
    """Whose attestations and proofs, in which shape, signed how, and how old."""

    @cached_property
    def issuer(self) -> str | None:
        """``ISSUER``: this server's issuer identifier (RFC 8414 section 2), a URL.

        A proof must name it as its audience (section 5.1, rule P4), so it is configured and never taken from a
        ``Host`` header. Without it django-oauth-toolkit's ``OIDC_ISS_ENDPOINT`` is used; without either,
        every attested request is refused and a system check says so. It must be, to the letter, the
        ``issuer`` that clients find in the metadata.
        """
        issuer = self._values["ISSUER"]
        if issuer is None:
            from oauth2_provider.settings import oauth2_settings

            issuer = oauth2_settings.OIDC_ISS_ENDPOINT or None
        if issuer is None:
            return None
        if not isinstance(issuer, str):
            raise self._wrong("ISSUER", "a URL")
        parts = urlsplit(issuer)
        if (
            any(character.isspace() for character in issuer)
            or parts.scheme not in ("https", "http")
            or not parts.netloc
            or parts.query
            or parts.fragment
        ):
            raise self._wrong("ISSUER", "an http(s) URL without query and fragment")
        return issuer

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """``METHODS``: the client authentication methods that this server offers (section 8; rule M1).

        Also advertised. A method that is not here is accepted from no application, whatever its policy says;
        with none, every application that must be attested is shut out.
        """
        value = self._values["METHODS"]
        if not isinstance(value, list | tuple) or any(name not in wire.METHODS for name in value):
            raise self._wrong("METHODS", f"a list out of {', '.join(wire.METHODS)}")
        return tuple(value)

    @cached_property
    def attestation_algorithms(self) -> tuple[str, ...]:
        """``ATTESTATION_ALGORITHMS``: JWS algorithms accepted for attestations (section 7.1, 3; rule A2).

        Also advertised in the metadata. The default leaves RSA out; add ``PS256`` or ``RS256`` if an attester
        signs with it. ``none`` and MAC algorithms are refused.
        """
        return self._algorithms("ATTESTATION_ALGORITHMS")

    @cached_property
    def pop_algorithms(self) -> tuple[str, ...]:
        """``POP_ALGORITHMS``: JWS algorithms accepted for proofs (section 7.2, 3; rule P2).

        Also advertised. Some released clients sign the proof with the attestation's algorithm, so this list
        normally covers the other one.
        """
        return self._algorithms("POP_ALGORITHMS")

    @cached_property
    def oldest_revision(self) -> int:
        """``OLDEST_REVISION``: the oldest draft revision whose shapes are accepted, 5 to 12.

        From 12 on an attestation needs ``iat``; from 10 on a challenge is read from ``challenge`` alone, no
        longer from ``nonce``; from 7 on a proof needs ``iat``. Everything newer is accepted too. OpenID4VCI
        1.0 wallets are pinned to revision 7.
        """
        return self._integer("OLDEST_REVISION", wire.OLDEST_KNOWN_REVISION, wire.CURRENT_REVISION)

    @cached_property
    def clock_skew(self) -> int:
        """``CLOCK_SKEW``: seconds that the clocks of attesters and clients may be off (rules A5, A6, P6)."""
        return self._integer("CLOCK_SKEW", 0, 600)

    @cached_property
    def pop_max_age(self) -> int:
        """``POP_MAX_AGE``: seconds that a proof without a challenge stays good (section 7.2, 6; rule P6).

        Used proofs are remembered for as long, so a large value also costs storage.
        """
        return self._integer("POP_MAX_AGE", 1, 86400)

    @cached_property
    def attestation_max_age(self) -> int | None:
        """``ATTESTATION_MAX_AGE``: seconds since ``iat`` that an attestation stays good, or ``None``.

        ``None`` leaves the decision to the attester's ``exp`` (section 7.1, 6; rule A6). With a value,
        attestations without ``iat`` are refused whatever ``OLDEST_REVISION`` says.
        """
        if self._values["ATTESTATION_MAX_AGE"] is None:
            return None
        return self._integer("ATTESTATION_MAX_AGE", 1, 10 * 366 * 86400)

    @cached_property
    def max_field_length(self) -> int:
        """``MAX_FIELD_LENGTH``: the most characters either header field may have (rule H4).

        The default admits an ``x5c`` chain of three P-256 certificates. The web server in front has a limit of
        its own, often 8 KiB (section 10.5).
        """
        return self._integer("MAX_FIELD_LENGTH", 1024, 1 << 20)

    @cached_property
    def attestation_memory_size(self) -> int:
        """``ATTESTATION_MEMORY_SIZE``: how many verified attestations a process remembers; 0: none.

        Saves one signature verification for an instance that comes back (section 10.2). Trust, policy and
        freshness are checked every time regardless.
        """
        return self._integer("ATTESTATION_MEMORY_SIZE", 0, 1_000_000)

    @cached_property
    def attestation_memory(self) -> AttestationMemory:
        """The process's memory of verified attestations."""
        return AttestationMemory(self.attestation_memory_size)
