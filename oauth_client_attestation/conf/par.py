"""Settings: pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from .reader import SettingsReader

DEFAULTS: Final = {
    "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS": False,
    "PUSHED_REQUEST_LIFETIME": 90,
    "PUSHED_REQUEST_DECISION_TIME": 900,
}


class PushedRequestSettings(SettingsReader):
    """Who must push, and how long what was pushed may be used."""

    @cached_property
    def require_pushed_authorization_requests(self) -> bool:
        """``REQUIRE_PUSHED_AUTHORIZATION_REQUESTS``: refuse every authorization request that was not pushed
        (RFC 9126 section 5).

        Also advertised. It holds for every application of the site; to require it of single ones, attested or
        not, there is ``PushedAuthorizationPolicy``.
        """
        return self._switch("REQUIRE_PUSHED_AUTHORIZATION_REQUESTS")

    @cached_property
    def pushed_request_lifetime(self) -> int:
        """``PUSHED_REQUEST_LIFETIME``: seconds within which a browser must arrive with the ``request_uri``, which
        the client is told as ``expires_in`` (RFC 9126 section 2.2).

        Too short, and users of a slow phone see an error page; long ones give somebody who learns a reference
        more time to open it first.
        """
        return self._integer("PUSHED_REQUEST_LIFETIME", 5, 600)

    @cached_property
    def pushed_request_decision_time(self) -> int:
        """``PUSHED_REQUEST_DECISION_TIME``: seconds that a user has from the moment the browser arrived, to log
        in and to decide.

        Only that browser has them. Too short, and a user who resets a password in between starts again.
        """
        return self._integer("PUSHED_REQUEST_DECISION_TIME", 60, 86400)
