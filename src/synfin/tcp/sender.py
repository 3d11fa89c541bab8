"""What may go next: lost data, new data, a probe of the tail, of the window or of the path. RFC 9293 3.8, RFC 5681.

It composes from SND.* (`send_state`) what cwnd and recovery, the peer's window, Nagle and the pace let out; the result
is described in a `Chunk`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.chunk import Chunk
from synfin.tcp.congestion.base import LOSS, NONE
from synfin.tcp.flight import Flight
from synfin.tcp.pacing import AT_ONCE, SHORT_RTT_US, Pacer
from synfin.tcp.path_probe import PathProbe
from synfin.tcp.persist import Persist
from synfin.tcp.scoreboard import IN_FLIGHT, Sent
from synfin.tcp.send_limits import burst_limit, sendable
from synfin.tcp.send_state import SendState
from synfin.tcp.tail_probe import TailProbe
from synfin.tcp.tally import ACKS, BUFFER, CONGESTION, PEER, Tally
from synfin.tcp.tally import NOTHING as AT_REST

BURST_PIECES: Final = 64
BEHIND_PROBE: Final = 3  # segments that follow a probe, so that its loss is found without a timeout (RFC 4821 7.4)


class Sender(SendState):
    """The whole sending half of a connection."""

    def _next_probe(self, path: PathProbe, flight: Flight | None, now: i64, chunk: Chunk) -> i64:
        """Describe a probe: 1. 0: none can go now. -1: it waits until ACKs have made room, which they soon do.

        RFC 4821 7.4: with nothing lost, and with enough data and window for what must follow it. While a hole is found,
        a probe is an ordinary segment of what is to be sent again: congestion has had its answer by the timeout. Not so
        without SACK, where duplicate ACKs mean nothing after a timeout (RFC 6582 4): nobody would tell that it is lost.
        """
        losses = self.losses
        congestion = losses.congestion()
        size = path.next_size(self.rto.srtt * (congestion.cwnd // self.mss), now)
        if size <= self.mss:
            return 0
        room = losses.room()
        lost: i64 = 0
        behind = self.mss
        if losses.sack and (path.doubted or (path.in_recovery and losses.recovery.phase == LOSS)):
            if room < size + behind or losses.recovery.prr is not None:
                return 0
            lost = flight.board.lost if flight is not None else 0
        else:
            behind *= BEHIND_PROBE
            if losses.recovery.phase != NONE or congestion.cwnd < size + behind:
                return 0
            if flight is not None and (flight.board.lost or flight.board.sacked):
                return 0
        if lost == 0:
            need = self.snd_nxt + size + behind
            if self.buffer.end < need or self.snd_una + self.snd_wnd < need:
                return 0
            if room < size:
                return -1
        return 1 if self._probe_of(size, lost, path, flight, now, chunk) else 0

    def _probe_of(self, size: i64, lost: i64, path: PathProbe, flight: Flight | None, now: i64, chunk: Chunk) -> bool:
        """One segment of `size`."""
        usual = self.mss
        self._clear(chunk)
        self._cut(size)
        sent = False
        if lost == 0:
            sent = self._new_chunk(now, size, chunk, False)
        elif flight is not None and not path.covered(flight.board.next_lost(lost)):
            sent = self._lost_chunk(flight, now, size, chunk)
        self._cut(usual)
        if sent and chunk.length == size and self.losses.flight is not None:
            record = self.losses.flight.board.latest
            assert record is not None
            path.sent(record, size)
        return sent

    def next_chunk(self, now: i64, limit: i64, chunk: Chunk) -> bool:
        """Describe the next burst, at most `limit` bytes of payload (at least one segment). False: nothing may go."""
        if self.idle():
            if self.tally is not None:
                self.tally.waits_for(AT_REST, now)
            return False
        flight = self.losses.flight
        lost: i64 = 0
        if flight is not None:
            lost = flight.board.lost
            tail = self.losses.tail
            if tail is not None and tail.due:
                return self._tail_chunk(flight, tail, now, chunk)
        if lost == 0 and self.snd_nxt >= self.buffer.end:
            if self.fin_offset < 0 or self.snd_nxt > self.fin_offset:
                return self._waits_for(ACKS, now)
        path = self.losses.path
        if path is not None and not self._must_send:
            probe = self._next_probe(path, flight, now, chunk)
            if probe:
                return probe > 0 or self._waits_for(CONGESTION, now)
        self._clear(chunk)
        burst = self._burst_limit()
        if limit < burst:
            burst = limit
        if burst < self.mss:
            burst = self.mss
        if flight is None or lost == 0:
            return self._new_chunk(now, burst, chunk, False)
        if self.losses.recovery.prefer_new and self._new_chunk(now, burst, chunk, False):
            return True
        return self._lost_chunk(flight, now, burst, chunk)

    def _clear(self, chunk: Chunk) -> None:
        chunk.pieces = []
        chunk.length = 0
        chunk.segment = 0
        chunk.push = False
        chunk.fin = False
        chunk.retransmission = False

    def _burst_limit(self) -> i64:
        return burst_limit(self.mss, self.pacing_rate())

    def _must_wait(self, now: i64) -> bool:
        """The next burst is not yet paid for."""
        paced = self.pacing and (self.rto.min_rtt > SHORT_RTT_US or self.asked.max_pacing_rate > 0.0)
        self.losses.congestion().paced = paced
        if not paced:
            return False
        rate = self.pacing_rate()
        if rate == 0.0:
            return False
        pacer = self.pacer
        if pacer is None:
            pacer = self.pacer = Pacer(now)
        if self.losses.flight is None and (self.snd_nxt == 1 or now - self._last_sent_at > self.rto.rto):
            pacer.begin(AT_ONCE * self.mss)
        return not pacer.may_send(rate, self.rto.min_rtt, self.mss, now)

    def _lost_chunk(self, flight: Flight, now: i64, burst: i64, chunk: Chunk) -> bool:
        board = flight.board
        room = self.losses.room()
        if room < board.lost:
            self._limited_until = self.snd_nxt
        # RFC 9293 3.8.6, MUST-36: into a window that was taken back one segment goes at a time, as a probe.
        if room < self.mss or self.snd_wnd == 0:
            if board.in_flight > 0 and not self._must_send:
                return self._waits_for(PEER if self.snd_wnd == 0 else CONGESTION, now)
            room = self.mss
        if not self._must_send and self._must_wait(now):
            return self._waits_for(CONGESTION, now)
        room = room // self.mss * self.mss
        record = board.next_lost(room if room < burst else burst)
        if record is None:
            return False
        length = self._cover(chunk, record)
        if length < record.end - record.start and record.end <= self.buffer.end:
            record = board.next_lost(length)
            assert record is not None
        self._resend(record, now, True)
        self._must_send = False
        return True

    def _waits_for(self, what: i64, now: i64) -> bool:
        """False, as nothing goes out now."""
        if self.tally is None:
            self.tally = Tally(now)
        self.tally.waits_for(what, now)
        return False

    def _obstacle(self, available: i64, room: i64, window: i64) -> i64:
        """Why nothing of the `available` bytes goes out; of several the first, as in Linux."""
        least = available if available < self.mss else self.mss
        if available == 0:
            return ACKS
        if room < least:
            return CONGESTION
        if window < least:
            return PEER
        return BUFFER if self.asked.send_buffer and self._kept(least) < least else ACKS

    def _resend(self, record: Sent, now: i64, lost: bool) -> None:
        self.losses.on_resent(record, now, lost)
        if record.start == self.snd_una and not self._must_send:
            self.rto_deadline = now + self.rto.rto  # for what stands first the waiting begins anew, as in Linux
        size = record.end - record.start
        if self.tally is not None:
            self.tally.resent(size, self.mss)
        self._sent(size, now)

    def _cover(self, chunk: Chunk, record: Sent) -> i64:
        """Describe the retransmission of a record: its text, or less where the pieces are too many. Its bytes."""
        start = record.start
        data_end = record.end if record.end <= self.buffer.end else self.buffer.end
        length = data_end - start
        if length > 0:
            length = self.buffer.slice_into(start, length, BURST_PIECES, chunk.pieces)
        chunk.offset = start
        chunk.length = length
        chunk.fin = record.end > self.buffer.end and start + length == self.buffer.end
        chunk.push = length > 0 and start + length == self.buffer.end
        chunk.retransmission = True
        if length > self.mss:
            chunk.segment = self.mss
        return length

    def _tail_chunk(self, flight: Flight, tail: TailProbe, now: i64, chunk: Chunk) -> bool:
        """RFC 8985 7.3: one new segment beyond cwnd if there is one, else the last one again."""
        self._clear(chunk)
        tail.due = False
        window = self.snd_una + self.snd_wnd - self.snd_nxt
        available = self.buffer.end - self.snd_nxt
        if available > 0 and window > 0:
            length = available if available < self.mss else self.mss
            if length <= window:
                self._describe_new(length, self.fin_offset >= 0 and length == available < window, now, chunk)
                tail.sent(self.snd_nxt, self.snd_nxt - self.snd_una, False)
                self.rto_deadline = now + self.rto.rto
                return True
        record = flight.board.last(self.mss)
        if record.state != IN_FLIGHT:
            return False
        self._cover(chunk, record)
        self._resend(record, now, False)
        tail.sent(self.snd_nxt, self.snd_nxt - self.snd_una, True)
        self.rto_deadline = now + self.rto.rto
        return True

    def _new_chunk(self, now: i64, burst: i64, chunk: Chunk, override: bool) -> bool:
        mss = self.mss
        available = self.buffer.end - self.snd_nxt
        if available < 0:
            available = 0
        fin_waits = self.fin_offset >= 0 and self.snd_nxt <= self.fin_offset
        if self.losses.flight is None:
            self._begin_flight(now)
        window = self.snd_una + self.snd_wnd - self.snd_nxt
        room = self.losses.room()
        length = available
        if length > burst:
            length = burst
        if length > room:
            length = room
            self._limited_until = self.snd_nxt
        if self.asked.send_buffer:
            length = self._kept(length)
        if length > window:
            length = window
        # Nagle with Minshall's rule: one short segment in flight at a time (RFC 9293 3.7.4).
        wait = not (self.nodelay or self._small_end <= self.snd_una) or self.asked.cork
        if fin_waits or override:
            wait = False
        length = sendable(length, available, window, mss, self.max_wnd, wait, override)
        # The FIN takes one number of the window, like a byte.
        fin = fin_waits and length == available and (window > length)
        if length <= 0 and not fin:
            # Only a full window of the peer's, or a cork, can have stopped us with nothing in flight.
            if self.snd_una == self.snd_nxt and self.persist is None:
                self.persist = Persist(now, self.rto.rto)
            return self._waits_for(self._obstacle(available, room, window), now)
        if self._must_wait(now):
            return self._waits_for(CONGESTION, now)
        self._describe_new(length, fin, now, chunk)
        self.persist = None
        return True

    def _kept(self, length: i64) -> i64:
        """Of so much new text what a send buffer has room for that the user has set; two segments at least are out."""
        most = self.asked.send_buffer
        if most < 2 * self.mss:
            most = 2 * self.mss
        left = self.snd_una + most - self.snd_nxt
        if length <= left:
            return length
        self.losses.note_idle_writer()
        return left if left > 0 else 0

    def _begin_flight(self, now: i64) -> None:
        """Nothing is out: before the first transmission after a while the congestion control may look at its watch."""
        losses = self.losses
        if now - self._last_sent_at > self.rto.rto:
            losses.congestion().on_idle(now, self._config.initial_window)
        losses.congestion().on_transmit(now, 0, losses.rate.app_limited != 0)

    def _describe_new(self, length: i64, fin: bool, now: i64, chunk: Chunk) -> None:
        """The next `length` bytes of new data, and the FIN, go out; fewer, where the pieces are too many."""
        mss = self.mss
        if length > 0:
            covered = self.buffer.slice_into(self.snd_nxt, length, BURST_PIECES, chunk.pieces)
            if covered < length:
                fin = False
                length = covered // mss * mss
                if length == 0:
                    length = covered
                if length < covered:
                    chunk.pieces = []
                    self.buffer.slice_into(self.snd_nxt, length, BURST_PIECES, chunk.pieces)
        chunk.offset = self.snd_nxt
        chunk.length = length
        chunk.fin = fin
        chunk.push = length > 0 and self.snd_nxt + length == self.buffer.end
        if length > mss:
            chunk.segment = mss
        end = self.snd_nxt + length
        if length % mss:
            self._small_end = end
        if fin:
            end += 1
        if self.snd_una == self.snd_nxt:
            self._progress_at = now
            if self.tally is None:
                self.tally = Tally(now)
            else:
                self.tally.waits_for(ACKS, now)
        flight = self.losses.on_new(self.snd_nxt, end, now)
        self.snd_nxt = end
        self._probed = False
        self._sent(length, now)
        self._arm_tail(flight, now)

    def probe(self, now: i64, chunk: Chunk) -> bool:
        """Describe a zero-window probe: one new byte, or the FIN (RFC 9293 3.8.6.1). False: there is room to send."""
        window = self.snd_una + self.snd_wnd - self.snd_nxt
        self._clear(chunk)
        if window > 0:
            return self._new_chunk(now, self._burst_limit(), chunk, True)
        chunk.offset = self.snd_nxt
        chunk.fin = self.snd_nxt == self.fin_offset
        if not chunk.fin:
            chunk.length = self.buffer.slice_into(self.snd_nxt, 1, 1, chunk.pieces)
        self._probed = True
        return True
