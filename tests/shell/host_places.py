"""A URLconf of a site that has not replaced the host's places: what the checks have to find, and what not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider import decorators as host
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import ProtectedResourceView
from rest_framework.decorators import api_view
from rest_framework.views import APIView

from oauth_client_attestation.oauth2.backends import AttestationOAuthLibCore
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator, AttestationValidatorMixin
from oauth_client_attestation.resource import decorators as ours


def view(request: HttpRequest, *args: Any) -> HttpResponse:
    return HttpResponse()


def nameless(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that does not use wraps."""
    return lambda *args, **kwargs: function(*args, **kwargs)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def unfinished() -> Callable[..., Any]:
    """A view with a name that nothing has been assigned to."""

    def answer(request: HttpRequest) -> Any:
        return later

    if answer:
        return answer
    later = None


class Views:
    @host.protected_resource()
    def method(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class Dispatch(View):
    @method_decorator(host.protected_resource())
    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(*args, **kwargs)


@method_decorator([csrf_exempt, host.rw_protected_resource()], name="get")
class Several(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class Inherits(Dispatch):
    pass


class Rest(APIView):
    @method_decorator(host.protected_resource())
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class WithOurValidator(AttestationOAuth2Validator):
    pass


class WithValidatorInFront(OAuth2Validator, AttestationValidatorMixin):
    pass


#: What has to be found, by the name of the decorator.
DECORATED: dict[str, tuple[str, Any]] = {
    "a function": ("protected_resource", host.protected_resource()(view)),
    "a function to read and write": ("rw_protected_resource", host.rw_protected_resource()(view)),
    "a function with metadata": ("protected_resource", host.protected_resource_metadata()(view)),
    "a function to read and write with metadata": (
        "rw_protected_resource",
        host.rw_protected_resource_metadata()(view),
    ),
    "under csrf_exempt": ("protected_resource", csrf_exempt(host.protected_resource()(view))),
    "under a decorator": ("protected_resource", named(named(host.protected_resource()(view)))),
    "under a decorator without wraps": ("protected_resource", nameless(host.protected_resource()(view))),
    "over one of ours": ("protected_resource", host.protected_resource()(ours.protected_resource()(view))),
    "a partial": ("protected_resource", partial(host.protected_resource()(view))),
    "a method": ("protected_resource", Views().method),
    "a class's dispatch": ("protected_resource", Dispatch.as_view()),
    "a class that inherits it": ("protected_resource", Inherits.as_view()),
    "several at once on a class": ("rw_protected_resource", Several.as_view()),
    "a method of a REST framework view": ("protected_resource", Rest.as_view()),
    "a REST framework function": ("protected_resource", api_view(["GET"])(host.protected_resource()(view))),
    "a validator of its own": ("protected_resource", host.protected_resource(validator_cls=WithValidatorInFront)(view)),
}
#: What there is nothing to say about.
FINE: dict[str, Any] = {
    "ours": ours.protected_resource()(view),
    "ours to read and write": ours.rw_protected_resource_metadata()(view),
    "the host's with our validator": host.protected_resource(validator_cls=WithOurValidator)(view),
    "a plain view": view,
    "an unfinished one": unfinished(),
    "a view of the host": ProtectedResourceView.as_view(),
    "a view with a validator that has the mixin": type(
        "Own",
        (ProtectedResourceView,),
        {"validator_class": WithOurValidator, "oauthlib_backend_class": AttestationOAuthLibCore},
    ).as_view(),
}


class OwnValidator(ProtectedResourceView):
    validator_class = OAuth2Validator


class OwnBackend(ProtectedResourceView):
    oauthlib_backend_class = OAuthLibCore


class OwnByMethod(ProtectedResourceView):
    @classmethod
    def get_validator_class(cls) -> type:
        return WithValidatorInFront


urlpatterns = [
    path("api/", include([path("decorated", DECORATED["a function"][1])])),
    path("own", OwnValidator.as_view()),
]
