"""Views that want an attestation beside the access token (rule S1)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.generic import View
from oauth2_provider.views.mixins import ClientProtectedResourceMixin, ProtectedResourceMixin

from ..core.errors import ClientAttestationError
from .attestation import attestation_of

_View = TypeVar("_View", bound=Callable[..., Any])


def client_attestation(
    *, required: bool = True, resource: str | None = None, methods: Collection[str] | None = None
) -> Callable[[_View], _View]:
    """Let requests through that carry a good attestation; ``request.client_attestation`` is the evidence, or None.

    Put it below the decorator that verifies the access token. Others get 401 with ``WWW-Authenticate``.

    :param required: whether a request needs one; one that it has is verified in any case.
    :param resource: the identifier of the resource, if it is not the one of the settings.
    :param methods: how possession may be proven, out of ``attestation_pop_jwt`` and ``dpop_combined``, if not in every
        way that ``POP_METHODS`` allows.
    """

    def decorator(view: _View) -> _View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = _answer(request, required, resource, methods)
            return view(request, *args, **kwargs) if refusal is None else refusal

        @wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = await sync_to_async(_answer)(request, required, resource, methods)
            return await view(request, *args, **kwargs) if refusal is None else refusal

        return cast("_View", guarded_async if iscoroutinefunction(view) else guarded)

    return decorator


class ClientAttestationMixin(View):
    """The same for class-based views. Among the bases it stands behind whatever verifies the access token.

    It is a view itself: whatever the other bases are, Python then asks it before ``View``, which would not pass the
    request on.

    :cvar client_attestation_required: whether a request needs one; one that it has is verified in any case.
    :cvar client_attestation_resource: the identifier of the resource, if it is not the one of the settings.
    :cvar client_attestation_methods: as of :func:`client_attestation`.
    """

    client_attestation_required = True
    client_attestation_resource: str | None = None
    client_attestation_methods: Collection[str] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """:raises ImproperlyConfigured: if the attestation would be looked at before the access token, or never."""
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "permission_classes"):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} is a view of Django REST framework, which has HasClientAttestation among its "
                "permission_classes in place of ClientAttestationMixin."
            )
        if issubclass(cls, ClientProtectedResourceMixin):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} authenticates clients: their attestations are judged by the policies of the "
                "authorization server, and not by ClientAttestationMixin."
            )
        order = cls.__mro__
        if ProtectedResourceMixin in order and order.index(ClientAttestationMixin) < order.index(
            ProtectedResourceMixin
        ):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} has to have ClientAttestationMixin behind ProtectedResourceMixin among its bases."
            )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Verify the attestation of all but preflight requests."""
        if request.method == "OPTIONS":
            return super().dispatch(request, *args, **kwargs)
        if self.view_is_async:
            # What it returns is awaited by Django, as what an async handler returns is.
            return cast("HttpResponseBase", self._adispatch(request, *args, **kwargs))
        refusal = self._answer(request)
        return super().dispatch(request, *args, **kwargs) if refusal is None else refusal

    async def _adispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refusal = await sync_to_async(self._answer)(request)
        if refusal is not None:
            return refusal
        response: HttpResponseBase = await cast("Any", super().dispatch(request, *args, **kwargs))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse | None:
        return _answer(
            request,
            self.client_attestation_required,
            self.client_attestation_resource,
            self.client_attestation_methods,
        )


def _answer(
    request: HttpRequest, required: bool, resource: str | None, methods: Collection[str] | None
) -> HttpResponse | None:
    """Set ``request.client_attestation``, or return the refusal; the middleware adds what is to be known of it."""
    try:
        request.client_attestation = attestation_of(  # type: ignore[attr-defined]  # for the view
            request, required=required, resource=resource, methods=methods
        )
    except ClientAttestationError:
        return HttpResponse(status=401)
    return None
