"""DPoP in the admin: who may and who must use it, and that no page sets a bound token free."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from oauth_client_attestation import confirmations, models
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, ClientInstance, DpopPolicy
from tests.admin_pages import (
    ADD_DPOP_POLICY,
    ADD_POLICY,
    DPOP_POLICIES,
    POLICIES,
    colleague,
)
from tests.kit import (
    DOORS,
    AttestedClient,
    alice,
    configure,
    create_application,
    create_code,
    create_refresh_token,
    register_attester,
    table,
)

pytestmark = pytest.mark.django_db

NORMAL, COMBINED = "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"
CONFIRMATIONS = (
    models.AccessTokenConfirmation,
    models.RefreshTokenConfirmation,
    models.IdTokenConfirmation,
    models.AuthorizationCodeConfirmation,
)
INSTANCES = reverse("admin:oauth_client_attestation_clientinstance_changelist")
SECRET = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
KEY = "t" * 43
DOORS_BY_NAME = {door.name: door for door in DOORS}


def count() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in CONFIRMATIONS)


def with_dpop_policy(use: str, client_id: str, **fields: Any) -> Any:
    application = create_application(client_id, **fields)
    DpopPolicy.objects.create(application=application, use=use)
    return application


def delete_page(model: Any, row: Any) -> str:
    label = model._meta.label_lower.replace(".", "_")
    return reverse(f"admin:{label}_delete", args=[row.pk])


# Who may, who must


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_an_application_that_must_use_dpop(admin_client: Client) -> None:
    client = AttestedClient()
    application = create_application("app")
    assert client.post(headers={"DPoP": client.dpop()}, data=SECRET).json()["token_type"] == "Bearer"
    saved = admin_client.post(ADD_DPOP_POLICY, {"application": str(application.pk), "use": "required"})
    assert saved.status_code == 302, saved.context["errors"]
    client.refused(Reason.DPOP_REQUIRED, headers={}, data=SECRET)
    assert client.post(headers={"DPoP": client.dpop()}, data=SECRET).json()["token_type"] == "DPoP"


@table(
    "fields, name",
    {
        "no application": ({"application": ""}, "application"),
        "a use that is neither": ({"use": "never"}, "use"),
        "no use": ({"use": ""}, "use"),
    },
)
def test_a_mistake_in_a_dpop_policy(admin_client: Client, fields: dict[str, str], name: str) -> None:
    application = create_application("app")
    page = admin_client.post(ADD_DPOP_POLICY, {"application": str(application.pk), "use": "required", **fields})
    assert list(page.context["adminform"].form.errors) == [name]
    assert not DpopPolicy.objects.exists()


@pytest.mark.parametrize("grant", ["implicit", "openid-hybrid"])
@pytest.mark.refuses("D6")
def test_an_application_that_is_given_tokens_in_the_open(admin_client: Client, grant: str) -> None:
    """Required, it would never get one; allowed, it changes nothing."""
    application = create_application(
        "app", authorization_grant_type=grant, redirect_uris="https://client.example/", algorithm="RS256"
    )
    page = admin_client.post(ADD_DPOP_POLICY, {"application": str(application.pk), "use": "required"})
    (message,) = page.context["adminform"].form.errors["application"]
    assert "where no DPoP proof can be sent" in message
    assert not DpopPolicy.objects.exists()
    saved = admin_client.post(ADD_DPOP_POLICY, {"application": str(application.pk), "use": "allowed"})
    assert saved.status_code == 302


def test_an_application_that_registered_itself_has_no_dpop_policy(admin_client: Client) -> None:
    application = create_application("app")
    get_application_model().objects.update(cimd_expires_at="2100-01-01T00:00:00Z")
    page = admin_client.post(ADD_DPOP_POLICY, {"application": str(application.pk), "use": "allowed"})
    (message,) = page.context["adminform"].form.errors["application"]
    assert "registered itself" in message


def test_the_form_says_where_it_has_no_effect(admin_client: Client, settings: Any) -> None:
    words = "DPOP is off in the settings"
    application = with_dpop_policy("required", "app")
    pages = (ADD_DPOP_POLICY, reverse("admin:oauth2_provider_application_change", args=[application.pk]))
    assert not [page for page in pages if words in admin_client.get(page).content.decode()]
    configure(settings, DPOP="off", METHODS=[NORMAL])
    assert not [page for page in pages if words not in admin_client.get(page).content.decode()]


@pytest.mark.parametrize("path", [DPOP_POLICIES, POLICIES], ids=["DPoP policies", "attestation policies"])
def test_a_list_costs_the_same_with_more_rows(admin_client: Client, path: str, django_assert_num_queries: Any) -> None:
    with_dpop_policy("required", "first", policy={})
    admin_client.get(path)  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(path)
    for number in range(5):
        with_dpop_policy("allowed", f"app-{number}", policy={})
    with django_assert_num_queries(len(captured)):
        page = admin_client.get(path)
    assert len(page.context["cl"].result_list) == 6


def test_a_dpop_policy_is_found(admin_client: Client) -> None:
    with_dpop_policy("required", "wallet")
    with_dpop_policy("allowed", "other")
    for query in ({"q": "wallet"}, {"use__exact": "required"}):
        (found,) = admin_client.get(DPOP_POLICIES, query).context["cl"].result_list
        assert found.application.client_id == "wallet"


@table(
    "permissions, pages",
    {
        "none": ((), {}),
        "viewing": (("view_dpoppolicy",), {DPOP_POLICIES: 200}),
        "viewing attestation policies": (("view_attestationpolicy",), {}),
        "adding": (("view_dpoppolicy", "add_dpoppolicy"), {DPOP_POLICIES: 200, ADD_DPOP_POLICY: 200}),
    },
)
def test_staff_without_rights(permissions: tuple[str, ...], pages: dict[str, int]) -> None:
    browser = colleague(*permissions)
    expected = {DPOP_POLICIES: 403, ADD_DPOP_POLICY: 403, **pages}
    assert {path: browser.get(path).status_code for path in expected} == expected


# Which methods


def test_the_methods_have_names_for_people(admin_client: Client) -> None:
    page = admin_client.get(ADD_POLICY).content.decode()
    assert "normal mode: attestation and PoP JWT" in page
    assert "combined mode: attestation and DPoP proof" in page
    assert "not in METHODS" not in page
    assert page.count("checked") == 2, "a new policy allows either"


@table(
    "offered, warned",
    {
        "both": ([NORMAL, COMBINED], []),
        "normal mode": ([NORMAL], ["combined mode: attestation and DPoP proof"]),
        "combined mode": ([COMBINED], ["normal mode: attestation and PoP JWT"]),
    },
)
def test_the_form_warns_of_a_method_that_the_server_does_not_offer(
    admin_client: Client, settings: Any, offered: list[str], warned: list[str]
) -> None:
    configure(settings, METHODS=offered)
    form = admin_client.get(ADD_POLICY).context["adminform"].form
    labels = [str(label) for _, label in form.fields["methods"].choices]
    assert [label for label in labels if "METHODS" in label] == [
        f"{mode} (not in METHODS, so not accepted)" for mode in warned
    ]


@table(
    "methods, shown",
    {
        "either": ([NORMAL, COMBINED], "normal mode, combined mode"),
        "normal mode": ([NORMAL], "normal mode"),
        "combined mode": ([COMBINED], "combined mode"),
    },
)
def test_the_list_says_which_methods_are_accepted(
    admin_client: Client, settings: Any, methods: list[str], shown: str
) -> None:
    create_application("app", policy={"methods": methods})
    assert f'<td class="field-method_names">{shown}</td>' in admin_client.get(POLICIES).content.decode()
    (offered,) = {NORMAL, COMBINED} - {*methods} or {NORMAL}
    configure(settings, METHODS=[offered])
    shut_out = offered not in methods
    assert ("every request of this application is refused" in admin_client.get(POLICIES).content.decode()) is shut_out


@pytest.mark.accepts("D2", "B5")
@pytest.mark.refuses("B5")
def test_combined_mode_alone(admin_client: Client) -> None:
    client = AttestedClient()
    application = create_application("app")
    register_attester(client.backend, applications=(application,))
    policy = {"application": str(application.pk), "methods": [COMBINED], "challenge": "required"}
    assert admin_client.post(ADD_POLICY, policy).status_code == 302
    assert AttestationPolicy.objects.get().methods == [COMBINED]
    client.refused(Reason.METHOD_NOT_ALLOWED)
    client.accepted(headers=client.combined())


# What is bound stays bound


@pytest.fixture
def bound() -> Any:
    """An application with everything of it bound to a key; its access and refresh tokens are gone on request."""
    application = with_dpop_policy("required", "app", authorization_grant_type="authorization-code")
    create_refresh_token(application)
    create_code(application)
    id_token = get_id_token_model().objects.create(
        application=application, user=alice(), scope="openid", expires="2100-01-01T00:00:00Z"
    )
    confirmations.confirm_access_token(get_access_token_model().objects.get(), KEY)
    confirmations.confirm_refresh_token(get_refresh_token_model().objects.get(), KEY)
    confirmations.confirm_id_token(id_token, KEY)
    confirmations.confirm_code(get_grant_model().objects.get(), KEY)
    assert count() == (1, 1, 1, 1)
    return application


@pytest.mark.refuses("D6", "D7")
def test_confirmations_have_no_page_no_address_and_no_right() -> None:
    """With its confirmation deleted, a bound token would be a bearer token: that is nobody's right."""
    names = {model._meta.model_name for model in CONFIRMATIONS}
    assert not {model._meta.model_name for model in admin.site._registry} & names
    inlines = {inline.model for model_admin in admin.site._registry.values() for inline in model_admin.inlines}
    assert not inlines & {*CONFIRMATIONS}
    assert not [str(name) for name in get_resolver().reverse_dict if "confirmation" in str(name)]
    assert not Permission.objects.filter(content_type__model__in=names).exists()
    assert Permission.objects.filter(content_type__model="dpoppolicy").exists()


