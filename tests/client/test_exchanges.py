"""What the kit sends over each library, what it repeats, and where it sends nothing."""

from __future__ import annotations

import io
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
import requests

from oauth_client_attestation.client import (
    ChallengeUnavailable,
    ClientInstance,
    ForeignOrigin,
    RedirectRefused,
    Server,
)
from oauth_client_attestation.client.presentation import Presentation
from tests.client.conftest import ATTESTER, LIBRARIES, TIMEOUT, Library, server_at
from tests.client.scripted import CHALLENGE_FIELD, ScriptedServer

ATTESTATION, POP, DPOP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"
COMBINED = "attest_jwt_client_auth_dpop"
CHALLENGE, NONCE = "challenge-0123456789", "nonce-0123456789"


def test_normal_mode_sends_an_attestation_and_a_proof(library: Library, server: ScriptedServer, instance) -> None:
    assert library.authenticated(instance, server).status_code == 200

    (asked,) = server.asked
    assert asked.bound_fields == {ATTESTATION, POP}
    assert asked.body == b"grant_type=client_credentials"
    header, claims = asked.jwt(POP)
    assert header == {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}
    assert set(claims) == {"aud", "jti", "iat"}
    assert claims["aud"] == server.url


def test_combined_mode_sends_an_attestation_and_a_dpop_proof(library: Library, server, instance) -> None:
    library.authenticated(instance, server, method=COMBINED)

    (asked,) = server.asked
    assert asked.bound_fields == {ATTESTATION, DPOP}
    header, claims = asked.jwt(DPOP)
    assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": instance.public_jwk}
    assert set(claims) == {"jti", "htm", "htu", "iat"}
    assert (claims["htm"], claims["htu"]) == ("POST", f"{server.url}/token")


def test_normal_mode_with_dpop_sends_both_proofs(library: Library, server, instance) -> None:
    library.authenticated(instance, server, dpop=True)
    assert server.asked[0].bound_fields == {ATTESTATION, POP, DPOP}


@pytest.mark.parametrize("status", [400, 401])
def test_a_demanded_challenge_is_put_into_the_next_proof(library: Library, server, instance, status: int) -> None:
    server.will(status, {CHALLENGE_FIELD: CHALLENGE}, {"error": "use_attestation_challenge"})

    assert library.authenticated(instance, server).status_code == 200

    first, second = server.asked
    assert "challenge" not in first.jwt(POP)[1]
    assert second.jwt(POP)[1]["challenge"] == CHALLENGE
    assert second.jwt(POP)[1]["jti"] != first.jwt(POP)[1]["jti"]
    assert second.body == first.body


def test_a_demanded_nonce_is_put_into_the_next_proof_and_no_challenge(library: Library, server, instance) -> None:
    server.will_demand("use_dpop_nonce", DPoP_Nonce=NONCE, OAuth_Client_Attestation_Challenge=CHALLENGE)

    assert library.authenticated(instance, server, method=COMBINED).status_code == 200

    claims = server.asked[1].jwt(DPOP)[1]
    assert claims["nonce"] == NONCE
    assert "challenge" not in claims


def test_an_attestation_that_is_not_fresh_is_fetched_again(library: Library, server, instance) -> None:
    attestations = iter([ATTESTER.attest(instance.public_jwk, "app", claims={"n": n}) for n in range(2)])
    instance._source = lambda instance: next(attestations)
    server.will_demand("use_fresh_attestation")

    assert library.authenticated(instance, server).status_code == 200
    assert [asked.jwt(ATTESTATION)[1]["n"] for asked in server.asked] == [0, 1]


def test_three_different_demands_are_each_met(library: Library, server, instance) -> None:
    server.will_demand("use_dpop_nonce", DPoP_Nonce=NONCE)
    server.will_demand("use_attestation_challenge", OAuth_Client_Attestation_Challenge=CHALLENGE)
    server.will_demand("use_fresh_attestation")

    assert library.authenticated(instance, server, dpop=True).status_code == 200
    assert len(server.asked) == 4
    assert (server.asked[3].jwt(POP)[1]["challenge"], server.asked[3].jwt(DPOP)[1]["nonce"]) == (CHALLENGE, NONCE)


