"""What the package stores.

Everything refers to django-oauth-toolkit's models from the outside; none of them is swapped.
"""

from .attesters import (
    Attester,
    AttesterApplication,
    AttesterKey,
    TrustAnchor,
)
from .bindings import (
    AccessTokenBinding,
    AuthorizationCodeBinding,
    DeviceCodeBinding,
    IdTokenBinding,
    RefreshTokenBinding,
)
from .instances import ClientInstance
from .policies import AttestationPolicy, default_methods, validate_methods
from .proofs import UsedProof
from .pushed import PushedAuthorizationPolicy, PushedAuthorizationRequest
from .refusals import Refusal
from .validators import (
    validate_algorithms,
    validate_issuer,
    validate_jwks_uri,
    validate_name,
    validate_required_claims,
)

__all__ = [
    "AccessTokenBinding",
    "AttestationPolicy",
    "Attester",
    "AttesterApplication",
    "AttesterKey",
    "AuthorizationCodeBinding",
    "ClientInstance",
    "DeviceCodeBinding",
    "IdTokenBinding",
    "PushedAuthorizationPolicy",
    "PushedAuthorizationRequest",
    "Refusal",
    "RefreshTokenBinding",
    "TrustAnchor",
    "UsedProof",
    "default_methods",
    "validate_algorithms",
    "validate_issuer",
    "validate_jwks_uri",
    "validate_methods",
    "validate_name",
    "validate_required_claims",
]
