"""A pushed request is decided once, however many decisions arrive at the same moment (RFC 9126 section 7.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from tests.e2e.authorization import PushingClient, login
from tests.e2e.live import LiveSite, running_site
from tests.e2e.wire import http_request, send_at_once
from tests.services import service_url

pytestmark = pytest.mark.slow

AT_ONCE = 24
SITES: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "postgresql": {"database_server": "POSTGRES_URL"},
    "postgresql-atomic": {"database_server": "POSTGRES_URL", "ATOMIC_REQUESTS": "1"},
    "mariadb": {"database_server": "MARIADB_URL"},
    "mariadb-atomic": {"database_server": "MARIADB_URL", "ATOMIC_REQUESTS": "1"},
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(options, id=name, marks=[] if name == "sqlite" else [pytest.mark.services])
        for name, options in SITES.items()
    ],
)
def site(
    request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSite]:
    """A site with four worker processes."""
    options = dict(request.param)
    if "database_server" in options:
        options["database_server"] = service_url(options["database_server"])
    with running_site(migrated_sqlite, tmp_path_factory.mktemp("site"), **options) as site:
        yield site


def test_of_many_decisions_at_once_one_yields_a_code(site: LiveSite, tmp_path: Path) -> None:
    client = PushingClient(site, tmp_path).register()
    session = login(site, client.create_user())
    url = client.authorization_url(client.push())
    page = session.get(url, allow_redirects=False)
    assert page.status_code == 200, page.text
    form = urlencode({**client.consent_fields(page), "allow": "on"})
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", cookies), ("Origin", site.url)]
    decision = http_request("POST", client.metadata["authorization_endpoint"], headers, form)

    answers = send_at_once(site.url, [decision] * AT_ONCE, in_hand=site.workers)

    assert Counter(answer.status for answer in answers) == {302: 1, 400: AT_ONCE - 1}
    (accepted,) = (answer for answer in answers if answer.status == 302)
    assert client.codes() == 1
    token = client.redeem(client.code_in(accepted.headers["Location"]))
    assert token.status_code == 200, token.text


def test_of_many_redemptions_at_once_one_yields_tokens(site: LiveSite, tmp_path: Path) -> None:
    client = PushingClient(site, tmp_path).register()
    code = client.code(login(site, client.create_user()))
    form = urlencode(client.redemption(code))
    url = client.metadata["token_endpoint"]
    tokens = [
        http_request(
            "POST", url, [("Content-Type", "application/x-www-form-urlencoded"), *client.fields().items()], form
        )
        for _ in range(4)
    ]

    answers = send_at_once(site.url, tokens, in_hand=site.workers)

    assert Counter(answer.status for answer in answers) == {200: 1, 400: 3}, [answer.body for answer in answers]
    (token,) = (answer.json() for answer in answers if answer.status == 200)
    api = requests.get(
        f"{site.url}/api/hello", headers={"Authorization": f"Bearer {token['access_token']}"}, timeout=60
    )
    assert api.status_code == 200
