"""EXPLICIT CONGESTION NOTIFICATION (RFC 3168): a router with a queue marks packets instead of dropping them.

What SYN and SYN,ACK agree on is a mask: a mode, and what goes with it. A connection with ECN has two parts more. `Echo`
is its receiving half: what arrives marked (CE in the IP header) is told to the peer, by ECE on every ACK until the peer
says by CWR that it has slowed down. `Marks` is its sending half: which packets may be marked (ECT in the IP header),
and whether the peer's ECE asks for an answer, which is due once a window. In the mode of RFC 9768 both halves count;
see `accurate_ecn`.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.wire.ip import CE, ECN, ECT_0, ECT_1, NOT_ECT
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import AE, CWR, ECE

# What was agreed on.
OFF: Final = 0
CLASSIC: Final = 1  # RFC 3168
ACCURATE: Final = 2  # RFC 9768
MODE: Final = 3
NO_ECT: Final = 4  # this side marks no packet as ECT, though it tells of marks and answers them
OTHER_MODE: Final = -1
IP_ECN_SHIFT: Final = 3  # two bits, if ACCURATE: the ECN field with which the peer's SYN or SYN,ACK came

ACE: Final = AE | CWR | ECE
TRIES_CLASSIC: Final = 1  # SYNs that ask before one that does not (RFC 3168 6.1.1.1: some firewalls drop them)
TRIES_ACCURATE: Final = 2  # RFC 9768 3.1.4.1, and SYN,ACKs by 3.2.3.2.2


def offered(setting: str) -> i64:
    """The modes that a SYN of ours asks for. setting: Config.ecn."""
    if setting == "accurate":
        return ACCURATE | CLASSIC
    return CLASSIC if setting == "on" else OFF


def accepted(setting: str) -> i64:
    """The modes that a SYN of another's may ask for."""
    if setting == "accurate":
        return ACCURATE | CLASSIC
    return OFF if setting == "off" else CLASSIC


def tries(modes: i64) -> i64:
    """How many SYNs ask for these modes, before one goes that does not."""
    return TRIES_ACCURATE if modes & ACCURATE else TRIES_CLASSIC


def syn_flags(modes: i64) -> i64:
    """What a SYN says that asks for them (RFC 3168 6.1.1, RFC 9768 3.1.1); the latter can be taken for the former."""
    if modes & ACCURATE:
        return AE | CWR | ECE
    return CWR | ECE if modes & CLASSIC else 0


def syn_ack_flags(agreed: i64) -> i64:
    """What the SYN,ACK says that agrees."""
    if agreed & MODE == ACCURATE:
        return handshake_flags((agreed >> IP_ECN_SHIFT) & ECN)
    return ECE if agreed & MODE == CLASSIC else 0


def handshake_flags(ecn: i64) -> i64:
    """RFC 9768, tables 2 and 3: how the ECN field of a SYN or SYN,ACK is told of."""
    if ecn == NOT_ECT:
        return CWR
    if ecn == ECT_1:
        return CWR | ECE
    return AE if ecn == ECT_0 else AE | CWR


def agree_on_syn(modes: i64, flags: i64, ecn: i64) -> i64:
    """What follows from the peer's SYN, that came with this ECN field. modes: what it may ask for."""
    flags &= ACE
    if flags == 0:
        return OFF
    if modes & ACCURATE and flags != CWR | ECE:  # RFC 9768 3.1.3: also what means nothing yet
        return ACCURATE | (ecn << IP_ECN_SHIFT)
    return CLASSIC if modes & CLASSIC and flags & CWR and flags & ECE else OFF


def agree_again(before: i64, modes: i64, flags: i64, ecn: i64) -> i64:
    """What is left of it when the SYN comes again; OTHER_MODE: it asks for the other mode (RFC 9768 3.1.5).

    Without ECN: neither side uses it then (RFC 3168 6.1.1.1), or this side sends no ECT (RFC 9768 3.1.5).
    """
    asks = agree_on_syn(modes, flags, ecn)
    accurate = before & MODE == ACCURATE
    if asks == OFF:
        return before | NO_ECT if accurate else OFF
    if (asks & MODE == ACCURATE) != accurate:
        return OTHER_MODE
    return asks | before & NO_ECT  # the SYN,ACK tells of the latest SYN


