"""Rules H over HTTP: the fields are counted, measured and matched before anything in them is parsed.

A WSGI server joins repeated fields before the application sees them; an ASGI server hands them over one by
one. Both forms are sent here.
"""

from __future__ import annotations

import string
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import AsyncClient

from oauth_client_attestation.conf import app_settings
from oauth_client_attestation.core.errors import Reason
from tests.kit import (
    DOORS,
    INTROSPECT,
    TOKEN,
    AttestedClient,
    alice,
    asgi_post,
    configure,
    create_access_token,
    create_application,
    stored,
    table,
)

ATTESTATION = "OAuth-Client-Attestation"
POP = "OAuth-Client-Attestation-PoP"
BOTH = {"attestation": ATTESTATION, "proof": POP}
REPEATED = {ATTESTATION: Reason.ATTESTATION_FIELD_REPEATED, POP: Reason.POP_FIELD_REPEATED}
MALFORMED = {ATTESTATION: Reason.ATTESTATION_FIELD_MALFORMED, POP: Reason.POP_FIELD_MALFORMED}
TOO_LARGE = {ATTESTATION: Reason.ATTESTATION_FIELD_TOO_LARGE, POP: Reason.POP_FIELD_TOO_LARGE}

either_field = table("field", BOTH)


def with_other_case(token: str) -> str:
    """Return ``token`` with one letter of its signature in the other case."""
    start = token.rindex(".") + 1
    position = next(i for i in range(start, len(token)) if token[i] in string.ascii_letters)
    return token[:position] + token[position].swapcase() + token[position + 1 :]


@table("spelling", {"as in the draft": str, "lower case": str.lower, "upper case": str.upper})
@pytest.mark.accepts("H1")
def test_field_names_compare_without_regard_to_case(attested: AttestedClient, spelling: Callable[[str], str]) -> None:
    attested.accepted(headers={spelling(name): value for name, value in attested.headers().items()})
    response = asgi_post([(spelling(name), value) for name, value in attested.headers().items()])
    assert response.json()["access_token"]


@table(
    ("field", "reason"),
    {
        "attestation": (ATTESTATION, Reason.ATTESTATION_SIGNATURE),
        "proof": (POP, Reason.POP_SIGNATURE),
    },
)
@pytest.mark.refuses("H1")
def test_field_values_compare_with_regard_to_case(attested: AttestedClient, field: str, reason: Reason) -> None:
    headers = attested.headers()
    attested.refused(reason, headers={**headers, field: with_other_case(headers[field])})


@either_field
@table(
    "joined",
    {
        "twice the same, joined by a comma": lambda good, other: f"{good},{good}",
        "twice the same, joined by comma and space": lambda good, other: f"{good}, {good}",
        "two different ones": lambda good, other: f"{good},{other}",
        "a good one and an empty one": lambda good, other: f"{good}, ",
        "an empty one and a good one": lambda good, other: f",{good}",
        "three of them": lambda good, other: f"{good},{good},{other}",
    },
)
@pytest.mark.refuses("H2")
def test_repeated_fields_are_refused_as_a_wsgi_server_joins_them(
    attested: AttestedClient, field: str, joined: Callable[[str, str], str]
) -> None:
    headers, others = attested.headers(), attested.headers()
    headers[field] = joined(headers[field], others[field])
    attested.refused(REPEATED[field], headers=headers)


@either_field
@table(
    "again",
    {
        "the same field again": lambda field, value: (field, value),
        "its name in other letters": lambda field, value: (field.swapcase(), value),
        "an empty one": lambda field, value: (field, ""),
        "a malformed one": lambda field, value: (field, "x"),
    },
)
@pytest.mark.refuses("H2")
def test_repeated_fields_are_refused_as_an_asgi_server_shows_them(
    attested: AttestedClient, field: str, again: Callable[[str, str], tuple[str, str]]
) -> None:
    good = attested.headers()
    for fields in (
        [*good.items(), again(field, good[field])],
        [again(field, good[field]), *good.items()],
    ):
        attested.refused(REPEATED[field], lambda fields=fields: asgi_post(fields))


@pytest.mark.accepts("H2")
def test_one_field_of_each_kind_is_accepted_from_both_kinds_of_server(attested: AttestedClient) -> None:
    attested.accepted()
    assert asgi_post(attested.headers().items()).json()["access_token"]
    response = async_to_sync(AsyncClient().post)(
        TOKEN, {"grant_type": "client_credentials"}, headers=attested.headers()
    )
    assert response.json()["access_token"]


@pytest.mark.refuses("H2")
def test_an_attestation_alone_proves_nothing(attested: AttestedClient) -> None:
    attested.refused(Reason.POP_MISSING, headers={ATTESTATION: attested.attestation()})


