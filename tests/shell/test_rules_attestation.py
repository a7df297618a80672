"""Rules A, T1 and T5 over HTTP: the attestation, and whose signature counts for whom."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import time_machine
from jwcrypto.common import base64url_encode
from jwcrypto.jwk import JWK

from oauth_client_attestation.challenges import fresh_challenge
from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.attestation import MAX_CANDIDATE_KEYS
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester
from oauth_client_attestation.testing import (
    ABSENT,
    AttesterBackend,
    ClientInstance,
    generate_key,
    public_jwk,
)
from oauth_client_attestation.trust.jwks import parse_jwks
from oauth_client_attestation.trust.registration import replace_keys
from tests.kit import (
    FORM,
    NOW,
    AttestedClient,
    configure,
    create_application,
    edited,
    register_attester,
    table,
)

SKEW = 60
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", *RSA_ALGORITHMS)


@cache
def key_for(algorithm: str) -> JWK:
    """Return one key for each kind of algorithm: making an RSA key takes long."""
    return generate_key(algorithm) if algorithm not in RSA_ALGORITHMS[1:] else key_for("RS256")


def registered(backend: AttesterBackend, **fields: Any) -> AttestedClient:
    """Return an attested client whose attester has that key."""
    return AttestedClient(backend=backend).register(attester=fields)


def refused_with(attested: AttestedClient, reason: Reason, **changes: Any) -> None:
    """Assert that an attestation with these changes is refused, and that the attester's next one is not."""
    attested.refused(reason, headers=attested.headers(attested.attestation(**changes)))
    attested.accepted()


def accepted_with(attested: AttestedClient, **changes: Any) -> None:
    """Assert that an attestation with these changes is accepted."""
    attested.accepted(headers=attested.headers(attested.attestation(**changes)))


# A1


@table(
    "typ",
    {
        "as in the draft": "oauth-client-attestation+jwt",
        "in other letters": "OAuth-Client-Attestation+JWT",
        "with the media type's prefix": "application/oauth-client-attestation+jwt",
        "with the prefix in other letters": "Application/oauth-client-attestation+jwt",
    },
)
@pytest.mark.accepts("A1")
def test_typ_is_compared_as_a_media_type(attested: AttestedClient, typ: str) -> None:
    accepted_with(attested, header={"typ": typ})


@table(
    "typ",
    {
        "it is absent": ABSENT,
        "it is that of any JWT": "JWT",
        "it is that of the proof": "oauth-client-attestation-pop+jwt",
        "it lacks its suffix": "oauth-client-attestation",
        "it has another top-level type": "text/oauth-client-attestation+jwt",
        "it has the prefix twice": "application/application/oauth-client-attestation+jwt",
        "it has a space around it": " oauth-client-attestation+jwt",
        "it is empty": "",
        "it is a list": ["oauth-client-attestation+jwt"],
        "it is null": None,
    },
)
@pytest.mark.refuses("A1", "E3")
def test_another_typ_is_refused(attested: AttestedClient, typ: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_TYP, header={"typ": typ})


# A2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.accepts("A2")
def test_every_algorithm_that_the_server_lists_is_accepted(db: Any, settings: Any, algorithm: str) -> None:
    configure(settings, ATTESTATION_ALGORITHMS=[algorithm])
    registered(AttesterBackend(algorithm=algorithm, key=key_for(algorithm))).accepted()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.refuses("A2")
def test_an_algorithm_that_the_server_does_not_list_is_refused(db: Any, settings: Any, algorithm: str) -> None:
    configure(settings, ATTESTATION_ALGORITHMS=[name for name in ALGORITHMS if name != algorithm])
    registered(AttesterBackend(algorithm=algorithm, key=key_for(algorithm))).refused(Reason.ATTESTATION_ALGORITHM)


@pytest.mark.parametrize("algorithm", RSA_ALGORITHMS)
@pytest.mark.refuses("A2")
def test_rsa_is_not_on_the_default_list(db: Any, algorithm: str) -> None:
    registered(AttesterBackend(algorithm=algorithm, key=key_for(algorithm))).refused(Reason.ATTESTATION_ALGORITHM)


def claiming(algorithm: Any) -> Callable[[bytes], bytes]:
    """Return an edit of a header that replaces its ``alg``, or removes it."""

    def edit(header: bytes) -> bytes:
        members = json.loads(header)
        members["alg"] = algorithm
        return json.dumps({name: value for name, value in members.items() if value is not ABSENT}).encode()

    return edit


@table(
    "algorithm",
    {
        "it is absent": ABSENT,
        "it is none": "none",
        "it is None": "None",
        "it is a MAC": "HS256",
        "it is unknown": "ES1024",
        "it is in other letters": "es256",
        "it is for another curve": "ES384",
        "it is for another kind of key": "EdDSA",
        "it is a list": ["ES256"],
        "it is an object": {"ES256": "ES256"},
        "it is null": None,
    },
)
@pytest.mark.refuses("A2")
def test_another_alg_than_the_keys_is_refused(attested: AttestedClient, algorithm: Any) -> None:
    attestation = edited(attested.attestation(), header=claiming(algorithm), key=attested.backend.key)
    attested.refused(Reason.ATTESTATION_ALGORITHM, headers=attested.headers(attestation))
    attested.accepted()


