"""The link with faults, in virtual time: a device and a stack stand at its ends, and both write down what comes."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from synfin.links.link import PacketSink
from synfin.run.bad_link import BadLink
from synfin.run.network import INSIDE, RunNetwork
from synfin.sim.rules import DROP, PASS, Delay, SimPacket, Verdict
from synfin.wire import udp
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, split

HERE, DB, WEB = "198.18.0.2", "10.1.2.3", "10.9.9.9"


def datagram(src: str, dst: str, port: int, text: bytes = b"x", *, back: bool = False) -> bytes:
    """To a port outside, or back from it."""
    ports = (port, 4000) if back else (4000, port)
    return udp.build(make_key(ip_address(src).packed, ip_address(dst).packed, *ports), text)


class Device:
    """offload, mtu and what a link has; `waiting` is read, `written` keeps (time, packet)."""

    offload = False
    mtu = 1500

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.waiting: list[bytes] = []
        self.written: list[tuple[int, bytes]] = []
        self.full = False

    def fileno(self) -> int:
        return 0

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        for packet in taken:
            stack.receive(packet, clock(), False, 0)
        return len(taken)

    def send(self, bursts: list[Burst]) -> bool:
        self.written += [(self._bench.now, packet) for burst in bursts for packet in split(burst)]
        return not self.full

    def flush(self) -> bool:
        return not self.full

    def close(self) -> None:
        self.waiting.clear()


class Bench:
    """A link, its device, and in `arrived` what the stack got, with its time."""

    def __init__(self, names: dict[str, str] | None = None, seed: int = 1, **settings: Any) -> None:
        self.now = 1_000_000
        self.arrived: list[tuple[int, bytes]] = []
        self.device = Device(self)
        self.network = RunNetwork(names or {}, seed)
        self.network.link(INSIDE, "*", **settings)
        self.link = BadLink(self.device, self.network, clock=lambda: self.now)

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.arrived.append((now, packet))

    def up(self, *packets: bytes) -> None:
        self.device.waiting += packets
        self.link.receive(self, lambda: self.now, 64)

    def down(self, *packets: bytes) -> None:
        self.link.send([Burst(packet, [], 0) for packet in packets])

    def run(self) -> None:
        """Until nothing is on its way."""
        while (due := self.link.next_deadline()) is not None:
            self.now = max(self.now, due)
            self.link.on_timer(self, self.now)


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