@pytest.mark.parametrize(
    ("demand", "method"),
    [
        ("use_attestation_challenge", "attest_jwt_client_auth"),
        ("use_dpop_nonce", COMBINED),
        ("use_fresh_attestation", "attest_jwt_client_auth"),
    ],
)
def test_the_same_demand_again_is_the_answer(library: Library, server, instance, demand: str, method: str) -> None:
    for number in range(3):
        fields = {"OAuth_Client_Attestation_Challenge": f"challenge-{number}", "DPoP_Nonce": f"nonce-{number}"}
        server.will_demand(demand, **fields)

    answer = library.authenticated(instance, server, method=method)

    assert (answer.status_code, answer.json()) == (400, {"error": demand})
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        pytest.param((400, {}, {"error": "use_attestation_challenge"}), "attest_jwt_client_auth", id="no challenge"),
        pytest.param((400, {}, {"error": "use_dpop_nonce"}), COMBINED, id="no nonce"),
        pytest.param(
            (400, {CHALLENGE_FIELD: CHALLENGE}, {"error": "use_attestation_challenge"}), COMBINED, id="no PoP JWT"
        ),
        pytest.param(
            (400, {"DPoP-Nonce": NONCE}, {"error": "use_dpop_nonce"}), "attest_jwt_client_auth", id="no DPoP proof"
        ),
        pytest.param(
            (400, {CHALLENGE_FIELD: CHALLENGE}, {"error": "invalid_client_attestation"}),
            "attest_jwt_client_auth",
            id="another error",
        ),
        pytest.param(
            (403, {CHALLENGE_FIELD: CHALLENGE}, {"error": "use_attestation_challenge"}),
            "attest_jwt_client_auth",
            id="another status",
        ),
        pytest.param((400, {CHALLENGE_FIELD: CHALLENGE}, b"<html>"), "attest_jwt_client_auth", id="no JSON"),
        pytest.param((400, {CHALLENGE_FIELD: CHALLENGE}, ["error"]), "attest_jwt_client_auth", id="no object"),
        pytest.param(
            (400, {CHALLENGE_FIELD: CHALLENGE}, {"error": ["use_attestation_challenge"]}),
            "attest_jwt_client_auth",
            id="no string",
        ),
    ],
)
def test_what_cannot_be_met_is_the_answer(library: Library, server, instance, answer: Any, method: str) -> None:
    server.will(*answer)
    assert library.authenticated(instance, server, method=method).status_code == answer[0]
    assert len(server.asked) == 1


def test_an_attestation_without_a_source_is_not_repeated(library: Library, server, instance) -> None:
    fixed = ClientInstance(instance.attestation, key=instance._key)
    server.will_demand("use_fresh_attestation")
    assert library.authenticated(fixed, server).status_code == 400
    assert len(server.asked) == 1


def test_the_latest_challenge_of_any_answer_is_used(library: Library, server, instance) -> None:
    server.will(200, {CHALLENGE_FIELD: "challenge-of-a-success"})
    server.will(400, {CHALLENGE_FIELD: "challenge-of-an-error"}, {"error": "invalid_grant"})
    for _ in range(3):
        library.authenticated(instance, server)
    challenges = [asked.jwt(POP)[1].get("challenge") for asked in server.asked]
    assert challenges == [None, "challenge-of-a-success", "challenge-of-an-error"]


def test_the_challenge_endpoint_is_asked_once(library: Library, server, instance) -> None:
    known = server_at(server, challenge_endpoint=f"{server.url}/challenge")
    server.will(200, {"DPoP-Nonce": NONCE}, {"attestation_challenge": CHALLENGE})
    for _ in range(2):
        auth = library.kit.ClientAuth(instance, known, dpop=True)
        assert library.request("POST", f"{server.url}/token", auth, data={}).status_code == 200

    challenge, *tokens = server.asked
    assert (challenge.method, challenge.path, challenge.bound_fields) == ("POST", "/challenge", set())
    assert [asked.path for asked in tokens] == ["/token"] * 2
    assert {asked.jwt(POP)[1]["challenge"] for asked in tokens} == {CHALLENGE}
    assert {asked.jwt(DPOP)[1]["nonce"] for asked in tokens} == {NONCE}


@pytest.mark.parametrize(
    "answer",
    [(404, {}, b"<html>"), (200, {}, {}), (200, {}, b"nothing"), (200, {}, {"attestation_challenge": 'a" b'})],
    ids=["missing", "empty", "no JSON", "malformed"],
)
def test_a_challenge_endpoint_that_brings_nothing_stops_nobody(library: Library, server, instance, answer) -> None:
    known = server_at(server, challenge_endpoint=f"{server.url}/challenge")
    server.will(*answer)
    server.will_demand("use_attestation_challenge", OAuth_Client_Attestation_Challenge=CHALLENGE)

    auth = library.kit.ClientAuth(instance, known)
    assert library.request("POST", f"{server.url}/token", auth, data={}).status_code == 200
    assert [asked.path for asked in server.asked] == ["/challenge", "/token", "/token"]


