"""Released clients that nobody here wrote get tokens that are bound to a key, use them and refresh them.

The clients are npm oauth4webapi and openid-client with their own DPoP, driven by dpop.mjs. In combined mode their DPoP
proof is all that the client authenticates with, beside the attestation that the hook adds.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oauth_client_attestation.testing import AttesterBackend
from tests.e2e.authorization import PASSWORD
from tests.e2e.live import LiveSite
from tests.interop.scripts import consented, running_script
from tests.interop.sites import openid_connect_site

pytestmark = pytest.mark.interop

REDIRECT_URI = "https://client.example/callback"
ATTESTATION, POP, DPOP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"
#: What a request to the authorization server has to show.
FIELDS = {
    "normal": [ATTESTATION, POP, DPOP],
    "combined": [ATTESTATION, DPOP],
    "secret": [DPOP],
    "public": [DPOP],
}
#: How the client says to which key the code will belong (RFC 9449 section 10).
NAMES_KEY = {"normal": "by proof", "combined": "by proof", "secret": "pushed", "public": "in url"}
PATHS = {
    "discovery": "/.well-known/openid-configuration",
    "push": "/o/par/",
    "code": "/o/token/",
    "refresh": "/o/token/",
    "api": "/api/hello",
    "userinfo": "/o/userinfo/",
}
ALGORITHMS = "ES256 ES384 ES512 EdDSA Ed25519"


@pytest.fixture(scope="module")
def strict_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site with DPoP for every client, and nonces required everywhere."""
    nonces = {"DPOP_NONCE": "required", "RESOURCE_DPOP_NONCE": "required"}
    with openid_connect_site(migrated_sqlite, tmp_path_factory.mktemp("strict"), DPOP="all", **nonces) as site:
        yield site


@pytest.fixture(scope="module")
def default_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site with the defaults: DPoP for attested clients, nonces offered and not required."""
    with openid_connect_site(migrated_sqlite, tmp_path_factory.mktemp("default")) as site:
        yield site


@pytest.fixture(scope="module")
def nonceless_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site without nonces, and so without combined mode."""
    settings = {"METHODS": ["attest_jwt_client_auth"], "DPOP_NONCE": "off", "RESOURCE_DPOP_NONCE": "off"}
    with openid_connect_site(migrated_sqlite, tmp_path_factory.mktemp("nonceless"), **settings) as site:
        yield site


@dataclass
class Visit:
    """What a client has done at a site, step by step."""

    client_id: str
    user: str
    results: dict[str, Any]
    requests: dict[str, list[dict[str, Any]]]

    def statuses(self) -> dict[str, list[int]]:
        """Return the answers to what was sent for each step."""
        return {step: [request["status"] for request in requests] for step, requests in self.requests.items()}

    def proofs(self) -> list[dict[str, Any]]:
        """Return the claims of every proof that was sent."""
        return [request["proof"] for requests in self.requests.values() for request in requests if request["proof"]]


def visit(node: str, site: LiveSite, directory: Path, *, library: str, mode: str, forgetful: bool = False) -> Visit:
    """Register an application and its user, and let the library go through its steps."""
    application = _application(site, directory, mode)
    user = f"user-{application['client_id']}"
    with running_script(node, "dpop.mjs") as tell:
        url = tell(library=library, forgetful=forgetful, **application)["authorization_url"]
        report = tell(callback=consented(site, user, url))
    return Visit(application["client_id"], user, **report)


def _application(site: LiveSite, directory: Path, mode: str) -> dict[str, Any]:
    """Register an application, its attester if it has one, and its user; return what the client knows of it all."""
    client_id = f"dpop-{uuid.uuid4().hex[:12]}"
    backend, secret = AttesterBackend(), secrets.token_urlsafe(32)
    _register(site, directory, client_id=client_id, mode=mode, backend=backend, secret=secret)
    return {
        "issuer": site.url,
        "client_id": client_id,
        **({"client_secret": secret} if mode == "secret" else {}),
        "redirect_uri": REDIRECT_URI,
        "scope": "openid read",
        "mode": mode,
        "names_key": NAMES_KEY[mode],
        "attester_private_jwk": backend.key.export_private(as_dict=True) | {"kid": backend.key_id, "alg": "ES256"},
        "api": f"{site.url}/api/hello",
    }


def _register(
    site: LiveSite, directory: Path, *, client_id: str, mode: str, backend: AttesterBackend, secret: str
) -> None:
    """Do what an operator does, with the same commands, in one process to save time."""
    jwks = directory / "attester.jwks.json"
    jwks.write_text(json.dumps(backend.jwks))
    client_type = "public" if mode == "public" else "confidential"
    code = (
        "from django.contrib.auth import get_user_model\n"
        "from django.core.management import call_command\n"
        f"app = {client_id!r}\n"
        f"get_user_model().objects.create_user('user-' + app, password={PASSWORD!r})\n"
        f"call_command('createapplication', {client_type!r}, 'authorization-code', name=app, client_id=app,\n"
        f"             client_secret={secret!r}, redirect_uris={REDIRECT_URI!r}, algorithm='RS256')\n"
    )
    if mode in ("normal", "combined"):
        code += (
            f"call_command('createattester', app, jwks={str(jwks)!r}, application=[app])\n"
            f"call_command('requireattestation', app, method={mode!r})\n"
        )
    site.shell(code)


