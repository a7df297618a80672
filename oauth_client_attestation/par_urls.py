"""Pushed authorization requests, for wherever django-oauth-toolkit is mounted.

``path("o/", include("oauth_client_attestation.par_urls"))``, before django-oauth-toolkit's own line for ``o/``: the
authorization endpoint is here as well, under the path that django-oauth-toolkit gives it. Where django-oauth-toolkit
has pushed authorization requests of its own, there is nothing here.
"""

from django.urls import path

from .par.authorization import PushedAuthorizationView
from .par.endpoint import PushedAuthorizationRequestView
from .par.routes import host_has_par

app_name = "oauth_client_attestation_par"

urlpatterns = (
    []
    if host_has_par()
    else [
        path("par/", PushedAuthorizationRequestView.as_view(), name="pushed-authorization-request"),
        # No name: django-oauth-toolkit's still reverses to this path.
        path("authorize/", PushedAuthorizationView.as_view()),
    ]
)
