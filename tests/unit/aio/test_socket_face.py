"""get_extra_info("socket") and Server.sockets: names, options and a descriptor that polls like a kernel's."""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import pytest

from synfin.aio.socket_face import Face, SocketFace
from synfin.tcp.config import Config
from synfin.tcp.recovery import Recovery
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Pair, Recorder, hosts, joined
from tests.unit.aio.virtual import run, settle

TCP = socket.IPPROTO_TCP
SOL = socket.SOL_SOCKET
KEEPIDLE = getattr(socket, "TCP_KEEPIDLE", 4)
KEEPINTVL = getattr(socket, "TCP_KEEPINTVL", 5)
KEEPCNT = getattr(socket, "TCP_KEEPCNT", 6)
INFO = getattr(socket, "TCP_INFO", 11)
QUICKACK = getattr(socket, "TCP_QUICKACK", 12)
CONGESTION = getattr(socket, "TCP_CONGESTION", 13)
USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)
NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
TCLASS = getattr(socket, "IPV6_TCLASS", 67)
MAX_PACING_RATE = getattr(socket, "SO_MAX_PACING_RATE", 47)
LINGER = struct.Struct("ii")


def with_faces(check: Callable[[SocketFace, SocketFace, Pair], Any], config: Config | None = None) -> None:
    """Call `check(client's face, server's face, pair)` while they are connected."""

    async def main() -> None:
        async with hosts(config) as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder(keep_open=True))
            result = check(transport.get_extra_info("socket"), accepted.get_extra_info("socket"), pair)
            if result is not None:
                await result

    run(main())


def readable(face: Face) -> bool:
    return bool(select.select([face], [], [], 0)[0])


