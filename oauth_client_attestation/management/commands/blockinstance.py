"""``manage.py blockinstance``: shut out one instance of an app, a lost phone for example, and no other."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from oauth2_provider.models import get_application_model

from ... import instances
from ...models import ClientInstance

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
        thumbprint = options["thumbprint"]
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise CommandError("A thumbprint is 43 characters of base64url; the last is one of AEIMQUYcgkosw048.")
        known = ClientInstance.objects.using(instances.database()).filter(thumbprint=thumbprint)
        client_id = options["application"]
        if client_id is None:
            application_ids = list(known.values_list("application_id", flat=True))
        else:
            application_ids = [_application(client_id).pk]
            known = known.filter(application_id__in=application_ids)
        if not application_ids or (options["unblock"] and not known):
            raise CommandError(
                "No instance with this thumbprint holds anything or is blocked."
                + ("" if options["unblock"] else " Name its --application to block it in advance.")
            )
        if options["unblock"]:
            for instance in known:
                instances.unblock(instance)
            self.stdout.write(self.style.SUCCESS(f"{thumbprint} is no longer blocked."))
            return
        if not known:
            self.stderr.write(
                self.style.WARNING(
                    "Nothing was ever given to an instance with this thumbprint, or it has been forgotten since. "
                    "Compare it with the source, upper and lower case included."
                )
            )
        keep = options["keep_tokens"]
        revoked = sum(instances.block(pk, thumbprint, revoke_tokens=not keep) for pk in application_ids)
        outcome = "it keeps its tokens" if keep else f"{revoked} token(s) and code(s) revoked"
        self.stdout.write(self.style.SUCCESS(f"{thumbprint} is blocked; {outcome}."))


def _application(client_id: str) -> Any:
    application = get_application_model().objects.filter(client_id=client_id).first()
    if application is None or application.client_id != client_id:  # MariaDB ignores case
        raise CommandError(f"There is no application with this client_id: {client_id}")
    return application
