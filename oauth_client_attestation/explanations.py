"""What each reason means and what to do about it, in one sentence each, for the operator: never for the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from .core.errors import Reason

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason in the words of whoever reads it.

    :ivar summary: what happened, a sentence.
    :ivar advice: what to do, a sentence or two.
    """

    summary: _StrPromise
    advice: _StrPromise


def explain(reason: str) -> Explanation:
    """Explain a :class:`~.core.errors.Reason`, or its name as it was stored, maybe by another version."""
    return _EXPLANATIONS.get(reason, _UNKNOWN)


_UNKNOWN: Final = Explanation(
    _("This version of the package does not have this reason."),
    _("It was recorded by another version; see the documentation of that one."),
)

_CLIENT: Final = _("A fault of the client: tell its developers.")
_ATTESTER: Final = _("A fault of the attester: tell whoever runs it.")
_PROXY: Final = _("A fault of the client, or of a proxy that adds or joins header fields.")
_FIELD_LENGTH: Final = _("Raise MAX_FIELD_LENGTH if it is legitimate, and the limit of the web server in front too.")
_ALGORITHM: Final = _("Add the algorithm to the settings or to the attester if it is one you accept.")
_OTHER_INSTANCE: Final = _(
    "Expected when an app was installed anew and has a new key; otherwise somebody tries out what was copied."
)
_CLOCKS: Final = _("Compare the clocks, this server’s first; CLOCK_SKEW says how far they may be off.")
_INSTANCE_CLOCK: Final = _("Look at the clock of the device; answering a challenge makes the proof independent of it.")
_NORMAL: Final = _("Normal: the client repeats the request and gets in.")
_INSTANCE_CLOCK_DPOP: Final = _("Look at the clock of the client; a proof with a DPoP nonce does not depend on it.")
_DPOP_KEYS: Final = _(
    "A stolen token or code, or a client that mixes up its keys; a new key needs a new authorization."
)

_EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    Reason.ATTESTATION_FIELD_REPEATED: Explanation(
        _("The request has more than one OAuth-Client-Attestation field, or one with a comma."), _PROXY
    ),
    Reason.ATTESTATION_FIELD_MALFORMED: Explanation(
        _("OAuth-Client-Attestation is not one compact JWT: three base64url parts and nothing else."), _PROXY
    ),
    Reason.ATTESTATION_FIELD_TOO_LARGE: Explanation(
        _("OAuth-Client-Attestation is longer than MAX_FIELD_LENGTH."), _FIELD_LENGTH
    ),
    Reason.POP_FIELD_REPEATED: Explanation(
        _("The request has more than one OAuth-Client-Attestation-PoP field, or one with a comma."), _PROXY
    ),
    Reason.POP_FIELD_MALFORMED: Explanation(
        _("OAuth-Client-Attestation-PoP is not one compact JWT: three base64url parts and nothing else."), _PROXY
    ),
    Reason.POP_FIELD_TOO_LARGE: Explanation(
        _("OAuth-Client-Attestation-PoP is longer than MAX_FIELD_LENGTH."), _FIELD_LENGTH
    ),
    Reason.POP_WITHOUT_ATTESTATION: Explanation(
        _("A proof of possession came without an attestation."),
        _("A fault of the client, or a proxy dropped the longer field."),
    ),
    Reason.POP_MISSING: Explanation(
        _("An attestation came without a proof of possession."),
        _("A fault of the client, or a proxy dropped the field."),
    ),
    Reason.COMBINED_MODE_NOT_OFFERED: Explanation(
        _("An attestation came with a DPoP proof in place of OAuth-Client-Attestation-PoP."),
        _(
            "METHODS does not name attest_jwt_client_auth_dpop, or POP_METHODS or a resource dpop_combined: add it, or "
            "have the client send a PoP JWT."
        ),
    ),
    Reason.ATTESTATION_REQUIRED: Explanation(
        _("An application that must be attested, or a request to a resource that requires it, had no attestation."),
        _("Expected for old versions of the client; delete the policy to let them in again."),
    ),
    Reason.CLIENT_NOT_REGISTERED: Explanation(
        _("The attestation’s “sub” names no application that has an attestation policy."),
        _("Register the application, or give it a policy."),
    ),
    Reason.CLIENT_UNKNOWN: Explanation(
        _("The attestation is good, but django-oauth-toolkit does not consider the application usable."),
        _(
            "Look at the application, and at what the site’s own validator says of it; at a resource, whether "
            "introspection names the client of the access token."
        ),
    ),
    Reason.CLIENT_MISMATCH: Explanation(
        _("The request names another client than the attestation’s “sub” does."),
        _CLIENT,
    ),
    Reason.REGISTRATION_SUB: Explanation(
        _("The attestation of a registration is not for the “software_id” of the request, or for a client."),
        _(
            "At registration “sub” is the “software_id”, and not the client ID of an application: agree on one with "
            "the attester."
        ),
    ),
    Reason.SECOND_MECHANISM: Explanation(
        _("The request also carries a secret, an assertion or HTTP Basic credentials."),
        _("A fault of the client: it has to authenticate in one way only (RFC 6749 section 2.3)."),
    ),
    Reason.METHOD_NOT_ALLOWED: Explanation(
        _(
            "The policy of the application, the setting METHODS or POP_METHODS, or a resource does not name the method "
            "that was used."
        ),
        _("Add the method to whichever lacks it, if it should be accepted."),
    ),
    Reason.ATTESTATION_MALFORMED: Explanation(
        _("The attestation is not strict JSON, or its “kid” is not a printable string of at most 255 characters."),
        _ATTESTER,
    ),
    Reason.ATTESTATION_TYP: Explanation(
        _("The attestation’s “typ” is not “oauth-client-attestation+jwt”."),
        _("A fault of the attester, or the client sent another token in its place."),
    ),
    Reason.ATTESTATION_ALGORITHM: Explanation(
        _("The attestation’s “alg” is not accepted by the server or of this attester, or does not fit the key."),
        _ALGORITHM,
    ),
    Reason.ATTESTATION_CRIT: Explanation(
        _("The attestation has a “crit” header, and no extension is supported."),
        _ATTESTER,
    ),
    Reason.ATTESTER_NOT_TRUSTED: Explanation(
        _("No enabled attester that is trusted for this application has a key that could have signed."),
        _("Link the attester to the application, enable it and its key, or enter its new key."),
    ),
    Reason.ATTESTER_KEYS_UNAVAILABLE: Explanation(
        _("No known key could have signed, and an attester’s JWK Set could not be fetched."),
        _("See the outcome of the last fetch at the attester, then fetch its keys again."),
    ),
    Reason.ATTESTER_KEY_AMBIGUOUS: Explanation(
        _("More keys could have signed than are tried."),
        _("Have the attester set “kid”, and enter its keys with theirs."),
    ),
    Reason.ATTESTATION_SIGNATURE: Explanation(
        _("The signature of the attestation is wrong under every key that fits."),
        _("A forgery, or the attester changed its key and kept the “kid”: compare the thumbprints."),
    ),
    Reason.ATTESTATION_SUB: Explanation(
        _("The attestation’s “sub” is not a printable string of 1 to 255 characters."), _ATTESTER
    ),
    Reason.ATTESTATION_EXP: Explanation(
        _("The attestation’s “exp” is missing or not a number of seconds."),
        _("A fault of the attester; it may count milliseconds."),
    ),
    Reason.ATTESTATION_EXPIRED: Explanation(
        _("The attestation has expired."),
        _("Normal: the client gets a new one. If it happens to everyone, look at the clocks and the lifetimes."),
    ),
    Reason.ATTESTATION_IAT: Explanation(
        _("The attestation’s “iat” is not a number of seconds, or is missing where it is needed."),
        _("A fault of the attester; for older revisions of the draft, lower the oldest revision or the maximum age."),
    ),
    Reason.ATTESTATION_FROM_THE_FUTURE: Explanation(_("The attestation was issued in the future."), _CLOCKS),
    Reason.ATTESTATION_TOO_OLD: Explanation(
        _("The attestation is older than the server or the attester’s maximum age allows."),
        _("Normal: the client gets a new one. If it happens to everyone, raise the maximum age."),
    ),
    Reason.ATTESTATION_CNF: Explanation(
        _("The attestation’s “cnf.jwk” is missing or not an acceptable public key."), _ATTESTER
    ),
    Reason.ATTESTATION_CNF_PRIVATE: Explanation(
        _("The attestation’s “cnf.jwk” is a private or secret key."),
        _("Tell the attester at once: that key is compromised."),
    ),
    Reason.ATTESTATION_CNF_WEAK: Explanation(
        _("The attestation’s “cnf.jwk” is an RSA key of an unacceptable size or exponent."),
        _("A fault of the client: it needs another key, of 2048 to 8192 bits."),
    ),
    Reason.ATTESTATION_NBF: Explanation(
        _("The attestation’s “nbf” lies in the future, or is not a number of seconds."), _CLOCKS
    ),
    Reason.ATTESTATION_ISS: Explanation(
        _("The attestation’s “iss” differs from the issuer entered for the attester, or is no printable string."),
        _("Correct the issuer of the attester, or leave it empty."),
    ),
    Reason.ATTESTATION_X5C_MALFORMED: Explanation(
        _("The attestation’s “x5c” is not a chain of certificates, leaf first and each issued by the next."),
        _ATTESTER,
    ),
    Reason.ATTESTATION_X5C_ANCHOR_INCLUDED: Explanation(
        _("The attestation’s “x5c” includes the trust anchor itself."),
        _("A fault of the attester: the anchor is left out of the chain (HAIP)."),
    ),
    Reason.ATTESTATION_X5C_SELF_SIGNED: Explanation(
        _("The attestation was signed with the key of a self-signed certificate."),
        _("A fault of the attester: it needs a certificate that an authority issued (HAIP)."),
    ),
    Reason.ATTESTATION_X5C_EXPIRED: Explanation(
        _("A certificate of the chain, or the trust anchor, is not valid now."),
        _("Have the attester renew its certificate, or enter the new trust anchor; look at this server’s clock too."),
    ),
    Reason.ATTESTATION_X5C_NOT_TRUSTED: Explanation(
        _("The certificates lead to no trust anchor of an attester of this application, or not validly."),
        _("Compare issuer and subject with the trust anchors; an intermediate certificate may be missing."),
    ),
    Reason.ATTESTATION_CLAIM_MISSING: Explanation(
        _("The attestation lacks a claim that is required of this attester."),
        _("Compare the attester’s required claims with what it has agreed to say."),
    ),
    Reason.ATTESTATION_CLAIM_VALUE: Explanation(
        _("A claim that is required of this attester has a value that is not allowed."),
        _("Expected if the value is one to keep out; otherwise add it to the attester’s required claims."),
    ),
    Reason.POP_MALFORMED: Explanation(_("The proof of possession is not strict JSON."), _CLIENT),
    Reason.POP_TYP: Explanation(
        _("The proof’s “typ” is not “oauth-client-attestation-pop+jwt”."),
        _CLIENT,
    ),
    Reason.POP_ALGORITHM: Explanation(
        _("The proof’s “alg” is not in POP_ALGORITHMS, or does not fit the key of the instance."),
        _("Add it to POP_ALGORITHMS if it is one you accept."),
    ),
    Reason.POP_CRIT: Explanation(_("The proof has a “crit” header, and no extension is supported."), _CLIENT),
    Reason.POP_SIGNATURE: Explanation(
        _("The key in the attestation did not sign the proof."),
        _("A stolen attestation, or an instance that mixes up its keys."),
    ),
    Reason.POP_AUD: Explanation(
        _("The proof’s “aud” is not this server’s issuer, or is more than one; at a resource, not its identifier."),
        _("Compare it with ISSUER or RESOURCE to the letter: scheme, port, trailing slash."),
    ),
    Reason.POP_ISS: Explanation(_("The proof’s “iss” is not the client_id."), _CLIENT),
    Reason.POP_JTI: Explanation(_("The proof’s “jti” is not a printable string of 1 to 256 characters."), _CLIENT),
    Reason.POP_IAT: Explanation(
        _("The proof’s “iat” is not a number of seconds, or is missing where it is needed."),
        _("A fault of the client; for older revisions of the draft, lower the oldest revision."),
    ),
    Reason.POP_TOO_OLD: Explanation(_("The proof has no challenge and is older than POP_MAX_AGE."), _INSTANCE_CLOCK),
    Reason.POP_FROM_THE_FUTURE: Explanation(
        _("The proof has no challenge and was issued in the future."), _INSTANCE_CLOCK
    ),
    Reason.POP_EXP: Explanation(
        _("The proof’s “exp” is not a number of seconds, or is too far ahead in a proof without “iat”."), _CLIENT
    ),
    Reason.POP_EXPIRED: Explanation(_("The proof has expired."), _INSTANCE_CLOCK),
    Reason.POP_NBF: Explanation(
        _("The proof’s “nbf” lies in the future, or is not a number of seconds."), _INSTANCE_CLOCK
    ),
    Reason.POP_REPLAYED: Explanation(
        _("The proof was used before."),
        _("A client that repeats a request as it was, or somebody who copied it; each request needs a new proof."),
    ),
    Reason.CHALLENGE_MISSING: Explanation(
        _("The application must answer challenges, and the proof has none."),
        _("Normal for a first request; make the challenge optional for clients that cannot answer one."),
    ),
    Reason.CHALLENGE_MALFORMED: Explanation(
        _("The challenge is not a printable string of 1 to 512 characters, or “challenge” and “nonce” differ."),
        _CLIENT,
    ),
    Reason.CHALLENGE_UNKNOWN: Explanation(
        _("This server did not issue the challenge, or not for this purpose: resources have others."),
        _("Normal after SECRET_KEY was changed; else compare SECRET_KEY, issuer and clock of all hosts."),
    ),
    Reason.CHALLENGE_EXPIRED: Explanation(_("The challenge is older than CHALLENGE_LIFETIME."), _NORMAL),
    Reason.CHALLENGE_USED: Explanation(
        _("The challenge was used before, and each is accepted once."),
        _("Normal for a client that does not take the new challenge from each response."),
    ),
    Reason.SITE_RULE: Explanation(
        _("The site’s own rule, SITE_RULE, refused the request."),
        _("Ask whoever wrote the rule; the attestation itself was good."),
    ),
    Reason.SITE_RULE_FAILED: Explanation(
        _("The site’s own rule, SITE_RULE, failed, so the request was refused."),
        _("The log has the traceback; correct the rule."),
    ),
    Reason.INSTANCE_BLOCKED: Explanation(
        _("An operator has blocked this client instance; attestation and proof are good."),
        _("Expected of a lost phone; unblock it among the client instances if that is over."),
    ),
    Reason.REFRESH_TOKEN_UNBOUND: Explanation(
        _("The refresh token belongs to no instance: it was issued before attestation was required."),
        _("The user has to authorize the client anew."),
    ),
    Reason.REFRESH_TOKEN_OF_ANOTHER_INSTANCE: Explanation(
        _("The refresh token is bound to another instance."),
        _OTHER_INSTANCE,
    ),
    Reason.CODE_UNBOUND: Explanation(
        _("The code belongs to no instance, and this client's authorization requests must be pushed by one."),
        _("The user has to authorize the client anew."),
    ),
    Reason.CODE_OF_ANOTHER_INSTANCE: Explanation(
        _("The authorization request of this code was pushed by another instance."),
        _OTHER_INSTANCE,
    ),
    Reason.DEVICE_CODE_UNBOUND: Explanation(
        _("No instance asked for this device code, as far as is known."),
        _("The device has to start again."),
    ),
    Reason.DEVICE_CODE_OF_ANOTHER_INSTANCE: Explanation(
        _("Another instance asked for this device code."),
        _OTHER_INSTANCE,
    ),
    Reason.DEVICE_CODE_REVOKED: Explanation(
        _("An operator has revoked what the instance holds, this device code too."),
        _("The device has to start again."),
    ),
    Reason.DPOP_FIELD_REPEATED: Explanation(
        _("The request has more than one DPoP field, or one with a comma."), _PROXY
    ),
    Reason.DPOP_FIELD_MALFORMED: Explanation(
        _("DPoP is not one compact JWT: three base64url parts and nothing else."), _PROXY
    ),
    Reason.DPOP_FIELD_TOO_LARGE: Explanation(_("DPoP is longer than MAX_FIELD_LENGTH."), _FIELD_LENGTH),
    Reason.DPOP_MALFORMED: Explanation(_("The DPoP proof is not strict JSON."), _CLIENT),
    Reason.DPOP_TYP: Explanation(
        _("The DPoP proof’s “typ” is not “dpop+jwt”."),
        _("A fault of the client, or it sent another token in its place."),
    ),
    Reason.DPOP_ALGORITHM: Explanation(
        _("The DPoP proof’s “alg” is not in DPOP_ALGORITHMS, or does not fit its key."),
        _("Add it to DPOP_ALGORITHMS if it is one you accept."),
    ),
    Reason.DPOP_CRIT: Explanation(_("The DPoP proof has a “crit” header, and no extension is supported."), _CLIENT),
    Reason.DPOP_JWK: Explanation(
        _("The DPoP proof’s “jwk” header is missing or not an acceptable public key."), _CLIENT
    ),
    Reason.DPOP_JWK_PRIVATE: Explanation(
        _("The DPoP proof’s “jwk” header is a private or secret key."),
        _("Tell the client’s developers at once: it sends its private key with every request."),
    ),
    Reason.DPOP_SIGNATURE: Explanation(
        _("The key in the DPoP proof did not sign it."),
        _("A fault of the client, or somebody changed the proof."),
    ),
    Reason.DPOP_JTI: Explanation(
        _("The DPoP proof’s “jti” is not a printable string of 1 to 256 characters."), _CLIENT
    ),
    Reason.DPOP_HTM: Explanation(
        _("The DPoP proof’s “htm” is not the method of the request."),
        _("A fault of the client, or a proof that was made for another request; case matters."),
    ),
    Reason.DPOP_HTU: Explanation(
        _("The DPoP proof’s “htu” is not the URL of the request."),
        _(
            "Compare it with the URL that this server sees; behind a proxy, look at SECURE_PROXY_SSL_HEADER and "
            "USE_X_FORWARDED_HOST. Otherwise a proof that was made for another server."
        ),
    ),
    Reason.DPOP_IAT: Explanation(_("The DPoP proof’s “iat” is missing or not a number of seconds."), _CLIENT),
    Reason.DPOP_TOO_OLD: Explanation(
        _("The DPoP proof has no nonce and is older than POP_MAX_AGE."), _INSTANCE_CLOCK_DPOP
    ),
    Reason.DPOP_FROM_THE_FUTURE: Explanation(
        _("The DPoP proof has no nonce and was made in the future."), _INSTANCE_CLOCK_DPOP
    ),
    Reason.DPOP_EXPIRED: Explanation(
        _("The DPoP proof’s “exp” has passed or its “nbf” lies in the future, or one is not a number of seconds."),
        _("A fault of the client, or of its clock: a DPoP proof needs neither."),
    ),
    Reason.DPOP_ATH: Explanation(
        _("The DPoP proof’s “ath” is not the hash of the access token that came with it."),
        _("A fault of the client, or a proof that was made for another token."),
    ),
    Reason.DPOP_REPLAYED: Explanation(
        _("The DPoP proof was used before."),
        _("A client that repeats a request as it was, or somebody who copied it; each request needs a new proof."),
    ),
    Reason.DPOP_NONCE_MISSING: Explanation(
        _("The DPoP proof needs a nonce of this server, and has none."),
        _("Normal for a first request: the client repeats it with the nonce in DPoP-Nonce."),
    ),
    Reason.DPOP_NONCE_MALFORMED: Explanation(
        _("The DPoP proof’s “nonce” is not a printable string of 1 to 512 characters."), _CLIENT
    ),
    Reason.DPOP_NONCE_UNKNOWN: Explanation(
        _("This server did not issue the nonce of the DPoP proof."),
        _("Normal after SECRET_KEY was changed; else compare SECRET_KEY and clock of all hosts."),
    ),
    Reason.DPOP_NONCE_EXPIRED: Explanation(_("The nonce of the DPoP proof is older than CHALLENGE_LIFETIME."), _NORMAL),
    Reason.DPOP_KEY_MISMATCH: Explanation(
        _("The DPoP proof was made with another key than the one in the attestation."),
        _("A stolen attestation, or a client that means to bind its tokens to another key: it has to send a PoP too."),
    ),
    Reason.DPOP_JKT_MISMATCH: Explanation(
        _("A pushed authorization request names one key in “dpop_jkt” and was made with a DPoP proof by another."),
        _("A fault of the client; it may leave “dpop_jkt” out."),
    ),
    Reason.DPOP_REQUIRED: Explanation(
        _("A DPoP proof is required, for the client’s tokens or along with one of them, and there is none."),
        _("A fault of the client, or a proxy dropped the field DPoP; see its DPoP policy and REQUIRE_DPOP."),
    ),
    Reason.REFRESH_TOKEN_OF_ANOTHER_KEY: Explanation(
        _("The refresh token is bound to a key, and there is no DPoP proof by that key."), _DPOP_KEYS
    ),
    Reason.CODE_OF_ANOTHER_KEY: Explanation(
        _("The authorization request of this code named a key, and there is no DPoP proof by that key."), _DPOP_KEYS
    ),
    Reason.ACCESS_TOKEN_OF_ANOTHER_KEY: Explanation(
        _("The access token is bound to another key than the one of the DPoP proof."), _DPOP_KEYS
    ),
    Reason.ACCESS_TOKEN_AS_BEARER: Explanation(
        _("An access token, or ID token, that is bound to a key was presented as a bearer token."),
        _("A client, or a gateway in between, that does not know DPoP; or somebody tries out a stolen token."),
    ),
    Reason.ACCESS_TOKEN_NOT_BOUND: Explanation(
        _("A bearer token was presented under the scheme DPoP."),
        _("A fault of the client: it has to use the “token_type” that the token came with."),
    ),
    Reason.ACCESS_TOKEN_OF_ANOTHER_INSTANCE: Explanation(
        _("The attestation is of another client instance than the one that the access token was issued to."),
        _("A client that took a new key and kept its tokens, or a stolen token; the right instance is not affected."),
    ),
    Reason.RESOURCE_NOT_CONFIGURED: Explanation(
        _("This resource has no identifier, so no proof can name it."),
        _("Set RESOURCE, or name the resource at the view."),
    ),
    Reason.ISSUER_NOT_CONFIGURED: Explanation(
        _("This server has no issuer, so no proof can name it."),
        _("Set ISSUER; see the system check oauth_client_attestation.E002."),
    ),
    Reason.BACKEND_NOT_INSTALLED: Explanation(
        _("The header fields of the request did not reach the validator."),
        _("Set OAUTH2_BACKEND_CLASS; see the system check oauth_client_attestation.E004."),
    ),
    Reason.REPLAY_STORE_UNAVAILABLE: Explanation(
        _("The replay store did not answer."),
        _("The log has the cause; see to the database or the cache of REPLAY_STORE."),
    ),
    Reason.DATABASE_UNAVAILABLE: Explanation(
        _("Policy or keys could not be looked up."),
        _("The log has the cause; see to the database."),
    ),
}
