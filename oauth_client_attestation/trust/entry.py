"""What an operator pastes or uploads as keys or trust anchors (rules T1, T3), with an answer for each mistake.

Nothing of it is in a message, since it may be a private key.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..core.anchors import MAX_ANCHORS, MAX_NAMESAKES, AnchorProblem, InvalidAnchor, TrustAnchor, parse_anchors
from ..core.jwk import InvalidKey, public_key_of
from .jwks import MAX_KEYS, EnteredKey, parse_jwks

_BEGIN: Final = re.compile(rb"-----BEGIN ([^\r\n-]*)-----")
_BLOCK: Final = re.compile(rb"-----BEGIN ([^\r\n-]*)-----[^-]*-----END \1-----")
_PUBLIC_LABELS: Final = (b"PUBLIC KEY", b"RSA PUBLIC KEY")

_ANCHOR_PROBLEMS: Final = {
    AnchorProblem.NOT_PEM: gettext_lazy(
        "This is not a certificate in PEM: a block from “-----BEGIN CERTIFICATE-----” to “-----END CERTIFICATE-----”."
    ),
    AnchorProblem.TOO_MANY: gettext_lazy("An attester may have at most %(most)d trust anchors."),
    AnchorProblem.PRIVATE_KEY: gettext_lazy(
        "Block %(position)d is a private key. Never paste it anywhere: keep it with its owner, consider it "
        "compromised, and enter the certificate only."
    ),
    AnchorProblem.NOT_A_CERTIFICATE: gettext_lazy(
        "Block %(position)d is not a certificate. Public keys belong under “Keys”."
    ),
    AnchorProblem.UNREADABLE: gettext_lazy("Certificate %(position)d cannot be read, or is too large."),
    AnchorProblem.NOT_A_CA: gettext_lazy(
        "Certificate %(position)d is not one of an authority: it has no critical basicConstraints with the CA flag."
    ),
    AnchorProblem.KEY_USAGE: gettext_lazy(
        "Certificate %(position)d may not sign certificates: its keyUsage is missing or without keyCertSign."
    ),
    AnchorProblem.PURPOSE: gettext_lazy(
        "Certificate %(position)d was issued for other purposes only, such as web servers (extendedKeyUsage)."
    ),
    AnchorProblem.NAME_CONSTRAINTS: gettext_lazy(
        "Certificate %(position)d constrains the names of subjects, which cannot be enforced."
    ),
    AnchorProblem.UNSUPPORTED_KEY: gettext_lazy(
        "Certificate %(position)d has a key that is neither RSA nor EC over P-256, P-384 or P-521."
    ),
    AnchorProblem.WEAK_KEY: gettext_lazy("Certificate %(position)d has an RSA key below 2048 or above 8192 bits."),
    AnchorProblem.DUPLICATE: gettext_lazy("Certificate %(position)d is there twice."),
    AnchorProblem.NAMESAKES: gettext_lazy(
        "Certificate %(position)d is one of more than %(namesakes)d with the same subject, of which not all would be "
        "tried."
    ),
}


def parse_entered_keys(entered: str | bytes) -> list[EnteredKey]:
    """Parse a JWK Set, a single JWK, or public keys in PEM (RFC 7468 section 13) into the keys to store.

    Keys in PEM have no ``kid``: they are tried for any.

    :raises ValidationError: as :func:`.jwks.parse_jwks`; a PEM block that is no public key, or does not end.
    """
    octets = _octets(entered)
    if octets.lstrip().startswith(b"{") or b"-----BEGIN" not in octets:
        return parse_jwks(octets)
    return parse_jwks(json.dumps({"keys": _pem_jwks(octets)}))


def parse_entered_anchors(entered: str | bytes) -> list[TrustAnchor]:
    """Parse certificates in PEM into the trust anchors to store.

    :raises ValidationError: for the first mistake, its code an :class:`~..core.anchors.AnchorProblem`.
    """
    try:
        return parse_anchors(_octets(entered))
    except InvalidAnchor as error:
        code = AnchorProblem(error.code)
        raise ValidationError(
            _ANCHOR_PROBLEMS[code],
            code=str(code),
            params={"position": error.position, "most": MAX_ANCHORS, "namesakes": MAX_NAMESAKES},
        ) from None


def _octets(entered: str | bytes) -> bytes:
    octets = entered.encode("utf-8", "surrogatepass") if isinstance(entered, str) else entered
    return octets.removeprefix(codecs.BOM_UTF8)  # editors still write it


def _pem_jwks(octets: bytes) -> list[dict[str, str]]:
    labels = _BEGIN.findall(octets)
    for position, label in enumerate(labels, start=1):
        if b"PRIVATE" in label:
            raise ValidationError(
                _(
                    "Block %(position)d is a private key. Never paste it anywhere: keep it with the attester, "
                    "consider it compromised, and enter the public key only."
                ),
                code="jwk_private",
                params={"position": position},
            )
    blocks = list(_BLOCK.finditer(octets))
    if len(blocks) != len(labels):
        raise ValidationError(_("A PEM block has no end, or contains something else than base64."), code="pem_block")
    if len(blocks) > MAX_KEYS:
        raise ValidationError(_("There may be at most %(most)d keys."), code="pem_too_many", params={"most": MAX_KEYS})
    return [_pem_jwk(position, block) for position, block in enumerate(blocks, start=1)]


def _pem_jwk(position: int, block: re.Match[bytes]) -> dict[str, str]:
    params: dict[str, Any] = {"position": position}
    if block[1] == b"CERTIFICATE":
        raise ValidationError(
            _(
                "Block %(position)d is a certificate. That of an authority belongs under “Trust anchors”; of another "
                "enter the public key."
            ),
            code="pem_certificate",
            params=params,
        )
    if block[1] not in _PUBLIC_LABELS:
        raise ValidationError(_("Block %(position)d is not a public key."), code="pem_label", params=params)
    try:
        key = public_key_of(load_pem_public_key(block[0]))
    except InvalidKey as error:
        raise ValidationError(
            _("Key %(position)d is not acceptable: %(problem)s."),
            code="jwk_invalid",
            params={**params, "problem": str(error)},
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValidationError(_("Block %(position)d cannot be read."), code="pem_unreadable", params=params) from None
    return dict(key.jwk)
