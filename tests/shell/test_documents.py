"""Clients that are known by their client ID metadata document, where it asks for attestation (rules K1, B5, H5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core import checks
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connections
from django.utils import timezone
from oauth2_provider.cimd import CIMDError, _fetch_validate_upsert
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from oauth_client_attestation import instances
from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.models import (
    AttestationPolicy,
    Attester,
    AttesterApplication,
    BlockedInstance,
    ClientInstance,
)
from oauth_client_attestation.registration.checks import check_documents
from oauth_client_attestation.registration.documents import AttestedDocumentFetcher, AttestedDocumentMixin
from oauth_client_attestation.testing import AttesterBackend
from tests.kit import (
    AUTHORIZATION_REQUEST,
    CODE_CHALLENGE,
    PAR,
    REDIRECT_URI,
    TOKEN,
    AttestedClient,
    configure,
    create_refresh_token,
    provider,
    register_attester,
    stored,
    table,
)
from tests.shell import par

pytestmark = pytest.mark.django_db

URL = "https://client.example/client.json"
METHOD = "attest_jwt_client_auth"
DOCUMENT = {
    "client_id": URL,
    "client_name": "Wallet",
    "redirect_uris": [REDIRECT_URI],
    "token_endpoint_auth_method": METHOD,
    "client_attestation_signing_alg_values_supported": ["ES256"],
}


class Published:
    """A fetcher of a site's own: what is published where, and what was asked for."""

    documents: ClassVar[dict[str, dict[str, Any]]] = {}
    fetched: ClassVar[list[str]] = []

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        self.fetched.append(client_id)
        if client_id not in self.documents:
            raise CIMDError("client_id document returned HTTP 404")
        return dict(self.documents[client_id]), 300


class Fetcher(AttestedDocumentMixin, Published):
    """The same, for documents that ask for attestation."""


@dataclass
class Site:
    """A client, and what it publishes."""

    client: AttestedClient = field(default_factory=lambda: AttestedClient(client_id=URL))

    def publish(self, **changes: Any) -> None:
        """Publish the document, with members changed; None takes one out."""
        document = {**DOCUMENT, **changes}
        Published.documents[URL] = {name: value for name, value in document.items() if value is not None}

    def push(self, client: AttestedClient | None = None, **request: Any) -> Any:
        """Push a good authorization request."""
        return (client or self.client).post(PAR, dict(AUTHORIZATION_REQUEST), **request)

    def pushed(self) -> Any:
        """Push, and assert that it is accepted; return the application."""
        response = self.push()
        assert response.status_code == 201, response.content
        return get_application_model().objects.get(client_id=URL)

    def unknown(self, reason: Reason, *, fetched: bool = False, **request: Any) -> None:
        """Push, and assert that it is refused, and that nothing was fetched or written for it."""
        Published.fetched.clear()
        self.client.refused(reason, send=lambda: self.push(**request))
        assert bool(Published.fetched) == fetched
        assert not get_application_model().objects.exists()

    def expire(self) -> None:
        """Let the stored document grow old, and what was given out with it."""
        cache.clear()
        past = timezone.now() - timedelta(days=1)
        get_application_model().objects.update(cimd_expires_at=past)
        get_access_token_model().objects.update(expires=past)
        get_refresh_token_model().objects.update(revoked=past)

    def prune(self) -> None:
        """Let the host delete the row."""
        self.expire()
        call_command("clearcimdapplications", verbosity=0)
        assert not get_application_model().objects.filter(client_id=URL).exists()


@pytest.fixture
def site(settings: Any) -> Any:
    """A site that takes documents, and an attester that vouches for such clients."""
    cache.clear()
    Published.documents.clear()
    Published.fetched.clear()
    site = Site()
    site.publish()
    register_attester(site.client.backend)
    configure(settings, METADATA_DOCUMENT_ATTESTERS=["Acme"])
    with provider(CIMD_ENABLED=True, CIMD_METADATA_FETCHER=f"{__name__}.Fetcher"):
        yield site
    cache.clear()


