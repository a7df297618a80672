"""What is asked of a request, in the order in which it is asked.

Nothing is decided here: each check lists the reasons with which the code that decides refuses, so that a refusal
has its place in the order. Tests hold the order against that code, with every pair of faults in one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ..core.errors import Reason

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Part(StrEnum):
    """What a check is about."""

    REQUEST = "request"
    CLIENT = "client"
    ATTESTATION = "attestation"
    PROOF = "proof"
    DPOP = "dpop"
    USE = "use"


PART_TITLES: Final = {
    Part.REQUEST: _("The request"),
    Part.CLIENT: _("The client"),
    Part.ATTESTATION: _("The attestation"),
    Part.PROOF: _("The proof of possession"),
    Part.DPOP: _("The DPoP proof"),
    Part.USE: _("Before it is let in"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so.

    :ivar name: stable, for programs.
    :ivar rule: its id in ``docs/rules.md``, or empty.
    :ivar title: what has to be so.
    :ivar reasons: why it refuses. A reason that two checks share belongs to the second once the code is past the
        first.
    """

    name: str
    rule: str
    title: _StrPromise
    reasons: tuple[Reason, ...]


CHECKS_BY_PART: Final[Mapping[Part, tuple[Check, ...]]] = {
    Part.REQUEST: (
        Check("issuer", "P4", _("This server has an issuer."), (Reason.ISSUER_NOT_CONFIGURED,)),
        Check("one_mechanism", "B5", _("The request carries no other client credentials."), (Reason.SECOND_MECHANISM,)),
        Check("attestation_size", "H4", _("The attestation is not too long."), (Reason.ATTESTATION_FIELD_TOO_LARGE,)),
        Check("attestation_once", "H2", _("There is one attestation."), (Reason.ATTESTATION_FIELD_REPEATED,)),
        Check("attestation_form", "H3", _("The attestation is a compact JWT."), (Reason.ATTESTATION_FIELD_MALFORMED,)),
        Check(
            "proof_size",
            "H4",
            _("The proof is not too long."),
            (Reason.POP_FIELD_TOO_LARGE, Reason.DPOP_FIELD_TOO_LARGE),
        ),
        Check("proof_once", "H2", _("There is one proof."), (Reason.POP_FIELD_REPEATED, Reason.DPOP_FIELD_REPEATED)),
        Check(
            "proof_form",
            "H3",
            _("The proof is a compact JWT."),
            (Reason.POP_FIELD_MALFORMED, Reason.DPOP_FIELD_MALFORMED),
        ),
    ),
    Part.CLIENT: (
        Check(
            "attestation_json",
            "A10",
            _("The attestation is strict JSON, and its “kid” a usable string."),
            (Reason.ATTESTATION_MALFORMED,),
        ),
        Check("sub", "A4", _("“sub” is a usable string."), (Reason.ATTESTATION_SUB,)),
        Check("client_id", "A4", _("The request names no other client."), (Reason.CLIENT_MISMATCH,)),
        Check(
            "registered",
            "E4",
            _("“sub” names an application with an attestation policy."),
            (Reason.CLIENT_NOT_REGISTERED,),
        ),
        Check(
            "method",
            "B5",
            _("Policy and server admit the method."),
            (Reason.METHOD_NOT_ALLOWED, Reason.COMBINED_MODE_NOT_OFFERED),
        ),
    ),
    Part.ATTESTATION: (
        Check("attestation_typ", "A1", _("“typ” is that of an attestation."), (Reason.ATTESTATION_TYP,)),
        Check("attestation_alg", "A2", _("“alg” is accepted."), (Reason.ATTESTATION_ALGORITHM,)),
        Check("attestation_crit", "A8", _("There is no “crit”."), (Reason.ATTESTATION_CRIT,)),
        Check(
            "attester",
            "A3",
            _("There is a key of an attester that is trusted for this application."),
            (
                Reason.ATTESTER_NOT_TRUSTED,
                Reason.ATTESTER_KEYS_UNAVAILABLE,
                Reason.ATTESTER_KEY_AMBIGUOUS,
                Reason.ATTESTATION_X5C_MALFORMED,
                Reason.ATTESTATION_X5C_ANCHOR_INCLUDED,
                Reason.ATTESTATION_X5C_SELF_SIGNED,
                Reason.ATTESTATION_X5C_EXPIRED,
                Reason.ATTESTATION_X5C_NOT_TRUSTED,
            ),
        ),
        Check(
            "attestation_alg_fits",
            "A2",
            _("“alg” is one for that key and that attester."),
            (Reason.ATTESTATION_ALGORITHM,),
        ),
        Check("attestation_signature", "A3", _("That key verifies the signature."), (Reason.ATTESTATION_SIGNATURE,)),
        Check("exp_form", "A5", _("“exp” is a time."), (Reason.ATTESTATION_EXP,)),
        Check("iat_form", "A6", _("“iat”, where there is one, is a time."), (Reason.ATTESTATION_IAT,)),
        Check("nbf_form", "A9", _("“nbf”, where there is one, is a time."), (Reason.ATTESTATION_NBF,)),
        Check("iss", "A9", _("“iss”, where there is one, is the attester’s."), (Reason.ATTESTATION_ISS,)),
        Check(
            "cnf",
            "A7",
            _("“cnf” has the instance’s key, public and strong enough."),
            (Reason.ATTESTATION_CNF, Reason.ATTESTATION_CNF_PRIVATE, Reason.ATTESTATION_CNF_WEAK),
        ),
        Check(
            "required_claims",
            "",
            _("It has the claims that are required of the attester."),
            (Reason.ATTESTATION_CLAIM_MISSING, Reason.ATTESTATION_CLAIM_VALUE),
        ),
        Check("exp", "A5", _("It has not expired."), (Reason.ATTESTATION_EXPIRED,)),
        Check("nbf", "A9", _("It is valid already."), (Reason.ATTESTATION_NBF,)),
        Check("iat_needed", "A6", _("It has “iat” where that is needed."), (Reason.ATTESTATION_IAT,)),
        Check("iat", "A6", _("It was not issued in the future."), (Reason.ATTESTATION_FROM_THE_FUTURE,)),
        Check("age", "A6", _("It is not too old."), (Reason.ATTESTATION_TOO_OLD,)),
    ),
    Part.PROOF: (
        Check("proof_json", "A10", _("The proof is strict JSON."), (Reason.POP_MALFORMED,)),
        Check("proof_typ", "P1", _("“typ” is that of a proof of possession."), (Reason.POP_TYP,)),
        Check("proof_alg", "P2", _("“alg” is accepted and fits the instance’s key."), (Reason.POP_ALGORITHM,)),
        Check("proof_crit", "A8", _("There is no “crit”."), (Reason.POP_CRIT,)),
        Check(
            "proof_signature", "P3", _("The key in the attestation verifies the signature."), (Reason.POP_SIGNATURE,)
        ),
        Check("aud", "P4", _("“aud” is the audience, and nothing else."), (Reason.POP_AUD,)),
        Check("proof_iss", "", _("“iss”, where there is one, is the client ID."), (Reason.POP_ISS,)),
        Check("jti", "P5", _("“jti” is a usable string."), (Reason.POP_JTI,)),
        Check(
            "challenge_given",
            "P7",
            _("There is one challenge, or none is needed."),
            (Reason.CHALLENGE_MALFORMED, Reason.CHALLENGE_MISSING),
        ),
        Check(
            "challenge",
            "P7",
            _("The challenge is this server’s, and still good."),
            (Reason.CHALLENGE_UNKNOWN, Reason.CHALLENGE_EXPIRED),
        ),
        Check(
            "proof_times",
            "P6",
            _("The times of the proof are good."),
            (
                Reason.POP_IAT,
                Reason.POP_EXP,
                Reason.POP_NBF,
                Reason.POP_EXPIRED,
                Reason.POP_FROM_THE_FUTURE,
                Reason.POP_TOO_OLD,
            ),
        ),
    ),
    Part.DPOP: (
        Check("dpop_json", "D3", _("The proof is strict JSON."), (Reason.DPOP_MALFORMED,)),
        Check("dpop_jti", "D3", _("“jti” is a usable string."), (Reason.DPOP_JTI,)),
        Check("dpop_typ", "D3", _("“typ” is that of a DPoP proof."), (Reason.DPOP_TYP,)),
        Check(
            "dpop_jwk",
            "D3",
            _("“jwk” is a key, public and strong enough."),
            (Reason.DPOP_JWK, Reason.DPOP_JWK_PRIVATE),
        ),
        Check("dpop_alg", "D3", _("“alg” is accepted and fits that key."), (Reason.DPOP_ALGORITHM,)),
        Check("dpop_crit", "A8", _("There is no “crit”."), (Reason.DPOP_CRIT,)),
        Check("dpop_signature", "D3", _("That key verifies the signature."), (Reason.DPOP_SIGNATURE,)),
        Check("htm", "D3", _("“htm” is the method of the request."), (Reason.DPOP_HTM,)),
        Check("htu", "D3", _("“htu” is the URL of the request."), (Reason.DPOP_HTU,)),
        Check(
            "nonce_given",
            "D5",
            _("There is a nonce."),
            (Reason.DPOP_NONCE_MISSING, Reason.DPOP_NONCE_MALFORMED),
        ),
        Check(
            "nonce",
            "D5",
            _("The nonce is this server’s, and still good."),
            (Reason.DPOP_NONCE_UNKNOWN, Reason.DPOP_NONCE_EXPIRED),
        ),
        Check("dpop_times", "D3", _("The times of the proof are good."), (Reason.DPOP_IAT, Reason.DPOP_EXPIRED)),
        Check("ath", "D3", _("“ath” is the hash of the access token."), (Reason.DPOP_ATH,)),
        Check("dpop_key", "D4", _("The key is the one in the attestation."), (Reason.DPOP_KEY_MISMATCH,)),
    ),
    Part.USE: (
        Check("not_blocked", "", _("The client instance is not blocked."), (Reason.INSTANCE_BLOCKED,)),
        Check("usable", "E4", _("django-oauth-toolkit considers the application usable."), (Reason.CLIENT_UNKNOWN,)),
        Check(
            "site_rule",
            "",
            _("The site’s own rule has nothing against it."),
            (Reason.SITE_RULE, Reason.SITE_RULE_FAILED),
        ),
        Check(
            "unused",
            "P8",
            _("The proof was not used before."),
            (Reason.POP_REPLAYED, Reason.CHALLENGE_USED, Reason.DPOP_REPLAYED, Reason.REPLAY_STORE_UNAVAILABLE),
        ),
    ),
}
CHECKS: Final = tuple(check for checks in CHECKS_BY_PART.values() for check in checks)

