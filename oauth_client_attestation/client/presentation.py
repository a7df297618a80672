"""Which header fields go with a request, and what an answer asks for (sections 5 to 7; RFC 9449)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..core import wire
from .freshness import Freshness, json_member
from .instance import ClientInstance
from .servers import Server

#: Every field that is good for one server, or for one request, only.
BOUND_FIELDS: Final = (wire.ATTESTATION_FIELD, wire.POP_FIELD, wire.DPOP_FIELD, "Authorization")

#: Of a WWW-Authenticate field: a quoted string or a token (RFC 9110 section 11.2).
_ERROR_PARAMETER: Final = re.compile(r'(?:^|[\s,])error="?([a-z_]+)', re.ASCII)


@dataclass(frozen=True, slots=True)
class Presentation:
    """What an instance shows a server with each request.

    :ivar attest: send the attestation.
    :ivar pop: prove it by a Client Attestation PoP JWT.
    :ivar dpop: send a DPoP proof by the instance's key.
    :ivar access_token: the token for a resource, or a callable that returns the current one; ``None`` at an
        authorization server.
    """

    instance: ClientInstance
    server: Server
    attest: bool
    pop: bool
    dpop: bool
    access_token: str | Callable[[], str] | None = field(default=None, repr=False)

    @classmethod
    def of_client(
        cls, instance: ClientInstance, server: Server, *, method: str = wire.METHOD_POP_JWT, dpop: bool = False
    ) -> Presentation:
        """Authenticate as a client (section 7.5).

        :param method: ``attest_jwt_client_auth``; or ``attest_jwt_client_auth_dpop``, the combined mode, in which
            the DPoP proof is the only one.
        :param dpop: in normal mode, send a DPoP proof beside the PoP JWT, so that tokens are bound to the key.
        :raises ValueError: ``method`` is neither.
        """
        if method not in (wire.METHOD_POP_JWT, wire.METHOD_DPOP):
            raise ValueError(f"not a method of client attestation: {method}")
        combined = method == wire.METHOD_DPOP
        return cls(instance, server, attest=True, pop=not combined, dpop=dpop or combined)

    @classmethod
    def to_resource(
        cls,
        instance: ClientInstance,
        server: Server,
        access_token: str | Callable[[], str],
        *,
        token_type: str = "DPoP",  # noqa: S107 (a scheme)
        attested_by: str | None = None,
    ) -> Presentation:
        """Use an access token.

        :param token_type: ``DPoP`` or ``Bearer``, as the token response says.
        :param attested_by: send the attestation too, proven by ``attestation_pop_jwt`` or ``dpop_combined``
            (section 7.6).
        :raises ValueError: one of them is something else, or they do not go together.
        """
        if token_type.lower() not in ("dpop", "bearer"):
            raise ValueError(f"not a token type that this kit knows: {token_type}")
        if attested_by not in (None, wire.POP_METHOD_JWT, wire.POP_METHOD_DPOP):
            raise ValueError(f"not a proof of possession that this kit knows: {attested_by}")
        dpop = token_type.lower() == "dpop"
        if attested_by == wire.POP_METHOD_DPOP and not dpop:
            raise ValueError(f"{wire.POP_METHOD_DPOP} needs a token of the type DPoP")
        return cls(
            instance,
            server,
            attest=attested_by is not None,
            pop=attested_by == wire.POP_METHOD_JWT,
            dpop=dpop,
            access_token=access_token,
        )

    def reads(self, status: int) -> bool:
        """Whether the body of an answer may say what is wanted: that of an error at an authorization server."""
        return self.access_token is None and status in (400, 401)

    @property
    def freshness(self) -> Freshness:
        """What servers have given the instance."""
        return self.instance.freshness

    @property
    def endpoint_to_ask(self) -> str | None:
        """Where to get a challenge or nonce before the next request; ``None`` if there is no need to, or it was done.

        Section 6: a client without a challenge should ask the endpoint rather than wait for the error.
        """
        endpoint = self.server.challenge_endpoint
        has_challenge = not self.pop or self.freshness.challenge(self.server) is not None
        has_nonce = self.pop or not self.dpop or self.freshness.nonce(self.server) is not None
        if endpoint is None or (has_challenge and has_nonce) or not self.freshness.first_time(self.server):
            return None
        return endpoint

    def fields(self, method: str, url: str) -> dict[str, str]:
        """Return the header fields for one request, with new proofs.

        :raises ForeignOrigin: ``url`` is not at the server they would be made for.
        :raises UnusableAttestation: see :attr:`.ClientInstance.attestation`.
        """
        self.server.check(url)
        fields: dict[str, str] = {}
        token = self.access_token() if callable(self.access_token) else self.access_token
        if token is not None:
            fields["Authorization"] = f"{'DPoP' if self.dpop else 'Bearer'} {token}"
        if self.attest:
            fields[wire.ATTESTATION_FIELD] = self.instance.attestation
        if self.pop:
            challenge = self.freshness.challenge(self.server)
            fields[wire.POP_FIELD] = self.instance.pop(self.server.audience, challenge=challenge)
        if self.dpop:
            nonce = self.freshness.nonce(self.server)
            fields[wire.DPOP_FIELD] = self.instance.dpop(method, url, nonce=nonce, access_token=token)
        return fields


class Exchange:
    """One request and its answers: whether it is worth sending again, once for each thing that a server may ask."""

    def __init__(self, presentation: Presentation, method: str, url: str) -> None:
        self._presentation = presentation
        self._method = method
        self._url = url
        self._met: set[str] = set()

    def fields(self) -> dict[str, str]:
        """Return the header fields for the next attempt; see :meth:`Presentation.fields`."""
        return self._presentation.fields(self._method, self._url)

    def again(self, url: str, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Learn from an answer; return whether to send the request again with new :meth:`fields`.

        A second demand of the same kind is an answer, not another reason to try (section 6: "MUST NOT retry
        indefinitely").

        :param url: where the answer came from.
        :param headers: in any mapping that ignores case.
        :param body: of an error at an authorization server; not needed otherwise.
        """
        self._presentation.freshness.learn(self._presentation.server, url, headers)
        error = self._demand(status, headers, body)
        if error is None or error in self._met or not self._presentation.server.serves(url):
            return False
        self._met.add(error)
        if error == wire.ERROR_USE_FRESH_ATTESTATION:
            return self._presentation.attest and self._presentation.instance.renew()
        if error == wire.ERROR_USE_CHALLENGE:
            return self._presentation.pop and headers.get(wire.CHALLENGE_FIELD) is not None
        return self._presentation.dpop and headers.get(wire.DPOP_NONCE_FIELD) is not None

    def _demand(self, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return which of the three things an answer asks for (section 7.4; RFC 9449 sections 8 and 9)."""
        found: list[object] = []
        if self._presentation.access_token is not None and status == 401:
            found = _ERROR_PARAMETER.findall(headers.get("WWW-Authenticate", ""))
        elif self._presentation.reads(status):
            found = [json_member(body, "error")]
        for error in (wire.ERROR_USE_FRESH_ATTESTATION, wire.ERROR_USE_CHALLENGE, wire.ERROR_USE_DPOP_NONCE):
            if error in found:
                return error
        return None
