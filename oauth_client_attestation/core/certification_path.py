"""The border to the path validation of ``cryptography``: what a certification path must be (RFC 5280 section 6).

The library enforces signatures, versions, the CA flag, ``keyCertSign``, path lengths, name constraints on
alternative names, validity, algorithms (no SHA-1), and refuses critical extensions that it does not know. Its
defaults are those of web servers; they differ here where attesters' certificates do:

- A leaf needs no alternative name: nobody compares one.
- ``extendedKeyUsage`` may be absent, or name any purpose: none is registered for attesters, and ecosystems use
  ``clientAuth``, ones of their own, or none. Refused is one that names nothing but ``serverAuth``,
  ``codeSigning``, ``emailProtection``, ``timeStamping`` and ``OCSPSigning``: under an anchor that issues for many
  purposes, the certificate of a web server would otherwise make its owner an attester. One more purpose beside
  these is enough to be accepted: ``serverAuth`` with ``clientAuth``, or ``anyExtendedKeyUsage``.
- ``keyUsage`` of a leaf, if it has one, includes ``digitalSignature``.
- ``authorityKeyIdentifier`` may be absent, or say more than the key: it helps to find issuers, and ``x5c`` names
  them in order.
- A CA with name constraints on directory names is refused: releases of the library differ in whether they ignore
  those, and none compares subjects with them.

Revocation is not looked up: that would be a request to an address in the certificate, while another request waits.
An operator withdraws an anchor or disables an attester.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

from cryptography.x509 import (
    AuthorityKeyIdentifier,
    Certificate,
    DirectoryName,
    ExtendedKeyUsage,
    ExtensionNotFound,
    ExtensionType,
    KeyUsage,
    NameConstraints,
    SubjectAlternativeName,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store

from .jwk import public_key_of

#: Purposes whose certificates are handed out to, or held by, those who are no attesters.
_OTHER_PURPOSES: Final = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CODE_SIGNING,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    }
)
_Extension = TypeVar("_Extension", bound=ExtensionType)


class UntrustedPath(ValueError):
    """The certificates are no valid certification path."""


def check_signatures(path: Sequence[Certificate]) -> None:
    """Check who signed a path, leaf first, trust anchor last: from the anchor down, with one verification each.

    The library goes from the leaf up, so that strangers could have it verify with every key of their own before
    it meets one of ours. Here no key is used, or even loaded, before a trusted one has signed it.

    :raises UntrustedPath: a certificate is not signed by the next, or its key is not acceptable (A7).
    """
    issuer = path[-1]
    try:
        for certificate in path[-2::-1]:
            certificate.verify_directly_issued_by(issuer)
            public_key_of(certificate.public_key())
            issuer = certificate
    # InvalidSignature has no common base with what an algorithm that is unknown, or does not fit, raises.
    except Exception as error:
        raise UntrustedPath from error


def check_path(path: Sequence[Certificate], moment: datetime) -> None:
    """Check a path: leaf first, trust anchor last.

    Everything but the validity periods is the same at each moment, so one within all of them stands for all. No
    subject appears twice (the caller checks), so there is no other path than the one given.

    :raises UntrustedPath: a rule of RFC 5280 or of this module is broken, or an extension cannot be parsed.
    """
    leaf, *intermediates, anchor = path
    try:
        verifier = _BUILDER.store(Store([anchor])).time(moment).build_client_verifier()
        verifier.verify(leaf, intermediates)
    # Extensions are parsed when they are looked at, and each kind of mistake has its own class.
    except Exception as error:
        raise UntrustedPath from error


def extension(certificate: Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return an extension of a certificate, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def is_for_other_purposes(usage: ExtendedKeyUsage | None) -> bool:
    """Whether a certificate with this extension was issued only for purposes that are not an attester's."""
    return usage is not None and _OTHER_PURPOSES.issuperset(usage)


def constrains_subjects(constraints: NameConstraints | None) -> bool:
    """Whether a CA with this extension is constrained in what the library does not compare: whole subjects."""
    subtrees = constraints and [*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())]
    return any(isinstance(subtree, DirectoryName) for subtree in subtrees or ())


def _check_constraints(_policy: Policy, _certificate: Certificate, constraints: NameConstraints | None) -> None:
    if constrains_subjects(constraints):
        raise UntrustedPath("the library does not compare directory names")


def _check_purposes(_policy: Policy, _certificate: Certificate, usage: ExtendedKeyUsage | None) -> None:
    if is_for_other_purposes(usage):
        raise UntrustedPath("issued for another purpose")


def _check_leaf_usage(_policy: Policy, _certificate: Certificate, usage: KeyUsage | None) -> None:
    if usage is not None and (usage.key_cert_sign or not usage.digital_signature):
        raise UntrustedPath("the leaf's key is not for signatures, or for certificates")


_BUILDER: Final = PolicyBuilder().extension_policies(
    ca_policy=ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(AuthorityKeyIdentifier, Criticality.NON_CRITICAL, None)
    .may_be_present(ExtendedKeyUsage, Criticality.AGNOSTIC, _check_purposes)
    .may_be_present(NameConstraints, Criticality.AGNOSTIC, _check_constraints),
    ee_policy=ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(AuthorityKeyIdentifier, Criticality.NON_CRITICAL, None)
    .may_be_present(ExtendedKeyUsage, Criticality.AGNOSTIC, _check_purposes)
    .may_be_present(KeyUsage, Criticality.AGNOSTIC, _check_leaf_usage)
    .may_be_present(SubjectAlternativeName, Criticality.AGNOSTIC, None),
)
