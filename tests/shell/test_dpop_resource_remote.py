"""A resource server that asks another server about tokens: what it believes of the answer (rule D6; RFC 7662)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import DataError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AccessTokenConfirmation
from oauth_client_attestation.oauth2 import remote
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.testing import ClientInstance
from tests.attester_server import Script, Server, response, stall
from tests.kit import ISSUER, provider, stored, table
from tests.shell.resources import reasons

pytestmark = pytest.mark.django_db

RESOURCE = "/api/view"
TOKEN = "a-token-of-the-other-server"


def after_request(script: Script) -> Script:
    """Read the form that was posted, and do as a script says."""

    def read_first(connection: socket.socket, stop: threading.Event) -> None:
        request = b""
        while not request.endswith(b"token=" + TOKEN.encode()):
            received = connection.recv(4096)
            if not received:
                raise ConnectionResetError
            request += received
        script(connection, stop)

    return read_first


class AuthorizationServer(Server):
    """Says about every token what ``answer`` says."""

    def __init__(self) -> None:
        self.script: Script = stall()
        super().__init__(lambda connection, stop: after_request(self.script)(connection, stop), reads=False)

    def answer(self, body: Any, **fields: Any) -> None:
        """Answer with this object, or these octets, from now on."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.script = lambda connection, stop: connection.sendall(
            response(octets, **{"content_type": "application/json", **fields})
        )


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    server = AuthorizationServer()
    url = server.url(path="/introspect")
    with server, provider(RESOURCE_SERVER_INTROSPECTION_URL=url, RESOURCE_SERVER_AUTH_TOKEN="of the RS"):
        yield server


@pytest.fixture
def instance() -> ClientInstance:
    return ClientInstance()


def active(instance: ClientInstance | None = None, **members: Any) -> dict[str, Any]:
    """Return the answer about a good token, bound to an instance's key if one is given."""
    answer = {"active": True, "scope": "read", "username": "alice", "exp": int(time.time()) + 600}
    if instance is not None:
        answer |= {"token_type": "DPoP", "cnf": {"jkt": instance.thumbprint}}
    return {**answer, **members}


def as_bearer() -> Any:
    return Client(HTTP_HOST="127.0.0.1:8000").get(RESOURCE, headers={"Authorization": f"Bearer {TOKEN}"})


def with_proof(instance: ClientInstance) -> Any:
    proof = instance.prove_dpop("GET", ISSUER + RESOURCE, access_token=TOKEN)
    fields = {"Authorization": f"DPoP {TOKEN}", "DPoP": proof}
    return Client(HTTP_HOST="127.0.0.1:8000").get(RESOURCE, headers=fields)


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_a_bound_token_wants_its_proof_whether_it_is_known_already_or_not(
    server: AuthorizationServer, instance: ClientInstance
) -> None:
    server.answer(active(instance))
    for send, reason in (
        (as_bearer, Reason.ACCESS_TOKEN_AS_BEARER),
        (lambda: with_proof(ClientInstance()), Reason.ACCESS_TOKEN_OF_ANOTHER_KEY),
        (lambda: with_proof(instance), None),
        (as_bearer, Reason.ACCESS_TOKEN_AS_BEARER),
        (lambda: with_proof(instance), None),
    ):
        with reasons() as noted:
            answer = send()
        assert (answer.status_code, noted) == ((200, []) if reason is None else (401, [reason]))
    assert server.connections == 1
    assert AccessTokenConfirmation.objects.get().thumbprint == instance.thumbprint


def test_a_bearer_token_is_one(server: AuthorizationServer, instance: ClientInstance) -> None:
    server.answer(active())
    assert as_bearer().json() == {"hello": "alice"}
    with reasons() as noted:
        assert with_proof(instance).status_code == 401
    assert noted == [Reason.ACCESS_TOKEN_NOT_BOUND]


def test_an_answer_that_has_expired_is_asked_for_again(server: AuthorizationServer, instance: ClientInstance) -> None:
    """The other server decides anew whose the token is."""
    server.answer(active())
    assert as_bearer().status_code == 200
    get_access_token_model().objects.update(expires=timezone.now())
    server.answer(active(instance))
    assert as_bearer().status_code == 401
    assert with_proof(instance).status_code == 200
    get_access_token_model().objects.update(expires=timezone.now())
    server.answer({"active": False})
    assert with_proof(instance).status_code == 403
    assert server.connections == 3


