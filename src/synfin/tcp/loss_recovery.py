"""From an ACK to what it means for the path: delivered, lost, recovered, spurious. RFC 9293 3.8.

In this order: what an ACK delivers (scoreboard, rate; without SACK dupacks, which knows what is lost by that), whether
a recovery ends or was for nothing (recovery, undo), what is lost (rack) and whether a recovery begins, what the
congestion control makes of it, and what recovery lets out (prr).
It knows neither windows of the peer nor bytes: `sender` does.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.config import Config
from synfin.tcp.congestion.base import FAST, LOSS, NONE, AckSample, CongestionControl
from synfin.tcp.congestion.choice import factory
from synfin.tcp.ecn import Marks
from synfin.tcp.flight import Flight
from synfin.tcp.path_probe import LARGE, R1, VANISHED, PathProbe
from synfin.tcp.rack import Rack
from synfin.tcp.rate import Rate
from synfin.tcp.recovery import Recovery
from synfin.tcp.rto import Rto
from synfin.tcp.scoreboard import Scoreboard, Sent
from synfin.tcp.tail_probe import TailProbe
from synfin.tcp.timer import earlier
from synfin.tcp.timestamps import TICK_US, rtt_us, sent_by

FAST_RETRANSMIT: Final = 4  # losses were found: fast recovery begins
PARTIAL_ACK: Final = 8
SACK_RECOVERY: Final = 128  # the fast retransmit follows from SACK blocks
DUPLICATE: Final = 512  # D-SACK: the peer got something twice
DISCARDED: Final = 1024  # a SACK block that can't be true
TOO_FINE: Final = 2048  # a SACK block that would have cut the scoreboard into too many records
UNDONE: Final = 4096  # what was taken for lost was not: recovery, and what it had reduced, is taken back
TAIL_MENDED: Final = 16384  # the tail-loss probe has mended a loss that nothing else shows
MARKED: Final = 32768  # a router has marked packets: cwnd answers

NO_RATE: Final = Rate()  # of all connections that have never sent; nobody writes to it
NO_RECOVERY: Final = Recovery()  # of all connections that have had none; nobody writes to it


class LossRecovery:
    """Of one connection. Offsets from ISS; una, nxt: SND.UNA before the ACK in hand, and SND.NXT."""

    def __init__(self, config: Config, mss: i64) -> None:
        self._config: Config = config
        self._congestion: CongestionControl | None = None  # until somebody asks: who only listens needs none
        self._segments: i64 = 0  # of the initial window, once the handshake is done
        self.mss: i64 = mss
        self.sack: bool = False  # agreed on (RFC 2018)
        self.flight: Flight | None = None  # while something is out
        self.rack: Rack | None = None  # where SACK was agreed on, from the first transmission on; as the next
        self.tail: TailProbe | None = None
        self.marks: Marks | None = None  # where ECN was agreed on
        self.rate: Rate = NO_RATE  # until there is something to send
        self.recovery: Recovery = NO_RECOVERY  # until there is one: most connections never lose anything
        self.path: PathProbe | None = None  # while it is in doubt or searched for what the path carries
        self.vanished: i64 = 1  # large segments lost since one arrived; that none ever has counts as one
        self.vanishing: i64 = 0  # the smallest of them; 0: none

    def establish(self, sack: bool, mss: i64, segments: i64) -> None:
        """The handshake is done."""
        self.mss = mss
        self.sack = sack
        self._segments = segments
        if self._congestion is not None:
            self._start(self._congestion)

    def congestion(self) -> CongestionControl:
        """The congestion control; made when it is first asked for."""
        congestion = self._congestion
        if congestion is None:
            congestion = factory(self._config.congestion_control)(self.mss)
            self._congestion = congestion
            if self._segments:
                self._start(congestion)
        return congestion

    def exchange(self, congestion: CongestionControl) -> None:
        """Another one, which has taken over from the old."""
        self._congestion = congestion

    def _start(self, congestion: CongestionControl) -> None:
        congestion.sack = self.sack
        congestion.start(self.mss, self._segments)

    # ---- sending ----

    def room(self) -> i64:
        """Bytes that congestion control and recovery let out now."""
        if self.recovery.prr is not None:
            return self.recovery.prr.allowance
        flight = self.flight
        cwnd = self.congestion().cwnd
        return cwnd if flight is None else cwnd - flight.pipe()

    def on_new(self, start: i64, end: i64, now: i64) -> Flight:
        """New data goes out."""
        flight = self.flight
        if flight is None:
            flight = self.flight = Flight(self._config.scoreboard_limit, self.sack)
            self._own_rate()
            if self.sack and self.rack is None:
                self.rack = Rack()
                self.tail = TailProbe()
        record = flight.board.add(start, end, now)
        record.segment = self.mss
        self.rate.on_sent(record, flight.board.in_flight, now)
        if self.recovery.prr is not None:
            self.recovery.prr.on_sent(end - start)
        return flight

    def on_resent(self, record: Sent, now: i64, lost: bool) -> None:
        """A record goes out again; lost: because it was, and not as a probe."""
        flight = self.flight
        assert flight is not None
        flight.board.resent(record, now)
        record.segment = self.mss
        self.rate.on_sent(record, flight.board.in_flight, now)
        if not lost:
            return
        size = record.end - record.start
        if self.path is not None:
            self.path.on_resent(record.start, size)
        if self.recovery.prr is not None:
            self.recovery.prr.on_sent(size)
        if self.recovery.undo is not None:
            self.recovery.undo.on_resent(size, now)

    def note_idle_writer(self) -> None:
        """The writer has nothing more to send: if cwnd would let it go, rates tell nothing of the path.

        CheckIfApplicationLimited of draft-ietf-ccwg-bbr 4.1.2.4.
        """
        flight = self.flight
        if flight is None:
            self._own_rate().mark_app_limited(0)
        elif flight.board.lost == 0 and flight.board.in_flight < self.congestion().cwnd:
            self.rate.mark_app_limited(flight.board.in_flight)

    def _own_rate(self) -> Rate:
        if self.rate is NO_RATE:
            self.rate = Rate()
        return self.rate

    # ---- an ACK ----

    def on_ack(
        self,
        flight: Flight,
        ack: i64,
        una: i64,
        nxt: i64,
        same: bool,
        blocks: list[tuple[int, int]] | None,
        echo_tick: i64,
        more: bool,
        cwnd_limited: bool,
        rto: Rto,
        now: i64,
        sample: AckSample,
    ) -> i64:
        """same: no text, and the window is as it was. more: new data could be sent. A mask of what happened."""
        board = flight.board
        recovery = self.recovery
        flight_size = self._flight_size(una, nxt)
        recoverable = nxt - una - board.sacked
        advanced = ack > una
        sample.prior_in_flight = flight.pipe()
        board.begin(now, rto.min_rtt)
        result = self.on_blocks(board, blocks, ack, una, nxt) if blocks is not None else 0
        sacked = board.newly
        if advanced:
            board.ack(ack, sent_by(echo_tick))
        delivered = board.newly
        if delivered:
            self._note_sizes(board)
        sample.rtt = self._measure(flight, advanced, echo_tick, rto, now)
        self.rate.on_ack(board.newest, delivered, rto.min_rtt, now, sample)
        # RFC 5681 2: the same ACK and window, no data, data outstanding.
        duplicate = same and ack == una and sacked == 0 and blocks is None
        if flight.dups is not None:
            delivered = self._count_duplicates(flight, ack, duplicate, delivered)
        before = recovery.phase
        if before != NONE:
            news = sacked > 0 or duplicate
            result |= self._follow(flight, ack, nxt, advanced, news, more, echo_tick, rto, now)
        elif result & DUPLICATE and recovery.undo is not None and recovery.undo.all_came_twice():
            result |= self._undo(flight, rto)
        if self.rack is not None:  # after what is taken back: what is found now was not lost for nothing
            result |= self._find_lost(self.rack, flight, ack, duplicate, rto, now)
        if result & TAIL_MENDED and self.marks is not None:
            self.marks.on_reduced(nxt, False)
        lost = self._tell_lost(board)
        if recovery.phase == NONE and board.lost > self._excused(board):
            result |= self._enter_fast(flight, ack if advanced else una, nxt, recoverable, flight_size, now)
            recovery = self.recovery
        sample.ecn = 0
        if self.marks is not None:
            sample.ecn = self.marks.on_delivered(board.newly, self.mss)
            self.marks.delivered_ce += sample.ecn
            result |= self._on_echo(self.marks, ack, nxt, flight_size, now)
        if board.newly or lost:
            # RFC 6582 3.2 step 3: the ACK that ends fast recovery leaves cwnd at ssthresh.
            sample.recovery = FAST if before == FAST and not result & UNDONE else recovery.phase
            sample.now = now
            sample.acked = board.newly
            sample.lost = lost
            if sample.prior_delivered >= 0:
                sample.rate_lost += lost  # found only after the rate was sampled
            sample.in_flight = flight.pipe()
            sample.total_lost = self.rate.lost
            sample.srtt = rto.srtt
            sample.min_rtt = rto.min_rtt
            sample.cwnd_limited = cwnd_limited
            self.congestion().on_ack(sample)
        if recovery.prr is not None:
            safe = advanced and lost == 0
            recovery.prr.on_ack(delivered, flight.pipe(), self.congestion().ssthresh, self.mss, safe)
        if ack >= nxt:  # one more: the peer took a zero-window probe
            self.flight = None
            if self.rack is not None:
                self.rack.deadline = 0
            if self.tail is not None:
                self.tail.rest()
        return result

    def on_blocks(self, board: Scoreboard | None, blocks: list[tuple[int, int]], ack: i64, una: i64, nxt: i64) -> i64:
        """SACK blocks, as offsets. DUPLICATE, DISCARDED, TOO_FINE, or 0."""
        result: i64 = 0
        for place in range(len(blocks)):
            left: i64 = blocks[place][0]
            right: i64 = blocks[place][1]
            # RFC 2883 4: the first block tells what came twice, if it lies below the ACK or within the second.
            if left < right <= ack or (place == 0 and len(blocks) > 1 and blocks[1][0] <= left < right <= blocks[1][1]):
                if place == 0:
                    result |= DUPLICATE
                    if self.recovery.undo is not None:
                        self.recovery.undo.on_dsack(left, right)
                    if self.rack is not None:
                        self.rack.on_dsack(una, nxt)
                    if self.tail is not None:
                        self.tail.on_dsack(right)
            elif board is None or left < ack or left >= right or right > nxt:
                result |= DISCARDED
            elif board.sack(left, right) < 0:
                result |= TOO_FINE
        return result

    def _measure(self, flight: Flight, advanced: bool, echo_tick: i64, rto: Rto, now: i64) -> i64:
        """The RTT sample of this ACK, 0: none."""
        board = flight.board
        rtt: i64 = 0
        if board.rtt_sent_at >= 0:
            rtt = now - board.rtt_sent_at
            if rtt < 1:
                rtt = 1
        elif advanced:
            echoed = rtt_us(echo_tick, now)
            # An echo from before the last retransmission: the ACK of an earlier one was lost, and what answers now is
            # the refusal of a duplicate. As an RTT it would raise the RTO by every lost ACK (Karn, RFC 6298 3).
            if 0 < echoed <= now - board.oldest_sent_at + TICK_US:
                rtt = echoed
        if rtt > 0:
            rto.sample(rtt, now)
            if self.tail is not None:
                self.tail.on_rtt()
        return rtt

    # ---- what is lost ----

    def _count_duplicates(self, flight: Flight, ack: i64, duplicate: bool, newly: i64) -> i64:
        """Without SACK. Returns the bytes delivered that no duplicate ACK before had told of."""
        dups = flight.dups
        assert dups is not None
        board = flight.board
        recovery = self.recovery
        if newly:
            credited = dups.bytes
            dups.on_progress(newly)
            if recovery.phase == FAST and ack < recovery.point:
                board.lose_at(ack, self.mss)  # RFC 6582 3.2 step 3: a partial ACK, the next hole is lost too
            return newly - credited if newly > credited else 0
        if not duplicate:
            return 0
        if dups.on_duplicate(self.mss, board.in_flight) and recovery.phase == NONE and ack > recovery.point:
            board.lose_at(ack, self.mss)
        return self.mss

    def _find_lost(self, rack: Rack, flight: Flight, ack: i64, duplicate: bool, rto: Rto, now: i64) -> i64:
        """With SACK: by time, and by what became of the tail-loss probe."""
        board = flight.board
        if board.rack is not None:
            rack.on_delivered(board.rack, board.reordered, now)
        if board.rack is not None or rack.deadline:
            self._detect(rack, board, rto, now)
        tail = self.tail
        if tail is not None and tail.on_ack(ack, duplicate) and self.recovery.phase == NONE:
            congestion = self.congestion()
            congestion.on_loss(now, tail.flight)
            congestion.on_recovered(now)
            return TAIL_MENDED
        return 0

    def _detect(self, rack: Rack, board: Scoreboard, rto: Rto, now: i64) -> None:
        recovering = self.recovery.phase != NONE
        rack.detect(board, rack.window(board, recovering, self.mss, rto.min_rtt, rto.srtt), now)

    def _tell_lost(self, board: Scoreboard) -> i64:
        """Each transmission newly found lost, to whom it concerns. Returns their bytes."""
        lost: i64 = 0
        single = len(board.newly_lost) == 1
        path = self.path
        for record in board.newly_lost:
            size = record.end - record.start
            if path is not None and (self.sack or record is board.records[0]):  # else the timer only takes it for lost
                alone = single and self.sack and self.recovery.phase == NONE and board.lost == size
                if path.on_lost(record, single, alone):
                    continue
            self._note_vanished(size, record.segment)
            lost += size
            self.rate.lost += size
            self.congestion().on_packet_lost(size, record.in_flight, self.rate.lost - record.lost, record.app_limited)
        return lost

    def _note_sizes(self, board: Scoreboard) -> None:
        """How large the segments were that have arrived."""
        if board.largest >= self.mss or board.largest >= self.vanishing > 0:
            self.vanished = 0
            self.vanishing = 0
        if self.path is not None:
            self.path.on_delivered(board.newly, board.largest)

    def _note_vanished(self, size: i64, segment: i64) -> None:
        """So many bytes were lost, in such segments."""
        if segment > size:
            segment = size
        if segment >= self.mss or segment > LARGE:
            self.vanished += size // segment
            if self.vanishing == 0 or segment < self.vanishing:
                self.vanishing = segment

    def seems_swallowed(self, timeouts: i64) -> bool:
        """What is lost may be too large for the path. timeouts: in a row."""
        return self.vanished >= VANISHED and (self.vanishing > LARGE or timeouts >= R1)

    def _excused(self, board: Scoreboard) -> i64:
        """Bytes that are lost as a probe of the path, and no sign of congestion."""
        path = self.path
        if path is None:
            return 0
        if board.lost == 0:
            path.excused = 0
        return path.excused

    def lose_all(self, nxt: i64, now: i64) -> None:
        """All that is out was too big for the path (RFC 1191 6.4): no sign of congestion."""
        flight = self.flight
        if flight is None:
            return
        flight.board.begin(now, 0)
        flight.board.lose_sent_until(now)
        if flight.dups is not None:
            flight.dups.reset()
        self._own_recovery().enter_smaller(nxt)

    # ---- which recovery ----

    def _own_recovery(self) -> Recovery:
        """Made for the first one, and kept."""
        if self.recovery is NO_RECOVERY:
            self.recovery = Recovery()
        return self.recovery

    def _on_echo(self, marks: Marks, ack: i64, nxt: i64, flight_size: i64, now: i64) -> i64:
        """The peer tells of marks. Once a window of data cwnd answers them, and not where it has answered a loss."""
        if self.recovery.phase != NONE or not marks.owes_answer(ack):
            return 0
        marks.on_reduced(nxt, True)
        self.congestion().on_ecn(now, flight_size)
        return MARKED

    def _flight_size(self, una: i64, nxt: i64) -> i64:
        """FlightSize of RFC 5681 2; what limited transmit sent beyond cwnd does not count (3.2, step 2)."""
        flight = nxt - una
        cwnd = self.congestion().cwnd
        return flight if flight < cwnd else cwnd

    def _enter_fast(self, flight: Flight, una: i64, nxt: i64, recoverable: i64, flight_size: i64, now: i64) -> i64:
        """Something is lost, as ACKs tell: fast recovery begins, and cwnd answers once for all of it."""
        self._own_recovery().enter_fast(una, nxt, recoverable)
        marks = self.marks
        congestion = self.congestion()
        if marks is None or not marks.answers_loss(una):
            congestion.on_loss(now, flight_size)
        if marks is not None:
            marks.on_reduced(nxt, False)
        if not congestion.uses_prr:
            self.recovery.prr = None
        if self.tail is not None:
            self.tail.stop()
        return FAST_RETRANSMIT | SACK_RECOVERY if self.sack else FAST_RETRANSMIT

    def _follow(
        self, flight: Flight, ack: i64, nxt: i64, advanced: bool, news: bool, more: bool, echo_tick: i64, rto: Rto,
        now: i64,
    ) -> i64:  # fmt: skip
        """An ACK in fast recovery, or after a timeout: was it spurious, is it over?"""
        recovery = self.recovery
        board = flight.board
        undo = recovery.undo
        if undo is not None:
            spurious = undo.is_spurious(echo_tick) if advanced else undo.all_came_twice()
            if not spurious and recovery.frto:
                # RFC 5682 3.1 step 3b; without SACK (2.1) a retransmission acknowledged with it leaves it open.
                spurious = board.original < recovery.point and (self.sack or not board.again)
            if spurious:
                return self._undo(flight, rto)
        partial = advanced and ack < recovery.point
        if recovery.phase == LOSS:
            recovery.on_ack_after_timeout(advanced, ack, nxt, news, more)
        if ack >= recovery.point:
            recovery.leave(False)
            self.congestion().on_recovered(now)
            self._recovered(flight)
            return 0
        return PARTIAL_ACK if partial and not self.sack and recovery.phase == FAST else 0

    def _recovered(self, flight: Flight) -> None:
        if self.rack is not None:
            self.rack.on_recovered()
        if flight.dups is not None:
            flight.dups.reset()

    def _undo(self, flight: Flight, rto: Rto) -> i64:
        """Nothing was lost: cwnd, ssthresh and the timer's back-off are as before (RFC 4015 3.2)."""
        self.congestion().undo()
        self.recovery.leave(True)
        if self.marks is not None:
            self.marks.on_undone()
        flight.board.unmark_lost()
        self._recovered(flight)
        rto.forgive()
        return UNDONE

    # ---- timers ----

    def deadline(self, due: i64) -> i64:
        """The earliest of `due` and what is waited for here; 0: nothing is. Only while something is out."""
        if self.rack is not None:
            due = earlier(due, self.rack.deadline)
        if self.tail is not None:
            due = earlier(due, self.tail.deadline)
        return due

    def on_reordering_timer(self, flight: Flight, una: i64, nxt: i64, rto: Rto, now: i64) -> i64:
        """RFC 8985 6.2 step 5: the reordering window is over, and what had not arrived in it is lost."""
        rack = self.rack
        assert rack is not None
        board = flight.board
        flight_size = self._flight_size(una, nxt)
        board.begin(now, rto.min_rtt)
        self._detect(rack, board, rto, now)
        if self._tell_lost(board) == 0 or self.recovery.phase != NONE:
            return 0
        result = self._enter_fast(flight, una, nxt, nxt - una - board.sacked, flight_size, now)
        if self.recovery.prr is not None:
            self.recovery.prr.on_ack(self.mss, flight.pipe(), self.congestion().ssthresh, self.mss, False)
        return result

    def on_rto(self, flight: Flight, una: i64, nxt: i64, tries: i64, rto: Rto, now: i64) -> bool:
        """The retransmission timer expired, for the `tries`th time in a row: RFC 6298 5.4 and 5.5, RFC 8985 6.3.

        True: the peer does not hold any more what it had reported (RFC 2018 8).
        """
        board = flight.board
        flight_size = self._flight_size(una, nxt)
        path = self.path
        probing = path is not None and path.record is not None
        if path is not None:
            path.on_timeout(una, tries)
        board.begin(now, rto.min_rtt)
        reneged = board.renege()
        rack = self.rack
        if rack is None or reneged:
            board.lose_sent_until(now)
        else:
            window = rack.window(board, True, self.mss, rto.min_rtt, rto.srtt)
            board.lose_sent_until(now - rack.rtt - window)
            rack.deadline = 0
        if self.tail is not None:
            self.tail.stop()
        if flight.dups is not None:
            flight.dups.reset()
        self._tell_lost(board)
        self._own_recovery().enter_loss(una, nxt, tries > 1)
        if probing:
            self.recovery.frto = False  # as Linux: what the probe has to do with it, F-RTO can't tell
        self.congestion().on_rto(now, flight_size, tries == 1)
        if self.marks is not None:
            self.marks.on_reduced(nxt, False)
        rto.back_off()
        return reneged

    def stop(self) -> None:
        """The connection is gone."""
        if self.flight is not None:
            self.flight.board.clear()
            self.flight = None
        if self.rack is not None:
            self.rack.deadline = 0
        if self.tail is not None:
            self.tail.stop()
