"""A server under a flood of spoofed SYNs (flood.c), and honest clients of it (load.c) meanwhile."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.networks import OUR_ADDRESS, PEER_ADDRESS
from bench.setting import Setting

if TYPE_CHECKING:
    from synfin.stack.stack import Stack

PORT = 7000
HONEST = 4  # clients at a time
REPEATED_SECONDS = 3.5  # Linux repeats a SYN after 1 and 3 seconds
MOST_SYNS = 50_000_000
LEAST_SYNS = 50_000  # a second


async def syn_flood(setting: Setting) -> float:
    """SYNs a second that were answered. A client that gets no connection, or not its whole answer, ends it all.

    The clients try for as long as it takes to repeat a SYN that was lost: what finds a ring full is, whoever sent it.
    """
    honest_seconds = max(setting.seconds, REPEATED_SECONDS)
    seconds = setting.warm + honest_seconds + 0.5
    mac = _mac("veth0")
    words = [setting.flood, "veth1", mac, OUR_ADDRESS, str(PORT), str(seconds), str(MOST_SYNS)]
    pipe = asyncio.subprocess.PIPE
    generator = await asyncio.create_subprocess_exec(*setting.inside(words), stdout=pipe)
    await asyncio.sleep(setting.warm)
    ms = str(int(honest_seconds * 1000))
    honest = await asyncio.create_subprocess_exec(
        *setting.command("connect", OUR_ADDRESS, PORT, HONEST, 0, ms), stdout=pipe, stderr=subprocess.PIPE
    )
    loop = asyncio.get_running_loop()
    before, begun = _sent("veth0"), loop.time()
    await asyncio.sleep(setting.seconds)
    answered, took = _sent("veth0") - before, loop.time() - begun
    said, complaint = await asyncio.wait_for(honest.communicate(), setting.patience)
    if honest.returncode:
        raise RuntimeError(f"an honest client was not served: {complaint.decode()}")
    connections, tried = map(float, said.split())
    if not connections:
        raise RuntimeError("no honest client was served in time")
    offered, lasted = map(float, (await generator.communicate())[0].split())
    if offered / lasted < LEAST_SYNS:
        raise RuntimeError(f"{offered / lasted:,.0f} SYNs a second are no flood: the generator had no processor")
    return answered / took - 3 * connections / tried  # SYN,ACK, the answer with its FIN, the last ACK


def check_tables(stack: Stack) -> None:
    """RuntimeError if one holds more than it may."""
    census, config = stack.census(), stack.config
    half_open = config.syn_queue_limit + census["time_wait"]  # who comes again in TIME-WAIT needs no room of others
    if census["half_open"] > half_open or census["connections"] > 1024:
        raise RuntimeError(f"the flood has filled a table: {census}")


def route_back() -> None:
    """The kernel's way to those who are said to have sent the SYNs; where it goes they are dropped."""
    subprocess.run(["ip", "route", "add", "default", "via", PEER_ADDRESS], check=True)


def _mac(interface: str) -> str:
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return ioctl(control, 0x8927, struct.pack("16s24x", interface.encode()))[18:24].hex(":")  # SIOCGIFHWADDR


def _sent(interface: str) -> int:
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            return int(numbers.split()[9])
    raise RuntimeError(f"no interface {interface}")