@pytest.mark.refuses("A2")
def test_a_public_key_is_no_shared_secret(attested: AttestedClient) -> None:
    """The classic confusion: the token says HS256 and is keyed with what everybody may know."""
    header, payload, _ = edited(attested.attestation(), header=claiming("HS256")).split(".")
    for secret in (
        attested.backend.key.export_to_pem(),
        attested.backend.key.export_public().encode(),
        json.dumps(attested.backend.public_jwk).encode(),
    ):
        mac = base64url_encode(hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256))
        attested.refused(Reason.ATTESTATION_ALGORITHM, headers=attested.headers(f"{header}.{payload}.{mac}"))


@table(
    ("listed", "passes"),
    {
        "none, which means every one of the server's": ([], True),
        "its own": (["ES256"], True),
        "its own and another": (["ES384", "ES256"], True),
        "another": (["ES384"], False),
    },
)
@pytest.mark.accepts("A2")
@pytest.mark.refuses("A2")
def test_an_attester_is_held_to_its_own_list(attested: AttestedClient, listed: list[str], passes: bool) -> None:
    Attester.objects.update(algorithms=listed)
    if passes:
        attested.accepted()
    else:
        attested.refused(Reason.ATTESTATION_ALGORITHM)


@pytest.mark.refuses("A2")
def test_an_attesters_list_does_not_extend_the_servers(db: Any, settings: Any) -> None:
    client = registered(AttesterBackend(algorithm="PS256", key=key_for("PS256")), algorithms=["PS256"])
    client.refused(Reason.ATTESTATION_ALGORITHM)
    configure(settings, ATTESTATION_ALGORITHMS=["PS256"])
    client.accepted()


@pytest.mark.refuses("A2")
def test_a_key_that_names_its_algorithm_is_for_that_one(attested: AttestedClient, settings: Any) -> None:
    key = key_for("RS256")
    configure(settings, ATTESTATION_ALGORITHMS=["RS256", "PS256"])
    replace_keys(attested.attester, parse_jwks(json.dumps({**public_jwk(key), "kid": "rsa", "alg": "PS256"})))
    attested.backend = AttesterBackend(algorithm="RS256", key=key, key_id="rsa")
    attested.refused(Reason.ATTESTATION_ALGORITHM)
    attested.backend = AttesterBackend(algorithm="PS256", key=key, key_id="rsa")
    attested.accepted()


# A3: whose signature counts


@pytest.mark.refuses("A3", "E3")
def test_an_unknown_attester_is_refused(attested: AttestedClient) -> None:
    stranger = AttesterBackend(key_id="stranger")
    attestation = stranger.attest(attested.instance, attested.client_id)
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=attested.headers(attestation))
    attested.accepted()


@pytest.mark.refuses("A3")
def test_an_unknown_attester_that_borrows_a_known_kid_is_refused(attested: AttestedClient) -> None:
    stranger = AttesterBackend(key_id=attested.backend.key_id)
    attestation = stranger.attest(attested.instance, attested.client_id)
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=attested.headers(attestation))
    attested.accepted()


@table(
    "members",
    {
        "its own key as jwk": lambda stranger: {"jwk": stranger.public_jwk},
        "its own key set as jku": lambda stranger: {"jku": "https://stranger.example/jwks.json"},
        "an x5c without an anchor": lambda stranger: {"x5c": ["MAA="]},
        "an x5u": lambda stranger: {"x5u": "https://stranger.example/chain.pem"},
    },
)
@pytest.mark.refuses("A3")
def test_a_key_in_the_token_is_not_trusted_for_being_there(
    attested: AttestedClient, members: Callable[[AttesterBackend], dict[str, Any]]
) -> None:
    stranger = AttesterBackend(key_id=attested.backend.key_id)
    attestation = stranger.attest(attested.instance, attested.client_id, header=members(stranger))
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=attested.headers(attestation))


@table(
    "change",
    {
        "a later exp": lambda payload: payload.replace(b'"exp": 18', b'"exp": 19'),
        "a claim more": lambda payload: payload[:-1] + b', "more": 1}',
        "a space more": lambda payload: payload + b" ",
    },
)
@pytest.mark.refuses("A3")
def test_a_changed_attestation_is_refused(
    attested: AttestedClient, clock: Any, change: Callable[[bytes], bytes]
) -> None:
    good = attested.attestation()
    changed = edited(good, payload=change)
    assert changed != good
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=attested.headers(changed))
    attested.accepted(headers=attested.headers(good))


@pytest.mark.refuses("A3")
def test_the_signature_of_another_attestation_is_refused(attested: AttestedClient) -> None:
    good, other = attested.attestation(), attested.attestation(lifetime=7200)
    spliced = f"{good.rpartition('.')[0]}.{other.rpartition('.')[2]}"
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=attested.headers(spliced))


