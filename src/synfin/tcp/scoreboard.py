"""What was sent and not yet acknowledged: one record per burst, split where part of it is lost or acknowledged.

Each record is in flight, lost (and to be sent again) or sacked; the three sums are kept as records change. From the
records also come the RTT sample (Karn: only of data sent once) and the delivery rate of the AckSample.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

IN_FLIGHT: Final = 0
LOST: Final = 1
SACKED: Final = 2


class Sent:
    """Offsets [start, end) of one transmission; a FIN is the last offset of its record."""

    def __init__(self, start: i64, end: i64, now: i64) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.sent_at: i64 = now
        self.state: i64 = IN_FLIGHT
        self.retransmitted: bool = False
        # what the connection had delivered when this was sent, for the delivery rate
        self.delivered: i64 = 0
        self.delivered_at: i64 = 0


class Scoreboard:
    """Records in order of offset, without gaps from SND.UNA to SND.NXT."""

    def __init__(self) -> None:
        self.records: list[Sent] = []
        self.in_flight: i64 = 0
        self.lost: i64 = 0
        self.sacked: i64 = 0
        self.delivered: i64 = 0  # bytes delivered over the life of the connection
        self.delivered_at: i64 = 0
        # of the last ack(): send time of the newest data it covers (-1: no RTT sample), and its rate sample
        self.rtt_sent_at: i64 = -1
        self.oldest_sent_at: i64 = 0  # when the oldest data it covers was sent last
        self.rate: i64 = 0

    def add(self, start: i64, end: i64, now: i64) -> None:
        """New data went out."""
        if self.in_flight == 0:
            self.delivered_at = now
        record = Sent(start, end, now)
        record.delivered = self.delivered
        record.delivered_at = self.delivered_at
        self.records.append(record)
        self.in_flight += end - start

    def ack(self, una: i64, now: i64) -> i64:
        """All below `una` is acknowledged: forget it. Returns the bytes delivered that were not known to be."""
        newly: i64 = 0
        done: i64 = 0
        self.rtt_sent_at = -1
        self.oldest_sent_at = now
        ambiguous = False
        newest: Sent | None = None
        for record in self.records:
            if record.start >= una:
                break
            if newest is None:
                self.oldest_sent_at = record.sent_at
            end = record.end if record.end <= una else una
            size = end - record.start
            if record.state == SACKED:
                self.sacked -= size
            else:
                newly += size
                if record.state == LOST:
                    self.lost -= size
                else:
                    self.in_flight -= size
                if record.retransmitted or record.state == LOST:
                    ambiguous = True
                self.rtt_sent_at = record.sent_at
                newest = record
            if record.end <= una:
                done += 1
            else:
                record.start = una
        if done:
            del self.records[:done]
        if ambiguous:
            # Karn; and what arrived long ago, behind a hole that was filled only now, tells no RTT either.
            self.rtt_sent_at = -1
        self.delivered += newly
        self.rate = 0
        if newest is not None:
            # Delivery rate (draft-ietf-ccwg-bbr 4.1.1): what was delivered since this data was sent, over that time.
            elapsed = now - newest.delivered_at
            if elapsed > 0 and not newest.retransmitted:
                self.rate = (self.delivered - newest.delivered) * 1000000 // elapsed
            self.delivered_at = now
        return newly

    def mark_lost_at(self, start: i64, length: i64) -> i64:
        """The data at `start`, at most `length` of it, is lost unless it is sacked. Returns the bytes newly lost."""
        index: i64 = 0
        for record in self.records:
            if record.end > start:
                break
            index += 1
        else:
            return 0
        record = self.records[index]
        if record.state != IN_FLIGHT:
            return 0
        if record.start < start:
            self._split(index, start)
            index += 1
            record = self.records[index]
        if record.end > start + length:
            self._split(index, start + length)
        return self._lose(record)

    def mark_all_lost(self) -> i64:
        """The retransmission timer expired: nothing is in flight any more (RFC 6298 5.4, RFC 5681 3.1)."""
        lost: i64 = 0
        for record in self.records:
            lost += self._lose(record)
        return lost

    def next_lost(self, length: i64) -> Sent | None:
        """The first lost record, cut to at most `length`; None when nothing waits to be sent again."""
        if self.lost == 0:
            return None
        index: i64 = 0
        for record in self.records:
            if record.state == LOST:
                if record.end - record.start > length:
                    self._split(index, record.start + length)
                return record
            index += 1
        return None

    def resent(self, record: Sent, now: i64) -> None:
        """A lost record went out again."""
        size = record.end - record.start
        self.lost -= size
        if self.in_flight == 0:
            self.delivered_at = now
        self.in_flight += size
        record.state = IN_FLIGHT
        record.retransmitted = True
        record.sent_at = now
        record.delivered = self.delivered
        record.delivered_at = self.delivered_at

    def first_sent_at(self) -> i64:
        """Send time of the oldest record in flight; -1 when there is none."""
        for record in self.records:
            if record.state == IN_FLIGHT:
                return record.sent_at
        return -1

    def clear(self) -> None:
        """Forget all records: the connection is gone."""
        self.records = []
        self.in_flight = 0
        self.lost = 0
        self.sacked = 0

    def _lose(self, record: Sent) -> i64:
        if record.state != IN_FLIGHT:
            return 0
        size = record.end - record.start
        record.state = LOST
        self.in_flight -= size
        self.lost += size
        return size

    def _split(self, index: i64, at: i64) -> None:
        """Cut a record in two; both parts inherit its send time and state."""
        record = self.records[index]
        tail = Sent(at, record.end, record.sent_at)
        tail.state = record.state
        tail.retransmitted = record.retransmitted
        tail.delivered = record.delivered
        tail.delivered_at = record.delivered_at
        record.end = at
        self.records.insert(index + 1, tail)
