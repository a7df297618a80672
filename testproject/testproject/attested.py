"""The API behind doors that look at an attestation beside the access token, to compare them with those that do not.

Of each kind one that wants an attestation, one that does without, one that wants it in combined mode, and one that is
another resource of this site, with an identifier of its own.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.contrib.rest_framework import TokenHasScope
from oauth2_provider.views import ProtectedResourceView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_client_attestation.contrib.rest_framework.authentication import OAuth2Authentication
from oauth_client_attestation.contrib.rest_framework.permissions import HasClientAttestation, HasClientAttestationIfAny
from oauth_client_attestation.resource.decorators import protected_resource
from oauth_client_attestation.resource.views import ClientAttestationMixin, client_attestation

#: The identifier of the second resource; that of the first is the site's.
VAULT = f"{settings.PUBLIC_URL}/vault"
COMBINED = ("dpop_combined",)


def greeting(user: Any, evidence: Any) -> dict[str, str | None]:
    return {
        "hello": user.get_username() if user else None,
        "attested_by": evidence.attestation.attester if evidence else None,
    }


class RestFramework(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope, HasClientAttestation]
    required_scopes = ["read"]

    def get(self, request: Request) -> Response:
        return Response(greeting(request.user, request.client_attestation))

    post = get


class RestFrameworkOptional(RestFramework):
    permission_classes = [TokenHasScope, HasClientAttestationIfAny]


class RestFrameworkCombined(RestFramework):
    client_attestation_methods = COMBINED


class RestFrameworkVault(RestFramework):
    client_attestation_resource = VAULT


class Protected(ProtectedResourceView, ClientAttestationMixin):
    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse(greeting(request.resource_owner, request.client_attestation))

    post = get


class Optional(Protected):
    client_attestation_required = False


class Combined(Protected):
    client_attestation_methods = COMBINED


class Vault(Protected):
    client_attestation_resource = VAULT


@protected_resource(["read"])
@client_attestation()
def decorated(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner, request.client_attestation))


@protected_resource(["read"])
@client_attestation(required=False)
def decorated_optional(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner, request.client_attestation))


@protected_resource(["read"])
@client_attestation(methods=COMBINED)
def decorated_combined(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner, request.client_attestation))


@protected_resource(["read"])
@client_attestation(resource=VAULT)
def decorated_vault(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner, request.client_attestation))


@protected_resource(["read"])
@client_attestation()
async def decorated_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse(greeting(request.resource_owner, request.client_attestation))
