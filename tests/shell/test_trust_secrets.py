"""Rule T4 over HTTP: attestations with a MAC, by a secret in ``SHARED_SECRETS``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterKey
from tests.kit import AttestedClient, configure, create_application, register_attester, secret_attestation, table

SECRET = bytes(range(64))
OTHER = bytes(reversed(range(64)))


@pytest.fixture
def client(db: Any, settings: Any) -> AttestedClient:
    """A client whose attester has a secret and no key."""
    configure(settings, SHARED_SECRETS={"Acme": SECRET})
    client = AttestedClient().register()
    client.attester.keys.all().delete()
    return client


def by_secret(client: AttestedClient, secret: bytes = SECRET, **claims: Any) -> dict[str, str]:
    return client.headers(secret_attestation(client, secret, **claims))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.accepts("T4", "A2")
def test_a_mac_by_the_configured_secret_is_accepted(client: AttestedClient, algorithm: str) -> None:
    client.accepted(headers=client.headers(secret_attestation(client, SECRET, algorithm=algorithm)))


@pytest.mark.accepts("T4")
@pytest.mark.refuses("T4")
def test_another_secret_is_refused(client: AttestedClient) -> None:
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=by_secret(client, OTHER))
    client.accepted(headers=by_secret(client))


@pytest.mark.refuses("T4", "A2")
def test_without_a_configured_secret_every_mac_is_refused(client: AttestedClient, settings: Any) -> None:
    """Also one that was accepted, and is remembered, from a time when there was one."""
    headers = by_secret(client)
    client.accepted(headers=headers)
    again = {**headers, "OAuth-Client-Attestation-PoP": client.pop()}
    configure(settings, SHARED_SECRETS={})
    client.refused(Reason.ATTESTATION_ALGORITHM, headers=again)
    configure(settings, SHARED_SECRETS={"Acme": SECRET})
    client.accepted(headers=again)


@table(
    "secret",
    {
        "as PEM": lambda client: client.backend.key.export_to_pem(),
        "as a JWK": lambda client: client.backend.key.export_public().encode(),
        "as it is stored": lambda client: json.dumps(AttesterKey.objects.get().jwk).encode(),
        "its thumbprint": lambda client: AttesterKey.objects.get().thumbprint.encode(),
    },
)
@pytest.mark.refuses("T4", "A3")
def test_a_public_key_is_nobodys_secret(
    client: AttestedClient, settings: Any, secret: Callable[[AttestedClient], bytes]
) -> None:
    """The classic confusion, where MACs are accepted: of this attester, and of another one of the same client."""
    client.attester.delete()
    client.attester = register_attester(client.backend, applications=(client.application,))
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=by_secret(client, secret(client)))
    client.accepted(headers=by_secret(client))
    client.accepted()


@table(
    "change",
    {
        "it was renamed": {"name": "Acme Corporation"},
        "it was renamed in its letters": {"name": "ACME"},
        "it was disabled": {"enabled": False},
    },
)
@pytest.mark.refuses("T4", "T5")
def test_an_attester_that_is_not_the_one_with_the_secret_is_refused(
    client: AttestedClient, change: dict[str, Any]
) -> None:
    """Its name is what settings and database have in common: a renamed attester fails closed."""
    headers = by_secret(client)
    client.accepted(headers=headers)
    again = {**headers, "OAuth-Client-Attestation-PoP": client.pop()}
    Attester.objects.update(**change)
    client.refused(Reason.ATTESTATION_ALGORITHM, headers=again)
    Attester.objects.update(name="Acme", enabled=True)
    client.accepted(headers=again)


@pytest.mark.accepts("T4", "T5")
@pytest.mark.refuses("T4", "T5")
def test_a_secret_speaks_for_the_clients_of_its_attester(client: AttestedClient, settings: Any) -> None:
    configure(settings, SHARED_SECRETS={"Acme": SECRET, "Other": OTHER})
    theirs = create_application("theirs", policy={})
    register_attester(client.backend, "Other", keys=False, applications=(theirs,))
    client.accepted(headers=by_secret(client))
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=by_secret(client, OTHER))
    client.client_id = "theirs"
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=by_secret(client))
    client.accepted(headers=by_secret(client, OTHER))


@pytest.mark.accepts("T4")
def test_the_attesters_list_of_signature_algorithms_says_nothing_of_macs(client: AttestedClient) -> None:
    """That a secret was configured for it is what allows them; no list can name one."""
    Attester.objects.update(algorithms=["ES384"])
    client.accepted(headers=by_secret(client))
    with pytest.raises(ValidationError) as error:
        Attester(name="Other", algorithms=["HS256"]).full_clean()
    assert error.value.error_dict["algorithms"][0].code == "algorithm"


@table(
    ("terms", "claims", "reason"),
    {
        "its required claims": ({"required_claims": {"level": []}}, {}, Reason.ATTESTATION_CLAIM_MISSING),
        "its age limit": ({"max_age": 10}, {"iat": 1_700_000_000}, Reason.ATTESTATION_TOO_OLD),
        "its issuer": ({"issuer": "https://a.example"}, {"iss": "https://b.example"}, Reason.ATTESTATION_ISS),
    },
)
@pytest.mark.refuses("T4", "A6", "A9")
def test_the_attesters_terms_hold_for_macs(
    client: AttestedClient, terms: dict[str, Any], claims: dict[str, Any], reason: Reason
) -> None:
    client.accepted(headers=by_secret(client, **claims))
    Attester.objects.update(**terms)
    client.refused(reason, headers=by_secret(client, **claims))


@pytest.mark.refuses("T4", "P2")
def test_a_proof_is_never_by_a_mac(client: AttestedClient) -> None:
    """The secret is between attester and server; an instance has a key of its own."""
    proof = secret_attestation(client, SECRET)
    client.refused(Reason.POP_TYP, headers=client.headers(secret_attestation(client, SECRET), proof))
    symmetric = {"jwk": {"kty": "oct", "k": "c2VjcmV0"}}
    client.refused(Reason.ATTESTATION_CNF_PRIVATE, headers=by_secret(client, cnf=symmetric))


@table(
    "value",
    {
        "a secret of 31 octets": {"Acme": bytes(31)},
        "a secret that is text": {"Acme": "a" * 64},
        "a list": [("Acme", SECRET)],
        "a name that is no text": {1: SECRET},
        "nothing for a name": {"Acme": None},
    },
)
def test_secrets_that_are_none_keep_the_server_from_starting(settings: Any, value: Any) -> None:
    configure(settings, SHARED_SECRETS=value)
    with pytest.raises(ImproperlyConfigured, match="SHARED_SECRETS") as error:
        app_settings.validate()
    assert "aaaa" not in str(error.value)


@pytest.mark.refuses("E6")
def test_a_secret_is_neither_stored_nor_logged(client: AttestedClient, caplog: pytest.LogCaptureFixture) -> None:
    client.accepted(headers=by_secret(client))
    client.refused(Reason.ATTESTATION_SIGNATURE, headers=by_secret(client, OTHER))
    assert not AttesterKey.objects.exists()
    for trace in (SECRET.hex(), str(SECRET), "eyJ"):
        assert trace not in caplog.text
