"""Keys by certificate chain (rule T3): what is a good chain, and what each bad one is refused for."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA224, SHA256
from cryptography.x509 import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    DirectoryName,
    DNSName,
    ExtendedKeyUsage,
    GeneralName,
    Name,
    NameAttribute,
    NameConstraints,
    ObjectIdentifier,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnrecognizedExtension,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core import certificates as certificates_module
from oauth_client_attestation.core import certification_path
from oauth_client_attestation.core.anchors import MAX_CERTIFICATE_OCTETS, TrustAnchor, parse_anchors
from oauth_client_attestation.core.certificates import MAX_CERTIFICATES, parse_chain
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.jwk import parse_public_key, public_key_of
from oauth_client_attestation.core.keys import PublicKey
from oauth_client_attestation.core.results import TrustedKey
from oauth_client_attestation.testing import AttesterBackend, public_jwk
from tests.certificates import Chain, Issued, build_ca, build_leaf, der, make_chain, pem, x5c
from tests.core.support import ATTESTER, CLIENT_ID, INSTANCE, NOW, refusal, verify
from tests.fuzzing import examples

MALFORMED = Reason.ATTESTATION_X5C_MALFORMED
ANCHOR_INCLUDED = Reason.ATTESTATION_X5C_ANCHOR_INCLUDED
SELF_SIGNED = Reason.ATTESTATION_X5C_SELF_SIGNED
EXPIRED = Reason.ATTESTATION_X5C_EXPIRED
NOT_TRUSTED = Reason.ATTESTATION_X5C_NOT_TRUSTED

PURPOSE = ExtendedKeyUsageOID
MDOC_SIGNER = ObjectIdentifier("1.0.18013.5.1.2")


@cache
def good(intermediates: int = 1) -> Chain:
    """Return one good chain of that many intermediates; making them is slow."""
    return make_chain(intermediates)


@cache
def rsa_key(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def accepted(header: object, *anchors: Issued, now: float = NOW) -> PublicKey:
    return parse_chain(header).verify(anchors=parse_anchors(pem(*anchors)), now=now)


def key_of(issued: Issued) -> PublicKey:
    return parse_public_key(public_jwk(issued.jwk))


def chain_of(root: Issued, **leaf: Any) -> list[str]:
    return x5c([build_leaf("Attester", root, **leaf)])


# Good chains


@pytest.mark.accepts("T3")
@pytest.mark.parametrize("intermediates", range(MAX_CERTIFICATES))
def test_a_chain_to_the_anchor_gives_the_key_of_its_leaf(intermediates: int) -> None:
    chain = make_chain(intermediates)
    assert accepted(chain.x5c, chain.anchor) == key_of(chain.certificates[0])


@pytest.mark.accepts("T3")
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP521R1()), id="P-521"),
        pytest.param(lambda: rsa_key(2048), id="RSA"),
    ],
)
def test_keys_of_every_type_below_a_ca_with_one(key: Callable[[], Any]) -> None:
    root = build_ca("Root", key=key())
    leaf = build_leaf("Attester", root, key=key())
    assert accepted(x5c([leaf]), root) == key_of(leaf)


@pytest.mark.accepts("T3")
def test_a_leaf_may_have_an_ed25519_key() -> None:
    leaf = build_leaf("Attester", good().anchor, key=Ed25519PrivateKey.generate())
    assert accepted(x5c([leaf]), good().anchor).curve == "Ed25519"


@pytest.mark.accepts("T3")
def test_an_anchor_may_be_an_intermediate_itself() -> None:
    leaf, issuing, upper = good(2).certificates
    assert accepted(x5c([leaf, issuing]), upper) == key_of(leaf)
    assert accepted(x5c([leaf]), issuing) == key_of(leaf)


@pytest.mark.accepts("T3")
def test_the_right_anchor_is_found_among_others_of_the_same_name() -> None:
    chain = good()
    assert accepted(chain.x5c, build_ca("Root"), chain.anchor, build_ca("Root")) == key_of(chain.certificates[0])


@pytest.mark.accepts("T3")
@pytest.mark.parametrize(
    "leaf",
    [
        pytest.param({}, id="without extendedKeyUsage and subjectAltName"),
        pytest.param({"ca": None}, id="without basicConstraints"),
        pytest.param({"usage": None}, id="without keyUsage"),
        pytest.param({"usage": ["digital_signature", "content_commitment"]}, id="with one more keyUsage"),
        pytest.param({"purposes": [PURPOSE.CLIENT_AUTH]}, id="for TLS clients"),
        pytest.param({"purposes": [PURPOSE.SERVER_AUTH, PURPOSE.CLIENT_AUTH]}, id="for TLS servers and clients"),
        pytest.param({"purposes": [PURPOSE.ANY_EXTENDED_KEY_USAGE]}, id="for any purpose"),
        pytest.param({"purposes": [MDOC_SIGNER]}, id="for a purpose of an ecosystem"),
        pytest.param({"extra": [(ExtendedKeyUsage([MDOC_SIGNER]), True)]}, id="for a critical purpose"),
        pytest.param({"alternatives": [DNSName("attester.example")]}, id="with a host name"),
        pytest.param({"alternatives": [UniformResourceIdentifier("https://a.example")]}, id="with a URI"),
        pytest.param({"extra": [(SubjectAlternativeName([DNSName("a.example")]), True)]}, id="with a critical name"),
        pytest.param(
            {"extra": [(UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)]},
            id="with an extension that nobody knows",
        ),
    ],
)
def test_leaves_as_ecosystems_issue_them(leaf: dict[str, Any]) -> None:
    assert accepted(chain_of(good().anchor, **leaf), good().anchor)


@pytest.mark.accepts("T3")
@pytest.mark.parametrize("key_identifier", [b"k" * 20, None])
def test_an_authority_key_identifier_as_openssl_writes_it(key_identifier: bytes | None) -> None:
    root = good().anchor
    identifier = AuthorityKeyIdentifier(key_identifier, [DirectoryName(root.subject)], root.certificate.serial_number)
    issuing = build_ca("Issuing", root, extra=[(identifier, False)])
    assert accepted(x5c([build_leaf("Attester", issuing, extra=[(identifier, False)]), issuing]), root)


@pytest.mark.accepts("T3")
def test_names_within_the_constraints() -> None:
    constraints = NameConstraints([DNSName("acme.example"), RFC822Name("acme.example")], [DNSName("b.acme.example")])
    root = build_ca("Root", names=constraints)
    assert accepted(chain_of(root, alternatives=[DNSName("a.acme.example")]), root)


# The key of the leaf, and whose attestation it is


@pytest.mark.accepts("T3")
def test_an_attestation_by_the_leaf_is_verified() -> None:
    chain = good()
    attestation = AttesterBackend(key=chain.jwk).attest(INSTANCE, CLIENT_ID, now=NOW, header={"x5c": chain.x5c})
    assert verify(attestation, keys=[TrustedKey("Acme", accepted(chain.x5c, chain.anchor))]).client_id == CLIENT_ID


@pytest.mark.refuses("T3")
def test_a_copied_chain_helps_nobody_who_lacks_its_key() -> None:
    chain = good()
    attestation = ATTESTER.attest(INSTANCE, CLIENT_ID, now=NOW, header={"x5c": chain.x5c})
    with refusal(Reason.ATTESTATION_SIGNATURE):
        verify(attestation, keys=[TrustedKey("Acme", accepted(chain.x5c, chain.anchor))])


# Times


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("who", ["leaf", "intermediate", "anchor"])
@pytest.mark.parametrize(("now", "reason"), [(NOW - 1, EXPIRED), (NOW, None), (NOW + 60, None), (NOW + 61, EXPIRED)])
def test_validity_begins_and_ends_with_the_second_named(who: str, now: int, reason: Reason | None) -> None:
    limits = {"not_before": NOW, "not_after": NOW + 60}
    root = build_ca("Root", **(limits if who == "anchor" else {}))
    issuing = build_ca("Issuing", root, **(limits if who == "intermediate" else {}))
    leaf = build_leaf("Attester", issuing, **(limits if who == "leaf" else {}))
    if reason:
        with refusal(reason):
            accepted(x5c([leaf, issuing]), root, now=now)
    else:
        assert accepted(x5c([leaf, issuing]), root, now=now)


@pytest.mark.refuses("T3")
def test_a_chain_that_was_good_is_refused_once_it_has_expired() -> None:
    """Also where the verified chain is remembered, and whichever way the time goes."""
    chain = make_chain(not_before=NOW, not_after=NOW + 60)
    anchors = parse_anchors(chain.pem)
    assert parse_chain(chain.x5c).verify(anchors=anchors, now=NOW + 60)
    for now in (NOW + 60.5, NOW - 0.5):
        with refusal(EXPIRED):
            parse_chain(chain.x5c).verify(anchors=anchors, now=now)
    assert parse_chain(chain.x5c).verify(anchors=anchors, now=NOW)


@pytest.mark.refuses("T3")
def test_certificates_that_were_never_valid_together() -> None:
    root = good().anchor
    issuing = build_ca("Issuing", root, not_after=NOW - 1)
    chain = x5c([build_leaf("Attester", issuing, not_before=NOW), issuing])
    for now in (NOW - 1, NOW):
        with refusal(EXPIRED):
            accepted(chain, root, now=now)


@pytest.mark.accepts("T3")
def test_a_renewed_anchor_counts_beside_the_expired_one() -> None:
    root = build_ca("Root", not_after=NOW - 1)
    renewed = build_ca("Root", key=root.key, not_before=NOW)
    chain = chain_of(root)
    assert accepted(chain, root, renewed, now=NOW - 1)
    assert accepted(chain, root, renewed, now=NOW)
    with refusal(EXPIRED):
        accepted(chain, root, now=NOW)


# Anchors


@pytest.mark.refuses("T3")
def test_an_anchor_of_the_same_name_with_another_key() -> None:
    with refusal(NOT_TRUSTED):
        accepted(good().x5c, build_ca("Root"))


@pytest.mark.refuses("T3")
def test_an_anchor_of_another_name_does_not_count_though_it_expired() -> None:
    with refusal(NOT_TRUSTED):
        accepted(make_chain(not_before=NOW).x5c, build_ca("Another root", not_after=NOW - 1))


@pytest.mark.accepts("T3")
def test_an_anchor_that_another_anchor_certified_may_be_on_the_way() -> None:
    """It is not the anchor in that path."""
    old, new = build_ca("Old root"), build_ca("New root")
    across = build_ca("New root", old, key=new.key)
    assert accepted(x5c([build_leaf("Attester", new), across]), old, new)


@pytest.mark.refuses("T3")
def test_without_anchors_nothing_is_believed() -> None:
    with refusal(NOT_TRUSTED):
        parse_chain(good().x5c).verify(anchors=[], now=NOW)


@pytest.mark.refuses("T3")
def test_an_anchor_that_was_withdrawn_is_believed_no_longer() -> None:
    chain = good()
    anchors = parse_anchors(pem(chain.anchor, build_ca("Root")))
    assert parse_chain(chain.x5c).verify(anchors=anchors, now=NOW)
    with refusal(NOT_TRUSTED):
        parse_chain(chain.x5c).verify(anchors=anchors[1:], now=NOW)


@pytest.mark.refuses("T3")
def test_the_anchor_in_the_chain() -> None:
    chain = good()
    with refusal(ANCHOR_INCLUDED):
        accepted(x5c([*chain.certificates, chain.anchor]), chain.anchor)


@pytest.mark.refuses("T3")
def test_the_anchor_in_the_chain_though_renewed() -> None:
    chain = good()
    renewed = build_ca("Root", key=chain.anchor.key)
    with refusal(ANCHOR_INCLUDED):
        accepted(x5c([*chain.certificates, renewed]), chain.anchor)


@pytest.mark.refuses("T3")
def test_an_intermediate_anchor_in_the_chain() -> None:
    chain = good(2)
    with refusal(ANCHOR_INCLUDED):
        accepted(chain.x5c, chain.certificates[2])


@pytest.mark.refuses("T3")
def test_the_leaf_is_not_the_anchor() -> None:
    with refusal(ANCHOR_INCLUDED):
        accepted(x5c([good().anchor]), good().anchor)


@pytest.mark.refuses("T3")
def test_a_root_that_is_no_anchor_in_the_chain() -> None:
    chain = good()
    with refusal(NOT_TRUSTED):
        accepted(x5c([*chain.certificates, chain.anchor]), build_ca("Another root"))


@pytest.mark.refuses("T3")
def test_a_self_signed_leaf() -> None:
    with refusal(SELF_SIGNED):
        accepted(x5c([build_leaf("Attester", None)]), good().anchor)


@pytest.mark.refuses("T3")
def test_a_self_signed_leaf_with_the_name_of_the_anchor() -> None:
    with refusal(SELF_SIGNED):
        accepted(x5c([build_leaf("Root", None)]), good().anchor)


@pytest.mark.refuses("T3")
def test_a_leaf_that_claims_the_anchor_for_its_issuer() -> None:
    mallory = build_ca("Mallory")
    with refusal(NOT_TRUSTED):
        accepted(chain_of(mallory, issuer_name=good().anchor.subject), good().anchor)


# What strangers can order


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("real", [0, 1])
def test_no_key_of_a_stranger_verifies_anything(real: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that nobody signed costs one verification an anchor, however many costly keys are in it.

    Below a CA that the anchor did sign, that one's key is used once.
    """
    root = good().anchor
    certificates = [build_ca("Issuing", root) if real else build_ca("Issuing", issuer_name=root.subject)]
    for number in range(MAX_CERTIFICATES - 2):
        mallory = build_ca(f"Mallory {number}", issuer_name=certificates[0].subject, key=costly_key())
        certificates.insert(0, mallory)
    certificates.insert(0, build_leaf("Attester", certificates[0], key=costly_key()))
    used: list[Any] = []

    def note(key: Any) -> PublicKey:
        used.append(key)
        return public_key_of(key)

    monkeypatch.setattr(certification_path, "public_key_of", note)
    monkeypatch.setattr(certificates_module, "check_path", lambda *_: pytest.fail("the library builds paths"))
    with refusal(NOT_TRUSTED):
        accepted(x5c(certificates), build_ca("Root"), root, build_ca("Another root"))
    assert used == [issued.certificate.public_key() for issued in certificates[-1:] * real]


