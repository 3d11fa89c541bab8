"""The synfin side of an interop test: a Host on a TUN device or a veth pair, with HTTP server and client, in a process.

    python -m tests.interop.synfin_side '{"mtu": 1500, "offload": true, ...}'      # Settings, by name

It runs in the private network of a test (`harness.SynfinSide`). On stdin it takes orders, one JSON object a line, each
with "do" and arguments; it answers each by one JSON line on stdout, and with {"ready": ...} to begin with.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import hashlib
import json
import re
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import synfin
from bench.networks import without_offload
from synfin.links.netns import add_pair, configure
from synfin.links.packet import PacketLink
from synfin.links.pcapng import PcapngWriter, PcapTap
from synfin.links.tun import TunLink
from synfin.tcp.trace import Event, NoteEvent
from synfin.view.capture import AnnotatedCapture
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import SYN
from tests.interop.lossy import LossyLink
from tests.interop.payload import chunks

INTERFACE = "synfin0"
KERNELS = "kernel0"  # the other end of it, where it is one of a veth pair
KERNEL = {4: "10.9.0.1", 6: "fd00:9::1"}
SYNFIN = {4: "10.9.0.2", 6: "fd00:9::2"}
PORT = 80

Device = TunLink | PacketLink

FLOOD_BATCH = 10_000
_SPOOFED_HOSTS = 40_000

# What a trace says before bytes go out again; a probe sends what the peer may have already.
EXPLAINS = re.compile("retransmi|partial ACK|probe")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How this side is to run. Without a capture path nothing is captured."""

    device: str = "tun"  # "packet": one end of a veth pair, through a packet socket
    mtu: int = 1500
    offload: bool = True
    capture: str = ""
    annotated: bool = False  # the capture comes from the trace, else from the link
    snaplen: int = 0
    lose: int = 0  # one of so many packets with text, each way; 0: none
    mark: int = 0  # ... is marked, if it is ECT
    hole: int = 0  # larger packets that go out vanish; 0: none
    config: Mapping[str, int | str] = dataclasses.field(default_factory=dict)  # of synfin.Config, by name

    @property
    def versions(self) -> list[int]:
        """The IP versions that the MTU carries (RFC 8200 5)."""
        return [4, 6] if self.mtu >= 1280 else [4]


class HttpServer:
    """The least HTTP/1.1 that curl, wrk and ab are content with.

    GET /N answers N bytes; GET /together/K/N answers once K such requests are there; PUT answers the SHA-256 of what it
    got. What goes wrong is kept in `problems`.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.served = 0
        self._barriers: dict[str, asyncio.Barrier] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end has had enough."""
        try:
            while line := await reader.readline():
                method, path, version = line.decode().split()
                fields = await _fields(reader)
                wish = fields.get("connection", "close" if version == "HTTP/1.0" else "keep-alive").lower()
                if method == "PUT":
                    await self._put(reader, writer, fields, wish)
                else:
                    await self._get(writer, path, wish)
                self.served += 1
                if wish == "close":
                    break
            writer.close()
            await writer.wait_closed()
        except Exception as error:
            self.problems.append(repr(error))
            writer.close()

    async def _get(self, writer: asyncio.StreamWriter, path: str, wish: str) -> None:
        size = int(path.rpartition("/")[2])
        if path.startswith("/together/"):
            barrier = self._barriers.setdefault(path, asyncio.Barrier(int(path.split("/")[2])))
            await barrier.wait()
        writer.write(_head(size, wish))
        for chunk in chunks(size):
            writer.write(chunk)
            await writer.drain()

    async def _put(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: dict[str, str], wish: str
    ) -> None:
        if fields.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        got = await _digest(reader, int(fields["content-length"]))
        writer.write(_head(len(got), wish) + got.encode())
        await writer.drain()


