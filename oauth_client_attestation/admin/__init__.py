"""The admin of attesters, policies, client instances and recent refusals."""

from .applications import (
    AttestationPolicyInline,
    AttestationSignalPolicyInline,
    DpopPolicyInline,
    TrustedAttesterInline,
)
from .attesters import AttesterAdmin
from .dpop import DpopPolicyAdmin
from .instances import ClientInstanceAdmin
from .par import PushedAuthorizationPolicyAdmin
from .policies import AttestationPolicyAdmin
from .refusals import RefusalAdmin
from .registrations import BlockedInstanceAdmin, ClientRegistrationAdmin
from .signals import AttestationSignalPolicyAdmin

__all__ = [
    "AttestationPolicyAdmin",
    "AttestationPolicyInline",
    "AttestationSignalPolicyAdmin",
    "AttestationSignalPolicyInline",
    "AttesterAdmin",
    "BlockedInstanceAdmin",
    "ClientInstanceAdmin",
    "ClientRegistrationAdmin",
    "DpopPolicyAdmin",
    "DpopPolicyInline",
    "PushedAuthorizationPolicyAdmin",
    "RefusalAdmin",
    "TrustedAttesterInline",
]
