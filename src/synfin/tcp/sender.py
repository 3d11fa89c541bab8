"""SND.*: what may go next, and what an ACK changes. RFC 9293 3.8, RFC 5681, RFC 6298 5.

It owns the send buffer, the scoreboard of what is out, the RTT estimate, recovery, the persist timer and the congestion
control. It takes offsets and `now`; what is to be sent it describes in a `Chunk`, which `output` makes a segment of.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.config import Config
from synfin.tcp.congestion.base import AckSample, CongestionControl
from synfin.tcp.persist import Persist
from synfin.tcp.recovery import FAST, NONE, Recovery
from synfin.tcp.rto import Rto
from synfin.tcp.scoreboard import Scoreboard
from synfin.tcp.send_buffer import SendBuffer
from synfin.tcp.send_limits import burst_limit, sendable
from synfin.tcp.timer import earlier
from synfin.tcp.timestamps import TICK_US
from synfin.wire.checksum import Piece

# what on_ack() and on_timer() say
ACKED: Final = 1  # SND.UNA moved
FIN_ACKED: Final = 2
FAST_RETRANSMIT: Final = 4
PARTIAL_ACK: Final = 8
TIMEOUT: Final = 16  # the retransmission timer expired
PROBE: Final = 32  # a zero-window probe is due: probe() describes it
GIVE_UP: Final = 64
SACK_RECOVERY: Final = 128  # the fast retransmit follows from SACK blocks
RENEGED: Final = 256  # the peer does not hold any more what it had reported

# what on_sack() says
DUPLICATE: Final = 1  # D-SACK: the peer got something twice
DISCARDED: Final = 2  # a block that can't be true
TOO_FINE: Final = 4  # a block that would have cut the scoreboard into too many records

BURST_PIECES: Final = 64
AFTER_SYN_TIMEOUT_US: Final = 3_000_000  # RFC 6298 5.7


class Chunk:
    """What `next_chunk()` wants sent. One reused object; `pieces` is a new list each time."""

    def __init__(self) -> None:
        self.offset: i64 = 0
        self.length: i64 = 0  # payload bytes
        self.pieces: list[Piece] = []
        self.segment: i64 = 0  # payload bytes per segment, when there is more than one; else 0
        self.push: bool = False
        self.fin: bool = False
        self.retransmission: bool = False


class Sender:
    """RFC 9293 3.3.1 send sequence variables, as 64-bit offsets from ISS (the SYN is offset 0)."""

    def __init__(self, config: Config, congestion: CongestionControl, mss: i64, now: i64) -> None:
        self.snd_una: i64 = 0  # oldest unacknowledged offset
        self.snd_nxt: i64 = 1  # next new offset to send; snd_una <= snd_nxt
        self.snd_wnd: i64 = 0  # the peer's window, bytes from snd_una
        self.snd_wl1: i64 = 0  # SEG.SEQ of the last window update, a receive offset
        self.snd_wl2: i64 = 0  # SEG.ACK of it
        # MAX.SND.WND: the largest ever offered, which never falls. RFC 5961 5.2 says so: an ACK may be as old. And
        # RFC 9293 3.8.6.2.1: of a peer with less room than once the override timeout takes care, while a maximum that
        # fell would follow a peer that opens its window by crumbs down to silly segments.
        self.max_wnd: i64 = 0
        self.mss: i64 = mss
        self.sack: bool = False  # agreed on (RFC 2018)
        self.nodelay: bool = config.nodelay
        self.fin_offset: i64 = -1  # where our FIN stands, once the user has closed
        self.retries: i64 = 0  # retransmission timeouts since SND.UNA last moved
        self.congestion: CongestionControl = congestion
        self.buffer: SendBuffer = SendBuffer()
        self.board: Scoreboard = Scoreboard(config.scoreboard_limit)
        self.rto: Rto = Rto(config.rto_initial_us, config.rto_min_us, config.rto_max_us)
        self.recovery: Recovery = Recovery()
        self.persist: Persist = Persist()
        self.rto_deadline: i64 = 0  # 0: the retransmission timer is off
        self._config: Config = config
        self.user_timeout_us: i64 = config.user_timeout_us
        self._progress_at: i64 = now  # when SND.UNA last moved, or data or a probe was first put in flight
        self._last_sent_at: i64 = now
        self._small_end: i64 = 0  # end of the last segment sent shorter than an MSS (Minshall's Nagle)
        self._limited_until: i64 = 0  # data below this was sent while cwnd held more of it back
        self._sacked: i64 = 0  # bytes that SACK blocks of the segment in hand newly reported
        self._probed: bool = False  # one number beyond the window was sent and is in no record

    # ---- the handshake is done ----

    def establish(self, mss: i64, window: i64, seq: i64, ack: i64, rtt: i64, syn_lost: bool, now: i64) -> None:
        """SYN acknowledged: the segment size, the peer's window and a first RTT (0: none) are known."""
        self.mss = mss
        self.snd_una = 1
        self.snd_nxt = 1
        self.snd_wnd = window
        self.max_wnd = window
        self.snd_wl1 = seq
        self.snd_wl2 = ack
        # RFC 5681 3.1: one segment if the SYN or SYN,ACK was lost. RFC 6298 5.7: and an RTO of 3 s.
        self.congestion.start(mss, 1 if syn_lost else self._config.initial_window)
        if rtt > 0:
            self.rto.sample(rtt)
        elif syn_lost:
            self.rto.restart(AFTER_SYN_TIMEOUT_US)
        self._last_sent_at = now
        self._progress_at = now

    def set_mss(self, mss: i64) -> None:
        """The path carries less than was thought: what is in flight was too big and is lost (RFC 1191 6.4)."""
        self.mss = mss
        self.congestion.mss = mss
        if self.congestion.cwnd < mss:
            self.congestion.cwnd = mss
        self.board.mark_all_lost()
        self.recovery.enter_loss(self.snd_nxt)

    # ---- the user ----

    def write(self, data: bytes) -> None:
        """Queue bytes, kept by reference."""
        self.buffer.append(data)

    def queue_fin(self) -> None:
        """Our FIN follows the last byte written (RFC 9293 3.10.4)."""
        self.fin_offset = self.buffer.end

    def queued(self) -> i64:
        """Bytes written and not acknowledged."""
        return self.buffer.end - self.buffer.start

    def excess(self) -> i64:
        """Bytes written beyond what the connection takes off its user's hands: what a kernel would not buffer.

        The connection's share follows the congestion window, as Linux sizes its send buffer.
        """
        share = 2 * self.congestion.cwnd
        config = self._config
        if share < config.send_buffer:
            share = config.send_buffer
        if share > config.send_buffer_max:
            share = config.send_buffer_max
        excess = self.queued() - share
        return excess if excess > 0 else 0

    def drop_excess(self) -> None:
        """Forget what exceeds the connection's share and was never sent."""
        dropped = self.excess()
        unsent = self.unsent()
        if dropped > unsent:
            dropped = unsent
        self.buffer.truncate(self.buffer.end - dropped)

    def unsent(self) -> i64:
        """Bytes written and never sent."""
        unsent = self.buffer.end - self.snd_nxt
        return unsent if unsent > 0 else 0

    def outstanding(self) -> bool:
        """Something sent is not acknowledged."""
        return self.snd_una < self.snd_nxt

    def idle(self) -> bool:
        """Nothing to send, nothing to be acknowledged."""
        if self.snd_una < self.snd_nxt or self.snd_nxt < self.buffer.end:
            return False
        return self.fin_offset < 0 or self.snd_nxt > self.fin_offset

    def fin_sent(self) -> bool:
        """Our FIN is on its way, or there."""
        return 0 <= self.fin_offset < self.snd_nxt

    def only_fin_is_out(self) -> bool:
        """All text is acknowledged, and our FIN is on its way."""
        return 0 <= self.fin_offset < self.snd_nxt and self.snd_una >= self.fin_offset

    def ack_limit(self) -> i64:
        """The highest ACK that can be honest: SND.NXT, or one more while a probe is out."""
        return self.snd_nxt + 1 if self._probed else self.snd_nxt

    def stop(self) -> None:
        """The connection is gone: forget the data and every timer."""
        self.board.clear()
        self.buffer.clear()
        self.rto_deadline = 0
        self.persist.stop()

    # ---- what an ACK changes ----

    def on_sack(self, blocks: list[tuple[int, int]], ack: i64, now: i64) -> i64:
        """SACK blocks, as offsets, of an acceptable ACK that on_ack() gets next.

        DUPLICATE, DISCARDED, TOO_FINE, or 0.
        """
        result: i64 = 0
        for place in range(len(blocks)):
            left: i64 = blocks[place][0]
            right: i64 = blocks[place][1]
            # RFC 2883 4: the first block tells what came twice, if it lies below the ACK or within the second.
            if left < right <= ack or (place == 0 and len(blocks) > 1 and blocks[1][0] <= left < right <= blocks[1][1]):
                if place == 0:
                    result |= DUPLICATE
            elif left < ack or left >= right or right > self.snd_nxt:
                result |= DISCARDED
            else:
                newly = self.board.sack(left, right, now)
                if newly < 0:
                    result |= TOO_FINE
                else:
                    self._sacked += newly
        return result

    def on_ack(self, ack: i64, seq: i64, window: i64, pure: bool, ts_rtt: i64, now: i64, sample: AckSample) -> i64:
        """An acceptable ACK arrived. pure: its segment had no data, SYN or FIN. ts_rtt: µs by its echo, -1 none."""
        result: i64 = 0
        self.persist.unanswered = 0
        sacked = self._sacked
        self._sacked = 0
        if ack > self.snd_una:
            result = self._on_progress(ack, ts_rtt, sacked, now, sample)
        elif self.sack:
            if sacked:
                result = self._on_sacked(sacked, now)
        elif (
            pure
            and ack == self.snd_una
            and self.snd_una < self.snd_nxt
            and window == self.snd_wnd
            and self.board.records
        ):
            # RFC 5681 2: same ACK, no data, same window, data outstanding.
            result = self._on_duplicate(now)
        # RFC 9293 3.10.7.4: only a segment not older than the last update may set the window.
        if self.snd_wl1 < seq or (self.snd_wl1 == seq and self.snd_wl2 <= ack):
            self.snd_wnd = window
            self.snd_wl1 = seq
            self.snd_wl2 = ack
            if window > self.max_wnd:
                self.max_wnd = window
        if self.snd_wnd == 0:
            self.retries = 0  # RFC 9293 3.8.6, MUST-35: who took the window back but answers is not given up
        return result

    def _on_progress(self, ack: i64, ts_rtt: i64, sacked: i64, now: i64, sample: AckSample) -> i64:
        result: i64 = ACKED
        recovery = self.recovery
        credited = recovery.dup_bytes
        sample.prior_in_flight = self.board.in_flight + sacked - credited
        newly = self.board.ack(ack, now) + sacked
        if self.snd_nxt < ack:  # the peer took our zero-window probe
            self.snd_nxt = ack
        self.snd_una = ack
        if self.idle():
            self.persist.stop()
        self._probed = False
        if self.fin_offset >= 0 and ack > self.fin_offset:
            result |= FIN_ACKED
        self.buffer.release(ack)
        rtt: i64 = 0
        if self.board.rtt_sent_at >= 0:
            rtt = now - self.board.rtt_sent_at
            if rtt < 1:
                rtt = 1
        elif 0 < ts_rtt <= now - self.board.oldest_sent_at + TICK_US:
            # An echo from before the last retransmission: the ACK of an earlier one was lost, and what answers now is
            # the refusal of a duplicate. As an RTT it would raise the RTO by every lost ACK (Karn, RFC 6298 3).
            rtt = ts_rtt
        if rtt > 0:
            self.rto.sample(rtt)
        self.retries = 0
        self._progress_at = now
        lost = self.board.mark_lost_by_sack(self.mss) if self.board.sacked else 0
        recovering = recovery.phase == FAST  # RFC 6582 3.2 step 3: the ACK that ends it leaves cwnd at ssthresh
        if recovery.on_progress(ack, newly):
            if not self.sack:
                result |= PARTIAL_ACK
                lost = self.board.mark_lost_at(ack, self.mss)  # RFC 6582 3.2 step 3
            fresh = newly - credited
            recovery.on_delivered(fresh if fresh > 0 else 0, self._pipe(), self.congestion.ssthresh, self.mss)
            if not self.sack:
                recovery.allow_one(self.mss)
        elif not recovering:
            sample.now = now
            sample.acked = newly
            sample.lost = lost
            sample.delivered = self.board.delivered
            sample.rate = float(self.board.rate)
            sample.rtt = rtt
            sample.cwnd_limited = ack <= self._limited_until
            sample.recovery = recovery.phase
            self.congestion.on_ack(sample)
        # Losses that the SACK blocks of this or, above the end of the last recovery, of earlier ACKs have shown.
        if recovery.phase == NONE and self.board.lost:
            result |= self._fast_retransmit(newly, now) | SACK_RECOVERY
        # RFC 6298 5.2 and 5.3: all acknowledged, stop; some, start again.
        self.rto_deadline = now + self.rto.rto if self.snd_una < self.snd_nxt else 0
        return result

    def _on_duplicate(self, now: i64) -> i64:
        recovery = self.recovery
        if recovery.on_duplicate(self.snd_una, self.mss, self.board.in_flight):
            self.board.mark_lost_at(self.snd_una, self.mss)
            return self._fast_retransmit(self.mss, now)
        if recovery.phase == FAST:
            recovery.on_delivered(self.mss, self._pipe(), self.congestion.ssthresh, self.mss)
        return 0

    def _on_sacked(self, sacked: i64, now: i64) -> i64:
        """RFC 6675 5: an ACK that moves nothing, but reports `sacked` more bytes behind a hole."""
        recovery = self.recovery
        self.board.mark_lost_by_sack(self.mss)
        if recovery.on_sacked() and self.board.lost == 0:
            self.board.mark_lost_at(self.snd_una, self.mss)
        if recovery.phase == NONE and self.board.lost:
            return self._fast_retransmit(sacked, now) | SACK_RECOVERY
        if recovery.phase == FAST:
            recovery.on_delivered(sacked, self._pipe(), self.congestion.ssthresh, self.mss)
        return 0

    def _fast_retransmit(self, delivered: i64, now: i64) -> i64:
        """Something is lost, as ACKs tell: fast recovery begins (RFC 5681 3.2, RFC 6675 5 step 4)."""
        flight = self._flight()
        recovery = self.recovery
        recovery.enter_fast(self.snd_nxt, flight)
        self.congestion.on_loss(now, flight)
        recovery.on_delivered(delivered, self._pipe(), self.congestion.ssthresh, self.mss)
        recovery.allow_one(self.mss)
        self.rto_deadline = now + self.rto.rto  # a window takes a round trip to mend (RFC 6675 6; Linux does so too)
        return FAST_RETRANSMIT

    # ---- what may go next ----

    def next_chunk(self, now: i64, limit: i64, chunk: Chunk) -> bool:
        """Describe the next burst, at most `limit` bytes of payload (at least one segment). False: nothing may go."""
        if self.snd_nxt >= self.buffer.end and self.board.lost == 0 and self.recovery.phase != FAST:
            if self.fin_offset < 0 or self.snd_nxt > self.fin_offset:
                return False
        chunk.pieces = []
        chunk.fin = False
        chunk.segment = 0
        burst = self._burst_limit()
        if limit < burst:
            burst = limit
        if burst < self.mss:
            burst = self.mss
        if self.board.lost == 0:
            if self._new_chunk(now, burst, chunk, False):
                return True
            if not self._guess_lost():
                return False
        return self._lost_chunk(now, burst, chunk)

    def _guess_lost(self) -> bool:
        """Recovery lets more out than is known lost, and nothing new may go: what is likely lost goes again.

        RFC 6675 4, NextSeg() rules 3 and 4: the first hole; else the last segment, whose loss no SACK can show.
        """
        recovery = self.recovery
        if recovery.phase != FAST or not self.sack or self._room() < self.mss:
            return False
        return self.board.mark_next_lost(self.mss) > 0 or self.board.mark_last_lost(self.mss, recovery.point) > 0

    def _flight(self) -> i64:
        """FlightSize of RFC 5681 2; what limited transmit sent beyond cwnd does not count (3.2, step 2)."""
        flight = self.snd_nxt - self.snd_una
        return flight if flight < self.congestion.cwnd else self.congestion.cwnd

    def _pipe(self) -> i64:
        return self.board.in_flight - self.recovery.dup_bytes

    def _room(self) -> i64:
        """Bytes that congestion control and recovery let out now."""
        if self.recovery.phase == FAST:
            return self.recovery.allowance()
        return self.congestion.cwnd - self._pipe()

    def _burst_limit(self) -> i64:
        congestion = self.congestion
        return burst_limit(self.mss, congestion.cwnd, congestion.ssthresh, self.rto.srtt)

    def _lost_chunk(self, now: i64, burst: i64, chunk: Chunk) -> bool:
        room = self._room()
        # RFC 9293 3.8.6, MUST-36: into a window that was taken back one segment goes at a time, as a probe.
        if room < self.mss or self.snd_wnd == 0:
            if self.board.in_flight > 0:
                return False
            room = self.mss
        room = room // self.mss * self.mss
        record = self.board.next_lost(room if room < burst else burst)
        if record is None:
            return False
        start = record.start
        data_end = record.end if record.end <= self.buffer.end else self.buffer.end
        length = data_end - start
        if length > 0:
            covered = self.buffer.slice_into(start, length, BURST_PIECES, chunk.pieces)
            if covered < length:
                record = self.board.next_lost(covered)
                assert record is not None
                length = covered
        chunk.offset = start
        chunk.length = length
        chunk.fin = record.end > self.buffer.end
        chunk.push = length > 0 and data_end == self.buffer.end
        chunk.retransmission = True
        if length > self.mss:
            chunk.segment = self.mss
        self.board.resent(record, now)
        if self.recovery.phase == FAST:
            self.recovery.on_sent(record.end - start)
        self._sent(now)
        return True

    def _new_chunk(self, now: i64, burst: i64, chunk: Chunk, override: bool) -> bool:
        mss = self.mss
        available = self.buffer.end - self.snd_nxt
        if available < 0:
            available = 0
        fin_waits = self.fin_offset >= 0 and self.snd_nxt <= self.fin_offset
        if self.board.in_flight == 0 and now - self._last_sent_at > self.rto.rto and self.recovery.phase == NONE:
            self.congestion.on_idle(self._config.initial_window)
        window = self.snd_una + self.snd_wnd - self.snd_nxt
        room = self._room()
        length = available
        if length > burst:
            length = burst
        if length > room:
            length = room
            self._limited_until = self.snd_nxt
        if length > window:
            length = window
        # Nagle with Minshall's rule: one short segment in flight at a time (RFC 9293 3.7.4).
        wait = not (self.nodelay or fin_waits or override or self._small_end <= self.snd_una)
        length = sendable(length, available, window, mss, self.max_wnd, wait, override)
        # The FIN takes one number of the window, like a byte.
        fin = fin_waits and length == available and (window > length)
        if length <= 0 and not fin:
            # Only a full window of the peer's can have stopped us with nothing in flight.
            if self.snd_una == self.snd_nxt:
                self.persist.start(now, self.rto.rto)
            return False
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
        chunk.retransmission = False
        if length > mss:
            chunk.segment = mss
        end = self.snd_nxt + length
        if length % mss:
            self._small_end = end
        if fin:
            end += 1
        if self.snd_una == self.snd_nxt:
            self._progress_at = now
        self.board.add(self.snd_nxt, end, now)
        if self.recovery.phase == FAST:
            self.recovery.on_sent(end - self.snd_nxt)
        self.snd_nxt = end
        self._probed = False
        self.persist.stop()
        self._sent(now)
        return True

    def _sent(self, now: i64) -> None:
        self._last_sent_at = now
        if self.rto_deadline == 0:  # RFC 6298 5.1
            self.rto_deadline = now + self.rto.rto

    def probe(self, now: i64, chunk: Chunk) -> bool:
        """Describe a zero-window probe: one new byte, or the FIN (RFC 9293 3.8.6.1). False: there is room to send."""
        window = self.snd_una + self.snd_wnd - self.snd_nxt
        chunk.pieces = []
        chunk.segment = 0
        if window > 0:
            return self._new_chunk(now, self._burst_limit(), chunk, True)
        chunk.offset = self.snd_nxt
        chunk.retransmission = False
        chunk.push = False
        chunk.fin = self.snd_nxt == self.fin_offset
        chunk.length = 0
        if not chunk.fin:
            chunk.length = self.buffer.slice_into(self.snd_nxt, 1, 1, chunk.pieces)
        self._probed = True
        return True

    # ---- timers ----

    def deadline(self) -> i64:
        """When on_timer() is due; 0: nothing is waited for."""
        due = earlier(self.rto_deadline, self.persist.deadline)
        if self.user_timeout_us and self._unanswered():
            return earlier(due, self._progress_at + self.user_timeout_us)
        return due

    def _unanswered(self) -> bool:
        """The peer owes us an ACK, of data or of a probe: the user timeout runs."""
        return self.snd_una < self.snd_nxt or self.persist.unanswered > 0

    def on_timer(self, now: i64, retries: i64, orphan: bool) -> i64:
        """Do what is due. TIMEOUT: lost data waits in next_chunk(). PROBE: call probe(). GIVE_UP: the peer is gone.

        orphan: the user has closed; nobody is left to decide that a window has been closed for long enough.
        """
        outstanding = self.snd_una < self.snd_nxt
        if self.user_timeout_us and self._unanswered() and now - self._progress_at >= self.user_timeout_us:
            return GIVE_UP
        if self.rto_deadline and now >= self.rto_deadline:
            if not outstanding:
                self.rto_deadline = 0
                return 0
            if self.retries >= retries:
                return GIVE_UP
            self.retries += 1
            flight = self._flight()
            reneged = self.board.renege()
            self.board.mark_all_lost()
            self.recovery.enter_loss(self.snd_nxt)
            self.congestion.on_rto(now, flight, self.retries == 1)
            self.rto.back_off()
            self.rto_deadline = now + self.rto.rto
            return TIMEOUT | RENEGED if reneged else TIMEOUT
        if self.persist.deadline and now >= self.persist.deadline:
            if self.persist.unanswered >= retries or (orphan and self.persist.sent >= retries):
                return GIVE_UP
            if self.persist.unanswered == 0:
                self._progress_at = now
            self.persist.probe_sent(now, self._config.rto_max_us)
            return PROBE
        return 0
