"""``manage.py checkattestation``: why was this wallet refused? Nothing is recorded."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from ...core.errors import ClientAttestationError
from ...inspection import EARLIEST, LATEST, Inspection, Question, Status, inspect

#: Exit codes: accepted, refused, and no verdict at all.
ACCEPTED, REFUSED, NO_VERDICT = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Check an attestation, and a proof if there is one, as the endpoints would, without recording anything. "
        "Tokens are read from files or standard input, never from arguments, which every user of the machine can see. "
        f"Exit code: {ACCEPTED} accepted, {REFUSED} refused, {NO_VERDICT} no verdict."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "attestation", nargs="?", default="-", metavar="FILE", help="the attestation; - reads stdin, the default"
        )
        proof = parser.add_mutually_exclusive_group()
        proof.add_argument("--pop", metavar="FILE", help="the proof of possession; - reads stdin")
        proof.add_argument("--dpop", metavar="FILE", help="a DPoP proof in its place; - reads stdin")
        parser.add_argument(
            "--audience",
            default="",
            metavar="URL",
            help="what aud of the proof has to be; by default this server's issuer",
        )
        parser.add_argument(
            "--method", default="POST", metavar="METHOD", help="what htm of a DPoP proof has to be; by default POST"
        )
        parser.add_argument(
            "--url", default="", metavar="URL", help="what htu of a DPoP proof has to be; by default the token endpoint"
        )
        parser.add_argument(
            "--access-token", metavar="FILE", help="the access token that came with a DPoP proof; - reads stdin"
        )
        parser.add_argument("--client-id", default="", metavar="ID", help="the client that the request named")
        parser.add_argument(
            "--at", type=_seconds, metavar="TIME", help="judge at this time: ISO 8601, or seconds since the epoch"
        )
        parser.add_argument("--json", action="store_true", help="write the verdict as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        paths = [options[name] for name in ("attestation", "pop", "dpop", "access_token")]
        if paths.count("-") > 1:
            raise CommandError("Only one of them can be standard input.", returncode=NO_VERDICT)
        attestation, pop, dpop, access_token = (_read(path) if path else "" for path in paths)
        question = Question(
            attestation=attestation,
            proof=pop or dpop,
            kind="dpop" if dpop else "pop",
            audience=options["audience"],
            client_id=options["client_id"],
            method=options["method"],
            uri=options["url"],
            access_token=access_token,
            at=options["at"],
        )
        try:
            inspection = inspect(question)
        except ClientAttestationError as error:
            raise CommandError(f"There is no verdict: {error.reason}.", returncode=NO_VERDICT) from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(inspection), indent=2))
        else:
            self._write_text(inspection)
        if not inspection.accepted:
            sys.exit(REFUSED)

    def _write_text(self, inspection: Inspection) -> None:
        style = self.style.SUCCESS if inspection.accepted else self.style.ERROR
        self.stdout.write(style(inspection.verdict))
        if inspection.explanation:
            self.stdout.write(f"{inspection.explanation.summary} {inspection.explanation.advice}")
        self.stdout.write("")
        width = max(len(str(fact.label)) for fact in inspection.facts)
        for fact in inspection.facts:
            self.stdout.write(f"{fact.label!s:{width}}  {fact.value}")
        styles = {Status.PASSED: self.style.SUCCESS, Status.FAILED: self.style.ERROR}
        width = max(len(str(status.label)) for status in Status)
        for title, rows in inspection.parts:
            self.stdout.write(f"\n{title}")
            for row in rows:
                status = styles.get(row.status, str)(f"{row.status.label!s:{width}}")
                self.stdout.write(f"  {status}  {row.check.rule:3}  {row.check.title}")
                if row.note:
                    self.stdout.write(f"  {'':{width}}       {row.note}")


def _as_json(inspection: Inspection) -> dict[str, Any]:
    error, explanation = inspection.error, inspection.explanation
    return {
        "accepted": inspection.accepted,
        "with_proof": inspection.with_proof,
        "combined": inspection.combined,
        "reason": None if error is None else str(error.reason),
        "error": None if error is None else error.code,
        "explanation": None if explanation is None else str(explanation.summary),
        "advice": None if explanation is None else str(explanation.advice),
        "facts": [{"name": fact.name, "value": fact.value} for fact in inspection.facts],
        "checks": [
            {
                "name": row.check.name,
                "rule": row.check.rule,
                "status": row.status.value,
                "title": str(row.check.title),
                "note": row.note,
            }
            for row in inspection.rows
        ],
    }


def _read(path: str) -> str:
    try:
        octets = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The token cannot be read: {error}", returncode=NO_VERDICT) from error
    token = octets.decode("utf-8", "replace").strip()
    if not token:
        raise CommandError("There is no token to check.", returncode=NO_VERDICT)
    return token


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        try:
            parsed = parse_datetime(text)
        except ValueError:
            parsed = None
        if parsed is None:
            raise ArgumentTypeError("a time is ISO 8601, or seconds since the epoch") from None
        moment = parsed.replace(tzinfo=UTC) if is_naive(parsed) else parsed
    if not EARLIEST <= moment <= LATEST:
        raise ArgumentTypeError(f"the time lies outside of {EARLIEST:%Y} to {LATEST:%Y}")
    return moment.timestamp()
