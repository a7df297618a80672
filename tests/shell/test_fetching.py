"""Fetching a JWK Set by URL (rule T2), from real servers on 127.0.0.1 that behave well, badly and slowly."""

from __future__ import annotations

import codecs
import gzip
import json
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.testing import generate_key, public_jwk
from oauth_client_attestation.trust.addresses import is_public
from oauth_client_attestation.trust.fetching import FetchFailed, FetchOutcome, Location, fetch_jwk_set
from oauth_client_attestation.trust.jwks import MAX_KEYS
from tests.attester_server import DRIP, JSON, Authority, Script, Server, drip, repeat, response, send, stall
from tests.kit import configure, table

NAME = "attester.example"
KEY, OTHER, THIRD = generate_key(), generate_key(), generate_key()
PUBLIC = {**public_jwk(KEY), "kid": "1"}
OTHER_PUBLIC = {**public_jwk(OTHER), "kid": "2"}
WEAK_RSA = {"kty": "RSA", "n": "wQ" + "EB" * 84, "e": "AQAB"}
#: What no message and no traceback may repeat.
MARKER = "aSecretThatTheServerSent"
#: Seconds: the time limit of the tests, and what a busy machine may add.
LIMIT, SLACK = 1.0, 3.0


def key_set(*keys: Any, **members: Any) -> bytes:
    return json.dumps({"keys": list(keys), **members}).encode()


GOOD = key_set(PUBLIC)
ANSWER = response(GOOD)


@contextmanager
def serving(
    settings: Any,
    script: Script,
    *,
    tls: ssl.SSLContext | None = None,
    reads: bool = True,
    host: str = "127.0.0.1",
    **values: Any,
) -> Iterator[Server]:
    """Run a server that the settings allow to be private; ``values`` are further settings."""
    with Server(script, tls=tls, reads=reads) as server:
        configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[f"{host}:{server.port}"], **values)
        yield server


