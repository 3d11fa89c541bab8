"""A packet socket on a veth pair: what goes wrong and how that is told, neighbours, gateways, duplicate addresses."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import select
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

import synfin
from synfin.links.captures import Capture
from synfin.links.link import PacketSink
from synfin.links.neighbours import TRIES
from synfin.links.netns import add_pair, configure, enter_private_network
from synfin.links.packet import PacketLink
from synfin.links.packet_sockets import LARGE_SLOTS, SYN_BYTES, SYN_SLOT
from synfin.links.pcapng import PcapngWriter, PcapTap
from synfin.stack.flood import LASTS_US
from synfin.stack.stack import Stack
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, Segment, build
from synfin.wire.tcp_header import ACK, SYN
from tests.conftest import need_library
from tests.interop.test_tun_device import give_up_root, in_child

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_netns")]

MINE, THEIRS = "veth0", "veth1"
OURS = ["10.9.0.2/24", "fd00:9::2/64"]
KERNELS = ["10.9.0.1/24", "fd00:9::1/64"]


class Sink(PacketSink):
    def __init__(self) -> None:
        self.got: list[bytes] = []

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.got.append(packet[start:])


def in_network(body: Callable[[], None], user: bool = False) -> None:
    """Run `body` in a private network with a veth pair; the kernel is at its other end."""

    def work() -> None:
        if user and os.geteuid() == 0:
            give_up_root()
        enter_private_network()
        add_pair(MINE, THEIRS)
        configure(MINE)
        configure(THEIRS, KERNELS)
        body()

    in_child(work)


def on_host(body: Callable[[synfin.Host, PacketLink], Awaitable[None]], **options: object) -> Callable[[], None]:
    async def work() -> None:
        link = PacketLink(MINE, OURS, **options)  # type: ignore[arg-type]
        async with synfin.Host(OURS, link=link) as host:
            await body(host, link)

    return lambda: asyncio.run(work())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


async def ask_kernel(host: synfin.Host, address: str) -> bytes:
    """What a server on the kernel's TCP sends back."""
    server = await asyncio.start_server(echo, address, 7)
    async with server:
        reader, writer = await host.open_connection(address, 7)
        writer.write(b"hello")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer


@pytest.mark.parametrize("user", [False, True], ids=["root", "ordinary user"])
def test_both_families_talk_to_the_kernel(user: bool) -> None:
    async def body(host: synfin.Host, link: PacketLink) -> None:
        for address in ("10.9.0.1", "fd00:9::1"):
            assert await ask_kernel(host, address) == b"hello"
        assert (link.refused, link.overflowed, link.dropped) == (0, 0, 0)
        assert link.neighbours.counters["conflicts"] == 0

    in_network(on_host(body), user)


def test_who_is_in_no_network_is_reached_by_the_gateway_or_not_at_all() -> None:
    def body() -> None:
        configure("lo", ["192.0.2.1/32", "2001:db8::1/128"])

        async def with_gateway(host: synfin.Host, link: PacketLink) -> None:
            for address in ("192.0.2.1", "2001:db8::1"):
                assert await ask_kernel(host, address) == b"hello"

        async def without(host: synfin.Host, link: PacketLink) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(host.open_connection("192.0.2.1", 7), 0)
            await asyncio.sleep(0)
            assert link.neighbours.table == {}

        on_host(with_gateway, gateway=("10.9.0.1", "fd00:9::1"))()
        on_host(without)()

    in_network(body)


@pytest.mark.parametrize("address", OURS)
def test_an_address_that_another_host_has_is_refused_when_the_host_opens(address: str) -> None:
    def body() -> None:
        async def second() -> None:
            async with synfin.Host(address, link=PacketLink(THEIRS, address, verify=False)):
                with pytest.raises(OSError, match="is in use by") as caught:
                    async with synfin.Host(address, link=PacketLink(MINE, address)):
                        pass
                assert caught.value.errno == errno.EADDRINUSE

        asyncio.run(second())

    in_network(body)


def test_nothing_is_sent_from_an_address_that_is_not_verified() -> None:
    def body() -> None:
        link = PacketLink(MINE, OURS)
        assert link.send([Burst(_ipv4(0, 100), [], 0)]) is True
        assert (link.refused, link.neighbours.table) == (1, {})
        for now in range(0, 2_000_000, 100_000):
            link.on_timer(Sink(), now)
        link.send([Burst(_ipv4(0, 100), [], 0)])
        assert (link.refused, len(link.neighbours.table)) == (1, 1)

    in_network(body)


def test_an_address_of_the_kernels_own_is_refused_at_the_call() -> None:
    def body() -> None:
        for address in KERNELS:
            with pytest.raises(OSError, match="is an address of the kernel's own"):
                PacketLink(MINE, address)

    in_network(body)


