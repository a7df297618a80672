"""Rules E and B5 over HTTP: what the client learns, what the operator learns, and what neither may.

``CAUSES`` has a request for each reason there is. Every one is sent, and the log is searched for anything that
came from the client.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone
from jwcrypto.common import base64url_decode, base64url_encode
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.views import TokenView
from oauthlib.oauth2 import Server
from redis.backoff import NoBackoff
from redis.retry import Retry

from oauth_client_attestation import bindings, confirmations, instances
from oauth_client_attestation.challenges import (
    authorization_server_challenges,
    dpop_nonces,
    fresh_challenge,
    fresh_resource_challenge,
)
from oauth_client_attestation.core.anchors import parse_anchors
from oauth_client_attestation.core.attestation import MAX_CANDIDATE_KEYS
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.results import Evidence
from oauth_client_attestation.models import (
    AttestationPolicy,
    Attester,
    AttesterKey,
    PushedAuthorizationPolicy,
    UsedProof,
)
from oauth_client_attestation.oauth2.validators import AttestationOAuth2Validator
from oauth_client_attestation.signals import client_attestation_accepted, client_attestation_refused
from oauth_client_attestation.testing import ABSENT, AttesterBackend, ClientInstance
from oauth_client_attestation.trust.outcomes import FetchOutcome
from oauth_client_attestation.trust.registration import replace_anchors
from tests.certificates import Chain, build_ca, build_leaf, make_chain
from tests.kit import (
    AUTHORIZATION_REQUEST,
    CHALLENGE_FIELD,
    DEVICE_CODE_GRANT,
    INTROSPECT,
    ISSUER,
    PAR,
    REVOKE,
    SENTENCES,
    TOKEN,
    AttestedClient,
    basic,
    configure,
    create_access_token,
    create_code,
    create_device_code,
    create_refresh_token,
    edited,
    holder,
    register_attester,
    stored,
    table,
)

ATTESTATION = "OAuth-Client-Attestation"
POP = "OAuth-Client-Attestation-PoP"
DPOP = "DPoP"
RESOURCE = "/api/hello"
LOGGER = "oauth_client_attestation"
JSON = "application/json"
FAR_FUTURE = 4_000_000_000

#: The specification's sorting, written out once more; every other reason is ``invalid_client_attestation``.
CODES = {
    "challenge_missing": "use_attestation_challenge",
    "challenge_malformed": "use_attestation_challenge",
    "challenge_unknown": "use_attestation_challenge",
    "challenge_expired": "use_attestation_challenge",
    "challenge_used": "use_attestation_challenge",
    "attestation_expired": "use_fresh_attestation",
    "attestation_too_old": "use_fresh_attestation",
    "pop_without_attestation": "invalid_client",
    "attestation_required": "invalid_client",
    "client_not_registered": "invalid_client",
    "client_unknown": "invalid_client",
    "issuer_not_configured": "invalid_client",
    "resource_not_configured": "invalid_client",
    "backend_not_installed": "invalid_client",
    "site_rule": "invalid_client",
    "second_mechanism": "invalid_request",
    "refresh_token_unbound": "invalid_grant",
    "refresh_token_of_another_instance": "invalid_grant",
    "code_unbound": "invalid_grant",
    "code_of_another_instance": "invalid_grant",
    "device_code_unbound": "invalid_grant",
    "device_code_of_another_instance": "invalid_grant",
    "device_code_revoked": "invalid_grant",
    "dpop_field_repeated": "invalid_dpop_proof",
    "dpop_field_malformed": "invalid_dpop_proof",
    "dpop_field_too_large": "invalid_dpop_proof",
    "dpop_malformed": "invalid_dpop_proof",
    "dpop_typ": "invalid_dpop_proof",
    "dpop_algorithm": "invalid_dpop_proof",
    "dpop_crit": "invalid_dpop_proof",
    "dpop_jwk": "invalid_dpop_proof",
    "dpop_jwk_private": "invalid_dpop_proof",
    "dpop_signature": "invalid_dpop_proof",
    "dpop_jti": "invalid_dpop_proof",
    "dpop_htm": "invalid_dpop_proof",
    "dpop_htu": "invalid_dpop_proof",
    "dpop_iat": "invalid_dpop_proof",
    "dpop_too_old": "invalid_dpop_proof",
    "dpop_from_the_future": "invalid_dpop_proof",
    "dpop_expired": "invalid_dpop_proof",
    "dpop_ath": "invalid_dpop_proof",
    "dpop_replayed": "invalid_dpop_proof",
    "dpop_jkt_mismatch": "invalid_dpop_proof",
    "dpop_required": "invalid_dpop_proof",
    "dpop_nonce_missing": "use_dpop_nonce",
    "dpop_nonce_malformed": "use_dpop_nonce",
    "dpop_nonce_unknown": "use_dpop_nonce",
    "dpop_nonce_expired": "use_dpop_nonce",
    "refresh_token_of_another_key": "invalid_grant",
    "code_of_another_key": "invalid_grant",
    "access_token_of_another_key": "invalid_token",
    "access_token_as_bearer": "invalid_token",
    "access_token_not_bound": "invalid_token",
    "access_token_of_another_instance": "invalid_token",
    "attester_keys_unavailable": "temporarily_unavailable",
    "site_rule_failed": "temporarily_unavailable",
    "replay_store_unavailable": "temporarily_unavailable",
    "database_unavailable": "temporarily_unavailable",
}


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.refuses("E1", "E2", "E3", "E4", "E5", "E6")
def test_every_reason_has_its_code_sentence_and_status(reason: Reason) -> None:
    error = ClientAttestationError(reason)
    assert error.code == CODES.get(reason, "invalid_client_attestation")
    assert error.description == SENTENCES[error.code]
    assert error.status == {"temporarily_unavailable": 503, "invalid_token": 401}.get(error.code, 400)


# A request for each reason: (client, settings) -> what to post.

Cause = Callable[[AttestedClient, Any], dict[str, Any]]


@pytest.fixture
def talkative(db: Any) -> AttestedClient:
    """A client whose every value can be recognized in a log."""
    backend = AttesterBackend(key_id="kid-of-the-attester-key")
    return AttestedClient(backend=backend, client_id="wallet-of-somebody").register()


def attestation(client: AttestedClient, *, claims: dict[str, Any] | None = None, **changes: Any) -> str:
    return client.attestation(claims={"note": "claim-of-the-attestation", **(claims or {})}, **changes)


def proof(client: AttestedClient, *, claims: dict[str, Any] | None = None, **changes: Any) -> str:
    return client.pop(claims={"note": "claim-of-the-proof", **(claims or {})}, **changes)


def attested_with(prepare: Callable[[AttestedClient, Any], Any] | None = None, **changes: Any) -> Cause:
    """Return a cause in the attestation, and in what the server has been told before."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        request = {"headers": client.headers(attestation(client, **changes), proof(client))}
        if prepare:
            prepare(client, settings)
        return request

    return cause


