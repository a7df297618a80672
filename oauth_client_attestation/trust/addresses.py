"""Which addresses of a network a URL that somebody entered may lead to.

Written out rather than left to ``ipaddress.is_global``: that differs between releases of Python, and lets multicast,
site-local and several embedded IPv4 addresses pass.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# The IANA special-purpose address registry (RFC 6890), multicast and reserved addresses.
_IPV4_SPECIAL: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata services of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",
        ),
    )
)
#: The only global unicast addresses that are given out. Loopback, link-local, site-local, ULA, multicast and the
#: IPv4-mapped and IPv4-compatible forms lie outside.
_IPV6_UNICAST: Final = IPv6Network("2000::/3")
_IPV6_SPECIAL: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments, Teredo among them, which embeds IPv4
            "2001:db8::/32",
            "2002::/16",  # 6to4, which embeds IPv4
            "3fff::/20",
        ),
    )
)
#: RFC 6052 section 2.1. Behind DNS64 every IPv4 host looks like this, so what is embedded decides.
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a numeric address is a public unicast address; what is not an address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed not in _NAT64:
            return parsed in _IPV6_UNICAST and not any(parsed in network for network in _IPV6_SPECIAL)
        parsed = IPv4Address(int(parsed) & 0xFFFFFFFF)
    return not any(parsed in network for network in _IPV4_SPECIAL)
