"""An Ethernet interface as it is found, and what to say where it can't be used. It changes nothing of it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Final

from synfin.links.neighbours import Interface

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_SIOCGIFHWADDR: Final = 0x8927
_IFF_UP: Final = 1
_ARPHRD_ETHER: Final = 1

HOW_TO_BE_ALLOWED: Final = (
    "this user may not open packet sockets (CAP_NET_RAW): call synfin.links.netns.enter_private_network() first, "
    "run as root, or give the right to the interpreter (setcap cap_net_raw+ep)"
)


def parse_interfaces(addresses: str | Iterable[str]) -> list[Interface]:
    """One address with its prefix, or several. Raises ValueError for none, and for what is no address."""
    interfaces = [ip_interface(one) for one in ([addresses] if isinstance(addresses, str) else addresses)]
    if not interfaces:
        raise ValueError("a link needs at least one address, such as '10.9.0.2/24'")
    return interfaces


def flags_of(interface: str) -> int:
    """IFF_UP and the like (netdevice(7)). Raises OSError for one that is not there."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", interface.encode()[:15]))
    return int(struct.unpack_from("H", answer, 16)[0])


def look_up(interface: str) -> tuple[bytes, int]:
    """MAC address and mtu of an interface that is up. Raises OSError."""
    from fcntl import ioctl

    request = struct.pack("16s24x", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            flags, mtu, hardware = (
                ioctl(control, what, request) for what in (_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGIFHWADDR)
            )
        except OSError as error:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise OSError(error.errno, f"there is no interface {interface!r}, but {there}") from error
    if struct.unpack_from("H", hardware, 16)[0] != _ARPHRD_ETHER:
        raise OSError(errno.EINVAL, f"{interface!r} is no Ethernet interface: for TUN devices there is TunLink")
    if not struct.unpack_from("H", flags, 16)[0] & _IFF_UP:
        raise OSError(errno.ENETDOWN, f"{interface!r} is down: ip link set {interface} up")
    return hardware[18:24], struct.unpack_from("i", mtu, 16)[0]


def check_not_the_kernels(address: IPv4Address | IPv6Address) -> None:
    """OSError(EADDRINUSE) if the kernel has the address: it would answer as well, and reset what is not its own."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return
    raise OSError(errno.EADDRINUSE, f"{address} is an address of the kernel's own here: choose another")
