"""SND.*: what was sent, what the peer has acknowledged, what its window invites, and when patience ends.

RFC 9293 3.3.1 and 3.8, RFC 6298 5. It owns the send buffer, SND.UNA to SND.WND, the timers, and the order in which an
ACK is read; what is out, what is lost and what may be taken back is `loss_recovery`. What goes next is `sender`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.asked import NOTHING, Asked
from synfin.tcp.config import Config
from synfin.tcp.congestion.base import NONE, AckSample
from synfin.tcp.flight import Flight
from synfin.tcp.loss_recovery import FAST_RETRANSMIT, PARTIAL_ACK, UNDONE, LossRecovery
from synfin.tcp.pacing import Pacer, rate_of
from synfin.tcp.path_probe import OFF, PathProbe
from synfin.tcp.persist import Persist
from synfin.tcp.rto import Rto
from synfin.tcp.send_buffer import NO_TEXT, SendBuffer
from synfin.tcp.tally import NOTHING as AT_REST
from synfin.tcp.tally import Tally
from synfin.tcp.timer import earlier

# what on_ack() and on_timer() say, besides what loss_recovery does
ACKED: Final = 1  # SND.UNA moved
FIN_ACKED: Final = 2
TIMEOUT: Final = 16  # the retransmission timer expired
PROBE: Final = 32  # a zero-window probe is due: probe() describes it
GIVE_UP: Final = 64
RENEGED: Final = 256  # the peer does not hold any more what it had reported
TAIL_PROBE: Final = 8192  # an answer is overdue: a tail-loss probe is to be sent
DOUBTED: Final = 1 << 20  # large segments seem to vanish: take_vanishing() tells of what size

AFTER_SYN_TIMEOUT_US: Final = 3_000_000  # RFC 6298 5.7


class SendState:
    """RFC 9293 3.3.1 send sequence variables, as 64-bit offsets from ISS (the SYN is offset 0)."""

    def __init__(self, config: Config, losses: LossRecovery, mss: i64, now: i64) -> None:
        # First what each segment asks for, side by side: see Tcb.
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
        # the flags side by side: each takes one byte then, and not eight
        self.nodelay: bool = config.nodelay
        self._orphan: bool = False  # the user has closed: nobody is left to decide that the peer had time enough
        self.pacing: bool = config.pacing
        self._must_send: bool = False  # one segment of what is lost goes whatever cwnd says (RFC 6298 5.4)
        self._probed: bool = False  # one number beyond the window was sent and is in no record
        self.fin_offset: i64 = -1  # where our FIN stands, once the user has closed
        self.retries: i64 = 0  # retransmission timeouts since SND.UNA last moved, or a closed window was confirmed
        self.buffer: SendBuffer = NO_TEXT  # until something is written
        self.asked: Asked = NOTHING
        self.tally: Tally | None = None  # once there was something to send
        self.persist: Persist | None = None  # while it runs
        self.pacer: Pacer | None = None  # once a round trip is known to be long enough
        self.rto_deadline: i64 = 0  # 0: the retransmission timer is off
        self.user_timeout_us: i64 = config.user_timeout_us
        self.losses: LossRecovery = losses
        self.rto: Rto = Rto(config.rto_initial_us, config.rto_min_us, config.rto_max_us)
        self._config: Config = config
        self._stalled: i64 = 0  # timeouts of an orphan, answered or not, since SND.UNA last moved
        self._progress_at: i64 = now  # when SND.UNA last moved, or data or a probe was first put in flight
        self._last_sent_at: i64 = now
        self._small_end: i64 = 0  # end of the last segment sent shorter than an MSS (Minshall's Nagle)
        self._limited_until: i64 = 0  # data below this was sent while cwnd held more of it back

    # ---- the handshake is done ----

    def establish(
        self, mss: i64, sack: bool, window: i64, seq: i64, ack: i64, rtt: i64, syn_lost: bool, now: i64
    ) -> None:
        """SYN acknowledged: the segment size, the peer's window and a first RTT (0: none) are known."""
        self.mss = mss
        self.snd_una = 1
        self.snd_nxt = 1
        self.snd_wnd = window
        self.max_wnd = window
        self.snd_wl1 = seq
        self.snd_wl2 = ack
        # RFC 5681 3.1: one segment if the SYN or SYN,ACK was lost. RFC 6298 5.7: and an RTO of 3 s.
        self.losses.establish(sack, mss, 1 if syn_lost else self._config.initial_window)
        if rtt > 0:
            self.rto.sample(rtt, now)
        elif syn_lost:
            self.rto.restart(AFTER_SYN_TIMEOUT_US)
        self._last_sent_at = now
        self._progress_at = now

    def set_mss(self, mss: i64, now: i64) -> None:
        """The path carries less than was thought: what is in flight was too big and is lost (RFC 1191 6.4)."""
        self.resize(mss)
        self.losses.lose_all(self.snd_nxt, now)

    def resize(self, mss: i64) -> None:
        """Segments are of another size from now on."""
        self._cut(mss)
        congestion = self.losses.congestion()
        congestion.mss = mss
        if congestion.cwnd < mss:
            congestion.cwnd = mss

    def _cut(self, mss: i64) -> None:
        self.mss = mss
        self.losses.mss = mss

    # ---- what the path carries ----

    def follow(self, path: PathProbe) -> None:
        """Segments are as large as `path` says, until it is over. cwnd hears of it when it is certain."""
        losses = self.losses
        losses.path = None if path.is_over() else path
        if path.doubted:
            self._cut(path.low)
        elif path.low != losses.congestion().mss or path.low != self.mss:
            self.resize(path.low)

    def take_vanishing(self) -> i64:
        """Of what size the segments were that vanish."""
        losses = self.losses
        size = losses.vanishing
        losses.vanished = 0
        losses.vanishing = 0
        return size

    # ---- the user ----

    def write(self, data: bytes) -> None:
        """Queue bytes, kept by reference."""
        if self.snd_nxt >= self.buffer.end:
            self.losses.note_idle_writer()
        if self.buffer is NO_TEXT:
            self.buffer = SendBuffer()
        self.buffer.append(data)

    def ask(self) -> Asked:
        """To be changed: what the user asks of this connection alone."""
        if self.asked is NOTHING:
            self.asked = Asked()
        return self.asked

    def orphan(self) -> None:
        """The user has closed and hears no more of what is still to be sent."""
        self._orphan = True
        if self.losses.flight is not None:
            self.losses.flight.patient_until = 0  # its user's patience is not an orphan's

    def queue_fin(self) -> None:
        """Our FIN follows the last byte written (RFC 9293 3.10.4)."""
        self.fin_offset = self.buffer.end

    def queued(self) -> i64:
        """Bytes written and not acknowledged."""
        return self.buffer.end - self.buffer.start

    def share(self) -> i64:
        """Of what is written, the bytes that the connection takes off its user's hands, as a kernel buffers them.

        It follows the congestion window, as Linux sizes its send buffer, until the user has set it.
        """
        if self.asked.send_buffer:
            return self.asked.send_buffer
        share = 2 * self.losses.congestion().cwnd
        config = self._config
        if share < config.send_buffer:
            share = config.send_buffer
        if share > config.send_buffer_max:
            share = config.send_buffer_max
        return share

    def excess(self, pressed: bool) -> i64:
        """Bytes written beyond that share, or beyond what may wait to be sent. pressed: memory is short."""
        share = self.share()
        if pressed and share > self._config.send_buffer:
            share = self._config.send_buffer
        excess = self.queued() - share
        if self.asked.notsent_lowat:
            waiting = self.unsent() - self.asked.notsent_lowat
            if waiting > excess:
                excess = waiting
        if excess < 0:
            return 0
        return excess

    def mss_max(self) -> i64:
        """What no segment is to exceed, options included; 0: no limit."""
        asked = self.asked.mss_max
        return self._config.send_mss_max if asked < 0 else asked

    def record_excess(self) -> i64:
        """Memory of the records of what is out, beyond its text."""
        if self.snd_una == self.snd_nxt:
            return 0
        flight = self.losses.flight
        if flight is None:
            return 0
        return flight.board.excess(self.snd_nxt - self.snd_una)

    def drop_excess(self) -> None:
        """Forget what exceeds the connection's share and was never sent."""
        dropped = self.queued() - self.share()
        unsent = self.unsent()
        if dropped > unsent:
            dropped = unsent
        if dropped > 0:
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
        self.losses.stop()
        self.pacer = None
        self.buffer.clear()
        self.rto_deadline = 0
        self.persist = None

    # ---- what an ACK changes ----

    def on_ack(
        self,
        ack: i64,
        seq: i64,
        window: i64,
        pure: bool,
        blocks: list[tuple[int, int]] | None,
        echo_tick: i64,
        now: i64,
        sample: AckSample,
    ) -> i64:
        """An acceptable ACK arrived. pure: its segment had no data, SYN or FIN. blocks: of SACK, as offsets.

        echo_tick: when the segment that its timestamp echoes was sent, -1: none.
        """
        if self.persist is not None:
            self.persist.unanswered = 0
        una = self.snd_una
        result: i64 = 0
        if ack > una or una < self.snd_nxt or blocks is not None:  # else it tells of the window alone
            result = self._on_news(ack, una, pure and window == self.snd_wnd, blocks, echo_tick, now, sample)
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

    def _on_news(
        self,
        ack: i64,
        una: i64,
        same: bool,
        blocks: list[tuple[int, int]] | None,
        echo_tick: i64,
        now: i64,
        sample: AckSample,
    ) -> i64:
        """What an ACK tells of what is out. same: no text, and the window is as it was."""
        losses = self.losses
        result: i64 = 0
        if not losses.sack:
            blocks = None
        flight = losses.flight
        if flight is not None:
            if self.snd_nxt >= self.buffer.end:
                losses.note_idle_writer()
            more = self.snd_nxt < self.buffer.end and self.snd_nxt < una + self.snd_wnd
            limited = una < self._limited_until
            nxt = self.snd_nxt
            result = losses.on_ack(flight, ack, una, nxt, same, blocks, echo_tick, more, limited, self.rto, now, sample)
            if result & PARTIAL_ACK and flight.board.lost:
                self._must_send = True  # RFC 6582 3.2 step 3, whatever its duplicates have told before of what left
        elif blocks is not None:
            result = losses.on_blocks(None, blocks, ack, una, self.snd_nxt)
        if ack > una:
            result |= self._advance(ack, now)
        path = losses.path
        if path is not None:
            found = path.on_ack(self.snd_una, now)
            if found:
                self.follow(path)
                result |= found
        if result & (FAST_RETRANSMIT | UNDONE):
            self.retries = 0
            # A window takes a round trip to mend (RFC 6675 6; Linux does so too).
            self.rto_deadline = now + self.rto.rto if self.snd_una < self.snd_nxt else 0
        return result

    def _advance(self, ack: i64, now: i64) -> i64:
        """SND.UNA moves."""
        if self.snd_nxt < ack:  # the peer took our zero-window probe
            self.snd_nxt = ack
        self.snd_una = ack
        tally = self.tally
        if tally is not None:
            tally.advances += 1
        if self.idle():
            self.persist = None
            if tally is not None:
                tally.waits_for(AT_REST, now)
        self._probed = False
        self.buffer.release(ack)
        self.retries = 0
        self._stalled = 0
        self._progress_at = now
        # RFC 6298 5.2 and 5.3: all acknowledged, stop; some, start again.
        self.rto_deadline = 0
        if ack < self.snd_nxt:
            self.rto_deadline = now + self.rto.rto
        flight = self.losses.flight
        if flight is not None:
            flight.patient_until = 0
            self._arm_tail(flight, now)
        return ACKED | FIN_ACKED if self.fin_offset >= 0 and ack > self.fin_offset else ACKED

    # ---- what may go next ----

    def pacing_rate(self) -> float:
        """Bytes a second, whether the path is long enough to be paced or not; 0.0: unknown."""
        flight = self.losses.flight
        in_flight: i64 = 0
        if flight is not None:
            in_flight = flight.board.in_flight
        return rate_of(self.losses.congestion(), in_flight, self.rto.srtt, self.asked.max_pacing_rate)

    def _arm_tail(self, flight: Flight, now: i64) -> None:
        """RFC 8985 7.2: while nothing else waits for news."""
        tail = self.losses.tail
        if tail is None:
            return
        if self.losses.recovery.phase != NONE or flight.board.sacked:
            tail.deadline = 0
        else:
            tail.arm(now, self.rto.srtt, self.snd_nxt - self.snd_una <= self.mss, self.rto_deadline)

    def _sent(self, size: i64, now: i64) -> None:
        self._last_sent_at = now
        if self.pacer is not None:
            self.pacer.on_sent(size)
        if self.rto_deadline == 0:  # RFC 6298 5.1
            self.rto_deadline = now + self.rto.rto

    # ---- timers ----

    def deadline(self) -> i64:
        """When on_timer() is due; 0: nothing is waited for."""
        due = self.rto_deadline
        persist = self.persist
        if persist is not None:
            due = earlier(due, persist.deadline)
        if self.pacer is not None:
            due = earlier(due, self.pacer.deadline)
        if self.snd_una < self.snd_nxt:
            due = self.losses.deadline(due)
        if self.user_timeout_us and self._unanswered():
            return earlier(due, self._progress_at + self.user_timeout_us)
        return due

    def _unanswered(self) -> bool:
        """The peer owes us an ACK, of data or of a probe: the user timeout runs."""
        return self.snd_una < self.snd_nxt or (self.persist is not None and self.persist.unanswered > 0)

    def on_timer(self, now: i64) -> i64:
        """Do what is due. TIMEOUT: lost data waits in next_chunk(). PROBE: call probe(). GIVE_UP: the peer is gone."""
        if self.user_timeout_us and self._unanswered() and now - self._progress_at >= self.user_timeout_us:
            return GIVE_UP
        if self.pacer is not None and now >= self.pacer.deadline:
            self.pacer.deadline = 0  # whoever is due is asked at the next poll
        flight = self.losses.flight
        if flight is not None:
            rack = self.losses.rack
            if rack is not None and rack.deadline and now >= rack.deadline:
                result = self.losses.on_reordering_timer(flight, self.snd_una, self.snd_nxt, self.rto, now)
                if result:
                    self.rto_deadline = now + self.rto.rto
                return result
            tail = self.losses.tail
            if tail is not None and tail.deadline and now >= tail.deadline:
                tail.on_timer()
                self.rto_deadline = now + self.rto.rto  # RFC 8985 7.3: whether the probe can be sent or not
                return TAIL_PROBE
            if self.rto_deadline and now >= self.rto_deadline:
                return self._on_rto(flight, now)
        persist = self.persist
        if persist is not None and now >= persist.deadline:
            if self._is_enough(persist.unanswered, now):
                return GIVE_UP
            if persist.unanswered == 0:
                self._progress_at = now
            persist.probe_sent(now, self._config.rto_max_us)
            return PROBE
        return 0

    def _is_enough(self, unanswered: i64, now: i64) -> bool:
        """R2 of RFC 9293 3.8.3 is passed.

        Who answers keeps a user's connection for ever (3.8.6.1), but no orphan, as in Linux: neither by a window that
        stays closed nor by one taken back from what is out. Where back-offs were taken back, the time decides.
        """
        flight = self.losses.flight
        if flight is not None and now < flight.patient_until:
            return False
        if not self._orphan:
            return unanswered >= self._config.retries
        if unanswered >= self._config.orphan_retries or self._stalled >= self._config.orphan_retries:
            return True
        self._stalled += 1
        return False

    def on_life(self, now: i64) -> None:
        """After timeouts an acceptable segment came that acknowledges nothing new: the path carries again.

        What stands first goes at once, not when the doubled timer expires; once per timeout without back-off, so that a
        path that carries one way only is not flooded. The timer and its count go on: R2 is no sooner reached.
        """
        flight = self.losses.flight
        if flight is None or self.rto_deadline == 0:
            return
        if now - self._last_sent_at < self.rto.base():
            return
        flight.board.lose_first(self.mss)
        self._must_send = True

    def on_link_up(self) -> bool:
        """The link carries again into which it was sent: what stands first goes at once, as in `on_life`. True: a probe
        of the window is to be sent."""
        flight = self.losses.flight
        if flight is not None and self.retries:
            flight.board.lose_first(self.mss)
            self._must_send = True
        return self.persist is not None and self.persist.unanswered > 0

    def on_unreachable(self, now: i64) -> None:
        """A router could not carry what we sent: no congestion, so one back-off is taken back (RFC 6069).

        R2 is a time: a router that answers each try must not end in seconds what silence would end in a quarter of an
        hour. Of all times at which the tries would have been over, the latest stands.
        """
        flight = self.losses.flight
        if self.retries == 0 or self.rto_deadline == 0 or flight is None:
            return
        tries = self._config.orphan_retries if self._orphan else self._config.retries
        if self.retries <= tries:
            over = self.rto_deadline + self.rto.further(tries - self.retries)
            if flight.patient_until < over:
                flight.patient_until = over
        self.rto.undo_back_off()
        due = self._last_sent_at + self.rto.rto
        if due < self.rto_deadline:
            self.rto_deadline = due if due > now else now + 1

    def _on_rto(self, flight: Flight, now: i64) -> i64:
        """RFC 6298 5.4 to 5.6."""
        if self._is_enough(self.retries, now):
            return GIVE_UP
        self.retries += 1
        path = self.losses.path
        reneged = self.losses.on_rto(flight, self.snd_una, self.snd_nxt, self.retries, self.rto, now)
        self._must_send = True
        self.rto_deadline = now + self.rto.rto
        result = TIMEOUT | RENEGED if reneged else TIMEOUT
        if path is not None and path.doubted:
            self._cut(path.low)
        elif self._config.path_mtu_probing != OFF and self.losses.seems_swallowed(self.retries):
            result |= DOUBTED
        return result
