"""A forgery as the packet that it is, with the numbers that a forger who has guessed so well would write."""

from __future__ import annotations

from dataclasses import dataclass

from synfin.scenario.model import EXPECTED, FLAGS, ISN, Forgery
from synfin.scenario.programs import FORGED_BYTE
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK


@dataclass(frozen=True)
class Numbers:
    """What there is to guess, as the wire has it: what the receiver expects as SEQ and ACK, and both first numbers."""

    seq: int = 0
    ack: int = 0
    isn: int = 0
    own_isn: int = 0


def packet_of(forgery: Forgery, key: bytes, numbers: Numbers) -> bytes:
    """The packet that arrives. key: of the connection at its receiver, as segments have it."""
    seg = Segment()
    seg.key = key
    for flag in forgery.flags.split(",") if forgery.flags else ():
        seg.flags |= FLAGS[flag]
    seg.seq = (_base(forgery.seq_from, numbers.seq, numbers.isn) + forgery.seq) & 0xFFFFFFFF
    if seg.flags & ACK:
        seg.ack = (_base(forgery.ack_from, numbers.ack, numbers.own_isn) + forgery.ack) & 0xFFFFFFFF
    seg.window = forgery.window
    seg.payload = FORGED_BYTE * forgery.length
    return build(seg)


def _base(counted_from: str, expected: int, isn: int) -> int:
    return expected if counted_from == EXPECTED else isn if counted_from == ISN else 0
