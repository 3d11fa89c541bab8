"""One measurement: `python -m bench.worker SUBJECT MEASURE ...`, in a private network of its own; prints one JSON line.

{"value": 5.1, "compiled": true}: the figure, and what synfin.compiled() said in the very process that made it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from bench.plan import ASYNCIO, IN_SYNFIN, KERNEL_PLAIN, STREAMS

PEER_ADDRESS = "10.9.0.1"  # where load.c is
OUR_ADDRESS = "10.9.0.2"  # where the subject is
PORT = 7000
MTU = 1500
CHUNK = bytes(256 * 1024)
WRITES_AT_ONCE = 64  # 16 MB, beyond every high-water mark: a transport that never pauses must not spin for ever
REQUEST_BYTES = 64  # as in load.c
ANSWER = bytes(256)
PARALLEL = 32  # short connections at a time
IDLE_CONNECTIONS = 1000
FIRST_CONNECTIONS = 50  # opened before memory is counted: what they cause once is nobody's
LOAD_GRACE_SECONDS = 15.0


class Setting:
    """What the command line said."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.subject: str = arguments.subject
        self.measure: str = arguments.measure
        self.offload: bool = not arguments.plain
        self.load: str = arguments.load
        self.warm: float = arguments.warm
        self.seconds: float = arguments.seconds

    def command(self, *words: str | int) -> list[str]:
        """A command line of load.c."""
        return [self.load, *map(str, words)]

    @property
    def warm_ms(self) -> int:
        return int(self.warm * 1000)

    @property
    def ms(self) -> int:
        return int(self.seconds * 1000)

    @property
    def patience(self) -> float:
        return self.warm + self.seconds + LOAD_GRACE_SECONDS


# ---- users: the same work as an asyncio.Protocol and with streams ----


class Sink(asyncio.Protocol):
    """Counts what comes."""

    received = 0

    def data_received(self, data: bytes) -> None:
        Sink.received += len(data)


class Source(asyncio.Protocol):
    """Writes as long as it may."""

    transport: asyncio.Transport
    paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.fill()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.fill()

    def fill(self) -> None:
        for _ in range(WRITES_AT_ONCE):
            if self.paused or self.transport.is_closing():
                break
            self.transport.write(CHUNK)


class Answer(asyncio.Protocol):
    """Answers one request and closes."""

    transport: asyncio.Transport
    received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= REQUEST_BYTES:
            self.transport.write(ANSWER)
            self.transport.close()


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Idle(asyncio.Protocol):
    """Does nothing, and counts the connections."""

    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Idle.made += 1


async def answer_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readexactly(REQUEST_BYTES)
        writer.write(ANSWER)
        writer.close()
        await writer.wait_closed()
    except (OSError, EOFError):
        writer.close()


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def idle_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    Idle.made += 1
    with suppress(OSError):
        await reader.read()
    writer.close()


Users = tuple[type[asyncio.Protocol], Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None]
USERS: dict[str, Users] = {
    "bulk_receive": (Sink, None),
    "bulk_send": (Source, None),
    "short_connections": (Answer, answer_stream),
    "ping_pong": (Echo, echo_stream),
    "memory_idle_connection": (Idle, idle_stream),
}


# ---- what a server is measured by, from the side of its peer ----

Measure = Callable[[Setting], Awaitable[float]]


async def ask_load(setting: Setting, *words: str | int) -> list[float]:
    """Run load.c to its end; the numbers it printed."""
    child = await asyncio.create_subprocess_exec(*setting.command(*words), stdout=subprocess.PIPE)
    try:
        output, _ = await asyncio.wait_for(child.communicate(), setting.patience)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"load {words[0]} ended with status {child.returncode}")
    return [float(word) for word in output.split()]


async def bulk_receive(setting: Setting) -> float:
    """Gbit/s that reach the Protocol."""
    duration = setting.warm_ms + setting.ms + 2000
    sending = asyncio.create_task(ask_load(setting, "send", OUR_ADDRESS, PORT, duration))
    await asyncio.sleep(setting.warm)
    bytes_before, before = Sink.received, time.perf_counter()
    await asyncio.sleep(setting.seconds)
    bytes_after, after = Sink.received, time.perf_counter()
    if not bytes_before or sending.done():
        raise RuntimeError("the sender did not begin in time, or ended too early")
    return (bytes_after - bytes_before) * 8 / (after - before) / 1e9


