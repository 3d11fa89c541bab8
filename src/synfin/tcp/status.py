"""STATUS (RFC 9293 3.9.1.6): what a connection tells of itself, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from mypy_extensions import i64

from synfin.tcp.receiver import Receiver
from synfin.tcp.sender import Sender
from synfin.tcp.states import NAMES


@dataclass(frozen=True)
class ConnectionSnapshot:
    """For people and tests. Times in microseconds, sizes in bytes."""

    state: str
    snd_una: int
    snd_nxt: int
    snd_wnd: int
    rcv_nxt: int
    rcv_wnd: int
    unsent: int
    unacknowledged: int
    unread: int
    out_of_order: int
    mss: int
    cwnd: int
    ssthresh: int
    in_flight: int
    sacked: int  # bytes beyond snd_una that the peer has reported to hold
    lost: int  # bytes that wait to be sent again
    sack: bool  # agreed on, as are the next
    timestamps: bool
    snd_wscale: int
    rcv_wscale: int
    srtt_us: int
    rto_us: int
    retries: int
    deadline: int


def read(
    state: i64, sender: Sender, receiver: Receiver, timestamps: bool, snd_wscale: i64, deadline: i64
) -> ConnectionSnapshot:
    """The snapshot of these parts."""
    board = sender.losses.flight.board if sender.losses.flight is not None else None
    return ConnectionSnapshot(
        state=NAMES[state],
        snd_una=sender.snd_una,
        snd_nxt=sender.snd_nxt,
        snd_wnd=sender.snd_wnd,
        rcv_nxt=receiver.rcv_nxt,
        rcv_wnd=receiver.rcv_adv - receiver.rcv_nxt,
        unsent=sender.unsent(),
        unacknowledged=sender.snd_nxt - sender.snd_una,
        unread=receiver.ready_bytes,
        out_of_order=receiver.out_of_order_bytes(),
        mss=sender.mss,
        cwnd=sender.losses.congestion.cwnd,
        ssthresh=sender.losses.congestion.ssthresh,
        in_flight=board.in_flight if board is not None else 0,
        sacked=board.sacked if board is not None else 0,
        lost=board.lost if board is not None else 0,
        sack=sender.losses.sack,
        timestamps=timestamps,
        snd_wscale=snd_wscale,
        rcv_wscale=receiver.wscale,
        srtt_us=sender.rto.srtt,
        rto_us=sender.rto.rto,
        retries=sender.retries,
        deadline=deadline,
    )
