"""Rules P over HTTP: the proof of possession, its times, its challenge, and that it counts once."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import time_machine
from django.test import override_settings
from jwcrypto.jwk import JWK

from oauth_client_attestation.challenges import authorization_server_challenges, fresh_challenge
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, UsedProof
from oauth_client_attestation.testing import ABSENT, AttesterBackend, ClientInstance, generate_key
from tests.kit import (
    INTROSPECT,
    ISSUER,
    NOW,
    REVOKE,
    TOKEN,
    AttestedClient,
    configure,
    create_application,
    edited,
    table,
)

SKEW = 60
MAX_AGE = 300
LIFETIME = 300


@pytest.fixture
def unchallenged(db: Any, clock: Any) -> AttestedClient:
    """A client for which challenges are optional, at ``NOW``."""
    return AttestedClient().register(challenge="optional")


@cache
def rsa_key() -> JWK:
    return generate_key("RS256")


def refused_with(client: AttestedClient, reason: Reason, **changes: Any) -> None:
    """Assert that a proof with these changes is refused, and that the instance's next one is not."""
    client.refused(reason, headers=client.headers(pop=client.pop(**changes)))
    client.accepted()


def accepted_with(client: AttestedClient, **changes: Any) -> None:
    """Assert that a proof with these changes is accepted."""
    client.accepted(headers=client.headers(pop=client.pop(**changes)))


# P1


@table(
    "typ",
    {
        "as in the draft": "oauth-client-attestation-pop+jwt",
        "in other letters": "OAUTH-client-attestation-PoP+jwt",
        "with the media type's prefix": "application/oauth-client-attestation-pop+jwt",
    },
)
@pytest.mark.accepts("P1")
def test_typ_is_compared_as_a_media_type(attested: AttestedClient, typ: str) -> None:
    accepted_with(attested, header={"typ": typ})


@table(
    "typ",
    {
        "it is absent": ABSENT,
        "it is that of any JWT": "JWT",
        "it is that of the attestation": "oauth-client-attestation+jwt",
        "it is that of DPoP": "dpop+jwt",
        "it is empty": "",
        "it is a number": 1,
        "it is null": None,
    },
)
@pytest.mark.refuses("P1", "E3")
def test_another_typ_is_refused(attested: AttestedClient, typ: Any) -> None:
    refused_with(attested, Reason.POP_TYP, header={"typ": typ})


@pytest.mark.refuses("P1")
def test_an_attestation_is_no_proof(attested: AttestedClient) -> None:
    attestation = attested.attestation()
    attested.refused(Reason.POP_TYP, headers=attested.headers(attestation, attestation))


# P2


def claiming(algorithm: Any) -> Callable[[bytes], bytes]:
    """Return an edit of a header that replaces its ``alg``, or removes it."""

    def edit(header: bytes) -> bytes:
        members = {**json.loads(header), "alg": algorithm}
        return json.dumps({name: value for name, value in members.items() if value is not ABSENT}).encode()

    return edit


@table(
    "algorithm",
    {
        "it is absent": ABSENT,
        "it is none": "none",
        "it is a MAC": "HS256",
        "it is for another curve": "ES384",
        "it is for another kind of key": "PS256",
        "it is unknown": "XS256",
        "it is a list": ["ES256"],
        "it is null": None,
    },
)
@pytest.mark.refuses("P2")
def test_another_alg_than_the_keys_is_refused(attested: AttestedClient, algorithm: Any) -> None:
    pop = edited(attested.pop(), header=claiming(algorithm), key=attested.instance.key)
    attested.refused(Reason.POP_ALGORITHM, headers=attested.headers(pop=pop))
    attested.accepted()


