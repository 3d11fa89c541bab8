"""A stack's public calls with bad input, addresses and ports, echo, and the end of a host."""

from __future__ import annotations

import errno
import gc
from ipaddress import ip_address
from typing import Any

import pytest

from synfin.stack.addresses import packed
from synfin.stack.icmp_input import icmp_errors
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.states import TIME_WAIT
from synfin.wire import icmp
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, IpHeader, build_ipv4, build_ipv6
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build, finish, parse_untrusted
from synfin.wire.tcp_header import ACK, RST, SYN


def entropy(n: int) -> bytes:
    """The same secrets in every run."""
    return bytes(range(n))


def stack(*addresses: str, config: Config | None = None) -> Any:
    """A stack whose arguments the type checker does not look at."""
    return Stack(addresses or ("10.0.0.1",), config, entropy=entropy)


# ---- bad input gives a clear error at the call ----


@pytest.mark.parametrize("addresses", ["10.0.0.1", b"\x0a\0\0\x01"])
def test_one_address_instead_of_a_list_is_refused(addresses: Any) -> None:
    with pytest.raises(TypeError, match="list of addresses"):
        Stack(addresses, entropy=entropy)


@pytest.mark.parametrize("address", ["nonsense", "10.0.0.256", "", b"\x0a", b"12345"])
def test_what_is_no_address_is_refused(address: Any) -> None:
    with pytest.raises(ValueError):
        Stack([address], entropy=entropy)


@pytest.mark.parametrize("address", [7, 1.5, None])
def test_an_address_of_another_type_is_refused(address: Any) -> None:
    with pytest.raises(TypeError):
        Stack([address], entropy=entropy)


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])
def test_an_address_that_no_host_has_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address that a host could have"):
        stack(address)


def test_a_stack_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one address"):
        Stack([], entropy=entropy)


def test_ipv6_over_a_link_below_1280_bytes_is_refused() -> None:
    # RFC 8200 5
    with pytest.raises(ValueError, match="1280"):
        stack("fd00::1", config=Config(mtu=1279))
    stack("fd00::1", config=Config(mtu=1280))


def test_addresses_may_be_written_in_every_usual_way() -> None:
    assert packed("10.0.0.1") == packed(b"\x0a\0\0\x01") == packed(ip_address("10.0.0.1")) == b"\x0a\0\0\x01"
    assert packed("fd00::1") == packed(ip_address("fd00::1"))


@pytest.mark.parametrize(
    ("port", "error"), [(-1, ValueError), (65536, ValueError), ("80", TypeError), (80.0, TypeError)]
)
def test_a_bad_port_is_refused(port: Any, error: type[Exception]) -> None:
    host = stack()
    with pytest.raises(error):
        host.listen(port)
    with pytest.raises(error):
        host.connect("10.0.0.2", port, 0)
    with pytest.raises(error):
        host.connect("10.0.0.2", 80, 0, local_port=port)
    assert not any(host.census().values())


def test_port_0_can_not_be_connected_to() -> None:
    with pytest.raises(ValueError, match="port"):
        stack().connect("10.0.0.2", 0, 0)


@pytest.mark.parametrize(("backlog", "error"), [(0, ValueError), (-5, ValueError), ("5", TypeError), (None, TypeError)])
def test_a_bad_backlog_is_refused(backlog: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        stack().listen(80, backlog=backlog)


def test_listening_on_a_foreign_address_or_a_taken_port_is_refused() -> None:
    host = stack("10.0.0.1", "10.0.0.9")
    with pytest.raises(OSError) as raised:
        host.listen(80, "10.0.0.2")
    assert raised.value.errno == errno.EADDRNOTAVAIL
    host.listen(80)
    with pytest.raises(OSError) as raised:
        host.listen(80)
    assert raised.value.errno == errno.EADDRINUSE
    host.listen(80, "10.0.0.9")  # one address beside any
    host.listen(80, "10.0.0.1")


@pytest.mark.parametrize("remote", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])
def test_connecting_to_a_group_of_hosts_is_refused(remote: str) -> None:
    # RFC 9293 3.9.2.3, MUST-46
    with pytest.raises(ValueError, match="no single host"):
        stack("10.0.0.1", "fd00::1").connect(remote, 80, 0)


