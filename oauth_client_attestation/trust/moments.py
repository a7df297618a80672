"""Times as the database takes and gives them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.utils.timezone import get_default_timezone, is_aware, make_aware, make_naive


def stored_time(moment: float | datetime) -> datetime:
    """Return a time as the site stores them: without a time zone where ``USE_TZ`` is off.

    :param moment: in seconds since the epoch, or with a time zone.
    """
    aware = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return aware if settings.USE_TZ else make_naive(aware, get_default_timezone())


def aware_time(stored: datetime) -> datetime:
    """Return a time that came from the site with its time zone, which it lacks where ``USE_TZ`` is off."""
    return stored if is_aware(stored) else make_aware(stored, get_default_timezone())
