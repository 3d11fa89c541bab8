"""LISTEN. RFC 9293 3.10.7.2: the SYN queue of half-open entries, the accept queue of finished ones, and their limits.

State is earned: a SYN gets a packed record (`syn_queue`), a connection begins with the third segment; what is offered
in between is `syn_ack`'s. Whatever happens to an entry or to a connection that waits costs the same however many wait.
"""

from __future__ import annotations

from collections import OrderedDict

from mypy_extensions import i64

from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF
from synfin.tcp.connection import Connection
from synfin.tcp.ecn import (
    ACCURATE,
    MODE,
    NO_ECT,
    OFF,
    OTHER_MODE,
    TRIES_ACCURATE,
    accepted,
    agree_again,
    agree_on_cookie,
)  # fmt: skip
from synfin.tcp.environment import Environment
from synfin.tcp.states import CLOSED, LISTEN, SYN_RCVD, TIME_WAIT
from synfin.tcp.syn_ack import SynAcks
from synfin.tcp.syn_cookies import (
    OPTION_MASK,
    STEP_US,
    option_ecn,
    option_sack,
    option_wscale,
    pack_options,
    segment_size,
)
from synfin.tcp.syn_options import Negotiated, agree
from synfin.tcp.syn_queue import HalfOpen, SynQueue
from synfin.tcp.timer import Timed, earlier
from synfin.tcp.timestamps import echo_tick, rtt_us
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER
from synfin.wire.ip import ECN
from synfin.wire.segment import Segment
from synfin.wire.seq import seq_add, seq_gt
from synfin.wire.tcp_header import ACK, FIN, RST, SYN


