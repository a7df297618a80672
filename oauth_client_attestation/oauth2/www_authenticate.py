"""``WWW-Authenticate: DPoP``, on whatever the view answered (D6; RFC 9449 section 7.1, RFC 6750 section 3)."""

from __future__ import annotations

import re
from typing import Final

from django.http.response import HttpResponseBase

from ..conf import app_settings
from ..core import wire
from .exchange import ResourceVerdict

_FIELD: Final = "WWW-Authenticate"
# RFC 9110 section 11.4: a quoted-string. RFC 9728 section 5.1: for whatever scheme.
_METADATA: Final = re.compile(r'\bresource_metadata="(?:[^"\\]|\\.)*"')
#: What only another proof remedies, whichever scheme the token came under.
_DPOP_CODES: Final = (wire.ERROR_USE_DPOP_NONCE, wire.ERROR_INVALID_DPOP_PROOF)
_SCHEME: Final = re.compile(rf"(?:^|, *){wire.DPOP_SCHEME} ", re.IGNORECASE)


def challenge_for_proof(response: HttpResponseBase, verdict: ResourceVerdict) -> None:
    """Say what proofs are accepted, and what was wrong with the one that came, on a response that refuses.

    The host's views refuse with 403 and without a challenge; a client that is to try again, with a nonce for
    example, needs 401 and the error's code. A response that refuses for lack of scope, or lets the request pass
    although its token was refused, stays as it is.
    """
    if response.status_code not in (401, 403):
        return
    if verdict.error is not None and verdict.error.status == 503:  # no fault of the client's
        response.status_code = 503
        del response.headers[_FIELD]
        return
    if verdict.error is not None:
        response.status_code = 401
    if response.status_code == 401:
        response.headers[_FIELD] = with_challenge_for_proof(response.headers.get(_FIELD, ""), verdict)


def with_challenge_for_proof(field: str, verdict: ResourceVerdict | None) -> str:
    """Return the value of ``WWW-Authenticate`` with a challenge for a DPoP proof, where it has none yet.

    It stands alone if the token was refused for want of the right proof: no other scheme would do.

    :param field: the value so far.
    :param verdict: what became of the access token, if one was asked for.
    """
    error = verdict.error if verdict is not None else None
    if error is None and (app_settings.dpop == "off" or _SCHEME.search(field)):
        return field
    algorithms, metadata = f'algs="{" ".join(app_settings.dpop_algorithms)}"', _METADATA.findall(field)[:1]
    if error is None or verdict is None:
        return ", ".join(filter(None, [field, f"{wire.DPOP_SCHEME} {', '.join([algorithms, *metadata])}"]))
    reason = [f'error="{error.code}"', f'error_description="{error.description}"']
    if verdict.scheme == wire.DPOP_SCHEME or error.code in _DPOP_CODES:
        return f"{wire.DPOP_SCHEME} {', '.join([*reason, algorithms, *metadata])}"
    return f"{verdict.scheme} {', '.join([*reason, *metadata])}"
