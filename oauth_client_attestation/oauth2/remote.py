"""Access tokens of another authorization server, by introspection (RFC 7662), with the key they are bound to (D6).

The host asks too, but forgets ``cnf``: a bound token would be a bearer token here.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import requests
from django.conf import settings
from django.db import DataError, transaction
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from ..confirmations import confirm_again
from ..core import wire
from ..core.attestation import MAX_CLIENT_ID_LENGTH
from ..core.strict import MalformedJwt, parse_json_object
from ..instances import database
from ..models import IntrospectedToken

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object

logger = logging.getLogger("oauth_client_attestation")

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
#: Seconds that the other server has for its answer.
TIMEOUT: Final = 10


class UnusableAnswer(ValueError):
    """The other server's answer does not say what it has to, or says it in a way that cannot be relied on."""


class RemoteTokenMixin(_Validator):
    """For ``OAuth2Validator`` where ``RESOURCE_SERVER_INTROSPECTION_URL`` is set."""

    def _get_token_from_authentication_server(
        self, token: str, introspection_url: str, introspection_token: str | None, introspection_credentials: Any
    ) -> Any:
        """Ask the other server about a token, and keep what it says for as long as the settings allow.

        :return: the token's row, or None where the token is not to be believed in.
        """
        answer = _ask(token, introspection_url, introspection_token, introspection_credentials)
        if answer is None or answer.get("active") is not True:
            return None
        try:
            thumbprint = _confirmed_key(answer)
            fields = {"resource": _audience(answer), "expires": _expiry(answer), "scope": _text(answer, "scope")}
            client_id = _client_id(answer)
            user = self.get_or_create_user_from_content(answer) if _text(answer, "username") else None
        except UnusableAnswer as error:
            logger.warning("An introspected token is refused: %s", error)
            return None
        except DataError:
            logger.exception("An introspected token is refused: its user cannot be stored.")
            return None
        stored = "" if oauth2_settings.COMPLIANT_BCP_RFC9700_TOKEN_STORAGE else token
        checksum = hashlib.sha256(token.encode("utf-8")).hexdigest()
        with transaction.atomic(using=database()):
            row, _ = (
                get_access_token_model()
                .objects.using(database())
                .update_or_create(
                    token_checksum=checksum, defaults={"token": stored, "user": user, "application": None, **fields}
                )
            )
            if thumbprint is not None:  # one that was bound stays so, whatever is said of it later
                confirm_again(token, thumbprint)
            IntrospectedToken.objects.using(database()).update_or_create(
                access_token=row, defaults={"client_id": client_id}
            )
        return row


def _ask(token: str, url: str, bearer: str | None, credentials: Any) -> Mapping[str, Any] | None:
    """Return the answer, or None where there is none to be had."""
    authorization: dict[str, Any] = {}
    if bearer:
        authorization["headers"] = {"Authorization": f"Bearer {bearer}"}
    elif credentials:
        user_name, password = (text.encode("utf-8") for text in credentials)
        encoded = base64.b64encode(user_name + b":" + password).decode("ascii")
        authorization["headers"] = {"Authorization": f"Basic {encoded}"}
    try:
        response = requests.post(url, data={"token": token}, timeout=TIMEOUT, allow_redirects=False, **authorization)
    except requests.RequestException:
        logger.exception("The introspection endpoint does not answer; the token is refused.")
        return None
    if response.status_code != requests.codes.ok:
        logger.error("The introspection endpoint answers with %s; the token is refused.", response.status_code)
        return None
    try:
        return parse_json_object(response.content)
    except MalformedJwt as error:
        logger.error("The introspection endpoint's answer is %s; the token is refused.", error)
        return None


def _confirmed_key(answer: Mapping[str, Any]) -> str | None:
    """Return the thumbprint of the key that the token is bound to, None for a bearer token.

    A binding that is not understood here cannot be checked, so the token cannot be used.
    """
    confirmation = answer.get("cnf")
    if confirmation is None:
        if str(answer.get("token_type", "")).lower() == wire.DPOP_SCHEME.lower():
            raise UnusableAnswer("its type is DPoP and it names no key")
        return None
    thumbprint = confirmation.get("jkt") if isinstance(confirmation, dict) and len(confirmation) == 1 else None
    if not isinstance(thumbprint, str) or not _THUMBPRINT.fullmatch(thumbprint):
        raise UnusableAnswer("it is confirmed by something else than a key's thumbprint")
    return thumbprint


def _audience(answer: Mapping[str, Any]) -> list[str]:
    """Return whom the token is for; what cannot be read must not mean everybody."""
    audience = answer.get("aud", [])
    values = [audience] if isinstance(audience, str) else audience
    if not isinstance(values, list) or not all(isinstance(value, str) and _is_storable(value) for value in values):
        raise UnusableAnswer("its audience is neither a string nor a list of strings")
    return values


def _expiry(answer: Mapping[str, Any]) -> datetime:
    """Return until when the answer is believed: the token's end, or the end of the time it is kept for."""
    latest = datetime.now(UTC) + timedelta(seconds=oauth2_settings.RESOURCE_SERVER_TOKEN_CACHING_SECONDS)
    claimed = answer.get("exp")
    if claimed is None:
        expires = latest
    elif isinstance(claimed, bool) or not isinstance(claimed, int | float) or not 0 <= claimed < 2**33:
        raise UnusableAnswer("its expiry is not a time")
    else:
        expires = min(datetime.fromtimestamp(claimed, tz=UTC), latest)
    return expires if settings.USE_TZ else timezone.make_naive(expires)


def _text(answer: Mapping[str, Any], name: str) -> str:
    """Return a member that is a string, or the empty one where there is none."""
    value = answer.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not _is_storable(value):
        raise UnusableAnswer(f"its {name} is not a string")
    return value


def _client_id(answer: Mapping[str, Any]) -> str:
    """Return whom the token was issued to; empty where the answer does not say."""
    client_id = _text(answer, "client_id")
    if len(client_id) > MAX_CLIENT_ID_LENGTH:
        raise UnusableAnswer("its client_id is too long")
    return client_id


def _is_storable(value: str) -> bool:
    return "\0" not in value  # which PostgreSQL cannot store
