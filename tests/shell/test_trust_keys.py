"""Rule T1 over HTTP: which of an attester's entered keys counts, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttesterKey
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.jwks import parse_jwks
from oauth_client_attestation.trust.registration import replace_keys
from tests.kit import NOW, AttestedClient, configure, register_attester, table


def enter(client: AttestedClient, *backends: AttesterBackend) -> None:
    """Enter the keys of these backends, and no others, for the client's attester."""
    replace_keys(client.attester, parse_jwks(json.dumps({"keys": [backend.public_jwk for backend in backends]})))


def signed_by(client: AttestedClient, backend: AttesterBackend, **changes: Any) -> dict[str, str]:
    return client.headers(backend.attest(client.instance, client.client_id, **changes))


@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1", "A3")
def test_a_disabled_key_is_refused_from_the_next_request_on(attested: AttestedClient) -> None:
    """Also with an attestation that this process remembers having verified."""
    attestation = attested.attestation()
    attested.accepted(headers=attested.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    AttesterKey.objects.update(enabled=False)
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=attested.headers(attestation))
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)
    AttesterKey.objects.update(enabled=True)
    attested.accepted(headers=attested.headers(attestation))


@table(
    ("window", "moment", "passes"),
    {
        "a second before it opens": ("not_before", -1, False),
        "as it opens": ("not_before", 0, True),
        "a second after it opened": ("not_before", 1, True),
        "a second before it closes": ("not_after", -1, True),
        "as it closes": ("not_after", 0, False),
        "a second after it closed": ("not_after", 1, False),
    },
)
@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1")
def test_a_key_counts_within_its_window(
    attested: AttestedClient, clock: time_machine.Traveller, window: str, moment: int, passes: bool
) -> None:
    """Both ways: for a new attestation, and for one that is remembered from a time when the key counted."""
    attestation = attested.attestation(now=NOW - 10)
    attested.accepted(headers=attested.headers(attestation))
    AttesterKey.objects.update(**{window: datetime.fromtimestamp(NOW, UTC)})
    clock.move_to(NOW + moment)
    for headers in (attested.headers(attestation), attested.headers()):
        if passes:
            attested.accepted(headers=headers)
        else:
            attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=headers)


@pytest.mark.refuses("T1")
def test_a_window_has_no_room_for_clock_skew(attested: AttestedClient, clock: Any, settings: Any) -> None:
    """The operator's clock is the server's."""
    configure(settings, CLOCK_SKEW=600)
    AttesterKey.objects.update(not_after=datetime.fromtimestamp(NOW - 1, UTC))
    attested.refused(Reason.ATTESTER_NOT_TRUSTED)


def test_a_window_that_never_opens_cannot_be_entered(attested: AttestedClient) -> None:
    key = AttesterKey.objects.get()
    key.not_before = key.not_after = datetime.fromtimestamp(NOW, UTC)
    with pytest.raises(ValidationError) as error:
        key.full_clean()
    assert error.value.error_dict["not_after"][0].code == "window"


@pytest.mark.accepts("T1")
@pytest.mark.refuses("T1")
def test_the_kid_selects_among_several_keys(attested: AttestedClient) -> None:
    old, new = AttesterBackend(key_id="2025"), AttesterBackend(key_id="2026")
    enter(attested, old, new)
    attested.accepted(headers=signed_by(attested, old))
    attested.accepted(headers=signed_by(attested, new))
    attested.refused(Reason.ATTESTATION_SIGNATURE, headers=signed_by(attested, old, header={"kid": "2026"}))
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=signed_by(attested, new, header={"kid": "2027"}))
    enter(attested, new)
    attested.refused(Reason.ATTESTER_NOT_TRUSTED, headers=signed_by(attested, old))
    attested.accepted(headers=signed_by(attested, new))


@pytest.mark.accepts("T1")
def test_without_a_kid_every_key_is_tried(attested: AttestedClient) -> None:
    named, nameless, third = AttesterBackend(key_id="a"), AttesterBackend(key_id=None), AttesterBackend(key_id="c")
    enter(attested, named, nameless, third)
    for backend in (named, nameless, third):
        key_id, backend.key_id = backend.key_id, None
        attested.accepted(headers=signed_by(attested, backend))
        backend.key_id = key_id
    attested.accepted(headers=signed_by(attested, nameless, header={"kid": "whatever"}))


@pytest.mark.refuses("T1")
def test_of_two_keys_of_one_kid_the_enabled_one_counts(attested: AttestedClient) -> None:
    """Two attesters of one client may use the same kid; disabling the key of one is not the other's affair."""
    other = AttesterBackend()
    register_attester(other, "Other", applications=(attested.application,))
    attested.accepted(headers=signed_by(attested, other))
    AttesterKey.objects.filter(attester=attested.attester).update(enabled=False)
    attested.refused(Reason.ATTESTATION_SIGNATURE)
    attested.accepted(headers=signed_by(attested, other))


@table("key_id", {"in other letters": "ATTESTER-1", "with a space after it": "attester-1 ", "cut short": "attester"})
@pytest.mark.refuses("T1")
def test_a_kid_is_compared_to_the_letter(attested: AttestedClient, key_id: str) -> None:
    attested.refused(
        Reason.ATTESTER_NOT_TRUSTED, headers=attested.headers(attested.attestation(header={"kid": key_id}))
    )


@pytest.mark.refuses("T1", "A7")
def test_a_stored_key_that_is_no_longer_acceptable_is_passed_over(
    attested: AttestedClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One row that was written past the validation must neither open a door nor close it to the others."""
    AttesterKey.objects.create(
        attester=attested.attester, key_id="attester-1", thumbprint="x" * 43, jwk={"kty": "oct", "k": "c2VjcmV0"}
    )
    attested.accepted()
    assert "is not acceptable and is ignored" in caplog.text
    assert "c2VjcmV0" not in caplog.text
