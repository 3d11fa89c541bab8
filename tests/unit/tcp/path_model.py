"""A sender with one congestion control on a modelled path, in virtual time: a bottleneck rate, a queue, a round trip.

No TCP: packets are numbered anew when they are sent again, each is acknowledged by itself, and one is lost when three
sent after it have arrived. What the control hears is what synfin's sender tells it (`AckSample`).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from synfin.tcp.congestion.base import FAST, LOSS, NONE, AckSample, CongestionControl

MSS = 1000
SECOND = 1_000_000
MS = 1000
THRESHOLD = 3  # packets that overtake one which counts as lost


class Packet:
    """What is remembered of one transmission (draft-ietf-ccwg-bbr 4.1.2.1.2)."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent_at = self.first_sent_at = self.delivered_at = 0
        self.delivered = self.lost = self.in_flight = 0
        self.app_limited = False
        self.done = False  # delivered, or found lost


class Path:
    """rate: bytes a second. rtt: microseconds without queueing. queue: bytes. lose: is the nth packet lost at random?

    aggregate: ACKs wait for the next multiple of so many microseconds. bucket: no queue, but a policer that lets so
    many bytes pass at once, and `rate` in the long run. Everything may be changed while it runs.
    """

    def __init__(
        self,
        control: CongestionControl,
        *,
        rate: float,
        rtt: int,
        queue: int,
        lose: Callable[[int], bool] = lambda number: False,
        aggregate: int = 0,
        bucket: int = 0,
    ) -> None:
        self.control = control
        self.rate, self.rtt, self.queue, self.lose, self.aggregate = rate, rtt, queue, lose, aggregate
        self.bucket = bucket
        self.app_rate = 0.0  # bytes a second that the writer writes; 0: as much as goes
        self.paused = False  # the writer writes nothing
        self.late = 0  # microseconds by which the packets sent now arrive late
        self.now = 0
        self.sample = AckSample()
        self.delivered = self.lost = self.in_flight = self.sent = 0
        self.rtt_now = self.srtt = self.min_rtt = 0
        self.recovery = NONE
        self.drops = 0  # by the queue
        self.on_ack: Callable[[AckSample], None] = lambda sample: None
        self._events: list[tuple[int, int, str, Packet | None]] = []
        self._order = 0
        self._out: deque[Packet] = deque()
        self._free_at = 0.0  # when the bottleneck has sent all it holds
        self._next_send = 0.0
        self._wakeup = -1
        self._delivered_at = self._first_sent_at = 0
        self._app_limited = 0
        self._written = 0.0
        self._written_at = 0
        self._cwnd_limited_until = -1  # packets up to this number were sent, or held back, with cwnd full
        self._largest = -1  # number of the newest packet delivered
        self._recovery_point = -1
        self._timer = -1
        self._retries = 0
        self._to_resend = 0
        self._missing: set[int] = set()  # found lost in this recovery
        self._tokens = float(bucket)
        self._tokens_at = 0
        control.start(MSS, 10)

    # ---- running ----

    def run(self, duration: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Go on for so many microseconds, or until something holds. True: it does."""
        end = self.now + duration
        self._send()
        while not until():
            if not self._events or self._events[0][0] > end:
                self.now = end
                return until()
            self.now, _, kind, packet = heapq.heappop(self._events)
            if kind == "ack" and packet is not None:
                acked = [packet]
                while self._events and self._events[0][0] == self.now and self._events[0][2] == "ack":
                    more = heapq.heappop(self._events)[3]
                    assert more is not None
                    acked.append(more)
                self._acknowledge(acked)
            elif kind == "timer" and self.now == self._timer:
                self._time_out()
            self._send()
        return True

    def _at(self, when: int, kind: str, packet: Packet | None = None) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, kind, packet))

    # ---- sending ----

    def _available(self) -> int:
        passed, self._written_at = self.now - self._written_at, self.now
        if self.paused:
            return 0
        if not self.app_rate:
            self._written = 0.0
            return 1 << 40
        self._written += self.app_rate * passed / SECOND
        return int(self._written)

    def _send(self) -> None:
        control = self.control
        while True:
            if self._to_resend <= 0 and self._available() < MSS:
                if self.in_flight < control.cwnd:
                    self._app_limited = max(self.delivered + self.in_flight, 1)
                if self.app_rate and not self.paused:
                    self._wake(self.now + int((MSS - self._written) / self.app_rate * SECOND) + 1)
                return
            if self.in_flight + MSS > control.cwnd:
                self._cwnd_limited_until = self.sent
                return
            if self._next_send > self.now:
                self._wake(int(self._next_send) + 1)
                return
            control.on_transmit(self.now, self.in_flight, self._app_limited != 0)
            self._transmit(Packet(self.sent))

    def _wake(self, when: int) -> None:
        if not self.now < self._wakeup <= when:
            self._wakeup = when
            self._at(when, "wake")

    def _transmit(self, packet: Packet) -> None:
        self.sent += 1
        if self._to_resend > 0:
            self._to_resend -= MSS
        elif self.app_rate:
            self._written -= MSS
        if self.in_flight == 0:
            self._first_sent_at = self._delivered_at = self.now
        self.in_flight += MSS
        packet.sent_at, packet.first_sent_at, packet.delivered_at = self.now, self._first_sent_at, self._delivered_at
        packet.delivered, packet.lost, packet.in_flight = self.delivered, self.lost, self.in_flight
        packet.app_limited = self._app_limited != 0
        self._out.append(packet)
        rate = self.control.pacing_rate
        if not rate and self.srtt:
            gain = 2.0 if self.control.cwnd < self.control.ssthresh else 1.2
            rate = gain * int(self.control.cwnd) * SECOND / self.srtt
        if rate:
            self._next_send = max(self._next_send, self.now - MS) + MSS * SECOND / rate
        self._travel(packet)
        self._set_timer()

    def _travel(self, packet: Packet) -> None:
        if not self._passes() or self.lose(packet.number):
            return
        arrives = int(self._free_at) + self.rtt + self.late
        if self.aggregate:
            arrives = -(-arrives // self.aggregate) * self.aggregate
        self._at(arrives, "ack", packet)

    def _passes(self) -> bool:
        """The bottleneck takes it; else it is dropped."""
        if self.bucket:
            self._tokens = min(self._tokens + self.rate * (self.now - self._tokens_at) / SECOND, float(self.bucket))
            self._tokens_at = self.now
            passes = self._tokens >= MSS
            if passes:
                self._tokens -= MSS
                self._free_at = self.now
        else:
            passes = max(self._free_at - self.now, 0.0) * self.rate / SECOND <= self.queue
            if passes:
                self._free_at = max(self._free_at, self.now) + MSS * SECOND / self.rate
        if not passes:
            self.drops += 1
        return passes

    # ---- ACKs ----

    def _acknowledge(self, packets: list[Packet]) -> None:
        sample = self.sample
        sample.prior_in_flight = self.in_flight
        newest: Packet | None = None
        acked = 0
        for packet in packets:
            if packet.done:
                self._arrived_late(packet)
                continue
            packet.done = True
            acked += MSS
            self.in_flight -= MSS
            if newest is None or packet.number > newest.number:
                newest = packet
        if newest is None:
            return  # counted as lost, and sent again since
        self.delivered += acked
        self._delivered_at = self.now
        self._rate(newest, sample)
        if self._app_limited and self.delivered > self._app_limited:
            self._app_limited = 0
        self._retries = 0
        self._largest = max(self._largest, newest.number)
        sample.lost = self._find_lost()
        sample.rate_lost = self.lost - newest.lost
        before = self.recovery
        if before != NONE and self._largest >= self._recovery_point:
            self.recovery = NONE
            self._missing.clear()
            self.control.on_recovered(self.now)
        if sample.lost and self.recovery == NONE:
            self._recovery_point = self.sent
            self.recovery = FAST
            self.control.on_loss(self.now, sample.prior_in_flight)
        sample.now, sample.acked, sample.delivered = self.now, acked, self.delivered
        sample.total_lost, sample.in_flight = self.lost, self.in_flight
        sample.recovery = FAST if before == FAST else self.recovery
        sample.cwnd_limited = newest.number <= self._cwnd_limited_until
        self.control.on_ack(sample)
        self._set_timer()
        self.on_ack(sample)

    def _rate(self, newest: Packet, sample: AckSample) -> None:
        self.rtt_now = sample.rtt = self.now - newest.sent_at
        self.min_rtt = min(self.min_rtt, sample.rtt) if self.min_rtt else sample.rtt
        self.srtt += (sample.rtt - self.srtt) // 8 if self.srtt else sample.rtt
        sample.srtt, sample.min_rtt = self.srtt, self.min_rtt
        sample.prior_delivered = newest.delivered
        sample.rate_delivered = self.delivered - newest.delivered
        sample.app_limited = newest.app_limited
        sample.tx_in_flight = newest.in_flight
        send_elapsed, ack_elapsed = newest.sent_at - newest.first_sent_at, self.now - newest.delivered_at
        self._first_sent_at = max(self._first_sent_at, newest.sent_at)
        interval = max(send_elapsed, ack_elapsed)
        if interval < self.min_rtt:
            sample.interval, sample.rate = 0, 0.0
        else:
            sample.interval, sample.rate = interval, sample.rate_delivered * SECOND / interval

    def _find_lost(self) -> int:
        lost = 0
        while self._out and (self._out[0].done or self._out[0].number < self._largest - THRESHOLD):
            packet = self._out.popleft()
            if not packet.done:
                lost += self._lose(packet)
        return lost

    def _lose(self, packet: Packet) -> int:
        packet.done = True
        self._missing.add(packet.number)
        self.lost += MSS
        self.in_flight -= MSS
        self._to_resend += MSS
        self.control.on_packet_lost(MSS, packet.in_flight, self.lost - packet.lost, packet.app_limited)
        return MSS

    def _arrived_late(self, packet: Packet) -> None:
        """It was found lost, and was not: when that goes for all of a recovery, it is taken back."""
        self._missing.discard(packet.number)
        if self.recovery != NONE and not self._missing:
            self.recovery = NONE
            self.control.undo()

    def _set_timer(self) -> None:
        if self.in_flight == 0:
            self._timer = -1
            return
        timeout = max(200 * MS, 2 * self.srtt) if self.srtt else SECOND
        timer = self.now + timeout * (1 << min(self._retries, 6))
        if timer != self._timer:
            self._timer = timer
            self._at(timer, "timer")

    def _time_out(self) -> None:
        flight = self.in_flight
        for packet in self._out:
            if not packet.done:
                self._lose(packet)
        self._out.clear()
        self._retries += 1
        self.recovery = LOSS
        self._recovery_point = self.sent
        self.control.on_rto(self.now, flight, self._retries == 1)
