"""The tests' settings with the tokens, and what is bound to them, in a database of their own."""

from typing import Any

from tests.settings import *  # noqa: F403  (settings build on settings)
from tests.settings import BASE_DIR

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "default.sqlite3"},
    "tokens": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "tokens.sqlite3"},
}
DATABASE_ROUTERS = ["tests.two_databases.TokensApart"]
TOKEN_APPS = {"oauth2_provider", "oauth_client_attestation"}


class TokensApart:
    """Both databases have every table, and the apps that must stay together write to one of them."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "tokens" if model._meta.app_label in TOKEN_APPS else "default"

    db_for_write = db_for_read

    def allow_relation(self, *objects: Any, **hints: Any) -> bool:
        return True
