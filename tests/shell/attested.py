"""What the tests of attestations at resources share: testproject's endpoints, and requests to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from oauth_client_attestation import bindings, confirmations
from oauth_client_attestation.challenges import fresh_resource_challenge
from oauth_client_attestation.core.wire import POP_METHODS
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from oauth_client_attestation.testing import ClientInstance, combined_headers, request_headers
from testproject import attested, resources
from tests.kit import ISSUER, AttestedClient, create_access_token

#: The identifiers of the site's resources, neither of which is the issuer.
API, VAULT = f"{ISSUER}/api", attested.VAULT
#: What the ASGI test client calls the site.
ASGI_SITE = "http://testserver"


@dataclass(frozen=True)
class Endpoint:
    """One of testproject's endpoints that take an access token.

    :ivar use: of attestations: ``ignored``, ``optional`` or ``required``.
    :ivar methods: how possession may be proven.
    :ivar resource: the identifier of the resource that it belongs to.
    """

    name: str
    path: str
    use: str = "required"
    methods: tuple[str, ...] = tuple(POP_METHODS.values())
    resource: str = API

    def __str__(self) -> str:
        return self.name


def _endpoints(kind: str, path: str, plain: str) -> tuple[Endpoint, ...]:
    """Return one of each, of one kind of view."""
    return (
        Endpoint(f"{kind} that looks at the token only", plain, use="ignored"),
        Endpoint(f"{kind} that can do without", f"{path}/optional", use="optional"),
        Endpoint(f"{kind} that wants one", path),
        Endpoint(f"{kind} that wants combined mode", f"{path}/combined", methods=("dpop_combined",)),
        Endpoint(f"{kind} of another resource", f"{path}/vault", resource=VAULT),
    )


ENDPOINTS = (
    *_endpoints("a view of REST framework", "/api/attested", "/api/rest-framework"),
    *_endpoints("a class-based view", "/api/view/attested", "/api/view"),
    *_endpoints("a decorated view", "/api/decorated/attested", "/api/decorated"),
    Endpoint("an async view", "/api/decorated/attested/async"),
)
#: Those that look at an attestation.
GUARDED = tuple(endpoint for endpoint in ENDPOINTS if endpoint.use != "ignored")


@dataclass
class Call:
    """A request to an endpoint, good unless a test spoils it; ``send`` may be called again."""

    client: AttestedClient
    endpoint: Endpoint
    headers: dict[str, str] = field(default_factory=dict)
    site: str = ISSUER

    def bearing(self, token: str | None = None) -> Call:
        """Present a token, by default a good one of the client, as a bearer token."""
        self.headers["Authorization"] = f"Bearer {token or create_access_token(self.client.application)}"
        return self

    def attested(self, attestation: str | None = None, *, by: ClientInstance | None = None, **pop: Any) -> Call:
        """Add an attestation and a proof over a challenge of the resource, or what is given in their place."""
        pop = {"challenge": fresh_resource_challenge(), **pop}
        proof = (by or self.client.instance).prove(pop.pop("audience", self.endpoint.resource), **pop)
        self.headers |= request_headers(attestation or self.client.attestation(), proof)
        return self

    def combined(
        self,
        token: str,
        attestation: str | None = None,
        *,
        by: ClientInstance | None = None,
        scheme: str = "DPoP",
        **proof: Any,
    ) -> Call:
        """Present a token with an attestation in combined mode."""
        prover = replace(self.client, instance=by or self.client.instance)
        proof = {"method": "GET", "access_token": token, "uri": self.site + self.endpoint.path, **proof}
        self.headers |= combined_headers(attestation or self.client.attestation(), prover.dpop(**proof))
        self.headers["Authorization"] = f"{scheme} {token}"
        return self

    def send(self, **headers: str) -> Any:
        """Send the request."""
        http = Client(HTTP_HOST=ISSUER.partition("//")[2])
        return http.get(self.endpoint.path, headers={**self.headers, **headers})

    def send_async(self) -> Any:
        """Send the request through the ASGI handler."""
        return async_to_sync(AsyncClient().get)(self.endpoint.path, headers=self.headers)


def bound_token(client: AttestedClient, *, key: str | None = None) -> str:
    """Issue an access token to the client's instance, bound to its key, or to another one by its thumbprint."""
    token = instance_token(client)
    row = get_access_token_model().objects.get(token=token)
    confirmations.confirm_access_token(row, key or client.instance.thumbprint)
    return token


def instance_token(client: AttestedClient) -> str:
    """Issue a bearer token to the client's instance."""
    token = create_access_token(client.application)
    bindings.bind_access_token(get_access_token_model().objects.get(token=token), record(client))
    return token


def record(client: AttestedClient, *, blocked: bool = False) -> InstanceRecord:
    """Return the record of the client's instance."""
    made, _ = InstanceRecord.objects.get_or_create(
        application=client.application, thumbprint=client.instance.thumbprint
    )
    if blocked:
        InstanceRecord.objects.filter(pk=made.pk).update(blocked=timezone.now())
    return made


@contextmanager
def visits() -> Iterator[list[str | None]]:
    """Collect, for each view that ran, who had attested its client."""
    seen: list[str | None] = []

    def greeting(user: Any, evidence: Any = None) -> dict[str, str | None]:
        seen.append(evidence.attestation.attester if evidence else None)
        return {"hello": str(user)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attested, "greeting", greeting)
        patch.setattr(resources, "greeting", greeting)
        yield seen
