"""RFC 9293 3.10.7.4's first checks with RFC 5961's, as one table.

RCV.NXT is 1000, the window 500, SND.UNA 300, SND.NXT 400; the peer once offered 100 bytes.
"""

from __future__ import annotations

import pytest

from synfin.tcp.acceptance import ACCEPT, ACCEPT_NO_TEXT, CHALLENGE, DROP, RESET, UNACCEPTABLE, is_likely, judge
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN, flag_names

TABLE = [
    # flags, seq, length, ack, verdict; the four cases of RFC 9293 3.4 table 6 first
    (ACK, 1000, 0, 300, ACCEPT),
    (ACK, 999, 0, 300, UNACCEPTABLE),
    (ACK, 1499, 0, 300, ACCEPT),
    (ACK, 1500, 0, 300, ACCEPT),  # the right edge itself: a peer that has filled our window acknowledges from there
    (ACK, 1501, 0, 300, UNACCEPTABLE),
    (ACK, 1000, 100, 300, ACCEPT),
    (ACK, 901, 100, 300, ACCEPT),
    (ACK, 900, 100, 300, UNACCEPTABLE),
    (ACK, 1499, 100, 300, ACCEPT),
    (ACK, 1500, 100, 300, UNACCEPTABLE),
    (ACK, 500, 5000, 300, ACCEPT),
    (ACK | FIN, 1000, 1, 300, ACCEPT),
    (ACK | PSH, 1200, 10, 300, ACCEPT),
    # fifth: no ACK
    (0, 1000, 10, 0, DROP),
    (FIN, 1000, 1, 0, DROP),
    (0, 900, 10, 0, UNACCEPTABLE),
    # RFC 5961 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT
    (ACK, 1000, 0, 400, ACCEPT),
    (ACK, 1000, 0, 401, CHALLENGE),
    (ACK, 1000, 0, 200, ACCEPT),
    (ACK, 1000, 0, 199, CHALLENGE),
    # RFC 5961 3.2
    (RST, 1000, 0, 0, RESET),
    (RST | ACK, 1000, 0, 9999, RESET),
    (RST, 1001, 0, 0, CHALLENGE),
    (RST, 1499, 0, 0, CHALLENGE),
    (RST, 1500, 0, 0, CHALLENGE),  # from a peer that has filled our window
    (RST, 1501, 0, 0, DROP),
    (RST, 999, 0, 0, DROP),
    (RST | SYN | FIN, 1000, 2, 0, RESET),
    # RFC 5961 4.2
    (SYN, 1000, 1, 0, CHALLENGE),
    (SYN, 77, 1, 0, CHALLENGE),
    (SYN | ACK, 1200, 1, 300, CHALLENGE),
]


@pytest.mark.parametrize(
    ("flags", "seq", "length", "ack", "verdict"), TABLE, ids=[f"{flag_names(r[0])}-{r[1]}-{r[2]}-{r[3]}" for r in TABLE]
)
def test_with_an_open_window(flags: int, seq: int, length: int, ack: int, verdict: int) -> None:
    assert judge(flags, seq, length, ack, 1000, 1500, 300, 400, 100) == verdict


@pytest.mark.parametrize(
    ("flags", "seq", "length", "verdict"),
    [
        (ACK, 1000, 0, ACCEPT),
        (ACK, 1001, 0, ACCEPT),  # the peer's probe counted a byte
        (ACK, 1002, 0, UNACCEPTABLE),
        (ACK, 999, 0, UNACCEPTABLE),
        (ACK, 1000, 10, ACCEPT_NO_TEXT),
        (ACK | FIN, 1000, 1, ACCEPT_NO_TEXT),
        (ACK, 1001, 10, ACCEPT_NO_TEXT),
        (ACK | FIN, 1001, 1, ACCEPT_NO_TEXT),
        (ACK, 1002, 10, UNACCEPTABLE),
        (ACK, 990, 20, UNACCEPTABLE),
        (ACK, 999, 1, UNACCEPTABLE),
        (RST, 1000, 0, RESET),
        (RST, 1001, 0, CHALLENGE),
        (RST, 1002, 0, DROP),
        (RST, 999, 0, DROP),
    ],
)
def test_with_a_closed_window(flags: int, seq: int, length: int, verdict: int) -> None:
    assert judge(flags, seq, length, 300, 1000, 1000, 300, 400, 100) == verdict


LIKELY = [
    # seq, ack, whether an honest peer may have sent it; we once offered 600 bytes
    (1000, 300, True),
    (400, 300, True),  # the whole of that window, sent again because our ACK of it was lost
    (399, 300, True),  # ... or a keep-alive probe
    (398, 300, False),
    (1500, 300, True),  # a probe of the full window
    (1501, 300, True),  # ... whose byte counted
    (1502, 300, False),
    (1000, 400, True),
    (1000, 401, False),
    (1000, 200, True),
    (1000, 199, False),
    (399, 199, False),
]


@pytest.mark.parametrize(("seq", "ack", "likely"), LIKELY)
def test_both_numbers_of_what_is_refused_tell_whether_an_honest_peer_waits_for_an_answer(
    seq: int, ack: int, likely: bool
) -> None:
    assert is_likely(seq, ack, 1000, 1500, 600, 300, 400, 100) is likely
