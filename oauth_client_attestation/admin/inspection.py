"""The page "Check an attestation": why was this wallet refused?"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..conf import app_settings
from ..core import wire
from ..core.errors import ClientAttestationError
from ..inspection import EARLIEST, LATEST, Question, inspect, wording
from ..metadata import absolute_url
from ..trust.moments import aware_time

PERMISSION: Final = "oauth_client_attestation.check_attestation"
URL_NAME: Final = "oauth_client_attestation_check"

#: Fields that only a DPoP proof needs.
_OF_DPOP: Final = ("kind", "method", "uri", "access_token")

_TOKEN: Final = {"rows": 6, "class": "vLargeTextField", "spellcheck": "false", "autocomplete": "off"}


class MomentField(forms.DateTimeField):
    """A time with its zone, also where the site has none."""

    def to_python(self, value: Any) -> datetime | None:
        """Add the site's zone."""
        given = super().to_python(value)
        return given and aware_time(given)


class CheckForm(forms.Form):
    """What is to be checked. What is pasted is judged, shown and forgotten."""

    attestation = forms.CharField(
        label=_("Attestation"),
        widget=forms.Textarea(attrs=_TOKEN),
        help_text=_("The value of OAuth-Client-Attestation."),
    )
    proof = forms.CharField(
        label=_("Proof of possession"),
        required=False,
        widget=forms.Textarea(attrs=_TOKEN),
        help_text=_("The value of OAuth-Client-Attestation-PoP or DPoP. Empty: the attestation is checked alone."),
    )
    client_id = forms.CharField(
        label=_("Client ID"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("What the request named as client_id, if it did."),
    )
    audience = forms.CharField(
        label=_("Audience"),
        required=False,
        max_length=2048,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("What “aud” of the proof has to be. Empty: the issuer of this server."),
    )
    at = MomentField(
        label=_("As of"),
        required=False,
        validators=[MinValueValidator(EARLIEST), MaxValueValidator(LATEST)],
        widget=forms.DateTimeInput(attrs={"class": "vTextField", "placeholder": "2026-01-31 23:59:59"}),
        help_text=_("Judge at this time, that of a refusal for example. Empty: now."),
    )
    kind = forms.ChoiceField(
        label=_("Field of the proof"),
        required=False,
        choices=[("", _("as its “typ” says")), ("pop", wire.POP_FIELD), ("dpop", wire.DPOP_FIELD)],
        help_text=_("Which field the proof came in."),
    )
    method = forms.CharField(
        label=_("HTTP method"),
        required=False,
        max_length=32,
        widget=forms.TextInput(attrs={"class": "vTextField", "placeholder": "POST"}),
        help_text=_("What “htm” has to be. Empty: POST."),
    )
    uri = forms.CharField(
        label=_("URL"),
        required=False,
        max_length=2048,
        widget=forms.TextInput(attrs={"class": "vTextField", "inputmode": "url"}),
        help_text=_("What “htu” has to be. Empty: the token endpoint."),
    )
    access_token = forms.CharField(
        label=_("Access token"),
        required=False,
        widget=forms.Textarea(attrs={**_TOKEN, "rows": 2}),
        help_text=_("What “ath” has to be the hash of. Empty: none was presented."),
    )

    @property
    def general(self) -> list[tuple[forms.BoundField, str | None]]:
        """The fields for every request, and what each is taken to be if it is empty, if that is worth showing."""
        return [(field, self._default(field)) for field in self if field.name not in _OF_DPOP]

    @property
    def of_dpop(self) -> list[tuple[forms.BoundField, str | None]]:
        """The fields for DPoP proofs, the same way."""
        return [(field, self._default(field)) for field in self if field.name in _OF_DPOP]

    @property
    def uses_dpop(self) -> bool:
        """Whether one of those was filled in, so that they have to be seen."""
        return any(self[name].value() for name in _OF_DPOP)

    def _default(self, field: forms.BoundField) -> str | None:
        if field.name == "audience":
            return app_settings.issuer
        return absolute_url("oauth2_provider:token") if field.name == "uri" else None

    def question(self) -> Question:
        """Return what was asked, once the form is valid."""
        given = self.cleaned_data
        at: datetime | None = given["at"]
        return Question(
            attestation=given["attestation"],
            proof=given["proof"],
            audience=given["audience"],
            client_id=given["client_id"],
            kind=given["kind"],
            method=given["method"] or "POST",
            uri=given["uri"],
            access_token=given["access_token"],
            at=None if at is None else at.timestamp(),
        )


class LinksToCheck(admin.ModelAdmin):
    """Has ``can_check`` in the context of its list: whether to offer the page."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Offer the page to those who may use it."""
        context = {"can_check": request.user.has_perm(PERMISSION), **(extra_context or {})}
        return super().changelist_view(request, context)


class CheckAttestationMixin(LinksToCheck):
    """Has the page among its URLs."""

    def get_urls(self) -> list[URLPattern]:
        """Put the page before the pages of single rows."""
        view = self.admin_site.admin_view(self.check_attestation)  # which also forbids to store the response
        return [path("check-attestation/", view, name=URL_NAME), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("attestation", "proof", "access_token"))
    @sensitive_variables()
    def check_attestation(self, request: HttpRequest) -> HttpResponse:
        """Show the form, and the verdict on what was pasted."""
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        request.current_app = self.admin_site.name  # as the admin’s own views do
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Check an attestation"),
            "opts": self.opts,
        }
        if request.method != "POST":
            known = {name: request.GET[name] for name in ("client_id", "at") if name in request.GET}
            context["form"] = CheckForm(initial=known)
        else:
            form = context["form"] = CheckForm(request.POST)
            if form.is_valid():
                context |= self._verdict(request, form)
        return TemplateResponse(request, "admin/oauth_client_attestation/check.html", context)

    def _verdict(self, request: HttpRequest, form: CheckForm) -> dict[str, Any]:
        question = form.question()
        try:
            inspection = inspect(question)
        except ClientAttestationError as error:
            form.add_error(None, gettext("There is no verdict: %(reason)s.") % {"reason": error.reason})
            return {}
        proof = _("DPoP proof") if inspection.combined else _("Proof of possession")
        given = ((_("Attestation"), question.attestation), (proof, question.proof))
        return {
            "inspection": inspection,
            "facts": [(fact.label, fact.value, self._url(request, fact.about)) for fact in inspection.facts],
            "tokens": [
                (title, wording.pretty(parts[0]), wording.pretty(parts[1]))
                for title, token in given
                if token and (parts := wording.parts(token))
            ],
        }

    def _url(self, request: HttpRequest, row: Model | None) -> str:
        """Return the page of a row, if there is one that the user may see; else nothing."""
        if row is None or not self.admin_site.is_registered(type(row)):
            return ""
        if not self.admin_site.get_model_admin(type(row)).has_view_permission(request, row):
            return ""
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        return reverse(name, args=[row.pk], current_app=self.admin_site.name)


def check_url(*, client_id: str, at: datetime, site: str) -> str:
    """Return the URL of the page, filled in for what a refusal was about.

    :param client_id: empty: not known.
    :param site: the name of the admin site.
    """
    query = {"at": at.isoformat(), **({"client_id": client_id} if client_id else {})}
    return reverse(f"admin:{URL_NAME}", query=query, current_app=site)