@pytest.mark.refuses("D6")
def test_no_page_of_what_is_bound_names_the_confirmation(admin_client: Client, bound: Any) -> None:
    rows = (
        bound,
        get_access_token_model().objects.get(),
        get_refresh_token_model().objects.get(),
        get_id_token_model().objects.get(),
        get_grant_model().objects.get(),
    )
    for row in rows:
        label = row._meta.label_lower.replace(".", "_")
        page = admin_client.get(reverse(f"admin:{label}_change", args=[row.pk]))
        assert page.status_code == 200
        assert "confirmation" not in page.content.decode()
        assert KEY not in page.content.decode()


@table(
    "model, left",
    {
        "an ID token": (get_id_token_model, (1, 1, 0, 1)),
        "a code": (get_grant_model, (1, 1, 1, 0)),
    },
)
def test_what_is_deleted_in_the_admin_goes_with_its_confirmation(
    admin_client: Client, bound: Any, model: Any, left: tuple[int, ...]
) -> None:
    row = model().objects.get()
    page = admin_client.post(delete_page(model(), row), {"post": "yes"})
    assert page.status_code == 302
    assert not model().objects.exists()
    assert count() == left


@pytest.mark.parametrize("model", [get_access_token_model, get_refresh_token_model], ids=["access", "refresh"])
def test_revoking_in_the_admin(admin_client: Client, bound: Any, model: Any) -> None:
    """django-oauth-toolkit deletes the access token and keeps the refresh token, which stays bound."""
    label = model()._meta.label_lower.replace(".", "_")
    chosen = {"action": "revoke_tokens", "_selected_action": [model().objects.get().pk]}
    assert admin_client.post(reverse(f"admin:{label}_changelist"), chosen).status_code == 302
    assert count() == (0, 1, 1, 1)


