"""Migrations: complete, applicable from nothing, and the same for sites that swap django-oauth-toolkit's models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SITE = """
from testproject.settings import *

DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
{swapped}
"""
SWAPPED = """
INSTALLED_APPS = ["shop", *INSTALLED_APPS]
OAUTH2_PROVIDER_APPLICATION_MODEL = "shop.Client"
"""
MODELS = """
from oauth2_provider.models import AbstractApplication

class Client(AbstractApplication):
    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
"""
SCRIPT = """
import importlib, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from oauth2_provider.models import get_application_model
from oauth_client_attestation.models import AttestationPolicy, AttestationSignalPolicy, Attester, DpopPolicy

if "shop" in sys.argv:
    call_command("makemigrations", "shop", verbosity=0)
    importlib.invalidate_caches()
# Without the app's label: a change would show up under another app if a foreign key led there.
call_command("makemigrations", check_changes=True, dry_run=True)
call_command("migrate", interactive=False, no_color=True)
call_command("check", no_color=True)

Application = get_application_model()
application = Application.objects.create(
    client_id="app", client_type="confidential", authorization_grant_type="client-credentials"
)
AttestationPolicy.objects.create(application=application)
AttestationSignalPolicy.objects.create(application=application)
DpopPolicy.objects.create(application=application)
Attester.objects.create(name="Acme").applications.add(application)
methods = ["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"]
assert application.client_attestation_policy.methods == methods
assert application.dpop_policy.use == "required"
assert application.client_attestation_signal.use == "required"
assert application.client_attesters.get().name == "Acme"
connection.check_constraints()
application.delete()
assert not AttestationPolicy.objects.exists()
assert not AttestationSignalPolicy.objects.exists()
assert not DpopPolicy.objects.exists()
print("Stored with", Application._meta.label)
call_command("migrate", "oauth_client_attestation", "zero", no_color=True)
"""

pytestmark = pytest.mark.parametrize("swapped", [False, True], ids=["default models", "swapped application"])


@pytest.fixture
def site(tmp_path: Path, swapped: bool) -> Path:
    """A site's settings, and its app with an application model of its own where ``swapped``."""
    (tmp_path / "site_settings.py").write_text(
        SITE.format(database=str(tmp_path / "db.sqlite3"), swapped=SWAPPED if swapped else "")
    )
    migrations = tmp_path / "shop" / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations.parent, migrations):
        (package / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(MODELS)
    return tmp_path


def test_from_nothing_to_rows_and_back(site: Path, swapped: bool) -> None:
    """In a process of its own, since models are loaded once; in one, since each start costs a second."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CACHE_URL")},
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "testproject"), str(ROOT)]),
        "DJANGO_SETTINGS_MODULE": "site_settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *(["shop"] if swapped else [])],
        cwd=site,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "No changes detected" in said
    assert "Applying oauth_client_attestation.0001_initial... OK" in said
    assert "System check identified no issues" in said
    assert f"Stored with {'shop.Client' if swapped else 'oauth2_provider.Application'}" in said
    assert "Unapplying oauth_client_attestation.0001_initial... OK" in said
