"""What a site demands of one application (rule B5)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from ..core import wire
from .registrations import ClientRegistration


def validate_methods(value: Any) -> None:
    """Refuse anything but a non-empty list of the client authentication methods of this package."""
    if not isinstance(value, list) or not value or not set(value) <= set(wire.METHODS):
        raise ValidationError(
            _("This must be a non-empty list out of: %(methods)s."),
            code="methods",
            params={"methods": ", ".join(wire.METHODS)},
        )


def default_methods() -> list[str]:
    """Return the methods of a new policy."""
    return list(wire.METHODS)


def _registered_itself(application: Any) -> bool:
    """Whether the application registered itself for attestation, so that its policy is made again with it."""
    if application.client_type != application.CLIENT_CONFIDENTIAL:
        return False
    return ClientRegistration.objects.filter(application=application).exists()


class AttestationPolicy(models.Model):
    """That an application authenticates by client attestation and in no other way (rule B5).

    While an application has such a row, no secret and no public access is accepted from it at any endpoint
    that authenticates clients. Delete the row to give it back its other methods.
    """

    class Challenge(models.TextChoices):
        """Whether a proof must answer a challenge of this server (rule P7)."""

        REQUIRED = "required", _("required")
        OPTIONAL = "optional", _("optional")

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="client_attestation_policy",
        verbose_name=_("application"),
    )
    methods = models.JSONField(
        _("methods"),
        default=default_methods,
        validators=[validate_methods],
        help_text=_("How an instance may prove possession of its key."),
    )
    challenge = models.CharField(
        _("challenge"),
        max_length=8,
        choices=Challenge.choices,
        default=Challenge.REQUIRED,
        help_text=_("Make it optional only for clients that cannot answer challenges."),
    )
    oldest_revision = models.PositiveSmallIntegerField(
        _("oldest revision"),
        null=True,
        blank=True,
        choices=[(number, f"-{number:02}") for number in range(wire.OLDEST_KNOWN_REVISION, wire.CURRENT_REVISION + 1)],
        help_text=_("The oldest revision of the draft whose shapes are accepted. Empty: as the server says."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("attestation policy")
        verbose_name_plural = _("attestation policies")

    def __str__(self) -> str:
        return str(self.application)

    def clean(self) -> None:
        """Refuse an application of which attestation cannot be required for good (B5).

        One whose grant issues tokens without authenticating the client, and one that is known by a metadata
        document that says otherwise: its row is pruned and made again, without the policy.
        """
        super().clean()
        application = getattr(self, "application", None)
        if getattr(application, "cimd_expires_at", None) is not None and not _registered_itself(application):
            raise ValidationError(
                {
                    "application": ValidationError(
                        _(
                            "An application that registered itself by a client ID metadata document can be required "
                            "to present an attestation by that document alone. Register the client yourself."
                        ),
                        code="metadata_document",
                    )
                }
            )
        if application is not None and application.authorization_grant_type in (
            application.GRANT_IMPLICIT,
            application.GRANT_OPENID_HYBRID,
        ):
            raise ValidationError(
                {
                    "application": ValidationError(
                        _(
                            "An application with the implicit or the hybrid grant is given tokens at the "
                            "authorization endpoint, where no client authenticates, so an attestation cannot be "
                            "required of it."
                        ),
                        code="front_channel_tokens",
                    )
                }
            )