@pytest.mark.refuses("T3")
def test_an_anchor_of_several_attesters_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    check_signatures = certification_path.check_signatures
    monkeypatch.setattr(
        certificates_module, "check_signatures", lambda path: (tried.append(path[-1]), check_signatures(path))
    )
    namesake = build_ca("Root")
    chain = parse_chain(good().x5c)
    for _attester in range(3):
        with refusal(NOT_TRUSTED):
            chain.verify(anchors=parse_anchors(pem(namesake, build_ca("Another root"))), now=NOW)
    assert tried == [namesake.certificate]


@cache
def costly_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP521R1())


# Order and completeness


@pytest.mark.refuses("T3")
def test_a_missing_intermediate() -> None:
    leaf, issuing, upper = good(2).certificates
    with refusal(NOT_TRUSTED):
        accepted(x5c([leaf, issuing]), good(2).anchor)
    with refusal(MALFORMED):
        accepted(x5c([leaf, upper]), good(2).anchor)


@pytest.mark.refuses("T3")
@pytest.mark.parametrize(
    "order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0), (0, 1, 1, 2), (0, 0, 1, 2), (0, 1, 2, 2)]
)
def test_any_other_order(order: Sequence[int]) -> None:
    with refusal(MALFORMED):
        accepted([good(2).x5c[position] for position in order], good(2).anchor)