def errno_of(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as caught:
        call()
    return caught.value.errno


def test_names_and_kind_are_those_of_a_kernel_socket() -> None:
    def check(face: SocketFace, accepted: SocketFace, pair: Pair) -> None:
        assert face.family is socket.AF_INET
        assert (face.type, face.proto) == (socket.SOCK_STREAM, socket.IPPROTO_TCP)
        assert face.getpeername() == (SERVER, PORT) == accepted.getsockname()
        assert face.getsockname() == accepted.getpeername()
        assert face.getsockname()[0] == CLIENT
        assert CLIENT in repr(face)

    with_faces(check)


def test_ipv6_names_have_four_fields() -> None:
    async def main() -> None:
        a, b = joined("fd00::1", "fd00::2")
        async with a, b:
            server = await b.create_server(Recorder, port=PORT)
            transport, _ = await a.create_connection(Recorder, "fd00::2", PORT)
            face = transport.get_extra_info("socket")
            assert face.family is socket.AF_INET6
            assert face.getpeername() == ("fd00::2", PORT, 0, 0) == transport.get_extra_info("peername")
            (listening,) = server.sockets
            assert listening.family is socket.AF_INET6 and listening.getsockname() == ("::", PORT, 0, 0)

    run(main())


def test_it_never_blocks_and_says_so() -> None:
    def check(face: SocketFace, *_: object) -> None:
        assert face.gettimeout() == 0.0
        face.settimeout(0)
        face.setblocking(False)
        for wrong in (lambda: face.setblocking(True), lambda: face.settimeout(1), lambda: face.settimeout(None)):
            with pytest.raises(ValueError, match="transport sockets"):
                wrong()

    with_faces(check)


@pytest.mark.parametrize(
    ("level", "option", "value"),
    [
        (TCP, socket.TCP_NODELAY, 0),
        (TCP, socket.TCP_NODELAY, 1),
        (SOL, socket.SO_KEEPALIVE, 1),
        (SOL, socket.SO_KEEPALIVE, 0),
        (TCP, KEEPIDLE, 60),
        (TCP, KEEPINTVL, 10),
        (TCP, KEEPCNT, 3),
        (TCP, USER_TIMEOUT, 30_000),
        (TCP, USER_TIMEOUT, 0),
        (TCP, QUICKACK, 1),
        (SOL, socket.SO_REUSEADDR, 1),
        (SOL, MAX_PACING_RATE, 1_000_000),
        (SOL, MAX_PACING_RATE, -1),
    ],
)
def test_an_option_set_is_read_back_as_number_and_as_bytes(level: int, option: int, value: int) -> None:
    def check(face: SocketFace, *_: object) -> None:
        face.setsockopt(level, option, value)
        assert face.getsockopt(level, option) == value
        face.setsockopt(level, option, struct.pack("i", value))
        assert face.getsockopt(level, option, 4) == struct.pack("i", value)

    with_faces(check)


def test_a_segment_limit_and_a_pacing_limit_reach_the_connection() -> None:
    def check(face: SocketFace, *_: object) -> None:
        sender = face._connection.sender
        face.setsockopt(TCP, socket.TCP_MAXSEG, 500)
        assert sender.mss == face.getsockopt(TCP, socket.TCP_MAXSEG) == 500 - 12  # less the timestamps, as in Linux
        face.setsockopt(TCP, socket.TCP_MAXSEG, 0)
        assert sender.mss == 1448
        face.setsockopt(SOL, MAX_PACING_RATE, struct.pack("Q", 5_000_000_000))
        assert sender.asked.max_pacing_rate == 5e9
        assert face.getsockopt(SOL, MAX_PACING_RATE, 8) == struct.pack("Q", 5_000_000_000)
        assert face.getsockopt(SOL, MAX_PACING_RATE, 4) == b"\xff" * 4 and face.getsockopt(SOL, MAX_PACING_RATE) == -1
        face.setsockopt(SOL, MAX_PACING_RATE, struct.pack("Q", (1 << 64) - 1))
        assert sender.asked.max_pacing_rate == 0.0

    with_faces(check)


def test_a_user_timeout_longer_than_an_option_can_tell_is_told_as_the_longest() -> None:
    def check(face: SocketFace, *_: object) -> None:
        assert face.getsockopt(TCP, USER_TIMEOUT) == (1 << 31) - 1
        assert face.getsockopt(TCP, USER_TIMEOUT, 4) == ((1 << 31) - 1).to_bytes(4, sys.byteorder)

    with_faces(check, Config(user_timeout_us=1 << 48))


@pytest.mark.parametrize(
    ("level", "option", "value"),
    [
        (SOL, socket.SO_TYPE, int(socket.SOCK_STREAM)),
        (SOL, socket.SO_ERROR, 0),
        (SOL, getattr(socket, "SO_PROTOCOL", 38), socket.IPPROTO_TCP),
        (SOL, getattr(socket, "SO_DOMAIN", 39), int(socket.AF_INET)),
        (TCP, socket.TCP_MAXSEG, 1448),
        (SOL, socket.SO_KEEPALIVE, 0),
        (TCP, KEEPIDLE, 7200),
        (TCP, KEEPINTVL, 75),
        (TCP, KEEPCNT, 9),
        (TCP, USER_TIMEOUT, 0),
        (SOL, socket.SO_LINGER, 0),
    ],
)
def test_an_option_untouched_has_the_kernels_default(level: int, option: int, value: int) -> None:
    def check(face: SocketFace, *_: object) -> None:
        assert face.getsockopt(level, option) == value

    with_faces(check)


def test_buffer_sizes_are_told_doubled_as_by_linux_and_setting_them_takes_effect() -> None:
    def check(face: SocketFace, *_: object) -> None:
        config = Config()
        connection = face._connection
        assert face.getsockopt(SOL, socket.SO_RCVBUF) == 2 * config.receive_buffer
        assert face.getsockopt(SOL, socket.SO_SNDBUF) == 2 * config.send_buffer
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            face.setsockopt(SOL, option, 4096)
            assert face.getsockopt(SOL, option) == 8192
        assert connection.sender.share() == connection.receiver.buffer() == 4096
        connection.write(bytes(10_000))
        assert connection.write_excess() == 10_000 - 4096

    with_faces(check)


def test_no_buffer_becomes_larger_than_the_settings_allow() -> None:
    def check(face: SocketFace, *_: object) -> None:
        for value in (2**31 - 1, -1, 10**9):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                face.setsockopt(SOL, option, value)
            assert face.getsockopt(SOL, socket.SO_SNDBUF) == 2 * 200_000
            assert face.getsockopt(SOL, socket.SO_RCVBUF) == 2 * 300_000
        assert face._connection.sender.share() == 200_000
        assert face._connection.receiver.buffer() == 300_000

    with_faces(check, Config(send_buffer_max=200_000, receive_buffer_max=300_000))


def test_the_largest_buffer_there_may_be_is_told_in_an_int() -> None:
    def check(face: SocketFace, *_: object) -> None:
        face.setsockopt(SOL, socket.SO_RCVBUF, -1)
        assert face.getsockopt(SOL, socket.SO_RCVBUF) == 2**31 - 2
        assert face._connection.receiver.buffer() == 2**30 - 1

    with_faces(check, Config(receive_buffer_max=1 << 30))


def test_what_is_set_on_a_server_is_in_its_syn_acks_and_on_what_it_accepts() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder(keep_open=True)
            server = await pair.server.create_server(lambda: receiver, SERVER, 81)
            listening = server.sockets[0]
            listening.setsockopt(SOL, socket.SO_RCVBUF, 5000)
            listening.setsockopt(SOL, socket.SO_SNDBUF, 6000)
            listening.setsockopt(TCP, NOTSENT_LOWAT, 700)
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
            assert listening.getsockopt(SOL, socket.SO_RCVBUF) == 10_000
            assert errno_of(lambda: listening.setsockopt(socket.IPPROTO_IPV6, TCLASS, 8)) == errno.ENOPROTOOPT
            transport, _ = await pair.client.create_connection(Recorder, SERVER, 81)
            assert transport.get_extra_info("tcp_info").snd_wnd == 5000
            assert transport.get_extra_info("tcp_info").snd_wscale == 0
            await settle(1)
            accepted: Any = receiver.transport
            face = accepted.get_extra_info("socket")
            assert face.getsockopt(SOL, socket.SO_RCVBUF) == 10_000
            assert face.getsockopt(SOL, socket.SO_SNDBUF) == 12_000
            assert face.getsockopt(TCP, NOTSENT_LOWAT) == 700
            assert face.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
            assert face._connection.sender.asked.tos == 0xB8

    run(main())


def test_the_two_options_of_the_ip_header_are_of_a_family_each() -> None:
    async def main() -> None:
        a, b = joined("fd00::1", "fd00::2")
        async with a, b:
            server = await b.create_server(Recorder, port=PORT)
            server.sockets[0].setsockopt(socket.IPPROTO_IPV6, TCLASS, 0x40)
            transport, _ = await a.create_connection(Recorder, "fd00::2", PORT)
            face = transport.get_extra_info("socket")
            face.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x20)  # kept, as by Linux, for IPv4 in IPv6's clothes
            assert face._connection.sender.asked.tos == 0
            face.setsockopt(socket.IPPROTO_IPV6, TCLASS, 0xBB)
            assert face._connection.sender.asked.tos == 0xB8 == face.getsockopt(socket.IPPROTO_IPV6, TCLASS)
            face.setsockopt(socket.IPPROTO_IPV6, TCLASS, -1)
            assert face._connection.sender.asked.tos == 0
            for value in (-2, 256):
                assert errno_of(lambda: face.setsockopt(socket.IPPROTO_IPV6, TCLASS, value)) == errno.EINVAL  # noqa: B023
            accepted = b.stack.connections()[0]
            assert accepted.sender.asked.tos == 0x40

    run(main())


