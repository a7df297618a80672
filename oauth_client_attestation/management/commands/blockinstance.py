"""``manage.py blockinstance``: shut out one instance of an app, a lost phone for example, and no other."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from oauth2_provider.models import get_application_model

from ... import instances
from ...models import ClientInstance
from ...registration import blocks

#: 32 octets in base64url without padding; the last character carries four of its six bits.
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Command(BaseCommand):
    help = "Block one client instance and revoke what it holds; other instances of the application never notice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "thumbprint",
            help="the RFC 7638 SHA-256 thumbprint of its key, base64url; after -- if it begins with a hyphen",
        )
        parser.add_argument(
            "--application",
            metavar="CLIENT_ID",
            help="as an instance of this application only, and even if it never held anything",
        )
        parser.add_argument(
            "--keep-tokens",
            action="store_true",
            help="leave it what it holds: access and ID tokens work until they expire",
        )
        parser.add_argument("--unblock", action="store_true", help="let it in again; what was revoked stays revoked")

    def handle(self, *args: Any, **options: Any) -> None:
        thumbprint, client_id = options["thumbprint"], options["application"]
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise CommandError("A thumbprint is 43 characters of base64url; the last is one of AEIMQUYcgkosw048.")
        known = ClientInstance.objects.using(instances.database()).filter(thumbprint=thumbprint)
        remembered = list(blocks.remembered(thumbprint))
        if client_id is None:
            application_ids = list(known.values_list("application_id", flat=True))
        else:
            remembered = [block for block in remembered if block.client_id == client_id]  # MariaDB ignores case
            application = _application(client_id)
            if application is None and not remembered and not blocks.may_return(client_id):
                raise CommandError(f"There is no application with this client_id: {client_id}")
            application_ids = [] if application is None else [application.pk]
            known = known.filter(application_id__in=application_ids)
        away = client_id is not None and not application_ids
        if not (application_ids or remembered or away) or (options["unblock"] and not (known or remembered)):
            raise CommandError(
                "No instance with this thumbprint holds anything or is blocked."
                + ("" if options["unblock"] else " Name its --application to block it in advance.")
            )
        if options["unblock"]:
            for instance in known:
                instances.unblock(instance)
            for block in remembered:
                block.delete()
            self.stdout.write(self.style.SUCCESS(f"{thumbprint} is no longer blocked."))
            return
        if away:
            application_ids = self._block_without_a_row(client_id, thumbprint)
        elif not known and not remembered:
            self._warn(
                "Nothing was ever given to an instance with this thumbprint, or it has been forgotten since. "
                "Compare it with the source, upper and lower case included."
            )
        keep = options["keep_tokens"]
        try:
            revoked = sum(instances.block(pk, thumbprint, revoke_tokens=not keep) for pk in application_ids)
        except DatabaseError as error:
            raise CommandError(
                f"{thumbprint} is not blocked everywhere: the database has refused ({type(error).__name__}), "
                "perhaps because a client is being deleted. Run this again."
            ) from error
        outcome = "it keeps its tokens" if keep else f"{revoked} token(s) and code(s) revoked"
        self.stdout.write(self.style.SUCCESS(f"{thumbprint} is blocked; {outcome}."))

    def _block_without_a_row(self, client_id: str, thumbprint: str) -> list[Any]:
        """Remember the block; return the application where somebody has made one in the meantime."""
        blocks.remember(client_id, thumbprint)
        application = _application(client_id)
        if application is not None:
            return [application.pk]
        self._warn(f"{client_id} is no client at the moment. The block is kept until it is one again.")
        return []

    def _warn(self, message: str) -> None:
        self.stderr.write(self.style.WARNING(message))


def _application(client_id: str) -> Any:
    application = get_application_model().objects.filter(client_id=client_id).first()
    return application if application is not None and application.client_id == client_id else None  # as above
