"""What other attesters have of the same: keys on other terms (rule T1), and anchors of the same name (rule T3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..core.anchors import MAX_NAMESAKES, TrustAnchor
from ..models import Attester
from ..models import TrustAnchor as StoredAnchor

_TERMS: Final = ("issuer", "algorithms", "max_age", "required_claims")


def check_namesakes(anchors: Collection[TrustAnchor], attester: Attester | None = None) -> None:
    """Refuse anchors that would not be tried beside those of other attesters.

    :param anchors: what is to be stored, and nothing of which is.
    :param attester: whose anchors they replace, if it exists.
    :raises ValidationError: with another attester's, more than ``MAX_NAMESAKES`` have one subject.
    """
    entered = {anchor.fingerprint: anchor for anchor in anchors}
    digests = {anchor.subject_digest for anchor in anchors}
    elsewhere = StoredAnchor.objects.filter(subject_digest__in=digests).exclude(fingerprint__in=entered)
    if attester is not None:
        elsewhere = elsewhere.exclude(attester_id=attester.pk)
    of_others = Counter(digest for digest, _fingerprint in set(elsewhere.values_list("subject_digest", "fingerprint")))
    own = Counter(anchor.subject_digest for anchor in entered.values())
    for anchor in anchors:
        if own[anchor.subject_digest] + of_others[anchor.subject_digest] > MAX_NAMESAKES:
            raise ValidationError(
                _(
                    "With those of other attesters there would be more than %(most)d trust anchors named "
                    "“%(subject)s”, of which not all would be tried."
                ),
                code="namesakes_elsewhere",
                params={"most": MAX_NAMESAKES, "subject": anchor.subject},
            )


def sharing_a_key_on_other_terms(attester: Attester) -> list[Attester]:
    """Return the other attesters that have one of this attester's keys and believe it further, or less far."""
    thumbprints = attester.keys.values("thumbprint")
    sharing = Attester.objects.filter(keys__thumbprint__in=thumbprints).exclude(pk=attester.pk).distinct()
    own = [getattr(attester, term) for term in _TERMS]
    return [other for other in sharing if [getattr(other, term) for term in _TERMS] != own]
