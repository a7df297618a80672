import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0006_registration"),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
        migrations.swappable_dependency(oauth2_settings.ACCESS_TOKEN_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AttestationSignalPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "use",
                    models.CharField(
                        choices=[("optional", "optional"), ("required", "required")],
                        default="required",
                        help_text="Required: a request without an attestation is refused, and what is issued is bound.",
                        max_length=8,
                        verbose_name="use",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="client_attestation_signal",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
            ],
            options={
                "verbose_name": "attestation signal policy",
                "verbose_name_plural": "attestation signal policies",
            },
        ),
        migrations.CreateModel(
            name="IntrospectedToken",
            fields=[
                (
                    "access_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="client_attestation_introspected",
                        serialize=False,
                        to=oauth2_settings.ACCESS_TOKEN_MODEL,
                        verbose_name="access token",
                    ),
                ),
                ("client_id", models.CharField(max_length=255, verbose_name="client ID")),
            ],
            options={
                "verbose_name": "introspected token",
                "verbose_name_plural": "introspected tokens",
                "default_permissions": (),
            },
        ),
    ]
