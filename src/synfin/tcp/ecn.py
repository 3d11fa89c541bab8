"""EXPLICIT CONGESTION NOTIFICATION (RFC 3168): a router with a queue marks packets instead of dropping them.

What SYN and SYN,ACK agree on is a mask: a mode, and what goes with it. A connection with ECN has two parts more. `Echo`
is its receiving half: what arrives marked (CE in the IP header) is told to the peer, by ECE on every ACK until the peer
says by CWR that it has slowed down. `Marks` is its sending half: which packets may be marked (ECT in the IP header),
and whether the peer's ECE asks for an answer, which is due once a window.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.wire.ip import CE, ECT_0
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import CWR, ECE

# What was agreed on.
OFF: Final = 0
CLASSIC: Final = 1  # RFC 3168
MODE: Final = 3
NO_ECT: Final = 4  # this side marks no packet as ECT, though it tells of marks and answers them


def offered(setting: str) -> i64:
    """The modes that a SYN of ours asks for. setting: Config.ecn."""
    return CLASSIC if setting == "on" else OFF


def accepted(setting: str) -> i64:
    """The modes that a SYN of another's may ask for."""
    return OFF if setting == "off" else CLASSIC


def syn_flags(modes: i64) -> i64:
    """What a SYN says that asks for them (RFC 3168 6.1.1)."""
    return ECE | CWR if modes & CLASSIC else 0


def syn_ack_flags(agreed: i64) -> i64:
    """What the SYN,ACK says that agrees."""
    return ECE if agreed & MODE == CLASSIC else 0


def agree_on_syn(modes: i64, flags: i64) -> i64:
    """What follows from the peer's SYN. modes: what it may ask for."""
    return CLASSIC if modes & CLASSIC and flags & ECE and flags & CWR else OFF


def agree_on_syn_ack(modes: i64, flags: i64) -> i64:
    """What follows from the peer's SYN,ACK. modes: what our SYN asked for.

    RFC 3168 6.1.1.2: one with both flags comes from a TCP that sends back what it does not know.
    """
    return CLASSIC if modes & CLASSIC and flags & ECE and not flags & CWR else OFF


class Echo:
    """Which marks arrived, for the peer to be told."""

    def __init__(self) -> None:
        self.due: bool = False  # the news is worth an ACK of its own
        self._ece: bool = False

    def on_segment(self, ecn: i64, flags: i64, size: i64) -> None:
        """An acceptable segment with `size` bytes of text. ecn: the field of its IP header.

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


class Marks:
    """What the peer tells of marks on what we sent. Offsets from ISS."""

    def __init__(self, ect: bool) -> None:
        self.echoed: bool = False  # the ACK in hand tells of marks
        self._ect: bool = ect
        self._cwr: bool = False  # cwnd was reduced: the peer is to be told
        self._point: i64 = 0  # SND.NXT when it was last reduced, for whatever reason
        self._marked: i64 = 0  # ... for a mark

    def on_segment(self, flags: i64) -> None:
        """A segment whose ACK is to be read now."""
        self.echoed = flags & ECE != 0

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
