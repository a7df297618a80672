"""A client instance: its key, its attestation, and the proofs it signs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from jwcrypto.jwk import JWK

from ..core.headers import COMPACT_JWT
from ..core.jose import parse_unverified
from ..core.jwk import parse_public_key
from ..core.strict import MalformedJwt
from ..signing import generate_key, own_public_jwk, sign, suitable_algorithm
from .errors import UnusableAttestation
from .freshness import Freshness
from .proofs import dpop_parts, pop_parts, target_of

#: Seconds before its expiry at which an attestation is fetched anew: a request takes a moment to arrive.
_MARGIN: Final = 10


class ClientInstance:
    """One installation of an app, one wallet, one process: a key of its own, for which an attester vouches.

    Use another instance for each server, with another key and attestation, where servers should not be able to
    find out together that it is the same one (section 11.1).

    :ivar freshness: what servers have given this instance for its next proofs.
    """

    def __init__(
        self,
        attestation: str | Callable[[ClientInstance], str],
        *,
        key: JWK | None = None,
        algorithm: str | None = None,
    ) -> None:
        """
        :param attestation: a Client Attestation JWT for ``key``; or a callable that fetches one for the instance,
            which is asked when there is none, when the last is about to expire, and when a server wants a fresh one;
            what it raises goes to the caller.
        :param key: the instance's private key; a new one for ES256 by default.
        :param algorithm: what it signs with; by default the usual one for the key.
        :raises InvalidKey: the key is not private, or servers would refuse it.
        :raises UnsuitableAlgorithm: the algorithm does not fit it.
        :raises UnusableAttestation: the attestation is not one for this key.
        """
        self._key = generate_key() if key is None else key
        self.algorithm = suitable_algorithm(self._key, algorithm)
        self._bare_jwk = own_public_jwk(self._key)
        self.thumbprint = parse_public_key(self._bare_jwk).thumbprint
        self.freshness = Freshness()
        self._source: Callable[[ClientInstance], str] | None = None
        self._attestation: str | None = None
        self._expires: float | None = None
        if callable(attestation):
            self._source = attestation
        else:
            self._take(attestation)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public key, as an attester gets it and an attestation carries it."""
        return dict(self._bare_jwk)

    @property
    def attestation(self) -> str:
        """The attestation to send now. It is fetched if there is none or the last one is about to expire.

        :raises UnusableAttestation: what was fetched is not one for this key.
        """
        attestation = self._attestation
        if attestation is None or (self._expires is not None and self._expires - _MARGIN <= time.time()):
            # One that was entered has nobody to ask; whether it has expired is for the server's clock to say.
            self.renew()
            attestation = self._attestation
        assert attestation is not None  # noqa: S101 (given, or fetched just now)
        return attestation

    def renew(self) -> bool:
        """Fetch a new attestation; return whether there is a source to fetch it from.

        :raises UnusableAttestation: what was fetched is not one for this key.
        """
        if self._source is None:
            return False
        self._take(self._source(self))
        return True

    def pop(self, audience: str, *, challenge: str | None = None, now: float | None = None) -> str:
        """Return a new Client Attestation PoP JWT (section 5.1).

        :param audience: the issuer of the authorization server, or the identifier of the resource.
        :param challenge: the latest challenge of that server.
        :param now: seconds since the epoch; the current time by default.
        """
        moment = time.time() if now is None else now
        return sign(self._key, *pop_parts(audience, algorithm=self.algorithm, now=moment, challenge=challenge))

    def dpop(
        self,
        method: str,
        url: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        now: float | None = None,
    ) -> str:
        """Return a new DPoP proof by the instance's key (RFC 9449 section 4.2).

        :param method: the request's method.
        :param url: its URL; query and fragment are left out.
        :param nonce: the latest nonce of that server.
        :param access_token: the token that goes with the request.
        :param now: seconds since the epoch; the current time by default.
        """
        header, claims = dpop_parts(
            method,
            target_of(url),
            jwk=self._bare_jwk,
            algorithm=self.algorithm,
            now=time.time() if now is None else now,
            nonce=nonce,
            access_token=access_token,
        )
        return sign(self._key, header, claims)

    def _take(self, attestation: str) -> None:
        """Believe an attestation if it is for this key. Its signature is for the server to check."""
        if not isinstance(attestation, str) or not COMPACT_JWT.fullmatch(attestation):  # H3; nor a line break
            raise UnusableAttestation("the attestation is not a JWT in compact serialization")
        try:
            claims = parse_unverified(attestation).claims
            attested = parse_public_key(claims["cnf"]["jwk"])
        except MalformedJwt as error:
            raise UnusableAttestation("the attestation cannot be read") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UnusableAttestation("the attestation has no acceptable key") from error
        if attested.thumbprint != self.thumbprint:
            raise UnusableAttestation("the attestation is for another key than the instance's")
        expires = claims.get("exp")
        # Set in this order: another thread may read between the two.
        self._expires = expires if isinstance(expires, int | float) and self._source is not None else None
        self._attestation = attestation
