"""When the user of a session has logged in, which is what ``prompt=login`` is about."""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

_SESSION_KEY: Final = "oauth_client_attestation_login"


@receiver(user_logged_in, dispatch_uid="oauth_client_attestation.par.logins")
def note_login(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Note in the session who has logged in, and when: ``last_login`` would count a login on another device."""
    session = getattr(request, "session", None)
    if session is not None:
        session[_SESSION_KEY] = [str(user.pk), milliseconds(time.time())]


def has_logged_in(request: HttpRequest, *, since: int) -> bool:
    """Whether the user of this session has logged in to it at ``since``, in milliseconds, or later."""
    user, session = request.user, getattr(request, "session", None)
    if session is None or not user.is_authenticated:
        return False
    who, when = session.get(_SESSION_KEY, ("", -1))
    return bool(who == str(user.pk) and when >= since)


def milliseconds(seconds: float) -> int:
    """Return a time as sessions and cookies keep it. Rounded down on both sides, it keeps what came first first."""
    return int(seconds * 1000)
