"""Certificates for tests: CAs, leaves and chains, each good unless a keyword says what is wrong with it.

::

    root = build_ca("Root")
    issuing = build_ca("Issuing", root, path_length=0)
    leaf = build_leaf("Attester", issuing)
    x5c([leaf, issuing])  # the header parameter
    pem(root)             # what an operator pastes
    leaf.jwk              # what the attester signs with: AttesterBackend(key=leaf.jwk)

or all of that at once: ``chain = make_chain()``, then ``chain.x5c``, ``chain.pem`` and ``chain.jwk``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    CertificateBuilder,
    ExtendedKeyUsage,
    ExtensionType,
    GeneralName,
    KeyUsage,
    Name,
    NameAttribute,
    NameConstraints,
    ObjectIdentifier,
    SubjectAlternativeName,
    random_serial_number,
)
from cryptography.x509.oid import NameOID
from jwcrypto.jwk import JWK

#: A validity that no test outlives; a test of validity passes its own moments, in seconds since the epoch.
VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
VALID_UNTIL = datetime(2049, 12, 31, tzinfo=UTC).timestamp()

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: Certificate
    key: Any

    @property
    def subject(self) -> Name:
        return self.certificate.subject

    @property
    def jwk(self) -> JWK:
        """The private key, to sign attestations with."""
        return JWK.from_pyca(self.key)


@dataclass(frozen=True)
class Chain:
    """A leaf and its intermediates, leaf first, and the anchor, which is not one of them."""

    anchor: Issued
    certificates: list[Issued] = field(repr=False)

    @property
    def x5c(self) -> list[str]:
        return x5c(self.certificates)

    @property
    def pem(self) -> str:
        return pem(self.anchor)

    @property
    def jwk(self) -> JWK:
        return self.certificates[0].jwk


def build_ca(
    name: str | Name,
    issuer: Issued | None = None,
    *,
    ca: bool | None = True,
    path_length: int | None = None,
    usage: Sequence[str] | None = ("key_cert_sign", "crl_sign"),
    names: NameConstraints | None = None,
    **wrong: Any,
) -> Issued:
    """Return a CA below ``issuer``; without one, a root.

    :param ca: the flag of ``basicConstraints``; None leaves the extension out.
    :param usage: the bits of ``keyUsage``; None leaves the extension out.
    :param names: name constraints.
    :param wrong: as of :func:`build_leaf`.
    """
    extensions = [(names, True)] if names else []
    return _build(name, issuer, ca, path_length, usage, extensions, **wrong)


def build_leaf(
    name: str | Name,
    issuer: Issued | None,
    *,
    ca: bool | None = False,
    usage: Sequence[str] | None = ("digital_signature",),
    purposes: Sequence[ObjectIdentifier] | None = None,
    alternatives: Sequence[GeneralName] | None = None,
    **wrong: Any,
) -> Issued:
    """Return an attester's certificate; without ``issuer``, a self-signed one.

    :param purposes: of ``extendedKeyUsage``.
    :param alternatives: of ``subjectAltName``.
    :param wrong: ``key=``, a private key; ``not_before=`` and ``not_after=``, in seconds since the epoch;
        ``digest=``, the hash of the signature; ``serial=``; ``issuer_name=``, to claim another issuer;
        ``extra=``, pairs of an extension and whether it is critical.
    """
    extensions: list[tuple[ExtensionType, bool]] = []
    if purposes is not None:
        extensions.append((ExtendedKeyUsage(purposes), False))
    if alternatives is not None:
        extensions.append((SubjectAlternativeName(alternatives), False))
    return _build(name, issuer, ca, None, usage, extensions, **wrong)


def make_chain(intermediates: int = 1, **leaf: Any) -> Chain:
    """Return a chain with that many intermediates; keywords as of :func:`build_leaf`."""
    anchor = issuer = build_ca("Root")
    certificates: list[Issued] = []
    for number in range(1, intermediates + 1):
        issuer = build_ca(f"Issuing {number}", issuer)
        certificates.insert(0, issuer)
    return Chain(anchor, [build_leaf("Attester", issuer, **leaf), *certificates])


def x5c(certificates: Sequence[Issued]) -> list[str]:
    """Return the header parameter (RFC 7515 section 4.1.6): base64, not base64url, of the DER encodings."""
    return [base64.b64encode(der(issued)).decode("ascii") for issued in certificates]


def der(issued: Issued) -> bytes:
    """Return the certificate's octets."""
    return issued.certificate.public_bytes(Encoding.DER)


def pem(*certificates: Issued) -> str:
    """Return the certificates as an operator pastes them."""
    return "".join(issued.certificate.public_bytes(Encoding.PEM).decode("ascii") for issued in certificates)


def distinguished_name(common_name: str, organization: str = "Acme") -> Name:
    """Return the name that ``common_name`` alone stands for elsewhere here."""
    return Name(
        [NameAttribute(NameOID.ORGANIZATION_NAME, organization), NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _build(
    name: str | Name,
    issuer: Issued | None,
    ca: bool | None,
    path_length: int | None,
    usage: Sequence[str] | None,
    extensions: Sequence[tuple[ExtensionType, bool]],
    *,
    key: Any = None,
    not_before: float = VALID_FROM,
    not_after: float = VALID_UNTIL,
    digest: HashAlgorithm | None = None,
    serial: int | None = None,
    issuer_name: Name | None = None,
    extra: Sequence[tuple[ExtensionType, bool]] = (),
) -> Issued:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = distinguished_name(name) if isinstance(name, str) else name
    builder = (
        CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(random_serial_number() if serial is None else serial)
        .not_valid_before(datetime.fromtimestamp(not_before, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after, UTC))
    )
    if ca is not None:
        builder = builder.add_extension(BasicConstraints(ca, path_length), critical=True)
    if usage is not None:
        builder = builder.add_extension(KeyUsage(**{bit: bit in usage for bit in _USAGES}), critical=True)
    for extension, critical in (*extensions, *extra):
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else key
    return Issued(builder.sign(signer, None if isinstance(signer, Ed25519PrivateKey) else digest or SHA256()), key)
