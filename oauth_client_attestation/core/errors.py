"""Why a request was refused: a stable private reason, a wire code and one public sentence.

The client learns the code and the sentence (section 7.4, rule E6); logs, signals and tests read the reason.
Reasons are part of the public interface: they are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from . import wire


class Reason(StrEnum):
    """The one rule that refused a request; each names its rule in the ledger."""

    # Header fields
    ATTESTATION_FIELD_REPEATED = "attestation_field_repeated"  # H2
    ATTESTATION_FIELD_MALFORMED = "attestation_field_malformed"  # H3
    ATTESTATION_FIELD_TOO_LARGE = "attestation_field_too_large"  # H4
    POP_FIELD_REPEATED = "pop_field_repeated"  # H2
    POP_FIELD_MALFORMED = "pop_field_malformed"  # H3
    POP_FIELD_TOO_LARGE = "pop_field_too_large"  # H4
    POP_WITHOUT_ATTESTATION = "pop_without_attestation"  # H6
    POP_MISSING = "pop_missing"  # section 7.2, 1
    COMBINED_MODE_NOT_OFFERED = "combined_mode_not_offered"  # D2

    # Who asks
    ATTESTATION_REQUIRED = "attestation_required"  # B5, E4
    CLIENT_NOT_REGISTERED = "client_not_registered"  # E4
    CLIENT_UNKNOWN = "client_unknown"  # E4
    CLIENT_MISMATCH = "client_mismatch"  # A4
    REGISTRATION_SUB = "registration_sub"  # K1: not for the software that registers itself
    SECOND_MECHANISM = "second_mechanism"  # B5, RFC 6749 section 2.3
    METHOD_NOT_ALLOWED = "method_not_allowed"  # B5: the policy names another method
    INSTANCE_BLOCKED = "instance_blocked"  # an operator has shut this instance out

    # Attestation
    ATTESTATION_MALFORMED = "attestation_malformed"  # A10
    ATTESTATION_TYP = "attestation_typ"  # A1
    ATTESTATION_ALGORITHM = "attestation_algorithm"  # A2
    ATTESTATION_CRIT = "attestation_crit"  # A8
    ATTESTER_NOT_TRUSTED = "attester_not_trusted"  # A3, T1, T5
    ATTESTER_KEYS_UNAVAILABLE = "attester_keys_unavailable"  # T2: the JWK Set could not be fetched
    ATTESTER_KEY_AMBIGUOUS = "attester_key_ambiguous"  # A3: no kid singles out one of many keys
    ATTESTATION_SIGNATURE = "attestation_signature"  # A3
    ATTESTATION_SUB = "attestation_sub"  # A4
    ATTESTATION_EXP = "attestation_exp"  # A5
    ATTESTATION_EXPIRED = "attestation_expired"  # A5
    ATTESTATION_IAT = "attestation_iat"  # A6
    ATTESTATION_FROM_THE_FUTURE = "attestation_from_the_future"  # A6
    ATTESTATION_TOO_OLD = "attestation_too_old"  # A6
    ATTESTATION_CNF = "attestation_cnf"  # A7
    ATTESTATION_CNF_PRIVATE = "attestation_cnf_private"  # A7
    ATTESTATION_CNF_WEAK = "attestation_cnf_weak"  # A7
    ATTESTATION_NBF = "attestation_nbf"  # A9
    ATTESTATION_ISS = "attestation_iss"  # A9
    ATTESTATION_X5C_MALFORMED = "attestation_x5c_malformed"  # T3: not certificates, or each not issued by the next
    ATTESTATION_X5C_ANCHOR_INCLUDED = "attestation_x5c_anchor_included"  # T3, HAIP
    ATTESTATION_X5C_SELF_SIGNED = "attestation_x5c_self_signed"  # T3, HAIP
    ATTESTATION_X5C_EXPIRED = "attestation_x5c_expired"  # T3: one of its certificates is not valid now
    ATTESTATION_X5C_NOT_TRUSTED = "attestation_x5c_not_trusted"  # T3: no valid path to a trust anchor
    ATTESTATION_CLAIM_MISSING = "attestation_claim_missing"  # what the attester must say
    ATTESTATION_CLAIM_VALUE = "attestation_claim_value"  # what the attester must say

    # Proof of possession
    POP_MALFORMED = "pop_malformed"  # A10
    POP_TYP = "pop_typ"  # P1
    POP_ALGORITHM = "pop_algorithm"  # P2
    POP_CRIT = "pop_crit"  # A8
    POP_SIGNATURE = "pop_signature"  # P3
    POP_AUD = "pop_aud"  # P4
    POP_ISS = "pop_iss"  # older revisions
    POP_JTI = "pop_jti"  # P5
    POP_IAT = "pop_iat"  # P6
    POP_TOO_OLD = "pop_too_old"  # P6
    POP_FROM_THE_FUTURE = "pop_from_the_future"  # P6
    POP_EXP = "pop_exp"  # older revisions
    POP_EXPIRED = "pop_expired"  # older revisions
    POP_NBF = "pop_nbf"  # older revisions
    POP_REPLAYED = "pop_replayed"  # P8
    CHALLENGE_MISSING = "challenge_missing"  # P7
    CHALLENGE_MALFORMED = "challenge_malformed"  # P7
    CHALLENGE_UNKNOWN = "challenge_unknown"  # P7, C4
    CHALLENGE_EXPIRED = "challenge_expired"  # P7, C4
    CHALLENGE_USED = "challenge_used"  # C4, where challenges are accepted once

    # The site's own rule
    SITE_RULE = "site_rule"  # SITE_RULE refused
    SITE_RULE_FAILED = "site_rule_failed"  # SITE_RULE raised something else

    # DPoP
    DPOP_FIELD_REPEATED = "dpop_field_repeated"  # D3, H2
    DPOP_FIELD_MALFORMED = "dpop_field_malformed"  # D3, H3
    DPOP_FIELD_TOO_LARGE = "dpop_field_too_large"  # D3, H4
    DPOP_MALFORMED = "dpop_malformed"  # D3, A10
    DPOP_TYP = "dpop_typ"  # D3
    DPOP_ALGORITHM = "dpop_algorithm"  # D3
    DPOP_CRIT = "dpop_crit"  # D3, A8
    DPOP_JWK = "dpop_jwk"  # D3
    DPOP_JWK_PRIVATE = "dpop_jwk_private"  # D3
    DPOP_SIGNATURE = "dpop_signature"  # D3
    DPOP_JTI = "dpop_jti"  # D3
    DPOP_HTM = "dpop_htm"  # D3
    DPOP_HTU = "dpop_htu"  # D3
    DPOP_IAT = "dpop_iat"  # D3
    DPOP_TOO_OLD = "dpop_too_old"  # D3
    DPOP_FROM_THE_FUTURE = "dpop_from_the_future"  # D3
    DPOP_EXPIRED = "dpop_expired"  # RFC 7519: exp and nbf, where a proof has them
    DPOP_ATH = "dpop_ath"  # D3
    DPOP_REPLAYED = "dpop_replayed"  # D3, P8
    DPOP_NONCE_MISSING = "dpop_nonce_missing"  # D5
    DPOP_NONCE_MALFORMED = "dpop_nonce_malformed"  # D5
    DPOP_NONCE_UNKNOWN = "dpop_nonce_unknown"  # D5
    DPOP_NONCE_EXPIRED = "dpop_nonce_expired"  # D5
    DPOP_KEY_MISMATCH = "dpop_key_mismatch"  # D4: not the instance key
    DPOP_JKT_MISMATCH = "dpop_jkt_mismatch"  # D7: the proof and dpop_jkt name different keys
    DPOP_REQUIRED = "dpop_required"  # D6: this client's tokens are bound, and there is no proof

    # What it was given
    REFRESH_TOKEN_UNBOUND = "refresh_token_unbound"  # noqa: S105 (a name, no secret)  # B2
    REFRESH_TOKEN_OF_ANOTHER_INSTANCE = "refresh_token_of_another_instance"  # noqa: S105 (a name, no secret)  # B1
    CODE_UNBOUND = "code_unbound"  # B3
    CODE_OF_ANOTHER_INSTANCE = "code_of_another_instance"  # B3
    DEVICE_CODE_UNBOUND = "device_code_unbound"  # B4
    DEVICE_CODE_OF_ANOTHER_INSTANCE = "device_code_of_another_instance"  # B4
    DEVICE_CODE_REVOKED = "device_code_revoked"  # B4
    REFRESH_TOKEN_OF_ANOTHER_KEY = "refresh_token_of_another_key"  # noqa: S105 (a name, no secret)  # D6
    CODE_OF_ANOTHER_KEY = "code_of_another_key"  # D7
    ACCESS_TOKEN_OF_ANOTHER_KEY = "access_token_of_another_key"  # noqa: S105 (a name, no secret)  # D6
    ACCESS_TOKEN_AS_BEARER = "access_token_as_bearer"  # noqa: S105 (a name, no secret)  # D6
    ACCESS_TOKEN_OF_ANOTHER_INSTANCE = "access_token_of_another_instance"  # noqa: S105 (a name, no secret)  # S2
    ACCESS_TOKEN_NOT_BOUND = "access_token_not_bound"  # noqa: S105 (a name, no secret)  # D6: nor is it for DPoP

    # The server itself
    RESOURCE_NOT_CONFIGURED = "resource_not_configured"  # P4, S2
    ISSUER_NOT_CONFIGURED = "issuer_not_configured"  # P4
    BACKEND_NOT_INSTALLED = "backend_not_installed"  # the request facts never arrived
    REPLAY_STORE_UNAVAILABLE = "replay_store_unavailable"  # P8
    DATABASE_UNAVAILABLE = "database_unavailable"  # policy and trust cannot be looked up


_DPOP_PROOF: Final = (
    Reason.DPOP_FIELD_REPEATED,
    Reason.DPOP_FIELD_MALFORMED,
    Reason.DPOP_FIELD_TOO_LARGE,
    Reason.DPOP_MALFORMED,
    Reason.DPOP_TYP,
    Reason.DPOP_ALGORITHM,
    Reason.DPOP_CRIT,
    Reason.DPOP_JWK,
    Reason.DPOP_JWK_PRIVATE,
    Reason.DPOP_SIGNATURE,
    Reason.DPOP_JTI,
    Reason.DPOP_HTM,
    Reason.DPOP_HTU,
    Reason.DPOP_IAT,
    Reason.DPOP_TOO_OLD,
    Reason.DPOP_FROM_THE_FUTURE,
    Reason.DPOP_EXPIRED,
    Reason.DPOP_ATH,
    Reason.DPOP_REPLAYED,
    Reason.DPOP_JKT_MISMATCH,
    Reason.DPOP_REQUIRED,
)

_CODES: Final[Mapping[Reason, str]] = {
    **dict.fromkeys(_DPOP_PROOF, wire.ERROR_INVALID_DPOP_PROOF),
    Reason.CHALLENGE_MISSING: wire.ERROR_USE_CHALLENGE,
    Reason.CHALLENGE_MALFORMED: wire.ERROR_USE_CHALLENGE,
    Reason.CHALLENGE_UNKNOWN: wire.ERROR_USE_CHALLENGE,
    Reason.CHALLENGE_EXPIRED: wire.ERROR_USE_CHALLENGE,
    Reason.CHALLENGE_USED: wire.ERROR_USE_CHALLENGE,
    Reason.ATTESTATION_EXPIRED: wire.ERROR_USE_FRESH_ATTESTATION,
    Reason.ATTESTATION_TOO_OLD: wire.ERROR_USE_FRESH_ATTESTATION,
    Reason.DPOP_NONCE_MISSING: wire.ERROR_USE_DPOP_NONCE,
    Reason.DPOP_NONCE_MALFORMED: wire.ERROR_USE_DPOP_NONCE,
    Reason.DPOP_NONCE_UNKNOWN: wire.ERROR_USE_DPOP_NONCE,
    Reason.DPOP_NONCE_EXPIRED: wire.ERROR_USE_DPOP_NONCE,
    Reason.REFRESH_TOKEN_OF_ANOTHER_KEY: wire.ERROR_INVALID_GRANT,
    Reason.CODE_OF_ANOTHER_KEY: wire.ERROR_INVALID_GRANT,
    Reason.ACCESS_TOKEN_OF_ANOTHER_KEY: wire.ERROR_INVALID_TOKEN,
    Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE: wire.ERROR_INVALID_TOKEN,
    Reason.ACCESS_TOKEN_AS_BEARER: wire.ERROR_INVALID_TOKEN,
    Reason.ACCESS_TOKEN_NOT_BOUND: wire.ERROR_INVALID_TOKEN,
    Reason.POP_WITHOUT_ATTESTATION: wire.ERROR_INVALID_CLIENT,
    Reason.ATTESTATION_REQUIRED: wire.ERROR_INVALID_CLIENT,
    Reason.CLIENT_NOT_REGISTERED: wire.ERROR_INVALID_CLIENT,
    Reason.CLIENT_UNKNOWN: wire.ERROR_INVALID_CLIENT,
    Reason.RESOURCE_NOT_CONFIGURED: wire.ERROR_INVALID_CLIENT,
    Reason.ISSUER_NOT_CONFIGURED: wire.ERROR_INVALID_CLIENT,
    Reason.BACKEND_NOT_INSTALLED: wire.ERROR_INVALID_CLIENT,
    Reason.SECOND_MECHANISM: wire.ERROR_INVALID_REQUEST,
    Reason.SITE_RULE: wire.ERROR_INVALID_CLIENT,
    Reason.SITE_RULE_FAILED: wire.ERROR_TEMPORARILY_UNAVAILABLE,
    Reason.ATTESTER_KEYS_UNAVAILABLE: wire.ERROR_TEMPORARILY_UNAVAILABLE,
    Reason.REFRESH_TOKEN_UNBOUND: wire.ERROR_INVALID_GRANT,
    Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE: wire.ERROR_INVALID_GRANT,
    Reason.CODE_UNBOUND: wire.ERROR_INVALID_GRANT,
    Reason.CODE_OF_ANOTHER_INSTANCE: wire.ERROR_INVALID_GRANT,
    Reason.DEVICE_CODE_UNBOUND: wire.ERROR_INVALID_GRANT,
    Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE: wire.ERROR_INVALID_GRANT,
    Reason.DEVICE_CODE_REVOKED: wire.ERROR_INVALID_GRANT,
    Reason.REPLAY_STORE_UNAVAILABLE: wire.ERROR_TEMPORARILY_UNAVAILABLE,
    Reason.DATABASE_UNAVAILABLE: wire.ERROR_TEMPORARILY_UNAVAILABLE,
}

_SENTENCES: Final[Mapping[str, str]] = {
    wire.ERROR_USE_CHALLENGE: "A fresh challenge from this server is required.",
    wire.ERROR_USE_FRESH_ATTESTATION: "The client attestation is no longer fresh; obtain a new one.",
    wire.ERROR_INVALID_ATTESTATION: "The client attestation or its proof of possession was not accepted.",
    wire.ERROR_INVALID_DPOP_PROOF: "The DPoP proof was not accepted.",
    wire.ERROR_USE_DPOP_NONCE: "A DPoP proof with a fresh nonce from this server is required.",
    wire.ERROR_INVALID_TOKEN: "The access token is not valid for this request.",
    wire.ERROR_INVALID_CLIENT: "Client authentication failed.",
    wire.ERROR_INVALID_GRANT: "The token or code is not valid for this client instance.",
    wire.ERROR_INVALID_REQUEST: "More than one client authentication mechanism was used.",
    wire.ERROR_TEMPORARILY_UNAVAILABLE: "Client authentication is not available at the moment.",
}

_STATUSES: Final[Mapping[str, int]] = {
    wire.ERROR_INVALID_TOKEN: 401,  # RFC 6750 section 3.1
    wire.ERROR_TEMPORARILY_UNAVAILABLE: 503,
}


class ClientAttestationError(Exception):
    """A request was refused.

    :ivar reason: the private :class:`Reason`, for logs, signals and tests.
    :ivar code: the OAuth error code for the wire (section 7.4, RFC 6749 section 5.2).
    :ivar description: the one public sentence that goes with the code; it never varies by request.
    :ivar status: the HTTP status at an authorization server (E5); of ``invalid_token``, at a resource.
    :ivar attester: the deployment's name for the attester, and
    :ivar thumbprint: of the instance key, where the signature of the attestation was verified; else empty.

    The exception carries no token, key or claim value, so it can be logged as it is.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.attester = ""
        self.thumbprint = ""
        self._set_code(_CODES.get(reason, wire.ERROR_INVALID_ATTESTATION))

    def of_client_authentication(self) -> ClientAttestationError:
        """Return a refusal of the attestation that a DPoP proof was to prove, to be raised from this one (E3).

        A missing or stale nonce keeps its own code, which says what to do (D5).
        """
        error = ClientAttestationError(self.reason)
        error.attester, error.thumbprint = self.attester, self.thumbprint
        if error.code == wire.ERROR_INVALID_DPOP_PROOF:
            error._set_code(wire.ERROR_INVALID_ATTESTATION)
        return error

    def _set_code(self, code: str) -> None:
        self.code = code
        self.description = _SENTENCES[code]
        self.status = _STATUSES.get(code, 400)
