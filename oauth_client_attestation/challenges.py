"""Challenges and DPoP nonces of this site: the core's challenges, keyed with Django's secrets (rules C, D5)."""

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


def resource_challenges() -> Challenges:
    """Return the challenges of this site's resources, all of them: each proof says for which it is (P4, C4)."""
    return _challenges(
        "rs",
        app_settings.challenge_lifetime,
        (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS),
    )


def fresh_resource_challenge() -> str:
    """Return a new challenge for proofs that are sent to a resource."""
    return resource_challenges().issue(time.time())


def dpop_nonces() -> Challenges:
    """Return the DPoP nonces of this deployment (RFC 9449 sections 8 and 9).

    Authorization server and resources of one deployment share them: a client keeps one nonce for each origin, and the
    target URI in each proof says already where it is good.
    """
    return _challenges(
        "dpop",
        app_settings.challenge_lifetime,
        (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS),
    )


def uses_dpop_nonces() -> bool:
    """Whether any proof that this server accepts may need a nonce of it."""
    uses = {app_settings.dpop_nonce, app_settings.resource_dpop_nonce}
    return app_settings.dpop != "off" and uses != {"off"}


def fresh_dpop_nonce() -> str:
    """Return a new DPoP nonce."""
    return dpop_nonces().issue(time.time())


@lru_cache(maxsize=8)
def _challenges(context: str, lifetime: int, secrets: tuple[str, ...]) -> Challenges:
    keys = tuple(salted_hmac(_SALT, "signing key", secret=secret, algorithm="sha256").digest() for secret in secrets)
    return Challenges(keys, context, lifetime)
