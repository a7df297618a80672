"""Who may register: for ``OAUTH2_PROVIDER["DCR_REGISTRATION_PERMISSION_CLASSES"]`` of django-oauth-toolkit."""

from __future__ import annotations

from django.http import HttpRequest

from .admission import demanded


class HasTrustedAttestation:
    """Admits a registration that carries a good attestation and proof of an attester in ``REGISTRATION_ATTESTERS``.

    Both are judged as everywhere else: the proof is for this issuer, answers a challenge and counts once. ``sub``
    is the ``software_id`` of the request.
    """

    def has_permission(self, request: HttpRequest) -> bool:
        """Return True.

        :raises AttestationOAuth2Error: otherwise, which the view or the middleware answers like any refusal.
        """
        demanded(request)
        return True