def proved_with(prepare: Callable[[AttestedClient, Any], Any] | None = None, **changes: Any) -> Cause:
    """Return a cause in the proof, and in what the server has been told before."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        request = {"headers": client.headers(attestation(client), proof(client, **changes))}
        if prepare:
            prepare(client, settings)
        return request

    return cause


def field(name: str, change: Callable[[str], str]) -> Cause:
    """Return a cause in the value of one field."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        headers = client.headers(attestation(client), proof(client))
        return {"headers": {**headers, name: change(headers[name])}}

    return cause


def without(name: str, **more: str) -> Cause:
    """Return a cause in a field that is missing."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        headers = client.headers(attestation(client), proof(client))
        return {"headers": {key: value for key, value in {**headers, **more}.items() if key != name}}

    return cause


def by_secret(client: AttestedClient, settings: Any) -> dict[str, Any]:
    body = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": "the-secret"}
    return {"headers": {}, "data": body}


def naming_another(client: AttestedClient, settings: Any) -> dict[str, Any]:
    body = {"grant_type": "client_credentials", "client_id": "wallet-of-another"}
    return {**attested_with()(client, settings), "data": body}


def registering_other_software(client: AttestedClient, settings: Any) -> dict[str, Any]:
    body = {"software_id": "software-of-another"}
    return {**attested_with()(client, settings), "path": "/o/register/", "data": body, "content_type": JSON}


def with_a_secret_too(client: AttestedClient, settings: Any) -> dict[str, Any]:
    body = {"grant_type": "client_credentials", "client_secret": "the-secret"}
    return {**attested_with()(client, settings), "data": body}


def sent_before(client: AttestedClient, settings: Any) -> dict[str, Any]:
    request = attested_with()(client, settings)
    client.accepted(**request)
    return request


def with_a_used_challenge(client: AttestedClient, settings: Any) -> dict[str, Any]:
    configure(settings, SINGLE_USE_CHALLENGES=True)
    challenge = fresh_challenge()
    client.accepted(**proved_with(challenge=challenge)(client, settings))
    return proved_with(challenge=challenge)(client, settings)


def with_crit(name: str, signer: str) -> Cause:
    """Return a cause that takes a signature of ours: libraries do not sign what they do not understand."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        headers = client.headers(attestation(client), proof(client))
        token = edited(
            headers[name],
            header=lambda text: text[:-1] + b', "crit": ["extension-of-the-client"]}',
            key=getattr(client, signer).key,
        )
        return {"headers": {**headers, name: token}}

    return cause


def with_an_old_challenge(client: AttestedClient, settings: Any) -> dict[str, Any]:
    old = authorization_server_challenges(ISSUER).issue(1_000_000_000)
    return proved_with(challenge=old)(client, settings)


def add_attesters(client: AttestedClient, settings: Any) -> None:
    for number in range(MAX_CANDIDATE_KEYS):
        register_attester(AttesterBackend(key_id=f"key-{number}"), f"A{number}", all_applications=True)


def beside(
    prepare: Callable[[AttestedClient, Any], Any] | None = None,
    change: Callable[[str], str] = str,
    *,
    claims: dict[str, Any] | None = None,
    **changes: Any,
) -> Cause:
    """Return a cause in the DPoP proof beside a good PoP JWT, which has been used when the DPoP proof is looked at."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        dpop = client.dpop(claims={"note": "claim-of-the-proof", **(claims or {})}, **changes)
        if prepare:
            prepare(client, settings)
        headers = {**client.headers(attestation(client), proof(client)), DPOP: change(dpop)}
        return {"headers": headers, "proof_used": True}

    return cause


def demanding(**values: Any) -> Callable[[AttestedClient, Any], None]:
    return lambda client, settings: configure(settings, **values)


def beside_with_crit(client: AttestedClient, settings: Any) -> dict[str, Any]:
    def change(token: str) -> str:
        return edited(
            token,
            header=lambda text: text[:-1] + b', "crit": ["extension-of-the-client"]}',
            key=client.instance.key,
        )

    return beside(change=change)(client, settings)


def with_an_old_nonce(client: AttestedClient, settings: Any) -> dict[str, Any]:
    return beside(nonce=dpop_nonces().issue(1_000_000_000))(client, settings)


def with_a_used_dpop_proof(client: AttestedClient, settings: Any) -> dict[str, Any]:
    request = beside()(client, settings)
    client.accepted(headers=request["headers"])
    again = client.headers(attestation(client), proof(client))
    # It is used up by the request that stores tokens, so everything else about the request has to be good.
    data = {"grant_type": "client_credentials", "scope": "read"}
    return {**request, "headers": {**request["headers"], **again}, "data": data}


def in_combined_mode(prepare: Callable[[AttestedClient, Any], Any] | None = None, *, by_another: bool = False) -> Cause:
    """Return a cause in which a DPoP proof takes the place of the PoP JWT."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        prover = client.another() if by_another else client
        request = {"headers": {ATTESTATION: attestation(client), DPOP: prover.dpop()}}
        if prepare:
            prepare(client, settings)
        return request

    return cause


def pushing_for_another_key(client: AttestedClient, settings: Any) -> dict[str, Any]:
    client.application.authorization_grant_type = "authorization-code"
    client.application.redirect_uris = AUTHORIZATION_REQUEST["redirect_uri"]
    client.application.save()
    data = {**AUTHORIZATION_REQUEST, "dpop_jkt": ClientInstance().thumbprint}
    headers = {**client.headers(attestation(client), proof(client)), DPOP: client.dpop(PAR)}
    return {"path": PAR, "headers": headers, "data": data, "proof_used": True}


def make_optional(client: AttestedClient, settings: Any) -> None:
    AttestationPolicy.objects.update(challenge="optional")


def lose_the_cache(client: AttestedClient, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            # Nothing listens at port 1. Left to itself the library would try again, and wait in between.
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"retry": Retry(NoBackoff(), 0)},
        }
    }
    configure(settings, REPLAY_STORE="oauth_client_attestation.replay.cache.CacheReplayStore")


def block(client: AttestedClient, settings: Any) -> None:
    instances.block(client.application.pk, client.instance.thumbprint)


