"""Policy and attesters on the application's page, whichever class of the site shows applications."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from oauth2_provider.admin import ApplicationAdmin
from oauth2_provider.models import get_application_model

from oauth_client_attestation.admin import (
    AttestationPolicyAdmin,
    AttestationPolicyInline,
    AttestationSignalPolicyInline,
    AttesterAdmin,
    DpopPolicyInline,
    TrustedAttesterInline,
)
from oauth_client_attestation.admin.applications import ApplicationInlines
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import AttestationPolicy, Attester, AttesterApplication, DpopPolicy
from oauth_client_attestation.testing import AttesterBackend
from tests.admin_pages import ADD_POLICY, colleague, submitted
from tests.kit import AttestedClient, configure, create_application, register_attester, table

pytestmark = pytest.mark.django_db

POLICY = "client_attestation_policy"
DPOP_POLICY = "dpop_policy"


def page_of(application: Any) -> str:
    return reverse("admin:oauth2_provider_application_change", args=[application.pk])


def added(page: Any, prefix: str = POLICY, **fields: Any) -> dict[str, Any]:
    """Return the form of a page with a policy added, everything as offered."""
    (formset,) = [inline.formset for inline in page.context["inline_admin_formsets"] if inline.formset.prefix == prefix]
    offered = {bound.html_name.replace("__prefix__", "0"): bound.value() for bound in formset.empty_form}
    offered[f"{prefix}-0-application"] = formset.instance.pk
    sent = {name: value for name, value in offered.items() if value is not None}
    return submitted(page, **sent, **{f"{prefix}-TOTAL_FORMS": "1"}, **fields)


def errors(page: Any) -> str:
    assert page.status_code == 200
    return str([inline.formset.errors for inline in page.context["inline_admin_formsets"]])


@pytest.mark.accepts("B5")
@pytest.mark.refuses("B5")
def test_a_policy_from_the_applications_page(admin_client: Client) -> None:
    """Everything as offered is a policy too, and saving the page without one makes none."""
    client = AttestedClient()
    application = create_application("app")
    register_attester(client.backend, applications=(application,))
    page = admin_client.get(page_of(application))
    assert admin_client.post(page_of(application), submitted(page)).status_code == 302
    assert not AttestationPolicy.objects.exists()

    saved = admin_client.post(page_of(application), added(page))
    assert saved.status_code == 302, errors(saved)
    policy = AttestationPolicy.objects.get()
    assert policy.challenge == "required"
    assert policy.methods == ["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"]
    client.accepted()
    client.accepted(headers=client.combined())
    secret = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    client.refused(Reason.ATTESTATION_REQUIRED, headers={}, data=secret)

    page = admin_client.get(page_of(application))
    changed = submitted(page, **{f"{POLICY}-0-challenge": "optional", f"{POLICY}-0-oldest_revision": "7"})
    assert admin_client.post(page_of(application), changed).status_code == 302
    policy.refresh_from_db()
    assert (policy.challenge, policy.oldest_revision) == ("optional", 7)


@pytest.mark.accepts("D6")
@pytest.mark.refuses("D6")
def test_a_dpop_policy_from_the_applications_page(admin_client: Client) -> None:
    """Of an application that is not attested: the same as on the page of its own, everything as offered."""
    client = AttestedClient()
    client.application = create_application("app")
    url = page_of(client.application)
    page = admin_client.get(url)
    assert admin_client.post(url, submitted(page)).status_code == 302
    assert not DpopPolicy.objects.exists()

    saved = admin_client.post(url, added(page, DPOP_POLICY))
    assert saved.status_code == 302, errors(saved)
    assert DpopPolicy.objects.get().use == "required"
    secret = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    client.refused(Reason.DPOP_REQUIRED, headers={}, data=secret)
    bound = client.post(headers={"DPoP": client.dpop()}, data=secret)
    assert bound.json()["token_type"] == "DPoP"

    page = admin_client.get(url)
    assert admin_client.post(url, submitted(page, **{f"{DPOP_POLICY}-0-use": "allowed"})).status_code == 302
    assert DpopPolicy.objects.get().use == "allowed"
    assert client.post(headers={}, data=secret).json()["token_type"] == "Bearer"


@pytest.mark.refuses("D6")
def test_dpop_is_not_required_where_no_proof_can_be_sent(admin_client: Client) -> None:
    """Neither by a new policy nor by giving another grant to an application that has one."""
    application = create_application("app", redirect_uris="https://client.example/")
    implicit = {"authorization_grant_type": "implicit"}
    url = page_of(application)
    shown = admin_client.post(url, added(admin_client.get(url), DPOP_POLICY, **implicit))
    assert "where no DPoP proof can be sent" in shown.content.decode()
    assert not DpopPolicy.objects.exists()
    DpopPolicy.objects.create(application=application)
    shown = admin_client.post(url, submitted(admin_client.get(url), **implicit))
    assert "where no DPoP proof can be sent" in shown.content.decode()
    application.refresh_from_db()
    assert application.authorization_grant_type == "client-credentials"
    allowed = {**implicit, f"{DPOP_POLICY}-0-use": "allowed"}
    assert admin_client.post(url, submitted(admin_client.get(url), **allowed)).status_code == 302


@pytest.mark.parametrize("exists", [False, True], ids=["adding a policy", "changing the grant"])
@pytest.mark.refuses("B5")
def test_what_is_wrong_with_the_application_is_shown(admin_client: Client, exists: bool) -> None:
    """Its own field is hidden in the inline, and what it says must not be."""
    application = create_application("app", policy={} if exists else None, redirect_uris="https://client.example/")
    page = admin_client.get(page_of(application))
    implicit = {"authorization_grant_type": "implicit"}
    shown = admin_client.post(page_of(application), submitted(page, **implicit) if exists else added(page, **implicit))
    assert "given tokens at the authorization endpoint" in errors(shown)
    assert "given tokens at the authorization endpoint" in shown.content.decode()
    application.refresh_from_db()
    assert application.authorization_grant_type == "client-credentials"


@pytest.mark.accepts("T5")
@pytest.mark.refuses("T5")
def test_attesters_are_linked_and_unlinked(admin_client: Client) -> None:
    client = AttestedClient()
    client.application = create_application("app", policy={})
    attester = register_attester(client.backend)
    client.refused(Reason.ATTESTER_NOT_TRUSTED)
    url = page_of(client.application)
    page = admin_client.get(url)
    link = {"trusted_attesters-TOTAL_FORMS": "1", "trusted_attesters-0-attester": str(attester.pk)}
    assert admin_client.post(url, submitted(page, **link)).status_code == 302
    client.accepted()
    page = admin_client.get(url)
    assert admin_client.post(url, submitted(page, **{"trusted_attesters-0-DELETE": "on"})).status_code == 302
    client.refused(Reason.ATTESTER_NOT_TRUSTED)


def test_the_page_says_who_is_trusted(admin_client: Client) -> None:
    application = create_application("app", policy={})
    policy = reverse("admin:oauth_client_attestation_attestationpolicy_change", args=[application.pk])
    policy = policy.replace(str(application.pk), str(AttestationPolicy.objects.get().pk))
    nobody = "every request of this application is refused"
    assert nobody in admin_client.get(page_of(application)).content.decode()
    assert nobody in admin_client.get(policy).content.decode()
    register_attester(AttesterBackend(), "Off", applications=(application,), enabled=False)
    register_attester(AttesterBackend(), "Linked", applications=(application,))
    register_attester(AttesterBackend(), "Everywhere", all_applications=True)
    for url in (page_of(application), policy):
        assert "Everywhere (for all applications), Linked</div>" in admin_client.get(url).content.decode()
    assert nobody not in admin_client.get(ADD_POLICY).content.decode()


def test_the_page_costs_the_same_with_more_attesters(admin_client: Client, django_assert_num_queries: Any) -> None:
    application = create_application("app", policy={})
    DpopPolicy.objects.create(application=application)
    register_attester(AttesterBackend(), "First", applications=(application,))
    admin_client.get(page_of(application))  # content types are looked up once in a process
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(page_of(application))
    for number in range(5):
        register_attester(AttesterBackend(), str(number), applications=(application,))
    with django_assert_num_queries(len(captured)):
        admin_client.get(page_of(application))


@table(
    "permissions, shown",
    {
        "neither": ((), set()),
        "policies": (("view_attestationpolicy",), {AttestationPolicy}),
        "attesters": (("view_attesterapplication",), {AttesterApplication}),
        "DPoP policies": (("view_dpoppolicy",), {DpopPolicy}),
    },
)
@pytest.mark.refuses("B5", "T5", "D6")
def test_each_is_a_right_of_its_own(permissions: tuple[str, ...], shown: set[type]) -> None:
    application = create_application("app", policy={})
    DpopPolicy.objects.create(application=application)
    browser = colleague("view_application", "change_application", *permissions)
    page = browser.get(page_of(application))
    assert {inline.formset.model for inline in page.context["inline_admin_formsets"]} == shown
    stolen = {f"{POLICY}-TOTAL_FORMS": "1", f"{POLICY}-INITIAL_FORMS": "1", f"{POLICY}-0-DELETE": "on"}
    stolen |= {f"{POLICY}-0-id": str(AttestationPolicy.objects.get().pk)}
    stolen |= {name.replace(POLICY, DPOP_POLICY): value for name, value in stolen.items()}
    stolen |= {f"{DPOP_POLICY}-0-id": str(DpopPolicy.objects.get().pk)}
    browser.post(page_of(application), submitted(page, **stolen))
    assert AttestationPolicy.objects.exists()
    assert DpopPolicy.objects.exists()


def test_the_switch(admin_client: Client, settings: Any) -> None:
    configure(settings, ADMIN_APPLICATION_INLINE=False)
    page = admin_client.get(page_of(create_application("app")))
    assert page.context["inline_admin_formsets"] == []


class OwnInline(admin.TabularInline):
    """A site's own way to show the policy."""

    model = AttestationPolicy


