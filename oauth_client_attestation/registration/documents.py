"""Clients that are known by their client ID metadata document, where that names a method of this package.

The host makes an application of a document whose clients are public. An attested client's is shown to it as one, and
the row is made confidential in the very statement that stores it, with the host's random secret that nobody is told:
however little else is stored yet, or is gone again, nobody gets in but by attestation. Its policy and its attesters
follow from the document and from ``METADATA_DOCUMENT_ATTESTERS``, so that a row that was pruned is made again as it
was; what is blocked is remembered meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.db.models.signals import post_save, pre_delete, pre_save
from oauth2_provider.cimd import CIMDError, SafeMetadataFetcher, is_cimd_client_id
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings

from ..conf import app_settings
from ..instances import database
from ..models import AttestationPolicy
from . import blocks, storage
from .client_metadata import AttestationMetadata, InvalidClientMetadata, read_attestation_metadata

if TYPE_CHECKING:  # what the mixin is mixed into
    from oauth2_provider.cimd import SafeMetadataFetcher as _Fetcher
else:
    _Fetcher = object

#: The document that this context has fetched last, and that was not stored yet: its URL, and what it says of
#: attestation. The host may have refused it since.
_fetched: Final[ContextVar[tuple[str, AttestationMetadata] | None]] = ContextVar("_fetched", default=None)
#: Where an application keeps it while it is being saved.
_SAID: Final = "_oauth_client_attestation_said"


class AttestedDocumentMixin(_Fetcher):
    """For a fetcher of client ID metadata documents: put it first among the bases of one of your own."""

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        """Return the document, in words that the host knows, and for how many seconds it is good.

        :raises CIMDError: if it cannot be had, or what it says of attestation cannot be accepted.
        """
        _fetched.set(None)
        metadata, lifetime = super().fetch(client_id)
        try:
            said = read_attestation_metadata(metadata)
        except InvalidClientMetadata as error:
            raise CIMDError(str(error)) from error
        _fetched.set((client_id, said))
        if said.method is None:
            return metadata, lifetime
        if metadata.get("grant_types", ["authorization_code"]) not in (
            ["authorization_code"],
            ["authorization_code", "refresh_token"],
            ["refresh_token", "authorization_code"],
        ):
            raise CIMDError("Attestation cannot be required of a client with these grant_types.")
        return {**metadata, "token_endpoint_auth_method": "none"}, lifetime


class AttestedDocumentFetcher(AttestedDocumentMixin, SafeMetadataFetcher):
    """For ``OAUTH2_PROVIDER["CIMD_METADATA_FETCHER"]`` on sites without a fetcher of their own."""


def policy_of_unknown(client_id: str) -> AttestationPolicy | None:
    """Return what is demanded of a client that is not stored yet, if its document may be fetched; not saved."""
    if "\0" in client_id or not (oauth2_settings.CIMD_ENABLED and is_cimd_client_id(client_id)):
        return None
    if not app_settings.metadata_document_attesters:
        return None
    application = get_application_model()(client_id=client_id)
    return AttestationPolicy(application=application, methods=list(app_settings.methods))


def made_by_host(policy: AttestationPolicy, load: Callable[[AttestationPolicy], bool]) -> bool:
    """Have the host fetch a document and make an application of it; say whether there is a usable one.

    Of many who are first, one stores the row. The host finds the winner's, but not within a transaction
    (``ATOMIC_REQUESTS``), which its failed INSERT has spoiled: so that is undone, and asked again.

    :param policy: what stands for the client.
    :param load: loads the application of a policy in the host's way.
    """
    applications = get_application_model().objects.using(database()).filter(client_id=policy.application.client_id)
    if not connections[database()].in_atomic_block:
        return load(policy)
    with transaction.atomic(using=database()):
        made = load(policy)
    return made or (applications.exists() and load(policy))


def adopted_policy(client_id: str, *, method: str) -> AttestationPolicy | None:
    """Return the policy of an application that has been made of a document; None if that names no method of ours.

    Made here, if whoever made the application has not come to it yet, or somebody has deleted it.

    :param method: the one by which an instance has just proven possession.
    """
    application = get_application_model().objects.using(database()).filter(client_id=client_id).first()
    # MariaDB compares without regard to case.
    if application is None or application.client_id != client_id or not _is_attested(application):
        return None
    policies = AttestationPolicy.objects.using(database()).select_related("application").filter(application=application)
    if not policies.exists():
        with suppress(InvalidClientMetadata), transaction.atomic(using=database()):
            blocks.restore(application)
            storage.require_anew(application, method, attesters=app_settings.metadata_document_attesters)
    return policies.first()


def connect() -> None:
    """Follow the applications that the host makes."""
    sender = oauth2_settings.APPLICATION_MODEL
    for signal, receiver in ((pre_save, _before_save), (post_save, _after_save), (pre_delete, _before_delete)):
        signal.connect(receiver, sender=sender, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _is_attested(application: Any) -> bool:
    """Whether the application was made of a document that names a method of ours: the host's own are public."""
    made_of_document: bool = application.registration_source == application.RegistrationSource.CIMD
    return made_of_document and application.client_type == application.CLIENT_CONFIDENTIAL


def _said_of(application: Any, update_fields: frozenset[str] | None) -> AttestationMetadata | None:
    """Return what the document says of which the host is making this application; None if it is not doing that.

    The host stores every document with a new date of expiry; whoever saves the row otherwise leaves that alone.
    """
    fetched = _fetched.get()
    if fetched is None or application.registration_source != application.RegistrationSource.CIMD:
        return None
    client_id, said = fetched
    if application.client_id != client_id or "cimd_expires_at" not in (update_fields or ("cimd_expires_at",)):
        return None
    stored = type(application)._base_manager.using(database()).filter(pk=application.pk)
    return None if stored.filter(cimd_expires_at=application.cimd_expires_at).exists() else said


def _before_save(
    sender: Any, instance: Any, raw: bool = False, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    """:raises CIMDError: if the document of an attested client no longer names a method of ours (B5), or one that
    an operator has shut out: the host then keeps the application as it was."""
    said = None if raw else _said_of(instance, update_fields)
    vars(instance).pop(_SAID, None)
    if said is None:
        return
    _fetched.set(None)
    try:
        storage.check(instance, said)
    except InvalidClientMetadata as error:
        raise CIMDError(str(error)) from error
    if said.method is not None:
        instance.client_type = instance.CLIENT_CONFIDENTIAL
    vars(instance)[_SAID] = said


def _after_save(sender: Any, instance: Any, **kwargs: Any) -> None:
    said = vars(instance).pop(_SAID, None)
    if said is not None:
        _store(instance, said)


def _store(application: Any, said: AttestationMetadata) -> None:
    """Store what belongs to an application; what was blocked comes before what lets anybody in."""
    with transaction.atomic(using=database()):
        if said.method is not None:
            blocks.restore(application)
        storage.store(application, said, attesters=app_settings.metadata_document_attesters)


def _before_delete(sender: Any, instance: Any, **kwargs: Any) -> None:
    blocks.remember_all(instance)
