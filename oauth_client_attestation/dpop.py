"""DPoP proofs, with this site's settings and the facts of an HTTP request (rule D3; RFC 9449)."""

from __future__ import annotations

import time

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from .challenges import dpop_nonces
from .conf import app_settings
from .core.dpop import DpopContext, Target, verify_dpop_proof
from .core.errors import ClientAttestationError, Reason
from .core.headers import HeaderFields, read_dpop
from .core.results import DpopDemands, VerifiedDpopProof


def verify(
    request: HttpRequest, fields: HeaderFields, *, at_resource: bool = False, access_token: str | None = None
) -> VerifiedDpopProof:
    """Verify the DPoP proof of a request, which has the field. It still has to be used up.

    :param at_resource: whether this is a request to a resource, which has a setting of its own for nonces.
    :param access_token: the token that is presented along with the proof.
    :raises ClientAttestationError: with the reason of the first rule that refuses.
    """
    return verify_dpop_proof(
        read_dpop(fields, max_length=app_settings.max_field_length),
        context=context_of(request, at_resource=at_resource, access_token=access_token),
        now=time.time(),
    )


def context_of(request: HttpRequest, *, at_resource: bool = False, access_token: str | None = None) -> DpopContext:
    """Return what a proof is checked against that came with ``request``.

    The target URI is Django's idea of it: behind a proxy it takes ``SECURE_PROXY_SSL_HEADER`` and
    ``USE_X_FORWARDED_HOST`` to be the client's; ``ALLOWED_HOSTS`` keeps away proofs for other hosts.

    :raises ClientAttestationError: if the request is for a host that is not this site's.
    """
    try:
        # Of itself: a path that begins with two slashes, handed over, would name the host.
        uri = request.build_absolute_uri()
    except DisallowedHost as error:
        raise ClientAttestationError(Reason.DPOP_HTU) from error
    return context_for(Target(str(request.method), uri, access_token), at_resource=at_resource)


def context_for(target: Target, *, at_resource: bool = False) -> DpopContext:
    """Return what a proof is checked against that is for ``target``."""
    return DpopContext(
        target=target,
        demands=DpopDemands(
            algorithms=frozenset(app_settings.dpop_algorithms),
            nonce=app_settings.resource_dpop_nonce if at_resource else app_settings.dpop_nonce,
            clock_skew=app_settings.clock_skew,
            max_age=app_settings.pop_max_age,
        ),
        nonces=dpop_nonces(),
    )
