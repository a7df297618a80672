"""What drf-spectacular says of access tokens, DPoP proofs and attestations; loaded where it is an installed app.

An OpenAPI security requirement names everything that goes with one request, and a list of them is a choice. So each
way in is spelt out: a bearer token, a bound token with its proof, and either of them with an attestation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from drf_spectacular.contrib.django_oauth_toolkit import DjangoOAuthToolkitScheme
from rest_framework.permissions import AND

from ...conf import app_settings
from ...core import wire
from .permissions import HasClientAttestation

DPOP: Final = "dpop"
ATTESTATION: Final = "clientAttestation"
POP: Final = "clientAttestationPop"

_DEFINITIONS: Final = {
    DPOP: {
        "type": "apiKey",
        "in": "header",
        "name": wire.DPOP_FIELD,
        "description": "A proof for this request (RFC 9449). An access token that is bound to a key needs one, "
        f"and is sent under the scheme {wire.DPOP_SCHEME}.",
    },
    ATTESTATION: {
        "type": "apiKey",
        "in": "header",
        "name": wire.ATTESTATION_FIELD,
        "description": "The attestation of the client instance.",
    },
    POP: {
        "type": "apiKey",
        "in": "header",
        "name": wire.POP_FIELD,
        "description": "A proof of possession of the attested key, whose audience is this resource.",
    },
}

#: Names of security schemes, and of each the scopes that are needed.
_Requirement = dict[str, list[str]]


class AttestedTokenScheme(DjangoOAuthToolkitScheme):  # type: ignore[no-untyped-call]  # drf-spectacular has no types
    """Takes the place of drf-spectacular's own extension, for the host's class and whatever derives from it."""

    name: str | list[str]  # type: ignore[assignment]  # as the base of the base has it
    match_subclasses = True
    priority = 1

    def get_security_requirement(self, auto_schema: Any) -> list[_Requirement]:
        """Return each set of credentials that lets a request in, and take their names for the definitions."""
        ways = [
            {**token, **attestation}
            for token in self._tokens(auto_schema)
            for attestation in _attestations(auto_schema.view)
        ]
        # A proof that comes with a bound token is in combined mode the proof of the attestation.
        requirement = [way for number, way in enumerate(ways) if way not in ways[:number]]
        names = {name: None for way in requirement for name in way}
        self.name = list(names)
        return requirement

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return what each name stands for."""
        token = super().get_security_definition(auto_schema)  # type: ignore[no-untyped-call]  # as above
        return [_DEFINITIONS.get(name, token) for name in self.name]

    def _tokens(self, auto_schema: Any) -> Iterator[_Requirement]:
        by_scope = super().get_security_requirement(auto_schema)  # type: ignore[no-untyped-call]  # as above
        # None if no permission asks for a scope: the token is needed all the same.
        ways = by_scope if isinstance(by_scope, list) else [by_scope or {str(self.name): []}]
        yield from ways
        if app_settings.dpop != "off":
            yield from ({**way, DPOP: []} for way in ways)


def _attestations(view: Any) -> Iterator[_Requirement]:
    """Yield what a view wants beside the token, of which nothing is one where no attestation is required."""
    asking = [
        permission for permission in _all_of(view.get_permissions()) if isinstance(permission, HasClientAttestation)
    ]
    if not any(permission.required for permission in asking):
        yield {}
    methods = getattr(view, "client_attestation_methods", None)
    for method, proof in ((wire.POP_METHOD_JWT, POP), (wire.POP_METHOD_DPOP, DPOP)):
        if asking and method in app_settings.resource_pop_methods and (methods is None or method in methods):
            yield {ATTESTATION: [], proof: []}


def _all_of(permissions: Iterable[Any]) -> Iterator[Any]:
    """Yield permissions, and those that others are made of with ``&``."""
    for permission in permissions:
        if isinstance(permission, AND):
            yield from _all_of(vars(permission).values())
        else:
            yield permission
