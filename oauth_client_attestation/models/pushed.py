"""Pushed authorization requests, and of whom they are required (RFC 9126)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .instances import ClientInstance


class PushedAuthorizationRequest(models.Model):
    """An authorization request that a client has pushed, and the instance that did (rule B3).

    Of the reference, only a digest is stored: who reads the table cannot open what is in it. ``parameters`` is a
    list of pairs, in which a name may be repeated, without credentials of the client; it is emptied when the
    request is used. ``valid_until`` is in whole seconds since the epoch: a browser must have arrived by then.
    """

    digest = models.CharField(
        _("digest"), max_length=43, primary_key=True, help_text=_("SHA-256 of the request_uri, base64url.")
    )
    application = models.ForeignKey(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+", verbose_name=_("application")
    )
    # CASCADE and not SET_NULL: without its instance, the code would be anybody's.
    instance = models.ForeignKey(
        ClientInstance, models.CASCADE, null=True, related_name="+", verbose_name=_("client instance")
    )
    parameters = models.JSONField(_("parameters"), default=list)
    valid_until = models.BigIntegerField(_("valid until"), db_index=True)
    used = models.BooleanField(_("used"), default=False)

    class Meta:
        verbose_name = _("pushed authorization request")
        verbose_name_plural = _("pushed authorization requests")

    def __str__(self) -> str:
        return self.digest


class PushedAuthorizationPolicy(models.Model):
    """That an application must push its authorization requests (RFC 9126 section 6).

    A table of its own, because it can be required of an application whether it is attested or not. While there
    is such a row, an authorization request that was not pushed is refused.
    """

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="pushed_authorization_policy",
        verbose_name=_("application"),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("pushed authorization policy")
        verbose_name_plural = _("pushed authorization policies")

    def __str__(self) -> str:
        return str(self.application)

    def clean(self) -> None:
        """Refuse an application that is known by its metadata document: its row is pruned and made again, without
        the policy."""
        super().clean()
        application = getattr(self, "application", None)
        if getattr(application, "cimd_expires_at", None) is not None:
            message = _(
                "An application that registered itself by a client ID metadata document cannot be required to push its "
                "requests. Register the client yourself."
            )
            raise ValidationError({"application": ValidationError(message, code="metadata_document")})
