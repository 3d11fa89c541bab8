"""Ephemeral ports, RFC 6056 algorithm 4."""

from __future__ import annotations

from synfin.stack.ports import EphemeralPorts

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
