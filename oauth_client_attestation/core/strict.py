"""Reading base64url and JSON strictly (rule A10): what two parsers could read differently is refused unread."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any, Final

#: Levels of nesting in a header or payload. What has a meaning here needs three; claims of others may need more.
_MAX_DEPTH: Final = 200


class MalformedJwt(ValueError):
    """Not a JWS in compact serialization over one strict JSON object (A10)."""


def encode_base64url(octets: bytes) -> str:
    """Encode without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515 section 2). The last character's unused bits may be anything.

    :raises MalformedJwt: padding, white space, or any other character that base64url has not.
    """
    try:
        octets = text.encode("ascii").translate(_BASE64_ALPHABET)
        return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4), strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are
        raise MalformedJwt("not base64url") from error


def parse_json_object(text: bytes) -> dict[str, Any]:
    """Parse one JSON object: no duplicate member, no NaN or infinity, no lone surrogate, not nested too deeply.

    :raises MalformedJwt: otherwise.
    """
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedJwt("not strict JSON") from error
    if not isinstance(value, dict):
        raise MalformedJwt("not a JSON object")
    if text.count(b"[") + text.count(b"{") > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise MalformedJwt("nested too deeply")
    if b"\\u" in text:
        try:  # an escaped lone surrogate makes a string that no encoder, database or log can take
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise MalformedJwt("a string is not Unicode") from error
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested deeper than that. Interpreters differ in what they give up on."""
    level = [value]
    for _ in range(levels):
        containers = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in containers for child in items if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


#: base64url to base64; the characters that only base64 has lead nowhere.
_BASE64_ALPHABET: Final = bytes.maketrans(b"-_+/=", b"+/???")

_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_finite, parse_float=_finite)
