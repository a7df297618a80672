"""What drf-spectacular says of views that take access tokens and attestations, and that it takes nothing by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from drf_spectacular.validation import validate_schema
from oauth2_provider.contrib.rest_framework import OAuth2Authentication as HostAuthentication
from oauth2_provider.contrib.rest_framework import TokenHasScope
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_client_attestation.contrib.rest_framework.authentication import (
    OAuth2Authentication,
    OAuth2ProtectedResourceAuthentication,
)
from oauth_client_attestation.contrib.rest_framework.permissions import HasClientAttestation, HasClientAttestationIfAny
from tests.kit import configure, table

ROOT = Path(__file__).resolve().parents[2]
METHOD = "attest_jwt_client_auth"


class View(APIView):
    authentication_classes: Any = [OAuth2Authentication]
    permission_classes: Any = [TokenHasScope]
    required_scopes = ["read"]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response()


def view(*permissions: Any, authentication: Any = OAuth2Authentication) -> Any:
    members = {"permission_classes": permissions, "authentication_classes": [authentication], "schema": AutoSchema()}
    return extend_schema(responses={200: None})(type("Some", (View,), members))


TOKEN = {"oauth2": ["read"]}
DPOP: dict[str, list[str]] = {"dpop": []}
ATTESTATION: dict[str, list[str]] = {"clientAttestation": []}
POP: dict[str, list[str]] = {"clientAttestationPop": []}
EITHER = [TOKEN, {**TOKEN, **DPOP}]
NORMAL = [{**TOKEN, **ATTESTATION, **POP}, {**TOKEN, **DPOP, **ATTESTATION, **POP}]
COMBINED = [{**TOKEN, **DPOP, **ATTESTATION}]


def schema_of(some: Any) -> Any:
    """Return the schema of a site with this view alone, which has to be valid OpenAPI."""
    # Here only, so that the site below shows that it needs no import.
    import oauth_client_attestation.contrib.rest_framework.openapi  # noqa: F401  (importing registers it)

    schema = SchemaGenerator(patterns=[path("api", some.as_view())]).get_schema(request=None, public=True)
    validate_schema(schema)
    return schema


def ways_into(some: Any) -> list[Any]:
    found: list[Any] = schema_of(some)["paths"]["/api"]["get"]["security"]
    return found


def same(found: list[Any], expected: list[Any]) -> bool:
    return len(found) == len(expected) and all(way in found for way in expected)


@table(
    ("permissions", "expected"),
    {
        "a token": ([TokenHasScope], EITHER),
        "a token and an attestation": ([TokenHasScope, HasClientAttestation], NORMAL + COMBINED),
        "the attestation first": ([HasClientAttestation, TokenHasScope], NORMAL + COMBINED),
        "both in one, with the operator": ([TokenHasScope, IsAuthenticated & HasClientAttestation], NORMAL + COMBINED),
        "an attestation if any": ([TokenHasScope, HasClientAttestationIfAny], EITHER + NORMAL + COMBINED),
        "whoever comes": ([AllowAny], [{"oauth2": []}, {"oauth2": [], "dpop": []}, {}]),
    },
)
def test_each_way_in_is_there(permissions: list[Any], expected: list[Any]) -> None:
    assert same(ways_into(view(*permissions)), expected)


@table(
    "authentication",
    {
        "ours": OAuth2Authentication,
        "ours with metadata": OAuth2ProtectedResourceAuthentication,
        "the host's": HostAuthentication,
        "a site's own": type("Own", (OAuth2Authentication,), {}),
    },
)
def test_each_authentication_is_known(authentication: Any) -> None:
    assert same(ways_into(view(TokenHasScope, HasClientAttestation, authentication=authentication)), NORMAL + COMBINED)


def test_other_authentication_stays_as_it_was() -> None:
    assert ways_into(view(TokenHasScope, authentication=SessionAuthentication)) == [{"cookieAuth": []}]


@table(
    ("changes", "token", "attested"),
    {
        "DPoP is off": ({"DPOP": "off", "METHODS": [METHOD]}, [TOKEN], NORMAL[:1]),
        "no nonces at resources": (
            {"RESOURCE_DPOP_NONCE": "off", "METHODS": ["attest_jwt_client_auth"]},
            EITHER,
            NORMAL,
        ),
        "proofs of possession alone": ({"POP_METHODS": ["attestation_pop_jwt"]}, EITHER, NORMAL),
        "combined mode alone": ({"POP_METHODS": ["dpop_combined"]}, EITHER, COMBINED),
    },
)
def test_what_the_settings_refuse_is_not_there(
    settings: Any, changes: dict[str, Any], token: list[Any], attested: list[Any]
) -> None:
    configure(settings, **changes)
    assert same(ways_into(view(TokenHasScope)), token)
    assert same(ways_into(view(TokenHasScope, HasClientAttestation)), attested)


def test_a_view_has_its_own_word_on_proofs() -> None:
    some = view(TokenHasScope, HasClientAttestation)
    some.client_attestation_methods = ("dpop_combined",)
    assert same(ways_into(some), COMBINED)


def test_the_definitions_are_those_that_are_used() -> None:
    schemes = schema_of(view(TokenHasScope, HasClientAttestation))["components"]["securitySchemes"]
    assert {name: scheme.get("name") for name, scheme in schemes.items()} == {
        "oauth2": None,
        "dpop": "DPoP",
        "clientAttestation": "OAuth-Client-Attestation",
        "clientAttestationPop": "OAuth-Client-Attestation-PoP",
    }
    assert schemes["oauth2"]["type"] == "oauth2"
    assert set(schema_of(view(TokenHasScope))["components"]["securitySchemes"]) == {"oauth2", "dpop"}


# A site of its own, with these views.

urlpatterns = [
    path("token", view(TokenHasScope).as_view()),
    path("attested", view(TokenHasScope, HasClientAttestation).as_view()),
    path("attested-if-any", view(TokenHasScope, HasClientAttestationIfAny).as_view()),
]

SITE = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
from tests import settings as ours

names = {name: getattr(ours, name) for name in dir(ours) if name.isupper()}
apps = [name for name in names["INSTALLED_APPS"] if name != "drf_spectacular"]
settings.configure(**{**names, "INSTALLED_APPS": [*apps, *sys.argv[1:]], "ROOT_URLCONF": "tests.shell.test_openapi"})
django.setup()
if sys.argv[1:]:
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json")
else:
    assert not [name for name in sys.modules if "spectacular" in name or name.endswith("rest_framework.openapi")]
"""


def site(*apps: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'testproject'}"}
    program = [sys.executable, "-c", SITE, *apps]
    return subprocess.run(program, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout


@pytest.mark.slow
def test_the_schemes_appear_by_themselves_where_drf_spectacular_is_an_installed_app() -> None:
    paths = json.loads(site("drf_spectacular"))["paths"]
    assert same(paths["/token"]["get"]["security"], EITHER)
    assert same(paths["/attested"]["get"]["security"], NORMAL + COMBINED)
    assert same(paths["/attested-if-any"]["get"]["security"], EITHER + NORMAL + COMBINED)


@pytest.mark.slow
def test_nothing_of_it_is_imported_elsewhere() -> None:
    site()
