from django.contrib import admin
from django.urls import include, path

from testproject.api import hello

urlpatterns = [
    # Ahead of DOT's: both serve the metadata documents and the authorization endpoint, and the first match answers.
    path("", include("oauth_client_attestation.urls")),
    path("o/", include("oauth_client_attestation.metadata_urls")),
    path("o/", include("oauth_client_attestation.par_urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("api/hello", hello, name="hello"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
]
