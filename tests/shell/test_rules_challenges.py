"""Rules C over HTTP: the challenge endpoint, fresh challenges on responses, and what happens to secrets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.core import signing
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.utils.crypto import salted_hmac

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.oauth2.exchange import exchange_for
from tests.kit import (
    CHALLENGE,
    CHALLENGE_FIELD,
    DEVICE_AUTHORIZATION,
    DEVICE_CODE_GRANT,
    FORM,
    INTROSPECT,
    NOW,
    REVOKE,
    TOKEN,
    AttestedClient,
    asgi_post,
    configure,
    create_device_code,
    stored,
    table,
)

LIFETIME = 300
#: C3: one field value that every HTTP library can take apart: unreserved characters, 16 to 512 of them.
GRAMMAR = re.compile(r"[A-Za-z0-9_.~-]{16,512}")


def fetched(http: Client, **request: Any) -> str:
    """Return a challenge of the challenge endpoint."""
    challenge = http.post(CHALLENGE, **request).json()["attestation_challenge"]
    assert GRAMMAR.fullmatch(challenge)
    return challenge


def answer(client: AttestedClient, challenge: str) -> dict[str, str]:
    """Return the fields of a request whose proof answers ``challenge``."""
    return client.headers(pop=client.pop(challenge=challenge))


# C1


@table(
    "request_",
    {
        "no body": {},
        "an empty form": {"data": "", "content_type": "application/x-www-form-urlencoded"},
        "a JSON body": {"data": "{}", "content_type": "application/json"},
        "a body that is not what it says": {"data": "{", "content_type": "application/json"},
        "a form with anything in it": {"data": {"client_id": "app"}},
        "a client that accepts anything": {"headers": {"Accept": "*/*"}},
        "credentials, which are not looked at": {"headers": {"Authorization": "Bearer x"}},
    },
)
@pytest.mark.accepts("C1", "C3")
def test_the_endpoint_answers_anyone_with_a_challenge(attested: AttestedClient, request_: dict[str, Any]) -> None:
    before = stored()
    response = attested.http.post(CHALLENGE, **request_)
    assert response.status_code == 200
    assert set(response.json()) == {"attestation_challenge"}
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.cookies
    assert stored() == before
    attested.accepted(headers=answer(attested, response.json()["attestation_challenge"]))


@pytest.mark.accepts("C1")
def test_each_call_gets_a_challenge_of_its_own(db: Any, clock: Any) -> None:
    http = Client()
    assert len({fetched(http) for _ in range(20)}) == 20


@pytest.mark.accepts("C1")
def test_the_endpoint_asks_neither_database_nor_session(db: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        fetched(Client())


@pytest.mark.accepts("C1")
def test_the_endpoint_is_exempt_from_csrf_and_login(attested: AttestedClient, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    browserless = Client(enforce_csrf_checks=True)
    assert browserless.get("/accounts/password_change/").status_code == 302
    challenge = fetched(browserless, headers={"Origin": "https://elsewhere.example"})
    attested.accepted(headers=answer(attested, challenge))


@pytest.mark.accepts("C1")
def test_the_endpoint_answers_under_asgi(attested: AttestedClient) -> None:
    response = async_to_sync(AsyncClient().post)(CHALLENGE)
    attested.accepted(headers=answer(attested, response.json()["attestation_challenge"]))


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
@pytest.mark.refuses("C1")
def test_other_methods_get_no_challenge(attested: AttestedClient, method: str) -> None:
    before = stored()
    response = getattr(attested.http, method)(CHALLENGE)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert b"<" not in response.content
    assert CHALLENGE_FIELD not in response.headers
    assert stored() == before


@pytest.mark.refuses("C1")
def test_without_an_issuer_there_is_nothing_to_be_challenged_about(attested: AttestedClient, settings: Any) -> None:
    attested.accepted()
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    configure(settings, ISSUER=None)
    before = stored()
    response = attested.http.post(CHALLENGE)
    assert response.status_code == 503
    assert response.json() == {"error": "temporarily_unavailable"}
    assert response.headers["Cache-Control"] == "no-store"
    assert stored() == before


# C3


def later_error(client: AttestedClient) -> Any:
    """A request whose client authenticates and whose scope does not exist."""
    return client.post(data={"grant_type": "client_credentials", "scope": "no-such-scope"})


def device_grant(client: AttestedClient) -> Any:
    """A device code that is pending: an error in the words of RFC 8628."""
    client.application.authorization_grant_type = DEVICE_CODE_GRANT
    client.application.save()
    code = create_device_code(client.application, status="authorization-pending")
    return client.post(data={"grant_type": DEVICE_CODE_GRANT, "device_code": code})


def device_authorization(client: AttestedClient) -> Any:
    client.application.authorization_grant_type = DEVICE_CODE_GRANT
    client.application.save()
    return client.post(DEVICE_AUTHORIZATION, "scope=read", content_type=FORM)


RESPONSES = {
    "a token": (lambda client: client.post(), 200),
    "a token, under ASGI": (lambda client: asgi_post(client.headers().items()), 200),
    "a revocation": (lambda client: client.post(REVOKE, {"token": "x"}), 200),
    "an introspection": (lambda client: client.post(INTROSPECT, {"token": "x"}), 200),
    "a device authorization": (device_authorization, 200),
    "an error after authentication": (later_error, 400),
    "an error of the device grant": (device_grant, 400),
    "an unknown grant": (lambda client: client.post(data={"grant_type": "x"}), 400),
    "a refusal": (lambda client: client.post(headers=client.headers(client.attestation(lifetime=-3600))), 400),
    "a refusal, under ASGI": (lambda client: asgi_post([("OAuth-Client-Attestation", "x")]), 400),
    "a refusal at introspection": (
        lambda client: client.post(INTROSPECT, {"token": "x"}, headers={"OAuth-Client-Attestation": "x"}),
        400,
    ),
    "a refusal at revocation": (
        lambda client: client.post(REVOKE, {"token": "x"}, headers={"OAuth-Client-Attestation": "x"}),
        400,
    ),
    "a demand for a challenge": (
        lambda client: client.post(headers=client.headers(pop=client.pop(challenge=None))),
        400,
    ),
    "a refusal of the secret of a client that must be attested": (
        lambda client: client.post(
            headers={},
            data={"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"},
        ),
        400,
    ),
}


@table(("send", "status"), RESPONSES)
@pytest.mark.accepts("C3")
def test_every_response_to_an_attested_request_carries_one_fresh_challenge(
    attested: AttestedClient, send: Callable[[AttestedClient], Any], status: int
) -> None:
    response = send(attested)
    assert response.status_code == status, response.content
    values = [value for name, value in response.items() if name.lower() == CHALLENGE_FIELD.lower()]
    assert len(values) == 1
    assert GRAMMAR.fullmatch(values[0])
    assert "no-store" in response.headers["Cache-Control"]
    if attested.application.authorization_grant_type == "client-credentials":
        attested.accepted(headers=answer(attested, values[0]))


@pytest.mark.accepts("C3")
def test_a_challenge_is_stable_within_one_response(attested: AttestedClient) -> None:
    """The error and the middleware both write it; a second value would be a second field at some servers."""
    exchange = exchange_for(RequestFactory().post(TOKEN, headers=attested.headers()))
    first = exchange.challenge_headers
    assert GRAMMAR.fullmatch(first[CHALLENGE_FIELD])
    assert exchange.challenge_headers == first
    assert exchange.response_headers[CHALLENGE_FIELD] == first[CHALLENGE_FIELD]


@pytest.mark.accepts("C3")
def test_responses_carry_different_challenges(attested: AttestedClient, clock: Any) -> None:
    challenges = {attested.accepted().headers[CHALLENGE_FIELD] for _ in range(5)}
    assert len(challenges) == 5


@pytest.mark.refuses("C3", "E1")
def test_a_rejection_of_the_challenge_carries_the_one_to_use(
    attested: AttestedClient, clock: time_machine.Traveller
) -> None:
    """The dance of a client that starts with nothing, or with what it kept for too long."""
    response = attested.refused(Reason.CHALLENGE_MISSING, headers=attested.headers(pop=attested.pop(challenge=None)))
    kept = response.headers[CHALLENGE_FIELD]
    clock.shift(LIFETIME + 1)
    response = attested.refused(Reason.CHALLENGE_EXPIRED, headers=answer(attested, kept))
    fresh = response.headers[CHALLENGE_FIELD]
    assert fresh != kept
    attested.accepted(headers=answer(attested, fresh))


@pytest.mark.accepts("C3")
def test_a_response_to_others_carries_nothing_of_ours(attested: AttestedClient) -> None:
    response = attested.http.get("/api/hello")
    assert response.status_code == 401
    assert CHALLENGE_FIELD not in response.headers


# C4

OLD, NEW = "the secret of yesterday", "the secret of today"


@pytest.mark.accepts("C4")
def test_a_challenge_survives_the_rotation_of_the_secret(attested: AttestedClient) -> None:
    with override_settings(SECRET_KEY=OLD):
        before_rotation = fetched(attested.http)
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=["the one before", OLD]):
        attested.accepted(headers=answer(attested, before_rotation))
        after_rotation = fetched(attested.http)
    with override_settings(SECRET_KEY=NEW):
        attested.accepted(headers=answer(attested, after_rotation))


@table(
    ("secrets", "reason"),
    {
        "another secret": ({"SECRET_KEY": NEW}, Reason.CHALLENGE_UNKNOWN),
        "another secret with other fallbacks": (
            {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": ["a third"]},
            Reason.CHALLENGE_UNKNOWN,
        ),
    },
)
@pytest.mark.refuses("C4", "P7")
def test_a_challenge_of_another_secret_is_refused(
    attested: AttestedClient, secrets: dict[str, Any], reason: Reason
) -> None:
    with override_settings(SECRET_KEY=OLD):
        challenge = fetched(attested.http)
    with override_settings(**secrets):
        attested.refused(reason, headers=answer(attested, challenge))


@pytest.mark.refuses("C4")
def test_a_withdrawn_secret_withdraws_its_challenges(attested: AttestedClient) -> None:
    with override_settings(SECRET_KEY=OLD):
        challenge = fetched(attested.http)
    with override_settings(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD]):
        attested.accepted(headers=answer(attested, challenge))
    with override_settings(SECRET_KEY=NEW):
        attested.refused(Reason.CHALLENGE_UNKNOWN, headers=answer(attested, challenge))


@pytest.mark.accepts("C4")
def test_a_challenge_of_another_process_is_accepted(attested: AttestedClient) -> None:
    script = (
        "import django; django.setup();"
        "from oauth_client_attestation.challenges import fresh_challenge; print(fresh_challenge())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    attested.accepted(headers=answer(attested, process.stdout.strip()))


@table(
    "value",
    {
        "a session key": lambda: "s" * 32,
        "a signed value of this site": lambda: signing.dumps({"purpose": "another"}),
        "a signature of another purpose": lambda: salted_hmac("x", "y", algorithm="sha256").hexdigest()[:54],
    },
)
@pytest.mark.refuses("C4")
def test_what_only_looks_like_a_challenge_is_refused(attested: AttestedClient, value: Callable[[], str]) -> None:
    attested.refused(Reason.CHALLENGE_UNKNOWN, headers=answer(attested, value()))


@pytest.mark.accepts("C4")
def test_a_challenge_may_be_used_twice_within_its_lifetime(
    attested: AttestedClient, clock: time_machine.Traveller
) -> None:
    challenge = fetched(attested.http)
    attested.accepted(headers=answer(attested, challenge))
    clock.shift(LIFETIME)
    attested.accepted(headers=answer(attested, challenge))


@table(("age", "passes"), {"when it is over": (10, True), "a second later": (11, False)})
@pytest.mark.accepts("C4")
@pytest.mark.refuses("C4")
def test_the_lifetime_is_a_setting(
    attested: AttestedClient, clock: time_machine.Traveller, settings: Any, age: int, passes: bool
) -> None:
    configure(settings, CHALLENGE_LIFETIME=10)
    challenge = fetched(attested.http)
    clock.shift(age)
    if passes:
        attested.accepted(headers=answer(attested, challenge))
    else:
        attested.refused(Reason.CHALLENGE_EXPIRED, headers=answer(attested, challenge))


@pytest.mark.accepts("C4")
@pytest.mark.refuses("C4")
def test_a_server_whose_clock_is_ahead_by_the_skew_is_believed(
    attested: AttestedClient, clock: time_machine.Traveller
) -> None:
    clock.move_to(NOW + 60)
    ahead = fetched(attested.http)
    clock.move_to(NOW + 61)
    further = fetched(attested.http)
    clock.move_to(NOW)
    attested.accepted(headers=answer(attested, ahead))
    attested.refused(Reason.CHALLENGE_UNKNOWN, headers=answer(attested, further))


# C5

SOURCES = {
    "the challenge endpoint": lambda client: fetched(client.http),
    "a demand": lambda client: client.post(headers=client.headers(pop=client.pop(challenge=None))).headers[
        CHALLENGE_FIELD
    ],
    "a refusal for another reason": lambda client: client.post(
        headers=client.headers(client.attestation(lifetime=-3600))
    ).headers[CHALLENGE_FIELD],
    "a success": lambda client: client.accepted().headers[CHALLENGE_FIELD],
}


@table("source", SOURCES)
@pytest.mark.accepts("C5")
def test_a_challenge_used_in_time_is_not_answered_with_another_demand(
    attested: AttestedClient, clock: time_machine.Traveller, source: Callable[[AttestedClient], str]
) -> None:
    challenge = source(attested)
    clock.shift(LIFETIME)
    attested.accepted(headers=answer(attested, challenge))


@table(
    ("spoil", "reason"),
    {
        "a replay": (None, Reason.POP_REPLAYED),
        "an expired attestation": ({"lifetime": -3600}, Reason.ATTESTATION_EXPIRED),
        "an unknown client": ({"claims": {"sub": "nobody"}}, Reason.CLIENT_NOT_REGISTERED),
    },
)
@pytest.mark.refuses("C5")
def test_a_request_with_a_good_challenge_is_refused_for_what_is_wrong_with_it(
    attested: AttestedClient, spoil: dict[str, Any] | None, reason: Reason
) -> None:
    """Clients treat a second demand as an error, so none may hide what they should mend."""
    headers = answer(attested, fetched(attested.http))
    if spoil is None:
        attested.accepted(headers=headers)
    else:
        headers["OAuth-Client-Attestation"] = attested.attestation(**spoil)
    response = attested.refused(reason, headers=headers)
    assert response.json()["error"] != "use_attestation_challenge"


@pytest.mark.refuses("C5")
def test_the_attestation_is_judged_before_the_challenge(attested: AttestedClient) -> None:
    """A client with both at fault hears of the attestation first, which takes longer to mend."""
    headers = attested.headers(attested.attestation(lifetime=-3600), attested.pop(challenge=None))
    attested.refused(Reason.ATTESTATION_EXPIRED, headers=headers)