def test_connecting_without_an_address_of_the_family_is_refused() -> None:
    with pytest.raises(OSError) as raised:
        stack().connect("fd00::1", 80, 0)
    assert raised.value.errno == errno.ENETUNREACH


def test_connecting_from_a_foreign_address_or_the_other_family_is_refused() -> None:
    host = stack("10.0.0.1", "fd00::1")
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0, local="10.0.0.3")
    assert raised.value.errno == errno.EADDRNOTAVAIL
    with pytest.raises(ValueError, match="different families"):
        host.connect("10.0.0.2", 80, 0, local="fd00::1")


def test_a_4_tuple_in_use_is_refused() -> None:
    host = stack()
    host.connect("10.0.0.2", 80, 0, local_port=5000)
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0, local_port=5000)
    assert raised.value.errno == errno.EADDRINUSE
    host.connect("10.0.0.2", 81, 0, local_port=5000)
    host.connect("10.0.0.3", 80, 0, local_port=5000)


def test_when_all_ports_to_a_destination_are_taken_connect_says_so() -> None:
    host = stack(config=Config(port_first=40000, port_last=40002))
    ports = {host.connect("10.0.0.2", 80, 0).key[-2:] for _ in range(3)}
    assert len(ports) == 3
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0)
    assert raised.value.errno == errno.EADDRNOTAVAIL
    host.connect("10.0.0.3", 80, 0)


def test_no_connection_begins_at_a_port_that_listens_on_its_address() -> None:
    # else a host that talks to a server of its own could get the server's port, and be its own peer
    host = stack("10.0.0.1", "10.0.0.9", config=Config(port_first=40000, port_last=40002))
    host.listen(40000)
    host.listen(40001, "10.0.0.1")
    for port in (40000, 40001):
        with pytest.raises(OSError) as raised:
            host.connect("10.0.0.1", 80, 0, local_port=port)
        assert raised.value.errno == errno.EADDRINUSE
    assert host.connect("10.0.0.2", 80, 0, local="10.0.0.1").key[-2:] == (40002).to_bytes(2, "big")
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0, local="10.0.0.1")
    assert raised.value.errno == errno.EADDRNOTAVAIL
    elsewhere = [host.connect("10.0.0.2", 80, 0, local="10.0.0.9").key[-2:] for _ in range(2)]
    assert sorted(elsewhere) == [(40001).to_bytes(2, "big"), (40002).to_bytes(2, "big")]


@pytest.mark.parametrize("own", ["10.0.0.1", "fd00::1"])
def test_no_connection_is_its_own_peer(own: str) -> None:
    host = stack(own, config=Config(port_first=40000, port_last=40001))
    with pytest.raises(OSError) as raised:
        host.connect(own, 40000, 0, local_port=40000)
    assert raised.value.errno == errno.EADDRINUSE
    assert host.connect(own, 40000, 0).key[-2:] == (40001).to_bytes(2, "big")
    with pytest.raises(OSError) as raised:
        host.connect(own, 40000, 0)
    assert raised.value.errno == errno.EADDRNOTAVAIL


def test_no_datagram_port_is_chosen_that_is_its_own_remote() -> None:
    host = stack(config=Config(port_first=40000, port_last=40001))
    assert host.open_datagrams(remote=("10.0.0.1", 40000)).port == 40001
    with pytest.raises(OSError) as raised:
        host.open_datagrams(remote=("10.0.0.1", 40000))
    assert raised.value.errno == errno.EADDRNOTAVAIL


def test_what_chooses_a_port_leaves_no_reference_cycle() -> None:
    # a compiled function within a function would
    host = stack()
    gc.collect()
    gc.disable()
    try:
        for number in range(10):
            host.listen(0)
            host.connect("10.0.0.2", 80, 0)
            host.connect("10.0.0.2", 80, 0, local_port=1000 + number)
            host.open_datagrams()
            host.open_datagrams(port=1000 + number)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_above_the_connection_limit_connect_says_so() -> None:
    host = stack(config=Config(connection_limit=1))
    host.connect("10.0.0.2", 80, 0)
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0)
    assert raised.value.errno == errno.ENOBUFS


