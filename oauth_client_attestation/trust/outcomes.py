"""What can come of fetching a JWK Set (rule T2), in words for whoever operates the server."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class FetchOutcome(TextChoices):
    """The stable name of an outcome, for storage and tests; its label is a sentence for the admin."""

    OK = "ok", _("The keys were fetched.")
    BAD_URL = "bad_url", _("This is not a complete URL in ASCII without user name, password and fragment.")
    NOT_HTTPS = "not_https", _("The URL is not https, and its host is not one of JWKS_ALLOWED_PRIVATE_HOSTS.")
    UNKNOWN_HOST = "unknown_host", _("The name of the host could not be resolved.")
    PRIVATE_ADDRESS = (
        "private_address",
        _("The host has an address that is not public, and is not one of JWKS_ALLOWED_PRIVATE_HOSTS."),
    )
    UNREACHABLE = "unreachable", _("No connection could be made, or it broke.")
    TIMEOUT = "timeout", _("The whole answer did not arrive within the time allowed.")
    TLS = "tls", _("No trusted TLS connection could be made; look at the server's certificate.")
    BAD_RESPONSE = "bad_response", _("The server did not send a complete HTTP response.")
    REDIRECT = "redirect", _("The server redirects to another URL. Redirects are not followed; enter the final URL.")
    STATUS = "status", _("The server answered with another status than 200.")
    CONTENT_TYPE = "content_type", _("The content type is neither application/json nor application/jwk-set+json.")
    CONTENT_ENCODING = "content_encoding", _("The answer is compressed, although that was not asked for.")
    TOO_LARGE = "too_large", _("The answer is larger than allowed.")
    NOT_A_JWK_SET = "not_a_jwk_set", _("The answer is not a JWK Set.")
    PRIVATE_KEY = (
        "private_key",
        _("The JWK Set publishes a private or secret key. Tell the attester at once: that key is compromised."),
    )
    TOO_MANY_KEYS = "too_many_keys", _("The JWK Set has too many keys.")
    REPEATED_KEY = "repeated_key", _("The JWK Set has one key, or one “kid”, twice.")
    NO_USABLE_KEY = "no_usable_key", _("The JWK Set has no key that can verify a supported signature.")


class FetchFailed(Exception):
    """A JWK Set could not be fetched. ``str()`` is for the admin; nothing of the answer is in it.

    :ivar outcome: why; never ``FetchOutcome.OK``.
    :ivar detail: a further sentence where there is more to say, or empty.
    """

    def __init__(self, outcome: FetchOutcome, detail: str = "") -> None:
        super().__init__(outcome, detail)
        self.outcome = outcome
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.outcome.label} {self.detail}".strip()
