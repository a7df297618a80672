"""Rules H: the request's header fields, before anything in them is parsed."""

from __future__ import annotations

import pytest

from oauth_client_attestation.core.errors import ClientAttestationError, Reason
from oauth_client_attestation.core.headers import HeaderFields, PresentedTokens, read_dpop, read_fields
from tests.core.support import refusal

ATTESTATION = "eyJh.eyJz.c2ln"
POP = "eyJw.eyJq.LV8w"
DPOP = "eyJk.eyJk.eyJk"
MAX = 64

R = Reason
FIELDS = {
    "attestation": (
        R.ATTESTATION_FIELD_REPEATED,
        R.ATTESTATION_FIELD_MALFORMED,
        R.ATTESTATION_FIELD_TOO_LARGE,
    ),
    "pop": (R.POP_FIELD_REPEATED, R.POP_FIELD_MALFORMED, R.POP_FIELD_TOO_LARGE),
    "dpop": (R.DPOP_FIELD_REPEATED, R.DPOP_FIELD_MALFORMED, R.DPOP_FIELD_TOO_LARGE),
    "dpop, apart": (R.DPOP_FIELD_REPEATED, R.DPOP_FIELD_MALFORMED, R.DPOP_FIELD_TOO_LARGE),
}

NOT_ONE_COMPACT_JWT = [
    pytest.param("", id="empty"),
    pytest.param(" ", id="a space"),
    pytest.param(f" {ATTESTATION}", id="a leading space"),
    pytest.param(f"{ATTESTATION} ", id="a trailing space"),
    pytest.param(f"{ATTESTATION}\n", id="a trailing line feed"),
    pytest.param(f"{ATTESTATION}\r\nX: y", id="another header behind a line break"),
    pytest.param(f'"{ATTESTATION}"', id="a structured-field string"),
    pytest.param(f":{ATTESTATION}:", id="a structured-field byte sequence"),
    pytest.param(f"{ATTESTATION};v=1", id="a token with a parameter"),
    pytest.param(f"Bearer {ATTESTATION}", id="an authorization scheme"),
    pytest.param(f"{ATTESTATION}~{POP}", id="the concatenated form of -04 to -07"),
    pytest.param("eyJh.eyJz", id="two parts"),
    pytest.param("eyJh.eyJz.", id="an empty signature, as of alg none"),
    pytest.param("eyJh..c2ln", id="an empty, detached payload"),
    pytest.param(".eyJz.c2ln", id="an empty header"),
    pytest.param("eyJh.eyJz.c2ln.", id="a dot too many"),
    pytest.param("eyJh.a.b.c.d", id="five parts, as of a JWE"),
    pytest.param("eyJh.eyJ=.c2ln", id="base64url padding"),
    pytest.param("eyJh.ey+z.c2ln", id="the plus of base64"),
    pytest.param("eyJh.ey/z.c2ln", id="the slash of base64"),
    pytest.param("1yJh.eyJz.c2ln", id="a first character that no structured-field token has"),
    pytest.param("-yJh.eyJz.c2ln", id="a first character that only base64url has"),
    pytest.param("eyJh.eyJz.c2l\u0301", id="a character outside ASCII"),
    pytest.param("eyJh.eyJ\u0661.c2ln", id="a digit outside ASCII"),
    pytest.param("\xff\x00\x80", id="octets"),
]


def fields(**changes: tuple[str, ...]) -> HeaderFields:
    return HeaderFields(**{"attestation": (ATTESTATION,), "pop": (POP,), **changes})


def read(field: str, *values: str) -> str:
    """Return what is read from a field with these values; from ``dpop`` in combined mode, or apart from all that."""
    if field == "dpop, apart":
        return read_dpop(HeaderFields(dpop=values), max_length=MAX)
    others = {"attestation": (ATTESTATION,), "pop": () if field == "dpop" else (POP,)}
    tokens = read_fields(HeaderFields(**{**others, field: values}), max_length=MAX)
    return tokens.attestation if field == "attestation" else tokens.proof


@pytest.mark.accepts("H2", "H3", "H4", "H5")
def test_one_of_each_is_returned_to_the_letter() -> None:
    assert read_fields(fields(), max_length=MAX) == PresentedTokens(ATTESTATION, POP)


@pytest.mark.accepts("H2", "D1")
@pytest.mark.parametrize(
    "dpop",
    [
        pytest.param((DPOP,), id="a proof"),
        pytest.param((DPOP, DPOP), id="two"),
        pytest.param(("nonsense",), id="nonsense"),
        pytest.param(("A" * 10_000,), id="too much"),
    ],
)
def test_a_dpop_field_beside_both_is_none_of_this_rules_business(dpop: tuple[str, ...]) -> None:
    assert read_fields(fields(dpop=dpop), max_length=MAX) == PresentedTokens(ATTESTATION, POP)


