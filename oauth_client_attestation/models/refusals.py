"""Recent refusals, for people who are asked why a client was refused."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .attesters import Attester


class Refusal(models.Model):
    """That a request was refused, when, where and for which reason. Never a token, a key or a claim.

    ``attester`` and ``thumbprint`` are set only where the attestation's signature was verified.
    """

    time = models.DateTimeField(_("time"), db_index=True)
    reason = models.CharField(_("reason"), max_length=64)
    endpoint = models.CharField(_("endpoint"), max_length=128)
    application = models.ForeignKey(
        oauth2_settings.APPLICATION_MODEL,
        models.CASCADE,
        related_name="+",
        null=True,
        verbose_name=_("application"),
    )
    attester = models.ForeignKey(
        Attester, models.CASCADE, related_name="refusals", null=True, verbose_name=_("attester")
    )
    thumbprint = models.CharField(_("thumbprint"), max_length=43, blank=True, db_index=True)

    class Meta:
        verbose_name = _("refusal")
        verbose_name_plural = _("recent refusals")
        ordering = ("-time", "-pk")
        permissions = (("check_attestation", _("Can check an attestation")),)

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.reason}"
