"""The TUN device of a command: which addresses are on it, how it is made, and what to do where that is not allowed.

Both ends of the device are on this machine: the kernel has one address of each network, synfin another.
"""

from __future__ import annotations

import errno
import getpass
import os
import socket
import sys
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from synfin.links.tun import TunLink

Interface = IPv4Interface | IPv6Interface

MTU_MIN_IPV6: Final = 1280  # RFC 8200 5


class CommandError(Exception):
    """What a command can't do, in words for its user."""


def parse_addresses(
    texts: Iterable[str], defaults: Iterable[str], families: tuple[int, ...], mtu: int
) -> list[Interface]:
    """synfin's addresses, each with its network; CommandError for what can't be one.

    families: the IP versions that are wanted. Of the defaults those are left out that can't be had here.
    """
    texts = list(texts)
    interfaces: list[Interface] = []
    for text in texts or defaults:
        try:
            interface = ip_interface(text)
            kernel_end(interface)
        except ValueError as error:
            raise CommandError(f"--address {text}: {error}; an address is written as 10.9.0.2/24") from error
        if interface.version not in families:
            continue
        if interface.version == 6 and mtu < MTU_MIN_IPV6:
            if texts or families == (6,):
                raise CommandError(f"IPv6 needs an mtu of at least {MTU_MIN_IPV6}, not {mtu}: say --ipv4")
            continue
        if interface.version == 6 and not texts and families != (6,) and not _kernel_has_ipv6():
            continue
        interfaces.append(interface)
    if not interfaces:
        raise CommandError("none of the addresses is of the IP version asked for")
    return interfaces


def _kernel_has_ipv6() -> bool:
    try:
        return Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def kernel_end(interface: Interface) -> Interface:
    """The kernel's address in the network of one of synfin's: the first other one. ValueError if there is no room."""
    for host in interface.network.hosts():
        if host != interface.ip:
            return ip_interface(f"{host}/{interface.network.prefixlen}")
    raise ValueError("its network has no room for the kernel's address")


def open_device(name: str, mtu: int, addresses: list[Interface]) -> TunLink:
    """The device, up and with the kernel's addresses. OSError that says what to do; EPERM: this user may not."""
    if not sys.platform.startswith("linux"):
        raise CommandError(f"TUN devices are Linux's, and this is {sys.platform}; `synfin demo --memory` runs anywhere")
    from synfin.links.netns import configure
    from synfin.links.tun import TunLink

    there = {known for _, known in socket.if_nameindex()}
    if name not in there:
        for interface in addresses:
            _check_free(interface)
    link = TunLink(name, mtu)
    try:
        configure(link.name, [str(kernel_end(interface)) for interface in addresses])
    except OSError as error:
        # A device that root has prepared for this user has its addresses already.
        if error.errno == errno.EPERM and link.name in there:
            return link
        link.close()
        raise
    except BaseException:
        link.close()
        raise
    return link


def how_to_be_allowed(name: str, addresses: list[Interface]) -> str:
    """What an ordinary user may ask root for: lines of text."""
    name = "synfin0" if "%" in name else name
    lines = [f"    ip tuntap add {name} mode tun user {_user()}"]
    lines += [f"    ip address add {kernel_end(interface)} dev {name}" for interface in addresses]
    lines += [f"    ip link set {name} up"]
    return "\n".join(["run it as root, or let root prepare a device, once:", *lines, f"and say --tun-name {name}"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _check_free(interface: Interface) -> None:
    """CommandError if this machine is in the network already: its packets would go two ways."""
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(interface.ip), 9))  # sends nothing, but finds the way
            source = probe.getsockname()[0]
    except OSError:
        return
    if ip_interface(source.partition("%")[0]).ip in interface.network:
        raise CommandError(
            f"this machine has the address {source} already, in the same network as synfin's {interface}: "
            "choose another with --address"
        )
