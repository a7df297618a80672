"""``manage.py createattester``: name an attester, its keys and whom it may vouch for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router, transaction
from oauth2_provider.models import get_application_model

from ...conf import app_settings
from ...core.anchors import TrustAnchor
from ...models import Attester
from ...trust.entry import parse_entered_anchors, parse_entered_keys
from ...trust.others import check_namesakes
from ...trust.registration import replace_anchors, replace_keys
from ...trust.requirements import merge_requirements, parse_requirement


class Command(BaseCommand):
    help = "Create an attester, with its keys, the URL they are fetched from, its trust anchors, or several of these."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what people call the attester")
        parser.add_argument(
            "--jwks", metavar="FILE", help="its public keys: a JWK Set, a JWK, or public keys in PEM; - reads stdin"
        )
        parser.add_argument("--jwks-uri", default="", metavar="URL", help="where its JWK Set is fetched from")
        parser.add_argument(
            "--trust-anchor",
            action="append",
            default=[],
            metavar="PEM_FILE",
            help="certificates under which its x5c chains are believed; repeatable; - reads stdin",
        )
        parser.add_argument("--issuer", default="", metavar="URL", help="what iss must equal where there is one")
        parser.add_argument(
            "--algorithm",
            action="append",
            default=[],
            metavar="ALG",
            help="an algorithm it may use; repeatable",
        )
        parser.add_argument(
            "--max-age",
            type=int,
            metavar="SECONDS",
            help="seconds since iat after which its attestations are no longer fresh; by default as the server says",
        )
        parser.add_argument(
            "--require-claim",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a claim its attestations must have; NAME alone allows any value, the same NAME again one value "
            "more; repeatable",
        )
        parser.add_argument(
            "--application",
            action="append",
            default=[],
            metavar="CLIENT_ID",
            help="an application it may vouch for; repeatable",
        )
        parser.add_argument("--all-applications", action="store_true", help="it may vouch for every application")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            keys = parse_entered_keys(_read(options["jwks"], "JWK Set")) if options["jwks"] else []
            anchors = {anchor.fingerprint: anchor for path in options["trust_anchor"] for anchor in _anchors(path)}
            check_namesakes(list(anchors.values()))
            applications = _applications(options["application"])
            attester = Attester(
                name=options["name"],
                issuer=options["issuer"],
                jwks_uri=options["jwks_uri"],
                max_age=options["max_age"],
                required_claims=merge_requirements(map(parse_requirement, options["require_claim"])),
                algorithms=options["algorithm"],
                all_applications=options["all_applications"],
            )
            attester.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if not (keys or anchors or attester.jwks_uri or attester.name in app_settings.shared_secrets):
            raise CommandError("Nothing could be believed: give --jwks, --jwks-uri or --trust-anchor.")
        with transaction.atomic(using=router.db_for_write(Attester)):
            attester.save()
            replace_keys(attester, keys)
            replace_anchors(attester, anchors.values())
            attester.applications.set(applications)
        parts = [f"{len(keys)} key(s)", *([f"{len(anchors)} trust anchor(s)"] if anchors else [])]
        self.stdout.write(self.style.SUCCESS(f"Attester {attester.name!r} created with {' and '.join(parts)}."))
        if attester.jwks_uri:
            self.stdout.write("Its keys are fetched when one is needed, or now by refreshattesters.")
        if not applications and not attester.all_applications:
            self.stderr.write(
                self.style.WARNING(
                    "It is not trusted for any application yet: link one in the admin, or create it with "
                    "--application or --all-applications."
                )
            )


def _read(path: str, what: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The {what} cannot be read: {error}") from error


def _anchors(path: str) -> list[TrustAnchor]:
    """Name the file with the mistake: there may be several."""
    try:
        return parse_entered_anchors(_read(path, "trust anchor"))
    except ValidationError as error:
        raise CommandError(f"{path}: {' '.join(error.messages)}") from error


def _applications(client_ids: list[str]) -> list[Any]:
    found = {
        application.client_id: application
        for application in get_application_model().objects.filter(client_id__in=client_ids)
    }
    missing = [client_id for client_id in client_ids if client_id not in found]
    if missing:
        raise CommandError(f"There is no application with this client_id: {', '.join(missing)}")
    return list(found.values())