@pytest.mark.accepts("K1", "H5")
def test_a_client_is_made_of_its_document_and_gets_a_token(site: Site) -> None:
    pusher = par.Pusher(URL, attested=site.client)
    answer = par.answer_of(par.consent(par.browser(), par.url_of(URL, pusher.pushed())))
    response = pusher.redeem(answer["code"])
    assert response.status_code == 200, response.content
    refresh = {"grant_type": "refresh_token", "refresh_token": response.json()["refresh_token"]}
    site.client.accepted(data=refresh)
    assert Published.fetched == [URL]


@pytest.mark.accepts("K1", "B5", "T5")
def test_what_is_stored_of_it(site: Site) -> None:
    application = site.pushed()
    assert application.client_type == "confidential"
    assert application.client_secret
    assert application.client_attestation_policy.methods == [METHOD]
    assert [attester.name for attester in application.client_attesters.all()] == ["Acme"]
    assert application.client_attestation_registration.attestation_algorithms == ["ES256"]


@pytest.mark.refuses("K1", "A3", "H5")
@table(
    "reason, spoil",
    {
        "an attestation of a stranger": (
            Reason.ATTESTATION_SIGNATURE,
            lambda client: {"headers": client.headers(AttesterBackend().attest(client.instance, URL))},
        ),
        "one of an unknown attester": (
            Reason.ATTESTER_NOT_TRUSTED,
            lambda client: {"headers": client.headers(AttesterBackend(key_id="x").attest(client.instance, URL))},
        ),
        "an expired one": (
            Reason.ATTESTATION_EXPIRED,
            lambda client: {"headers": client.headers(client.attestation(lifetime=-3600))},
        ),
        "a proof without a challenge": (
            Reason.CHALLENGE_MISSING,
            lambda client: {"headers": client.headers(pop=client.pop(challenge=None))},
        ),
        "a proof for somebody else": (
            Reason.POP_AUD,
            lambda client: {"headers": client.headers(pop=client.pop(audience="https://elsewhere.example"))},
        ),
        "the proof of another instance": (
            Reason.POP_SIGNATURE,
            lambda client: {"headers": client.headers(pop=client.another().pop())},
        ),
    },
)
def test_nothing_is_fetched_or_written_for_whom_nobody_vouches(site: Site, reason: Reason, spoil: Any) -> None:
    site.unknown(reason, **spoil(site.client))


@pytest.mark.refuses("K1", "T5")
@table(
    "reason, attester, names",
    {
        "nobody is named": (Reason.CLIENT_NOT_REGISTERED, {}, []),
        "another one is named": (Reason.ATTESTER_NOT_TRUSTED, {}, ["Other"]),
        "one trusted for all applications is not named": (
            Reason.ATTESTER_NOT_TRUSTED,
            {"all_applications": True},
            ["Other"],
        ),
        "the one that is named is disabled": (Reason.ATTESTER_NOT_TRUSTED, {"enabled": False}, ["Acme"]),
        "its name is written in other letters": (Reason.ATTESTER_NOT_TRUSTED, {}, ["ACME"]),
    },
)
def test_without_an_attester_in_the_settings_it_is_refused(
    site: Site, settings: Any, reason: Reason, attester: dict[str, Any], names: list[str]
) -> None:
    Attester.objects.update(**attester)
    configure(settings, METADATA_DOCUMENT_ATTESTERS=names, REGISTRATION_ATTESTERS=["Acme"])
    site.unknown(reason)


@pytest.mark.refuses("K1")
@table(
    "client_id",
    {
        "it has a NUL": f"{URL}\0",
        "it is too long to be stored": f"{URL}?{'x' * 300}",
        "it is not https": "http://client.example/client.json",
    },
)
def test_a_name_of_which_no_client_is_made(site: Site, client_id: str) -> None:
    site.client.client_id = client_id
    Published.documents[client_id] = {**DOCUMENT, "client_id": client_id}
    before = stored()
    response = site.push()
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    assert stored() == before
    assert not get_application_model().objects.exists()


