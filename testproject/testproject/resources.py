"""The same small API behind every kind of door that takes an access token, to compare them.

A token that is bound to a key opens each of them together with a DPoP proof, and none without.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.contrib.rest_framework import TokenHasScope
from oauth2_provider.views import ProtectedResourceView, ReadWriteScopedResourceView, ScopedProtectedResourceView
from oauth2_provider.views.generic import ProtectedResourceMetadataView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_client_attestation.contrib.rest_framework.authentication import (
    OAuth2Authentication,
    OAuth2ProtectedResourceAuthentication,
)
from oauth_client_attestation.resource.decorators import (
    protected_resource,
    protected_resource_metadata,
    rw_protected_resource,
)


def greeting(user: Any) -> dict[str, str | None]:
    # A client that acts for itself has a token without a user.
    return {"hello": user.get_username() if user else None}


class Answers:
    """Answers GET and POST alike."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse(greeting(request.resource_owner))

    post = get


class Protected(Answers, ProtectedResourceView):
    pass


class Scoped(Answers, ScopedProtectedResourceView):
    required_scopes = ["read"]


class ReadWrite(Answers, ReadWriteScopedResourceView):
    pass


class WithMetadata(Answers, ProtectedResourceMetadataView):
    pass


class RestFramework(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["read"]

    def get(self, request: Request) -> Response:
        return Response(greeting(request.user))

    post = get


class RestFrameworkWithMetadata(RestFramework):
    authentication_classes = [OAuth2ProtectedResourceAuthentication]


class RestFrameworkForAnyone(RestFramework):
    permission_classes = [AllowAny]


@protected_resource(["read"])
def decorated(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner))


@protected_resource_metadata(["read"])
def decorated_with_metadata(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner))


@rw_protected_resource()
def decorated_read_write(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner))


@protected_resource(["read"])
async def decorated_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner))


def whoami(request: HttpRequest) -> HttpResponse:
    """For a session, or with OAuth2TokenMiddleware for an access token."""
    if request.user.is_anonymous:
        return HttpResponse(status=403)
    return JsonResponse(greeting(request.user))


def whose_token(request: HttpRequest) -> HttpResponse:
    """With OAuth2ExtraTokenMiddleware."""
    token = getattr(request, "access_token", None)
    return HttpResponse(status=403) if token is None else JsonResponse(greeting(token.user))
