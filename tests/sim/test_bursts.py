"""A burst stays whole where all its packets fare alike, and whoever watches changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from synfin.sim import DROP, PASS, RECORD, Delay, Network, SimPacket
from synfin.sim.rules import Verdict
from synfin.tcp.trace import PacketEvent
from synfin.wire import ip as ip_layer
from synfin.wire.ip import IpHeader
from synfin.wire.segment import Segment, finish, parse_untrusted
from tests.sim.programs import collect, noise, send, two

TEXT = noise(300_000)
Happened = list[tuple[int, str, bool, bytes, int]]


def upload(
    rule: Callable[[SimPacket], Verdict] | None = None, network: Network | None = None, **settings: Any
) -> tuple[Network, Happened]:
    """Sends TEXT to the server; each packet that left or arrived, whole bursts with the size of their segments."""
    network = network or Network()
    server, client = two(network, delay="10ms", **settings)
    if rule is not None:
        network.rule(rule)
    got = bytearray()

    async def main() -> None:
        server.start(lambda: collect(got))
        await network.after("1ms")
        await client.start(send("server", TEXT))
        await network.after("1s")

    network.run(main())
    assert got == TEXT
    happened = [
        (event.at, event.host, event.outgoing, event.burst.head, event.burst.gso_size)
        for event in network.events
        if isinstance(event, PacketEvent)
    ]
    return network, happened


def parse_checked(packet: bytes) -> None:
    """Raises ChecksumError for one that is wrong."""
    ip = IpHeader()
    ip_layer.parse_untrusted(packet, ip)
    parse_untrusted(packet, ip, Segment(), False, 0)


def bursts_that_arrived(happened: Happened) -> int:
    return sum(size > 0 for _, host, outgoing, _, size in happened if host == "server" and not outgoing)


def test_a_burst_arrives_whole_and_all_its_packets_count() -> None:
    network, happened = upload()
    assert bursts_that_arrived(happened) > 5
    sent = network.direction("client", "server").sent
    assert sent == network.hosts["client"].host.stack.counters.OutSegs
    assert sent == network.hosts["server"].host.stack.counters.InSegs > len(TEXT) // 1460


@pytest.mark.parametrize(
    "settings", [{"jitter": "5ms"}, {"bandwidth": "10Gbit/s"}], ids=lambda settings: str(*settings)
)
def test_a_link_that_lets_packets_arrive_one_by_one_takes_bursts_apart(settings: dict[str, Any]) -> None:
    _, happened = upload(**settings)
    assert bursts_that_arrived(happened) == 0


@pytest.mark.parametrize("kind", ["loss", "duplicate", "corrupt", "mark", "burst_enter"])
def test_a_burst_of_which_chance_touches_no_packet_arrives_as_over_a_perfect_link(kind: str) -> None:
    seldom: dict[str, Any] = {kind: 1e-9}
    assert upload(**seldom)[1] == upload()[1]


def test_a_burst_of_which_chance_loses_a_packet_is_taken_apart_and_no_other() -> None:
    network, happened = upload(None, Network(5), loss=0.01)
    there = network.direction("client", "server")
    assert there.lost > 0
    sent = [(size, head) for _, host, outgoing, head, size in happened if host == "client" and outgoing]
    assert 0 < sum(size > 0 for size, _ in sent) - bursts_that_arrived(happened) <= there.lost
    assert network.hosts["server"].host.stack.counters.InSegs == there.sent - there.lost


def test_a_checksum_that_nobody_has_made_is_made_for_who_looks_at_the_packet() -> None:
    network, _ = upload(lambda packet: RECORD)
    [rule] = network._rules.in_force
    for event in network.events:
        if isinstance(event, PacketEvent):
            parse_checked(finish(event.burst))
    assert len(rule.recorded) > 100
    for packet in rule.recorded:
        parse_checked(packet.data)


def test_who_looks_at_what_arrives_sees_it_whole_though_its_text_lay_apart_from_its_headers() -> None:
    for _, _, outgoing, packet, _ in upload()[1]:
        if not outgoing:
            header = IpHeader()
            ip_layer.parse_untrusted(packet, header)
            assert header.total_len == len(packet)


def test_a_packet_that_chance_corrupts_fails_its_checksum() -> None:
    network, _ = upload(None, Network(3), corrupt=0.05)
    stacks = [host.host.stack for host in network.hosts.values()]
    assert sum(stack.counters.InCsumErrors for stack in stacks) > 5


def test_a_burst_of_packets_too_big_for_a_narrow_link_is_turned_back_packet_by_packet() -> None:
    network, happened = upload(mtu=1000)
    assert network.hosts["client"].host.stack.counters.RetransSegs > 0
    assert all(len(head) <= 1000 or size for _, host, outgoing, head, size in happened if host == "server")


@pytest.mark.parametrize("verdict", [PASS, None, RECORD])
def test_a_rule_that_only_looks_changes_nothing(verdict: Verdict) -> None:
    seen: list[SimPacket] = []

    def look(packet: SimPacket) -> Verdict:
        seen.append(packet)
        return verdict

    network, watched = upload(look)
    assert watched == upload()[1]
    assert len(seen) == network.packets
    assert max(len(packet.data) for packet in seen) <= 1500  # packets, never bursts


def test_keeping_what_chance_does_changes_nothing() -> None:
    for settings in ({}, {"loss": 0.02}):
        assert upload(None, Network(5, keep_faults=True), **settings)[1] == upload(None, Network(5), **settings)[1]


@pytest.mark.parametrize("verdict", [DROP, Delay("1ms")])
def test_a_rule_that_touches_one_packet_of_a_burst_touches_no_other(verdict: Verdict) -> None:
    touched: list[SimPacket] = []

    def touch(packet: SimPacket) -> Verdict:
        if packet.sender == "client" and packet.seq == 1 + 20 * 1448 and not touched:
            touched.append(packet)
            return verdict
        return PASS

    network, _ = upload(touch)
    assert len(touched) == 1
    assert network.direction("client", "server").lost == (verdict == DROP)
    assert network.hosts["client"].host.stack.counters.RetransSegs == (verdict == DROP)
