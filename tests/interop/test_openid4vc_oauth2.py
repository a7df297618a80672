"""A released client that nobody here wrote gets a token from a live testproject.

The client is npm @openid4vc/oauth2, driven by openid4vc_oauth2.mjs. It has the shape of draft
-07: `iss` in both tokens, `exp` in the proof, never a challenge, and no `client_id` in the body.
"""

import json
import subprocess
import uuid
from pathlib import Path

import pytest
from jwcrypto.jwk import JWK

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ISSUER = "https://attester.example"

TOKEN, REFUSED = 0, 1  # exit codes of the script; 2 is "no answer at all"


class Client:
    """An application on the live site, and the library acting for it."""

    def __init__(self, node, live_site, directory):
        self.node = node
        self.site = live_site
        self.id = f"interop-{uuid.uuid4().hex[:12]}"
        self.attester_key = JWK.generate(kty="EC", crv="P-256", alg="ES256", kid=f"key-of-{self.id}")

        jwks = directory / "attester.jwks.json"
        jwks.write_text(json.dumps({"keys": [self.attester_key.export_public(as_dict=True)]}))
        live_site.manage(
            *["createapplication", "--client-id", self.id, "--name", self.id],
            *["confidential", "client-credentials"],
        )
        live_site.manage(
            *["createattester", f"attester of {self.id}", "--jwks", str(jwks)],
            *["--issuer", ISSUER, "--application", self.id],
        )

    def require_attestation(self, *, challenge):
        self.site.manage("requireattestation", self.id, "--challenge", challenge)

    def ask_for_token(self, **options):
        config = {
            "issuer": self.site.url,
            "client_id": self.id,
            "attester_issuer": ISSUER,
            "attester_private_jwk": self.attester_key.export_private(as_dict=True),
            "grant": "client_credentials",
            "scope": "read",
            **options,
        }
        done = subprocess.run(
            [self.node, str(HERE / "openid4vc_oauth2.mjs")],
            input=json.dumps(config),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode in (TOKEN, REFUSED), done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def client(node, live_site, tmp_path):
    return Client(node, live_site, tmp_path)


@pytest.mark.parametrize("signer", ["kid", "jwk"])
def test_the_client_gets_a_token_and_uses_it(client, signer):
    """With the attester's key named by `kid`, and with a `jwk` header, which names nothing."""
    client.require_attestation(challenge="optional")

    code, report = client.ask_for_token(attester_signer=signer, resource_url=f"{client.site.url}/api/hello")

    assert code == TOKEN, report
    assert report["ok"] is True
    assert report["status"] == 200
    assert report["access_token_present"] is True
    assert report["token_type"] == "Bearer"
    assert report["raw"]["scope"] == "read"
    assert report["resource_status"] == 200

    # What was accepted, so that a newer library does not quietly prove something else.
    assert report["body"] == {"grant_type": "client_credentials", "scope": "read"}  # A4
    attestation, proof = report["attestation"], report["pop"]
    assert set(attestation["header"]) == {"typ", "alg", signer}
    assert attestation["header"]["typ"] == "oauth-client-attestation+jwt"
    assert set(attestation["payload"]) == {"iss", "sub", "iat", "exp", "cnf"}
    assert proof["header"] == {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}
    assert set(proof["payload"]) == {"iss", "aud", "iat", "exp", "jti"}
    assert proof["payload"]["iss"] == attestation["payload"]["sub"] == client.id
    assert proof["payload"]["aud"] == client.site.url  # P4


@pytest.mark.parametrize("signer", ["kid", "jwk"])
def test_an_attestation_by_an_unknown_key_is_refused(client, signer):
    """Under the attester's own `kid`, and with the stranger's key offered in the header (A3)."""
    client.require_attestation(challenge="optional")

    code, report = client.ask_for_token(attester_signer=signer, tamper="wrong_attester_key")

    assert code == REFUSED, report
    assert report["status"] in (400, 401)  # E5
    assert report["error"] == report["raw"]["error"] == "invalid_client_attestation"  # E3
    assert report["access_token_present"] is False


def test_a_required_challenge_shuts_this_client_out(client):
    """The trap that `--challenge optional` is for: release 0.4.6 cannot send a challenge.

    It is offered a fresh one and stops there, without a second try. When this test fails after
    an update of the package, the library has learned to answer: drop the advice in the docs.
    """
    client.require_attestation(challenge="required")

    code, report = client.ask_for_token()

    assert code == REFUSED, report
    assert report["status"] == 400
    assert report["error"] == report["raw"]["error"] == "use_attestation_challenge"  # E1
    assert report["challenge"]  # C3
    assert report["access_token_present"] is False
    assert len([request for request in report["requests"] if request.startswith("POST")]) == 1
