"""Node.js, with the released clients that package.json pins.

Without Node.js, or without a way to install the packages, the tests that need it are skipped; with
REQUIRE_NODE=1, as in CI, they fail instead.
"""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).resolve().parent
OLDEST_NODE = 20


def unavailable(why: str) -> NoReturn:
    if os.environ.get("REQUIRE_NODE") == "1":
        pytest.fail(f"REQUIRE_NODE=1, but {why}")
    pytest.skip(why)


def installed(names: list[str]) -> dict[str, str]:
    """Return the versions of those packages that are in place."""
    modules = HERE / "node_modules"
    if not (modules / ".package-lock.json").exists():  # npm writes it last
        return {}
    manifests = {name: modules / name / "package.json" for name in names}
    return {name: json.loads(path.read_text())["version"] for name, path in manifests.items() if path.exists()}


@pytest.fixture(scope="session")
def node() -> str:
    """The Node.js to run, with the pinned packages in place."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("node or npm is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.strip().lstrip("v").split(".")[0]) < OLDEST_NODE:
        unavailable(f"node is {version.stdout.strip()}, older than {OLDEST_NODE}")

    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one test process installs, the others wait
        if installed(list(pinned)) != pinned:
            npm_ci = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(npm_ci, cwd=HERE, capture_output=True, text=True, timeout=300)
            if done.returncode:
                unavailable(f"npm ci failed: {done.stderr.strip()}")
    assert installed(list(pinned)) == pinned
    return node