@pytest.mark.accepts("D1", "D3", "D4", "D5", "D6", "D7")
@pytest.mark.refuses("D4", "D5", "D6", "D7")
@pytest.mark.parametrize("library", ["oauth4webapi", "openid-client"])
@pytest.mark.parametrize("mode", ["normal", "combined", "secret", "public"])
def test_a_client_is_asked_for_a_nonce_each_time_it_forgot_it_and_tells_the_rest_by_itself(
    node, strict_site, tmp_path, library, mode
):
    """Every step is refused once with use_dpop_nonce and repeated, by the library's own reading of the refusal."""
    found = visit(node, strict_site, tmp_path, library=library, mode=mode, forgetful=True)

    _assert_bound(found, mode)
    _assert_sent_as_meant(found, strict_site, mode)
    pushed = {"by proof": [400, 201], "pushed": [201]}
    asked = {"push": pushed[NAMES_KEY[mode]]} if NAMES_KEY[mode] in pushed else {}
    if mode in ("combined", "public"):
        asked["refresh in other hands"] = [400, 400]
    assert found.statuses() == {
        "discovery": [200],
        "code in other hands": [400, 400],
        "code": [400, 200],
        "api": [401, 200],
        "userinfo": [401, 200],
        "api as bearer": [401],
        "api in other hands": [401, 401],
        "refresh": [400, 200],
        "api again": [401, 200],
        **asked,
    }
    for step, requests in found.requests.items():
        if len(requests) == 2:
            assert "nonce" not in requests[0]["proof"], step
            assert requests[1]["proof"]["nonce"] == requests[0]["nonce"] is not None, step


@pytest.mark.accepts("D5")
@pytest.mark.parametrize(
    ("mode", "first"),
    [
        pytest.param("normal", [201], id="normal mode, which may do without"),
        pytest.param("combined", [400, 201], id="combined mode, which is asked for one"),
    ],
)
def test_a_client_keeps_the_nonce_of_the_last_answer(node, default_site, tmp_path, mode, first):
    """Each answer to a request with a proof offers one, and the library uses it for the next."""
    found = visit(node, default_site, tmp_path, library="oauth4webapi", mode=mode)

    _assert_bound(found, mode)
    _assert_sent_as_meant(found, default_site, mode)
    own = ["push", "code", "api", "userinfo", "refresh", "api again"]
    assert {step: found.statuses()[step] for step in own} == {**dict.fromkeys(own, [200]), "push": first}
    requests = [request for step in own for request in found.requests[step]]
    assert "nonce" not in requests[0]["proof"]
    for earlier, later in zip(requests, requests[1:], strict=False):
        assert later["proof"]["nonce"] == earlier["nonce"] is not None


@pytest.mark.accepts("D6")
def test_a_client_does_without_nonces_where_there_are_none(node, nonceless_site, tmp_path):
    found = visit(node, nonceless_site, tmp_path, library="oauth4webapi", mode="normal", forgetful=True)

    _assert_bound(found, "normal")
    _assert_sent_as_meant(found, nonceless_site, "normal")
    own = ["push", "code", "api", "userinfo", "refresh", "api again"]
    assert {step: found.statuses()[step] for step in own} == {**dict.fromkeys(own, [200]), "push": [201]}
    assert not any(request["nonce"] for requests in found.requests.values() for request in requests)


@pytest.mark.refuses("D2")
@pytest.mark.parametrize("library", ["oauth4webapi", "openid-client"])
def test_a_client_is_told_where_combined_mode_is_not_offered(node, nonceless_site, tmp_path, library):
    """Once: no nonce would help."""
    application = _application(nonceless_site, tmp_path, "combined")

    with running_script(node, "dpop.mjs") as tell:
        report = tell(library=library, forgetful=False, **application)

    assert "authorization_url" not in report
    assert report["results"]["push"] == {"refused": 400, "error": "invalid_client_attestation"}
    assert [request["fields"] for request in report["requests"]["push"]] == [[ATTESTATION, DPOP]]


def _assert_bound(found: Visit, mode: str) -> None:
    """The tokens are good in the hands of their owner, and in no others."""
    results = found.results
    for step in ("code", "refresh"):
        assert results[step]["token_type"] == "dpop"  # as both libraries write it
        assert set(results[step]["scope"].split()) == {"openid", "read"}
    assert results["refresh"]["refresh_token"] != results["code"]["refresh_token"]
    hello = {"hello": found.user, "client_id": found.client_id, "scope": "openid read"}
    assert results["api"] == results["api again"] == hello
    assert results["userinfo"]["sub"]

    of_another_key = "invalid_client_attestation" if mode == "combined" else "invalid_grant"
    assert results["code in other hands"] == {"refused": 400, "error": of_another_key}
    if mode in ("combined", "public"):
        assert results["refresh in other hands"] == {"refused": 400, "error": of_another_key}
    challenge = {
        "scheme": "dpop",
        "parameters": {
            "error": "invalid_token",
            "error_description": "The access token is not valid for this request.",
            "algs": ALGORITHMS,
        },
    }
    refused = {"refused": 401, "challenges": [challenge]}
    assert results["api as bearer"] == results["api in other hands"] == refused


def _assert_sent_as_meant(found: Visit, site: LiveSite, mode: str) -> None:
    """What was sent is what the test is about, so that a newer library does not quietly prove something else."""
    for step, requests in found.requests.items():
        name = step.split()[0]
        fields = FIELDS[mode] if name in ("push", "code", "refresh") else [DPOP]
        if step in ("discovery", "api as bearer") or (name, NAMES_KEY[mode]) == ("push", "pushed"):
            fields = []
        for request in requests:
            assert request["path"] == PATHS[name]
            assert request["fields"] == fields, step
            if proof := request["proof"]:
                assert (proof["htm"], proof["htu"]) == (request["method"], site.url + request["path"])
                assert ("ath" in proof) == (name in ("api", "userinfo")), step
    jtis = [proof["jti"] for proof in found.proofs()]
    assert len(jtis) == len(set(jtis)) >= 8
