"""A site with pushed authorization requests: what it says about them, and what its checks say about the site."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client

from tests.kit import ISSUER, configure, provider
from tests.shell.par import answer_of, attested, browser, consent, url_of

pytestmark = pytest.mark.django_db

PAR_MEMBERS = ("pushed_authorization_request_endpoint", "require_pushed_authorization_requests")
DOCUMENTS = ["/.well-known/oauth-authorization-server", "/o/.well-known/oauth-authorization-server"]


@pytest.mark.parametrize("url", [*DOCUMENTS, "/.well-known/openid-configuration"])
@pytest.mark.parametrize("required", [False, True])
def test_pushed_requests_are_advertised_as_they_are_served(settings: Any, url: str, required: bool) -> None:
    """RFC 9126 section 5; without the second member, pushing is not required."""
    configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=required)
    with provider(OIDC_ENABLED=True):
        document = Client().get(url).json()
    assert {name: document.get(name) for name in PAR_MEMBERS} == {
        "pushed_authorization_request_endpoint": f"{ISSUER}/o/par/",
        "require_pushed_authorization_requests": required or None,
    }


@pytest.mark.urls("tests.shell.test_metadata_everywhere")
def test_pushed_requests_that_are_not_served_are_not_advertised() -> None:
    document = Client().get(DOCUMENTS[0]).json()
    assert not set(PAR_MEMBERS) & set(document)


@pytest.mark.urls("tests.shell.par_urls")
def test_pushed_requests_that_could_not_be_used_are_not_advertised() -> None:
    """The endpoint has a route, and the authorization endpoint is another's."""
    document = Client().get(DOCUMENTS[0]).json()
    assert not set(PAR_MEMBERS) & set(document)


def checks() -> list[str]:
    """Return the ids of what this package's checks say, but for W006: these sites leave registration to the host."""
    said = [str(message.id) for message in run_checks() if str(message.id).startswith("oauth_client_attestation")]
    return [name for name in said if name != "oauth_client_attestation.W006"]


def test_a_site_that_serves_them_is_in_order(settings: Any) -> None:
    configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    assert checks() == []


@pytest.mark.urls("tests.shell.par_urls")
def test_a_site_that_cannot_use_them_is_warned() -> None:
    assert checks() == ["oauth_client_attestation.W004"]


@pytest.mark.parametrize("urls", ["tests.shell.par_urls", "tests.shell.test_metadata_everywhere"])
def test_a_site_that_requires_what_it_does_not_serve_is_told(settings: Any, urls: str) -> None:
    settings.ROOT_URLCONF = urls
    configure(settings, REQUIRE_PUSHED_AUTHORIZATION_REQUESTS=True)
    assert "oauth_client_attestation.E007" in checks()


@pytest.mark.urls("tests.shell.test_metadata_everywhere")
def test_a_site_without_them_is_left_in_peace() -> None:
    assert checks() == ["oauth_client_attestation.W002"]


@pytest.mark.urls("tests.shell.par_own_view")
def test_a_site_may_have_a_view_of_its_own() -> None:
    """With a form and a page of its own, of which the decision and the site's fields are its business."""
    assert checks() == []
    pusher = attested()
    http, url = browser(), url_of("app", pusher.pushed())
    page = http.get(url)
    assert page.context["pushed"] is True
    assert "remember" in page.context["form"].fields
    answer = consent(http, url, remember="on", scope="introspection")
    assert answer.headers["X-Remember"] == "True"
    assert pusher.redeem(answer_of(answer)["code"]).json()["scope"] == "read write"
