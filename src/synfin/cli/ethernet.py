"""An Ethernet interface in the place of a command's TUN device: synfin is one more machine of that network.

This machine itself is not reached over it, since what leaves an interface does not come back to the kernel.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from synfin.cli.device import CommandError, Interface, parse_addresses

if TYPE_CHECKING:
    from synfin.links.packet import PacketLink

ANY_TUN_NAME: Final = "synfin%d"
TUN_MTU: Final = 1500


def check_options(interface: str | None, gateways: list[str], tun_name: str, processes: int = 1) -> None:
    """CommandError for what does not go together."""
    if interface is None:
        if gateways:
            raise CommandError("--gateway goes with --interface: a TUN device has the kernel at its other end")
    elif tun_name != ANY_TUN_NAME:
        raise CommandError("--interface and --tun-name leave each other out")
    elif processes > 1:
        raise CommandError("--processes share a TUN device, and no interface")


def open_interface(
    name: str, addresses: list[str], families: tuple[int, ...], gateways: list[str], mtu: int | None
) -> tuple[PacketLink, list[Interface]]:
    """The link, and synfin's addresses. Raises CommandError, ValueError and OSError that say what to do."""
    if not sys.platform.startswith("linux"):
        raise CommandError(f"packet sockets are Linux's, and this is {sys.platform}")
    if not addresses:
        raise CommandError("--interface needs an --address of its network that nobody has, as 192.168.1.9/24")
    from synfin.links.packet import PacketLink

    interfaces = parse_addresses(addresses, (), families, mtu or TUN_MTU, with_kernel=False)
    try:
        hops = [str(ip_address(text)) for text in gateways]
    except ValueError as error:
        raise CommandError(f"--gateway: {error}; a gateway is written as 192.168.1.1") from error
    try:
        return PacketLink(name, [str(one) for one in interfaces], gateway=hops, mtu=mtu), interfaces
    except PermissionError as error:
        raise CommandError(
            f"this user may not open packet sockets on {name} (CAP_NET_RAW): run it as root, or inside a network "
            "namespace of yours (unshare -Urn), or let root give the right to the interpreter "
            f"(setcap cap_net_raw+ep {sys.executable})"
        ) from error
