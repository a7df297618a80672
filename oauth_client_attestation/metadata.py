"""What the metadata documents say of client attestation: one source for each of them (section 8; rules M, C2).

Nothing in them comes from a ``Host`` header: issuer and origin are the configured ones, and what is advertised
is read from the settings that decide what is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views import (
    ConnectDiscoveryInfoView,
    OAuthProtectedResourceMetadataView,
    OAuthServerMetadataView,
)

from .conf import app_settings
from .core import wire
from .par import routes as par

_AUTH_METHOD_MEMBERS = (
    "token_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_methods_supported",
)


def extend_authorization_server_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Return ``document`` with what this server offers to attested clients.

    For a site with a metadata view of its own; the views of this package call it too. Without an issuer
    nothing is on offer, so nothing is added.

    :param document: an RFC 8414 or OpenID Connect discovery document.
    """
    issuer = app_settings.issuer
    if issuer is None:
        return document
    extended = {**document, "issuer": issuer}
    if app_settings.challenge_endpoint:  # C2
        extended[wire.METADATA_CHALLENGE_ENDPOINT] = absolute_url("oauth_client_attestation:challenge")
    if app_settings.methods:  # M2
        extended[wire.METADATA_ATTESTATION_ALGORITHMS] = list(app_settings.attestation_algorithms)
    if wire.METHOD_POP_JWT in app_settings.methods:
        extended[wire.METADATA_POP_ALGORITHMS] = list(app_settings.pop_algorithms)
    if app_settings.dpop != "off":
        extended[wire.METADATA_DPOP_ALGORITHMS] = list(app_settings.dpop_algorithms)
    if app_settings.attestation_signal != "off":  # S1
        extended |= _signal_members(app_settings.attestation_signal, app_settings.pop_methods)
    for member in _AUTH_METHOD_MEMBERS:  # M1: where the endpoint is advertised, so are the methods
        if member in document:
            foreign = [method for method in document[member] if method not in wire.METHODS]
            extended[member] = [*foreign, *app_settings.methods]
    if par.served():
        extended[wire.METADATA_PAR_ENDPOINT] = absolute_url(par.ENDPOINT)
        if app_settings.require_pushed_authorization_requests:
            extended[wire.METADATA_PAR_REQUIRED] = True
    if app_settings.advertise_options_nonce:  # C7
        urls = [absolute_url(name) for name in sorted(app_settings.options_nonce_endpoints)]
        extended[wire.METADATA_NONCE_ENDPOINTS] = [url for url in urls if url is not None]
    return extended


def _signal_members(use: str, accepted: Collection[str]) -> dict[str, Any]:
    """Return what is said of attestations that are a signal (section 7.6): how they are proven, and how signed.

    :param use: ``optional`` or ``required``.
    :param accepted: the ways of proving it.
    """
    methods = [*accepted, *([wire.POP_METHOD_NONE] if use == "optional" else [])]
    members: dict[str, Any] = {
        wire.METADATA_POP_METHODS: methods,
        wire.METADATA_ATTESTATION_ALGORITHMS: list(app_settings.attestation_algorithms),
    }
    if wire.POP_METHOD_JWT in accepted:
        members[wire.METADATA_POP_ALGORITHMS] = list(app_settings.pop_algorithms)
    if wire.POP_METHOD_DPOP in accepted:
        members[wire.METADATA_DPOP_ALGORITHMS] = list(app_settings.dpop_algorithms)
    return members


def absolute_url(view_name: str) -> str | None:
    """Return the URL of a view at the issuer's origin, or None if it is not routed or there is no issuer."""
    issuer = app_settings.issuer
    if issuer is None:
        return None
    parts = urlsplit(issuer)
    try:
        return f"{parts.scheme}://{parts.netloc}{reverse(view_name)}"
    except NoReverseMatch:
        return None


if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.views import OAuthServerMetadataView as _MetadataView
else:
    _MetadataView = object


class AttestationMetadataMixin(_MetadataView):
    """For an authorization server metadata view of django-oauth-toolkit: its document, extended."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the extended document, with the headers of the original response."""
        original: HttpResponse = super().get(request, *args, **kwargs)
        if original.status_code != 200:
            return original
        response = JsonResponse(extend_authorization_server_metadata(json.loads(original.content)))
        for name, value in original.headers.items():
            if name.lower() != "content-length":
                response.headers[name] = value
        return response

    def _get_endpoint_url(self, request: HttpRequest, view_name: str, required: bool = False) -> str | None:
        """Return an endpoint's URL at the issuer's origin; django-oauth-toolkit may take the request's."""
        return absolute_url(f"oauth2_provider:{view_name}") or super()._get_endpoint_url(
            request, view_name, required=required
        )


class AttestationServerMetadataView(AttestationMetadataMixin, OAuthServerMetadataView):
    """RFC 8414 metadata, with the device authorization endpoint, which RFC 8628 section 4 adds to it."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the document."""
        response = super().get(request, *args, **kwargs)
        url = absolute_url("oauth2_provider:device-authorization")
        if url is None or "urn:ietf:params:oauth:grant-type:device_code" not in (
            oauth2_settings.OAUTH2_GRANT_TYPES_SUPPORTED
        ):
            return response
        response.content = json.dumps({**json.loads(response.content), "device_authorization_endpoint": url})
        return response


class AttestationDiscoveryView(AttestationMetadataMixin, ConnectDiscoveryInfoView):
    """OpenID Connect discovery."""


class AttestationResourceMetadataView(OAuthProtectedResourceMetadataView):
    """RFC 9728 metadata whose resource and authorization server are the configured ones."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the document, with the algorithms of proofs.

        Never with ``dpop_bound_access_tokens_required``: whatever is required of clients that ask for a token, the
        bearer tokens that others have, or had before, are good at the resource.
        """
        response: HttpResponse = super().get(request, *args, **kwargs)
        members = json.loads(response.content)
        if app_settings.dpop != "off":
            members[wire.METADATA_DPOP_ALGORITHMS] = list(app_settings.dpop_algorithms)
        if app_settings.resource_attestation != "off":
            members |= _signal_members(app_settings.resource_attestation, app_settings.resource_pop_methods)
            url = absolute_url("oauth_client_attestation:resource-challenge")
            if app_settings.challenge_endpoint and url is not None:
                members[wire.METADATA_CHALLENGE_ENDPOINT] = url
        response.content = json.dumps(members)
        return response

    def get_resource(self, request: HttpRequest) -> str:
        """Return the configured resource identifier; without one, the issuer's origin."""
        return app_settings.resource or str(super().get_resource(request))

    def get_authorization_servers(self, request: HttpRequest) -> list[str]:
        """Return the configured authorization servers; without any, this one."""
        configured: list[str] = list(oauth2_settings.OAUTH2_PROTECTED_RESOURCE_AUTHORIZATION_SERVERS)
        issuer = app_settings.issuer
        if configured or issuer is None:
            return list(super().get_authorization_servers(request))
        return [issuer]