@contextmanager
def failure(outcome: FetchOutcome) -> Iterator[pytest.ExceptionInfo[FetchFailed]]:
    """Assert that the block fails with this outcome, and says so without quoting the server."""
    with pytest.raises(FetchFailed) as caught:
        yield caught
    assert caught.value.outcome is outcome
    assert str(caught.value).startswith(str(outcome.label))
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@contextmanager
def time_limit() -> Iterator[None]:
    """Assert that the block is given up at the limit: no later, and not for another reason before."""
    start = time.monotonic()
    yield
    assert LIMIT * 0.9 < time.monotonic() - start < LIMIT + SLACK


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let names have other addresses than the DNS says: one list for each time that it is asked."""

    def answers(*lists: list[tuple[str, int]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            asked.append(host)
            return [
                (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, to))
                for address, to in lists[min(len(asked), len(lists)) - 1]
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answers


# --- a good server


@pytest.mark.accepts("T2")
def test_a_jwk_set_is_fetched_with_one_plain_get(settings: Any) -> None:
    with serving(settings, send(response(key_set(PUBLIC, OTHER_PUBLIC)))) as server:
        keys = fetch_jwk_set(server.url(path="/jwks?tenant=a%20b"))
    assert [(key.key_id, key.thumbprint) for key in keys] == [("1", KEY.thumbprint()), ("2", OTHER.thumbprint())]
    assert keys[0].jwk == PUBLIC
    assert server.connections == 1
    assert server.requests[0].decode().split("\r\n") == [
        "GET /jwks?tenant=a%20b HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/jwk-set+json, application/json",
        "Accept-Encoding: identity",
        "User-Agent: django-oauth-client-attestation",
        "Connection: close",
        "",
        "",
    ]


@table(
    "answer",
    {
        "application/json": response(GOOD, content_type="application/json"),
        "with a charset, whichever it claims": response(GOOD, content_type="Application/JSON;charset=ISO-8859-1"),
        "without a length": response(GOOD, length=None),
        "in chunks": response(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), length=None, Transfer_Encoding="chunked"),
        "HTTP/1.0": ANSWER.replace(b"1.1", b"1.0"),
        "after an interim response": b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
        "an encoding that is none": response(GOOD, Content_Encoding="identity"),
        "a byte order mark": response(codecs.BOM_UTF8 + GOOD),
        "more than was announced": ANSWER + b"more",
        "members that mean nothing here": response(key_set(PUBLIC, name="wallet")),
    },
)
@pytest.mark.accepts("T2")
def test_what_good_servers_answer(settings: Any, answer: bytes) -> None:
    with serving(settings, send(answer)) as server:
        assert [key.thumbprint for key in fetch_jwk_set(server.url())] == [KEY.thumbprint()]


@pytest.mark.accepts("T2")
def test_a_set_as_large_as_allowed(settings: Any) -> None:
    with serving(settings, send(response(GOOD.ljust(65536)))) as server:
        assert len(fetch_jwk_set(server.url())) == 1


@pytest.mark.accepts("T2")
def test_a_server_that_keeps_the_connection_open_is_not_waited_for(settings: Any) -> None:
    with serving(settings, drip(ANSWER)) as server:
        start = time.monotonic()
        fetch_jwk_set(server.url())
        assert time.monotonic() - start < 4 * LIMIT
        assert server.abandoned.wait(5), "the connection stayed open"


@pytest.mark.accepts("T2")
def test_proxies_of_the_environment_are_not_used(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(send(ANSWER)) as proxy, serving(settings, send(ANSWER)) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fetch_jwk_set(server.url())
    assert (proxy.connections, server.connections) == (0, 1)


# --- where a URL may lead


@table(
    "url, outcome",
    {
        "plain http": ("http://attester.example/jwks", FetchOutcome.NOT_HTTPS),
        "a file": ("file:///etc/passwd", FetchOutcome.BAD_URL),
        "a file of a host": ("file://attester.example/etc/passwd", FetchOutcome.NOT_HTTPS),
        "ftp": ("ftp://attester.example/jwks", FetchOutcome.NOT_HTTPS),
        "no scheme": ("//attester.example/jwks", FetchOutcome.NOT_HTTPS),
        "nothing": ("", FetchOutcome.BAD_URL),
        "a path": ("/jwks", FetchOutcome.BAD_URL),
        "no host": ("https:///jwks", FetchOutcome.BAD_URL),
        "no host but a port": ("https://:443/jwks", FetchOutcome.BAD_URL),
        "a user name": ("https://user@attester.example/jwks", FetchOutcome.BAD_URL),
        "a user name and password": ("https://user:word@attester.example/jwks", FetchOutcome.BAD_URL),
        "an empty user name": ("https://@attester.example/jwks", FetchOutcome.BAD_URL),
        "a fragment": ("https://attester.example/jwks#1", FetchOutcome.BAD_URL),
        "an empty fragment": ("https://attester.example/jwks#", FetchOutcome.BAD_URL),
        "a port that is none": ("https://attester.example:https/jwks", FetchOutcome.BAD_URL),
        "a port out of range": ("https://attester.example:65536/jwks", FetchOutcome.BAD_URL),
        "port 0": ("https://attester.example:0/jwks", FetchOutcome.BAD_URL),
        "brackets that do not match": ("https://[::1/jwks", FetchOutcome.BAD_URL),
        "a space": ("https://attester.example/jw ks", FetchOutcome.BAD_URL),
        "a line feed": ("https://attester.example/jwks\n", FetchOutcome.BAD_URL),
        "a second request": ("https://attester.example/ HTTP/1.1\r\nHost: other", FetchOutcome.BAD_URL),
        "a backslash": ("https://attester.example\\@127.0.0.1/jwks", FetchOutcome.BAD_URL),
        "a letter that is not ASCII": ("https://attestér.example/jwks", FetchOutcome.BAD_URL),
        "digits that are not ASCII": ("https://１２７.0.0.1/jwks", FetchOutcome.BAD_URL),
    },
)
@pytest.mark.refuses("T2")
def test_a_url_that_is_refused_before_anything_is_asked(
    url: str, outcome: FetchOutcome, resolve: Callable[..., list[str]]
) -> None:
    asked = resolve([("127.0.0.1", 443)])
    with failure(outcome):
        fetch_jwk_set(url)
    with failure(outcome):
        Location.parse(url)
    assert asked == []


@table(
    "host",
    {
        "a loopback address": "127.0.0.1",
        "another": "127.1.2.3",
        "one number": "2130706433",
        "hexadecimal": "0x7f000001",
        "octal": "0177.0.0.1",
        "two parts": "127.1",
        "zero": "0",
        "the unspecified address": "0.0.0.0",  # noqa: S104  # an address to refuse
        "IPv6 loopback": "[::1]",
        "IPv6 unspecified": "[::]",
        "mapped": "[::ffff:127.0.0.1]",
        "a name in the hosts file": "localhost",
        "in capitals": "LOCALHOST",
    },
)
@pytest.mark.refuses("T2")
def test_a_url_of_this_machine_is_not_asked(host: str) -> None:
    with Server(send(ANSWER)) as server, failure(FetchOutcome.PRIVATE_ADDRESS):
        fetch_jwk_set(server.url(host, scheme="https"))
    assert server.connections == 0


@table(
    "addresses",
    {
        "a private one": ["10.0.0.1"],
        "a public and then a private one": ["93.184.215.14", "127.0.0.1"],
        "a private and then a public one": ["127.0.0.1", "93.184.215.14"],
        "a public IPv4 and a local IPv6 one": ["93.184.215.14", "::1"],
        "a metadata service": ["169.254.169.254"],
        "a local address in NAT64": ["64:ff9b::7f00:1"],
        "an address with a zone": ["fe80::1%lo"],
    },
)
@pytest.mark.refuses("T2")
def test_a_name_with_a_private_address_is_not_asked(addresses: list[str], resolve: Callable[..., list[str]]) -> None:
    with Server(send(ANSWER)) as server:
        asked = resolve([(address, server.port) for address in addresses])
        with failure(FetchOutcome.PRIVATE_ADDRESS):
            fetch_jwk_set(server.url(NAME, scheme="https"))
    assert (asked, server.connections) == ([NAME], 0)


@pytest.mark.refuses("T2")
def test_another_answer_of_the_dns_changes_nothing(settings: Any, resolve: Callable[..., list[str]]) -> None:
    with Server(send(response(key_set(OTHER_PUBLIC)))) as rebound, serving(settings, send(ANSWER), host=NAME) as server:
        asked = resolve([("127.0.0.1", server.port)], [("127.0.0.1", rebound.port)])
        (key,) = fetch_jwk_set(server.url(NAME))
    assert key.key_id == "1"
    assert (asked, server.connections, rebound.connections) == ([NAME], 1, 0)


@table("status", {str(status): status for status in (301, 302, 303, 307, 308)})
@pytest.mark.refuses("T2")
def test_a_redirect_is_not_followed(settings: Any, status: int) -> None:
    with Server(send(ANSWER)) as internal:
        redirect = response(GOOD, status=f"{status} Elsewhere", Location=internal.url())
        with serving(settings, send(redirect)) as server, failure(FetchOutcome.REDIRECT):
            fetch_jwk_set(server.url())
    assert (server.connections, internal.connections) == (1, 0)


@table(
    "entry",
    {
        "another host": "localhost:{port}",
        "another port": "127.0.0.1:1",
        "the host alone, which is for the default port": "127.0.0.1",
        "a part of the name": "27.0.0.1:{port}",
    },
)
@pytest.mark.refuses("T2")
def test_an_allowed_host_allows_no_other(settings: Any, entry: str) -> None:
    with Server(send(ANSWER)) as server:
        configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[entry.format(port=server.port)])
        with failure(FetchOutcome.NOT_HTTPS):
            fetch_jwk_set(server.url())
        with failure(FetchOutcome.PRIVATE_ADDRESS):
            fetch_jwk_set(server.url(scheme="https"))
    assert server.connections == 0


@table(
    "entry, url, authority",
    {
        "http": ("attester.internal", "http://attester.internal/jwks", "attester.internal"),
        "https": ("attester.internal", "https://attester.internal", "attester.internal"),
        "the default port, written": ("attester.internal", "http://attester.internal:80/", "attester.internal"),
        "the default port, written in the setting": ("a.internal:443", "https://a.internal/", "a.internal"),
        "another port": ("a.internal:8080", "http://a.internal:8080/", "a.internal:8080"),
        "in capitals": ("Attester.Internal", "http://ATTESTER.INTERNAL/", "attester.internal"),
        "an IPv6 address": ("[::1]:8443", "https://[::1]:8443/", "[::1]:8443"),
    },
)
@pytest.mark.accepts("T2")
def test_an_allowed_host(settings: Any, entry: str, url: str, authority: str) -> None:
    configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[entry])
    location = Location.parse(url)
    assert location.allowed_private
    assert location.authority == authority


@table(
    "value",
    {
        "a string": "attester.internal",
        "a URL": ["http://attester.internal"],
        "with a path": ["attester.internal/jwks"],
        "with a user": ["user@attester.internal"],
        "a port that is none": ["attester.internal:http"],
        "an empty port": ["attester.internal:"],
        "an IPv6 address without brackets": ["::1"],
        "empty": [""],
        "no string": [None],
    },
)
def test_an_entry_that_is_no_host(settings: Any, value: Any) -> None:
    configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=value)
    with pytest.raises(ImproperlyConfigured, match='must be a list of "host" or "host:port"'):
        app_settings.validate()


@table(
    "address, public",
    {
        **{address: (address, True) for address in ("1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0")},
        **{address: (address, True) for address in ("172.15.255.255", "172.32.0.0", "192.0.1.0", "223.255.255.255")},
        **{address: (address, True) for address in ("2606:4700::1111", "2a00:1450::1", "64:ff9b::101:101")},
        **{
            address: (address, False)
            for address in (
                *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.0", "100.127.255.255", "127.0.0.1"),  # noqa: S104  # an address to refuse
                *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1"),
                *("192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
                *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
                *("::", "::1", "::127.0.0.1", "::1.1.1.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:1.1.1.1"),
                *("100::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
                *("2001:db8::1", "3fff::1", "2001::7f00:1", "2001:2::1", "2002:7f00:1::", "2002:a00:1::1"),
                *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::e000:1", "64:ff9b:1::101:101", "5f00::1"),
                *("", "localhost", "1.1.1", "0x1010101"),
            )
        },
    },
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.refuses("T2")
@table(
    "host", {"no such name": "attester.invalid", "an empty label": "a..b", "a label too long": "a" * 64 + ".example"}
)
def test_a_name_that_does_not_resolve(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def without_the_network(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "attester.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", without_the_network)
    with failure(FetchOutcome.UNKNOWN_HOST):
        fetch_jwk_set(f"https://{host}/jwks")


@pytest.mark.refuses("T2")
def test_a_refused_connection(settings: Any) -> None:
    with serving(settings, stall()) as server:
        pass
    with failure(FetchOutcome.UNREACHABLE):
        fetch_jwk_set(server.url())


@pytest.mark.refuses("T2")
def test_a_name_without_an_address(resolve: Callable[..., list[str]]) -> None:
    resolve([])
    with failure(FetchOutcome.UNREACHABLE):
        fetch_jwk_set(f"https://{NAME}/jwks")


# --- TLS


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.accepts("T2")
def test_tls_is_for_the_name_of_the_url(
    settings: Any, authority: Authority, tmp_path: Path, resolve: Callable[..., list[str]]
) -> None:
    name = f"keys.{NAME}"
    asked_for = []
    tls = authority.server(tmp_path, name)
    tls.sni_callback = lambda connection, asked, context: asked_for.append(asked)  # type: ignore[assignment]  # its result is ignored
    with serving(settings, send(ANSWER), tls=tls, host=name) as server:
        resolve([("127.0.0.1", server.port)])
        assert len(fetch_jwk_set(server.url(name), tls=authority.context())) == 1
    assert asked_for == [name]
    assert f"Host: {name}:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.accepts("T2")
def test_the_system_can_be_given_an_authority(
    settings: Any,
    authority: Authority,
    tmp_path: Path,
    resolve: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "ca.pem")))
    with serving(settings, send(ANSWER), tls=authority.server(tmp_path, NAME), host=NAME) as server:
        resolve([("127.0.0.1", server.port)])
        assert len(fetch_jwk_set(server.url(NAME))) == 1


@table(
    "certificate, problem",
    {
        "for another name": ({"host": "other.example"}, "Hostname mismatch"),
        "for the name below": ({"host": f"a.{NAME}"}, "Hostname mismatch"),
        "expired": ({"starts": -7200, "ends": -60}, "certificate has expired"),
        "not yet valid": ({"starts": 3600, "ends": 7200}, "certificate is not yet valid"),
    },
)
@pytest.mark.refuses("T2")
def test_a_wrong_certificate(
    settings: Any,
    authority: Authority,
    tmp_path: Path,
    resolve: Callable[..., list[str]],
    certificate: dict[str, Any],
    problem: str,
) -> None:
    tls = authority.server(tmp_path, **{"host": NAME, **certificate})
    with serving(settings, send(ANSWER), tls=tls, host=NAME) as server:
        resolve([("127.0.0.1", server.port)])
        with failure(FetchOutcome.TLS) as caught:
            fetch_jwk_set(server.url(NAME), tls=authority.context())
    assert problem in str(caught.value)
    assert server.requests == []


@pytest.mark.refuses("T2")
def test_an_authority_that_is_not_trusted(
    settings: Any, authority: Authority, tmp_path: Path, resolve: Callable[..., list[str]]
) -> None:
    with serving(settings, send(ANSWER), tls=Authority().server(tmp_path, NAME), host=NAME) as server:
        resolve([("127.0.0.1", server.port)])
        for tls in (authority.context(), None):
            with failure(FetchOutcome.TLS) as caught:
                fetch_jwk_set(server.url(NAME), tls=tls)
            assert "certificate" in str(caught.value)
    assert server.requests == []


@pytest.mark.refuses("T2")
def test_a_server_that_does_not_speak_tls(settings: Any) -> None:
    script = stall(b"220 mail.example ESMTP\r\n")
    with serving(settings, script, reads=False) as server, failure(FetchOutcome.TLS):
        fetch_jwk_set(server.url(scheme="https"))


# --- slow servers: one time limit for everything


@table(
    "script",
    {
        "no response": stall(),
        "a status line that drips": drip(b"HTTP/1.1 200 O", b"K"),
        "a header that drips": drip(b"HTTP/1.1 200 OK\r\nX-Note: ", b"x"),
        "many fields that drip": repeat(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause=DRIP),
        "interim responses that never end": repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=DRIP),
        "content that drips": drip(response(b"{", length=60000)),
        "content without a length that drips": drip(response(b"{", length=None)),
        "chunks that drip": repeat(response(length=None, Transfer_Encoding="chunked"), b"1\r\n \r\n", pause=DRIP),
        "the size of a chunk that drips": drip(response(length=None, Transfer_Encoding="chunked"), b"0"),
        "trailers that drip": repeat(
            response(b"0\r\n", length=None, Transfer_Encoding="chunked"), b"X: y\r\n", pause=DRIP
        ),
        "content that stops": stall(response(GOOD[:-1], length=len(GOOD))),
    },
)
@pytest.mark.refuses("T2")
def test_a_slow_server(settings: Any, script: Script) -> None:
    with serving(settings, script) as server:
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(server.url(), timeout=LIMIT)
        assert server.abandoned.wait(5), "the connection stayed open"


@table(
    "script",
    {
        "no answer": stall(),
        "a record of 16 KiB that drips": drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"),
    },
)
@pytest.mark.refuses("T2")
def test_a_slow_tls_handshake(settings: Any, script: Script) -> None:
    with serving(settings, script, reads=False) as server:
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(server.url(scheme="https"), timeout=LIMIT)
        assert server.abandoned.wait(5), "the connection stayed open"


@pytest.mark.refuses("T2")
def test_content_that_drips_through_tls(
    settings: Any, authority: Authority, tmp_path: Path, resolve: Callable[..., list[str]]
) -> None:
    script = drip(response(b"{", length=60000))
    with serving(settings, script, tls=authority.server(tmp_path, NAME), host=NAME) as server:
        resolve([("127.0.0.1", server.port)])
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(server.url(NAME), timeout=LIMIT, tls=authority.context())


@pytest.mark.refuses("T2")
def test_a_slow_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def never(*arguments: Any, **options: Any) -> Any:
        answered.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    try:
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(f"https://{NAME}/jwks", timeout=LIMIT)
    finally:
        answered.set()


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port of a listener whose queue is full, so that further connections are never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


@pytest.mark.refuses("T2")
def test_a_server_that_does_not_accept(settings: Any) -> None:
    with black_hole() as port:
        configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[f"127.0.0.1:{port}"])
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(f"http://127.0.0.1:{port}/jwks", timeout=LIMIT)


@pytest.mark.refuses("T2")
def test_many_addresses_share_the_time(settings: Any, resolve: Callable[..., list[str]]) -> None:
    with black_hole() as port:
        configure(settings, JWKS_ALLOWED_PRIVATE_HOSTS=[f"{NAME}:{port}"])
        resolve([("127.0.0.1", port)] * 50)
        with failure(FetchOutcome.TIMEOUT), time_limit():
            fetch_jwk_set(f"http://{NAME}:{port}/jwks", timeout=LIMIT)


@pytest.mark.accepts("T2")
def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    settings: Any, resolve: Callable[..., list[str]]
) -> None:
    with black_hole() as port, serving(settings, send(ANSWER), host=NAME) as server:
        resolve([("127.0.0.1", port), ("127.0.0.1", server.port)])
        start = time.monotonic()
        assert len(fetch_jwk_set(server.url(NAME), timeout=LIMIT)) == 1
        assert LIMIT * 0.4 < time.monotonic() - start < LIMIT


@pytest.mark.refuses("T2")
def test_the_setting_is_the_time_limit(settings: Any) -> None:
    with serving(settings, stall(), JWKS_TIMEOUT=1) as server, failure(FetchOutcome.TIMEOUT), time_limit():
        fetch_jwk_set(server.url())


# --- too much


@table(
    "script",
    {
        "an honest length": send(response(length=65537)),
        "an absurd length": send(response(length=10**18)),
        "no length": repeat(response(length=None), b" " * 65536),
        "one octet too many": send(response(GOOD.ljust(65537), length=None)),
        "chunks that never end": repeat(
            response(length=None, Transfer_Encoding="chunked"), b"1000\r\n" + b" " * 4096 + b"\r\n"
        ),
        "a chunk of an absurd size": repeat(
            response(b"fffffffffffffff\r\n", length=None, Transfer_Encoding="chunked"), b" " * 65536
        ),
        "tiny chunks": repeat(response(length=None, Transfer_Encoding="chunked"), b"1\r\n \r\n" * 1000),
        "trailers that never end": repeat(
            response(b"0\r\n", length=None, Transfer_Encoding="chunked"), b"X: y\r\n" * 1000
        ),
        "interim responses that never end": repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    },
)
@pytest.mark.refuses("T2")
def test_an_answer_without_bounds(settings: Any, script: Script) -> None:
    with serving(settings, script) as server:
        start = time.monotonic()
        with failure(FetchOutcome.TOO_LARGE):
            fetch_jwk_set(server.url(), timeout=10)
        assert time.monotonic() - start < 5 * LIMIT


@pytest.mark.accepts("T2")
@pytest.mark.refuses("T2")
def test_the_setting_is_the_size_limit(settings: Any) -> None:
    with serving(settings, send(response(GOOD.ljust(2001))), JWKS_MAX_BYTES=2001) as server:
        assert len(fetch_jwk_set(server.url())) == 1
    with (
        serving(settings, send(response(GOOD.ljust(2001))), JWKS_MAX_BYTES=2000) as server,
        failure(FetchOutcome.TOO_LARGE),
    ):
        fetch_jwk_set(server.url())


# --- something else


@table(
    "answer, outcome",
    {
        "nothing at all": (b"", FetchOutcome.BAD_RESPONSE),
        "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", FetchOutcome.BAD_RESPONSE),
        "a status that is none": (b"HTTP/1.1 OK " + MARKER.encode() + b"\r\n\r\n", FetchOutcome.BAD_RESPONSE),
        "another version": (b"HTTP/9 200 OK\r\n\r\n", FetchOutcome.BAD_RESPONSE),
        "a status line without end": (b"HTTP/1.1 200 " + b"O" * 70000, FetchOutcome.BAD_RESPONSE),
        "a field without end": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000, FetchOutcome.BAD_RESPONSE),
        "too many fields": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, FetchOutcome.BAD_RESPONSE),
        "closed within the content": (response(GOOD, length=len(GOOD) + 1), FetchOutcome.BAD_RESPONSE),
        "closed before the content": (response(length=10), FetchOutcome.BAD_RESPONSE),
        "closed within a chunk": (
            response(b"fff\r\n" + GOOD, length=None, Transfer_Encoding="chunked"),
            FetchOutcome.BAD_RESPONSE,
        ),
        "a chunk size that is none": (
            response(b"zz\r\n" + GOOD, length=None, Transfer_Encoding="chunked"),
            FetchOutcome.BAD_RESPONSE,
        ),
        "no content": (response(status="204 No Content", length=None), FetchOutcome.STATUS),
        "partial content": (response(GOOD, status="206 Partial Content"), FetchOutcome.STATUS),
        "not modified": (response(status="304 Not Modified"), FetchOutcome.STATUS),
        "an error": (response(GOOD, status=f"404 {MARKER}"), FetchOutcome.STATUS),
        "HTML": (response(b"<html>", content_type="text/html; charset=utf-8"), FetchOutcome.CONTENT_TYPE),
        "a set as text": (response(GOOD, content_type="text/plain"), FetchOutcome.CONTENT_TYPE),
        "other JSON": (response(GOOD, content_type=f"application/{MARKER}+json"), FetchOutcome.CONTENT_TYPE),
        "no type": (response(GOOD, content_type=None), FetchOutcome.CONTENT_TYPE),
        "two types": (response(GOOD, content_type=f"{JSON}, text/html"), FetchOutcome.CONTENT_TYPE),
        "a bomb": (response(gzip.compress(bytes(10**7)), Content_Encoding="gzip"), FetchOutcome.CONTENT_ENCODING),
        "a set, compressed": (response(gzip.compress(GOOD), Content_Encoding="gzip"), FetchOutcome.CONTENT_ENCODING),
        "compressed, which it does not say": (response(gzip.compress(GOOD)), FetchOutcome.NOT_A_JWK_SET),
        "another transfer coding": (
            response(gzip.compress(GOOD), length=None, Transfer_Encoding="gzip"),
            FetchOutcome.NOT_A_JWK_SET,
        ),
        "empty content": (response(), FetchOutcome.NOT_A_JWK_SET),
        "HTML, called JSON": (response(f"<html>{MARKER}".encode()), FetchOutcome.NOT_A_JWK_SET),
        "UTF-16": (response(GOOD.decode().encode("utf-16")), FetchOutcome.NOT_A_JWK_SET),
        "two byte order marks": (response(codecs.BOM_UTF8 * 2 + GOOD), FetchOutcome.NOT_A_JWK_SET),
        "a list": (response(json.dumps([PUBLIC]).encode()), FetchOutcome.NOT_A_JWK_SET),
        "a key that is no set": (response(json.dumps(PUBLIC).encode()), FetchOutcome.NOT_A_JWK_SET),
        "an error object": (response(json.dumps({"error": MARKER}).encode()), FetchOutcome.NOT_A_JWK_SET),
        "keys that are no list": (response(b'{"keys": {}}'), FetchOutcome.NOT_A_JWK_SET),
        "a key that is no object": (response(key_set(PUBLIC, MARKER)), FetchOutcome.NOT_A_JWK_SET),
        "a member twice": (response(GOOD[:-1] + b', "keys": []}'), FetchOutcome.NOT_A_JWK_SET),
        "deeply nested": (response(b'{"keys":' + b"[" * 60000), FetchOutcome.NOT_A_JWK_SET),
        "an absurd number": (response(b'{"keys":[' + b"1" * 60000 + b"]}"), FetchOutcome.NOT_A_JWK_SET),
    },
)
@pytest.mark.refuses("T2")
def test_another_answer_than_a_jwk_set(settings: Any, answer: bytes, outcome: FetchOutcome) -> None:
    with serving(settings, send(answer)) as server, failure(outcome):
        fetch_jwk_set(server.url())


@pytest.mark.refuses("T2")
def test_a_connection_that_is_reset(settings: Any) -> None:
    def reset(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(response(GOOD, length=60000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(settings, reset) as server, failure(FetchOutcome.UNREACHABLE):
        fetch_jwk_set(server.url())


# --- the keys


UNSUPPORTED = {
    "for encryption": {**public_jwk(THIRD), "use": "enc"},
    "for signing only": {**public_jwk(THIRD), "key_ops": ["sign"]},
    "of a curve that is not offered": {**public_jwk(THIRD), "crv": "secp256k1"},
    "of a type that is not known": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "for an algorithm that is not offered": {**public_jwk(THIRD), "alg": "ES256K"},
    "too weak": WEAK_RSA,
    "without a coordinate": {"kty": "EC", "crv": "P-256", "x": PUBLIC["x"]},
    "off its curve": {**PUBLIC, "y": OTHER_PUBLIC["y"]},
    "with a kid that is a number": {**public_jwk(THIRD), "kid": 3},
    "that is empty": {},
}


@table("jwk", UNSUPPORTED)
@pytest.mark.accepts("T2")
def test_a_key_that_cannot_be_used_is_passed_over(settings: Any, jwk: dict[str, Any]) -> None:
    """Even under the ``kid`` of another, and listed first."""
    with serving(settings, send(response(key_set({"kid": "1", **jwk}, PUBLIC, jwk)))) as server:
        assert [key.thumbprint for key in fetch_jwk_set(server.url())] == [KEY.thumbprint()]


@table("keys", {**{name: [jwk] for name, jwk in UNSUPPORTED.items()}, "none at all": []})
@pytest.mark.refuses("T2")
def test_a_set_without_a_key_that_can_be_used(settings: Any, keys: list[Any]) -> None:
    with serving(settings, send(response(key_set(*keys)))) as server, failure(FetchOutcome.NO_USABLE_KEY) as caught:
        fetch_jwk_set(server.url())
    assert ("Key 1" if keys else "at least one key") in caught.value.detail


PRIVATE = json.loads(OTHER.export_private())


@table(
    "jwk",
    {
        "a private key": PRIVATE,
        "a private key for encryption": {**PRIVATE, "use": "enc"},
        "a private key of another type": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "priv": MARKER},
        "a private key of another curve": {**PRIVATE, "crv": "secp256k1"},
        "a secret key": {"kty": "oct", "k": MARKER},
        "a secret key without its value": {"kty": "oct"},
    },
)
@pytest.mark.refuses("T2")
def test_a_key_that_should_be_secret_refuses_the_set(settings: Any, jwk: dict[str, Any]) -> None:
    with (
        serving(settings, send(response(key_set(PUBLIC, jwk)))) as server,
        failure(FetchOutcome.PRIVATE_KEY) as caught,
    ):
        fetch_jwk_set(server.url())
    assert caught.value.detail == "Key 2 is private or secret."
    assert PRIVATE["d"] not in str(caught.value)


@table(
    "keys, outcome, detail",
    {
        "one kid for two keys": (
            [WEAK_RSA, PUBLIC, {**OTHER_PUBLIC, "kid": "1"}],
            FetchOutcome.REPEATED_KEY,
            "Key 3 has the same “kid” as key 2.",
        ),
        "one key under two kids": (
            [PUBLIC, WEAK_RSA, {**PUBLIC, "kid": "2"}],
            FetchOutcome.REPEATED_KEY,
            "Key 3 is the same key as key 1.",
        ),
        "one key too many": (
            [PUBLIC, *[WEAK_RSA] * MAX_KEYS],
            FetchOutcome.TOO_MANY_KEYS,
            "A JWK Set may have at most 100 keys.",
        ),
    },
)
@pytest.mark.refuses("T2")
def test_a_set_that_is_refused_as_a_whole(settings: Any, keys: list[Any], outcome: FetchOutcome, detail: str) -> None:
    with serving(settings, send(response(key_set(*keys)))) as server, failure(outcome) as caught:
        fetch_jwk_set(server.url())
    assert caught.value.detail == detail


@pytest.mark.refuses("T2")
def test_the_status_is_told(settings: Any) -> None:
    with (
        serving(settings, send(response(status="503 Service Unavailable"))) as server,
        failure(FetchOutcome.STATUS) as caught,
    ):
        fetch_jwk_set(server.url())
    assert str(caught.value) == "The server answered with another status than 200. The status is 503."


def test_outcomes_are_stored_by_name_and_shown_as_sentences() -> None:
    for outcome in FetchOutcome:
        assert outcome.value == outcome.name.lower()
        assert len(outcome) <= 32
        assert outcome.label.endswith(".")
