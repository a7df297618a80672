"""``manage.py requireattestation``: from now on an application gets in by client attestation only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Q
from oauth2_provider.models import get_application_model

from ...conf import app_settings
from ...core import wire
from ...instances import database
from ...models import AttestationPolicy, Attester, DpopPolicy, default_methods

_METHODS: Final[Mapping[str, list[str]]] = {
    "normal": [wire.METHOD_POP_JWT],
    "combined": [wire.METHOD_DPOP],
    "either": default_methods(),
}


class Command(BaseCommand):
    help = "Require client attestation from an application; its secret is no longer accepted anywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the application's client_id")
        parser.add_argument(
            "--method",
            choices=_METHODS,
            default="either",
            help="how an instance proves possession of its key: by a PoP JWT, by a DPoP proof, or as it likes",
        )
        parser.add_argument(
            "--challenge",
            choices=AttestationPolicy.Challenge.values,
            default=AttestationPolicy.Challenge.REQUIRED.value,
            help="whether a PoP JWT must answer a challenge",
        )
        parser.add_argument(
            "--require-dpop",
            action="store_true",
            help="issue no token without a DPoP proof; without this option, that is left as it is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        application = get_application_model().objects.filter(client_id=options["client_id"]).first()
        if application is None or application.client_id != options["client_id"]:  # MariaDB ignores case
            raise CommandError(f"There is no application with this client_id: {options['client_id']}")
        policy = AttestationPolicy.objects.filter(application=application).first() or AttestationPolicy(
            application=application
        )
        policy.methods = _METHODS[options["method"]]
        policy.challenge = options["challenge"]
        policies: list[AttestationPolicy | DpopPolicy] = [policy]
        if options["require_dpop"]:
            policies.append(_dpop_required_of(application))
        try:
            for row in policies:
                row.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        with transaction.atomic(using=database()):
            for row in policies:
                row.save()
        self.stdout.write(
            self.style.SUCCESS(
                f"{application.client_id} now authenticates by {' or '.join(policy.methods)} only; "
                f"challenge {policy.challenge}{'; DPoP required' if options['require_dpop'] else ''}."
            )
        )
        self._warn_if_nobody_gets_in(policy)

    def _warn_if_nobody_gets_in(self, policy: AttestationPolicy) -> None:
        trusted = Attester.objects.filter(Q(all_applications=True) | Q(applications=policy.application), enabled=True)
        if not trusted.exists():
            self.stderr.write(
                self.style.WARNING("No enabled attester is trusted for it yet, so nobody gets in: createattester.")
            )
        if not set(policy.methods) & set(app_settings.methods):
            self.stderr.write(self.style.WARNING("METHODS in the settings has no such method, so nobody gets in."))


def _dpop_required_of(application: Any) -> DpopPolicy:
    """Return the policy to be saved.

    :raises CommandError: if the settings would make nothing of it.
    """
    if app_settings.dpop == "off":
        raise CommandError("DPOP is off in the settings, so DPoP cannot be required.")
    policy = DpopPolicy.objects.filter(application=application).first() or DpopPolicy(application=application)
    policy.use = DpopPolicy.Use.REQUIRED
    return policy
