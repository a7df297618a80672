"""System checks: whoever may register for attestation can."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from oauth2_provider.settings import oauth2_settings

from ..conf import app_settings


@checks.register(checks.Tags.urls)
def check_registration(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Where clients can register, they can register for attestation."""
    from .views import AttestedManagementMixin, AttestedRegistrationMixin

    if not getattr(settings, "ROOT_URLCONF", None) or not oauth2_settings.DCR_ENABLED:
        return []
    served: tuple[tuple[str, dict[str, str], type], ...] = (
        ("oauth2_provider:dcr-register", {}, AttestedRegistrationMixin),
        ("oauth2_provider:dcr-register-management", {"client_id": "client"}, AttestedManagementMixin),
    )
    if all(_is_served_by(mixin, name, arguments) for name, arguments, mixin in served):
        return []
    return [
        checks.Warning(
            "Clients can register, but not for attestation: django-oauth-toolkit refuses the methods.",
            hint='Put path("…/", include("oauth_client_attestation.registration_urls")) with the same prefix before '
            "django-oauth-toolkit's URLs, or use the mixins of oauth_client_attestation.registration.views in your own "
            "views.",
            id="oauth_client_attestation.W006",
        )
    ]


@checks.register(checks.Tags.security)
def check_documents(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Where attesters are named for clients that are known by their documents, these documents are understood."""
    from .documents import AttestedDocumentMixin

    try:
        named = app_settings.metadata_document_attesters
    except ImproperlyConfigured:  # which another check reports
        return []
    fetcher = oauth2_settings.CIMD_METADATA_FETCHER
    understood = isinstance(fetcher, type) and issubclass(fetcher, AttestedDocumentMixin)
    if not named or not oauth2_settings.CIMD_ENABLED or understood:
        return []
    return [
        checks.Warning(
            "METADATA_DOCUMENT_ATTESTERS names attesters, but documents that ask for attestation are refused.",
            hint='Set OAUTH2_PROVIDER["CIMD_METADATA_FETCHER"] to '
            '"oauth_client_attestation.registration.documents.AttestedDocumentFetcher".',
            id="oauth_client_attestation.W007",
        )
    ]


def _is_served_by(mixin: type, name: str, arguments: dict[str, str]) -> bool:
    """Whether the view of that name is one of ours; nobody misses a view that is not there."""
    try:
        view_class = getattr(resolve(reverse(name, kwargs=arguments)).func, "view_class", None)
    except (NoReverseMatch, Resolver404):
        return True
    return isinstance(view_class, type) and issubclass(view_class, mixin)
