"""What was given to an instance may be used by that instance alone (rules B1 to B4).

A binding is written in the transaction that issues what it binds, and asked for before django-oauth-toolkit looks
at what is presented: its own validation revokes a family of tokens before it compares the client. Every function
works in the database of the tokens, where the truth is.
"""

from __future__ import annotations

import base64
import hashlib
import math
import time
from typing import Any, Final

from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

from .core.errors import Reason
from .instances import database
from .models import (
    AccessTokenBinding,
    AuthorizationCodeBinding,
    ClientInstance,
    DeviceCodeBinding,
    IdTokenBinding,
    RefreshTokenBinding,
)

#: Seconds by which the binding of a device code outlives the code, whose row is made a moment later.
_DEVICE_CODE_MARGIN: Final = 60


def bind_access_token(access_token: Any, instance: ClientInstance) -> None:
    """Record that an access token was issued to an instance."""
    AccessTokenBinding.objects.using(database()).create(access_token=access_token, instance=instance)


def bind_refresh_token(refresh_token: Any, instance: ClientInstance) -> None:
    """Record that a refresh token was issued to an instance (B1)."""
    RefreshTokenBinding.objects.using(database()).create(refresh_token=refresh_token, instance=instance)


def bind_id_token(id_token: Any, instance: ClientInstance) -> None:
    """Record that an ID token was issued to an instance."""
    IdTokenBinding.objects.using(database()).create(id_token=id_token, instance=instance)


def bind_authorization_code(code: Any, instance: ClientInstance) -> None:
    """Record that the authorization request of a code was pushed by an instance (B3).

    :param code: the row of the code.
    """
    AuthorizationCodeBinding.objects.using(database()).create(code=code, instance=instance)


def bind_device_code(device_code: str, instance: ClientInstance, *, expires_in: int) -> None:
    """Record that an instance asked for a device code (B4).

    :param expires_in: seconds for which the code is good.
    """
    DeviceCodeBinding.objects.using(database()).create(
        digest=_digest(device_code),
        instance=instance,
        application_id=instance.application_id,
        valid_until=math.ceil(time.time()) + expires_in + _DEVICE_CODE_MARGIN,
    )


def refresh_token_refusal(
    refresh_token: str, *, application_id: Any, instance: ClientInstance | None, attested: bool
) -> Reason | None:
    """Say why a refresh token may not be used by whoever presents it, or None if no binding stands against it.

    :param application_id: primary key of the client.
    :param instance: the record of the attested instance; None for one that holds nothing, and for other clients.
    :param attested: whether the client was authenticated by attestation.
    """
    checksum = hashlib.sha256(refresh_token.encode("utf-8")).hexdigest()
    tokens = get_refresh_token_model().objects.using(database()).filter(token_checksum=checksum)
    # A token that was not rotated may have several rows; each has to be this instance's.
    for owner, bound_to in tokens.values_list("application_id", "client_attestation_binding__instance_id"):
        if bound_to is not None and (instance is None or bound_to != instance.pk):  # B1
            return Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE
        if bound_to is None and attested and owner == application_id:  # B2
            return Reason.REFRESH_TOKEN_UNBOUND
    return None


def revoked_meanwhile(refresh_token: Any) -> bool:
    """Whether a refresh token that was found good has been revoked since, its instance being locked now.

    One that has been used since is good: the host answers with what its first use was answered with.
    """
    live = get_refresh_token_model().objects.using(database()).filter(pk=refresh_token.pk, revoked__isnull=True)
    used = get_access_token_model().objects.using(database()).filter(source_refresh_token_id=refresh_token.pk)
    return not live.exists() and not used.exists()


def code_refusal(
    code: str, *, application_id: Any, instance: ClientInstance | None, attested: bool, all_must_push: bool
) -> Reason | None:
    """Say why an authorization code may not be redeemed by whoever presents it (B3).

    A code without a binding comes from an authorization request that no instance has pushed.

    :param application_id: primary key of the client.
    :param attested: whether the client was authenticated by attestation.
    :param all_must_push: whether pushing is required of every application; of single ones, a policy requires it.
    """
    codes = get_grant_model().objects.using(database()).filter(code=code)
    for owner, bound_to, policy in codes.values_list(
        "application_id",
        "client_attestation_binding__instance_id",
        "application__pushed_authorization_policy__pk",
    ):
        if bound_to is not None and (instance is None or bound_to != instance.pk):
            return Reason.CODE_OF_ANOTHER_INSTANCE
        if bound_to is None and attested and owner == application_id and (all_must_push or policy is not None):
            return Reason.CODE_UNBOUND
    return None


def device_code_refusal(device_code: str, *, instance: ClientInstance | None, attested: bool) -> Reason | None:
    """Say why a device code may not be used by whoever presents it (B4).

    :param device_code: as it is stored, where it is: MariaDB finds it in another case too.
    """
    binding = DeviceCodeBinding.objects.using(database()).filter(pk=_digest(device_code)).first()
    if binding is None:
        return Reason.DEVICE_CODE_UNBOUND if attested else None
    if instance is None or binding.instance_id != instance.pk:
        return Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE
    return Reason.DEVICE_CODE_REVOKED if binding.revoked else None


def forget_device_codes(*, now: float) -> int:
    """Delete the bindings of device codes that can no longer be redeemed at ``now``; return how many."""
    return DeviceCodeBinding.objects.using(database()).filter(valid_until__lt=math.floor(now)).delete()[0]


def _digest(device_code: str) -> str:
    digest = hashlib.sha256(device_code.encode("utf-8")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
