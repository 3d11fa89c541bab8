"""`synfin serve`: the files of a folder over HTTP, by synfin's TCP, to all programs that reach its TUN device."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synfin.aio.host import Host
from synfin.cli.device import CommandError, Interface, how_to_be_allowed, open_device, parse_addresses
from synfin.cli.http_server import HttpServer
from synfin.cli.site import DirectorySite
from synfin.cli.ss import control_socket

if TYPE_CHECKING:
    from synfin.links.tun import TunLink

ADDRESSES: Final = ("10.9.0.2/24", "fd00:9::2/64")


def run(folder: Path, addresses: list[str], families: tuple[int, ...], port: int, tun_name: str, mtu: int) -> int:
    """The command; its exit status."""
    control = control_socket("serve")
    try:
        interfaces = parse_addresses(addresses, ADDRESSES, families, mtu)
        site = DirectorySite(folder)
        link, private = _open(tun_name, mtu, interfaces)
    except (CommandError, OSError, RuntimeError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"synfin serve: {text}", file=sys.stderr)
        return 1
    urls = [_url(interface, port) for interface in interfaces]
    print(f"serving {folder.resolve()} on {link.name} at")
    print("\n".join(f"    {url}" for url in urls))
    if private:
        print("You are not root, so this is a network of its own. Programs see it that join it:")
        print(f"    nsenter -t {os.getpid()} -U -n --preserve-credentials curl {urls[0]}")
        print(f"For all programs of this machine {how_to_be_allowed(tun_name, interfaces)}")
    print("Ctrl-C ends it.", flush=True)
    asyncio.run(_serve(link, interfaces, port, site, control))
    return 0


def _open(tun_name: str, mtu: int, interfaces: list[Interface]) -> tuple[TunLink, bool]:
    """The device; True if it is in a private network, since this user may have none elsewhere."""
    try:
        return open_device(tun_name, mtu, interfaces), False
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    from synfin.links.netns import enter_private_network

    enter_private_network()
    return open_device(tun_name, mtu, interfaces), True


async def _serve(
    link: TunLink, interfaces: list[Interface], port: int, site: DirectorySite, control: Path | None
) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    addresses = [str(interface) for interface in interfaces]
    async with Host(addresses, link=link, control=control) as host:
        server = HttpServer(site, log=_log)
        await host.start_server(server.serve, port=port)
        await ended.wait()
    print("ended", flush=True)


def _log(peer: str, request: str, status: int) -> None:
    # The request is the client's: nothing in it may drive the terminal.
    print(f"{peer}  {status}  {''.join(c if c.isprintable() else '?' for c in request)}", flush=True)


def _url(interface: Interface, port: int) -> str:
    host = str(interface.ip) if interface.version == 4 else f"[{interface.ip}]"
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"