def test_a_token_goes_with_a_proof_of_its_own(library: Library, server, instance) -> None:
    auth = library.kit.ResourceAuth(instance, Server.resource(server.url), "a-token")
    library.request("GET", f"{server.url}/things?page=2#top", auth)

    (asked,) = server.asked
    assert asked.bound_fields == {"Authorization", DPOP}
    assert asked.headers["Authorization"] == "DPoP a-token"
    claims = asked.jwt(DPOP)[1]
    digest = urlsafe_b64encode(sha256(b"a-token").digest()).rstrip(b"=").decode()
    assert (claims["htm"], claims["htu"], claims["ath"]) == ("GET", f"{server.url}/things", digest)


@pytest.mark.parametrize("value", ['"use_dpop_nonce"', "use_dpop_nonce"], ids=["quoted", "token"])
def test_a_resource_demands_a_nonce(library: Library, server, instance, value: str) -> None:
    refusal = f'Bearer realm="x", DPoP error={value}, algs="ES256"'
    server.will(401, {"WWW-Authenticate": refusal, "DPoP-Nonce": NONCE})
    auth = library.kit.ResourceAuth(instance, Server.resource(server.url), lambda: "a-token")

    assert library.request("PUT", f"{server.url}/things", auth, data={"name": "value"}).status_code == 200
    assert server.asked[1].jwt(DPOP)[1]["nonce"] == NONCE
    assert [asked.body for asked in server.asked] == [b"name=value"] * 2


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"attested_by": "dpop_combined"}, {"Authorization", ATTESTATION, DPOP}),
        ({"attested_by": "attestation_pop_jwt"}, {"Authorization", ATTESTATION, POP, DPOP}),
        ({"attested_by": "attestation_pop_jwt", "token_type": "bearer"}, {"Authorization", ATTESTATION, POP}),
        ({"token_type": "Bearer"}, {"Authorization"}),
    ],
)
def test_a_token_may_go_with_an_attestation(library: Library, server, instance, options, fields) -> None:
    identifier = f"{server.url}/api"
    auth = library.kit.ResourceAuth(instance, Server.resource(identifier), "a-token", **options)
    server.will(401, {"WWW-Authenticate": 'DPoP error="use_attestation_challenge"', CHALLENGE_FIELD: CHALLENGE})
    library.request("GET", f"{server.url}/api/things", auth)

    assert {frozenset(asked.bound_fields) for asked in server.asked} == {frozenset(fields)}
    if POP in fields:
        assert server.asked[1].jwt(POP)[1]["aud"] == identifier
        assert server.asked[1].jwt(POP)[1]["challenge"] == CHALLENGE
    else:
        assert len(server.asked) == 1


def test_an_authorization_server_and_a_resource_at_one_origin_have_challenges_of_their_own(
    library: Library, server, instance
) -> None:
    server.will(200, {CHALLENGE_FIELD: CHALLENGE, "DPoP-Nonce": NONCE})
    library.authenticated(instance, server, dpop=True)
    auth = library.kit.ResourceAuth(
        instance, Server.resource(f"{server.url}/api"), "a-token", attested_by="attestation_pop_jwt"
    )
    library.request("GET", f"{server.url}/api", auth)
    assert "challenge" not in server.asked[1].jwt(POP)[1]
    assert "nonce" not in server.asked[1].jwt(DPOP)[1]


@pytest.mark.parametrize("kind", ["client", "resource"])
def test_nothing_is_sent_to_another_origin(library: Library, server, elsewhere, instance, kind: str) -> None:
    auth = (
        library.kit.ClientAuth(instance, server_at(server, challenge_endpoint=f"{server.url}/challenge"))
        if kind == "client"
        else library.kit.ResourceAuth(instance, Server.resource(server.url), "a-token")
    )
    with pytest.raises(ForeignOrigin):
        library.request("POST", f"{elsewhere.url}/token", auth, data={"code": "secret"})
    assert server.asked == elsewhere.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("demand_first", [False, True], ids=["at once", "after a demand"])