@pytest.mark.refuses("T3")
def test_a_certificate_of_something_else_behind_the_chain() -> None:
    with refusal(MALFORMED):
        accepted([*good().x5c, *x5c([build_leaf("Another", good().anchor)])], good().anchor)


@pytest.mark.refuses("T3")
def test_a_chain_in_which_a_name_comes_twice() -> None:
    """Each is issued by the next, and by the root as well: the library could leave out two of them."""
    root = good().anchor
    issuing = build_ca("Issuing", root)
    upper = build_ca("Upper", root)
    across = build_ca("Issuing", upper, key=issuing.key)
    around = build_ca("Upper", issuing, key=upper.key)
    leaf = build_leaf("Attester", issuing)
    assert accepted(x5c([leaf, issuing]), root)
    assert accepted(x5c([leaf, across, upper]), root)
    with refusal(NOT_TRUSTED):
        accepted(x5c([leaf, across, around, issuing]), root)


@pytest.mark.refuses("T3")
def test_a_chain_that_passes_through_the_name_of_the_anchor() -> None:
    """The library would go from the leaf to the anchor, and leave out the rest."""
    root = good().anchor
    upper = build_ca("Upper", root)
    across = build_ca("Root", upper)
    with refusal(NOT_TRUSTED):
        accepted(x5c([build_leaf("Attester", root), across, upper]), root)


