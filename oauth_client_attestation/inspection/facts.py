"""What a verdict was based on: which client, which key of which attester, which instance, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..confirmations import stored_access_token
from ..core.jwk import InvalidKey, parse_public_key
from ..core.keys import SharedSecret
from ..core.results import TrustedKey
from ..models import Attester, AttesterKey
from ..trust.moments import aware_time, stored_time
from . import wording
from .steps import Found, Question

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

#: How many of the attesters of an application, and of the keys of one, are named.
_MAX_NAMED: Final = 10

_LABELS: Final = {
    "at": gettext_lazy("Judged at"),
    "audience": gettext_lazy("Audience"),
    "target": gettext_lazy("Request"),
    "client_id": gettext_lazy("Client ID"),
    "application": gettext_lazy("Application"),
    "policy": gettext_lazy("Policy"),
    "attester": gettext_lazy("Attester"),
    "key": gettext_lazy("Its key"),
    "source": gettext_lazy("Where the key is from"),
    "certificate": gettext_lazy("Certificate"),
    "named_key": gettext_lazy("Key that the attestation names"),
    "trusted": gettext_lazy("Trusted for the application"),
    "not_trusted": gettext_lazy("Has that key, but is not trusted"),
    "instance": gettext_lazy("Instance key"),
    "proof_key": gettext_lazy("Key of the proof"),
    "token_key": gettext_lazy("Key of the access token"),
    "attestation_iat": gettext_lazy("Attestation issued"),
    "attestation_nbf": gettext_lazy("Attestation valid from"),
    "attestation_exp": gettext_lazy("Attestation expires"),
    "proof_iat": gettext_lazy("Proof made"),
    "proof_nbf": gettext_lazy("Proof valid from"),
    "proof_exp": gettext_lazy("Proof expires"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was found.

    :ivar name: stable, for programs; more than one fact may have it.
    :ivar value: text without control characters.
    :ivar about: the row behind it, for a link.
    """

    name: str
    value: str
    about: Model | None = None

    @property
    def label(self) -> _StrPromise:
        """What people call it."""
        return _LABELS[self.name]


def facts_of(question: Question, found: Found, signer: TrustedKey | None) -> tuple[Fact, ...]:
    """Return what is worth knowing about a verdict.

    :param signer: the key that verified the attestation's signature, if it came that far.
    """
    found_out = (
        Fact("at", wording.moment(found.now, found.now).partition(" (")[0]),
        *_addressee(question, found),
        *_client(found),
        *(_no_signer(found) if signer is None else _signer(signer, found)),
        *_instance(found),
        *(_keys(question) if question.combined else ()),
        *_times("attestation", question.attestation, found.now),
        *(_times("proof", question.proof, found.now) if question.proof else ()),
    )
    # Applications may have named themselves.
    return tuple(replace(fact, value=wording.printable(fact.value)) for fact in found_out)


def _addressee(question: Question, found: Found) -> Iterator[Fact]:
    """Say whom the proof has to be for."""
    if question.combined:
        target = question.target
        yield Fact("target", f"{target.method} {target.uri or _('(the token endpoint is not known)')}")
    elif found.issuer:
        yield Fact("audience", found.issuer)


def _keys(question: Question) -> Iterator[Fact]:
    """Say whose the proof and the access token are, to be compared with the instance."""
    parts = wording.parts(question.proof)
    if parts is not None:
        with suppress(InvalidKey):
            yield Fact("proof_key", parse_public_key(parts[0].get("jwk")).thumbprint)
    if question.access_token:
        yield Fact("token_key", _key_of(question.access_token) or _("none that is known here"))


def _client(found: Found) -> Iterator[Fact]:
    if found.unverified is not None:
        yield Fact("client_id", found.unverified.client_id)
    policy = found.policy
    if policy is not None:
        yield Fact("application", str(policy.application), policy.application)
        revision = _("server's") if policy.oldest_revision is None else f"-{policy.oldest_revision:02}"
        yield Fact(
            "policy",
            _("%(methods)s; challenge %(challenge)s; oldest revision: %(revision)s")
            % {
                "methods": ", ".join(policy.methods),
                "challenge": policy.get_challenge_display(),
                "revision": revision,
            },
            policy,
        )


