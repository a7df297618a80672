"""What the package stores.

Everything refers to django-oauth-toolkit's models from the outside; none of them is swapped.
"""

from .attesters import (
    Attester,
    AttesterApplication,
    AttesterKey,
    NewClient,
    TrustAnchor,
)
from .bindings import (
    AccessTokenBinding,
    AuthorizationCodeBinding,
    DeviceCodeBinding,
    IdTokenBinding,
    RefreshTokenBinding,
)
from .confirmations import (
    AccessTokenConfirmation,
    AuthorizationCodeConfirmation,
    DpopPolicy,
    IdTokenConfirmation,
    RefreshTokenConfirmation,
)
from .instances import ClientInstance
from .policies import AttestationPolicy, default_methods, validate_methods
from .proofs import UsedProof
from .pushed import PushedAuthorizationPolicy, PushedAuthorizationRequest
from .refusals import Refusal
from .registrations import BlockedInstance, ClientRegistration
from .signals import AttestationSignalPolicy, IntrospectedToken
from .validators import (
    validate_algorithms,
    validate_issuer,
    validate_jwks_uri,
    validate_name,
    validate_required_claims,
)

__all__ = [
    "AccessTokenBinding",
    "AccessTokenConfirmation",
    "AttestationPolicy",
    "AttestationSignalPolicy",
    "Attester",
    "AttesterApplication",
    "AttesterKey",
    "AuthorizationCodeBinding",
    "BlockedInstance",
    "AuthorizationCodeConfirmation",
    "ClientInstance",
    "ClientRegistration",
    "DeviceCodeBinding",
    "DpopPolicy",
    "IdTokenBinding",
    "IntrospectedToken",
    "NewClient",
    "IdTokenConfirmation",
    "PushedAuthorizationPolicy",
    "PushedAuthorizationRequest",
    "Refusal",
    "RefreshTokenBinding",
    "RefreshTokenConfirmation",
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
