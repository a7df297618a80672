"""What a browser that has arrived with a ``request_uri`` takes along while its user logs in and decides."""

from __future__ import annotations

import math
from typing import Final

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase

from ..conf import app_settings
from ..models import PushedAuthorizationRequest
from .logins import has_logged_in, milliseconds

_PREFIX: Final = "oauth_pushed_"
#: The most cookies of visits in one browser. Any site can send it here again and again, and servers refuse requests
#: with many of them.
MAX_VISITS: Final = 8


class Visit:
    """A signed cookie, and not the session, which is emptied when another user logs in.

    It says when the browser arrived and, once its user was sent to log in because the client had asked for that
    (``prompt=login``), when that was. Its signature names the pushed request, so it is good for no other. It says
    nothing of the user.
    """

    def __init__(self, request: HttpRequest, pushed: PushedAuthorizationRequest) -> None:
        self._request, self._pushed = request, pushed
        self._name = f"{_PREFIX}{pushed.digest[:16]}"
        self._salt = f"oauth_client_attestation.par.visit.{pushed.digest}"
        self._arrived, self._prompted = self._read()
        self._changed = self._over = False

    def goes_on(self, *, now: float) -> bool:
        """Whether this browser has arrived before, and its user still has time to decide."""
        return now - self._arrived <= app_settings.pushed_request_decision_time

    def arrive(self, *, now: float) -> None:
        """Note that the browser has arrived in time."""
        if not self._arrived:
            self._arrived, self._changed = math.ceil(now), True

    @property
    def was_prompted(self) -> bool:
        """Whether the user was sent to log in."""
        return bool(self._prompted)

    def prompt(self, *, now: float) -> None:
        """Note that the user is being sent to log in, for the first time or again."""
        if not self._prompted:
            self._prompted, self._changed = milliseconds(now), True

    def query(self) -> QueryDict:
        """Return the pushed parameters, without a ``prompt=login`` that the user has followed in this browser."""
        followed = self.was_prompted and has_logged_in(self._request, since=self._prompted)
        query = QueryDict(mutable=True)
        for name, value in self._pushed.parameters:
            if name == "prompt" and followed:
                value = " ".join(prompt for prompt in value.split() if prompt != "login")
            query.appendlist(name, value)
        query._mutable = False
        return query

    def end(self) -> None:
        """Note that the request is used up."""
        self._over = True

    def write(self, response: HttpResponseBase) -> None:
        """Give the browser what has changed, and take from it what is over and the oldest of too many."""
        path = self._request.path
        if self._over:
            response.delete_cookie(self._name, path=path, samesite="Lax")
        elif self._changed:
            response.set_signed_cookie(
                self._name,
                f"{self._arrived}.{self._prompted}",
                salt=self._salt,
                max_age=app_settings.pushed_request_decision_time,
                path=path,
                secure=self._request.is_secure(),
                httponly=True,
                samesite="Lax",
            )
        for name in self._too_many():
            response.delete_cookie(name, path=path, samesite="Lax")

    def _too_many(self) -> list[str]:
        cookies = self._request.COOKIES
        others = [name for name in cookies if name.startswith(_PREFIX) and name != self._name]
        # The value begins with the time of arrival. What else a browser may have been given there sorts somewhere.
        return sorted(others, key=lambda name: cookies[name], reverse=True)[MAX_VISITS - 1 :]

    def _read(self) -> tuple[int, int]:
        value = self._request.get_signed_cookie(self._name, default="0.0", salt=self._salt) or "0.0"
        arrived, _, prompted = value.partition(".")
        return int(arrived), int(prompted)
