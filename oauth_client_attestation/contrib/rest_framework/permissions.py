"""Permissions for Django REST framework that want an attestation beside the access token (rule S1)."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ...core.errors import ClientAttestationError
from ...resource.attestation import attestation_of


class ClientAttestationRefused(APIException):
    """401 with the error's code, which the middleware puts into ``WWW-Authenticate`` as well (E5)."""

    status_code = status.HTTP_401_UNAUTHORIZED

    def __init__(self, error: ClientAttestationError) -> None:
        super().__init__(detail=error.description, code=error.code)


class HasClientAttestation(BasePermission):
    """Admits requests with a good attestation; ``request.client_attestation`` is the evidence.

    It stands beside the permissions that look at the access token: attestation and token have to be of the same
    client, and of the same instance where the token is bound to one. A view with the attribute
    ``client_attestation_resource`` has another resource identifier than that of the settings, one with
    ``client_attestation_methods`` accepts only these proofs, out of ``attestation_pop_jwt`` and ``dpop_combined``.
    """

    required = True

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True, or for an optional attestation that is not there as well.

        :raises ClientAttestationRefused: otherwise.
        """
        _ = request.auth  # the token is verified first
        try:
            request.client_attestation = attestation_of(  # type: ignore[attr-defined]  # for the view
                request,
                required=self.required,
                resource=getattr(view, "client_attestation_resource", None),
                methods=getattr(view, "client_attestation_methods", None),
            )
        except ClientAttestationError as error:
            raise ClientAttestationRefused(error) from error
        return True


class HasClientAttestationIfAny(HasClientAttestation):
    """Admits requests without an attestation as well, with None as ``request.client_attestation``.

    One that is there has to be good: a failed signal is never taken for none.
    """

    required = False
