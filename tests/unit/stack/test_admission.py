"""A stack that hears any destination, and what becomes of a SYN or a first datagram before there is any connection."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from synfin.stack.addresses import is_elsewhere, packed
from synfin.stack.admission import ACCEPT, DROP, HOLD_US, LATER, PATIENCE_US, REFUSE, check_verdict, unreachable
from synfin.stack.stack import Stack
from synfin.tcp.config import COOKIES_ALWAYS, Config
from synfin.wire import icmp, udp
from synfin.wire.ip import PROTO_UDP, IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key, reverse_key
from synfin.wire.segment import Segment, build, finish, parse_untrusted
from synfin.wire.tcp_header import ACK, RST, SYN

INSIDE = {4: "10.0.0.2", 6: "fd00::2"}
OUTSIDE = {4: "93.184.216.34", 6: "2001:db8::1"}
SECOND = 1_000_000


def entropy(n: int) -> bytes:
    return bytes(range(n))


def gateway(ask: Callable[[bytes], int] | None = None, *, own: str = "10.0.0.1", **settings: Any) -> Stack:
    stack = Stack([own], Config(**settings), entropy=entropy, any_destination=True)
    stack.listen_everywhere()
    stack.admission.ask = ask
    return stack


def syn(version: int = 4, port: int = 443, source_port: int = 4000, seq: int = 1000, flags: int = SYN) -> Segment:
    seg = Segment()
    seg.key = make_key(packed(INSIDE[version]), packed(OUTSIDE[version]), source_port, port)
    seg.seq, seg.flags, seg.window, seg.mss = seq, flags, 65535, 1400 if flags & SYN else -1
    return seg


def sent(stack: Stack, now: int = 0) -> list[bytes]:
    return [finish(burst) for burst in stack.poll(now, 1 << 20)]


def segment(packet: bytes) -> Segment:
    ip, seg = IpHeader(), Segment()
    parse_ip(packet, ip)
    parse_untrusted(packet, ip, seg, False, 0)
    return seg


def error(packet: bytes) -> icmp.IcmpMessage:
    ip = IpHeader()
    parse_ip(packet, ip)
    return icmp.parse_untrusted(packet, ip, False)


def always(verdict: int) -> Callable[[bytes], int]:
    return lambda key: verdict


# ---- any destination ----


@pytest.mark.parametrize("version", [4, 6])
def test_a_syn_to_any_address_and_port_is_answered_from_there(version: int) -> None:
    stack = gateway()  # it has no IPv6 address of its own
    for port in (1, 443, 65535):
        stack.receive(build(syn(version, port)), 0)
        (packet,) = sent(stack)
        seg = segment(packet)
        assert seg.flags == SYN | ACK
        assert seg.key == reverse_key(syn(version, port).key)


def test_a_connection_through_a_listener_on_any_port_knows_where_it_was_meant_to_go() -> None:
    stack = gateway()
    stack.receive(build(syn()), 0)
    (answer,) = sent(stack)
    third = syn(flags=ACK, seq=1001)
    third.ack = segment(answer).seq + 1
    stack.receive(build(third), 0)
    listener = stack.accepting()
    assert listener is not None
    connection = listener.accept()
    assert connection is not None
    assert connection.key == syn().key


def test_a_listener_of_its_own_comes_before_the_one_on_any_port() -> None:
    stack = gateway()
    exact = stack.listen(443)
    stack.receive(build(syn(port=443)), 0)
    stack.receive(build(syn(port=444)), 0)
    assert exact.half_open() == 1
    assert stack.census()["half_open"] == 2
    stack.close_listener(exact, 0)
    stack.receive(build(syn(port=443, source_port=4001)), 0)
    assert stack.census()["half_open"] == 2  # the exact one's is gone, the other took this


def test_there_is_one_listener_on_any_port_of_an_address_and_its_place_is_given_back() -> None:
    stack = Stack(["10.0.0.1"], entropy=entropy)
    listener = stack.listen_everywhere()
    with pytest.raises(OSError) as raised:
        stack.listen_everywhere()
    assert raised.value.errno == errno.EADDRINUSE
    assert stack.connect("10.0.0.2", 80, 0).key  # it takes no port from connections
    stack.close_listener(listener, 0)
    stack.listen_everywhere()


def test_a_stack_without_any_destination_hears_its_own_addresses_only() -> None:
    stack = Stack(["10.0.0.1"], entropy=entropy)
    stack.listen_everywhere()
    stack.receive(build(syn()), 0)
    assert not sent(stack)
    assert stack.counters.InAddrErrors == 1


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1"]
)
def test_no_group_and_no_loopback_is_elsewhere(address: str) -> None:
    assert not is_elsewhere(packed(address))


def test_an_ipv4_address_in_ipv6s_clothes_is_not_elsewhere() -> None:
    # Dialled by the kernel, ::ffff:127.0.0.1 would be the gateway's own loopback (RFC 4291 2.5.5.2).
    assert not is_elsewhere(packed("::ffff:127.0.0.1"))
    assert is_elsewhere(packed("2001:db8::1"))
    assert is_elsewhere(packed("10.0.0.9"))


def test_forged_sources_that_are_no_host_are_dropped_before_anybody_is_asked() -> None:
    asked: list[bytes] = []

    def ask(key: bytes) -> int:
        asked.append(key)
        return ACCEPT

    stack = gateway(ask)
    seg = syn()
    seg.key = packed("255.255.255.255") + seg.key[4:]
    stack.receive(build(seg), 0)
    assert not asked
    assert stack.counters.InAddrErrors == 1


def test_connections_may_be_opened_from_a_foreign_address() -> None:
    stack = gateway()
    stack.connect(INSIDE[4], 80, 0, local="203.0.113.7")
    (packet,) = sent(stack)
    assert packet[12:16] == packed("203.0.113.7")
    with pytest.raises(OSError):
        stack.connect(INSIDE[4], 80, 0, local="127.0.0.1")


# ---- verdicts ----


def test_refused_is_a_reset_for_exactly_this_syn() -> None:
    stack = gateway(always(REFUSE))
    stack.receive(build(syn()), 0)
    (packet,) = sent(stack)
    seg = segment(packet)
    assert seg.flags == RST | ACK
    assert (seg.ack, seg.key) == (1001, reverse_key(syn().key))
    assert not any(count for name, count in stack.census().items() if name != "listeners")


@pytest.mark.parametrize(
    ("version", "code", "number"),
    [
        (4, errno.ENETUNREACH, 0),
        (4, errno.EHOSTUNREACH, 1),
        (4, errno.EACCES, 13),
        (6, errno.ENETUNREACH, 0),
        (6, errno.EHOSTUNREACH, 3),
        (6, errno.EACCES, 1),
    ],
)
def test_unreachable_is_the_icmp_error_of_that_errno_quoting_the_syn(version: int, code: int, number: int) -> None:
    stack = gateway(always(unreachable(code)))
    stack.receive(build(syn(version)), 0)
    (packet,) = sent(stack)
    message = error(packet)
    assert (message.type, message.code) == (3 if version == 4 else 1, number)
    assert (message.quoted_key, message.quoted_seq) == (syn(version).key, 1000)


def test_dropped_is_silence() -> None:
    stack = gateway(always(DROP))
    stack.receive(build(syn()), 0)
    assert not sent(stack)


def test_icmp_errors_to_one_host_are_limited_unless_the_settings_say_otherwise() -> None:
    for interval, expected in ((SECOND, 6), (0, 20)):
        stack = gateway(always(unreachable(errno.EHOSTUNREACH)), icmp_ratelimit_us=interval)
        for port in range(1, 21):
            stack.receive(build(syn(port=port)), 0)
        assert len(sent(stack)) == expected


@pytest.mark.parametrize("nonsense", [LATER, 4, 256, 256 + errno.ETIMEDOUT, -1])
def test_what_is_no_verdict_is_refused(nonsense: int) -> None:
    with pytest.raises(ValueError, match="verdict"):
        check_verdict(nonsense)


@pytest.mark.parametrize("nonsense", [None, True, "accept"])
def test_a_verdict_of_another_type_is_refused(nonsense: Any) -> None:
    with pytest.raises(TypeError, match="verdict"):
        check_verdict(nonsense)


def test_icmp_has_no_words_for_a_timeout() -> None:
    with pytest.raises(ValueError, match="ICMP"):
        unreachable(errno.ETIMEDOUT)


def test_only_syns_are_asked_about_and_each_once() -> None:
    asked: list[bytes] = []

    def ask(key: bytes) -> int:
        asked.append(key)
        return ACCEPT

    stack = gateway(ask)
    stack.receive(build(syn()), 0)
    stack.receive(build(syn()), 0)  # its half-open entry answers
    stack.receive(build(syn(flags=ACK, seq=1, source_port=5000)), 0)
    stack.receive(build(syn(flags=RST, seq=1, source_port=5000)), 0)
    assert asked == [syn().key]


def test_with_cookies_each_syn_is_asked_about_and_its_answer_needs_no_verdict() -> None:
    asked: list[bytes] = []

    def ask(key: bytes) -> int:
        asked.append(key)
        return ACCEPT

    stack = gateway(ask, syn_cookies=COOKIES_ALWAYS)
    stack.receive(build(syn()), 0)
    (answer,) = sent(stack)
    third = syn(flags=ACK, seq=1001)
    third.ack = segment(answer).seq + 1
    stack.receive(build(third), 0)
    assert stack.census()["connections"] == 1
    assert len(asked) == 1


# ---- later ----


def test_a_held_syn_has_no_answer_and_is_asked_about_once_however_often_it_comes() -> None:
    asked: list[bytes] = []

    def ask(key: bytes) -> int:
        asked.append(key)
        return LATER

    stack = gateway(ask)
    for now in (0, SECOND, 3 * SECOND, 7 * SECOND):
        stack.receive(build(syn()), now)
    assert not sent(stack)
    assert asked == [syn().key]
    assert (stack.counters.SynsHeld, stack.counters.SynsHeldAgain) == (1, 3)
    assert stack.census()["held_syns"] == 1


@pytest.mark.parametrize("version", [4, 6])
def test_a_held_syn_that_is_accepted_goes_on_with_all_its_options(version: int) -> None:
    plain, held = gateway(), gateway(always(LATER))
    first = syn(version)
    first.wscale, first.sack_permitted, first.has_ts, first.ts_val = 7, True, True, 12345
    for stack in (plain, held):
        stack.receive(build(first), 0)
    assert held.settle(first.key, ACCEPT, 0)
    assert sent(held) == sent(plain)
    assert held.census()["held_syns"] == 0


def test_a_held_syn_gets_the_answer_that_is_found_out() -> None:
    stack = gateway(always(LATER))
    stack.receive(build(syn(port=1)), 0)
    stack.receive(build(syn(port=2)), 0)
    stack.receive(build(syn(port=3)), 0)
    assert stack.settle(syn(port=1).key, REFUSE, 5)
    assert segment(sent(stack)[0]).flags == RST | ACK
    assert stack.settle(syn(port=2).key, unreachable(errno.EHOSTUNREACH), 5)
    assert error(sent(stack)[0]).quoted_key == syn(port=2).key
    assert stack.settle(syn(port=3).key, DROP, 5)
    assert not sent(stack)
    assert not stack.settle(syn(port=3).key, ACCEPT, 5)  # nothing is held any more
    assert stack.census()["held_syns"] == 0


def test_the_latest_number_of_a_client_that_began_anew_is_answered() -> None:
    stack = gateway(always(LATER))
    stack.receive(build(syn(seq=1000)), 0)
    stack.receive(build(syn(seq=5000)), 0)
    stack.settle(syn().key, ACCEPT, 0)
    assert segment(sent(stack)[0]).ack == 5001


def test_a_client_that_resets_its_held_syn_is_forgotten_and_a_blind_reset_is_not_believed() -> None:
    gone: list[bytes] = []
    stack = gateway(always(LATER))
    stack.admission.forget = gone.append
    stack.receive(build(syn()), 0)
    stack.receive(build(syn(flags=RST, seq=77)), 0)
    assert not gone
    stack.receive(build(syn(flags=RST, seq=1001)), 0)
    assert gone == [syn().key]
    assert stack.census()["held_syns"] == 0


def test_where_too_many_are_held_the_oldest_makes_room_and_whoever_asks_for_it_is_told() -> None:
    gone: list[bytes] = []
    stack = gateway(always(LATER), held_syn_limit=3)
    stack.admission.forget = gone.append
    for port in range(1, 6):
        stack.receive(build(syn(port=port)), port)
    assert gone == [syn(port=1).key, syn(port=2).key]
    assert stack.counters.SynsHeldDropped == 2
    assert stack.census()["held_syns"] == 3
    assert not sent(stack)


def test_a_held_syn_that_comes_no_more_ends_when_its_client_must_have_given_up() -> None:
    gone: list[bytes] = []
    stack = gateway(always(LATER))
    stack.admission.forget = gone.append
    stack.receive(build(syn()), 1_000_000)
    assert stack.next_deadline() == 1_000_000 + PATIENCE_US
    stack.on_timer(1_000_000 + PATIENCE_US - 1)
    assert not gone
    stack.on_timer(1_000_000 + PATIENCE_US)
    assert gone == [syn().key]
    assert stack.next_deadline() is None
    assert stack.counters.SynsHeldDropped == 1


def test_a_held_syn_that_comes_again_is_held_as_long_as_its_next_ones_may_take_even_if_one_is_lost() -> None:
    second = 1_000_000
    stack = gateway(always(LATER))
    for at in (0, 1, 3, 7, 15, 31, 63):  # as Linux sends them, and later twice as long after the last one
        stack.on_timer(at * second)
        stack.receive(build(syn()), at * second)
    assert stack.counters.SynsHeld == 1
    assert stack.counters.SynsHeldAgain == 6
    stack.on_timer(127 * second)
    assert stack.census()["held_syns"] == 1
    stack.on_timer(63 * second + HOLD_US)
    assert stack.census()["held_syns"] == 0


def test_one_that_is_held_long_keeps_nobody_else() -> None:
    second = 1_000_000
    gone: list[bytes] = []
    stack = gateway(always(LATER))
    stack.admission.forget = gone.append
    for at in (0, 1, 3, 7):
        stack.receive(build(syn(port=1)), at * second)
    stack.on_timer(PATIENCE_US)
    assert stack.next_deadline() == 39 * second
    stack.receive(build(syn(port=2)), 11 * second)
    stack.on_timer(11 * second + PATIENCE_US)
    assert gone == [syn(port=2).key]
    stack.on_timer(39 * second)
    assert len(gone) == 2


def test_those_that_are_held_are_looked_at_once_a_second_at_most() -> None:
    stack = gateway(always(LATER))
    for number in range(1000):
        stack.receive(build(syn(port=1 + number)), 1000 * number)
    looked = []
    while (deadline := stack.next_deadline()) is not None:
        looked.append(deadline)
        stack.on_timer(deadline)
    assert looked == [PATIENCE_US, PATIENCE_US + 1_000_000]
    assert stack.counters.SynsHeldDropped == 1000


def test_a_client_that_is_let_in_and_comes_to_nothing_is_told_of() -> None:
    lost: list[bytes] = []
    stack = gateway(always(ACCEPT))
    stack.tell_of_lost(lost.append)
    for port in (1, 2, 3):
        stack.receive(build(syn(port=port)), 0)
    firsts = {segment(packet).key: segment(packet).seq for packet in sent(stack)}
    third = syn(port=1, flags=ACK, seq=1001)
    third.ack = firsts[reverse_key(third.key)] + 1
    stack.receive(build(third), 1)
    assert not lost
    stack.receive(build(syn(port=2, flags=RST, seq=1001)), 2)
    assert lost == [syn(port=2).key]
    while (deadline := stack.next_deadline()) is not None and len(lost) < 2:
        stack.on_timer(deadline)
        sent(stack, deadline)
    assert lost == [syn(port=2).key, syn(port=3).key]


def test_a_flood_of_held_syns_leaves_what_stands_unharmed() -> None:
    stack = gateway(always(ACCEPT), held_syn_limit=16)
    stack.receive(build(syn()), 0)
    third = syn(flags=ACK, seq=1001)
    third.ack = segment(sent(stack)[0]).seq + 1
    stack.receive(build(third), 0)
    stack.admission.ask = always(LATER)
    for number in range(10_000):
        stack.receive(build(syn(port=1 + number % 60_000, source_port=1000 + number // 60_000)), 0)
    assert stack.census()["held_syns"] == 16
    third.payload, third.flags = b"x" * 10, ACK
    stack.receive(build(third), 0)
    (connection,) = stack.connections()
    assert connection.receiver.ready_bytes == 10


def test_a_syn_of_a_new_incarnation_is_asked_about_and_numbered_above_the_old_one() -> None:
    stack = gateway()
    stack.receive(build(syn()), 0)
    third = syn(flags=ACK, seq=1001)
    third.ack = segment(sent(stack)[0]).seq + 1
    stack.receive(build(third), 0)
    (connection,) = stack.connections()
    connection.close(0)  # the active close: TIME-WAIT is here
    fin = segment(sent(stack)[0])
    answer = syn(flags=ACK | 1, seq=1001)
    answer.ack = (fin.seq + 1) & 0xFFFFFFFF
    stack.receive(build(answer), 0)
    sent(stack)
    assert stack.census()["time_wait"] == 1
    stack.admission.ask = always(LATER)
    stack.receive(build(syn(seq=9000)), SECOND)
    assert stack.census()["held_syns"] == 1
    stack.settle(syn().key, ACCEPT, SECOND)
    again = segment(sent(stack, SECOND)[0])
    assert again.flags & (SYN | ACK) == SYN | ACK
    assert 0 < (again.seq - fin.seq) & 0xFFFFFFFF < 1 << 31


def test_a_flood_is_not_answered_in_batches_where_each_syn_is_asked_about() -> None:
    keys = b"".join(syn(source_port=port).key for port in range(1000, 1100))
    assert len(gateway().flood()._strangers(keys, 12, 0)) == 100
    assert gateway(always(REFUSE)).flood()._strangers(keys, 12, 0) == []


def test_a_held_syn_whose_place_a_connection_has_taken_meanwhile_begins_none() -> None:
    stack = gateway(always(LATER))
    stack.receive(build(syn()), 0)
    stack.connect(INSIDE[4], 4000, 0, local=OUTSIDE[4], local_port=443)
    sent(stack)
    assert stack.settle(syn().key, ACCEPT, 0)
    assert stack.census()["half_open"] == 0
    assert not sent(stack)


def test_a_host_that_ends_holds_nothing_any_more() -> None:
    stack = gateway(always(LATER))
    stack.receive(build(syn()), 0)
    stack.abort_all(0)
    assert stack.census()["held_syns"] == 0


# ---- UDP ----


def datagram(version: int = 4, port: int = 53, source_port: int = 4000, text: bytes = b"?") -> bytes:
    return udp.build(make_key(packed(INSIDE[version]), packed(OUTSIDE[version]), source_port, port), text)


@pytest.mark.parametrize("version", [4, 6])
def test_a_datagram_to_anywhere_begins_a_flow_that_answers_from_there(version: int) -> None:
    stack = gateway()
    stack.datagrams.ask = always(ACCEPT)
    stack.receive(datagram(version), 0)
    stack.receive(datagram(version, text=b"again"), 0)
    flow = stack.datagrams_begun()
    assert flow is not None
    assert stack.datagrams_begun() is None
    assert (flow.address, flow.port) == (packed(OUTSIDE[version]), 53)
    assert flow.remote == (packed(INSIDE[version]), 4000)
    assert [text for text, _, _ in flow.received] == [b"?", b"again"]
    flow.send(b"!", *flow.remote)
    (packet,) = sent(stack)
    ip = IpHeader()
    parse_ip(packet, ip)
    assert ip.protocol == PROTO_UDP
    assert udp.key_of(packet, ip) == make_key(packed(OUTSIDE[version]), packed(INSIDE[version]), 53, 4000)
    stack.close_datagrams(flow)
    assert stack.census()["datagram_flows"] == 0


def test_a_datagram_that_is_turned_away_is_told_so_by_icmp_or_by_nothing() -> None:
    stack = gateway()
    stack.receive(datagram(), 0)
    assert error(sent(stack)[0]).code == icmp.V4_PORT_UNREACHABLE  # as where nobody listens
    stack.datagrams.ask = always(REFUSE)
    stack.receive(datagram(), 0)
    assert error(sent(stack)[0]).code == icmp.V4_PORT_UNREACHABLE
    stack.datagrams.ask = always(unreachable(errno.EACCES))
    stack.receive(datagram(), 0)
    assert error(sent(stack)[0]).code == icmp.V4_PROHIBITED
    stack.datagrams.ask = always(DROP)
    stack.receive(datagram(), 0)
    assert not sent(stack)


def test_a_flow_tells_its_sender_what_the_outside_says() -> None:
    stack = gateway()
    stack.datagrams.ask = always(ACCEPT)
    stack.receive(datagram(), 0)
    flow = stack.datagrams_begun()
    assert flow is not None
    stack.unreachable(errno.ECONNREFUSED, flow.quote(), 0)
    message = error(sent(stack)[0])
    assert (message.code, message.quoted_key) == (icmp.V4_PORT_UNREACHABLE, flow.flow)


def test_flows_are_bounded_and_what_finds_no_room_is_counted() -> None:
    stack = gateway(datagram_flow_limit=4)
    stack.datagrams.ask = always(ACCEPT)
    for port in range(1, 11):
        stack.receive(datagram(port=port), 0)
    assert stack.census()["datagram_flows"] == 4
    assert stack.counters.UdpFlowDrops == 6
    stack.abort_all(0)
    assert stack.census()["datagram_flows"] == 0


def test_a_port_of_its_own_comes_before_a_flow() -> None:
    stack = gateway()
    stack.datagrams.ask = always(ACCEPT)
    port = stack.open_datagrams("0.0.0.0", 53)
    stack.receive(datagram(), 0)
    assert port.received
    assert stack.datagrams_begun() is None


# ---- pings ----


def ping(version: int, target: str, text: bytes = b"data") -> bytes:
    source, to = packed(INSIDE[version]), packed(target)
    kind = icmp.V4_ECHO if version == 4 else icmp.V6_ECHO
    return icmp._build(version, kind, 0, source, to, b"\0\7\0\1" + text, 0)


@pytest.mark.parametrize("version", [4, 6])
def test_a_ping_to_anywhere_is_given_to_who_can_answer_it(version: int) -> None:
    stack = gateway()
    given: list[tuple[bytes, bytes]] = []
    stack.icmp_input.on_echo = lambda packet, body: given.append((packet, body))
    stack.receive(ping(version, OUTSIDE[version]), 0)
    assert not sent(stack)
    ((packet, body),) = given
    assert body[4:] == b"\0\7\0\1data"
    stack.answer_echo(packet)
    (answer,) = sent(stack)
    assert answer[-8:] == b"\0\7\0\1data"
    assert packed(OUTSIDE[version]) in answer[:40]
    stack.unreachable(errno.EHOSTUNREACH, packet, 0)
    assert error(sent(stack)[0]).type == (3 if version == 4 else 1)


def test_a_ping_to_anywhere_is_dropped_where_nobody_can_tell_and_its_own_are_answered_as_ever() -> None:
    stack = gateway()
    stack.receive(ping(4, OUTSIDE[4]), 0)
    assert not sent(stack)
    assert stack.counters.InAddrErrors == 1
    stack.receive(ping(4, "10.0.0.1"), 0)
    assert len(sent(stack)) == 1
