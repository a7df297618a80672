"""The forms of attesters and policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..conf import app_settings
from ..core import wire
from ..core.keys import ASYMMETRIC_ALGORITHMS
from ..models import AttestationPolicy, AttestationSignalPolicy, Attester, DpopPolicy, default_methods
from ..trust import registration
from ..trust.entry import parse_entered_anchors, parse_entered_keys
from ..trust.others import check_namesakes
from .fields import PastedField, RequiredClaimsField, UploadField, looks_private

#: The fields for text that is no key, where a private key may end up all the same.
MISUSED: Final = ("name", "issuer", "jwks_uri", "max_age", "required_claims")


class AttesterForm(forms.ModelForm):
    """An attester with its keys and trust anchors, each pasted or uploaded.

    What is sent back with a mistake is what was understood, in the form in which it would be stored, and never
    what was pasted: that may be a private key, whether or not it could be read as one. A private key that is pasted
    into another field is not sent back either.
    """

    algorithms = forms.MultipleChoiceField(
        label=_("Algorithms"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The signature algorithms this attester may use. None: all that the server accepts."),
    )
    required_claims = RequiredClaimsField(
        label=_("Required claims"),
        required=False,
        help_text=_(
            "One in a line: “name” for any value, “name=value” for a certain one; the same name in several lines "
            "allows each of the values. Integers, true and false are what they are in JSON; quote them for text."
        ),
    )
    jwks = PastedField(
        label=_("Keys"),
        required=False,
        help_text=_(
            "Public keys, as a JWK Set, a JWK or PEM (“BEGIN PUBLIC KEY”). Saving replaces the keys entered before; "
            "one that stays keeps its window and whether it is enabled."
        ),
    )
    jwks_file = UploadField(label=_("Keys from a file"), required=False)
    anchors = PastedField(
        label=_("Trust anchors"),
        required=False,
        help_text=_(
            "Certificates of authorities, as PEM (“BEGIN CERTIFICATE”). Attestations are believed whose “x5c” leads "
            "to one of them. Saving replaces the ones there are."
        ),
    )
    anchors_file = UploadField(label=_("Trust anchors from a file"), required=False)

    class Meta:
        model = Attester
        fields = (
            "name",
            "enabled",
            "jwks_uri",
            "issuer",
            "algorithms",
            "max_age",
            "required_claims",
            "all_applications",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        algorithms = cast("forms.MultipleChoiceField", self.fields["algorithms"])
        algorithms.choices = [(name, _algorithm_label(name)) for name in sorted(ASYMMETRIC_ALGORITHMS)]
        if app_settings.shared_secrets:
            algorithms.help_text = format_lazy(
                "{} {}",
                algorithms.help_text,
                _("This is about keys: one with a secret in SHARED_SECRETS may use a MAC as well."),
            )
        if self.instance.pk is not None:
            self.initial["jwks"] = registration.entered_jwks(self.instance)
            self.initial["anchors"] = registration.entered_anchors(self.instance)

    def clean(self) -> dict[str, Any]:
        """Parse keys and anchors, and refuse an attester without any source of trust."""
        super().clean()
        self.has_changed()  # remembered from here on: the history is about what was sent, not what is sent back
        for name in MISUSED:
            self._refuse_private(name)
        given = self.cleaned_data
        given["jwks"] = self._entered(
            "jwks", parse_entered_keys, lambda keys: registration.jwks_text(key.jwk for key in keys)
        )
        given["anchors"] = self._entered(
            "anchors", parse_entered_anchors, lambda anchors: "".join(anchor.pem for anchor in anchors)
        )
        try:
            check_namesakes(given["anchors"], None if self.instance._state.adding else self.instance)
        except forms.ValidationError as error:
            self.add_error("anchors", error)
        sources = ("jwks", "jwks_file", "anchors", "anchors_file", "jwks_uri")
        if not any(given.get(name) or name in self.errors for name in sources) and not _has_secret(given.get("name")):
            self.add_error(
                "jwks",
                forms.ValidationError(
                    _("Enter keys, a JWK Set URL or trust anchors: without any of them nothing can be believed."),
                    code="no_source",
                ),
            )
        return given

    def _refuse_private(self, name: str) -> None:
        """Forget a private key in a field that has nothing to do with keys, and what was said about its value."""
        if looks_private(cast("QueryDict", self.data).get(self.add_prefix(name), "")):
            self.errors.pop(name, None)
            self.add_error(
                name,
                forms.ValidationError(
                    _(
                        "This looks like a private key. Never paste one anywhere: keep it with its owner, and consider "
                        "it compromised."
                    ),
                    code="private_key",
                ),
            )
            self._send_back(name, "")

    def _send_back(self, name: str, text: str) -> None:
        data = cast("QueryDict", self.data).copy()
        data[self.add_prefix(name)] = text
        self.data = data

    def _entered(self, name: str, parse: Callable[[Any], list[Any]], text: Callable[[list[Any]], str]) -> list[Any]:
        upload: UploadedFile | None = self.cleaned_data.get(f"{name}_file")
        entered: str | bytes = self.cleaned_data.get(name, "")
        entries: list[Any] = []
        try:
            if upload is not None:
                if entered and self.fields[name].has_changed(self.initial.get(name), entered):
                    raise forms.ValidationError(_("Paste them or choose a file, but not both."), code="both")
                entered = upload.read()
            entries = parse(entered) if entered else []
        except forms.ValidationError as error:
            self.add_error(name, error)
        self._send_back(name, text(entries))
        return entries


def _algorithm_label(name: str) -> Any:
    if name not in app_settings.attestation_algorithms:
        return format_lazy(_("{name} (not in ATTESTATION_ALGORITHMS, so not accepted)"), name=name)
    return name


def _has_secret(name: str | None) -> bool:
    return name in app_settings.shared_secrets


#: What people call the methods.
MODES: Final = {
    wire.METHOD_POP_JWT: _("normal mode: attestation and PoP JWT"),
    wire.METHOD_DPOP: _("combined mode: attestation and DPoP proof"),
}


class AttestationPolicyForm(forms.ModelForm):
    """A policy with its methods as check boxes."""

    methods = forms.MultipleChoiceField(
        label=_("Methods"),
        widget=forms.CheckboxSelectMultiple,
        initial=default_methods,
        help_text=_("How an instance may prove possession of its key. Both: as each request likes."),
    )

    class Meta:
        model = AttestationPolicy
        fields = ("application", "methods", "challenge", "oldest_revision")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        methods = cast("forms.MultipleChoiceField", self.fields["methods"])
        methods.choices = [(method, _mode_label(method)) for method in wire.METHODS]


def _mode_label(method: str) -> Any:
    if method not in app_settings.methods:
        return format_lazy(_("{mode} (not in METHODS, so not accepted)"), mode=MODES[method])
    return MODES[method]


class DpopPolicyForm(forms.ModelForm):
    """A DPoP policy, and what the settings make of it."""

    class Meta:
        model = DpopPolicy
        fields = ("application", "use")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if app_settings.dpop == "off" and "use" in self.fields:
            self.fields["use"].help_text = format_lazy(
                "{} {}", self.fields["use"].help_text, _("DPOP is off in the settings, so this has no effect now.")
            )


class _ApplicationPart(forms.ModelForm):
    """A form of what belongs to an application, as part of the application's form."""

    def has_changed(self) -> bool:
        """Whoever added the form wants a policy, the defaults included."""
        return bool(self.instance._state.adding) or super().has_changed()

    def non_field_errors(self) -> Any:
        """Show what is wrong with the application, whose own field is hidden here."""
        return self.error_class(
            [*super().non_field_errors(), *self.errors.get("application", ())],
            error_class="nonfield",
            renderer=self.renderer,
        )


class ApplicationSignalPolicyForm(_ApplicationPart):
    """The attestation signal policy on the application's page."""

    class Meta:
        model = AttestationSignalPolicy
        fields = ("application", "use")


class ApplicationPolicyForm(_ApplicationPart, AttestationPolicyForm):
    """The attestation policy on the application's page."""


class ApplicationDpopPolicyForm(_ApplicationPart, DpopPolicyForm):
    """The DPoP policy on the application's page."""
