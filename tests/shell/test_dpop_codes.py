"""Codes that belong to a key: ``dpop_jkt``, or a proof along with the push (rule D7; RFC 9449 section 10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from oauth2_provider.models import get_grant_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AuthorizationCodeConfirmation,
    PushedAuthorizationRequest,
    UsedProof,
)
from tests.kit import (
    AUTHORIZATION_REQUEST,
    AUTHORIZE,
    DOORS,
    PAR,
    TOKEN,
    alice,
    configure,
    create_access_token,
    stored,
    table,
)
from tests.shell.par import answer_of, browser, consent, page_fields, redemption, url_of
from tests.shell.senders import NONCE_FIELD, Sender, refused, sender

pytestmark = pytest.mark.django_db

CODE = next(door for door in DOORS if door.name == "authorization_code")
NORMAL = "attest_jwt_client_auth"


@pytest.fixture(params=["attested, combined", "attested, another key", "secret, all", "public, all", "secret, allowed"])
def client(request: pytest.FixtureRequest, settings: Any) -> Sender:
    """A client that may use DPoP, by each way to be one."""
    return sender(request.param, CODE, settings)


def asking(client: Sender, **changes: str) -> str:
    """Return the URL of an authorization request that is not pushed."""
    parameters = {"client_id": client.application.client_id, **AUTHORIZATION_REQUEST, **changes}
    return f"{AUTHORIZE}?{urlencode(parameters)}"


def by_the_page(client: Sender, http: Client, url: str) -> Any:
    """Press the button of a page whose form goes where the page came from."""
    return consent(http, url)


def by_a_page_with_a_form_of_its_own(client: Sender, http: Client, url: str) -> Any:
    """Press the button of a page whose form goes to the endpoint alone."""
    return http.post(AUTHORIZE, {**page_fields(http.get(url)), "allow": "on"})


def asking_nobody(client: Sender, http: Client, url: str) -> Any:
    """Let an application through that needs no consent."""
    client.application.skip_authorization = True
    client.application.save()
    return http.get(url)


def approved_before(client: Sender, http: Client, url: str) -> Any:
    """Let an application through that has been given consent already."""
    create_access_token(client.application, scope="read write")
    return http.get(f"{url}&approval_prompt=auto")


every_visit = table(
    "visit",
    {
        "the page's form": by_the_page,
        "a form without the query": by_a_page_with_a_form_of_its_own,
        "no consent needed": asking_nobody,
        "consent given before": approved_before,
    },
)


def code_of(client: Sender, url: str, visit: Callable[..., Any] = by_the_page) -> str:
    return answer_of(visit(client, browser(), url))["code"]


def push(client: Sender, *, proof: str | None = None, **changes: str) -> Any:
    return client.post({**AUTHORIZATION_REQUEST, **changes}, proof=proof, path=PAR)


def pushed_url(client: Sender, response: Any, **added: str) -> str:
    assert response.status_code == 201, response.content
    return url_of(client.application.client_id, response.json()["request_uri"], **added)


def redeemed_by_its_key_alone(client: Sender, code: str) -> None:
    """Assert that a code is worth nothing with another key or none, and afterwards something with its own."""
    assert AuthorizationCodeConfirmation.objects.get().thumbprint == client.key.thumbprint
    other = client.by_another_key()
    authenticated = client.attested is not None
    refused(
        Reason.CODE_OF_ANOTHER_KEY,
        lambda: other.post(redemption(code), proof=other.proof()),
        proof_used=authenticated,
    )
    refused(Reason.CODE_OF_ANOTHER_KEY, lambda: client.post(redemption(code)), nonce=False, proof_used=authenticated)
    client.bound(redemption(code))
    assert not AuthorizationCodeConfirmation.objects.exists()


@every_visit
@pytest.mark.accepts("D7")
@pytest.mark.refuses("D7")
def test_a_code_that_was_asked_for_with_a_thumbprint(client: Sender, visit: Callable[..., Any]) -> None:
    url = asking(client, dpop_jkt=client.key.thumbprint)
    redeemed_by_its_key_alone(client, code_of(client, url, visit))


@every_visit
@pytest.mark.accepts("D7")
def test_without_a_thumbprint_any_key_will_do(client: Sender, visit: Callable[..., Any]) -> None:
    code = code_of(client, asking(client), visit)
    assert not AuthorizationCodeConfirmation.objects.exists()
    client.bound(redemption(code))


@pytest.mark.accepts("D7")
def test_a_thumbprint_without_a_value_is_none(client: Sender) -> None:
    """RFC 6749 section 3.1."""
    client.bound(redemption(code_of(client, asking(client, dpop_jkt=""))))


@pytest.mark.accepts("D7")
@pytest.mark.refuses("D7")
def test_a_thumbprint_that_is_pushed(client: Sender) -> None:
    response = push(client, dpop_jkt=client.key.thumbprint)
    redeemed_by_its_key_alone(client, code_of(client, pushed_url(client, response)))


@pytest.mark.accepts("D7")
@pytest.mark.refuses("D7")
@pytest.mark.parametrize("named", [False, True], ids=["by the proof", "by both"])
def test_a_key_that_is_proven_with_the_push(client: Sender, named: bool) -> None:
    changes = {"dpop_jkt": client.key.thumbprint} if named else {}
    response = push(client, proof=client.proof(PAR), **changes)
    assert response.headers[NONCE_FIELD]
    redeemed_by_its_key_alone(client, code_of(client, pushed_url(client, response)))


@pytest.mark.refuses("D7")
def test_a_push_that_names_another_key_than_it_proves(client: Sender) -> None:
    other = client.by_another_key()
    proof = client.proof(PAR)
    refused(
        Reason.DPOP_JKT_MISMATCH,
        lambda: push(client, proof=proof, dpop_jkt=other.key.thumbprint),
        proof_used=client.attested is not None,
    )
    if not client.combined:  # where it has authenticated the client, it is used up
        assert push(client, proof=proof).status_code == 201


@pytest.mark.refuses("D3", "D7")
def test_a_push_with_a_bad_proof(client: Sender) -> None:
    """And nothing is pushed."""
    used = client.proof(PAR)
    assert push(client, proof=used).status_code == 201
    code = "invalid_client_attestation" if client.combined else None
    authenticated = client.attested is not None and not client.combined
    for reason, proof in {
        Reason.DPOP_HTU: client.proof(TOKEN),
        Reason.DPOP_FIELD_MALFORMED: "x",
        Reason.DPOP_REPLAYED: used,
    }.items():
        refused(reason, lambda it=proof: push(client, proof=it), code=code, proof_used=authenticated)
    refused(
        Reason.DPOP_NONCE_UNKNOWN,
        lambda: push(client, proof=client.proof(PAR, nonce="n" * 43)),
        proof_used=authenticated,
    )


@pytest.mark.accepts("D7")
@pytest.mark.parametrize("kind", ["attested, another key", "secret, all", "public, all"])
def test_a_push_that_is_refused_for_something_else_leaves_its_proof_unused(kind: str, settings: Any) -> None:
    client = sender(kind, CODE, settings)
    proof = client.proof(PAR)
    for wrong in ({"redirect_uri": "https://elsewhere.example/"}, {"scope": "everything"}, {"request_uri": "urn:x"}):
        assert push(client, proof=proof, **wrong).status_code == 400
    assert not PushedAuthorizationRequest.objects.exists()
    assert push(client, proof=proof).status_code == 201


@pytest.mark.refuses("D5", "D7")
def test_a_push_without_the_nonce_that_is_required(client: Sender, settings: Any) -> None:
    configure(settings, DPOP_NONCE="required")
    response = refused(
        Reason.DPOP_NONCE_MISSING,
        lambda: push(client, proof=client.proof(PAR, nonce=None)),
        proof_used=client.attested is not None and not client.combined,
    )
    proof = client.proof(PAR, nonce=response.headers[NONCE_FIELD])
    assert push(client, proof=proof).status_code == 201


@pytest.mark.refuses("D7")
def test_the_browser_cannot_put_another_key_in_the_place_of_a_pushed_one(client: Sender) -> None:
    other = client.by_another_key().key.thumbprint
    url = pushed_url(client, push(client, dpop_jkt=client.key.thumbprint), dpop_jkt=other)
    code = answer_of(consent(browser(), url, dpop_jkt=other))["code"]
    redeemed_by_its_key_alone(client, code)


def test_nor_add_one(client: Sender) -> None:
    other = client.by_another_key().key.thumbprint
    url = pushed_url(client, push(client), dpop_jkt=other)
    code = answer_of(consent(browser(), url, dpop_jkt=other))["code"]
    client.bound(redemption(code))


MALFORMED = {
    "a word": "x",
    "a character less": "t" * 42,
    "a character more": "t" * 44,
    "padding": "t" * 42 + "=",
    "base64": "t" * 42 + "+",
    "a line feed at its end": "t" * 43 + "\n",
    "digits of another script": "\u0661" * 43,
    "a null": "t" * 42 + "\0",
}


@table("value", MALFORMED)
@pytest.mark.refuses("D7", "E7")
def test_what_is_no_thumbprint(client: Sender, value: str) -> None:
    """The client is told by a redirect, or at once, and no code is stored."""
    before = stored()
    answer = answer_of(browser().get(asking(client, dpop_jkt=value)))
    assert (answer["error"], answer["state"]) == ("invalid_request", "xyz")
    assert stored() == before
    response = push(client, dpop_jkt=value)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert not PushedAuthorizationRequest.objects.exists()
    # On the way through the page, by whoever has the browser.
    http = browser()
    form = {**page_fields(http.get(asking(client, dpop_jkt=client.key.thumbprint))), "allow": "on"}
    response = http.post(AUTHORIZE, {**form, "dpop_jkt": value})
    assert response.status_code in (302, 400)
    assert not get_grant_model().objects.exists()


def ignores_all(client: Sender) -> None:
    """Assert that thumbprints and proofs of a client mean nothing, good or bad."""
    for value in (client.key.thumbprint, *MALFORMED.values()):
        code = code_of(client, asking(client, dpop_jkt=value))
        response = client.post(redemption(code))
        assert response.json()["token_type"] == "Bearer", value
    for proof in ("x", client.proof(PAR)):
        response = push(client, proof=proof)
        code = code_of(client, pushed_url(client, response))
        response = client.post(redemption(code), proof=proof)
        assert response.json()["token_type"] == "Bearer"
    assert not AuthorizationCodeConfirmation.objects.exists()


@pytest.mark.parametrize("kind", ["attested, another key", "secret, all", "public, required"])
def test_with_dpop_off_nothing_of_this_means_anything(kind: str, settings: Any) -> None:
    client = sender(kind, CODE, settings)
    configure(settings, DPOP="off", METHODS=[NORMAL])
    ignores_all(client)


def test_nor_for_a_client_that_may_not_use_it() -> None:
    client = Sender(CODE.create_application("free"), parameters={"client_id": "free", "client_secret": "secret"})
    ignores_all(client)
    assert not UsedProof.objects.exists()


@pytest.mark.refuses("D7")
def test_a_code_stays_bound_when_dpop_is_switched_off(settings: Any) -> None:
    client = sender("secret, all", CODE, settings)
    code = code_of(client, asking(client, dpop_jkt=client.key.thumbprint))
    configure(settings, DPOP="off", METHODS=[NORMAL])
    refused(Reason.CODE_OF_ANOTHER_KEY, lambda: client.post(redemption(code)), nonce=False)
    configure(settings, DPOP="all")
    client.bound(redemption(code))


@pytest.mark.refuses("D7")
def test_a_thumbprint_selects_no_combined_mode(settings: Any) -> None:
    """Nor does it stand in for a proof at the token endpoint."""
    client = sender("attested, combined", CODE, settings)
    code = code_of(client, asking(client, dpop_jkt=client.key.thumbprint))
    parameters = {**redemption(code), "dpop_jkt": client.key.thumbprint}
    refused(Reason.CODE_OF_ANOTHER_KEY, lambda: client.post(parameters), nonce=False, proof_used=True)
    client.bound(parameters)


def test_the_consent_page_keeps_the_thumbprint() -> None:
    """As a hidden field, escaped, and only where there was one."""
    alice()
    door = CODE.register()
    client = Sender(door.application, attested=door)
    page = browser().get(asking(client, dpop_jkt="t" * 43))
    assert b'<input type="hidden" name="dpop_jkt" value="' + b"t" * 43 in page.content
    assert b"dpop_jkt" not in browser().get(asking(client)).content
