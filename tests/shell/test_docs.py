"""The documents say what the code does: keys, defaults, reasons, check ids, names, links, and what is promised
to run does run.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command, load_command_class
from django.core.management.base import BaseCommand
from django.test import Client, RequestFactory, override_settings
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import DEFAULTS as HOST_DEFAULTS

import oauth_client_attestation
from oauth_client_attestation.challenges import fresh_resource_challenge
from oauth_client_attestation.checks import check_configuration, check_deployment
from oauth_client_attestation.conf import DEFAULTS, SETTING_NAME, app_settings
from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.oauth2.backends import AttestationBackendMixin
from oauth_client_attestation.oauth2.validators import AttestationValidatorMixin
from oauth_client_attestation.par.refusals import PushedRequestReason
from tests.kit import CHALLENGE, ISSUER, TOKEN, AttestedClient, create_access_token
from tests.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
PACKAGE = "oauth_client_attestation"
COMMANDS = (
    "createattester",
    "refreshattesters",
    "requireattestation",
    "blockinstance",
    "clearattestations",
    "checkattestation",
    "issueattestation",
)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def on_one_line(passage: str) -> str:
    return " ".join(passage.split())


def rows(document: str) -> list[list[str]]:
    """Return the cells of each table row whose first cell is code or a rule id."""
    table = [line.strip("|").split(" | ") for line in document.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in table]


def setting_sections() -> dict[str, str]:
    """Return the part of settings.md that is about each key."""
    parts = re.split(r"^### `(\w+)`$", text("docs/settings.md"), flags=re.MULTILINE)[1:]
    return {key: on_one_line(section) for key, section in zip(parts[::2], parts[1::2], strict=True)}


def python_block(document: str, containing: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", text(document), flags=re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return str(block)


def resolve(path: str) -> Any:
    """Return what a dotted path within the package names."""
    module, found = oauth_client_attestation, None
    for depth, name in enumerate(parts := path.split("."), start=1):
        try:
            module = importlib.import_module(".".join([PACKAGE, *parts[:depth]]))
        except ModuleNotFoundError:
            found = getattr(module if found is None else found, name)
        else:
            found = None
    return module if found is None else found


def test_every_setting_has_a_section() -> None:
    assert set(setting_sections()) == set(DEFAULTS)


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_settings_section_says_its_default(key: str) -> None:
    default = re.match(r"Default: `(.+?)`\.", setting_sections()[key])
    assert default, "the section begins with the default"
    assert ast.literal_eval(default[1]) == DEFAULTS[key]


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_settings_section_says_what_values_it_may_have(key: str) -> None:
    with (
        override_settings(**{SETTING_NAME: {"ISSUER": ISSUER, key: ""}}),
        pytest.raises(ImproperlyConfigured) as error,
    ):
        app_settings.validate()
    expected = str(error.value).partition("must be ")[2]
    assert f"Must be {expected.removesuffix('.')}" in setting_sections()[key]


def test_every_reason_is_listed_with_its_code() -> None:
    listed = {
        row[0]: row[1].strip("`")
        for row in rows(text("docs/errors.md").partition("## Reasons")[2])
        if row[0].startswith("`")
    }
    assert listed == {f"`{reason}`": ClientAttestationError(reason).code for reason in Reason}


def test_every_code_is_listed_with_its_status_and_sentence() -> None:
    listed = {
        row[0].strip("`"): (row[1][:3], row[2])
        for row in rows(text("docs/errors.md").partition("## Reasons")[0])
        if row[0].startswith("`")
    }
    errors = [ClientAttestationError(reason) for reason in Reason]
    assert listed == {error.code: (str(error.status), error.description) for error in errors}


def test_every_reason_of_the_authorization_endpoint_is_listed() -> None:
    listed = re.findall(r"^- `(\w+)`:", text("docs/errors.md").partition("## Authorization requests")[2], re.MULTILINE)
    assert listed == [str(reason) for reason in PushedRequestReason]


def test_every_code_is_explained_to_clients() -> None:
    answers = text("docs/clients.md").partition("## Answers")[2]
    for code in {ClientAttestationError(reason).code for reason in Reason}:
        assert f"| `{code}`" in answers


def test_every_check_is_listed() -> None:
    """The ids are collected from a site on which everything is wrong, since a check may build its id."""
    nothing_right = {
        SETTING_NAME: {},
        "OAUTH2_PROVIDER": {},
        "MIDDLEWARE": [],
        "ROOT_URLCONF": "django.contrib.auth.urls",
    }
    half_right = {"ROOT_URLCONF": "tests.shell.test_metadata_everywhere", "CORS_EXPOSE_HEADERS": ["X-Other"]}
    as_bearer = {
        "ROOT_URLCONF": "tests.shell.host_places",
        "MIDDLEWARE": [*settings.MIDDLEWARE, "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware"],
    }
    torn_apart = {"DATABASE_ROUTERS": ["tests.shell.test_instances.Elsewhere"]}
    not_served = {"ROOT_URLCONF": "tests.shell.par_urls"}
    documents = {
        SETTING_NAME: {"ISSUER": ISSUER, "METADATA_DOCUMENT_ATTESTERS": ["Acme"]},
        "OAUTH2_PROVIDER": {"CIMD_ENABLED": True},
    }
    required = {SETTING_NAME: {"ISSUER": ISSUER, "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS": True}}
    found: set[str] = set()
    for wrong in (
        nothing_right,
        half_right,
        as_bearer,
        torn_apart,
        not_served,
        not_served | required,
        documents,
        {SETTING_NAME: {"NO_SUCH_KEY": 1}},
    ):
        with override_settings(**wrong):
            found |= {str(message.id) for message in checks.run_checks()}
    with override_settings(**required), mock.patch.dict(HOST_DEFAULTS, {"PAR_ENABLED": True}):
        found |= {str(message.id) for message in checks.run_checks()}
    with override_settings(ALLOWED_HOSTS=["*"], **{SETTING_NAME: {"ISSUER": "http://as.example"}}):
        found |= {str(message.id) for message in checks.run_checks(include_deployment_checks=True)}
    listed = set(re.findall(rf"^\| `({PACKAGE}\.\w+)`", text("docs/operators.md"), flags=re.MULTILINE))
    assert listed == {name for name in found if name.startswith(f"{PACKAGE}.")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_listed(name: str) -> None:
    def options(command: BaseCommand) -> set[str]:
        actions = command.create_parser("manage.py", name)._actions
        return {option for action in actions for option in action.option_strings}

    own = options(load_command_class(PACKAGE, name)) - options(BaseCommand())
    (row,) = (row for row in rows(text("docs/operators.md")) if row[0].startswith(f"`{name}"))
    assert set(re.findall(r"--[a-z-]+", row[0])) == own


def test_every_rule_has_a_place_in_the_architecture() -> None:
    table = rows(text("docs/architecture.md").partition("## Where each rule lives")[2])
    places = {rule: re.findall(r"`([^`]+)`", where) for rule, where in table if rule[1:].isdigit()}
    assert set(places) >= set(RULES)
    for rule, names in places.items():
        assert names, rule
        for name in names:
            resolve(name)


def test_every_module_has_a_room_in_the_architecture() -> None:
    rooms = text("docs/architecture.md").partition("## The rooms")[2].partition("\n## ")[0]
    listed = {row[0].strip("`") for row in rows(rooms) if row[0].startswith("`")}
    modules = pkgutil.walk_packages(oauth_client_attestation.__path__, f"{PACKAGE}.")
    found = {module.name.removeprefix(f"{PACKAGE}.") for module in modules if not module.ispkg}
    # `replay` is a package that has something to say.
    assert listed - {"conf", "models", "replay"} == {name for name in found if not name.startswith("migrations.")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_of_the_package_exist(document: Path) -> None:
    for name in re.findall(rf"\b{PACKAGE}\.((?:\w+\.)*\w+)", document.read_text(encoding="utf-8")):
        if not re.fullmatch(r"[EW]\d{3}", name):
            resolve(name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, target


def test_the_settings_of_the_readme_pass_the_checks() -> None:
    shown: dict[str, Any] = {}
    exec(python_block("README.md", "INSTALLED_APPS"), shown)  # noqa: S102 (our own document)
    assert set(shown["INSTALLED_APPS"]) <= set(settings.INSTALLED_APPS)
    names = ("MIDDLEWARE", "OAUTH2_PROVIDER", SETTING_NAME)
    with override_settings(**{name: shown[name] for name in names}):
        assert check_configuration(None) == check_deployment(None) == []


def test_the_classes_of_the_readme_ask_the_mixins_first() -> None:
    shown: dict[str, Any] = {}
    exec(python_block("README.md", "class MyValidator"), shown)  # noqa: S102 (our own document)
    validator, backend = shown["MyValidator"].mro(), shown["MyBackend"].mro()
    assert validator.index(AttestationValidatorMixin) < validator.index(OAuth2Validator)
    assert backend.index(AttestationBackendMixin) < backend.index(OAuthLibCore)


@pytest.mark.django_db
@pytest.mark.parametrize("document", ["rest framework", "decorated", "mixed in"])
def test_the_views_that_want_an_attestation_are_as_documented(document: str) -> None:
    """Each answers a genuine instance, and refuses a token alone."""
    shown: dict[str, Any] = {}
    for part in ("class Vault", "class Keys"):
        exec(python_block("docs/resource-servers.md", part), shown)  # noqa: S102 (our own document)
    view = {
        "rest framework": shown["Vault"].as_view(),
        "decorated": shown["messages"],
        "mixed in": shown["Keys"].as_view(),
    }[document]
    client = AttestedClient().register()
    token = {"Authorization": f"Bearer {create_access_token(client.application)}"}
    proof = client.headers(pop=client.pop(challenge=fresh_resource_challenge()))
    assert view(RequestFactory().get("/", headers={**token, **proof})).status_code == 200
    assert view(RequestFactory().get("/", headers=token)).status_code == (200 if document == "decorated" else 401)


@pytest.mark.django_db
def test_the_view_for_the_concatenated_form_is_as_documented() -> None:
    shown: dict[str, Any] = {}
    exec(python_block("docs/operators.md", "verify_concatenated"), shown)  # noqa: S102 (our own document)
    client = AttestedClient().register()
    body = {"attestation": f"{client.attestation()}~{client.pop()}"}
    answers = [shown["messages"](RequestFactory().post("/", body)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert json.loads(answers[0].content) == {"client": "app", "instance": client.instance.thumbprint}
    assert json.loads(answers[1].content)["error"] == "invalid_client_attestation"


@pytest.mark.django_db
def test_the_script_of_the_readme_gets_a_token(tmp_path: Path) -> None:
    """The commands and requests of the section "On the wire", in its order."""
    script = tmp_path / "attest.py"
    script.write_text(python_block("README.md", "# attest.py"), encoding="utf-8")

    def fields(*challenge: str) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, script, ISSUER, "my-app", *challenge],
            cwd=tmp_path,
            env={"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split(": ") for line in done.stdout.splitlines())

    without_challenge = fields()
    call_command("createapplication", "confidential", "client-credentials", client_id="my-app")
    jwks = str(tmp_path / "attester.jwks")
    call_command("createattester", "My backend", jwks=jwks, application=["my-app"])
    call_command("requireattestation", "my-app")
    http, body = Client(), {"grant_type": "client_credentials"}

    refused = http.post(TOKEN, body, headers=without_challenge)
    assert (refused.status_code, refused.json()["error"]) == (400, "use_attestation_challenge")
    challenge = http.post(CHALLENGE).json()["attestation_challenge"]
    accepted = http.post(TOKEN, body, headers=fields(challenge))
    assert accepted.status_code == 200, accepted.content
    again = http.post(TOKEN, body, headers=fields(refused.headers["OAuth-Client-Attestation-Challenge"]))
    assert again.status_code == 200, again.content


@pytest.mark.slow
@pytest.mark.timeout(900)  # the whole demonstration, on a slow machine
def test_the_demonstration_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "testproject" / "demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "\033[" not in done.stdout, "colour, though nobody watches"
    assert done.stdout.endswith("Every outcome was as expected.\n")
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", done.stdout)[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert list(tmp_path.iterdir()) == []
