"""struct tcp_info of linux/tcp.h, of a connection. What Linux counts in segments is bytes by segment size here."""

from __future__ import annotations

import struct
from typing import Final

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.connection import Connection
from synfin.tcp.status import ConnectionSnapshot

# Up to tcpi_received_ce, 252 bytes. Kernels before 6.18 end at tcpi_snd_wnd or soon after; later ones go on behind.
_LAYOUT: Final = struct.Struct("=8B24I4Q6IQ3Q2I2Q4I2I2H2I")
_FIELDS: Final = (
    "state ca_state retransmits probes backoff options wscale delivery_rate_app_limited "
    "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent last_data_recv "
    "last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space "
    "total_retrans pacing_rate max_pacing_rate bytes_acked bytes_received "
    "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out delivery_rate busy_time rwnd_limited "
    "sndbuf_limited delivered delivered_ce bytes_sent bytes_retrans dsack_dups reord_seen rcv_ooopack snd_wnd "
    "rcv_wnd rehash total_rto total_rto_recoveries total_rto_time received_ce"
).split()
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
    told = _state(connection, now)
    told.update(_path(connection, now))
    told.update(_totals(connection, now))
    return _LAYOUT.pack(*(told.get(name, 0) for name in _FIELDS))


def _state(connection: Connection, now: ConnectionSnapshot) -> dict[str, int]:
    """What it is, what was agreed on, what is under way."""
    sender = connection.sender
    mss = now.mss or 1
    scaling = now.snd_wscale | now.rcv_wscale << 4
    echo = connection.receiver.echo
    options = (_TIMESTAMPS if now.timestamps else 0) | (_SACK if now.sack else 0) | (_WSCALE if scaling else 0)
    if echo is not None:
        options |= _ECN | (_ECN_SEEN if echo.seen_ect else 0)
    return {
        "state": _LINUX_STATE[now.state],
        "ca_state": _LINUX_CA_STATE[int(sender.losses.recovery.phase)],
        "retransmits": min(now.retries, 255),
        "probes": min(sender.persist.unanswered, 255) if sender.persist is not None else 0,
        "options": options,
        "wscale": scaling,
        "snd_mss": now.mss,
        "rcv_mss": now.mss,
        "advmss": connection.receiver.adv_mss,
        "unacked": -(-now.unacknowledged // mss),
        "sacked": -(-now.sacked // mss),
        "lost": -(-now.lost // mss),
        "notsent_bytes": min(now.unsent, _MOST),
        "rcv_space": min(now.rcv_wnd, _MOST),
        "snd_wnd": min(now.snd_wnd, _MOST),
        "rcv_wnd": min(now.rcv_wnd, _MOST),
    }


def _path(connection: Connection, now: ConnectionSnapshot) -> dict[str, int]:
    """What is known of the path, and how fast it is used."""
    sender = connection.sender
    mss = now.mss or 1
    highest = sender.asked.max_pacing_rate
    return {
        "pmtu": connection.mtu,
        "rto": now.rto_us,
        "rtt": now.srtt_us,
        "rttvar": sender.rto.rttvar,
        "min_rtt": min(now.min_rtt_us, _MOST) or _MOST,
        "rcv_rtt": connection.receiver.rtt,
        "snd_ssthresh": min(now.ssthresh // mss, _INFINITE_SSTHRESH),
        "snd_cwnd": now.cwnd // mss,
        "reordering": 3,  # what Linux begins with; RACK counts time, not segments
        "pacing_rate": now.pacing_rate,
        "max_pacing_rate": int(highest) if highest else _UNLIMITED,
        "delivery_rate": now.delivery_rate,
        "delivery_rate_app_limited": int(sender.losses.rate.latest_app_limited),
    }


def _totals(connection: Connection, now: ConnectionSnapshot) -> dict[str, int]:
    """What was done in all. Of the stream, whose first byte is 1: neither SYN nor FIN."""
    sender = connection.sender
    mss = now.mss or 1
    end = sender.buffer.end
    return {
        "bytes_acked": max(min(now.snd_una, end) - 1, 0),
        "bytes_received": max(now.rcv_nxt - 1 - connection.receiver.fin_reached, 0),
        "bytes_sent": max(min(now.snd_nxt, end) - 1, 0) + now.resent,
        "bytes_retrans": now.resent,
        "total_retrans": 0 if sender.tally is None else sender.tally.resent_segments,
        "delivered": min(sender.losses.rate.delivered // mss, _MOST),
        "delivered_ce": min(now.delivered_ce // mss, _MOST),
        "received_ce": min(now.received_ce, _MOST),
        "busy_time": now.busy_us,
        "rwnd_limited": now.peer_limited_us,
        "sndbuf_limited": now.buffer_limited_us,
    }
