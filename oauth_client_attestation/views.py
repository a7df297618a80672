"""The challenge endpoint (section 6.3; rule C1), which hands out DPoP nonces as well."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from .challenges import fresh_challenge, fresh_dpop_nonce, fresh_resource_challenge, uses_dpop_nonces
from .conf import app_settings
from .core import wire


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(login_not_required, name="dispatch")
class ChallengeView(View):
    """POST, without a body, without a session: a fresh challenge. Anyone may have one; it proves nothing."""

    http_method_names = ("post", "options")

    @staticmethod
    def fresh() -> str | None:
        """Return a new challenge, if there is anything to be challenged about."""
        return fresh_challenge()

    def post(self, request: HttpRequest) -> JsonResponse:
        """Return a challenge, or 503 while the server has no issuer to be challenged about.

        :raises Http404: where the endpoint is switched off.
        """
        if not app_settings.challenge_endpoint:
            raise Http404
        challenge = self.fresh()
        headers = {"Cache-Control": "no-store"}
        if challenge is None:
            return JsonResponse({"error": wire.ERROR_TEMPORARILY_UNAVAILABLE}, status=503, headers=headers)
        if uses_dpop_nonces():
            headers[wire.DPOP_NONCE_FIELD] = fresh_dpop_nonce()
        return JsonResponse({wire.CHALLENGE_MEMBER: challenge}, headers=headers)


class ResourceChallengeView(ChallengeView):
    """The same for proofs that are sent to a resource of this site (rule S2)."""

    @staticmethod
    def fresh() -> str | None:
        """Return a new challenge."""
        return fresh_resource_challenge()
