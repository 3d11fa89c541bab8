"""The first checks of RFC 9293 3.10.7.4 on a segment in a synchronized state, with RFC 5961's against blind attackers.

Pure: offsets in, one verdict out. What the verdict leads to, the connection decides.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.wire.tcp_header import ACK, RST, SYN

ACCEPT: Final = 0
ACCEPT_NO_TEXT: Final = 1  # our window is closed: its ACK counts, its text does not
DROP: Final = 2  # silently
UNACCEPTABLE: Final = 3  # outside the window: answer with an ACK
CHALLENGE: Final = 4  # perhaps an attack: answer with a challenge ACK (RFC 5961)
RESET: Final = 5  # a genuine RST


def judge(
    flags: i64, seq: i64, length: i64, ack: i64, rcv_nxt: i64, rcv_adv: i64, snd_una: i64, ack_limit: i64, max_wnd: i64
) -> i64:
    """Verdict on a segment of `length` numbers (text, SYN and FIN) at offset `seq`, with acknowledgement `ack`.

    rcv_adv is the right edge of our window, ack_limit the highest honest ACK, max_wnd the largest window the peer ever
    offered.
    """
    # The highest number that an honest peer can stand at: "<=" where RFC 9293 has "<", since a peer that has filled our
    # window acknowledges, and resets, from its right edge, and nothing else of such a segment could do harm. Linux
    # accepts it as well. With our window shut, one more: its probe of a byte or FIN may have counted (3.8.6.1).
    shut = rcv_adv == rcv_nxt
    edge = rcv_adv + 1 if shut else rcv_adv
    if flags & RST:
        # RFC 5961 3.2: only the exact number resets; within the window it may be blind, so ask; outside, silence.
        if seq == rcv_nxt:
            return RESET
        if rcv_nxt < seq <= edge:
            return CHALLENGE
        return DROP
    if flags & SYN:
        return CHALLENGE  # RFC 5961 4.2: whatever its number; a peer that restarted answers with the RST that is right
    if shut or length == 0:
        # A shut window takes no text, but "special allowance should be made to accept valid ACKs" (RFC 9293 3.10.7.4).
        if not rcv_nxt <= seq <= edge:
            return UNACCEPTABLE
    elif seq >= rcv_adv or seq + length <= rcv_nxt:
        return UNACCEPTABLE
    if not flags & ACK:
        return DROP  # RFC 9293 3.10.7.4, fifth
    if ack > ack_limit or ack < snd_una - max_wnd:
        return CHALLENGE  # RFC 5961 5.2
    if length > 0 and shut:
        return ACCEPT_NO_TEXT
    return ACCEPT


def is_likely(
    seq: i64, ack: i64, rcv_nxt: i64, rcv_adv: i64, rcv_max_wnd: i64, snd_una: i64, ack_limit: i64, max_wnd: i64
) -> bool:
    """A refused segment may still be an honest peer's, which waits for an answer: text sent again because our ACK was
    lost, a probe of our window, a keep-alive.

    rcv_max_wnd is the largest window we ever offered: so far back may stand what the peer still has to be told of. To
    the right there is its probe of a full window, or what follows a byte of it that counted.
    """
    return rcv_nxt - rcv_max_wnd - 1 <= seq <= rcv_adv + 1 and snd_una - max_wnd <= ack <= ack_limit
