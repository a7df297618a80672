"""What the tests of the shell share beside the fixtures of every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from tests.kit import NOW


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The time, which is ``NOW`` until the test moves it."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller
