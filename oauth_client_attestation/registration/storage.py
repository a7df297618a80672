"""What is stored of a client that registered itself: its policy, what it said, and who may vouch for it (K1, B5)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError

from ..core.results import Evidence
from ..instances import database
from ..models import AttestationPolicy, Attester, AttesterApplication, ClientRegistration
from .client_metadata import AttestationMetadata, InvalidClientMetadata

logger = logging.getLogger("oauth_client_attestation")


def store(
    application: Any, said: AttestationMetadata, *, attesters: Collection[str], evidence: Evidence | None = None
) -> None:
    """Make the stored state what a client has said, in the caller's transaction.

    A client that must be attested stays one, whatever it says. Of its policy nothing is changed but the method, and
    that only while no operator has changed it; attesters are linked only together with a new policy. What an
    operator took away stays away.

    :param application: saved, as the host made it.
    :param attesters: the names of those that vouch for it from now on, if it gets its policy now.
    :param evidence: of the attestation that the registration itself carried.
    :raises InvalidClientMetadata: as :func:`check`, or if attestation cannot be required of such a client.
    """
    policy, registration = check(application, said)
    if registration is not None and registration.software_id:  # somebody vouched for it, who is the only one
        attesters = [registration.attester.name] if registration.attester else []
    if said.method is not None or said.members or evidence is not None or registration is not None:
        _remember(application, said, evidence)
    if said.method is not None:
        _require(application, policy, said.method, attesters)


def check(application: Any, said: AttestationMetadata) -> tuple[AttestationPolicy | None, ClientRegistration | None]:
    """Return the policy of an application and its registration, if it has them.

    :raises InvalidClientMetadata: if it wants to leave attestation (B5), or change to a method that is not the
        operator's choice.
    """
    policy = AttestationPolicy.objects.using(database()).filter(application_id=application.pk).first()
    registrations = ClientRegistration.objects.using(database()).select_related("attester")
    registration = registrations.filter(application_id=application.pk).first()
    if policy is None:
        return None, registration
    if said.method is None:
        raise InvalidClientMetadata(
            "A client that is registered for attestation cannot change to another token_endpoint_auth_method."
        )
    chosen = registration.method if registration else ""
    if said.method not in (*policy.methods, chosen) and policy.methods != [chosen]:
        raise InvalidClientMetadata("This server does not accept the token_endpoint_auth_method of this client.")
    return policy, registration


def require_anew(application: Any, method: str, *, attesters: Collection[str]) -> None:
    """Require attestation of a client again that has said so before, and whose policy is missing.

    :raises InvalidClientMetadata: if it cannot be required of such a client any more.
    """
    ClientRegistration.objects.get_or_create(application=application)
    _require(application, None, method, attesters)


def describe(application: Any) -> dict[str, Any]:
    """Return what is stored, in the words of the client metadata; the method where it is one of this package's."""
    members: dict[str, Any] = {}
    registration = ClientRegistration.objects.using(database()).filter(application=application).first()
    if registration is not None:
        members |= AttestationMetadata(
            None, registration.attestation_algorithms, registration.pop_algorithms, registration.pop_methods
        ).members
        if registration.software_id:
            members["software_id"] = registration.software_id
    policy = AttestationPolicy.objects.using(database()).filter(application=application).first()
    if policy is not None:
        chosen = registration.method if registration else ""
        members["token_endpoint_auth_method"] = chosen if chosen in policy.methods else policy.methods[0]
    return members


def _require(application: Any, policy: AttestationPolicy | None, method: str, attesters: Collection[str]) -> None:
    """Require an attestation of the application by a method, as far as no operator has decided otherwise.

    :param policy: the one it has, if any.
    """
    made = False
    if policy is None:
        policy, made = AttestationPolicy.objects.get_or_create(application=application, defaults={"methods": [method]})
        if made:
            _link(application, attesters)
    policy.application = application
    _check(policy)
    registration = ClientRegistration.objects.get(application=application)
    if not made and policy.methods != [registration.method]:
        return
    registration.method = method
    registration.save(update_fields=["method", "updated"])
    if policy.methods != [method]:
        policy.methods = [method]
        policy.save(update_fields=["methods", "updated"])


def _check(policy: AttestationPolicy) -> None:
    try:
        policy.clean()
    except ValidationError as error:
        raise InvalidClientMetadata("Attestation cannot be required of a client with these grant_types.") from error


def _link(application: Any, names: Collection[str]) -> None:
    found = {attester.name: attester for attester in Attester.objects.filter(name__in=names)}
    for name in names:
        if name in found:  # MariaDB compares without regard to case
            AttesterApplication.objects.get_or_create(attester=found[name], application=application)
        else:
            logger.error("There is no attester %r, which the settings name; nobody is trusted in its place.", name)


def _remember(application: Any, said: AttestationMetadata, evidence: Evidence | None) -> None:
    values: dict[str, Any] = {
        "attestation_algorithms": said.attestation_algorithms,
        "pop_algorithms": said.pop_algorithms,
        "pop_methods": said.pop_methods,
    }
    if evidence is not None:
        values["software_id"] = evidence.attestation.client_id
        values["attester"] = Attester.objects.filter(name=evidence.attestation.attester).first()
    ClientRegistration.objects.update_or_create(application=application, defaults=values)
