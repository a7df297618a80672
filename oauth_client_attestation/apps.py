from django.apps import AppConfig
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

        app_settings.follow_setting_changes()