@pytest.mark.parametrize("of", ["application", "user"])
def test_deleting_an_application_or_a_user_in_the_admin(admin_client: Client, bound: Any, of: str) -> None:
    """It is the host that keeps one with tokens from being deleted there; a confirmation does not."""
    row = bound if of == "application" else alice()
    page = delete_page(type(row), row)
    lacking = admin_client.get(page).context["perms_lacking"]
    assert lacking
    assert not [name for name in lacking if "confirmation" in str(name)]
    get_refresh_token_model().objects.all().delete()
    get_access_token_model().objects.all().delete()
    assert count() == (0, 0, 1, 1)
    shown = admin_client.get(page)
    assert not shown.context["perms_lacking"]
    assert not shown.context["protected"]
    assert admin_client.post(page, {"post": "yes"}).status_code == 302
    assert count() == (0, 0, 0, 0)
    assert DpopPolicy.objects.exists() is (of == "user")


# Instances


@pytest.mark.accepts("D6")
def test_the_list_of_instances_counts_bound_tokens(admin_client: Client) -> None:
    """Whichever mode the instance attested in, and whatever its tokens are bound to besides."""
    client = DOORS_BY_NAME["client_credentials"].register()
    client.accepted()
    client.accepted(headers=client.combined())
    client.accepted(headers={**client.headers(), "DPoP": client.another().dpop()})
    assert models.AccessTokenConfirmation.objects.count() == 2
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(INSTANCES).content.decode()
    assert '<td class="field-access_tokens">3</td>' in page
    for _ in range(3):
        client.accepted(headers=client.combined())
    with CaptureQueriesContext(connection) as again:
        assert '<td class="field-access_tokens">6</td>' in admin_client.get(INSTANCES).content.decode()
    assert len(again) <= len(captured)
    page = reverse("admin:oauth_client_attestation_clientinstance_change", args=[ClientInstance.objects.get().pk])
    assert '<div class="readonly">6</div>' in admin_client.get(page).content.decode()

    chosen = {"action": "block", "_selected_action": [ClientInstance.objects.get().pk]}
    admin_client.post(INSTANCES, chosen)
    assert not get_access_token_model().objects.exists()
    assert count() == (0, 0, 0, 0)
