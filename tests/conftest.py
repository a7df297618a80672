"""Fixtures for every test, and the table of rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.contrib.contenttypes.models import ContentType

from oauth_client_attestation import activity
from tests import rules
from tests.e2e.live import live_site, migrated_sqlite, start_site  # noqa: F401  (fixtures are found by name)
from tests.kit import AttestedClient, forget_oauthlib_cores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rules-table", action="store_true", help="print the table of rules and tests, and stop")
    parser.addoption("--write-rules-table", action="store_true", help="write that table into docs/rules.md, and stop")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "accepts(*rules): shows these rules letting a good request pass")
    config.addinivalue_line("markers", "refuses(*rules): shows these rules refusing")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[_ALL_ITEMS] = list(items)
    if config.getoption("--rules-table"):
        print(rules.render(items))
        items.clear()
    if config.getoption("--write-rules-table"):
        if session.testsfailed or not rules.whole_suite(config):
            raise pytest.UsageError("The table is written only after every test has been collected.")
        rules.write(items)
        pytest.exit(f"{rules.PAGE.name} is written", returncode=0)


_ALL_ITEMS: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()


@pytest.fixture
def collected_items(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """Every test that this run collected, whether selected or not."""
    return request.config.stash[_ALL_ITEMS]


@pytest.fixture(autouse=True)
def settings_left_as_found() -> Iterator[None]:
    """Fail a test that leaves its settings to those after it.

    Settings that are changed by the ``settings`` fixture inside of a block that changes others, such as
    ``kit.provider``, are undone in the wrong order: the fixture puts back what it found, which is the block's.
    """
    before = site_settings._wrapped
    yield
    after, site_settings._wrapped = site_settings._wrapped, before
    assert after is before, "Settings were changed by the fixture inside of a block that ended before it."


@pytest.fixture(autouse=True)
def nothing_written_lately() -> Iterator[None]:
    """Give each test a process that has recorded nothing yet, whatever other tests have been refused or given.

    What an accepted request writes once a minute is then written by the first one of each test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity, "_throttle", activity._Throttle())
        yield


@pytest.fixture(autouse=True)
def nothing_looked_up_yet() -> None:
    """Give each test a process that has looked up no content type and made no oauthlib server, whatever ran before."""
    ContentType.objects.clear_cache()
    forget_oauthlib_cores()


@pytest.fixture
def attested(db: Any) -> AttestedClient:
    """A registered client whose requests are good unless a test spoils one."""
    return AttestedClient().register()
