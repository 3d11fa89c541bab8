"""TunLink over a datagram socket pair: like a TUN descriptor it keeps packets apart and refuses when it is full."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from synfin.links import tun
from synfin.links.tun import QUEUE_LIMIT, READ_AT_ONCE, TunLink
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build_head, split
from synfin.wire.tcp_header import ACK, CWR, PSH
from tests.conftest import need

need(sys.platform == "linux", "TUN devices are Linux's")

KEY4 = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HH", 80, 5000)
KEY6 = bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(">HH", 80, 5000)
NOW = 7_000_000


class Sink:
    def __init__(self) -> None:
        self.got: list[tuple[bytes, int, bool, int]] = []

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.got.append((packet[start:], now, checksum_ok, gso_size))


class Pair:
    """A link, and the other end of its descriptor."""

    def __init__(self, offload: bool) -> None:
        mine, self.device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.link = TunLink.from_fd(mine.detach(), 1500, offload, "tun7")
        self.device.setblocking(False)
        self.sink = Sink()

    def receive(self, limit: int = 100) -> int:
        return self.link.receive(self.sink, lambda: NOW, limit)

    def written(self) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(self.device.recv(70_000))
            except BlockingIOError:
                return packets


@pytest.fixture
def offload() -> Iterator[Pair]:
    pair = Pair(offload=True)
    yield pair
    pair.link.close()
    pair.device.close()


@pytest.fixture
def plain() -> Iterator[Pair]:
    pair = Pair(offload=False)
    yield pair
    pair.link.close()
    pair.device.close()


def vnet(
    flags: int = 0, gso_type: int = 0, hdr_len: int = 0, gso_size: int = 0, start: int = 0, offset: int = 0
) -> bytes:
    return struct.pack("=BBHHHH", flags, gso_type, hdr_len, gso_size, start, offset)


def burst(pieces: list[Piece], gso_size: int = 1000, key: bytes = KEY4, flags: int = ACK | PSH) -> Burst:
    segment = Segment()
    segment.key = key
    segment.flags = flags
    length = sum(map(len, pieces))
    return Burst(build_head(segment, length), pieces, length, gso_size, 20 if key is KEY4 else 40)


@pytest.mark.parametrize(
    ("header", "checksum_ok", "gso_size"),
    [
        (vnet(), False, 0),
        (vnet(flags=1, start=20, offset=16), True, 0),
        (vnet(flags=2), True, 0),
        (vnet(flags=1, gso_type=1, hdr_len=40, gso_size=1448, start=20, offset=16), True, 1448),
        (vnet(flags=1, gso_type=4, hdr_len=60, gso_size=300, start=40, offset=16), True, 300),
        (vnet(flags=1, gso_type=0x81, hdr_len=40, gso_size=1448, start=20, offset=16), True, 1448),
        (vnet(gso_size=99), False, 0),
    ],
)
def test_the_vnet_header_says_whether_the_checksum_is_known_and_how_the_burst_was_cut(
    offload: Pair, header: bytes, checksum_ok: bool, gso_size: int
) -> None:
    offload.device.send(header + b"packet")
    assert offload.receive() == 1
    assert offload.sink.got == [(b"packet", NOW, checksum_ok, gso_size)]


def test_without_offload_a_read_is_a_packet(plain: Pair) -> None:
    plain.device.send(b"one")
    plain.device.send(b"x" * 65535)
    assert plain.receive() == 2
    assert plain.sink.got == [(b"one", NOW, False, 0), (b"x" * 65535, NOW, False, 0)]


def test_receive_stops_at_its_limit_and_never_blocks(plain: Pair) -> None:
    for number in range(5):
        plain.device.send(bytes([number]))
    assert plain.receive(3) == 3
    assert plain.receive(3) == 2
    assert plain.receive(3) == 0
    assert [packet for packet, *_ in plain.sink.got] == [bytes([number]) for number in range(5)]


def test_the_clock_is_read_once_for_a_few_packets_and_after_they_are(plain: Pair) -> None:
    times = iter([11, 22, 33])
    last = READ_AT_ONCE + 3

    def clock() -> int:
        now = next(times)
        if now == 11:
            plain.device.send(bytes([last]))  # what comes later is stamped later
        return now

    for number in range(last):
        plain.device.send(bytes([number]))
    assert plain.link.receive(plain.sink, clock, 100) == last + 1
    assert [now for _, now, _, _ in plain.sink.got] == [11] * READ_AT_ONCE + [22] * 4


def test_what_an_offloading_device_hands_over_is_not_cut_before_the_stack_has_it(offload: Pair) -> None:
    offload.device.send(vnet(flags=1, gso_type=1, gso_size=3) + b"packet")
    whole: list[tuple[bytes, int]] = []

    class Watching(Sink):
        def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
            whole.append((packet, start))

    assert offload.link.receive(Watching(), lambda: NOW, 10) == 1
    assert whole == [(vnet(flags=1, gso_type=1, gso_size=3) + b"packet", 10)]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk"), BlockingIOError(errno.EAGAIN, "not the device")])
def test_an_error_of_the_stack_is_not_taken_for_one_of_the_device(plain: Pair, error: OSError) -> None:
    class Failing:
        def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
            raise error

    plain.device.send(b"a")
    with pytest.raises(OSError) as caught:
        plain.link.receive(Failing(), lambda: NOW, 10)
    assert caught.value is error
    assert plain.link.refused == 0


def test_a_segment_goes_out_with_its_partial_checksum_declared(offload: Pair) -> None:
    one = burst([b"abc", b"defg"])
    assert offload.link.send([one])
    assert offload.written() == [vnet(flags=1, start=20, offset=16) + one.head + b"abcdefg"]


def test_a_segment_without_payload_goes_out(offload: Pair) -> None:
    one = burst([], gso_size=0, key=KEY6, flags=ACK)
    assert offload.link.send([one])
    assert offload.written() == [vnet(flags=1, start=40, offset=16) + one.head]


@pytest.mark.parametrize(("key", "gso_type", "start"), [(KEY4, 1, 20), (KEY6, 4, 40)])
def test_a_burst_goes_out_whole_with_its_segment_size(offload: Pair, key: bytes, gso_type: int, start: int) -> None:
    one = burst([b"a" * 1500, b"b" * 1000], key=key)
    assert offload.link.send([one])
    header = vnet(flags=1, gso_type=gso_type, hdr_len=start + 20, gso_size=1000, start=start, offset=16)
    assert offload.written() == [header + one.head + b"a" * 1500 + b"b" * 1000]


def test_a_burst_of_exactly_one_segment_is_no_gso(offload: Pair) -> None:
    assert offload.link.send([burst([b"a" * 1000])])
    assert offload.written()[0][:10] == vnet(flags=1, start=20, offset=16)


def test_a_burst_whose_counter_has_cwr_is_cut_here_since_the_device_would_clear_it(offload: Pair) -> None:
    # RFC 9768 3.3.4
    counts = burst([b"a" * 2500], flags=ACK | CWR)
    counts.ace = True
    assert offload.link.send([counts])
    packets = offload.written()
    assert [(packet[:10], packet[10 + 33] & CWR) for packet in packets] == [(bytes(10), CWR)] * 3
    without = burst([b"a" * 2500], flags=ACK)
    without.ace = True
    assert offload.link.send([without])
    assert offload.written()[0][1] == 1


def test_a_burst_with_cwr_asks_the_device_to_keep_it_to_the_first_segment(offload: Pair) -> None:
    assert offload.link.send([burst([b"a" * 2500], flags=ACK | CWR)])
    assert offload.written()[0][1] == 0x81


def test_a_complete_packet_goes_out_as_it_is(offload: Pair) -> None:
    assert offload.link.send([Burst(b"whole packet", [], 0)])
    assert offload.written() == [vnet() + b"whole packet"]


def test_a_burst_of_more_pieces_than_the_kernel_takes_is_joined(offload: Pair) -> None:
    one = burst([bytes([number % 256]) for number in range(1500)])
    assert offload.link.send([one])
    assert offload.written()[0][10 + len(one.head) :] == bytes(number % 256 for number in range(1500))


def test_without_offload_a_burst_is_cut_into_complete_packets(plain: Pair) -> None:
    one = burst([b"a" * 1500, b"b" * 1000])
    assert plain.link.send([one])
    packets = plain.written()
    assert packets == split(one)
    assert len(packets) == 3


def fill(pair: Pair) -> int:
    """Send until the device takes no more; how many packets it took."""
    sent = 0
    while pair.link.send([Burst(b"%d" % sent, [], 0)]):
        sent += 1
    return sent


def test_what_the_device_refuses_for_now_waits_and_goes_out_in_order(plain: Pair) -> None:
    taken = fill(plain)
    assert not plain.link.send([Burst(b"later", [], 0)])
    assert not plain.link.flush()
    assert len(plain.written()) == taken
    assert plain.link.flush()
    assert plain.written() == [b"%d" % taken, b"later"]
    assert plain.link.overflowed == 0


def test_send_writes_first_what_waited(plain: Pair) -> None:
    taken = fill(plain)
    plain.written()
    assert plain.link.send([Burst(b"last", [], 0)])
    assert plain.written() == [b"%d" % taken, b"last"]


def test_the_queue_is_bounded_and_counts_what_it_drops(plain: Pair) -> None:
    fill(plain)
    assert not plain.link.send([Burst(b"x", [], 0)] * (QUEUE_LIMIT + 9))
    assert plain.link.overflowed == 10


def test_a_packet_that_the_device_rejects_is_counted_and_the_next_goes_out(plain: Pair) -> None:
    too_long = Burst(bytes(1 << 20), [], 0)
    assert plain.link.send([too_long, Burst(b"next", [], 0)])
    assert plain.written() == [b"next"]
    assert plain.link.refused == 1
    assert plain.link.last_error is not None and plain.link.last_error.errno == errno.EMSGSIZE


def test_a_rejected_packet_does_not_stay_in_the_queue(plain: Pair) -> None:
    fill(plain)
    plain.link.send([Burst(bytes(1 << 20), [], 0), Burst(b"next", [], 0)])
    plain.written()
    assert plain.link.flush()
    assert plain.written()[-1] == b"next"
    assert plain.link.refused == 1


@pytest.mark.parametrize("number", [errno.EBADFD, errno.ENODEV])
def test_a_device_that_is_gone_is_an_error_of_every_call(
    plain: Pair, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def gone(*_: object) -> int:
        raise OSError(number, "gone")

    for call in ("read", "write", "writev"):
        monkeypatch.setattr(os, call, gone)
    for _ in range(2):
        with pytest.raises(OSError, match=r"'tun7' is gone: its interface was deleted") as caught:
            plain.receive()
        assert caught.value.errno == number
        with pytest.raises(OSError, match="is gone"):
            plain.link.send([Burst(b"x", [], 0)])


def test_a_read_that_fails_for_one_packet_ends_the_batch(plain: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(*_: object) -> bytes:
        calls.append(1)
        raise OSError(errno.EINVAL, "a packet the kernel can't describe")

    monkeypatch.setattr(os, "read", failing)
    assert plain.receive(8) == 0
    assert len(calls) == 1 and plain.link.refused == 1


def test_close_may_be_called_twice_and_then_every_call_says_so(plain: Pair) -> None:
    plain.link.close()
    plain.link.close()
    assert plain.link.fileno() == -1
    with pytest.raises(OSError, match="is closed"):
        plain.receive()
    with pytest.raises(OSError, match="is closed"):
        plain.link.send([Burst(b"x", [], 0)])


@pytest.mark.parametrize(
    "name", ["", "a" * 16, "ü" * 8, "a b", "a/b", "a:b", ".", "..", "a\n", "a\0", "a%", "%s", "%d%d"]
)
def test_a_bad_interface_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="interface name"):
        TunLink(name)


@pytest.mark.parametrize("mtu", [0, 575, 65536])
def test_a_bad_mtu_is_refused_before_anything_is_opened(mtu: int) -> None:
    with pytest.raises(ValueError, match="mtu"):
        TunLink("tun7", mtu=mtu)
    with pytest.raises(ValueError, match="mtu"):
        TunLink.from_fd(-1, mtu=mtu)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOENT, "modprobe tun"),
        (errno.ENODEV, "modprobe tun"),
        (errno.EACCES, "chmod 666"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_a_device_that_cannot_be_opened_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: int, text: str
) -> None:
    def failing(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(OSError, match=text) as caught:
        TunLink("tun7")
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EPERM, r"enter_private_network\(\)"),
        (errno.EBUSY, "in use by another process"),
        (errno.EINVAL, "is no TUN device"),
        (errno.ENOMEM, "Cannot allocate"),
    ],
)
def test_an_interface_that_cannot_be_had_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, number: int, text: str
) -> None:
    def failing(*_: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tun, "_DEVICE", "/dev/null")
    monkeypatch.setattr(tun, "_attach", failing)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=text) as caught:
        TunLink("tun7")
    assert caught.value.errno == number
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_the_kernel_refuses_offload_the_link_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def attach(fd: int, name: str, offload: bool, more_flags: int) -> str:
        if offload:
            raise OSError(errno.EINVAL, "what is that?")
        return "tun7"

    monkeypatch.setattr(tun, "_DEVICE", "/dev/null")
    monkeypatch.setattr(tun, "_attach", attach)
    monkeypatch.setattr(tun, "_set_up", lambda name, mtu: None)
    link = TunLink("tun%d", offload=True)
    assert not link.offload
    assert link.name == "tun7"
    link.close()
