"""The table of ``docs/rules.md`` is complete and is what the tests say.

Both need every test to have been collected, so a run over some of the files skips them.
"""

from __future__ import annotations

import pytest

from tests import rules


@pytest.fixture
def every_test(request: pytest.FixtureRequest, collected_items: list[pytest.Item]) -> list[pytest.Item]:
    if not rules.whole_suite(request.config):
        pytest.skip("only a part of the tests was collected")
    return collected_items


def test_every_rule_has_a_test_that_accepts(every_test: list[pytest.Item]) -> None:
    table = rules.collect(every_test)
    assert [rule for rule in rules.RULES if not table[rule]["accepts"]] == []


def test_every_rule_has_a_test_that_refuses(every_test: list[pytest.Item]) -> None:
    table = rules.collect(every_test)
    needed = set(rules.RULES) - rules.ACCEPT_ONLY
    assert sorted(rule for rule in needed if not table[rule]["refuses"]) == []


def test_every_refusal_is_shown_over_http_too(every_test: list[pytest.Item]) -> None:
    """A test of the core sees the reason alone; body, status, headers and storage are seen from outside."""
    table = rules.collect(every_test)
    needed = set(rules.RULES) - rules.ACCEPT_ONLY
    over_http = {rule for rule in needed if any(test.startswith("tests/shell/") for test in table[rule]["refuses"])}
    assert sorted(needed - over_http) == []


def test_what_only_permits_is_a_rule() -> None:
    assert set(rules.RULES) >= rules.ACCEPT_ONLY


def test_the_page_holds_the_table_of_these_tests(every_test: list[pytest.Item]) -> None:
    assert rules.written() == rules.render(every_test), "run: pytest --write-rules-table"
