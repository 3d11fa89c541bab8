"""What a network does to packets: each fault, for itself, as real TCPs see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from synfin.sim import CORRUPT, DROP, DUPLICATE, MARK, PASS, RECORD, Change, Delay, Network, SimPacket, SimulationError
from synfin.tcp.config import Config
from tests.sim.programs import PORT, ask, collect, echo, fingerprint, noise, run_two, send, two

TEXT = noise(200_000)


def transfer(network: Network, **settings: Any) -> float:
    """Sends TEXT from client to server, and demands that it arrives; the virtual seconds it took."""
    got = bytearray()
    run_two(network, lambda: collect(got), send("server", TEXT), **settings)
    assert got == TEXT
    return network.now


def between(network: Network) -> list[SimPacket]:
    """Every packet from now on."""
    packets: list[SimPacket] = []
    network.rule(packets.append)
    return packets


def counters(network: Network, host: str) -> dict[str, int]:
    return network.hosts[host].host.stack.counters.as_dict()


def test_delay_is_what_a_round_trip_takes() -> None:
    network = Network()
    at = []

    async def call() -> None:
        begun = network.now
        _, writer = await asyncio.open_connection("server", PORT)
        at.append(network.now - begun)
        writer.close()

    run_two(network, echo, call(), delay="20ms")
    assert at == [pytest.approx(0.040, abs=1e-5)]


def test_each_direction_has_its_own_delay() -> None:
    network = Network()
    two(network)
    network.one_way("client", "server", delay="100ms")
    network.one_way("server", "client", delay="5ms")
    packets = between(network)
    run_two(network, echo, ask("server"))
    opened, answered, completed = (packet.time for packet in packets[:3])
    assert answered - opened == pytest.approx(0.100, abs=1e-5)
    assert completed - answered == pytest.approx(0.005, abs=1e-5)


def test_jitter_without_reordering_keeps_the_order() -> None:
    network = Network(1)
    transfer(network, delay="5ms", jitter="10ms")
    assert counters(network, "server")["TCPOFOQueue"] == 0


def test_jitter_with_reordering_changes_the_order() -> None:
    network = Network(1)
    transfer(network, delay="5ms", jitter="10ms", reorder=True)
    assert counters(network, "server")["TCPOFOQueue"] > 10


def test_what_is_lost_is_sent_again() -> None:
    network = Network(1)
    transfer(network, loss=0.05)
    assert network.direction("client", "server").lost > 3
    assert counters(network, "client")["RetransSegs"] >= network.direction("client", "server").lost


def test_loss_comes_in_bursts() -> None:
    network = Network(2)
    two(network)
    packets = between(network)
    transfer(network, burst_enter=0.02, burst_leave=0.4)
    assert network.direction("client", "server").lost > 3
    assert len(packets) > 150


def test_duplicates_do_no_harm() -> None:
    network = Network(1)
    transfer(network, duplicate=0.2)
    sent = network.direction("client", "server").sent
    assert counters(network, "server")["InSegs"] > sent * 1.1


def test_what_is_corrupted_is_noticed_by_its_checksum() -> None:
    network = Network(1)
    transfer(network, corrupt=0.05)
    bad = counters(network, "server")
    assert bad["InCsumErrors"] + bad["InHdrErrors"] + bad["InErrs"] > 3


def test_bandwidth_is_a_limit() -> None:
    network = Network(1)
    assert transfer(network, bandwidth="1Mbit/s") == pytest.approx(len(TEXT) * 8 / 1e6, rel=0.10)


def test_a_full_queue_drops() -> None:
    network = Network(1)
    transfer(network, bandwidth="10Mbit/s", delay="10ms", queue="8KB")
    assert network.direction("client", "server").queue_drops > 0


def test_an_mtu_on_the_way_is_discovered() -> None:
    network = Network(1)
    two(network)
    packets = between(network)
    transfer(network, mtu=1000)
    refused = [packet for packet in packets if len(packet.data) > 1000]
    assert refused
    assert len([packet for packet in packets if len(packet.data) == 1000]) > 100
    assert max(packet.time for packet in refused) < 0.1


async def test_an_mtu_that_shrinks_in_the_middle_is_discovered(network: Network) -> None:
    server, client = two(network, delay="10ms", bandwidth="5Mbit/s")
    got = bytearray()
    server.start(collect(got))
    await network.after("1ms")
    sending = client.start(send("server", TEXT))
    await network.after("100ms")
    assert 0 < len(got) < len(TEXT)
    network.link("client", "server", mtu=800)
    packets = between(network)
    await sending
    await network.after("1s")
    assert got == TEXT
    assert {len(packet.data) for packet in packets if packet.time > 1} <= set(range(801))


async def test_a_partition_holds_until_it_heals(network: Network) -> None:
    server, client = two(network)
    server.start(echo())
    await network.after("1ms")
    network.partition("client", "server")
    asking = client.start(ask("server"))
    await network.after("5s")
    assert not asking.done()
    network.heal()
    assert await asking == b"hello"
    assert [what for _, what in network.incidents] == ["partition of client from server", "all partitions heal"]


async def test_a_partition_of_one_host_cuts_it_from_all(network: Network) -> None:
    hosts = [network.host(name) for name in ("a", "b", "c")]
    for host in hosts:
        host.start(echo())
    await network.after("1ms")
    network.partition("a")
    cut = [hosts[1].start(ask("a")), hosts[0].start(ask("c"))]
    assert await hosts[1].start(ask("c")) == b"hello"
    await network.after("1min")
    assert not any(task.done() for task in cut)
    for task in cut:
        task.cancel()


async def test_partition_of_sets_of_hosts(network: Network) -> None:
    for name in "abcd":
        network.host(name).start(echo)
    await network.after("1ms")
    network.partition(["a", "b"], ["c", "d"])
    assert await network.host("a").start(ask("b")) == b"hello"
    assert await network.host("d").start(ask("c")) == b"hello"
    cut = network.host("b").start(ask("c"))
    await network.after("1min")
    assert not cut.done()
    cut.cancel()


async def test_a_one_way_partition_lets_the_other_way_pass(network: Network) -> None:
    server, client = two(network)
    server.start(echo())
    await network.after("1ms")
    network.partition_one_way("server", "client")
    packets = between(network)
    asking = client.start(ask("server"))
    await network.after("10s")
    assert not asking.done()
    assert network.direction("client", "server").lost == 0
    assert network.direction("server", "client").lost > 2
    assert {packet.flags for packet in packets if packet.sender == "server"} == {"SYN,ACK"}
    network.heal()
    assert await asking == b"hello"


# ---- rules ----


def test_a_rule_that_drops_one_packet_costs_one_retransmission() -> None:
    network = Network()
    two(network)
    dropped: list[SimPacket] = []

    def first_text(packet: SimPacket) -> str:
        if packet.length and packet.sender == "client" and not dropped:
            dropped.append(packet)
            return DROP
        return PASS

    network.rule(first_text)
    assert run_two(network, echo, ask("server")) == b"hello"
    assert [(packet.flags, packet.seq, packet.ack, packet.length) for packet in dropped] == [("FIN,PSH,ACK", 1, 1, 5)]
    assert counters(network, "client")["RetransSegs"] == 1


def test_a_rule_that_delays_lets_others_overtake() -> None:
    network = Network()
    two(network)
    network.rule(lambda packet: Delay("50ms") if packet.seq == 1 and packet.length > 100 else PASS)
    transfer(network, delay="5ms")
    assert counters(network, "server")["TCPOFOQueue"] > 0


def test_a_rule_that_delays_without_overtaking_holds_up_what_follows() -> None:
    network = Network()
    two(network)
    network.rule(lambda packet: Delay(0.05, overtake=False) if packet.seq == 1 and packet.length > 100 else PASS)
    transfer(network, delay="5ms")
    assert counters(network, "server")["TCPOFOQueue"] == 0


def test_a_rule_that_records_passes_on() -> None:
    network = Network()
    two(network)
    rule = network.rule(lambda packet: RECORD if "SYN" in packet.flags else PASS)
    assert run_two(network, echo, ask("server")) == b"hello"
    assert [(packet.sender, packet.flags, packet.seq) for packet in rule.recorded] == [
        ("client", "SYN", 0),
        ("server", "SYN,ACK", 0),
    ]
    assert repr(rule.recorded[0]).startswith("<client:")


def test_a_rule_that_changes_a_packet_is_believed_only_with_its_checksum() -> None:
    network = Network()
    two(network)
    changed: list[SimPacket] = []

    def turn(packet: SimPacket) -> Change | None:
        if packet.length and not changed:
            changed.append(packet)
            return Change(packet.data[:-1] + b"!")
        return None

    network.rule(turn)
    assert run_two(network, echo, ask("server")) == b"hello"
    assert counters(network, "server")["InCsumErrors"] == 1


@pytest.mark.parametrize("verdict", [DUPLICATE, CORRUPT])
def test_a_rule_does_what_chance_does(verdict: str) -> None:
    network = Network()
    two(network)
    network.rule(lambda packet: verdict if packet.length and packet.nth == 0 else PASS)
    transfer(network)


def test_the_first_rule_that_does_not_pass_wins() -> None:
    network = Network()
    two(network)
    asked: list[str] = []

    def rule(name: str, verdict: str) -> Callable[[SimPacket], str]:
        def decide(packet: SimPacket) -> str:
            asked.append(name)
            return verdict

        return decide

    first = network.rule(rule("first", RECORD))
    network.rule(rule("second", PASS))
    last = network.rule(rule("third", DROP))
    network.rule(rule("fourth", DROP))

    async def call() -> None:
        async with asyncio.timeout(0.5):
            await asyncio.open_connection("server", PORT)

    with pytest.raises(TimeoutError):
        run_two(network, echo, call())
    assert asked == ["first", "second", "third"]
    assert len(first.recorded) == 1
    last.remove()


def test_a_rule_that_says_anything_else_is_an_error() -> None:
    network = Network()
    network.rule(lambda packet: "lose")
    with pytest.raises(SimulationError, match="a rule says PASS"):
        run_two(network, echo, ask("server"))


def test_a_rule_that_fails_fails_the_simulation_at_once() -> None:
    network = Network()
    network.rule(lambda packet: 1 // 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        run_two(network, echo, ask("server"))
    assert network.now < 1


def test_names_of_packets_do_not_depend_on_the_seed() -> None:
    def names(seed: int) -> list[tuple[object, ...]]:
        network = Network(seed)
        two(network)
        packets = between(network)
        run_two(network, echo, ask("server", TEXT))
        return [packet.describe() for packet in packets]

    assert names(1) == names(2)
    assert len(set(names(1))) == len(names(1))


@pytest.mark.parametrize("seed", range(5))
def test_the_faults_of_a_run_make_the_same_run_again(seed: int) -> None:
    settings = {
        "delay": "5ms", "jitter": "3ms", "loss": 0.05, "duplicate": 0.05, "corrupt": 0.05, "bandwidth": "20Mbit/s",
    }  # fmt: skip
    first = Network(seed, keep_faults=True)
    hashed = fingerprint(first)
    transfer(first, **settings)
    kinds = {fault if isinstance(fault, str) else "delay" for fault in first.faults.values()}
    assert kinds == {DROP, DUPLICATE, CORRUPT, "delay"}
    again = Network(seed)
    hashed_again = fingerprint(again)
    again.calm()
    again.rule(first.faults)
    transfer(again, **settings)
    assert hashed_again() == hashed()


def test_a_calm_network_has_no_chance() -> None:
    network = Network(1)
    network.calm()
    transfer(network, loss=0.5, jitter="1s", corrupt=0.5, duplicate=0.5)
    assert network.direction("client", "server").lost == 0
    assert network.now < 1


@pytest.mark.parametrize(
    ("settings", "error", "what"),
    [
        ({"delay": "20 parsecs"}, ValueError, r"delay '20 parsecs' is not understood: write it like '20ms'"),
        ({"loss": 2}, ValueError, "loss is a probability"),
        ({"loss": "2%"}, TypeError, "loss is a probability"),
        ({"bandwidth": "fast"}, ValueError, "write it like '10Mbit/s'"),
        ({"queue": 0}, ValueError, "queue can't be 0"),
        ({"mtu": 100}, ValueError, "mtu is from 576 to 65535"),
        ({"reorder": "no"}, TypeError, "reorder is True or False"),
        ({"lag": "1ms"}, TypeError, "a link has no setting 'lag'; there are bandwidth, "),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_words(
    settings: dict[str, Any], error: type[Exception], what: str
) -> None:
    network = Network()
    two(network)
    with pytest.raises(error, match=what):
        network.link("client", "server", **settings)
    network.close()


def test_an_ipv6_path_mtu_is_discovered() -> None:
    network = Network(1)
    two(network)
    got = bytearray()

    async def call() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, "fd77::1", PORT)
        transport.write(TEXT)
        transport.close()
        await asyncio.sleep(5)

    run_two(network, lambda: collect(got), call(), mtu=1280)
    assert got == TEXT
    assert network.host("server").config is None
    assert Config().mtu > 1280


def pair(network: Network, config: Config) -> None:
    network.host("server", config=config)
    network.host("client", config=config)


def test_only_what_is_capable_of_ecn_is_marked() -> None:
    for ecn in ("on", "accept"):
        network = Network()
        pair(network, Config(ecn=ecn))
        transfer(network, mark=1.0)
        assert (counters(network, "server")["InCEPkts"] > 0) == (ecn == "on")


def test_a_rule_marks_a_packet_and_the_sender_answers_once() -> None:
    network = Network()
    pair(network, Config(ecn="on"))
    marks = iter((MARK,))
    network.rule(lambda packet: next(marks, PASS) if packet.length and packet.seq > 50_000 else PASS)
    transfer(network, delay="20ms")
    assert counters(network, "server")["InCEPkts"] == 1
    assert counters(network, "client")["TCPEcnReductions"] == 1


def test_a_queue_that_marks_stays_short_and_loses_nothing() -> None:
    drops = {}
    for ecn in ("on", "accept"):
        network = Network()
        pair(network, Config(ecn=ecn))
        transfer(network, delay="10ms", bandwidth="10Mbit/s", queue="40KB", mark_above="10KB")
        drops[ecn] = network.direction("client", "server").queue_drops
        assert (counters(network, "client")["TCPEcnReductions"] > 0) == (ecn == "on")
    assert drops["on"] == 0 < drops["accept"]
