"""The metadata documents, for the root and for wherever django-oauth-toolkit is mounted.

``oauth_client_attestation.urls`` brings them to the root. A site that mounts django-oauth-toolkit under a prefix
also serves its documents there, so it puts ``path("o/", include("oauth_client_attestation.metadata_urls"))``
before django-oauth-toolkit's own line for ``o/``.
"""

from django.urls import path, re_path

from .metadata import (
    AttestationDiscoveryView,
    AttestationResourceMetadataView,
    AttestationServerMetadataView,
)

# No names: django-oauth-toolkit's still reverse to these paths.
urlpatterns = [
    path(".well-known/oauth-authorization-server", AttestationServerMetadataView.as_view()),
    path(".well-known/oauth-authorization-server/<path:issuer_path>", AttestationServerMetadataView.as_view()),
    path(".well-known/oauth-protected-resource", AttestationResourceMetadataView.as_view()),
    path(".well-known/oauth-protected-resource/<path:resource_path>", AttestationResourceMetadataView.as_view()),
    re_path(r"^\.well-known/openid-configuration/?$", AttestationDiscoveryView.as_view()),
]