@pytest.mark.accepts("D1")
def test_an_attestation_with_a_dpop_proof_alone_is_combined_mode() -> None:
    assert read_fields(fields(pop=(), dpop=(DPOP,)), max_length=MAX) == PresentedTokens(ATTESTATION, DPOP, True)


@pytest.mark.refuses("D1", "H5")
def test_an_empty_pop_field_is_not_taken_for_none() -> None:
    """Or a proxy that blanks the field would turn one mode into the other."""
    with refusal(R.POP_FIELD_MALFORMED):
        read_fields(fields(pop=("",), dpop=(DPOP,)), max_length=MAX)


@pytest.mark.refuses("H2", "D3")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "values",
    [
        pytest.param((ATTESTATION, POP), id="two fields"),
        pytest.param((ATTESTATION, ATTESTATION), id="the same field twice"),
        pytest.param((ATTESTATION, ""), id="an empty second field"),
        pytest.param((f"{ATTESTATION},{POP}",), id="two joined by a comma"),
        pytest.param((f"{ATTESTATION}, {POP}",), id="two joined by a comma and a space"),
        pytest.param((f"{ATTESTATION},",), id="one and an empty one, joined"),
        pytest.param((f",{ATTESTATION}",), id="an empty one and one, joined"),
    ],
)
def test_a_repeated_field_is_refused(field: str, values: tuple[str, ...]) -> None:
    with refusal(FIELDS[field][0]):
        read(field, *values)


@pytest.mark.refuses("H3", "D3")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", NOT_ONE_COMPACT_JWT)
def test_anything_but_one_compact_jwt_is_refused(field: str, value: str) -> None:
    with refusal(FIELDS[field][1]):
        read(field, value)


@pytest.mark.accepts("H4")
@pytest.mark.refuses("H4")
@pytest.mark.parametrize("field", FIELDS)
def test_the_bound_is_the_last_length_that_passes(field: str) -> None:
    longest = ATTESTATION.ljust(MAX, "A")
    assert read(field, longest) == longest
    with refusal(FIELDS[field][2]):
        read(field, longest + "A")


@pytest.mark.refuses("H4")
@pytest.mark.parametrize("filling", [",", "\xff", "(", "."])
def test_size_is_the_first_thing_that_is_looked_at(filling: str) -> None:
    with refusal(R.ATTESTATION_FIELD_TOO_LARGE):
        read_fields(fields(attestation=(filling * 1_000_000,)), max_length=MAX)


@pytest.mark.refuses("H6")
@pytest.mark.parametrize(
    "present",
    [
        pytest.param({"pop": (POP,)}, id="a PoP alone"),
        pytest.param({"pop": (POP,), "dpop": (POP,)}, id="a PoP and a DPoP proof"),
        pytest.param({"pop": ("nonsense",)}, id="a PoP alone, not even well-formed"),
    ],
)
def test_a_proof_of_nothing_is_refused(present: dict[str, tuple[str, ...]]) -> None:
    with refusal(R.POP_WITHOUT_ATTESTATION):
        read_fields(HeaderFields(**present), max_length=MAX)


@pytest.mark.refuses("H5")
def test_an_attestation_without_proof_is_refused() -> None:
    with refusal(R.POP_MISSING):
        read_fields(HeaderFields(attestation=(ATTESTATION,)), max_length=MAX)


@pytest.mark.accepts("H5")
@pytest.mark.refuses("H5")
@pytest.mark.parametrize(
    "present",
    [
        pytest.param({"attestation": (ATTESTATION,)}, id="an attestation"),
        pytest.param({"pop": (POP,)}, id="a PoP"),
        pytest.param({"attestation": ("",)}, id="an empty attestation field"),
        pytest.param({"pop": ("",)}, id="an empty PoP field"),
        pytest.param({"attestation": ("", "")}, id="two empty fields"),
        pytest.param({"pop": ("nonsense",), "dpop": (POP,)}, id="nonsense beside a DPoP proof"),
        pytest.param({"attestation": ("",), "dpop": (DPOP,)}, id="an empty attestation field beside a DPoP proof"),
        pytest.param({"attestation": (ATTESTATION,), "dpop": ("",)}, id="an attestation and an empty DPoP field"),
    ],
)
def test_presence_alone_commits_the_request(present: dict[str, tuple[str, ...]]) -> None:
    """Whatever the value: a request that shows one of the fields gets through with a proof, or is refused."""
    incomplete = HeaderFields(**present)
    assert incomplete.committed
    with pytest.raises(ClientAttestationError):
        read_fields(incomplete, max_length=MAX)


@pytest.mark.parametrize("dpop", [(), (DPOP,)])
def test_neither_field_leaves_the_request_to_others(dpop: tuple[str, ...]) -> None:
    assert not HeaderFields(dpop=dpop).committed
