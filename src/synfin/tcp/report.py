"""What is told of what the parts of a connection found: Linux's counters, and the trace's notes with their reasons."""

from __future__ import annotations

from mypy_extensions import i64

from synfin.tcp import receiver, sender
from synfin.tcp.counters import Counters
from synfin.tcp.trace import Tracer


def on_sack(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Sender.on_sack() said."""
    if result & sender.DUPLICATE:
        counters.TCPDSACKRecv += 1
        if tracer is not None:
            tracer.note(now, key, "D-SACK: the peer got something twice", "2883 4")
    if result & sender.DISCARDED:
        counters.TCPSACKDiscard += 1
        if tracer is not None:
            tracer.note(now, key, "SACK block ignored: outside what is in flight", "2018 8")
    if result & sender.TOO_FINE:
        counters.TCPWqueueTooBig += 1


def on_ack(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Sender.on_ack() said."""
    if result & sender.FAST_RETRANSMIT:
        counters.TCPFastRetrans += 1
        if result & sender.SACK_RECOVERY:
            counters.TCPSackRecovery += 1
            if tracer is not None:
                tracer.note(now, key, "SACK blocks above a hole: fast retransmit", "6675 5")
        elif tracer is not None:
            tracer.note(now, key, "three duplicate ACKs: fast retransmit", "5681 3.2")
    if result & sender.PARTIAL_ACK and tracer is not None:
        tracer.note(now, key, "partial ACK: the next hole is lost too", "6582 3.2")


def on_text(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Receiver.on_data() said."""
    if result & receiver.QUEUED:
        counters.TCPOFOQueue += 1
    elif result & receiver.DROPPED:
        counters.TCPOFODrop += 1
        if tracer is not None:
            tracer.note(now, key, "dropped: no room in reassembly", "")
    elif result & receiver.AFTER_FIN and tracer is not None:
        tracer.note(now, key, "dropped: beyond the peer's own FIN", "9293 3.10.7.4")


def on_timer(result: i64, counters: Counters, tracer: Tracer | None, key: bytes, now: i64) -> None:
    """What Sender.on_timer() said."""
    if result & sender.TIMEOUT:
        counters.TCPTimeouts += 1
        if tracer is not None:
            tracer.note(now, key, "retransmission: RTO", "6298 5.4")
    if result & sender.RENEGED:
        counters.TCPSACKReneging += 1
        if tracer is not None:
            tracer.note(now, key, "the peer dropped what it had reported by SACK", "2018 8")
