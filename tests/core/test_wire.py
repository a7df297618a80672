"""Words that other implementations read, spelled out here a second time, so that a typo cannot agree with itself."""

from __future__ import annotations

import re

import pytest

from oauth_client_attestation.core import wire
from oauth_client_attestation.core.errors import ClientAttestationError, Reason

WORDS = {
    "ATTESTATION_FIELD": "OAuth-Client-Attestation",
    "POP_FIELD": "OAuth-Client-Attestation-PoP",
    "DPOP_FIELD": "DPoP",
    "CHALLENGE_FIELD": "OAuth-Client-Attestation-Challenge",
    "NONCE_REQUEST_FIELD": "attestation-nonce-request",
    "NONCE_FIELD": "attestation-nonce",
    "DPOP_NONCE_FIELD": "DPoP-Nonce",
    "METADATA_PAR_ENDPOINT": "pushed_authorization_request_endpoint",
    "METADATA_PAR_REQUIRED": "require_pushed_authorization_requests",
    "METADATA_NONCE_ENDPOINTS": "client_attestation_pop_nonce_required",
    "ATTESTATION_TYP": "oauth-client-attestation+jwt",
    "POP_TYP": "oauth-client-attestation-pop+jwt",
    "DPOP_TYP": "dpop+jwt",
    "METHOD_POP_JWT": "attest_jwt_client_auth",
    "METHOD_DPOP": "attest_jwt_client_auth_dpop",
    "METHODS": ("attest_jwt_client_auth", "attest_jwt_client_auth_dpop"),
    "DPOP_SCHEME": "DPoP",
    "BEARER_SCHEME": "Bearer",
    "DPOP_JKT": "dpop_jkt",
    "CHALLENGE_MEMBER": "attestation_challenge",
    "METADATA_CHALLENGE_ENDPOINT": "challenge_endpoint",
    "METADATA_ATTESTATION_ALGORITHMS": "client_attestation_signing_alg_values_supported",
    "METADATA_POP_ALGORITHMS": "client_attestation_pop_signing_alg_values_supported",
    "METADATA_DPOP_ALGORITHMS": "dpop_signing_alg_values_supported",
    "ERROR_USE_CHALLENGE": "use_attestation_challenge",
    "METADATA_POP_METHODS": "client_attestation_pop_methods_supported",
    "POP_METHOD_JWT": "attestation_pop_jwt",
    "POP_METHOD_NONE": "none",
    "POP_METHODS": {"attest_jwt_client_auth": "attestation_pop_jwt", "attest_jwt_client_auth_dpop": "dpop_combined"},
    "POP_METHOD_DPOP": "dpop_combined",
    "ERROR_INVALID_METADATA": "invalid_client_metadata",
    "ERROR_USE_FRESH_ATTESTATION": "use_fresh_attestation",
    "ERROR_INVALID_ATTESTATION": "invalid_client_attestation",
    "ERROR_INVALID_DPOP_PROOF": "invalid_dpop_proof",
    "ERROR_USE_DPOP_NONCE": "use_dpop_nonce",
    "ERROR_INVALID_TOKEN": "invalid_token",
    "ERROR_INVALID_CLIENT": "invalid_client",
    "ERROR_INVALID_GRANT": "invalid_grant",
    "ERROR_INVALID_REQUEST": "invalid_request",
    "ERROR_TEMPORARILY_UNAVAILABLE": "temporarily_unavailable",
    "OLDEST_KNOWN_REVISION": 5,
    "CURRENT_REVISION": 12,
    "LAST_REVISION_WITH_NONCE": 9,
    "LAST_REVISION_WITHOUT_POP_IAT": 6,
    "LAST_REVISION_WITHOUT_ATTESTATION_IAT": 11,
}

