"""Settings: the attestation as an additional security signal (section 7.6; rules S)."""

from __future__ import annotations

from functools import cached_property
from typing import Final, Literal
from urllib.parse import urlsplit

from ..core import wire
from .dpop import DpopSettings
from .verification import VerificationSettings

DEFAULTS: Final = {
    "ATTESTATION_SIGNAL": "off",
    "POP_METHODS": ("attestation_pop_jwt", "dpop_combined"),
    "RESOURCE": None,
    "RESOURCE_ATTESTATION": "off",
}

_USES: Final = ("off", "optional", "required")


class SignalSettings(DpopSettings, VerificationSettings):
    """Where an attestation may or must come along with something else."""

    @cached_property
    def attestation_signal(self) -> Literal["off", "optional", "required"]:
        """``ATTESTATION_SIGNAL``: an attestation beside another client authentication (section 7.6; rule S1).

        Of every application that has no policy of its own. ``"off"``: a request with one is refused.
        ``"optional"``: it may come along, and is verified if it does. ``"required"``: every endpoint that
        authenticates clients refuses a request without one, and what is issued is bound to the instance.
        """
        value: Literal["off", "optional", "required"] = self._choice("ATTESTATION_SIGNAL", _USES)
        return value

    @cached_property
    def pop_methods(self) -> tuple[str, ...]:
        """``POP_METHODS``: how possession of the key may be proven where the attestation is a signal (rule S1).

        Also advertised. Where it authenticates the client, ``METHODS`` decides. Combined mode is left out where
        ``DPOP`` is off, or nonces are, without which there is none (rule D5).
        """
        return self._proven_by(with_dpop=self.dpop_nonce != "off")

    @cached_property
    def resource_pop_methods(self) -> tuple[str, ...]:
        """The same at the resources of this site, which have a setting of their own for nonces."""
        return self._proven_by(with_dpop=self.resource_dpop_nonce != "off")

    def _proven_by(self, *, with_dpop: bool) -> tuple[str, ...]:
        value = self._values["POP_METHODS"]
        known = tuple(wire.POP_METHODS.values())
        if not isinstance(value, list | tuple) or not value or any(name not in known for name in value):
            raise self._wrong("POP_METHODS", f"a non-empty list out of {', '.join(known)}")
        with_dpop = with_dpop and self.dpop != "off"
        methods = tuple(name for name in value if with_dpop or name != wire.POP_METHOD_DPOP)
        if not methods:
            raise self._wrong("POP_METHODS", f"a list with {wire.POP_METHOD_JWT} where DPOP or its nonces are off")
        return methods

    @cached_property
    def resource(self) -> str | None:
        """``RESOURCE``: the identifier of this site's resource server (RFC 9728 section 1.2), a URL.

        A proof that is sent to a resource names it as its audience (rule P4). A view can have another one. Without it
        django-oauth-toolkit's ``OAUTH2_PROTECTED_RESOURCE_IDENTIFIER`` is taken, and without that the origin of the
        issuer, as in the metadata.
        """
        resource = self._values["RESOURCE"]
        if resource is not None:
            parts = urlsplit(resource) if isinstance(resource, str) else None
            if parts is None or parts.scheme not in ("https", "http") or not parts.netloc or parts.fragment:
                raise self._wrong("RESOURCE", "an http(s) URL without fragment, or None")
            return str(resource)
        from oauth2_provider.settings import oauth2_settings

        configured: str = oauth2_settings.OAUTH2_PROTECTED_RESOURCE_IDENTIFIER
        if configured or self.issuer is None:
            return configured or None
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def resource_attestation(self) -> Literal["off", "optional", "required"]:
        """``RESOURCE_ATTESTATION``: what the metadata of the resource says of attestations (section 7.6).

        It is what clients are told, and changes nothing by itself: each view says whether it wants one.
        """
        value: Literal["off", "optional", "required"] = self._choice("RESOURCE_ATTESTATION", _USES)
        return value
