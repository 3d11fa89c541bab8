"""Paths that swallow large packets: data goes on, the largest size is found, and plain loss is no such path."""

from __future__ import annotations

import random

import pytest

from synfin.links.faults import Faults
from synfin.stack.destinations import MIN_PATH_MTU_IPV4
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.path_probe import AGE_US, STEP
from synfin.wire import icmp
from tests.properties.world import EOF, End, World, heard

SECOND = 1_000_000
ROUND_TRIP = 20_000
FAULTS = Faults(delay_us=ROUND_TRIP // 2)
MB = 1_000_000


class Hole:
    """Packets of `world.left` above `size` bytes vanish while it is open; `tells`: by ICMP (RFC 1191), or silently."""

    def __init__(self, world: World, size: int, tells: bool = False, is_open: bool = True) -> None:
        self.size = size
        self.tells = tells
        self.is_open = is_open
        self.swallowed = 0
        self._world = world
        world.link.drop = self._drop

    def _drop(self, sender: Stack, packet: bytes) -> bool:
        if not self.is_open or sender is not self._world.left or len(packet) <= self.size:
            return False
        self.swallowed += 1
        if self.tells:
            error = icmp.build_error(
                4, icmp.V4_UNREACHABLE, icmp.V4_FRAG_NEEDED, packet[16:20], packet[12:16], packet, self.size
            )
            sender.receive(error, self._world.now)
        return True


def world(mtu: int = 1500, seed: int = 0, faults: Faults = FAULTS, offload: bool = False, **settings: object) -> World:
    config = Config(mtu=mtu, **settings)  # type: ignore[arg-type]
    return World(seed, config=config, faults=faults, offload=offload)


def carry(world: World, end: End, size: int, limit: int = 600 * SECOND) -> int:
    """Write, and let time pass until all has been read; how long it took."""
    assert end.other is not None
    other = end.other
    end.write(random.Random(size).randbytes(size))
    began = world.now
    assert world.link.run(lambda: other.read == len(end.written), began + limit), f"only {other.read} bytes came"
    return world.now - began


def packet_size(end: End) -> int:
    """Bytes of a full packet."""
    return end.connection.sender.mss + 52


def wait_until_found(world: World, end: End, hole: int, limit: int) -> int:
    """Send until the largest size is found; how long that took."""
    began = world.now
    while True:
        path = end.connection.sender.losses.path
        if path is not None and path.doubted == 0 and path.high - path.low < STEP:
            break
        assert world.now - began < limit, f"{packet_size(end)} after {(world.now - began) / SECOND} s"
        carry(world, end, 200_000)
    assert hole - STEP < packet_size(end) <= hole
    return world.now - began


# ---- holes: size of the link's packets, of what passes, until data passes, until the largest size is found ----

HOLES = [
    (1500, 1400, 500_000, 2 * SECOND),
    (9000, 8200, 500_000, 8 * SECOND),
    (9000, 1400, 500_000, 8 * SECOND),
    (65535, 8200, 1_000_000, 30 * SECOND),
    (1500, 600, 1_000_000, 5 * SECOND),
    (1500, 576, 1_000_000, 5 * SECOND),
    (1500, 1280, 500_000, 5 * SECOND),
    (1500, 1499, 500_000, 5 * SECOND),
]


@pytest.mark.parametrize("sack", [True, False])
@pytest.mark.parametrize(("mtu", "hole", "first", "found"), HOLES)
def test_a_hole_that_was_there_before_the_handshake(mtu: int, hole: int, first: int, found: int, sack: bool) -> None:
    # RFC 4821 7.7 and 7.3
    place = world(mtu, sack=sack)
    Hole(place, hole)
    end, other = place.open_pair()
    end.write(bytes(20_000))
    assert place.link.run(lambda: other.read > 0, place.now + first), "nothing passes"
    wait_until_found(place, end, hole, found)
    assert place.left.counters.TCPBlackHoles == 1
    again = place.connect()
    assert place.link.run(lambda: again.other is not None)
    assert carry(place, again, 20_000) < 10 * ROUND_TRIP, "the next connection has learned nothing"


@pytest.mark.parametrize("sack", [True, False])
@pytest.mark.parametrize(("mtu", "hole", "first", "found"), HOLES)
def test_a_hole_that_opens_in_the_middle_of_a_transfer(mtu: int, hole: int, first: int, found: int, sack: bool) -> None:
    place = world(mtu, sack=sack)
    swallows = Hole(place, hole, is_open=False)
    end, other = place.open_pair()
    carry(place, end, MB)
    swallows.is_open = True
    before = other.read
    end.write(random.Random(1).randbytes(2 * MB))
    assert place.link.run(lambda: other.read > before, place.now + 2 * first), "nothing passes any more"
    wait_until_found(place, end, hole, found)


@pytest.mark.parametrize(("mtu", "hole", "first", "found"), HOLES)
def test_a_hole_that_opens_during_the_close(mtu: int, hole: int, first: int, found: int) -> None:
    place = world(mtu)
    swallows = Hole(place, hole, is_open=False)
    end, other = place.open_pair()
    carry(place, end, 100_000)
    swallows.is_open = True
    end.write(random.Random(2).randbytes(100_000))
    end.connection.close(place.now)
    assert place.link.run(lambda: heard(other, EOF), place.now + 5 * SECOND), "the end does not pass"
    assert other.read == len(end.written)
    other.connection.close(place.now)
    assert not any(place.census().values())


@pytest.mark.parametrize(("mtu", "hole"), [(1500, 1400), (9000, 8200), (1500, 600)])
@pytest.mark.parametrize("when", [0, MB])
def test_where_a_router_speaks_nothing_has_to_be_searched(mtu: int, hole: int, when: int) -> None:
    # RFC 1191 6.4: one round trip
    place = world(mtu)
    tells = Hole(place, hole, tells=True, is_open=when == 0)
    end, _ = place.open_pair()
    if when:
        carry(place, end, when)
    tells.is_open = True
    assert carry(place, end, 20_000) < 12 * ROUND_TRIP
    assert packet_size(end) == hole
    counters = place.left.counters
    assert (counters.TCPBlackHoles, counters.TCPMTUPFail, counters.TCPTimeouts) == (0, 0, 0)


@pytest.mark.parametrize("settings", [{"timestamps": False}, {"sack": False}, {"pacing": False}, {"nodelay": True}])
def test_a_hole_is_found_whatever_the_ends_agree_on(settings: dict[str, bool]) -> None:
    place = world(**settings)  # type: ignore[arg-type]
    Hole(place, 1400)
    end, _ = place.open_pair()
    assert carry(place, end, 3 * MB) < 10 * SECOND
    size = end.connection.sender.mss + (52 if settings.get("timestamps", True) else 40)
    assert 1400 - STEP < size <= 1400


def test_a_hole_before_ipv6_is_searched_from_1280_on() -> None:
    # RFC 8200 5
    place = World(config=Config(mtu=9000), faults=FAULTS, ipv6=True)
    Hole(place, 1280)
    end, _ = place.open_pair()
    carry(place, end, MB)
    assert end.connection.sender.mss == 1280 - 72


def test_with_offload_a_probe_is_one_segment_of_its_own() -> None:
    place = world(9000, offload=True, path_mtu_probing="always")
    sizes: list[int] = []

    def tap(now: int, sender: Stack, packet: bytes) -> None:
        if sender is place.left and len(packet) > 1200:
            sizes.append(len(packet))

    place.link.tap = tap
    end, _ = place.open_pair()
    end.write(bytes(100_000))
    place.link.flush()
    assert sizes.count(9000) == 1
    assert all((size - 52) % 1148 == 0 for size in sizes if size != 9000), "a burst is cut by another size"


def test_no_probe_goes_while_something_waits_behind_a_gap() -> None:
    # RFC 4821 7.4
    place = world(path_mtu_probing="always", pacing=False)
    end, _ = place.open_pair()
    first: list[int] = []

    def loses_the_first(sender: Stack, packet: bytes) -> bool:
        if sender is place.left and len(packet) == 1200 and not first:
            first.append(place.now)
            return True
        return False

    place.link.drop = loses_the_first
    end.write(bytes(3 * 1148))  # too little for a probe of 1448 and what has to follow it
    place.link.advance(ROUND_TRIP + 1000)
    flight = end.connection.sender.losses.flight
    assert first and flight is not None and flight.board.sacked
    end.write(bytes(100_000))
    place.link.flush()
    path = end.connection.sender.losses.path
    assert path is not None and path.record is None


# ---- what is no hole ----


@pytest.mark.parametrize("mtu", [1500, 9000])
def test_plain_loss_of_30_percent_is_no_black_hole(mtu: int) -> None:
    for seed in range(20):
        place = world(mtu, seed, Faults(delay_us=ROUND_TRIP // 2, loss=0.3))
        end, _ = place.open_pair()
        carry(place, end, 300_000, 3000 * SECOND)
        assert place.left.counters.TCPBlackHoles == 0, f"seed {seed}"
        path = end.connection.sender.losses.path
        assert path is None or path.doubted, f"seed {seed}: something was concluded"


def test_a_link_that_was_down_for_a_while_is_no_black_hole() -> None:
    place = world()
    down = Hole(place, 0, is_open=False)
    end, other = place.open_pair()
    carry(place, end, MB)
    down.is_open = True
    end.write(bytes(MB))
    place.link.advance(2 * SECOND)
    down.is_open = False
    assert place.link.run(lambda: other.read == len(end.written), place.now + 20 * SECOND)
    assert place.left.counters.TCPBlackHoles == 0
    assert packet_size(end) == 1500


def test_a_hole_on_a_path_that_loses_as_well_is_found() -> None:
    for loss in (0.01, 0.1):
        place = world(faults=Faults(delay_us=ROUND_TRIP // 2, loss=loss), seed=3)
        Hole(place, 1400)
        end, _ = place.open_pair()
        carry(place, end, MB)
        assert place.left.counters.TCPBlackHoles == 1
        assert 1200 <= packet_size(end) <= 1400


# ---- the settings ----


def test_off_means_that_only_icmp_is_heard() -> None:
    place = world(path_mtu_probing="off")
    Hole(place, 1400)
    end, other = place.open_pair()
    end.write(bytes(20_000))
    place.link.advance(100 * SECOND)
    assert other.read == 0
    assert packet_size(end) == 1500


def test_always_begins_small_and_has_the_link_s_size_after_two_round_trips() -> None:
    place = world(9000, path_mtu_probing="always")
    end, _ = place.open_pair()
    assert packet_size(end) == 1200
    carry(place, end, 100_000)
    assert packet_size(end) == 9000
    assert end.connection.sender.losses.path is None
    again, _ = place.open_pair()
    place.link.flush()
    carry(place, again, 100)
    assert packet_size(again) == 9000


def test_always_needs_no_timeout_where_there_is_a_hole() -> None:
    place = world(path_mtu_probing="always")
    Hole(place, 1400)
    end, _ = place.open_pair()
    assert carry(place, end, 100_000) < 10 * ROUND_TRIP
    wait_until_found(place, end, 1400, 20 * SECOND)
    counters = place.left.counters
    assert (counters.TCPTimeouts, counters.TCPFastRetrans) == (0, 0), "a lost probe was taken for congestion"


@pytest.mark.parametrize("size", [1, 1000, 3000, 10_000])
def test_a_short_flow_is_not_held_up_by_probing(size: int) -> None:
    # RFC 4821 7.4: without enough data there is no probe
    took = []
    for probing in ("off", "always"):
        place = world(path_mtu_probing=probing)
        end, _ = place.open_pair()
        took.append(carry(place, end, size))
    assert took[0] == took[1]


def test_send_mss_max_limits_what_is_sent_and_not_what_is_announced() -> None:
    place = World(config=Config(send_mss_max=1000), other_config=Config(), faults=FAULTS)
    end, other = place.open_pair()
    assert end.connection.sender.mss == 1000 - 12
    assert other.connection.sender.mss == 1460 - 12
    carry(place, end, 10_000)
    end.connection.set_send_mss_max(500)
    assert end.connection.sender.mss == 500 - 12
    carry(place, end, 10_000)
    end.connection.set_send_mss_max(0)
    assert end.connection.sender.mss == 1460 - 12
    carry(place, end, 10_000)
    with pytest.raises(ValueError, match="send_mss_max must be within 48 and 65535"):
        end.connection.set_send_mss_max(47)


def test_a_limit_of_the_user_holds_while_the_path_is_searched() -> None:
    place = world()
    Hole(place, 1400)
    end, _ = place.open_pair()
    carry(place, end, 100_000)
    end.connection.set_send_mss_max(1250 - 40)
    carry(place, end, 3 * MB)
    assert 1250 - STEP < packet_size(end) <= 1250


# ---- time ----


@pytest.mark.parametrize("tells", [False, True])
def test_after_ten_minutes_a_connection_finds_that_the_path_has_become_better(tells: bool) -> None:
    # RFC 4821 7.3, RFC 1191 6.3
    place = world()
    hole = Hole(place, 1400, tells)
    end, _ = place.open_pair()
    carry(place, end, 100_000)
    wait_until_found(place, end, 1400, 10 * SECOND)
    hole.is_open = False
    place.link.advance(AGE_US - 20 * SECOND)
    carry(place, end, 100_000)
    assert packet_size(end) <= 1400
    place.link.advance(21 * SECOND)
    carry(place, end, 400_000)  # as many round trips as a probe and its answer need
    assert packet_size(end) == 1500
    later, _ = place.open_pair()
    assert packet_size(later) == 1500


def test_connections_that_exist_share_what_one_has_found() -> None:
    place = world(9000)
    hole = Hole(place, 8200, is_open=False)
    first, _ = place.open_pair()
    second, _ = place.open_pair()
    for end in (first, second):
        carry(place, end, 100_000)
    hole.is_open = True
    carry(place, first, 3 * MB)
    wait_until_found(place, first, 8200, 10 * SECOND)
    carry(place, second, 100_000)
    assert 8200 - STEP < packet_size(second) <= 8200
    assert place.left.counters.TCPBlackHoles == 1


def test_a_peer_that_makes_its_own_segments_tiny_makes_no_one_else_s_so() -> None:
    place = world()
    Hole(place, 200)
    end, _ = place.open_pair()
    carry(place, end, 100_000)
    assert packet_size(end) <= 200
    assert place.left.counters.TCPBlackHoles == 1
    later = place.connect()
    assert later.connection.mtu == MIN_PATH_MTU_IPV4
