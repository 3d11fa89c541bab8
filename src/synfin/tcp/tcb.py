"""The transmission control block (RFC 9293 3.3.1): the parts of one connection, its state, and how that may end.

What all processing of a connection shares, and decides nothing of: `connection` says when. Here each change of state is
checked against the table and told to the trace, each segment is filled from the parts, and the one deadline is kept.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp import answers, errors, outgoing, status
from synfin.tcp.chunk import Chunk
from synfin.tcp.close import Closer
from synfin.tcp.environment import Environment
from synfin.tcp.handshake import Handshake
from synfin.tcp.keepalive import KeepAlive
from synfin.tcp.loss_recovery import LossRecovery
from synfin.tcp.path_probe import ALWAYS, ASKED, FOUND, OFF, PATH_HOLE, PATH_RAISED, PATH_TOO_BIG, PathProbe
from synfin.tcp.receiver import Receiver
from synfin.tcp.sender import Sender
from synfin.tcp.states import CLOSED, CLOSING, FIN_WAIT_2, LAST_ACK, SYN_RCVD, SYN_SENT, TIME_WAIT, check
from synfin.tcp.syn_options import base_mss, floor_mss, headers_bytes, narrow_mss, overhead, send_mss
from synfin.tcp.time_wait import TimeWait
from synfin.tcp.timer import earlier
from synfin.tcp.timestamps import Timestamps
from synfin.tcp.turn import EOF, FAILED, GONE, READABLE, WRITABLE, Turn
from synfin.wire.key import reverse_key
from synfin.wire.segment import Segment
from synfin.wire.seq import wrap
from synfin.wire.tcp_header import ACK, RST

MAX_WINDOW_FIELD: Final = 65535
NOT_WANTED: Final = -1
ANY_EXCESS: Final = 1 << 60


class Tcb(Turn):
    """The parts and the state of a connection under its key (peer | local | peer port | local port, as in a packet)."""

    def __init__(self, env: Environment, key: bytes, iss: i64, mtu: i64, now: i64) -> None:
        super().__init__()
        config = env.config
        # First what each segment asks for, side by side: of many connections none is in the processor's cache, and each
        # line of it that is touched has to come from memory.
        self.env: Environment = env
        self.key: bytes = key
        self.state: i64 = CLOSED
        self.iss: i64 = iss  # wire numbers of offset 0, ours and the peer's
        self.irs: i64 = 0
        window = config.receive_buffer if config.receive_buffer < MAX_WINDOW_FIELD else MAX_WINDOW_FIELD
        self.receiver: Receiver = Receiver(config, window, env.pressure)
        self.receiver.adv_mss = mtu - headers_bytes(key)
        self.sender: Sender = Sender(config, LossRecovery(config, mtu - headers_bytes(key)), 536, now)
        self.stamps: Timestamps = Timestamps(config.timestamps, env.ts_offset(key) if config.timestamps else 0, 0, now)
        self.handshake: Handshake | None = None
        self.keepalive: KeepAlive | None = None
        self._snd_wscale: i64 = 0
        self.path_news: i64 = 0  # what other connections to the same host are to be told, or asked: see path_probe
        self.charged: i64 = 0  # what the stack's account has for this connection
        self._linger_deadline: i64 = 0  # FIN-WAIT-2 without a reader ends here
        self._due: i64 = 0  # probes that the next poll sends
        self.user: object | None = None  # whoever holds this connection
        self.closer: Closer = Closer()
        self.writable_at: i64 = NOT_WANTED  # the user is told of room once no more bytes than these are in excess
        self.mtu: i64 = mtu  # of the path, as far as known
        self.peer_mss: i64 = 0
        self.error: int = errors.NONE  # why it failed
        self.soft_error: int = errors.NONE  # what the network said meanwhile; becomes `error` at give-up (RFC 5461)
        self._answered_at: i64 = answers.NEVER  # the last answer to what was refused

    @property
    def key_out(self) -> bytes:
        """The key of what it sends."""
        return reverse_key(self.key)

    # ---- what the user may ask ----

    def pending(self) -> i64:
        """What its user could take or hear of now: READABLE, EOF, FAILED, GONE."""
        event: i64 = 0
        if self.receiver.ready_bytes:
            event |= READABLE
        if self.receiver.fin_reached:
            event |= EOF
        if self.error:
            event |= FAILED
        if self.state == CLOSED or self.state == TIME_WAIT:
            event |= GONE
        return event

    def remind(self) -> None:
        """Tell the user once more, at the next turn, of what is ready: it can take it now."""
        event = self.pending()
        if event:
            self.tell(event)

    def queued_bytes(self) -> int:
        """Bytes written and not acknowledged yet."""
        return self.sender.queued()

    def write_excess(self) -> int:
        """Bytes written beyond what the connection takes off its user's hands: what a kernel would not buffer."""
        return self.sender.excess(self.env.pressure.level != 0)

    @property
    def want_writable(self) -> bool:
        """The user is told of each ACK that makes room; of the one that makes enough, where he has named how much."""
        return self.writable_at != NOT_WANTED

    @want_writable.setter
    def want_writable(self, wanted: bool) -> None:
        self.writable_at = ANY_EXCESS if wanted else NOT_WANTED

    def tell_writable(self) -> None:
        """There may be room; the user is told if that is what he waits for."""
        wanted = self.writable_at
        if wanted != NOT_WANTED and (wanted == ANY_EXCESS or self.write_excess() <= wanted):
            self.tell(WRITABLE)

    def drop_excess(self) -> None:
        """Forget those bytes, as far as they were never sent: their user aborts."""
        self.sender.drop_excess()

    def snapshot(self, now: i64 = -1) -> status.ConnectionSnapshot:
        """STATUS (RFC 9293 3.9.1.6). now: until when times are told; -1: until the connection last had a turn."""
        return status.read(
            self.state, self.sender, self.receiver, self.stamps.enabled, self._snd_wscale, self.deadline, now
        )

    # ---- turns ----

    def touch(self) -> None:
        """Ask for a turn at the next poll."""
        if not self.active:
            self.active = True
            self.env.active.append(self)

    def tell(self, event: i64) -> None:
        """Ask for a turn of the user, who is told of `event` then."""
        self._events |= event
        if not self.waiting:
            self.waiting = True
            self.env.ready.append(self)

    def notify(self) -> None:
        """A turn for the user even without an event."""
        self.tell(0)

    # ---- what the path carries ----

    def _mss(self, mtu: i64) -> i64:
        """Payload of a full segment where packets of `mtu` pass."""
        limit = self.peer_mss
        most = self.sender.mss_max()
        if 0 < most < limit:
            limit = most
        return send_mss(limit, self.key, mtu, self.stamps.enabled)

    def _path(self) -> PathProbe:
        """Made when it is needed first."""
        path = self.sender.losses.path
        if path is None:
            key = self.key
            stamped = self.stamps.enabled
            top = self._mss(self.env.config.mtu)
            path = PathProbe(self.sender.mss, top, narrow_mss(key, stamped), floor_mss(key, stamped))
        return path

    def _begin_path(self, now: i64) -> None:
        """The handshake is done: is there anything to be found out about the path?"""
        probing = self.env.config.path_mtu_probing
        if probing == OFF:
            return
        if probing != ALWAYS and self.mtu == self.env.config.mtu:
            return
        path = self._path()
        base = base_mss(self.key, self.stamps.enabled)
        if self.mtu < self.env.config.mtu:
            path.settle(path.low, path.low, now)
        elif base < path.low:
            path.low = base
        self.sender.follow(path)
        self.path_news |= ASKED

    def _doubt_path(self, size: i64, now: i64) -> None:
        """Segments of `size` vanish: smaller ones are tried, or what other connections have found (RFC 4821 7.7)."""
        path = self._path()
        if path.low <= path.floor:
            return
        path.doubt(size, base_mss(self.key, self.stamps.enabled))
        self.sender.follow(path)
        self.path_news |= ASKED
        self._note(now, "large segments vanish: a black hole is suspected", "4821 7.7")

    def on_path_shared(self, low: i64, high: i64, now: i64) -> None:
        """Other connections to the same host have found that packets of `low` bytes pass, and none above `high`."""
        path = self.sender.losses.path
        if path is None:
            return
        mss = self._mss(low)
        if path.doubted == 0 or mss < path.doubted:
            path.settle(mss, self._mss(high), now)
            self.sender.follow(path)

    def path_range(self) -> tuple[int, int]:
        """Bytes of a packet that passes, as far as is known, and of the largest that could."""
        path = self.sender.losses.path
        mss = self.sender.mss
        high = mss if path is None else path.high
        headers = overhead(self.key, self.stamps.enabled)
        return mss + headers, high + headers

    def _on_path_found(self, result: i64) -> None:
        """What the sender has found out is true for all connections to the same host."""
        if result & (PATH_HOLE | PATH_RAISED | PATH_TOO_BIG):
            self.mtu = self.path_range()[0]
            self.path_news |= FOUND

    # ---- memory ----

    def settle(self) -> i64:
        """What is held for the user, less what it was when last asked; of what he has written, the sender's share."""
        held = self.receiver.held() + self.sender.record_excess()
        buffer = self.sender.buffer
        if buffer.end != buffer.start:
            held += min(buffer.end - buffer.start, self.sender.share())
        change = held - self.charged
        if change:
            self.charged = held
        return change

    def prune(self, now: i64) -> None:
        """Memory is short: what waits behind holes goes, though the peer was told of it (RFC 2018 8)."""
        if self.receiver.out_of_order_bytes():
            self.receiver.forget_out_of_order()
            self.env.counters.OfoPruned += 1
            self._note(now, "out of memory: what waits behind holes is dropped, though reported by SACK", "2018 8")

    # ---- state ----

    def time_wait_record(self, now: i64) -> TimeWait:
        """What TIME-WAIT has to remember of this connection."""
        return TimeWait(
            now + 2 * self.env.config.msl_us,
            wrap(self.sender.snd_nxt, self.iss),
            wrap(self.receiver.rcv_nxt, self.irs),
            self.stamps.recent,
            self.stamps.offset,
            min((self.receiver.rcv_adv - self.receiver.rcv_nxt) >> self.receiver.wscale, MAX_WINDOW_FIELD),
            self.stamps.enabled,
            self.sender.asked.tos,
        )

    def _to_closing_state(self, reason: str, rfc: str, cause: int, now: i64) -> None:
        """Go where the facts of the close lead."""
        if self.state in (SYN_SENT, SYN_RCVD):
            return  # the FIN waits for the handshake
        after = self.closer.state()
        if after == self.state:
            return
        if after == CLOSED or after == TIME_WAIT:
            self._end(after, reason, rfc, cause, now)
            return
        self._to(after, reason, rfc, cause, now)
        if after == FIN_WAIT_2 and self.closer.reader_gone:
            self._linger_deadline = now + self.env.config.fin_timeout_us

    def _to(self, after: int, reason: str, rfc: str, cause: int, now: i64) -> None:
        before = self.state
        check(before, after)
        self.state = after
        if self.env.tracer is not None:
            self.env.tracer.transition(now, self.key, before, after, reason, rfc, cause)

    def _end(self, after: int, reason: str, rfc: str, cause: int, now: i64) -> None:
        """The protocol part is over: CLOSED or TIME-WAIT. What the user has not read stays."""
        self._to(after, reason, rfc, cause, now)
        self.sender.stop()
        self.receiver.acks.on_ack_sent()
        self.handshake = None
        self.keepalive = None
        if self.closer.orphan:
            self.closer.orphan = False
            self.env.orphans -= 1
        self._linger_deadline = 0
        self.deadline = 0
        self.tell(GONE)
        self.touch()

    def _fail(self, error: int, reason: str, rfc: str, cause: int, now: i64) -> None:
        """The connection ends by an error that its user must hear of."""
        self.error = error
        self.receiver.forget_out_of_order()
        self.tell(FAILED)
        self._end(CLOSED, reason, rfc, cause, now)

    def _note(self, now: i64, what: str, rfc: str) -> None:
        if self.env.tracer is not None:
            self.env.tracer.note(now, self.key, what, rfc)

    def _update_deadline(self) -> None:
        """The one deadline: the earliest of all that is waited for."""
        if self.state == CLOSED or self.state == TIME_WAIT:
            self.deadline = 0
            return
        if self.handshake is not None:
            self.deadline = self.handshake.deadline
            return
        due = earlier(self.sender.deadline(), self.receiver.acks.deadline)
        if self._linger_deadline:
            due = earlier(due, self._linger_deadline)
        if self.keepalive is not None:
            due = earlier(due, self.keepalive.deadline)
        self.deadline = due

    # ---- segments ----

    def _blank(self, offset: i64, flags: i64, now: i64) -> Segment:
        """A segment of this connection, to be sent now."""
        seg = self.env.output.blank(self.key)
        seg.traffic_class = self.sender.asked.tos
        outgoing.fill(seg, self.iss, self.irs, offset, flags, self.sender.mss, self.receiver, self.stamps, now)
        if self.receiver.echo is not None:
            self.receiver.echo.fill(seg)
        return seg

    def _send_chunk(self, chunk: Chunk, now: i64, ecn: bool = True) -> None:
        """ecn: it may be marked on its way, if ECN was agreed on and it is new text."""
        if chunk.retransmission:
            self.env.counters.RetransSegs += (chunk.length + chunk.segment - 1) // chunk.segment if chunk.segment else 1
        seg = self._blank(chunk.offset, outgoing.flags_of(chunk), now)
        if self.receiver.sack and chunk.segment == 0:
            outgoing.fill_sack(seg, self.irs, self.sender.mss - chunk.length, self.receiver, self.env.counters)
        marks = self.sender.losses.marks
        if marks is not None and ecn and chunk.length and not chunk.retransmission:
            marks.fill(seg)
        echo = self.receiver.echo
        if echo is not None and chunk.segment == 0 and not chunk.retransmission:
            echo.fill_option(seg, outgoing.option_room(seg, self.sender.mss - chunk.length))
        self.env.output.data(seg, chunk.pieces, chunk.length, chunk.segment, echo is not None and echo.accurate)

    def _send_ack(self, now: i64) -> None:
        """An ACK of its own, now: SND.NXT, RCV.NXT and the window as they are, and what waits behind holes."""
        seg = self._blank(self.sender.snd_nxt, ACK, now)
        if self.receiver.sack:
            outgoing.fill_sack(seg, self.irs, outgoing.ALL_OPTIONS, self.receiver, self.env.counters)
        if self.receiver.echo is not None:
            self.receiver.echo.fill_pure_ack(seg)
            self.receiver.echo.fill_option(seg, outgoing.option_room(seg, outgoing.ALL_OPTIONS))
        self.env.output.reply(seg)

    def _send_syn(self, now: i64) -> None:
        """SYN in SYN-SENT, SYN,ACK in SYN-RCVD."""
        assert self.handshake is not None
        seg = self.env.output.blank(self.key)
        seg.traffic_class = self.sender.asked.tos
        window = min(self.receiver.rcv_adv - 1, MAX_WINDOW_FIELD)  # a challenge ACK may have told more, scaled
        self.handshake.fill(seg, self.iss, self.irs, window, self.stamps.value(now), self.stamps.recent)
        self.env.output.reply(seg)

    def _send_reset(self, now: i64) -> None:
        """RST at SND.NXT (RFC 9293 3.10.5), with which this connection ends."""
        seg = self._blank(self.sender.snd_nxt, RST | ACK, now)
        seg.flags = RST | ACK  # no news of marks
        seg.window = 0
        self.env.output.last(seg)

    def _is_awaited(self) -> bool:
        """The peer could be waiting for us, so that the end has to be told by RST (RFC 9293 3.10.5).

        CLOSING and LAST-ACK begin when the user closes (see `close`): until the FIN is sent, their peer still waits.
        """
        if self.state == CLOSING or self.state == LAST_ACK:
            return not self.sender.fin_sent()
        return self.state not in (CLOSED, SYN_SENT, TIME_WAIT)

    def _challenge(self, now: i64) -> None:
        """A challenge ACK (RFC 5961 7): rare enough that two confused hosts can't answer each other for ever."""
        if not self.env.answers.challenge(self._answered_at, now):
            return
        self._answered_at = now
        self._note(now, "challenge ACK", "5961 7")
        self._send_ack(now)
