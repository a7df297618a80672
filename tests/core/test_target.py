"""Rule D3, ``htu``: which spellings are of one target URI, and which are of two (RFC 9449 section 4.3)."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oauth_client_attestation.core.target import normalised_target
from tests.fuzzing import examples

OFTEN = settings(max_examples=examples(200), deadline=None)
TARGET = "https://as.example/o/token"


@pytest.mark.accepts("D3")
@pytest.mark.parametrize(
    ("spelled", "normalised"),
    [
        pytest.param(TARGET, TARGET, id="as it is"),
        pytest.param("http://as.example/o/token", "http://as.example/o/token", id="http"),
        # RFC 3986 section 6.2.2.1
        pytest.param("HTTPS://as.example/o/token", TARGET, id="scheme in capitals"),
        pytest.param("https://AS.Example/o/token", TARGET, id="host in capitals"),
        # section 6.2.3
        pytest.param("https://as.example:443/o/token", TARGET, id="default port of https"),
        pytest.param("https://as.example:0443/o/token", TARGET, id="default port with a zero before it"),
        pytest.param("https://as.example:/o/token", TARGET, id="empty port"),
        pytest.param("http://as.example:80/o", "http://as.example/o", id="default port of http"),
        pytest.param("http://as.example:443/o", "http://as.example:443/o", id="the other scheme's default port"),
        pytest.param("https://as.example:80/o", "https://as.example:80/o", id="the other scheme's default port, again"),
        pytest.param("https://as.example:8443/o", "https://as.example:8443/o", id="another port"),
        pytest.param("https://as.example", "https://as.example/", id="empty path"),
        pytest.param("https://as.example:443", "https://as.example/", id="empty path after a port"),
        # section 6.2.2.3
        pytest.param("https://as.example/./o/x/../token", TARGET, id="dot segments"),
        pytest.param("https://as.example/../../o/token", TARGET, id="dot segments above the root"),
        pytest.param("https://as.example/o/.", "https://as.example/o/", id="a trailing dot segment"),
        pytest.param("https://as.example/o/token/..", "https://as.example/o/", id="two trailing dots"),
        pytest.param("https://as.example/..", "https://as.example/", id="two trailing dots above the root"),
        pytest.param("https://as.example/o/..", "https://as.example/", id="two trailing dots up to the root"),
        pytest.param("https://as.example/o/%2e%2E/o/%2e/token", TARGET, id="encoded dot segments"),
        pytest.param("https://as.example/o/x%2F..%2Ftoken", TARGET, id="dot segments between encoded slashes"),
        pytest.param("https://as.example/.../o.", "https://as.example/.../o.", id="dots that are no dot segment"),
        # section 6.2.2.2
        pytest.param("https://as.example/%6f/%74oken", TARGET, id="unreserved characters encoded"),
        pytest.param("https://as.example/%c3%a4", "https://as.example/%C3%A4", id="percent-encoding in small letters"),
        pytest.param("https://as.example/-._~", "https://as.example/-._~", id="unreserved marks"),
        pytest.param("https://as.example/%2D%2E%5F%7E", "https://as.example/-._~", id="unreserved marks encoded"),
        pytest.param("https://as.example/o%2Ftoken", TARGET, id="an encoded slash"),
        pytest.param("https://as.example/@a:b;c=d,e", "https://as.example/%40a%3Ab%3Bc%3Dd%2Ce", id="marks"),
        pytest.param(
            "https://as.example/%40a%3ab%3bc%3dd%2ce", "https://as.example/%40a%3Ab%3Bc%3Dd%2Ce", id="encoded"
        ),
        pytest.param("https://as.example/a|b[c]^", "https://as.example/a%7Cb%5Bc%5D%5E", id="what browsers leave"),
        pytest.param("https://as.example/100%", "https://as.example/100%25", id="a percent sign of its own"),
        pytest.param("https://as.example/%zz", "https://as.example/%25zz", id="a percent sign before no digits"),
        pytest.param("https://as.example/%252e%252E/o", "https://as.example/%252e%252E/o", id="encoded twice"),
        pytest.param("https://as.example/%252Fo", "https://as.example/%252Fo", id="a slash encoded twice"),
        pytest.param("https://as.example/%00%0A%FF", "https://as.example/%00%0A%FF", id="octets that are no text"),
        # RFC 9449 section 4.3, 9
        pytest.param("https://as.example/o/token?grant=1", TARGET, id="a query"),
        pytest.param("https://as.example/o/token#part", TARGET, id="a fragment"),
        pytest.param("https://as.example/o/token?a=/../b#c?d", TARGET, id="both"),
        pytest.param("https://as.example/o/token#c?d", TARGET, id="a fragment with a question mark"),
        pytest.param("https://as.example/o/token?" + "a" * 20_000, TARGET, id="a long query"),
        pytest.param("https://as.example/o/token?ä \n\\", TARGET, id="a query that is none"),
        pytest.param("https://as.example?a", "https://as.example/", id="a query after an empty path"),
        pytest.param("https://as.example#a@other.example", "https://as.example/", id="a fragment after the host"),
        # Other hosts and paths
        pytest.param("https://192.0.2.1:8443/", "https://192.0.2.1:8443/", id="an IPv4 address"),
        pytest.param("https://[2001:DB8::1]:443/o", "https://[2001:db8::1]/o", id="an IPv6 address"),
        pytest.param("https://[::1]:8443/o", "https://[::1]:8443/o", id="an IPv6 address with a port"),
        pytest.param("https://[::ffff:192.0.2.1]/", "https://[::ffff:192.0.2.1]/", id="an IPv4 address in IPv6"),
        pytest.param("https://as.example//o//token", "https://as.example//o//token", id="empty segments"),
        pytest.param("https://as.example//bs.example/", "https://as.example//bs.example/", id="two slashes first"),
        pytest.param("https://as.example//", "https://as.example//", id="two slashes alone"),
        pytest.param("https://as.example//..", "https://as.example/", id="an empty segment taken back"),
        pytest.param("https://as.example//o/..", "https://as.example//", id="an empty segment left"),
        pytest.param("https://as.example/o/https://x/", "https://as.example/o/https%3A//x/", id="a URI in the path"),
    ],
)
def test_a_uri_is_normalised(spelled: str, normalised: str) -> None:
    assert normalised_target(spelled) == normalised


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "other",
    [
        pytest.param("http://as.example/o/token", id="another scheme"),
        pytest.param("https://bs.example/o/token", id="another host"),
        pytest.param("https://as.example./o/token", id="a dot after the host"),
        pytest.param("https://as.example.evil.example/o/token", id="another host that begins like this one"),
        pytest.param("https://evil.example/as.example/o/token", id="this host in another's path"),
        pytest.param("https://evil.example/?https://as.example/o/token", id="this URI in another's query"),
        pytest.param("https://as.example:8443/o/token", id="another port"),
        pytest.param("https://as.example:80/o/token", id="the other scheme's port"),
        pytest.param("https://as.example/o/revoke", id="another path"),
        pytest.param("https://as.example/o/Token", id="the path in other letters"),
        pytest.param("https://as.example/o/token/", id="a slash at its end"),
        pytest.param("https://as.example//o/token", id="a slash more at its beginning"),
        pytest.param("https://as.example/o//token", id="a slash more in it"),
        pytest.param("https://as.example/o/token%20", id="a space more"),
        pytest.param("https://as.example/o/token%00", id="a NUL more"),
        pytest.param("https://as.example/o/token;a", id="a parameter"),
        pytest.param("https://as.example/o/token%3Fa", id="an encoded query"),
        pytest.param("https://as.example/o/token%23a", id="an encoded fragment"),
        pytest.param("https://as.example/o/%2574oken", id="a letter encoded twice"),
        pytest.param("https://as.example/x/%252e%252e/o/token", id="dot segments encoded twice"),
        pytest.param("https://as.example", id="the path left out"),
    ],
)
def test_what_differs_stays_different(other: str) -> None:
    assert normalised_target(other) != TARGET


@pytest.mark.refuses("D3")
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("", id="empty"),
        pytest.param("/o/token", id="a path"),
        pytest.param("//as.example/o/token", id="no scheme"),
        pytest.param("as.example/o/token", id="no scheme and no slashes"),
        pytest.param("https:as.example/o/token", id="no slashes"),
        pytest.param("https:/as.example/o/token", id="one slash"),
        pytest.param("https:///o/token", id="no host"),
        pytest.param("https://:443/o/token", id="a port without host"),
        pytest.param("https://?a", id="a query without host"),
        pytest.param("ftp://as.example/o/token", id="another scheme"),
        pytest.param("httpſ://as.example/o/token", id="a scheme that only looks right when folded"),
        pytest.param("wss://as.example/o/token", id="a WebSocket"),
        pytest.param("urn:ietf:rfc:9449", id="a URN"),
        pytest.param("https://me@as.example/o/token", id="a user"),
        pytest.param("https://me:secret@as.example/o/token", id="a user and a password"),
        pytest.param("https://@as.example/o/token", id="an empty user"),
        pytest.param("https://as.example@evil.example/o/token", id="this host as the user of another"),
        pytest.param("https://as.example:443@evil.example/o/token", id="this host and port as the user of another"),
        pytest.param("https://as.example:port/o/token", id="a port of letters"),
        pytest.param("https://as.example:-1/o/token", id="a negative port"),
        pytest.param("https://as.example:+443/o/token", id="a port with a sign"),
        pytest.param("https://as.example:4_43/o/token", id="a port with an underscore"),
        pytest.param("https://as.example:٤٤٣/o/token", id="a port of digits outside ASCII"),
        pytest.param("https://as.example:" + "0" * 5000 + "443/o/token", id="a port of many digits"),
        pytest.param("https://as.example:443:443/o/token", id="two ports"),
        pytest.param("https://[::1/o/token", id="a bracket that is not closed"),
        pytest.param("https://::1]/o/token", id="a bracket that is not opened"),
        pytest.param("https://[::1]as.example/o/token", id="a host after an address"),
        pytest.param("https://as.example[::1]/o/token", id="an address after a host"),
        pytest.param("https://[as.example]/o/token", id="a host in brackets"),
        pytest.param("https://[v1.a]/o/token", id="an address of the future"),
        pytest.param("https://[fe80::1%25eth0]/o/token", id="an address with a zone"),
        pytest.param("https://[]/o/token", id="empty brackets"),
        pytest.param("https://::1/o/token", id="an IPv6 address without brackets"),
        pytest.param("https://as%2Eexample/o/token", id="percent-encoding in the host"),
        pytest.param("https://as.example\\o\\token", id="backslashes"),
        pytest.param("https://as.example/o\\..\\token", id="backslashes in the path"),
        pytest.param("https:\\\\as.example/o/token", id="backslashes for slashes"),
        pytest.param("https://as.example\t/o/token", id="a tab in the host"),
        pytest.param("https://as.example/o/to\tken", id="a tab in the path"),
        pytest.param("ht\ntps://as.example/o/token", id="a line feed in the scheme"),
        pytest.param("https://as.example/o/token\n", id="a line feed at the end"),
        pytest.param("https://as.example/o/to\rken", id="a carriage return"),
        pytest.param(" https://as.example/o/token", id="a space first"),
        pytest.param("https://as.example/o/token ", id="a space last"),
        pytest.param("https://as.example/o/\0", id="a NUL"),
        pytest.param("https://as.example/ö/token", id="a letter outside ASCII"),
        pytest.param("https://äs.example/o/token", id="a host outside ASCII"),
        pytest.param("https://as。example/o/token", id="a full stop outside ASCII"),
        pytest.param("https://as.example／o/token", id="a slash outside ASCII"),
        pytest.param("https://as.example/\ud800", id="a lone surrogate"),
        pytest.param('https://as.example/o/"token"', id="quotes"),
        pytest.param("https://as.example/<o>", id="angle brackets"),
        pytest.param("https://as.example/o/token, https://as.example/o/token", id="two of them"),
        pytest.param("*", id="an asterisk"),
    ],
)
def test_what_is_no_target_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        normalised_target(uri)


octets = st.binary(min_size=1, max_size=6)


@st.composite
def spelled(draw: st.DrawFn, segments: list[bytes]) -> str:
    """Return a path of these segments, each octet encoded in capitals, in small letters, or not at all."""
    path = "/".join(
        "".join(
            draw(st.sampled_from(["%{:02x}", "%{:02X}"])).format(octet)
            if not chr(octet).isascii() or not chr(octet).isalnum() or draw(st.booleans())
            else chr(octet)
            for octet in segment
        )
        for segment in segments
    )
    return f"/{path}"


@pytest.mark.accepts("D3")
@OFTEN
@given(data=st.data(), segments=st.lists(octets, max_size=4))
def test_every_spelling_of_a_path_is_normalised_to_one(data: st.DataObject, segments: list[bytes]) -> None:
    one, other = (f"https://as.example{data.draw(spelled(segments))}" for _ in range(2))
    assert normalised_target(one) == normalised_target(other)


@pytest.mark.refuses("D3")
@OFTEN
@given(data=st.data(), paths=st.lists(st.lists(octets, max_size=3), min_size=2, max_size=2, unique_by=tuple))
def test_no_two_paths_are_normalised_to_one(data: st.DataObject, paths: list[list[bytes]]) -> None:
    """Slashes and dots apart, which have a meaning that this could give away."""
    one, other = ([segment.replace(b"/", b"_").replace(b".", b"_") for segment in path] for path in paths)
    same = one == other
    one_uri, other_uri = (f"https://as.example{data.draw(spelled(path))}" for path in (one, other))
    assert (normalised_target(one_uri) == normalised_target(other_uri)) is same


uris = st.text(st.sampled_from(list("htps:/.%2eEfF5a@[]?#\\ \tä1")), max_size=20).map("https://a{}".format)


@pytest.mark.refuses("D3")
@OFTEN
@given(uri=uris | st.text(st.characters(exclude_categories=())))
@example(uri="https://a/" + "%2e%2e/" * 2000)
@example(uri="https://a/" + "%" * 10_000)
@example(uri="https://" + "a" * 100_000)
def test_any_text_is_normalised_once_and_for_all_or_refused(uri: str) -> None:
    try:
        once = normalised_target(uri)
    except ValueError:
        return
    assert normalised_target(once) == once
    assert once.isascii()
    assert once.isprintable()
    assert "?" not in once
    assert "#" not in once
