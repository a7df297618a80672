"""What the verifier is told and what it found: frozen values, built only by their owners.

A ``Verified…`` object exists only because the verifier of that name returned it; nothing in an
``Unverified…`` one may be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .jose import UnverifiedJwt
from .keys import PublicKey, SharedSecret


@dataclass(frozen=True, slots=True)
class RequiredClaim:
    """A claim that an attester's attestations must have.

    :ivar name: of a member of the payload.
    :ivar allowed: the values it may have, as JSON texts, so that ``true`` is not ``1``; of a list, one has to
        be among them. Empty: any value.
    """

    name: str
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key of an attester that the deployment trusts for the client in question (rules A3, T1 to T5), and how far.

    :ivar attester: the deployment's own name for the attester; never taken from a token.
    :ivar key: the public key, or the secret shared with the attester.
    :ivar issuer: what ``iss`` must equal where an attestation has one; empty: any (A9).
    :ivar key_id: the ``kid`` it was registered with; empty: without one; None: not known.
    :ivar algorithms: the subset of the accepted algorithms this attester may use; empty: all of them (A2).
    :ivar max_age: how old its attestations may be, in seconds, where the policy does not ask for less (A6).
    :ivar required_claims: what its attestations must say.
    """

    attester: str
    key: PublicKey | SharedSecret
    issuer: str = ""
    algorithms: frozenset[str] = frozenset()
    key_id: str | None = None
    max_age: int | None = None
    required_claims: tuple[RequiredClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment demands of one client (section 7.1, 6 and 7.2, 5 to 7). Durations in seconds.

    :ivar audience: the one value ``aud`` of a proof must have: the AS issuer or the resource identifier (P4).
    :ivar attestation_algorithms: JWS algorithms accepted for attestations (A2).
    :ivar pop_algorithms: JWS algorithms accepted for proofs (P2).
    :ivar challenge_required: whether a proof without a challenge is refused (P7).
    :ivar clock_skew: how far another clock may be off (A5, A6, P6).
    :ivar pop_max_age: how old a proof without a challenge may be (P6).
    :ivar attestation_max_age: how old an attestation may be; ``None``: its ``exp`` alone decides (A6).
    :ivar oldest_revision: the oldest draft revision whose shapes are accepted, 5 to 12.
    """

    audience: str
    attestation_algorithms: frozenset[str]
    pop_algorithms: frozenset[str]
    challenge_required: bool = True
    clock_skew: int = 60
    pop_max_age: int = 300
    attestation_max_age: int | None = None
    oldest_revision: int = 5


@dataclass(frozen=True, slots=True)
class DpopDemands:
    """What a deployment demands of DPoP proofs (RFC 9449 section 4.3). Durations in seconds.

    :ivar algorithms: JWS algorithms accepted.
    :ivar nonce: ``required``; ``optional``: a proof may come without one; ``off``: none is looked at. Not where other
        requests to the same URI are judged by theirs: a used proof is on record only as long as its nonce is good.
    :ivar clock_skew: how far another clock may be off.
    :ivar max_age: how old a proof without a nonce may be.
    """

    algorithms: frozenset[str]
    nonce: Literal["required", "optional", "off"] = "optional"
    clock_skew: int = 60
    max_age: int = 300


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """What an attestation says of itself, for finding the client's policy and the attester's keys.

    :ivar client_id: its ``sub``.
    :ivar key_id: its ``kid``, where it has one.
    """

    client_id: str
    key_id: str | None
    token: str
    jwt: UnverifiedJwt


@dataclass(frozen=True, slots=True)
class SignedAttestation:
    """An attestation whose signature and form were verified, its freshness not yet.

    Nothing in it depends on the time, so it can be remembered between requests. Times are in seconds since
    the epoch; ``claims`` is the payload, which nobody can change. ``max_age`` is the attester's, in seconds.
    """

    client_id: str
    attester: str
    instance_key: PublicKey
    expires_at: float
    issued_at: float | None
    not_before: float | None
    max_age: int | None
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """An attestation that is good now (section 7.1): who attested which instance of which client."""

    client_id: str
    attester: str
    instance_key: PublicKey
    expires_at: float
    issued_at: float | None
    claims: Mapping[str, Any]

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 SHA-256 thumbprint of the instance key (``jkt``)."""
        return self.instance_key.thumbprint


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """A proof of possession that is good now, replay aside (section 7.2).

    :ivar thumbprint: of the instance key that signed it.
    :ivar jti: the proof's own identifier; with ``thumbprint`` it names the proof (P8).
    :ivar valid_until: the last moment, in seconds since the epoch, at which the same proof could still be
        accepted; whoever records it for replay protection keeps it until then.
    :ivar challenge: the challenge of this server that it answers; None where it answers none.
    """

    thumbprint: str
    jti: str
    valid_until: float
    challenge: str | None

    @property
    def challenged(self) -> bool:
        """Whether the proof answers a challenge, so that its freshness is this server's word."""
        return self.challenge is not None


@dataclass(frozen=True, slots=True)
class VerifiedDpopProof:
    """A DPoP proof that is good now, replay aside (RFC 9449 section 4.3).

    :ivar thumbprint: of the key that signed it: whatever is issued or used with the proof belongs to that key.
    :ivar jti: the proof's own identifier; with ``thumbprint`` it names the proof.
    :ivar valid_until: the last moment, in seconds since the epoch, at which the same proof could still be accepted.
    :ivar nonce: the nonce of this server that it has; None where it has none.
    """

    thumbprint: str
    jti: str
    valid_until: float
    nonce: str | None

    @property
    def challenged(self) -> bool:
        """Whether the proof has a nonce, so that its freshness is this server's word."""
        return self.nonce is not None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The outcome of a verified request: the attestation and the proof that goes with it.

    :ivar method: how possession of the instance key was proven, as a client authentication method.
    """

    attestation: VerifiedAttestation
    proof: VerifiedProof | VerifiedDpopProof
    method: str
