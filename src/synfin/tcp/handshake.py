"""THE THREE-WAY HANDSHAKE, as its active side sees it, and the simultaneous open. RFC 9293 3.5, 3.10.7.3 and 3.10.7.4.

SYN (seq = x) -> SYN,ACK (seq = y, ack = x + 1) -> ACK (seq = x + 1, ack = y + 1). Three, since each side's number must
be both told and confirmed; the middle segment does two of the four things. The passive side needs no object while it
waits for the third segment: see `listener`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.ecn import CLASSIC, MODE, NO_ECT, OFF, syn_ack_flags, syn_flags, tries
from synfin.tcp.path_probe import ECN_ANSWERED, ECN_UNANSWERED
from synfin.tcp.syn_options import Negotiated, Offer, agree
from synfin.wire.segment import Segment
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, RST, SYN

# verdicts on a segment in SYN-SENT and SYN-RCVD
DROP: Final = 0
SEND_RESET: Final = 1  # it acknowledges what we never sent: somebody's old connection
REFUSED: Final = 2
OPEN: Final = 3  # it acknowledges our SYN
SIMULTANEOUS: Final = 4  # a SYN that crossed ours
# and in SYN-RCVD alone
CHALLENGE: Final = 5  # perhaps an attack: answer with a challenge ACK (RFC 5961)
OPEN_BY_SYN_ACK: Final = 6  # like OPEN, and nothing else of the segment counts
SYN_AGAIN: Final = 7  # the peer has not seen our SYN,ACK


def judge_syn_sent(flags: i64, ack: i64) -> i64:
    """RFC 9293 3.10.7.3 for a segment whose acknowledgement is the offset `ack` (our SYN is 0)."""
    if flags & ACK and ack != 1:
        return DROP if flags & RST else SEND_RESET
    if flags & RST:
        # A RST without ACK proves nothing: whoever sent it need not have seen our SYN.
        return REFUSED if flags & ACK else DROP
    if flags & SYN:
        return OPEN if flags & ACK else SIMULTANEOUS
    return DROP


def judge_syn_rcvd(flags: i64, seq: i64, ack: i64, rcv_nxt: i64, rcv_adv: i64) -> i64:
    """RFC 9293 3.10.7.4 for SYN-RCVD after a simultaneous open (a passive one is a record of the listener)."""
    if flags & RST:
        if seq == rcv_nxt:
            return REFUSED
        return CHALLENGE if rcv_nxt < seq < rcv_adv else DROP
    # The peer's SYN,ACK repeats the SYN that came before: left of the window, yet its ACK is the one we wait for
    # (RFC 9293 figure 7).
    repeated = flags & SYN != 0 and seq == rcv_nxt - 1
    if not repeated and (flags & SYN or not rcv_nxt <= seq <= rcv_adv):
        return CHALLENGE  # RFC 9293 3.10.7.4, first, and 5961 4.2
    if not flags & ACK:
        return SYN_AGAIN if repeated else DROP
    if ack != 1:
        return SEND_RESET
    return OPEN_BY_SYN_ACK if repeated else OPEN


class Handshake:
    """Exists from OPEN until ESTABLISHED: what was offered, and the retransmission of the SYN (or SYN,ACK)."""

    def __init__(self, offer: Offer, rto_us: i64, now: i64) -> None:
        self.offer: Offer = offer
        self.agreed: Negotiated | None = None  # known once the peer's SYN has come (simultaneous open)
        self.due: bool = True  # a SYN or SYN,ACK is to be sent at the next poll
        self.tries: i64 = 0  # sent again, so often
        self.deadline: i64 = 0
        self.sent_at: i64 = now  # the last time, for the RTT sample
        self.patience: i64 = 0  # the least first timeout of text, by what is known of the host
        self._interval: i64 = rto_us

    def is_untold(self) -> bool:
        """The first SYN has not gone out: the offer may still change."""
        return self.due and self.deadline == 0

    def on_sent(self, now: i64) -> None:
        """A SYN or SYN,ACK went out."""
        self.due = False
        self.sent_at = now
        self.deadline = now + self._interval

    def on_timer(self, retries: i64, max_us: i64) -> bool:
        """No answer in time: send again, twice as patient (RFC 6298 5.5). False: enough."""
        if self.tries >= retries:
            return False
        self.tries += 1
        self._interval = self._interval * 2 if self._interval * 2 < max_us else max_us
        self.due = True
        return True

    def agree(self, syn: Segment) -> Negotiated:
        """What follows from our offer and the peer's SYN or SYN,ACK.

        RFC 3168 6.1.1: whoever sent one SYN without ECN sends no ECT, though the answer to one with it may have come.
        """
        agreed = agree(self.offer, syn)
        if self._without_ecn() and agreed.ecn & MODE == CLASSIC:
            agreed.ecn |= NO_ECT
        return agreed

    def ecn_news(self, agreed: i64) -> i64:
        """What is to be remembered of the host (RFC 9768 3.1.4.1), by the mode that its answer agreed on."""
        return ECN_UNANSWERED if agreed == OFF and self._without_ecn() else ECN_ANSWERED

    def _without_ecn(self) -> bool:
        """A SYN that asks for ECN and is lost goes again without."""
        return self.tries >= tries(self.offer.ecn)

    def _ecn_flags(self) -> i64:
        if self.agreed is not None:
            return syn_ack_flags(self.agreed.ecn)
        return 0 if self._without_ecn() else syn_flags(self.offer.ecn)

    def fill(self, seg: Segment, iss: i64, irs: i64, window: i64, ts_val: i64, ts_ecr: i64) -> None:
        """SYN in SYN-SENT; once the peer's SYN has come, SYN,ACK. Its window is never scaled (RFC 7323 2.2)."""
        seg.seq = iss
        seg.flags = SYN | self._ecn_flags()
        seg.window = window
        if self.agreed is not None:
            seg.flags |= ACK
            seg.ack = seq_add(irs, 1)
        fill_syn(seg, self.offer, self.agreed, ts_val, ts_ecr)

    def rtt(self, now: i64) -> i64:
        """The first RTT sample; 0 when the SYN was sent more than once (Karn)."""
        if self.tries:
            return 0
        return now - self.sent_at if now > self.sent_at else 1


def fill_syn(seg: Segment, offer: Offer, agreed: Negotiated | None, ts_val: i64, ts_ecr: i64) -> None:
    """Put SYN options into `seg`: the whole offer, or in a SYN,ACK only what the peer's SYN allows."""
    seg.mss = offer.mss
    if agreed is None or agreed.scaling:
        seg.wscale = offer.wscale
    if agreed is None or agreed.sack:
        seg.sack_permitted = offer.sack
    if offer.timestamps and (agreed is None or agreed.timestamps):
        seg.has_ts = True
        seg.ts_val = ts_val
        seg.ts_ecr = ts_ecr