@pytest.mark.accepts("A3", "T5")
@pytest.mark.refuses("A3", "T5")
def test_a_disabled_attester_is_refused_from_the_next_request_on(attested: AttestedClient) -> None:
    """Also with an attestation that this process remembers having verified."""
    attestation = attested.attestation()
    attested.accepted(headers=attested.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    Attester.objects.update(enabled=False)
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=attested.headers(attestation))
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)
    Attester.objects.update(enabled=True)
    attested.accepted(headers=attested.headers(attestation))


@table(
    ("withdraw", "reason"),
    {
        "its link to the application": (
            lambda client: client.attester.applications.clear(),
            Reason.ATTESTER_NOT_TRUSTED,
        ),
        "its key": (lambda client: client.attester.keys.all().delete(), Reason.ATTESTER_NOT_TRUSTED),
        "its key, for another of the same kid": (
            lambda client: replace_keys(client.attester, parse_jwks(json.dumps(AttesterBackend().public_jwk))),
            Reason.ATTESTATION_SIGNATURE,
        ),
        "its algorithm": (
            lambda client: Attester.objects.update(algorithms=["ES384"]),
            Reason.ATTESTATION_ALGORITHM,
        ),
        "itself": (lambda client: client.attester.delete(), Reason.ATTESTER_NOT_TRUSTED),
        "its issuer, for another": (
            lambda client: Attester.objects.update(issuer="https://other.example"),
            Reason.ATTESTATION_ISS,
        ),
        "the application's policy": (
            lambda client: AttestationPolicy.objects.all().delete(),
            Reason.CLIENT_NOT_REGISTERED,
        ),
    },
)
@pytest.mark.refuses("A3")
def test_withdrawn_trust_is_gone_though_the_attestation_is_remembered(
    attested: AttestedClient, withdraw: Callable[[AttestedClient], Any], reason: Reason
) -> None:
    attestation = attested.attestation(claims={"iss": "https://attester.example"})
    attested.accepted(headers=attested.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    withdraw(attested)
    attested.refused(reason, headers=attested.headers(attestation))


@pytest.mark.refuses("A5", "A6")
def test_a_remembered_attestation_grows_old_like_any_other(
    attested: AttestedClient, clock: time_machine.Traveller, settings: Any
) -> None:
    attestation = attested.attestation(lifetime=600)
    attested.accepted(headers=attested.headers(attestation))
    clock.shift(600 + SKEW - 1)
    attested.accepted(headers=attested.headers(attestation))
    clock.shift(1)
    attested.refused(Reason.ATTESTATION_EXPIRED, headers=attested.headers(attestation))


# T5: trusted for whom


@pytest.mark.accepts("T5")
def test_an_attester_trusted_for_all_applications_is_accepted(attested: AttestedClient) -> None:
    attested.attester.applications.clear()
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)
    Attester.objects.update(all_applications=True)
    attested.accepted()


@pytest.mark.accepts("T5")
def test_an_attester_trusted_for_several_applications_is_accepted_for_each(attested: AttestedClient) -> None:
    attested.attester.applications.add(create_application("second", policy={}))
    attested.accepted()
    attested.client_id = "second"
    attested.accepted()


@pytest.mark.refuses("A3", "T5")
def test_an_attester_linked_to_another_application_only_is_refused(attested: AttestedClient) -> None:
    attested.attester.applications.set([create_application("another", policy={})])
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)


@pytest.mark.refuses("T5")
def test_an_attester_linked_to_nothing_is_refused(attested: AttestedClient) -> None:
    attested.attester.applications.clear()
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)


@table(
    ("key_id", "reason"),
    {
        "with a kid of its own": ("b-1", Reason.ATTESTER_NOT_TRUSTED),
        "with the kid of the client's attester": ("attester-1", Reason.ATTESTATION_SIGNATURE),
        "without a kid": (None, Reason.ATTESTATION_SIGNATURE),
    },
)
@pytest.mark.accepts("T5")
@pytest.mark.refuses("A3", "T5")
def test_an_attester_cannot_speak_for_anothers_client(
    attested: AttestedClient, key_id: str | None, reason: Reason
) -> None:
    theirs = create_application("theirs", policy={})
    other = AttesterBackend(key_id=key_id)
    register_attester(other, name="Other", applications=(theirs,))
    forged = other.attest(attested.instance, attested.client_id)
    attested.refused(reason, headers=attested.headers(forged))
    attested.accepted(headers=attested.headers(other.attest(attested.instance, "theirs")))


@pytest.mark.accepts("T5")
def test_two_attesters_may_serve_one_client(attested: AttestedClient) -> None:
    other = AttesterBackend(key_id="other-1")
    register_attester(other, name="Other", applications=(attested.application,))
    attested.accepted()
    attested.accepted(headers=attested.headers(other.attest(attested.instance, attested.client_id)))


# T1: a pre-shared JWK Set, selected by kid


def share_keys(attested: AttestedClient, *backends: AttesterBackend) -> None:
    """Register the keys of these backends as those of the client's attester."""
    jwks = {"keys": [backend.public_jwk for backend in backends]}
    replace_keys(attested.attester, parse_jwks(json.dumps(jwks)))


