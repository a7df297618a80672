"""Authorization codes that another request redeems at the same moment.

The host asks for their row again and again, and deletes it once the tokens are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_grant_model
from oauthlib.oauth2 import InvalidGrantError

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class AuthorizationCodeValidatorMixin(_Validator):
    """For ``OAuth2Validator``: of two requests that redeem a code one is given tokens, and none a server error (E7)."""

    def _save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Delete the code in the transaction that stores its tokens, which are not stored if it is gone by then.

        :raises InvalidGrantError: then.
        """
        super()._save_bearer_token(token, request, *args, **kwargs)
        if request.grant_type == "authorization_code":
            self.invalidate_authorization_code(request.client_id, request.code, request)
            request.code_redeemed = True

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        """Delete a code, unless this request has; oauthlib asks for it after the tokens are stored.

        :raises InvalidGrantError: if it is gone.
        """
        if not vars(request).get("code_redeemed"):  # not by getattr, which would ask the parameters
            super().invalidate_authorization_code(client_id, code, request, *args, **kwargs)

    def get_code_challenge(self, code: str, request: Any) -> Any:
        with _code_may_be_gone():
            return super().get_code_challenge(code, request)

    def get_code_challenge_method(self, code: str, request: Any) -> Any:
        with _code_may_be_gone():
            return super().get_code_challenge_method(code, request)

    def confirm_redirect_uri(self, *args: Any, **kwargs: Any) -> bool:
        with _code_may_be_gone():
            return bool(super().confirm_redirect_uri(*args, **kwargs))


@contextmanager
def _code_may_be_gone() -> Iterator[None]:
    try:
        yield
    except get_grant_model().DoesNotExist as error:
        raise InvalidGrantError from error
