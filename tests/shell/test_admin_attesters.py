"""The page of an attester: what is pasted and uploaded, what is kept of it, and what is never sent back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.views.debug import SafeExceptionReporterFilter

from oauth_client_attestation.admin import AttesterAdmin
from oauth_client_attestation.core.anchors import MAX_NAMESAKES, parse_anchors
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import Attester, AttesterApplication, AttesterKey, Refusal, TrustAnchor
from oauth_client_attestation.testing import AttesterBackend, generate_key, public_jwk
from oauth_client_attestation.trust.registration import replace_anchors
from tests.admin_pages import ADD, LIST, change, colleague, form, key_set, public_pem, submitted
from tests.certificates import build_ca, build_leaf, make_chain, pem
from tests.kit import AttestedClient, configure, create_application, register_attester, table

pytestmark = pytest.mark.django_db

CHAIN = make_chain()
ROOT = pem(build_ca("A root"))
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE_PEM = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PRIVATE_JWK = json.loads(generate_key().export_private())


@pytest.fixture
def staff(admin_client: Client) -> Client:
    """A browser with a superuser's session."""
    return admin_client


def file(content: str | bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("upload", content.encode() if isinstance(content, str) else content)


def errors(page: Any) -> dict[str, list[str]]:
    return {name: list(messages) for name, messages in page.context["adminform"].form.errors.items()}


def saved(response: Any) -> Attester:
    """Return the attester, once the form was accepted."""
    assert response.status_code == 302, errors(response)
    return Attester.objects.get()


# Keys and trust anchors, pasted and uploaded


@table(
    "fields",
    {
        "a JWK Set in a file": lambda key: {"jwks_file": file(key_set(key))},
        "a JWK": lambda key: {"jwks": json.dumps(public_jwk(key))},
        "PEM": lambda key: {"jwks": key.export_to_pem().decode()},
        "PEM with CRLF and text around": lambda key: {
            "jwks": f"The key:\r\n{key.export_to_pem().decode()}\r\nBye".replace("\n", "\r\n")
        },
        "PEM in a file": lambda key: {"jwks_file": file(key.export_to_pem())},
        "a file with a byte order mark": lambda key: {"jwks_file": file(b"\xef\xbb\xbf" + key_set(key).encode())},
    },
)
@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256", "Ed25519"])
@pytest.mark.accepts("T1")
def test_keys_in_every_form(staff: Client, algorithm: str, fields: Any) -> None:
    key = generate_key(algorithm)
    attester = saved(staff.post(ADD, form(**fields(key))))
    assert attester.keys.get().thumbprint == key.thumbprint()
    assert attester.keys.get().jwk == public_jwk(key)


@pytest.mark.accepts("T1")
def test_a_key_in_pem_verifies_attestations_with_any_kid(staff: Client) -> None:
    client = AttestedClient()
    client.application = create_application("app", policy={})
    attester = saved(staff.post(ADD, form(jwks=client.backend.key.export_to_pem().decode(), all_applications="on")))
    assert attester.keys.get().key_id == ""
    client.accepted()


@pytest.mark.parametrize("field", ["anchors", "anchors_file"])
@pytest.mark.accepts("T3")
def test_from_an_anchor_in_the_admin_to_a_token(staff: Client, field: str) -> None:
    entered = file(CHAIN.pem) if field == "anchors_file" else CHAIN.pem
    client = AttestedClient(backend=AttesterBackend(key=CHAIN.jwk, key_id=None))
    client.application = create_application("app", policy={})
    attester = saved(staff.post(ADD, form(all_applications="on", **{field: entered})))
    anchor = attester.trust_anchors.get()
    assert (anchor.subject, anchor.key_type) == ("CN=Root,O=Acme", "EC P-256")
    attestation = client.attestation(header={"x5c": CHAIN.x5c})
    client.accepted(headers=client.headers(attestation))

    page = staff.get(change(attester))
    assert anchor.fingerprint in page.content.decode()
    assert page.context["adminform"].form.initial["anchors"] == CHAIN.pem


@table(
    "entered, words",
    {
        "no PEM": ("MIIB", "This is not a certificate in PEM"),
        "half a block": ("-----BEGIN CERTIFICATE-----\nAAAA", "This is not a certificate in PEM"),
        "a request": (CSR, "Block 1 is not a certificate."),
        "a public key": (public_pem(EC_KEY), "Public keys belong under “Keys”."),
        "not DER": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "Certificate 1 cannot be read"),
        "a leaf, second": (
            ROOT + pem(build_leaf("Leaf", build_ca("Other"))),
            "Certificate 2 is not one of an authority",
        ),
        "the same twice": (ROOT + ROOT, "Certificate 2 is there twice."),
        "one that may not sign": (pem(build_ca("No", usage=("crl_sign",))), "Certificate 1 may not sign certificates"),
    },
)
@pytest.mark.refuses("T3")
def test_a_mistake_in_the_anchors_is_shown_and_nothing_is_saved(staff: Client, entered: str, words: str) -> None:
    for fields in ({"anchors": entered}, {"anchors_file": file(entered)}):
        page = staff.post(ADD, form(jwks=key_set(generate_key()), **fields))
        (message,) = errors(page)["anchors"]
        assert words in message
    assert not Attester.objects.exists()


