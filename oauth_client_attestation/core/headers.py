"""Rules H, and D1: the request's header fields, counted, measured and matched before anything is parsed.

Section 4, 5 and 7 of the draft; RFC 9651 section 3.3.4 and RFC 9449 section 4.1 for the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .errors import ClientAttestationError, Reason

#: A compact JWS is three base64url runs; as a Structured Field Token it starts with a letter (H3). Neither
#: grammar knows comma, space, quote or semicolon, so joined duplicates and parameters cannot pass.
COMPACT_JWT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


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
    """Two compact JWTs, not yet parsed: an attestation and what is to prove possession of its key.

    :ivar proof: the PoP JWT; in combined mode the DPoP proof.
    :ivar combined: whether this is combined mode (D1).
    """

    attestation: str
    proof: str
    combined: bool = False


def read_fields(fields: HeaderFields, *, max_length: int) -> PresentedTokens:
    """Return the attestation of a request and the proof that goes with it.

    Beside a PoP JWT, a DPoP proof is none of the attestation's business; without one, it is the proof (D1).

    :param max_length: the most characters either value may have (H4).
    :raises ClientAttestationError: for anything but exactly one well-formed value of each (H2 to H4, H6).
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
        if not fields.dpop:
            raise ClientAttestationError(Reason.POP_MISSING)
        try:
            return PresentedTokens(attestation, read_dpop(fields, max_length=max_length), combined=True)
        except ClientAttestationError as error:
            raise error.of_client_authentication() from error
    pop = _single(
        fields.pop,
        max_length,
        repeated=Reason.POP_FIELD_REPEATED,
        malformed=Reason.POP_FIELD_MALFORMED,
        too_large=Reason.POP_FIELD_TOO_LARGE,
    )
    return PresentedTokens(attestation, pop)


def read_dpop(fields: HeaderFields, *, max_length: int) -> str:
    """Return the DPoP proof of a request that has the field (D3).

    :raises ClientAttestationError: for anything but exactly one well-formed value.
    """
    return _single(
        fields.dpop,
        max_length,
        repeated=Reason.DPOP_FIELD_REPEATED,
        malformed=Reason.DPOP_FIELD_MALFORMED,
        too_large=Reason.DPOP_FIELD_TOO_LARGE,
    )


def _single(values: Sequence[str], max_length: int, *, repeated: Reason, malformed: Reason, too_large: Reason) -> str:
    if len(values) != 1:  # H2
        raise ClientAttestationError(repeated)
    value = values[0]
    if len(value) > max_length:  # H4
        raise ClientAttestationError(too_large)
    if "," in value:  # H2, joined by the server
        raise ClientAttestationError(repeated)
    if not COMPACT_JWT.fullmatch(value):  # H3
        raise ClientAttestationError(malformed)
    return value
