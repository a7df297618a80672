"""The parts of the kit that send nothing: instances, proofs, servers; and that none of it needs Django."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import time_machine
from jwcrypto.jwk import JWK

import oauth_client_attestation
from oauth_client_attestation.attester import Attester
from oauth_client_attestation.client import ClientInstance, ForeignOrigin, Server, UnusableAttestation
from oauth_client_attestation.client.presentation import Presentation
from oauth_client_attestation.client.servers import origin
from oauth_client_attestation.core.jose import UnsuitableAlgorithm, parse_unverified, verify_signature
from oauth_client_attestation.core.jwk import InvalidKey, parse_public_key
from oauth_client_attestation.core.pop import verify_pop
from oauth_client_attestation.core.results import TrustedKey
from oauth_client_attestation.signing import generate_key, load_private_key, public_jwk, sign, suitable_algorithm
from tests.core.support import ALGORITHMS, CHALLENGES, NOW, POLICY, private_key, verify

ISSUER = "https://as.example"
ATTESTER_KEY = generate_key()
ATTESTER = Attester(ATTESTER_KEY)

_WITHOUT_DJANGO = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "oauth2_provider", "oauthlib", "rest_framework"}:
            raise ImportError(f"must not import {name}")

sys.meta_path.insert(0, Blocked())
importlib.import_module(f"oauth_client_attestation.{sys.argv[1]}")
print(sorted({name.partition(".")[0] for name in sys.modules} & {"requests", "httpx", "authlib"}))
"""


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("client", []),
        ("attester", []),
        ("testing", []),
        ("client.requests", ["requests"]),
        ("client.httpx", ["httpx"]),
        ("client.authlib_requests", ["authlib", "requests"]),
        ("client.authlib_httpx", ["authlib"]),
    ],
)
def test_the_kit_needs_no_django_and_no_library_but_its_own(module: str, libraries: list[str]) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _WITHOUT_DJANGO, module]
    root = Path(oauth_client_attestation.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert set(libraries) <= set(json.loads(done.stdout.replace("'", '"')))
    if not libraries:
        assert done.stdout == "[]\n"


def attested(key: JWK | None = None, **options: Any) -> ClientInstance:
    return ClientInstance(lambda instance: ATTESTER.attest(instance.public_jwk, "app", now=NOW), key=key, **options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_server_accepts_the_proofs_of_every_algorithm(algorithm: str) -> None:
    instance = attested(private_key(algorithm), algorithm=algorithm)
    trusted = TrustedKey("Acme", parse_public_key(public_jwk(ATTESTER_KEY)))
    attestation = verify(instance.attestation, keys=[trusted])
    assert attestation.client_id == "app"

    pop = instance.pop(ISSUER, challenge=CHALLENGES.issue(NOW), now=NOW)
    assert verify_pop(pop, attestation=attestation, policy=POLICY, challenges=CHALLENGES, now=NOW)

    dpop = parse_unverified(instance.dpop("GET", ISSUER, nonce="n", now=NOW))
    assert (dpop.header["alg"], dpop.claims["iat"], dpop.claims["htu"]) == (algorithm, NOW, f"{ISSUER}/")
    key = parse_public_key(dpop.header["jwk"])
    assert key.thumbprint == instance.thumbprint
    verify_signature(dpop, key, algorithm)


@pytest.mark.parametrize(
    ("algorithm", "usual"), [("ES384", "ES384"), ("ES512", "ES512"), ("EdDSA", "EdDSA"), ("RS256", "PS256")]
)
def test_a_key_has_a_usual_algorithm(algorithm: str, usual: str) -> None:
    assert suitable_algorithm(private_key(algorithm)) == usual


def test_a_key_may_name_its_algorithm_and_say_that_it_signs() -> None:
    members = generate_key("RS256").export(as_dict=True) | {"alg": "RS256", "use": "sig", "key_ops": ["sign"]}
    assert suitable_algorithm(JWK(**members)) == "RS256"
    with pytest.raises(UnsuitableAlgorithm):
        suitable_algorithm(JWK(**members), "PS256")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: JWK.generate(kty="oct", size=256), id="symmetric"),
        pytest.param(lambda: JWK(**public_jwk(generate_key())), id="public"),
        pytest.param(lambda: JWK.generate(kty="RSA", size=1024), id="weak"),
        pytest.param(lambda: JWK.generate(kty="EC", crv="secp256k1"), id="unknown curve"),
    ],
)
def test_a_key_that_servers_would_refuse_is_refused(key: Any) -> None:
    with pytest.raises(InvalidKey):
        ClientInstance("a.b.c", key=key())


def test_an_algorithm_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UnsuitableAlgorithm):
        attested(algorithm="ES384")


@pytest.mark.parametrize(
    "attestation",
    [
        pytest.param(lambda instance: ATTESTER.attest(public_jwk(generate_key()), "app"), id="another key"),
        pytest.param(lambda instance: sign(generate_key(), {"alg": "ES256"}, {"sub": "app"}), id="no key"),
        pytest.param(lambda instance: sign(generate_key(), {"alg": "ES256"}, {"cnf": {"jwk": []}}), id="no JWK"),
        pytest.param(lambda instance: sign(generate_key(), {"alg": "ES256"}, "[]"), id="no object"),
        pytest.param(lambda instance: "a.b.c\r\nX-Other: 1", id="a line break"),
        pytest.param(lambda instance: "a.b.c", id="no JSON"),
        pytest.param(lambda instance: b"a.b.c", id="octets"),
        pytest.param(lambda instance: None, id="nothing"),
    ],
)
def test_an_attestation_that_is_not_the_instances_is_not_sent(attestation: Any) -> None:
    instance = ClientInstance(attestation)
    with pytest.raises(UnusableAttestation):
        _ = instance.attestation
    with pytest.raises(UnusableAttestation):
        _ = instance.attestation, "and nothing of it is remembered"


