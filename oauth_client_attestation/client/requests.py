"""For ``requests``: pass ``auth=`` to a request, or set it on a session that talks to this server only.

A request whose body is a file or an iterator is not repeated: the answer that asks for it is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from ..core import wire
from .errors import RedirectRefused
from .freshness import ENDPOINT_SECONDS, EndpointBody
from .instance import ClientInstance
from .presentation import BOUND_FIELDS, Exchange, Presentation
from .servers import Server


class PresentationAuth(AuthBase):
    """Adds what a :class:`.Presentation` says. :class:`ClientAuth` and :class:`ResourceAuth` are made of it."""

    def __init__(self, presentation: Presentation, session: requests.Session | None = None) -> None:
        self.presentation = presentation
        self._session = session

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the fields, and have the answer looked at.

        :raises ForeignOrigin: the request goes somewhere else; nothing is sent.
        """
        method, url = str(r.method), str(r.url)
        self.presentation.server.check(url)
        if (endpoint := self.presentation.endpoint_to_ask) is not None:
            self._ask(endpoint)
        exchange = Exchange(self.presentation, method, url)
        r.headers.update(exchange.fields())
        r.register_hook("response", self._answered(exchange, r))  # type: ignore[no-untyped-call]  # by its stubs
        return r

    def _ask(self, endpoint: str) -> None:
        """Ask the challenge endpoint. What it answers is remembered; what it does not, an error will bring."""
        post = requests.post if self._session is None else self._session.post
        # An ``auth`` of the session's own would lead here again.
        answer = post(
            endpoint,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auth=_no_auth,
            timeout=ENDPOINT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        body = EndpointBody()
        with answer:
            for octet in answer.iter_content(1):  # more would be waited for
                body.add(octet)
        self.presentation.freshness.learn_from_endpoint(
            self.presentation.server, answer.status_code, answer.headers, bytes(body)
        )

    def _answered(self, exchange: Exchange, sent: requests.PreparedRequest) -> Callable[..., requests.Response]:
        def answered(response: requests.Response, **options: Any) -> requests.Response:
            if response.request is sent:  # after a redirect it is another one, without our fields
                while self._wants_another(response, exchange) and _repeatable(sent):
                    response = _send_again(response, exchange.fields(), options)
            if response.is_redirect:
                self._check_redirect(response)
                _take_back(sent, response)
            return response

        return answered

    def _check_redirect(self, response: requests.Response) -> None:
        """Let the redirect of a resource be followed, without our fields, and refuse that of a client's request.

        In its body is a code or a refresh token.
        """
        server = self.presentation.server
        if self.presentation.access_token is None and not server.serves(_target(response)):
            where = "another origin, or to where another reader would see one"
            raise RedirectRefused(f"{server.audience} redirects an authenticated request to {where}")

    def _wants_another(self, response: requests.Response, exchange: Exchange) -> bool:
        # A streamed body is left alone where it is not needed.
        body = response.content if self.presentation.reads(response.status_code) else b""
        return exchange.again(response.url, response.status_code, response.headers, body)


class ClientAuth(PresentationAuth):
    """Authenticates a client at the endpoints of an authorization server."""

    def __init__(
        self,
        instance: ClientInstance,
        server: Server,
        *,
        method: str = wire.METHOD_POP_JWT,
        dpop: bool = False,
        session: requests.Session | None = None,
    ) -> None:
        """
        :param method: as in :meth:`.Presentation.of_client`.
        :param dpop: likewise.
        :param session: for the challenge endpoint; needed where a proxy or certificates are configured on it.
        """
        super().__init__(Presentation.of_client(instance, server, method=method, dpop=dpop), session)


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
        session: requests.Session | None = None,
    ) -> None:
        """
        :param access_token: the token, or a callable that returns the current one.
        :param token_type: as in :meth:`.Presentation.to_resource`.
        :param attested_by: likewise.
        :param session: for the challenge endpoint.
        """
        presentation = Presentation.to_resource(
            instance, server, access_token, token_type=token_type, attested_by=attested_by
        )
        super().__init__(presentation, session)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _target(response: requests.Response) -> str:
    """Return where a redirect leads, or nothing where that depends on who reads it.

    requests takes the Location to pieces, puts them together again and follows what comes of it, which is another
    origin for one with four slashes.
    """
    location = response.headers["Location"]
    try:
        pieces = urlsplit(location).geturl()
    except ValueError:
        return ""
    return urljoin(response.url, location) if pieces == location else ""


def _take_back(sent: requests.PreparedRequest, response: requests.Response) -> None:
    """Take our fields out of a request before requests makes the redirected one of it, fields and all.

    The answer keeps a request as it was sent.
    """
    if response.request is sent:
        response.request = sent.copy()
    for name in BOUND_FIELDS:
        sent.headers.pop(name, None)


def _repeatable(request: requests.PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, str | bytes)


def _send_again(
    response: requests.Response, fields: Mapping[str, str], options: Mapping[str, Any]
) -> requests.Response:
    response.close()
    request = response.request.copy()
    request.headers.update(fields)
    answer: requests.Response = response.connection.send(request, **options)
    answer.history.append(response)
    answer.request = request
    return answer