def test_a_file_replaces_what_the_page_shows_but_not_what_was_typed(staff: Client) -> None:
    attester = register_attester(AttesterBackend())
    successor = generate_key()
    shown = submitted(staff.get(change(attester)))
    crlf = {**shown, "jwks": shown["jwks"][0].replace("\n", "\r\n")}  # as browsers send it
    assert staff.post(change(attester), {**crlf, "jwks_file": file(key_set(successor))}).status_code == 302
    assert attester.keys.get().thumbprint == successor.thumbprint()

    typed = {**shown, "jwks": key_set(generate_key()), "jwks_file": file(key_set(generate_key()))}
    assert errors(staff.post(change(attester), typed))["jwks"] == ["Paste them or choose a file, but not both."]
    assert attester.keys.get().thumbprint == successor.thumbprint()


def test_a_file_that_is_too_large_is_not_read(staff: Client) -> None:
    page = staff.post(ADD, form(jwks_file=file(b" " * ((1 << 20) + 1))))
    assert errors(page) == {"jwks_file": ["The file is larger than 1 MiB."]}


# What is never sent back


@table(
    "entered",
    {
        "a JWK": json.dumps(PRIVATE_JWK),
        "a JWK that is not even JSON": json.dumps(PRIVATE_JWK) + ",",
        "one member of a JWK beside good keys": json.dumps(
            {"keys": [public_jwk(generate_key()), public_jwk(generate_key()), {"d": PRIVATE_JWK["d"]}]}
        ),
        "PEM": PRIVATE_PEM,
        "PEM after a public key": public_pem(EC_KEY) + PRIVATE_PEM,
        "PEM without its end": PRIVATE_PEM.partition("-----END")[0],
        "PEM after a certificate": ROOT + PRIVATE_PEM,
        "PEM in JSON": json.dumps({"keys": [], "pem": PRIVATE_PEM}),
    },
)
@pytest.mark.parametrize("field", ["jwks", "jwks_file", "anchors", "anchors_file"])
@pytest.mark.refuses("T1", "T3")
def test_no_private_key_is_sent_back_or_stored(staff: Client, field: str, entered: str) -> None:
    page = staff.post(ADD, form(**{field: file(entered) if field.endswith("_file") else entered}))
    assert errors(page)[field.removesuffix("_file")]
    _assert_hidden(page)
    assert not Attester.objects.exists()


def test_what_is_sent_back_is_what_was_understood(staff: Client) -> None:
    """Not what was pasted beside it. The name is the mistake, and the upload need not be chosen again."""
    keys = json.dumps({"keys": [public_jwk(EC_JWK)], "d": PRIVATE_JWK["d"]})
    anchors = f"{PRIVATE_JWK['d']}\n{ROOT}\n{PRIVATE_PEM.splitlines()[1]}"
    page = staff.post(ADD, form(name="", jwks=keys, anchors_file=file(anchors)))
    assert set(errors(page)) == {"name"}
    _assert_hidden(page)
    form_again = page.context["adminform"].form
    assert json.loads(form_again["jwks"].value()) == {"keys": [public_jwk(EC_JWK)]}
    assert form_again["anchors"].value() == ROOT


