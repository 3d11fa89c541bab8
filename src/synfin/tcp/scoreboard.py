"""What was sent and not yet acknowledged: one record per burst, split where part of it is lost or acknowledged.

Each record is in flight, lost (and to be sent again) or sacked; the three sums are kept as records change. What the
peer's SACK blocks prove lost is found here (RFC 6675 4). From the records also come the RTT sample (Karn: only of data
sent once) and the delivery rate of the AckSample.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

IN_FLIGHT: Final = 0
LOST: Final = 1
SACKED: Final = 2

DUP_THRESHOLD: Final = 3  # RFC 5681 3.2 and RFC 6675 2: so much reordering is no loss


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
    """Records in order of offset, without gaps from SND.UNA to SND.NXT.

    limit: records beyond which SACK blocks cut no more of them; a peer that reports single bytes gains nothing.
    """

    def __init__(self, limit: i64) -> None:
        self.records: list[Sent] = []
        self.in_flight: i64 = 0
        self.lost: i64 = 0
        self.sacked: i64 = 0
        self.high_sacked: i64 = 0  # end of the highest data ever sacked; at or below SND.UNA: none is
        self.delivered: i64 = 0  # bytes delivered over the life of the connection
        self.delivered_at: i64 = 0
        # of the last ack(): send time of the newest data it covers (-1: no RTT sample), and its rate sample
        self.rtt_sent_at: i64 = -1
        self.oldest_sent_at: i64 = 0  # when the oldest data it covers was sent last
        self.rate: i64 = 0
        self._limit: i64 = limit
        self._judged: i64 = 0  # below it SACK blocks have nothing left to prove
        self._first_lost: i64 = 0  # no record below it is lost
        self._untried: i64 = 0  # no record below it is in flight for the first time; such a one is never made again

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

    def sack(self, left: i64, right: i64, now: i64) -> i64:
        """The peer holds [left, right), within SND.UNA..SND.NXT. Bytes that were not known to be there; -1: no room."""
        index = self._find(left)
        if len(self.records) >= self._limit and self._cuts(left, right):
            return -1
        newly: i64 = 0
        count: i64 = len(self.records)
        if index < count and self.records[index].start < left and self.records[index].state != SACKED:
            self._split(index, left)
            index += 1
            count += 1
        first = index
        while index < count:
            record = self.records[index]
            if record.start >= right:
                break
            if record.state != SACKED:
                if record.end > right:
                    self._split(index, right)
                size = record.end - record.start
                if record.state == LOST:
                    self.lost -= size
                else:
                    self.in_flight -= size
                record.state = SACKED
                newly += size
            index += 1
        self._join(first - 1 if first > 0 else 0, index)
        if newly:
            self.sacked += newly
            self.delivered += newly
            self.delivered_at = now
        if right > self.high_sacked:
            self.high_sacked = right
        return newly

    def _cuts(self, left: i64, right: i64) -> bool:
        """To note this block a record would have to be split."""
        first = self.records[self._find(left)]
        last = self.records[self._find(right - 1)]
        return (first.start < left and first.state != SACKED) or (last.end > right and last.state != SACKED)

    def _join(self, first: i64, last: i64) -> None:
        """Records `first` to `last`, sacked but perhaps for those two, become one: a run of any length costs one."""
        if first < len(self.records) and self.records[first].state != SACKED:
            first += 1
        if last == len(self.records) or self.records[last].state != SACKED:
            last -= 1
        if first < last:
            self.records[first].end = self.records[last].end
            del self.records[first + 1 : last + 1]  # at once: each deletion moves all that follows

    def mark_lost_by_sack(self, mss: i64) -> i64:
        """RFC 6675 4, IsLost(): above it more than two segments, or three separate runs, are sacked. Bytes newly lost.

        What was sent again already is left to the retransmission timer.
        """
        if self.sacked == 0:
            return 0
        index = self._find(self.high_sacked - 1)
        above: i64 = 0
        runs: i64 = 0
        limit: i64 = -1
        lost: i64 = 0
        while index >= 0:
            record = self.records[index]
            if record.end <= self._judged:
                break
            if record.state == SACKED:
                above += record.end - record.start
                runs += 1
            elif above > (DUP_THRESHOLD - 1) * mss or runs >= DUP_THRESHOLD:
                if limit < 0:
                    limit = record.end
                if not record.retransmitted:
                    lost += self._lose(record)
            elif above == self.sacked:
                break  # nothing below is sacked, so that no record there has more above it
            index -= 1
        if limit > self._judged:
            self._judged = limit
        return lost

    def mark_next_lost(self, length: i64) -> i64:
        """RFC 6675 4, NextSeg() rule 3: at most `length` bytes of the first hole below what is sacked, sent once."""
        index = self._find(self._untried)
        count: i64 = len(self.records)
        while index < count:
            record = self.records[index]
            self._untried = record.start
            if record.start >= self.high_sacked:
                break
            if record.state == IN_FLIGHT and not record.retransmitted:
                return self.mark_lost_at(record.start, length)
            index += 1
        return 0

    def mark_last_lost(self, length: i64, point: i64) -> i64:
        """RFC 6675 4, NextSeg() rule 4: at most `length` bytes at the end of all that was sent.

        Only what was sent once, and before recovery began at `point`: of anything newer there may yet come news.
        """
        if not self.records:
            return 0
        record = self.records[len(self.records) - 1]
        if record.state != IN_FLIGHT or record.retransmitted or record.start >= point:
            return 0
        start = record.end - length
        return self.mark_lost_at(start if start > record.start else record.start, length)

    def renege(self) -> bool:
        """What the peer had reported it does not hold any more: it counts as in flight again (RFC 2018 8).

        False: nothing says so. The sign, as in Linux: SND.UNA stands before data that was sacked.
        """
        if not self.records or self.records[0].state != SACKED:
            return False
        for record in self.records:
            if record.state == SACKED:
                record.state = IN_FLIGHT
                record.retransmitted = True  # when it arrived, and whether, nobody knows
        self.in_flight += self.sacked
        self.sacked = 0
        self.high_sacked = 0
        return True

    def mark_lost_at(self, start: i64, length: i64) -> i64:
        """The data at `start`, at most `length` of it, is lost unless it is sacked. Returns the bytes newly lost."""
        index = self._find(start)
        if index == len(self.records):
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
        index = self._find(self._first_lost)
        while self.records[index].state != LOST:
            index += 1
        record = self.records[index]
        self._first_lost = record.start
        if record.end - record.start > length:
            self._split(index, record.start + length)
        return record

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

    def clear(self) -> None:
        """Forget all records: the connection is gone."""
        self.records = []
        self.in_flight = 0
        self.lost = 0
        self.sacked = 0

    def _find(self, offset: i64) -> i64:
        """Index of the first record that ends above `offset`; their number when there is none."""
        low: i64 = 0
        high: i64 = len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].end > offset:
                high = middle
            else:
                low = middle + 1
        return low

    def _lose(self, record: Sent) -> i64:
        if record.state != IN_FLIGHT:
            return 0
        size = record.end - record.start
        record.state = LOST
        if self.lost == 0 or record.start < self._first_lost:
            self._first_lost = record.start
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
