"""The admin of attesters and policies: what staff can do, what is refused, and what is never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_client_attestation.core.anchors import parse_anchors
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterKey, Refusal, UsedProof
from oauth_client_attestation.testing import AttesterBackend, generate_key, public_jwk
from oauth_client_attestation.trust.registration import replace_anchors
from tests.admin_pages import (
    ADD,
    ADD_POLICY,
    AUTOCOMPLETE,
    LIST,
    POLICIES,
    REFUSALS,
    change,
    colleague,
    form,
    key_set,
    public_pem,
)
from tests.certificates import build_ca, pem
from tests.kit import AttestedClient, create_application, register_attester, table

pytestmark = pytest.mark.django_db

ROOT = pem(build_ca("Root"))


@pytest.fixture
def staff(admin_client: Client) -> Client:
    """A browser with a superuser's session."""
    return admin_client


@pytest.mark.accepts("T1", "T5", "B5")
def test_from_the_admin_to_a_token(staff: Client) -> None:
    """An attester and a policy made in the admin are all that a client needs."""
    client = AttestedClient()
    application = create_application("app")
    linked = {
        "attesterapplication_set-TOTAL_FORMS": "1",
        "attesterapplication_set-0-application": str(application.pk),
    }
    saved = staff.post(ADD, form(jwks=json.dumps(client.backend.jwks), algorithms=["ES256"], **linked))
    assert saved.status_code == 302, saved.context["errors"]
    attester = Attester.objects.get()
    assert (attester.name, attester.enabled, attester.algorithms) == ("Acme", True, ["ES256"])
    assert list(attester.applications.all()) == [application]
    assert attester.keys.get().thumbprint == client.backend.key.thumbprint()

    policy = {"application": str(application.pk), "methods": ["attest_jwt_client_auth"], "challenge": "required"}
    assert staff.post(ADD_POLICY, policy).status_code == 302
    client.accepted()
    assert '<td class="field-method_names">normal mode</td>' in staff.get(POLICIES).content.decode()


