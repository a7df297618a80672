"""The challenges of this site's authorization server: the core's, keyed with Django's secrets (rules C)."""

from __future__ import annotations

import time
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import salted_hmac

from .conf import app_settings
from .core.challenge import Challenges

_SALT = "oauth_client_attestation.challenge"


def authorization_server_challenges(issuer: str) -> Challenges:
    """Return the challenges of the authorization server with that issuer.

    Every process with the same ``SECRET_KEY`` accepts them; one signed with a secret that has moved to
    ``SECRET_KEY_FALLBACKS`` is still good (C4).
    """
    return _challenges(
        f"as {issuer}",
        app_settings.challenge_lifetime,
        (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS),
    )


def fresh_challenge() -> str | None:
    """Return a new challenge of the authorization server, or None while it has no issuer."""
    issuer = app_settings.issuer
    return None if issuer is None else authorization_server_challenges(issuer).issue(time.time())


@lru_cache(maxsize=8)
def _challenges(context: str, lifetime: int, secrets: tuple[str, ...]) -> Challenges:
    keys = tuple(salted_hmac(_SALT, "signing key", secret=secret, algorithm="sha256").digest() for secret in secrets)
    return Challenges(keys, context, lifetime)
