"""STATUS (RFC 9293 3.9.1.6): what a connection tells of itself, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from mypy_extensions import i64

from synfin.tcp.receiver import Receiver
from synfin.tcp.sender import Sender
from synfin.tcp.states import CLOSED, NAMES, TIME_WAIT
from synfin.tcp.tally import Tally


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
    min_rtt_us: int  # 0: unknown, as are the rates
    pacing_rate: int  # bytes a second, as is the next
    delivery_rate: int
    busy_us: int  # for so long anything was out or waited to go; of that time
    peer_limited_us: int  # ... the peer's window held it back
    buffer_limited_us: int  # ... the send buffer that the user had set
    congestion_limited_us: int  # ... cwnd, recovery or pace
    resent: int  # bytes that went out again
    ecn: str  # agreed on: "off", "classic" (RFC 3168), "accurate" (RFC 9768)
    received_ce: int  # packets that came marked
    delivered_ce: int  # bytes that arrived there marked


def read(
    state: i64, sender: Sender, receiver: Receiver, timestamps: bool, snd_wscale: i64, deadline: i64, now: i64
) -> ConnectionSnapshot:
    """The snapshot of these parts. now: -1 is when the sender last looked at its watch."""
    tally = sender.tally
    if tally is None:
        tally = Tally(0)
    elif now >= 0 and state != CLOSED and state != TIME_WAIT:
        tally.until(now)
    echo = receiver.echo
    marks = sender.losses.marks
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
        cwnd=sender.losses.congestion().cwnd,
        ssthresh=sender.losses.congestion().ssthresh,
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
        min_rtt_us=sender.rto.min_rtt,
        pacing_rate=int(sender.pacing_rate()),
        delivery_rate=int(sender.losses.rate.latest),
        busy_us=tally.busy_us,
        peer_limited_us=tally.peer_us,
        buffer_limited_us=tally.buffer_us,
        congestion_limited_us=tally.congestion_us,
        resent=tally.resent_bytes,
        ecn="off" if echo is None else "accurate" if echo.accurate else "classic",
        received_ce=0 if echo is None else echo.received_ce,
        delivered_ce=0 if marks is None else marks.delivered_ce,
    )
