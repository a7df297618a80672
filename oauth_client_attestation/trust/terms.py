"""On which terms an attester is believed: what an operator set, in the core's words."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from ..core.claims import canonical_scalar
from ..core.keys import PublicKey, SharedSecret
from ..core.results import RequiredClaim, TrustedKey

#: The fields of an attester that :func:`trusted_key` takes, in its order.
TERMS = ("name", "issuer", "algorithms", "max_age", "required_claims")


def trusted_key(
    key: PublicKey | SharedSecret,
    key_id: str | None,
    name: str,
    issuer: str,
    algorithms: Any,
    max_age: int | None,
    required_claims: Any,
) -> TrustedKey:
    """Return a key on the terms of its attester.

    :param key_id: the ``kid`` it was registered with; empty: without one; None: not known.
    :param algorithms: as the model has it, or its JSON text; likewise ``required_claims``.
    """
    return TrustedKey(
        attester=name,
        key=key,
        issuer=issuer,
        algorithms=_algorithms(_text(algorithms)),
        key_id=key_id,
        max_age=max_age,
        required_claims=_required_claims(_text(required_claims)),
    )


def _text(value: Any) -> str:
    """Return a JSON column as text, whatever the database's driver made of it."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@lru_cache(maxsize=1024)
def _algorithms(names: str) -> frozenset[str]:
    return frozenset(json.loads(names))


@lru_cache(maxsize=1024)
def _required_claims(text: str) -> tuple[RequiredClaim, ...]:
    claims = json.loads(text)
    return tuple(RequiredClaim(name, frozenset(map(canonical_scalar, claims[name]))) for name in sorted(claims))
