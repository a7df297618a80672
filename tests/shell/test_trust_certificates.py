"""Rule T3 over HTTP: attestations that bring their certificates, under an attester's trust anchors."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import time_machine
from cryptography.x509 import DNSName, NameConstraints

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.anchors import MAX_ANCHORS, MAX_NAMESAKES, parse_anchors
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey, TrustAnchor
from oauth_client_attestation.testing import AttesterBackend
from oauth_client_attestation.trust.jwks import parse_jwks
from oauth_client_attestation.trust.registration import replace_anchors, replace_keys
from tests.certificates import Chain, Issued, build_ca, build_leaf, make_chain, pem, x5c
from tests.kit import NOW, AttestedClient, configure, create_application, register_attester, table

R = Reason
DAY = 86400


@cache
def good_chain() -> Chain:
    """The one good chain of this run."""
    return make_chain()


def certified(chain: Chain | None = None, *, x5c: Any = None, key: Any = None) -> AttesterBackend:
    """Return a backend whose attestations bring the chain."""
    chain = chain or good_chain()
    return CertifiedBackend(key_id=None, key=key or chain.jwk, x5c=chain.x5c if x5c is None else x5c)


class CertifiedBackend(AttesterBackend):
    """Puts ``x5c`` into the header of each attestation."""

    def __init__(self, *, x5c: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self.x5c = x5c

    def attest(self, *args: Any, **changes: Any) -> str:
        return super().attest(*args, **{**changes, "header": {"x5c": self.x5c, **(changes.get("header") or {})}})


def anchor(attester: Attester, *certificates: Issued) -> None:
    """Enter these certificates, and no others, as the attester's trust anchors."""
    replace_anchors(attester, parse_anchors(pem(*certificates)))


def registered(
    backend: AttesterBackend | None = None, *anchors: Issued, client: AttestedClient | None = None, **attester: Any
) -> AttestedClient:
    """Return a client whose attester has trust anchors and no key."""
    client = client or AttestedClient(backend=backend or certified())
    client.application = create_application(client.client_id, policy={})
    client.attester = register_attester(client.backend, keys=False, applications=(client.application,), **attester)
    anchor(client.attester, *(anchors or (good_chain().anchor,)))
    return client


@pytest.mark.accepts("T3", "A3")
def test_a_chain_under_an_anchor_is_accepted(db: Any) -> None:
    client = registered()
    client.accepted()
    client.accepted(headers=client.headers(client.attestation(header={"kid": "any"})))


@pytest.mark.accepts("T3")
@pytest.mark.parametrize("intermediates", [0, 2])
def test_a_chain_may_be_shorter_or_longer(db: Any, intermediates: int) -> None:
    chain = make_chain(intermediates)
    registered(certified(chain), chain.anchor).accepted()


@pytest.mark.accepts("T3", "H4")
def test_a_chain_of_three_fits_into_the_field(db: Any) -> None:
    chain = make_chain(2)
    client = registered(certified(chain), chain.anchor)
    assert len(client.attestation()) < app_settings.max_field_length // 2
    client.accepted()


BAD: dict[str, tuple[Callable[[], tuple[AttesterBackend, Issued]], Reason]] = {}


def bad(name: str, reason: Reason) -> Callable[[Any], Any]:
    def add(build: Any) -> Any:
        BAD[name] = (build, reason)
        return build

    return add


@bad("it has expired", R.ATTESTATION_X5C_EXPIRED)
def _expired() -> Any:
    chain = make_chain(not_after=NOW - 1)
    return certified(chain), chain.anchor


@bad("it is not valid yet", R.ATTESTATION_X5C_EXPIRED)
def _not_yet() -> Any:
    chain = make_chain(not_before=NOW + 1)
    return certified(chain), chain.anchor


@bad("it is under another anchor", R.ATTESTATION_X5C_NOT_TRUSTED)
def _other_anchor() -> Any:
    return certified(), build_ca("Another root")


@bad("it is under an anchor of the same name", R.ATTESTATION_X5C_NOT_TRUSTED)
def _namesake() -> Any:
    return certified(), build_ca("Root")


@bad("an intermediate is missing", R.ATTESTATION_X5C_NOT_TRUSTED)
def _missing() -> Any:
    return certified(x5c=good_chain().x5c[:1]), good_chain().anchor


