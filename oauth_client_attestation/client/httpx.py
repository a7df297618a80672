"""For ``httpx``, synchronous and asynchronous: pass ``auth=`` to a request or a client that talks to one server.

Redirects are httpx's business, which follows none by default. Where it should, those to another origin are refused
before anything is sent there, because httpx would take attestation and proofs along. That is seen by the ``trace``
extension of httpx's own transports; one of your own has to be told to follow none.

Asynchronous clients wait for an attestation source like synchronous ones: a slow one is better asked ahead, by
:meth:`.ClientInstance.renew` in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator

import httpx

from ..core import wire
from .flow import async_steps, sync_steps
from .instance import ClientInstance
from .presentation import Presentation
from .servers import Server


class PresentationAuth(httpx.Auth):
    """Adds what a :class:`.Presentation` says. :class:`ClientAuth` and :class:`ResourceAuth` are made of it."""

    def __init__(self, presentation: Presentation) -> None:
        self.presentation = presentation

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the fields, and repeat the request where the answer asks for it."""
        return sync_steps(self.presentation, request)

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same for an asynchronous client."""
        return async_steps(self.presentation, request)


class ClientAuth(PresentationAuth):
    """Authenticates a client at the endpoints of an authorization server."""

    def __init__(
        self, instance: ClientInstance, server: Server, *, method: str = wire.METHOD_POP_JWT, dpop: bool = False
    ) -> None:
        """
        :param method: as in :meth:`.Presentation.of_client`.
        :param dpop: likewise.
        """
        super().__init__(Presentation.of_client(instance, server, method=method, dpop=dpop))


class ResourceAuth(PresentationAuth):
    """Uses an access token at a protected resource, bound to the instance's key or not, attested or not."""

    def __init__(
        self,
        instance: ClientInstance,
        server: Server,
        access_token: str | Callable[[], str],
        *,
        token_type: str = "DPoP",  # noqa: S107 (a scheme)
        attested_by: str | None = None,
    ) -> None:
        """
        :param access_token: the token, or a callable that returns the current one.
        :param token_type: as in :meth:`.Presentation.to_resource`.
        :param attested_by: likewise.
        """
        super().__init__(
            Presentation.to_resource(instance, server, access_token, token_type=token_type, attested_by=attested_by)
        )