@table(
    ("registered", "sent"),
    {
        "each key with its kid": (("one", "two"), ("one", "two")),
        "no kid in the attestation": (("one", "two"), (None, None)),
        "no kid in the set": ((None, None), ("one", "two")),
        "no kid anywhere": ((None, None), (None, None)),
        "one key with a kid and one without": (("one", None), ("one", "two")),
    },
)
@pytest.mark.accepts("T1")
def test_the_key_is_found_by_kid_or_by_trying(
    attested: AttestedClient, registered: tuple[str | None, ...], sent: tuple[str | None, ...]
) -> None:
    algorithms = ("ES256", "EdDSA")
    keys = [key_for(algorithm) for algorithm in algorithms]
    share_keys(attested, *(AttesterBackend(key_id=kid, key=key) for kid, key in zip(registered, keys, strict=True)))
    for kid, algorithm, key in zip(sent, algorithms, keys, strict=True):
        backend = AttesterBackend(algorithm=algorithm, key_id=kid, key=key)
        attested.accepted(headers=attested.headers(backend.attest(attested.instance, attested.client_id)))


@table(
    ("sent", "reason"),
    {
        "one that no key has": ("nobody's", Reason.ATTESTER_NOT_TRUSTED),
        "that of another key of the set": ("two", Reason.ATTESTATION_SIGNATURE),
        "its own in other letters": ("ONE", Reason.ATTESTER_NOT_TRUSTED),
        "the start of its own": ("on", Reason.ATTESTER_NOT_TRUSTED),
    },
)
@pytest.mark.refuses("T1")
def test_a_wrong_kid_is_refused(attested: AttestedClient, sent: str, reason: Reason) -> None:
    one, two = AttesterBackend(key_id="one"), AttesterBackend(key_id="two")
    share_keys(attested, one, two)
    attested.backend = one
    refused_with(attested, reason, header={"kid": sent})


@table(
    "kid",
    {
        "it is empty": "",
        "it is a number": 1,
        "it is null": None,
        "it is an object": {},
        "it has a control character": "one\u0000",
        "it has a line feed": "one\n",
        "it is longer than any that can be registered": "k" * 256,
    },
)
@pytest.mark.refuses("T1", "A10")
def test_a_kid_that_is_no_usable_string_is_refused(attested: AttestedClient, kid: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_MALFORMED, header={"kid": kid})


@pytest.mark.accepts("T1")
def test_a_kid_that_two_attesters_share_singles_out_neither(attested: AttestedClient) -> None:
    other = AttesterBackend(key_id=attested.backend.key_id)
    register_attester(other, name="Other", applications=(attested.application,))
    attested.accepted()
    attested.accepted(headers=attested.headers(other.attest(attested.instance, attested.client_id)))


@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1")
def test_no_more_keys_are_tried_than_the_bound(attested: AttestedClient) -> None:
    backends = [AttesterBackend(key_id=f"key-{number}") for number in range(MAX_CANDIDATE_KEYS + 1)]
    share_keys(attested, *backends)
    attested.backend = backends[-1]
    refused_with(attested, Reason.ATTESTER_KEY_AMBIGUOUS, header={"kid": ABSENT})
    share_keys(attested, *backends[1:])
    accepted_with(attested, header={"kid": ABSENT})


@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1")
def test_keys_rotate(attested: AttestedClient) -> None:
    old, new = attested.backend, AttesterBackend(key_id="new")
    share_keys(attested, old, new)
    attested.accepted()
    attested.backend = new
    attested.accepted()
    share_keys(attested, new)
    attested.accepted()
    attested.backend = old
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)


# A4


@table("client_id", {"left out": None, "in the body": "app"})
@pytest.mark.accepts("A4")
def test_sub_names_the_client(attested: AttestedClient, client_id: str | None) -> None:
    form = {"grant_type": "client_credentials"} | ({"client_id": client_id} if client_id else {})
    attested.accepted(data=form)


@table(
    "sub",
    {
        "it is absent": ABSENT,
        "it is empty": "",
        "it is null": None,
        "it is a number": 1,
        "it is a list": ["app"],
        "it has a control character": "app\u0000",
        "it has a line feed": "app\n",
        "it is longer than any client_id": "a" * 256,
    },
)
@pytest.mark.refuses("A4")
def test_sub_that_is_no_usable_string_is_refused(attested: AttestedClient, sub: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_SUB, claims={"sub": sub})


@table(
    "sub",
    {
        "nobody": "nobody",
        "the client in other letters": "APP",
        "the client and a space": "app ",
        "a client_id with a wildcard": "ap_",
        "the longest that there can be": "a" * 255,
    },
)
@pytest.mark.refuses("A4", "E4")
def test_sub_that_is_no_registered_client_is_refused(attested: AttestedClient, sub: str) -> None:
    refused_with(attested, Reason.CLIENT_NOT_REGISTERED, claims={"sub": sub})


