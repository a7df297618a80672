"""Attestations beside another client authentication, and what a remote token belongs to (rules S)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings


class AttestationSignalPolicy(models.Model):
    """That an application, which authenticates in another way, may or must send an attestation as well (rule S1).

    Without a row, the setting ``ATTESTATION_SIGNAL`` decides. An application with an attestation policy
    authenticates by attestation, and needs no row.
    """

    class Use(models.TextChoices):
        """Whether a request may do without."""

        OPTIONAL = "optional", _("optional")
        REQUIRED = "required", _("required")

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="client_attestation_signal",
        verbose_name=_("application"),
    )
    use = models.CharField(
        _("use"),
        max_length=8,
        choices=Use.choices,
        default=Use.REQUIRED,
        help_text=_("Required: a request without an attestation is refused, and what is issued is bound."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("attestation signal policy")
        verbose_name_plural = _("attestation signal policies")

    def __str__(self) -> str:
        return str(self.application)

    def clean(self) -> None:
        """Refuse an application of which this cannot be said for good.

        One that is known by its metadata document: its row is pruned and made again, without the policy. And, where
        attestations are required, one that is given tokens at the authorization endpoint, where none can be sent.
        """
        super().clean()
        application = getattr(self, "application", None)
        if getattr(application, "cimd_expires_at", None) is not None:
            message = _(
                "An application that registered itself by a client ID metadata document cannot have an attestation "
                "signal policy. Register the client yourself, or use the settings."
            )
            raise ValidationError({"application": ValidationError(message, code="metadata_document")})
        if (
            application is not None
            and self.use == self.Use.REQUIRED
            and application.authorization_grant_type in (application.GRANT_IMPLICIT, application.GRANT_OPENID_HYBRID)
        ):
            message = _(
                "An application with the implicit or the hybrid grant is given tokens at the authorization endpoint, "
                "where no attestation can be sent, so attestations cannot be required of it."
            )
            raise ValidationError({"application": ValidationError(message, code="front_channel_tokens")})


class IntrospectedToken(models.Model):
    """Which client the access token of another authorization server was issued to (RFC 7662 section 2.2)."""

    access_token = models.OneToOneField(
        oauth2_settings.ACCESS_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="client_attestation_introspected",
        verbose_name=_("access token"),
    )
    client_id = models.CharField(_("client ID"), max_length=255)

    class Meta:
        default_permissions = ()
        verbose_name = _("introspected token")
        verbose_name_plural = _("introspected tokens")

    def __str__(self) -> str:
        return str(self.pk)
