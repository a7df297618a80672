"""Trust anchors as an operator enters them (rule T3): certificates in PEM, with an answer for each mistake."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtendedKeyUsage,
    KeyUsage,
    Name,
    NameConstraints,
    load_der_x509_certificate,
)

from .certification_path import constrains_subjects, extension, is_for_other_purposes
from .jwk import WeakKey, public_key_of
from .keys import PublicKey
from .strict import encode_base64url

MAX_ANCHORS: Final = 100
#: Of one subject. A chain names its anchor's subject and nothing else, and each that has it costs a signature.
MAX_NAMESAKES: Final = 8
#: Octets of one certificate in DER.
MAX_CERTIFICATE_OCTETS: Final = 8192

_BEGIN: Final = re.compile(rb"-----BEGIN ([^\r\n-]*)-----")
_BLOCK: Final = re.compile(rb"-----BEGIN ([^\r\n-]*)-----([^-]*)-----END \1-----")


class AnchorProblem(StrEnum):
    """What is wrong with a certificate that was entered as a trust anchor."""

    NOT_PEM = "not_pem"  # no PEM block, or one that does not end
    TOO_MANY = "too_many"  # more than MAX_ANCHORS
    PRIVATE_KEY = "private_key"
    NOT_A_CERTIFICATE = "not_a_certificate"  # a block of something else, such as a request
    UNREADABLE = "unreadable"  # not the DER encoding of a certificate, or above MAX_CERTIFICATE_OCTETS
    NOT_A_CA = "not_a_ca"  # basicConstraints is missing, not critical, or without the CA flag
    KEY_USAGE = "key_usage"  # keyUsage is missing, or without keyCertSign
    PURPOSE = "purpose"  # extendedKeyUsage names only purposes of something else
    NAME_CONSTRAINTS = "name_constraints"  # on directory names, which cannot be enforced
    UNSUPPORTED_KEY = "unsupported_key"  # neither RSA nor EC over P-256, P-384 or P-521
    WEAK_KEY = "weak_key"  # RSA below 2048 or above 8192 bits
    DUPLICATE = "duplicate"
    NAMESAKES = "namesakes"  # more than MAX_NAMESAKES of one subject


class InvalidAnchor(ValueError):
    """What was entered is not one or more usable trust anchors. The exception shows nothing of it.

    :ivar code: an :class:`AnchorProblem`.
    :ivar position: which PEM block, counted from 1; 0 where the problem is not one of a single block.
    """

    def __init__(self, code: AnchorProblem, position: int = 0) -> None:
        super().__init__(f"{code} at {position}")
        self.code = code
        self.position = position


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A certificate under which an attester's certificates are believed: a root, or any CA below one.

    :ivar fingerprint: SHA-256 of the DER encoding, base64url, 43 characters. Equal anchors have equal ones.
    :ivar subject: RFC 4514; what cannot be printed is escaped as that allows.
    :ivar subject_digest: of the subject, as of :func:`name_digest`.
    :ivar not_before: the first moment of its validity, and
    :ivar not_after: the last one; both aware.
    :ivar pem: the certificate alone, as it is to be stored.
    :ivar key: the key of the CA.
    """

    fingerprint: str
    subject: str = field(compare=False)
    subject_digest: str = field(compare=False, repr=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    pem: str = field(compare=False, repr=False)
    key: PublicKey = field(compare=False, repr=False)
    certificate: Certificate = field(compare=False, repr=False)

    @property
    def key_description(self) -> str:
        """Type and size of the key, such as "EC P-256" or "RSA 2048"."""
        return f"{self.key.key_type} {self.key.curve or 8 * (self.key.modulus_octets or 0)}"


def parse_anchors(pem: str | bytes) -> list[TrustAnchor]:
    """Parse one or several certificates in PEM (RFC 7468), with or without text between them.

    An expired one is not refused: nothing is believed under it, and its owner should see why.

    :raises InvalidAnchor: with the first problem; a private key comes before any other.
    """
    octets = pem.encode("utf-8", "surrogatepass") if isinstance(pem, str) else pem
    labels = _BEGIN.findall(octets)
    for position, label in enumerate(labels, start=1):
        if b"PRIVATE" in label:
            raise InvalidAnchor(AnchorProblem.PRIVATE_KEY, position)
    blocks = _BLOCK.findall(octets)
    if not blocks or len(blocks) != len(labels):
        raise InvalidAnchor(AnchorProblem.NOT_PEM)
    if len(blocks) > MAX_ANCHORS:
        raise InvalidAnchor(AnchorProblem.TOO_MANY)
    anchors: list[TrustAnchor] = []
    for position, (label, body) in enumerate(blocks, start=1):
        if label != b"CERTIFICATE":
            raise InvalidAnchor(AnchorProblem.NOT_A_CERTIFICATE, position)
        anchor = _anchor(b"".join(body.split()), position)
        if anchor in anchors:
            raise InvalidAnchor(AnchorProblem.DUPLICATE, position)
        anchors.append(anchor)
    namesakes = Counter(anchor.subject_digest for anchor in anchors)
    for position, anchor in enumerate(anchors, start=1):
        if namesakes[anchor.subject_digest] > MAX_NAMESAKES:
            raise InvalidAnchor(AnchorProblem.NAMESAKES, position)
    return anchors


def name_digest(name: Name) -> str:
    """Return SHA-256 of a distinguished name in DER, base64url, 43 characters: what names are compared by."""
    return encode_base64url(hashlib.sha256(name.public_bytes()).digest())


def _anchor(encoded: bytes, position: int) -> TrustAnchor:
    try:
        octets = binascii.a2b_base64(encoded, strict_mode=True)
        if len(octets) > MAX_CERTIFICATE_OCTETS:
            raise InvalidAnchor(AnchorProblem.UNREADABLE, position)
        certificate = load_der_x509_certificate(octets)
        _check_profile(certificate, position)
        return TrustAnchor(
            fingerprint=encode_base64url(certificate.fingerprint(SHA256())),
            subject=_printable(certificate.subject.rfc4514_string()),
            subject_digest=name_digest(certificate.subject),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
            key=_key(certificate, position),
            certificate=certificate,
        )
    except InvalidAnchor:
        raise
    # Each kind of malformed certificate has a class of its own, often without a common base.
    except Exception as error:
        raise InvalidAnchor(AnchorProblem.UNREADABLE, position) from error


def _check_profile(certificate: Certificate, position: int) -> None:
    """Refuse what no chain could ever lead to (see :mod:`.certification_path`), while somebody can do something."""
    if not any(
        isinstance(present.value, BasicConstraints) and present.critical and present.value.ca
        for present in certificate.extensions
    ):
        raise InvalidAnchor(AnchorProblem.NOT_A_CA, position)
    usage = extension(certificate, KeyUsage)
    if usage is None or not usage.key_cert_sign:
        raise InvalidAnchor(AnchorProblem.KEY_USAGE, position)
    if is_for_other_purposes(extension(certificate, ExtendedKeyUsage)):
        raise InvalidAnchor(AnchorProblem.PURPOSE, position)
    if constrains_subjects(extension(certificate, NameConstraints)):
        raise InvalidAnchor(AnchorProblem.NAME_CONSTRAINTS, position)


def _key(certificate: Certificate, position: int) -> PublicKey:
    try:
        key = public_key_of(certificate.public_key())
    except WeakKey as error:
        raise InvalidAnchor(AnchorProblem.WEAK_KEY, position) from error
    # UnsupportedAlgorithm and ValueError: ``cryptography`` cannot load a key of that kind at all.
    except Exception as error:
        raise InvalidAnchor(AnchorProblem.UNSUPPORTED_KEY, position) from error
    if key.key_type == "OKP":  # an attester's key may be one, a CA's may not: the library verifies no such signature
        raise InvalidAnchor(AnchorProblem.UNSUPPORTED_KEY, position)
    return key


def _printable(text: str) -> str:
    escaped = (
        character if character.isprintable() else "".join(f"\\{octet:02X}" for octet in character.encode("utf-8"))
        for character in text
    )
    return "".join(escaped)
