"""The key of an attestation by its certificate chain, the ``x5c`` header (rule T3)."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography.x509 import Certificate, load_der_x509_certificate

from .anchors import MAX_CERTIFICATE_OCTETS, TrustAnchor, name_digest
from .certification_path import UntrustedPath, check_path, check_signatures
from .errors import ClientAttestationError, Reason
from .jwk import public_key_of
from .keys import PublicKey

#: In one ``x5c``. Ecosystems use one to three.
MAX_CERTIFICATES: Final = 5
_MAX_ENCODED_LENGTH: Final = 4 * -(-MAX_CERTIFICATE_OCTETS // 3)

#: First and last moment at which a path is valid, seconds since the epoch.
_Window: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Link:
    """A certificate of the chain, with what the library parses late: nothing of it is verified.

    :ivar subject: as of :func:`~.anchors.name_digest`, and so is
    :ivar issuer: what it claims.
    """

    certificate: Certificate
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class CertificateChain:
    """The certificates of one ``x5c`` as parsed. Nothing of it may be believed before :meth:`verify` returns.

    :ivar x5c: the header parameter.
    :ivar key: of the first certificate: an acceptable one (A7), whoever made it.
    :ivar last_key: of the last one, where that is self-issued.
    """

    x5c: tuple[str, ...]
    links: tuple[_Link, ...] = field(compare=False, repr=False)
    key: PublicKey = field(compare=False)
    last_key: PublicKey | None = field(compare=False)
    # What came of each anchor, so that one which several attesters have is tried once.
    _tried: dict[TrustAnchor, _Window | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def issuer(self) -> str:
        """The digest of the name that the anchor must have."""
        return self.links[-1].issuer

    @property
    def names(self) -> frozenset[str]:
        """The digests of all names: an anchor with another one has nothing to do with this chain."""
        return frozenset({self.issuer, *(link.subject for link in self.links)})

    def verify(self, *, anchors: Sequence[TrustAnchor], now: float) -> PublicKey:
        """Return the key of the first certificate, if an anchor vouches for it.

        An attester sends the same chain with every attestation, so a verified one is remembered; whether it is
        valid now is looked at each time.

        :param anchors: of one attester. An anchor that is no longer passed is no longer believed. Each that has
            the name of the chain's issuer costs at least one verification of a signature, and no other any.
        :param now: the current time, in seconds since the epoch. Clock skew is not allowed for: certificates are
            made long before they are used.
        :raises ClientAttestationError: with one of the reasons ``ATTESTATION_X5C_…``: not each certificate names
            the next as its issuer; an anchor is included, or the leaf is self-signed (HAIP 1.0); a certificate
            on the way, the anchor's too, is not valid now; no path leads to an anchor, or it breaks a rule of
            :mod:`.certification_path`, or a key is not acceptable (A7).
        """
        self._check_order(anchors)
        windows = [window for anchor in anchors if (window := self._window(anchor)) is not None]
        if not windows:
            raise ClientAttestationError(Reason.ATTESTATION_X5C_NOT_TRUSTED)
        if not any(not_before <= now <= not_after for not_before, not_after in windows):
            raise ClientAttestationError(Reason.ATTESTATION_X5C_EXPIRED)
        return self.key

    def _check_order(self, anchors: Sequence[TrustAnchor]) -> None:
        """Refuse an included anchor, a self-signed leaf, and any order but leaf first and each issued by the next."""
        certificates = {anchor.certificate for anchor in anchors}
        # An anchor that was renewed is another certificate, but the same name with the same key.
        renewed = any((self.issuer, self.last_key) == (anchor.subject_digest, anchor.key) for anchor in anchors)
        if renewed or any(link.certificate in certificates for link in self.links):
            raise ClientAttestationError(Reason.ATTESTATION_X5C_ANCHOR_INCLUDED)
        if self.links[0].subject == self.links[0].issuer:
            raise ClientAttestationError(Reason.ATTESTATION_X5C_SELF_SIGNED)
        if [link.subject for link in self.links[1:]] != [link.issuer for link in self.links[:-1]]:
            raise ClientAttestationError(Reason.ATTESTATION_X5C_MALFORMED)
        # Where a name comes twice, there is more than one path to try, and a path that leaves certificates out.
        if len(self.names) <= len(self.links):
            raise ClientAttestationError(Reason.ATTESTATION_X5C_NOT_TRUSTED)

    def _window(self, anchor: TrustAnchor) -> _Window | None:
        """Return when the path to an anchor is valid, or None: there is no such path."""
        if anchor.subject_digest != self.issuer:
            return None
        if anchor not in self._tried:
            try:
                self._tried[anchor] = _verified(self, anchor)
            except UntrustedPath:
                self._tried[anchor] = None
        return self._tried[anchor]


def parse_chain(x5c: object) -> CertificateChain:
    """Parse the header parameter ``x5c`` (RFC 7515 section 4.1.6), verifying nothing.

    :param x5c: as parsed from JSON.
    :raises ClientAttestationError: ``ATTESTATION_X5C_MALFORMED``: it is not a list of one to five certificates;
        ``ATTESTATION_X5C_NOT_TRUSTED``: the key of the first is not acceptable (A7).
    """
    if not isinstance(x5c, list) or not 1 <= len(x5c) <= MAX_CERTIFICATES:
        raise ClientAttestationError(Reason.ATTESTATION_X5C_MALFORMED)
    if not all(isinstance(encoded, str) and len(encoded) <= _MAX_ENCODED_LENGTH for encoded in x5c):
        raise ClientAttestationError(Reason.ATTESTATION_X5C_MALFORMED)
    links = tuple(map(_link, x5c))
    key = _key(links[0])
    last_key = _key(links[-1]) if links[-1].subject == links[-1].issuer else None
    return CertificateChain(tuple(x5c), links, key, last_key)


def _link(encoded: str) -> _Link:
    try:
        certificate = load_der_x509_certificate(binascii.a2b_base64(encoded, strict_mode=True))
        return _Link(
            certificate,
            name_digest(certificate.subject),
            name_digest(certificate.issuer),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    # Each kind of malformed certificate has a class of its own, often without a common base.
    except Exception as error:
        raise ClientAttestationError(Reason.ATTESTATION_X5C_MALFORMED) from error


def _key(link: _Link) -> PublicKey:
    try:
        return public_key_of(link.certificate.public_key())
    # As above, and UnsupportedAlgorithm.
    except Exception as error:
        raise ClientAttestationError(Reason.ATTESTATION_X5C_NOT_TRUSTED) from error


@lru_cache(maxsize=128)
def _verified(chain: CertificateChain, anchor: TrustAnchor) -> _Window:
    """Verify everything but the time. Refusals are not remembered, so strangers cannot flush the memory."""
    path = [*(link.certificate for link in chain.links), anchor.certificate]
    check_signatures(path)
    not_before = max(anchor.not_before, *(link.not_before for link in chain.links))
    not_after = min(anchor.not_after, *(link.not_after for link in chain.links))
    if not_before <= not_after:  # or there is no moment to check it at, and none at which it is believed
        check_path(path, not_before)
    return not_before.timestamp(), not_after.timestamp()