# What CAs and leaves must be

NOT_A_GOOD_INTERMEDIATE = [
    pytest.param({"ca": False}, id="no CA flag"),
    pytest.param({"ca": None}, id="no basicConstraints"),
    pytest.param({"ca": None, "extra": [(BasicConstraints(True, None), False)]}, id="basicConstraints not critical"),
    pytest.param({"usage": ["digital_signature", "crl_sign"]}, id="no keyCertSign"),
    pytest.param({"usage": None}, id="no keyUsage"),
    pytest.param({"extra": [(ExtendedKeyUsage([PURPOSE.SERVER_AUTH]), False)]}, id="for TLS servers only"),
    pytest.param({"extra": [(UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]}, id="unknown"),
    pytest.param({"digest": SHA224()}, id="signed with SHA-224"),
]


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("wrong", NOT_A_GOOD_INTERMEDIATE)
def test_an_intermediate_that_must_not_issue(wrong: dict[str, Any]) -> None:
    issuing = build_ca("Issuing", good().anchor, **wrong)
    with refusal(NOT_TRUSTED):
        accepted(x5c([build_leaf("Attester", issuing), issuing]), good().anchor)


@pytest.mark.refuses("T3")
def test_a_leaf_does_not_issue() -> None:
    leaf = build_leaf("Attester", good().anchor)
    with refusal(NOT_TRUSTED):
        accepted(x5c([build_leaf("Another", leaf), leaf]), good().anchor)


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("above", [0, 1])
def test_a_path_length_is_kept(above: int) -> None:
    root = build_ca("Root", path_length=0 if above == 0 else None)
    upper = build_ca("Upper", root, path_length=0 if above == 1 else None)
    issuing = build_ca("Issuing", upper)
    chain = [build_leaf("Attester", issuing), issuing, upper]
    with refusal(NOT_TRUSTED):
        accepted(x5c(chain if above else [build_leaf("Attester", upper), upper]), root)


@pytest.mark.accepts("T3")
def test_a_path_as_long_as_allowed() -> None:
    root = build_ca("Root", path_length=1)
    issuing = build_ca("Issuing", root, path_length=0)
    assert accepted(x5c([build_leaf("Attester", issuing), issuing]), root)


NOT_A_GOOD_LEAF = [
    pytest.param({"ca": True}, id="a CA"),
    pytest.param({"usage": ["key_agreement"]}, id="keyUsage without digitalSignature"),
    pytest.param({"usage": ["digital_signature", "key_cert_sign"]}, id="keyUsage with keyCertSign"),
    pytest.param({"purposes": [PURPOSE.SERVER_AUTH]}, id="for TLS servers"),
    pytest.param({"purposes": [PURPOSE.EMAIL_PROTECTION, PURPOSE.CODE_SIGNING]}, id="for mail and code"),
    pytest.param({"purposes": [PURPOSE.OCSP_SIGNING]}, id="for OCSP"),
    pytest.param({"purposes": [PURPOSE.TIME_STAMPING]}, id="for time stamps"),
    pytest.param({"extra": [(UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]}, id="unknown"),
    pytest.param({"extra": [(NameConstraints([DNSName("a.example")], None), True)]}, id="with name constraints"),
    pytest.param({"digest": SHA224()}, id="signed with SHA-224"),
    pytest.param({"key": lambda: ec.generate_private_key(ec.SECP256K1())}, id="a curve that is not accepted"),
    pytest.param({"key": lambda: rsa_key(1024)}, id="RSA too small"),
    pytest.param({"key": lambda: dsa.generate_private_key(2048)}, id="DSA"),
]


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("wrong", NOT_A_GOOD_LEAF)
def test_a_leaf_that_is_none(wrong: dict[str, Any]) -> None:
    arguments = {name: value() if name == "key" else value for name, value in wrong.items()}
    with refusal(NOT_TRUSTED):
        accepted(chain_of(good().anchor, **arguments), good().anchor)


@pytest.mark.refuses("T3")
def test_an_intermediate_with_a_weak_key() -> None:
    issuing = build_ca("Issuing", good().anchor, key=rsa_key(1024))
    with refusal(NOT_TRUSTED):
        accepted(x5c([build_leaf("Attester", issuing), issuing]), good().anchor)


# Name constraints

ACME = DirectoryName(Name([NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]))
OTHER = DirectoryName(Name([NameAttribute(NameOID.ORGANIZATION_NAME, "Other")]))
OUTSIDE = [
    pytest.param([DNSName("acme.example")], None, DNSName("a.example"), id="host not permitted"),
    pytest.param(None, [DNSName("a.example")], DNSName("x.a.example"), id="host excluded"),
    pytest.param([RFC822Name("acme.example")], None, RFC822Name("a@a.example"), id="mailbox not permitted"),
    pytest.param(None, [UniformResourceIdentifier("a.example")], UniformResourceIdentifier("a:b"), id="URI"),
]


def constrained_chain(names: NameConstraints, which: str, critical: bool = True, **leaf: Any) -> Chain:
    constraints: dict[str, Any] = {"extra": [(names, critical)]}
    root = build_ca("Root", **(constraints if which == "anchor" else {}))
    issuing = build_ca("Issuing", root, **(constraints if which == "intermediate" else {}))
    return Chain(root, [build_leaf("Attester", issuing, **leaf), issuing])


@pytest.mark.refuses("T3")
@pytest.mark.parametrize(("permitted", "excluded", "name"), OUTSIDE)
@pytest.mark.parametrize("constrained", ["anchor", "intermediate"])
def test_a_name_outside_the_constraints(permitted: Any, excluded: Any, name: GeneralName, constrained: str) -> None:
    chain = constrained_chain(NameConstraints(permitted, excluded), constrained, alternatives=[name])
    with refusal(NOT_TRUSTED):
        accepted(chain.x5c, chain.anchor)


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize(
    ("permitted", "excluded"),
    [
        pytest.param([OTHER], None, id="not permitted"),
        pytest.param(None, [ACME], id="excluded"),
        pytest.param([ACME], None, id="permitted, though nobody compares it"),
    ],
)
def test_a_ca_whose_subjects_are_constrained(permitted: Any, excluded: Any, critical: bool) -> None:
    chain = constrained_chain(NameConstraints(permitted, excluded), "intermediate", critical)
    with refusal(NOT_TRUSTED):
        accepted(chain.x5c, chain.anchor)


# What is no chain at all


def octets(changed: bytes) -> list[str]:
    return [base64.b64encode(changed).decode("ascii")]


LEAF = build_leaf("Attester", good().anchor)
NOT_A_CHAIN = [
    pytest.param(None, id="null"),
    pytest.param("", id="a string"),
    pytest.param(x5c([LEAF])[0], id="a certificate that is not in a list"),
    pytest.param({"0": x5c([LEAF])[0]}, id="an object"),
    pytest.param(tuple(x5c([LEAF])), id="no list"),
    pytest.param([], id="empty"),
    pytest.param([x5c([LEAF])], id="nested"),
    pytest.param([None], id="a null"),
    pytest.param([7], id="a number"),
    pytest.param([der(LEAF)], id="bytes"),
    pytest.param([""], id="an empty string"),
    pytest.param(["?"], id="not base64"),
    pytest.param(["é"], id="not ASCII"),
    pytest.param(["\ud800"], id="not Unicode"),
    pytest.param([pem(LEAF)], id="PEM"),
    pytest.param([f"{x5c([LEAF])[0]}\n"], id="a line feed"),
    pytest.param([f" {x5c([LEAF])[0]}"], id="a space"),
    pytest.param([base64.urlsafe_b64encode(b"\xfb\xff" + der(LEAF)).decode("ascii")], id="base64url"),
    pytest.param([x5c([LEAF])[0].rstrip("=") + "A==="], id="wrong padding"),
    pytest.param(octets(der(LEAF) + b"\0"), id="an octet behind the certificate"),
    pytest.param(octets(der(LEAF)[:-1]), id="an octet short"),
    pytest.param(octets(der(LEAF) * 2), id="two certificates in one"),
    pytest.param(octets(b"\x30\x00"), id="an empty sequence"),
    pytest.param(octets(b"\x30\x84\xff\xff\xff\xff"), id="a length of 4 GiB"),
    pytest.param(octets(b"\x30\x80" * 4000), id="nested deeply"),
    pytest.param(["A" * 100_000], id="huge"),
    pytest.param(x5c([LEAF]) * 100, id="100 certificates"),
    pytest.param(x5c([LEAF]) * 2, id="the same one twice"),
]


@pytest.mark.refuses("T3")
@pytest.mark.parametrize("header", NOT_A_CHAIN)
def test_what_is_no_chain(header: object) -> None:
    with refusal(MALFORMED):
        accepted(header, good().anchor)


def test_the_certificate_that_is_spoilt_above_is_good() -> None:
    assert accepted(x5c([LEAF]), good().anchor)


@pytest.mark.refuses("T3")
def test_a_certificate_too_large() -> None:
    filling = UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\0" * MAX_CERTIFICATE_OCTETS)
    with refusal(MALFORMED):
        accepted(chain_of(good().anchor, extra=[(filling, False)]), good().anchor)


@pytest.mark.refuses("T3")
def test_one_certificate_too_many() -> None:
    chain = make_chain(MAX_CERTIFICATES)
    with refusal(MALFORMED):
        accepted(chain.x5c, chain.anchor)


# Whatever arrives

OFTEN = settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
edits = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["set", "insert", "delete"]), st.integers(0, 255)),
    min_size=1,
    max_size=3,
)


