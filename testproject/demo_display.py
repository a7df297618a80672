"""Printing HTTP exchanges so that people can read them: JWTs are decoded, times have a date."""

import base64
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests

WIDTH = 100
REQUEST_FIELDS = (
    "Authorization",
    "Content-Type",
    "OAuth-Client-Attestation",
    "OAuth-Client-Attestation-PoP",
    "DPoP",
)
RESPONSE_FIELDS = (
    "Content-Type",
    "Cache-Control",
    "WWW-Authenticate",
    "OAuth-Client-Attestation-Challenge",
    "DPoP-Nonce",
)
JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
NUMERIC_DATE = re.compile(r'^(\s*"(?:iat|exp|nbf)": (\d+),?)$', re.MULTILINE)
_shown_tokens: set[str] = set()
_shown_headers: set[str] = set()
STYLES = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "cyan": "36"}


def coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str) -> str:
    if not coloured():
        return text
    return "\033[{}m{}\033[0m".format(";".join(STYLES[style] for style in styles), text)


def heading(title: str, why: str) -> None:
    print("\n" + paint(title, "bold"))
    print(textwrap.fill(why, WIDTH) + "\n")


def say(text: str, *styles: str) -> None:
    print(paint(text, *styles), flush=True)


def show_field(name: str, value: str, prefix: str = "") -> None:
    """Print a header field. A JWT is cut short, and decoded the first time it is seen."""
    token = JWT.fullmatch(value)
    label = paint(f"{prefix}{name}: ", "dim")
    if not token:
        print(label + value)
    elif value in _shown_tokens:
        print(f"{label}{_cut(value)}, the same as before")
    else:
        _shown_tokens.add(value)
        print(label + _cut(value))
        _show_jwt(value, prefix + "    ")


def _show_jwt(token: str, prefix: str) -> None:
    header, claims = (json.loads(_decoded(part)) for part in token.split(".")[:2])
    _show_part("header", _header_text(header), prefix)
    _show_part("claims", NUMERIC_DATE.sub(_with_date, json.dumps(claims, indent=2)), prefix)


def _header_text(header: dict[str, Any]) -> str:
    """Return a header in one line, or one that is too long for that in full the first time."""
    line = json.dumps(header)
    if len(line) < WIDTH:
        return line
    if line in _shown_headers:
        return f"the same as before, with the key {header['jwk']['x'][:8]}..."
    _shown_headers.add(line)
    return json.dumps(header, indent=2)


def _show_part(name: str, text: str, prefix: str) -> None:
    margin = paint(prefix, "dim")
    first, *rest = text.splitlines()
    print(f"{margin}{name} {first}")
    for line in rest:
        print(f"{margin}       {line}")


def show_exchange(response: requests.Response, *, members: Sequence[str] = ()) -> None:
    """Print a request and its response: the line, the fields that matter, the body.

    :param members: the members of a JSON body that are worth showing; all of them by default.
    """
    request = response.request
    url = urlsplit(request.url or "")
    say(f"> {request.method} {url.path} HTTP/1.1", "cyan")
    say(f"> Host: {url.netloc}", "cyan")
    _show_fields(request.headers, REQUEST_FIELDS, "> ")
    if request.body:
        say(">", "dim")
        say("> " + (request.body.decode() if isinstance(request.body, bytes) else request.body), "cyan")
    say(f"\n< HTTP/1.1 {response.status_code} {response.reason}", "green" if response.ok else "yellow")
    _show_fields(response.headers, RESPONSE_FIELDS, "< ")
    say("<", "dim")
    _show_body(response, members)
    print(flush=True)


def show_visit(response: requests.Response, *, entered: Mapping[str, str], page: str) -> None:
    """Print an exchange of a browser, without its cookies, and without the hidden fields of a form.

    :param entered: what the user entered into the form that was sent.
    :param page: what the user reads of the page that comes back.
    """
    say(f"> {response.request.method} {response.request.path_url}", "cyan")
    for name, value in entered.items():
        say(f">     {name}={value}", "cyan")
    say(f"< {response.status_code} {response.reason}", "green" if response.ok else "yellow")
    if "Location" in response.headers:
        show_field("Location", response.headers["Location"], "<     ")
    if page:
        print(paint("<     ", "dim") + page)
    print(flush=True)


def _show_body(response: requests.Response, members: Sequence[str]) -> None:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        print(textwrap.indent(response.text, "< "))
        return
    if members and isinstance(body, dict):
        say("< (the members that matter here)", "dim")
        body = {name: body[name] for name in members if name in body}
    for line in json.dumps(body, indent=2).splitlines():
        print(paint("< ", "dim") + line)


def _show_fields(fields: Mapping[str, str], wanted: tuple[str, ...], prefix: str) -> None:
    for name in wanted:
        if name in fields:
            show_field(name, fields[name], prefix)


def _with_date(match: re.Match[str]) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(int(match[2])))
    return f"{match[1]}   <- {moment}"


def _cut(token: str) -> str:
    return f"{token[:20]}... ({len(token)} characters)"


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
