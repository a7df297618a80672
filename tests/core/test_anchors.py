"""Trust anchors as an operator enters them (rule T3): what is stored, and an answer for each mistake."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509 import (
    BasicConstraints,
    CertificateSigningRequestBuilder,
    DirectoryName,
    ExtendedKeyUsage,
    Name,
    NameAttribute,
    NameConstraints,
    ObjectIdentifier,
    UnrecognizedExtension,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core.anchors import (
    MAX_ANCHORS,
    MAX_CERTIFICATE_OCTETS,
    MAX_NAMESAKES,
    AnchorProblem,
    InvalidAnchor,
    parse_anchors,
)
from tests.certificates import Issued, build_ca, build_leaf, der, distinguished_name, pem
from tests.core.support import NOW
from tests.fuzzing import examples

ROOT = build_ca("Root")
SECOND = build_ca("Second")
WEAK = 1024
FILLING = UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\0" * MAX_CERTIFICATE_OCTETS)


def block(octets: bytes, label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(octets).decode()}-----END {label}-----\n"


def private_pem(issued: Issued, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> str:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    text: bytes = issued.key.private_bytes(Encoding.PEM, form, protection)
    return text.decode("ascii")


def public_pem(issued: Issued) -> str:
    text: bytes = issued.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode("ascii")


def request_pem(issued: Issued) -> str:
    request = CertificateSigningRequestBuilder().subject_name(issued.subject).sign(issued.key, SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


@pytest.mark.accepts("T3")
def test_what_is_stored_of_an_anchor() -> None:
    root = build_ca("Root", not_before=NOW, not_after=NOW + 60)
    (anchor,) = parse_anchors(pem(root))
    digest = hashlib.sha256(der(root)).digest()
    assert anchor.fingerprint == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert len(anchor.fingerprint) == 43
    assert anchor.subject == "CN=Root,O=Acme"
    subject = hashlib.sha256(root.subject.public_bytes()).digest()
    assert anchor.subject_digest == base64.urlsafe_b64encode(subject).decode().rstrip("=")
    assert anchor.not_before == datetime.fromtimestamp(NOW, UTC)
    assert anchor.not_after == datetime.fromtimestamp(NOW + 60, UTC)
    assert anchor.key_description == "EC P-256"
    assert anchor.pem == pem(root)
    assert "PublicKey" not in repr(anchor)


@pytest.mark.parametrize(
    ("key", "description"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "EC P-384"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "EC P-521"),
        (lambda: rsa.generate_private_key(65537, 2048), "RSA 2048"),
    ],
)
def test_the_key_in_words(key: Callable[[], object], description: str) -> None:
    (anchor,) = parse_anchors(pem(build_ca("Root", key=key())))
    assert anchor.key_description == description


@pytest.mark.parametrize(
    "entered",
    [
        pytest.param(pem(ROOT, SECOND), id="one after the other"),
        pytest.param(pem(ROOT, SECOND).encode(), id="bytes"),
        pytest.param(pem(ROOT, SECOND).replace("\n", "\r\n"), id="line ends of Windows"),
        pytest.param(f"\ufeffRoot – é\nCertificate:\n  Data: …\n{pem(ROOT)}# and\n{pem(SECOND)}\n\n", id="with text"),
        pytest.param(pem(ROOT).rstrip() + pem(SECOND), id="no line feed between"),
        pytest.param("\n".join(f"  {line}" for line in pem(ROOT, SECOND).splitlines()), id="indented"),
        pytest.param(pem(ROOT, SECOND).encode() + b"\xff", id="not UTF-8"),
        pytest.param(pem(ROOT, SECOND) + "\ud800", id="not Unicode"),
    ],
)
def test_several_certificates_however_pasted(entered: str | bytes) -> None:
    first, second = parse_anchors(entered)
    assert (first.pem, second.pem) == (pem(ROOT), pem(SECOND))


def test_what_was_stored_is_read_again() -> None:
    (anchor,) = parse_anchors(pem(ROOT))
    assert parse_anchors(anchor.pem) == [anchor]


def test_an_anchor_below_a_root() -> None:
    (anchor,) = parse_anchors(pem(build_ca("Issuing", ROOT, path_length=0)))
    assert anchor.subject == "CN=Issuing,O=Acme"


def test_an_expired_anchor_is_shown_not_refused() -> None:
    (anchor,) = parse_anchors(pem(build_ca("Root", not_after=NOW)))
    assert anchor.not_after == datetime.fromtimestamp(NOW, UTC)


def test_a_subject_is_printable_whatever_is_in_it() -> None:
    root = build_ca(Name([NameAttribute(NameOID.COMMON_NAME, "R\n\u202eé,\0")]))
    (anchor,) = parse_anchors(pem(root))
    assert anchor.subject == "CN=R\\0A\\E2\\80\\AEé\\,\\00"


def test_as_many_as_allowed() -> None:
    roots = [build_ca(f"Root {number}") for number in range(MAX_ANCHORS)]
    assert len(parse_anchors(pem(*roots))) == MAX_ANCHORS


REFUSED = [
    pytest.param("", AnchorProblem.NOT_PEM, 0, id="nothing"),
    pytest.param("Root", AnchorProblem.NOT_PEM, 0, id="a word"),
    pytest.param(base64.b64encode(der(ROOT)).decode(), AnchorProblem.NOT_PEM, 0, id="base64 alone"),
    pytest.param(der(ROOT), AnchorProblem.NOT_PEM, 0, id="DER"),
    pytest.param(pem(ROOT)[:-10], AnchorProblem.NOT_PEM, 0, id="without its end"),
    pytest.param(pem(ROOT) + pem(SECOND)[:-10], AnchorProblem.NOT_PEM, 0, id="the second without its end"),
    pytest.param(pem(*[ROOT] * (MAX_ANCHORS + 1)), AnchorProblem.TOO_MANY, 0, id="too many"),
    pytest.param(private_pem(ROOT), AnchorProblem.PRIVATE_KEY, 1, id="a private key"),
    pytest.param(pem(ROOT) + private_pem(ROOT), AnchorProblem.PRIVATE_KEY, 2, id="a private key behind"),
    pytest.param(
        private_pem(ROOT, PrivateFormat.TraditionalOpenSSL), AnchorProblem.PRIVATE_KEY, 1, id="an EC private key"
    ),
    pytest.param(private_pem(ROOT, password=b"p"), AnchorProblem.PRIVATE_KEY, 1, id="an encrypted private key"),
    pytest.param(private_pem(ROOT, PrivateFormat.OpenSSH), AnchorProblem.PRIVATE_KEY, 1, id="a key of OpenSSH"),
    pytest.param(private_pem(ROOT)[:-10], AnchorProblem.PRIVATE_KEY, 1, id="a private key without its end"),
    pytest.param("-----BEGIN X-----\n" + private_pem(ROOT), AnchorProblem.PRIVATE_KEY, 2, id="in rubbish"),
    pytest.param(public_pem(ROOT), AnchorProblem.NOT_A_CERTIFICATE, 1, id="a public key"),
    pytest.param(pem(ROOT) + request_pem(ROOT), AnchorProblem.NOT_A_CERTIFICATE, 2, id="a request"),
    pytest.param(block(b""), AnchorProblem.UNREADABLE, 1, id="empty"),
    pytest.param(block(b"\x30\x00"), AnchorProblem.UNREADABLE, 1, id="an empty sequence"),
    pytest.param(block(der(ROOT) + b"\0"), AnchorProblem.UNREADABLE, 1, id="an octet too many"),
    pytest.param(pem(ROOT) + block(der(SECOND)[:-1]), AnchorProblem.UNREADABLE, 2, id="an octet short"),
    pytest.param(pem(ROOT).replace("M", "?", 1), AnchorProblem.UNREADABLE, 1, id="not base64"),
    pytest.param(pem(build_ca("R", extra=[(FILLING, False)])), AnchorProblem.UNREADABLE, 1, id="huge"),
    pytest.param(pem(build_leaf("Leaf", ROOT)), AnchorProblem.NOT_A_CA, 1, id="a leaf"),
    pytest.param(pem(build_ca("R", ca=None)), AnchorProblem.NOT_A_CA, 1, id="no basicConstraints"),
    pytest.param(
        pem(build_ca("R", ca=None, extra=[(BasicConstraints(True, None), False)])),
        AnchorProblem.NOT_A_CA,
        1,
        id="basicConstraints not critical",
    ),
    pytest.param(pem(build_ca("R", usage=["crl_sign"])), AnchorProblem.KEY_USAGE, 1, id="no keyCertSign"),
    pytest.param(pem(build_ca("R", usage=None)), AnchorProblem.KEY_USAGE, 1, id="no keyUsage"),
    pytest.param(
        pem(build_ca("R", extra=[(ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)])),
        AnchorProblem.PURPOSE,
        1,
        id="for TLS servers only",
    ),
    pytest.param(
        pem(build_ca("R", names=NameConstraints([DirectoryName(distinguished_name("A"))], None))),
        AnchorProblem.NAME_CONSTRAINTS,
        1,
        id="constraints that nobody enforces",
    ),
    pytest.param(pem(build_ca("R", key=Ed25519PrivateKey.generate())), AnchorProblem.UNSUPPORTED_KEY, 1, id="Ed25519"),
    pytest.param(
        pem(build_ca("R", key=ec.generate_private_key(ec.SECP256K1()))), AnchorProblem.UNSUPPORTED_KEY, 1, id="K1"
    ),
    pytest.param(
        pem(build_ca("R", key=rsa.generate_private_key(65537, WEAK))), AnchorProblem.WEAK_KEY, 1, id="RSA 1024"
    ),
    pytest.param(pem(ROOT, SECOND, ROOT), AnchorProblem.DUPLICATE, 3, id="the same twice"),
    pytest.param(
        pem(SECOND, *(build_ca("Root") for _ in range(MAX_NAMESAKES)), ROOT),
        AnchorProblem.NAMESAKES,
        2,
        id="too many of one name",
    ),
]


@pytest.mark.accepts("T3")
def test_as_many_of_one_name_as_allowed() -> None:
    assert len(parse_anchors(pem(*(build_ca("Root") for _ in range(MAX_NAMESAKES)), SECOND))) == MAX_NAMESAKES + 1


@pytest.mark.refuses("T3")
@pytest.mark.parametrize(("entered", "code", "position"), REFUSED)
def test_a_mistake_is_named_with_its_place(entered: str | bytes, code: AnchorProblem, position: int) -> None:
    with pytest.raises(InvalidAnchor) as caught:
        parse_anchors(entered)
    assert (caught.value.code, caught.value.position) == (code, position)
    assert str(caught.value) == f"{code} at {position}"


def test_each_problem_is_shown_above() -> None:
    assert {parameters.values[1] for parameters in REFUSED} == set(AnchorProblem)


@pytest.mark.filterwarnings("ignore")  # about serial numbers and versions that the library dislikes
@settings(max_examples=examples(300), deadline=None)
@given(place=st.integers(0, len(der(ROOT)) - 1), octet=st.integers(0, 255), rest=st.binary(max_size=8))
def test_whatever_is_entered_it_is_an_anchor_or_invalid(place: int, octet: int, rest: bytes) -> None:
    changed = bytearray(der(ROOT))
    changed[place] = octet
    for entered in (block(bytes(changed)), block(bytes(changed) + rest), rest, pem(ROOT).encode()[:place] + rest):
        with suppress(InvalidAnchor):
            assert parse_anchors(entered)