@either_field
@table(
    "spoil",
    {
        "a parameter": lambda token: f"{token};a=b",
        "a parameter after a space": lambda token: f"{token} ; a=b",
        "quotes around it": lambda token: f'"{token}"',
        "angle brackets around it": lambda token: f"<{token}>",
        "colons around it, a byte sequence": lambda token: f":{token}:",
        "an authentication scheme before it": lambda token: f"Bearer {token}",
        "a space after it": lambda token: f"{token} ",
        "a line feed after it": lambda token: f"{token}\n",
        "padding": lambda token: f"{token}==",
        "base64 instead of base64url": lambda token: f"{token}+/",
        "a tilde, the concatenated form": lambda token: f"{token}~{token}",
        "two parts": lambda token: token.rpartition(".")[0],
        "an empty signature": lambda token: f"{token.rpartition('.')[0]}.",
        "an empty payload": lambda token: "..".join(token.split(".")[::2]),
        "an empty header": lambda token: token[token.index(".") :],
        "five parts, an encrypted one": lambda token: f"{token}.e30.e30",
        "a digit first, which no token starts with": lambda token: f"1{token}",
        "a JSON serialization": lambda token: '{"payload":"e30"}',
        "nothing": lambda token: "",
        "a space": lambda token: " ",
        "letters that are not ASCII": lambda token: token.replace(".", "\u00e9.", 1),
        "octets that are not UTF-8": lambda token: "\u00ff\u00fe\u0000\u00c0",
        "a digit that only Unicode calls one": lambda token: f"{token}\u00b2",
    },
)
@pytest.mark.refuses("H3")
def test_a_value_that_is_not_a_single_compact_jwt_is_refused(
    attested: AttestedClient, field: str, spoil: Callable[[str], str]
) -> None:
    good = attested.headers()
    spoiled = {**good, field: spoil(good[field])}
    attested.refused(MALFORMED[field], headers=spoiled)
    attested.refused(MALFORMED[field], lambda: asgi_post(spoiled.items()))


@pytest.mark.accepts("H3")
def test_a_single_compact_jwt_is_accepted(attested: AttestedClient) -> None:
    headers = attested.headers()
    assert all(value.count(".") == 2 for value in headers.values())
    attested.accepted(headers=headers)


def padded(attested: AttestedClient) -> dict[str, str]:
    """Return good fields of more characters than the least bound that can be set."""
    padding = {"padding": "x" * 1024}
    return attested.headers(attested.attestation(claims=padding), attested.pop(claims=padding))


@either_field
@pytest.mark.accepts("H4")
@pytest.mark.refuses("H4")
def test_size_is_bounded_by_the_setting(attested: AttestedClient, settings: Any, field: str) -> None:
    headers = padded(attested)
    (other,) = set(headers) - {field}
    headers[other] = attested.headers()[other]
    configure(settings, MAX_FIELD_LENGTH=len(headers[field]) - 1)
    attested.refused(TOO_LARGE[field], headers=headers)
    configure(settings, MAX_FIELD_LENGTH=len(headers[field]))
    attested.accepted(headers=headers)


@either_field
@table(
    "value",
    {
        "one character over the default bound": "e" * 16385,
        "a megabyte": "e" * (1 << 20),
        "a megabyte of commas": "," * (1 << 20),
        "a megabyte that is not ASCII": "\u00e9" * (1 << 20),
    },
)
@pytest.mark.refuses("H4")
def test_size_is_judged_before_anything_else(attested: AttestedClient, field: str, value: str) -> None:
    oversized = {**attested.headers(), field: value}
    attested.refused(TOO_LARGE[field], headers=oversized)
    attested.refused(TOO_LARGE[field], lambda: asgi_post(oversized.items()))


