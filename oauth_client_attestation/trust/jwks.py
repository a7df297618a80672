"""JWK Sets: as an operator enters them (rule T1), strictly, and as an attester publishes them (rule T2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..core.jwk import InvalidKey, PrivateKey, parse_public_key
from ..core.keys import PublicKey
from ..core.strict import MalformedJwt, parse_json_object

MAX_KEYS = 100
_KEY_ID_LENGTH = 255
#: Keys without ``kid`` in a published set. Each is tried on every attestation that names no other.
MAX_UNNAMED_KEYS = 4


@dataclass(frozen=True, slots=True)
class EnteredKey:
    """One public key of a JWK Set, entered or published: what is stored of it."""

    key_id: str
    thumbprint: str
    jwk: dict[str, Any]


def parse_jwks(text: str | bytes) -> list[EnteredKey]:
    """Parse a JWK Set (RFC 7517 section 5), or a single JWK, into the keys to store.

    :raises ValidationError: not JSON, no keys, a private, symmetric, weak or unusable key, or two keys that
        share a ``kid`` or are the same. The message names the key by its position and never shows its value.
    """
    document = _document(text)
    return _distinct(
        {position: _entered_key(position, jwk) for position, jwk in _numbered(document.get("keys", [document]))}
    )


def parse_published_jwks(text: bytes) -> list[EnteredKey]:
    """Parse a JWK Set as an attester publishes it into the keys to store.

    A set serves other purposes too, so keys that are not for verifying a supported signature are passed over
    (RFC 7517 section 5). Private and symmetric keys are not: whoever publishes one must hear of it.

    :raises ValidationError: not a JWK Set, no key that can be used, a private or symmetric key, or two usable keys
        that share a ``kid`` or are the same. The message names the key by its position and never shows its value.
    """
    jwks = _document(text).get("keys")
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise ValidationError(_("It has no member “keys” that is a list of JSON objects."), code="jwks_not_a_set")
    keys: dict[int, EnteredKey] = {}
    passed_over: list[ValidationError] = []
    for position, jwk in _numbered(jwks):
        try:
            keys[position] = _entered_key(position, jwk)
        except ValidationError as error:
            if error.code == "jwk_private":
                raise ValidationError(
                    _("Key %(position)d is private or secret."), code="jwk_private", params={"position": position}
                ) from None
            passed_over.append(error)
    if not keys:
        raise ValidationError(passed_over[0].message, code="jwks_unusable", params=passed_over[0].params)
    if sum(not key.key_id for key in keys.values()) > MAX_UNNAMED_KEYS:
        raise ValidationError(
            _("More than %(most)d of its keys have no “kid”."), code="jwks_unnamed", params={"most": MAX_UNNAMED_KEYS}
        )
    return _distinct(keys)


def _document(text: str | bytes) -> dict[str, Any]:
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        return parse_json_object(encoded.strip())
    except MalformedJwt:
        raise ValidationError(
            _("This is not a JSON object, or one of its members appears twice."), code="jwks_json"
        ) from None


def _numbered(jwks: Any) -> Iterator[tuple[int, Any]]:
    """Return the keys with their positions, as people count."""
    if not isinstance(jwks, list) or not jwks:
        raise ValidationError(_("The member “keys” must be a list with at least one key."), code="jwks_empty")
    if len(jwks) > MAX_KEYS:
        raise ValidationError(
            _("A JWK Set may have at most %(most)d keys."), code="jwks_too_many", params={"most": MAX_KEYS}
        )
    return enumerate(jwks, start=1)


def _entered_key(position: int, jwk: Any) -> EnteredKey:
    try:
        parsed: PublicKey = parse_public_key(jwk)
    except PrivateKey:
        raise ValidationError(
            _(
                "Key %(position)d contains a private or secret key. Never paste it anywhere: keep it with the "
                "attester, consider it compromised, and enter the public key only."
            ),
            code="jwk_private",
            params={"position": position},
        ) from None
    except InvalidKey as error:
        raise ValidationError(
            _("Key %(position)d is not acceptable: %(problem)s."),
            code="jwk_invalid",
            params={"position": position, "problem": str(error)},
        ) from None
    key_id = jwk.get("kid", "")
    if not isinstance(key_id, str) or len(key_id) > _KEY_ID_LENGTH or (key_id and not key_id.isprintable()):
        raise ValidationError(
            _("Key %(position)d has a “kid” that is not a printable string of at most %(most)d characters."),
            code="jwk_kid",
            params={"position": position, "most": _KEY_ID_LENGTH},
        )
    # Nothing but what was validated: the rest says nothing that is used here, and could be anything.
    stored = {**parsed.jwk, **{name: jwk[name] for name in ("alg", "use", "kid") if jwk.get(name)}}
    return EnteredKey(key_id, parsed.thumbprint, stored)


def _distinct(keys: dict[int, EnteredKey]) -> list[EnteredKey]:
    """Return the keys, unless two are the same or share a ``kid``; ``keys`` has them by position."""
    key_ids: dict[str, int] = {}
    thumbprints: dict[str, int] = {}
    for position, key in keys.items():
        if key.thumbprint in thumbprints:
            raise ValidationError(
                _("Key %(position)d is the same key as key %(other)d."),
                code="jwk_duplicate",
                params={"position": position, "other": thumbprints[key.thumbprint]},
            )
        if key.key_id and key.key_id in key_ids:
            raise ValidationError(
                _("Key %(position)d has the same “kid” as key %(other)d."),
                code="jwk_duplicate_kid",
                params={"position": position, "other": key_ids[key.key_id]},
            )
        thumbprints[key.thumbprint] = position
        key_ids[key.key_id] = position
    return list(keys.values())
