"""What is bound to a key, and to which (rules D6, D7).

Every function works in the database of the tokens, where the truth is: a confirmation that a replica does not have yet
would make a bound token a bearer token.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from .core.errors import Reason
from .instances import database
from .models import (
    AccessTokenConfirmation,
    AuthorizationCodeConfirmation,
    IdTokenConfirmation,
    RefreshTokenConfirmation,
)


def confirm_access_token(access_token: Any, thumbprint: str) -> None:
    """Bind an access token, which has just been made, to a key."""
    AccessTokenConfirmation.objects.using(database()).create(access_token=access_token, thumbprint=thumbprint)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """That there is such a token now, and the thumbprint of the key that it is bound to; None: to none.

    Asked by one query. Two could have the token's row go in between, and its confirmation with it: a bound token would
    be taken for one that is bound to none.
    """

    bound_to: str | None


def confirm_again(access_token: str, thumbprint: str | None) -> None:
    """Bind an access token, whose row may have stood for another one before, to a key or to none.

    :param access_token: its value.
    """
    pk = _by_value(access_token).values_list("pk", flat=True).get()
    confirmations = AccessTokenConfirmation.objects.using(database())
    if thumbprint is None:
        confirmations.filter(pk=pk).delete()
    else:
        confirmations.update_or_create(pk=pk, defaults={"thumbprint": thumbprint})


def confirm_refresh_token(refresh_token: Any, thumbprint: str) -> str:
    """Bind a refresh token to a key, unless it is bound, and return the thumbprint of the key that it is bound to.

    :param refresh_token: its row, which has just been made, or is being used again.
    """
    confirmations = RefreshTokenConfirmation.objects.using(database())
    confirmation, _ = confirmations.get_or_create(pk=refresh_token.pk, defaults={"thumbprint": thumbprint})
    return confirmation.thumbprint


def confirm_id_token(id_token: Any, thumbprint: str) -> None:
    """Bind an ID token, which has just been made, to a key."""
    IdTokenConfirmation.objects.using(database()).create(id_token=id_token, thumbprint=thumbprint)


def confirm_code(code: Any, thumbprint: str) -> None:
    """Bind an authorization code, which has just been made, to a key.

    :param code: its row.
    """
    AuthorizationCodeConfirmation.objects.using(database()).create(code=code, thumbprint=thumbprint)


def stored_access_token(access_token: str) -> StoredToken | None:
    """Return what an access token is bound to; None if there is no such token, or none any more.

    :param access_token: its value.
    """
    return _stored(_by_value(access_token))


def stored_id_token(id_token: Any) -> StoredToken | None:
    """The same of an ID token.

    :param id_token: its row, as it was found a moment ago.
    """
    return _stored(get_id_token_model().objects.using(database()).filter(pk=id_token.pk))


def refresh_token_refusal(refresh_token: str, thumbprint: str | None) -> Reason | None:
    """Say why a refresh token may not be used by whoever presents it, or None if no key stands against it.

    :param thumbprint: of the key that was proven along with it; None: there was no proof.
    """
    checksum = hashlib.sha256(refresh_token.encode("utf-8")).hexdigest()
    tokens = get_refresh_token_model().objects.using(database()).filter(token_checksum=checksum)
    # A token that was not rotated may have several rows.
    keys = set(tokens.values_list("dpop_confirmation__thumbprint", flat=True)) - {None}
    return Reason.REFRESH_TOKEN_OF_ANOTHER_KEY if keys - {thumbprint} else None


def code_refusal(code: str, thumbprint: str | None) -> Reason | None:
    """The same of an authorization code (D7)."""
    codes = get_grant_model().objects.using(database()).filter(code=code)
    keys = set(codes.values_list("dpop_confirmation__thumbprint", flat=True)) - {None}
    return Reason.CODE_OF_ANOTHER_KEY if keys - {thumbprint} else None


def _stored(rows: QuerySet[Any]) -> StoredToken | None:
    row = rows.values_list("dpop_confirmation__thumbprint").first()
    return None if row is None else StoredToken(*row)


def _by_value(access_token: str) -> QuerySet[Any]:
    checksum = hashlib.sha256(access_token.encode("utf-8")).hexdigest()
    rows: QuerySet[Any] = get_access_token_model().objects.using(database()).filter(token_checksum=checksum)
    return rows
