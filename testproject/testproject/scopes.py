"""Which scopes a client may have: clients that registered themselves do not look into the tokens of others."""

from typing import Any

from oauth2_provider.scopes import SettingsScopes


class Scopes(SettingsScopes):
    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        scopes = super().get_available_scopes(application, request, *args, **kwargs)
        if application is None or application.registration_source == application.RegistrationSource.MANUAL:
            return scopes
        return [scope for scope in scopes if scope != "introspection"]
