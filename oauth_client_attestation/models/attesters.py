"""Attesters, their keys, and the applications they may vouch for (rules T)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from .validators import (
    validate_algorithms,
    validate_issuer,
    validate_jwks_uri,
    validate_name,
    validate_required_claims,
)

MAX_ATTESTATION_AGE: Final = 10 * 366 * 86400


@dataclass(frozen=True, slots=True)
class NewClient:
    """Stands where an application's primary key does, for a client that is not registered yet.

    :ivar attesters: the names of those that may vouch for it. One that is trusted for all applications is not
        trusted for what is none.
    """

    attesters: tuple[str, ...]


class AttesterQuerySet(models.QuerySet["Attester"]):
    """Attesters, by whom they may speak for."""

    def trusted_for(self, application_id: Any) -> AttesterQuerySet:
        """Return the enabled attesters that are trusted for an application (rule T5).

        :param application_id: its primary key, or a :class:`NewClient`.
        """
        if isinstance(application_id, NewClient):
            return self.filter(name__in=application_id.attesters, enabled=True)
        linked = AttesterApplication.objects.filter(application_id=application_id).values("attester_id")
        return self.filter(models.Q(all_applications=True) | models.Q(pk__in=linked), enabled=True)


class Attester(models.Model):
    """A client's backend that vouches for instances (section 3), for whom it may speak and how far.

    Its keys come from what an operator enters (rule T1), from ``jwks_uri`` (T2), from certificates under its
    trust anchors (T3), or from a shared secret in the settings (T4).
    """

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        validators=[validate_name],
        help_text=_("For people: it appears in lists and in the log."),
    )
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_("A disabled attester is believed by nobody from the next request on."),
    )
    issuer = models.CharField(
        _("issuer"),
        max_length=2048,
        blank=True,
        validators=[validate_issuer],
        help_text=_("What “iss” must equal in attestations that have one (revisions up to -07). Empty: not compared."),
    )
    algorithms = models.JSONField(
        _("algorithms"),
        default=list,
        blank=True,
        validators=[validate_algorithms],
        help_text=_("The signature algorithms this attester may use. None: all that the server accepts."),
    )
    max_age = models.PositiveIntegerField(
        _("maximum age"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_ATTESTATION_AGE)],
        help_text=_("Seconds since “iat” after which its attestations are no longer fresh. Empty: as the server says."),
    )
    required_claims = models.JSONField(
        _("required claims"),
        default=dict,
        blank=True,
        validators=[validate_required_claims],
        help_text=_("Claims its attestations must have, each with the values allowed; an empty list allows any value."),
    )
    jwks_uri = models.CharField(
        _("JWK Set URL"),
        max_length=2048,
        blank=True,
        validators=[validate_jwks_uri],
        help_text=_("Where its public keys are fetched from. Plain http is accepted for allowed private hosts only."),
    )
    fetched_at = models.DateTimeField(_("last good fetch"), null=True, blank=True, editable=False)
    fetch_attempted_at = models.DateTimeField(_("last fetch"), null=True, blank=True, editable=False)
    fetch_outcome = models.CharField(_("outcome of the last fetch"), max_length=32, blank=True, editable=False)
    last_accepted = models.DateTimeField(_("last accepted"), null=True, blank=True, editable=False)
    all_applications = models.BooleanField(
        _("trusted for all applications"),
        default=False,
        help_text=_("It may vouch for instances of every application that requires attestation."),
    )
    applications = models.ManyToManyField(
        oauth2_settings.APPLICATION_MODEL,
        verbose_name=_("applications"),
        related_name="client_attesters",
        blank=True,
        through="AttesterApplication",
        help_text=_("The applications whose instances it may vouch for."),
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    objects = AttesterQuerySet.as_manager()

    class Meta:
        verbose_name = _("attester")
        verbose_name_plural = _("attesters")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class AttesterApplication(models.Model):
    """That an attester is trusted for an application (rule T5)."""

    attester = models.ForeignKey(Attester, models.CASCADE, verbose_name=_("attester"))
    application = models.ForeignKey(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+", verbose_name=_("application")
    )

    class Meta:
        verbose_name = _("trusted application")
        verbose_name_plural = _("trusted applications")
        constraints = (
            models.UniqueConstraint(fields=("application", "attester"), name="client_attester_application_once"),
        )

    def __str__(self) -> str:
        return f"{self.attester} → {self.application}"


class AttesterKey(models.Model):
    """A public key of an attester, entered (rule T1) or fetched (rule T2); written by the code that validated it.

    A fetched key that was disabled stays disabled however often it is fetched again.
    """

    attester = models.ForeignKey(Attester, models.CASCADE, related_name="keys", verbose_name=_("attester"))
    key_id = models.CharField(_("key ID"), max_length=255, blank=True, db_index=True)
    thumbprint = models.CharField(_("thumbprint"), max_length=43, help_text=_("RFC 7638, SHA-256, base64url."))
    jwk = models.JSONField(_("JWK"))
    fetched_from = models.CharField(
        _("fetched from"),
        max_length=2048,
        blank=True,
        editable=False,
        help_text=_("Empty: entered. It counts only while the attester has this URL."),
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("With a disabled key nothing is verified from the next request on.")
    )
    not_before = models.DateTimeField(_("valid from"), null=True, blank=True)
    not_after = models.DateTimeField(_("valid until"), null=True, blank=True)
    created = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("attester key")
        verbose_name_plural = _("attester keys")
        ordering = ("attester", "pk")
        constraints = (models.UniqueConstraint(fields=("attester", "thumbprint"), name="client_attester_key_once"),)

    def __str__(self) -> str:
        return self.key_id or self.thumbprint

    def clean(self) -> None:
        """Refuse a validity window that is never open."""
        super().clean()
        if self.not_before and self.not_after and self.not_after <= self.not_before:
            raise ValidationError({"not_after": ValidationError(_("This is not after “valid from”."), code="window")})


class TrustAnchor(models.Model):
    """A certificate under which an attester's certificates are believed (rule T3), as validated when entered."""

    attester = models.ForeignKey(Attester, models.CASCADE, related_name="trust_anchors", verbose_name=_("attester"))
    fingerprint = models.CharField(
        _("fingerprint"), max_length=43, help_text=_("SHA-256 of the certificate, base64url.")
    )
    certificate = models.TextField(_("certificate"))
    subject = models.TextField(_("subject"))
    # What a chain names it by. The text above is for people, and may come out otherwise with another release.
    subject_digest = models.CharField(max_length=43, db_index=True, editable=False)
    key_type = models.CharField(_("key type"), max_length=32)
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Under a disabled anchor nothing is believed from the next request on.")
    )
    created = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("trust anchor")
        verbose_name_plural = _("trust anchors")
        ordering = ("attester", "pk")
        constraints = (
            models.UniqueConstraint(fields=("attester", "fingerprint"), name="client_attester_trust_anchor_once"),
        )

    def __str__(self) -> str:
        return self.subject
