"""Refreshing with a proof, however the site handles refresh tokens (rule D6; RFC 9449 section 5)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.instances import database
from oauth_client_attestation.models import AccessTokenConfirmation, RefreshTokenConfirmation
from tests.kit import DOORS, alice, create_refresh_token, provider, stored
from tests.shell.senders import Sender, introspected, key_of, key_of_refresh_token, refused, sender
from tests.shell.sites import HASHED, SITES

pytestmark = pytest.mark.django_db(databases="__all__")

CODE = next(door for door in DOORS if door.name == "authorization_code")
ROOT = Path(__file__).parents[2]


#: Each kind of site, and a few with ATOMIC_REQUESTS.
EVERY_SITE = [*SITES, "reuse protection, atomic", "grace, atomic", "no rotation, atomic"]
with_grace = pytest.mark.parametrize("site", [name for name in EVERY_SITE if "grace" in name], indirect=True)


@pytest.fixture(params=EVERY_SITE)
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A site of each kind."""
    name = request.param.removesuffix(", atomic")
    for alias in connections.settings:
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", name != request.param)
    with provider(**SITES[name]):
        # Where users live in another database, alice has a row beside her tokens too.
        alice().save(using=database())
        yield SITES[name]


@pytest.fixture
def public(site: dict[str, Any], settings: Any) -> Sender:
    """A client without credentials: the key of its proofs is all that protects its refresh tokens."""
    return sender("public, all", CODE, settings)


CONFIDENTIAL = ["attested, combined", "attested, another key", "secret, all"]


@pytest.fixture(params=CONFIDENTIAL)
def confidential(request: pytest.FixtureRequest, site: dict[str, Any], settings: Any) -> Sender:
    """A client whose refresh tokens its authentication protects."""
    return sender(request.param, CODE, settings)


@pytest.fixture(params=["public, all", *CONFIDENTIAL])
def client(request: pytest.FixtureRequest, site: dict[str, Any], settings: Any) -> Sender:
    return sender(request.param, CODE, settings)


def refreshing(tokens: Any) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}


def first_tokens(client: Sender) -> Any:
    """Redeem a code with a proof."""
    return client.bound(CODE.prepare(client.application))


def only_row(thumbprint: str | None) -> None:
    """Assert that there is one access token, with the one confirmation that is due."""
    (row,) = get_access_token_model().objects.all()
    due = [] if thumbprint is None else [(row.pk, thumbprint)]
    assert list(AccessTokenConfirmation.objects.values_list("pk", "thumbprint")) == due


@pytest.mark.accepts("D6")
def test_the_owner_refreshes_again_and_again(client: Sender) -> None:
    tokens = first_tokens(client)
    for _ in range(3):
        tokens = client.bound(refreshing(tokens))
        only_row(client.key.thumbprint)
        assert introspected(tokens["access_token"]) == ("DPoP", {"jkt": client.key.thumbprint})
        assert key_of_refresh_token(tokens["refresh_token"]) == {client.key.thumbprint if client.public else None}
    rows = get_refresh_token_model().objects.count()
    assert RefreshTokenConfirmation.objects.count() == (rows if client.public else 0)


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_a_public_clients_token_needs_its_key_and_stays_its_owners(public: Sender) -> None:
    tokens = first_tokens(public)
    for _ in range(2):
        thief = public.by_another_key()
        reason = Reason.REFRESH_TOKEN_OF_ANOTHER_KEY
        refused(reason, lambda it=thief, tokens=tokens: it.post(refreshing(tokens), proof=it.proof()))
        refused(reason, lambda it=thief, tokens=tokens: it.post(refreshing(tokens)), nonce=False)
        tokens = public.bound(refreshing(tokens))


@pytest.mark.refuses("D6")
def test_a_used_token_in_the_hands_of_a_thief_revokes_nothing(public: Sender) -> None:
    """Reuse protection revokes a whole family for a used token; only the owner's reuse may do that."""
    used = first_tokens(public)
    tokens = public.bound(refreshing(used))
    thief = public.by_another_key()
    reason = Reason.REFRESH_TOKEN_OF_ANOTHER_KEY
    refused(reason, lambda: thief.post(refreshing(used), proof=thief.proof()))
    refused(reason, lambda: thief.post(refreshing(used)), nonce=False)
    public.bound(refreshing(tokens))


@pytest.mark.refuses("D6")
def test_what_protects_a_token_does_so_when_dpop_is_switched_off(public: Sender, settings: Any) -> None:
    """A token that was bound does not become a bearer token by a setting."""
    tokens = first_tokens(public)
    settings.OAUTH_CLIENT_ATTESTATION = {
        **settings.OAUTH_CLIENT_ATTESTATION,
        "DPOP": "off",
        "METHODS": ["attest_jwt_client_auth"],
    }
    refused(Reason.REFRESH_TOKEN_OF_ANOTHER_KEY, lambda: public.post(refreshing(tokens)), nonce=False)


