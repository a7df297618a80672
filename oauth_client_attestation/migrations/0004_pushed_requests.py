import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0003_instances"),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PushedAuthorizationPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pushed_authorization_policy",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
            ],
            options={
                "verbose_name": "pushed authorization policy",
                "verbose_name_plural": "pushed authorization policies",
            },
        ),
        migrations.CreateModel(
            name="PushedAuthorizationRequest",
            fields=[
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 of the request_uri, base64url.",
                        max_length=43,
                        primary_key=True,
                        serialize=False,
                        verbose_name="digest",
                    ),
                ),
                ("parameters", models.JSONField(default=list, verbose_name="parameters")),
                ("valid_until", models.BigIntegerField(db_index=True, verbose_name="valid until")),
                ("used", models.BooleanField(default=False, verbose_name="used")),
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
                    "instance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "pushed authorization request",
                "verbose_name_plural": "pushed authorization requests",
            },
        ),
    ]
