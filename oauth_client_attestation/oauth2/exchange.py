"""What one HTTP request knows about client attestation.

django-oauth-toolkit hands its validator an oauthlib ``Request``, whose unknown attributes are answered from the
body and the query string: state kept there could be forged by a parameter of the same name. So it lives in one
object, which the backend mixin puts under a key that no HTTP header can have, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest

from .. import instances, service
from ..challenges import fresh_challenge
from ..core import wire
from ..core.errors import ClientAttestationError
from ..core.headers import HeaderFields
from ..core.results import Evidence

if TYPE_CHECKING:
    from ..models import AttestationPolicy, ClientInstance

#: Key of the exchange among the headers of an oauthlib request. WSGI and ASGI header names have no dot.
HOLDER_KEY: Final = "oauth_client_attestation.exchange"
_ATTRIBUTE: Final = "_oauth_client_attestation_exchange"


class AttestationExchange:
    """The facts of one request, the verdict on it, and the headers its response gets.

    Not iterable on purpose: oauthlib rewrites iterable header values.

    :ivar fields: the attestation header fields.
    :ivar policy: of the application that was authenticated; None until then.
    :ivar evidence: what was verified; None until then.
    :ivar instance: the record of the instance that was authenticated; None while there is none.
    :ivar pushed: whether this is an authorization request that is, or was, pushed (RFC 9126).
    :ivar pushed_by: the instance that pushed it earlier; None where nobody did or the client is not attested.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.fields = _header_fields(request)
        self.evidence: Evidence | None = None
        self.instance: ClientInstance | None = None
        self.pushed = False
        self.pushed_by: ClientInstance | None = None
        self.policy: AttestationPolicy | None = None
        self._error: ClientAttestationError | None = None
        self._error_headers: dict[str, str] = {}
        self._policies: dict[str, AttestationPolicy | None] = {}
        self._challenge: str | None = None

    @property
    def concerned(self) -> bool:
        """Whether the request used this method or should have; its response then carries a challenge."""
        return self.fields.committed or self._error is not None

    def policy_of(self, client_id: str) -> AttestationPolicy | None:
        """Return the policy of a client; the database is asked once in a request."""
        if client_id not in self._policies:
            self._policies[client_id] = service.policy_of(client_id)
        return self._policies[client_id]

    def authenticate(
        self,
        *,
        named_client_ids: frozenset[str],
        second_mechanism: bool,
        admits: Callable[[AttestationPolicy], bool],
    ) -> AttestationPolicy:
        """Authenticate the client instance, once: oauthlib 3 asks twice in the device grant, and a proof can
        only be claimed once.

        :raises ClientAttestationError: the same one every time.
        """
        if self._error is not None:
            raise self._error
        if self.policy is None:
            try:
                self.policy, self.evidence, self.instance = service.authenticate(
                    self.request,
                    self.fields,
                    named_client_ids=named_client_ids,
                    second_mechanism=second_mechanism,
                    admits=admits,
                )
            except ClientAttestationError as error:
                self._error = error
                raise
        return self.policy

    def hold_instance(self) -> ClientInstance | None:
        """Return the record of the authenticated instance, made if need be, locked until the transaction ends.

        None, if no instance was authenticated.

        Whoever issues something to the instance asks for it first, in the same transaction: the instance is
        either blocked before, and refused here, or afterwards, and then what was issued is found and revoked.

        :raises ClientAttestationError: if it has been blocked since it was authenticated.
        """
        if self.policy is not None and self.evidence is not None:
            self.instance = instances.hold(
                self.instance, application_id=self.policy.application_id, attestation=self.evidence.attestation
            )
        return self.instance

    def refuse(self, error: ClientAttestationError, *, application_id: Any = None) -> ClientAttestationError:
        """Record a refusal that was decided at a door; report it and return it, to be raised."""
        self._error = error
        service.report_refusal(self.request, error, application_id=application_id)
        return error

    def add_error_headers(self, headers: dict[str, str]) -> None:
        """Keep headers that must reach the response even where django-oauth-toolkit drops them."""
        self._error_headers.update(headers)

    @property
    def challenge_headers(self) -> dict[str, str]:
        """The fresh challenge of this response (C3): the same value however often it is asked for."""
        if self._challenge is None:
            self._challenge = fresh_challenge()
        return {} if self._challenge is None else {wire.CHALLENGE_FIELD: self._challenge}

    @property
    def response_headers(self) -> dict[str, str]:
        """Every header that the response gets from here."""
        if not self.concerned:
            return {}
        return {"Cache-Control": "no-store", **self._error_headers, **self.challenge_headers}


def exchange_for(request: HttpRequest) -> AttestationExchange:
    """Return the exchange of a Django request, or of the one inside a REST framework request."""
    request = getattr(request, "_request", request)
    exchange = getattr(request, _ATTRIBUTE, None)
    if not isinstance(exchange, AttestationExchange):
        exchange = AttestationExchange(request)
        setattr(request, _ATTRIBUTE, exchange)
    return exchange


def existing_exchange(request: HttpRequest) -> AttestationExchange | None:
    """Return the exchange of a Django request if any door has asked for it."""
    return getattr(request, _ATTRIBUTE, None)


def exchange_of(oauth_request: Any) -> AttestationExchange | None:
    """Return the exchange that the backend mixin put into an oauthlib request, or None without the mixin."""
    exchange = oauth_request.headers.get(HOLDER_KEY)
    return exchange if isinstance(exchange, AttestationExchange) else None


def _header_fields(request: HttpRequest) -> HeaderFields:
    return HeaderFields(
        attestation=_values(request, wire.ATTESTATION_FIELD),
        pop=_values(request, wire.POP_FIELD),
        dpop=_values(request, wire.DPOP_FIELD),
    )


def _values(request: HttpRequest, name: str) -> tuple[str, ...]:
    """Return each occurrence of a field (H2): ASGI shows them apart, WSGI servers have joined them."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        wanted = name.lower().encode("ascii")
        return tuple(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted)
    value = request.META.get("HTTP_" + name.upper().replace("-", "_"))
    return () if value is None else (value,)
