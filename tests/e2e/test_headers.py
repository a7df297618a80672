"""What real servers make of header fields that come twice, or too large (rules H1, H2, H4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oauth_client_attestation.core.errors import Reason
from oauth_client_attestation.core.wire import ATTESTATION_FIELD, POP_FIELD
from tests.e2e.client import LiveClient, assert_refused, refusals
from tests.e2e.live import LiveSite, running_site
from tests.e2e.wire import send

TOO_LARGE = [17_000, 40_000, 100_000]


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def client(
    request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveClient]:
    """An instance at a WSGI server, which joins repeated fields, and at an ASGI server, which does not."""
    directory = tmp_path_factory.mktemp("client")
    if request.param == "gunicorn":
        yield LiveClient(request.getfixturevalue("live_site"), directory).register()
    else:
        with running_site(migrated_sqlite, tmp_path_factory.mktemp("site"), server=request.param) as site:
            yield LiveClient(site, directory).register()


@pytest.mark.accepts("H1", "H2")
def test_each_field_once_is_accepted_whatever_its_case(client: LiveClient) -> None:
    """The request that the others here have one thing wrong with."""
    fields = [
        (ATTESTATION_FIELD.lower(), client.attestation()),
        (POP_FIELD.upper(), client.pop(client.challenge())),
    ]

    answer = send(client.site.url, client.token_request(*fields))

    assert answer.status == 200, answer.body
    assert answer.json()["access_token"]


@pytest.mark.refuses("H2")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (ATTESTATION_FIELD, Reason.ATTESTATION_FIELD_REPEATED),
        (POP_FIELD, Reason.POP_FIELD_REPEATED),
    ],
)
@pytest.mark.parametrize("second", ["the same", "another", "in lower case", "empty"])
def test_a_field_that_comes_twice_is_refused(client: LiveClient, name: str, reason: Reason, second: str) -> None:
    """Each value is good by itself, so whichever of them a server kept would be accepted."""
    good = {ATTESTATION_FIELD: client.attestation(), POP_FIELD: client.pop(client.challenge())}
    spare = {ATTESTATION_FIELD: client.attestation(), POP_FIELD: client.pop(client.challenge())}
    repeated = {
        "the same": (name, good[name]),
        "another": (name, spare[name]),
        "in lower case": (name.lower(), spare[name]),
        "empty": (name, ""),
    }[second]

    with client.site.logged() as log:
        answer = send(client.site.url, client.token_request(*good.items(), repeated))

    assert_refused(answer, "invalid_client_attestation")
    assert refusals(log) == [reason]
    unharmed = client.attested_request(good[ATTESTATION_FIELD], good[POP_FIELD])
    assert send(client.site.url, unharmed).status == 200


@pytest.mark.refuses("H4")
@pytest.mark.parametrize("length", TOO_LARGE)
@pytest.mark.parametrize("name", [ATTESTATION_FIELD, POP_FIELD])
def test_a_field_too_large_is_refused_by_the_server_or_by_us(client: LiveClient, name: str, length: int) -> None:
    """Each server has a limit of its own, below or above ours; an error of the server is none of them."""
    fields = {ATTESTATION_FIELD: client.attestation(), POP_FIELD: client.pop(client.challenge())}
    fields[name] = _lengthened(fields[name], length)

    with client.site.logged() as log:
        answer = send(client.site.url, client.token_request(*fields.items()))

    assert 400 <= answer.status < 500, answer.body
    assert "Traceback" not in "\n".join(log)
    if refusals(log):
        assert_refused(answer, "invalid_client_attestation")


@pytest.mark.refuses("H4")
def test_where_the_server_lets_it_through_it_is_refused_by_us(
    start_site: Callable[..., LiveSite], tmp_path: Path
) -> None:
    """gunicorn with its limit raised, as a site does whose attesters send long ``x5c`` chains."""
    site = start_site(workers=1, options=("--limit-request-field_size", "131072"))
    client = LiveClient(site, tmp_path).register()
    reasons = {
        ATTESTATION_FIELD: Reason.ATTESTATION_FIELD_TOO_LARGE,
        POP_FIELD: Reason.POP_FIELD_TOO_LARGE,
    }
    for name, reason in reasons.items():
        for length in TOO_LARGE:
            fields = {ATTESTATION_FIELD: client.attestation(), POP_FIELD: client.pop(client.challenge())}
            fields[name] = _lengthened(fields[name], length)
            with site.logged() as log:
                answer = send(site.url, client.token_request(*fields.items()))
            assert_refused(answer, "invalid_client_attestation")
            assert refusals(log) == [reason]
    assert site.stored(client.client_id) == {"access_tokens": 0, "used_proofs": 0}


def _lengthened(token: str, length: int) -> str:
    return token + "A" * (length - len(token))
