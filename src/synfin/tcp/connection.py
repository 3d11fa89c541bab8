"""The shell of one connection: the order of processing of RFC 9293 3.10, and nothing else.

Every mechanism is a part of its own below. The same receive and send logic serves all synchronized states: which one it
is decides `close`. Rule for the next editor: a decision that this file takes itself is in the wrong file.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp import acceptance, errors, report
from synfin.tcp.ecn import Echo
from synfin.tcp.opening import Opening
from synfin.tcp.path_probe import OFF
from synfin.tcp.pressure import FULL
from synfin.tcp.receiver import ACK_AT_ONCE, ADVANCED, FIN_REACHED, TOLD
from synfin.tcp.send_limits import BURST_BYTES
from synfin.tcp.send_state import ACKED, DOUBTED, FIN_ACKED, GIVE_UP, PROBE
from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RCVD,
    SYN_SENT,
    TIME_WAIT,
)
from synfin.tcp.timestamps import rtt_us
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER
from synfin.tcp.turn import EOF, READABLE
from synfin.wire.ip import CE, ECN, NOT_ECT
from synfin.wire.segment import Segment
from synfin.wire.seq import unwrap
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

PROBE_DUE: Final = 1
KEEPALIVE_DUE: Final = 2


class Connection(Opening):
    """One connection under its key (peer | local | peer port | local port, as in an incoming packet).

    Made by a Stack. User calls: write, read, shutdown, close, abort. They never block and run no callback: what
    happens shows in `take_events()`.
    """

    # ---- a segment arrives ----

    def on_segment(self, seg: Segment, now: i64) -> None:
        """SEGMENT ARRIVES (RFC 9293 3.10.7.3 and 3.10.7.4), in its order.

        What does not pass every check may draw an answer, which has limits of its own, and changes nothing else: above
        all it is no sign of life. The peer's own keep-alive probe, left of the window, is none either, as in Linux; the
        answers to ours are.
        """
        if self.state == SYN_SENT:
            self._on_syn_sent(seg, now)
            self._update_deadline()
            return
        receiver = self.receiver
        sender = self.sender
        stamps = self.stamps
        flags = seg.flags
        seq = unwrap(seg.seq, self.irs, receiver.rcv_nxt)
        ack = unwrap(seg.ack, self.iss, sender.snd_una)
        stamped = stamps.enabled and seg.has_ts
        if stamped:
            if stamps.is_old(seg.ts_val, now) and not flags & RST:
                self.env.counters.PAWSEstab += 1
                self._note(now, "dropped: PAWS", "7323 5.3")
                self._acknowledge_refused(seq, ack, len(seg.payload), flags & (SYN | FIN) != 0, now)
                self._update_deadline()
                return
        elif stamps.enabled and self.env.config.timestamps_required and not flags & RST:
            self.env.counters.TSMissing += 1
            self._note(now, "dropped: no timestamp although agreed", "7323 3.2")
            return
        if self.state == SYN_RCVD and not self._on_syn_rcvd(seg, seq, ack, now):
            self._update_deadline()
            return
        size: i64 = len(seg.payload)
        length = size
        if flags & (FIN | SYN):
            length += (1 if flags & FIN else 0) + (1 if flags & SYN else 0)
        verdict = acceptance.judge(
            flags, seq, length, ack, receiver.rcv_nxt, receiver.rcv_adv, sender.snd_una, sender.ack_limit(),
            sender.max_wnd,
        )  # fmt: skip
        if verdict > acceptance.ACCEPT_NO_TEXT:
            if receiver.echo is not None and flags & SYN and flags & ACK:
                receiver.echo.on_syn_ack_again()
            self._refuse(verdict, seq, ack, size, length > size, now)
            self._update_deadline()
            return
        self.touch()
        if self.keepalive is not None:
            self.keepalive.heard(now)
        echo_tick: i64 = -1
        if stamped:
            stamps.update(seg.ts_val, seq, now)
            echo_tick = stamps.echo_tick(seg.ts_ecr, now)
            if size >= 512 and echo_tick >= 0:
                receiver.on_echo(rtt_us(echo_tick, now))
        if receiver.echo is not None:
            self._on_ecn(receiver.echo, seg, size)
        if ack >= sender.snd_una:
            self._on_ack(ack, seq, seg.window << self._snd_wscale, length == 0, seg.sack, echo_tick, now)
        if sender.retries:
            sender.on_life(now)
        if length:
            if verdict == acceptance.ACCEPT_NO_TEXT:
                self._send_ack(now)
            elif self.state != CLOSED:
                self._on_text(seg, seq, size, now)
        self._update_deadline()

    def _on_ecn(self, echo: Echo, seg: Segment, size: i64) -> None:
        """ECN was agreed on: marks on this segment, and what it tells of marks on ours (RFC 3168 6.1)."""
        ecn = seg.traffic_class & ECN
        packets = (size + seg.gso_size - 1) // seg.gso_size if seg.gso_size else 1
        if ecn != NOT_ECT:
            echo.seen_ect = True
        if ecn == CE:
            self.env.counters.InCEPkts += packets
            echo.received_ce += packets
        echo.on_segment(ecn, seg.flags, size, packets)
        if echo.due and not size:
            self.receiver.acks.due = True
        marks = self.sender.losses.marks
        assert marks is not None
        marks.on_segment(seg)

    def _refuse(self, verdict: i64, seq: i64, ack: i64, size: i64, control: bool, now: i64) -> None:
        if verdict == acceptance.UNACCEPTABLE:
            self._note(now, "outside the window", "9293 3.10.7.4")
            self._acknowledge_refused(seq, ack, size, control, now)
        elif verdict == acceptance.CHALLENGE:
            self._challenge(now)
        elif verdict == acceptance.RESET:
            self._on_reset(now)

    def _acknowledge_refused(self, seq: i64, ack: i64, size: i64, control: bool, now: i64) -> None:
        """Answer what was refused: `size` bytes of text at `seq`; control: a SYN or FIN."""
        receiver = self.receiver
        sender = self.sender
        if (size or control) and acceptance.is_likely(
            seq, ack, receiver.rcv_nxt, receiver.rcv_adv, receiver.max_wnd, sender.snd_una, sender.ack_limit(),
            sender.max_wnd,
        ):  # fmt: skip
            if seq < receiver.rcv_nxt:
                receiver.on_duplicate(seq, seq + size + (1 if control else 0))
            self._send_ack(now)
        elif self.env.answers.to_unlikely(self._answered_at, now):
            self._answered_at = now
            self._send_ack(now)

    def _on_reset(self, now: i64) -> None:
        """A genuine RST (RFC 9293 3.10.7.4, second)."""
        state = self.state
        if state == ESTABLISHED or state == CLOSE_WAIT:
            self.env.counters.EstabResets += 1
        if (state == LAST_ACK or state == CLOSING) and self.sender.only_fin_is_out():
            self._end(CLOSED, "RST", "9293 3.10.7.4", CAUSE_SEGMENT, now)
            return
        # RFC 9293 ends CLOSING and LAST-ACK without a word; but text that was not acknowledged is lost, and its writer
        # must learn so (Linux and FreeBSD: ECONNRESET).
        error = errors.BROKEN_PIPE if state == CLOSE_WAIT else errors.RESET  # as in Linux: the peer had ended already
        self._fail(error, "RST: connection reset by peer", "9293 3.10.7.4", CAUSE_SEGMENT, now)

    def _on_ack(
        self,
        ack: i64,
        seq: i64,
        window: i64,
        pure: bool,
        blocks: list[tuple[int, int]] | None,
        echo_tick: i64,
        now: i64,
    ) -> None:
        if blocks is not None and self.env.pressure.level and self.sender.record_excess():
            self.env.counters.TCPWqueueTooBig += 1  # memory is short: no record is cut that costs more than its text
            blocks = []
        if blocks is not None:
            iss = self.iss
            una = self.sender.snd_una
            blocks = [(unwrap(left, iss, una), unwrap(right, iss, una)) for left, right in blocks]
        tracer = self.env.tracer
        watched = tracer is not None and tracer.attentive and tracer.hears(self.key, 0)
        watched = watched and self.sender.losses.flight is not None
        result = self.sender.on_ack(ack, seq, window, pure, blocks, echo_tick, now, self.env.sample)
        if watched and tracer is not None:
            report.sample(tracer, self.key, self.sender, self.env.sample.rtt, now)
        if result == 0:
            return
        if result & ~(ACKED | FIN_ACKED):
            report.on_ack(result, self.env.counters, self.env.tracer, self.key, now)
            self._on_path_found(result)
        if result & ACKED:
            self.soft_error = errors.NONE  # the path works again
            self.tell_writable()
        if result & FIN_ACKED and not self.closer.fin_acked:
            self.closer.on_fin_acked()
            self._to_closing_state("ACK of FIN", "9293 3.10.7.4", CAUSE_SEGMENT, now)

    def _on_text(self, seg: Segment, seq: i64, size: i64, now: i64) -> None:
        """Text and FIN (RFC 9293 3.10.7.4, seventh and eighth)."""
        receiver = self.receiver
        # Data for a user who has closed is lost, and the peer must learn it (RFC 9293 3.6). In ESTABLISHED nobody has.
        gone = self.state != ESTABLISHED and self.closer.reader_gone
        if gone and size and seq + size > receiver.rcv_nxt and not receiver.fin_reached:
            self.env.counters.TCPAbortOnData += 1
            self._send_reset(now)
            self._fail(errors.RESET, "data after CLOSE: reset", "9293 3.6.1", CAUSE_SEGMENT, now)
            return
        result = receiver.on_data(seq, seg.payload, seg.flags & FIN != 0, seg.flags & PSH != 0, seg.gso_size, now)
        if result & ADVANCED:
            if receiver.ready_bytes:
                self.tell(READABLE)
            if result & FIN_REACHED:
                self.tell(EOF)
                self.closer.on_peer_fin()
                self._to_closing_state("FIN", "9293 3.10.7.4", CAUSE_SEGMENT, now)
                if self.state == TIME_WAIT:
                    self._send_ack(now)  # nothing can ride with it any more
                    return
        if result & TOLD:
            report.on_text(result, self.env.counters, self.env.tracer, self.key, now)
        if result & ACK_AT_ONCE or (receiver.echo is not None and receiver.echo.due):
            self._send_ack(now)

    # ---- the user ----

    def write(self, data: bytes) -> None:
        """Queue `data` (kept by reference). Raises OSError: EPIPE after shutdown or close, else why it failed.

        Raises TypeError for anything but bytes, which could change while the peer has not acknowledged them.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data is bytes, not {type(data).__name__}")
        if self.error:
            raise errors.oserror(self.error)
        if self.closer.fin_queued or self.state == CLOSED or self.state == TIME_WAIT:
            raise errors.oserror(errors.BROKEN_PIPE, "write after the end of the stream was sent")
        self.sender.write(data)
        self.touch()

    def read(self, now: i64, limit: i64 = -1) -> list[bytes]:
        """What is ready, as it came, at most `limit` bytes (-1: all). Empty: nothing yet, or the end (see events)."""
        receiver = self.receiver
        taken = receiver.read_some(receiver.ready_bytes if limit < 0 else limit, now)
        if taken:
            self._after_read()
        return taken

    def read_joined(self, now: i64, limit: i64) -> bytes:
        """The same in one piece, at the cost of no more than one copy."""
        taken = self.receiver.read_joined(limit, now)
        if taken:
            self._after_read()
        return taken

    def read_into(self, now: i64, room: memoryview) -> i64:
        """The same into `room`, of bytes; how many."""
        taken = self.receiver.read_into(room, now)
        if taken:
            self._after_read()
        return taken

    def _after_read(self) -> None:
        """The reader made room: the peer is told when it is worth a segment (RFC 9293 3.8.6.2.2)."""
        receiver = self.receiver
        if not receiver.fin_reached and receiver.update_due(self.sender.mss):
            receiver.acks.due = True
            self.touch()
        elif self.charged:
            self.touch()  # the stack's account hears of it at the end of a turn

    def shutdown(self, now: i64) -> None:
        """Half-close: no more will be written, reading goes on (RFC 9293 3.6, case 1)."""
        if self.closer.fin_queued or self.state == CLOSED or self.state == TIME_WAIT:
            return
        self.closer.queue_fin()
        self.sender.queue_fin()
        if self.state != SYN_SENT:
            self._to_closing_state("CLOSE", "9293 3.10.4", CAUSE_USER, now)
        self.touch()

    def close(self, now: i64) -> None:
        """No more will be written or read. With bytes unread the peer is told by RST, as Linux does (RFC 2525 2.17).

        What cwnd and the peer's window let out of what was written goes before the RST, as a kernel would have sent it
        when it was written: the answer of a server that refuses an upload arrives.
        """
        if self.state == CLOSED or self.state == TIME_WAIT or self.closer.reader_gone:
            self.closer.reader_gone = True
            return
        if self.state == SYN_SENT:
            self._end(CLOSED, "CLOSE before the handshake was done", "9293 3.10.4", CAUSE_USER, now)
            return
        if self.receiver.ready_bytes or self.closer.by_reset:
            self.sender.pacing = False
            while self.handshake is None and self.sender.next_chunk(now, BURST_BYTES, self.env.chunk):
                self._send_chunk(self.env.chunk, now)
            self.abort(now)
            return
        env = self.env
        if env.orphans >= env.config.orphan_limit or (env.pressure.level == FULL and self.sender.queued()):
            env.counters.TCPAbortOnMemory += 1
            self.abort(now)
            return
        env.orphans += 1
        self.closer.orphan = True
        self.sender.orphan()
        self.closer.reader_gone = True
        self.shutdown(now)
        if self.state == FIN_WAIT_2:
            self._linger_deadline = now + self.env.config.fin_timeout_us
        self._update_deadline()
        self.touch()

    def abort(self, now: i64) -> None:
        """ABORT (RFC 9293 3.10.5): forget everything; the peer is told by RST where it could be waiting for us.

        TIME-WAIT stays: it is the stack's by now, and protects whoever uses the same addresses and ports next.
        """
        if self.state == CLOSED or self.state == TIME_WAIT:
            self.receiver.discard()
            return
        if self._is_awaited():
            self._send_reset(now)
        self.closer.reader_gone = True
        self.receiver.discard()
        self._end(CLOSED, "ABORT", "9293 3.10.5", CAUSE_USER, now)

    # ---- the network says ----

    def on_unreachable(self, code: int, hard: bool, now: i64) -> None:
        """ICMP unreachable: an attempt fails at once by a hard error, a connection never does (RFC 5927 5.2)."""
        if self.state in (SYN_SENT, SYN_RCVD) and hard:
            self.env.counters.AttemptFails += 1
            self._fail(code, "ICMP: destination unreachable", "5461 4", CAUSE_SEGMENT, now)
        else:
            self.soft_error = code
            self.sender.on_unreachable(now)
            self._update_deadline()

    def on_link_up(self, now: i64) -> None:
        """This host's own link carries again: what has gone into the dead one goes at once, not when the doubled timer
        expires. The timers and their counts go on: R2 (RFC 9293 3.8.3) is reached no sooner, and no later."""
        handshake = self.handshake
        if handshake is not None:
            if handshake.tries:
                self.env.counters.RetransSegs += 1
                self._note(now, "retransmission: the link is up", "6298 5.7")
                self._send_syn(now)
        elif self.state != CLOSED and self.state != TIME_WAIT:
            if self.sender.on_link_up():
                self._due |= PROBE_DUE
            self.touch()

    def on_path_mtu(self, mtu: i64, now: i64) -> None:
        """The path carries less (RFC 1191, RFC 8201): what was too big goes again in smaller segments.

        Whether the path is better by now is tried after ten minutes (RFC 1191 6.3), by new connections, and by this one
        if it may probe.
        """
        if self.handshake is not None:
            self.mtu = mtu if mtu < self.mtu else self.mtu
            return
        mss = self._mss(mtu)
        path = self.sender.losses.path
        if mss < self.sender.mss:
            self.mtu = mtu
            self.sender.set_mss(mss, now)
            if self.env.config.path_mtu_probing != OFF:
                path = self._path()
                path.settle(mss, mss, now)
                self.sender.follow(path)
            self._note(now, "packet too big: retransmission in smaller segments", "1191 6.4")
        elif path is not None:
            path.cap(mss)
            self.sender.follow(path)
        self.touch()

    # ---- timers ----

    def on_timer(self, now: i64) -> None:
        """Do all that is due."""
        if self.state == CLOSED or self.state == TIME_WAIT:
            self.deadline = 0
            return
        if self.handshake is not None:
            self._on_syn_timer(self.handshake, now)
            return
        if self.receiver.acks.on_timer(now):
            self.env.counters.DelayedACKs += 1
        result = self.sender.on_timer(now)
        if result & GIVE_UP:
            self._give_up(now)
            return
        report.on_timer(result, self.env.counters, self.env.tracer, self.key, now)
        tracer = self.env.tracer
        if result and tracer is not None and tracer.attentive and tracer.hears(self.key, 0):
            report.sample(tracer, self.key, self.sender, 0, now)
        if result & DOUBTED:
            self._doubt_path(self.sender.take_vanishing(), now)
        if result & PROBE:
            self._due |= PROBE_DUE
        if self.keepalive is not None and now >= self.keepalive.deadline:
            if not self.sender.idle():
                self.keepalive.heard(now)  # retransmission or probing finds out soon enough
            elif self.keepalive.due(now):
                self._due |= KEEPALIVE_DUE
            else:
                self._give_up(now)
                return
        if self._linger_deadline and now >= self._linger_deadline:
            self._end(CLOSED, "no FIN from the peer and nobody to read", "Linux tcp_fin_timeout", CAUSE_TIMER, now)
            return
        self.touch()
        self._update_deadline()

    # ---- output ----

    def poll_output(self, now: i64, budget: i64) -> i64:
        """Send the next burst, at most `budget` bytes of text, or what else is due. Returns its bytes; 0: no more."""
        if self.state == CLOSED or self.state == TIME_WAIT:
            return 0
        if self.handshake is not None:
            if self.handshake.due:
                self._send_syn(now)
                if self.handshake.tries:
                    self.env.counters.RetransSegs += 1
                self.handshake.on_sent(now)
                self._update_deadline()
            return 0
        chunk = self.env.chunk
        sent: i64 = 0
        if self.sender.next_chunk(now, budget, chunk):
            self._send_chunk(chunk, now)
            sent = chunk.length + 1
            if self.sender.asked.notsent_lowat:
                self.tell_writable()
        else:
            if self._due & PROBE_DUE:
                self._due &= ~PROBE_DUE
                if self.sender.persist is not None and self.sender.probe(now, chunk):
                    self.env.counters.TCPWinProbe += 1
                    self._note(now, "zero-window probe", "9293 3.8.6.1")
                    self._send_chunk(chunk, now, False)
            if self._due & KEEPALIVE_DUE:
                self._due &= ~KEEPALIVE_DUE
                self.env.counters.TCPKeepAlive += 1
                self._note(now, "keep-alive probe", "9293 3.8.4")
                self.env.output.reply(self._blank(self.sender.snd_nxt - 1, ACK, now))
            if self.receiver.acks.due:
                self._send_ack(now)
        self._update_deadline()
        return sent

    # ---- state ----

    def on_link_lost(self, code: int, now: i64) -> None:
        """The host has no network any more."""
        if self.state != CLOSED and self.state != TIME_WAIT:
            self._fail(code, "the link is gone", "", CAUSE_USER, now)
