"""The round trip as a receiver sees it: by echoes, and by the time in which a window comes."""

from __future__ import annotations

from synfin.tcp.config import Config
from synfin.tcp.pressure import Pressure
from synfin.tcp.receive_rtt import MAX_RTT_US, MIN_RTT_US, WindowTimer, approached, bounded
from synfin.tcp.receiver import Receiver

MS = 1000
KB = 1024


class Flow:
    """A receiver that is given window after window, each in its own time."""

    def __init__(self, handshake: int = 0) -> None:
        self.timer = WindowTimer()
        self.rtt = int(bounded(handshake)) if handshake else 0
        self.now = 0
        self.took = 0  # by the window before
        self.buffer = 0

    def windows(self, count: int, size: int, took: int) -> int:
        """The estimate after `count` windows of `size` bytes that took so long each."""
        self._passes(size, self.took)  # the last of those before ends
        for _ in range(count):
            self._passes(size, took)
        self.took = took
        return self.rtt

    def _passes(self, size: int, took: int) -> None:
        at = int(self.timer.edge) + 1
        self.now += took
        self.rtt = int(self.timer.on_window(self.rtt, at, at + size, self.buffer, self.now))


def test_with_timestamps_windows_measure_nothing() -> None:
    receiver = Receiver(Config(), 65535, Pressure())
    receiver.establish(5 * MS, True)
    for at in range(10):
        receiver.on_data(1 + at * 1000, bytes(1000), False, False, 0, at * MS)
    assert receiver.rtt == 5 * MS


def test_an_echo_counts_an_eighth_and_at_most_double() -> None:
    rtt = approached(0, 8 * MS)
    assert rtt == 8 * MS
    rtt = approached(rtt, 16 * MS)
    assert rtt == 9 * MS
    rtt = approached(rtt, 3600_000 * MS)
    assert rtt == 9 * MS + 9 * MS // 8
    assert approached(rtt, 1) < 9 * MS


def test_no_round_trip_is_shorter_than_a_tick_or_longer_than_a_minute() -> None:
    for told, held in ((1, MIN_RTT_US), (1 << 40, MAX_RTT_US)):
        assert approached(0, told) == held
    assert Flow(1).windows(1, 64 * KB, 1 << 40) <= 2 * MIN_RTT_US


def test_the_shortest_time_of_a_window_is_the_round_trip() -> None:
    assert Flow().windows(1, 64 * KB, 30 * MS) == 30 * MS
    flow = Flow(50 * MS)
    assert flow.windows(1, 64 * KB, 20 * MS) == 20 * MS
    assert flow.windows(3, 64 * KB, 21 * MS) == 20 * MS


def test_a_path_that_becomes_longer_is_followed() -> None:
    # A minimum that never rises would keep the window small for ever.
    flow = Flow(20 * MS)
    assert flow.windows(10, 64 * KB, 20 * MS) == 20 * MS
    assert flow.windows(10, 256 * KB, 21 * MS) == 20 * MS
    assert flow.windows(60, 256 * KB, 200 * MS) > 150 * MS


def test_a_window_that_grew_and_takes_longer_for_it_is_no_longer_path() -> None:
    # 64 KB in 20 ms is the rate of the path or of the reader: the estimate must not follow its own window.
    flow = Flow()
    assert flow.windows(5, 64 * KB, 20 * MS) == 20 * MS
    for doubled in (2, 4, 8, 16):
        assert flow.windows(50, doubled * 64 * KB, doubled * 20 * MS) == 20 * MS


def test_a_smaller_window_that_takes_longer_still_took_a_round_trip() -> None:
    flow = Flow()
    flow.windows(5, 64 * KB, 20 * MS)
    assert flow.windows(1, KB, 40 * MS) == 20 * MS + 20 * MS // 8


def test_a_rate_that_changes_a_little_is_no_longer_path() -> None:
    flow = Flow()
    for _ in range(50):
        for took in (20, 21, 22):
            assert flow.windows(1, 64 * KB, took * MS) == 20 * MS


def test_a_reader_that_is_behind_is_no_longer_path() -> None:
    # It keeps the window less than half open; only a shorter time can be learned from it.
    flow = Flow()
    flow.windows(5, 64 * KB, 20 * MS)
    flow.buffer = 256 * KB
    assert flow.windows(50, 64 * KB, 400 * MS) == 20 * MS
    assert flow.windows(1, 64 * KB, 15 * MS) == 15 * MS
