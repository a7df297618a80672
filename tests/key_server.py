"""An attester's JWK Set on a local HTTP server, for the tests of rule T2 over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable
from typing import Any

from oauth_client_attestation.testing import AttesterBackend
from tests.attester_server import Script, Server, response, send
from tests.kit import AttestedClient, configure, create_application, register_attester


class KeyServer(Server):
    """Publishes the keys of backends, or does what ``script`` says, which can be changed at any time."""

    def __init__(self, *backends: AttesterBackend) -> None:
        self.script: Script = send(b"")
        self.publish(*backends)
        super().__init__(lambda connection, stop: self.script(connection, stop))

    def publish(self, *backends: AttesterBackend) -> None:
        """Publish the keys of these backends from now on."""
        self.answer(json.dumps({"keys": [backend.public_jwk for backend in backends]}).encode())

    def answer(self, body: bytes, **fields: Any) -> None:
        """Answer with this from now on; ``fields`` are those of :func:`tests.attester_server.response`."""
        self.script = send(response(body, **fields))

    @property
    def fetches(self) -> int:
        """How often it was asked."""
        return self.connections


class Gate:
    """A server that has received a request and does not answer before it is told to."""

    def __init__(self, server: KeyServer) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()
        self._then = server.script
        server.script = self._wait

    def open(self) -> None:
        """Let it answer, now and from now on, as it did before."""
        self._open.set()

    def _wait(self, connection: socket.socket, stop: threading.Event) -> None:
        self.entered.set()
        while not self._open.wait(0.02) and not stop.is_set():
            pass
        self._then(connection, stop)


def allow(settings: Any, *servers: Server, **values: Any) -> None:
    """Let keys be fetched from these servers, which have private addresses."""
    configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[f"127.0.0.1:{server.port}" for server in servers], **values)


def register_by_url(
    server: Server, client: AttestedClient | None = None, *, applications: Iterable[Any] = (), **attester: Any
) -> AttestedClient:
    """Register a client whose attester has a URL and no key."""
    client = client or AttestedClient()
    client.application = create_application(client.client_id, policy={})
    client.attester = register_attester(
        client.backend, keys=False, applications=(client.application, *applications), jwks_uri=server.url(), **attester
    )
    return client
