"""Form fields for keys, certificates and claims."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from ..trust.requirements import merge_requirements, parse_requirement, requirement_lines

#: Octets. A hundred of the largest certificates fit.
MAX_UPLOAD: Final = 1 << 20

# The end of a PEM label, and a private or symmetric member of a JWK, quoted once more in whatever way.
_PRIVATE: Final = re.compile(
    r"""PRIVATE KEY( BLOCK)?-----|["']\\?(d|p|q|dp|dq|qi|oth|k|priv)\\?["']\s*:""", re.IGNORECASE
)


def looks_private(text: str) -> bool:
    """Whether a text seems to have a private key in it, or the beginning of one."""
    return _PRIVATE.search(text) is not None


class PastedField(forms.CharField):
    """Text that a machine made; browsers change its line ends and nothing else."""

    widget = forms.Textarea(
        attrs={"rows": 10, "cols": 80, "spellcheck": "false", "autocomplete": "off", "class": "vLargeTextField"}
    )

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare without regard to line ends and to space around."""
        return _lines(initial) != _lines(data)


def _lines(text: str | None) -> list[str]:
    return (text or "").strip().splitlines()


class UploadField(forms.FileField):
    """A file in place of pasted text."""

    widget = forms.FileInput
    default_error_messages = {"too_large": _("The file is larger than 1 MiB.")}

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Refuse a file that is too large, before it is read."""
        upload: UploadedFile | None = super().clean(data, initial)
        if upload is not None and (upload.size or 0) > MAX_UPLOAD:
            raise forms.ValidationError(self.error_messages["too_large"], code="too_large")
        return upload


class RequiredClaimsField(forms.Field):
    """Required claims, one in a line."""

    widget = forms.Textarea(
        attrs={"rows": 4, "cols": 80, "spellcheck": "false", "autocomplete": "off", "class": "vLargeTextField"}
    )

    def prepare_value(self, value: Any) -> Any:
        """Return the lines of a model's value; what was typed stays as it is."""
        return "\n".join(requirement_lines(value)) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> dict[str, list[Any]]:
        """Parse the lines; a mistake is named with its line."""
        requirements = []
        for number, line in enumerate((value or "").splitlines(), start=1):
            if line.strip():
                try:
                    requirements.append(parse_requirement(line))
                except forms.ValidationError as error:
                    raise forms.ValidationError(
                        _("Line %(number)d: %(problem)s"),
                        code=error.code,
                        params={"number": number, "problem": " ".join(error.messages)},
                    ) from None
        return merge_requirements(requirements)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what the lines mean."""
        try:
            return list(requirement_lines(initial or {})) != list(requirement_lines(self.to_python(data)))
        except forms.ValidationError:
            return True