THUMBPRINT = "A" * 43
MALFORMED: dict[str, Any] = {
    "another kind of confirmation": active(cnf={"x5t#S256": THUMBPRINT}),
    "another kind beside the thumbprint": active(cnf={"jkt": THUMBPRINT, "x5t#S256": THUMBPRINT}),
    "a confirmation that is empty": active(cnf={}),
    "a confirmation that is a string": active(cnf=THUMBPRINT),
    "a confirmation that is a list": active(cnf=[{"jkt": THUMBPRINT}]),
    "a confirmation that is false": active(cnf=False),
    "a thumbprint that is none": active(cnf={"jkt": None}),
    "a thumbprint that is too short": active(cnf={"jkt": "A" * 42}),
    "a thumbprint with a letter that is none": active(cnf={"jkt": "Ä" * 43}),
    "a thumbprint in an object": active(cnf={"jkt": {"jkt": THUMBPRINT}}),
    "a DPoP token without a confirmation": active(token_type="DPoP"),
    "a DPoP token, in lower case, with none": active(token_type="dpop", cnf=None),
    "an expiry in words": active(exp="tomorrow"),
    "an expiry that is true": active(exp=True),
    "an expiry before time began": active(exp=-1),
    "an expiry after time has ended": active(exp=2**40),
    "an expiry that is no number": active(exp=[1]),
    "an expiry that has passed": active(exp=1),
    "an audience that is a number": active(aud=1),
    "an audience that is an object": active(aud={"https://api.example": 1}),
    "an audience with a number in it": active(aud=["https://api.example", 1]),
    "an audience with a NUL in it": active(aud=["\0"]),
    "a scope that is a list": active(scope=["read"]),
    "a scope with a NUL in it": active(scope="read \0"),
    "a user that is an object": active(username={"pk": 1}),
    "a user that is a number": active(username=1),
    "a user with a NUL in the name": active(username="ali\0ce"),
    "active in words": active(active="true"),
    "active as a number": active(active=1),
    "not active": {"active": False},
    "nothing of the kind": {},
    "a list": [active()],
    "true": True,
    "null": None,
    "no JSON": b"active",
    "nothing": b"",
    "two confirmations": json.dumps(active()).encode()[:-1] + b',"cnf":null,"cnf":{"x5t#S256":"A"}}',
    "an infinite expiry": json.dumps(active()).encode()[:-1] + b',"nbf":Infinity}',
    "a number of five thousand digits": json.dumps(active()).encode()[:-1] + b',"nbf":' + b"9" * 5000 + b"}",
    "a list in a list in a list": json.dumps(active()).encode()[:-1]
    + b',"nbf":'
    + b"[" * 99_999
    + b"]" * 99_999
    + b"}",
    "letters that are not Unicode": json.dumps(active()).encode()[:-1] + b',"sub":"\xff"}',
    "half of a letter": json.dumps(active()).encode()[:-1] + b',"sub":"\\ud800"}',
}


@table("answer", MALFORMED)
@pytest.mark.refuses("D6")
def test_an_answer_that_cannot_be_relied_on_lets_nobody_in(
    answer: Any, server: AuthorizationServer, instance: ClientInstance
) -> None:
    server.answer(answer)
    assert as_bearer().status_code == 403
    assert with_proof(instance).status_code == 403
    assert server.connections == 2
    assert AccessTokenConfirmation.objects.count() == 0


@table(
    "answer",
    {
        "a redirection": {"status": "307 Temporary Redirect"},
        "a redirection that keeps nothing": {"status": "302 Found"},
        "a failure": {"status": "500 Internal Server Error"},
        "unauthorized": {"status": "401 Unauthorized"},
        "another success": {"status": "201 Created"},
        "less than it says": {"length": 9999},
        "compressed octets that are not": {"Content_Encoding": "gzip"},
    },
)
def test_an_answer_that_is_none_lets_nobody_in(
    answer: dict[str, Any], server: AuthorizationServer, instance: ClientInstance
) -> None:
    with AuthorizationServer() as elsewhere:
        elsewhere.answer(active())
        server.answer(active(), **answer, Location=elsewhere.url(path="/introspect"))
        before = stored()
        assert as_bearer().status_code == 403
        assert with_proof(instance).status_code == 403
        assert (server.connections, elsewhere.connections) == (2, 0)
        assert stored() == before