@pytest.mark.accepts("D6")
def test_a_confidential_client_may_change_its_key(confidential: Sender) -> None:
    client = confidential
    tokens = first_tokens(client)
    if client.combined:
        client.combined = False  # the instance stays; the proof is one of its own
    other = client.by_another_key()
    renewed = other.bound(refreshing(tokens))
    only_row(other.key.thumbprint)
    assert introspected(renewed["access_token"]) == ("DPoP", {"jkt": other.key.thumbprint})
    client.bound(refreshing(renewed))
    only_row(client.key.thumbprint)


@pytest.mark.accepts("D6")
def test_a_confidential_client_may_do_without_a_key_and_come_back_to_it(confidential: Sender) -> None:
    """No confirmation of an earlier token is left over, which the bearer token could not be used with."""
    client = confidential
    tokens = first_tokens(client)
    response = client.post(refreshing(tokens))
    assert response.status_code == 200, response.content
    assert response.json()["token_type"] == "Bearer"
    only_row(None)
    assert introspected(response.json()["access_token"])[1] is None
    client.bound(refreshing(response.json()))
    only_row(client.key.thumbprint)


@pytest.mark.accepts("D6")
def test_a_token_from_before_dpop_is_refreshed_with_a_proof(client: Sender) -> None:
    """From then on it is bound, where its client is public: the same token too, if the site issues no other."""
    token = {"refresh_token": create_refresh_token(client.application)}
    tokens = client.bound(refreshing(token))
    assert key_of_refresh_token(tokens["refresh_token"]) == {client.key.thumbprint if client.public else None}
    if client.public:
        thief = client.by_another_key()
        reason = Reason.REFRESH_TOKEN_OF_ANOTHER_KEY
        refused(reason, lambda: thief.post(refreshing(tokens), proof=thief.proof()))
    client.bound(refreshing(tokens))


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_a_token_that_is_used_twice(client: Sender, site: dict[str, Any]) -> None:
    """As the site has it: repeated to the same key within the grace period, refused after it."""
    used = first_tokens(client)
    tokens = client.bound(refreshing(used))
    again = client.post(refreshing(used), proof=client.proof())
    if site.get("ROTATE_REFRESH_TOKEN") is False:
        assert again.json()["token_type"] == "DPoP"
        assert again.json()["refresh_token"] == tokens["refresh_token"] == used["refresh_token"]
    elif site.get("REFRESH_TOKEN_GRACE_PERIOD_SECONDS") and HASHED.items() - site.items():
        names = ("access_token", "refresh_token", "token_type")
        assert {name: again.json()[name] for name in names} == {name: tokens[name] for name in names}
        only_row(client.key.thumbprint)
    else:
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@with_grace
@pytest.mark.refuses("D6")
def test_within_the_grace_period_nothing_is_repeated_to_another_key(confidential: Sender) -> None:
    """The tokens are bound to the first key, and would be of no use: a client that asks with none must not take one
    for a bearer token."""
    client = confidential
    used = first_tokens(client)
    tokens = client.bound(refreshing(used))
    client.combined = False
    other = client.by_another_key()
    proof = other.proof()
    before = stored()
    for send in (lambda: other.post(refreshing(used), proof=proof), lambda: client.post(refreshing(used))):
        response = send()
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    # The PoP JWTs of an attested client, and no proof.
    assert stored() == (before[0] + 2 * (client.attested is not None), *before[1:])
    only_row(client.key.thumbprint)
    client.bound(refreshing(tokens))


@with_grace
@pytest.mark.refuses("D6")
def test_nor_is_a_bearer_token_repeated_to_a_key(confidential: Sender) -> None:
    client = confidential
    used = first_tokens(client)
    assert client.post(refreshing(used)).json()["token_type"] == "Bearer"
    response = client.post(refreshing(used), proof=client.proof())
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    only_row(None)


@pytest.mark.refuses("D3", "P8")
def test_a_used_proof_leaves_the_refresh_token_good(client: Sender) -> None:
    used = client.proof()
    assert client.post(CODE.prepare(client.application), proof=used).status_code == 200
    tokens = first_tokens(client)
    refused(
        Reason.DPOP_REPLAYED,
        lambda: client.post(refreshing(tokens), proof=used),
        code="invalid_client_attestation" if client.combined else None,
        proof_used=client.attested is not None and not client.combined,
    )
    assert key_of(tokens["access_token"]) == client.key.thumbprint
    client.bound(refreshing(tokens))


def test_cleartokens_takes_the_confirmations_along(public: Sender) -> None:
    public.bound(refreshing(first_tokens(public)))
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=2))
    with provider(REFRESH_TOKEN_EXPIRE_SECONDS=3600, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=0):
        get_refresh_token_model().objects.exclude(revoked=None).update(revoked=timezone.now() - timedelta(days=2))
        call_command("cleartokens")
    assert not get_refresh_token_model().objects.exists()
    assert not RefreshTokenConfirmation.objects.exists()
    assert not AccessTokenConfirmation.objects.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)  # a whole module, on a slow machine
@pytest.mark.skipif("tokens" in connections, reason="this is the other run")
def test_all_of_this_with_the_tokens_in_another_database() -> None:
    """In a process of its own, since databases are made once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_"))}
    command = ["pytest", "-q", "-p", "no:xdist", "--ds", "tests.two_databases", "-k", "not atomic", __file__]
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 100
