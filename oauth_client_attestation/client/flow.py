"""The steps of an attested request for libraries of the shape of httpx, whichever of them it is.

It imports none: requests and responses are those of the library that is running.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any
from urllib.parse import urlsplit

from .errors import RedirectRefused
from .freshness import EndpointBody
from .presentation import Exchange, Presentation
from .servers import Server


def _as_it_is(request: Any) -> Any:
    return request


def sync_steps(
    presentation: Presentation, request: Any, prepare: Callable[[Any], Any] = _as_it_is
) -> Generator[Any, Any, None]:
    """Yield what to send, and be sent the answer, as the ``sync_auth_flow`` of an ``Auth``.

    :param prepare: returns the request to send in place of ``request``, whose body has been read.
    :raises ForeignOrigin: it goes somewhere else; nothing is sent.
    """
    request.read()
    request = prepare(request)
    steps = _steps(presentation, request)
    outgoing = next(steps)
    while True:
        _watch(outgoing, _Guard(presentation.server, outgoing.extensions.get("trace")))
        response = yield outgoing
        if outgoing is not request:
            body = EndpointBody()
            for octets in response.iter_bytes():
                body.add(octets)
            response._content = bytes(body)  # where its read() would leave them
        elif presentation.reads(response.status_code):  # other bodies may be streamed
            response.read()
        try:
            outgoing = steps.send(response)
        except StopIteration:
            return


async def async_steps(
    presentation: Presentation, request: Any, prepare: Callable[[Any], Any] = _as_it_is
) -> AsyncGenerator[Any, Any]:
    """Do the same as an ``async_auth_flow``."""
    await request.aread()
    request = prepare(request)
    steps = _steps(presentation, request)
    outgoing = next(steps)
    while True:
        _watch(outgoing, _AsyncGuard(presentation.server, outgoing.extensions.get("trace")))
        response = yield outgoing
        if outgoing is not request:
            body = EndpointBody()
            async for octets in response.aiter_bytes():
                body.add(octets)
            response._content = bytes(body)  # as above
        elif presentation.reads(response.status_code):
            await response.aread()
        try:
            outgoing = steps.send(response)
        except StopIteration:
            return


def _steps(presentation: Presentation, request: Any) -> Generator[Any, Any, None]:
    presentation.server.check(str(request.url))
    if (endpoint := presentation.endpoint_to_ask) is not None:
        response = yield type(request)(
            "POST", endpoint, headers={"Accept": "application/json"}, extensions=request.extensions
        )
        presentation.freshness.learn_from_endpoint(
            presentation.server, response.status_code, response.headers, response.content
        )
    exchange = Exchange(presentation, request.method, str(request.url))
    again = True
    while again:
        request.headers.update(exchange.fields())
        response = yield request
        if not presentation.server.serves(str(response.url)):
            # Too late to prevent: a transport without the extension, told to follow redirects, has done so.
            raise RedirectRefused(f"{presentation.server.audience} has redirected an attested request elsewhere")
        body = response.content if presentation.reads(response.status_code) else b""
        again = exchange.again(str(response.url), response.status_code, response.headers, body)


def _watch(request: Any, guard: Any) -> None:
    if not isinstance(request.extensions.get("trace"), _Guard):
        request.extensions = {**request.extensions, "trace": guard}


class _Guard:
    """Looks at what is about to be sent, redirected requests included: they inherit the extensions.

    The ``trace`` extension is called by the transport before it sends header fields, and what it raises ends
    the request.
    """

    def __init__(self, server: Server, inner: Callable[[str, dict[str, Any]], Any] | None) -> None:
        self._server = server
        self._inner = inner

    def __call__(self, event: str, info: dict[str, Any]) -> Any:
        self.check(event, info)
        return None if self._inner is None else self._inner(event, info)

    def check(self, event: str, info: dict[str, Any]) -> None:
        """Refuse header fields that are about to go elsewhere.

        :raises RedirectRefused: they are.
        """
        if event.endswith("send_request_headers.started") and not self._server.serves(_destination(info["request"])):
            raise RedirectRefused(f"{self._server.audience} redirects an attested request to another origin")


class _AsyncGuard(_Guard):
    async def __call__(self, event: str, info: dict[str, Any]) -> Any:
        self.check(event, info)
        return None if self._inner is None else await self._inner(event, info)


def _destination(request: Any) -> str:
    """Return the URL that a request of the transport is for.

    Through a proxy that is the target: the URL itself of plain http, ``host:port`` of a tunnel to https.
    """
    target: str = request.url.target.decode("ascii")
    if request.method == b"CONNECT":
        return f"https://{target}"
    if urlsplit(target).scheme in ("http", "https"):
        return target
    scheme, host = request.url.scheme.decode("ascii"), request.url.host.decode("ascii")
    port = "" if request.url.port is None else f":{request.url.port}"
    return f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}"
