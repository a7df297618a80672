"""Why an authorization request is refused over how it came: not pushed, or pushed and no longer good."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

logger = logging.getLogger("oauth_client_attestation")


class PushedRequestReason(StrEnum):
    """For the log: names are added and never changed. The browser sees one sentence for all but the last."""

    UNKNOWN = "pushed_request_unknown"
    FOREIGN = "pushed_request_foreign"
    USED = "pushed_request_used"
    EXPIRED = "pushed_request_expired"
    REQUIRED = "pushed_request_required"


class PushedRequestRefused(Exception):
    """A ``request_uri`` cannot be used.

    :ivar reason: the private :class:`PushedRequestReason`.
    :ivar application_id: primary key of the application that pushed it, None if nobody did.
    """

    def __init__(self, reason: PushedRequestReason, application_id: Any = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.application_id = application_id


def report(reason: PushedRequestReason, application_id: Any) -> None:
    """Log a refusal. The record has the facts as attributes too, named as those of refused attestations."""
    facts = {"reason": str(reason), "application": application_id}
    logger.warning(
        "Authorization request refused: reason=%(reason)s application=%(application)s",
        facts,
        extra={f"client_attestation_{name}": value for name, value in facts.items()},
    )