@bad("it includes the anchor", R.ATTESTATION_X5C_ANCHOR_INCLUDED)
def _included() -> Any:
    return certified(x5c=x5c([*good_chain().certificates, good_chain().anchor])), good_chain().anchor


@bad("the leaf is self-signed", R.ATTESTATION_X5C_SELF_SIGNED)
def _self_signed() -> Any:
    leaf = build_leaf("Attester", None)
    return certified(Chain(good_chain().anchor, [leaf])), good_chain().anchor


@bad("the leaf's key is not the signer", R.ATTESTATION_SIGNATURE)
def _other_key() -> Any:
    return certified(key=AttesterBackend().key), good_chain().anchor


@bad("it is in the wrong order", R.ATTESTATION_X5C_MALFORMED)
def _order() -> Any:
    return certified(x5c=good_chain().x5c[::-1]), good_chain().anchor


@bad("it breaks a name constraint", R.ATTESTATION_X5C_NOT_TRUSTED)
def _constrained() -> Any:
    root = build_ca("Root")
    issuing = build_ca("Issuing", root, names=NameConstraints([DNSName("acme.example")], None))
    leaf = build_leaf("Attester", issuing, alternatives=[DNSName("other.example")])
    return certified(Chain(root, [leaf, issuing])), root


@bad("an intermediate lacks the CA flag", R.ATTESTATION_X5C_NOT_TRUSTED)
def _no_ca() -> Any:
    root = build_ca("Root")
    issuing = build_ca("Issuing", root, ca=False)
    return certified(Chain(root, [build_leaf("Attester", issuing), issuing])), root


@bad("it is no list", R.ATTESTATION_X5C_MALFORMED)
def _no_list() -> Any:
    return certified(x5c="MIIB"), good_chain().anchor


@bad("it is empty", R.ATTESTATION_X5C_MALFORMED)
def _empty() -> Any:
    return certified(x5c=[]), good_chain().anchor


@bad("it has no certificates", R.ATTESTATION_X5C_MALFORMED)
def _garbage() -> Any:
    return certified(x5c=["MAA="]), good_chain().anchor


@pytest.mark.parametrize("name", BAD)
@pytest.mark.refuses("T3", "E3", "E7")
def test_another_chain_is_refused(db: Any, name: str, clock: Any) -> None:
    build, reason = BAD[name]
    backend, root = build()
    client = registered(backend, root)
    client.refused(reason)
    good = make_chain()
    anchor(client.attester, good.anchor)
    client.backend = certified(good)
    client.accepted()


@pytest.mark.refuses("T3")
def test_a_disabled_anchor_is_believed_no_longer(db: Any) -> None:
    """Also with an attestation, and a chain, that this process remembers having verified."""
    client = registered()
    attestation = client.attestation()
    client.accepted(headers=client.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    TrustAnchor.objects.update(enabled=False)
    client.refused(R.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))
    TrustAnchor.objects.update(enabled=True)
    client.accepted(headers=client.headers(attestation))
    TrustAnchor.objects.all().delete()
    client.refused(R.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))


@pytest.mark.refuses("T3", "T5")
@table(
    "change",
    {
        "it is disabled": lambda client: Attester.objects.update(enabled=False),
        "it is not linked to the application": lambda client: client.attester.applications.clear(),
        "it is linked to another": lambda client: client.attester.applications.set(
            [create_application("other", policy={})]
        ),
    },
)
def test_an_anchor_counts_for_the_applications_of_its_attester(
    db: Any, change: Callable[[AttestedClient], Any]
) -> None:
    client = registered()
    attestation = client.attestation()
    client.accepted(headers=client.headers(attestation))
    change(client)
    client.refused(R.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))


@pytest.mark.refuses("T3", "T5")
def test_the_anchor_of_one_attester_is_not_anothers(db: Any) -> None:
    """The client of an attester with another anchor is not spoken for."""
    client = registered()
    root = build_ca("Another root")
    theirs = create_application("theirs", policy={})
    anchor(register_attester(AttesterBackend(), "Other", keys=False, applications=(theirs,)), root)
    client.accepted()
    client.client_id = "theirs"
    client.refused(R.ATTESTATION_X5C_NOT_TRUSTED)


