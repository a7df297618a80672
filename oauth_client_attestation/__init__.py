"""OAuth 2.0 Attestation-Based Client Authentication for django-oauth-toolkit.

Implements draft-ietf-oauth-attestation-based-client-auth, revision -12, and tolerates the shapes of older
revisions down to a configured floor.
"""

__version__ = "0.1.0"
