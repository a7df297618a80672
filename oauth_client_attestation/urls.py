"""URLs to include before django-oauth-toolkit's: ``path("", include("oauth_client_attestation.urls"))``."""

from django.urls import include, path

from .views import ChallengeView, ResourceChallengeView

app_name = "oauth_client_attestation"

urlpatterns = [
    path("oauth-client-attestation/challenge", ChallengeView.as_view(), name="challenge"),
    path("oauth-client-attestation/resource-challenge", ResourceChallengeView.as_view(), name="resource-challenge"),
    path("", include("oauth_client_attestation.metadata_urls")),
]