def certificate_chain(length: int = 3) -> list[str]:
    """Return P-256 certificates as ``x5c`` carries them: each signed by the next, the last by itself."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(length)]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Wallet Provider CA of the Member State {i}")])
        for i in range(length)
    ]
    now = datetime.now(UTC)
    chain = []
    for i, key in enumerate(keys):
        above = min(i + 1, length - 1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(names[i])
            .issuer_name(names[above])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=i > 0, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[above].public_key()), critical=False)
            .sign(keys[above], hashes.SHA256())
        )
        chain.append(b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode())
    return chain


@pytest.mark.accepts("H4")
def test_the_default_bound_admits_a_chain_of_three_certificates(attested: AttestedClient) -> None:
    attestation = attested.attestation(header={"x5c": certificate_chain()})
    assert 2000 < len(attestation) < app_settings.max_field_length / 2
    attested.accepted(headers=attested.headers(attestation))


INCOMPLETE = {
    "a malformed attestation": (
        lambda client: {**client.headers(), ATTESTATION: "x"},
        Reason.ATTESTATION_FIELD_MALFORMED,
    ),
    "an empty attestation": (
        lambda client: {**client.headers(), ATTESTATION: ""},
        Reason.ATTESTATION_FIELD_MALFORMED,
    ),
    "an attestation without proof": (lambda client: {ATTESTATION: client.attestation()}, Reason.POP_MISSING),
    "a proof without attestation": (lambda client: {POP: client.pop()}, Reason.POP_WITHOUT_ATTESTATION),
    "an empty proof without attestation": (lambda client: {POP: ""}, Reason.POP_WITHOUT_ATTESTATION),
}
UNACCEPTABLE = {
    "an expired attestation": (
        lambda client: client.headers(client.attestation(lifetime=-3600)),
        Reason.ATTESTATION_EXPIRED,
    ),
    "a proof for another server": (
        lambda client: client.headers(pop=client.pop(audience="https://other.example")),
        Reason.POP_AUD,
    ),
}
UNREGISTERED = {
    "a client that cannot be attested": (lambda client: client.headers(), Reason.CLIENT_NOT_REGISTERED),
}


@table(("spoil", "reason"), {**INCOMPLETE, **UNREGISTERED})
@pytest.mark.refuses("H5")
def test_a_bad_attestation_does_not_fall_through_to_a_public_client(
    attested: AttestedClient, spoil: Callable[[AttestedClient], dict[str, str]], reason: Reason
) -> None:
    public = create_application("public", client_type="public", authorization_grant_type="password")
    attested.client_id = public.client_id
    (password_grant,) = (door for door in DOORS if door.name == "password")
    form = {**password_grant.prepare(public), "client_id": "public"}
    attested.refused(reason, data=form, headers=spoil(attested))
    assert attested.post(data=form, headers={}).status_code == 200


@table(("spoil", "reason"), {**INCOMPLETE, **UNACCEPTABLE})
@pytest.mark.refuses("H5")
def test_a_bad_attestation_does_not_fall_through_to_a_bearer_token(
    attested: AttestedClient, spoil: Callable[[AttestedClient], dict[str, str]], reason: Reason
) -> None:
    token = create_access_token(attested.application)
    bearer = {"Authorization": f"Bearer {create_access_token(attested.application, scope='introspection')}"}
    attested.refused(reason, path=INTROSPECT, data={"token": token}, headers={**bearer, **spoil(attested)})
    response = attested.post(INTROSPECT, {"token": token}, headers=bearer)
    assert response.status_code == 200
    assert response.json()["active"] is True


@table(("spoil", "reason"), {**INCOMPLETE, **UNREGISTERED})
@pytest.mark.refuses("H5")
def test_a_bad_attestation_does_not_fall_through_to_a_client_secret(
    attested: AttestedClient, spoil: Callable[[AttestedClient], dict[str, str]], reason: Reason
) -> None:
    create_application("secretive")
    attested.client_id = "secretive"
    attested.refused(
        reason,
        data={"grant_type": "client_credentials", "client_id": "secretive"},
        headers=spoil(attested),
    )
    form = {"grant_type": "client_credentials", "client_id": "secretive", "client_secret": "secret"}
    attested.refused(Reason.SECOND_MECHANISM, data=form, headers=spoil(attested))
    assert attested.post(data=form, headers={}).status_code == 200


@pytest.mark.accepts("H5")
def test_a_request_without_our_fields_is_not_ours(attested: AttestedClient) -> None:
    create_application("secretive")
    form = {"grant_type": "client_credentials", "client_id": "secretive", "client_secret": "secret"}
    before = stored()
    response = attested.post(data=form, headers={"OAuth-Client-Attestation-Type": "x", "DPoP": "x"})
    assert response.status_code == 200
    assert [after - count for after, count in zip(stored(), before, strict=True)] == [0, 1] + [0] * (len(before) - 2)


@pytest.mark.accepts("H5")
def test_a_good_attestation_beside_a_bearer_token_authenticates(attested: AttestedClient) -> None:
    token = create_access_token(attested.application)
    headers = {"Authorization": f"Bearer {create_access_token(attested.application)}", **attested.headers()}
    response = attested.post(INTROSPECT, {"token": token}, headers=headers)
    assert response.status_code == 200
    assert response.json()["username"] == alice().username


@pytest.mark.refuses("H6")
def test_a_proof_without_an_attestation_is_refused(attested: AttestedClient) -> None:
    pop = {POP: attested.pop()}
    response = attested.refused(Reason.POP_WITHOUT_ATTESTATION, headers=pop)
    assert response.json()["error"] == "invalid_client"
    attested.refused(Reason.POP_WITHOUT_ATTESTATION, lambda: asgi_post(pop.items()))


@pytest.mark.accepts("H6")
def test_a_proof_beside_an_attestation_is_accepted(attested: AttestedClient) -> None:
    pop = attested.pop()
    attested.refused(Reason.POP_WITHOUT_ATTESTATION, headers={POP: pop})
    attested.accepted(headers=attested.headers(pop=pop))