@pytest.mark.parametrize("data", ["text", 7, None, bytearray(b"x"), memoryview(b"x")])
def test_what_is_not_bytes_can_not_be_written(data: Any) -> None:
    # what is mutable could change while the peer has not acknowledged it
    connection = stack().connect("10.0.0.2", 80, 0)
    with pytest.raises(TypeError):
        connection.write(data)
    assert connection.queued_bytes() == 0


BEYOND_I64 = 1 << 63  # what `now + time` would wrap by, compiled


@pytest.mark.parametrize(
    ("idle", "interval", "probes"),
    [
        (-1, 1000, 1),
        (1000, 0, 1),
        (1000, -1, 1),
        (1000, 1000, 0),
        (1000, 1000, 128),
        ((1 << 48) + 1, 1000, 1),
        (1000, (1 << 48) + 1, 1),
        (BEYOND_I64, BEYOND_I64, BEYOND_I64),
    ],
)
def test_a_keep_alive_without_sense_is_refused(idle: int, interval: int, probes: int) -> None:
    connection = stack().connect("10.0.0.2", 80, 0)
    with pytest.raises(ValueError, match="keepalive_"):
        connection.set_keepalive(idle, interval, probes, 0)


@pytest.mark.parametrize("time", [-1, (1 << 48) + 1, BEYOND_I64 - 1, BEYOND_I64])
def test_a_user_timeout_that_is_no_time_is_refused(time: int) -> None:
    with pytest.raises(ValueError, match="user_timeout_us must be within 0 and"):
        stack().connect("10.0.0.2", 80, 0).set_user_timeout(time)


def test_the_longest_times_give_deadlines_in_the_future() -> None:
    host = stack()
    connection = host.connect("10.0.0.2", 80, 1_000_000)
    connection.set_user_timeout(1 << 48)
    connection.set_keepalive(1 << 48, 1 << 48, 127, 1_000_000)
    host.poll(1_000_000, 1 << 20)
    deadline = host.next_deadline()
    assert deadline is not None and deadline > 1_000_000


def test_an_isn_secret_without_entropy_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        Stack(["10.0.0.1"], entropy=lambda n: b"")


# ---- listeners ----


def test_port_0_chooses_a_port_that_is_told() -> None:
    host = stack(config=Config(port_first=40000, port_last=40001))
    assert {host.listen(0).port, host.listen(0).port} == {40000, 40001}
    with pytest.raises(OSError) as raised:
        host.listen(0)
    assert raised.value.errno == errno.EADDRNOTAVAIL


def answers(host: Stack, remote: str, to: str, port: int = 80) -> int:
    """The flags of what answers a SYN."""
    syn = Segment()
    syn.key = make_key(packed(remote), packed(to), 50_000, port)
    syn.flags = SYN
    host.receive(build(syn), 0)
    (burst,) = host.poll(0, 1 << 20)
    answer, header, packet = Segment(), IpHeader(), finish(burst)
    parse_ip(packet, header)
    parse_untrusted(packet, header, answer, True, 0)
    return int(answer.flags)


def test_the_unspecified_address_is_every_address_of_its_family() -> None:
    host = stack("10.0.0.1", "10.0.0.9", "fd00::1")
    four = host.listen(80, "0.0.0.0")
    assert [answers(host, "10.0.0.2", to) for to in ("10.0.0.1", "10.0.0.9")] == [SYN | ACK] * 2
    assert answers(host, "fd00::2", "fd00::1") == RST | ACK
    host.listen(80, "::")
    assert answers(host, "fd00::2", "fd00::1") == SYN | ACK
    with pytest.raises(OSError) as raised:
        host.listen(80, "0.0.0.0")
    assert raised.value.errno == errno.EADDRINUSE
    host.close_listener(four, 0)
    host.poll(0, 1 << 20)
    assert answers(host, "10.0.0.3", "10.0.0.1") == RST | ACK


def test_a_port_that_is_chosen_is_heard_by_nobody_else() -> None:
    host = stack("10.0.0.1", "fd00::1", config=Config(port_first=40000, port_last=40002))
    places = ("10.0.0.1", "0.0.0.0", "::")
    assert len({host.listen(0, place).port for place in places}) == 3
    assert len({host.open_datagrams(place).port for place in places}) == 3
    for place in places:
        with pytest.raises(OSError) as raised:
            host.open_datagrams(place)
        assert raised.value.errno == errno.EADDRNOTAVAIL


def test_a_udp_port_that_hears_the_same_is_in_use() -> None:
    host = stack("10.0.0.1", "fd00::1")
    every = host.open_datagrams("::", 53)
    for place in ("10.0.0.1", "0.0.0.0", "fd00::1", None):
        with pytest.raises(OSError) as raised:
            host.open_datagrams(place, 53)
        assert raised.value.errno == errno.EADDRINUSE
    host.close_datagrams(every)
    host.open_datagrams("0.0.0.0", 53)
    host.open_datagrams("fd00::1", 53)


def test_the_unspecified_address_of_a_family_that_a_stack_lacks_is_not_available() -> None:
    with pytest.raises(OSError) as raised:
        stack("10.0.0.1").listen(80, "::")
    assert raised.value.errno == errno.EADDRNOTAVAIL


def test_the_more_exact_listener_is_asked() -> None:
    host = stack("10.0.0.1", "fd00::1")
    exact, family, every = host.listen(80, "10.0.0.1"), host.listen(80, "0.0.0.0"), host.listen(80)
    for number, listener in enumerate((exact, family, every)):
        answers(host, f"10.0.1.{number}", "10.0.0.1")
        assert [one.half_open() for one in (exact, family, every)][number] == 1
        host.close_listener(listener, 0)
        host.poll(0, 1 << 20)


def test_a_listener_that_does_not_serve_holds_its_port_and_refuses() -> None:
    host = stack("10.0.0.1")
    listener = host.listen(80)
    listener.serving = False
    assert answers(host, "10.0.0.2", "10.0.0.1") == RST | ACK
    with pytest.raises(OSError) as raised:
        host.listen(80)
    assert raised.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError) as raised:
        host.connect("10.0.0.2", 80, 0, local_port=80)
    assert raised.value.errno == errno.EADDRINUSE
    listener.serving = True
    assert answers(host, "10.0.0.2", "10.0.0.1") == SYN | ACK


def test_closing_a_listener_twice_does_not_close_the_next_one_on_its_port() -> None:
    host = stack()
    first = host.listen(80)
    host.close_listener(first, 0)
    host.listen(80)
    host.close_listener(first, 0)
    assert host.census()["listeners"] == 1


# ---- the end of a host ----


def test_abort_all_forgets_everything_at_once() -> None:
    host = stack("10.0.0.1", config=Config(timestamps=False))
    host.listen(80)
    client = host.connect("10.0.0.1", 80, 0)
    host.poll(0, 1 << 20)
    client.close(0)
    host.connect("10.0.0.2", 80, 0)
    host.poll(0, 1 << 20)
    host.abort_all(5)
    host.poll(5, 1 << 20)
    while host.ready() is not None:
        pass
    host.accepting()
    assert host.next_deadline() is None
    assert not any(host.census().values())


def test_abort_all_forgets_a_connection_that_has_just_entered_time_wait() -> None:
    host = stack("10.0.0.1")
    both = [host.connect("10.0.0.1", 8001 - port, 0, local_port=port) for port in (4000, 4001)]
    host.poll(0, 1 << 20)
    for end in both:
        end.close(0)
    host.poll(0, 1 << 20)
    assert [end.state for end in both] == [TIME_WAIT, TIME_WAIT]
    host.abort_all(5)
    host.poll(5, 1 << 20)
    assert host.census()["time_wait"] == 0 and host.next_deadline() is None


