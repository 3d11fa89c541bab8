"""The inside of a run: namespaces of its own, a TUN device as its only way out, and no capability left in them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

from synfin.links.netns import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, configure, loopback_up, unshare
from synfin.links.refusal import why_refused
from synfin.links.tun import TunLink
from synfin.run import detour, files, linux

_CAP_NET_ADMIN: Final = 12
_CAP_SYS_ADMIN: Final = 21
_NOT_HERE: Final = (
    "--netns here changes the routes of this network, which takes CAP_NET_ADMIN (as root, or docker run --cap-add "
    "NET_ADMIN); without the option a network of its own is made"
)
_ALL: Final = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What a program finds there. All of it is said before anything is made."""

    addresses: Sequence[str]  # "198.18.0.2/30": of the device; its families are those that have a way out
    mtu: int
    device: str = "synfin0"
    offload: bool = True  # bursts of segments cross it whole
    texts: dict[str, str] = field(default_factory=dict)  # path: what is read there
    hidden: Sequence[Path] = ()  # folders
    netns: str | None = None  # one that is there: a process in it, its path, or HERE; None: a new one


def enter() -> None:
    """Move this process, of one thread, into network and mount namespaces of its own, for good; its user stays.

    Who may not have them as he is gets a user namespace too, which holds him alone. Raises OSError that says why the
    system refuses, and what to do.
    """
    if linux.has_capability(_CAP_SYS_ADMIN) and linux.has_capability(_CAP_NET_ADMIN):
        with contextlib.suppress(PermissionError):
            unshare(CLONE_NEWNET | CLONE_NEWNS)
            return
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")  # user_namespaces(7): before gid_map
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError as error:
        why = why_refused(error.errno or 0)
        if linux.has_capability(_CAP_NET_ADMIN):
            why += "; or, with CAP_NET_ADMIN as here: --netns here leads all of this network through synfin"
        raise OSError(error.errno, why) from error


def join(place: str) -> None:
    """Move this process into a network namespace that is there: of the process of this number, or at this path.

    What is mounted stays its own. Raises OSError that says what is in the way.
    """
    try:
        if place.isdigit():
            user = f"/proc/{place}/ns/user"
            if os.stat(user).st_ino != os.stat("/proc/self/ns/user").st_ino:
                _setns(user)  # in it this user is root, if it is his
            _setns(f"/proc/{place}/ns/net")
        else:
            _setns(place)
        unshare(CLONE_NEWNS)
    except OSError as error:
        what = f"--netns {place}: {os.strerror(error.errno or 0)}"
        if error.errno in (errno.EPERM, errno.EACCES):
            what += ": run as root, or give the number of a process of yours that is in it"
        elif error.errno == errno.EINVAL:
            what += ": it is no network namespace"
        elif error.errno in (errno.ENOENT, errno.ESRCH) and place.isdigit():
            what = f"--netns {place}: there is no process of this number"
        raise OSError(error.errno, what) from error


def _setns(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.setns(handle)
    finally:
        os.close(handle)


def furnish(inside: Inside) -> tuple[TunLink, list[str]]:
    """The device, up and with its routes, in the namespaces that were entered; and what a user should know.

    Raises OSError that says what is in the way.
    """
    if inside.netns == detour.HERE:
        return _furnish_here(inside)
    loopback_up()
    link = TunLink(inside.device, inside.mtu, inside.offload)
    try:
        _set_up_network(link, inside)
        return link, _set_up_files(inside)
    except BaseException:
        link.close()
        raise


def _furnish_here(inside: Inside) -> tuple[TunLink, list[str]]:
    """The same in a network that others use, and without the right to mount anything."""
    if not linux.has_capability(_CAP_NET_ADMIN):
        raise PermissionError(errno.EPERM, _NOT_HERE)
    link = TunLink(inside.device, inside.mtu, inside.offload)
    try:
        _set(f"net/ipv6/conf/{link.name}/addr_gen_mode", "1")
        configure(link.name, inside.addresses)
        detour.lead(link.name, sorted({ip_interface(address).version for address in inside.addresses}))
    except BaseException:
        link.close()
        raise
    return link, ["all of this network goes through synfin now; /etc/hosts and /etc/resolv.conf are as they were"]


def _set_up_network(link: TunLink, inside: Inside) -> None:
    families = {ip_interface(address).version for address in inside.addresses}
    _set(f"net/ipv6/conf/{link.name}/addr_gen_mode", "1")  # no link-local address: there is no neighbour to ask
    _set(f"net/ipv6/conf/{link.name}/router_solicitations", "0")
    # Programs have no capabilities, and the network is theirs alone: they may serve port 80 and ping.
    _set("net/ipv4/ip_unprivileged_port_start", "0")
    group = os.getegid()
    _set("net/ipv4/ping_group_range", f"{group} {group}")
    configure(link.name, inside.addresses, routes=[_ALL[family] for family in sorted(families)])


def _set(name: str, value: str) -> None:
    """A setting of this network, where /proc/sys may be written: containers often may not, and the rest works."""
    with contextlib.suppress(OSError):
        Path("/proc/sys", name).write_text(value)


def _set_up_files(inside: Inside) -> list[str]:
    try:
        files.own_mounts()
        missing = files.bind_texts(inside.texts)
        files.mask()
        files.hide(inside.hidden)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise OSError(error.errno, f"{error.strerror}: {why_refused(errno.EPERM)}") from error
        raise
    return [f"there is no {path} to be covered: programs that read it find no names" for path in missing]
