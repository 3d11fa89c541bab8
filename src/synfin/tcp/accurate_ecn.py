"""ACCURATE ECN (RFC 9768): how many packets were marked, and how many bytes, instead of that some were.

Once agreed on, AE, CWR and ECE of each segment after the SYNs are one field, ACE: the lowest three bits of the count of
marked packets. So CWR says nothing about windows any more, every segment of a burst carries it, and no ACK waits until
the three bits have gone round. Bytes are told by an option where SACK and text leave room for it.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.ecn import ACE, IP_ECN_SHIFT, NO_ECT, Echo, Marks, handshake_flags
from synfin.wire.ip import CE, ECN, ECT_0, ECT_1, NOT_ECT
from synfin.wire.options import NO_ECN_OPTION
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import FIN

ACE_SHIFT: Final = 6  # ECE is the lowest of the three
FIRST_CEP: Final = 5  # RFC 9768 3.2.1: a count that no middlebox makes by clearing bits
FIRST_BYTES: Final = 1
MASK24: Final = 0xFFFFFF
NEWS: Final = 2  # marked packets after which an ACK goes at once (3.2.2.5.1)
NEWS_OF_ACKS: Final = 3  # ... where they brought no text
CONTINUOUS: Final = 4  # answers to marks, one a window, with no packet unmarked since the connection began (3.2.2.3)
SAYS_NOTHING: Final = -1
UNCHANGED: Final = -2
FEW_AN_ACK: Final = (
    4  # segments: where an ACK usually stands for fewer, one for eight or more follows lost ones (A.2.1)
)


class AccurateEcho(Echo):
    """r.cep, r.ceb, r.e0b and r.e1b of RFC 9768 3.2. agreed: what the handshake found, as `ecn` has it."""

    def __init__(self, agreed: i64, client: bool) -> None:
        super().__init__()
        self.accurate = True
        self._client: bool = client
        self._syn_ack_ecn: i64 = (agreed >> IP_ECN_SHIFT) & ECN
        self._handshake: bool = client  # the next pure ACK tells of the SYN,ACK (3.2.2.1)
        self._cep: i64 = FIRST_CEP + 1 if client and self._syn_ack_ecn == CE else FIRST_CEP
        self._cep_told: i64 = self._cep
        self._ceb: i64 = 0
        self._e0b: i64 = FIRST_BYTES
        self._e1b: i64 = FIRST_BYTES
        self._bytes_due: bool = True  # a byte counter moved since it was last told, or none was told yet
        self._ce: bool = False  # the last packet was marked

    def on_segment(self, ecn: i64, flags: i64, size: i64, packets: i64) -> None:
        """An acceptable segment, or burst of `packets`, with `size` bytes of text (3.2, 3.2.2.5.1)."""
        if ecn == CE:
            self._cep += packets
            self._ceb += size
            news = self._cep - self._cep_told
            if (size and (not self._ce or news >= NEWS)) or news >= NEWS_OF_ACKS:
                self.due = True
        elif ecn == ECT_0:
            self._e0b += size
        elif ecn == ECT_1:
            self._e1b += size
        if ecn != NOT_ECT and size:
            self._bytes_due = True
        self._ce = ecn == CE

    def on_syn_ack_again(self) -> None:
        """The pure ACK of a SYN,ACK that comes again tells of it as the first did (3.2.2.1)."""
        self._handshake = self._client

    def fill(self, seg: Segment) -> None:
        """Three bits of the count of marked packets (3.2.2.1)."""
        seg.flags |= (self._cep << ACE_SHIFT) & ACE
        self._cep_told = self._cep
        self.due = False

    def fill_pure_ack(self, seg: Segment) -> None:
        """The first one tells with which ECN field the SYN,ACK came."""
        if self._handshake and seg.sack is None:
            seg.flags = seg.flags & ~ACE | handshake_flags(self._syn_ack_ecn)
        self._handshake = False

    def fill_option(self, seg: Segment, room: i64) -> None:
        """3.2.3.3: of the bytes all that ever changed, if anything has changed since they were told, or nothing."""
        if self._bytes_due and self._fill_option(seg, room):
            self._bytes_due = False

    def _fill_option(self, seg: Segment, room: i64) -> bool:
        swapped = self._e0b == FIRST_BYTES and self._e1b != FIRST_BYTES
        last = self._e0b if swapped else self._e1b
        fields: i64 = 1
        if last != FIRST_BYTES:
            fields = 3
        elif self._ceb:
            fields = 2
        if (12 if fields == 3 else 8) > room:
            return False
        seg.accecn_order = 1 if swapped else 0
        first = self._e1b if swapped else self._e0b
        seg.accecn_first = first & MASK24
        if fields >= 2:
            seg.accecn_ceb = self._ceb & MASK24
        if fields == 3:
            seg.accecn_last = last & MASK24
        return True


class AccurateMarks(Marks):
    """s.cep and s.ceb of RFC 9768 3.2, and what follows from them."""

    def __init__(self, agreed: i64, server: bool) -> None:
        super().__init__(not agreed & NO_ECT)
        self._handshake: bool = server  # the first segment, if a pure ACK, tells of our SYN,ACK
        self._cep: i64 = FIRST_CEP
        self._ceb: i64 = 0
        # What is told means nothing: the client is not in this mode (table 4, note 1), or the path marks everything.
        self._disabled: bool = False
        self._all_marked: i64 = 0  # answers so far; -1: a packet came unmarked, so marks tell of queues
        self._option_seen: bool = False
        self._ignore_option: bool = False  # zeroed on its way
        self._per_ack: i64 = FEW_AN_ACK << 3  # segments that an ACK stands for, smoothed, times 8
        self._ace: i64 = FIRST_CEP & 7  # of the segment in hand, as is the next
        self._ecb: i64 = SAYS_NOTHING

    def on_segment(self, seg: Segment) -> None:
        """What its three bits and its option say."""
        self.echoed = False
        self._ace = (seg.flags & ACE) >> ACE_SHIFT
        self._ecb = self._read_option(seg)
        if self._handshake:
            self._handshake = False
            if not seg.payload and seg.sack is None and not seg.flags & FIN:
                self._on_final_ack(seg.flags & ACE)

    def on_delivered(self, newly: i64, mss: i64) -> i64:
        """An ACK that delivers nothing may be an old one, and its counts with it (A.1)."""
        if self._disabled or newly == 0:
            return 0
        marked: i64 = SAYS_NOTHING
        if self._ecb != SAYS_NOTHING:
            marked = 0 if self._ecb == UNCHANGED else (self._ecb - self._ceb) & MASK24
            self._ceb += marked
        segments = newly // mss
        least = (self._ace - self._cep) & 7
        count = least if marked >= 0 else self._safe(least, segments)
        self._per_ack += segments - (self._per_ack >> 3)
        self._cep += count
        if marked > 0 and count == 0 and newly <= 2 * mss:
            self._ect = False  # 3.2.3.2.5: bytes without a packet; something on the path changes what we hear
        self.echoed = count > 0 or marked > 0
        if marked < 0:
            marked = count * mss
        if marked < newly:
            self._all_marked = -1
        return marked

    def on_reduced(self, nxt: i64, mark: bool) -> None:
        """Also the test for continuous marks: cwnd has answered one window after the other, and nothing changes.

        3.2.2.3: then packets are not ECT any more, and marks are not answered. A queue that is full says so by losses.
        """
        super().on_reduced(nxt, mark)
        if mark and self._all_marked >= 0:
            self._all_marked += 1
            if self._all_marked == CONTINUOUS:
                self._ect = False
                self._disabled = True

    def _safe(self, least: i64, segments: i64) -> i64:
        """Of the counts that three bits allow, the largest that is likely (A.2.1): ACKs may have been lost."""
        if least >= segments or self._per_ack >> 3 >= FEW_AN_ACK:
            return least
        return segments - ((segments - least) & 7)

    def _on_final_ack(self, ace: i64) -> None:
        """RFC 9768 3.2.2.1, table 4: how our SYN,ACK, which was not ECT, had arrived; and 3.2.2.3 if it was changed."""
        if ace == 0:
            self._disabled = True
            self._ect = False
        elif ace == handshake_flags(CE):
            self._cep = FIRST_CEP + 1
            self._ect = False
        elif ace == handshake_flags(ECT_0) or ace == handshake_flags(ECT_1):
            self._ect = False

    def _read_option(self, seg: Segment) -> i64:
        """What it says of ECEB; UNCHANGED: left out from the tail, as it may be then. SAYS_NOTHING: there is none."""
        if seg.accecn_order == NO_ECN_OPTION or seg.accecn_first < 0 or self._ignore_option:
            return SAYS_NOTHING
        if not self._option_seen:
            self._option_seen = True
            if seg.accecn_first == 0 or seg.accecn_last == 0:  # 3.2.3.2.4: they begin at 1
                self._ignore_option = True
                return SAYS_NOTHING
        return seg.accecn_ceb if seg.accecn_ceb >= 0 else UNCHANGED

    def fill(self, seg: Segment) -> None:
        """New text may be marked."""
        if self._ect:
            seg.traffic_class |= ECT_0
        self._cwr = False  # nobody is told, but what follows may be marked anew


def fill_first_option(seg: Segment) -> None:
    """The option of a SYN,ACK (3.2.3.2.1): nothing has been counted yet; whether it arrives is a test of the path."""
    seg.accecn_order = 0
    seg.accecn_first = FIRST_BYTES
    seg.accecn_ceb = 0
    seg.accecn_last = FIRST_BYTES
