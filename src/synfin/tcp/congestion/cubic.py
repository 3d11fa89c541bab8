"""CUBIC: a window that returns to where it was cut by a cubic function of time, not of round trips. RFC 9438.

Windows and their growth are bytes, as floats where the RFC multiplies times; times inside are seconds. Names are the
RFC's. Slow start is HyStart++'s (`hystart`) until ssthresh is known.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.congestion.base import FAST, UNLIMITED, AckSample
from synfin.tcp.congestion.hystart import HyStart
from synfin.tcp.congestion.validation import Validated

C: Final = 0.4  # segments per second cubed (RFC 9438 5)
BETA_CUBIC: Final = 0.7  # 4.6
ALPHA_CUBIC: Final = 3.0 * 0.3 / 1.7  # 4.3: 3 (1 - beta) / (1 + beta)
FAST_CONVERGENCE: Final = 0.85  # 4.7: (1 + beta) / 2
BETA_ECN: Final = 0.85  # RFC 8511 3.1: a mark comes from a queue that is kept short


@mypyc_attr(acyclic=True)
class Before:
    """What a reduction replaced (4.9)."""

    def __init__(self, cwnd: i64, ssthresh: i64, cwnd_prior: i64, w_max: float, k: float, epoch: i64, w_est: float):
        self.cwnd: i64 = cwnd
        self.ssthresh: i64 = ssthresh
        self.cwnd_prior: i64 = cwnd_prior
        self.w_max: float = w_max
        self.k: float = k
        self.epoch: i64 = epoch
        self.w_est: float = w_est


class Cubic(Validated):
    """RFC 9438. Its congestion avoidance is a sequence of stages, each begun by the first ACK after a reduction."""

    name = "cubic"

    def __init__(self, mss: int) -> None:
        super().__init__(mss, BETA_CUBIC)
        self._cwnd_prior: i64 = 0  # cwnd when ssthresh was set last; 0: never
        self._w_max: float = 0.0  # cwnd before the last reduction, or less (fast convergence); 0: no matter
        self._k: float = 0.0  # seconds from the stage's beginning until cwnd is W_max again
        self._epoch: i64 = -1  # t_epoch, microseconds; -1: the stage has not begun
        self._w_est: float = 0.0  # what Reno's window would be
        self._fraction: float = 0.0  # of a byte, by which the exact window is above cwnd
        self._seen: i64 = 0  # when congestion avoidance heard the last ACK
        self._hystart: HyStart | None = None  # in the first slow start, once it has heard an ACK
        self._before: Before | None = None

    # ---- growth ----

    def on_ack(self, sample: AckSample) -> None:
        """Slow start or congestion avoidance.

        Nothing in fast recovery, where ssthresh was set for all of it, nor by an ACK that tells of marks (RFC 3168
        6.1.2).
        """
        self.note_use(sample)
        if sample.recovery == FAST or sample.ecn > 0:
            return
        if self.cwnd < self.ssthresh:
            self._slow_start(sample)
        else:
            self._avoid_congestion(sample)

    def _slow_start(self, sample: AckSample) -> None:
        growth = self.countable(sample)
        if self.ssthresh == UNLIMITED:
            hystart = self._hystart
            if hystart is None:
                hystart = self._hystart = HyStart()
            growth = hystart.on_ack(sample, growth)
            if hystart.done:  # 4.10: no loss has told W_max
                self.ssthresh = self._cwnd_prior = self.cwnd
                self._hystart = None
                return
        # Half full may still be catching up: cwnd has doubled since what is acknowledged now was sent.
        if not sample.cwnd_limited and sample.prior_in_flight * 2 < self.cwnd:
            return
        room = self.ssthresh - self.cwnd
        self.cwnd += growth if growth < room else room

    def _avoid_congestion(self, sample: AckSample) -> None:
        now = sample.now
        if not sample.cwnd_limited:  # 4.2: time in which the writer does not fill the window is not counted
            self._skip_until(now)
            return
        self._seen = now
        if self._epoch < 0:
            self._begin_stage(now)
        cwnd = float(self.cwnd)
        mss = float(self.mss)
        windows = float(sample.acked) / cwnd  # segments_acked / cwnd
        if windows > 1.0:
            windows = 1.0
        alpha = ALPHA_CUBIC if self._w_est < float(self._cwnd_prior) else 1.0
        self._w_est += alpha * mss * windows  # figure 4
        t = float(now - self._epoch) / 1000000.0
        grown = self._w_est
        if self._w_cubic(t, mss) >= grown:  # 4.4 and 4.5; else 4.3, the Reno-friendly region
            target = self._w_cubic(t + float(sample.srtt) / 1000000.0, mss)
            if target > 1.5 * cwnd:
                target = 1.5 * cwnd
            if target < cwnd:
                target = cwnd
            grown = cwnd + self._fraction + (target - cwnd) * windows
        if grown > cwnd:
            if grown > float(UNLIMITED):
                grown = float(UNLIMITED)
            self.cwnd = i64(grown)
            self._fraction = grown - float(self.cwnd)

    def _begin_stage(self, now: i64) -> None:
        """At cwnd_epoch: after a timeout or an exit by HyStart++ W_max is that (4.8, 4.10), which makes K 0."""
        cwnd = float(self.cwnd)
        self._epoch = now
        self._w_est = cwnd
        self._fraction = 0.0
        if self._w_max <= cwnd:
            self._w_max = cwnd
            self._k = 0.0
        else:
            self._k = ((self._w_max - cwnd) / (C * float(self.mss))) ** (1.0 / 3.0)  # figure 2

    def _w_cubic(self, t: float, mss: float) -> float:
        """Figure 1."""
        since = t - self._k
        return C * mss * since * since * since + self._w_max

    def _skip_until(self, now: i64) -> None:
        """5.8: the stage began later by what has passed since the last ACK."""
        if self._epoch >= 0:
            self._epoch += now - self._seen
        self._seen = now

    def on_transmit(self, now: int, in_flight: int, app_limited: bool) -> None:
        """Nothing was out: the writer has paused since the last ACK."""
        if in_flight == 0:
            self._skip_until(now)

    # ---- reduction ----

    def on_loss(self, now: int, in_flight: int) -> None:
        """4.6: the window falls to 0.7 of what was in flight, at least two segments."""
        self._remember()
        self._reduce(self.answerable(in_flight), BETA_CUBIC)
        self.cwnd = self.ssthresh

    def on_rto(self, now: int, in_flight: int, first: bool) -> None:
        """4.8: cwnd as RFC 5681 has it; the first stage after it begins with W_max at its own window."""
        if first:
            self._remember()
            self._reduce(in_flight, BETA_CUBIC)
        self.cwnd = self.mss
        self._w_max = 0.0
        self._epoch = -1
        self.exit(now)

    def on_ecn(self, now: int, in_flight: int) -> None:
        """RFC 8511 with 4.6: less than for a loss, but in slow start as much. cwnd may fall to one segment."""
        reduced = self._reduce(in_flight, BETA_CUBIC if self.cwnd < self.ssthresh else BETA_ECN)
        self.cwnd = reduced if reduced > self.mss else self.mss
        self._before = None  # a mark is no guess: there is nothing to undo
        self.exit(now)

    def on_idle(self, now: int, segments: int) -> None:
        """As ever; the stage after the slow start that may follow is a new one."""
        before = self.cwnd
        super().on_idle(now, segments)
        if self.cwnd < before:
            self._hystart = None
            self._epoch = -1

    def undo(self) -> None:
        """4.9: as before the last reduction, unless the window has grown beyond that since."""
        before = self._before
        self._before = None
        if before is None or self.cwnd > self._cwnd_prior:
            return
        self.cwnd = before.cwnd
        self.ssthresh = before.ssthresh
        self._cwnd_prior = before.cwnd_prior
        self._w_max = before.w_max
        self._k = before.k
        self._epoch = before.epoch
        self._w_est = before.w_est

    def _reduce(self, in_flight: i64, beta: float) -> i64:
        """Set ssthresh, and W_max and cwnd_prior from cwnd before it is reduced. Gives back ssthresh without its floor.

        4.7: a window that did not reach W_max again has to leave room for someone new.
        """
        cwnd = float(self.cwnd)
        self._w_max = cwnd * FAST_CONVERGENCE if cwnd < self._w_max else cwnd
        self._cwnd_prior = self.cwnd
        reduced = i64(float(in_flight) * beta)
        self.ssthresh = reduced if reduced > 2 * self.mss else 2 * self.mss
        self._epoch = -1
        self._fraction = 0.0
        self._hystart = None
        return reduced

    def _remember(self) -> None:
        self._before = Before(
            self.cwnd, self.ssthresh, self._cwnd_prior, self._w_max, self._k, self._epoch, self._w_est
        )
