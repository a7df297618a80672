"""Acting as attester: signing Client Attestations for instances of one's own clients. Needs no Django.

An attester vouches for whatever it signs. What it should have checked before is for each site to say; the
documentation has an example view that shows where.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from jwcrypto.jwk import JWK

from .core import wire
from .core.attestation import MAX_CLIENT_ID_LENGTH
from .core.challenge import Challenges
from .core.jwk import parse_public_key
from .core.keys import ASYMMETRIC_ALGORITHMS
from .core.pop import verify_pop
from .core.results import Policy, VerifiedAttestation
from .core.strict import parse_json_object
from .signing import bare_jwk, sign, suitable_algorithm

#: Claims that :class:`Attester` sets itself, or that would change what the others mean.
OWN_CLAIMS: Final = frozenset({"sub", "iat", "exp", "nbf", "iss", "cnf"})


class Attester:
    """A key, and what the attestations that it signs have in common (section 4).

    ``iat`` is rounded down, so that servers cannot tell by the second which instances were attested together, or
    that two attestations belong to one instance (section 11.1). ``exp`` follows from the rounded time.
    """

    def __init__(
        self,
        key: JWK,
        *,
        algorithm: str | None = None,
        key_id: str | None = None,
        lifetime: int = 86400,
        rounding: int = 3600,
        issuer: str | None = None,
        not_before: bool = False,
    ) -> None:
        """
        :param key: the private key; a JWK's ``kid`` is sent along.
        :param algorithm: what it signs with; by default the usual one for the key.
        :param key_id: what to send as ``kid`` instead.
        :param lifetime: seconds from the rounded ``iat`` to ``exp``.
        :param rounding: ``iat`` is a multiple of so many seconds. Below the maximum age that servers allow.
        :param issuer: ``iss``, for servers of revisions up to -07.
        :param not_before: send ``nbf`` as well, for the same.
        :raises InvalidKey: the key is not private, or servers would refuse it.
        :raises UnsuitableAlgorithm: the algorithm does not fit it.
        :raises ValueError: they are not whole seconds, or the lifetime is less than twice the rounding, so that some
            attestations would expire in no time.
        """
        if not (isinstance(rounding, int) and isinstance(lifetime, int) and 1 <= rounding <= lifetime // 2):
            raise ValueError("the lifetime must be at least twice the rounding, which is one or more whole seconds")
        self.algorithm = suitable_algorithm(key, algorithm)
        self.key_id: str | None = key_id if key_id is not None else key.get("kid")
        self._key = key
        self._lifetime = lifetime
        self._rounding = rounding
        self._issuer = issuer
        self._not_before = not_before

    def attest(
        self,
        instance_jwk: Mapping[str, Any],
        client_id: str,
        *,
        claims: Mapping[str, Any] | None = None,
        now: float | None = None,
    ) -> str:
        """Return a Client Attestation JWT. Nothing about the instance is checked here but its key.

        :param instance_jwk: the instance's public key; what is not part of it is left out.
        :param client_id: the client that the instance belongs to.
        :param claims: further claims about the instance.
        :param now: seconds since the epoch; the current time by default.
        :raises InvalidKey: the key is private, weak, or none that servers accept (rule A7).
        :raises ValueError: ``client_id`` is none that servers take (rule A4); ``claims`` has one of :data:`OWN_CLAIMS`,
            or what JSON has not: NaN, infinity, half of a surrogate pair.
        """
        if not isinstance(client_id, str) or not 0 < len(client_id) <= MAX_CLIENT_ID_LENGTH:
            raise ValueError(f"an attestation names the client in 1 to {MAX_CLIENT_ID_LENGTH} characters")
        if not client_id.isprintable():
            raise ValueError("the name of the client has characters that cannot be printed")
        extra = _strict(claims or {})
        if taken := OWN_CLAIMS.intersection(extra):
            raise ValueError(f"the attester sets these claims itself: {', '.join(sorted(taken))}")
        moment = int(time.time() if now is None else now)
        header, own = attestation_parts(
            client_id,
            bare_jwk(instance_jwk),
            algorithm=self.algorithm,
            key_id=self.key_id,
            issued_at=moment - moment % self._rounding,
            lifetime=self._lifetime,
        )
        if self._issuer is not None:
            own["iss"] = self._issuer
        if self._not_before:
            own["nbf"] = own["iat"]
        return sign(self._key, header, {**extra, **own})


def _strict(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims as a server will read them (rule A10)."""
    try:
        return parse_json_object(json.dumps(dict(claims)).encode("ascii"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("the further claims are not strict JSON") from error


def proven_key(
    jwk: object, pop: str, *, audience: str, challenges: Challenges, now: float | None = None
) -> dict[str, Any]:
    """Return an instance's public key, once the instance has shown that it has the private one (section 1.1, step 3).

    :param jwk: the public key as it arrived.
    :param pop: a PoP JWT by that key (:meth:`.client.ClientInstance.pop`).
    :param audience: what the proof has to name: this attester, and no server that its attestations are for.
    :param challenges: those of this attester, one of which the proof has to have.
    :param now: seconds since the epoch; the current time by default.
    :raises InvalidKey: as :meth:`Attester.attest`.
    :raises ClientAttestationError: the proof is not good; ``reason`` says why.
    """
    key = parse_public_key(jwk)
    moment = time.time() if now is None else now
    claimed = VerifiedAttestation("", "", key, expires_at=moment, issued_at=None, claims={})
    policy = Policy(audience, frozenset(), ASYMMETRIC_ALGORITHMS, oldest_revision=wire.CURRENT_REVISION)
    verify_pop(pop, attestation=claimed, policy=policy, challenges=challenges, now=moment)
    return bare_jwk(jwk)


def attestation_parts(
    client_id: str,
    instance_jwk: Mapping[str, Any],
    *,
    algorithm: str,
    key_id: str | None,
    issued_at: int,
    lifetime: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a Client Attestation JWT in the shape of revision -12, before it is signed.

    :param issued_at: seconds since the epoch.
    :param lifetime: seconds from then to ``exp``.
    """
    header = {"typ": wire.ATTESTATION_TYP, "alg": algorithm}
    if key_id is not None:
        header["kid"] = key_id
    return header, {
        "sub": client_id,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "cnf": {"jwk": dict(instance_jwk)},
    }