def test_an_authenticated_request_is_not_redirected_elsewhere(
    library: Library, server, elsewhere, instance, status: int, demand_first: bool
) -> None:
    if demand_first:
        server.will_demand("use_attestation_challenge", OAuth_Client_Attestation_Challenge=CHALLENGE)
    server.will(status, {"Location": f"{elsewhere.url}/token"})
    with pytest.raises(RedirectRefused, match=server.url):
        library.authenticated(instance, server)
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    "location",
    [
        "//{there}/token",
        "///{there}/token",
        "////{there}/token",
        "//////{there}/token",
        "http:////{there}/token",
        "HTTP:////{there}/token",
        "http://////{there}/token",
        "\t//{there}/token",
        "http://{here}@{there}/token",
        "http://{there}#@{here}/token",
        "http://{there}\\@{here}/token",
        "http://[{there}/token",
    ],
)
def test_a_location_that_can_be_read_in_two_ways_leads_nowhere_else(
    library: Library, server, elsewhere, instance, location: str, status: int
) -> None:
    """Some are another origin only after a library has taken them to pieces and put them together again."""
    here, there = (running.url.removeprefix("http://") for running in (server, elsewhere))
    server.will(status, {"Location": location.format(here=here, there=there)})
    with suppress(RedirectRefused, httpx.HTTPError):
        library.authenticated(instance, server)
    assert elsewhere.asked == []


@pytest.mark.parametrize("location", ["/elsewhere", "elsewhere?a=b", "?a=b", "{here}/elsewhere"])
def test_an_authenticated_request_is_redirected_at_the_same_origin(
    library: Library, server, instance, location: str
) -> None:
    server.will(307, {"Location": location.format(here=server.url)})
    assert library.authenticated(instance, server).status_code == 200
    assert len(server.asked) == 2


