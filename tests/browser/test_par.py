"""A pushed authorization request in a real browser: login, consent, and back to the client with a code."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from oauth_client_attestation.testing import ClientInstance
from tests.e2e.authorization import PASSWORD, PushingClient
from tests.e2e.live import LiveSite

pytestmark = pytest.mark.browser


class Callback(BaseHTTPRequestHandler):
    """The client's side of the redirect."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Back at the client</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing to the test's output."""


@pytest.fixture
def redirect_uri() -> Iterator[str]:
    """Where the client waits for the browser."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(live_site: LiveSite, tmp_path: Path, redirect_uri: str) -> PushingClient:
    """A client that must be attested."""
    return PushingClient(live_site, tmp_path, redirect_uri=redirect_uri).register()


def log_in(browser: Chrome, user: str) -> None:
    assert browser.title == "Log in"
    browser.find_element(By.NAME, "username").send_keys(user)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    WebDriverWait(browser, 20).until(lambda _: browser.find_elements(By.ID, "authorizationForm"))


def decide(browser: Chrome, client: PushingClient, button: str) -> str:
    """Press a button of the consent page; return the URL at the client."""
    browser.find_element(By.CSS_SELECTOR, button).click()
    WebDriverWait(browser, 20).until(lambda _: browser.current_url.startswith(client.redirect_uri))
    assert browser.title == "Back at the client"
    return browser.current_url


AUTHORIZE = "input[name=allow]"
CANCEL = "input[type=submit]:not([name])"


@pytest.mark.accepts("B1", "B3")
@pytest.mark.refuses("B1", "B3")
def test_from_the_login_to_a_token_and_its_successor(browser: Chrome, client: PushingClient) -> None:
    user, url = client.create_user(), client.authorization_url(client.push())
    browser.get(url)
    log_in(browser, user)
    assert browser.current_url == url
    assert "Read your data" in browser.page_source
    assert client.redirect_uri not in browser.current_url

    code = client.code_in(decide(browser, client, AUTHORIZE))

    another = ClientInstance()
    refused = client.redeem(code, another)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    tokens = client.redeem(code)
    assert tokens.status_code == 200, tokens.text
    refused = client.refresh(tokens.json()["refresh_token"], another)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    refreshed = client.refresh(tokens.json()["refresh_token"])
    assert refreshed.status_code == 200, refreshed.text
    assert refreshed.json()["scope"] == "read"


@pytest.mark.refuses("B3")
def test_a_page_that_was_tampered_with_and_a_page_that_was_used(browser: Chrome, client: PushingClient) -> None:
    """Every hidden field gets another value; afterwards the same page is still open in another tab."""
    user, url = client.create_user(), client.authorization_url(client.push())
    browser.get(f"{url}&scope=introspection&state=forged&redirect_uri=https://attacker.example/")
    log_in(browser, user)
    browser.execute_script(
        "for (const field of document.querySelectorAll('input[type=hidden]'))"
        "  if (!['csrfmiddlewaretoken', 'request_uri'].includes(field.name)) field.value = 'https://attacker.example/';"
    )
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(url)
    second = browser.current_window_handle
    browser.switch_to.window(first)
    code = client.code_in(decide(browser, client, AUTHORIZE))
    assert client.redeem(code).json()["scope"] == "read"

    browser.switch_to.window(second)
    browser.find_element(By.CSS_SELECTOR, AUTHORIZE).click()
    WebDriverWait(browser, 20).until(lambda _: "invalid_request_uri" in browser.page_source)
    assert not browser.find_elements(By.ID, "authorizationForm")
    assert client.codes() == 0


def test_a_user_who_cancels(browser: Chrome, client: PushingClient) -> None:
    user, url = client.create_user(), client.authorization_url(client.push())
    browser.get(url)
    log_in(browser, user)
    browser.refresh()  # a reload is no decision
    assert "error=access_denied" in decide(browser, client, CANCEL)
    browser.get(url)
    assert "invalid_request_uri" in browser.page_source
    assert client.codes() == 0