@table(
    "named",
    {
        "another client": "client_id=second",
        "nobody": "client_id=nobody",
        "itself in other letters": "client_id=APP",
        "itself and then another": "client_id=app&client_id=second",
        "another and then itself": "client_id=second&client_id=app",
    },
)
@pytest.mark.refuses("A4")
def test_another_client_in_the_request_is_refused(attested: AttestedClient, named: str) -> None:
    attested.attester.applications.add(create_application("second", policy={}))
    form = f"grant_type=client_credentials&{named}"
    attested.refused(Reason.CLIENT_MISMATCH, data=form, content_type=FORM)
    attested.accepted()


# A5


@table(
    "exp",
    {
        "it is absent": ABSENT,
        "it is null": None,
        "it is a string": "1800003600",
        "it is true": True,
        "it is a list": [NOW + 3600],
        "it is negative": -1,
        "it is in milliseconds": NOW * 1000,
        "it is beyond the year 9999": 10**30,
    },
)
@pytest.mark.refuses("A5", "A10")
def test_an_exp_that_is_no_numeric_date_is_refused(attested: AttestedClient, clock: Any, exp: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_EXP, claims={"exp": exp})


@table(
    ("exp", "passes"),
    {
        "a second before the skew is used up": (NOW - SKEW + 1, True),
        "the moment it is used up": (NOW - SKEW, False),
        "a second after": (NOW - SKEW - 1, False),
        "half a second before": (NOW - SKEW + 0.5, True),
        "at the start of time": (0, False),
    },
)
@pytest.mark.accepts("A5")
@pytest.mark.refuses("A5", "E2")
def test_an_attestation_expires(attested: AttestedClient, clock: Any, exp: float, passes: bool) -> None:
    claims = {"exp": exp, "iat": NOW - 3600}
    if passes:
        accepted_with(attested, claims=claims)
    else:
        refused_with(attested, Reason.ATTESTATION_EXPIRED, claims=claims)


# A6


@table(
    "iat",
    {
        "it is null": None,
        "it is a string": str(NOW),
        "it is true": True,
        "it is negative": -1,
        "it is in milliseconds": NOW * 1000,
        "it is an object": {},
    },
)
@pytest.mark.refuses("A6", "A10")
def test_an_iat_that_is_no_numeric_date_is_refused(attested: AttestedClient, clock: Any, iat: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_IAT, claims={"iat": iat})


@table(
    ("iat", "passes"),
    {
        "now": (NOW, True),
        "as far ahead as the skew": (NOW + SKEW, True),
        "a second further": (NOW + SKEW + 1, False),
        "half a second further": (NOW + SKEW + 0.5, False),
        "long ago, which no maximum age forbids": (NOW - 10 * 365 * 86400, True),
    },
)
@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6")
def test_an_attestation_is_not_from_the_future(attested: AttestedClient, clock: Any, iat: float, passes: bool) -> None:
    if passes:
        accepted_with(attested, claims={"iat": iat})
    else:
        refused_with(attested, Reason.ATTESTATION_FROM_THE_FUTURE, claims={"iat": iat})


@table(
    ("age", "passes"),
    {"a second less": (599, True), "exactly": (600, True), "a second more": (601, False)},
)
@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6", "E2")
def test_an_attestation_has_a_maximum_age_by_setting(
    attested: AttestedClient, clock: Any, settings: Any, age: int, passes: bool
) -> None:
    configure(settings, ATTESTATION_MAX_AGE=600)
    if passes:
        accepted_with(attested, claims={"iat": NOW - age})
    else:
        refused_with(attested, Reason.ATTESTATION_TOO_OLD, claims={"iat": NOW - age})


@table(
    ("values", "passes"),
    {
        "every revision accepted": ({}, True),
        "nothing older than -11": ({"OLDEST_REVISION": 11}, True),
        "nothing older than -12": ({"OLDEST_REVISION": 12}, False),
        "a maximum age, which needs it": ({"ATTESTATION_MAX_AGE": 600}, False),
    },
)
@pytest.mark.accepts("A6")
@pytest.mark.refuses("A6")
def test_iat_may_be_absent_up_to_revision_11(
    attested: AttestedClient, settings: Any, values: dict[str, Any], passes: bool
) -> None:
    configure(settings, **values)
    if passes:
        accepted_with(attested, claims={"iat": ABSENT})
    else:
        refused_with(attested, Reason.ATTESTATION_IAT, claims={"iat": ABSENT})


# A7


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS512"])
@pytest.mark.accepts("A7", "P2", "P3")
def test_instance_keys_of_every_kind_are_accepted(attested: AttestedClient, settings: Any, algorithm: str) -> None:
    configure(settings, POP_ALGORITHMS=[algorithm])
    attested.instance = ClientInstance(algorithm=algorithm, key=key_for(algorithm))
    attested.accepted()


@pytest.mark.accepts("A7")
def test_other_members_of_the_instance_key_are_ignored(attested: AttestedClient) -> None:
    jwk = {**attested.instance.public_jwk, "kid": "phone", "use": "sig", "key_ops": ["verify"], "x5t": "x"}
    accepted_with(attested, claims={"cnf": {"jwk": jwk, "jkt": attested.instance.thumbprint}})


