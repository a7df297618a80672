"""What one HTTP request knows about client attestation.

django-oauth-toolkit hands its validator an oauthlib ``Request``, whose unknown attributes are answered from the
body and the query string: state kept there could be forged by a parameter of the same name. So it lives in one
object, which the backend mixin puts under a key that no HTTP header can have, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest

from .. import instances, policies, reports, service
from ..challenges import fresh_challenge, fresh_dpop_nonce, fresh_resource_challenge
from ..conf import app_settings
from ..confirmations import StoredToken
from ..core import wire
from ..core.errors import ClientAttestationError, Reason
from ..core.headers import HeaderFields
from ..core.results import Evidence, VerifiedDpopProof

if TYPE_CHECKING:
    from ..models import AttestationPolicy, ClientInstance

#: Key of the exchange among the headers of an oauthlib request. WSGI and ASGI header names have no dot.
HOLDER_KEY: Final = "oauth_client_attestation.exchange"
_ATTRIBUTE: Final = "_oauth_client_attestation_exchange"


@dataclass(frozen=True, slots=True)
class ResourceVerdict:
    """What became of a request at a resource.

    :ivar error: why its token, or what came along with it, was refused; None otherwise.
    :ivar token: the row of the token that was accepted; None while there is none.
    :ivar value: of that token.
    :ivar scheme: the authentication scheme under which a better request would come.
    """

    error: ClientAttestationError | None = None
    token: Any = None
    value: str | None = field(default=None, repr=False)
    scheme: str = wire.DPOP_SCHEME


class AttestationExchange:
    """The facts of one request, the verdict on it, and the headers its response gets.

    Not iterable on purpose: oauthlib rewrites iterable header values.

    :ivar fields: the attestation header fields.
    :ivar policy: of the application that was authenticated; None until then.
    :ivar evidence: what was verified; None until then.
    :ivar instance: the record of the instance that was authenticated; None while there is none.
    :ivar application_id: primary key of the client of that instance; None until then.
    :ivar signal: what was verified beside another client authentication; None where there was nothing.
    :ivar client_failed: whether a client authentication that the fields came along with has failed.
    :ivar sender: the DPoP proof whose key everything that is issued will be bound to; None while there is none.
    :ivar sender_used_up: whether that proof has been used up.
    :ivar token_verdict: what became of the access token; None where none was asked for.
    :ivar presenter: the DPoP proof that a token or attestation was accepted with at a resource, and which is used up;
        None until then.
    :ivar proven_with_token: the DPoP proof whose ``ath`` was compared with an access token; None until then.
    :ivar introspected: what is stored of the token that is being introspected; None where there is none.
    :ivar attested_resources: what was verified for which resource, by its identifier.
    :ivar refused_attestations: the refusal of each question about an attestation, which is not asked twice.
    :ivar attested_before_token: whether any of that was verified before there was an access token to compare with.
    :ivar pushed: whether this is an authorization request that is, or was, pushed (RFC 9126).
    :ivar pushed_by: the instance that pushed it earlier; None where nobody did or the client is not attested.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.fields = _header_fields(request)
        self.evidence: Evidence | None = None
        self.instance: ClientInstance | None = None
        self.application_id: Any = None
        self.signal: Evidence | None = None
        self.client_failed = False
        self.sender: VerifiedDpopProof | None = None
        self.sender_used_up = False
        self.token_verdict: ResourceVerdict | None = None
        self.presenter: VerifiedDpopProof | None = None
        self.proven_with_token: VerifiedDpopProof | None = None
        self.introspected: StoredToken | None = None
        self.attested_resources: dict[str, Evidence] = {}
        self.refused_attestations: dict[Any, ClientAttestationError] = {}
        self.attested_before_token = False
        self.pushed = False
        self.pushed_by: ClientInstance | None = None
        self.policy: AttestationPolicy | None = None
        self._wanted_at_resource = False
        self._error: ClientAttestationError | None = None
        self._error_headers: dict[str, str] = {}
        self._policies: dict[str, policies.ClientPolicies] = {}
        self._challenge: str | None = None
        self._nonce: str | None = None

    @property
    def concerned(self) -> bool:
        """Whether the request used this method or should have; its response then carries a challenge."""
        return self.fields.committed or self._error is not None or self._wanted_at_resource

    def policies_of(self, client_id: str) -> policies.ClientPolicies:
        """Return the policies of a client; the database is asked once in a request."""
        if client_id not in self._policies:
            self._policies[client_id] = policies.policies_of(client_id)
        return self._policies[client_id]

    def policies_of_known(self, application: Any) -> policies.ClientPolicies:
        """The same of an application that may be as new as this request."""
        if not self.policies_of(application.client_id).registered:
            del self._policies[application.client_id]
        return self.policies_of(application.client_id)

    def policy_of(self, client_id: str) -> AttestationPolicy | None:
        """Return the attestation policy of a client."""
        return self.policies_of(client_id).attestation

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
                    find_policy=self.policy_of,
                )
            except ClientAttestationError as error:
                self._error = error
                raise
            application = self.policy.application  # which may be as new as this request
            self._policies[application.client_id] = policies.ClientPolicies.loaded_with(application)
            self.application_id = application.pk
        return self.policy

    def adopt(self, evidence: Evidence, instance: ClientInstance | None, *, application_id: Any) -> None:
        """Bind what is issued to an instance that was attested beside another client authentication (S1)."""
        self.evidence, self.instance, self.application_id = evidence, instance, application_id

    def hold_instance(self) -> ClientInstance | None:
        """Return the record of the authenticated instance, made if need be, locked until the transaction ends.

        None, if no instance was authenticated.

        Whoever issues something to the instance asks for it first, in the same transaction: the instance is
        either blocked before, and refused here, or afterwards, and then what was issued is found and revoked.

        :raises ClientAttestationError: if it has been blocked since it was authenticated.
        """
        if self.application_id is not None and self.evidence is not None:
            self.instance = instances.hold(
                self.instance, application_id=self.application_id, attestation=self.evidence.attestation
            )
        return self.instance

    def refuse(self, error: ClientAttestationError, *, application_id: Any = None) -> ClientAttestationError:
        """Record a refusal that was decided at a door; report it and return it, to be raised."""
        self._error = error
        reports.report_refusal(self.request, error, application_id=application_id)
        return error

    def visit_resource(self) -> None:
        """Note that a resource wants an attestation, whose challenges and nonces are its own."""
        self.token_verdict = self.token_verdict or ResourceVerdict(scheme=wire.BEARER_SCHEME)
        self._wanted_at_resource = True

    def refuse_at_resource(self, error: ClientAttestationError, *, application_id: Any = None) -> None:
        """Record and report that a request to a resource was refused for want of the right proof or attestation."""
        self.token_verdict = replace(self.token_verdict or ResourceVerdict(), error=error)
        reports.report_refusal(self.request, error, application_id=application_id)

    def add_error_headers(self, headers: dict[str, str]) -> None:
        """Keep headers that must reach the response even where django-oauth-toolkit drops them."""
        self._error_headers.update(headers)

    @property
    def challenge_headers(self) -> dict[str, str]:
        """The fresh challenge of this response (C3): the same value however often it is asked for."""
        if self._challenge is None:
            self._challenge = fresh_resource_challenge() if self._is_at_resource else fresh_challenge()
        return {} if self._challenge is None else {wire.CHALLENGE_FIELD: self._challenge}

    @property
    def _is_at_resource(self) -> bool:
        """Whether a resource answers. Middleware looks for a token on the way to an endpoint of the server too."""
        judged_by_server = self._error is not None or self.evidence is not None or self.signal is not None
        return self._wanted_at_resource or (self.token_verdict is not None and not judged_by_server)

    @property
    def response_headers(self) -> dict[str, str]:
        """Every header that the response gets from here."""
        if not self.concerned:
            return self.nonce_headers
        return {"Cache-Control": "no-store", **self._error_headers, **self.challenge_headers, **self.nonce_headers}

    @property
    def nonce_headers(self) -> dict[str, str]:
        """The fresh DPoP nonce of this response (RFC 9449 section 8.2), where the request has a proof or needs one.

        At a resource even where DPoP is off: tokens that were bound before stay bound.
        """
        at_resource = self._is_at_resource
        answered = at_resource or self.sender is not None or (self.concerned and app_settings.dpop != "off")
        if not answered or not (self.fields.dpop or self._lacks_proof):
            return {}
        if (app_settings.resource_dpop_nonce if at_resource else app_settings.dpop_nonce) == "off":
            return {}
        if self._nonce is None:
            self._nonce = fresh_dpop_nonce()
        return {wire.DPOP_NONCE_FIELD: self._nonce}

    @property
    def _lacks_proof(self) -> bool:
        errors = (self._error, self.token_verdict.error if self.token_verdict else None)
        return any(error is not None and error.reason is Reason.DPOP_REQUIRED for error in errors)


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
