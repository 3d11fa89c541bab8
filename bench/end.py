"""One end of a lossy path, a process of its own: `python -m bench.end kernel|synfin left|right ...`.

It hands the descriptor that carries its IP packets to whoever started it: of a TUN device in a private network, behind
which is the kernel's TCP, or of a socket to a synfin Host. Then the right end listens and the left end, once told,
connects. The user is the same asyncio.Protocol on both. It ends with its parent, and lives for two minutes at most.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import functools
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.users import CHUNK, WRITES_AT_ONCE

ADDRESSES = {"left": "10.9.1.1", "right": "10.9.1.2"}
PORT = 7000
MTU = 1500
LONGEST_LIFE_SECONDS = 120
SOCKET_BYTES = 8 << 20  # that may wait in the socket to the relay: as much as a TUN device's queue of 4096 packets
BUFFERS = {"tcp_rmem": "4096 131072 6291456", "tcp_wmem": "4096 65536 4194304"}  # Config's, and Linux's, defaults


class Flow(asyncio.Protocol):
    """Sends `size` bytes and then its FIN (-1: bytes without end), and takes what comes."""

    transport: asyncio.Transport

    def __init__(self, size: int) -> None:
        self._left = size
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._fill()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._fill()

    def _fill(self) -> None:
        for _ in range(WRITES_AT_ONCE):
            if self._paused or self._left == 0 or self.transport.is_closing():
                return
            if 0 < self._left <= len(CHUNK):
                self.transport.write(CHUNK[: self._left])
                self._left = 0
                self.transport.write_eof()
            else:
                self.transport.write(CHUNK)
                self._left -= len(CHUNK) if self._left > 0 else 0


class Channel:
    """To the parent.

    realtime: once the end is ready it gets a processor before whatever else the machine has to do. What the kernel's
    TCP does runs in the relay's system calls and interrupts, and has that anyway.
    """

    def __init__(self, fd: int, realtime: bool) -> None:
        self._socket = socket.socket(fileno=fd)
        self._realtime = realtime

    def ready(self, fd: int) -> None:
        """The descriptor of our packets; we listen, or wait for connect()."""
        if self._realtime:
            with suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        socket.send_fds(self._socket, [b"r"], [fd])

    def wait(self) -> None:
        """Until the parent says that the path is there."""
        if not self._socket.recv(1):
            raise SystemExit("nobody started this end")


def kernel(side: str, control: str, settings: dict[str, Any], channel: Channel, flow: Callable[[], Flow]) -> None:
    """The kernel's TCP, behind a TUN device without offload."""
    from synfin.links import netns
    from synfin.links.tun import TunLink

    netns.enter_private_network()
    link = TunLink("end%d", mtu=MTU, offload=False)
    netns.configure(link.name, [f"{ADDRESSES[side]}/24"])
    sysctl = Path("/proc/sys/net/ipv4")  # of the private network
    for name, value in {**BUFFERS, "tcp_no_metrics_save": "1"}.items():
        (sysctl / name).write_text(value)
    # By socket: as the default of a namespace only some controls are allowed, but root over it may choose any.
    end = socket.socket()
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.partition("@")[0].encode())

    async def run() -> None:
        loop = asyncio.get_running_loop()
        if side == "right":
            end.bind((ADDRESSES["right"], PORT))
            await loop.create_server(flow, sock=end)
            channel.ready(link.fileno())
        else:
            end.setblocking(False)
            await loop.sock_connect(end, (ADDRESSES["right"], PORT))
            await loop.create_connection(flow, sock=end)
        await loop.create_future()

    if side == "left":
        channel.ready(link.fileno())
        channel.wait()
    asyncio.run(run())


def chosen(control: str) -> Any:
    """For Config. "bbr@0.5": with that loss threshold, which the kernel's BBR, version 1, does not have."""
    from synfin.tcp.congestion.bbr import BBR

    name, _, threshold = control.partition("@")
    return functools.partial(BBR, loss_thresh=float(threshold)) if threshold else name


def synfin(side: str, control: str, settings: dict[str, Any], channel: Channel, flow: Callable[[], Flow]) -> None:
    """A Host whose packets go through a socket."""
    from synfin import Config, Host
    from synfin.links.tun import TunLink

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    link = TunLink.from_fd(ours.detach(), MTU)
    config = Config(congestion_control=chosen(control), **settings)

    async def run() -> None:
        async with Host(
            f"{ADDRESSES[side]}/24",
            link=link,
            config=config,
        ) as host:
            if side == "right":
                await host.create_server(flow, ADDRESSES["right"], PORT)
                channel.ready(theirs.detach())
            else:
                await host.create_connection(flow, ADDRESSES["right"], PORT)
            await asyncio.get_running_loop().create_future()

    if side == "left":
        channel.ready(theirs.detach())
        channel.wait()
    asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.end", description=__doc__)
    parser.add_argument("stack", choices=("kernel", "synfin"))
    parser.add_argument("side", choices=("left", "right"))
    parser.add_argument("--control", required=True, help="by name; bbr@0.5: with that loss threshold")
    parser.add_argument("--config", type=json.loads, default={}, help="further settings of synfin.Config, as JSON")
    parser.add_argument("--channel", required=True, type=int, help="descriptor of a socket to the parent")
    parser.add_argument("--size", type=int, default=0, help="bytes to send; -1: without end")
    parser.add_argument("--realtime", action="store_true", help="before all else that the machine does, if allowed")
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.alarm(LONGEST_LIFE_SECONDS)
    stack = kernel if given.stack == "kernel" else synfin
    stack(given.side, given.control, given.config, Channel(given.channel, given.realtime), lambda: Flow(given.size))


if __name__ == "__main__":
    main()
