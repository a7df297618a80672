"""A site with an authorization view of its own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.urls import include, path
from oauth2_provider.forms import AllowForm
from oauth2_provider.views import AuthorizationView

from oauth_client_attestation.par.authorization import PushedAuthorizationMixin


class OwnForm(AllowForm):
    remember = forms.BooleanField(required=False)


class OwnView(PushedAuthorizationMixin, AuthorizationView):
    form_class = OwnForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "pushed": self.pushed is not None}

    def form_valid(self, form: Any) -> Any:
        response = super().form_valid(form)
        response.headers["X-Remember"] = str(form.cleaned_data["remember"])
        return response


urlpatterns = [
    path("", include("oauth_client_attestation.urls")),
    path("o/authorize/", OwnView.as_view()),
    path("o/", include("oauth_client_attestation.metadata_urls")),
    path("o/", include("oauth_client_attestation.par_urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("accounts/", include("django.contrib.auth.urls")),
]
