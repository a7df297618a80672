"""Fetching keys now, on demand and outside of any transaction (rule T2)."""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from ..models import Attester
from ..trust.outcomes import FetchOutcome
from ..trust.refresh import fetch_now

#: Seconds after which no further fetch is begun: browsers and servers give up after 30 or so.
_PATIENCE: Final = 20
_URL_NAME: Final = "oauth_client_attestation_attester_fetch"


class FetchKeys(admin.ModelAdmin):
    """Adds a button and an action. Both lead to a view of their own, since others may run in a transaction."""

    def get_urls(self) -> list[Any]:
        """Put the view before the pages of single attesters, exempt from ``ATOMIC_REQUESTS`` of every database."""
        view = self.admin_site.admin_view(self.fetch_view)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return [path("fetch/", view, name=_URL_NAME), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer the button to those who may use it."""
        context: dict[str, Any] = {"fetch_url": self._fetch_url(), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @admin.action(description=gettext_lazy("Fetch keys of selected attesters now"), permissions=["change"])
    def fetch_keys(self, request: HttpRequest, attesters: QuerySet[Attester]) -> HttpResponse | None:
        """Ask whether to: each attester may keep the administrator waiting."""
        chosen = list(attesters.exclude(jwks_uri=""))
        if not chosen:
            self.message_user(request, _("None of the selected attesters has a JWK Set URL."), messages.WARNING)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Fetch keys now"),
            "opts": self.opts,
            "media": self.media,
            "fetch_url": self._fetch_url(),
            "attesters": [(str(attester.pk), attester) for attester in chosen],
        }
        return TemplateResponse(request, "admin/oauth_client_attestation/attester/fetch.html", context)

    @method_decorator(require_POST)
    def fetch_view(self, request: HttpRequest) -> HttpResponse:
        """Fetch the keys of the attesters named, say what came of each, and go back."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        chosen = [int(pk) for pk in request.POST.getlist("attester") if pk.isascii() and pk.isdigit() and len(pk) < 19]
        attesters = list(self.get_queryset(request).filter(pk__in=chosen).exclude(jwks_uri=""))
        begun = time.monotonic()
        for position, attester in enumerate(attesters):
            if time.monotonic() - begun > _PATIENCE:
                left = len(attesters) - position
                text = ngettext(
                    "The keys of %d attester were not fetched, since the others took too long.",
                    "The keys of %d attesters were not fetched, since the others took too long.",
                    left,
                )
                self.message_user(request, text % left, messages.WARNING)
                break
            outcome = fetch_now(attester, now=time.time())
            self.message_user(
                request,
                f"{attester.name}: {outcome.label}",
                messages.SUCCESS if outcome == FetchOutcome.OK else messages.ERROR,
            )
        page = "changelist" if len(chosen) != 1 or "list" in request.POST else "change"
        url = f"{self.admin_site.name}:oauth_client_attestation_attester_{page}"
        return HttpResponseRedirect(reverse(url, args=chosen if page == "change" else ()))

    def _fetch_url(self) -> str:
        return reverse(f"{self.admin_site.name}:{_URL_NAME}")
