"""The rules of the specification and the tests that prove them.

A test that shows a rule letting a good request pass is marked ``@pytest.mark.accepts("A1")``, one that shows it
refusing ``@pytest.mark.refuses("A1")``. ``pytest --rules-table`` prints the table, ``pytest --write-rules-table``
writes it into ``docs/rules.md``, and ``tests/test_rules_table.py`` fails while a rule lacks either kind or the
page is not what the tests say.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "rules.md"
BEGIN = "<!-- The table is generated: pytest --write-rules-table -->\n"
END = "<!-- End of the table -->\n"

#: The rules, in the words of the specification's sections. A rule without a refusal says why.
RULES = {
    "H1": "Field names compare case-insensitively, values case-sensitively",
    "H2": "Exactly one field of each kind",
    "H3": "The value is a single compact JWT",
    "H4": "Size is bounded before parsing",
    "H5": "A field of ours commits the request to this method",
    "H6": "A PoP without an attestation is refused",
    "A1": "typ of the attestation",
    "A2": "alg is accepted and fits the key",
    "A3": "The signature is by a known, enabled attester trusted for this client",
    "A4": "sub is the client, and the only one the request names",
    "A5": "exp is in the future",
    "A6": "iat is not in the future, and recent enough",
    "A7": "cnf.jwk is an acceptable public key",
    "A8": "crit is refused, other unknown members are ignored",
    "A9": "nbf and iss are honoured where present",
    "A10": "Strict JSON",
    "P1": "typ of the PoP",
    "P2": "alg of the PoP is accepted and fits the instance key",
    "P3": "The PoP is signed by the instance key",
    "P4": "aud is this server's issuer, alone",
    "P5": "jti is a bounded string",
    "P6": "The PoP is recent, by its challenge or its iat",
    "P7": "The challenge is this server's and current",
    "P8": "A proof is accepted once",
    "P9": "Unknown claims are ignored",
    "D1": "An attestation with a DPoP proof and no PoP is combined mode",
    "D2": "Combined mode is refused where it is not offered",
    "D3": "One good DPoP proof: RFC 9449 section 4.3",
    "D4": "In combined mode the DPoP proof is by the instance key",
    "D5": "In combined mode the DPoP nonce is the challenge",
    "D6": "A token issued along with a proof belongs to its key",
    "D7": "dpop_jkt binds the code",
    "C1": "The challenge endpoint",
    "C2": "The metadata carries the challenge endpoint",
    "C3": "Responses carry a fresh challenge",
    "C4": "Challenges hold across processes and secret rotation",
    "C5": "A challenge used in time is not answered with another demand",
    "C6": "Browser-based clients can read the headers",
    "C7": "A nonce on OPTIONS, the way of revision -05",
    "E1": "use_attestation_challenge",
    "E2": "use_fresh_attestation",
    "E3": "invalid_client_attestation",
    "E4": "invalid_client",
    "E5": "Status codes",
    "E6": "One public sentence, the reason in log and signal",
    "E7": "The same at every endpoint, never a 500, never HTML",
    "B1": "A refresh token is used by the instance it was issued to alone",
    "B2": "It stays bound however a site handles refresh tokens; an unbound one is refused",
    "B3": "A code whose request an instance has pushed is redeemed by that instance alone",
    "B4": "A device code is redeemed by the instance that asked for it alone",
    "B5": "An application registered for attestation gets in no other way",
    "T1": "Pre-shared JWK Set, selected by kid",
    "T2": "JWK Set by URL, fetched safely",
    "T3": "x5c leads to a configured trust anchor at the time of use",
    "T4": "A shared secret for MAC attestations, from the settings only",
    "T5": "An attester is trusted for named clients or explicitly for all",
    "M1": "The methods are advertised where they are accepted",
    "M2": "The algorithms are advertised",
    "S1": "An attestation as an additional signal, at the authorization server and at resources",
    "S2": "At a resource the audience is the resource identifier",
    "K1": "Clients register themselves for attestation, and are told no secret",
}

#: Rules that only permit: there is nothing they could refuse.
ACCEPT_ONLY = {"P9", "C2", "C6", "M1", "M2"}


def collect(items: list[pytest.Item]) -> dict[str, dict[str, set[str]]]:
    """Return, for each rule, the tests that accept and that refuse."""
    table: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"accepts": set(), "refuses": set()})
    for item in items:
        for kind in ("accepts", "refuses"):
            for mark in item.iter_markers(kind):
                for rule in mark.args:
                    if rule not in RULES:
                        raise pytest.UsageError(f"{item.nodeid} names the unknown rule {rule!r}")
                    table[rule][kind].add(item.nodeid.split("[")[0])
    return table


def render(items: list[pytest.Item]) -> str:
    """Return the table as Markdown."""
    table = collect(items)
    lines = ["| rule | what | accepts | refuses |", "|---|---|---|---|"]
    for rule, what in RULES.items():
        cells = ["<br>".join(sorted(table[rule][kind])) or "–" for kind in ("accepts", "refuses")]
        lines.append(f"| {rule} | {what} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def whole_suite(config: pytest.Config) -> bool:
    """Whether the command line lets pytest collect every test: no path, node or option leaves one out.

    ``-k``, ``-m`` and ``--deselect`` do not matter, since they choose among what was collected. A process of a
    parallel run is given the same command line and collects everything, whichever tests it then runs.
    """
    if any(config.getoption(option, None) for option in ("ignore", "ignore_glob", "lf")):
        return False
    directory = config.invocation_params.dir
    paths = [(directory / argument).resolve() for argument in config.args if "::" not in argument]
    return any(TESTS.is_relative_to(path) for path in paths)


def written() -> str:
    """Return the table that ``docs/rules.md`` holds."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(items: list[pytest.Item]) -> None:
    """Put the table of these tests into ``docs/rules.md``."""
    head, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise pytest.UsageError(f"{PAGE} has lost the comments around its table.")
    PAGE.write_text(f"{head}{begin}{render(items)}{end}{tail}", encoding="utf-8")
