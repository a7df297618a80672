import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0005_dpop"),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BlockedInstance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("client_id", models.CharField(max_length=255, verbose_name="client ID")),
                (
                    "thumbprint",
                    models.CharField(
                        db_index=True,
                        help_text="RFC 7638, SHA-256, base64url.",
                        max_length=43,
                        verbose_name="thumbprint",
                    ),
                ),
                ("blocked", models.DateTimeField(verbose_name="blocked")),
            ],
            options={
                "verbose_name": "blocked instance",
                "verbose_name_plural": "blocked instances",
                "constraints": (
                    models.UniqueConstraint(fields=("client_id", "thumbprint"), name="client_attestation_block_once"),
                ),
            },
        ),
        migrations.CreateModel(
            name="ClientRegistration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "method",
                    models.CharField(
                        blank=True,
                        help_text="By which its policy was made. Where that has other methods, an operator has "
                        "chosen them.",
                        max_length=40,
                        verbose_name="method",
                    ),
                ),
                (
                    "attestation_algorithms",
                    models.JSONField(blank=True, null=True, verbose_name="attestation algorithms"),
                ),
                ("pop_algorithms", models.JSONField(blank=True, null=True, verbose_name="proof algorithms")),
                ("pop_methods", models.JSONField(blank=True, null=True, verbose_name="ways to prove possession")),
                (
                    "software_id",
                    models.CharField(
                        blank=True,
                        help_text="What the attestation of the registration was for. Empty: the registration was not "
                        "attested.",
                        max_length=255,
                        verbose_name="software ID",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="client_attestation_registration",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
                (
                    "attester",
                    models.ForeignKey(
                        blank=True,
                        help_text="Who attested the registration.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "client registration",
                "verbose_name_plural": "client registrations",
            },
        ),
    ]