@pytest.mark.parametrize("attestation", ["", "a.b.c", None, b"a.b.c"])
def test_what_is_entered_is_looked_at_at_once(attestation: Any) -> None:
    with pytest.raises(UnusableAttestation):
        ClientInstance(attestation)


def test_an_attestation_is_fetched_again_shortly_before_it_expires() -> None:
    fetched: list[ClientInstance] = []

    def fetch(instance: ClientInstance) -> str:
        fetched.append(instance)
        return Attester(generate_key(), lifetime=100, rounding=1).attest(instance.public_jwk, "app")

    instance = ClientInstance(fetch)
    with time_machine.travel(NOW, tick=False) as clock:
        first = instance.attestation
        for offset, count in ((89, 1), (90, 2), (179, 2), (180, 3)):
            clock.move_to(NOW + offset)
            assert (instance.attestation == first) is (count == 1)
            assert len(fetched) == count
    assert fetched == [instance] * 3


def test_an_entered_attestation_is_sent_whatever_the_clock_says() -> None:
    """Whether it has expired is for the server to say, whose clock is right."""
    key = generate_key()
    attestation = ATTESTER.attest(public_jwk(key), "app", now=NOW)
    instance = ClientInstance(attestation, key=key)
    with time_machine.travel(NOW + 10 * 86400):
        assert instance.attestation == attestation
    assert not instance.renew()


def test_nothing_secret_is_shown() -> None:
    instance = attested()
    assert instance.attestation not in repr(instance)
    assert "d" not in instance.public_jwk


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://AS.example:443/a?b#c", "https://as.example"),
        ("http://as.example:80", "http://as.example"),
        ("https://as.example:8443/", "https://as.example:8443"),
        ("https://user:password@as.example/", "https://as.example"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url", ["", "/token", "as.example", "ftp://as.example", "https://", "https://a:b", "http://[x"]
)
def test_what_is_no_url_has_no_origin_and_is_at_no_server(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        origin(url)
    with pytest.raises(ForeignOrigin):
        Server(ISSUER, frozenset({ISSUER})).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://as.example/token",
        "https://as.example:8443/token",
        "https://as.example.evil.example/token",
        "https://as.example@evil.example/token",
        "https://evil.example/?https://as.example",
    ],
)
def test_a_server_is_at_its_origins_only(url: str) -> None:
    server = Server.from_metadata({"issuer": ISSUER, "token_endpoint": "https://tokens.example/token"}, issuer=ISSUER)
    for good in ("https://as.example/par", "https://tokens.example/other"):
        server.check(good)
    with pytest.raises(ForeignOrigin):
        server.check(url)
    with pytest.raises(ForeignOrigin):
        Server(ISSUER, server.origins, challenge_endpoint=url)


def test_a_message_shows_no_path_and_no_query() -> None:
    with pytest.raises(ForeignOrigin) as error:
        Server.resource(ISSUER).check("https://evil.example/secret-path?code=secret")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("document", [{}, {"issuer": "https://other.example"}, {"issuer": ISSUER + "/"}])
def test_the_metadata_of_another_issuer_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="issuer"):
        Server.from_metadata(document | {"token_endpoint": f"{ISSUER}/token"}, issuer=ISSUER)


@pytest.mark.parametrize("value", [5, [f"{ISSUER}/token"], {}, b"https://as.example/token", True, ""])
@pytest.mark.parametrize("name", ["token_endpoint", "challenge_endpoint"])
def test_metadata_of_wrong_types_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="URL"):
        Server.from_metadata({"issuer": ISSUER, name: value}, issuer=ISSUER)


@pytest.mark.parametrize("document", [[], None, "issuer", 5])
def test_metadata_that_are_no_object_are_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="object"):
        Server.from_metadata(document, issuer=ISSUER)


@pytest.mark.parametrize(
    "make",
    [
        lambda instance, server: Presentation.of_client(instance, server, method="none"),
        lambda instance, server: Presentation.to_resource(instance, server, "t", token_type="MAC"),
        lambda instance, server: Presentation.to_resource(instance, server, "t", attested_by="none"),
        lambda instance, server: Presentation.to_resource(
            instance, server, "t", token_type="Bearer", attested_by="dpop_combined"
        ),
    ],
    ids=["method", "token type", "proof", "bearer without proof"],
)
def test_a_way_that_does_not_exist_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"not a|needs a"):
        make(attested(), Server.resource(ISSUER))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_private_key_is_loaded_from_pem_and_jwk(algorithm: str) -> None:
    key = generate_key(algorithm)
    for octets in (key.export_to_pem(private_key=True, password=None), key.export_private().encode()):
        loaded = load_private_key(octets)
        assert loaded.thumbprint() == key.thumbprint()
        assert loaded.get("kid") is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        b"{",
        b'{"kty": []}',
        b'{"kty": "EC", "crv": "P-256", "x": 1, "y": 2, "d": 3}',
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        generate_key().export_to_pem(private_key=True, password=b"secret"),
        generate_key().export_to_pem(),
        generate_key().export_public().encode(),
    ],
    ids=["empty", "binary", "no JSON", "kty", "members", "no DER", "passphrase", "public PEM", "public JWK"],
)
def test_what_is_no_private_key_is_not_loaded(octets: bytes) -> None:
    with pytest.raises(InvalidKey) as error:
        load_private_key(octets)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None
