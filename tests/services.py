"""Where the servers beside SQLite are, for the tests marked `services`.

POSTGRES_URL, MARIADB_URL and REDIS_URL name them. Nothing is looked for at the usual ports: tests write to
what they find, and a server that happens to run here is not theirs. Without the variable a test is skipped;
with REQUIRE_SERVICES=1, as in CI, it fails instead.
"""

import os

import pytest


def service_url(variable: str) -> str:
    url = os.environ.get(variable)
    if url:
        return url
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"REQUIRE_SERVICES=1, but {variable} is not set")
    pytest.skip(f"{variable} is not set")
