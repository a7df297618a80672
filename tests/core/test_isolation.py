"""The core stands alone: what it needs comes in as arguments, and one module knows the JOSE library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import oauth_client_attestation.core

CORE = Path(oauth_client_attestation.core.__file__).parent
MODULES = sorted(path.stem for path in CORE.glob("*.py") if path.stem != "__init__")

# Imported in a process of its own, since this one has Django loaded already.
_IMPORT_WITHOUT_THE_SHELL = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "oauth2_provider", "oauthlib", "requests", "rest_framework"}:
            raise ImportError(f"the core must not import {name}")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(f"oauth_client_attestation.core.{name}")
print(" ".join(name.rpartition(".")[2] for name in sorted(sys.modules)
               if name.startswith("oauth_client_attestation.core.")))
print(" ".join(name for name in sorted(sys.modules)
               if name.startswith("oauth_client_attestation.") and ".core" not in name))
try:
    import django
except ImportError as error:
    print(error)
"""


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield the level and name of everything a module of the core imports, functions' imports included."""
    for node in ast.walk(ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_every_module_imports_without_django_and_django_oauth_toolkit() -> None:
    command = [sys.executable, "-c", _IMPORT_WITHOUT_THE_SHELL, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CORE.parents[1])
    assert done.returncode == 0, done.stderr
    loaded, shell, blocked = done.stdout.splitlines()
    assert loaded.split() == MODULES
    assert shell == ""
    assert blocked == "the core must not import django"


#: What each of these modules is the border to, or a part of it.
BORDERS = {
    "anchors": {"cryptography"},
    "certificates": {"cryptography"},
    "certification_path": {"cryptography"},
    "jose": {"jwcrypto", "cryptography"},
    "jwk": {"cryptography"},
    "keys": {"cryptography"},
}


def test_only_the_borders_import_the_libraries() -> None:
    importing: dict[str, set[str]] = {}
    for module in MODULES:
        if used := {name.partition(".")[0] for _, name in imports(module)} & {"jwcrypto", "cryptography"}:
            importing[module] = used
    assert importing == BORDERS


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inward(module: str) -> None:
    """Beside the standard library, and what it is the border to, a module knows its siblings only."""
    allowed = sys.stdlib_module_names | BORDERS.get(module, set())
    for level, name in imports(module):
        assert level == 1 or (level == 0 and name.partition(".")[0] in allowed), name


@pytest.mark.parametrize("module", MODULES)
def test_no_module_reads_a_clock_or_the_environment(module: str) -> None:
    assert {name for _, name in imports(module)}.isdisjoint({"time", "os", "logging", "random"})
    # The validity of certificates comes as ``datetime``, which could read the clock as well.
    tree = ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert called.isdisjoint({"now", "utcnow", "today"})
