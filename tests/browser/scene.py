"""A site that has been in use for a while, to look at. Runs in a process of that site."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, Refusal
from oauth_client_attestation.testing import AttesterBackend, ClientInstance
from oauth_client_attestation.trust.entry import parse_entered_anchors
from oauth_client_attestation.trust.outcomes import FetchOutcome
from oauth_client_attestation.trust.registration import replace_anchors
from tests.certificates import build_ca, distinguished_name, pem
from tests.kit import create_application, register_attester

LONG_NAME = "Bundesweite Arbeitsgemeinschaft der Wallet-Betreiber, Testumgebung für Integratoren"


def build(client_id: str) -> dict[str, int]:
    """Surround a registered client with attesters in every state.

    :return: the primary keys of the rows whose pages are worth a look.
    """
    now = timezone.now()
    policy = AttestationPolicy.objects.get(application__client_id=client_id)
    attester = Attester.objects.get(applications=policy.application)
    attester.name, attester.last_accepted = "Acme", now - timedelta(minutes=3)
    attester.algorithms, attester.max_age = ["ES256", "PS256"], 86400
    attester.required_claims = {"security_level": ["high", "substantial"], "app_version": []}
    attester.save()
    key = attester.keys.get()
    key.not_before, key.not_after = now - timedelta(days=200), now + timedelta(days=12)
    key.save()

    by_url = _by_url("Polytrust", FetchOutcome.OK, AttesterBackend(), AttesterBackend("PS256", "2026-08"))
    _by_url("Unreachable Ltd", FetchOutcome.TIMEOUT, AttesterBackend(key_id="old"))
    _by_url("Never fetched", None)
    by_certificate = _by_certificate("Qualified authority")
    register_attester(AttesterBackend("Ed25519"), LONG_NAME, enabled=False, all_applications=True)

    other = create_application("city-tickets", name="City tickets", policy={"challenge": "optional"})
    by_url.applications.set([other, policy.application])
    _refuse(attester, policy.application, ATTESTATION_EXPIRED=41, POP_SIGNATURE=7, ATTESTATION_CLAIM_VALUE=1)
    _refuse(None, policy.application, ATTESTER_NOT_TRUSTED=3, CHALLENGE_MISSING=2)
    _refuse(None, None, CLIENT_NOT_REGISTERED=1)
    return {
        "keys": attester.pk,
        "url": by_url.pk,
        "certificates": by_certificate.pk,
        "application": policy.application.pk,
        "policy": policy.pk,
        "refusal": Refusal.objects.filter(reason=Reason.POP_SIGNATURE).latest("pk").pk,
    }


def _by_url(name: str, outcome: FetchOutcome | None, *backends: AttesterBackend) -> Attester:
    url = f"https://keys.{name.split()[0].lower()}.example/.well-known/jwks.json"
    asked = timezone.now() - timedelta(minutes=11)
    fetch: dict[str, Any] = {"fetch_attempted_at": asked, "fetch_outcome": outcome} if outcome else {}
    if outcome == FetchOutcome.OK:
        fetch["fetched_at"] = asked
    attester = register_attester(AttesterBackend(), name, keys=False, jwks_uri=url, **fetch)
    for backend in backends:
        attester.keys.create(
            key_id=backend.key_id,
            thumbprint=backend.key.thumbprint(),
            jwk=backend.public_jwk,
            fetched_from=url,
        )
    return attester


def _by_certificate(name: str) -> Attester:
    now = timezone.now()
    last_year, next_year = (now - timedelta(days=365)).timestamp(), (now + timedelta(days=700)).timestamp()
    anchors = (
        build_ca(distinguished_name(f"{name} root 2023"), not_before=last_year, not_after=now.timestamp() - 86400),
        build_ca(distinguished_name(f"{name} root 2026"), not_before=last_year, not_after=next_year),
    )
    attester = register_attester(AttesterBackend(), name, keys=False, issuer="https://attester.example")
    replace_anchors(attester, parse_entered_anchors(pem(*anchors)))
    return attester


def _refuse(attester: Attester | None, application: Any, **reasons: int) -> None:
    now = timezone.now()
    for reason, count in reasons.items():
        Refusal.objects.bulk_create(
            Refusal(
                time=now - timedelta(minutes=7 * number),
                reason=Reason[reason],
                endpoint="/o/token/",
                application=application,
                attester=attester,
                thumbprint=ClientInstance().thumbprint if attester else "",
            )
            for number in range(count)
        )
