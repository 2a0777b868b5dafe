"""The hosts in `Host` headers, and which of them are allowed.

A web page can make its own host name resolve to an address of this machine or network (DNS
rebinding), and then has the same origin as the server at that address. It cannot change the name
that the browser sends in `Host`, so a server that checks the name is protected.
"""

import re
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

ANY = frozenset({"*"})

LOOPBACK = frozenset({"localhost", "*.localhost", "127.0.0.0/8", "::1"})
"""This machine. RFC 6761, section 6.3, reserves `localhost` and all names below it."""

_Address = IPv4Address | IPv6Address

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]*)?", re.ASCII | re.IGNORECASE)
"""`uri-host [ ":" port ]` of RFC 9110, section 7.2, without characters that DNS names do not
have."""

_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)

_ORIGIN = re.compile(r"https?://(.+)", re.ASCII)


class AllowedHosts:
    """The hosts that are allowed in requests.

    Args:
        patterns: Names, such as `admin.example.com`; `*.example.com` for all names below one, as
            in Starlette's `TrustedHostMiddleware`; IP addresses and networks, such as
            `10.0.0.0/8`; or `*` for any host.

    Raises:
        ValueError: A pattern is none of these.
    """

    def __init__(self, patterns: Collection[str]) -> None:
        self.any = "*" in patterns
        """Whether every host is allowed, so that none need be checked."""
        self._names: set[str] = set()
        self._parents: tuple[str, ...] = ()
        self._networks: list[IPv4Network | IPv6Network] = []
        for pattern in patterns:
            if pattern != "*":
                self._add(pattern)

    def _add(self, pattern: str) -> None:
        with suppress(ValueError):
            self._networks.append(ip_network(pattern.removeprefix("[").removesuffix("]")))
            return
        name = pattern.lower().removesuffix(".")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{pattern!r} is not a host, such as admin.example.com, *.example.com or 10.0.0.0/8"
            )
        if name.startswith("*"):
            self._parents += (name.removeprefix("*"),)
        else:
            self._names.add(name)

    def admits(self, host: str) -> bool:
        """Whether a `Host` header, with or without a port, names an allowed host."""
        if self.any:
            return True
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower().removesuffix(".")
        if name in self._names or name.endswith(self._parents):
            return True
        address = _read_address(name)
        return address is not None and any(address in network for network in self._networks)

    def admits_origin(self, origin: str) -> bool:
        """Whether an `Origin` header names an allowed host."""
        match = _ORIGIN.fullmatch(origin)
        return match is not None and self.admits(match[1])


def _read_address(name: str) -> _Address | None:
    try:
        address = ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
