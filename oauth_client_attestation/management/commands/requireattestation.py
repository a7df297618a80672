"""``manage.py requireattestation``: from now on an application gets in by client attestation only."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from oauth2_provider.models import get_application_model

from ...core import wire
from ...models import AttestationPolicy, Attester


class Command(BaseCommand):
    help = "Require client attestation from an application; its secret is no longer accepted anywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the application's client_id")
        parser.add_argument(
            "--method",
            action="append",
            choices=wire.METHODS,
            help=f"an accepted method; repeatable; {wire.METHOD_POP_JWT} by default",
        )
        parser.add_argument(
            "--challenge",
            choices=AttestationPolicy.Challenge.values,
            default=AttestationPolicy.Challenge.REQUIRED.value,
            help="whether a proof must answer a challenge",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        application = get_application_model().objects.filter(client_id=options["client_id"]).first()
        if application is None or application.client_id != options["client_id"]:  # MariaDB ignores case
            raise CommandError(f"There is no application with this client_id: {options['client_id']}")
        policy = AttestationPolicy.objects.filter(application=application).first() or AttestationPolicy(
            application=application
        )
        policy.methods = options["method"] or [wire.METHOD_POP_JWT]
        policy.challenge = options["challenge"]
        try:
            policy.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        policy.save()
        self.stdout.write(
            self.style.SUCCESS(
                f"{application.client_id} now authenticates by {', '.join(policy.methods)} only; "
                f"challenge {policy.challenge}."
            )
        )
        trusted = Attester.objects.filter(Q(all_applications=True) | Q(applications=application), enabled=True)
        if not trusted.exists():
            self.stderr.write(
                self.style.WARNING("No enabled attester is trusted for it yet, so nobody gets in: createattester.")
            )
