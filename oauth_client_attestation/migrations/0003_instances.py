import django.db.models.deletion
from django.db import migrations, models
from oauth2_provider.settings import oauth2_settings


class Migration(migrations.Migration):
    dependencies = [
        ("oauth_client_attestation", "0002_trust"),
        migrations.swappable_dependency(oauth2_settings.APPLICATION_MODEL),
        migrations.swappable_dependency(oauth2_settings.ACCESS_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.REFRESH_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.ID_TOKEN_MODEL),
        migrations.swappable_dependency(oauth2_settings.GRANT_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ClientInstance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "thumbprint",
                    models.CharField(
                        help_text="RFC 7638, SHA-256, base64url.", max_length=43, verbose_name="thumbprint"
                    ),
                ),
                ("first_seen", models.DateField(blank=True, null=True, verbose_name="first seen")),
                ("last_seen", models.DateField(blank=True, db_index=True, null=True, verbose_name="last seen")),
                (
                    "blocked",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when it is refused at every endpoint.",
                        null=True,
                        verbose_name="blocked",
                    ),
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
                        blank=True,
                        help_text="Who vouched for it when it was first given something.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="oauth_client_attestation.attester",
                        verbose_name="attester",
                    ),
                ),
            ],
            options={
                "verbose_name": "client instance",
                "verbose_name_plural": "client instances",
            },
        ),
        migrations.CreateModel(
            name="AuthorizationCodeBinding",
            fields=[
                (
                    "code",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="client_attestation_binding",
                        serialize=False,
                        to=oauth2_settings.GRANT_MODEL,
                        verbose_name="authorization code",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding of an authorization code",
                "verbose_name_plural": "bindings of authorization codes",
            },
        ),
        migrations.CreateModel(
            name="AccessTokenBinding",
            fields=[
                (
                    "access_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="client_attestation_binding",
                        serialize=False,
                        to=oauth2_settings.ACCESS_TOKEN_MODEL,
                        verbose_name="access token",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding of an access token",
                "verbose_name_plural": "bindings of access tokens",
            },
        ),
        migrations.CreateModel(
            name="DeviceCodeBinding",
            fields=[
                (
                    "digest",
                    models.CharField(
                        help_text="SHA-256 of the device code, base64url.",
                        max_length=43,
                        primary_key=True,
                        serialize=False,
                        verbose_name="digest",
                    ),
                ),
                ("valid_until", models.BigIntegerField(db_index=True, verbose_name="valid until")),
                ("revoked", models.BooleanField(default=False, verbose_name="revoked")),
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
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding of a device code",
                "verbose_name_plural": "bindings of device codes",
            },
        ),
        migrations.CreateModel(
            name="IdTokenBinding",
            fields=[
                (
                    "id_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="client_attestation_binding",
                        serialize=False,
                        to=oauth2_settings.ID_TOKEN_MODEL,
                        verbose_name="ID token",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding of an ID token",
                "verbose_name_plural": "bindings of ID tokens",
            },
        ),
        migrations.CreateModel(
            name="RefreshTokenBinding",
            fields=[
                (
                    "refresh_token",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="client_attestation_binding",
                        serialize=False,
                        to=oauth2_settings.REFRESH_TOKEN_MODEL,
                        verbose_name="refresh token",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="oauth_client_attestation.clientinstance",
                        verbose_name="client instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding of a refresh token",
                "verbose_name_plural": "bindings of refresh tokens",
            },
        ),
        migrations.AddConstraint(
            model_name="clientinstance",
            constraint=models.UniqueConstraint(fields=("thumbprint", "application"), name="client_instance_once"),
        ),
    ]
