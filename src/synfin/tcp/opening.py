"""From OPEN to ESTABLISHED: what a connection does in SYN-SENT and SYN-RCVD. RFC 9293 3.10.1, 3.10.7.3, 3.10.8.

`handshake` judges the segments and says when a SYN goes again; here its verdicts become states. A passive open is a
record of `listener` until its third segment, and begins here as established.
"""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp import errors, report
from synfin.tcp import handshake as judged
from synfin.tcp.accurate_ecn import AccurateEcho, AccurateMarks
from synfin.tcp.ecn import ACCURATE, MODE, NO_ECT, OFF, Echo, Marks, offered
from synfin.tcp.handshake import Handshake, judge_syn_rcvd, judge_syn_sent
from synfin.tcp.states import (
    ESTABLISHED,
    SYN_RCVD,
    SYN_SENT,
)
from synfin.tcp.syn_options import Negotiated, offer
from synfin.tcp.timestamps import rtt_us
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER
from synfin.tcp.turn import CONNECTED
from synfin.tcp.user_options import UserOptions
from synfin.wire.segment import Segment
from synfin.wire.seq import unwrap


class Opening(UserOptions):
    """A connection before it is synchronized."""

    def open(self, now: i64, patience: i64 = 0, ecn: bool = True) -> None:
        """Active OPEN (RFC 9293 3.10.1): a SYN goes out at the next poll.

        patience: the least first timeout, of the SYN and of text, by what is known of that host; 0: nothing is.
        ecn: the SYN may ask for what Config.ecn says.
        """
        config = self.env.config
        proposal = offer(self.key, self.mtu, config, offered(config.ecn) if ecn else OFF)
        self.sender.rto.wait_at_least(patience)
        self.handshake = Handshake(proposal, self.sender.rto.rto, now)
        self.handshake.patience = patience
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
        opening_by = self.handshake
        self.handshake = None
        self.peer_mss = agreed.peer_mss
        self.stamps.enabled = agreed.timestamps
        self._snd_wscale = agreed.snd_wscale
        self.receiver.wscale = agreed.rcv_wscale
        self.receiver.sack = agreed.sack
        self.receiver.establish(rtt, agreed.timestamps)
        if agreed.ecn:
            self._use_ecn(agreed.ecn, opening_by)
        self.sender.establish(self._mss(self.mtu), agreed.sack, window, 0, 1, rtt, syn_lost, now)
        if opening_by is not None:
            self.sender.rto.wait_at_least(opening_by.patience)
            if opening_by.offer.ecn:
                self.path_news |= opening_by.ecn_news(agreed.ecn)
        self._begin_path(now)
        if self.keepalive is not None:  # asked for in SYN-SENT: idle from now on
            self.keepalive.heard(now)
        elif config.keepalive_idle_us:
            self.set_keepalive(config.keepalive_idle_us, config.keepalive_interval_us, config.keepalive_probes, now)
        self._to(ESTABLISHED, "the handshake is complete", "9293 3.5", CAUSE_SEGMENT, now)
        if self.env.tracer is not None:
            report.sample(self.env.tracer, self.key, self.sender, rtt, now)
        self.tell(CONNECTED)
        self.touch()
        if self.closer.fin_queued:  # CLOSE was called before the handshake was done
            self._to(self.closer.state(), "CLOSE", "9293 3.10.4", CAUSE_USER, now)

    def _use_ecn(self, agreed: i64, handshake: Handshake | None) -> None:
        """handshake: None after a passive open, which ends with an ACK that tells of our SYN,ACK."""
        if agreed & MODE == ACCURATE:
            self.receiver.echo = AccurateEcho(agreed, handshake is not None and handshake.agreed is None)
            self.sender.losses.marks = AccurateMarks(agreed, handshake is None)
        else:
            self.receiver.echo = Echo()
            self.sender.losses.marks = Marks(not agreed & NO_ECT)

    def _on_syn_sent(self, seg: Segment, now: i64) -> None:
        handshake = self.handshake
        assert handshake is not None
        verdict = judge_syn_sent(seg.flags, unwrap(seg.ack, self.iss, 0))
        if verdict == judged.DROP:
            return
        if verdict == judged.SEND_RESET:
            self._note(now, "acknowledges what was never sent: reset", "9293 3.10.7.3")
            self.env.output.reset_for(seg)
            return
        if verdict == judged.REFUSED:
            self.env.counters.AttemptFails += 1
            self._fail(errors.REFUSED, "RST: connection refused", "9293 3.10.7.3", CAUSE_SEGMENT, now)
            return
        self.irs = seg.seq
        agreed = handshake.agree(seg)
        self.stamps.enabled = agreed.timestamps
        if agreed.timestamps:
            self.stamps.recent = seg.ts_val
            self.stamps.recent_at = now
        if verdict == judged.OPEN:
            # The window of a SYN segment is never scaled (RFC 7323 2.2). Text on it is not taken: only the SYN is
            # acknowledged, and the peer sends the rest again.
            rtt = handshake.rtt(now)
            if rtt == 0 and agreed.timestamps:  # which of our SYNs it answers, only its timestamp tells (RFC 7323 4.1)
                rtt = rtt_us(self.stamps.echo_tick(seg.ts_ecr, now), now)
            self._establish(agreed, seg.window, rtt, handshake.tries > 0, now)
            if agreed.ecn & MODE == ACCURATE:
                self._send_ack(now)  # without text: it tells of the SYN,ACK's ECN field (RFC 9768 3.2.2.1)
            else:
                self.receiver.acks.due = True
        else:
            handshake.agreed = agreed
            self.receiver.wscale = agreed.rcv_wscale  # of all that is sent but the SYN,ACK (RFC 7323 2.2)
            handshake.due = True
            self.sender.snd_wnd = seg.window
            self._to(SYN_RCVD, "SYN: simultaneous open", "9293 3.10.7.3", CAUSE_SEGMENT, now)
        self.touch()

    def _on_syn_rcvd(self, seg: Segment, seq: i64, ack: i64, now: i64) -> bool:
        """SYN-RCVD after a simultaneous open. True: ESTABLISHED, and the rest of `seg` is still to be read."""
        handshake = self.handshake
        assert handshake is not None and handshake.agreed is not None
        verdict = judge_syn_rcvd(seg.flags, seq, ack, self.receiver.rcv_nxt, self.receiver.rcv_adv)
        if verdict == judged.OPEN or verdict == judged.OPEN_BY_SYN_ACK:
            agreed = handshake.agreed
            window = seg.window if verdict == judged.OPEN_BY_SYN_ACK else seg.window << agreed.snd_wscale
            self._establish(agreed, window, handshake.rtt(now), handshake.tries > 0, now)
            return verdict == judged.OPEN
        if verdict == judged.REFUSED:
            self.env.counters.AttemptFails += 1
            self._fail(errors.REFUSED, "RST in SYN-RCVD", "9293 3.10.7.4", CAUSE_SEGMENT, now)
        elif verdict == judged.CHALLENGE:
            self._challenge(now)
        elif verdict == judged.SYN_AGAIN:
            self.env.counters.RetransSegs += 1
            self._note(now, "retransmission: SYN,ACK for a SYN that came again", "9293 3.10.7.4")
            self._send_syn(now)  # answered, but the timer and its count go on
        elif verdict == judged.SEND_RESET:
            self.env.output.reset_for(seg)
        return False

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