@table(
    "cnf",
    {
        "it is absent": lambda instance: ABSENT,
        "it is null": lambda instance: None,
        "it is a string": lambda instance: "jwk",
        "it is a list": lambda instance: [{"jwk": instance.public_jwk}],
        "it is empty": lambda instance: {},
        "it has a thumbprint alone": lambda instance: {"jkt": instance.thumbprint},
        "it has a certificate alone": lambda instance: {"x5c": ["MAA="]},
        "it has a key ID alone": lambda instance: {"kid": "phone"},
        "it has a key set": lambda instance: {"jku": "https://instance.example/jwks.json"},
        "it has an encrypted key": lambda instance: {"jwe": "e30.e30.e30.e30.e30"},
        "its key is null": lambda instance: {"jwk": None},
        "its key is a string": lambda instance: {"jwk": json.dumps(instance.public_jwk)},
        "its key is a list": lambda instance: {"jwk": [instance.public_jwk]},
    },
)
@pytest.mark.refuses("A7")
def test_a_cnf_without_a_key_is_refused(attested: AttestedClient, cnf: Callable[[ClientInstance], Any]) -> None:
    refused_with(attested, Reason.ATTESTATION_CNF, claims={"cnf": cnf(attested.instance)})


@table(
    "change",
    {
        "no kty": {"kty": ABSENT},
        "an unknown kty": {"kty": "EX"},
        "another kty": {"kty": "OKP"},
        "a curve that is not accepted": {"crv": "secp256k1"},
        "another curve": {"crv": "P-384"},
        "no x": {"x": ABSENT},
        "an x that is a number": {"x": 1},
        "an empty y": {"y": ""},
        "a short x": {"x": "AQAB"},
        "an x that is not base64url": {"x": "+" * 43},
        "an x with padding": lambda jwk: {"x": f"{jwk['x']}="},
        "a point off its curve": lambda jwk: {"y": jwk["x"]},
        "the point 0, 0": {"x": "A" * 43, "y": "A" * 43},
        "a use that is not signatures": {"use": "enc"},
        "key_ops without verify": {"key_ops": ["encrypt"]},
        "an alg that does not fit": {"alg": "ES384"},
        "an alg that is unknown": {"alg": "ECDH-ES"},
    },
)
@pytest.mark.refuses("A7")
def test_an_instance_key_that_is_no_key_is_refused(attested: AttestedClient, change: Any) -> None:
    jwk = attested.instance.public_jwk
    changed = {**jwk, **(change(jwk) if callable(change) else change)}
    key = {name: value for name, value in changed.items() if value is not ABSENT}
    refused_with(attested, Reason.ATTESTATION_CNF, claims={"cnf": {"jwk": key}})


@table(
    "jwk",
    {
        "the private key": lambda instance: json.loads(instance.key.export_private()),
        "an empty private member": lambda instance: {**instance.public_jwk, "d": ""},
        "a symmetric key": lambda instance: {"kty": "oct", "k": "c2VjcmV0"},
        "a symmetric key without its value": lambda instance: {"kty": "oct"},
        "a symmetric value in a public key": lambda instance: {**instance.public_jwk, "k": "c2VjcmV0"},
        "an RSA factor": lambda instance: {**public_jwk(key_for("RS256")), "p": "AQAB"},
        "a private member of RFC 9964": lambda instance: {**instance.public_jwk, "priv": "AQAB"},
    },
)
@pytest.mark.refuses("A7")
def test_private_and_symmetric_keys_are_refused(
    attested: AttestedClient, jwk: Callable[[ClientInstance], dict[str, Any]]
) -> None:
    refused_with(attested, Reason.ATTESTATION_CNF_PRIVATE, claims={"cnf": {"jwk": jwk(attested.instance)}})


@table(
    "jwk",
    {
        "RSA with 1024 bits": lambda: public_jwk(JWK.generate(kty="RSA", size=1024)),
        "RSA with the exponent 1": lambda: {**public_jwk(key_for("RS256")), "e": "AQ"},
        "RSA with an even exponent": lambda: {**public_jwk(key_for("RS256")), "e": "AQAA"},
        "RSA of 16384 bits": lambda: {"kty": "RSA", "e": "AQAB", "n": base64url_encode(b"\xff" * 2048)},
    },
)
@pytest.mark.refuses("A7")
def test_weak_and_absurd_keys_are_refused(attested: AttestedClient, jwk: Callable[[], dict[str, Any]]) -> None:
    refused_with(attested, Reason.ATTESTATION_CNF_WEAK, claims={"cnf": {"jwk": jwk()}})


# A8


