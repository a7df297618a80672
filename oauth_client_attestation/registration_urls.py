"""Dynamic registration and its management, for wherever django-oauth-toolkit is mounted.

``path("o/", include("oauth_client_attestation.registration_urls"))``, before django-oauth-toolkit's own line for
``o/``: the paths are those that django-oauth-toolkit gives its views, and its switch ``DCR_ENABLED`` is theirs.
"""

from django.urls import path

from .registration.views import AttestedManagementView, AttestedRegistrationView

app_name = "oauth_client_attestation_registration"

# The names are for the log: django-oauth-toolkit's still reverse to these paths.
urlpatterns = [
    path("register/", AttestedRegistrationView.as_view(), name="register"),
    path("register/<str:client_id>/", AttestedManagementView.as_view(), name="manage"),
]
