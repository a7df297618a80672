"""A server on 127.0.0.1 that treats each connection as a script says, and certificates for it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

JSON = "application/jwk-set+json"
#: Seconds between two octets of a server that drips.
DRIP = 0.02

Script = Callable[[socket.socket, threading.Event], None]


class Server:
    """Listens while the block lasts.

    :ivar requests: what each connection asked for.
    :ivar connections: how many there were.
    :ivar abandoned: set once the other side closed a connection that was not finished with.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, reads: bool = True) -> None:
        """
        :param reads: whether it waits for a request before it does as the script says.
        """
        self.requests: list[bytes] = []
        self.connections = 0
        self.abandoned = threading.Event()
        self._script = script
        self._tls = tls
        self._reads = reads
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def url(self, host: str = "127.0.0.1", path: str = "/jwks", *, scheme: str | None = None) -> str:
        return f"{scheme or ('https' if self._tls else 'http')}://{host}:{self.port}{path}"

    def _serve(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):  # the listener was shut down, or the other side refused the handshake
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection:
                    self._treat(connection)

    def _treat(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            try:
                if self._reads:
                    self.requests.append(_request(connection))
                self._script(connection, self._stop)
            except OSError:
                self.abandoned.set()


def _request(connection: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        received = connection.recv(4096)
        if not received:
            raise ConnectionResetError
        request += received
    return request


def response(
    body: bytes = b"",
    *,
    status: str = "200 OK",
    content_type: str | None = JSON,
    length: int | None = -1,
    **fields: str,
) -> bytes:
    """Return an HTTP response.

    :param length: what it says of its length; -1: the truth; None: nothing.
    :param fields: further fields, with ``_`` for ``-``.
    """
    lines = [f"HTTP/1.1 {status}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(octets: bytes) -> Script:
    """Send these octets and close."""
    return lambda connection, stop: connection.sendall(octets)


def repeat(first: bytes, octets: bytes, *, pause: float = 0.0) -> Script:
    """Send ``first``, and then the same octets again and again for as long as somebody listens."""

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(first)
        while not stop.wait(pause):
            connection.sendall(octets)

    return script


def drip(first: bytes, octet: bytes = b" ") -> Script:
    """Send ``first``, and then an octet now and then."""
    return repeat(first, octet, pause=DRIP)


def stall(first: bytes = b"") -> Script:
    """Send ``first``, and nothing more."""

    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(first)
        connection.settimeout(DRIP)
        while not stop.is_set():
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    raise ConnectionResetError

    return script


class Authority:
    """A certification authority for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("An authority")
        self.certificate = self._sign(self._name, self._key.public_key(), authority=True)

    def context(self) -> ssl.SSLContext:
        """Return what a client needs to trust this authority and no other."""
        return ssl.create_default_context(cadata=_pem(self.certificate).decode())

    def write(self, path: Path) -> Path:
        """Write the certificate into a file."""
        path.write_bytes(_pem(self.certificate))
        return path

    def server(self, directory: Path, host: str, *, starts: float = -60, ends: float = 3600) -> ssl.SSLContext:
        """Return what a server needs to be ``host``.

        :param starts: seconds from now, as ``ends``.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(host), key.public_key(), host=host, starts=starts, ends=ends)
        path = directory / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + _pem(certificate)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        authority: bool = False,
        host: str | None = None,
        starts: float = -60,
        ends: float = 3600,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage: dict[str, Any] = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        usage.update(encipher_only=False, decipher_only=False, crl_sign=authority)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(seconds=starts))
            .not_valid_after(now + timedelta(seconds=ends))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **usage), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