EC_JWK = generate_key()
MISUSED = ["name", "issuer", "jwks_uri", "max_age", "required_claims"]


@table(
    "pasted",
    {
        "a JWK": json.dumps(PRIVATE_JWK),
        "a JWK without spaces": json.dumps(PRIVATE_JWK, separators=(",", ":")),
        "a JWK in several lines": json.dumps(PRIVATE_JWK, indent=2),
        "a JWK with its private member first, cut off": json.dumps({"d": PRIVATE_JWK["d"]})[:-2],
        "a JWK in JSON": json.dumps({"key": json.dumps(PRIVATE_JWK)}),
        "PEM": PRIVATE_PEM,
        "PEM in one line": PRIVATE_PEM.replace("\n", ""),
        "PEM without its end": PRIVATE_PEM.partition("-----END")[0],
        "PEM without its beginning": PRIVATE_PEM.partition("-----\n")[2],
    },
)
@pytest.mark.parametrize("field", MISUSED)
@pytest.mark.refuses("T1")
def test_no_private_key_is_sent_back_from_a_field_for_something_else(staff: Client, field: str, pasted: str) -> None:
    page = staff.post(ADD, form(**{"jwks": key_set(EC_JWK), field: pasted}))
    (message,) = errors(page)[field]
    assert message.startswith("This looks like a private key.")
    assert page.context["adminform"].form[field].value() == ""
    _assert_hidden(page)
    assert not Attester.objects.exists()


@pytest.mark.refuses("T1")
def test_no_private_key_replaces_what_was_good(staff: Client) -> None:
    attester = register_attester(AttesterBackend(), issuer="https://acme.example")
    before = Attester.objects.values().get()
    for field in MISUSED:
        page = staff.post(change(attester), submitted(staff.get(change(attester)), **{field: json.dumps(PRIVATE_JWK)}))
        assert list(errors(page)) == [field]
        _assert_hidden(page)
    assert Attester.objects.values().get() == before