def test_a_server_that_does_not_answer_lets_nobody_in(
    server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)
    server.script = stall()
    assert as_bearer().status_code == 403
    assert server.abandoned.wait(5)
    with provider(RESOURCE_SERVER_INTROSPECTION_URL="http://127.0.0.1:1/"):
        assert as_bearer().status_code == 403
    assert TOKEN not in caplog.text


@pytest.mark.usefixtures("server")
def test_the_resource_server_says_who_it_is() -> None:
    sent: list[bytes] = []

    def note(connection: socket.socket, stop: threading.Event) -> None:
        request = b""
        while not request.endswith(TOKEN.encode()):
            request += connection.recv(4096)
        sent.append(request)
        connection.sendall(response(json.dumps(active()).encode(), content_type="application/json"))

    with Server(note, reads=False) as noting:
        for credentials, field in (
            ({}, b"Authorization: Bearer of the RS\r\n"),
            (
                {
                    "RESOURCE_SERVER_AUTH_TOKEN": None,
                    "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": ("rs", "sécret"),
                },
                b"Authorization: Basic cnM6c8OpY3JldA==\r\n",
            ),
        ):
            get_access_token_model().objects.all().delete()
            url = noting.url(path="/introspect")
            with provider(RESOURCE_SERVER_INTROSPECTION_URL=url, **credentials):  # type: ignore[arg-type]  # names from a table
                assert as_bearer().status_code == 200
            assert field in sent.pop()


@table("hashed", {"tokens are kept": False, "only their checksums are": True})
def test_how_tokens_are_kept_is_the_hosts_setting(hashed: bool, server: AuthorizationServer) -> None:
    server.answer(active())
    with provider(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=hashed):
        assert as_bearer().status_code == 200
    assert get_access_token_model().objects.get().token == ("" if hashed else TOKEN)


def test_an_answer_is_kept_no_longer_than_the_settings_allow(server: AuthorizationServer) -> None:
    server.answer(active(exp=int(time.time()) + 10**6))
    with provider(RESOURCE_SERVER_TOKEN_CACHING_SECONDS=60):
        assert as_bearer().status_code == 200
    remaining = get_access_token_model().objects.get().expires - timezone.now()
    assert 50 < remaining.total_seconds() <= 60


@table(
    "audience, status",
    {
        "this one": (ISSUER, 200),
        "this one among others": (["https://another.example", ISSUER + RESOURCE], 200),
        "another one": ("https://another.example", 403),
        "none": ([], 200),
    },
)
def test_a_token_is_good_for_its_audience(
    audience: Any, status: int, server: AuthorizationServer, instance: ClientInstance
) -> None:
    server.answer(active(instance, aud=audience))
    assert with_proof(instance).status_code == status


def test_a_user_who_cannot_be_stored_is_not_let_in(
    server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is too long, on a database that minds."""

    def too_long(self: Any, content: Any) -> None:
        raise DataError

    monkeypatch.setattr(AttestationOAuth2Validator, "get_or_create_user_from_content", too_long)
    server.answer(active())
    assert as_bearer().status_code == 403
    assert "its user cannot be stored" in caplog.text


@table("use_tz", {"with time zones": True, "without": False})
def test_an_answer_is_kept_until_it_expires(use_tz: bool, server: AuthorizationServer, settings: Any) -> None:
    settings.USE_TZ = use_tz
    members = active()
    for exp in (members["exp"], members["exp"] - 400, None):
        get_access_token_model().objects.all().delete()
        server.answer({**members, "exp": exp})
        assert as_bearer().status_code == 200
        expected = time.time() + 36_000 if exp is None else exp
        assert abs(_seconds(get_access_token_model().objects.get().expires) - expected) < 30


def _seconds(moment: datetime) -> float:
    """Of a time as the database has it, which is in the site's time zone if it says none."""
    return (moment if timezone.is_aware(moment) else timezone.make_aware(moment)).timestamp()
