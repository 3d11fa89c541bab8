"""The shell of one connection: the order of processing of RFC 9293 3.10, and nothing else.

Every mechanism is a part of its own below. The same receive and send logic serves all synchronized states: which one it
is decides `close`. Rule for the next editor: a decision that this file takes itself is in the wrong file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from synfin.tcp import acceptance, answers, errors, outgoing, status
from synfin.tcp import handshake as opening
from synfin.tcp.close import Closer
from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.environment import Environment
from synfin.tcp.handshake import Handshake, judge_syn_rcvd, judge_syn_sent
from synfin.tcp.keepalive import KeepAlive
from synfin.tcp.receiver import (
    ACK_AT_ONCE,
    ADVANCED,
    AFTER_FIN,
    DROPPED,
    FIN_REACHED,
    QUEUED,
    Receiver,
)
from synfin.tcp.sender import (
    ACKED,
    DISCARDED,
    DUPLICATE,
    FAST_RETRANSMIT,
    FIN_ACKED,
    GIVE_UP,
    PARTIAL_ACK,
    PROBE,
    RENEGED,
    SACK_RECOVERY,
    TIMEOUT,
    TOO_FINE,
    Chunk,
    Sender,
)
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
    check,
)
from synfin.tcp.syn_options import Negotiated, agree, headers_bytes, offer, send_mss
from synfin.tcp.time_wait import TimeWait
from synfin.tcp.timer import earlier
from synfin.tcp.timestamps import Timestamps
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER
from synfin.tcp.turn import Turn
from synfin.wire.key import reverse_key
from synfin.wire.segment import Segment
from synfin.wire.seq import unwrap, wrap
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

# events for the user; taken and cleared by take_events()
CONNECTED: Final = 1
READABLE: Final = 2
EOF: Final = 4  # the peer's FIN was reached: after what is ready, nothing more
WRITABLE: Final = 8  # acknowledged bytes made room, and `want_writable` asked to be told
FAILED: Final = 16  # `error` says why
GONE: Final = 32  # the protocol part has ended: CLOSED or TIME-WAIT

PROBE_DUE: Final = 1
KEEPALIVE_DUE: Final = 2

MAX_WINDOW_FIELD: Final = 65535


class Connection(Turn):
    """One connection under its key (peer | local | peer port | local port, as in an incoming packet).

    Made by a Stack. User calls: write, read, shutdown, close, abort. They never block and run no callback: what
    happens shows in `take_events()`.
    """

    def __init__(self, env: Environment, key: bytes, iss: i64, mtu: i64, now: i64) -> None:
        super().__init__()
        config = env.config
        self.env: Environment = env
        self.key: bytes = key
        self.key_out: bytes = reverse_key(key)
        self.state: i64 = CLOSED
        self.iss: i64 = iss  # wire numbers of offset 0, ours and the peer's
        self.irs: i64 = 0
        self.mtu: i64 = mtu  # of the path, as far as known
        self.peer_mss: i64 = 0
        self.error: int = errors.NONE  # why it failed
        self.soft_error: int = errors.NONE  # what the network said meanwhile; becomes `error` at give-up (RFC 5461)
        self.want_writable: bool = False
        self.user: object | None = None  # whoever holds this connection
        self.sender: Sender = Sender(config, config.congestion_control(mtu - headers_bytes(key)), 536, now)
        window = config.receive_buffer if config.receive_buffer < MAX_WINDOW_FIELD else MAX_WINDOW_FIELD
        self.receiver: Receiver = Receiver(config, window)
        self.closer: Closer = Closer()
        self.stamps: Timestamps = Timestamps(config.timestamps, env.ts_offset(key) if config.timestamps else 0, 0, now)
        self.handshake: Handshake | None = None
        self.keepalive: KeepAlive | None = None
        self._events: i64 = 0
        self._snd_wscale: i64 = 0
        self._orphan: bool = False  # counted in env.orphans
        self._linger_deadline: i64 = 0  # FIN-WAIT-2 without a reader ends here
        self._answered_at: i64 = answers.NEVER  # the last answer to what was refused
        self._due: i64 = 0  # probes that the next poll sends

    # ---- opening ----

    def open(self, now: i64) -> None:
        """Active OPEN (RFC 9293 3.10.1): a SYN goes out at the next poll."""
        config = self.env.config
        proposal = offer(self.key, self.mtu, config)
        self.handshake = Handshake(proposal, config.rto_initial_us, now)
        self.env.counters.ActiveOpens += 1
        self._to(SYN_SENT, "active OPEN", "9293 3.10.1", CAUSE_USER, now)
        self.touch()

    def open_passive(
        self, irs: i64, agreed: Negotiated, ts_recent: i64, window: i64, rtt: i64, syn_lost: bool, now: i64
    ) -> None:
        """The third segment of a passive open has come: ESTABLISHED, from what LISTEN remembered or a cookie told."""
        self.irs = irs
        self.stamps.recent = ts_recent
        self.stamps.recent_at = now
        self.state = SYN_RCVD  # as a record in the SYN queue, until now
        self._establish(agreed, window << agreed.snd_wscale, rtt, syn_lost, now)

    def _establish(self, agreed: Negotiated, window: i64, rtt: i64, syn_lost: bool, now: i64) -> None:
        """Both SYNs are acknowledged. window: the peer's, in bytes."""
        config = self.env.config
        self.handshake = None
        self.peer_mss = agreed.peer_mss
        self.stamps.enabled = agreed.timestamps
        self._snd_wscale = agreed.snd_wscale
        self.receiver.wscale = agreed.rcv_wscale
        self.receiver.sack = agreed.sack
        self.sender.sack = agreed.sack
        mss = send_mss(agreed.peer_mss, self.key, self.mtu, agreed.timestamps)
        self.sender.establish(mss, window, 0, 1, rtt, syn_lost, now)
        if self.keepalive is not None:  # asked for in SYN-SENT: idle from now on
            self.keepalive.heard(now)
        elif config.keepalive_idle_us:
            self.set_keepalive(config.keepalive_idle_us, config.keepalive_interval_us, config.keepalive_probes, now)
        self._to(ESTABLISHED, "the handshake is complete", "9293 3.5", CAUSE_SEGMENT, now)
        self._tell(CONNECTED)
        if self.closer.fin_queued:  # CLOSE was called before the handshake was done
            self._to(self.closer.state(), "CLOSE", "9293 3.10.4", CAUSE_USER, now)

    def _on_syn_sent(self, seg: Segment, now: i64) -> None:
        handshake = self.handshake
        assert handshake is not None
        verdict = judge_syn_sent(seg.flags, unwrap(seg.ack, self.iss, 0))
        if verdict == opening.DROP:
            return
        if verdict == opening.SEND_RESET:
            self._note(now, "acknowledges what was never sent: reset", "9293 3.10.7.3")
            self.env.output.reset_for(seg)
            return
        if verdict == opening.REFUSED:
            self.env.counters.AttemptFails += 1
            self._fail(errors.REFUSED, "RST: connection refused", "9293 3.10.7.3", CAUSE_SEGMENT, now)
            return
        self.irs = seg.seq
        agreed = agree(handshake.offer, seg)
        self.stamps.enabled = agreed.timestamps
        if agreed.timestamps:
            self.stamps.recent = seg.ts_val
            self.stamps.recent_at = now
        if verdict == opening.OPEN:
            # The window of a SYN segment is never scaled (RFC 7323 2.2). Text on it is not taken: only the SYN is
            # acknowledged, and the peer sends the rest again.
            self._establish(agreed, seg.window, handshake.rtt(now), handshake.tries > 0, now)
            self.receiver.acks.due = True
        else:
            handshake.agreed = agreed
            handshake.due = True
            self.sender.snd_wnd = seg.window
            self._to(SYN_RCVD, "SYN: simultaneous open", "9293 3.10.7.3", CAUSE_SEGMENT, now)
        self.touch()

    # ---- a segment arrives ----

    def on_segment(self, seg: Segment, now: i64) -> None:
        """SEGMENT ARRIVES (RFC 9293 3.10.7.3 and 3.10.7.4), in its order."""
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
        self.touch()
        if self.keepalive is not None:
            self.keepalive.heard(now)
            self._update_deadline()
        if self.state == SYN_RCVD and not self._on_syn_rcvd(seg, seq, ack, now):
            self._update_deadline()
            return
        if stamps.enabled and not flags & RST:
            if not seg.has_ts:
                self._note(now, "dropped: no timestamp although agreed", "7323 3.2")
                return
            if stamps.is_old(seg.ts_val, now):
                self.env.counters.PAWSEstab += 1
                self._note(now, "dropped: PAWS", "7323 5.3")
                self._acknowledge_refused(seq, len(seg.payload), flags & (SYN | FIN) != 0, now)
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
            self._refuse(verdict, seq, size, length > size, now)
            self._update_deadline()
            return
        ts_rtt: i64 = -1
        if stamps.enabled:
            stamps.update(seg.ts_val, seq, now)
            ts_rtt = stamps.rtt_us(seg.ts_ecr, now)
            if size >= 512 and ts_rtt > 0:
                receiver.on_rtt(ts_rtt)
        if ack >= sender.snd_una:
            if seg.sack is not None and sender.sack:
                self._on_sack(seg.sack, ack, now)
            self._on_ack(ack, seq, seg.window << self._snd_wscale, length == 0, ts_rtt, now)
        if length:
            if verdict == acceptance.ACCEPT_NO_TEXT:
                self._send_ack(now)
            elif self.state != CLOSED:
                self._on_text(seg, seq, size, now)
        self._update_deadline()

    def _on_syn_rcvd(self, seg: Segment, seq: i64, ack: i64, now: i64) -> bool:
        """SYN-RCVD after a simultaneous open. True: ESTABLISHED, and the rest of `seg` is still to be read."""
        handshake = self.handshake
        assert handshake is not None and handshake.agreed is not None
        verdict = judge_syn_rcvd(seg.flags, seq, ack, self.receiver.rcv_nxt, self.receiver.rcv_adv)
        if verdict == opening.OPEN or verdict == opening.OPEN_BY_SYN_ACK:
            agreed = handshake.agreed
            window = seg.window if verdict == opening.OPEN_BY_SYN_ACK else seg.window << agreed.snd_wscale
            self._establish(agreed, window, handshake.rtt(now), handshake.tries > 0, now)
            return verdict == opening.OPEN
        if verdict == opening.REFUSED:
            self.env.counters.AttemptFails += 1
            self._fail(errors.REFUSED, "RST in SYN-RCVD", "9293 3.10.7.4", CAUSE_SEGMENT, now)
        elif verdict == opening.CHALLENGE:
            self._challenge(now)
        elif verdict == opening.SYN_AGAIN:
            self.env.counters.RetransSegs += 1
            self._note(now, "retransmission: SYN,ACK for a SYN that came again", "9293 3.10.7.4")
            self._send_syn(now)  # answered, but the timer and its count go on
        elif verdict == opening.SEND_RESET:
            self.env.output.reset_for(seg)
        return False

    def _refuse(self, verdict: i64, seq: i64, size: i64, control: bool, now: i64) -> None:
        if verdict == acceptance.UNACCEPTABLE:
            self._note(now, "outside the window", "9293 3.10.7.4")
            self._acknowledge_refused(seq, size, control, now)
        elif verdict == acceptance.CHALLENGE:
            self._challenge(now)
        elif verdict == acceptance.RESET:
            self._on_reset(now)

    def _acknowledge_refused(self, seq: i64, size: i64, control: bool, now: i64) -> None:
        """Answer what was refused: `size` bytes of text at `seq`; control: a SYN or FIN."""
        if size or control:
            if size and seq < self.receiver.rcv_nxt:
                self.receiver.on_duplicate(seq, seq + size)
            self._send_ack(now)
        elif self.env.answers.to_bare(self._answered_at, now):
            self._answered_at = now
            self._send_ack(now)

    def _on_reset(self, now: i64) -> None:
        """A genuine RST (RFC 9293 3.10.7.4, second)."""
        state = self.state
        if state == ESTABLISHED or state == CLOSE_WAIT:
            self.env.counters.EstabResets += 1
        if (state == LAST_ACK or state == CLOSING) and self.sender.fin_sent():
            self._end(CLOSED, "RST", "9293 3.10.7.4", CAUSE_SEGMENT, now)
            return
        self._fail(errors.RESET, "RST: connection reset by peer", "9293 3.10.7.4", CAUSE_SEGMENT, now)

    def _on_sack(self, blocks: list[tuple[int, int]], ack: i64, now: i64) -> None:
        iss = self.iss
        una = self.sender.snd_una
        offsets: list[tuple[int, int]] = [(unwrap(left, iss, una), unwrap(right, iss, una)) for left, right in blocks]
        result = self.sender.on_sack(offsets, ack, now)
        counters = self.env.counters
        if result & DUPLICATE:
            counters.TCPDSACKRecv += 1
            self._note(now, "D-SACK: the peer got something twice", "2883 4")
        if result & DISCARDED:
            counters.TCPSACKDiscard += 1
            self._note(now, "SACK block ignored: outside what is in flight", "2018 8")
        if result & TOO_FINE:
            counters.TCPWqueueTooBig += 1

    def _on_ack(self, ack: i64, seq: i64, window: i64, pure: bool, ts_rtt: i64, now: i64) -> None:
        result = self.sender.on_ack(ack, seq, window, pure, ts_rtt, now, self.env.sample)
        if result == 0:
            return
        if result & FAST_RETRANSMIT:
            self.env.counters.TCPFastRetrans += 1
            if result & SACK_RECOVERY:
                self.env.counters.TCPSackRecovery += 1
                self._note(now, "SACK blocks above a hole: fast retransmit", "6675 5")
            else:
                self._note(now, "three duplicate ACKs: fast retransmit", "5681 3.2")
        if result & PARTIAL_ACK:
            self._note(now, "partial ACK: the next hole is lost too", "6582 3.2")
        if result & ACKED and self.want_writable:
            self._tell(WRITABLE)
        if result & FIN_ACKED and not self.closer.fin_acked:
            self.closer.on_fin_acked()
            self._to_closing_state("ACK of FIN", "9293 3.10.7.4", CAUSE_SEGMENT, now)

    def _on_text(self, seg: Segment, seq: i64, size: i64, now: i64) -> None:
        """Text and FIN (RFC 9293 3.10.7.4, seventh and eighth)."""
        receiver = self.receiver
        if self.closer.reader_gone and size and seq + size > receiver.rcv_nxt and not receiver.fin_reached:
            # RFC 9293 3.6: data for a user who has closed is lost, and the peer must learn it.
            self.env.counters.TCPAbortOnData += 1
            self._send_reset(now)
            self._fail(errors.RESET, "data after CLOSE: reset", "9293 3.6.1", CAUSE_SEGMENT, now)
            return
        result = receiver.on_data(seq, seg.payload, seg.flags & FIN != 0, seg.flags & PSH != 0, seg.gso_size, now)
        if result & ADVANCED:
            if receiver.ready_bytes:
                self._tell(READABLE)
            if result & FIN_REACHED:
                self._tell(EOF)
                self.closer.on_peer_fin()
                self._to_closing_state("FIN", "9293 3.10.7.4", CAUSE_SEGMENT, now)
                if self.state == TIME_WAIT:
                    self._send_ack(now)  # nothing can ride with it any more
                    return
        if result & QUEUED:
            self.env.counters.TCPOFOQueue += 1
        elif result & DROPPED:
            self.env.counters.TCPOFODrop += 1
            self._note(now, "dropped: no room in reassembly", "")
        elif result & AFTER_FIN:
            self._note(now, "dropped: beyond the peer's own FIN", "9293 3.10.7.4")
        if result & ACK_AT_ONCE:
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
        taken = receiver.read(now) if limit < 0 else receiver.read_some(limit, now)
        if taken:
            self._after_read()
        return taken

    def read_piece(self, now: i64) -> bytes | None:
        """The next piece of what is ready, as it came; None: nothing is ready."""
        piece = self.receiver.read_piece(now)
        if piece is not None:
            self._after_read()
        return piece

    def _after_read(self) -> None:
        """The reader made room: the peer is told when it is worth a segment (RFC 9293 3.8.6.2.2)."""
        receiver = self.receiver
        if not receiver.fin_reached and receiver.update_due(self.sender.mss):
            receiver.acks.due = True
            self.touch()

    def remind(self) -> None:
        """Tell the user once more, at the next turn, of what is ready: it can take it now."""
        event: i64 = 0
        if self.receiver.ready_bytes:
            event |= READABLE
        if self.receiver.fin_reached:
            event |= EOF
        if self.error:
            event |= FAILED
        if self.state == CLOSED or self.state == TIME_WAIT:
            event |= GONE
        if event:
            self._tell(event)

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
        """No more will be written or read. With bytes unread the peer is told by RST, as Linux does (RFC 2525 2.17)."""
        if self.state == CLOSED or self.state == TIME_WAIT or self.closer.reader_gone:
            self.closer.reader_gone = True
            return
        if self.state == SYN_SENT:
            self._end(CLOSED, "CLOSE before the handshake was done", "9293 3.10.4", CAUSE_USER, now)
            return
        if self.receiver.ready_bytes or self.closer.by_reset:
            self.abort(now)
            return
        env = self.env
        if env.orphans >= env.config.orphan_limit:
            env.counters.TCPAbortOnMemory += 1
            self.abort(now)
            return
        env.orphans += 1
        self._orphan = True
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

    def set_keepalive(self, idle_us: i64, interval_us: i64, probes: i64, now: i64) -> None:
        """Turn keep-alive on (RFC 9293 3.8.4); idle_us 0 turns it off. Raises ValueError for what is no time."""
        if idle_us < 0 or (idle_us and (interval_us <= 0 or probes <= 0)):
            raise ValueError("keep-alive needs a positive interval and number of probes, and an idle time or 0")
        self.keepalive = KeepAlive(idle_us, interval_us, probes, now) if idle_us else None
        self._update_deadline()
        self.touch()

    def set_nodelay(self, nodelay: bool) -> None:
        """Switch Nagle's algorithm off or on (RFC 9293 3.7.4); what it held back goes out when it is off."""
        self.sender.nodelay = nodelay
        self.touch()

    def set_user_timeout(self, microseconds: i64) -> None:
        """RFC 9293 3.9.1: fail when sent data stays unacknowledged this long; 0: only `Config.retries` decides.

        Raises ValueError for a negative time.
        """
        if microseconds < 0:
            raise ValueError(f"a user timeout is a time or 0, not {microseconds}")
        self.sender.user_timeout_us = microseconds
        self._update_deadline()
        self.touch()

    def set_congestion_control(self, make: Callable[[int], CongestionControl]) -> None:
        """Exchange the congestion control; the new one goes on with the windows of the old."""
        old = self.sender.congestion
        new = make(old.mss)
        new.cwnd = old.cwnd
        new.ssthresh = old.ssthresh
        self.sender.congestion = new

    def queued_bytes(self) -> int:
        """Bytes written and not acknowledged yet."""
        return self.sender.queued()

    def write_excess(self) -> int:
        """Bytes written beyond what the connection itself takes off the user's hands: what a kernel would not buffer.

        The connection's share follows the congestion window, as Linux sizes its send buffer.
        """
        return self.sender.excess()

    def take_events(self) -> int:
        """What happened since the last call, as a mask; the caller has been served."""
        events = self._events
        self._events = 0
        self.waiting = False
        return events

    def snapshot(self) -> status.ConnectionSnapshot:
        """STATUS."""
        return status.read(self.state, self.sender, self.receiver, self.stamps.enabled, self._snd_wscale, self.deadline)

    # ---- the network says ----

    def on_unreachable(self, code: int, hard: bool, now: i64) -> None:
        """ICMP unreachable: an attempt fails at once by a hard error, a connection never does (RFC 5927 5.2)."""
        if self.state in (SYN_SENT, SYN_RCVD) and hard:
            self.env.counters.AttemptFails += 1
            self._fail(code, "ICMP: destination unreachable", "5461 4", CAUSE_SEGMENT, now)
        else:
            self.soft_error = code

    def on_path_mtu(self, mtu: i64, now: i64) -> None:
        """The path carries less (RFC 1191, RFC 8201): what was too big goes again in smaller segments."""
        if mtu >= self.mtu:
            return
        self.mtu = mtu
        if self.handshake is not None:
            return
        mss = send_mss(self.peer_mss, self.key, mtu, self.stamps.enabled)
        if mss < self.sender.mss:
            self.sender.set_mss(mss)
            self._note(now, "packet too big: retransmission in smaller segments", "1191 6.4")
        self.touch()

    # ---- timers ----

    def on_timer(self, now: i64) -> None:
        """Do all that is due."""
        config = self.env.config
        if self.state == CLOSED or self.state == TIME_WAIT:
            self.deadline = 0
            return
        if self.handshake is not None:
            self._on_syn_timer(self.handshake, now)
            return
        acks = self.receiver.acks
        if acks.deadline and now >= acks.deadline:
            acks.deadline = 0
            acks.due = True
            self.env.counters.DelayedACKs += 1
        orphan = self.closer.reader_gone and self.closer.fin_queued
        result = self.sender.on_timer(now, config.orphan_retries if orphan else config.retries, orphan)
        if result & GIVE_UP:
            self._give_up(now)
            return
        if result & TIMEOUT:
            self.env.counters.TCPTimeouts += 1
            self._note(now, "retransmission: RTO", "6298 5.4")
        if result & RENEGED:
            self.env.counters.TCPSACKReneging += 1
            self._note(now, "the peer dropped what it had reported by SACK", "2018 8")
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

    def _on_syn_timer(self, handshake: Handshake, now: i64) -> None:
        config = self.env.config
        if handshake.deadline and now >= handshake.deadline:
            handshake.deadline = 0
            retries = config.syn_retries if self.state == SYN_SENT else config.synack_retries
            if handshake.on_timer(retries, config.rto_max_us):
                self.env.counters.TCPTimeouts += 1
                self._note(now, "retransmission: SYN timeout", "6298 5.7")
            else:
                self._give_up(now)
        self.touch()
        self._update_deadline()

    def _give_up(self, now: i64) -> None:
        """R2 of RFC 9293 3.8.3 is passed, or its like for SYN, probe and keep-alive."""
        self.env.counters.TCPAbortOnTimeout += 1
        if self.state in (SYN_SENT, SYN_RCVD):
            self.env.counters.AttemptFails += 1
        elif self._is_awaited():
            self._send_reset(now)
        self._fail(self.soft_error or errors.TIMED_OUT, "no answer: given up", "9293 3.8.3", CAUSE_TIMER, now)

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
        else:
            if self._due & PROBE_DUE:
                self._due &= ~PROBE_DUE
                if self.sender.persist.deadline and self.sender.probe(now, chunk):
                    self.env.counters.TCPWinProbe += 1
                    self._note(now, "zero-window probe", "9293 3.8.6.1")
                    self._send_chunk(chunk, now)
            if self._due & KEEPALIVE_DUE:
                self._due &= ~KEEPALIVE_DUE
                self.env.counters.TCPKeepAlive += 1
                self._note(now, "keep-alive probe", "9293 3.8.4")
                self.env.output.reply(self._blank(self.sender.snd_nxt - 1, ACK, now))
            if self.receiver.acks.due:
                self._send_ack(now)
        self._update_deadline()
        return sent

    def _blank(self, offset: i64, flags: i64, now: i64) -> Segment:
        """A segment of this connection, to be sent now."""
        seg = self.env.output.blank(self.key_out)
        outgoing.fill(seg, self.iss, self.irs, offset, flags, self.sender.mss, self.receiver, self.stamps, now)
        return seg

    def _send_chunk(self, chunk: Chunk, now: i64) -> None:
        if chunk.retransmission:
            self.env.counters.RetransSegs += (chunk.length + chunk.segment - 1) // chunk.segment if chunk.segment else 1
        seg = self._blank(chunk.offset, outgoing.flags_of(chunk), now)
        self.env.output.data(seg, chunk.pieces, chunk.length, chunk.segment)

    def _send_ack(self, now: i64) -> None:
        """An ACK of its own, now: SND.NXT, RCV.NXT and the window as they are, and what waits behind holes."""
        seg = self._blank(self.sender.snd_nxt, ACK, now)
        if self.receiver.sack:
            outgoing.fill_sack(seg, self.irs, self.receiver, self.env.counters)
        self.env.output.reply(seg)

    def _send_syn(self, now: i64) -> None:
        """SYN in SYN-SENT, SYN,ACK in SYN-RCVD."""
        assert self.handshake is not None
        seg = self.env.output.blank(self.key_out)
        window = self.receiver.rcv_adv - 1
        self.handshake.fill(seg, self.iss, self.irs, window, self.stamps.value(now), self.stamps.recent)
        self.env.output.reply(seg)

    def _send_reset(self, now: i64) -> None:
        """RST at SND.NXT (RFC 9293 3.10.5)."""
        self.env.counters.OutRsts += 1
        seg = self._blank(self.sender.snd_nxt, RST | ACK, now)
        seg.window = 0
        self.env.output.reply(seg)

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

    # ---- state ----

    def touch(self) -> None:
        """Ask for a turn at the next poll."""
        if not self.active:
            self.active = True
            self.env.active.append(self)

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
        )

    def notify(self) -> None:
        """A turn for the user even without an event."""
        self._tell(0)

    def on_link_lost(self, code: int, now: i64) -> None:
        """The host has no network any more."""
        if self.state != CLOSED and self.state != TIME_WAIT:
            self._fail(code, "the link is gone", "", CAUSE_USER, now)

    def _tell(self, event: i64) -> None:
        self._events |= event
        if not self.waiting:
            self.waiting = True
            self.env.ready.append(self)

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
        if self._orphan:
            self._orphan = False
            self.env.orphans -= 1
        self._linger_deadline = 0
        self.deadline = 0
        self._tell(GONE)
        self.touch()

    def _fail(self, error: int, reason: str, rfc: str, cause: int, now: i64) -> None:
        """The connection ends by an error that its user must hear of."""
        self.error = error
        self.receiver.forget_out_of_order()
        self._tell(FAILED)
        self._end(CLOSED, reason, rfc, cause, now)

    def _note(self, now: i64, what: str, rfc: str) -> None:
        if self.env.tracer is not None:
            self.env.tracer.note(now, self.key, what, rfc)