def presenting(grant: str, issue: Callable[[Any], dict[str, Any]], *, by_another: bool = False) -> Cause:
    """Return a cause in which a good attestation comes with something that is not its instance's."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        client.application.authorization_grant_type = grant
        client.application.save()
        data = issue(client.application)
        if by_another:
            client.instance = ClientInstance()
        return {**attested_with()(client, settings), "data": data, "proof_used": True}

    return cause


def a_refresh_token(application: Any, **how: bool) -> dict[str, Any]:
    return {"grant_type": "refresh_token", "refresh_token": create_refresh_token(application, **how)}


def a_refresh_token_of_another_key(application: Any) -> dict[str, Any]:
    data = a_refresh_token(application)
    row = get_refresh_token_model().objects.get(token=data["refresh_token"])
    confirmations.confirm_refresh_token(row, ClientInstance().thumbprint)
    return data


def a_code_of_another_key(application: Any) -> dict[str, Any]:
    data = a_code(application)
    row = get_grant_model().objects.get(code=data["code"])
    confirmations.confirm_code(row, ClientInstance().thumbprint)
    return data


def a_code(application: Any) -> dict[str, Any]:
    code = create_code(application)
    bindings.bind_authorization_code(get_grant_model().objects.get(code=code), holder(application))
    return {"grant_type": "authorization_code", "code": code}


def a_code_that_nobody_pushed(application: Any) -> dict[str, Any]:
    PushedAuthorizationPolicy.objects.create(application=application)
    return {"grant_type": "authorization_code", "code": create_code(application)}


def a_device_code(application: Any, **how: bool) -> dict[str, Any]:
    return {"grant_type": DEVICE_CODE_GRANT, "device_code": create_device_code(application, **how)}


def a_revoked_device_code(application: Any) -> dict[str, Any]:
    data = a_device_code(application)
    instances.revoke(holder(application))
    return data


def certified(build: Callable[[], Chain]) -> Cause:
    """Return a cause in the certificates, whose anchor the attester has."""
    chain = build()
    return attested_with(
        lambda client, settings: replace_anchors(client.attester, parse_anchors(chain.pem)),
        header={"kid": "kid-of-the-certificate", "x5c": chain.x5c},
    )


def reversed_chain() -> Chain:
    chain = make_chain()
    return Chain(chain.anchor, chain.certificates[::-1])


def with_its_anchor() -> Chain:
    chain = make_chain()
    return Chain(chain.anchor, [*chain.certificates, chain.anchor])


def without_its_intermediate() -> Chain:
    chain = make_chain()
    return Chain(chain.anchor, chain.certificates[:1])


def just_tried_in_vain(client: AttestedClient, settings: Any) -> None:
    Attester.objects.update(
        jwks_uri="https://attester.example/jwks", fetch_attempted_at=timezone.now(), fetch_outcome=FetchOutcome.TIMEOUT
    )


def ruled_by(name: str) -> Callable[[AttestedClient, Any], None]:
    return lambda client, settings: configure(settings, SITE_RULE=f"tests.shell.site_rules.{name}")


CAUSES: dict[Reason, Cause] = {
    Reason.ATTESTATION_FIELD_REPEATED: field(ATTESTATION, lambda value: f"{value},{value}"),
    Reason.ATTESTATION_FIELD_MALFORMED: field(ATTESTATION, lambda value: f"{value};parameter=of-the-client"),
    Reason.ATTESTATION_FIELD_TOO_LARGE: field(ATTESTATION, lambda value: value + "e" * 20000),
    Reason.POP_FIELD_REPEATED: field(POP, lambda value: f"{value},{value}"),
    Reason.POP_FIELD_MALFORMED: field(POP, lambda value: f"{value};parameter=of-the-client"),
    Reason.POP_FIELD_TOO_LARGE: field(POP, lambda value: value + "e" * 20000),
    Reason.POP_WITHOUT_ATTESTATION: without(ATTESTATION),
    Reason.POP_MISSING: without(POP),
    Reason.COMBINED_MODE_NOT_OFFERED: in_combined_mode(demanding(METHODS=["attest_jwt_client_auth"])),
    Reason.ATTESTATION_REQUIRED: by_secret,
    Reason.CLIENT_NOT_REGISTERED: attested_with(claims={"sub": "wallet-of-nobody"}),
    Reason.CLIENT_MISMATCH: naming_another,
    Reason.REGISTRATION_SUB: registering_other_software,
    Reason.SECOND_MECHANISM: with_a_secret_too,
    Reason.METHOD_NOT_ALLOWED: attested_with(
        lambda client, settings: AttestationPolicy.objects.update(methods=["another_method"])
    ),
    Reason.ATTESTATION_MALFORMED: attested_with(header={"kid": ["kid-of-the-client"]}),
    Reason.ATTESTATION_TYP: attested_with(header={"typ": "typ-of-the-client"}),
    Reason.ATTESTATION_ALGORITHM: attested_with(lambda client, settings: Attester.objects.update(algorithms=["ES384"])),
    Reason.ATTESTATION_CRIT: with_crit(ATTESTATION, "backend"),
    Reason.ATTESTER_NOT_TRUSTED: attested_with(header={"kid": "kid-of-nobody"}),
    Reason.ATTESTER_KEY_AMBIGUOUS: attested_with(add_attesters, header={"kid": ABSENT}),
    Reason.ATTESTATION_SIGNATURE: attested_with(
        lambda client, settings: client.attester.keys.update(jwk=AttesterBackend().public_jwk)
    ),
    Reason.ATTESTATION_SUB: attested_with(claims={"sub": ["wallet-of-somebody"]}),
    Reason.ATTESTATION_EXP: attested_with(claims={"exp": "exp-of-the-client"}),
    Reason.ATTESTATION_EXPIRED: attested_with(lifetime=-3600),
    Reason.ATTESTATION_IAT: attested_with(claims={"iat": "iat-of-the-client"}),
    Reason.ATTESTATION_FROM_THE_FUTURE: attested_with(claims={"iat": FAR_FUTURE}),
    Reason.ATTESTATION_TOO_OLD: attested_with(
        lambda client, settings: configure(settings, ATTESTATION_MAX_AGE=60), claims={"iat": 1_000_000_000}
    ),
    Reason.ATTESTATION_CNF: attested_with(claims={"cnf": {"jkt": "thumbprint-of-the-client"}}),
    Reason.ATTESTATION_CNF_PRIVATE: attested_with(claims={"cnf": {"jwk": {"kty": "oct", "k": "key-of-the-client"}}}),
    Reason.ATTESTATION_CNF_WEAK: attested_with(
        claims={"cnf": {"jwk": {"kty": "RSA", "n": base64url_encode(b"of the client " * 9), "e": "AQAB"}}}
    ),
    Reason.ATTESTATION_NBF: attested_with(claims={"nbf": FAR_FUTURE}),
    Reason.ATTESTATION_ISS: attested_with(
        lambda client, settings: Attester.objects.update(issuer="https://attester.example"),
        claims={"iss": "https://issuer-of-the-client.example"},
    ),
    Reason.ATTESTER_KEYS_UNAVAILABLE: attested_with(just_tried_in_vain, header={"kid": "kid-of-the-new-key"}),
    Reason.ATTESTATION_X5C_MALFORMED: certified(reversed_chain),
    Reason.ATTESTATION_X5C_ANCHOR_INCLUDED: certified(with_its_anchor),
    Reason.ATTESTATION_X5C_SELF_SIGNED: certified(lambda: Chain(build_ca("Root"), [build_leaf("Attester", None)])),
    Reason.ATTESTATION_X5C_EXPIRED: certified(lambda: make_chain(not_after=1_600_000_000)),
    Reason.ATTESTATION_X5C_NOT_TRUSTED: certified(without_its_intermediate),
    Reason.ATTESTATION_CLAIM_MISSING: attested_with(
        lambda client, settings: Attester.objects.update(required_claims={"level": ["high"]})
    ),
    Reason.ATTESTATION_CLAIM_VALUE: attested_with(
        lambda client, settings: Attester.objects.update(required_claims={"level": ["high"]}),
        claims={"level": "level-of-the-client"},
    ),
    Reason.SITE_RULE: attested_with(ruled_by("refuse")),
    Reason.SITE_RULE_FAILED: attested_with(ruled_by("fail")),
    Reason.POP_MALFORMED: field(POP, lambda value: f"e{value}"),
    Reason.POP_TYP: proved_with(header={"typ": "typ-of-the-client"}),
    Reason.POP_ALGORITHM: proved_with(lambda client, settings: configure(settings, POP_ALGORITHMS=["ES384"])),
    Reason.POP_CRIT: with_crit(POP, "instance"),
    Reason.POP_SIGNATURE: attested_with(claims={"cnf": {"jwk": ClientInstance().public_jwk}}),
    Reason.POP_AUD: proved_with(audience="https://audience-of-the-client.example"),
    Reason.POP_ISS: proved_with(claims={"iss": "iss-of-the-client"}),
    Reason.POP_JTI: proved_with(claims={"jti": ["jti-of-the-client"]}),
    Reason.POP_IAT: proved_with(claims={"iat": "iat-of-the-client"}),
    Reason.POP_TOO_OLD: proved_with(make_optional, challenge=None, claims={"iat": 1_000_000_000}),
    Reason.POP_FROM_THE_FUTURE: proved_with(make_optional, challenge=None, claims={"iat": FAR_FUTURE}),
    Reason.POP_EXP: proved_with(claims={"exp": "exp-of-the-client"}),
    Reason.POP_EXPIRED: proved_with(claims={"exp": 1_000_000_000}),
    Reason.POP_NBF: proved_with(claims={"nbf": FAR_FUTURE}),
    Reason.POP_REPLAYED: sent_before,
    Reason.CHALLENGE_MISSING: proved_with(challenge=None),
    Reason.CHALLENGE_MALFORMED: proved_with(claims={"challenge": ["challenge-of-the-client"]}),
    Reason.CHALLENGE_UNKNOWN: proved_with(challenge="challenge-of-the-client"),
    Reason.CHALLENGE_EXPIRED: with_an_old_challenge,
    Reason.CHALLENGE_USED: with_a_used_challenge,
    Reason.INSTANCE_BLOCKED: attested_with(block),
    Reason.REFRESH_TOKEN_UNBOUND: presenting("authorization-code", lambda app: a_refresh_token(app, bound=False)),
    Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE: presenting("authorization-code", a_refresh_token, by_another=True),
    Reason.CODE_UNBOUND: presenting("authorization-code", a_code_that_nobody_pushed),
    Reason.CODE_OF_ANOTHER_INSTANCE: presenting("authorization-code", a_code, by_another=True),
    Reason.DEVICE_CODE_UNBOUND: presenting(DEVICE_CODE_GRANT, lambda app: a_device_code(app, bound=False)),
    Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE: presenting(DEVICE_CODE_GRANT, a_device_code, by_another=True),
    Reason.DEVICE_CODE_REVOKED: presenting(DEVICE_CODE_GRANT, a_revoked_device_code),
    Reason.REPLAY_STORE_UNAVAILABLE: attested_with(lose_the_cache),
    Reason.DPOP_FIELD_REPEATED: beside(change=lambda value: f"{value},{value}"),
    Reason.DPOP_FIELD_MALFORMED: beside(change=lambda value: f"{value};parameter=of-the-client"),
    Reason.DPOP_FIELD_TOO_LARGE: beside(change=lambda value: value + "e" * 20000),
    Reason.DPOP_MALFORMED: beside(change=lambda value: f"e{value}"),
    Reason.DPOP_TYP: beside(header={"typ": "typ-of-the-client"}),
    Reason.DPOP_ALGORITHM: beside(demanding(DPOP_ALGORITHMS=["ES384"])),
    Reason.DPOP_CRIT: beside_with_crit,
    Reason.DPOP_JWK: beside(header={"jwk": {"kty": "key-of-the-client"}}),
    Reason.DPOP_JWK_PRIVATE: beside(header={"jwk": {"kty": "oct", "k": "key-of-the-client"}}),
    Reason.DPOP_SIGNATURE: beside(header={"jwk": ClientInstance().public_jwk}),
    Reason.DPOP_JTI: beside(claims={"jti": ["jti-of-the-client"]}),
    Reason.DPOP_HTM: beside(claims={"htm": "htm-of-the-client"}),
    Reason.DPOP_HTU: beside(claims={"htu": "https://htu-of-the-client.example"}),
    Reason.DPOP_IAT: beside(claims={"iat": "iat-of-the-client"}),
    Reason.DPOP_TOO_OLD: beside(nonce=None, claims={"iat": 1_000_000_000}),
    Reason.DPOP_FROM_THE_FUTURE: beside(nonce=None, claims={"iat": FAR_FUTURE}),
    Reason.DPOP_EXPIRED: beside(claims={"exp": 1_000_000_000}),
    Reason.DPOP_REPLAYED: with_a_used_dpop_proof,
    Reason.DPOP_NONCE_MISSING: beside(demanding(DPOP_NONCE="required"), nonce=None),
    Reason.DPOP_NONCE_MALFORMED: beside(claims={"nonce": ["nonce-of-the-client"]}),
    Reason.DPOP_NONCE_UNKNOWN: beside(nonce="nonce-of-the-client"),
    Reason.DPOP_NONCE_EXPIRED: with_an_old_nonce,
    Reason.DPOP_KEY_MISMATCH: in_combined_mode(by_another=True),
    Reason.DPOP_JKT_MISMATCH: pushing_for_another_key,
    Reason.DPOP_REQUIRED: lambda client, settings: {
        **attested_with(demanding(REQUIRE_DPOP=True))(client, settings),
        "proof_used": True,
    },
    Reason.REFRESH_TOKEN_OF_ANOTHER_KEY: presenting("authorization-code", a_refresh_token_of_another_key),
    Reason.CODE_OF_ANOTHER_KEY: presenting("authorization-code", a_code_of_another_key),
}
#: In these the instance was accepted, which is another line of the log, and then what it presented was not; the store
#: has a line of its own.
TWO_LINES = {
    *(reason for reason in Reason if CODES.get(reason) in ("invalid_grant", "invalid_dpop_proof", "use_dpop_nonce")),
    Reason.REPLAY_STORE_UNAVAILABLE,
    Reason.SITE_RULE_FAILED,
}
#: These take another server, not another request, and have tests of their own below.
OF_THE_SERVER = {
    Reason.ISSUER_NOT_CONFIGURED,
    Reason.BACKEND_NOT_INSTALLED,
    Reason.CLIENT_UNKNOWN,
    Reason.DATABASE_UNAVAILABLE,
}


def visiting(
    scheme: str = "DPoP",
    *,
    bound: bool = True,
    by_another: bool = False,
    demands: dict[str, Any] | None = None,
    **changes: Any,
) -> Cause:
    """Return a cause in how an access token is presented at a resource."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        token = create_access_token(client.application)
        if bound:
            row = get_access_token_model().objects.get(token=token)
            confirmations.confirm_access_token(row, client.instance.thumbprint)
        prover = client.another() if by_another else client
        headers = {"Authorization": f"{scheme} {token}"}
        if scheme == "DPoP":
            headers[DPOP] = prover.dpop(RESOURCE, method="GET", **{"access_token": token, **changes})
        configure(settings, **(demands or {}))
        return {"headers": headers, "data": {"access_token": token}}

    return cause