#: Reasons that are no check of an attestation: decided before there is one, about the server alone, about what an
#: instance presents once it is authenticated, or about DPoP proofs that come without an attestation or beside a PoP.
ELSEWHERE: Final = frozenset(
    {
        Reason.ATTESTATION_REQUIRED,
        Reason.BACKEND_NOT_INSTALLED,
        Reason.DATABASE_UNAVAILABLE,
        Reason.POP_WITHOUT_ATTESTATION,
        Reason.REGISTRATION_SUB,
        Reason.POP_MISSING,
        Reason.REFRESH_TOKEN_UNBOUND,
        Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE,
        Reason.CODE_UNBOUND,
        Reason.CODE_OF_ANOTHER_INSTANCE,
        Reason.DEVICE_CODE_UNBOUND,
        Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE,
        Reason.DEVICE_CODE_REVOKED,
        Reason.DPOP_TOO_OLD,
        Reason.DPOP_FROM_THE_FUTURE,
        Reason.DPOP_JKT_MISMATCH,
        Reason.DPOP_REQUIRED,
        Reason.REFRESH_TOKEN_OF_ANOTHER_KEY,
        Reason.CODE_OF_ANOTHER_KEY,
        Reason.ACCESS_TOKEN_OF_ANOTHER_KEY,
        Reason.ACCESS_TOKEN_AS_BEARER,
        Reason.ACCESS_TOKEN_NOT_BOUND,
        Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE,
        Reason.RESOURCE_NOT_CONFIGURED,
    }
)


def checks_by_part(*, combined: bool) -> Mapping[Part, tuple[Check, ...]]:
    """Return what is asked of a request, which has one of the two kinds of proof.

    :param combined: whether it is, or would be, a DPoP proof (D1).
    """
    other = Part.PROOF if combined else Part.DPOP
    return {part: checks for part, checks in CHECKS_BY_PART.items() if part is not other}


def check_that_refused(reason: Reason, *, late: bool) -> Check:
    """Return the check behind a refusal.

    :param late: of two checks with that reason, the second.
    """
    checks = [check for check in CHECKS if reason in check.reasons]
    return checks[-1] if late else checks[0]