def test_a_writer_is_held_back_by_what_waits_to_be_sent() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder(keep_open=True))
            accepted.pause_reading()
            transport.get_extra_info("socket").setsockopt(TCP, NOTSENT_LOWAT, 10_000)
            transport.set_write_buffer_limits(0)
            transport.write(bytes(12_000))
            assert transport.get_write_buffer_size() == 2_000
            await settle(1)
            assert transport.get_write_buffer_size() == 0
            transport.write(bytes(400_000))  # more than the peer's window
            await settle(1)
            unsent = transport.get_extra_info("tcp_info").unsent
            assert unsent > 100_000 and transport.get_write_buffer_size() == unsent - 10_000
            accepted.resume_reading()
            await settle(10)
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_nodelay_off_holds_a_small_segment_back_and_on_lets_it_go() -> None:
    async def go(face: SocketFace, accepted: SocketFace, pair: Pair) -> None:
        face.setsockopt(TCP, socket.TCP_NODELAY, 0)
        connection = face._connection
        connection.write(b"a")
        pair.client._engine.driver.schedule_flush()
        connection.write(b"b" * 3000)
        await settle(0.0005)
        sent = pair.wire.sent["client"]
        connection.write(b"c")
        pair.client._engine.driver.schedule_flush()
        await settle(0.0005)
        assert pair.wire.sent["client"] == sent and connection.sender.unsent()
        face.setsockopt(TCP, socket.TCP_NODELAY, 1)
        pair.client._engine.driver.schedule_flush()
        await settle(0.0001)
        assert not connection.sender.unsent()

    with_faces(go)


