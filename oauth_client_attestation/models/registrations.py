"""Clients that registered themselves: what they said, and what must not be forgotten with them (rule K1)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .attesters import Attester


class ClientRegistration(models.Model):
    """What a client said of attestation when it registered itself (section 9), and who vouched for that.

    The three lists are advertisements of what the client is capable of. They are validated, kept and returned;
    what is accepted from it is decided by its policy and the settings. Null: the client did not say.
    """

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="client_attestation_registration",
        verbose_name=_("application"),
    )
    method = models.CharField(
        _("method"),
        max_length=40,
        blank=True,
        help_text=_("By which its policy was made. Where that has other methods, an operator has chosen them."),
    )
    attestation_algorithms = models.JSONField(_("attestation algorithms"), null=True, blank=True)
    pop_algorithms = models.JSONField(_("proof algorithms"), null=True, blank=True)
    pop_methods = models.JSONField(_("ways to prove possession"), null=True, blank=True)
    software_id = models.CharField(
        _("software ID"),
        max_length=255,
        blank=True,
        help_text=_("What the attestation of the registration was for. Empty: the registration was not attested."),
    )
    attester = models.ForeignKey(
        Attester,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("attester"),
        help_text=_("Who attested the registration."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("client registration")
        verbose_name_plural = _("client registrations")

    def __str__(self) -> str:
        return str(self.application)


class BlockedInstance(models.Model):
    """That an instance of a client that registered itself is blocked, while the client's row is away or has gone.

    The row of a client that is known by its metadata document is pruned and made again, any other can be deleted by
    whoever has the registration access token, and what refers to it goes with it; a block must not.
    """

    client_id = models.CharField(_("client ID"), max_length=255)
    thumbprint = models.CharField(
        _("thumbprint"), max_length=43, db_index=True, help_text=_("RFC 7638, SHA-256, base64url.")
    )
    blocked = models.DateTimeField(_("blocked"))

    class Meta:
        verbose_name = _("blocked instance")
        verbose_name_plural = _("blocked instances")
        constraints = (
            models.UniqueConstraint(fields=("client_id", "thumbprint"), name="client_attestation_block_once"),
        )

    def __str__(self) -> str:
        return f"#{self.pk}"