class Side:
    """Orders are methods: what they return is the answer."""

    def __init__(
        self, settings: Settings, host: synfin.Host, link: Device, lossy: LossyLink | None, server: HttpServer
    ) -> None:
        self.settings = settings
        self.host = host
        self.link = link
        self.lossy = lossy
        self.server = server
        self.notes: list[tuple[int, str, str]] = []

    def watch(self, event: Event) -> None:
        """The trace hook: keep what explains a retransmission."""
        if isinstance(event, NoteEvent) and EXPLAINS.search(event.what):
            self.notes.append((event.at + _epoch_us(), event.key.hex(), event.what))

    async def census(self) -> dict[str, int]:
        """The stack's tables, but for the listeners of this side's own server, one a family."""
        census = self.host.stack.census()
        census["listeners"] -= 2
        return census

    async def lost(self) -> dict[str, int]:
        """Packets with text that the link lost so far: those that came "in" and those that went "out"."""
        assert self.lossy is not None
        return self.lossy.lost

    async def marked(self) -> dict[str, int]:
        """Packets with text that the link marked so far."""
        assert self.lossy is not None
        return self.lossy.marked

    async def set_kernel_ecn(self, value: int) -> bool:
        """Set the kernel's tcp_ecn; False: it knows no such value."""
        try:
            _set_tcp_ecn(value)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return False
        return True

    async def tcp_infos(self, size: int) -> list[dict[str, list[int]]]:
        """`size` bytes each way, to readers that come late: TCP_INFO of both ends, Linux's layout, when all is read."""
        loop = asyncio.get_running_loop()
        with socket.create_server((KERNEL[4], 0)) as listening:
            listening.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listening))
            reader, writer = await self.host.open_connection(*listening.getsockname())
            kernel, _ = await accepting
        ours = writer.get_extra_info("socket")
        with kernel:
            kernel.setblocking(False)
            writer.write(bytes(size))
            sending = asyncio.ensure_future(loop.sock_sendall(kernel, bytes(size)))
            held = (ours, kernel)
            await _until(
                lambda: all(_told(end)["rwnd_limited"][0] for end in held)
            )  # nobody reads: each fills a window
            left = size
            while left:
                left -= len(await loop.sock_recv(kernel, left))
            await reader.readexactly(size)
            await sending
            await _until(lambda: not any(_told(end)["unacked"][0] for end in held))
            await asyncio.sleep(0.1)  # the last window updates
            told = [_told(end) for end in held]
            writer.close()
        return told

    async def facts(self) -> dict[str, Any]:
        """All that a test may want to compare."""
        return {
            "counters": self.host.stack.counters.as_dict(),
            "problems": self.server.problems,
            "served": self.server.served,
            "notes": self.notes,
            "refused": self.link.refused,
            "overflowed": self.link.overflowed,
            "kernel": _kernel_counters(),
            "dropped": _dropped_by_device(KERNELS) + self.link.dropped
            if isinstance(self.link, PacketLink)
            else _dropped_by_device(INTERFACE),
        }

    async def flood(self, first: int, count: int) -> None:
        """SYNs from addresses that never answer, into the stack itself, so that no device queue loses any.

        Closed-loop: a batch waits until the answers to the last one have gone to the device. What does not find room
        in the outbox is dropped, as it would be by a device.
        """
        stack = self.host.stack
        template = bytearray(_spoofed_syn())
        for start in range(first, first + count, FLOOD_BATCH):
            now = self.host.clock()
            for number in range(start, min(start + FLOOD_BATCH, first + count)):
                # Both halves of the address together are always the same sum: so is the header's checksum.
                place = number % _SPOOFED_HOSTS
                template[12:14] = (0x0B00 + place).to_bytes(2, "big")
                template[14:16] = (0xFFFF - place).to_bytes(2, "big")
                template[20:22] = (1024 + number // _SPOOFED_HOSTS).to_bytes(2, "big")
                template[24:28] = number.to_bytes(4, "big")
                stack.receive(bytes(template), now, True)
            self.host.deliver([])
            await asyncio.sleep(0)

    async def objects(self) -> int:
        """How many objects this process holds that could hold others."""
        gc.collect()
        return len(gc.get_objects())

    async def widest_window(self) -> int:
        """The largest window that any peer of an open connection has offered, in bytes."""
        return max(connection.sender.max_wnd for connection in self.host.stack.connections())

    async def fetch(self, version: int, path: str, count: int = 1, at_once: int = 1, wish: str = "close") -> list[Any]:
        """GET from the kernel's side, `count` times: how often each outcome came, [status and SHA-256, times].

        wish "close": the server closes first. "keep-alive": this side does, having read all.
        """
        gate = asyncio.Semaphore(at_once)

        async def one() -> str:
            async with gate:
                try:
                    return await self._request(version, f"GET {path}", wish, 0)
                except Exception as error:
                    return repr(error)

        outcomes = await asyncio.gather(*[one() for _ in range(count)])
        return [[outcome, outcomes.count(outcome)] for outcome in sorted(set(outcomes))]

    async def put(self, version: int, path: str, size: int) -> str:
        """PUT a body to the kernel's side; status and SHA-256 of the answer."""
        return await self._request(version, f"PUT {path}", "close", size)

    async def _request(self, version: int, line: str, wish: str, size: int) -> str:
        reader, writer = await self.host.open_connection(KERNEL[version], PORT)
        try:
            head = f"{line} HTTP/1.1\r\nHost: kernel\r\nConnection: {wish}\r\nContent-Length: {size}\r\n\r\n"
            writer.write(head.encode())
            for chunk in chunks(size):
                writer.write(chunk)
                await writer.drain()
            _, status, *_ = (await reader.readline()).decode().split()
            fields = await _fields(reader)
            got = await _digest(reader, int(fields["content-length"]))
            if wish == "close" and await reader.read(1):
                raise ValueError("more came than was announced")
            return f"{status} {got}"
        finally:
            writer.close()
            await writer.wait_closed()


TCP_INFO = {  # linux/tcp.h: name -> place, layout
    "state": (0, "B"), "options": (5, "B"), "wscale": (6, "B"), "snd_mss": (16, "I"), "unacked": (24, "I"),
    "lost": (32, "I"), "pmtu": (60, "I"), "rtt": (68, "I"), "advmss": (84, "I"), "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"), "notsent": (144, "I"), "min_rtt": (148, "I"), "delivery_rate": (160, "Q"),
    "busy_time": (168, "Q"), "rwnd_limited": (176, "Q"), "sndbuf_limited": (184, "Q"), "bytes_sent": (200, "Q"),
    "bytes_retrans": (208, "Q"), "snd_wnd": (228, "I"),
}  # fmt: skip


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  (nobody tells of what TCP_INFO counts)
        await asyncio.sleep(0.01)