@pytest.mark.refuses("T3", "A3")
def test_x5c_without_any_anchor_proves_nothing(attested: AttestedClient) -> None:
    backend = certified()
    attested.refused(
        R.ATTESTER_NOT_TRUSTED,
        headers=attested.headers(backend.attest(attested.instance, "app", header={"kid": "unknown"})),
    )


@pytest.mark.accepts("T3", "T1")
@pytest.mark.refuses("T3")
def test_an_attester_may_have_keys_and_anchors(attested: AttestedClient) -> None:
    """``x5c`` does not matter where a registered key verifies, and vouches for nothing but its own key."""
    anchor(attested.attester, good_chain().anchor)
    attested.accepted()
    attested.accepted(headers=attested.headers(attested.attestation(header={"x5c": good_chain().x5c})))
    attested.accepted(headers=attested.headers(attested.attestation(header={"x5c": "no list"})))
    backend = certified()
    attested.accepted(headers=attested.headers(backend.attest(attested.instance, "app")))
    stranger = certified(key=AttesterBackend().key)
    for header in ({}, {"kid": "attester-1"}):
        attested.refused(
            R.ATTESTATION_SIGNATURE, headers=attested.headers(stranger.attest(attested.instance, "app", header=header))
        )


@pytest.mark.accepts("T3", "T5")
@pytest.mark.refuses("T3", "T5")
def test_two_attesters_may_have_the_same_anchor(db: Any) -> None:
    """Each for its own clients; withdrawing one leaves the other."""
    client = registered()
    second = create_application("second", policy={})
    other = register_attester(client.backend, "Other", keys=False, applications=(second, client.application))
    anchor(other, good_chain().anchor)
    client.accepted()
    Attester.objects.filter(name="Acme").update(enabled=False)
    client.accepted()
    other.applications.set([second])
    client.refused(R.ATTESTER_NOT_TRUSTED)
    client.client_id = "second"
    client.accepted()


# A key that is registered as well

NOT_BELIEVED: dict[str, dict[str, Any]] = {
    "it is disabled": {"enabled": False},
    "it is not valid yet": {"not_before": datetime.fromtimestamp(NOW + 1, UTC)},
    "it is no longer valid": {"not_after": datetime.fromtimestamp(NOW, UTC)},
}


@pytest.mark.parametrize("state", NOT_BELIEVED)
@pytest.mark.accepts("T3", "T1")
@pytest.mark.refuses("T3", "T1")
def test_a_key_that_was_withdrawn_does_not_come_back_by_its_certificate(db: Any, clock: Any, state: str) -> None:
    """Neither with an attestation, nor with a chain, that this process remembers having verified."""
    client = registered()
    replace_keys(client.attester, parse_jwks(json.dumps(client.backend.public_jwk)))
    attestation = client.attestation()
    client.accepted(headers=client.headers(attestation))
    assert AttesterKey.objects.update(**NOT_BELIEVED[state]) == 1
    client.refused(R.ATTESTER_NOT_TRUSTED, headers=client.headers(attestation))
    client.refused(R.ATTESTER_NOT_TRUSTED)
    other = certified(Chain(good_chain().anchor, [build_leaf("Attester", good_chain().anchor)]))
    client.accepted(headers=client.headers(other.attest(client.instance, "app")))
    AttesterKey.objects.all().delete()
    client.accepted()


@pytest.mark.accepts("T3")
def test_a_key_that_another_attester_withdrew_is_still_this_ones(db: Any) -> None:
    client = registered()
    other = register_attester(client.backend, "Another", applications=(client.application,))
    anchor(other, good_chain().anchor)
    AttesterKey.objects.update(enabled=False)
    client.accepted()


# Many anchors


@pytest.mark.accepts("T3")
@pytest.mark.refuses("T3")
def test_as_many_anchors_as_can_be_entered(db: Any) -> None:
    others = [build_ca(f"Root {number}") for number in range(MAX_ANCHORS - 1)]
    client = registered(None, *others, good_chain().anchor)
    client.accepted()
    anchor(client.attester, *others)
    client.refused(R.ATTESTATION_X5C_NOT_TRUSTED)