@table(
    ("listed", "passes"),
    {
        "its own": (["ES256"], True),
        "its own and another": (["ES384", "ES256"], True),
        "others": (["ES384", "EdDSA"], False),
    },
)
@pytest.mark.accepts("P2")
@pytest.mark.refuses("P2")
def test_the_servers_list_decides(attested: AttestedClient, settings: Any, listed: list[str], passes: bool) -> None:
    configure(settings, POP_ALGORITHMS=listed)
    if passes:
        attested.accepted()
    else:
        attested.refused(Reason.POP_ALGORITHM)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
@pytest.mark.accepts("P2")
@pytest.mark.refuses("P2")
def test_rsa_is_accepted_where_the_server_lists_it(attested: AttestedClient, settings: Any, algorithm: str) -> None:
    attested.instance = ClientInstance(algorithm=algorithm, key=rsa_key())
    attested.refused(Reason.POP_ALGORITHM)
    configure(settings, POP_ALGORITHMS=[algorithm])
    attested.accepted()


# P3


@pytest.mark.accepts("P3")
def test_each_instance_proves_its_own_key(attested: AttestedClient) -> None:
    attested.accepted()
    attested.instance = ClientInstance()
    attested.accepted()


@table(
    "signer",
    {
        "another instance of the same client": lambda client: ClientInstance(),
        "the attester": lambda client: ClientInstance(key=client.backend.key),
    },
)
@pytest.mark.refuses("P3", "E3")
def test_a_proof_by_another_key_is_refused(
    attested: AttestedClient, signer: Callable[[AttestedClient], ClientInstance]
) -> None:
    pop = signer(attested).prove(ISSUER, challenge=fresh_challenge())
    attested.refused(Reason.POP_SIGNATURE, headers=attested.headers(pop=pop))
    attested.accepted()


@pytest.mark.refuses("P3")
def test_a_key_in_the_proof_is_not_trusted_for_being_there(attested: AttestedClient) -> None:
    thief = ClientInstance()
    pop = thief.prove(ISSUER, challenge=fresh_challenge(), header={"jwk": thief.public_jwk})
    attested.refused(Reason.POP_SIGNATURE, headers=attested.headers(pop=pop))


@pytest.mark.refuses("P3")
def test_a_changed_proof_is_refused(attested: AttestedClient) -> None:
    good = attested.pop()
    changed = edited(good, payload=lambda text: text.replace(b'"jti": "', b'"jti": "x'))
    attested.refused(Reason.POP_SIGNATURE, headers=attested.headers(pop=changed))
    attested.accepted(headers=attested.headers(pop=good))


# P4


@table("aud", {"a string": ISSUER, "a list with this one alone": [ISSUER]})
@pytest.mark.accepts("P4")
def test_aud_is_the_issuer(attested: AttestedClient, aud: Any) -> None:
    accepted_with(attested, claims={"aud": aud})


@table(
    "aud",
    {
        "it is absent": ABSENT,
        "it is another server": "https://other.example",
        "it has a slash more": f"{ISSUER}/",
        "it is the token endpoint": f"{ISSUER}{TOKEN}",
        "it is the issuer's host": "127.0.0.1:8000",
        "it is the issuer in other letters": ISSUER.upper(),
        "it is another name of this host": "http://localhost:8000",
        "it is empty": "",
        "it is null": None,
        "it is true": True,
        "it is an object": {ISSUER: ISSUER},
        "it is an empty list": [],
        "it is a list of this server and another": [ISSUER, "https://other.example"],
        "it is a list of this server twice": [ISSUER, ISSUER],
        "it is a list in a list": [[ISSUER]],
        "it is a list with another server": ["https://other.example"],
    },
)
@pytest.mark.refuses("P4", "E3")
def test_another_aud_is_refused(attested: AttestedClient, aud: Any) -> None:
    refused_with(attested, Reason.POP_AUD, claims={"aud": aud})


