"""On which terms an attester is believed: its age limit, the claims it must make, and what a refusal tells of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oauth_client_attestation.core.attestation import peek_attestation, verify_attestation
from oauth_client_attestation.core.claims import canonical_scalar
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.memory import AttestationMemory
from oauth_client_attestation.core.results import Policy, RequiredClaim, TrustedKey
from oauth_client_attestation.testing import ABSENT, AttesterBackend
from tests.core.support import (
    ATTESTER,
    CLIENT_ID,
    INSTANCE,
    NOW,
    POLICY,
    attest,
    attester,
    refusal,
    trusted,
    verify,
)

STRANGER = AttesterBackend()


def required(name: str, *allowed: object) -> tuple[RequiredClaim, ...]:
    """Return a demand for one claim with one of these values; without any, whatever its value."""
    return (RequiredClaim(name, frozenset(map(canonical_scalar, allowed))),)


# Required claims


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        pytest.param("high", ["high"], id="a string"),
        pytest.param("high", ["low", "high"], id="one of two strings"),
        pytest.param(2, [1, 2], id="an integer"),
        pytest.param(True, [True], id="true"),
        pytest.param(False, [False], id="false"),
        pytest.param(["low", "high"], ["high"], id="a list that contains one"),
        pytest.param([{"a": 1}, "high"], ["high"], id="a list that contains one beside an object"),
        pytest.param("Ä\u2028", ["Ä\u2028"], id="a string outside ASCII"),
        pytest.param("anything", [], id="any value"),
        pytest.param({"nested": [1]}, [], id="any value, an object"),
        pytest.param(None, [], id="any value, null"),
    ],
)
def test_an_attestation_with_the_required_claim_is_accepted(value: object, allowed: list[object]) -> None:
    verify(attest(claims={"level": value}), keys=[trusted(required_claims=required("level", *allowed))])


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        pytest.param("low", ["high"], id="another string"),
        pytest.param("High", ["high"], id="other letters"),
        pytest.param("high ", ["high"], id="a space more"),
        pytest.param("", ["high"], id="the empty string"),
        pytest.param(1, [True], id="1 for true"),
        pytest.param(True, [1], id="true for 1"),
        pytest.param(0, [False], id="0 for false"),
        pytest.param("true", [True], id="the word true for true"),
        pytest.param("1", [1], id="a string for an integer"),
        pytest.param(1, ["1"], id="an integer for a string"),
        pytest.param(1.0, [1], id="a fraction for an integer"),
        pytest.param(None, ["null"], id="null for the word"),
        pytest.param(["low"], ["high"], id="a list without one"),
        pytest.param([], ["high"], id="an empty list"),
        pytest.param([["high"]], ["high"], id="a list in a list"),
        pytest.param({"level": "high"}, ["high"], id="an object"),
        pytest.param({"high": True}, ["high"], id="a member of an object"),
        pytest.param({}, [""], id="an object for the empty string"),
        pytest.param([[]], [""], id="a nested list for the empty string"),
    ],
)
def test_another_value_of_a_required_claim_is_refused(value: object, allowed: list[object]) -> None:
    with refusal(Reason.ATTESTATION_CLAIM_VALUE):
        verify(attest(claims={"level": value}), keys=[trusted(required_claims=required("level", *allowed))])


@pytest.mark.parametrize("allowed", [[], ["high"]], ids=["whatever its value", "with a value"])
def test_without_a_required_claim_an_attestation_is_refused(allowed: list[str]) -> None:
    with refusal(Reason.ATTESTATION_CLAIM_MISSING):
        verify(attest(), keys=[trusted(required_claims=required("level", *allowed))])


def test_a_required_claim_in_the_header_or_within_another_claim_is_missing() -> None:
    token = attest(header={"level": "high"}, claims={"more": {"level": "high"}})
    with refusal(Reason.ATTESTATION_CLAIM_MISSING):
        verify(token, keys=[trusted(required_claims=required("level", "high"))])


def test_every_required_claim_is_asked_for() -> None:
    both = (*required("level", "high"), *required("wallet"))
    verify(attest(claims={"level": "high", "wallet": "w"}), keys=[trusted(required_claims=both)])
    with refusal(Reason.ATTESTATION_CLAIM_MISSING):
        verify(attest(claims={"level": "high"}), keys=[trusted(required_claims=both)])
    with refusal(Reason.ATTESTATION_CLAIM_VALUE):
        verify(attest(claims={"level": "low", "wallet": "w"}), keys=[trusted(required_claims=both)])


def test_claims_are_required_of_the_attester_that_signed() -> None:
    """Another attester, trusted for the same client, may say less."""
    strict = trusted(STRANGER, name="Strict", required_claims=required("level"))
    assert verify(attest(), keys=[strict, trusted()]).attester == "Acme"
    with refusal(Reason.ATTESTATION_CLAIM_MISSING):
        verify(STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW), keys=[strict, trusted()])


# The attester's own age limit


@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6", "E2")
@pytest.mark.parametrize(
    ("of_attester", "of_policy", "limit"),
    [
        pytest.param(100, None, 100, id="the attester's alone"),
        pytest.param(None, 100, 100, id="the policy's alone"),
        pytest.param(100, 200, 100, id="the attester's is smaller"),
        pytest.param(200, 100, 100, id="the policy's is smaller"),
        pytest.param(100, 100, 100, id="both the same"),
    ],
)
def test_the_smaller_age_limit_counts(of_attester: int | None, of_policy: int | None, limit: int) -> None:
    token = attest()
    demands = {
        "keys": [trusted(max_age=of_attester)],
        "policy": replace(POLICY, attestation_max_age=of_policy),
    }
    verify(token, **demands, now=NOW + limit - 1)
    verify(token, **demands, now=NOW + limit)
    with refusal(Reason.ATTESTATION_TOO_OLD):
        verify(token, **demands, now=NOW + limit + 1)


@pytest.mark.refuses("A6")
def test_an_attester_with_an_age_limit_must_say_when_it_signed() -> None:
    token = attest(claims={"iat": ABSENT})
    verify(token)
    with refusal(Reason.ATTESTATION_IAT):
        verify(token, keys=[trusted(max_age=10**6)])


# Why there is no key


NOT_TRUSTED, UNAVAILABLE = Reason.ATTESTER_NOT_TRUSTED, Reason.ATTESTER_KEYS_UNAVAILABLE


@pytest.mark.refuses("A3")
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param([], UNAVAILABLE, id="no key at all"),
        pytest.param([trusted(STRANGER, key_id="")], UNAVAILABLE, id="one without a kid that does not verify"),
        pytest.param([trusted(attester("ES384"), key_id="")], UNAVAILABLE, id="one without a kid of another kind"),
        pytest.param([trusted(STRANGER, key_id="attester-1")], Reason.ATTESTATION_SIGNATURE, id="that kid, forged"),
        pytest.param([trusted(attester("ES384"), key_id="attester-1")], Reason.ATTESTATION_ALGORITHM, id="that kid"),
        pytest.param([trusted(STRANGER)], Reason.ATTESTATION_SIGNATURE, id="one whose kid is not known"),
    ],
)
def test_the_callers_reason_is_given_where_the_named_key_is_not_there(keys: list[TrustedKey], expected: Reason) -> None:
    def refused(no_key: Reason) -> Reason:
        with pytest.raises(ClientAttestationError) as error:
            verify_attestation(peek_attestation(attest()), keys=keys, policy=POLICY, now=NOW, no_key=no_key)
        return error.value.reason

    assert refused(UNAVAILABLE) is expected
    assert refused(NOT_TRUSTED) is (NOT_TRUSTED if expected is UNAVAILABLE else expected)


# Whom a refusal is about


def error_of(token: str, **demands: Any) -> ClientAttestationError:
    with pytest.raises(ClientAttestationError) as caught:
        verify(token, **demands)
    return caught.value


@pytest.mark.parametrize(
    ("reason", "token", "demands"),
    [
        pytest.param(Reason.ATTESTATION_EXPIRED, attest(), {"now": NOW + 10**6}, id="expired"),
        pytest.param(Reason.ATTESTATION_TOO_OLD, attest(), {"keys": [trusted(max_age=1)], "now": NOW + 9}, id="old"),
        pytest.param(
            Reason.ATTESTATION_CLAIM_MISSING,
            attest(),
            {"keys": [trusted(required_claims=required("level"))]},
            id="a claim is missing",
        ),
        pytest.param(
            Reason.ATTESTATION_CLAIM_VALUE,
            attest(claims={"level": 1}),
            {"keys": [trusted(required_claims=required("level", 2))]},
            id="a claim has another value",
        ),
    ],
)
def test_a_refusal_names_attester_and_instance_once_the_signature_is_verified(
    reason: Reason, token: str, demands: dict[str, Any]
) -> None:
    error = error_of(token, **demands)
    assert (error.reason, error.attester, error.thumbprint) == (reason, "Acme", INSTANCE.thumbprint)


@pytest.mark.parametrize(
    ("reason", "token", "keys"),
    [
        pytest.param(Reason.ATTESTATION_TYP, attest(header={"typ": "JWT"}), [trusted()], id="typ"),
        pytest.param(Reason.ATTESTATION_CRIT, attest(header={"crit": []}), [trusted()], id="crit"),
        pytest.param(Reason.ATTESTER_NOT_TRUSTED, attest(), [], id="no key"),
        pytest.param(
            Reason.ATTESTATION_SIGNATURE,
            STRANGER.attest(INSTANCE, CLIENT_ID, now=NOW),
            [trusted(required_claims=required("level"), max_age=1)],
            id="forged",
        ),
    ],
)
def test_a_refusal_names_nobody_before(reason: Reason, token: str, keys: list[TrustedKey]) -> None:
    """What a stranger wrote into a token must not be put down to an attester."""
    error = error_of(token, keys=keys)
    assert (error.reason, error.attester, error.thumbprint) == (reason, "", "")


def test_a_remembered_attestation_is_named_as_well() -> None:
    memory, token = AttestationMemory(8), attest()
    verify(token, memory=memory)
    error = error_of(token, memory=memory, now=NOW + 10**6)
    assert (error.attester, error.thumbprint) == ("Acme", INSTANCE.thumbprint)


# What is remembered depends on the terms


@pytest.mark.refuses("A3")
@pytest.mark.parametrize(
    ("terms", "reason", "now"),
    [
        pytest.param({"max_age": 10}, Reason.ATTESTATION_TOO_OLD, NOW + 11, id="a shorter age limit"),
        pytest.param({"required_claims": required("level")}, Reason.ATTESTATION_CLAIM_MISSING, NOW, id="a claim more"),
        pytest.param(
            {"required_claims": required("tier", "gold")}, Reason.ATTESTATION_CLAIM_VALUE, NOW, id="another value"
        ),
        pytest.param({"algorithms": frozenset({"ES384"})}, Reason.ATTESTATION_ALGORITHM, NOW, id="another algorithm"),
    ],
)
def test_memory_does_not_outlast_the_attesters_terms(terms: dict[str, Any], reason: Reason, now: float) -> None:
    memory, token = AttestationMemory(8), attest(claims={"tier": "silver"})
    before = trusted(max_age=1000, required_claims=required("tier", "silver"))
    verify(token, memory=memory, keys=[before])
    assert memory.recall(token)
    with refusal(reason):
        verify(token, memory=memory, keys=[replace(before, **terms)], now=now)


def test_an_attestation_without_its_required_claims_is_not_remembered() -> None:
    memory, token = AttestationMemory(8), attest()
    error_of(token, memory=memory, keys=[trusted(required_claims=required("level"))])
    assert memory.recall(token) is None


# Claims that nobody can change


def test_nested_claims_of_a_verified_attestation_cannot_be_changed() -> None:
    """A remembered attestation shares them among requests, and signals hand them to the site's code."""
    claims = verify(attest(claims={"list": [{"a": [1]}], "object": {"b": {"c": 2}}})).claims
    assert claims["list"] == ({"a": (1,)},)
    for change in (
        lambda: claims["object"].update(b=1),
        lambda: claims["object"]["b"].__setitem__("c", 3),
        lambda: claims["list"].append(1),
        lambda: claims["list"][0]["a"].append(2),
        lambda: claims["list"][0].__setitem__("a", 1),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()


def test_the_instance_key_is_not_read_from_the_claims_that_are_handed_out() -> None:
    verified = verify(attest())
    assert json.loads(json.dumps(dict(verified.claims["cnf"]["jwk"]))) == INSTANCE.public_jwk
    assert verified.thumbprint == INSTANCE.thumbprint


def test_the_policy_has_no_terms_of_an_attester() -> None:
    """An attester's terms come with its key, so that they hold for whoever signed and for nobody else."""
    assert not {"max_age", "required_claims"} & set(Policy.__dataclass_fields__)
    assert trusted(ATTESTER).max_age is None