async def bulk_send(setting: Setting) -> float:
    """Gbit/s that load.c reads."""
    count, seconds = await ask_load(setting, "receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    return count * 8 / seconds / 1e9


async def short_connections(setting: Setting) -> float:
    """Connections a second: open, a request, an answer, the server closes."""
    words = ("connect", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
    count, seconds = await ask_load(setting, *words)
    return count / seconds


async def ping_pong(setting: Setting) -> float:
    """Median microseconds for a byte there and back."""
    median, _ = await ask_load(setting, "ping", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    return median


async def memory_idle_connection(setting: Setting) -> float:
    """Bytes of Python's memory for an open connection on which nothing happens, its user included."""
    tracemalloc.start()
    before = 0
    children = []  # kept, and with them their connections, until this process ends
    for count in (FIRST_CONNECTIONS, IDLE_CONNECTIONS):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        command = setting.command("hold", OUR_ADDRESS, PORT, count)
        pipe = subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        children.append(child)
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), setting.patience)
        await asyncio.sleep(0.3)  # the last ACKs
    if Idle.made != FIRST_CONNECTIONS + IDLE_CONNECTIONS:
        raise RuntimeError(f"{Idle.made} connections were made")
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / IDLE_CONNECTIONS


MEASURES: dict[str, Measure] = {
    "bulk_receive": bulk_receive,
    "bulk_send": bulk_send,
    "short_connections": short_connections,
    "ping_pong": ping_pong,
    "memory_idle_connection": memory_idle_connection,
}


# ---- subjects ----


def of_synfin(setting: Setting) -> None:
    """A synfin Host on a TUN device; its peer is the kernel of the same private network."""
    import synfin
    from synfin.links import netns
    from synfin.links.tun import TunLink

    async def run() -> None:
        link = TunLink("bench%d", mtu=MTU, offload=setting.offload)
        if link.offload != setting.offload:
            raise RuntimeError("this kernel's TUN device grants no offload")
        netns.configure(link.name, [f"{PEER_ADDRESS}/24"])
        protocol, stream = USERS[setting.measure]
        async with synfin.Host([OUR_ADDRESS], link=link) as host:
            if setting.subject == STREAMS:
                assert stream is not None
                await host.start_server(stream, OUR_ADDRESS, PORT, backlog=1024)
            else:
                await host.create_server(protocol, OUR_ADDRESS, PORT, backlog=1024)
            finish(await MEASURES[setting.measure](setting))

    netns.enter_private_network()
    asyncio.run(run())


def of_asyncio(setting: Setting) -> None:
    """The same Protocol on asyncio's own transports; load.c at the other end of a veth pair."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(USERS[setting.measure][0], OUR_ADDRESS, PORT, backlog=1024)
        finish(await MEASURES[setting.measure](setting))

    with veth_pair(True) as inside:
        setting.command = lambda *words: inside([setting.load, *map(str, words)])  # type: ignore[method-assign]
        asyncio.run(run())


def of_kernel(setting: Setting) -> None:
    """load.c at both ends of a veth pair."""
    offload = setting.subject != KERNEL_PLAIN
    mode = {"bulk": "source", "short_connections": "answer", "ping_pong": "echo"}
    served = mode[
        "bulk" if setting.measure in ("bulk_receive", "bulk_send", "memory_link_segments") else setting.measure
    ]
    with veth_pair(offload) as inside:
        pipe = subprocess.PIPE
        with subprocess.Popen(setting.command("serve", OUR_ADDRESS, PORT, served), stdin=pipe, stdout=pipe) as server:
            assert server.stdout is not None
            try:
                server.stdout.readline()
                finish(_ask_kernel(setting, inside))
            finally:
                server.kill()


def _ask_kernel(setting: Setting, inside: Callable[[list[str]], list[str]]) -> float:
    def ask(*words: str | int) -> list[float]:
        command = inside(setting.command(*words))
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=setting.patience, check=True)
        return [float(word) for word in done.stdout.split()]

    if setting.measure == "short_connections":
        count, seconds = ask("connect", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
        return count / seconds
    if setting.measure == "ping_pong":
        return ask("ping", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)[0]
    packets, begun = _packets("veth0"), time.perf_counter()
    count, seconds = ask("receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    if setting.measure == "memory_link_segments":
        return (_packets("veth0") - packets) / (time.perf_counter() - begun)
    return count * 8 / seconds / 1e9


def _packets(interface: str) -> int:
    """That crossed the interface so far, both ways."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            fields = numbers.split()
            return int(fields[1]) + int(fields[9])
    raise RuntimeError(f"no interface {interface}")


@contextmanager
def veth_pair(offload: bool) -> Iterator[Callable[[list[str]], list[str]]]:
    """Enter a private network joined with a second one; gives what makes a command line run in the second."""
    from pyroute2 import IPRoute

    from synfin.links import netns

    netns.enter_private_network()
    with netns.PrivateNetwork() as other:
        with IPRoute() as kernel:
            peer = {"ifname": "veth1", "net_ns_pid": other.pid}
            kernel.link("add", ifname="veth0", kind="veth", mtu=MTU, peer=peer)
        netns.configure("veth0", [f"{OUR_ADDRESS}/24"], MTU)
        set_up = (
            f"from synfin.links import netns; netns.configure('veth1', ['{PEER_ADDRESS}/24'], {MTU}); "
            f"from bench import worker; {offload} or worker.without_offload('veth1')"
        )
        other.run([sys.executable, "-c", set_up], check=True)
        if not offload:
            without_offload("veth0")
        yield other.command


def without_offload(interface: str) -> None:
    """What `ethtool -K interface tx off tso off gso off gro off` does (ethtool.h)."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (0x1F, 0x24, 0x2C, 0x17):  # ETHTOOL_STSO, SGSO, SGRO, STXCSUM
            request = bytearray(struct.pack("=II", command, 0))
            address = (ctypes.c_char * len(request)).from_buffer(request)
            ioctl(control, 0x8946, struct.pack("16sP16x", interface.encode(), ctypes.addressof(address)))


def of_memory_link(setting: Setting) -> None:
    """Segments a second through two stacks in one process, in virtual time, without offload."""
    from synfin.links.memory import MemoryLink
    from synfin.stack.stack import Stack
    from synfin.tcp.connection import CONNECTED, WRITABLE, Connection

    left = Stack(["10.0.0.1"], entropy=random.Random(1).randbytes)
    right = Stack(["10.0.0.2"], entropy=random.Random(2).randbytes)
    link = MemoryLink(left, right, seed=1)
    right.listen(80)

    def fill(connection: Connection) -> None:
        while connection.write_excess() == 0:
            connection.write(CHUNK)
        connection.want_writable = True

    def on_left(stack: Stack, now: int) -> None:
        while (connection := stack.ready()) is not None:
            if connection.take_events() & (CONNECTED | WRITABLE):
                fill(connection)

    def on_right(stack: Stack, now: int) -> None:
        while (listener := stack.accepting()) is not None:
            while listener.accept() is not None:
                pass
        while (connection := stack.ready()) is not None:
            connection.take_events()
            connection.read(now)

    link.users = {left: on_left, right: on_right}
    left.connect("10.0.0.2", 80, 0)

    def run_for(seconds: float) -> float:
        begun, delivered = time.perf_counter(), link.delivered
        while (elapsed := time.perf_counter() - begun) < seconds:
            for _ in range(20):
                link.step()
        return (link.delivered - delivered) / elapsed

    run_for(setting.warm)
    finish(run_for(setting.seconds))


def finish(value: float) -> NoReturn:
    """Say what was measured and end at once: load.c and the network go with this process."""
    import synfin

    print(json.dumps({"value": value, "compiled": synfin.compiled()}), flush=True)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__)
    parser.add_argument("subject")
    parser.add_argument("measure")
    parser.add_argument("--plain", action="store_true", help="a device without offload")
    parser.add_argument("--load", required=True, help="the compiled load.c")
    parser.add_argument("--warm", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=1.5)
    setting = Setting(parser.parse_args())
    if setting.subject not in IN_SYNFIN:
        (of_asyncio if setting.subject == ASYNCIO else of_kernel)(setting)
    elif setting.measure == "memory_link_segments":
        of_memory_link(setting)
    else:
        of_synfin(setting)


if __name__ == "__main__":
    main()
