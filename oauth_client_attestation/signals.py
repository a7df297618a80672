"""Signals for a site's own bookkeeping. Receivers run in the request; Django logs an exception of theirs."""

from django.dispatch import Signal

#: An attested request was accepted. Arguments: ``request`` (the Django request), ``evidence``
#: (:class:`oauth_client_attestation.core.results.Evidence`).
client_attestation_accepted = Signal()

#: An attested request, or one that should have been, was refused. Arguments: ``request`` (the Django request
#: or None), ``reason`` (:class:`oauth_client_attestation.core.errors.Reason`), ``application_id`` (primary
#: key, or None where no registered application was named).
client_attestation_refused = Signal()
