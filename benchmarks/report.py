"""The figures as a table for people, and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version

from .measure import Row

_HEADINGS = {
    "verification": "(a) Verifying attestation and proof, ES256",
    "throughput": "(b) Token requests a second",
    "replay": "(c) Recording a proof",
}
_COLUMNS = ("compared", "ratio", "least to most", "target", "verdict", "figures")
_DISTRIBUTIONS = ("cryptography", "jwcrypto", "Django", "django-oauth-toolkit", "oauthlib", "gunicorn")


def environment() -> dict[str, str]:
    """Return the versions that matter, and the size of the machine."""
    from cryptography.hazmat.backends.openssl import backend

    return {
        "CPUs": str(os.cpu_count()),
        "Python": platform.python_version(),
        **{name: version(name) for name in _DISTRIBUTIONS},
        "OpenSSL": backend.openssl_version_text().split()[1],
        "SQLite": sqlite3.sqlite_version,
    }


def as_table(rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """Return Markdown that is also readable as it is."""
    versions = ", ".join(f"{name} {value}" for name, value in environment().items()) + "."
    lines = textwrap.wrap(versions, 120, break_on_hyphens=False)
    for part, heading in _HEADINGS.items():
        cells = [
            (
                row.what,
                f"{row.ratio:#.3g}",
                f"{row.least:#.3g} to {row.most:#.3g}",
                row.target,
                row.verdict,
                row.detail,
            )
            for row in rows
            if row.part == part
        ]
        if cells:
            lines += ["", f"### {heading}", "", *_aligned([_COLUMNS, *cells])]
    if left_out:
        lines += ["", *(f"Left out: {what}." for what in left_out)]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """Return everything as one JSON object."""
    document = {
        "environment": environment(),
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "left_out": list(left_out),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines
