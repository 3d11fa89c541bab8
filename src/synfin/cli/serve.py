"""`synfin serve`: the files of a folder over HTTP, by synfin's TCP, to all that reach its TUN device or interface."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synfin.aio.control import control_path
from synfin.aio.host import Host
from synfin.cli.device import CommandError, Interface, how_to_be_allowed, open_queues, parse_addresses
from synfin.cli.ending import run_until_ended
from synfin.cli.ethernet import TUN_MTU, check_options, open_interface
from synfin.cli.http_server import HttpServer
from synfin.cli.site import DirectorySite
from synfin.cli.ss import control_socket
from synfin.links.crew import Crew, Member

if TYPE_CHECKING:
    from synfin.links.link import Link
    from synfin.links.packet import PacketLink
    from synfin.links.tun import TunLink

ENDED_BY: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # by these it ends well
ADDRESSES: Final = ("10.9.0.2/24", "fd00:9::2/64")


def run(
    folder: Path,
    addresses: list[str],
    families: tuple[int, ...],
    port: int,
    tun_name: str,
    mtu: int | None,
    processes: int = 1,
    interface: str | None = None,
    gateways: list[str] | None = None,
) -> int:
    """The command; its exit status."""
    control = control_socket("serve")
    link: TunLink | PacketLink
    permission = ""
    try:
        check_options(interface, gateways or [], tun_name, processes)
        site = DirectorySite(folder)
        if interface is None:
            interfaces = parse_addresses(addresses, ADDRESSES, families, mtu or TUN_MTU)
            permission = how_to_be_allowed(tun_name, interfaces, processes)
            queues, private = _open(tun_name, mtu or TUN_MTU, interfaces, processes)
            link = queues[0]
        else:
            link, interfaces = open_interface(interface, addresses, families, gateways or [], mtu)
            queues, private = [], False
    except (CommandError, OSError, RuntimeError, ValueError) as error:
        return _complain(error)
    words = _welcome(folder, link.name, interfaces, port, processes)
    if private:
        words += _how_to_join(_url(interfaces[0], port), permission)
    _say("\n".join([*words, "Ctrl-C ends it."]))

    def one(link: Link) -> int:
        return run_until_ended(_serve(link, interfaces, port, site, _own(control)))

    status = one(link) if processes == 1 else Crew(queues).run(one)
    _say("ended")
    return 0 if status - 128 in ENDED_BY else status


def _complain(error: Exception) -> int:
    text = error.strerror if isinstance(error, OSError) and error.strerror else error
    print(f"synfin serve: {text}", file=sys.stderr)
    return 1


def _welcome(folder: Path, device: str, interfaces: list[Interface], port: int, processes: int) -> list[str]:
    by = f" by {processes} processes" if processes > 1 else ""
    urls = [f"    {_url(interface, port)}" for interface in interfaces]
    return [f"serving {folder.resolve()} on {device}{by} at", *urls]


def _how_to_join(url: str, permission: str) -> list[str]:
    return [
        "You are not root, so this is a network of its own. Programs see it that join it:",
        f"    nsenter -t {os.getpid()} -U -n --preserve-credentials curl {url}",
        f"For all programs of this machine {permission}",
    ]


def _open(tun_name: str, mtu: int, interfaces: list[Interface], processes: int) -> tuple[list[TunLink], bool]:
    """The device, a queue for each process; True if it is in a private network, where this user may have one."""
    try:
        return open_queues(tun_name, mtu, interfaces, processes), False
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    from synfin.links.netns import enter_private_network

    enter_private_network()
    return open_queues(tun_name, mtu, interfaces, processes), True


def _own(control: Path | None) -> Path | None:
    """The socket of this process, which may be one of several: the name ends with its number."""
    return control and control.with_name(control_path("serve").name)


async def _serve(link: Link, interfaces: list[Interface], port: int, site: DirectorySite, control: Path | None) -> int:
    addresses = [str(interface) for interface in interfaces]
    entropy = link.entropy if isinstance(link, Member) else os.urandom
    try:
        async with Host(addresses, link=link, entropy=entropy, control=control) as host:
            server = HttpServer(site, log=_log)
            await host.start_server(server.serve, port=port)
            await asyncio.Future()  # until a signal comes
    except OSError as error:  # an address of --interface's network is somebody else's
        return _complain(error)
    return 0


def _log(peer: str, request: str, status: int) -> None:
    # The request is the client's: nothing in it may drive the terminal.
    _say(f"{peer}  {status}  {''.join(c if c.isprintable() else '?' for c in request)}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal or whoever read it has gone; a signal tells
        print(text, flush=True)


def _url(interface: Interface, port: int) -> str:
    host = str(interface.ip) if interface.version == 4 else f"[{interface.ip}]"
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"
