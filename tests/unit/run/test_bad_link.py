"""What the link with faults does to packets, either way."""

from __future__ import annotations

import pytest

from synfin.run.network import INSIDE, RunNetwork
from synfin.sim.rules import DROP, PASS, Delay, SimPacket, Verdict
from tests.unit.run.bench import DB, HERE, WEB, Bench, datagram


def test_each_way_takes_its_time() -> None:
    bench = Bench(delay="80ms")
    bench.network.one_way("*", INSIDE, delay="20ms")
    bench.up(datagram(HERE, WEB, 53))
    bench.down(datagram(WEB, HERE, 53, back=True))
    bench.run()
    assert [at for at, _ in bench.arrived] == [1_080_000]
    assert [at for at, _ in bench.device.written] == [1_020_000]


def test_what_takes_no_time_reaches_the_stack_in_the_same_turn() -> None:
    bench = Bench()
    packet = datagram(HERE, WEB, 53)
    bench.up(packet)
    assert bench.arrived == [(1_000_000, packet)]


def test_loss_is_the_seeds() -> None:
    def survivors(seed: int) -> list[bytes]:
        bench = Bench(seed=seed, loss=0.5)
        bench.up(*[datagram(HERE, WEB, 53, bytes([n])) for n in range(60)])
        bench.run()
        return [packet for _, packet in bench.arrived]

    assert survivors(1) == survivors(1) != survivors(2)
    assert 15 <= len(survivors(1)) <= 45


def test_a_place_has_settings_of_its_own() -> None:
    bench = Bench({"db": DB}, delay="10ms")
    bench.network.link(INSIDE, "db:5432", delay="200ms")
    bench.up(datagram(HERE, DB, 5432), datagram(HERE, DB, 80), datagram(HERE, WEB, 5432))
    bench.run()
    assert [at for at, _ in bench.arrived] == [1_010_000, 1_010_000, 1_200_000]


def test_a_rate_is_shared_by_all_that_go_the_same_way() -> None:
    bench = Bench(bandwidth="80kbit/s")  # 10 bytes a millisecond
    packet = datagram(HERE, WEB, 53, bytes(72))
    bench.up(packet, datagram(HERE, DB, 53, bytes(72)))
    bench.run()
    assert len(packet) == 100
    assert [at for at, _ in bench.arrived] == [1_010_000, 1_020_000]


def test_what_a_place_is_set_to_can_change_while_packets_are_on_their_way() -> None:
    bench = Bench(delay="50ms")
    bench.up(datagram(HERE, WEB, 53))
    bench.network.link(INSIDE, "*", delay="10ms", loss=1.0)
    bench.up(datagram(HERE, WEB, 53))
    bench.run()
    assert [at for at, _ in bench.arrived] == [1_050_000]


def test_a_partition_lasts_until_it_heals() -> None:
    bench = Bench()
    bench.network.partition()
    bench.up(datagram(HERE, WEB, 53))
    bench.down(datagram(WEB, HERE, 53, back=True))
    bench.network.heal()
    bench.up(datagram(HERE, WEB, 54))
    bench.run()
    assert len(bench.arrived) == 1
    assert not bench.device.written


def test_what_is_too_big_is_told_of_by_icmp_unless_it_is_a_hole() -> None:
    bench = Bench(mtu=1000)
    bench.up(datagram(HERE, WEB, 53, bytes(1100)))
    bench.run()
    [(_, error)] = bench.device.written
    assert (error[9], error[20], error[21]) == (1, 3, 4)  # ICMP, unreachable, fragmentation needed
    bench.network.link(INSIDE, "*", icmp=False)
    bench.up(datagram(HERE, WEB, 53, bytes(1100)))
    bench.run()
    assert len(bench.device.written) == 1
    assert not bench.arrived


def test_rules_see_packets_by_the_names_that_were_given_and_decide_first() -> None:
    bench = Bench({"db": DB}, loss=0.0)
    seen: list[tuple[str, str, int]] = []

    def decide(packet: SimPacket) -> Verdict:
        seen.append((packet.sender, packet.receiver, packet.dst_port))
        verdicts: dict[str, Verdict] = {"db": DROP, WEB: Delay("7ms")}
        return verdicts.get(packet.receiver, PASS)

    bench.network.rule(decide)
    bench.up(datagram(HERE, DB, 53), datagram(HERE, WEB, 53), datagram(HERE, "10.0.0.1", 53))
    bench.run()
    assert [(sender, receiver) for sender, receiver, _ in seen] == [
        (INSIDE, "db"),
        (INSIDE, WEB),
        (INSIDE, "10.0.0.1"),
    ]
    assert [at for at, _ in bench.arrived] == [1_000_000, 1_007_000]


def test_a_device_that_is_full_is_tried_again() -> None:
    bench = Bench()
    bench.device.full = True
    bench.down(datagram(WEB, HERE, 53, back=True))
    bench.link.on_timer(bench, bench.now)
    assert bench.link.next_deadline() == bench.now + 1000
    bench.device.full = False
    bench.run()
    assert bench.link.next_deadline() is None


def test_only_so_many_packets_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synfin.run.bad_link.MOST", 3)
    bench = Bench(delay="1s")
    bench.up(*[datagram(HERE, WEB, 53)] * 5)
    assert bench.link.overflowed == 2
    bench.run()
    assert len(bench.arrived) == 3


@pytest.mark.parametrize("packet", [b"", b"E", b"E" * 19, b"\x60" * 39])
def test_what_is_no_packet_goes_nowhere(packet: bytes) -> None:
    bench = Bench()
    bench.up(packet)
    assert not bench.arrived


def test_a_link_has_one_end_inside() -> None:
    network = RunNetwork({}, 0)
    with pytest.raises(ValueError, match="one end"):
        network.link("*", "db", loss=0.5)
    with pytest.raises(ValueError, match="is no place"):
        network.link(INSIDE, "db", loss=0.5)
    with pytest.raises(TypeError, match="no setting"):
        network.link(INSIDE, "*", speed=1)
