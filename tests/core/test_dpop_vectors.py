"""The proofs printed in RFC 9449, as published, and what becomes of each here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oauth_client_attestation.core.dpop import DpopContext, Target, verify_dpop_proof
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.jose import parse_unverified
from oauth_client_attestation.core.results import DpopDemands, VerifiedDpopProof
from tests.core.support import DPOP, refusal

EXAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "rfc9449-examples.json").read_text(encoding="utf-8")
)
PROOFS: list[dict[str, Any]] = EXAMPLES["proofs"]
ACCESS_TOKEN: str = EXAMPLES["access_token"]
ISSUANCE, REFRESH, RESOURCE = PROOFS


def receive(
    printed: dict[str, Any], *, now: float | None = None, access_token: str | None = None, **demands: Any
) -> VerifiedDpopProof:
    """Verify a printed proof as its recipient does, by default at the moment it was made."""
    context = DpopContext(
        Target(printed["method"], printed["uri"], access_token),
        replace(DPOP.demands, **demands) if demands else DpopDemands(frozenset({"ES256"})),
        DPOP.nonces,
    )
    return verify_dpop_proof(printed["token"], context=context, now=printed["claims"]["iat"] if now is None else now)


def name(printed: dict[str, Any]) -> str:
    return f"{printed['printed']}: {printed['request']}"


@pytest.mark.accepts("D3")
@pytest.mark.parametrize("printed", PROOFS, ids=name)
def test_a_printed_proof_is_accepted(printed: dict[str, Any]) -> None:
    parsed = parse_unverified(printed["token"])
    assert dict(parsed.header) == printed["header"]
    assert dict(parsed.claims) == printed["claims"]
    issued_at = printed["claims"]["iat"]
    assert receive(printed) == VerifiedDpopProof(EXAMPLES["jkt"], printed["claims"]["jti"], issued_at + 360, None)


@pytest.mark.accepts("D3")
@pytest.mark.refuses("D3")
def test_the_printed_ath_is_the_hash_of_the_printed_access_token() -> None:
    assert receive(RESOURCE, access_token=ACCESS_TOKEN).thumbprint == EXAMPLES["jkt"]
    with refusal(Reason.DPOP_ATH):
        receive(RESOURCE, access_token=ACCESS_TOKEN[:-1])
    with refusal(Reason.DPOP_ATH):
        receive(ISSUANCE, access_token=ACCESS_TOKEN)


@pytest.mark.refuses("D3")
def test_a_printed_proof_is_for_the_request_that_it_is_printed_with() -> None:
    with refusal(Reason.DPOP_HTM):
        receive({**RESOURCE, "method": "POST"})
    with refusal(Reason.DPOP_HTU):
        receive({**RESOURCE, "uri": ISSUANCE["uri"]})
    with refusal(Reason.DPOP_TOO_OLD):
        receive(ISSUANCE, now=REFRESH["claims"]["iat"])
    with refusal(Reason.DPOP_NONCE_MISSING):
        receive(ISSUANCE, nonce="required")


@pytest.mark.accepts("D3")
def test_the_jti_that_is_printed_twice_is_free_again_at_its_second_use() -> None:
    """The refresh of figure 7 comes 45 minutes after figure 5, and repeats its ``jti``."""
    first, second = receive(ISSUANCE), receive(REFRESH)
    assert first.jti == second.jti
    assert first.valid_until < REFRESH["claims"]["iat"]
