"""How far an attester is believed and what an application demands: policies of both, and rule T5 over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterKey
from oauth_client_attestation.testing import ABSENT, AttesterBackend
from tests.kit import ISSUER, NOW, AttestedClient, configure, create_application, register_attester, table

R = Reason


def signed_by(client: AttestedClient, backend: AttesterBackend, **changes: Any) -> dict[str, str]:
    return client.headers(backend.attest(client.instance, client.client_id, **changes))


# T5: who may speak for whom


@pytest.mark.accepts("T5")
@pytest.mark.refuses("T5")
@pytest.mark.parametrize("key_ids", [("a", "b"), ("same", "same"), (None, None)], ids=["own kids", "one kid", "no kid"])
def test_two_attesters_may_speak_for_one_client(attested: AttestedClient, key_ids: tuple[str, str]) -> None:
    """Each with its own key; withdrawing one does not touch the other."""
    first, second = (AttesterBackend(key_id=key_id) for key_id in key_ids)
    attested.attester.delete()
    register_attester(first, "First", applications=(attested.application,))
    register_attester(second, "Second", applications=(attested.application,))
    attested.accepted(headers=signed_by(attested, first))
    attested.accepted(headers=signed_by(attested, second))
    Attester.objects.filter(name="First").update(enabled=False)
    reason = R.ATTESTER_NOT_TRUSTED if key_ids[0] == "a" else R.ATTESTATION_SIGNATURE
    attested.refused(reason, headers=signed_by(attested, first))
    attested.accepted(headers=signed_by(attested, second))


@pytest.mark.accepts("T5")
@pytest.mark.refuses("T5")
def test_one_attester_may_speak_for_two_clients_and_each_link_is_its_own(attested: AttestedClient) -> None:
    second = AttestedClient(attested.backend, client_id="second")
    second.application = create_application("second", policy={})
    second.refused(R.ATTESTER_NOT_TRUSTED)
    attested.attester.applications.add(second.application)
    attested.accepted()
    second.accepted()
    attested.attester.applications.remove(attested.application)
    attested.refused(R.ATTESTER_NOT_TRUSTED)
    second.accepted()


@pytest.mark.accepts("T5")
@pytest.mark.refuses("T5", "A3", "A4")
@pytest.mark.parametrize("key_ids", [("a", "b"), ("same", "same")], ids=["own kids", "one kid"])
def test_neither_of_two_attesters_can_speak_for_the_others_client(
    attested: AttestedClient, key_ids: tuple[str, str]
) -> None:
    """They share a third client, so both are trusted for something, and both are known to this process."""
    attested.attester.delete()
    shared = create_application("shared", policy={})
    clients, backends = {}, [AttesterBackend(key_id=key_id) for key_id in key_ids]
    for name, backend in zip(("one", "two"), backends, strict=True):
        application = create_application(name, policy={})
        register_attester(backend, f"Attester {name}", applications=(application, shared))
        clients[name] = AttestedClient(backend, attested.instance, name, application=application)
        clients[name].accepted()
        AttestedClient(backend, attested.instance, "shared").accepted()
    reason = R.ATTESTER_NOT_TRUSTED if key_ids[0] == "a" else R.ATTESTATION_SIGNATURE
    for name, other in (("one", backends[1]), ("two", backends[0])):
        client = clients[name]
        client.refused(reason, headers=signed_by(client, other))
        client.refused(R.ATTESTATION_SIGNATURE, headers=signed_by(client, other, header={"kid": ABSENT}))
        body = {"grant_type": "client_credentials", "client_id": name}
        theirs = other.attest(client.instance, "shared")
        client.refused(R.CLIENT_MISMATCH, headers=client.headers(theirs), data=body)
        client.accepted()


# The policy of an attester


@table(
    ("of_attester", "of_server", "limit"),
    {
        "the attester's alone": (100, None, 100),
        "the server's alone": (None, 100, 100),
        "the attester's is smaller": (100, 200, 100),
        "the server's is smaller": (200, 100, 100),
    },
)
@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6", "E2")
def test_the_smaller_age_limit_counts(
    attested: AttestedClient,
    clock: time_machine.Traveller,
    settings: Any,
    of_attester: int | None,
    of_server: int | None,
    limit: int,
) -> None:
    configure(settings, ATTESTATION_MAX_AGE=of_server)
    Attester.objects.update(max_age=of_attester)
    attestation = attested.attestation()
    for age in (limit - 1, limit):
        clock.move_to(NOW + age)
        attested.accepted(headers=attested.headers(attestation))
    clock.move_to(NOW + limit + 1)
    attested.refused(R.ATTESTATION_TOO_OLD, headers=attested.headers(attestation))


@pytest.mark.refuses("A6")
def test_the_age_limit_is_the_one_of_the_attester_that_signed(
    attested: AttestedClient, clock: time_machine.Traveller
) -> None:
    strict = AttesterBackend(key_id="strict")
    register_attester(strict, "Strict", applications=(attested.application,), max_age=10)
    clock.shift(60)
    attested.accepted(headers=attested.headers(attested.attestation(now=NOW)))
    attested.refused(R.ATTESTATION_TOO_OLD, headers=signed_by(attested, strict, now=NOW))
    attested.refused(R.ATTESTATION_IAT, headers=signed_by(attested, strict, claims={"iat": ABSENT}))


@table(
    ("required", "claims", "reason"),
    {
        "the value": ({"level": ["high"]}, {"level": "high"}, None),
        "one of the values": ({"level": ["low", "high"]}, {"level": "high"}, None),
        "a list that contains it": ({"level": ["high"]}, {"level": ["low", "high"]}, None),
        "any value": ({"level": []}, {"level": {"of": "anything"}}, None),
        "true": ({"hardware": [True]}, {"hardware": True}, None),
        "another value": ({"level": ["high"]}, {"level": "low"}, R.ATTESTATION_CLAIM_VALUE),
        "1 for true": ({"hardware": [True]}, {"hardware": 1}, R.ATTESTATION_CLAIM_VALUE),
        "true for 1": ({"level": [1]}, {"level": True}, R.ATTESTATION_CLAIM_VALUE),
        "an object": ({"level": ["high"]}, {"level": {"high": "high"}}, R.ATTESTATION_CLAIM_VALUE),
        "nothing": ({"level": ["high"]}, {}, R.ATTESTATION_CLAIM_MISSING),
        "nothing, where any value will do": ({"level": []}, {}, R.ATTESTATION_CLAIM_MISSING),
        "one of two claims": ({"a": [], "b": []}, {"a": 1}, R.ATTESTATION_CLAIM_MISSING),
        "a claim that every attestation has, of another value": (
            {"sub": ["another"]},
            {},
            R.ATTESTATION_CLAIM_VALUE,
        ),
    },
)
@pytest.mark.accepts("A3")
@pytest.mark.refuses("A3", "E3")
def test_an_attester_must_say_what_is_required_of_it(
    attested: AttestedClient, required: dict[str, Any], claims: dict[str, Any], reason: Reason | None
) -> None:
    attestation = attested.attestation(claims=claims)
    attested.accepted(headers=attested.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    Attester.objects.update(required_claims=required)
    if reason is None:
        attested.accepted(headers=attested.headers(attestation))
    else:
        attested.refused(reason, headers=attested.headers(attestation))


@table(
    ("field", "value", "code"),
    {
        "claims that are no object": ("required_claims", ["level"], "claims"),
        "a claim without a name": ("required_claims", {"": []}, "claim_name"),
        "a name with a line feed": ("required_claims", {"a\nb": []}, "claim_name"),
        "a name that is too long": ("required_claims", {"a" * 256: []}, "claim_name"),
        "a value outside a list": ("required_claims", {"level": "high"}, "claim_values"),
        "an object as value": ("required_claims", {"level": [{"a": 1}]}, "claim_values"),
        "a list as value": ("required_claims", {"level": [[]]}, "claim_values"),
        "a fraction as value": ("required_claims", {"level": [1.5]}, "claim_values"),
        "null as value": ("required_claims", {"level": [None]}, "claim_values"),
        "a NUL in a value": ("required_claims", {"level": ["high", "\0"]}, "claim_values"),
        "half of a surrogate pair": ("required_claims", {"level": ["\ud800"]}, "claim_values"),
        "a name with an escape sequence": ("name", "Acme\x1b[2J", "name"),
        "a name of two lines": ("name", "Acme\nOther", "name"),
        "an issuer with a space": ("issuer", "https://acme.example /", "issuer"),
        "an issuer of two lines": ("issuer", "https://acme.example\n", "issuer"),
        "an issuer with a NUL": ("issuer", "acme\0", "issuer"),
        "an issuer with an escape sequence": ("issuer", "acme\x1b[2J", "issuer"),
        "an issuer with a colon that is no URI": ("issuer", '{"kty":"EC"}', "issuer"),
        "an issuer that is too long": ("issuer", "https://acme.example/" + 2048 * "a", "max_length"),
        "an algorithm that is none": ("algorithms", ["none"], "algorithm"),
        "algorithms that are no list": ("algorithms", "ES256", "algorithms"),
        "no time at all": ("max_age", 0, "min_value"),
        "more than ten years": ("max_age", 10 * 366 * 86400 + 1, "max_value"),
        "plain http": ("jwks_uri", "http://attester.example/jwks", "not_https"),
        "no URL": ("jwks_uri", "attester.example", "bad_url"),
        "a URL with a password": ("jwks_uri", "https://user:password@attester.example/jwks", "bad_url"),
    },
)
def test_terms_that_mean_nothing_cannot_be_entered(db: Any, field: str, value: Any, code: str) -> None:
    attester = Attester(**{"name": "Acme", field: value})
    with pytest.raises(ValidationError) as error:
        attester.full_clean()
    assert {name: errors[0].code for name, errors in error.value.error_dict.items()} == {field: code}


@pytest.mark.parametrize(
    "issuer", ["", "acme", "https://acme.example/a?b=c#d", "urn:example:acme", "did:web:acme.example"]
)
def test_an_issuer_is_any_string_or_uri(db: Any, issuer: str) -> None:
    Attester(name="Acme – “A” é", issuer=issuer, required_claims={"level": ["", "é ü", 3, True]}).full_clean()


# The policy of an application


OLD_SHAPES: dict[str, tuple[int, Any, Reason]] = {
    "an attestation without iat": (
        12,
        lambda client: client.headers(client.attestation(claims={"iat": ABSENT})),
        R.ATTESTATION_IAT,
    ),
    "the challenge as nonce": (
        10,
        lambda client: client.headers(
            pop=client.pop(
                challenge=None,
                claims={
                    "nonce": client.http.post("/oauth-client-attestation/challenge").json()["attestation_challenge"]
                },
            )
        ),
        R.CHALLENGE_MISSING,
    ),
}


@table(
    ("of_application", "of_server", "counts"),
    {
        "the application asks for more": ("needed", "below", True),
        "the application asks for less": ("below", "needed", False),
        "the application leaves it to the server, which asks for it": (None, "needed", True),
        "the application leaves it to the server, which does not": (None, "below", False),
    },
)
@pytest.mark.parametrize("shape", OLD_SHAPES)
@pytest.mark.accepts("A6", "P7")
@pytest.mark.refuses("A6", "P7")
def test_an_applications_oldest_revision_replaces_the_servers(
    attested: AttestedClient, settings: Any, shape: str, of_application: str | None, of_server: str, counts: bool
) -> None:
    """Both ways: stricter for one application, or more lenient for one whose clients are old."""
    needed, headers, reason = OLD_SHAPES[shape]
    revisions = {"needed": needed, "below": needed - 1, None: None}
    configure(settings, OLDEST_REVISION=revisions[of_server])
    AttestationPolicy.objects.update(oldest_revision=revisions[of_application])
    if counts:
        attested.refused(reason, headers=headers(attested))
    else:
        attested.accepted(headers=headers(attested))
    attested.accepted()


def test_the_oldest_revision_of_one_application_is_not_anothers(attested: AttestedClient, settings: Any) -> None:
    configure(settings, OLDEST_REVISION=12)
    AttestationPolicy.objects.update(oldest_revision=11)
    other = AttestedClient(attested.backend, client_id="other")
    other.application = create_application("other", policy={})
    attested.attester.applications.add(other.application)
    attested.accepted(headers=attested.headers(attested.attestation(claims={"iat": ABSENT})))
    other.refused(R.ATTESTATION_IAT, headers=other.headers(other.attestation(claims={"iat": ABSENT})))


@pytest.mark.parametrize("revision", [4, 13, 0])
def test_a_revision_that_is_not_known_cannot_be_chosen(attested: AttestedClient, revision: int) -> None:
    policy = AttestationPolicy.objects.get()
    policy.oldest_revision = revision
    with pytest.raises(ValidationError) as error:
        policy.full_clean()
    assert error.value.error_dict["oldest_revision"][0].code == "invalid_choice"


@table(
    ("of_application", "of_server"),
    {
        "the application has another": (["attest_jwt_client_auth_dpop"], None),
        "the application has none": ([], None),
        "the server offers none": (None, []),
    },
)
@pytest.mark.refuses("B5", "M1")
def test_both_application_and_server_have_to_name_the_method(
    attested: AttestedClient, settings: Any, of_application: list[str] | None, of_server: list[str] | None
) -> None:
    if of_application is not None:
        AttestationPolicy.objects.update(methods=of_application)
    if of_server is not None:
        configure(settings, METHODS=of_server)
    attested.refused(R.METHOD_NOT_ALLOWED)


@table(("challenge", "reason"), {"required": ("required", R.CHALLENGE_MISSING), "optional": ("optional", None)})
@pytest.mark.accepts("P7")
@pytest.mark.refuses("P7")
def test_an_application_says_whether_a_challenge_is_needed(
    attested: AttestedClient, challenge: str, reason: Reason | None
) -> None:
    AttestationPolicy.objects.update(challenge=challenge)
    without = attested.headers(pop=attested.instance.prove(ISSUER))
    if reason is None:
        attested.accepted(headers=without)
    else:
        attested.refused(reason, headers=without)
    attested.accepted()


@pytest.mark.refuses("A2")
def test_the_terms_of_an_attester_are_read_each_time(attested: AttestedClient) -> None:
    """Nothing of an attester's row is kept between requests."""
    attested.accepted()
    Attester.objects.update(algorithms=["ES384"])
    attested.refused(R.ATTESTATION_ALGORITHM)
    Attester.objects.update(algorithms=[])
    attested.accepted()
    AttesterKey.objects.all().delete()
    attested.refused(R.ATTESTER_NOT_TRUSTED)