def test_congestion_control_is_named_and_exchanged() -> None:
    def check(face: SocketFace, *_: object) -> None:
        named = face.getsockopt(TCP, CONGESTION, 16)
        assert isinstance(named, bytes) and len(named) == 16
        name = named.rstrip(b"\0")
        assert name
        face.setsockopt(TCP, CONGESTION, name)
        face.setsockopt(TCP, CONGESTION, name + b"\0")
        assert face.getsockopt(TCP, CONGESTION, 16) == named
        assert errno_of(lambda: face.setsockopt(TCP, CONGESTION, b"no-such")) == errno.ENOENT
        assert errno_of(lambda: face.setsockopt(TCP, CONGESTION, 5)) == errno.ENOENT

    with_faces(check)


def test_tcp_info_is_linuxs_struct() -> None:
    async def go(face: SocketFace, accepted: SocketFace, pair: Pair) -> None:
        face._connection.write(bytes(20_000))
        pair.client._engine.driver.schedule_flush()
        await settle(1)
        info = face.getsockopt(TCP, INFO, 256)
        assert isinstance(info, bytes) and len(info) == 252
        state, ca_state, retransmits, probes, _, options, scales, _ = struct.unpack_from("8B", info)
        assert (state, ca_state, retransmits, probes) == (1, 0, 0, 0)
        assert (options, scales) == (1 | 2 | 4, 7 | 7 << 4)  # timestamps, SACK, window scale
        words = struct.unpack_from("24I", info, 8)
        rto, snd_mss, unacked, pmtu, rtt, cwnd = words[0], words[2], words[4], words[13], words[15], words[18]
        assert 200_000 <= rto <= 1_000_000
        assert snd_mss == 1448 and pmtu == 1500 and unacked == 0
        assert 1000 <= rtt <= 10_000
        assert cwnd >= 10
        assert face.getsockopt(TCP, INFO, 8) == info[:8]
        assert face.getsockopt(TCP, INFO) == int.from_bytes(info[:4], sys.byteorder)
        losses = face._connection.sender.losses
        board = losses.on_new(1, 20_001, 0).board
        board.begin(0, 0)
        board.sack(5_001, 10_001)
        board.lose_at(1, 5_000)
        losses.recovery = Recovery()
        losses.recovery.enter_fast(1, 20_001, 20_000)
        hurt = face.getsockopt(TCP, INFO, 256)
        assert isinstance(hurt, bytes)
        face._connection.sender.stop()
        assert struct.unpack_from("2I", hurt, 8 + 4 * 5) == (4, 4)  # sacked and lost, in segments
        assert hurt[1] == 3  # TCP_CA_Recovery

    with_faces(go)


