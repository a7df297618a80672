"""Which validators and backends know of bound tokens: those in which our mixin is asked first."""

from __future__ import annotations

from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator

from ..oauth2.backends import AttestationBackendMixin
from ..oauth2.validators import AttestationValidatorMixin


def comes_first(cls: type, mixin: type, base: type) -> bool:
    """Whether ``cls`` has the mixin where it works: behind the base its methods are never called."""
    order = cls.__mro__
    return mixin in order and not (base in order and order.index(base) < order.index(mixin))


def is_our_validator(cls: type) -> bool:
    """Whether a validator class refuses a bound token that is presented as a bearer token."""
    return comes_first(cls, AttestationValidatorMixin, OAuth2Validator)


def is_our_backend(cls: type) -> bool:
    """Whether a backend class hands the request's DPoP proof to the validator."""
    return comes_first(cls, AttestationBackendMixin, OAuthLibCore)