#: At a resource, what can only be wrong there, and an example of the other codes.
AT_RESOURCES: dict[Reason, Cause] = {
    Reason.DPOP_ATH: visiting(access_token="token-of-another"),  # noqa: S106 (a name, no secret)
    Reason.ACCESS_TOKEN_OF_ANOTHER_KEY: visiting(by_another=True),
    Reason.ACCESS_TOKEN_AS_BEARER: visiting("Bearer"),
    Reason.ACCESS_TOKEN_NOT_BOUND: visiting(bound=False),
    Reason.DPOP_HTM: visiting(claims={"htm": "htm-of-the-client"}),
    Reason.DPOP_NONCE_MISSING: visiting(demands={"RESOURCE_DPOP_NONCE": "required"}, nonce=None),
}


def attested_at_resource(
    prepare: Callable[[AttestedClient, Any], Any] | None = None, *, audience: str | None = None
) -> Cause:
    """Return a cause in the attestation that comes along with a bearer token, or in what the resource was told."""

    def cause(client: AttestedClient, settings: Any) -> dict[str, Any]:
        token = create_access_token(client.application)
        bound = get_access_token_model().objects.get(token=token)
        bindings.bind_access_token(bound, holder(client.application))
        if prepare:
            prepare(client, settings)
        pop = proof(client, audience=audience or ISSUER, challenge=fresh_resource_challenge())
        headers = {**client.headers(attestation(client), pop), "Authorization": f"Bearer {token}"}
        return {"headers": headers, "data": {"access_token": token}}

    return cause


