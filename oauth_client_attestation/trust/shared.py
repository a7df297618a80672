"""The secrets shared with attesters (rule T4): from the settings, never from the database or a token."""

from __future__ import annotations

from typing import Any

from ..conf import app_settings
from ..core.keys import SharedSecret
from ..core.results import TrustedKey
from ..models import Attester
from .terms import TERMS, trusted_key


def shared_secrets(application_id: Any) -> list[TrustedKey]:
    """Return the secrets of the attesters trusted for an application that have one.

    The attester's list of signature algorithms says nothing about them: it has no MAC.

    :param application_id: primary key of the application that the attestation claims to be for.
    """
    secrets = app_settings.shared_secrets
    attesters = Attester.objects.trusted_for(application_id).filter(name__in=secrets)
    return [
        trusted_key(SharedSecret(secrets[terms["name"]]), None, **{**terms, "algorithms": []})
        for terms in attesters.values(*TERMS)
        if terms["name"] in secrets  # MariaDB compares without regard to case
    ]
