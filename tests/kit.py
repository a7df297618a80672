"""What the tests of the shell share: an attested client at a running site, and what a refusal looks like."""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client, override_settings
from django.test.client import FakePayload
from django.utils import timezone
from django.utils.crypto import get_random_string
from jwcrypto.common import base64url_decode, base64url_encode
from jwcrypto.jwk import JWK
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)
from oauth2_provider.views.mixins import OAuthLibMixin

from oauth_client_attestation import bindings
from oauth_client_attestation.challenges import fresh_challenge, fresh_dpop_nonce
from oauth_client_attestation.checks import MIDDLEWARE
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.models import (
    AccessTokenBinding,
    AccessTokenConfirmation,
    AttestationPolicy,
    Attester,
    AuthorizationCodeBinding,
    AuthorizationCodeConfirmation,
    DeviceCodeBinding,
    IdTokenConfirmation,
    PushedAuthorizationRequest,
    RefreshTokenBinding,
    RefreshTokenConfirmation,
    UsedProof,
)
from oauth_client_attestation.models import ClientInstance as InstanceRecord
from oauth_client_attestation.signals import client_attestation_refused
from oauth_client_attestation.testing import AttesterBackend, ClientInstance, combined_headers, request_headers, sign
from oauth_client_attestation.trust.jwks import parse_jwks
from oauth_client_attestation.trust.registration import replace_keys

ISSUER = "http://127.0.0.1:8000"
#: When tests with a clock of their own take place, in seconds since the epoch.
NOW = 1_800_000_000
TOKEN = "/o/token/"
REVOKE = "/o/revoke_token/"
INTROSPECT = "/o/introspect/"
DEVICE_AUTHORIZATION = "/o/device-authorization/"
PAR = "/o/par/"
AUTHORIZE = "/o/authorize/"
CHALLENGE = "/oauth-client-attestation/challenge"
CHALLENGE_FIELD = "OAuth-Client-Attestation-Challenge"
#: The public sentence of each code, written out so that a change of wording is seen (E6).
SENTENCES = {
    "use_attestation_challenge": "A fresh challenge from this server is required.",
    "use_fresh_attestation": "The client attestation is no longer fresh; obtain a new one.",
    "invalid_client_attestation": "The client attestation or its proof of possession was not accepted.",
    "invalid_dpop_proof": "The DPoP proof was not accepted.",
    "use_dpop_nonce": "A DPoP proof with a fresh nonce from this server is required.",
    "invalid_token": "The access token is not valid for this request.",
    "invalid_client": "Client authentication failed.",
    "invalid_grant": "The token or code is not valid for this client instance.",
    "invalid_request": "More than one client authentication mechanism was used.",
    "temporarily_unavailable": "Client authentication is not available at the moment.",
}


def register_attester(
    backend: AttesterBackend,
    name: str = "Acme",
    *,
    applications: tuple[Any, ...] = (),
    keys: bool = True,
    **fields: Any,
) -> Attester:
    """Register a backend as an attester, as the command does; ``keys`` says whether with its keys."""
    attester = Attester.objects.create(name=name, **fields)
    if keys:
        replace_keys(attester, parse_jwks(json.dumps(backend.jwks)))
    attester.applications.set(applications)
    return attester


