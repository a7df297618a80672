"""Released clients that nobody here wrote read the metadata of a live testproject.

The clients are npm oauth4webapi, openid-client and @openid4vc/oauth2, driven by discovery.mjs. Each is asked for
what its own discovery returns, since a document is as good as what a client makes of it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live import LiveSite
from tests.interop.sites import openid_connect_site

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent

RFC_8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
LEGACY_MEMBER = "client_attestation_pop_nonce_required"
ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
METHODS = ["client_secret_post", "client_secret_basic", "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"]

CHOOSING = [
    pytest.param("oauth4webapi", "oauth2", RFC_8414, id="oauth4webapi-oauth2"),
    pytest.param("oauth4webapi", "oidc", OPENID, id="oauth4webapi-oidc"),
    pytest.param("openid-client", "oauth2", RFC_8414, id="openid-client-oauth2"),
    pytest.param("openid-client", "oidc", OPENID, id="openid-client-oidc"),
]
OPENID4VC = pytest.param("@openid4vc/oauth2", None, RFC_8414, id="openid4vc")
EVERY = [*CHOOSING, OPENID4VC]
WITHOUT_OPENID = [row for row in EVERY if RFC_8414 in row.values]

#: How each library puts it that the document's issuer is not the one it started from.
ISSUER_MISMATCH = {
    "oauth4webapi": '"issuer" property does not match the expected value',
    "openid-client": "issuer does not match the expected issuer",
    "@openid4vc/oauth2": "does not match the provided issuer",
}


@pytest.fixture(scope="module")
def openid_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """testproject with OpenID Connect."""
    with openid_connect_site(migrated_sqlite, tmp_path_factory.mktemp("openid_site")) as site:
        yield site


@pytest.fixture(scope="module")
def legacy_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """The same with ADVERTISE_OPTIONS_NONCE, and no other difference."""
    directory = tmp_path_factory.mktemp("legacy_site")
    with openid_connect_site(migrated_sqlite, directory, ADVERTISE_OPTIONS_NONCE=True) as site:
        yield site


class Discovery:
    """What a library asked, and what it made of the answer or why it refused it."""

    def __init__(self, node: str, library: str, issuer: str, algorithm: str | None) -> None:
        done = subprocess.run(
            [node, str(HERE / "discovery.mjs")],
            input=json.dumps({"library": library, "issuer": issuer, "algorithm": algorithm}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        self.requests: list[str] = report["requests"]
        self.refusal: dict[str, Any] | None = report["refusal"]
        self.metadata: dict[str, Any] | None = report["metadata"]

    def returned(self, members: dict[str, Any]) -> dict[str, Any]:
        """Return those members of the metadata, to be compared with what they should be."""
        assert self.refusal is None
        assert self.metadata is not None
        return {name: self.metadata.get(name) for name in members}


def offer(url: str, document: str) -> dict[str, Any]:
    """Return what a client needs for attestation; django-oauth-toolkit's OpenID document names fewer endpoints."""
    members = {
        "issuer": url,
        "token_endpoint": f"{url}/o/token/",
        "challenge_endpoint": f"{url}/oauth-client-attestation/challenge",
        "pushed_authorization_request_endpoint": f"{url}/o/par/",
        "token_endpoint_auth_methods_supported": METHODS,
        "client_attestation_signing_alg_values_supported": ALGORITHMS,
        "client_attestation_pop_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    }
    if document == RFC_8414:
        members |= {
            "device_authorization_endpoint": f"{url}/o/device-authorization/",
            "introspection_endpoint_auth_methods_supported": METHODS,
            "revocation_endpoint_auth_methods_supported": METHODS,
        }
    return members


@pytest.mark.accepts("C2", "M1", "M2")
@pytest.mark.parametrize(("library", "algorithm", "document"), WITHOUT_OPENID)
def test_a_client_reads_the_offer_of_testproject_as_it_is(node, live_site, library, algorithm, document):
    """Without OpenID Connect, which is how testproject comes."""
    found = Discovery(node, library, live_site.url, algorithm)

    expected = offer(live_site.url, document)
    assert found.returned(expected) == expected
    assert found.requests == [live_site.url + document]


@pytest.mark.accepts("C2", "M1", "M2", "C7")
@pytest.mark.parametrize(("library", "algorithm", "document"), EVERY)
def test_a_client_reads_the_offer_beside_openid_connect(node, openid_site, library, algorithm, document):
    """From either document, and without the member of revision -05 that not every client can read."""
    found = Discovery(node, library, openid_site.url, algorithm)

    expected = {**offer(openid_site.url, document), LEGACY_MEMBER: None}
    assert found.returned(expected) == expected
    assert found.requests == [openid_site.url + document]


@pytest.mark.parametrize(("library", "algorithm", "document"), EVERY)
def test_a_client_that_came_by_another_host_name_refuses_the_issuer(node, openid_site, library, algorithm, document):
    """The same documents, asked for under a `Host` that is allowed and not the issuer's: they do not follow it."""
    alias = openid_site.url.replace("127.0.0.1", "localhost")

    found = Discovery(node, library, alias, algorithm)

    assert found.requests == [alias + document]
    assert found.metadata is None
    assert ISSUER_MISMATCH[library] in found.refusal["message"]


@pytest.mark.accepts("C7")
@pytest.mark.parametrize(("library", "algorithm", "document"), CHOOSING)
def test_a_client_reads_the_endpoints_of_revision_05(node, legacy_site, library, algorithm, document):
    """With ADVERTISE_OPTIONS_NONCE there is one member more, and nothing else changes."""
    found = Discovery(node, library, legacy_site.url, algorithm)

    endpoints = ["device-authorization", "introspect", "revoke_token", "token", "par"]
    expected = {
        **offer(legacy_site.url, document),
        LEGACY_MEMBER: [f"{legacy_site.url}/o/{endpoint}/" for endpoint in endpoints],
    }
    assert found.returned(expected) == expected
    assert found.requests == [legacy_site.url + document]


def test_openid4vc_reads_nothing_where_the_endpoints_of_revision_05_are_listed(node, legacy_site):
    """The trap of C7, and the reason why ADVERTISE_OPTIONS_NONCE is off by default.

    Release 0.4.6 takes the array for a boolean and refuses the whole document for it, the OpenID document like the
    other. When this test fails after an update of the package, the library has learned to read the member: drop
    the warning in the docs.
    """
    found = Discovery(node, "@openid4vc/oauth2", legacy_site.url, None)

    assert found.requests[0] == legacy_site.url + RFC_8414
    assert found.metadata is None
    assert found.refusal["members"] == [LEGACY_MEMBER]
    assert "Expected boolean, received array" in found.refusal["message"]
