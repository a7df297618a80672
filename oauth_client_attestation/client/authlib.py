"""For Authlib's OAuth2 clients: a client authentication method, to be registered as Authlib's own are.

Authlib shows a method the request and not the answer, by which a server asks for a challenge or redirects. So the
method works with the classes of ``client.authlib_requests`` and ``client.authlib_httpx``, which are Authlib's and
show it both, and refuses to work with others.
"""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import parse_qsl

from authlib.oauth2.auth import encode_none

from ..core import wire
from .instance import ClientInstance
from .presentation import Presentation
from .servers import Server


class AttestationMethod:
    """A client authentication method, in the form in which Authlib takes any.

    :ivar name: what ``token_endpoint_auth_method`` and ``revocation_endpoint_auth_method`` of a client name it by.
    :ivar presentation: what it shows the server.
    """

    def __init__(
        self, instance: ClientInstance, server: Server, *, method: str = wire.METHOD_POP_JWT, dpop: bool = False
    ) -> None:
        """
        :param method: as in :meth:`.Presentation.of_client`.
        :param dpop: likewise.
        """
        self.name = method
        self.presentation = Presentation.of_client(instance, server, method=method, dpop=dpop)

    def __call__(self, auth: Any, method: str, uri: str, headers: Any, body: Any) -> NoReturn:
        """Refuse to work for a client that would take attestation and proofs along when it is redirected.

        :raises TypeError: always; the right clients do not call this.
        """
        raise TypeError(
            "client attestation needs a client of oauth_client_attestation.client.authlib_requests or .authlib_httpx"
        )


def with_client_id(auth: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """Name the client in the body, or the query of a GET, as Authlib does for public clients; once.

    The attestation names it too, but not every server lets ``client_id`` be absent.
    """
    if "client_id" in dict(parse_qsl(body.decode() if isinstance(body, bytes) else body or "")):
        return uri, headers, body
    named: tuple[str, Any, Any] = encode_none(auth, method, uri, headers, body or "")
    return named
