"""Rules H: the request's header fields, counted, measured and matched before anything is parsed.

Section 4, 5.1 and 7 of the draft; RFC 9651 section 3.3.4 for the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .errors import ClientAttestationError, Reason

# A compact JWS is three base64url runs; as a Structured Field Token it starts with a letter (H3). Neither
# grammar knows comma, space, quote or semicolon, so joined duplicates and parameters cannot pass.
_COMPACT_JWT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """The values of the three fields as they arrived, one string for each occurrence.

    A server that joins repeated fields (WSGI) hands over one string with a comma in it; both forms are
    recognised as repetition (H2).
    """

    attestation: Sequence[str] = ()
    pop: Sequence[str] = ()
    dpop: Sequence[str] = ()

    @property
    def committed(self) -> bool:
        """Whether the request chose this method: from here on it succeeds with it or fails (H5)."""
        return bool(self.attestation or self.pop)


@dataclass(frozen=True, slots=True)
class PresentedTokens:
    """Two compact JWTs, not yet parsed."""

    attestation: str
    pop: str


def read_fields(fields: HeaderFields, *, max_length: int) -> PresentedTokens:
    """Return the attestation and the PoP of a request in normal mode.

    :param max_length: the most characters either value may have (H4).
    :raises ClientAttestationError: for anything but exactly one well-formed value of each (H2 to H4, H6); for
        an attestation beside a DPoP proof alone, which is combined mode (D2).
    """
    if not fields.attestation:
        raise ClientAttestationError(Reason.POP_WITHOUT_ATTESTATION)  # H6
    attestation = _single(
        fields.attestation,
        max_length,
        repeated=Reason.ATTESTATION_FIELD_REPEATED,
        malformed=Reason.ATTESTATION_FIELD_MALFORMED,
        too_large=Reason.ATTESTATION_FIELD_TOO_LARGE,
    )
    if not fields.pop:
        raise ClientAttestationError(Reason.COMBINED_MODE_NOT_OFFERED if fields.dpop else Reason.POP_MISSING)
    pop = _single(
        fields.pop,
        max_length,
        repeated=Reason.POP_FIELD_REPEATED,
        malformed=Reason.POP_FIELD_MALFORMED,
        too_large=Reason.POP_FIELD_TOO_LARGE,
    )
    return PresentedTokens(attestation, pop)


def _single(values: Sequence[str], max_length: int, *, repeated: Reason, malformed: Reason, too_large: Reason) -> str:
    if len(values) != 1:  # H2
        raise ClientAttestationError(repeated)
    value = values[0]
    if len(value) > max_length:  # H4
        raise ClientAttestationError(too_large)
    if "," in value:  # H2, joined by the server
        raise ClientAttestationError(repeated)
    if not _COMPACT_JWT.fullmatch(value):  # H3
        raise ClientAttestationError(malformed)
    return value