@pytest.mark.parametrize("path", ["add", "change"])
@pytest.mark.refuses("T1")
def test_no_private_key_is_in_an_error_report(staff: Client, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails on the way: the report to the administrators leaves these fields out."""

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(AttesterAdmin, "get_form", fail)
    url = ADD if path == "add" else change(register_attester(AttesterBackend()))
    staff.raise_request_exception = False
    response = staff.post(url, form(**dict.fromkeys([*MISUSED, "jwks", "anchors"], "of-the-administrator")))
    assert response.status_code == 500
    report = SafeExceptionReporterFilter().get_post_parameters(response.wsgi_request)
    assert "of-the-administrator" not in report.values()
    assert report["enabled"] == "on"


def _assert_hidden(page: Any) -> None:
    text = page.content.decode()
    assert PRIVATE_JWK["d"] not in text
    assert not [line for line in PRIVATE_PEM.splitlines()[1:-1] if line in text]


# How far an attester is trusted


@pytest.mark.accepts("T5")
def test_required_claims_a_line_each(staff: Client) -> None:
    lines = 'level=high\nlevel=substantial\n\n  wallet \nversion=3\nversion="3"\ncertified=true\n"a=b"=c = d\n'
    attester = saved(staff.post(ADD, form(jwks=key_set(generate_key()), required_claims=lines, max_age="600")))
    expected = {
        "level": ["high", "substantial"],
        "wallet": [],
        "version": [3, "3"],
        "certified": [True],
        "a=b": ["c = d"],
    }
    assert (attester.required_claims, attester.max_age) == (expected, 600)

    page = staff.get(change(attester))
    assert staff.post(change(attester), submitted(page)).status_code == 302
    attester.refresh_from_db()
    assert attester.required_claims == expected
    assert LogEntry.objects.latest("pk").get_change_message() == "No fields changed."


@table(
    "lines, message",
    {
        "no name": ("level\n=high", "Line 2: Write “name” or “name=value”."),
        "no value": ("level=", "Line 1: “level=” has no value"),
        "an object": ('\nlevel={"a": 1}', "Line 2: The value of “level” is neither text, an integer, true nor false"),
        "a fraction": ("level=1.5", "Line 1: The value of “level” is neither text"),
        "a name that does not end": ('"level=high', "Line 1: The name is not a JSON string"),
        "any value and a certain one": ("level\nlevel=high", "“level” is required with any value, and with a certain"),
        "a name that is too long": (256 * "a", "at most 255 characters"),
        "a NUL in a value": ('level=high\nlevel="\\u0000"', "Line 2: The value of “level” is not printable."),
        "half of a surrogate pair": ('level="\\ud800"', "Line 1: The value of “level” is not printable."),
        "a NUL in a name": ('"\\u0000"=high', "Line 1: The name is not printable."),
    },
)
def test_a_mistake_in_the_required_claims(staff: Client, lines: str, message: str) -> None:
    page = staff.post(ADD, form(jwks=key_set(generate_key()), required_claims=lines))
    (shown,) = errors(page)["required_claims"]
    assert message in shown
    assert page.context["adminform"].form["required_claims"].value() == lines
    assert not Attester.objects.exists()


@table(
    "fields, name",
    {
        "plain http": ({"jwks_uri": "http://acme.example/jwks"}, "jwks_uri"),
        "no URL": ({"jwks_uri": "acme"}, "jwks_uri"),
        "no age": ({"max_age": "0"}, "max_age"),
        "a name with an escape sequence": ({"name": "Acme\x1b[2J"}, "name"),
        "an issuer with a space": ({"issuer": "https://acme.example /"}, "issuer"),
    },
)
def test_another_mistake(staff: Client, fields: dict[str, str], name: str) -> None:
    page = staff.post(ADD, form(jwks=key_set(generate_key()), **fields))
    assert list(errors(page)) == [name]


def test_a_url_or_a_secret_is_enough(staff: Client, settings: Any) -> None:
    saved(staff.post(ADD, form(jwks_uri="https://acme.example/jwks")))
    configure(settings, SHARED_SECRETS={"Secretive": b"s" * 32})
    assert staff.post(ADD, form(name="Secretive")).status_code == 302
    assert "shared secret" in staff.get(LIST).content.decode()
    assert "may use a MAC" in staff.get(ADD).content.decode()


def test_the_algorithms_say_which_of_them_the_server_accepts(staff: Client) -> None:
    choices = dict(staff.get(ADD).context["adminform"].form.fields["algorithms"].choices)
    assert choices["ES256"] == "ES256"
    assert "not in ATTESTATION_ALGORITHMS" in choices["RS256"]
    assert not [name for name in choices if name.startswith("HS")]


# Keys and anchors as they are stored


@pytest.mark.refuses("T1", "T5")
@pytest.mark.accepts("T1")
def test_a_key_is_disabled_and_stays_so_when_keys_are_replaced(staff: Client) -> None:
    client = AttestedClient().register()
    page = change(client.attester)
    client.accepted()
    values = submitted(staff.get(page))
    assert staff.post(page, {**values, "keys-0-enabled": []}).status_code == 302
    client.refused(Reason.ATTESTER_NOT_TRUSTED)

    both = json.dumps({"keys": [client.backend.public_jwk, public_jwk(generate_key())]})
    assert staff.post(page, submitted(staff.get(page), jwks=both)).status_code == 302
    assert client.attester.keys.count() == 2
    client.refused(Reason.ATTESTER_NOT_TRUSTED)

    values = submitted(staff.get(page))
    assert staff.post(page, {**values, "keys-0-enabled": "on"}).status_code == 302
    client.accepted()


@pytest.mark.refuses("T1")
@pytest.mark.accepts("T1")
def test_the_window_of_a_key(staff: Client) -> None:
    client = AttestedClient().register()
    page = change(client.attester)
    yesterday = timezone.now() - timedelta(days=1)
    window = {"keys-0-not_after_0": yesterday.date().isoformat(), "keys-0-not_after_1": "12:00:00"}
    assert staff.post(page, submitted(staff.get(page), **window)).status_code == 302
    client.refused(Reason.ATTESTER_NOT_TRUSTED)

    window = {"keys-0-not_before_0": "2040-01-01", "keys-0-not_before_1": "00:00:00"}
    wrong = staff.post(page, submitted(staff.get(page), **window))
    assert "This is not after “valid from”." in wrong.content.decode()

    window = {"keys-0-not_after_0": "", "keys-0-not_after_1": ""}
    assert staff.post(page, submitted(staff.get(page), **window)).status_code == 302
    client.accepted()


@pytest.mark.refuses("T3")
def test_an_anchor_is_disabled(staff: Client) -> None:
    attester = register_attester(AttesterBackend())
    replace_anchors(attester, parse_anchors(ROOT + CHAIN.pem))
    page = change(attester)
    assert staff.post(page, {**submitted(staff.get(page)), "trust_anchors-1-enabled": []}).status_code == 302
    assert list(attester.trust_anchors.values_list("enabled", flat=True)) == [True, False]
    assert staff.post(page, submitted(staff.get(page), anchors=CHAIN.pem)).status_code == 302
    assert attester.trust_anchors.get().enabled is False


def test_nobody_writes_what_a_machine_made(staff: Client) -> None:
    """Neither another thumbprint, nor a further row, nor a deletion."""
    attester = register_attester(AttesterBackend())
    before = list(AttesterKey.objects.values())
    values = submitted(staff.get(change(attester)))
    forged = {
        "keys-0-thumbprint": "forged",
        "keys-0-jwk": "{}",
        "keys-0-DELETE": "on",
        "keys-TOTAL_FORMS": "2",
        "keys-1-thumbprint": "added",
        "keys-1-enabled": "on",
    }
    staff.post(change(attester), {**values, **forged})
    assert list(AttesterKey.objects.values()) == before


# What other attesters have


@table(
    ("terms", "warned"),
    {
        "the same terms": ({}, False),
        "another age": ({"max_age": 60}, True),
        "another issuer": ({"issuer": "https://acme.example"}, True),
        "other algorithms": ({"algorithms": ["ES256"]}, True),
        "other required claims": ({"required_claims": {"level": ["high"]}}, True),
    },
)
def test_a_key_that_another_attester_has_on_other_terms(staff: Client, terms: dict[str, Any], warned: bool) -> None:
    backend = AttesterBackend()
    register_attester(backend, "<Other>", **terms)
    register_attester(AttesterBackend(), "Unrelated", max_age=1)
    page = staff.post(ADD, form(jwks=json.dumps(backend.public_jwk)), follow=True)
    shown = [str(message) for message in page.context["messages"] if message.level_tag == "warning"]
    assert [message.partition(" has one of these keys too")[0] for message in shown] == ["“<Other>”"] * warned
    assert "<Other>" not in page.content.decode()


@pytest.mark.accepts("T3")
@pytest.mark.refuses("T3")
def test_anchors_of_one_name_at_several_attesters(staff: Client) -> None:
    other = register_attester(AttesterBackend(), "Other")
    replace_anchors(other, parse_anchors(pem(*(build_ca("Root") for _ in range(MAX_NAMESAKES)))))
    (message,) = errors(staff.post(ADD, form(anchors=CHAIN.pem)))["anchors"]
    assert "more than 8 trust anchors named “CN=Root,O=Acme”" in message

    shared = other.trust_anchors.earliest("pk").certificate
    assert staff.post(ADD, form(name="Shares one", anchors=shared)).status_code == 302
    assert staff.post(ADD, form(name="Another name", anchors=ROOT)).status_code == 302
    other.trust_anchors.latest("pk").delete()
    assert staff.post(ADD, form(anchors=CHAIN.pem)).status_code == 302
    attester = Attester.objects.get(name="Acme")
    assert staff.post(change(attester), submitted(staff.get(change(attester)))).status_code == 302


# The URL


def fetched(url: str = "https://acme.example/jwks") -> Attester:
    """Return an attester whose keys were fetched an hour ago."""
    moment = timezone.now() - timedelta(hours=1)
    attester = Attester.objects.create(
        name="Acme", jwks_uri=url, fetched_at=moment, fetch_attempted_at=moment, fetch_outcome="ok"
    )
    for number, enabled in enumerate((True, False)):
        key = generate_key()
        AttesterKey.objects.create(
            attester=attester,
            thumbprint=key.thumbprint(),
            key_id=str(number),
            jwk=public_jwk(key),
            fetched_from=url,
            enabled=enabled,
        )
    return attester


@pytest.mark.refuses("T2")
def test_another_url_forgets_what_was_fetched(staff: Client) -> None:
    """But not that a key was disabled, which would come back with its URL."""
    attester = fetched()
    page = staff.get(change(attester))
    assert staff.post(change(attester), submitted(page, jwks_uri="https://other.example/jwks")).status_code == 302
    attester.refresh_from_db()
    assert (attester.fetched_at, attester.fetch_attempted_at, attester.fetch_outcome) == (None, None, "")
    assert list(attester.keys.values_list("key_id", "enabled")) == [("1", False)]
    assert "fetched from a former URL" in staff.get(change(attester)).content.decode()


def test_the_same_url_keeps_what_was_fetched(staff: Client) -> None:
    attester = fetched()
    values = submitted(staff.get(change(attester)), name="Renamed")
    moment = timezone.now()
    Attester.objects.update(fetched_at=moment, fetch_outcome="timeout")
    assert staff.post(change(attester), values).status_code == 302
    attester.refresh_from_db()
    assert (attester.name, attester.fetched_at, attester.fetch_outcome) == ("Renamed", moment, "timeout")
    assert attester.keys.count() == 2


# What is shown


def test_the_list_shows_the_state(staff: Client) -> None:
    now = timezone.now()
    attester = fetched()
    attester.last_accepted = now - timedelta(minutes=5)
    attester.fetch_outcome = "tls"
    attester.save()
    replace_anchors(attester, parse_anchors(pem(build_ca("New", not_after=(now + timedelta(days=3)).timestamp()))))
    AttesterKey.objects.create(attester=attester, thumbprint="old", jwk={}, not_after=now - timedelta(days=1))
    AttesterKey.objects.create(
        attester=attester, thumbprint="off", jwk={}, enabled=False, not_after=now + timedelta(days=1)
    )
    for age in (timedelta(), timedelta(days=2)):
        Refusal.objects.create(time=now - age, reason=Reason.POP_REPLAYED, endpoint="-", attester=attester)
    page = staff.get(LIST)
    (row,) = page.context["cl"].result_list
    model_admin = page.context["cl"].model_admin
    text = page.content.decode()
    assert model_admin.sources(row) == "entered, URL, certificates"
    assert model_admin.key_count(row) == 2
    assert model_admin.accepted(row) == "5\xa0minutes ago"
    assert row._expiry.date() == (now + timedelta(days=3)).date()
    assert row._expired == 1
    assert "1 expired" in text
    assert "No trusted TLS connection could be made" in text
    assert row._refused_today == 1
    assert "attester__id__exact" in model_admin.refused_today(row)


def test_attesters_by_their_last_fetch(staff: Client) -> None:
    fetched()
    now = timezone.now()
    url = "https://acme.example/jwks"
    Attester.objects.create(name="Failed", jwks_uri=url, fetch_attempted_at=now, fetch_outcome="tls")
    Attester.objects.create(name="Broken off", jwks_uri=url, fetch_attempted_at=now)
    Attester.objects.create(name="New", jwks_uri=url)
    Attester.objects.create(name="Without")

    def names(**query: str) -> list[str]:
        return [attester.name for attester in staff.get(LIST, query).context["cl"].result_list]

    assert names(last_fetch="good") == ["Acme"]
    assert names(last_fetch="failed") == ["Broken off", "Failed"]
    assert names(last_fetch="never") == ["New"]
    assert len(names()) == 5


def test_an_attester_that_nobody_knows_anything_of(staff: Client) -> None:
    Attester.objects.create(name="New", jwks_uri="https://acme.example/jwks")
    Attester.objects.create(name="Nothing")
    page = staff.get(LIST)
    model_admin = page.context["cl"].model_admin
    new, nothing = page.context["cl"].result_list
    assert (model_admin.last_fetch(new), model_admin.accepted(new)) == ("never", "never")
    assert (model_admin.last_fetch(nothing), model_admin.sources(nothing)) == (None, "none")
    assert model_admin.soonest_expiry(nothing) is None


def test_the_chart_counts_the_last_days_of_this_attester(staff: Client) -> None:
    attester, other = register_attester(AttesterBackend()), register_attester(AttesterBackend(), "Other")
    now = timezone.now()
    assert "None." in staff.get(change(attester)).content.decode()
    for reason, age, of in (
        (Reason.POP_REPLAYED, 0, attester),
        (Reason.POP_REPLAYED, 6, attester),
        (Reason.POP_REPLAYED, 8, attester),
        (Reason.POP_AUD, 1, attester),
        (Reason.POP_AUD, 1, other),
        (Reason.POP_JTI, 1, None),
    ):
        Refusal.objects.create(time=now - timedelta(days=age), reason=reason, endpoint="-", attester=of)
    page = staff.get(change(attester))
    bars = page.context["refusals"]["bars"]
    assert [(bar.reason, bar.count, bar.percent) for bar in bars] == [("pop_replayed", 2, 100), ("pop_aud", 1, 50)]
    text = page.content.decode()
    assert '<rect width="50%"' in text
    assert "The proof was used before." in text
    assert len(staff.get(bars[0].url).context["cl"].result_list) == 2


def test_the_page_costs_the_same_with_more_on_it(staff: Client, django_assert_num_queries: Any) -> None:
    attester = register_attester(AttesterBackend())

    def rows(count: int, first: int) -> None:
        for number in range(first, first + count):
            AttesterKey.objects.create(attester=attester, thumbprint=str(number), jwk={"kty": "EC"})
            TrustAnchor.objects.create(
                attester=attester, fingerprint=str(number), not_before=timezone.now(), not_after=timezone.now()
            )
            AttesterApplication.objects.create(attester=attester, application=create_application(f"app-{number}"))
            Refusal.objects.create(time=timezone.now(), reason=list(Reason)[number], endpoint="-", attester=attester)

    rows(1, 0)
    staff.get(change(attester))  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        staff.get(change(attester))
    rows(5, 1)
    with django_assert_num_queries(len(captured)):
        staff.get(change(attester))


def test_the_history_says_who_disabled_it(staff: Client) -> None:
    on, off = register_attester(AttesterBackend(), "On"), register_attester(AttesterBackend(), "Off", enabled=False)
    staff.post(LIST, {"action": "disable", "_selected_action": [on.pk, off.pk]})
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("On", "Changed Enabled.")


def test_staff_who_may_only_look_see_keys_and_no_fields() -> None:
    backend = AttesterBackend()
    attester = register_attester(backend, jwks_uri="https://acme.example/jwks")
    text = colleague("view_attester").get(change(attester)).content.decode()
    assert backend.key.thumbprint() in text
    assert "<textarea" not in text
    assert "Fetch keys now" not in text


@pytest.mark.refuses("T5")
def test_a_link_is_removed_and_never_turned_into_another(staff: Client) -> None:
    application, other = create_application("app"), create_application("other")
    attester = register_attester(AttesterBackend(), applications=(application,))
    values = submitted(staff.get(change(attester)))
    staff.post(change(attester), {**values, "attesterapplication_set-0-application": str(other.pk)})
    assert list(attester.applications.all()) == [application]
    staff.post(change(attester), {**values, "attesterapplication_set-0-DELETE": "on"})
    assert not attester.applications.exists()
