"""Tells clients apart, so that none gets more than its share by looking like many.

What a client can choose freely, such as a token that is not verified, makes it no other client.
"""

from ipaddress import IPv6Address, IPv6Network
from typing import NamedTuple


class Client(NamedTuple):
    """A client, as shares are counted: first between addresses, then between callers in one."""

    address: str
    """Its IP address, or for IPv6 its network; empty for a Unix socket."""

    sub: str | None
    """The caller's `sub`, if the token was verified before. All other requests of an address share
    None. Behind a proxy, where there is one address, this is what tells callers apart."""


def network_of(host: str) -> str:
    """Return the identity of a client: its IP address, or for IPv6 its network.

    A client usually has a /64 network, and can use any address in it.
    """
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))
