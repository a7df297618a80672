"""A site whose authorization endpoint knows nothing of pushed requests, though clients can push."""

from django.urls import include, path
from oauth2_provider.views import AuthorizationView

urlpatterns = [
    path("", include("oauth_client_attestation.urls")),
    path("o/authorize/", AuthorizationView.as_view()),
    path("o/", include("oauth_client_attestation.metadata_urls")),
    path("o/", include("oauth_client_attestation.par_urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
