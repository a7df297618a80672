"""Of whom pushed authorization requests are required (RFC 9126 sections 5 and 6)."""

from __future__ import annotations

from typing import Any

from oauth2_provider.settings import oauth2_settings

from ..conf import app_settings
from ..models import PushedAuthorizationPolicy
from .routes import host_has_par


def is_required(application: Any) -> bool:
    """Whether an application has to push its authorization requests here."""
    policies = PushedAuthorizationPolicy.objects.filter(application_id=application.pk)
    return app_settings.require_pushed_authorization_requests or policies.exists()


def host_requires(application: Any) -> bool:
    """Whether a host that has pushed authorization requests of its own requires them of an application."""
    return bool(
        getattr(application, "require_pushed_authorization_requests", False)
        or getattr(oauth2_settings, "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", False)
    )


def all_must_push(application: Any) -> bool:
    """Whether an application has to push, be there a policy of ours for it or not."""
    return host_requires(application) if host_has_par() else app_settings.require_pushed_authorization_requests