def edited(original: bytes, changes: Sequence[tuple[int, str, int]]) -> bytes:
    result = bytearray(original)
    for position, change, octet in changes:
        place = position % len(result)
        if change == "set":
            result[place] = octet
        elif change == "insert":
            result.insert(place, octet)
        else:
            del result[place]
    return bytes(result)


def tlv(tag: int, content: bytes) -> bytes:
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    prefix = b"" if len(content) < 0x80 else bytes([0x80 | len(length)])
    return bytes([tag]) + prefix + length + content


def signed(contents: bytes, issuer: Issued) -> str:
    """Return a certificate over any octets at all, which a CA signed with ECDSA and SHA-256."""
    algorithm = tlv(0x30, tlv(0x06, bytes.fromhex("2a8648ce3d040302")))
    signature = issuer.key.sign(contents, ec.ECDSA(SHA256()))
    certificate = tlv(0x30, contents + algorithm + tlv(0x03, b"\0" + signature))
    return base64.b64encode(certificate).decode("ascii")


@cache
def rich_chain() -> tuple[Chain, list[TrustAnchor]]:
    """Return a chain with every extension that is looked at."""
    names = NameConstraints([DNSName("example")], [RFC822Name("b.example")])
    root = build_ca("Root", names=names)
    issuing = build_ca("Issuing", root, path_length=0, names=names)
    identifier = AuthorityKeyIdentifier.from_issuer_public_key(issuing.key.public_key())
    leaf = build_leaf(
        "Attester",
        issuing,
        purposes=[MDOC_SIGNER],
        alternatives=[DNSName("a.example"), RFC822Name("a@a.example")],
        extra=[(identifier, False)],
    )
    return Chain(root, [leaf, issuing]), parse_anchors(pem(root))