@pytest.mark.refuses("K1")
def test_where_documents_are_not_taken_nothing_is_fetched(site: Site) -> None:
    with provider(CIMD_ENABLED=False):
        site.unknown(Reason.CLIENT_NOT_REGISTERED)


@pytest.mark.refuses("K1")
def test_a_document_whose_host_the_site_does_not_allow_is_not_fetched(site: Site) -> None:
    allowed = ["oauth2_provider.cimd.HostAllowlistCIMDPermission"]
    with provider(CIMD_REGISTRATION_PERMISSION_CLASSES=allowed, CIMD_ALLOWED_HOSTS=["other.example"]):
        site.unknown(Reason.CLIENT_UNKNOWN)


@pytest.mark.refuses("K1")
@table(
    "changes",
    {
        "a secret": {"token_endpoint_auth_method": "client_secret_basic"},
        "a secret beside attestation": {"client_secret": "secret"},
        "none among the algorithms": {"client_attestation_signing_alg_values_supported": ["none"]},
        "a symmetric algorithm for proofs": {"client_attestation_pop_signing_alg_values_supported": ["HS256"]},
        "the implicit grant": {"grant_types": ["implicit"]},
        "client credentials": {"grant_types": ["client_credentials"]},
        "grants that are no array": {"grant_types": "authorization_code"},
        "another client": {"client_id": "https://client.example/other.json"},
        "no redirect URIs": {"redirect_uris": None},
    },
)
def test_a_document_that_cannot_be_accepted(site: Site, changes: dict[str, Any]) -> None:
    site.publish(**changes)
    site.unknown(Reason.CLIENT_UNKNOWN, fetched=True)


@pytest.mark.refuses("K1", "D2")
def test_a_document_with_a_method_that_is_not_offered(site: Site, settings: Any) -> None:
    configure(settings, METHODS=["attest_jwt_client_auth"])
    site.publish(token_endpoint_auth_method="attest_jwt_client_auth_dpop")
    site.unknown(Reason.CLIENT_UNKNOWN, fetched=True)


@pytest.mark.accepts("K1", "D1")
@pytest.mark.refuses("B5")
def test_a_document_with_the_combined_mode(site: Site) -> None:
    site.publish(token_endpoint_auth_method="attest_jwt_client_auth_dpop")
    site.client.refused(Reason.METHOD_NOT_ALLOWED, send=site.push)
    response = site.push(headers=site.client.combined(PAR))
    assert response.status_code == 201, response.content
    assert AttestationPolicy.objects.get().methods == ["attest_jwt_client_auth_dpop"]


@pytest.mark.refuses("K1")
def test_a_document_of_a_public_client_makes_no_attested_one(site: Site) -> None:
    site.publish(token_endpoint_auth_method="none")
    site.client.refused(Reason.CLIENT_NOT_REGISTERED, send=site.push)
    application = get_application_model().objects.get()
    assert application.client_type == "public"
    assert not AttestationPolicy.objects.exists()


@pytest.mark.refuses("B5")
def test_whoever_is_not_attested_does_not_get_in(site: Site) -> None:
    """The client is first heard of by a browser, and then by somebody who has nothing but its name."""
    page = par.browser().get("/o/authorize/", {**AUTHORIZATION_REQUEST, "client_id": URL})
    assert page.status_code == 200
    application = get_application_model().objects.get()
    assert application.client_type == "confidential"
    assert application.client_attestation_policy
    for data in (
        {"client_id": URL, "client_secret": ""},
        {"client_id": URL},
        {"client_id": URL, "client_secret": application.client_secret},
    ):
        body = {"grant_type": "refresh_token", "refresh_token": create_refresh_token(application, bound=False)}
        site.client.refused(
            Reason.ATTESTATION_REQUIRED, send=lambda body=body, data=data: site.client.http.post(TOKEN, body | data)
        )
    site.pushed()


