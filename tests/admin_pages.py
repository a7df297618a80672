"""The admin as staff see it: its pages, the forms as a browser submits them, and staff with certain rights."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from oauth_client_attestation.models import Attester
from oauth_client_attestation.testing import public_jwk

LIST = reverse("admin:oauth_client_attestation_attester_changelist")
ADD = reverse("admin:oauth_client_attestation_attester_add")
FETCH = reverse("admin:oauth_client_attestation_attester_fetch")
POLICIES = reverse("admin:oauth_client_attestation_attestationpolicy_changelist")
ADD_POLICY = reverse("admin:oauth_client_attestation_attestationpolicy_add")
DPOP_POLICIES = reverse("admin:oauth_client_attestation_dpoppolicy_changelist")
ADD_DPOP_POLICY = reverse("admin:oauth_client_attestation_dpoppolicy_add")
SIGNAL_POLICIES = reverse("admin:oauth_client_attestation_attestationsignalpolicy_changelist")
ADD_SIGNAL_POLICY = reverse("admin:oauth_client_attestation_attestationsignalpolicy_add")
REFUSALS = reverse("admin:oauth_client_attestation_refusal_changelist")
AUTOCOMPLETE = reverse("admin:autocomplete")


def change(attester: Attester) -> str:
    """Return the page of an attester."""
    return reverse("admin:oauth_client_attestation_attester_change", args=[attester.pk])


def colleague(*permissions: str) -> Client:
    """A browser with the session of staff who have these rights alone."""
    user = User.objects.create_user("colleague", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def form(**fields: Any) -> dict[str, Any]:
    """Return the form of an attester as a browser submits it, without rows of its inlines."""
    inlines = {}
    for prefix in ("attesterapplication_set", "keys", "trust_anchors"):
        inlines |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return {"name": "Acme", "enabled": "on", "issuer": "", **inlines, **fields}


def submitted(page: Any, **fields: Any) -> dict[str, Any]:
    """Return the whole form of a page as a browser submits it, with what is typed into it.

    :param fields: values by name; None takes a check box or a field away.
    """
    formsets = [inline.formset for inline in page.context["inline_admin_formsets"]]
    parts = [page.context["adminform"].form, *(part for formset in formsets for part in (formset, *formset.forms))]
    values: dict[str, Any] = {}
    for part in parts:
        for bound in getattr(part, "management_form", part):
            widget = getattr(bound.field.widget, "widget", bound.field.widget)  # without the buttons beside it
            prepared = bound.field.prepare_value(bound.value())
            for name, value in _sent(widget, bound.html_name, prepared):
                values.setdefault(name, []).append(value)
    return {name: value for name, value in {**values, **fields}.items() if value is not None}


def _sent(widget: Any, name: str, value: Any) -> list[tuple[str, str]]:
    """Return what a browser sends of a widget."""
    context = widget.get_context(name, value, {})["widget"]
    if "subwidgets" in context:
        return [pair for part in context["subwidgets"] for pair in _plain(part)]
    if "optgroups" in context:
        options = [option for _, group, _ in context["optgroups"] for option in group]
        return [(name, str(option["value"])) for option in options if option["selected"]]
    return _plain(context)


def _plain(context: dict[str, Any]) -> list[tuple[str, str]]:
    if context.get("type") == "file":
        return []
    if context.get("type") == "checkbox":
        return [(context["name"], "on")] if context["attrs"].get("checked") else []
    return [(context["name"], "" if context["value"] is None else str(context["value"]))]


def key_set(*keys: Any) -> str:
    """Return a JWK Set of the public parts of keys."""
    return json.dumps({"keys": [public_jwk(key) for key in keys]})


def public_pem(private: Any) -> str:
    """Return the public part of a key in PEM."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
