"""Which network addresses may be fetched from: no page that somebody names may reach into this machine or network."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from core.errors import BadSource
from core.models.remote.address import is_private

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = (80, 443, 8000, 8080, 8443, 8888)
# Where clouds hand out the keys of a machine. Some of these lie in ranges that are otherwise public or allowed.
METADATA = frozenset(
    ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
     "fd20:ce::254")
)  # fmt: skip
# IPv6 addresses that stand for an IPv4 address: what they stand for is looked at too.
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
COMPATIBLE = ipaddress.IPv6Network("::/96")

THIS_MACHINE = "is this machine itself. Pages are read only from other machines."
PRIVATE_HINT = "To read pages of your own network set GROUNDWORK_FETCH_PRIVATE=true."


@dataclass(frozen=True, slots=True)
class Reach:
    """The rule. `private` opens the private networks, never this machine; `exempt` are single (address, port) pairs."""

    private: bool = False
    exempt: frozenset[tuple[str, int]] = frozenset()

    def check(self, host: str, ip: str, port: int) -> None:
        """Raise BadSource unless this address of the host may be fetched from."""
        if (ip, port) in self.exempt:
            return
        self.check_port(host, port)
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            raise BadSource(f"{host} has no address that can be reached.") from None
        for one in (address, *_stands_for(address)):
            if reason := self._reason(one):
                raise BadSource(f"{host} {reason}")

    def check_ends(self, host: str, own: str, peer: str, port: int) -> None:
        """Raise BadSource for a connection between two ends of this machine: it has more addresses than 127.0.0.1."""
        if own == peer and (peer, port) not in self.exempt:
            raise BadSource(f"{host} {THIS_MACHINE}")

    def check_port(self, host: str, port: int) -> None:
        """Raise BadSource for a port that web servers do not use."""
        if port not in PORTS and port not in {exempt for _, exempt in self.exempt}:
            allowed = ", ".join(map(str, PORTS))
            raise BadSource(f"{host} would be asked on port {port}. Pages are read only from the ports {allowed}.")

    def _reason(self, address: Address) -> str:
        if address.is_loopback or address.is_unspecified:
            return THIS_MACHINE
        if str(address) in METADATA or address.is_link_local or address.is_multicast:
            return "has an address that only machines use among themselves. It is never read."
        if is_private(str(address)):
            return "" if self.private else f"is in a private network. {PRIVATE_HINT}"
        if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
            return f"is in a private network. {PRIVATE_HINT}"
        stand_in = isinstance(address, ipaddress.IPv6Address) and bool(_stands_for(address))
        return "" if address.is_global or stand_in else "has an address that is reserved. It is never read."


def _stands_for(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that traffic for this IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    found: list[Address] = []
    if address.ipv4_mapped:
        found.append(address.ipv4_mapped)
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found.extend(address.teredo)
    if any(address in network for network in (*NAT64, COMPATIBLE)) and int(address) > 1:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(found)