@pytest.mark.refuses("B5")
def test_a_stranger_who_is_first_gets_nothing_either(site: Site) -> None:
    body = {"grant_type": "authorization_code", "code": "x", "client_id": URL, "redirect_uri": REDIRECT_URI}
    response = site.client.http.post(TOKEN, body)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert get_application_model().objects.get().client_type == "confidential"


@pytest.mark.refuses("B5")
def test_no_token_is_given_out_at_the_authorization_endpoint(site: Site) -> None:
    site.pushed()
    http = par.browser()
    request = {**AUTHORIZATION_REQUEST, "client_id": URL, "response_type": "token", "code_challenge": CODE_CHALLENGE}
    response = http.get("/o/authorize/", request)
    assert "access_token" not in response.headers.get("Location", "")


@pytest.mark.refuses("B5", "K1")
def test_a_row_that_was_pruned_is_made_again_as_it_was(site: Site) -> None:
    site.pushed()
    site.prune()
    assert not AttestationPolicy.objects.exists()
    again = site.pushed()
    assert again.client_type == "confidential"
    assert again.client_attestation_policy.methods == [METHOD]
    assert [attester.name for attester in again.client_attesters.all()] == ["Acme"]


@pytest.mark.refuses("B5")
def test_a_blocked_instance_stays_blocked_while_the_row_is_away(site: Site) -> None:
    application = site.pushed()
    instances.block(application.pk, site.client.instance.thumbprint)
    site.prune()
    assert not ClientInstance.objects.exists()
    assert BlockedInstance.objects.count() == 1
    before = stored()
    response = site.push()
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_attestation")
    row = ClientInstance.objects.get(thumbprint=site.client.instance.thumbprint)
    assert row.blocked
    assert not BlockedInstance.objects.exists()
    assert stored()[0] == before[0], "the proof was not even used up"
    site.client.application = row.application
    site.client.refused(Reason.INSTANCE_BLOCKED, send=site.push)
    assert site.push(site.client.another()).status_code == 201


@pytest.mark.refuses("B5")
def test_an_operator_who_deletes_the_row_does_not_unblock_either(site: Site) -> None:
    application = site.pushed()
    instances.block(application.pk, site.client.instance.thumbprint)
    application.delete()
    assert site.push().status_code == 400
    assert ClientInstance.objects.get().blocked


@pytest.mark.accepts("K1")
def test_a_document_is_fetched_again_when_it_is_old(site: Site) -> None:
    site.pushed()
    AttestationPolicy.objects.update(challenge="optional")
    AttesterApplication.objects.filter(attester__name="Acme").update(attester=register_attester(AttesterBackend(), "B"))
    AttesterApplication.objects.create(attester=Attester.objects.get(name="Acme"), application=site_application())
    site.publish(client_name="Purse", client_attestation_signing_alg_values_supported=["ES256", "ES384"])
    site.expire()
    application = site.pushed()
    assert (application.name, application.client_type) == ("Purse", "confidential")
    assert application.client_attestation_policy.challenge == "optional"
    assert application.client_attestation_registration.attestation_algorithms == ["ES256", "ES384"]
    assert Published.fetched == [URL, URL]


def site_application() -> Any:
    return get_application_model().objects.get(client_id=URL)