def agree_on_syn_ack(modes: i64, flags: i64, ecn: i64) -> i64:
    """What follows from the peer's SYN,ACK, that came with this ECN field. modes: what our SYN asked for.

    One that sends back what our SYN said comes from a TCP that does so with all it does not know (RFC 3168 6.1.1.2).
    """
    flags &= ACE
    if modes & ACCURATE:
        if flags == 0 or flags == ACE:
            return OFF
        if flags != ECE:
            # RFC 9768 3.2.2.3: our SYN was not ECT; if it came as such, something on the way writes into the field.
            mangled = flags in (handshake_flags(ECT_1), handshake_flags(ECT_0), handshake_flags(CE))
            return ACCURATE | (ecn << IP_ECN_SHIFT) | (NO_ECT if mangled else 0)
    return CLASSIC if modes & CLASSIC and flags & ECE and not flags & CWR else OFF


def agree_on_cookie(modes: i64, asked: bool, flags: i64) -> i64:
    """What the third segment says of a SYN that nobody remembers. asked: it asked for one of these modes.

    RFC 9768 3.2.2.1, note 3: no client in that mode says 0 or 1.
    """
    if not asked:
        return OFF
    ace = flags & ACE
    return ACCURATE if modes & ACCURATE and ace != 0 and ace != ECE else CLASSIC


class Echo:
    """Which marks arrived, for the peer to be told."""

    def __init__(self) -> None:
        self.due: bool = False  # the news is worth an ACK of its own
        self.accurate: bool = False  # CWR is part of a counter: it stands on every segment of a burst
        self.seen_ect: bool = False  # a packet came that a router may mark
        self.received_ce: i64 = 0  # packets that came marked
        self._ece: bool = False

    def on_segment(self, ecn: i64, flags: i64, size: i64, packets: i64) -> None:
        """An acceptable segment, or a burst of `packets`, with `size` bytes of text. ecn: the field of its IP header.

        A pure ACK has no ECT, and its mark is nobody's. A segment that says CWR and is marked itself asks again (RFC
        3168 6.1.3).
        """
        if size == 0:
            return
        before = self._ece
        if flags & CWR:
            self._ece = False
        if ecn == CE:
            self._ece = True
        if self._ece != before:
            self.due = True

    def fill(self, seg: Segment) -> None:
        """Whatever we send is an ACK and tells it."""
        if self._ece:
            seg.flags |= ECE
        self.due = False

    def fill_pure_ack(self, seg: Segment) -> None:
        """It has no text, and may have SACK blocks."""

    def fill_option(self, seg: Segment, room: i64) -> None:
        """So many bytes of options are left."""

    def on_syn_ack_again(self) -> None:
        """The SYN,ACK has come again."""


class Marks:
    """What the peer tells of marks on what we sent. Offsets from ISS."""

    def __init__(self, ect: bool) -> None:
        self.echoed: bool = False  # the ACK in hand tells of marks
        self.delivered_ce: i64 = 0  # bytes that arrived marked, as far as the peer tells
        self._ect: bool = ect
        self._cwr: bool = False  # cwnd was reduced: the peer is to be told
        self._point: i64 = 0  # SND.NXT when it was last reduced, for whatever reason
        self._marked: i64 = 0  # ... for a mark

    def on_segment(self, seg: Segment) -> None:
        """A segment whose ACK is to be read now."""
        self.echoed = seg.flags & ECE != 0

    def on_delivered(self, newly: i64, mss: i64) -> i64:
        """Its ACK delivers so many bytes. What of them had been marked: all, as far as one bit can tell."""
        return newly if self.echoed else 0

    def owes_answer(self, ack: i64) -> bool:
        """The ACK tells of marks that cwnd has not answered: once a window of data is enough (RFC 3168 6.1.2).

        Only the ACK of text that was sent after the last reduction tells of new marks: the first of it said CWR.
        """
        return self.echoed and not self._cwr and ack > self._point

    def answers_loss(self, una: i64) -> bool:
        """What is lost at `una` was sent before cwnd answered a mark: once a round trip is enough (RFC 8511 4.2)."""
        return una < self._marked

    def on_reduced(self, nxt: i64, mark: bool) -> None:
        """cwnd was reduced, for a mark or a loss: the peer, who may echo a mark, learns of either (RFC 3168 6.1.2)."""
        self._cwr = True
        self._point = nxt
        if mark:
            self._marked = nxt

    def on_undone(self) -> None:
        """The reduction for a loss was taken back; it answers no mark any more."""
        if self._point != self._marked:
            self._point = self._marked
            self._cwr = False

    def fill(self, seg: Segment) -> None:
        """New text. Not SYNs, pure ACKs, what is sent again (RFC 3168 6.1.5), or window probes (6.1.6)."""
        if self._ect:
            seg.traffic_class |= ECT_0
        if self._cwr:
            self._cwr = False
            seg.flags |= CWR