@pytest.mark.accepts("T3")
@pytest.mark.parametrize("shared", [False, True])
def test_one_attester_of_many(db: Any, shared: bool) -> None:
    """Each of which has an anchor of its own, or the same."""
    client = registered(name="Zuletzt") if shared else AttestedClient(backend=certified())
    if not shared:
        client.application = create_application(client.client_id, policy={})
    for number in range(15):
        other = register_attester(None, f"A{number}", keys=False, applications=(client.application,))
        anchor(other, good_chain().anchor if shared else build_ca(f"Root {number}"))
    if not shared:
        client.attester = register_attester(None, "Last", keys=False, applications=(client.application,))
        anchor(client.attester, good_chain().anchor)
    client.accepted()


@pytest.mark.refuses("T3")
def test_anchors_of_one_name_are_tried_up_to_a_bound(db: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Which cannot be passed where anchors are entered; the log says so where it was all the same."""
    client = registered(None, *(build_ca("Root") for _ in range(MAX_NAMESAKES - 1)), good_chain().anchor)
    client.accepted()
    TrustAnchor.objects.filter(attester=client.attester).latest("pk").delete()
    other = register_attester(None, "Other", keys=False, applications=(client.application,))
    anchor(other, build_ca("Root"), good_chain().anchor)
    assert "not all are tried" not in caplog.text
    client.refused(R.ATTESTATION_X5C_NOT_TRUSTED)
    assert "More than 8 trust anchors have one subject: not all are tried." in caplog.text


@pytest.mark.accepts("T3")
@pytest.mark.refuses("T3")
def test_a_certificate_that_expires_ends_a_remembered_attestation(db: Any, clock: time_machine.Traveller) -> None:
    """Validity is judged at the time of use, whatever the attestation says and this process remembers."""
    chain = make_chain(not_before=NOW - DAY, not_after=NOW + 600)
    client = registered(certified(chain), chain.anchor)
    attestation = client.attestation(lifetime=DAY)
    client.accepted(headers=client.headers(attestation))
    clock.move_to(NOW + 600)
    client.accepted(headers=client.headers(attestation))
    assert app_settings.attestation_memory.recall(attestation)
    clock.move_to(NOW + 601)
    client.refused(R.ATTESTATION_X5C_EXPIRED, headers=client.headers(attestation))
    clock.move_to(NOW)
    client.accepted(headers=client.headers(attestation))


@pytest.mark.refuses("T3")
def test_a_certificate_has_no_clock_skew(db: Any, clock: Any, settings: Any) -> None:
    configure(settings, CLOCK_SKEW=600)
    chain = make_chain(not_before=NOW - DAY, not_after=NOW - 1)
    registered(certified(chain), chain.anchor).refused(R.ATTESTATION_X5C_EXPIRED)


@table(
    ("terms", "reason"),
    {
        "its algorithms": ({"algorithms": ["ES384"]}, R.ATTESTATION_ALGORITHM),
        "its required claims": ({"required_claims": {"level": []}}, R.ATTESTATION_CLAIM_MISSING),
        "its age limit": ({"max_age": 10}, R.ATTESTATION_TOO_OLD),
        "its issuer": ({"issuer": "https://attester.example"}, R.ATTESTATION_ISS),
    },
)
@pytest.mark.refuses("T3", "A2", "A6", "A9")
def test_the_attesters_terms_hold_for_its_certificates(
    db: Any, clock: Any, terms: dict[str, Any], reason: Reason
) -> None:
    client = registered()
    attestation = client.attestation(now=NOW - 60, claims={"iss": "https://other.example"})
    client.accepted(headers=client.headers(attestation))
    Attester.objects.update(**terms)
    client.refused(reason, headers=client.headers(attestation))


@pytest.mark.refuses("T3", "E7")
def test_a_stored_anchor_that_is_not_acceptable_is_passed_over(db: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One row that was written past the validation must neither open a door nor close it to the others."""
    client = registered()
    good = TrustAnchor.objects.get()
    TrustAnchor.objects.create(
        attester=client.attester,
        fingerprint="x",
        certificate="no certificate",
        subject="",
        subject_digest=good.subject_digest,
        key_type="",
        not_before=good.not_before,
        not_after=good.not_after,
    )
    client.accepted()
    assert "is not acceptable and is ignored" in caplog.text
    good.delete()
    client.refused(R.ATTESTATION_X5C_NOT_TRUSTED)