@pytest.mark.accepts("P4")
@pytest.mark.refuses("P4")
def test_the_audience_is_not_taken_from_the_request(attested: AttestedClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    for_evil = attested.headers(pop=attested.pop(audience="http://evil.example"))
    attested.refused(Reason.POP_AUD, headers={**for_evil, **forged})
    attested.accepted(headers={**attested.headers(), **forged})


@pytest.mark.accepts("P4")
@pytest.mark.refuses("P4")
def test_the_audience_is_the_configured_issuer(attested: AttestedClient, settings: Any) -> None:
    configure(settings, ISSUER="https://as.example/tenant")
    attested.refused(Reason.POP_AUD)
    accepted = attested.pop(audience="https://as.example/tenant")
    attested.accepted(headers=attested.headers(pop=accepted))


# P5


@table("jti", {"one character": "x", "the longest": "x" * 256, "any letters": "\u00fcnique \u2713"})
@pytest.mark.accepts("P5")
def test_jti_is_any_string_up_to_a_bound(attested: AttestedClient, jti: str) -> None:
    accepted_with(attested, claims={"jti": jti})


@table(
    "jti",
    {
        "it is absent": ABSENT,
        "it is empty": "",
        "it is too long": "x" * 257,
        "it is a number": 1,
        "it is null": None,
        "it is a list": ["x"],
        "it has a NUL": "x\u0000",
        "it has a line feed": "x\n",
    },
)
@pytest.mark.refuses("P5")
def test_jti_that_is_no_bounded_string_is_refused(attested: AttestedClient, jti: Any) -> None:
    refused_with(attested, Reason.POP_JTI, claims={"jti": jti})


# P6


@table(
    ("iat", "reason"),
    {
        "now": (NOW, None),
        "exactly as old as is good": (NOW - MAX_AGE, None),
        "a second older": (NOW - MAX_AGE - 1, Reason.POP_TOO_OLD),
        "half a second older": (NOW - MAX_AGE - 0.5, Reason.POP_TOO_OLD),
        "as far ahead as the skew": (NOW + SKEW, None),
        "a second further": (NOW + SKEW + 1, Reason.POP_FROM_THE_FUTURE),
        "years ago": (0, Reason.POP_TOO_OLD),
    },
)
@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6", "E3")
def test_without_a_challenge_iat_decides(unchallenged: AttestedClient, iat: float, reason: Reason | None) -> None:
    changes = {"challenge": None, "claims": {"iat": iat}}
    if reason:
        refused_with(unchallenged, reason, **changes)
    else:
        accepted_with(unchallenged, **changes)


@table(
    ("age", "passes"),
    {"a second less": (9, True), "exactly": (10, True), "a second more": (11, False)},
)
@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
def test_the_window_is_a_setting(unchallenged: AttestedClient, settings: Any, age: int, passes: bool) -> None:
    configure(settings, POP_MAX_AGE=10)
    changes = {"challenge": None, "claims": {"iat": NOW - age}}
    if passes:
        accepted_with(unchallenged, **changes)
    else:
        refused_with(unchallenged, Reason.POP_TOO_OLD, **changes)


@table(
    "times",
    {
        "a year behind": {"iat": NOW - 365 * 86400},
        "a year ahead": {"iat": NOW + 365 * 86400},
        "never set": {"iat": 0},
        "a year behind, exp and nbf by the same clock": {
            "iat": NOW - 365 * 86400,
            "nbf": NOW - 365 * 86400,
            "exp": NOW - 365 * 86400 + 60,
        },
        "a year ahead, exp and nbf by the same clock": {
            "iat": NOW + 365 * 86400,
            "nbf": NOW + 365 * 86400,
            "exp": NOW + 365 * 86400 + 60,
        },
    },
)
@pytest.mark.accepts("P6")
def test_with_a_challenge_the_clients_clock_may_be_wrong(
    attested: AttestedClient, clock: Any, times: dict[str, int]
) -> None:
    accepted_with(attested, claims=times)


@table(
    ("times", "reason"),
    {
        "iat is absent, nothing bounds it": ({"iat": ABSENT}, Reason.POP_IAT),
        "iat is null": ({"iat": None}, Reason.POP_IAT),
        "iat is a string": ({"iat": str(NOW)}, Reason.POP_IAT),
        "iat is true": ({"iat": True}, Reason.POP_IAT),
        "iat is in milliseconds": ({"iat": NOW * 1000}, Reason.POP_IAT),
        "exp is null": ({"exp": None}, Reason.POP_EXP),
        "exp is false": ({"exp": False}, Reason.POP_EXP),
        "exp is used up, skew and all": ({"exp": NOW - SKEW}, Reason.POP_EXPIRED),
        "exp is before iat": ({"iat": NOW + 3600, "exp": NOW + 60}, Reason.POP_EXPIRED),
        "nbf is beyond the skew": ({"nbf": NOW + SKEW + 1}, Reason.POP_NBF),
        "nbf is a string": ({"nbf": "0"}, Reason.POP_NBF),
    },
)
@pytest.mark.refuses("P6", "A10")
def test_times_that_make_no_sense_are_refused(
    attested: AttestedClient, clock: Any, times: dict[str, Any], reason: Reason
) -> None:
    refused_with(attested, reason, claims=times)


@table(
    ("floor", "exp", "reason"),
    {
        "soon": (5, NOW + 300, None),
        "as late as window and skew allow": (6, NOW + MAX_AGE + SKEW, None),
        "a second later": (6, NOW + MAX_AGE + SKEW + 1, Reason.POP_EXP),
        "next year": (5, NOW + 365 * 86400, Reason.POP_EXP),
        "a second before the skew is used up": (5, NOW - SKEW + 1, None),
        "when it is used up": (5, NOW - SKEW, Reason.POP_EXPIRED),
        "soon, but revision 7 is the floor": (7, NOW + 300, Reason.POP_IAT),
    },
)
@pytest.mark.accepts("P6")
@pytest.mark.refuses("P6")
def test_exp_may_bound_a_proof_without_iat_up_to_revision_6(
    unchallenged: AttestedClient, settings: Any, floor: int, exp: int, reason: Reason | None
) -> None:
    configure(settings, OLDEST_REVISION=floor)
    changes = {"challenge": None, "claims": {"iat": ABSENT, "exp": exp}}
    if reason:
        refused_with(unchallenged, reason, **changes)
    else:
        accepted_with(unchallenged, **changes)


@table("iss", {"the client": "app", "left out, as from -08 on": ABSENT})
@pytest.mark.accepts("P3")
def test_iss_is_the_client_where_there_is_one(attested: AttestedClient, iss: Any) -> None:
    accepted_with(attested, claims={"iss": iss})


@table(
    "iss",
    {"another client": "second", "the server": ISSUER, "empty": "", "null": None, "a list": ["app"]},
)
@pytest.mark.refuses("P3")
def test_another_iss_is_refused(attested: AttestedClient, iss: Any) -> None:
    """Revisions up to -07 have one; it must then be the client that the attestation is for."""
    refused_with(attested, Reason.POP_ISS, claims={"iss": iss})


# P7


@pytest.mark.accepts("P7", "C5")
def test_a_challenge_of_this_server_is_accepted(attested: AttestedClient) -> None:
    attested.accepted(headers=attested.headers(pop=attested.pop(challenge=fresh_challenge())))


@pytest.mark.refuses("P7", "E1")
def test_a_proof_without_a_challenge_is_refused_where_it_is_required(attested: AttestedClient) -> None:
    refused_with(attested, Reason.CHALLENGE_MISSING, challenge=None)


@pytest.mark.accepts("P7")
def test_a_challenge_can_be_optional_for_an_application(attested: AttestedClient) -> None:
    AttestationPolicy.objects.update(challenge="optional")
    accepted_with(attested, challenge=None)
    accepted_with(attested)


def flipped(challenge: str) -> str:
    """Return a challenge with one letter of its random part in the other case."""
    position = next(i for i in range(20, 40) if challenge[i] in string.ascii_letters)
    return challenge[:position] + challenge[position].swapcase() + challenge[position + 1 :]


UNACCEPTABLE = {
    "empty": ("", Reason.CHALLENGE_MALFORMED),
    "null": (None, Reason.CHALLENGE_MALFORMED),
    "a number": (1, Reason.CHALLENGE_MALFORMED),
    "a list": (["x" * 54], Reason.CHALLENGE_MALFORMED),
    "too long for any": ("x" * 513, Reason.CHALLENGE_MALFORMED),
    "with a line feed": ("x" * 53 + "\n", Reason.CHALLENGE_MALFORMED),
    "made up": ("x" * 54, Reason.CHALLENGE_UNKNOWN),
    "made up, too short": ("x", Reason.CHALLENGE_UNKNOWN),
    "made up, not ASCII": ("\u00fc" * 54, Reason.CHALLENGE_UNKNOWN),
    "made up, not base64url": ("." * 54, Reason.CHALLENGE_UNKNOWN),
    "an older one with one letter changed": (lambda: flipped(fresh_challenge()), Reason.CHALLENGE_UNKNOWN),
    "one with a character more": (lambda: f"{fresh_challenge()}A", Reason.CHALLENGE_UNKNOWN),
    "one with padding": (lambda: f"{fresh_challenge()}==", Reason.CHALLENGE_UNKNOWN),
    "one for another audience": (
        lambda: authorization_server_challenges("https://other.example").issue(NOW),
        Reason.CHALLENGE_UNKNOWN,
    ),
}


@table(("challenge", "reason"), UNACCEPTABLE)
@pytest.mark.parametrize("policy", ["required", "optional"])
@pytest.mark.refuses("P7", "E1")
def test_an_unacceptable_challenge_is_refused_required_or_not(
    attested: AttestedClient, clock: Any, policy: str, challenge: Any, reason: Reason
) -> None:
    AttestationPolicy.objects.update(challenge=policy)
    value = challenge() if callable(challenge) else challenge
    refused_with(attested, reason, claims={"challenge": value})


@pytest.mark.refuses("P7")
def test_a_challenge_of_another_issuer_of_this_site_is_refused(attested: AttestedClient, settings: Any) -> None:
    """The same secret, the same site, another audience: what one issuer hands out is not for the other."""
    challenge = fresh_challenge()
    configure(settings, ISSUER="https://as.example")
    pop = attested.pop(audience="https://as.example", challenge=challenge)
    attested.refused(Reason.CHALLENGE_UNKNOWN, headers=attested.headers(pop=pop))
    pop = attested.pop(audience="https://as.example")
    attested.accepted(headers=attested.headers(pop=pop))


@table(
    ("age", "passes"),
    {
        "at once": (0, True),
        "a second before its lifetime is over": (LIFETIME - 1, True),
        "the moment it is over": (LIFETIME, True),
        "a second after": (LIFETIME + 1, False),
        "a day after": (LIFETIME + 86400, False),
    },
)
@pytest.mark.accepts("P7", "C5")
@pytest.mark.refuses("P7", "E1", "C5")
def test_a_challenge_expires(attested: AttestedClient, clock: time_machine.Traveller, age: int, passes: bool) -> None:
    challenge = fresh_challenge()
    clock.shift(age)
    if passes:
        accepted_with(attested, challenge=challenge)
    else:
        refused_with(attested, Reason.CHALLENGE_EXPIRED, challenge=challenge)


@table(
    ("floor", "claims", "reason"),
    {
        "the old name, where -05 is accepted": (5, {"nonce": True, "challenge": ABSENT}, None),
        "the old name, where -09 is the floor": (9, {"nonce": True, "challenge": ABSENT}, None),
        "the old name, where -10 is the floor": (
            10,
            {"nonce": True, "challenge": ABSENT},
            Reason.CHALLENGE_MISSING,
        ),
        "both names, the same": (5, {"nonce": True, "challenge": True}, None),
        "both names, different": (5, {"nonce": "x" * 54, "challenge": True}, Reason.CHALLENGE_MALFORMED),
        "both names, the old one ignored from -10 on": (10, {"nonce": 1, "challenge": True}, None),
    },
)
@pytest.mark.accepts("P7")
@pytest.mark.refuses("P7")
def test_the_older_name_of_the_challenge_is_read_down_to_the_floor(
    attested: AttestedClient, settings: Any, floor: int, claims: dict[str, Any], reason: Reason | None
) -> None:
    configure(settings, OLDEST_REVISION=floor)
    challenge = fresh_challenge()
    claims = {name: challenge if value is True else value for name, value in claims.items()}
    headers = attested.headers(pop=attested.pop(challenge=None, claims=claims))
    if reason:
        attested.refused(reason, headers=headers)
    else:
        attested.accepted(headers=headers)


# P8


@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8", "E3")
def test_a_proof_is_accepted_once(attested: AttestedClient) -> None:
    headers = attested.headers()
    attested.accepted(headers=headers)
    attested.refused(Reason.POP_REPLAYED, headers=headers)
    attested.refused(Reason.POP_REPLAYED, headers=headers)
    attested.accepted()


@table("path", {"revocation": REVOKE, "introspection": INTROSPECT})
@pytest.mark.refuses("P8")
def test_a_proof_is_accepted_once_at_all_endpoints_together(attested: AttestedClient, path: str) -> None:
    headers = attested.headers()
    attested.accepted(headers=headers)
    attested.refused(Reason.POP_REPLAYED, path=path, data={"token": "x"}, headers=headers)


@pytest.mark.refuses("P8")
def test_what_counts_is_key_and_jti_not_the_octets(attested: AttestedClient) -> None:
    """ECDSA signs the same claims differently each time; neither that nor a new attestation renews a proof."""
    jti = {"jti": "the-same"}
    accepted_with(attested, claims=jti)
    attested.refused(
        Reason.POP_REPLAYED,
        headers=attested.headers(attested.attestation(lifetime=7200), attested.pop(claims=jti)),
    )
    attested.refused(
        Reason.POP_REPLAYED, headers=attested.headers(pop=attested.pop(challenge=fresh_challenge(), claims=jti))
    )


@pytest.mark.accepts("P8")
def test_the_same_jti_of_another_instance_is_another_proof(attested: AttestedClient) -> None:
    accepted_with(attested, claims={"jti": "the-same"})
    attested.instance = ClientInstance()
    accepted_with(attested, claims={"jti": "the-same"})


@pytest.mark.accepts("P8")
def test_jti_compares_with_regard_to_case(attested: AttestedClient) -> None:
    for jti in ("abc", "ABC", "abc "):
        accepted_with(attested, claims={"jti": jti})


@table(
    ("challenged", "window"),
    {"with a challenge": (True, LIFETIME + SKEW), "without one": (False, MAX_AGE + SKEW)},
)
@pytest.mark.refuses("P8")
def test_a_proof_is_remembered_for_as_long_as_it_could_be_accepted(
    unchallenged: AttestedClient, clock: time_machine.Traveller, challenged: bool, window: int
) -> None:
    changes = {} if challenged else {"challenge": None}
    headers = unchallenged.headers(pop=unchallenged.pop(**changes))
    unchallenged.accepted(headers=headers)
    assert UsedProof.objects.get().valid_until >= NOW + window
    clock.shift(LIFETIME)
    unchallenged.refused(Reason.POP_REPLAYED, headers=headers)
    clock.shift(1)
    reason = Reason.CHALLENGE_EXPIRED if challenged else Reason.POP_TOO_OLD
    unchallenged.refused(reason, headers=headers)


def disable(client: AttestedClient) -> Callable[[], Any]:
    Attester.objects.update(enabled=False)
    return lambda: Attester.objects.update(enabled=True)


def name_another_issuer(client: AttestedClient) -> Callable[[], Any]:
    Attester.objects.update(issuer="https://other.example")
    return lambda: Attester.objects.update(issuer="")


def withdraw_policy(client: AttestedClient) -> Callable[[], Any]:
    AttestationPolicy.objects.all().delete()
    return lambda: AttestationPolicy.objects.create(application=client.application)


def restrict_algorithms(client: AttestedClient) -> Callable[[], Any]:
    Attester.objects.update(algorithms=["ES384"])
    return lambda: Attester.objects.update(algorithms=[])


def unlink(client: AttestedClient) -> Callable[[], Any]:
    client.attester.applications.clear()
    return lambda: client.attester.applications.set([client.application])


@table(
    ("break_it", "reason"),
    {
        "the attester was disabled": (disable, Reason.ATTESTER_NOT_TRUSTED),
        "the attester was not linked": (unlink, Reason.ATTESTER_NOT_TRUSTED),
        "the attester's issuer was another": (name_another_issuer, Reason.ATTESTATION_ISS),
        "the attester's algorithms were others": (restrict_algorithms, Reason.ATTESTATION_ALGORITHM),
        "the application had no policy": (withdraw_policy, Reason.CLIENT_NOT_REGISTERED),
    },
)
@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_a_proof_refused_for_another_reason_is_not_used_up_by_that(
    attested: AttestedClient, break_it: Callable[[AttestedClient], Callable[[], Any]], reason: Reason
) -> None:
    attestation = attested.attestation(claims={"iss": "https://attester.example"})
    headers = attested.headers(attestation)
    mend = break_it(attested)
    attested.refused(reason, headers=headers)
    mend()
    attested.accepted(headers=headers)
    attested.refused(Reason.POP_REPLAYED, headers=headers)


@table(
    ("values", "reason"),
    {
        "the window was too small": ({"CHALLENGE_LIFETIME": 10}, Reason.CHALLENGE_EXPIRED),
        "the algorithm was not listed": ({"POP_ALGORITHMS": ["ES384"]}, Reason.POP_ALGORITHM),
        "the field was too large": ({"MAX_FIELD_LENGTH": 1024}, Reason.ATTESTATION_FIELD_TOO_LARGE),
        "the attestation was too old": ({"ATTESTATION_MAX_AGE": 10}, Reason.ATTESTATION_TOO_OLD),
        "the issuer was another": ({"ISSUER": "https://other.example"}, Reason.POP_AUD),
    },
)
@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8")
def test_a_proof_refused_by_a_setting_is_good_once_the_setting_is(
    attested: AttestedClient, clock: time_machine.Traveller, values: dict[str, Any], reason: Reason
) -> None:
    headers = attested.headers(attested.attestation(claims={"padding": "x" * 1024}))
    clock.shift(20)
    with override_settings(OAUTH_CLIENT_ATTESTATION={"ISSUER": ISSUER, **values}):
        attested.refused(reason, headers=headers)
    attested.accepted(headers=headers)


@pytest.mark.accepts("P8")
def test_a_stranger_cannot_use_up_a_proof(attested: AttestedClient) -> None:
    """Whoever copies a proof from the wire without its attestation can do nothing with it or to it."""
    pop = attested.pop()
    stranger = AttesterBackend().attest(attested.instance, attested.client_id)
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=attested.headers(stranger, pop))
    attested.accepted(headers=attested.headers(pop=pop))


@pytest.mark.accepts("P8")
def test_a_proof_beside_another_clients_name_is_not_used_up(attested: AttestedClient) -> None:
    create_application("second", policy={})
    headers = attested.headers()
    form = {"grant_type": "client_credentials", "client_id": "second"}
    attested.refused(Reason.CLIENT_MISMATCH, data=form, headers=headers)
    attested.accepted(headers=headers)


# P9


@pytest.mark.accepts("P9")
def test_unknown_claims_of_a_proof_are_ignored(attested: AttestedClient) -> None:
    accepted_with(attested, claims={"htu": 1, "x": None, "sub": [], "client_id": "second", "cnf": {"jwk": {}}})
