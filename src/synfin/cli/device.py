"""The TUN device of a command: which addresses are on it, how it is made, and what to do where that is not allowed.

Both ends of the device are on this machine: the kernel has one address of each network, synfin another.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)  # fmt: skip
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from synfin.links.tun import TunLink

Interface = IPv4Interface | IPv6Interface

MTU_MIN_IPV6: Final = 1280  # RFC 8200 5
BROADCAST: Final = IPv4Address("255.255.255.255")


class CommandError(Exception):
    """What a command can't do, in words for its user."""


def parse_addresses(
    texts: Iterable[str], defaults: Iterable[str], families: tuple[int, ...], mtu: int, with_kernel: bool = True
) -> list[Interface]:
    """synfin's addresses, each with its network; CommandError for what can't be one.

    families: the IP versions that are wanted. Of the defaults those are left out that can't be had here. with_kernel:
    the kernel is to have an address in each network as well.
    """
    texts = list(texts)
    interfaces: list[Interface] = []
    for text in texts or defaults:
        interface = _parse_address(text)
        if interface.version not in families:
            continue
        if interface.version == 6 and mtu < MTU_MIN_IPV6:
            if texts or families == (6,):
                raise CommandError(f"IPv6 needs an mtu of at least {MTU_MIN_IPV6}, not {mtu}: say --ipv4")
            continue
        if interface.version == 6 and not texts and families != (6,) and not _kernel_has_ipv6():
            continue
        if interface.ip in {one.ip for one in interfaces}:
            raise CommandError(f"--address {text}: it is there already")
        interfaces.append(interface)
    if not interfaces:
        raise CommandError("none of the addresses is of the IP version asked for")
    if with_kernel:
        kernel_ends(interfaces)  # there is room for them
    return interfaces


def _parse_address(text: str) -> Interface:
    try:
        interface = ip_interface(text)
    except ValueError as error:
        raise CommandError(f"--address {text}: {error}; an address is written as 10.9.0.2/24") from error
    ip, network = interface.ip, interface.network
    kinds = {
        "a loopback address": ip.is_loopback,
        "a multicast address": ip.is_multicast,
        "no address of a host": ip.is_unspecified or ip in (BROADCAST, *_ends_of(network)),
        # It would need a zone wherever it is written.
        "a link-local address": ip.version == 6 and ip.is_link_local,
    }
    for kind, is_one in kinds.items():
        if is_one:
            raise CommandError(f"--address {text}: that is {kind}")
    return interface


def _ends_of(network: IPv4Network | IPv6Network) -> tuple[object, ...]:
    """The first and the last address, where they mean the network and all hosts (RFC 3021: not in the smallest)."""
    if network.version == 6 or network.prefixlen > 30:
        return ()
    return (network.network_address, network.broadcast_address)


def _kernel_has_ipv6() -> bool:
    try:
        return Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def kernel_ends(interfaces: list[Interface]) -> list[Interface]:
    """The kernel's address in each network: the first that is not synfin's. CommandError if there is no room."""
    ours = {interface.ip for interface in interfaces}
    ends: list[Interface] = []
    for interface in interfaces:
        for host in interface.network.hosts():
            if host not in ours:
                ends.append(ip_interface(f"{host}/{interface.network.prefixlen}"))
                break
        else:
            example = "10.9.0.2/24" if interface.version == 4 else "fd00:9::2/64"
            raise CommandError(
                f"--address {interface}: its network has no room for the kernel's address; write it as {example}"
            )
    return list(dict.fromkeys(ends))


def open_device(name: str, mtu: int, addresses: list[Interface]) -> TunLink:
    """The device, up and with the kernel's addresses. OSError that says what to do; EPERM: this user may not."""
    return open_queues(name, mtu, addresses, 1)[0]


def open_queues(name: str, mtu: int, addresses: list[Interface], count: int) -> list[TunLink]:
    """The same with `count` queues, a link each."""
    if not sys.platform.startswith("linux"):
        raise CommandError(f"TUN devices are Linux's, and this is {sys.platform}; `synfin demo --memory` runs anywhere")
    from synfin.links.netns import configure
    from synfin.links.tun import TunLink

    there = {known for _, known in socket.if_nameindex()}
    if name not in there:
        for interface in addresses:
            _check_free(interface)
    links = [TunLink(name, mtu)] if count == 1 else TunLink.queues(count, name, mtu)
    link = links[0]
    try:
        configure(link.name, [str(end) for end in kernel_ends(addresses)])
    except OSError as error:
        # A device that root has prepared for this user has its addresses already.
        if error.errno == errno.EPERM and link.name in there and any(map(_kernel_is_there, addresses)):
            return links
        _close(links)
        if error.errno == errno.EPERM and link.name in there:
            raise CommandError(f"{name} has no address of the network of {addresses[0]}: say --address") from error
        raise
    except BaseException:
        _close(links)
        raise
    return links


def _close(links: list[TunLink]) -> None:
    for link in links:
        link.close()


def how_to_be_allowed(name: str, addresses: list[Interface], queues: int = 1) -> str:
    """What an ordinary user may ask root for: lines of text. To be asked before the user is another one."""
    name = "synfin0" if "%" in name else name
    lines = [f"    ip tuntap add {name} mode tun user {_user()}{' multi_queue' if queues > 1 else ''}"]
    lines += [f"    ip address add {end} dev {name}" for end in kernel_ends(addresses)]
    lines += [f"    ip link set {name} up"]
    return "\n".join(["run it as root, or let root prepare a device, once:", *lines, f"and say --tun-name {name}"])


def _user() -> str:
    import pwd  # not everywhere

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _check_free(interface: Interface) -> None:
    """CommandError if this machine is in the network already: its packets would go two ways."""
    if _kernel_is_there(interface):
        raise CommandError(
            f"this machine has the address {_way_to(interface)} already, in the same network as synfin's {interface}: "
            "choose another with --address"
        )


def _kernel_is_there(interface: Interface) -> bool:
    """The kernel has an address in the network of one of synfin's."""
    source = _way_to(interface)
    return source is not None and source in interface.network


def _way_to(interface: Interface) -> IPv4Address | IPv6Address | None:
    """The address from which the kernel would send to one of synfin's; None if it knows no way."""
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(interface.ip), 9))  # sends nothing, but finds the way
            return ip_address(probe.getsockname()[0].partition("%")[0])
    except OSError:
        return None
