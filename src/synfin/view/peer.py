"""The state that an untraced peer must be in, given what it sent and what was sent to it.

Two degrees of certainty. What the peer's own segments prove is `known`: a SYN,ACK is sent in SYN-RCVD only. What will
hold once our segments have arrived is `expected`, and is shown in parentheses: the ACK of its SYN,ACK may be lost, and
nobody but the peer knows. Nothing is guessed: before the peer has said anything, it is in no state that we could name.

Numbers are offsets from the ISNs. Rule for the next editor: states follow from the facts kept here, as in the joint
table of the close (RFC 9293 3.6); no transition is remembered.
"""

from __future__ import annotations

from synfin.tcp import states
from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RCVD,
    SYN_SENT,
    TIME_WAIT,
)
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

UNKNOWN = -1


class Peer:
    """The inferred state of one untraced end."""

    def __init__(self) -> None:
        self.known = UNKNOWN  # proved by the last segment that the peer sent
        self.expected = UNKNOWN  # once all that was sent to it has arrived; never behind `known`
        self._acked = -1  # the highest ACK that it has sent
        self._fin_end = -1  # the offset after its FIN; -1: none seen
        self._fin_second = False  # its FIN was sent after ours had reached it
        self._our_acked = -1  # the highest ACK sent to it
        self._our_fin_end = -1
        self._our_fin_ack = -1  # the ACK that our FIN carried

    @property
    def text(self) -> str:
        """The state as shown: "ESTABLISHED", "(ESTABLISHED)" if that depends on an arrival, "" if unknown."""
        if self.expected == UNKNOWN:
            return ""
        name = states.NAMES[self.expected]
        return name if self.expected == self.known else f"({name})"

    @property
    def known_text(self) -> str:
        """Its state, as the wire has shown it; empty: unknown."""
        return states.NAMES[self.known] if self.known != UNKNOWN else ""

    def speaks(self, flags: int, end: int, ack: int) -> None:
        """A segment from the peer was seen; `end` is the offset after it, `ack` counts only with the ACK bit."""
        before = self.known
        if flags & RST:
            self.known = CLOSED
        elif flags & SYN:
            self.known = SYN_RCVD if flags & ACK else SYN_SENT
            if flags & ACK:
                self._acked = max(self._acked, ack)
        elif flags & ACK:
            self._acked = max(self._acked, ack)
            if flags & FIN and self._fin_end < 0:
                self._fin_end = end
                self._fin_second = 0 <= self._our_fin_end <= self._acked
            self.known = self._proved()
        if self.known != before:
            self.expected = self.known

    def hears(self, flags: int, end: int, ack: int) -> None:
        """A segment was sent to the peer."""
        if flags & RST:
            self.expected = CLOSED
            return
        if flags & ACK:
            self._our_acked = max(self._our_acked, ack)
        if flags & FIN and self._our_fin_end < 0:
            self._our_fin_end = end
            self._our_fin_ack = ack
        if flags & SYN and self.known == SYN_SENT:
            self.expected = ESTABLISHED if flags & ACK else SYN_RCVD
        elif self.expected != CLOSED:
            self.expect()

    def expect(self) -> None:
        """Work out what holds once everything sent to the peer has arrived."""
        state = self.known
        fin_acked = 0 <= self._fin_end <= self._our_acked
        if state == SYN_RCVD and self._our_acked >= 1:
            state = ESTABLISHED
        if state == ESTABLISHED and self._our_fin_end >= 0:
            state = CLOSE_WAIT
        elif state == FIN_WAIT_1 and self._our_fin_end >= 0:
            state = TIME_WAIT if fin_acked else CLOSING
        elif state == FIN_WAIT_1 and fin_acked:
            state = FIN_WAIT_2
        elif state == CLOSING and fin_acked:
            state = TIME_WAIT
        elif state == LAST_ACK and fin_acked:
            state = CLOSED
        self.expected = state

    def _proved(self) -> int:
        fin_reached_it = 0 <= self._our_fin_end <= self._acked
        if self._fin_end < 0:
            return CLOSE_WAIT if fin_reached_it else ESTABLISHED
        if self._fin_second:
            return LAST_ACK
        if not fin_reached_it:
            return FIN_WAIT_1
        return TIME_WAIT if self._our_fin_ack >= self._fin_end else CLOSING