def lose_the_key(client: AttestedClient, settings: Any) -> None:
    client.instance = ClientInstance()


def lose_the_issuer(client: AttestedClient, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    configure(settings, ISSUER=None)


#: At a resource that wants an attestation, what can only be wrong there, and an example of the other codes.
AT_ATTESTED_RESOURCES: dict[Reason, Cause] = {
    Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE: attested_at_resource(lose_the_key),
    Reason.RESOURCE_NOT_CONFIGURED: attested_at_resource(lose_the_issuer),
    Reason.POP_AUD: attested_at_resource(audience="https://audience-of-the-client.example"),
}


def test_there_is_a_request_for_each_reason() -> None:
    assert set(CAUSES) | set(AT_RESOURCES) | set(AT_ATTESTED_RESOURCES) | OF_THE_SERVER == set(Reason)


def said_by(request: dict[str, Any]) -> set[str]:
    """Return everything in a request that only its sender can have said, tokens taken apart.

    Values of fewer than six characters are left out: they are names of algorithms, curves and key types.
    """
    said: set[str] = set()
    for value in request["headers"].values():
        said |= {value, *value.split(".")}
        for segment in value.split(".")[:2]:
            try:
                said |= set(_strings(json.loads(base64url_decode(segment))))
            except ValueError:
                continue
    said |= set(request["data"].values()) - {"refresh_token"}  # a grant, and part of a reason's name
    return {value for value in said if len(value) >= 6}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    else:
        yield str(value)


def complete(request: dict[str, Any]) -> dict[str, Any]:
    """Add parameters that must not come back, where the request does not have its own."""
    body = request.get("data", {"grant_type": "client_credentials"})
    return {**request, "data": {"state": "state-of-the-client", "scope": "scope-of-the-client", **body}}


@pytest.mark.parametrize("reason", CAUSES)
@pytest.mark.refuses("E3", "E5", "E6", "E7")
def test_the_client_learns_one_sentence_and_the_log_the_reason(
    talkative: AttestedClient, settings: Any, caplog: pytest.LogCaptureFixture, reason: Reason
) -> None:
    request = complete(CAUSES[reason](talkative, settings))
    caplog.clear()
    caplog.set_level(logging.DEBUG, LOGGER)
    response = talkative.refused(reason, **request)
    records = [record for record in caplog.records if record.name == LOGGER]
    refusals = [record for record in records if f"reason={reason} " in record.getMessage()]
    assert len(refusals) == 1
    assert refusals[0].levelno == logging.WARNING
    assert len(records) == (2 if reason in TWO_LINES else 1)
    answer = [response.content.decode(), *response.headers.values()]
    for value in said_by(request):
        assert value not in caplog.text
        assert not any(value in part for part in answer)


@pytest.mark.parametrize("reason", AT_RESOURCES)
def test_a_client_at_a_resource_learns_one_sentence_and_the_log_the_reason(
    talkative: AttestedClient, settings: Any, caplog: pytest.LogCaptureFixture, reason: Reason
) -> None:
    """RFC 6750 section 3: code and sentence are in the challenge, and the body is the view's."""
    request = AT_RESOURCES[reason](talkative, settings)
    caplog.set_level(logging.DEBUG, LOGGER)
    reasons, before = [], stored()
    with listening(client_attestation_refused, lambda **sent: reasons.append(sent["reason"])):
        response = talkative.http.get(RESOURCE, headers=request["headers"])
    assert reasons == [reason]
    assert response.status_code == 401
    code = CODES[reason]
    assert response.headers["WWW-Authenticate"] == (
        f'DPoP error="{code}", error_description="{SENTENCES[code]}", algs="ES256 ES384 ES512 EdDSA Ed25519"'
    )
    assert ("DPoP-Nonce" in response.headers) is (DPOP in request["headers"])
    assert stored() == before
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert f"reason={reason} application={talkative.application.pk} endpoint=hello" in record.getMessage()
    answer = [response.content.decode(), *response.headers.values()]
    for value in said_by(request):
        assert value not in caplog.text
        assert not any(value in part for part in answer)


@pytest.mark.parametrize("path", ["/api/attested", "/api/view/attested", "/api/decorated/attested"])
@pytest.mark.parametrize("reason", AT_ATTESTED_RESOURCES)
@pytest.mark.refuses("S1", "S2", "E5", "E6")
def test_a_client_whose_attestation_a_resource_refuses_learns_one_sentence_and_the_log_the_reason(
    talkative: AttestedClient, settings: Any, caplog: pytest.LogCaptureFixture, reason: Reason, path: str
) -> None:
    assert talkative.http.get("/api/hello").status_code == 401  # brings the middleware up
    request = AT_ATTESTED_RESOURCES[reason](talkative, settings)
    caplog.clear()
    caplog.set_level(logging.DEBUG, LOGGER)
    reasons, before = [], stored()
    with listening(client_attestation_refused, lambda **sent: reasons.append(sent["reason"])):
        response = talkative.http.get(path, headers=request["headers"])
    assert reasons == [reason]
    assert response.status_code == 401
    code = CODES.get(reason, "invalid_client_attestation")
    assert response.headers["WWW-Authenticate"].startswith(
        f'Bearer error="{code}", error_description="{SENTENCES[code]}"'
    )
    assert response.headers[CHALLENGE_FIELD]
    assert stored() == before
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert f"reason={reason} application={talkative.application.pk} " in record.getMessage()
    answer = [response.content.decode(), *response.headers.values()]
    for value in said_by(request):
        assert value not in caplog.text
        assert not any(value in part for part in answer)


@pytest.mark.parametrize(
    "reason",
    [
        reason
        for reason, code in CODES.items()
        if code in ("invalid_dpop_proof", "use_dpop_nonce")
        # A nonce is required, whatever else; there is no access token; and the proof itself is not wrong.
        and reason not in ("dpop_too_old", "dpop_from_the_future", "dpop_ath", "dpop_required", "dpop_jkt_mismatch")
    ],
)
@pytest.mark.refuses("D3", "D5", "E3")
def test_a_bad_dpop_proof_in_combined_mode_is_a_bad_proof_of_the_attestation(
    talkative: AttestedClient, settings: Any, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    """The same proof without a PoP JWT beside it. Only the demand for a nonce keeps its code (D5)."""
    headers = CAUSES[Reason(reason)](talkative, settings)["headers"]
    del headers[POP]
    caplog.clear()
    caplog.set_level(logging.DEBUG, LOGGER)
    reasons, before = [], stored()
    with listening(client_attestation_refused, lambda **sent: reasons.append(sent["reason"])):
        response = talkative.post(headers=headers)
    assert reasons == [reason]
    assert response.status_code == 400
    code = "use_dpop_nonce" if "nonce" in reason else "invalid_client_attestation"
    assert response.json() == {"error": code, "error_description": SENTENCES[code]}
    assert response.headers["DPoP-Nonce"]
    assert stored() == before
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert f"reason={reason} " in record.getMessage()
    for value in said_by({"headers": headers, "data": {}}):
        assert value not in caplog.text


@pytest.mark.accepts("D5", "E3")
def test_a_client_that_is_asked_for_a_nonce_repeats_its_request_with_one(
    talkative: AttestedClient, settings: Any
) -> None:
    configure(settings, DPOP_NONCE="required")
    for beside_a_pop in (True, False):
        headers = {ATTESTATION: attestation(talkative), DPOP: talkative.dpop(nonce=None)}
        if beside_a_pop:
            headers[POP] = proof(talkative)
        refused = talkative.refused(Reason.DPOP_NONCE_MISSING, headers=headers, proof_used=beside_a_pop)
        headers[DPOP] = talkative.dpop(nonce=refused.headers["DPoP-Nonce"])
        if beside_a_pop:
            headers[POP] = proof(talkative, challenge=refused.headers[CHALLENGE_FIELD])
        assert talkative.accepted(headers=headers).json()["token_type"] == "DPoP"


@pytest.mark.accepts("E6")
def test_an_accepted_request_is_logged_without_what_it_said(
    talkative: AttestedClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    request = {"headers": talkative.headers(attestation(talkative), proof(talkative)), "data": {}}
    talkative.accepted(headers=request["headers"])
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        f"Client attestation accepted: application={talkative.application.pk} attester='Acme' "
        "endpoint=oauth2_provider:token"
    )
    for value in said_by(request):
        assert value not in caplog.text


@pytest.mark.refuses("E6")
def test_state_is_not_echoed(attested: AttestedClient) -> None:
    """oauthlib copies ``state`` from the request into the errors that it builds itself."""
    body = {"grant_type": "client_credentials", "state": "state-of-the-client"}
    response = attested.refused(Reason.ATTESTATION_EXPIRED, data=body, headers=expired(attested))
    assert b"state" not in response.content


def expired(client: AttestedClient) -> dict[str, str]:
    return client.headers(client.attestation(lifetime=-3600))


# Each code over HTTP


@table(
    ("cause", "code"),
    {
        "a demand for a challenge": (CAUSES[Reason.CHALLENGE_MISSING], "use_attestation_challenge"),
        "an expired attestation": (CAUSES[Reason.ATTESTATION_EXPIRED], "use_fresh_attestation"),
        "a proof by another key": (CAUSES[Reason.POP_SIGNATURE], "invalid_client_attestation"),
        "an unregistered client": (CAUSES[Reason.CLIENT_NOT_REGISTERED], "invalid_client"),
        "two mechanisms": (CAUSES[Reason.SECOND_MECHANISM], "invalid_request"),
        "a DPoP proof for another URL": (CAUSES[Reason.DPOP_HTU], "invalid_dpop_proof"),
        "a demand for a DPoP nonce": (CAUSES[Reason.DPOP_NONCE_MISSING], "use_dpop_nonce"),
    },
)
@pytest.mark.refuses("E1", "E2", "E3", "E4", "E5", "E7")
def test_each_code_as_it_stands_on_the_wire(talkative: AttestedClient, settings: Any, cause: Cause, code: str) -> None:
    """Literally, so that a word that is wrong in the package cannot agree with itself."""
    before = stored()
    request = cause(talkative, settings)
    proof_used = request.pop("proof_used", False)
    response = talkative.post(**request)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in response.headers
    assert CHALLENGE_FIELD in response.headers
    assert response.json()["error"] == code
    assert set(response.json()) == {"error", "error_description"}
    assert stored() == (before[0] + proof_used, *before[1:])


@pytest.mark.accepts("E1", "E2", "E3", "E4", "E5", "E7")
def test_what_was_refused_is_accepted_once_it_is_mended(talkative: AttestedClient, settings: Any) -> None:
    """After each code the client does what the code asks for, and gets its token."""
    for reason in (
        Reason.CHALLENGE_MISSING,
        Reason.ATTESTATION_EXPIRED,
        Reason.POP_SIGNATURE,
        Reason.CLIENT_NOT_REGISTERED,
        Reason.SECOND_MECHANISM,
    ):
        response = talkative.refused(reason, **CAUSES[reason](talkative, settings))
        pop = talkative.pop(challenge=response.headers[CHALLENGE_FIELD])
        talkative.accepted(headers=talkative.headers(pop=pop))


# E4, E5 and B5: no attestation where one is required


@table(
    ("scheme", "status"),
    {
        "the secret in the body": (None, 400),
        "the secret in Basic": ("Basic", 401),
        "the secret in Basic, in other letters": ("bASIC", 401),
    },
)
@pytest.mark.refuses("E4", "E5", "B5")
def test_the_secret_of_a_client_that_must_be_attested_is_refused(
    attested: AttestedClient, scheme: str | None, status: int
) -> None:
    """RFC 6749 section 5.2: 401 and the scheme for a client that tried the Authorization field, else 400."""
    body = {"grant_type": "client_credentials"}
    headers = {}
    if scheme:
        headers = basic("app", "secret", scheme=scheme)
    else:
        body |= {"client_id": "app", "client_secret": "secret"}
    response = attested.refused(Reason.ATTESTATION_REQUIRED, status=status, data=body, headers=headers)
    assert response.json()["error"] == "invalid_client"
    assert response.headers.get("WWW-Authenticate") == ('Basic realm="oauth"' if status == 401 else None)


@table("path", {"token": TOKEN, "revocation": REVOKE, "introspection": INTROSPECT})
@pytest.mark.refuses("E5", "E7", "B5")
def test_a_basic_attempt_is_answered_alike_everywhere(attested: AttestedClient, path: str) -> None:
    body = {"grant_type": "client_credentials", "token": "x"}
    response = attested.refused(
        Reason.ATTESTATION_REQUIRED, status=401, path=path, data=body, headers=basic("app", "secret")
    )
    assert response.headers["WWW-Authenticate"] == 'Basic realm="oauth"'


@pytest.mark.refuses("E5", "B5")
def test_basic_beside_an_attestation_is_two_mechanisms(attested: AttestedClient) -> None:
    response = attested.refused(Reason.SECOND_MECHANISM, headers={**attested.headers(), **basic("app", "secret")})
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.accepts("B5")
def test_a_client_that_must_be_attested_gets_in_by_attestation(attested: AttestedClient) -> None:
    attested.accepted(data={"grant_type": "client_credentials", "client_id": "app"})


@pytest.mark.accepts("B5")
def test_without_a_policy_the_secret_is_good_again(attested: AttestedClient) -> None:
    body = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    attested.refused(Reason.ATTESTATION_REQUIRED, data=body, headers={})
    AttestationPolicy.objects.all().delete()
    assert attested.post(data=body, headers={}).status_code == 200


# The reasons that are the server's


@pytest.mark.refuses("P4", "E4")
def test_without_an_issuer_nobody_gets_in(attested: AttestedClient, settings: Any) -> None:
    """There is no audience to compare with, and no context for a challenge: the answer carries none."""
    attested.accepted()  # brings the middleware up, which refuses to start like this
    headers = attested.headers()
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    configure(settings, ISSUER=None)
    reasons, before = [], stored()
    with listening(client_attestation_refused, lambda **sent: reasons.append(sent["reason"])):
        response = attested.post(headers=headers)
    assert reasons == [Reason.ISSUER_NOT_CONFIGURED]
    assert response.status_code == 400
    assert response.json() == {"error": "invalid_client", "error_description": SENTENCES["invalid_client"]}
    assert "no-store" in response.headers["Cache-Control"]
    assert CHALLENGE_FIELD not in response.headers
    assert stored() == before


@pytest.mark.refuses("E4")
def test_an_application_that_cannot_be_used_is_refused(
    attested: AttestedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's application class may say so; the proof is not used up, and nobody was told of an acceptance."""
    monkeypatch.setattr(type(attested.application), "is_usable", lambda self, request: False)
    accepted: list[Any] = []
    with listening(client_attestation_accepted, lambda **sent: accepted.append(sent)):
        attested.refused(Reason.CLIENT_UNKNOWN)
    assert not accepted


class StockBackendTokenView(TokenView):
    """The token endpoint of a site that forgot the backend; the middleware would refuse to start."""

    @classmethod
    def get_oauthlib_core(cls) -> OAuthLibCore:
        return OAuthLibCore(Server(AttestationOAuth2Validator()))


@table("attest", {"an attested request": True, "a secret": False})
@pytest.mark.refuses("H5", "E4", "B5")
def test_without_the_backend_the_door_stays_shut(attested: AttestedClient, attest: bool) -> None:
    headers = attested.headers() if attest else {}
    body = {"grant_type": "client_credentials"}
    if not attest:
        body |= {"client_id": "app", "client_secret": "secret"}
    request = RequestFactory().post(TOKEN, body, headers=headers)
    request.user = AnonymousUser()
    reasons, before = [], stored()
    with listening(client_attestation_refused, lambda **sent: reasons.append(sent["reason"])):
        response = StockBackendTokenView.as_view()(request)
    assert reasons == [Reason.BACKEND_NOT_INSTALLED]
    assert response.status_code == 400
    assert json.loads(response.content) == {
        "error": "invalid_client",
        "error_description": SENTENCES["invalid_client"],
    }
    assert "no-store" in response.headers["Cache-Control"]
    assert stored() == before


# Signals


@contextmanager
def listening(signal: Any, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.mark.accepts("E6")
def test_the_signal_of_an_accepted_request_has_request_and_evidence(attested: AttestedClient) -> None:
    sent: list[dict[str, Any]] = []
    with listening(client_attestation_accepted, lambda **arguments: sent.append(arguments)):
        attested.accepted()
    (arguments,) = sent
    assert set(arguments) == {"signal", "sender", "request", "evidence"}
    assert arguments["sender"] is AttestationPolicy
    assert isinstance(arguments["request"], HttpRequest)
    assert arguments["request"].path == TOKEN
    evidence = arguments["evidence"]
    assert isinstance(evidence, Evidence)
    assert evidence.method == "attest_jwt_client_auth"
    assert evidence.attestation.client_id == "app"
    assert evidence.attestation.attester == "Acme"
    assert evidence.proof.thumbprint == evidence.attestation.thumbprint == attested.instance.thumbprint
    assert evidence.proof.challenged is True


@table(
    ("cause", "reason", "named"),
    {
        "a registered client": (expired, Reason.ATTESTATION_EXPIRED, True),
        "nobody that is registered": (
            lambda client: client.headers(client.attestation(claims={"sub": "nobody"})),
            Reason.CLIENT_NOT_REGISTERED,
            False,
        ),
        "what cannot be read": (lambda client: {ATTESTATION: "x"}, Reason.ATTESTATION_FIELD_MALFORMED, False),
    },
)
@pytest.mark.refuses("E6")
def test_the_signal_of_a_refused_request_has_request_reason_and_application(
    attested: AttestedClient, cause: Callable[[AttestedClient], dict[str, str]], reason: Reason, named: bool
) -> None:
    sent: list[dict[str, Any]] = []
    with listening(client_attestation_refused, lambda **arguments: sent.append(arguments)):
        attested.refused(reason, headers=cause(attested))
    (arguments,) = sent
    assert set(arguments) == {"signal", "sender", "request", "reason", "application_id"}
    assert arguments["sender"] is AttestationPolicy
    assert arguments["request"].path == TOKEN
    assert arguments["reason"] is reason
    assert arguments["application_id"] == (attested.application.pk if named else None)


def fail(**arguments: Any) -> None:
    raise RuntimeError("the receiver of a site")


@pytest.mark.accepts("E6", "E7")
@pytest.mark.refuses("E6", "E7")
def test_a_receiver_that_fails_breaks_neither_the_request_nor_the_others(
    attested: AttestedClient, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    with (
        listening(client_attestation_accepted, fail),
        listening(client_attestation_refused, fail),
        listening(client_attestation_accepted, lambda **sent: heard.append("accepted")),
        listening(client_attestation_refused, lambda **sent: heard.append("refused")),
    ):
        attested.accepted()
        attested.refused(Reason.ATTESTATION_EXPIRED, headers=expired(attested))
    assert heard == ["accepted", "refused"]
    errors = [record for record in caplog.records if record.exc_info]
    assert [record.name for record in errors] == ["django.dispatch"] * 2
    assert "the receiver of a site" in caplog.text


# A replay store that cannot answer


@contextmanager
def missing_table(model: Any) -> Iterator[None]:
    """Let the database answer every statement about ``model`` as if its table were gone.

    The error is the database's own, so that what PostgreSQL does to a transaction after one is part of the test.
    """
    table_name = model._meta.db_table

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        return run(sql.replace(table_name, f"no_such_{table_name}"), *rest)

    with connection.execute_wrapper(execute):
        yield


def assert_unavailable(response: Any) -> None:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "error": "temporarily_unavailable",
        "error_description": "Client authentication is not available at the moment.",
    }


@table("model", {"policies": AttestationPolicy, "keys": AttesterKey})
@table("path", {"token": TOKEN, "revocation": REVOKE, "introspection": INTROSPECT})
@pytest.mark.refuses("E5", "E7")
def test_a_lookup_that_is_not_answered_refuses_for_now(
    transactional_db: None, attested: AttestedClient, caplog: pytest.LogCaptureFixture, path: str, model: Any
) -> None:
    """Nobody is let in on a guess, and nobody gets a page of HTML."""
    headers = attested.headers()
    body = {"grant_type": "client_credentials", "token": "x"}

    def send() -> Any:
        with missing_table(model):
            return attested.post(path, body, headers=headers)

    assert_unavailable(attested.refused(Reason.DATABASE_UNAVAILABLE, send))
    assert "The database does not answer" in caplog.text


@table("path", {"token": TOKEN, "revocation": REVOKE, "introspection": INTROSPECT})
@pytest.mark.refuses("P8", "E5", "E7")
def test_a_cache_that_does_not_answer_refuses_for_now(attested: AttestedClient, settings: Any, path: str) -> None:
    headers = attested.headers()
    lose_the_cache(attested, settings)
    body = {"grant_type": "client_credentials", "token": "x"}
    assert_unavailable(attested.refused(Reason.REPLAY_STORE_UNAVAILABLE, path=path, data=body, headers=headers))


@table("path", {"token": TOKEN, "revocation": REVOKE, "introspection": INTROSPECT})
@pytest.mark.accepts("P8")
@pytest.mark.refuses("P8", "E5", "E7")
def test_a_database_that_does_not_answer_refuses_for_now(
    attested: AttestedClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    headers = attested.headers()

    def send() -> Any:
        with missing_table(UsedProof):
            return attested.post(path, {"grant_type": "client_credentials", "token": "x"}, headers=headers)

    assert_unavailable(attested.refused(Reason.REPLAY_STORE_UNAVAILABLE, send))
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    assert error.name == LOGGER
    attested.accepted(headers=headers)
