import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0004_pushed_requests"),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
        migrations.swappable_dependency(oauth2_settings.ACCESS_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.REFRESH_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.ID_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.GRANT_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DpopPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "use",
                    models.CharField(
                        choices=[("allowed", "allowed"), ("required", "required")],
                        default="required",
                        help_text="Required: no token is issued without a DPoP proof.",
                        max_length=8,
                        verbose_name="use",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "application",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dpop_policy",
                        to=oauth2_settings.APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
            ],
            options={"verbose_name": "DPoP policy", "verbose_name_plural": "DPoP policies"},
        ),
        migrations.CreateModel(
            name="AccessTokenConfirmation",
            fields=[
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                (
                    "access_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="dpop_confirmation",
                        serialize=False,
                        to=oauth2_settings.ACCESS_TOKEN_MODEL,
                        verbose_name="access token",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "confirmation of an access token",
                "verbose_name_plural": "confirmations of access tokens",
            },
        ),
        migrations.CreateModel(
            name="RefreshTokenConfirmation",
            fields=[
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                (
                    "refresh_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="dpop_confirmation",
                        serialize=False,
                        to=oauth2_settings.REFRESH_TOKEN_MODEL,
                        verbose_name="refresh token",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "confirmation of a refresh token",
                "verbose_name_plural": "confirmations of refresh tokens",
            },
        ),
        migrations.CreateModel(
            name="IdTokenConfirmation",
            fields=[
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                (
                    "id_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="dpop_confirmation",
                        serialize=False,
                        to=oauth2_settings.ID_TOKEN_MODEL,
                        verbose_name="ID token",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "confirmation of an ID token",
                "verbose_name_plural": "confirmations of ID tokens",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationCodeConfirmation",
            fields=[
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                (
                    "code",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="dpop_confirmation",
                        serialize=False,
                        to=oauth2_settings.GRANT_MODEL,
                        verbose_name="authorization code",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "verbose_name": "confirmation of an authorization code",
                "verbose_name_plural": "confirmations of authorization codes",
            },
        ),
    ]
