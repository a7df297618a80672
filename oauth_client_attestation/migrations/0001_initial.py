import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings

import oauth_client_attestation.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        # Not a settings attribute: a site that does not swap the model does not set it.
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Attester",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="For people: it appears in lists and in the log.",
                        max_length=100,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                (
                    "enabled",
                    models.BooleanField(
                        default=True,
                        help_text="A disabled attester is believed by nobody from the next request on.",
                        verbose_name="enabled",
                    ),
                ),
                (
                    "issuer",
                    models.CharField(
                        blank=True,
                        help_text="What “iss” must equal in attestations that have one (revisions up to -07). Empty: not compared.",
                        max_length=2048,
                        verbose_name="issuer",
                    ),
                ),
                (
                    "algorithms",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="The signature algorithms this attester may use. None: all that the server accepts.",
                        validators=[oauth_client_attestation.models.validate_algorithms],
                        verbose_name="algorithms",
                    ),
                ),
                (
                    "all_applications",
                    models.BooleanField(
                        default=False,
                        help_text="It may vouch for instances of every application that requires attestation.",
                        verbose_name="trusted for all applications",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
            ],
            options={
                "verbose_name": "attester",
                "verbose_name_plural": "attesters",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="UsedProof",
            fields=[
                (
                    "proof_id",
                    models.CharField(max_length=43, primary_key=True, serialize=False, verbose_name="proof"),
                ),
                ("valid_until", models.BigIntegerField(db_index=True, verbose_name="valid until")),
            ],
            options={
                "verbose_name": "used proof",
                "verbose_name_plural": "used proofs",
            },
        ),
        migrations.CreateModel(
            name="AttestationPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "methods",
                    models.JSONField(
                        default=oauth_client_attestation.models.default_methods,
                        help_text="How an instance may prove possession of its key.",
                        validators=[oauth_client_attestation.models.validate_methods],
                        verbose_name="methods",
                    ),
                ),
                (
                    "challenge",
                    models.CharField(
                        choices=[("required", "required"), ("optional", "optional")],
                        default="required",
                        help_text="Make it optional only for clients that cannot answer challenges.",
                        max_length=8,
                        verbose_name="challenge",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="client_attestation_policy",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
            ],
            options={
                "verbose_name": "attestation policy",
                "verbose_name_plural": "attestation policies",
            },
        ),
        migrations.CreateModel(
            name="AttesterApplication",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
                (
                    "attester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "trusted application",
                "verbose_name_plural": "trusted applications",
            },
        ),
        migrations.AddField(
            model_name="attester",
            name="applications",
            field=models.ManyToManyField(
                blank=True,
                help_text="The applications whose instances it may vouch for.",
                related_name="client_attesters",
                through="oauth_client_attestation.AttesterApplication",
                to=oauth2_settings.APPLICATION_MODEL,
                verbose_name="applications",
            ),
        ),
        migrations.CreateModel(
            name="AttesterKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "key_id",
                    models.CharField(blank=True, db_index=True, max_length=255, verbose_name="key ID"),
                ),
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                ("jwk", models.JSONField(verbose_name="JWK")),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "attester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "attester key",
                "verbose_name_plural": "attester keys",
                "ordering": ("attester", "pk"),
            },
        ),
        migrations.AddConstraint(
            model_name="attesterapplication",
            constraint=models.UniqueConstraint(
                fields=("application", "attester"), name="client_attester_application_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="attesterkey",
            constraint=models.UniqueConstraint(fields=("attester", "thumbprint"), name="client_attester_key_once"),
        ),
    ]