#: Every reason by its code and status: operators search logs for the former, clients act on the latter.
REASONS = {
    ("use_attestation_challenge", 400): """
        challenge_missing challenge_malformed challenge_unknown challenge_expired
        challenge_used""",
    ("use_fresh_attestation", 400): "attestation_expired attestation_too_old",
    ("invalid_client_attestation", 400): """
        attestation_field_repeated attestation_field_malformed attestation_field_too_large
        pop_field_repeated pop_field_malformed pop_field_too_large pop_missing combined_mode_not_offered
        client_mismatch registration_sub method_not_allowed instance_blocked
        attestation_malformed attestation_typ attestation_algorithm attestation_crit
        attester_not_trusted attester_key_ambiguous attestation_signature
        attestation_sub attestation_exp attestation_iat attestation_from_the_future
        attestation_cnf attestation_cnf_private attestation_cnf_weak attestation_nbf attestation_iss
        attestation_x5c_malformed attestation_x5c_anchor_included attestation_x5c_self_signed
        attestation_x5c_expired attestation_x5c_not_trusted
        attestation_claim_missing attestation_claim_value
        pop_malformed pop_typ pop_algorithm pop_crit pop_signature pop_aud pop_iss pop_jti
        pop_iat pop_too_old pop_from_the_future pop_exp pop_expired pop_nbf pop_replayed
        dpop_key_mismatch""",
    ("invalid_dpop_proof", 400): """
        dpop_field_repeated dpop_field_malformed dpop_field_too_large
        dpop_malformed dpop_typ dpop_algorithm dpop_crit dpop_jwk dpop_jwk_private dpop_signature
        dpop_jti dpop_htm dpop_htu dpop_iat dpop_too_old dpop_from_the_future dpop_expired dpop_ath
        dpop_replayed dpop_jkt_mismatch dpop_required""",
    ("use_dpop_nonce", 400): """
        dpop_nonce_missing dpop_nonce_malformed dpop_nonce_unknown dpop_nonce_expired""",
    ("invalid_token", 401): """
        access_token_of_another_key access_token_as_bearer access_token_not_bound access_token_of_another_instance""",
    ("invalid_client", 400): """
        pop_without_attestation attestation_required client_not_registered client_unknown
        issuer_not_configured resource_not_configured backend_not_installed site_rule""",
    ("invalid_grant", 400): """
        refresh_token_unbound refresh_token_of_another_instance code_unbound code_of_another_instance
        device_code_unbound device_code_of_another_instance device_code_revoked
        refresh_token_of_another_key code_of_another_key""",
    ("invalid_request", 400): "second_mechanism",
    ("temporarily_unavailable", 503): """
        attester_keys_unavailable site_rule_failed replay_store_unavailable database_unavailable""",
}

#: RFC 6749 section 5.2: printable ASCII without the quotation mark and the backslash.
WIRE_TEXT = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")


def test_every_word_is_the_one_on_the_wire() -> None:
    written = {name: value for name, value in vars(wire).items() if name.isupper()}
    assert written == WORDS


def test_every_reason_keeps_its_name_code_and_status() -> None:
    """Reasons are public: this fails for one renamed or removed, and for one added without a decision here."""
    expected = {reason: answer for answer, names in REASONS.items() for reason in names.split()}
    errors = [ClientAttestationError(reason) for reason in Reason]
    assert {str(error.reason): (error.code, error.status) for error in errors} == expected


@pytest.mark.refuses("E3", "D4", "D5")
@pytest.mark.parametrize("reason", Reason)
def test_a_dpop_proof_that_authenticates_a_client_is_refused_as_its_attestation(reason: Reason) -> None:
    """Only where it would otherwise be an invalid DPoP proof; the way to a nonce is shown in either case."""
    alone = ClientAttestationError(reason)
    combined = alone.of_client_authentication()
    code = "invalid_client_attestation" if alone.code == "invalid_dpop_proof" else alone.code
    assert (combined.reason, combined.code, combined.status) == (reason, code, alone.status)
    assert (
        combined.description == {error.code: error.description for error in map(ClientAttestationError, Reason)}[code]
    )


def test_names_and_values_of_reasons_agree() -> None:
    assert [reason.name.lower() for reason in Reason] == [reason.value for reason in Reason]


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_says_one_plain_sentence(reason: Reason) -> None:
    error = ClientAttestationError(reason)
    assert WIRE_TEXT.fullmatch(error.code)
    assert WIRE_TEXT.fullmatch(error.description)
    assert error.description[0].isupper()
    assert error.description.endswith(".")
    assert str(error) == reason.value


def test_a_sentence_goes_with_its_code_and_tells_no_reason() -> None:
    """E6: two refusals with the same code look the same to the client."""
    pairs = {(error.code, error.description) for error in map(ClientAttestationError, Reason)}
    assert len(pairs) == len({code for code, _ in pairs}) == len(REASONS)