@table(
    "jwks, words",
    {
        "nothing": ("", "Enter keys, a JWK Set URL or trust anchors"),
        "not JSON": ("keys: []", "This is not a JSON object"),
        "half of a PEM block": ("-----BEGIN PUBLIC KEY-----", "A PEM block has no end"),
        "a certificate": (ROOT, "belongs under “Trust anchors”"),
        "a PEM block of something else": (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
            "Block 1 is not a public key.",
        ),
        "PEM that is no key": ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "Block 1 cannot be read."),
        "a curve that is not supported": (public_pem(ec.generate_private_key(ec.SECP256K1())), "EC over P-256"),
        "one key twice in PEM": (2 * public_pem(ec.generate_private_key(ec.SECP256R1())), "the same key as key 1"),
        "no keys": ('{"keys": []}', "at least one key"),
        "a weak key": (json.dumps({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "Key 1 is not acceptable"),
        "one kid twice": (
            json.dumps({"keys": [{**public_jwk(generate_key()), "kid": "1"} for _ in range(2)]}),
            "the same “kid” as key 1",
        ),
    },
)
@pytest.mark.parametrize("exists", [False, True], ids=["adding", "changing"])
@pytest.mark.refuses("T1")
def test_a_mistake_in_the_keys_is_shown_and_nothing_is_saved(
    staff: Client, exists: bool, jwks: str, words: str
) -> None:
    before = []
    url = ADD
    if exists:
        attester = register_attester(AttesterBackend(), "Old name")
        before = list(AttesterKey.objects.values_list("thumbprint"))
        url = change(attester)
    page = staff.post(url, form(jwks=jwks))
    assert page.status_code == 200
    (message,) = page.context["adminform"].form.errors["jwks"]
    assert words in message
    assert list(Attester.objects.values_list("name", flat=True)) == (["Old name"] if exists else [])
    assert list(AttesterKey.objects.values_list("thumbprint")) == before


def test_an_alg_that_is_a_list_is_a_mistake_too(staff: Client) -> None:
    jwk = {**public_jwk(generate_key()), "alg": ["ES256"]}
    page = staff.post(ADD, form(jwks=json.dumps(jwk)))
    assert "jwks" in page.context["adminform"].form.errors


@table(
    "algorithm, private",
    {
        "an EC key": ("ES256", ("d",)),
        "an RSA key": ("RS256", ("d", "p", "q", "dp", "dq", "qi")),
        "an Ed25519 key": ("Ed25519", ("d",)),
    },
)
@pytest.mark.refuses("T1")
def test_a_private_key_is_refused_and_not_shown_again(staff: Client, algorithm: str, private: tuple[str, ...]) -> None:
    """The page that says so may be cached, photographed, or mailed to support."""
    jwk = json.loads(generate_key(algorithm).export_private())
    page = staff.post(ADD, form(jwks=json.dumps({"keys": [jwk]})))
    assert "private or secret key" in page.context["adminform"].form.errors["jwks"][0]
    shown = page.content.decode()
    assert not [name for name in private if jwk[name] in shown]
    assert not Attester.objects.exists()


@pytest.mark.refuses("T1")
def test_a_secret_key_is_refused_and_not_shown_again(staff: Client) -> None:
    page = staff.post(ADD, form(jwks='{"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQ"}'))
    assert "private or secret key" in page.context["adminform"].form.errors["jwks"][0]
    assert "c2VjcmV0IHNlY3JldCBzZWNyZXQ" not in page.content.decode()


@table(
    "fields, name",
    {
        "a name that is taken": ({"name": "Taken"}, "name"),
        "an algorithm that is not offered": ({"algorithms": ["HS256"]}, "algorithms"),
    },
)
def test_another_mistake_is_shown_and_nothing_is_saved(staff: Client, fields: dict[str, Any], name: str) -> None:
    register_attester(AttesterBackend(), "Taken")
    page = staff.post(ADD, form(jwks=key_set(generate_key()), **fields))
    assert name in page.context["adminform"].form.errors
    assert (Attester.objects.count(), AttesterKey.objects.count()) == (1, 1)


@pytest.mark.refuses("T1", "A3")
@pytest.mark.accepts("T1")
def test_keys_are_replaced_by_what_is_pasted(staff: Client) -> None:
    """The new key is believed and the old one no longer, from the next request on; what stays keeps its row."""
    client = AttestedClient().register()
    kept = generate_key()
    jwks = json.dumps({"keys": [client.backend.public_jwk, public_jwk(kept)]})
    assert staff.post(change(client.attester), form(jwks=jwks)).status_code == 302
    client.attester.applications.add(client.application)
    row = client.attester.keys.get(thumbprint=client.backend.key.thumbprint())
    client.accepted()

    successor = AttesterBackend(key_id="attester-2")
    jwks = json.dumps({"keys": [public_jwk(kept), successor.public_jwk]})
    assert staff.post(change(client.attester), form(jwks=jwks)).status_code == 302
    assert set(client.attester.keys.values_list("thumbprint", flat=True)) == {
        kept.thumbprint(),
        successor.key.thumbprint(),
    }
    assert not AttesterKey.objects.filter(pk=row.pk).exists()
    client.attester.applications.add(client.application)
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    client.accepted(headers=client.headers(successor.attest(client.instance, "app")))


def test_the_page_shows_the_keys_there_are(staff: Client) -> None:
    backend = AttesterBackend()
    attester = register_attester(backend)
    page = staff.get(change(attester)).content.decode()
    assert backend.key.thumbprint() in page
    assert "attester-1" in page
    again = staff.get(change(attester)).context["adminform"].form.initial["jwks"]
    saved = staff.post(change(attester), form(name="Renamed", jwks=again))
    assert saved.status_code == 302
    assert attester.keys.get().thumbprint == backend.key.thumbprint()


@pytest.mark.accepts("A3")
@pytest.mark.refuses("A3")
def test_disable_and_enable(staff: Client) -> None:
    client = AttestedClient().register()
    selected = {"_selected_action": [client.attester.pk]}
    client.accepted()
    done = staff.post(LIST, {"action": "disable", **selected}, follow=True)
    assert "1 attester disabled." in done.content.decode()
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    staff.post(LIST, {"action": "enable", **selected})
    client.accepted()


@pytest.mark.filterwarnings("ignore::django.core.paginator.UnorderedObjectListWarning")  # the host's own admin
def test_the_applications_are_found_by_typing(staff: Client) -> None:
    create_application("wallet", name="A wallet")
    query = {
        "term": "wall",
        "app_label": "oauth_client_attestation",
        "model_name": "attestationpolicy",
        "field_name": "application",
    }
    found = staff.get(AUTOCOMPLETE, query).json()["results"]
    assert [result["text"] for result in found] == ["A wallet"]
    assert "autocomplete" in staff.get(ADD_POLICY).content.decode()


@pytest.mark.parametrize("grant", ["implicit", "openid-hybrid"])
@pytest.mark.refuses("B5")
def test_an_application_that_is_given_tokens_in_the_open_is_refused(staff: Client, grant: str) -> None:
    application = create_application(
        "app", authorization_grant_type=grant, redirect_uris="https://client.example/", algorithm="RS256"
    )
    page = staff.post(
        ADD_POLICY,
        {"application": str(application.pk), "methods": ["attest_jwt_client_auth"], "challenge": "required"},
    )
    (message,) = page.context["adminform"].form.errors["application"]
    assert "given tokens at the authorization endpoint" in message
    assert not AttestationPolicy.objects.exists()


@table(
    "fields, name",
    {
        "no application": ({"application": ""}, "application"),
        "no method": ({"methods": []}, "methods"),
        "a method that does not exist": ({"methods": ["client_secret_basic"]}, "methods"),
        "a challenge that is neither": ({"challenge": "never"}, "challenge"),
    },
)
def test_a_mistake_in_a_policy(staff: Client, fields: dict[str, Any], name: str) -> None:
    application = create_application("app")
    good = {"application": str(application.pk), "methods": ["attest_jwt_client_auth"], "challenge": "required"}
    page = staff.post(ADD_POLICY, {**good, **fields})
    assert list(page.context["adminform"].form.errors) == [name]
    assert not AttestationPolicy.objects.exists()


def test_one_policy_for_an_application(staff: Client) -> None:
    application = create_application("app", policy={})
    good = {"application": str(application.pk), "methods": ["attest_jwt_client_auth"], "challenge": "optional"}
    page = staff.post(ADD_POLICY, good)
    assert "application" in page.context["adminform"].form.errors
    assert AttestationPolicy.objects.get().challenge == "required"


@pytest.mark.parametrize("path", [LIST, POLICIES, REFUSALS], ids=["attesters", "policies", "refusals"])
def test_a_list_costs_the_same_with_more_rows(staff: Client, path: str, django_assert_num_queries: Any) -> None:
    def rows(count: int, first: int) -> None:
        for number in range(first, first + count):
            application = create_application(f"app-{number}", policy={})
            attester = register_attester(AttesterBackend(), f"Attester {number}", applications=(application,))
            replace_anchors(attester, parse_anchors(ROOT))
            Refusal.objects.create(
                time=timezone.now(),
                reason=list(Reason)[number],
                endpoint=f"endpoint-{number}",
                application=application,
                attester=attester,
                thumbprint=str(number),
            )

    rows(1, 0)
    staff.get(path)  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        staff.get(path)
    rows(5, 1)
    with django_assert_num_queries(len(captured)):
        page = staff.get(path)
    assert len(page.context["cl"].result_list) == 6


def test_the_list_counts_keys_and_applications(staff: Client) -> None:
    attester = register_attester(
        AttesterBackend(), applications=tuple(create_application(name) for name in ("one", "two", "three"))
    )
    AttesterKey.objects.create(attester=attester, thumbprint="second", jwk={})
    register_attester(AttesterBackend(), "For all", all_applications=True)
    page = staff.get(LIST).content.decode()
    assert "3 applications" in page
    assert "all applications" in page
    assert '<td class="field-key_count">2</td>' in page


@table(
    "path, query",
    {
        "by name": (LIST, "acme"),
        "by key": (LIST, "attester-1"),
        "by application": (POLICIES, "wallet"),
    },
)
def test_search(staff: Client, path: str, query: str) -> None:
    application = create_application("wallet", policy={})
    create_application("other", policy={})
    register_attester(AttesterBackend(), "Acme", applications=(application,))
    register_attester(AttesterBackend(key_id="else"), "Else")
    assert len(staff.get(path, {"q": query}).context["cl"].result_list) == 1


@table(
    "permissions, pages",
    {
        "none": ((), {}),
        "viewing attesters": (("view_attester",), {LIST: 200, ADD: 403, POLICIES: 403}),
        "viewing policies": (("view_attestationpolicy",), {POLICIES: 200, ADD_POLICY: 403, LIST: 403}),
    },
)
def test_staff_without_rights(permissions: tuple[str, ...], pages: dict[str, int]) -> None:
    browser = colleague(*permissions)
    expected = {LIST: 403, ADD: 403, POLICIES: 403, ADD_POLICY: 403, **pages}
    assert {path: browser.get(path).status_code for path in expected} == expected


@pytest.mark.refuses("T5")
def test_staff_who_may_only_look_change_nothing() -> None:
    attester = register_attester(AttesterBackend())
    browser = colleague("view_attester")
    page = browser.get(change(attester))
    assert page.status_code == 200
    assert browser.post(change(attester), form(name="Mine", jwks=key_set(generate_key()))).status_code == 403
    browser.post(LIST, {"action": "disable", "_selected_action": [attester.pk]})
    attester.refresh_from_db()
    assert (attester.name, attester.enabled) == ("Acme", True)
    assert attester.keys.get().key_id == "attester-1"


def test_staff_who_may_change_attesters_but_not_their_applications() -> None:
    """Linking an application is a right of its own, which the form does not go around."""
    attester = register_attester(AttesterBackend())
    application = create_application("app")
    browser = colleague("view_attester", "change_attester")
    linked = {
        "attesterapplication_set-TOTAL_FORMS": "1",
        "attesterapplication_set-0-application": str(application.pk),
    }
    saved = browser.post(change(attester), form(name="Renamed", jwks=key_set(generate_key()), **linked))
    assert saved.status_code == 302
    attester.refresh_from_db()
    assert attester.name == "Renamed"
    assert not attester.applications.exists()


@pytest.mark.parametrize("path", [LIST, ADD, POLICIES, ADD_POLICY])
def test_nobody_gets_in_without_a_login(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_machine_made_rows_are_not_for_people() -> None:
    """A used proof that somebody deletes can be used again."""
    assert UsedProof not in admin.site._registry
    assert AttesterKey not in admin.site._registry
