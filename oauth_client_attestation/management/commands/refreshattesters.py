"""``manage.py refreshattesters``: fetch the keys of attesters by their URLs, for a timer or by hand (rule T2)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q, QuerySet
from django.utils import timezone

from ...conf import app_settings
from ...models import Attester
from ...trust.outcomes import FetchOutcome
from ...trust.refresh import fetch_now


class Command(BaseCommand):
    help = (
        "Fetch the keys of attesters that have a JWK Set URL, and print what came of each. "
        "Exits with 1 if any could not be fetched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="an attester; by default every enabled one")
        parser.add_argument(
            "--if-due",
            action="store_true",
            help="leave out those whose keys were fetched within the last JWKS_LIFETIME seconds",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        attesters = _named(options["names"]) if options["names"] else Attester.objects.filter(enabled=True)
        attesters = attesters.exclude(jwks_uri="")
        if options["if_due"]:
            now = timezone.now()
            lately = Q(fetched_at__gt=now - timedelta(seconds=app_settings.jwks_lifetime), fetched_at__lte=now)
            attesters = attesters.exclude(lately & Q(fetch_outcome=FetchOutcome.OK))
        failed = asked = 0
        for attester in attesters:
            outcome = fetch_now(attester, now=time.time())
            asked += 1
            if outcome == FetchOutcome.OK:
                self.stdout.write(self.style.SUCCESS(f"{attester.name}: {outcome.label}"))
            else:
                failed += 1
                self.stderr.write(self.style.ERROR(f"{attester.name}: {outcome.label}"))
        if not asked:
            self.stdout.write("There is nothing to fetch.")
        if failed:
            raise CommandError(f"The keys of {failed} of {asked} attester(s) could not be fetched.")


def _named(names: list[str]) -> QuerySet[Attester]:
    found = {attester.name: attester for attester in Attester.objects.filter(name__in=names)}
    missing = [name for name in names if name not in found]  # MariaDB ignores case
    if missing:
        raise CommandError(f"There is no attester with this name: {', '.join(missing)}")
    without = [name for name in names if not found[name].jwks_uri]
    if without:
        raise CommandError(f"This attester has no JWK Set URL: {', '.join(without)}")
    return Attester.objects.filter(pk__in=[found[name].pk for name in names])
