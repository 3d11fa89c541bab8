"""`synfin connect`: stdin to a connection of synfin's TCP, and what comes back to stdout, as nc does it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from synfin.aio.host import Host
from synfin.cli.blocking import BlockingCalls
from synfin.cli.device import CommandError, Interface, how_to_be_allowed, kernel_ends, open_device, parse_addresses
from synfin.cli.ending import run_until_ended
from synfin.cli.ethernet import TUN_MTU, check_options, open_interface
from synfin.tcp.trace import Trace

if TYPE_CHECKING:
    from synfin.links.link import Link

# Not those of `serve`: both may run at once.
ADDRESSES: Final = ("10.9.1.2/24", "fd00:9:1::2/64")
CHUNK: Final = 64 * 1024
STDIN: Final = 0
STDOUT: Final = 1


def run(
    host: str, port: int, addresses: list[str], families: tuple[int, ...], tun_name: str, mtu: int | None, wait: float,
    draw: bool, interface: str | None = None, gateways: list[str] | None = None,
) -> int:  # fmt: skip
    """The command; its exit status."""
    link: Link
    try:
        check_options(interface, gateways or [], tun_name)
        if interface is None:
            interfaces = parse_addresses(addresses, ADDRESSES, families, mtu or TUN_MTU)
            link, ends = open_device(tun_name, mtu or TUN_MTU, interfaces), kernel_ends(interfaces)
        else:
            link, interfaces = open_interface(interface, addresses, families, gateways or [], mtu)
            ends = []
    except (CommandError, OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if isinstance(error, OSError) and error.errno == errno.EPERM:
            text = f"this user may not make a TUN device: {how_to_be_allowed(tun_name, interfaces)}"
        return _complain(text)
    return run_until_ended(_connect(link, interfaces, ends, host, port, wait, draw))


def _complain(text: object) -> int:
    print(f"synfin connect: {text}", file=sys.stderr)
    return 1


async def _connect(
    link: Link, interfaces: list[Interface], ends: list[Interface], name: str, port: int, wait: float, draw: bool
) -> int:
    """ends: the kernel's addresses at the other end of a TUN device; none at an Ethernet interface."""
    trace: Trace | None = None
    with contextlib.ExitStack() as stack:
        if draw:
            from synfin.view.live import Live

            live = Live(sys.stderr, names={str(interface.ip): "synfin" for interface in interfaces})
            stack.callback(live.close)
            trace = live
        try:
            async with Host([str(interface) for interface in interfaces], link=link, trace=trace) as host:
                return await _converse(host, interfaces, ends, name, port, wait)
        except OSError as error:  # an address of --interface's network is somebody else's
            return _complain(error.strerror or error)


async def _converse(
    host: Host, interfaces: list[Interface], ends: list[Interface], name: str, port: int, wait: float
) -> int:
    try:
        address = await _address(name, interfaces, ends)
        async with asyncio.timeout(wait):
            reader, writer = await host.open_connection(address, port)
    except (CommandError, OSError, ValueError) as error:  # TimeoutError, too, is an OSError
        return _complain(_why(error, name, port, wait, interfaces, ends))
    try:
        await _exchange(reader, writer)
    except BrokenPipeError:
        writer.transport.abort()  # nobody reads our output any more
        return 1
    except OSError as error:
        return _complain(error.strerror or error)
    finally:
        writer.close()
    return 0


async def _address(name: str, interfaces: list[Interface], ends: list[Interface]) -> str:
    """The first address of `name` that the device can reach."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None)
    versions = {interface.version for interface in interfaces}
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    usable = [address for address in addresses if address.version in versions]
    if not usable:
        raise CommandError(f"{name} has only addresses of IPv{addresses[0].version}, which synfin has not here")
    if usable[0].is_loopback or usable[0].is_unspecified:
        nearby = [f": this machine is {end.ip} here" for end in ends if end.version == usable[0].version]
        raise CommandError(
            f"{usable[0]} is inside the kernel, where no packet of a device goes{nearby[0] if nearby else ''}"
        )
    return str(usable[0])


def _why(
    error: Exception, name: str, port: int, wait: float, interfaces: list[Interface], ends: list[Interface]
) -> str:
    """The reason, and what may help."""
    target = f"{name} port {port}"
    if isinstance(error, CommandError):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        near = name in {str(end.ip) for end in ends}
        hint = " (a server that listens on 127.0.0.1 or ::1 only can't be reached from a device)" if near else ""
        return f"{target}: nobody listens there{hint}"
    if isinstance(error, TimeoutError):
        ours = " and ".join(str(interface.ip) for interface in interfaces)
        if not ends:
            return f"{target}: no answer within {wait:g} s; a firewall may drop the packets of {ours}"
        return (
            f"{target}: no answer within {wait:g} s. This machine answers by itself; to reach others it must forward "
            f"packets of {ours} (sysctl net.ipv4.ip_forward=1, and masquerading), and a firewall may drop them"
        )
    if isinstance(error, UnicodeError):
        return f"{target}: that is no name of a host"
    return f"{target}: {getattr(error, 'strerror', None) or error}"


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both directions, until both have ended; for a person at a terminal, until the peer has ended."""
    sending = asyncio.create_task(_send(writer))
    sending.add_done_callback(_told_elsewhere)
    try:
        output = BlockingCalls("stdout")
        while data := await reader.read(CHUNK):
            await output.call(_write_out, data)
        if not os.isatty(STDIN):
            await sending
    finally:
        sending.cancel()


async def _send(writer: asyncio.StreamWriter) -> None:
    """All of stdin, and its end as the FIN."""
    stdin = BlockingCalls("stdin")
    while data := await stdin.call(_read_in):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _told_elsewhere(sending: asyncio.Task[None]) -> None:
    """A connection that fails says so to the reader as well, who may be the one to tell."""
    if not sending.cancelled():
        sending.exception()


def _read_in() -> bytes:
    try:
        return os.read(STDIN, CHUNK)
    except OSError:  # stdin is closed: there is no input
        return b""


def _write_out(data: bytes) -> None:
    while data:
        data = data[os.write(STDOUT, data) :]