def never_anything_else(header: object, anchors: Sequence[TrustAnchor]) -> None:
    with suppress(ClientAttestationError):
        assert isinstance(parse_chain(header).verify(anchors=anchors, now=NOW), PublicKey)


def test_what_is_mutated_below_is_good() -> None:
    chain, anchors = rich_chain()
    leaf, issuing = chain.certificates
    again = signed(leaf.certificate.tbs_certificate_bytes, issuing)
    assert parse_chain([again, chain.x5c[1]]).verify(anchors=anchors, now=NOW)


@pytest.mark.filterwarnings("ignore")  # about serial numbers and versions that the library dislikes
@OFTEN
@given(changes=edits, which=st.integers(0, 1))
def test_any_octets_for_a_certificate(changes: list[tuple[int, str, int]], which: int) -> None:
    chain, anchors = rich_chain()
    header = chain.x5c
    header[which] = octets(edited(der(chain.certificates[which]), changes))[0]
    never_anything_else(header, anchors)


@pytest.mark.filterwarnings("ignore")
@OFTEN
@given(changes=edits, which=st.integers(0, 1))
def test_any_octets_that_a_ca_signed(changes: list[tuple[int, str, int]], which: int) -> None:
    """Signed, so that everything behind the signature is reached."""
    chain, anchors = rich_chain()
    leaf, issuing = chain.certificates
    contents = edited(chain.certificates[which].certificate.tbs_certificate_bytes, changes)
    header = chain.x5c
    header[which] = signed(contents, issuing if which == 0 else chain.anchor)
    never_anything_else(header, anchors)


@OFTEN
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8) | st.sampled_from([*good().x5c, "MAA="]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    )
)
def test_any_json_for_a_header(header: object) -> None:
    with pytest.raises(ClientAttestationError):
        parse_chain(header).verify(anchors=parse_anchors(good(2).pem), now=NOW)


def test_the_time_does_not_need_a_zone_of_the_server() -> None:
    """A certificate's times are UTC; the anchor's come out aware."""
    (anchor,) = parse_anchors(good().pem)
    assert anchor.not_before.tzinfo is datetime.UTC
