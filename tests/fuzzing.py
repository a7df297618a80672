"""How many examples the property-based tests try: enough for every run, and more of them with THOROUGH=1."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("THOROUGH") == "1"


def examples(count: int) -> int:
    """Return ``count`` in a thorough run, and a third of it, ten at least, in any other."""
    return count if THOROUGH else max(10, count // 3)
