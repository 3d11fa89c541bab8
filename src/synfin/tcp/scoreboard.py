"""What was sent and not yet acknowledged: one record per burst, split where part of it is lost or acknowledged.

Each record is in flight, lost (and to be sent again) or sacked; the three sums are kept as records change. Records
stand in order of offset, and those in flight also in order of transmission, which is where RACK looks (RFC 8985 6.2, as
Linux does it). What the ACK in hand delivered is told until the next one begins.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

IN_FLIGHT: Final = 0
LOST: Final = 1
SACKED: Final = 2

NOTHING: Final = 1 << 62  # above any offset
RECORD_COST: Final = 280  # interpreted: an object and its place in the list; compiled it is less
RECORDS_FREE: Final = 16  # short writes make some, whatever the peer reports


class Sent:
    """Offsets [start, end) of one transmission; a FIN is the last offset of its record."""

    def __init__(self, start: i64, end: i64, now: i64) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.sent_at: i64 = now  # the last time
        self.segment: i64 = 0  # payload bytes of the largest segment that it was sent in
        self.state: i64 = IN_FLIGHT
        self.retransmitted: bool = False
        # what `rate` noted when it was sent (draft-ietf-ccwg-bbr 4.1.2.1.2)
        self.delivered: i64 = 0
        self.delivered_at: i64 = 0
        self.first_sent_at: i64 = 0
        self.lost: i64 = 0
        self.in_flight: i64 = 0
        self.app_limited: bool = False
        # neighbours in order of transmission, while in flight
        self.older: Sent | None = None
        self.newer: Sent | None = None


class Scoreboard:
    """Records in order of offset, without gaps from SND.UNA to SND.NXT.

    limit: records beyond which SACK blocks cut no more of them; a peer that reports single bytes gains nothing.
    """

    def __init__(self, limit: i64) -> None:
        self.records: list[Sent] = []
        self.oldest: Sent | None = None  # in flight, in order of transmission
        self.latest: Sent | None = None
        self.in_flight: i64 = 0
        self.lost: i64 = 0
        self.sacked: i64 = 0
        self.high_sacked: i64 = 0  # RACK.fack: end of the highest data ever delivered
        # of the ACK in hand, see begin()
        self.newly: i64 = 0  # bytes delivered that were not known to be
        self.largest: i64 = 0  # payload of the largest segment among them
        self.newest: Sent | None = None  # the last sent of what it delivered (of equals: the highest)
        self.rack: Sent | None = None  # the same, of what was certainly delivered by its last transmission
        self.rtt_sent_at: i64 = -1  # send time of the newest data that gives an RTT sample; -1: none
        self.oldest_sent_at: i64 = 0  # when the oldest data that it acknowledges was sent last
        self.original: i64 = NOTHING  # start of the lowest data it delivered that was sent once
        self.again: bool = False  # it delivered something that was sent more than once
        self.reordered: bool = False  # it delivered something sent once, below what had been delivered before
        self.newly_lost: list[Sent] = []  # since begin()
        self._limit: i64 = limit
        self._first_lost: i64 = 0  # no record below it is lost
        self._high_before: i64 = 0  # high_sacked when the ACK in hand began
        self._too_soon: i64 = 0  # a retransmission sent after this can't be what was delivered

    # ---- sending ----

    def add(self, start: i64, end: i64, now: i64) -> Sent:
        """New data went out."""
        record = Sent(start, end, now)
        self.records.append(record)
        self._link(record)
        self.in_flight += end - start
        return record

    def resent(self, record: Sent, now: i64) -> None:
        """A record went out again: one that was lost, or in flight as a probe."""
        if record.state == LOST:
            size = record.end - record.start
            self.lost -= size
            self.in_flight += size
            record.state = IN_FLIGHT
        else:
            self._unlink(record)
        record.retransmitted = True
        record.sent_at = now
        self._link(record)

    def excess(self, size: i64) -> i64:
        """What the records cost beyond the `size` bytes that they tell of: much only where blocks have cut them up."""
        count: i64 = len(self.records)
        more = (count - RECORDS_FREE) * RECORD_COST - size
        return more if more > 0 else 0

    # ---- what an ACK tells ----

    def begin(self, now: i64, min_rtt: i64) -> None:
        """An ACK is being read: forget what the last one told. min_rtt: no answer to a transmission comes sooner."""
        self.newly = 0
        self.largest = 0
        self.newest = None
        self.rack = None
        self.rtt_sent_at = -1
        self.oldest_sent_at = now
        self.original = NOTHING
        self.again = False
        self.reordered = False
        self._high_before = self.high_sacked
        if self.newly_lost:
            self.newly_lost = []
        self._too_soon = now - min_rtt

    def ack(self, una: i64, echoed: i64) -> None:
        """All below `una` is acknowledged: forget it. echoed: the latest that what it answers was sent; -1: unknown.

        Of a block it proves nothing: it is the echo of what stands in order (RFC 7323 4.3).
        """
        done: i64 = 0
        if 0 <= echoed < self._too_soon:
            self._too_soon = echoed
        ambiguous = False
        for record in self.records:
            if record.start >= una:
                break
            if done == 0:
                self.oldest_sent_at = record.sent_at
            if record.end > una:
                self._split(done, una)
            if record.state == SACKED:
                self.sacked -= record.end - record.start
            else:
                if record.retransmitted or record.state == LOST:
                    ambiguous = True
                self._deliver(record)
            done += 1
        if done:
            del self.records[:done]
        if ambiguous:
            # Karn; and what arrived long ago, behind a hole that was filled only now, tells no RTT either.
            self.rtt_sent_at = -1

    def sack(self, left: i64, right: i64) -> i64:
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
                newly += record.end - record.start
                self._deliver(record)
                record.state = SACKED
            index += 1
        if newly:
            self._join(first - 1 if first > 0 else 0, index)
            self.sacked += newly
        return newly

    def _deliver(self, record: Sent) -> None:
        """A record that was in flight, or taken for lost, has arrived."""
        size = record.end - record.start
        self.newly += size
        segment = record.segment if record.segment < size else size
        if segment > self.largest:
            self.largest = segment
        if record.state == LOST:
            self.lost -= size
        else:
            self.in_flight -= size
            self._unlink(record)
        newest = self.newest
        if newest is None or sent_after(record, newest):
            self.newest = record
        if record.retransmitted:
            self.again = True
            if record.sent_at > self._too_soon:
                return  # RFC 8985 6.2 step 2: after the echo, or less than a round trip ago; an earlier one has arrived
        else:
            if record.start < self.original:
                self.original = record.start
            if record.sent_at > self.rtt_sent_at and record.state != LOST:
                self.rtt_sent_at = record.sent_at
            if record.end < self._high_before:
                self.reordered = True
        if record.end > self.high_sacked:
            self.high_sacked = record.end
        rack = self.rack
        if rack is None or sent_after(record, rack):
            self.rack = record

    def _cuts(self, left: i64, right: i64) -> bool:
        """To note this block a record would have to be split."""
        first = self.records[self._find(left)]
        last = self.records[self._find(right - 1)]
        return (first.start < left and first.state != SACKED) or (last.end > right and last.state != SACKED)

    def _join(self, first: i64, last: i64) -> None:
        """Records `first` to `last`, sacked but perhaps for those two, become one: a run of any length costs one.

        A new one: what this ACK delivered keeps its own offsets and times until it has been read.
        """
        if first < len(self.records) and self.records[first].state != SACKED:
            first += 1
        if last == len(self.records) or self.records[last].state != SACKED:
            last -= 1
        if first < last:
            run = Sent(self.records[first].start, self.records[last].end, 0)
            run.state = SACKED
            self.records[first : last + 1] = [run]  # at once: each deletion moves all that follows

    # ---- loss ----

    def lose(self, record: Sent) -> None:
        """A record in flight is lost."""
        size = record.end - record.start
        self._unlink(record)
        record.state = LOST
        if self.lost == 0 or record.start < self._first_lost:
            self._first_lost = record.start
        self.in_flight -= size
        self.lost += size
        self.newly_lost.append(record)

    def lose_at(self, start: i64, length: i64) -> i64:
        """The data at `start`, at most `length` of it, is lost if it is in flight. Returns the bytes newly lost.

        What went in one segment is lost in one piece, though segments are smaller now. What went again together with
        what has just arrived, or later, is not: its own answer is still to come.
        """
        index = self._find(start)
        if index == len(self.records):
            return 0
        record = self.records[index]
        if record.state != IN_FLIGHT:
            return 0
        newest = self.newest
        if record.retransmitted and newest is not None and record.sent_at >= newest.sent_at:
            return 0
        if record.start < start:
            self._split(index, start)
            index += 1
            record = self.records[index]
        if length < record.segment:
            length = record.segment
        if record.end > start + length:
            self._split(index, start + length)
        self.lose(record)
        return record.end - record.start

    def lose_first(self, length: i64) -> None:
        """What stands first is to be sent again, at most `length` of it."""
        record = self.records[0]
        if record.state == IN_FLIGHT:
            if record.end - record.start > length:
                self._split(0, record.start + length)
            self.lose(record)

    def lose_sent_until(self, time: i64) -> None:
        """The retransmission timer expired: what was sent at `time` or before is lost, and whatever stands first."""
        record = self.oldest
        while record is not None and record.sent_at <= time:
            newer = record.newer
            self.lose(record)
            record = newer
        if self.records and self.records[0].state == IN_FLIGHT:
            self.lose(self.records[0])

    def renege(self) -> bool:
        """What the peer had reported it does not hold any more: it is lost (RFC 2018 8). False: nothing says so.

        The sign, as in Linux: SND.UNA stands before data that was sacked.
        """
        if not self.records or self.records[0].state != SACKED:
            return False
        for record in self.records:
            if record.state == SACKED:
                record.state = LOST
                record.retransmitted = True  # when it arrived, and whether, nobody knows
        self.lost += self.sacked
        self.sacked = 0
        self.high_sacked = 0
        self._first_lost = self.records[0].start
        return True

    def unmark_lost(self) -> None:
        """What was taken for lost is not: it is in flight again."""
        self.in_flight += self.lost
        self.lost = 0
        self.oldest = self.latest = None
        flying: list[tuple[int, int, Sent]] = []
        for record in self.records:
            if record.state == LOST:
                record.state = IN_FLIGHT
            if record.state == IN_FLIGHT:
                record.older = record.newer = None
                flying.append((record.sent_at, record.end, record))
        flying.sort()
        for _, _, record in flying:
            self._link(record)

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

    def last(self, length: i64) -> Sent:
        """The end of all that was sent, at most `length` of it. There is something in flight or sacked."""
        index: i64 = len(self.records) - 1
        record = self.records[index]
        if record.end - record.start > length:
            self._split(index, record.end - length)
            record = self.records[index + 1]
        return record

    def clear(self) -> None:
        """Forget all records: the connection is gone."""
        for record in self.records:
            record.older = record.newer = None
        self.records = []
        self.oldest = self.latest = self.newest = self.rack = None
        self.newly_lost = []
        self.in_flight = 0
        self.lost = 0
        self.sacked = 0

    # ---- order ----

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

    def _split(self, index: i64, at: i64) -> None:
        """Cut a record in two; both parts were sent at the same time and share its fate."""
        record = self.records[index]
        tail = Sent(at, record.end, record.sent_at)
        tail.segment = record.segment
        tail.state = record.state
        tail.retransmitted = record.retransmitted
        tail.delivered = record.delivered
        tail.delivered_at = record.delivered_at
        tail.first_sent_at = record.first_sent_at
        tail.lost = record.lost
        tail.in_flight = record.in_flight
        tail.app_limited = record.app_limited
        record.end = at
        self.records.insert(index + 1, tail)
        if record.state == IN_FLIGHT:
            newer = record.newer
            tail.older = record
            tail.newer = newer
            record.newer = tail
            if newer is None:
                self.latest = tail
            else:
                newer.older = tail

    def _link(self, record: Sent) -> None:
        """It was sent after all others."""
        latest = self.latest
        record.older = latest
        if latest is None:
            self.oldest = record
        else:
            latest.newer = record
        self.latest = record

    def _unlink(self, record: Sent) -> None:
        older = record.older
        newer = record.newer
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self.latest = older
        else:
            newer.older = older
        record.older = record.newer = None


def sent_after(one: Sent, other: Sent) -> bool:
    """RACK_sent_after of RFC 8985 6.2: later, or at the same time and of a higher offset."""
    return one.sent_at > other.sent_at or (one.sent_at == other.sent_at and one.end > other.end)
