"""What was given to one client instance and may be used by no other (rules B1, B3, B4).

A binding is written in the transaction that issues what it binds, never changed, and deleted with it.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .instances import ClientInstance


class Binding(models.Model):
    """The instance that something belongs to."""

    # RESTRICT and not CASCADE: with its binding gone, what was bound would be free. RESTRICT and not PROTECT:
    # deleting an application deletes instances, tokens and, through the tokens, the bindings.
    instance = models.ForeignKey(ClientInstance, models.RESTRICT, related_name="+", verbose_name=_("client instance"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.instance)


class RefreshTokenBinding(Binding):
    """The instance that a refresh token was issued to (rule B1)."""

    refresh_token = models.OneToOneField(
        oauth2_settings.REFRESH_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="client_attestation_binding",
        verbose_name=_("refresh token"),
    )

    class Meta:
        verbose_name = _("binding of a refresh token")
        verbose_name_plural = _("bindings of refresh tokens")


class AccessTokenBinding(Binding):
    """The instance that an access token was issued to, so that it can be revoked with the instance."""

    access_token = models.OneToOneField(
        oauth2_settings.ACCESS_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="client_attestation_binding",
        verbose_name=_("access token"),
    )

    class Meta:
        verbose_name = _("binding of an access token")
        verbose_name_plural = _("bindings of access tokens")


class IdTokenBinding(Binding):
    """The instance that an ID token was issued to, so that it can be revoked with the instance.

    django-oauth-toolkit takes an ID token for an access token wherever it asks for one.
    """

    id_token = models.OneToOneField(
        oauth2_settings.ID_TOKEN_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="client_attestation_binding",
        verbose_name=_("ID token"),
    )

    class Meta:
        verbose_name = _("binding of an ID token")
        verbose_name_plural = _("bindings of ID tokens")


class AuthorizationCodeBinding(Binding):
    """The instance that pushed the authorization request of a code (rule B3)."""

    code = models.OneToOneField(
        oauth2_settings.GRANT_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="client_attestation_binding",
        verbose_name=_("authorization code"),
    )

    class Meta:
        verbose_name = _("binding of an authorization code")
        verbose_name_plural = _("bindings of authorization codes")


class DeviceCodeBinding(Binding):
    """The instance that asked for a device code (rule B4).

    The code's own row is made by django-oauth-toolkit after the response, so the binding refers to it by digest.
    ``valid_until`` is in whole seconds since the epoch: the code cannot be redeemed after it, and
    ``clearattestations`` deletes the row.
    """

    digest = models.CharField(
        _("digest"), max_length=43, primary_key=True, help_text=_("SHA-256 of the device code, base64url.")
    )
    # For its cascade: the row of the device code does not refer to the application either.
    application = models.ForeignKey(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+", verbose_name=_("application")
    )
    valid_until = models.BigIntegerField(_("valid until"), db_index=True)
    revoked = models.BooleanField(_("revoked"), default=False)

    class Meta:
        verbose_name = _("binding of a device code")
        verbose_name_plural = _("bindings of device codes")
