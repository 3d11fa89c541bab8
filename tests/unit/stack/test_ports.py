"""Ephemeral ports, RFC 6056 algorithm 4."""

from __future__ import annotations

from synfin.stack.ports import DESTINATIONS, LONG_WALK, EphemeralPorts

HERE, THERE, ELSEWHERE = b"\x0a\0\0\x01", b"\x0a\0\0\x02", b"\x0a\0\0\x03"
SECRET = bytes(range(32))


def test_ports_stay_within_the_range_and_each_comes_before_any_comes_again() -> None:
    ports = EphemeralPorts(SECRET, 40000, 40099)
    seen = [ports.choose(HERE, THERE, 80, lambda _port: True) for _ in range(100)]
    assert sorted(seen) == list(range(40000, 40100))
    again = [ports.choose(HERE, THERE, 80, lambda _port: True) for _ in range(100)]
    assert again == seen


def test_a_port_in_use_is_skipped_and_none_left_is_0() -> None:
    ports = EphemeralPorts(SECRET, 40000, 40009)
    assert ports.choose(HERE, THERE, 80, lambda port: port == 40007) == 40007
    tried: list[int] = []

    def taken(port: int) -> bool:
        tried.append(port)
        return False

    assert ports.choose(HERE, THERE, 80, taken) == 0
    assert sorted(tried) == list(range(40000, 40010))


def test_destinations_start_at_secret_places_of_their_own() -> None:
    # RFC 6056 3.3.4: F(local, remote, remote port, secret)
    starts = {
        EphemeralPorts(SECRET, 32768, 60999).choose(HERE, there, port, lambda _port: True)
        for there in (THERE, ELSEWHERE)
        for port in range(1, 101)
    }
    assert len(starts) > 195
    other = EphemeralPorts(SECRET[::-1], 32768, 60999).choose(HERE, THERE, 80, lambda _port: True)
    assert other != EphemeralPorts(SECRET, 32768, 60999).choose(HERE, THERE, 80, lambda _port: True)


def test_one_busy_destination_tells_another_nothing_of_its_counter() -> None:
    # algorithm 4's table of counters: most destinations do not share one
    ports = EphemeralPorts(SECRET, 32768, 60999)
    quiet = EphemeralPorts(SECRET, 32768, 60999)
    for _ in range(1000):
        ports.choose(HERE, THERE, 80, lambda _port: True)
    same = sum(
        ports.choose(HERE, ELSEWHERE, port, lambda _p: True) == quiet.choose(HERE, ELSEWHERE, port, lambda _p: True)
        for port in range(1, 51)
    )
    assert same >= 45


class Crowded:
    """One destination of 28,232 ports, of which all are taken, and how often it was asked about one."""

    def __init__(self) -> None:
        self.ports = EphemeralPorts(SECRET, 32768, 60999)
        self.taken = set(range(32768, 61000))
        self.asked = 0

    def free(self, port: int) -> bool:
        self.asked += 1
        return port not in self.taken

    def choose(self) -> int:
        """A port, and taken."""
        port = self.ports.choose(HERE, THERE, 80, self.free)
        self.taken.add(port)
        return port

    def give_back(self, port: int) -> None:
        self.taken.discard(port)
        self.ports.freed(HERE, THERE, 80, port)


def test_that_no_port_is_left_is_found_out_once() -> None:
    crowd = Crowded()
    assert crowd.choose() == 0 and crowd.asked == 28_232
    assert [crowd.choose() for _ in range(100)] == [0] * 100
    assert crowd.asked == 28_232


def test_the_one_port_that_is_left_is_found_in_a_step_or_two() -> None:
    # One question for itself, and one for each that was chosen since the last round.
    crowd = Crowded()
    crowd.choose()
    given = (60_999, 32_768, 45_000, 45_001, 44_999)
    for port in given:
        crowd.give_back(port)
        assert crowd.choose() == port
    assert crowd.asked <= 28_232 + 2 * len(given)


def test_of_the_few_that_are_left_the_one_given_back_last_comes_last() -> None:
    # In the order of the walk, which every port passes once in a round: the same 4-tuple returns late.
    crowd = Crowded()
    crowd.choose()
    for port in (40_000, 50_000, 60_000):
        crowd.give_back(port)
    first = crowd.choose()
    crowd.give_back(first)
    assert first not in (crowd.choose(), crowd.choose())
    assert crowd.choose() == first


def test_what_is_remembered_is_bounded_and_forgotten_with_the_crowd() -> None:
    ports = EphemeralPorts(SECRET, 40_000, 40_999)
    for number in range(2 * DESTINATIONS):
        ports.choose(HERE, THERE, 1 + number, lambda _port: False)
    assert len(ports._crowds) == DESTINATIONS and ports.remembers()
    for number in range(2 * DESTINATIONS):
        for port in range(40_000, 41_000):
            ports.freed(HERE, THERE, 1 + number, port)
    assert not ports.remembers()


def test_a_range_of_few_ports_is_walked_and_nothing_is_remembered() -> None:
    ports = EphemeralPorts(SECRET, 40_000, 40_000 + LONG_WALK - 1)
    assert ports.choose(HERE, THERE, 80, lambda _port: False) == 0
    assert not ports.remembers()
