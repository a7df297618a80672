import django.core.validators
import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings

import oauth_client_attestation.models


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0001_initial"),
        # Not a settings attribute: a site that does not swap the model does not set it.
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="attestationpolicy",
            name="oldest_revision",
            field=models.PositiveSmallIntegerField(
                blank=True,
                choices=[
                    (5, "-05"),
                    (6, "-06"),
                    (7, "-07"),
                    (8, "-08"),
                    (9, "-09"),
                    (10, "-10"),
                    (11, "-11"),
                    (12, "-12"),
                ],
                help_text="The oldest revision of the draft whose shapes are accepted. Empty: as the server says.",
                null=True,
                verbose_name="oldest revision",
            ),
        ),
        migrations.AddField(
            model_name="attester",
            name="fetch_attempted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last fetch"),
        ),
        migrations.AddField(
            model_name="attester",
            name="fetch_outcome",
            field=models.CharField(blank=True, editable=False, max_length=32, verbose_name="outcome of the last fetch"),
        ),
        migrations.AddField(
            model_name="attester",
            name="fetched_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last good fetch"),
        ),
        migrations.AddField(
            model_name="attester",
            name="jwks_uri",
            field=models.CharField(
                blank=True,
                help_text="Where its public keys are fetched from. Plain http is accepted for allowed private hosts only.",
                max_length=2048,
                validators=[oauth_client_attestation.models.validate_jwks_uri],
                verbose_name="JWK Set URL",
            ),
        ),
        migrations.AddField(
            model_name="attester",
            name="last_accepted",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last accepted"),
        ),
        migrations.AddField(
            model_name="attester",
            name="max_age",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Seconds since “iat” after which its attestations are no longer fresh. Empty: as the server says.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(316224000),
                ],
                verbose_name="maximum age",
            ),
        ),
        migrations.AddField(
            model_name="attester",
            name="required_claims",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="Claims its attestations must have, each with the values allowed; an empty list allows any value.",
                validators=[oauth_client_attestation.models.validate_required_claims],
                verbose_name="required claims",
            ),
        ),
        migrations.AlterField(
            model_name="attester",
            name="issuer",
            field=models.CharField(
                blank=True,
                help_text="What “iss” must equal in attestations that have one (revisions up to -07). Empty: not compared.",
                max_length=2048,
                validators=[oauth_client_attestation.models.validate_issuer],
                verbose_name="issuer",
            ),
        ),
        migrations.AlterField(
            model_name="attester",
            name="name",
            field=models.CharField(
                help_text="For people: it appears in lists and in the log.",
                max_length=100,
                unique=True,
                validators=[oauth_client_attestation.models.validate_name],
                verbose_name="name",
            ),
        ),
        migrations.AddField(
            model_name="attesterkey",
            name="enabled",
            field=models.BooleanField(
                default=True,
                help_text="With a disabled key nothing is verified from the next request on.",
                verbose_name="enabled",
            ),
        ),
        migrations.AddField(
            model_name="attesterkey",
            name="fetched_from",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="Empty: entered. It counts only while the attester has this URL.",
                max_length=2048,
                verbose_name="fetched from",
            ),
        ),
        migrations.AddField(
            model_name="attesterkey",
            name="not_after",
            field=models.DateTimeField(blank=True, null=True, verbose_name="valid until"),
        ),
        migrations.AddField(
            model_name="attesterkey",
            name="not_before",
            field=models.DateTimeField(blank=True, null=True, verbose_name="valid from"),
        ),
        migrations.CreateModel(
            name="Refusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("time", models.DateTimeField(db_index=True, verbose_name="time")),
                ("reason", models.CharField(max_length=64, verbose_name="reason")),
                ("endpoint", models.CharField(max_length=128, verbose_name="endpoint")),
                ("thumbprint", models.CharField(blank=True, db_index=True, max_length=43, verbose_name="thumbprint")),
                (
                    "application",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
                (
                    "attester",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refusals",
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "refusal",
                "verbose_name_plural": "recent refusals",
                "ordering": ("-time", "-pk"),
                "permissions": (("check_attestation", "Can check an attestation"),),
            },
        ),
        migrations.CreateModel(
            name="TrustAnchor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "fingerprint",
                    models.CharField(
                        help_text="SHA-256 of the certificate, base64url.", max_length=43, verbose_name="fingerprint"
                    ),
                ),
                ("certificate", models.TextField(verbose_name="certificate")),
                ("subject", models.TextField(verbose_name="subject")),
                ("subject_digest", models.CharField(db_index=True, editable=False, max_length=43)),
                ("key_type", models.CharField(max_length=32, verbose_name="key type")),
                ("not_before", models.DateTimeField(verbose_name="valid from")),
                ("not_after", models.DateTimeField(verbose_name="valid until")),
                (
                    "enabled",
                    models.BooleanField(
                        default=True,
                        help_text="Under a disabled anchor nothing is believed from the next request on.",
                        verbose_name="enabled",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "attester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="trust_anchors",
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "trust anchor",
                "verbose_name_plural": "trust anchors",
                "ordering": ("attester", "pk"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("attester", "fingerprint"), name="client_attester_trust_anchor_once"
                    )
                ],
            },
        ),
    ]