@pytest.mark.parametrize("demand_first", [False, True], ids=["at once", "after a demand"])
def test_a_resource_that_redirects_elsewhere_is_followed_without_credentials_or_not_at_all(
    library: Library, server, elsewhere, instance, demand_first: bool
) -> None:
    """requests has a hook before it follows, where they are taken out; httpx has none."""
    if demand_first:
        server.will(401, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": NONCE})
    server.will(302, {"Location": f"{elsewhere.url}/file"})
    auth = library.kit.ResourceAuth(instance, Server.resource(server.url), "a-token", attested_by="attestation_pop_jwt")
    if library.kit.__name__.endswith("httpx"):
        with pytest.raises(RedirectRefused):
            library.request("GET", f"{server.url}/file", auth)
        assert elsewhere.asked == []
    else:
        answer = library.request("GET", f"{server.url}/file", auth)
        assert [asked.bound_fields for asked in elsewhere.asked] == [set()]
        assert "OAuth-Client-Attestation" in answer.history[-1].request.headers, "the record says what was sent"


def test_what_another_origin_says_about_freshness_does_not_count(server, elsewhere, instance) -> None:
    known = server_at(server)
    instance.freshness.learn(known, f"{elsewhere.url}/token", {CHALLENGE_FIELD: CHALLENGE, "DPoP-Nonce": NONCE})
    assert (instance.freshness.challenge(known), instance.freshness.nonce(known)) == (None, None)


@pytest.mark.parametrize("value", ["", "a b", "a, b", "a,b", 'a"b', "a\\b", "é", "a\n", "x" * 2049])
def test_a_malformed_challenge_or_nonce_is_not_taken(server, instance, value: str) -> None:
    known = server_at(server)
    instance.freshness.learn(known, server.url, {CHALLENGE_FIELD: value, "DPoP-Nonce": value})
    assert (instance.freshness.challenge(known), instance.freshness.nonce(known)) == (None, None)


def test_a_body_that_can_be_read_once_is_not_repeated(server, instance) -> None:
    server.will_demand("use_attestation_challenge", OAuth_Client_Attestation_Challenge=CHALLENGE)
    auth = LIBRARIES["requests"].kit.ClientAuth(instance, server_at(server))
    body = io.BytesIO(b"grant_type=client_credentials")
    assert requests.post(f"{server.url}/token", data=body, auth=auth, timeout=TIMEOUT).status_code == 400
    assert [asked.body for asked in server.asked] == [body.getvalue()]


def test_a_streamed_answer_is_left_to_its_reader(server, instance) -> None:
    server.will(200, {}, b"long")
    auth = LIBRARIES["requests"].kit.ResourceAuth(instance, Server.resource(server.url), "a-token")
    with requests.get(server.url, auth=auth, stream=True, timeout=TIMEOUT) as answer:
        assert answer.raw.read() == b"long"


@pytest.mark.parametrize("name", ["requests", "httpx"])
def test_a_streamed_refusal_of_a_resource_is_left_to_its_reader(server, instance, name: str) -> None:
    """What a resource asks for is in its header fields, and a body may be of any length."""
    server.will(401, {"WWW-Authenticate": "DPoP"}, b"long")
    auth = LIBRARIES[name].kit.ResourceAuth(instance, Server.resource(server.url), "a-token")
    if name == "requests":
        with requests.get(server.url, auth=auth, stream=True, timeout=TIMEOUT) as answer:
            assert answer.raw.read() == b"long"
    else:
        with httpx.Client() as http, http.stream("GET", server.url, auth=auth, timeout=TIMEOUT) as answer:
            assert not answer.is_stream_consumed
            assert answer.read() == b"long"


@contextmanager
def endless(pause: float) -> Iterator[str]:
    """Run a server whose answers do not end, and bring a kilobyte, or with a pause an octet, at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b" " * (1 if pause else 1024))
                    time.sleep(pause)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize("pause", [0, 0.02], ids=["much at once", "little at a time"])
def test_a_challenge_endpoint_does_not_keep_anybody_for_ever(
    library: Library, instance, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oauth_client_attestation.client.freshness.ENDPOINT_SECONDS", 0.3)
    with endless(pause) as url:
        known = Server(url, frozenset({url}), f"{url}/challenge")
        auth = library.kit.ClientAuth(instance, known)
        with pytest.raises(ChallengeUnavailable):
            library.request("POST", f"{url}/token", auth, data={})


def test_no_token_is_in_a_representation(server, instance) -> None:
    presentation = Presentation.to_resource(instance, Server.resource(server.url), "a-secret-token")
    assert "a-secret-token" not in repr(presentation)


def test_a_trace_of_the_callers_own_is_called_as_well(server, instance) -> None:
    events: list[str] = []
    auth = LIBRARIES["httpx"].kit.ClientAuth(instance, server_at(server))
    extensions = {"trace": lambda event, info: events.append(event)}
    with httpx.Client() as http:
        http.post(f"{server.url}/token", auth=auth, data={}, extensions=extensions, timeout=TIMEOUT)
    assert "http11.send_request_headers.started" in events


def test_a_session_of_the_callers_own_asks_the_challenge_endpoint(server, instance) -> None:
    known = server_at(server, challenge_endpoint=f"{server.url}/challenge")
    with requests.Session() as session:
        session.headers["X-Session"] = "own"
        session.auth = LIBRARIES["requests"].kit.ClientAuth(instance, known, session=session)
        session.post(f"{server.url}/token", data={}, timeout=TIMEOUT)
    assert [(asked.path, asked.headers["X-Session"]) for asked in server.asked] == [
        ("/challenge", "own"),
        ("/token", "own"),
    ]


def test_a_transport_that_shows_nothing_is_at_least_found_out(instance) -> None:
    """One of the caller's own, told to follow redirects: what it has done cannot be prevented, nor go unnoticed."""
    server = Server.resource("https://api.example")
    answers = iter([httpx.Response(302, headers={"Location": "https://evil.example/"}), httpx.Response(200)])
    transport = httpx.MockTransport(lambda request: next(answers))
    with httpx.Client(transport=transport, follow_redirects=True) as http, pytest.raises(RedirectRefused):
        http.get("https://api.example/", auth=LIBRARIES["httpx"].kit.ResourceAuth(instance, server, "a-token"))


@pytest.mark.parametrize("path", ["", "/challenge?for=this#x"])
def test_a_challenge_endpoint_may_be_written_in_any_way(library: Library, server, instance, path: str) -> None:
    known = server_at(server, challenge_endpoint=f"{server.url}{path}".replace("http:", "HTTP:"))
    server.will(200, {}, {"attestation_challenge": CHALLENGE})
    auth = library.kit.ClientAuth(instance, known)
    assert library.request("POST", f"{server.url}/token", auth, data={}).status_code == 200
    assert server.asked[1].jwt(POP)[1]["challenge"] == CHALLENGE


def test_a_proxy_is_no_other_origin(server, elsewhere, instance) -> None:
    """What it is asked for counts: by the URL for plain http, by host and port for https."""
    kit = LIBRARIES["httpx"].kit
    with httpx.Client(proxy=elsewhere.url, follow_redirects=True, timeout=TIMEOUT) as http:
        auth = kit.ClientAuth(instance, server_at(server))
        assert http.post(f"{server.url}/token", auth=auth, data={}).status_code == 200
        assert [asked.path for asked in elsewhere.asked] == [f"{server.url}/token"]

        elsewhere.will(307, {"Location": "http://evil.example/token"})
        with pytest.raises(RedirectRefused):
            http.post(f"{server.url}/token", auth=auth, data={})

        issuer = "https://as.example"
        known = Server.from_metadata({"issuer": issuer, "token_endpoint": f"{issuer}/token"}, issuer=issuer)
        with pytest.raises(httpx.ProxyError):  # it builds no tunnels; but it was asked for one
            http.post(f"{issuer}/token", auth=kit.ClientAuth(instance, known), data={})
    assert len(elsewhere.asked) == 2
