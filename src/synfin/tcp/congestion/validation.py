"""A window that its writer does not fill proves nothing: it does not grow, and for how long it is kept. RFC 7661.

pipeACK is what was acknowledged in one round trip, the most of the last second. While it is less than half of cwnd for
want of text, cwnd is not validated: it stays for five minutes, through pauses too, and then falls by halves. A loss
meanwhile is answered by what was in use, and by all that was lost besides. That needs pacing (4.4.2): where nothing
spreads what a large window lets out after a pause, the initial window is where it begins again (RFC 5681 4.1).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.congestion.base import NONE, AckSample, CongestionControl

KEPT_US: Final = 300_000_000  # NVP, the non-validated period (4.4)
PERIOD_US: Final = 1_000_000  # pipeACK Sampling Period (4.2), or three round trips


class Validated(CongestionControl):
    """What controls by cwnd have in common. They call note_use() and answerable(); beta: what a loss leaves of cwnd."""

    def __init__(self, mss: int, beta: float) -> None:
        super().__init__(mss)
        self._beta: float = beta
        self.validated: bool = True
        self._validated_at: i64 = 0  # when it last was
        self._pipe_ack: i64 = 0  # pipeACK of the half period that goes on, and of the one before
        self._pipe_ack_before: i64 = 0
        self._half_at: i64 = 0  # when it began
        self._period: i64 = PERIOD_US
        self._initial: i64 = 10  # IW in segments
        self._lost_before: i64 = 0  # AckSample.total_lost when the recovery in hand began, and now
        self._lost: i64 = 0
        self._answered: i64 = 0  # Max(pipeACK, LossFlightSize) of 4.4.1, in a recovery; 0: cwnd was validated

    def start(self, mss: int, segments: int) -> None:
        """The handshake is done."""
        super().start(mss, segments)
        self._initial = segments

    def pipe_ack(self) -> i64:
        """pipeACK, bytes."""
        return self._pipe_ack if self._pipe_ack > self._pipe_ack_before else self._pipe_ack_before

    def note_use(self, sample: AckSample) -> None:
        """Of every ACK, before cwnd follows from it."""
        if not self.paced:
            return
        self._lost = sample.total_lost
        if sample.recovery != NONE or sample.prior_delivered < 0:
            return
        now = sample.now
        if self._half_at == 0:
            self._validated_at = now
        self._lost_before = self._lost
        self._period = 3 * sample.srtt if 3 * sample.srtt > PERIOD_US else PERIOD_US
        self._turn(now)
        if sample.rate_delivered > self._pipe_ack:
            self._pipe_ack = sample.rate_delivered
        if 2 * self.pipe_ack() >= self.cwnd:
            self.validated = True
            self._validated_at = now
        elif not sample.cwnd_limited:
            self.validated = False
            self._fade(now)

    def _turn(self, now: i64) -> None:
        """What is older than a period counts no more."""
        halves = (now - self._half_at) // (self._period // 2)
        if halves > 0:
            self._pipe_ack_before = self._pipe_ack if halves == 1 else 0
            self._pipe_ack = 0
            self._half_at = now

    def _fade(self, now: i64) -> None:
        """4.4.3: each five minutes in which the writer needed less than half."""
        while now - self._validated_at >= KEPT_US and self.cwnd > self._initial * self.mss:
            self._validated_at += KEPT_US
            known = self.cwnd // 4 * 3
            if self.ssthresh < known:
                self.ssthresh = known
            half = self.cwnd // 2
            self.cwnd = half if half > self._initial * self.mss else self._initial * self.mss

    def on_idle(self, now: int, segments: int) -> None:
        """A pause is no reason to begin anew, unless what cwnd lets out would leave in one burst."""
        if not self.paced:
            super().on_idle(now, segments)
            return
        self._turn(now)
        if 2 * self.pipe_ack() < self.cwnd:
            self.validated = False
            self._fade(now)

    def answerable(self, in_flight: i64) -> i64:
        """What a loss is to reduce: of a window that was not validated, what was in use (4.4.1)."""
        self._answered = 0
        if not self.validated:
            pipe = self.pipe_ack()
            self._answered = pipe if pipe > in_flight else in_flight
            return self._answered
        return in_flight

    def on_recovered(self, now: int) -> None:
        """4.4.1: of a window that was not in use, what was lost comes off as well."""
        answered = self._answered
        lost = self._lost - self._lost_before
        self.exit(now)
        if answered == 0:
            return
        reduced = i64(float(answered - lost) * self._beta)
        if reduced < 2 * self.mss:
            reduced = 2 * self.mss
        if reduced < self.ssthresh:
            self.ssthresh = self.cwnd = reduced

    def exit(self, now: i64) -> None:
        """Congestion was answered: pipeACK is undefined, and cwnd counts as validated until that is known again."""
        self._answered = 0
        self._lost_before = self._lost
        if self.paced:
            self._validated_at = now
        self._pipe_ack = self._pipe_ack_before = 0
        self.validated = True
