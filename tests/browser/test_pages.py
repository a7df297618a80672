"""Every page of the package in the admin: for every width, colour scheme and pair of eyes.

With SCREENSHOTS set to a directory it also puts pictures there, to be looked at: ``make screenshots``.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys

from oauth_client_attestation.testing import generate_key
from tests.browser import accessibility
from tests.browser.console import Console
from tests.e2e.client import LiveClient
from tests.e2e.live import LiveSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]  # for a slow machine, and the pictures

WIDTHS = (1280, 800)
#: Where colours are ours; the rest of the admin has Django's.
OURS = "[class*=client-attestation], [class*=client-attestation] *, .check-attestation *"


def test_every_page_at_every_width_in_both_colour_schemes(
    browser: Chrome, start_site: Callable[..., LiveSite], tmp_path: Path
) -> None:
    site = start_site(workers=1, options=("--threads", "4"))
    client = LiveClient(site, tmp_path, client_id="acme-wallet").register()
    rows = json.loads(
        site.shell(f"import json, tests.browser.scene as s; print(json.dumps(s.build({client.client_id!r})))")
    )
    console = Console(browser, site)
    accessibility.show(browser, width=WIDTHS[0], scheme="light")
    console.sign_in()
    problems: dict[str, list[str]] = {}
    for name in pages(console, client, rows):
        for problem in accessibility.unnamed(browser):
            problems.setdefault(problem, []).append(name)
        for scheme in accessibility.COLOUR_SCHEMES:
            for width in WIDTHS:
                accessibility.show(browser, width=width, scheme=scheme)
                for problem in accessibility.problems(browser, ours=OURS):
                    problems.setdefault(problem, []).append(f"{name}, {width} px, {scheme}")
                if "SCREENSHOTS" in os.environ:
                    take_picture(browser, Path(os.environ["SCREENSHOTS"]) / f"{name}-{width}-{scheme}.png")
        accessibility.show(browser, width=WIDTHS[0], scheme="light")
    assert not problems, "\n".join(f"{problem}  ({'; '.join(where)})" for problem, where in problems.items())


def pages(console: Console, client: LiveClient, rows: dict[str, int]) -> Iterator[str]:
    """Go from page to page; each is named once it is there."""
    application = f"{console.site.url}/admin/oauth2_provider/application/{rows['application']}/change/"
    addresses = {
        "index": "",
        "attesters": "attester/",
        "attester-new": "attester/add/",
        "attester-with-keys": f"attester/{rows['keys']}/change/",
        "attester-with-url": f"attester/{rows['url']}/change/",
        "attester-with-certificates": f"attester/{rows['certificates']}/change/",
        "policies": "attestationpolicy/",
        "policy": f"attestationpolicy/{rows['policy']}/change/",
        "refusals": "refusal/",
        "refusal": f"refusal/{rows['refusal']}/change/",
        "check": "refusal/check-attestation/",
    }
    for name, address in addresses.items():
        console.open(address)
        yield name

    console.browser.get(application)
    yield "application"

    console.open("attester/add/")
    console.fill("Name", "Mistaken")
    console.fill("Keys", generate_key().export_private())
    console.press("Save")
    yield "attester-refused"

    console.open("attester/")
    console.tab_to("Select all objects on this page for an action")
    console.type(Keys.SPACE)
    console.tab_to("Action")
    console.type("Fetch")
    console.press("Go")
    yield "attesters-fetch"

    for name, attestation in (
        ("check-accepted", client.attestation(claims={"security_level": "high", "app_version": "4.2"})),
        ("check-refused", client.attestation(lifetime=-300, claims={"security_level": "high", "app_version": "4.2"})),
        ("check-mistyped", "not a token"),
    ):
        console.open("refusal/check-attestation/")
        console.fill("Attestation", attestation)
        console.fill("Proof of possession", client.pop(client.challenge()))
        console.press("Check")
        yield name


def take_picture(browser: Chrome, path: Path) -> None:
    """Save the whole page as a PNG, however long it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(picture["data"]))