def test_tcp_info_tells_the_rates_the_shortest_round_trip_and_what_was_carried() -> None:
    async def go(face: SocketFace, accepted: SocketFace, pair: Pair) -> None:
        face._connection.write(bytes(20_000))
        pair.client._engine.driver.schedule_flush()
        await settle(1)
        info = face.getsockopt(TCP, INFO, 256)
        assert isinstance(info, bytes)
        pacing, highest, acked, received = struct.unpack_from("=4Q", info, 104)
        _, _, unsent, min_rtt = struct.unpack_from("=4I", info, 136)
        (delivery,) = struct.unpack_from("=Q", info, 160)
        (delivered,) = struct.unpack_from("=I", info, 192)
        (window,) = struct.unpack_from("=I", info, 228)
        assert pacing > 0 and highest == 2**64 - 1
        assert (acked, received, unsent) == (20_000, 0, 0)
        assert 1990 <= min_rtt <= 2100  # the wire is 1 ms long
        assert 1_000_000 < delivery < 20_000 * 1_000_000 // 2000
        assert delivered == 20_000 // 1448
        assert window == face._connection.snapshot().snd_wnd > 65535
        told = accepted.getsockopt(TCP, INFO, 256)
        assert isinstance(told, bytes)
        assert struct.unpack_from("=2Q", told, 120) == (0, 20_000)

    with_faces(go)


def test_tcp_info_tells_what_held_the_sender_up_and_what_ecn_told() -> None:
    async def main() -> None:
        async with hosts(Config(ecn="on")) as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder(keep_open=True))
            accepted.pause_reading()
            transport.write(bytes(400_000))  # more than the peer's window
            await settle(3)
            face: Any = transport.get_extra_info("socket")
            info = face.getsockopt(TCP, INFO, 256)
            busy, by_peer, by_buffer = struct.unpack_from("=3Q", info, 168)
            assert 3_000_000 <= busy <= 3_100_000 and 2_900_000 <= by_peer < busy and by_buffer == 0
            status = transport.get_extra_info("tcp_info")
            assert (status.busy_us, status.peer_limited_us) == (busy, by_peer)
            assert info[5] == 1 | 2 | 4 | 8  # ... and ECN, but no text has come
            sent, again = struct.unpack_from("=2Q", info, 200)
            assert (sent, again) == (status.snd_nxt - 1, 0)
            far: Any = accepted.get_extra_info("socket").getsockopt(TCP, INFO, 256)
            assert far[5] == 1 | 2 | 4 | 8 | 16
            assert struct.unpack_from("=I", far, 232)[0] == accepted.get_extra_info("tcp_info").rcv_wnd
            (round_trip,) = struct.unpack_from("=I", far, 148)
            assert 1990 <= round_trip <= 2100

    run(main())


def test_tcp_info_tells_the_mss_that_was_announced_and_the_one_that_is_used() -> None:
    async def main() -> None:
        async with hosts(Config(mtu=1500), Config(mtu=1340)) as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder())
            for end, announced in ((transport, 1460), (accepted, 1300)):
                info: Any = end.get_extra_info("socket").getsockopt(TCP, INFO, 232)
                words = struct.unpack_from("24I", info, 8)
                assert words[19] == announced and words[2] == 1300 - 12

    run(main())


def test_tcp_info_counts_neither_syn_nor_fin_as_bytes() -> None:
    async def go(face: SocketFace, accepted: SocketFace, pair: Pair) -> None:
        face._connection.write(bytes(3))
        face.shutdown(socket.SHUT_WR)
        accepted._connection.write(bytes(5))
        await settle(1)
        told: list[Any] = [one.getsockopt(TCP, INFO, 232) for one in (face, accepted)]
        assert [struct.unpack_from("=2Q", info, 120) for info in told] == [(3, 5), (5, 3)]

    with_faces(go)


