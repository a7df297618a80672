"""The key that a token or a code is bound to, whoever the client is (rules D6, D7; RFC 9449 sections 5, 6 and 10).

A confirmation (RFC 7800) is written in the transaction that issues what it confirms, and deleted with it. While
there is one, what it confirms is good only together with a DPoP proof by that key.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings


class Confirmation(models.Model):
    """The thumbprint (``jkt``) of the key that something is bound to."""

    thumbprint = models.CharField(_("thumbprint"), max_length=43, help_text=_("RFC 7638, SHA-256, base64url."))

    class Meta:
        abstract = True
        # Nobody is given the right to delete one: a bound token would be a bearer token.
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(self.pk)


class AccessTokenConfirmation(Confirmation):
    """The key that an access token is bound to: as a bearer token it is refused (D6)."""

    access_token = models.OneToOneField(
        oauth2_settings.ACCESS_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="dpop_confirmation",
        verbose_name=_("access token"),
    )

    class Meta(Confirmation.Meta):
        verbose_name = _("confirmation of an access token")
        verbose_name_plural = _("confirmations of access tokens")


class RefreshTokenConfirmation(Confirmation):
    """The key that a public client's refresh token is bound to (RFC 9449 section 5)."""

    refresh_token = models.OneToOneField(
        oauth2_settings.REFRESH_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="dpop_confirmation",
        verbose_name=_("refresh token"),
    )

    class Meta(Confirmation.Meta):
        verbose_name = _("confirmation of a refresh token")
        verbose_name_plural = _("confirmations of refresh tokens")


class IdTokenConfirmation(Confirmation):
    """The key that was proven when an ID token was issued.

    django-oauth-toolkit takes an ID token for an access token wherever it asks for one, so one that was issued along
    with a bound access token would be a way around the binding.
    """

    id_token = models.OneToOneField(
        oauth2_settings.ID_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="dpop_confirmation",
        verbose_name=_("ID token"),
    )

    class Meta(Confirmation.Meta):
        verbose_name = _("confirmation of an ID token")
        verbose_name_plural = _("confirmations of ID tokens")


class AuthorizationCodeConfirmation(Confirmation):
    """The key that has to redeem an authorization code (D7; RFC 9449 section 10)."""

    code = models.OneToOneField(
        oauth2_settings.GRANT_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="dpop_confirmation",
        verbose_name=_("authorization code"),
    )

    class Meta(Confirmation.Meta):
        verbose_name = _("confirmation of an authorization code")
        verbose_name_plural = _("confirmations of authorization codes")


class DpopPolicy(models.Model):
    """That an application may use DPoP, or must (RFC 9449 section 5.2, ``dpop_bound_access_tokens``).

    A table of its own, because it can be said of an application whether it is attested or not. Without a row, the
    settings ``DPOP`` and ``REQUIRE_DPOP`` decide.
    """

    class Use(models.TextChoices):
        """What a token request without a DPoP proof gets."""

        ALLOWED = "allowed", _("allowed")
        REQUIRED = "required", _("required")

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="dpop_policy",
        verbose_name=_("application"),
    )
    use = models.CharField(
        _("use"),
        max_length=8,
        choices=Use.choices,
        default=Use.REQUIRED,
        help_text=_("Required: no token is issued without a DPoP proof."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("DPoP policy")
        verbose_name_plural = _("DPoP policies")

    def __str__(self) -> str:
        return str(self.application)

    def clean(self) -> None:
        """Refuse an application of which this cannot be said for good.

        One that is known by its metadata document: its row is pruned and made again, without the policy. And, where
        proofs are required, one that is given tokens at the authorization endpoint, where none can be sent.
        """
        super().clean()
        application = getattr(self, "application", None)
        if getattr(application, "cimd_expires_at", None) is not None:
            message = _(
                "An application that registered itself by a client ID metadata document cannot have a DPoP policy. "
                "Register the client yourself, or use the settings."
            )
            raise ValidationError({"application": ValidationError(message, code="metadata_document")})
        if (
            application is not None
            and self.use == self.Use.REQUIRED
            and application.authorization_grant_type in (application.GRANT_IMPLICIT, application.GRANT_OPENID_HYBRID)
        ):
            message = _(
                "An application with the implicit or the hybrid grant is given tokens at the authorization endpoint, "
                "where no DPoP proof can be sent, so DPoP cannot be required of it."
            )
            raise ValidationError({"application": ValidationError(message, code="front_channel_tokens")})
