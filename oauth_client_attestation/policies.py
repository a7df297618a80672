"""What is demanded of a client: the policies of its application, and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oauth2_provider.models import get_application_model

from .conf import app_settings
from .core.results import Policy
from .instances import database_answers
from .models import AttestationPolicy, AttestationSignalPolicy, DpopPolicy


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """What is demanded of a client: the policies of its application, which is loaded with them."""

    attestation: AttestationPolicy | None = None
    dpop: DpopPolicy | None = None
    signal: AttestationSignalPolicy | None = None
    registered: bool = False

    @classmethod
    def loaded_with(cls, application: Any) -> ClientPolicies:
        """Return those that were loaded with an application; another that it has is asked for."""
        return cls(
            attestation=getattr(application, "client_attestation_policy", None),
            dpop=getattr(application, "dpop_policy", None),
            signal=getattr(application, "client_attestation_signal", None),
            registered=True,
        )

    @property
    def signal_use(self) -> str:
        """Whether an attestation may or must come along with another authentication (S1): ``off`` where neither.

        A client that authenticates by attestation has nothing to signal, nor has one that is not known yet: what its
        metadata document says of it is not fetched before an attestation is verified.
        """
        if self.attestation is not None or not self.registered:
            return "off"
        return app_settings.attestation_signal if self.signal is None else self.signal.use

    @property
    def demand_attestation(self) -> bool:
        """Whether the client gets nothing without an attestation, as its authentication or beside another (B5, S1)."""
        return self.attestation is not None or self.signal_use == "required"


def policies_of(client_id: str) -> ClientPolicies:
    """Return the policies of the application with exactly that client_id, by one query.

    :raises ClientAttestationError: if the database does not answer.
    """
    if "\0" in client_id:  # PostgreSQL cannot even be asked
        return ClientPolicies()
    applications = get_application_model()._base_manager.select_related(
        "client_attestation_policy", "dpop_policy", "client_attestation_signal"
    )
    # Of all applications, whichever a site's own manager leaves out.
    with database_answers():
        application: Any = applications.filter(client_id=client_id).first()
    # MariaDB compares without regard to case, and finds another client than the one that was named.
    if application is None or application.client_id != client_id:
        return ClientPolicies()
    return ClientPolicies.loaded_with(application)


def policy_of(client_id: str) -> AttestationPolicy | None:
    """Return the attestation policy of the application with exactly that client_id, if it has one.

    :raises ClientAttestationError: if the database does not answer.
    """
    return policies_of(client_id).attestation


def core_policy(policy: AttestationPolicy, issuer: str) -> Policy:
    """Return what is demanded of an application, from its policy and the settings.

    :param issuer: of this authorization server.
    """
    return Policy(
        audience=issuer,
        attestation_algorithms=frozenset(app_settings.attestation_algorithms),
        pop_algorithms=frozenset(app_settings.pop_algorithms),
        challenge_required=policy.challenge != AttestationPolicy.Challenge.OPTIONAL,
        clock_skew=app_settings.clock_skew,
        pop_max_age=app_settings.pop_max_age,
        attestation_max_age=app_settings.attestation_max_age,
        oldest_revision=policy.oldest_revision or app_settings.oldest_revision,
    )