def create_application(client_id: str = "app", *, policy: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Create an application with the client_credentials grant and the secret ``secret``; ``policy`` marks it."""
    application = get_application_model().objects.create(
        **{
            "client_id": client_id,
            "client_type": "confidential",
            "authorization_grant_type": "client-credentials",
            "client_secret": "secret",
            "hash_client_secret": False,
            **fields,
        }
    )
    if policy is not None:
        AttestationPolicy.objects.create(application=application, **policy)
    return application


def secret_attestation(client: AttestedClient, secret: bytes, *, algorithm: str = "HS256", **claims: Any) -> str:
    """Return an attestation of the client's instance with a MAC (rule T4)."""
    key = JWK(kty="oct", k=base64url_encode(secret))
    now = int(time.time())
    payload = {"sub": client.client_id, "iat": now, "exp": now + 3600, "cnf": {"jwk": client.instance.public_jwk}}
    return sign(key, {"typ": "oauth-client-attestation+jwt", "alg": algorithm}, {**payload, **claims})


def stored() -> tuple[int, ...]:
    """Count what a request may leave behind."""
    models = (
        UsedProof,
        get_access_token_model(),
        get_refresh_token_model(),
        get_device_grant_model(),
        get_grant_model(),
        InstanceRecord,
        AccessTokenBinding,
        RefreshTokenBinding,
        AuthorizationCodeBinding,
        DeviceCodeBinding,
        PushedAuthorizationRequest,
        AccessTokenConfirmation,
        RefreshTokenConfirmation,
        AuthorizationCodeConfirmation,
        IdTokenConfirmation,
    )
    return tuple(model.objects.count() for model in models)


@dataclass
class AttestedClient:
    """An application that must be attested, its attester, one instance, and a browserless HTTP client."""

    backend: AttesterBackend = field(default_factory=AttesterBackend)
    instance: ClientInstance = field(default_factory=ClientInstance)
    client_id: str = "app"
    http: Client = field(default_factory=lambda: Client(HTTP_HOST="127.0.0.1:8000"))
    application: Any = None
    attester: Any = None

    def register(
        self, *, challenge: str = "required", attester: dict[str, Any] | None = None, **application: Any
    ) -> AttestedClient:
        """Create application, policy and attester in the database."""
        self.application = create_application(self.client_id, policy={"challenge": challenge}, **application)
        self.application.instance = self.instance
        self.attester = register_attester(self.backend, applications=(self.application,), **(attester or {}))
        return self

    def attestation(self, **changes: Any) -> str:
        """Return a good attestation, or one with ``claims=``, ``header=``, ``now=``, ``lifetime=`` changed."""
        return self.backend.attest(self.instance, self.client_id, **changes)

    def pop(self, **changes: Any) -> str:
        """Return a good proof over a fresh challenge, or one with ``claims=``, ``header=`` … changed."""
        return self.instance.prove(
            changes.pop("audience", ISSUER), challenge=changes.pop("challenge", fresh_challenge()), **changes
        )

    def headers(self, attestation: str | None = None, pop: str | None = None) -> dict[str, str]:
        """Return the two header fields; by default good ones."""
        return request_headers(attestation or self.attestation(), pop or self.pop())

    def dpop(self, path: str = TOKEN, *, method: str = "POST", **changes: Any) -> str:
        """Return a good DPoP proof with a fresh nonce, or one with ``claims=``, ``header=``, ``nonce=`` … changed."""
        return self.instance.prove_dpop(
            method, changes.pop("uri", ISSUER + path), nonce=changes.pop("nonce", fresh_dpop_nonce()), **changes
        )

    def combined(self, path: str = TOKEN, *, attestation: str | None = None, **changes: Any) -> dict[str, str]:
        """Return the two header fields of combined mode; by default good ones."""
        return combined_headers(attestation or self.attestation(), self.dpop(path, **changes))

    def post(self, path: str = TOKEN, data: dict[str, Any] | None = None, **extra: Any) -> Any:
        """Send a request: by default an attested client_credentials request without client_id."""
        headers = extra.pop("headers", None)
        body = {"grant_type": "client_credentials"} if data is None else data
        return self.http.post(path, body, headers=self.headers() if headers is None else headers, **extra)

    def another(self) -> AttestedClient:
        """Return another instance of the same application."""
        return replace(self, instance=ClientInstance(), http=Client(HTTP_HOST="127.0.0.1:8000"))

    def record(self) -> InstanceRecord:
        """Return what is stored of the instance."""
        return InstanceRecord.objects.get(application=self.application, thumbprint=self.instance.thumbprint)

    def refused(
        self,
        reason: Reason,
        send: Any = None,
        *,
        status: int | None = None,
        proof_used: bool = False,
        **request: Any,
    ) -> Any:
        """Send a request and assert every side of its refusal; return the response.

        The private reason by the signal, the code and the one public sentence in the body, the status, the
        headers with a fresh challenge, and that nothing was stored, save the proof of an instance that was
        authenticated before it asked for the wrong thing.
        """
        error = ClientAttestationError(reason)
        reasons: list[Reason] = []

        def note(*, reason: Reason, **kwargs: Any) -> None:
            reasons.append(reason)

        before = stored()
        client_attestation_refused.connect(note)
        try:
            response = send() if send else self.post(**request)
        finally:
            client_attestation_refused.disconnect(note)
        assert reasons == [reason]
        assert response.json() == {"error": error.code, "error_description": SENTENCES[error.code]}
        assert response.status_code == (status or error.status)
        assert response.headers["Content-Type"].split(";")[0] == "application/json"
        assert "no-store" in response.headers["Cache-Control"]
        assert 16 <= len(response.headers[CHALLENGE_FIELD]) <= 512
        assert stored() == (before[0] + proof_used, *before[1:])
        return response

    def accepted(self, **request: Any) -> Any:
        """Send a request to the token endpoint and assert that it gets a token; return the response."""
        response = self.post(**request)
        assert response.status_code == 200, response.content
        assert response.json()["access_token"]
        assert response.headers[CHALLENGE_FIELD]
        return response


FORM = "application/x-www-form-urlencoded"
REDIRECT_URI = "https://client.example/callback"
PASSWORD = "correct horse battery staple"
CODE_VERIFIER = "v" * 64
CODE_CHALLENGE = urlsafe_b64encode(sha256(CODE_VERIFIER.encode()).digest()).rstrip(b"=").decode()
#: A good authorization request, without the client_id.
AUTHORIZATION_REQUEST = {
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "scope": "read write",
    "state": "xyz",
    "code_challenge": CODE_CHALLENGE,
    "code_challenge_method": "S256",
}
DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def alice() -> Any:
    """Return the user who authorizes clients; the password is ``PASSWORD``."""
    users = get_user_model()
    return users.objects.filter(username="alice").first() or users.objects.create_user("alice", password=PASSWORD)


def basic(client_id: str, secret: str, *, scheme: str = "Basic", charset: str = "utf-8") -> dict[str, str]:
    """Return the Authorization field of RFC 6749 section 2.3.1."""
    return {"Authorization": f"{scheme} {b64encode(f'{client_id}:{secret}'.encode(charset)).decode()}"}


def create_access_token(application: Any, *, scope: str = "read") -> str:
    """Issue an access token as if the application had been given it an hour ago."""
    token = get_random_string(30)
    get_access_token_model().objects.create(
        application=application, user=alice(), token=token, scope=scope, expires=timezone.now() + timedelta(hours=9)
    )
    return token


def holder(application: Any) -> InstanceRecord | None:
    """Return the record of the instance that :meth:`AttestedClient.register` made the application with, if it did."""
    instance = getattr(application, "instance", None)
    if instance is None:
        return None
    return InstanceRecord.objects.get_or_create(application=application, thumbprint=instance.thumbprint)[0]


def create_refresh_token(application: Any, *, bound: bool = True) -> str:
    """Issue an access token with a refresh token, bound to the application's instance; return the latter."""
    access_token = get_access_token_model().objects.get(token=create_access_token(application))
    token = get_random_string(30)
    row = get_refresh_token_model().objects.create(
        application=application, user=access_token.user, token=token, access_token=access_token, token_family=uuid4()
    )
    if bound and (instance := holder(application)):
        bindings.bind_access_token(access_token, instance)
        bindings.bind_refresh_token(row, instance)
    return token


def create_code(application: Any) -> str:
    """Issue an authorization code with a PKCE challenge."""
    code = get_random_string(30)
    get_grant_model().objects.create(
        application=application,
        user=alice(),
        code=code,
        expires=timezone.now() + timedelta(seconds=60),
        redirect_uri=REDIRECT_URI,
        scope="read",
        code_challenge=CODE_CHALLENGE,
        code_challenge_method="S256",
    )
    return code


def create_device_code(
    application: Any, *, status: str = "authorized", expires_in: int = 600, bound: bool = True
) -> str:
    """Issue a device code that the user has decided about, bound to the application's instance."""
    code = get_random_string(30)
    if bound and (instance := holder(application)):
        bindings.bind_device_code(code, instance, expires_in=max(0, expires_in))
    get_device_grant_model().objects.create(
        client_id=application.client_id,
        user=alice(),
        device_code=code,
        user_code=get_random_string(8),
        scope="read",
        status=status,
        expires=timezone.now() + timedelta(seconds=expires_in),
    )
    return code


@contextmanager
def provider(*, middleware: list[str] | None = None, **changes: Any) -> Iterator[None]:
    """Run the site with other ``OAUTH2_PROVIDER`` settings, on a client made inside.

    Views keep their validator and server in a class attribute; it is forgotten before and after.
    """
    with override_settings(
        OAUTH2_PROVIDER={**settings.OAUTH2_PROVIDER, **changes},
        MIDDLEWARE=settings.MIDDLEWARE if middleware is None else middleware,
    ):
        forget_oauthlib_cores()
        yield
    forget_oauthlib_cores()


def host_alone() -> Any:
    """Run the site as it was before this package came to it."""
    return provider(
        middleware=[name for name in settings.MIDDLEWARE if name != MIDDLEWARE],
        OAUTH2_VALIDATOR_CLASS="oauth2_provider.oauth2_validators.OAuth2Validator",
        OAUTH2_BACKEND_CLASS="oauth2_provider.oauth2_backends.OAuthLibCore",
    )


def forget_oauthlib_cores(view_class: type = OAuthLibMixin) -> None:
    """Forget the validators and servers that views keep in a class attribute, which their subclasses inherit."""
    if "_oauthlib_core" in vars(view_class):
        del view_class._oauthlib_core  # type: ignore[attr-defined]  # the host's
    for subclass in view_class.__subclasses__():
        forget_oauthlib_cores(subclass)


@dataclass(frozen=True)
class Door:
    """One way in which a client authenticates: a grant at the token endpoint, or another endpoint.

    :ivar grant: the grant that the application must be registered for.
    :ivar prepare: issues what a request is about and returns the parameters of a good one, ``client_id`` left out.
    :ivar member: what only a successful JSON response has; empty where success has no body.
    """

    name: str
    path: str
    grant: str
    prepare: Callable[[Any], dict[str, str]]
    member: str = "access_token"
    method: str = "POST"
    status: int = 200

    def __str__(self) -> str:
        return self.name

    def create_application(self, client_id: str = "app", **fields: Any) -> Any:
        """Create an application that may use this door."""
        return create_application(
            client_id, **{"authorization_grant_type": self.grant, "redirect_uris": REDIRECT_URI, **fields}
        )

    def register(self, client: AttestedClient | None = None, **fields: Any) -> AttestedClient:
        """Register an attested client that may use this door."""
        return (client or AttestedClient()).register(
            **{"authorization_grant_type": self.grant, "redirect_uris": REDIRECT_URI, **fields}
        )

    def send(self, http: Client, parameters: Any, *, headers: dict[str, str] | None = None, query: Any = ()) -> Any:
        """Send a request as clients do: parameters in a form, or in the query string where the door is a GET.

        :param parameters: names and values, as a dict or, for repeated names, as a list of pairs.
        :param query: parameters that go into the query string of a POST.
        """
        if self.method == "GET":
            return http.get(f"{self.path}?{urlencode([*_pairs(parameters), *_pairs(query)])}", headers=headers or {})
        path = f"{self.path}?{urlencode(_pairs(query))}" if query else self.path
        return post_form(http, path, parameters, headers=headers)

    def passed(self, response: Any) -> bool:
        """Whether a response says that the client got in and got what it wanted."""
        if response.status_code != self.status:
            return False
        return bool(response.json().get(self.member)) if self.member else response.content == b""


def post_form(http: Client, path: str, parameters: Any, *, headers: dict[str, str] | None = None) -> Any:
    """Send a form as clients do; the test client of itself sends multipart, and no content type with an empty body."""
    body = urlencode(_pairs(parameters))
    return http.post(path, body, content_type=FORM, CONTENT_TYPE=FORM, headers=headers or {})


def _pairs(parameters: Any) -> list[tuple[str, str]]:
    return list(parameters.items()) if isinstance(parameters, dict) else list(parameters)


DOORS = (
    Door(
        "authorization_code",
        TOKEN,
        "authorization-code",
        lambda application: {
            "grant_type": "authorization_code",
            "code": create_code(application),
            "redirect_uri": REDIRECT_URI,
            "code_verifier": CODE_VERIFIER,
        },
    ),
    Door(
        "refresh_token",
        TOKEN,
        "authorization-code",
        lambda application: {
            "grant_type": "refresh_token",
            "refresh_token": create_refresh_token(application),
        },
    ),
    Door("client_credentials", TOKEN, "client-credentials", lambda _: {"grant_type": "client_credentials"}),
    Door(
        "password",
        TOKEN,
        "password",
        lambda _: {"grant_type": "password", "username": alice().username, "password": PASSWORD},
    ),
    Door(
        "device_code",
        TOKEN,
        DEVICE_CODE_GRANT,
        lambda application: {
            "grant_type": DEVICE_CODE_GRANT,
            "device_code": create_device_code(application),
        },
    ),
    Door(
        "revocation",
        REVOKE,
        "client-credentials",
        lambda application: {"token": create_access_token(application)},
        member="",
    ),
    Door(
        "introspection",
        INTROSPECT,
        "client-credentials",
        lambda application: {"token": create_access_token(application)},
        member="active",
    ),
    Door(
        "introspection_get",
        INTROSPECT,
        "client-credentials",
        lambda application: {"token": create_access_token(application)},
        member="active",
        method="GET",
    ),
    Door(
        "device_authorization",
        DEVICE_AUTHORIZATION,
        DEVICE_CODE_GRANT,
        lambda _: {"scope": "read"},
        member="device_code",
    ),
    Door(
        "pushed_authorization_request",
        PAR,
        "authorization-code",
        lambda _: dict(AUTHORIZATION_REQUEST),
        member="request_uri",
        status=201,
    ),
)


def table(names: str, rows: dict[str, Any]) -> pytest.MarkDecorator:
    """Parametrize a test by a table: one sentence a row, then the value or the tuple of values for ``names``."""
    return pytest.mark.parametrize(names, list(rows.values()), ids=list(rows))


def configure(settings: Any, **values: Any) -> None:
    """Change keys of OAUTH_CLIENT_ATTESTATION for one test."""
    settings.OAUTH_CLIENT_ATTESTATION = {**settings.OAUTH_CLIENT_ATTESTATION, **values}


def edited(
    token: str,
    *,
    header: Callable[[bytes], bytes] = bytes,
    payload: Callable[[bytes], bytes] = bytes,
    key: JWK | None = None,
) -> str:
    """Return ``token`` with the octets of its header or payload changed, strict JSON afterwards or not.

    :param key: the P-256 key to sign the result with; without one it keeps the signature it has.
    """
    parts = token.split(".")
    octets = [change(base64url_decode(part)) for change, part in zip((header, payload), parts, strict=False)]
    signing_input = ".".join(base64url_encode(part) for part in octets)
    if key is None:
        return f"{signing_input}.{parts[2]}"
    der = key.get_op_key("sign").sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    signature = b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))
    return f"{signing_input}.{base64url_encode(signature)}"


def asgi_post(fields: Iterable[tuple[str, str]], path: str = TOKEN, data: dict[str, str] | None = None) -> Any:
    """Send a form as an ASGI server hands it over: each field of the request by itself, repeated ones too."""
    body = urlencode({"grant_type": "client_credentials"} if data is None else data).encode()
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", FORM.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields),
    ]
    return async_to_sync(AsyncClient().request)(
        method="POST", path=path, query_string="", headers=headers, _body_file=FakePayload(body)
    )