@pytest.mark.refuses("B5", "K1")
@table(
    "changes",
    {
        "to nothing": {"token_endpoint_auth_method": "none"},
        "to the default, which is nothing": {"token_endpoint_auth_method": None},
        "to a secret": {"token_endpoint_auth_method": "client_secret_basic"},
        "to the implicit grant as well": {"token_endpoint_auth_method": "none", "grant_types": ["implicit"]},
    },
)
def test_a_document_cannot_lead_a_client_out_of_attestation(site: Site, changes: dict[str, Any]) -> None:
    site.pushed()
    site.publish(client_name="Purse", **changes)
    site.expire()
    application = site.pushed()
    assert len(Published.fetched) == 2
    assert (application.name, application.client_type) == ("Wallet", "confidential")
    assert application.authorization_grant_type == "authorization-code"
    site.client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: site.client.http.post(PAR, {**AUTHORIZATION_REQUEST, "client_id": URL}),
    )


@pytest.mark.refuses("B5", "K1")
def test_a_document_does_not_change_which_methods_an_operator_allows(site: Site) -> None:
    site.pushed()
    AttestationPolicy.objects.update(methods=["attest_jwt_client_auth_dpop"])
    site.publish(client_name="Purse")
    site.expire()
    response = site.push(headers=site.client.combined(PAR))
    assert response.status_code == 201, response.content
    assert site_application().name == "Purse"
    assert AttestationPolicy.objects.get().methods == ["attest_jwt_client_auth_dpop"]


@pytest.mark.refuses("B5", "K1")
def test_a_document_does_not_change_to_a_method_that_an_operator_has_shut_out(site: Site) -> None:
    site.publish(token_endpoint_auth_method="attest_jwt_client_auth_dpop")
    assert site.push(headers=site.client.combined(PAR)).status_code == 201
    AttestationPolicy.objects.update(methods=["attest_jwt_client_auth_dpop", METHOD])
    AttestationPolicy.objects.update(methods=[METHOD])
    site.publish(client_name="Purse", token_endpoint_auth_method=METHOD)
    site.expire()
    site.pushed()
    site.publish(client_name="Case", token_endpoint_auth_method="attest_jwt_client_auth_dpop")
    site.expire()
    site.pushed()
    assert AttestationPolicy.objects.get().methods == [METHOD]


@pytest.mark.refuses("B5", "K1")
@table("before, after", {"to attestation": ("none", METHOD), "away from it": (METHOD, "none")})
def test_a_document_that_the_host_refuses_has_no_part_in_what_is_saved_next(
    site: Site, before: str, after: str
) -> None:
    site.publish(token_endpoint_auth_method=before)
    application = _fetch_validate_upsert(URL)
    site.publish(token_endpoint_auth_method=after, client_id="https://client.example/other.json")
    with pytest.raises(CIMDError, match="does not match"):
        _fetch_validate_upsert(URL)
    policies = AttestationPolicy.objects.count()
    stale = site_application()
    stale.name = "Renamed"
    stale.save()
    stale.save(update_fields=["name", "cimd_expires_at"])
    assert site_application().name == "Renamed"
    assert site_application().client_type == application.client_type
    assert AttestationPolicy.objects.count() == policies


@pytest.mark.accepts("K1", "B5")
def test_a_public_client_changes_to_attestation(site: Site) -> None:
    site.publish(token_endpoint_auth_method=None)
    assert site.client.http.post(PAR, {**AUTHORIZATION_REQUEST, "client_id": URL}).status_code == 201
    site.publish()
    site.expire()
    # The first request after that still finds the client as it was, and makes it what it is.
    site.client.http.post(PAR, {**AUTHORIZATION_REQUEST, "client_id": URL})
    assert site_application().client_type == "confidential"
    site.client.refused(
        Reason.ATTESTATION_REQUIRED,
        send=lambda: site.client.http.post(PAR, {**AUTHORIZATION_REQUEST, "client_id": URL}),
    )
    site.pushed()


@pytest.mark.accepts("B5")
def test_a_policy_that_is_missing_is_made_again(site: Site) -> None:
    site.pushed()
    AttestationPolicy.objects.all().delete()
    AttesterApplication.objects.all().delete()
    response = site.client.http.post(TOKEN, {"grant_type": "refresh_token", "refresh_token": "x", "client_id": URL})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert site.pushed().client_attestation_policy
    assert Published.fetched == [URL]


