"""The verifier: plain Python that decides whether a client attestation and its proof are good.

Nothing here imports Django or django-oauth-toolkit, reads settings, a clock, a cache or a database: what a
rule needs comes in as an argument. A verifier returns frozen evidence or raises
:class:`~oauth_client_attestation.core.errors.ClientAttestationError`; none returns a bool.
"""
