"""Decorators for views that need an access token, bound to a key or not (rule D6).

They take the place of django-oauth-toolkit's, which have a validator of their own whatever is configured: for it, a
bound token is a bearer token. Sync and async views alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from oauth2_provider.scopes import get_scopes_backend
from oauth2_provider.settings import oauth2_settings

from . import access
from .classes import is_our_validator

_View = TypeVar("_View", bound=Callable[..., Any])
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def protected_resource(
    scopes: Sequence[str] | None = None,
    validator_cls: Any = None,
    server_cls: Any = None,
    advertise_metadata: bool = False,
    resource_metadata_url: str | None = None,
) -> Callable[[_View], _View]:
    """Let requests through whose access token is good; ``request.resource_owner`` is its user, or None.

    Others get 401, or 403 if the token lacks a scope, with ``WWW-Authenticate``.

    :param scopes: what the token must have been granted, all of them.
    :param validator_cls: instead of the configured validator, one that has our mixin as well.
    :param server_cls: instead of the configured server.
    :param advertise_metadata: whether ``WWW-Authenticate`` names the resource's metadata (RFC 9728 section 5.1).
    :param resource_metadata_url: where that is, if not where django-oauth-toolkit serves it.
    :raises ImproperlyConfigured: if the validator knows nothing of bound tokens.
    """
    needed = tuple(scopes or ())
    return _guarded(lambda request: needed, validator_cls, server_cls, advertise_metadata, resource_metadata_url)


def protected_resource_metadata(
    scopes: Sequence[str] | None = None,
    validator_cls: Any = None,
    server_cls: Any = None,
    resource_metadata_url: str | None = None,
) -> Callable[[_View], _View]:
    """:func:`protected_resource` that names the resource's metadata."""
    return protected_resource(scopes, validator_cls, server_cls, True, resource_metadata_url)


def rw_protected_resource(
    scopes: Sequence[str] | None = None,
    validator_cls: Any = None,
    server_cls: Any = None,
    advertise_metadata: bool = False,
    resource_metadata_url: str | None = None,
) -> Callable[[_View], _View]:
    """:func:`protected_resource` that needs ``READ_SCOPE`` for GET, HEAD and OPTIONS, and ``WRITE_SCOPE`` otherwise.

    The view raises ImproperlyConfigured if one of the two is none of the site's scopes.
    """
    needed = tuple(scopes or ())
    return _guarded(
        lambda request: (*needed, _scope_of_method(request)),
        validator_cls,
        server_cls,
        advertise_metadata,
        resource_metadata_url,
    )


def rw_protected_resource_metadata(
    scopes: Sequence[str] | None = None,
    validator_cls: Any = None,
    server_cls: Any = None,
    resource_metadata_url: str | None = None,
) -> Callable[[_View], _View]:
    """:func:`rw_protected_resource` that names the resource's metadata."""
    return rw_protected_resource(scopes, validator_cls, server_cls, True, resource_metadata_url)


def _guarded(
    scopes_for: Callable[[HttpRequest], Sequence[str]],
    validator_cls: Any,
    server_cls: Any,
    advertise_metadata: bool,
    metadata_url: str | None,
) -> Callable[[_View], _View]:
    if validator_cls is not None and not is_our_validator(validator_cls):
        raise ImproperlyConfigured(
            f"{validator_cls.__qualname__} needs AttestationValidatorMixin first among its bases: it would take a "
            "token that is bound to a key for a bearer token."
        )

    def answer(request: HttpRequest) -> HttpResponse | None:
        valid, oauth_request = access.verify(
            request, scopes_for(request), validator_class=validator_cls, server_class=server_cls
        )
        if not valid:
            return access.refused(
                request, oauth_request, advertise_metadata=advertise_metadata, metadata_url=metadata_url
            )
        request.resource_owner = oauth_request.user  # type: ignore[attr-defined]  # as the host's views do
        return None

    def decorator(view: _View) -> _View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = answer(request)
            return view(request, *args, **kwargs) if refusal is None else refusal

        @wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = await sync_to_async(answer)(request)
            return await view(request, *args, **kwargs) if refusal is None else refusal

        return cast("_View", guarded_async if iscoroutinefunction(view) else guarded)

    return decorator


def _scope_of_method(request: HttpRequest) -> str:
    read, write = str(oauth2_settings.READ_SCOPE), str(oauth2_settings.WRITE_SCOPE)
    if not {read, write} <= set(get_scopes_backend().get_all_scopes()):
        raise ImproperlyConfigured(
            f"rw_protected_resource needs the scopes {read!r} and {write!r} among those of the site."
        )
    return read if str(request.method).upper() in _SAFE_METHODS else write