@pytest.mark.parametrize(
    ("level", "option", "value", "expected"),
    [
        (TCP, KEEPIDLE, 0, errno.EINVAL),
        (TCP, KEEPIDLE, 32768, errno.EINVAL),
        (TCP, KEEPINTVL, -1, errno.EINVAL),
        (TCP, KEEPCNT, 0, errno.EINVAL),
        (TCP, KEEPCNT, 128, errno.EINVAL),
        (TCP, socket.TCP_MAXSEG, 87, errno.EINVAL),
        (TCP, socket.TCP_MAXSEG, 32768, errno.EINVAL),
        (SOL, MAX_PACING_RATE, b"\1", errno.EINVAL),
        (SOL, socket.SO_SNDBUF, b"\1", errno.EINVAL),
        (SOL, socket.SO_RCVBUF, b"", errno.EINVAL),
        (socket.IPPROTO_IP, socket.IP_TOS, b"", errno.EINVAL),
        (socket.IPPROTO_IPV6, TCLASS, 0, errno.ENOPROTOOPT),
        (TCP, USER_TIMEOUT, -1, errno.EINVAL),
        (TCP, USER_TIMEOUT, struct.pack("i", -1), errno.EINVAL),
        (TCP, socket.TCP_NODELAY, b"\1", errno.EINVAL),
        (SOL, socket.SO_LINGER, 1, errno.EINVAL),
        (SOL, socket.SO_LINGER, b"\0" * 4, errno.EINVAL),
        (SOL, socket.SO_BROADCAST, 1, errno.ENOPROTOOPT),
        (TCP, 9999, 1, errno.ENOPROTOOPT),
        (9999, 1, 1, errno.ENOPROTOOPT),
        (socket.IPPROTO_IP, socket.IP_TTL, 16, errno.ENOPROTOOPT),
    ],
)
def test_a_wrong_option_or_value_is_the_kernels_error(level: int, option: int, value: Any, expected: int) -> None:
    def check(face: SocketFace, *_: object) -> None:
        assert errno_of(lambda: face.setsockopt(level, option, value)) == expected

    with_faces(check)


def test_reading_an_unknown_option_is_enoprotoopt_and_a_wrong_type_a_type_error() -> None:
    def check(face: SocketFace, *_: object) -> None:
        assert errno_of(lambda: face.getsockopt(TCP, 9999)) == errno.ENOPROTOOPT
        assert errno_of(lambda: face.getsockopt(9999, 1)) == errno.ENOPROTOOPT
        for wrong in ("text", None, 1.5):
            with pytest.raises(TypeError):
                face.setsockopt(TCP, socket.TCP_NODELAY, wrong)  # type: ignore[arg-type]

    with_faces(check)


def test_linger_of_zero_seconds_makes_close_a_reset() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, _, _ = await pair.connect(Recorder(), receiver)
            face = transport.get_extra_info("socket")
            face.setsockopt(SOL, socket.SO_LINGER, LINGER.pack(1, 0))
            assert face.getsockopt(SOL, socket.SO_LINGER, 8) == LINGER.pack(1, 0)
            transport.close()
            await settle()
            assert isinstance(receiver.lost, ConnectionResetError)

    run(main())


@pytest.mark.parametrize("linger", [(1, 5), (0, 0)])
def test_any_other_linger_closes_in_order(linger: tuple[int, int]) -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder()
            transport, _, _ = await pair.connect(Recorder(), receiver)
            face = transport.get_extra_info("socket")
            face.setsockopt(SOL, socket.SO_LINGER, LINGER.pack(1, 0))
            face.setsockopt(SOL, socket.SO_LINGER, LINGER.pack(*linger))
            transport.close()
            await settle()
            assert receiver.calls[-2:] == ["eof", "lost"] and receiver.lost is None

    run(main())


def test_keepalive_finds_a_silent_peer_after_idle_and_probes() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, Recorder())
            face = transport.get_extra_info("socket")
            for option, value in ((KEEPIDLE, 10), (KEEPINTVL, 2), (KEEPCNT, 3)):
                face.setsockopt(TCP, option, value)
            face.setsockopt(SOL, socket.SO_KEEPALIVE, 1)
            await settle(100)
            assert not sender.over.done(), "a living peer answers"
            pair.wire.drop = lambda *_: True
            await settle(10 + 3 * 2 + 5)
            assert isinstance(sender.lost, TimeoutError)
            pair.wire.drop = None

    run(main())


def test_keepalive_is_off_until_asked_for() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender = Recorder()
            await pair.connect(sender, Recorder())
            await settle()
            before = dict(pair.wire.sent)
            await settle(100_000)
            assert pair.wire.sent == before

    run(main())


def test_user_timeout_fails_the_connection_when_data_stays_unacknowledged() -> None:
    async def main() -> None:
        async with hosts() as pair:
            sender = Recorder()
            transport, _, _ = await pair.connect(sender, Recorder())
            transport.get_extra_info("socket").setsockopt(TCP, USER_TIMEOUT, 3000)
            pair.wire.drop = lambda *_: True
            transport.write(b"x")
            await settle(10)
            assert isinstance(sender.lost, TimeoutError)
            pair.wire.drop = None

    run(main())


