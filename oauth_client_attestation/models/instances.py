"""Client instances that hold something bound to their key (rules B1, B3, B4)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .attesters import Attester


class ClientInstance(models.Model):
    """An instance of an application: one key, which attesters vouch for.

    The row exists once something is bound to the instance, or once it is blocked. It stays as long as one of
    them lasts: bindings refer to it with ``RESTRICT``, so that no deletion of a row here sets a token free. When
    its application is deleted, it goes with the tokens.

    ``first_seen`` and ``last_seen`` are days in UTC, empty where ``RECORD_INSTANCE_TIMES`` is off.
    """

    application = models.ForeignKey(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+", verbose_name=_("application")
    )
    thumbprint = models.CharField(_("thumbprint"), max_length=43, help_text=_("RFC 7638, SHA-256, base64url."))
    attester = models.ForeignKey(
        Attester,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("attester"),
        help_text=_("Who vouched for it when it was first given something."),
    )
    first_seen = models.DateField(_("first seen"), null=True, blank=True)
    last_seen = models.DateField(_("last seen"), null=True, blank=True, db_index=True)
    blocked = models.DateTimeField(
        _("blocked"), null=True, blank=True, help_text=_("Since when it is refused at every endpoint.")
    )

    class Meta:
        verbose_name = _("client instance")
        verbose_name_plural = _("client instances")
        constraints = (
            # The thumbprint first: people look for one without knowing the application.
            models.UniqueConstraint(fields=("thumbprint", "application"), name="client_instance_once"),
        )

    def __str__(self) -> str:
        # No thumbprint: the admin's log keeps what this returns, and outlives the row.
        return f"#{self.pk}"