@pytest.mark.accepts("A8", "P9")
def test_unknown_members_are_ignored(attested: AttestedClient) -> None:
    """Among them what OpenID4VCI and HAIP wallets send."""
    attestation = attested.attestation(
        claims={
            "wallet_name": "Wallet",
            "wallet_link": "https://wallet.example",
            "status": {"status_list": {"idx": 7, "uri": "https://attester.example/status"}},
            "aal": None,
            "nested": {"deep": [[[{}]]]},
        },
        header={"x": 1, "jwk": AttesterBackend().public_jwk, "cty": "x"},
    )
    pop = attested.pop(claims={"nested": {"deep": [[[{}]]]}, "htm": "GET"}, header={"x": 1, "kid": "phone"})
    attested.accepted(headers=attested.headers(attestation, pop))


@table(
    "crit",
    {
        "an unknown extension": ["x"],
        "a known one of another specification": ["b64"],
        "exp as an extension": ["exp"],
        "an empty list": [],
        "null": None,
        "a string": "x",
    },
)
@pytest.mark.refuses("A8")
def test_crit_is_refused(attested: AttestedClient, crit: Any) -> None:
    """RFC 7515 section 4.1.11; no extension is understood here, and an empty list is not allowed."""
    spoiled = edited(
        attested.attestation(),
        header=lambda header: json.dumps({**json.loads(header), "crit": crit}).encode(),
        key=attested.backend.key,
    )
    attested.refused(Reason.ATTESTATION_CRIT, headers=attested.headers(spoiled))
    spoiled = edited(
        attested.pop(),
        header=lambda header: json.dumps({**json.loads(header), "crit": crit}).encode(),
        key=attested.instance.key,
    )
    attested.refused(Reason.POP_CRIT, headers=attested.headers(pop=spoiled))


# A9


@table(
    ("nbf", "passes"),
    {
        "as far ahead as the skew": (NOW + SKEW, True),
        "a second further": (NOW + SKEW + 1, False),
        "in the past": (NOW - 3600, True),
    },
)
@pytest.mark.accepts("A9")
@pytest.mark.refuses("A9")
def test_nbf_is_honoured(attested: AttestedClient, clock: Any, nbf: int, passes: bool) -> None:
    if passes:
        accepted_with(attested, claims={"nbf": nbf})
    else:
        refused_with(attested, Reason.ATTESTATION_NBF, claims={"nbf": nbf})


@table("nbf", {"null": None, "a string": "0", "true": True, "milliseconds": NOW * 1000})
@pytest.mark.refuses("A9", "A10")
def test_an_nbf_that_is_no_numeric_date_is_refused(attested: AttestedClient, nbf: Any) -> None:
    refused_with(attested, Reason.ATTESTATION_NBF, claims={"nbf": nbf})


@table(
    ("configured", "iss"),
    {
        "no issuer configured, none sent": ("", ABSENT),
        "no issuer configured, one sent": ("", "https://attester.example"),
        "the one that is configured": ("https://attester.example", "https://attester.example"),
        "an issuer configured, none sent, as from -08 on": ("https://attester.example", ABSENT),
    },
)
@pytest.mark.accepts("A9")
def test_iss_is_compared_where_there_is_something_to_compare(
    attested: AttestedClient, configured: str, iss: Any
) -> None:
    Attester.objects.update(issuer=configured)
    accepted_with(attested, claims={"iss": iss})


@table(
    ("configured", "iss"),
    {
        "another": ("https://attester.example", "https://other.example"),
        "the configured one with a slash": ("https://attester.example", "https://attester.example/"),
        "the configured one in other letters": ("https://attester.example", "https://Attester.example"),
        "empty": ("https://attester.example", ""),
        "a list": ("https://attester.example", ["https://attester.example"]),
        "no string, whatever is configured": ("", 1),
        "null, whatever is configured": ("", None),
    },
)
@pytest.mark.refuses("A9")
def test_another_iss_is_refused(attested: AttestedClient, configured: str, iss: Any) -> None:
    Attester.objects.update(issuer=configured)
    attested.refused(Reason.ATTESTATION_ISS, headers=attested.headers(attested.attestation(claims={"iss": iss})))
    attested.accepted()


# A10