# ---- ICMP ----


def echo(version: int, dst: str) -> bytes:
    """An echo request with some bytes in it."""
    there, here = packed("10.0.0.2" if version == 4 else "fd00::2"), packed(dst)
    body = bytes([8 if version == 4 else 128, 0, 0, 0]) + b"\x12\x34\x00\x01" + b"ping" * 4
    if version == 4:
        return build_ipv4(there, here, PROTO_ICMP, len(body)) + body
    return build_ipv6(there, here, PROTO_ICMPV6, len(body)) + body


@pytest.mark.parametrize(("version", "address"), [(4, "10.0.0.1"), (6, "fd00::1")])
def test_an_echo_request_is_answered(version: int, address: str) -> None:
    host = stack("10.0.0.1", "fd00::1")
    host.receive(echo(version, address), 0, True)
    bursts = host.poll(0, 1 << 20)
    assert len(bursts) == 1
    packet = finish(bursts[0])
    header = IpHeader()
    parse_ip(packet, header)
    reply = icmp.parse_untrusted(packet, header, False)
    assert reply.type == (0 if version == 4 else 129)
    assert packet.endswith(b"ping" * 4)
    assert host.counters.as_dict()["OutEchoReps"] == 1


def test_an_echo_request_for_another_host_or_with_a_bad_checksum_is_not_answered() -> None:
    host = stack()
    host.receive(echo(4, "10.0.0.7"), 0, True)
    host.receive(echo(4, "10.0.0.1"), 0, False)
    assert host.poll(0, 1 << 20) == []
    counted = host.counters.as_dict()
    assert counted["InEchos"] == 0 and counted["InAddrErrors"] == 1


def test_a_fragment_and_an_unknown_protocol_are_dropped_and_counted() -> None:
    host = stack()
    whole = bytearray(build_ipv4(packed("10.0.0.2"), packed("10.0.0.1"), 99, 8) + bytes(8))
    host.receive(bytes(whole), 0)
    fragment = build_ipv4(packed("10.0.0.2"), packed("10.0.0.1"), 6, 8, dont_fragment=False)
    more = bytearray(fragment + bytes(8))
    more[6] |= 0x20
    checksum = int.from_bytes(more[10:12], "big") - 0x2000
    more[10:12] = (checksum % 0xFFFF).to_bytes(2, "big")
    host.receive(bytes(more), 0)
    counted = host.counters.as_dict()
    assert (counted["InUnknownProtos"], counted["ReasmFails"]) == (1, 1)
    assert host.poll(0, 1 << 20) == []


def test_replies_that_the_outbox_can_not_take_are_dropped_and_counted() -> None:
    host = stack(config=Config(outbox_limit=2))
    for _ in range(5):
        host.receive(echo(4, "10.0.0.1"), 0, True)
    assert len(host.poll(0, 1 << 20)) == 2
    assert host.counters.as_dict()["OutDiscards"] == 3


@pytest.mark.parametrize(
    ("version", "kind", "code", "expected"),
    [
        (4, 3, 0, (errors.NETWORK_UNREACHABLE, False)),
        (4, 3, 1, (errors.HOST_UNREACHABLE, False)),
        (4, 3, 2, (errors.REFUSED, True)),
        (4, 3, 3, (errors.REFUSED, True)),
        (4, 11, 0, (errors.HOST_UNREACHABLE, False)),
        (6, 1, 0, (errors.NETWORK_UNREACHABLE, False)),
        (6, 1, 1, (errors.HOST_UNREACHABLE, True)),
        (6, 1, 4, (errors.REFUSED, True)),
        (6, 3, 0, (errors.HOST_UNREACHABLE, False)),
        (4, 5, 0, (errors.NONE, False)),
    ],
)
def test_icmp_errors_are_the_errno_that_linux_gives(
    version: int, kind: int, code: int, expected: tuple[int, bool]
) -> None:
    # RFC 1122 4.2.3.9, RFC 5461
    assert icmp_errors(version, kind, code) == expected
