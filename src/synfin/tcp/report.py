"""What is told of what the parts of a connection found: Linux's counters, and the trace's notes and samples."""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp import loss_recovery, path_probe, receiver, send_state
from synfin.tcp.counters import Counters
from synfin.tcp.sender import Sender
from synfin.tcp.trace import Tracer


def on_ack(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Sender.on_ack() said."""
    if result & loss_recovery.DUPLICATE:
        counters.TCPDSACKRecv += 1
        _note(tracer, now, key, "D-SACK: the peer got something twice", "2883 4")
    if result & loss_recovery.DISCARDED:
        counters.TCPSACKDiscard += 1
        _note(tracer, now, key, "SACK block ignored: outside what is in flight", "2018 8")
    if result & loss_recovery.TOO_FINE:
        counters.TCPWqueueTooBig += 1
    if result & loss_recovery.UNDONE:
        counters.TCPFullUndo += 1
        _note(tracer, now, key, "nothing was lost: cwnd and the timer as before", "4015 3.2")
    if result & loss_recovery.TAIL_MENDED:
        counters.TCPLossProbeRecovery += 1
        _note(tracer, now, key, "the tail-loss probe has mended a loss: cwnd answers it", "8985 7.4.2")
    if result & loss_recovery.FAST_RETRANSMIT:
        _fast_retransmit(result, counters, tracer, key, now)
    if result & loss_recovery.MARKED:
        counters.TCPEcnReductions += 1
        _note(tracer, now, key, "the peer tells of marks: cwnd answers them", "3168 6.1.2")
    if result & loss_recovery.PARTIAL_ACK:
        _note(tracer, now, key, "partial ACK: the next hole is lost too", "6582 3.2")
    if result >= path_probe.PATH_RAISED:
        _on_path(result, counters, tracer, key, now)


def _on_path(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    if result & path_probe.PATH_RAISED:
        counters.TCPMTUPSuccess += 1
        _note(tracer, now, key, "a probe of the path has arrived: larger segments", "4821 7.6.1")
    if result & path_probe.PATH_TOO_BIG:
        counters.TCPMTUPFail += 1
        _note(tracer, now, key, "a probe of the path was lost alone: too big", "4821 7.6.2")
    if result & path_probe.PATH_HOLE:
        counters.TCPBlackHoles += 1
        _note(tracer, now, key, "large packets vanish and small ones arrive: a black hole", "4821 7.7")
    if result & path_probe.PATH_CLEAR:
        _note(tracer, now, key, "large segments arrive: no black hole", "4821 7.7")


def _fast_retransmit(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    counters.TCPFastRetrans += 1
    if result & loss_recovery.SACK_RECOVERY:
        counters.TCPSackRecovery += 1
        _note(tracer, now, key, "sent before what has arrived, and missing: fast retransmit", "8985 6.2")
    else:
        _note(tracer, now, key, "three duplicate ACKs: fast retransmit", "5681 3.2")


def on_text(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Receiver.on_data() said."""
    if result & receiver.QUEUED:
        counters.TCPOFOQueue += 1
    elif result & receiver.DROPPED:
        counters.TCPOFODrop += 1
        _note(tracer, now, key, "dropped: no room in reassembly", "")
    elif result & receiver.REFUSED:
        counters.RcvPruned += 1
        _note(tracer, now, key, "dropped: out of memory, and its reader is behind", "")
    elif result & receiver.AFTER_FIN:
        _note(tracer, now, key, "dropped: beyond the peer's own FIN", "9293 3.10.7.4")


def on_timer(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Sender.on_timer() said."""
    if result & send_state.TIMEOUT:
        counters.TCPTimeouts += 1
        _note(tracer, now, key, "retransmission: RTO", "6298 5.4")
    if result & send_state.TAIL_PROBE:
        counters.TCPLossProbes += 1
        _note(tracer, now, key, "no answer in two round trips: tail-loss probe", "8985 7.3")
    if result & loss_recovery.FAST_RETRANSMIT:
        _fast_retransmit(result, counters, tracer, key, now)
    if result & send_state.RENEGED:
        counters.TCPSACKReneging += 1
        _note(tracer, now, key, "the peer dropped what it had reported by SACK", "2018 8")


def sample(tracer: Tracer, key: bytes, sender: Sender, rtt: i64, now: i64) -> None:
    """The sender's figures as they are now. rtt: that the ACK in hand has measured, 0: none."""
    losses = sender.losses
    congestion = losses.congestion()
    in_flight: i64 = losses.flight.pipe() if losses.flight is not None else 0
    tracer.sample(
        now, key, congestion.cwnd, congestion.ssthresh, in_flight, sender.pacing_rate(), rtt, sender.rto.srtt,
        losses.recovery.phase,
    )  # fmt: skip


def _note(tracer: Tracer | None, now: i64, key: bytes, what: str, rfc: str) -> None:
    if tracer is not None:
        tracer.note(now, key, what, rfc)
