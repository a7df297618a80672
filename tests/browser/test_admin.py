"""What an operator does in the admin, with a keyboard, and what clients see of it over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from jwcrypto.jwk import JWK
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from oauth_client_attestation.testing import AttesterBackend, public_jwk
from tests.browser.console import Console
from tests.e2e.client import LiveClient, assert_refused
from tests.e2e.live import LiveSite
from tests.key_server import KeyServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a story takes a minute on a busy machine


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    """Where an attester publishes its keys."""
    with KeyServer() as server:
        yield server


@pytest.fixture
def console(browser: Chrome, start_site: Callable[..., LiveSite], key_server: KeyServer) -> Console:
    """An operator who has signed in, at a site on PostgreSQL where POSTGRES_URL names one, and else on SQLite."""
    site = start_site(
        workers=2,
        # A browser opens connections ahead, each of which would keep a worker without threads busy.
        options=("--threads", "4"),
        database_server=os.environ.get("POSTGRES_URL"),
        JWKS_ALLOWED_PRIVATE_HOSTS=f"127.0.0.1:{key_server.port}",
    )
    console = Console(browser, site)
    console.sign_in()
    return console


@pytest.fixture
def client(console: Console, tmp_path: Path) -> LiveClient:
    """A client that nobody has marked yet, and whose attester nobody knows."""
    client = LiveClient(console.site, tmp_path, client_id="acme-wallet")
    console.site.manage(
        *["createapplication", "confidential", "client-credentials"],
        *["--client-id", client.client_id, "--name", "Acme wallet"],
    )
    return client


def test_from_the_first_key_to_the_last_refusal(console: Console, client: LiveClient) -> None:
    console.open("attester/")
    console.press("Add attester")
    console.fill("Name", "Acme")
    refuse_what_is_no_public_key(console)
    console.fill("Keys", json.dumps(client.backend.jwks))
    console.activate("Add another Trusted application")
    choose(console, "Acme wallet")
    console.press("Save")
    assert console.messages == ["The attester “Acme” was added successfully."]
    assert console.texts(".field-sources") == ["entered"]
    assert console.texts(".field-accepted") == ["never"]

    assert_refused(ask(client), "invalid_client")
    mark_application(console)
    assert ask(client).status_code == 200
    console.open("attester/")
    assert console.texts(".field-accepted") == ["0\xa0minutes ago"]

    expired = client.attestation(lifetime=-300)
    forged = AttesterBackend().attest(client.instance, client.client_id)
    assert_refused(ask(client, expired), "use_fresh_attestation")
    assert_refused(ask(client, forged), "invalid_client_attestation")
    console.open("refusal/")
    refused = ["attestation_signature", "attestation_expired", "client_not_registered"]
    assert reasons(console) == refused

    check(console, forged)
    assert console.texts(".verdict") == ["Refused: attestation_signature"]
    assert "compare the thumbprints" in console.texts("#verdict")[0]
    assert failed_checks(console) == ["A3 That key verifies the signature. failed"]
    check(console, expired)
    assert console.texts(".verdict") == ["Refused: attestation_expired"]
    assert failed_checks(console) == ["A5 It has not expired. failed"]

    attestation, proof = client.attestation(), client.pop(client.challenge())
    check(console, attestation, proof)
    assert console.texts(".verdict") == ["Accepted."]
    assert client.token(attestation, proof).status_code == 200  # so checking did not use it up
    console.open("refusal/")
    assert reasons(console) == refused

    switch(console, "Disable")
    assert console.messages == ["1 attester disabled."]
    assert_refused(ask(client), "invalid_client_attestation")
    console.open("refusal/")
    assert reasons(console) == ["attester_not_trusted", *refused]
    console.press(console.texts(".field-time")[0])
    assert console.texts(".field-advice .readonly") == [
        "Link the attester to the application, enable it and its key, or enter its new key."
    ]
    switch(console, "Enable")
    assert ask(client).status_code == 200


def test_keys_by_url(console: Console, client: LiveClient, key_server: KeyServer) -> None:
    key_server.publish(client.backend)
    console.open("attester/add/")
    console.fill("Name", "Acme")
    console.fill("JWK Set URL", key_server.url())
    console.activate("Trusted for all applications", Keys.SPACE)
    console.press("Save and continue editing")
    assert console.texts("#keys-group .field-thumbprint") == []

    console.press("Fetch keys now")
    assert console.messages == ["Acme: The keys were fetched."]
    assert console.texts("#keys-group .field-thumbprint") == [client.backend.key.thumbprint()]
    assert console.texts("#keys-group .field-source") == ["fetched"]
    mark_application(console)
    assert ask(client).status_code == 200

    key_server.publish(successor := AttesterBackend(key_id="attester-2"))
    console.open("attester/")
    run(console, "Fetch")
    assert console.texts("#content li") == [f"Acme: {key_server.url()}"]
    console.press("Fetch keys now")
    assert console.messages == ["Acme: The keys were fetched."]
    assert_refused(ask(client), "invalid_client_attestation")
    client.backend = successor
    assert ask(client).status_code == 200

    key_server.answer(b"{}")
    console.open("attester/")
    run(console, "Fetch")
    console.press("Fetch keys now")
    assert console.messages == ["Acme: The answer is not a JWK Set."]
    assert "The answer is not a JWK Set." in console.texts(".field-last_fetch")[0]
    assert ask(client).status_code == 200  # the last good keys are kept


def ask(client: LiveClient, attestation: str = "") -> requests.Response:
    """Ask for a token with a new proof."""
    return client.token(attestation or client.attestation(), client.pop(client.challenge()))


def refuse_what_is_no_public_key(console: Console) -> None:
    """Paste what must not be pasted, and read why."""
    private = AttesterBackend().key
    console.fill("Keys", private.export_private())
    console.press("Save")
    assert console.errors == [
        "Key 1 contains a private or secret key. Never paste it anywhere: keep it with the attester, consider it "
        "compromised, and enter the public key only."
    ]
    assert json.loads(private.export_private())["d"] not in console.browser.page_source
    assert console.browser.find_element(By.NAME, "jwks").get_property("value") == ""

    console.fill("Keys", json.dumps(public_jwk(JWK.generate(kty="RSA", size=1024))))
    console.press("Save")
    assert console.errors == ["Key 1 is not acceptable: an RSA key has 2048 to 8192 bits."]


def choose(console: Console, application: str) -> None:
    """Find an application by typing, in the row that was added just now."""
    while console.browser.switch_to.active_element.aria_role != "combobox":
        console.tab_back()
    console.type(Keys.ENTER)
    console.type(application)
    console.wait(lambda: console.texts(".select2-results__option--highlighted") == [application])
    console.type(Keys.ENTER)


def mark_application(console: Console) -> None:
    """Give the application a policy, on its own page."""
    console.browser.get(f"{console.site.url}/admin/oauth2_provider/application/")
    console.press(console.texts("#result_list tbody th")[0])
    console.activate("Add another Attestation policy")
    console.press("Save")


def reasons(console: Console) -> list[str]:
    """Return the reasons in the list of refusals."""
    return [text.splitlines()[0] for text in console.texts(".field-explained")]


def check(console: Console, attestation: str, proof: str = "") -> None:
    """Check what the latest refusal was about, or think of something else on its page."""
    console.open("refusal/")
    console.press(console.texts(".field-time")[0])
    console.press("Check an attestation")
    console.fill("Attestation", attestation)
    if proof:
        console.fill("Proof of possession", proof)
        console.fill("As of", "")
    console.press("Check")


def failed_checks(console: Console) -> list[str]:
    """Return what the verdict rests on: rule, check and result."""
    return [" ".join(row.split()) for row in console.texts("tr.failed")]


def switch(console: Console, action: str) -> None:
    """Enable or disable the only attester."""
    console.open("attester/")
    run(console, action)


def run(console: Console, action: str) -> None:
    """Run the action that starts so on the only attester of the list."""
    console.activate("Select this object for an action - Acme", Keys.SPACE)
    console.tab_to("Action")
    console.type(action)
    console.press("Go")