def test_what_is_no_interface_for_it_is_an_error_that_says_why() -> None:
    def body() -> None:
        with pytest.raises(OSError, match="there is no interface 'veth7', but lo, ") as caught:
            PacketLink("veth7", OURS)
        assert caught.value.errno == errno.ENODEV
        with pytest.raises(OSError, match="'lo' is no Ethernet interface"):
            PacketLink("lo", OURS)
        add_pair("veth2", "veth3")
        with pytest.raises(OSError, match="'veth2' is down: ip link set veth2 up"):
            PacketLink("veth2", OURS)
        for mtu in (575, 1279, 9000):
            with pytest.raises(ValueError):
                PacketLink(MINE, OURS, mtu=mtu)
        with pytest.raises(ValueError, match="at least one address"):
            PacketLink(MINE, [])
        with pytest.raises(ValueError, match="the gateway"):
            PacketLink(MINE, OURS, gateway="192.0.2.1")

    in_network(body)


def test_without_the_right_to_it_the_error_says_how_to_get_it() -> None:
    def body() -> None:
        enter_private_network()
        add_pair(MINE, THEIRS)
        configure(MINE)
        give_up_root()
        with pytest.raises(PermissionError, match=r"CAP_NET_RAW.*enter_private_network"):
            PacketLink(MINE, OURS)

    if os.geteuid() == 0:
        in_child(body)


def test_an_interface_that_is_down_loses_packets_and_comes_back() -> None:
    def body() -> None:
        async def work(host: synfin.Host, link: PacketLink) -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as control:
                _set_up(control, False)
                link.neighbours.table.clear()
                assert link.send([Burst(bytes.fromhex("45000014000040004006") + bytes(2) + bytes(8), [], 0)]) is True
                assert link.receive(Sink(), lambda: 0, 10) == 0
                _set_up(control, True)
            assert await ask_kernel(host, "10.9.0.1") == b"hello"

        on_host(work)()

    in_network(body)


@pytest.mark.parametrize("which", [MINE, THEIRS], ids=["the interface", "its carrier"])
def test_what_has_waited_for_its_timer_goes_at_once_when_the_interface_carries_again(which: str) -> None:
    """No further timeout is needed, and the next is seconds away."""

    def body() -> None:
        async def work() -> None:
            config = synfin.Config(rto_min_us=1_500_000)
            link = PacketLink(MINE, OURS[:1], verify=False)
            async with synfin.Host(OURS[:1], link=link, config=config) as host:
                assert await ask_kernel(host, "10.9.0.1") == b"hello"
                server = await asyncio.start_server(echo, "10.9.0.1", 7)
                async with server:
                    reader, writer = await host.open_connection("10.9.0.1", 7)
                    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as control:
                        _set_up(control, False, which)
                        writer.write(b"hello")
                        writer.write_eof()
                        while not host.stack.counters.TCPTimeouts:  # noqa: ASYNC110 (nobody could set an event)
                            await asyncio.sleep(0.05)
                        _set_up(control, True, which)
                    assert await reader.read() == b"hello"
                    writer.close()
                    assert host.stack.counters.TCPTimeouts == 1

        asyncio.run(work())

    in_network(body)


def test_an_interface_that_is_deleted_is_an_error_of_each_call() -> None:
    def body() -> None:
        link = PacketLink(MINE, OURS, verify=False)
        _delete(MINE)
        for _ in range(2):
            with pytest.raises(OSError, match="its interface was deleted"):
                link.receive(Sink(), lambda: 0, 10)
            with pytest.raises(OSError, match="its interface was deleted"):
                link.on_timer(Sink(), 1 << 40)
        link.close()
        link.close()
        assert link.fileno() == -1
        with pytest.raises(OSError, match="is closed"):
            link.receive(Sink(), lambda: 0, 10)

    in_network(body)


def test_a_neighbour_who_does_not_answer_is_told_to_the_connection() -> None:
    async def body(host: synfin.Host, link: PacketLink) -> None:
        connecting = asyncio.ensure_future(host.open_connection("10.9.0.77", 80))
        while not host.stack.counters.InDestUnreachs:  # noqa: ASYNC110 (nobody could set an event)
            await asyncio.sleep(0.05)
        assert link.neighbours.counters["res_failed"] == 1
        (connection,) = host.stack.connections()
        assert connection.soft_error == errno.EHOSTUNREACH
        connecting.cancel()

    assert TRIES == 3
    in_network(on_host(body))


