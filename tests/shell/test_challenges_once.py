"""Challenges that are accepted once (section 6 and 12.1), and those that are not."""

from __future__ import annotations

import pytest
from django.test import override_settings

from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import UsedProof
from tests.kit import CHALLENGE_FIELD, ISSUER

once = override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, "SINGLE_USE_CHALLENGES": True})


@pytest.mark.accepts("C4")
def test_by_default_a_challenge_serves_several_proofs(attested):
    challenge = fresh_challenge()

    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))


@pytest.mark.refuses("C4")
@once
def test_once_means_once_also_for_another_proof(attested):
    challenge = fresh_challenge()
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))

    attested.refused(Reason.CHALLENGE_USED, headers=attested.headers(pop=attested.pop(challenge=challenge)))


@pytest.mark.accepts("C4", "C5")
@once
def test_the_fresh_challenge_of_a_refusal_is_good(attested):
    challenge = fresh_challenge()
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))
    refusal = attested.refused(Reason.CHALLENGE_USED, headers=attested.headers(pop=attested.pop(challenge=challenge)))

    fresh = refusal.headers[CHALLENGE_FIELD]
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=fresh)))


@pytest.mark.accepts("C3", "C5")
@once
def test_a_client_that_follows_the_responses_needs_no_second_request(attested):
    challenge = fresh_challenge()
    for _ in range(5):
        response = attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))
        challenge = response.headers[CHALLENGE_FIELD]


@once
def test_one_record_serves_for_challenge_and_proof(attested):
    attested.accepted()

    assert UsedProof.objects.count() == 1


@pytest.mark.refuses("P8")
@once
def test_a_proof_without_a_challenge_still_counts_once(attested):
    attested.application.client_attestation_policy.challenge = "optional"
    attested.application.client_attestation_policy.save()
    headers = attested.headers(pop=attested.pop(challenge=None))
    attested.accepted(headers=headers)

    attested.refused(Reason.POP_REPLAYED, headers=headers)


@once
def test_a_proof_that_is_refused_for_something_else_does_not_use_up_its_challenge(attested):
    challenge = fresh_challenge()
    attested.refused(
        Reason.POP_AUD,
        headers=attested.headers(pop=attested.pop(challenge=challenge, audience="https://other.example")),
    )

    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=challenge)))
