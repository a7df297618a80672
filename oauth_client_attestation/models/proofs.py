"""Proofs that were used (rule P8)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class UsedProof(models.Model):
    """A proof of possession that was accepted (rule P8): a digest of key and ``jti``, and until when it counts.

    ``valid_until`` is in whole seconds since the epoch; rows past it are deleted by ``clearattestations``.
    """

    proof_id = models.CharField(_("proof"), max_length=43, primary_key=True)
    valid_until = models.BigIntegerField(_("valid until"), db_index=True)

    class Meta:
        verbose_name = _("used proof")
        verbose_name_plural = _("used proofs")

    def __str__(self) -> str:
        return self.proof_id
