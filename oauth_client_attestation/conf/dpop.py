"""Settings: sender-constrained tokens (RFC 9449; rules D)."""

from __future__ import annotations

from functools import cached_property
from typing import Final, Literal

from ..core import wire
from .reader import SettingsReader

DEFAULTS: Final = {
    "DPOP": "attested",
    "REQUIRE_DPOP": False,
    "DPOP_ALGORITHMS": ("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
    "DPOP_NONCE": "optional",
    "RESOURCE_DPOP_NONCE": "optional",
}


_NONCE_USES: Final = ("off", "optional", "required")


class DpopSettings(SettingsReader):
    """Whose tokens are bound to a key, and which proofs of that key are accepted."""

    @cached_property
    def dpop(self) -> Literal["off", "attested", "all"]:
        """``DPOP``: which clients may have their tokens bound to a key by sending a DPoP proof (RFC 9449 section 5).

        ``"attested"``: applications that must be attested, and those with a DPoP policy. ``"all"``: every client.
        ``"off"``: none; proofs are ignored, tokens are bearer tokens, and combined mode cannot be offered. A bound
        token is refused as a bearer token, so other resource servers of the site have to know DPoP, or leave it off.
        """
        value: Literal["off", "attested", "all"] = self._choice("DPOP", ("off", "attested", "all"))
        if value == "off" and wire.METHOD_DPOP in self._values["METHODS"]:
            raise self._wrong("DPOP", f"on as long as METHODS has {wire.METHOD_DPOP}")
        return value

    @cached_property
    def require_dpop(self) -> bool:
        """``REQUIRE_DPOP``: issue no token without a DPoP proof to a client that may use DPoP.

        Of single applications, a DPoP policy requires it (``dpop_bound_access_tokens``).
        """
        return self._switch("REQUIRE_DPOP")

    @cached_property
    def dpop_algorithms(self) -> tuple[str, ...]:
        """``DPOP_ALGORITHMS``: JWS algorithms accepted for DPoP proofs, in combined mode too (rule D3).

        Also advertised in the metadata and in ``WWW-Authenticate``.
        """
        return self._algorithms("DPOP_ALGORITHMS")

    @cached_property
    def dpop_nonce(self) -> Literal["off", "optional", "required"]:
        """``DPOP_NONCE``: nonces in the DPoP proofs of token requests (RFC 9449 section 8).

        ``"required"``: a proof without one is refused, with a fresh one to try again. ``"optional"``: responses offer
        one, and a proof may do without. ``"off"``: none is offered or looked at, which excludes combined mode, where a
        nonce is always required (rule D5). Nonces live as long as challenges, ``CHALLENGE_LIFETIME``.
        """
        return self._nonce_use("DPOP_NONCE")

    @cached_property
    def resource_dpop_nonce(self) -> Literal["off", "optional", "required"]:
        """``RESOURCE_DPOP_NONCE``: the same at this site's resources (RFC 9449 section 9).

        ``"off"`` excludes combined mode here too: introspection is a resource and an endpoint at which clients
        authenticate.
        """
        return self._nonce_use("RESOURCE_DPOP_NONCE")

    def _nonce_use(self, name: str) -> Literal["off", "optional", "required"]:
        value: Literal["off", "optional", "required"] = self._choice(name, _NONCE_USES)
        if value == "off" and wire.METHOD_DPOP in self._values["METHODS"]:
            # A proof that its nonce lets in is on record for as long as that; where nonces are not looked at, its own
            # time decides, which may come later.
            raise self._wrong(name, f"on as long as METHODS has {wire.METHOD_DPOP}")
        return value