def _signer(signer: TrustedKey, found: Found) -> Iterator[Fact]:
    attester = Attester.objects.filter(name=signer.attester).first()
    yield Fact("attester", signer.attester, attester)
    if isinstance(signer.key, SharedSecret):
        yield Fact("source", _("SHARED_SECRETS in the settings"))
        return
    key_id = _(", kid “%(kid)s”") % {"kid": signer.key_id} if signer.key_id else ""
    yield Fact("key", _("thumbprint %(thumbprint)s") % {"thumbprint": signer.key.thumbprint} + key_id)
    if signer.key_id is None:
        yield Fact("source", _("the certificate in “x5c”, under a trust anchor of the attester"))
        yield from _certificates(found)
        return
    key = AttesterKey.objects.filter(attester=attester, thumbprint=signer.key.thumbprint).first()
    yield Fact("source", _fetched(attester, found.now) if key and key.fetched_from and attester else _("entered"))


def _fetched(attester: Attester, now: float) -> str:
    time = wording.moment(aware_time(attester.fetched_at).timestamp(), now) if attester.fetched_at else _("never")
    return _("fetched from %(url)s, last %(time)s") % {"url": attester.jwks_uri, "time": time}


def _no_signer(found: Found) -> Iterator[Fact]:
    """Say which keys there are, where none was found, so that one sees what is missing."""
    if found.unverified is None or found.policy is None:
        return
    key_id = found.unverified.key_id
    yield Fact("named_key", _("none") if key_id is None else f"kid “{key_id}”")
    yield from _certificates(found)
    trusted = Attester.objects.trusted_for(found.policy.application_id)
    attesters = list(trusted[:_MAX_NAMED])
    for attester in attesters:
        yield Fact("trusted", f"{attester.name}: {_keys_of(attester, found.now)}", attester)
    if not attesters:
        yield Fact("trusted", _("no enabled attester"))
    if key_id is not None:
        others = Attester.objects.filter(keys__key_id=key_id).exclude(pk__in=trusted.values("pk"))
        for attester in others.distinct()[:_MAX_NAMED]:
            why = _("not linked to the application") if attester.enabled else _("disabled")
            yield Fact("not_trusted", f"{attester.name}: {why}", attester)


def _keys_of(attester: Attester, now: float) -> str:
    keys = [_key_state(key, stored_time(now)) for key in attester.keys.all()[:_MAX_NAMED]]
    sources = []
    if attester.jwks_uri:
        sources.append(_fetched(attester, now))
    if anchors := attester.trust_anchors.filter(enabled=True).count():
        sources.append(_("trust anchors: %(count)d") % {"count": anchors})
    return "; ".join([*sources, *keys]) or _("no key")


def _key_state(key: AttesterKey, now: datetime) -> str:
    state = ""
    if not key.enabled:
        state = _(" (disabled)")
    elif (key.not_before and key.not_before > now) or (key.not_after and key.not_after <= now):
        state = _(" (outside of its validity)")
    elif key.fetched_from and key.fetched_from != key.attester.jwks_uri:
        state = _(" (from a URL that is no longer the attester's)")
    return (_("kid “%(kid)s”") % {"kid": key.key_id} if key.key_id else key.thumbprint) + state


def _certificates(found: Found) -> Iterator[Fact]:
    if found.unverified is not None:
        for certificate in wording.certificates(found.unverified.jwt.header, found.now):
            yield Fact("certificate", certificate)


def _instance(found: Found) -> Iterator[Fact]:
    if found.attestation is not None:
        yield Fact("instance", found.attestation.thumbprint)
    elif found.error is not None and found.error.thumbprint:
        yield Fact("instance", found.error.thumbprint)


def _times(prefix: str, token: str, now: float) -> Iterator[Fact]:
    parts = wording.parts(token)
    if parts is not None:
        for name in ("iat", "nbf", "exp"):
            if value := wording.claimed_moment(parts[1], name, now):
                yield Fact(f"{prefix}_{name}", value)


def _key_of(access_token: str) -> str | None:
    stored = stored_access_token(access_token)
    return None if stored is None else stored.bound_to
