"""struct tcp_info of linux/tcp.h, of a connection. What Linux counts in segments is bytes by segment size here."""

from __future__ import annotations

import struct
from typing import Final

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.connection import Connection

# Up to tcpi_received_ce, 252 bytes. Kernels before 6.18 end at tcpi_snd_wnd or soon after; later ones go on behind.
_LAYOUT: Final = struct.Struct("=8B24I4Q6IQ3Q2I2Q4I2I2H2I")
SIZE: Final = _LAYOUT.size
_TIMESTAMPS: Final = 1  # tcpi_options
_SACK: Final = 2
_WSCALE: Final = 4
_ECN: Final = 8
_ECN_SEEN: Final = 16
_LINUX_CA_STATE: Final = {int(NONE): 0, int(FAST): 3, int(LOSS): 4}  # TCP_CA_Open, TCP_CA_Recovery, TCP_CA_Loss
# linux/tcp_states.h, by the names of RFC 9293
_LINUX_STATE: Final = {
    "ESTABLISHED": 1, "SYN-SENT": 2, "SYN-RCVD": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6,
    "CLOSED": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11,
}  # fmt: skip
_UNLIMITED: Final = (1 << 64) - 1
_MOST: Final = (1 << 32) - 1
_INFINITE_SSTHRESH: Final = 0x7FFFFFFF


def read(connection: Connection, at: int) -> bytes:
    """The struct, as it is `at` this time in microseconds; fields of what nobody counts are 0."""
    now = connection.snapshot(at)
    sender = connection.sender
    losses = sender.losses
    mss = now.mss or 1
    scaling = now.snd_wscale | now.rcv_wscale << 4
    options = (_TIMESTAMPS if now.timestamps else 0) | (_SACK if now.sack else 0) | (_WSCALE if scaling else 0)
    echo = connection.receiver.echo
    if echo is not None:
        options |= _ECN | (_ECN_SEEN if echo.seen_ect else 0)
    head = (
        _LINUX_STATE[now.state],
        _LINUX_CA_STATE[int(losses.recovery.phase)],
        min(now.retries, 255),
        min(sender.persist.unanswered, 255) if sender.persist is not None else 0,
        0,  # tcpi_backoff
        options,
        scaling,
        int(losses.rate.latest_app_limited),
    )
    words = [0] * 24
    words[0] = now.rto_us
    words[2] = words[3] = now.mss
    words[4] = -(-now.unacknowledged // mss)
    words[5] = -(-now.sacked // mss)
    words[6] = -(-now.lost // mss)
    words[13] = connection.mtu
    words[15] = now.srtt_us
    words[16] = sender.rto.rttvar
    words[17] = min(now.ssthresh // mss, _INFINITE_SSTHRESH)
    words[18] = now.cwnd // mss
    words[19] = connection.receiver.adv_mss
    words[20] = 3  # tcpi_reordering: what Linux begins with; RACK counts time, not segments
    words[21] = connection.receiver.rtt.us
    words[22] = min(now.rcv_wnd, _MOST)
    words[23] = 0 if sender.tally is None else sender.tally.resent_segments
    highest = int(sender.asked.max_pacing_rate) if sender.asked.max_pacing_rate else _UNLIMITED
    sent = max(min(now.snd_nxt, sender.buffer.end) - 1, 0)
    wide = (
        now.pacing_rate,
        highest,
        max(min(now.snd_una, sender.buffer.end) - 1, 0),  # of the stream, whose first byte is 1: neither SYN nor FIN
        max(now.rcv_nxt - 1 - connection.receiver.fin_reached, 0),
    )
    small = (
        0,  # tcpi_segs_out
        0,
        min(now.unsent, _MOST),
        min(now.min_rtt_us, _MOST) or _MOST,
        0,  # tcpi_data_segs_in
        0,
    )
    delivered = (min(losses.rate.delivered // mss, _MOST), min(now.delivered_ce // mss, _MOST))
    return _LAYOUT.pack(
        *head,
        *words,
        *wide,
        *small,
        now.delivery_rate,
        now.busy_us,
        now.peer_limited_us,
        now.buffer_limited_us,
        *delivered,
        sent + now.resent,
        now.resent,
        0,  # tcpi_dsack_dups
        0,
        0,
        min(now.snd_wnd, _MOST),
        min(now.rcv_wnd, _MOST),
        0,  # tcpi_rehash
        0,
        0,
        0,
        min(now.received_ce, _MOST),
    )
