from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class ClientAttestationConfig(AppConfig):
    name = "oauth_client_attestation"
    verbose_name = _("OAuth client attestation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing registers them)
        from .conf import app_settings
        from .par import checks as par_checks  # noqa: F401  (as above)
        from .par import logins  # noqa: F401  (importing connects it)
        from .registration import checks as registration_checks  # noqa: F401  (as above)
        from .registration import documents
        from .resource import checks as resource_checks  # noqa: F401  (as above)

        if apps.is_installed("drf_spectacular"):
            from .contrib.rest_framework import openapi  # noqa: F401  (as above)

        app_settings.follow_setting_changes()
        documents.connect()
