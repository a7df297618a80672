"""``manage.py issueattestation``: sign an attestation for an instance's public key, by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...attester import Attester
from ...core.jose import UnsuitableAlgorithm
from ...core.jwk import InvalidKey
from ...core.strict import MalformedJwt, parse_json_object
from ...signing import load_private_key


class Command(BaseCommand):
    help = "Sign a client attestation for an instance's public key and print it. Nothing is stored or checked."
    # It needs neither database nor settings of this site, which need not be the one that the attestation is for.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("client_id", help="the client that the instance belongs to (sub)")
        parser.add_argument(
            "--instance-key", required=True, metavar="FILE", help="the instance's public key: a JWK; - reads stdin"
        )
        parser.add_argument(
            "--key", required=True, metavar="FILE", help="the attester's private key: a JWK, or PEM without passphrase"
        )
        parser.add_argument("--key-id", metavar="KID", help="what to send as kid; by default that of the JWK, if any")
        parser.add_argument("--algorithm", metavar="ALG", help="by default the usual one for the key")
        parser.add_argument(
            "--lifetime", type=int, default=86400, metavar="SECONDS", help="from iat to exp; 86400 by default"
        )
        parser.add_argument(
            "--rounding", type=int, default=3600, metavar="SECONDS", help="iat is a multiple of it; 3600 by default"
        )
        parser.add_argument("--issuer", metavar="URL", help="send iss, for servers of revisions up to -07")
        parser.add_argument("--not-before", action="store_true", help="send nbf, for the same")
        parser.add_argument(
            "--claim",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a further claim; VALUE is JSON, or else a string; repeatable",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            attester = Attester(
                load_private_key(_read(options["key"])),
                algorithm=options["algorithm"],
                key_id=options["key_id"],
                lifetime=options["lifetime"],
                rounding=options["rounding"],
                issuer=options["issuer"],
                not_before=options["not_before"],
            )
        except (InvalidKey, UnsuitableAlgorithm, ValueError) as error:
            raise CommandError(f"The attester cannot sign: {error}.") from None
        claims = dict(map(_claim, options["claim"]))
        try:
            instance_key = parse_json_object(_read(options["instance_key"]))
            token = attester.attest(instance_key, options["client_id"], claims=claims)
        except MalformedJwt:
            raise CommandError("The instance's key is not a JWK.") from None
        except (InvalidKey, ValueError) as error:
            raise CommandError(f"This cannot be attested: {error}.") from None
        self.stdout.write(token)


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The key cannot be read: {error}") from error


def _claim(entered: str) -> tuple[str, Any]:
    name, equals, value = entered.partition("=")
    if not name or not equals:
        raise CommandError("A claim is entered as NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
