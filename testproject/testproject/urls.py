from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from testproject import attested, resources
from testproject.api import hello

urlpatterns = [
    # Ahead of DOT's: both serve the metadata documents, the authorization endpoint and the registration endpoint, and
    # the first match answers.
    path("", include("oauth_client_attestation.urls")),
    path("o/", include("oauth_client_attestation.metadata_urls")),
    path("o/", include("oauth_client_attestation.par_urls")),
    path("o/", include("oauth_client_attestation.registration_urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("api/hello", hello, name="hello"),
    path("api/view", csrf_exempt(resources.Protected.as_view())),
    path("api/view/scoped", csrf_exempt(resources.Scoped.as_view())),
    path("api/view/read-write", csrf_exempt(resources.ReadWrite.as_view())),
    path("api/view/metadata", csrf_exempt(resources.WithMetadata.as_view())),
    path("api/rest-framework", resources.RestFramework.as_view()),
    path("api/rest-framework/metadata", resources.RestFrameworkWithMetadata.as_view()),
    path("api/rest-framework/anyone", resources.RestFrameworkForAnyone.as_view()),
    path("api/decorated", csrf_exempt(resources.decorated)),
    path("api/decorated/metadata", csrf_exempt(resources.decorated_with_metadata)),
    path("api/decorated/read-write", csrf_exempt(resources.decorated_read_write)),
    path("api/decorated/async", csrf_exempt(resources.decorated_async)),
    path("api/whoami", csrf_exempt(resources.whoami)),
    path("api/token", csrf_exempt(resources.whose_token)),
    path("api/attested", attested.RestFramework.as_view(), name="attested"),
    path("api/attested/optional", attested.RestFrameworkOptional.as_view()),
    path("api/attested/combined", attested.RestFrameworkCombined.as_view()),
    path("api/attested/vault", attested.RestFrameworkVault.as_view()),
    path("api/view/attested", csrf_exempt(attested.Protected.as_view())),
    path("api/view/attested/optional", csrf_exempt(attested.Optional.as_view())),
    path("api/view/attested/combined", csrf_exempt(attested.Combined.as_view())),
    path("api/view/attested/vault", csrf_exempt(attested.Vault.as_view())),
    path("api/decorated/attested", csrf_exempt(attested.decorated)),
    path("api/decorated/attested/optional", csrf_exempt(attested.decorated_optional)),
    path("api/decorated/attested/combined", csrf_exempt(attested.decorated_combined)),
    path("api/decorated/attested/vault", csrf_exempt(attested.decorated_vault)),
    path("api/decorated/attested/async", csrf_exempt(attested.decorated_async)),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
]
