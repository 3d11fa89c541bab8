"""Whatever a sender tells a congestion control, in whatever order, at whatever times: the window stays one."""

from __future__ import annotations

import random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.tcp.congestion import BY_NAME
from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED, AckSample, CongestionControl

LONG_US = 1 << 48  # nine years
BIG = 1 << 30  # the largest buffer
EVENTS = ("ack", "ack", "ack", "loss", "packet", "rto", "ecn", "idle", "transmit", "recovered", "undo")

sizes = st.one_of(st.integers(0, 5000), st.integers(0, BIG))
times = st.one_of(st.integers(0, 100_000), st.integers(0, LONG_US))
events = st.tuples(st.sampled_from(EVENTS), sizes, sizes, times, st.integers(0, 7))


class Teller:
    """Tells one control a life that may be absurd, but whose sums are right."""

    def __init__(self, control: CongestionControl) -> None:
        self.control = control
        self.sample = AckSample()
        self.now = self.delivered = self.lost = 0

    def tell(self, event: str, size: int, other: int, time: int, bits: int) -> None:
        """bits: what is true of it."""
        control = self.control
        if event == "ack":
            self._ack(size, other, time, bits)
        elif event == "loss":
            control.on_loss(self.now, size)
        elif event == "packet":
            self.lost += size
            control.on_packet_lost(size, size + other, min(self.lost, size + time), bits & 1 > 0)
        elif event == "rto":
            control.on_rto(self.now, size, bits & 1 > 0)
        elif event == "ecn":
            control.on_ecn(self.now, size)
        elif event == "idle":
            control.on_idle(self.now, size % 100 + 1)
        elif event == "transmit":
            control.on_transmit(self.now, other if bits & 1 else 0, bits & 2 > 0)
        elif event == "recovered":
            control.on_recovered(self.now)
        else:
            control.undo()

    def _ack(self, size: int, other: int, time: int, bits: int) -> None:
        sample = self.sample
        self.now = min(self.now + time, 1 << 60)
        self.delivered += size
        sample.now, sample.acked, sample.delivered = self.now, size, self.delivered
        sample.lost, sample.total_lost = (other if bits & 1 else 0), self.lost
        sample.prior_in_flight, sample.in_flight = size + other, other
        sample.recovery = (NONE, FAST, LOSS)[bits % 3]
        sample.rtt = time if bits & 2 else 0
        sample.srtt, sample.min_rtt = time // 2, time // 3
        sample.cwnd_limited = bits & 4 > 0
        sample.prior_delivered = max(self.delivered - size - other, 0) if size else -1
        sample.rate_delivered = self.delivered - sample.prior_delivered if size else 0
        sample.interval = time
        sample.rate = int(sample.rate_delivered) * 1e6 / time if time else 0.0
        sample.app_limited, sample.tx_in_flight, sample.rate_lost = bits & 1 > 0, size + other, sample.lost
        self.control.on_ack(sample)


def check(control: CongestionControl) -> None:
    """A window in which at least one segment goes out, and numbers that fit 64 bits."""
    assert control.mss <= control.cwnd <= UNLIMITED + BIG
    assert 2 * control.mss <= control.ssthresh <= UNLIMITED
    assert 0.0 <= control.pacing_rate < 1e18


@pytest.mark.parametrize("name", sorted(BY_NAME))
@given(mss=st.integers(1, 65_000), told=st.lists(events, max_size=60), paced=st.booleans(), sack=st.booleans())
def test_the_window_holds_a_segment_whatever_happens(
    name: str, mss: int, told: list[tuple[str, int, int, int, int]], paced: bool, sack: bool
) -> None:
    control = BY_NAME[name](mss)
    control.start(mss, 10)
    control.paced, control.sack = paced, sack
    teller = Teller(control)
    for event in told:
        teller.tell(*event)
        check(control)
        if name == "bbr" and event[0] == "ack":
            assert control.cwnd >= 4 * mss  # MinPipeCwnd


@pytest.mark.parametrize("name", sorted(BY_NAME))
@given(told=st.lists(events, max_size=30), flight=sizes, timeout=st.booleans())
def test_what_is_undone_at_once_was_nothing(
    name: str, told: list[tuple[str, int, int, int, int]], flight: int, timeout: bool
) -> None:
    control = BY_NAME[name](1000)
    teller = Teller(control)
    for event in told:
        teller.tell(*event)
    control.on_recovered(teller.now)
    control.cwnd = max(control.cwnd, 2 * control.mss)  # no reduction raises it
    flight = min(flight, control.cwnd)
    before = (control.cwnd, control.ssthresh)
    if timeout:
        control.on_rto(teller.now, flight, True)
    else:
        control.on_loss(teller.now, flight)
    control.undo()
    assert (control.cwnd, control.ssthresh) == before


@pytest.mark.parametrize(("name", "fingerprint"), [("newreno", 373916865), ("cubic", 1663036620), ("bbr", 197771930)])
def test_the_same_life_gives_the_same_windows_compiled_and_interpreted(name: str, fingerprint: int) -> None:
    chosen = random.Random(name)
    control = BY_NAME[name](1448)
    control.start(1448, 10)
    teller, windows = Teller(control), []
    for _ in range(5000):
        event = chosen.choices(EVENTS, (60, 60, 60, 1, 3, 0.2, 0.5, 0.2, 1, 1, 0.5))[0]
        size = chosen.randrange(1, 30) * 1448
        teller.tell(event, size, chosen.randrange(200) * 1448, chosen.randrange(100, 20_000), chosen.randrange(8))
        windows.append((int(control.cwnd), int(control.ssthresh), int(control.pacing_rate)))
    assert len(set(windows)) > 300
    assert crc32(repr(windows).encode()) == fingerprint
