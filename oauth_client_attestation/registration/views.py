"""Dynamic registration and its management (RFC 7591, RFC 7592; rule K1), over django-oauth-toolkit's own views.

The host registers a client with a secret; the client is told neither that it has one nor which. It is the host's
random one, since an application with an empty secret could be let in by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import get_application_model
from oauth2_provider.views import DynamicClientRegistrationManagementView, DynamicClientRegistrationView

from ..conf import app_settings
from ..core import wire
from ..core.errors import ClientAttestationError
from ..core.results import Evidence
from ..instances import database
from ..oauth2.errors import AttestationOAuth2Error, error_response
from ..oauth2.exchange import exchange_for
from . import storage
from .admission import admitted
from .body import read_metadata, shown_as
from .client_metadata import InvalidClientMetadata, read_attestation_metadata

if TYPE_CHECKING:  # what the mixins are mixed into
    from oauth2_provider.views import DynamicClientRegistrationManagementView as _ManagementView
    from oauth2_provider.views import DynamicClientRegistrationView as _RegistrationView
else:
    _ManagementView = _RegistrationView = object

#: The method under which the host makes the application that ours are for: confidential, with a random secret.
_HOST_METHOD: Final = "client_secret_basic"
#: What a client that must be attested is never told (RFC 7591 section 3.2.1).
_SECRET_MEMBERS: Final = ("client_secret", "client_secret_expires_at")


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(login_not_required, name="dispatch")
class _Answering(_RegistrationView):
    """Every answer in JSON, and none in a cache: they carry credentials."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer what is refused in here."""
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)
        except InvalidClientMetadata as error:
            body = {"error": wire.ERROR_INVALID_METADATA, "error_description": str(error)}
            response = JsonResponse(body, status=400)
        except AttestationOAuth2Error as error:
            response = error_response(error)
        response.headers["Cache-Control"] = "no-store"
        return response


class AttestedRegistrationMixin(_Answering):
    """For ``DynamicClientRegistrationView``: put it before that among the bases of a view of your own."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Register a client; what it says of attestation is stored in the same transaction.

        :raises InvalidClientMetadata: if that cannot be accepted; nothing is stored then.
        :raises AttestationOAuth2Error: if the request carries an attestation that is refused.
        """
        metadata = read_metadata(request)
        evidence = admitted(request)  # before the transaction, in which no keys are fetched (T2)

        def register() -> HttpResponse:
            response: HttpResponse = super(AttestedRegistrationMixin, self).post(request, *args, **kwargs)
            return response

        return _carried_out(request, metadata, register, status=201, evidence=evidence)


class AttestedManagementMixin(_Answering):
    """For ``DynamicClientRegistrationManagementView``, likewise.

    A request that carries an attestation is authenticated by it as well, as an instance of the client that it is
    about (H5). None is required: the registration access token is the client's, and no instance's.
    """

    def get(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the registered metadata."""
        _judge_attestation(request, client_id)
        response: HttpResponse = super().get(request, client_id, *args, **kwargs)
        return _described(response) if response.status_code == 200 else response

    def put(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Replace the metadata. A client may change to attestation, and to its other method, but not away from it.

        :raises InvalidClientMetadata: if what it says of attestation cannot be accepted; nothing is changed then.
        """
        _judge_attestation(request, client_id)

        def update() -> HttpResponse:
            response: HttpResponse = super(AttestedManagementMixin, self).put(request, client_id, *args, **kwargs)
            return response

        return _carried_out(request, read_metadata(request), update, status=200)

    def delete(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Delete the client, and with it everything that was stored of it."""
        _judge_attestation(request, client_id)
        response: HttpResponse = super().delete(request, client_id, *args, **kwargs)
        return response


class AttestedRegistrationView(AttestedRegistrationMixin, DynamicClientRegistrationView):
    """The registration endpoint."""


class AttestedManagementView(AttestedManagementMixin, DynamicClientRegistrationManagementView):
    """The client configuration endpoint."""


def _carried_out(
    request: HttpRequest,
    metadata: Mapping[str, Any],
    act: Callable[[], HttpResponse],
    *,
    status: int,
    evidence: Evidence | None = None,
) -> HttpResponse:
    """Let the host register or update, and store what it does not know of, in one transaction."""
    said = read_attestation_metadata(metadata)
    known_to_host = metadata if said.method is None else {**metadata, "token_endpoint_auth_method": _HOST_METHOD}
    # Who vouched for the registration, and nobody else; without that, whoever the operator has named.
    attesters = (evidence.attestation.attester,) if evidence else app_settings.registration_attesters
    with transaction.atomic(using=database()), shown_as(request, known_to_host):
        response = act()
        if response.status_code != status:
            return response
        storage.store(_application_in(response), said, attesters=attesters, evidence=evidence)
        return _described(response)


def _application_in(response: HttpResponse) -> Any:
    """Return the application that an answer of the host is about, as it was stored just now."""
    client_id = json.loads(response.content)["client_id"]
    return get_application_model().objects.using(database()).get(client_id=client_id)


def _described(response: HttpResponse) -> HttpResponse:
    """Complete the host's answer, and take out what an attested client is not told."""
    answer = json.loads(response.content)
    stored = storage.describe(_application_in(response))
    if "token_endpoint_auth_method" in stored:
        answer = {name: value for name, value in answer.items() if name not in _SECRET_MEMBERS}
    response.content = json.dumps({**answer, **stored})
    return response


def _judge_attestation(request: HttpRequest, client_id: str) -> None:
    """Authenticate the instance that sends a management request, if it attests itself.

    :raises AttestationOAuth2Error: if it is refused.
    """
    exchange = exchange_for(request)
    if not exchange.fields.committed:
        return
    try:
        exchange.authenticate(
            named_client_ids=frozenset({client_id}),
            second_mechanism=False,
            admits=lambda policy: bool(policy.application.is_usable(request)),
        )
    except ClientAttestationError as error:
        raise AttestationOAuth2Error(error, exchange) from error
