"""What belongs to an instance, presented by somebody who is not attested: as if it never was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.signals import client_attestation_refused
from tests.kit import CHALLENGE_FIELD, stored


def concealed(reason: Reason | None, send: Callable[[str], Any], value: str) -> Any:
    """Present ``value``, and one that never was; assert that the two answers are the same, and return one.

    Nothing is stored, and the reason goes to the signal alone; None, where there is nothing to report.
    """
    reasons: list[Reason] = []

    def note(*, reason: Reason, **kwargs: Any) -> None:
        reasons.append(reason)

    before = stored()
    client_attestation_refused.connect(note)
    try:
        known = send(value)
        assert reasons == ([reason] if reason else [])
        unknown = send("x" * len(value))
    finally:
        client_attestation_refused.disconnect(note)
    assert reasons == ([reason] if reason else [])
    assert 400 <= known.status_code < 500
    assert (known.status_code, known.content, known.headers) == (unknown.status_code, unknown.content, unknown.headers)
    assert CHALLENGE_FIELD not in known.headers
    assert stored() == before
    return known