class Listener(Timed):
    """A passive OPEN on one address (0.0.0.0, :: or b"": any of IPv4, of IPv6, of the stack's) and port.

    backlog: connections that may wait to be accepted. accept() gives them out in order of completion, dead ones never.
    """

    def __init__(self, env: Environment, address: bytes, port: int, backlog: int) -> None:
        super().__init__()
        self.address: bytes = address
        self.port: int = port
        self.backlog: int = backlog
        self.waiting: bool = False  # stands in the stack's list of listeners with something to accept
        self.closed: bool = False
        self.serving: bool = True  # False: it only holds its port, and a SYN finds nobody
        self._env: Environment = env
        self._syn_acks: SynAcks = SynAcks(env)
        self._syns: SynQueue = SynQueue(env.config.synack_retries)
        self._accept: OrderedDict[Connection, None] = OrderedDict()  # in order of completion
        self._overflow_at: i64 = -1  # when the SYN queue was last found full; cookies may be out since

    # ---- the user ----

    def accept(self) -> Connection | None:
        """The next finished connection that has not failed meanwhile; None: nobody waits."""
        while self._accept:
            connection, _ = self._accept.popitem(last=False)
            connection.user = None
            if not connection.error:
                return connection
        return None

    def forget(self, connection: Connection) -> None:
        """A connection died before anybody accepted it: it is never handed out."""
        self._accept.pop(connection, None)

    def pending(self) -> int:
        """Connections that wait to be accepted."""
        return len(self._accept)

    def half_open(self) -> int:
        """Entries of the SYN queue."""
        return len(self._syns)

    def set_receive_buffer(self, size: int) -> None:
        """Connections that begin from now on have this receive buffer (as Connection.set_receive_buffer)."""
        self._syn_acks.set_receive_buffer(size)

    def set_tos(self, tos: int, ipv6: bool) -> None:
        """What answers to SYNs and connections that begin from now on send (as Connection.set_tos), in one family."""
        self._syn_acks.set_tos(tos, ipv6)

    def close(self, now: i64) -> None:
        """No more passive opens; what nobody accepted is reset, and so is what is half open."""
        self.closed = True
        while self._accept:
            connection, _ = self._accept.popitem(last=False)
            connection.abort(now)
        for key in reversed(self._syns.keys()):  # if there is no room for all: who has waited long may be nobody
            self._abandon(key, now)

    def _abandon(self, key: bytes, now: i64) -> None:
        """ABORT in SYN-RCVD (RFC 9293 3.10.5). Whoever has our SYN,ACK takes himself for connected: where his ACK of it
        was lost, or comes when the host has ended, no RST answers it, and nothing else would ever tell him."""
        entry = self._syns.get(key)
        if entry is None:
            return
        self._syn_acks.reset(key, entry, now)
        self._remove(key)
        self._failed(key)
        self._trace(now, key, SYN_RCVD, CLOSED, "CLOSE of the listener", "9293 3.10.5", CAUSE_USER)

    def holds(self, key: bytes) -> bool:
        """The SYN queue has an entry under `key`."""
        return key in self._syns

    def expects(self, seg: Segment) -> bool:
        """It may be about a half-open entry: a RST, or what acknowledges our SYN,ACK."""
        entry = self._syns.get(seg.key)
        if entry is None:
            return False
        return seg.flags & RST != 0 or (seg.flags & (SYN | ACK) == ACK and seg.ack == seq_add(entry.iss, 1))

    # ---- segments ----

    def on_segment(self, seg: Segment, mtu: i64, now: i64, iss_above: i64) -> Connection | None:
        """A segment for this port that belongs to no connection. Returns the connection that its ACK completes.

        iss_above: -1, or SND.NXT of an incarnation in TIME-WAIT that a SYN may replace (RFC 9293 3.6.1, MAY-2).
        """
        entry = self._syns.get(seg.key)
        flags = seg.flags
        if flags & RST:
            if entry is not None:
                self._on_reset(seg, entry, iss_above >= 0, now)
            return None
        if flags & SYN:
            if entry is not None:
                self._on_another_syn(seg, entry, now)
            elif flags & ACK:
                self._env.output.reset_for(seg)
            elif not flags & FIN:
                self._on_syn(seg, mtu, now, iss_above)
            return None
        if not flags & ACK:
            return None
        if entry is not None:
            return self._on_final_ack(seg, entry, mtu, now)
        if self._cookies_may_be_out(now):
            return self._on_cookie(seg, mtu, now)
        self._env.output.reset_for(seg)  # RFC 9293 3.10.7.2: any ACK is bad in LISTEN
        return None

    def _on_reset(self, seg: Segment, entry: HalfOpen, replaces: bool, now: i64) -> None:
        """The client never sent that SYN, or does not want it any more. An old duplicate ends where it began, in
        TIME-WAIT (RFC 9293 3.6.1, MAY-2)."""
        key = seg.key
        if seg.seq != seq_add(entry.irs, 1):
            return
        self._remove(key)
        self._failed(key)
        if replaces:
            self._trace(now, key, SYN_RCVD, TIME_WAIT, "RST: the SYN was an old duplicate", "9293 3.6.1")
        else:
            self._trace(now, key, SYN_RCVD, LISTEN, "RST to a half-open entry", "9293 3.10.7.4")

    def _on_syn(self, seg: Segment, mtu: i64, now: i64, iss_above: i64) -> None:
        """First segment of the three. Text on it is not taken (see docs: a SYN is free to forge)."""
        env = self._env
        if len(self._accept) >= self.backlog:
            env.counters.ListenOverflows += 1
            env.counters.ListenDrops += 1
            self._note(now, seg.key, "SYN dropped: the accept queue is full")
            return
        full = env.half_open >= env.config.half_open_limit
        if iss_above < 0 and len(self._syns) >= env.config.syn_queue_limit:
            # Whoever comes again in TIME-WAIT is real and has a record already, so that he needs no room of strangers
            # (as in Linux), who could otherwise keep his port closed to him by keeping the queue full.
            full = True
        if full or env.config.syn_cookies == COOKIES_ALWAYS:
            # A new incarnation's number must be above the old one's, and a cookie's can't be chosen (RFC 9293 MAY-2).
            if env.config.syn_cookies != COOKIES_OFF and iss_above < 0:
                self._answer_by_cookie(seg, mtu, full, now)
                return
        if full:
            env.counters.ListenDrops += 1
            env.counters.TCPReqQFullDrop += 1
            self._note(now, seg.key, "SYN dropped: the SYN queue is full")
            return
        iss: i64 = env.isn(seg.key, now)
        if iss_above >= 0 and not seq_gt(iss, iss_above):
            iss = seq_add(iss_above, 1)
        agreed = agree(self._syn_acks.offer(seg.key, mtu), seg)
        entry = HalfOpen(now + env.config.rto_initial_us, now, seg.seq, iss, seg.ts_val, agreed)
        self._syns.file(seg.key, entry)
        env.half_open += 1
        if iss_above >= 0:
            self._trace(now, seg.key, TIME_WAIT, SYN_RCVD, "SYN of a new incarnation", "6191 2")
        else:
            self._trace(now, seg.key, LISTEN, SYN_RCVD, "SYN", "9293 3.10.7.2")
        self._syn_acks.send(seg.key, entry, mtu, now)
        self.deadline = earlier(self.deadline, entry.deadline)

    def _answer_by_cookie(self, seg: Segment, mtu: i64, full: bool, now: i64) -> None:
        """Second segment without any memory of the first: see `syn_cookies`."""
        env = self._env
        key = seg.key
        if full:
            self._overflow_at = now
            env.flooded_at = now
            env.counters.TCPReqQFullDoCookies += 1
        if env.output.has_no_room():
            return  # no hash for an answer that the link is too slow for
        agreed = agree(self._syn_acks.offer(key, mtu), seg)
        bits: i64 = 0
        if agreed.timestamps:
            bits = pack_options(agreed.snd_wscale if agreed.scaling else -1, agreed.sack, agreed.ecn != OFF)
        else:
            # Only our timestamp could bring these back, and the client does not echo any.
            agreed = Negotiated(agreed.peer_mss, False, 0, 0, False, False, OFF)
        iss = env.cookies.encode(key, seg.seq, agreed.peer_mss, bits, now)
        env.counters.SyncookiesSent += 1
        self._note(now, key, "SYN cookie: the SYN queue is full" if full else "SYN cookie: always")
        entry = HalfOpen(0, now, seg.seq, iss, seg.ts_val, agreed)
        self._syn_acks.send(key, entry, mtu, now, bits)

    def _cookies_may_be_out(self, now: i64) -> bool:
        """A cookie is valid for two counter steps, so it is looked for only that long after the last overflow."""
        mode = self._env.config.syn_cookies
        if mode == COOKIES_ALWAYS:
            return True
        return mode != COOKIES_OFF and self._overflow_at >= 0 and now - self._overflow_at <= 2 * STEP_US

    def _on_cookie(self, seg: Segment, mtu: i64, now: i64) -> Connection | None:
        """Third segment, perhaps of a cookie: it holds all that is known of the first two.

        The client's number is part of the cookie, and what has overtaken the third segment, or answers a SYN,ACK that
        came again, does not tell it. That is dropped: the client sends all again from its first text, which does. So
        does its keep-alive probe, as long as it has sent no text.
        """
        env = self._env
        key = seg.key
        iss = seq_add(seg.ack, -1)
        bits: i64 = seg.ts_ecr & OPTION_MASK if seg.has_ts and env.config.timestamps else 0
        step = env.cookies.step(key, iss, bits, now)
        if step < 0:
            env.counters.SyncookiesFailed += 1
            self._note(now, key, "no valid SYN cookie: reset")
            env.output.reset_for(seg)
            return None
        irs = seq_add(seg.seq, -1)
        if not env.cookies.proves(key, irs, iss, bits, step):
            irs = seg.seq
            if not env.cookies.proves(key, irs, iss, bits, step):
                env.counters.SyncookiesOvertaken += 1
                self._note(now, key, "dropped: perhaps it overtook the ACK of a SYN cookie")
                return None
        mss = segment_size(key, iss)
        timestamps = seg.has_ts and env.config.timestamps
        wscale = option_wscale(bits) if timestamps else -1
        scaling = wscale >= 0
        rcv_wscale = self._syn_acks.rcv_wscale
        agreed = Negotiated(
            mss,
            scaling,
            wscale if scaling else 0,
            rcv_wscale if scaling and rcv_wscale > 0 else 0,
            timestamps,
            timestamps and option_sack(bits),
            agree_on_cookie(accepted(env.config.ecn), timestamps and option_ecn(bits), seg.flags),
        )
        if len(self._accept) >= self.backlog:
            self._on_accept_queue_full(seg, now)  # ignored, the client's data brings the cookie again
            return None
        env.counters.SyncookiesRecv += 1
        if key in self._syns:  # of the same SYN, come again when there was room: its client had our cookie already
            self._remove(key)
        self._trace(now, key, LISTEN, SYN_RCVD, "ACK of a SYN cookie", "4987 3.6")
        connection = self._begin(seg, iss, irs, agreed, seg.ts_val, 0, False, mtu, now)
        if timestamps:
            connection.stamps.stamped = seg.ts_ecr
        return connection

    def _begin(
        self,
        seg: Segment,
        iss: i64,
        irs: i64,
        agreed: Negotiated,
        ts_recent: i64,
        rtt: i64,
        syn_lost: bool,
        mtu: i64,
        now: i64,
    ) -> Connection:
        """The handshake is complete: a connection, in the accept queue."""
        connection = Connection(self._env, seg.key, iss, mtu, now)
        syn_acks = self._syn_acks
        if syn_acks.receive_buffer:
            connection.receiver.offer_first(syn_acks.receive_buffer)
            connection.receiver.hold_buffer(syn_acks.receive_buffer)
        if syn_acks.tos_of(seg.key):
            connection.set_tos(syn_acks.tos_of(seg.key))
        connection.open_passive(irs, agreed, ts_recent, seg.window, rtt, syn_lost, now)
        self._env.counters.PassiveOpens += 1
        connection.user = self  # until somebody accepts it
        self._accept[connection] = None
        return connection

    def _on_another_syn(self, seg: Segment, entry: HalfOpen, now: i64) -> None:
        """The same SYN: its SYN,ACK again. Another: an ACK, so that its sender resets this entry (RFC 9293 fig. 9).

        Where a SYN,ACK was lost the peer's timer and ours end within a moment of each other, and one answer is enough:
        a SYN in the second half of our wait gets what our timer would send, and the wait begins anew (RFC 6298 5.6),
        as in Linux. But not for ever: after twice the wait since the first SYN,ACK it goes on, whatever comes.
        """
        env = self._env
        if seg.seq == entry.irs and not seg.flags & ACK:
            env.counters.RetransSegs += 1
            self._note(now, seg.key, "retransmission: SYN,ACK for a SYN that came again")
            if entry.agreed.ecn and not self._keeps_ecn(seg, entry, now):
                return
            patience = self._patience(entry)
            if entry.deadline - now <= patience // 2 and now < entry.sent_at + 2 * patience:
                entry.answered = True
                self._wait(seg.key, entry, now)
            self._syn_acks.send(seg.key, entry, 0, now)
            return
        if env.answers.challenge_half_open(seg.key, now):
            self._syn_acks.acknowledge(seg.key, entry, now)

    def _keeps_ecn(self, seg: Segment, entry: HalfOpen, now: i64) -> bool:
        """ECN was agreed on with the SYN that has come again. False: it asks for another mode, and is reset."""
        before = entry.agreed.ecn
        after = agree_again(before, accepted(self._env.config.ecn), seg.flags, seg.traffic_class & ECN)
        if after == OTHER_MODE:
            self._env.output.reset_for(seg)
            self._remove(seg.key)
            self._failed(seg.key)
            self._trace(now, seg.key, SYN_RCVD, LISTEN, "reset: the SYN came again with another ECN mode", "9768 3.1.5")
            return False
        entry.agreed.ecn = after
        if (before ^ after) & (MODE | NO_ECT):  # happens once to an entry
            self._wait(seg.key, entry, now)
        return True

    def _on_final_ack(self, seg: Segment, entry: HalfOpen, mtu: i64, now: i64) -> Connection | None:
        """Third segment: it must confirm our number. Then the connection begins, with this segment still to be read."""
        env = self._env
        key = seg.key
        agreed = entry.agreed
        ahead = (seg.seq - entry.irs - 1) & 0xFFFFFFFF
        if ahead >= self._syn_acks.window():
            # RFC 9293 3.10.7.4, first. A bare ACK gets none, or an entry and whoever is at odds with it never end.
            self._note(now, key, "outside the window")
            if (seg.payload or seg.flags & FIN) and env.answers.challenge_stranger(now):
                self._syn_acks.acknowledge(key, entry, now)
            return None
        if agreed.timestamps and seg.has_ts and seq_gt(entry.ts_recent, seg.ts_val):
            env.counters.PAWSEstab += 1
            return None
        if agreed.timestamps and not seg.has_ts and env.config.timestamps_required:
            env.counters.TSMissing += 1
            self._note(now, key, "dropped: no timestamp although agreed")
            return None
        if seg.ack != seq_add(entry.iss, 1):
            if self._cookies_may_be_out(now):
                return self._on_cookie(seg, mtu, now)
            env.output.reset_for(seg)  # RFC 9293 3.10.7.4, fifth, SYN-RECEIVED
            return None
        if len(self._accept) >= self.backlog:
            # As Linux: ignored. The SYN,ACK goes again in time, and its ACK or the client's data completes it then.
            if self._on_accept_queue_full(seg, now):
                self._remove(key)
                self._failed(key)
                self._trace(now, key, SYN_RCVD, LISTEN, "reset: the accept queue is full", "9293 3.10.7.4")
            return None
        self._remove(key)
        if entry.retry >= TRIES_ACCURATE and agreed.ecn & MODE == ACCURATE:
            agreed.ecn |= NO_ECT  # RFC 9768 3.1.5: a SYN,ACK without ECN went out
        again = entry.retry > 0 or entry.answered
        rtt: i64 = 0
        if not again:
            rtt = now - entry.sent_at if now > entry.sent_at else 1
        elif agreed.timestamps and seg.has_ts:
            # Which SYN,ACK this answers, only its timestamp tells (RFC 7323 4.1); without it the timer stays at 3 s.
            rtt = rtt_us(echo_tick(seg.ts_ecr, env.ts_offset(key), now), now)
        return self._begin(seg, entry.iss, entry.irs, agreed, entry.ts_recent, rtt, again, mtu, now)

    def _on_accept_queue_full(self, seg: Segment, now: i64) -> bool:
        """A third segment finds no room. True: it was answered by RST, as the settings want."""
        counters = self._env.counters
        counters.ListenOverflows += 1
        counters.ListenDrops += 1
        if self._env.config.abort_on_overflow:
            self._env.output.reset_for(seg)
            return True
        self._note(now, seg.key, "final ACK ignored: the accept queue is full")
        return False

    # ---- timer ----

    def on_timer(self, now: i64) -> None:
        """SYN,ACKs that go again, and entries that have waited long enough."""
        syns = self._syns
        for retry in range(syns.retries, -1, -1):
            while True:
                key = syns.due(retry, now)
                if not key:
                    break
                if retry == syns.retries:
                    syns.drop(key)
                    self._env.half_open -= 1
                    self._failed(key)
                    self._trace(now, key, SYN_RCVD, LISTEN, "no ACK of our SYN,ACK", "9293 3.8.3", CAUSE_TIMER)
                else:
                    self._send_again(key, now)
        self.deadline = syns.deadline()

    def on_link_up(self, now: i64) -> None:
        """This host's own link carries again: what went again goes at once, if there is room. Its timers go on."""
        for key in reversed(self._syns.keys()):
            entry = self._syns.get(key)
            if entry is not None and entry.retry:
                self._env.counters.RetransSegs += 1
                self._note(now, key, "retransmission: the link is up")
                self._syn_acks.send(key, entry, 0, now)

    def _send_again(self, key: bytes, now: i64) -> None:
        env = self._env
        entry = self._syns.get(key)
        assert entry is not None
        entry.retry += 1
        self._wait(key, entry, now)
        env.counters.TCPTimeouts += 1
        env.counters.RetransSegs += 1
        self._note(now, key, "retransmission: SYN,ACK timeout")
        self._syn_acks.send(key, entry, 0, now)

    # ---- helpers ----

    def _wait(self, key: bytes, entry: HalfOpen, now: i64) -> None:
        """File an entry whose SYN,ACK goes out now."""
        entry.deadline = now + self._patience(entry)
        self._syns.file(key, entry)

    def _patience(self, entry: HalfOpen) -> i64:
        """How long the ACK of its SYN,ACK may take (RFC 6298 5.5)."""
        config = self._env.config
        return min(config.rto_initial_us << entry.retry, config.rto_max_us)

    def _remove(self, key: bytes) -> None:
        self._syns.drop(key)
        self._env.half_open -= 1
        if not len(self._syns):  # else it may be too early now, and on_timer() finds nobody: the lesser work
            self.deadline = 0

    def _failed(self, key: bytes) -> None:
        """A half-open entry is gone, and no connection has come of it."""
        self._env.counters.AttemptFails += 1
        lost = self._env.on_half_open_lost
        if lost is not None:
            lost(key)

    def _trace(
        self, now: i64, key: bytes, before: int, after: int, reason: str, rfc: str, cause: int = CAUSE_SEGMENT
    ) -> None:
        if self._env.tracer is not None:
            self._env.tracer.transition(now, key, before, after, reason, rfc, cause)

    def _note(self, now: i64, key: bytes, what: str) -> None:
        if self._env.tracer is not None:
            self._env.tracer.note(now, key, what, "9293 3.10.7.2")
