"""The example view of docs/attester.md, as it is printed there, and the client's side of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client, override_settings
from django.urls import path

from oauth_client_attestation.attester import proven_key
from oauth_client_attestation.client import ClientInstance
from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.jwk import PrivateKey, parse_public_key
from oauth_client_attestation.core.results import TrustedKey
from oauth_client_attestation.signing import generate_key, public_jwk
from tests.core.support import NOW, verify

PAGE = Path(__file__).resolve().parents[2] / "docs" / "attester.md"
KEY = generate_key()
LIFETIME = 300


def block(beginning: str) -> str:
    (found,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if beginning in code)
    return str(found)


@pytest.fixture
def views() -> ModuleType:
    """The module of the page."""
    module = ModuleType("attesting_views")
    exec(block("# attesting/views.py"), vars(module))  # noqa: S102 (our own document)
    return module


@pytest.fixture
def http(views: ModuleType, db: Any) -> Iterator[Client]:
    """A logged-in client of a site that has the views."""
    urls = ModuleType("attesting_urls")
    urls.urlpatterns = [path("attest", views.attest), path("attest/challenge", views.challenge)]
    with override_settings(ROOT_URLCONF=urls, ATTESTER_KEY=KEY.export_private(), LOGIN_URL="/login"):
        client = Client()
        client.force_login(get_user_model().objects.create_user("ada"))
        yield client


def ask(http: Client) -> str:
    return str(http.post("/attest/challenge").json()["challenge"])


def attest(http: Client, **sent: Any) -> Any:
    return http.post("/attest", json.dumps(sent), content_type="application/json")


def test_an_instance_is_attested_that_proves_its_key(views: ModuleType, http: Client) -> None:
    class Session:
        """What the page calls ``http``, a session of requests, over Django's test client."""

        def post(self, url: str, json: Any = None) -> Any:
            answer = http.post(url.removeprefix("https://backend.example.com"), json, content_type="application/json")
            answer.raise_for_status = lambda: None
            return answer

    scope: dict[str, Any] = {"http": Session(), "ATTESTER_URL": views.ATTESTER_URL}
    exec(block("def fetch_attestation"), scope)  # noqa: S102 (our own document)
    instance = ClientInstance(scope["fetch_attestation"])

    attestation = verify(
        instance.attestation, keys=[TrustedKey("us", parse_public_key(public_jwk(KEY)))], now=instance._expires - 60
    )
    assert (attestation.client_id, attestation.thumbprint) == ("my-app", instance.thumbprint)


@pytest.mark.parametrize(
    "wrong",
    [
        "no login",
        "another login",
        "another key",
        "private key",
        "no proof",
        "no challenge",
        "another audience",
        "too late",
    ],
)
def test_nothing_is_attested_with_one_thing_wrong(views: ModuleType, http: Client, wrong: str) -> None:
    key = generate_key()
    instance = ClientInstance(lambda instance: "", key=key)
    challenge = None if wrong == "no challenge" else ask(http)
    audience = "https://as.example" if wrong == "another audience" else views.ATTESTER_URL
    sent = {"jwk": instance.public_jwk, "pop": instance.pop(audience, challenge=challenge)}
    if wrong == "another key":
        sent["jwk"] = public_jwk(generate_key())
    elif wrong == "private key":
        sent["jwk"] = key.export(as_dict=True)
    elif wrong == "no proof":
        del sent["pop"]
    elif wrong == "no login":
        http.logout()
    elif wrong == "another login":
        http.force_login(get_user_model().objects.create_user("eve"))
    with time_machine.travel(time.time() + (LIFETIME + 1 if wrong == "too late" else 0), tick=False):
        answer = attest(http, **sent)
    assert answer.status_code == (302 if wrong == "no login" else 400)
    assert b"eyJ" not in answer.content


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"[]", 400), (b'{"jwk": 1, "pop": []}', 400), (b" " * 16385, 413)]
)
def test_what_cannot_be_read_is_refused(http: Client, body: bytes, status: int) -> None:
    assert http.post("/attest", body, content_type="application/json").status_code == status


def test_a_proof_says_what_is_wrong_with_it() -> None:
    key = generate_key()
    challenges = Challenges((b"secret of the attester",), "attester", LIFETIME)
    instance = ClientInstance(lambda instance: "", key=key)
    pop = instance.pop("https://backend.example", challenge=challenges.issue(NOW), now=NOW)
    arguments = {"audience": "https://backend.example", "challenges": challenges}

    assert proven_key(public_jwk(key) | {"kid": "x"}, pop, now=NOW, **arguments) == instance.public_jwk
    with pytest.raises(ClientAttestationError) as refused:
        proven_key(public_jwk(key), pop, now=NOW + LIFETIME + 1, **arguments)
    assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    with pytest.raises(PrivateKey):
        proven_key(key.export(as_dict=True), pop, now=NOW, **arguments)