class OwnAdmin(ApplicationAdmin):
    inlines = (OwnInline,)


class ChangingAdmin(ApplicationAdmin):
    """Chooses its inlines by itself."""

    def get_inlines(self, request: Any, obj: Any) -> list[Any]:
        return [OwnInline] if obj is None else []


@table(
    "application_admin, on_add, on_change",
    {
        "the host's": (
            ApplicationAdmin,
            [AttestationPolicyInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
            [AttestationPolicyInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
        ),
        "one that shows the policy": (
            OwnAdmin,
            [OwnInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
            [OwnInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
        ),
        "one that chooses": (
            ChangingAdmin,
            [OwnInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
            [AttestationPolicyInline, TrustedAttesterInline, DpopPolicyInline, AttestationSignalPolicyInline],
        ),
    },
)
def test_another_admin_site(rf: Any, application_admin: type, on_add: list[Any], on_change: list[Any]) -> None:
    """What is registered is extended and not replaced, and the classes of the site stay what they are."""
    model = get_application_model()
    site = admin.AdminSite("second")
    site.register(model, application_admin)
    site.register(Attester, AttesterAdmin)
    site.register(AttestationPolicy, AttestationPolicyAdmin)
    registered = site.get_model_admin(model)
    assert site.urls
    assert site.urls
    assert site.get_model_admin(model) is registered
    assert type(registered).__mro__[1:3] == (ApplicationInlines, application_admin)
    assert isinstance(registered, application_admin)
    assert registered.get_inlines(rf.get("/"), None) == on_add
    assert registered.get_inlines(rf.get("/"), model()) == on_change
    assert not issubclass(application_admin, ApplicationInlines)


def test_a_site_that_shows_no_applications_or_no_policies() -> None:
    site = admin.AdminSite("second")
    site.register(AttestationPolicy, AttestationPolicyAdmin)
    assert site.urls
    site = admin.AdminSite("third")
    site.register(get_application_model(), ApplicationAdmin)
    assert site.urls
    assert type(site.get_model_admin(get_application_model())) is ApplicationAdmin


# Whatever the order of the apps: each in a process of its own

SITE = """
from testproject.settings import *

INSTALLED_APPS = [name for name in INSTALLED_APPS if name not in ("oauth_client_attestation", "oauth2_provider")]
INSTALLED_APPS = [*{first!r}, *INSTALLED_APPS, *{last!r}]
{settings}
"""
SCRIPT = """
import django
django.setup()
from django.core.management import call_command
from django.urls import resolve, reverse
from oauth2_provider.models import get_application_model

call_command("check", fail_level="ERROR")
meta = get_application_model()._meta
shown_by = resolve(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[1])).func.model_admin
names = [inline.__name__ for inline in shown_by.get_inlines(None, None)]
print(type(shown_by).__name__, shown_by.list_display[0], *names)
"""
OWN_CLASS = """
from oauth2_provider.admin import ApplicationAdmin

class ShopAdmin(ApplicationAdmin):
    list_display = ("client_id",)
"""
MODELS = """
from oauth2_provider.models import AbstractApplication

class Client(AbstractApplication):
    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
"""
REPLACED = """
from django.contrib import admin
from oauth2_provider.models import get_application_model

@admin.register(get_application_model())
class ReplacedAdmin(admin.ModelAdmin):
    list_display = ("client_id",)
"""
UNREGISTER = """
from django.contrib import admin
from oauth2_provider.models import get_application_model

admin.site.unregister(get_application_model())
"""
OURS, HOST, SHOP = "oauth_client_attestation", "oauth2_provider", "shop"
OWN_SETTING = "OAUTH2_PROVIDER = {**OAUTH2_PROVIDER, 'APPLICATION_ADMIN_CLASS': 'shop.classes.ShopAdmin'}"
SWAPPED_SETTING = "OAUTH2_PROVIDER_APPLICATION_MODEL = 'shop.Client'"


@table(
    "first, last, settings, files, shown",
    {
        "ours before the host, both before the admin": ([OURS, HOST], [], "", {}, "ApplicationAdmin pk"),
        "the host before ours": ([HOST, OURS], [], "", {}, "ApplicationAdmin pk"),
        "both after the admin": ([], [HOST, OURS], "", {}, "ApplicationAdmin pk"),
        "ours after the admin and before the host": ([], [OURS, HOST], "", {}, "ApplicationAdmin pk"),
        "a class of the site, ours first": ([OURS, HOST], [SHOP], OWN_SETTING, {}, "ShopAdmin client_id"),
        "a class of the site, ours last": ([SHOP, HOST], [OURS], OWN_SETTING, {}, "ShopAdmin client_id"),
        "a class that replaces the host's, long after ours": (
            [OURS, HOST],
            [SHOP],
            "",
            {"admin.py": UNREGISTER + REPLACED},
            "ReplacedAdmin client_id",
        ),
        "a model of the site, ours first": (
            [OURS, HOST],
            [SHOP],
            SWAPPED_SETTING,
            {"models.py": MODELS},
            "ApplicationAdmin pk",
        ),
        "a model and a class of the site, ours last": (
            [SHOP, HOST],
            [OURS],
            f"{SWAPPED_SETTING}\n{OWN_SETTING}",
            {"models.py": MODELS},
            "ShopAdmin client_id",
        ),
    },
)
def test_any_order_of_apps(
    tmp_path: Path, first: list[str], last: list[str], settings: str, files: dict[str, str], shown: str
) -> None:
    shop = tmp_path / SHOP
    shop.mkdir()
    for name, text in {"__init__.py": "", "classes.py": OWN_CLASS, **files}.items():
        (shop / name).write_text(text)
    (tmp_path / "site_settings.py").write_text(SITE.format(first=first, last=last, settings=settings))
    root = Path(__file__).parents[2]
    path = os.pathsep.join(map(str, (tmp_path, root, root / "testproject")))
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "site_settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.splitlines()[-1]
        == f"{shown} AttestationPolicyInline TrustedAttesterInline DpopPolicyInline AttestationSignalPolicyInline"
    )