def test_the_descriptor_polls_readable_exactly_while_data_or_the_end_waits() -> None:
    async def main() -> None:
        async with hosts() as pair:
            receiver = Recorder(keep_open=True)
            transport, accepted, _ = await pair.connect(Recorder(), receiver)
            face = accepted.get_extra_info("socket")
            assert face.fileno() == face.fileno() > 2
            assert not readable(face)
            transport.write(b"taken at once")
            await settle()
            assert receiver.data and not readable(face)
            accepted.pause_reading()
            transport.write(b"nobody takes it")
            await settle()
            assert readable(face)
            accepted.resume_reading()
            await settle()
            assert not readable(face)
            transport.write_eof()
            await settle()
            assert receiver.calls[-1] == "eof" and readable(face)
            accepted.close()
            await settle()
            assert face.fileno() == -1

    run(main())


def test_a_descriptor_made_late_shows_at_once_what_waits() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder())
            accepted.pause_reading()
            transport.write(b"x")
            await settle()
            assert readable(accepted.get_extra_info("socket"))

    run(main())


@pytest.mark.parametrize("end", ["close", "abort", "host"])
def test_every_end_gives_the_descriptor_back(end: str) -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            face = transport.get_extra_info("socket")
            assert face.fileno() > 2
            if end == "host":
                await pair.client.aclose()
            else:
                getattr(transport, end)()
            await settle()
            assert face.fileno() == -1
            assert errno_of(face.getpeername) == errno_of(face.getsockname) == errno.EBADF
            assert errno_of(lambda: face.getsockopt(TCP, socket.TCP_NODELAY)) == errno.EBADF
            assert errno_of(lambda: face.setsockopt(TCP, socket.TCP_NODELAY, 1)) == errno.EBADF
            assert "closed" in repr(face)
            assert transport.get_extra_info("socket").fileno() == -1

    run(main())


def test_a_face_asked_for_after_the_end_is_closed() -> None:
    async def main() -> None:
        async with hosts() as pair:
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            transport.abort()
            await settle()
            assert transport.get_extra_info("socket").fileno() == -1

    run(main())


def test_server_sockets_tell_where_it_listens() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server = await pair.server.create_server(Recorder, port=0)
            (face,) = server.sockets
            address, port = face.getsockname()[:2]
            assert address == "0.0.0.0" and 1 <= port <= 65535
            assert face.getsockopt(SOL, socket.SO_TYPE) == socket.SOCK_STREAM
            assert face.getsockopt(SOL, getattr(socket, "SO_ACCEPTCONN", 30), 4) == struct.pack("i", 1)
            assert face.family is socket.AF_INET and face.fileno() > 2 and not readable(face)
            face.setsockopt(SOL, socket.SO_REUSEADDR, 1)
            assert errno_of(lambda: face.setsockopt(TCP, 9999, 1)) == errno.ENOPROTOOPT
            assert errno_of(lambda: face.getsockopt(TCP, 9999)) == errno.ENOPROTOOPT
            assert errno_of(face.getpeername) == errno.ENOTCONN
            await pair.client.create_connection(Recorder, SERVER, port)
            await pair.server.create_connection(Recorder, address, port)  # this host's own, as in a kernel
            server.close()
            assert server.sockets == () and face.fileno() == -1
            assert errno_of(face.getsockname) == errno.EBADF and "closed" in repr(face)

    run(main())


def test_the_descriptor_is_a_pipe_where_there_is_no_eventfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.eventfd", raising=False)

    async def main() -> None:
        async with hosts() as pair:
            transport, accepted, _ = await pair.connect(Recorder(), Recorder())
            face = accepted.get_extra_info("socket")
            assert not readable(face)
            accepted.pause_reading()
            transport.write(b"x")
            await settle()
            assert readable(face)
            accepted.resume_reading()
            await settle()
            assert not readable(face)
            accepted.abort()
            await settle()
            assert face.fileno() == -1

    run(main())