@pytest.mark.refuses("B5")
def test_a_row_whose_policy_cannot_be_stored_lets_nobody_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise IntegrityError

    with monkeypatch.context() as patch:
        patch.setattr(AttestationPolicy.objects, "get_or_create", fail)
        assert site.push().status_code in (400, 503)
    for application in get_application_model().objects.all():
        assert application.client_type == "confidential"
    cache.clear()
    site.pushed()


@pytest.mark.accepts("K1")
def test_with_atomic_requests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    headers = site.client.headers()
    assert site.push(headers=headers).status_code == 201
    site.client.refused(Reason.POP_REPLAYED, send=lambda: site.push(headers=headers))


@pytest.mark.refuses("P8")
def test_a_proof_counts_once_though_the_client_was_unknown_before(site: Site) -> None:
    headers = site.client.headers()
    assert site.push(headers=headers).status_code == 201
    site.client.refused(Reason.POP_REPLAYED, send=lambda: site.push(headers=headers))


@pytest.mark.refuses("A4")
def test_a_request_that_names_another_client_is_refused_before_anything_is_fetched(site: Site) -> None:
    Published.fetched.clear()
    site.client.refused(
        Reason.CLIENT_MISMATCH,
        send=lambda: site.client.post(PAR, {**AUTHORIZATION_REQUEST, "client_id": "https://client.example/other.json"}),
    )
    assert not Published.fetched


@pytest.mark.refuses("B5")
def test_an_application_that_an_operator_has_made_is_not_taken_over(site: Site) -> None:
    get_application_model().objects.create(
        client_id=URL, client_type="public", authorization_grant_type="authorization-code", redirect_uris=REDIRECT_URI
    )
    site.client.refused(Reason.CLIENT_NOT_REGISTERED, send=site.push)
    assert not Published.fetched
    assert not AttestationPolicy.objects.exists()


def test_an_operator_may_edit_the_policy_that_came_of_a_document_and_add_none_to_another(site: Site) -> None:
    site.pushed().client_attestation_policy.full_clean()
    public = get_application_model()(
        client_id="https://public.example/c.json",
        client_type="public",
        registration_source="cimd",
        cimd_expires_at=timezone.now(),
        authorization_grant_type="authorization-code",
        redirect_uris=REDIRECT_URI,
    )
    public.save()
    with pytest.raises(ValidationError) as refused:
        AttestationPolicy(application=public).full_clean()
    assert {error.code for error in refused.value.error_dict["application"]} == {"metadata_document"}


def test_applications_of_other_kinds_are_saved_as_ever(site: Site) -> None:
    site.pushed()
    manual = get_application_model().objects.create(
        client_id="manual", client_type="public", authorization_grant_type="authorization-code"
    )
    manual.save()
    manual.refresh_from_db()
    assert manual.client_type == "public"
    manual.delete()
    assert not BlockedInstance.objects.exists()


def test_the_check_asks_for_our_fetcher(settings: Any) -> None:
    configure(settings, METADATA_DOCUMENT_ATTESTERS=["Acme"])
    assert check_documents(None) == []
    stock = "oauth2_provider.cimd.SafeMetadataFetcher"
    with provider(CIMD_ENABLED=True, CIMD_METADATA_FETCHER=stock):
        (warning,) = check_documents(None)
        assert (warning.id, warning.level) == ("oauth_client_attestation.W007", checks.WARNING)
    path = f"{AttestedDocumentFetcher.__module__}.{AttestedDocumentFetcher.__name__}"
    with provider(CIMD_ENABLED=True, CIMD_METADATA_FETCHER=path):
        assert check_documents(None) == []
    configure(settings, METADATA_DOCUMENT_ATTESTERS=[])
    with provider(CIMD_ENABLED=True, CIMD_METADATA_FETCHER=stock):
        assert check_documents(None) == []