@table(
    "payload",
    {
        "a member twice": lambda text: text[:-1] + b', "iat": 1}',
        "a nested member twice": lambda text: text[:-1] + b', "x": {"y": 1, "y": 1}}',
        "an escaped member twice": lambda text: text[:-1] + b', "i\\u0061t": 1}',
        "not a number": lambda text: text[:-1] + b', "x": NaN}',
        "infinity": lambda text: text[:-1] + b', "x": Infinity}',
        "a number too large for a float": lambda text: text[:-1] + b', "x": 1e999}',
        "a lone surrogate": lambda text: text[:-1] + b', "x": "\\ud800"}',
        "octets that are not UTF-8": lambda text: text[:-1] + b', "x": "\xff"}',
        "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
        "UTF-16": lambda text: text.decode().encode("utf-16"),
        "a trailing comma": lambda text: text[:-1] + b",}",
        "a comment": lambda text: b"/**/" + text,
        "something after the object": lambda text: text + b"{}",
        "a list": lambda text: b"[" + text + b"]",
        "a string": lambda text: b'"app"',
        "null": lambda text: b"null",
        "lists too deep to parse": lambda text: text[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        "a number with too many digits": lambda text: text[:-1] + b', "x": ' + b"9" * 5000 + b"}",
        "a control character": lambda text: text[:-1] + b', "x": "\x00"}',
    },
)
@pytest.mark.refuses("A10")
def test_a_payload_that_is_not_strict_json_is_refused(
    attested: AttestedClient, payload: Callable[[bytes], bytes]
) -> None:
    attestation = edited(attested.attestation(), payload=payload, key=attested.backend.key)
    attested.refused(Reason.ATTESTATION_MALFORMED, headers=attested.headers(attestation))
    pop = edited(attested.pop(), payload=payload, key=attested.instance.key)
    attested.refused(Reason.POP_MALFORMED, headers=attested.headers(pop=pop))
    attested.accepted()


@table(
    "header",
    {
        "alg twice": lambda text: text[:-1] + b', "alg": "ES256"}',
        "not a number": lambda text: text[:-1] + b', "x": NaN}',
        "a lone surrogate": lambda text: text[:-1] + b', "x": "\\udfff"}',
        "octets that are not UTF-8": lambda text: text[:-1] + b', "x": "\xff"}',
        "something after the object": lambda text: text + b"{}",
    },
)
@pytest.mark.refuses("A10")
def test_a_header_that_is_not_strict_json_is_refused(
    attested: AttestedClient, header: Callable[[bytes], bytes]
) -> None:
    attestation = edited(attested.attestation(), header=header, key=attested.backend.key)
    attested.refused(Reason.ATTESTATION_MALFORMED, headers=attested.headers(attestation))
    pop = edited(attested.pop(), header=header, key=attested.instance.key)
    attested.refused(Reason.POP_MALFORMED, headers=attested.headers(pop=pop))
    attested.accepted()


@pytest.mark.accepts("A10")
def test_strict_json_may_be_written_in_any_way(attested: AttestedClient) -> None:
    def spaced(text: bytes) -> bytes:
        return json.dumps(json.loads(text), indent=4, sort_keys=True).encode() + b"\r\n"

    def escaped(text: bytes) -> bytes:
        return text.replace(b'"jti"', b'"\\u006ati"').replace(b'"sub"', b'"\\u0073ub"')

    for change in (spaced, escaped):
        attestation = edited(attested.attestation(), payload=change, key=attested.backend.key)
        pop = edited(attested.pop(), payload=change, key=attested.instance.key)
        attested.accepted(headers=attested.headers(attestation, pop))


# The shapes of older revisions


SHAPES = {
    "-05: nonce, nbf and exp, no iat": (
        {"iss": "https://attester.example", "nbf": NOW - 10, "iat": ABSENT},
        {"iss": "app", "nbf": NOW - 10, "exp": NOW + 300, "iat": ABSENT, "nonce": True, "challenge": ABSENT},
        6,
    ),
    "-07: iss in both, iat in the proof": (
        {"iss": "https://attester.example", "nbf": NOW - 10, "iat": ABSENT},
        {"iss": "app", "nbf": NOW - 10, "exp": NOW + 300, "iat": NOW},
        11,
    ),
    "-08 as its examples print it: nonce": (
        {},
        {"nonce": True, "challenge": ABSENT},
        9,
    ),
    "-10: no iss, iat in the proof alone": ({"iat": ABSENT}, {}, 11),
    "-12": ({}, {}, 12),
    "HAIP: iss, nbf and exp in both, iat too": (
        {"iss": "https://attester.example", "nbf": NOW - 10},
        {"iss": "app", "nbf": NOW - 10, "exp": NOW + 300},
        12,
    ),
}


@table(("attestation", "pop", "newest_floor"), SHAPES)
@pytest.mark.accepts("A6", "A9", "P6", "P7")
@pytest.mark.refuses("A6", "P6", "P7")
def test_the_shapes_of_older_revisions_are_accepted_down_to_the_floor(
    attested: AttestedClient,
    clock: Any,
    settings: Any,
    attestation: dict[str, Any],
    pop: dict[str, Any],
    newest_floor: int,
) -> None:
    Attester.objects.update(issuer="https://attester.example")

    def headers() -> dict[str, str]:
        claims = dict(pop)
        if claims.get("nonce"):
            claims["nonce"] = fresh_challenge()
        return attested.headers(attested.attestation(claims=attestation), attested.pop(claims=claims))

    for floor in range(5, newest_floor + 1):
        configure(settings, OLDEST_REVISION=floor)
        attested.accepted(headers=headers())
    if newest_floor < 12:
        configure(settings, OLDEST_REVISION=newest_floor + 1)
        reason = {6: Reason.POP_IAT, 9: Reason.CHALLENGE_MISSING, 11: Reason.ATTESTATION_IAT}[newest_floor]
        attested.refused(reason, headers=headers())


def test_the_kit_signs_what_libraries_refuse_to(attested: AttestedClient) -> None:
    """Refusals above rest on this: unchanged, a token that the kit signed again is as good as before."""
    attestation = edited(attested.attestation(), key=attested.backend.key)
    pop = edited(attested.pop(), key=attested.instance.key)
    attested.accepted(headers=attested.headers(attestation, pop))