def test_bursts_that_find_no_slot_are_lost_alone_and_counted() -> None:
    """What comes behind them arrives, in order."""

    def body() -> None:
        link = PacketLink(MINE, OURS, verify=False)
        link.on_timer(Sink(), 0)
        mac = link.neighbours.mac
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other:
            other.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
            other.bind((THEIRS, 0))
            sent = []
            for number in range(LARGE_SLOTS + 5):
                packet = _ipv4(number, 20_000)
                other.send(_GSO + mac + bytes(6) + b"\x08\x00" + packet)
                small = _ipv4(number, 100)
                other.send(bytes(10) + mac + bytes(6) + b"\x08\x00" + small)
                sent += [packet, small] if number < LARGE_SLOTS else [small]
        sink = Sink()
        while link.receive(sink, lambda: 0, 64):
            pass
        assert [packet[4:6] for packet in sink.got] == [packet[4:6] for packet in sent]
        assert [len(packet) for packet in sink.got] == [len(packet) for packet in sent]
        assert link.dropped == 5

    in_network(body)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_flood_is_answered_in_batches_and_an_honest_client_gets_through(recorded: bool) -> None:
    need_library("numpy")
    count, queue = 600, 16
    capture = io.BytesIO()

    async def flooded(host: synfin.Host, link: PacketLink) -> None:
        await host.start_server(echo, port=80)
        await asyncio.open_connection("10.9.0.2", 80)  # so that the gateway is known
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other:
            other.bind((THEIRS, 0x0800))
            other.setblocking(False)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            for number in range(count):
                other.send(link.neighbours.mac + bytes((2, 0, 0, 0, 0, 1)) + b"\x08\x00" + _syn(number))
            while host.stack.counters.SyncookiesSent < count - queue:  # noqa: ASYNC110 (nobody could set an event)
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            answered = set()
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = other.recv(2000)
                    if frame[14 + 33] == SYN | ACK:
                        answered.add(frame[14 + 16 : 14 + 20])
        assert host.stack.flood().answered > count // 2
        assert len(answered) == count
        assert (link.refused, link.overflowed, link.dropped) == (0, 0, 0)
        _, writer = await asyncio.open_connection("10.9.0.2", 80)
        assert host.stack.counters.SyncookiesRecv == 1
        writer.close()

    async def work() -> None:
        link = PacketLink(MINE, "10.9.0.2/24", gateway="10.9.0.1", verify=False)
        tap = PcapTap(link, PcapngWriter(capture), lambda: time.monotonic_ns() // 1000) if recorded else None
        config = synfin.Config(syn_queue_limit=queue)
        async with synfin.Host("10.9.0.2/24", link=tap or link, config=config) as host:
            await flooded(host, link)
        if recorded:
            capture.seek(0)
            flags = [(one.outgoing, one.packet[33]) for one in Capture(capture)]
            assert flags.count((False, SYN)) == count + 2
            assert flags.count((True, SYN | ACK)) >= count + 2

    in_network(lambda: asyncio.run(work()))


def test_in_a_flood_what_is_no_syn_finds_room_though_the_syns_find_none_and_afterwards_all_share_one_ring() -> None:
    def body() -> None:
        link = PacketLink(MINE, "10.9.0.2/24", gateway="10.9.0.1", verify=False)
        stack = Stack(["10.9.0.2"], synfin.Config(syn_queue_limit=1), entropy=os.urandom)
        stack.listen(80)
        to = link.neighbours.mac + bytes((2, 0, 0, 0, 0, 1)) + b"\x08\x00"

        def hears(packets: list[bytes], now: int) -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other:
                other.bind((THEIRS, 0x0800))
                for packet in packets:
                    other.send(to + packet)
            for _ in range(2):  # the first finds out how things stand
                link.receive(stack, lambda: now, 64)

        hears([_syn(number) for number in range(2)], 0)
        assert stack.flood().has_begun()
        link.receive(stack, lambda: 0, 64)
        handled = stack.counters.InSegs
        assert handled == 2
        syns = [_syn(number % 60_000) for number in range(SYN_BYTES // SYN_SLOT + 7)]
        hears([*syns, _segment(ACK, 60_001)], 1000)
        assert link.dropped == 7
        assert stack.counters.SyncookiesFailed == 1
        assert stack.counters.InSegs > handled + 1
        while link.receive(stack, lambda: 2000, 64):
            pass
        before = stack.counters.InSegs
        assert before == handled + len(syns) - 7 + 1
        hears([], LASTS_US + 3000)
        hears([_syn(60_002), _segment(ACK, 60_003)], LASTS_US + 3000)
        assert stack.counters.InSegs == before + 2
        assert select.select([link.fileno(), *link.further_descriptors], [], [], 0)[0] == []

    in_network(body)


def _syn(number: int) -> bytes:
    return _segment(SYN, number)


def _segment(flags: int, number: int) -> bytes:
    seg = Segment()
    source = bytes((198, 18)) + number.to_bytes(2, "big")
    seg.key = make_key(source, socket.inet_aton("10.9.0.2"), 1024, 80)
    seg.flags = flags
    seg.seq = number
    if flags & SYN:
        seg.mss = 1460
    return build(seg)


_GSO = bytes.fromhex("0101") + (54).to_bytes(2, "little") + (1448).to_bytes(2, "little") + bytes.fromhex("22001000")


def _ipv4(ident: int, size: int) -> bytes:
    """An IPv4 packet with a TCP header, all of it zero."""
    head = b"\x45\x00" + size.to_bytes(2, "big") + ident.to_bytes(2, "big") + b"\x40\x00\x40\x06\x00\x00"
    tcp = bytes(12) + b"\x50\x10" + bytes(6)
    return (head + socket.inet_aton("10.9.0.1") + socket.inet_aton("10.9.0.2") + tcp).ljust(size, b"\0")


def _set_up(control: socket.socket, up: bool, interface: str = MINE) -> None:
    import fcntl
    import struct

    fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", interface.encode(), 1 if up else 0))


def _delete(interface: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as kernel:
        kernel.link("del", index=kernel.link_lookup(ifname=interface)[0])