def _told(end: Any) -> dict[str, list[int]]:
    info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    return {name: list(struct.unpack_from(f"={layout}", info, at)) for name, (at, layout) in TCP_INFO.items()}


def _set_tcp_ecn(value: int) -> None:
    Path("/proc/sys/net/ipv4/tcp_ecn").write_text(str(value))


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    """Header fields up to the empty line, names in lower case."""
    fields: dict[str, str] = {}
    while (line := (await reader.readuntil(b"\n")).decode().rstrip()) != "":
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return fields


async def _digest(reader: asyncio.StreamReader, size: int) -> str:
    total = hashlib.sha256()
    while size:
        data = await reader.read(min(size, 1 << 20))
        if not data:
            raise EOFError(f"{size} bytes are missing")
        size -= len(data)
        total.update(data)
    return total.hexdigest()


def _spoofed_syn() -> bytes:
    seg = Segment()
    seg.key = make_key(bytes((0x0B, 0, 0xFF, 0xFF)), socket.inet_aton(SYNFIN[4]), 1024, PORT)
    seg.flags = SYN
    seg.mss = 1460
    return build(seg)


def _head(size: int, wish: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: {wish}\r\n\r\n".encode()


def _kernel_counters() -> dict[str, int]:
    """Tcp and TcpExt of this network namespace."""
    counters: dict[str, int] = {}
    for path in ("/proc/self/net/snmp", "/proc/self/net/netstat"):
        lines = Path(path).read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            if names.startswith("Tcp"):
                counters.update(zip(names.split()[1:], map(int, values.split()[1:]), strict=True))
    return counters


def _dropped_by_device(interface: str) -> int:
    """Packets that the kernel wanted to give to this side, and the device had no room for."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, values = line.partition(":")
        if name.strip() == interface:
            return int(values.split()[11])
    raise LookupError(interface)


def _clock_us() -> int:
    return time.monotonic_ns() // 1000  # as asyncio's loop tells the time


def _epoch_us() -> int:
    """What makes a time of this process's clock one since 1970; the same number each time."""
    return _EPOCH_US


_EPOCH_US = time.time_ns() // 1000 - _clock_us()


def open_device(settings: Settings) -> Device:
    """The link to the kernel, which has the other address of each network."""
    kernels = [f"{KERNEL[4]}/24", f"{KERNEL[6]}/64"][: len(settings.versions)]
    ours = [f"{SYNFIN[4]}/24", f"{SYNFIN[6]}/64"][: len(settings.versions)]
    if settings.device == "tun":
        tun = TunLink(INTERFACE, settings.mtu, settings.offload)
        configure(INTERFACE, kernels)
        return tun
    add_pair(INTERFACE, KERNELS)
    configure(INTERFACE, (), settings.mtu)
    configure(KERNELS, kernels, settings.mtu)
    if not settings.offload:
        without_offload(KERNELS)
    return PacketLink(INTERFACE, ours, offload=settings.offload)


async def run(settings: Settings) -> None:
    """Serve until the order "finish"."""
    link = open_device(settings)
    if link.offload != settings.offload:
        raise RuntimeError(f"offload is {link.offload}")
    server = HttpServer()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: server.problems.append(f"{context['message']}: {context}"))
    faulty = settings.lose or settings.mark or settings.hole
    lossy = LossyLink(link, settings.lose, settings.mark, settings.hole) if faulty else None
    tap: PcapTap | None = None
    recorder: AnnotatedCapture | None = None
    writer: PcapngWriter | None = None
    if settings.capture and settings.annotated:
        recorder = AnnotatedCapture(settings.capture, settings.snaplen, epoch_us=_epoch_us())
    elif settings.capture:
        writer = PcapngWriter(settings.capture, settings.snaplen, _epoch_us())
        tap = PcapTap(lossy or link, writer, _clock_us)
    addresses = [SYNFIN[version] for version in settings.versions]
    config = synfin.Config(**settings.config)  # type: ignore[arg-type]
    async with synfin.Host(addresses, link=tap or lossy or link, config=config) as host:
        side = Side(settings, host, link, lossy, server)

        def trace(event: Event) -> None:
            side.watch(event)
            if recorder is not None:
                recorder(event)

        host.set_trace(trace)
        await host.start_server(server.serve, port=PORT, backlog=1024)
        await _take_orders(side)
    for what in (tap, recorder):
        if what is not None and what.error is not None:
            raise what.error
    for closable in (recorder, writer):
        if closable is not None:
            closable.close()
    print(json.dumps({"answer": "finished"}), flush=True)


async def _take_orders(side: Side) -> None:
    orders = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps({"answer": "ready"}), flush=True)
    while line := await orders.readline():
        order = json.loads(line)
        what = order.pop("do")
        if what == "finish":
            return
        try:
            answer = {"answer": await getattr(side, what)(**order)}
        except Exception:
            answer = {"problem": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(run(Settings(**json.loads(sys.argv[1]))))
