"""Rules C: challenges that any process of a deployment can issue and match."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from oauth_client_attestation.core.challenge import Challenges
from oauth_client_attestation.core.errors import Reason
from tests.core.support import NOW, b64, refusal, unb64

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
LIFETIME = 300
SKEW = 60
SERVER = Challenges((KEY,), "as https://as.example", LIFETIME)


def match(challenge: str, server: Challenges = SERVER, *, now: float = NOW, clock_skew: int = SKEW) -> float:
    return server.match(challenge, now=now, clock_skew=clock_skew)


@pytest.mark.accepts("C3")
def test_a_challenge_fits_a_header_field_and_a_claim() -> None:
    """RFC 9449's grammar for a nonce and the ledger's bounds; a thousand, since every octet is random."""
    for _ in range(1000):
        challenge = SERVER.issue(NOW)
        assert re.fullmatch(r"[A-Za-z0-9_.~-]{16,512}", challenge)


@pytest.mark.accepts("C4")
def test_no_two_challenges_are_equal() -> None:
    assert len({SERVER.issue(NOW) for _ in range(1000)}) == 1000


@pytest.mark.accepts("C4", "C5")
def test_another_process_with_the_same_key_accepts_it() -> None:
    elsewhere = Challenges((KEY,), "as https://as.example", LIFETIME)
    assert match(SERVER.issue(NOW), elsewhere) == NOW + LIFETIME


@pytest.mark.accepts("C4", "C5")
def test_it_may_be_used_again_within_its_lifetime() -> None:
    challenge = SERVER.issue(NOW)
    assert match(challenge) == match(challenge) == match(challenge, now=NOW + 1)


@pytest.mark.refuses("C4")
@pytest.mark.parametrize(
    "server",
    [
        pytest.param(replace(SERVER, keys=(OTHER_KEY,)), id="another secret"),
        pytest.param(replace(SERVER, keys=()), id="no secret at all"),
        pytest.param(replace(SERVER, context="as https://other.example"), id="another audience"),
        pytest.param(replace(SERVER, context="rs https://as.example"), id="another purpose"),
        pytest.param(replace(SERVER, context=""), id="no context"),
        pytest.param(replace(SERVER, context="as https://as.example\0"), id="a context that ends in NUL"),
    ],
)
def test_a_challenge_of_another_server_is_unknown(server: Challenges) -> None:
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(SERVER.issue(NOW), server)


@pytest.mark.accepts("C4", "C5")
def test_a_challenge_outlives_the_rotation_of_its_secret() -> None:
    challenge = SERVER.issue(NOW)
    for keys in ((OTHER_KEY, KEY), (OTHER_KEY, b"third", KEY)):
        assert match(challenge, replace(SERVER, keys=keys)) == NOW + LIFETIME


@pytest.mark.refuses("C4")
def test_the_first_secret_signs_and_the_others_only_verify() -> None:
    rotated = replace(SERVER, keys=(OTHER_KEY, KEY))
    assert match(rotated.issue(NOW), replace(SERVER, keys=(OTHER_KEY,))) == NOW + LIFETIME
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(rotated.issue(NOW), SERVER)


@pytest.mark.refuses("C4")
def test_every_octet_counts() -> None:
    octets = unb64(SERVER.issue(NOW))
    for position in range(len(octets)):
        for bit in (0x01, 0x80):
            spoiled = bytearray(octets)
            spoiled[position] ^= bit
            with refusal(Reason.CHALLENGE_UNKNOWN):
                match(b64(bytes(spoiled)), now=NOW)


@pytest.mark.refuses("C4")
def test_every_character_counts() -> None:
    """One challenge has one spelling, or a policy of using it once could be talked out of it."""
    challenge = SERVER.issue(NOW)
    for position, character in enumerate(challenge):
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~":
            if other != character:
                with refusal(Reason.CHALLENGE_UNKNOWN):
                    match(challenge[:position] + other + challenge[position + 1 :])


@pytest.mark.refuses("C4")
def test_the_alphabet_is_that_of_base64url_alone() -> None:
    """``+`` and ``/`` are no characters of a challenge (C3), though the octets they stand for be right."""
    challenge = next(issued for issued in (SERVER.issue(NOW) for _ in range(1000)) if "-" in issued and "_" in issued)
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(challenge.replace("-", "+").replace("_", "/"))


@pytest.mark.refuses("C4")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("5c1a9e10-29ff-4c2b-ae73-57c0957c09c4", id="one of another make"),
        pytest.param("A" * 54, id="zeroes"),
        pytest.param("_" * 54, id="a time in the far future"),
        pytest.param("=" * 54, id="padding alone"),
        pytest.param("A" * 52 + "==", id="padding within the length"),
        pytest.param("A" * 50 + "====", id="more padding within the length"),
        pytest.param("\u0661" * 54, id="digits outside ASCII"),
        pytest.param(" " * 54, id="spaces"),
        pytest.param("A" * 100_000, id="far too long"),
    ],
)
def test_what_was_never_issued_is_unknown(value: str) -> None:
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(value)


@pytest.mark.refuses("C4")
@pytest.mark.parametrize("change", ["{}A", "{}=", "{}==", " {}", "{}\n", "A{}"])
def test_a_challenge_with_something_added_is_unknown(change: str) -> None:
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(change.format(SERVER.issue(NOW)))


@pytest.mark.refuses("C4")
@pytest.mark.parametrize("length", range(54))
def test_a_truncated_challenge_is_unknown(length: int) -> None:
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(SERVER.issue(NOW)[:length])


@pytest.mark.accepts("C4", "C5")
@pytest.mark.refuses("C4")
def test_the_lifetime_ends_to_the_second() -> None:
    challenge = SERVER.issue(NOW)
    assert match(challenge, now=NOW + LIFETIME - 1) == NOW + LIFETIME
    assert match(challenge, now=NOW + LIFETIME) == NOW + LIFETIME
    with refusal(Reason.CHALLENGE_EXPIRED):
        match(challenge, now=NOW + LIFETIME + 1)


@pytest.mark.refuses("C4")
def test_skew_does_not_lengthen_the_lifetime() -> None:
    with refusal(Reason.CHALLENGE_EXPIRED):
        match(SERVER.issue(NOW), now=NOW + LIFETIME + 1, clock_skew=3600)


@pytest.mark.accepts("C4")
@pytest.mark.refuses("C4")
def test_a_process_with_a_clock_ahead_by_the_skew_is_believed() -> None:
    """The process that issued it may have the faster clock; by more than the skew, someone else made it."""
    for ahead in (SKEW - 1, SKEW):
        assert match(SERVER.issue(NOW + ahead)) == NOW + ahead + LIFETIME
    with refusal(Reason.CHALLENGE_UNKNOWN):
        match(SERVER.issue(NOW + SKEW + 1))


@pytest.mark.accepts("C4")
def test_the_answer_is_the_last_moment_at_which_it_is_good() -> None:
    """Replay protection keeps a proof until then; a fraction of a second is cut from the lifetime, never added."""
    challenge = SERVER.issue(NOW + 0.9)
    until = match(challenge, now=NOW + 1)
    assert until == NOW + LIFETIME
    assert match(challenge, now=until) == until
    with refusal(Reason.CHALLENGE_EXPIRED):
        match(challenge, now=until + 0.001)
