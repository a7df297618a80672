"""The admin of attesters, policies, client instances and recent refusals."""

from .applications import AttestationPolicyInline, TrustedAttesterInline
from .attesters import AttesterAdmin
from .instances import ClientInstanceAdmin
from .par import PushedAuthorizationPolicyAdmin
from .policies import AttestationPolicyAdmin
from .refusals import RefusalAdmin

__all__ = [
    "AttestationPolicyAdmin",
    "AttestationPolicyInline",
    "AttesterAdmin",
    "ClientInstanceAdmin",
    "PushedAuthorizationPolicyAdmin",
    "RefusalAdmin",
    "TrustedAttesterInline",
]
