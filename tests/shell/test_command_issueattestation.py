"""``manage.py issueattestation``: what it prints gets an instance a token; what is wrong is said, without the key."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from jwcrypto.jwk import JWK

from oauth_client_attestation.core.jose import parse_unverified
from oauth_client_attestation.signing import generate_key, public_jwk
from tests.kit import AttestedClient


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, JWK]:
    """The attester's private key, an instance's public key, and the former once more."""
    key = generate_key()
    signing, instance = tmp_path / "attester.jwk", tmp_path / "instance.jwk"
    signing.write_text(key.export_private())
    instance.write_text(json.dumps(public_jwk(generate_key())))
    return signing, instance, key


def issue(key: Path, instance: Path | str, *options: str) -> str:
    out = io.StringIO()
    call_command("issueattestation", "app", "--key", str(key), "--instance-key", str(instance), *options, stdout=out)
    return out.getvalue().removesuffix("\n")


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["jwk", "pem"])
def test_the_attestation_gets_a_token(attested: AttestedClient, tmp_path: Path, form: str) -> None:
    signing, instance = tmp_path / "key", tmp_path / "instance.jwk"
    key = attested.backend.key
    signing.write_bytes(
        key.export_private().encode() if form == "jwk" else key.export_to_pem(private_key=True, password=None)
    )
    instance.write_text(json.dumps(attested.instance.public_jwk))
    out = io.StringIO()
    options = ["--key", str(signing), "--instance-key", str(instance), "--key-id", attested.backend.key_id]
    call_command("issueattestation", attested.client_id, *options, stdout=out)

    answer = attested.post(headers=attested.headers(attestation=out.getvalue().strip()))
    assert answer.status_code == 200, answer.content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["instance.jwk", "key"], "it writes no file"


def test_every_option_is_in_the_attestation(files: tuple[Path, Path, JWK]) -> None:
    signing, instance, _ = files
    token = issue(
        *(signing, instance, "--key-id", "k", "--issuer", "https://backend.example", "--not-before"),
        *("--lifetime", "600", "--rounding", "60", "--claim", "level=2", "--claim", "name=a=b", "--claim", "empty="),
    )
    jwt = parse_unverified(token)
    claims = dict(jwt.claims)
    assert jwt.header == {"typ": "oauth-client-attestation+jwt", "alg": "ES256", "kid": "k"}
    assert claims.pop("iat") % 60 == 0
    assert claims.pop("exp") - claims.pop("nbf") == 600
    assert claims == {
        "sub": "app",
        "iss": "https://backend.example",
        "cnf": {"jwk": json.loads(instance.read_text())},
        "level": 2,
        "name": "a=b",
        "empty": "",
    }


def test_the_instances_key_may_come_by_stdin(files: tuple[Path, Path, JWK], monkeypatch: pytest.MonkeyPatch) -> None:
    signing, instance, _ = files
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(instance.read_bytes())))
    assert parse_unverified(issue(signing, "-")).claims["sub"] == "app"


@pytest.mark.parametrize(
    ("signing", "instance", "options", "message"),
    [
        pytest.param("missing", None, [], "cannot be read", id="no key"),
        pytest.param(None, "missing", [], "cannot be read", id="no instance key"),
        pytest.param(b"secret", None, [], "neither a JWK nor an unencrypted", id="no private key"),
        pytest.param(None, b"[]", [], "not a JWK", id="no JWK"),
        pytest.param(None, "the private key", [], "private key material", id="a private instance key"),
        pytest.param(None, None, ["--algorithm", "RS256"], "does not fit", id="algorithm"),
        pytest.param(None, None, ["--lifetime", "60"], "lifetime", id="lifetime"),
        pytest.param(None, None, ["--claim", "sub=x"], "sub", id="own claim"),
        pytest.param(None, None, ["--claim", "level"], "NAME=VALUE", id="no value"),
    ],
)
def test_what_is_wrong_is_said(files, tmp_path: Path, signing, instance, options, message: str) -> None:
    good_key, good_instance, key = files
    for path, content in ((good_key, signing), (good_instance, instance)):
        if content == "the private key":
            path.write_text(key.export_private())
        elif content == "missing":
            path.unlink()
        elif content is not None:
            path.write_bytes(content)
    with pytest.raises(CommandError, match=message) as error:
        issue(good_key, good_instance, *options)
    assert key.export(as_dict=True)["d"] not in str(error.value)
    assert "secret" not in str(error.value)
