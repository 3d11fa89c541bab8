"""The accounts of a sender: what is out, by records, by sums and by sequence numbers, tells the same story."""

from __future__ import annotations

from synfin.tcp.congestion.base import FAST, LOSS, NONE
from synfin.tcp.connection import Connection
from synfin.tcp.scoreboard import IN_FLIGHT, LOST, SACKED


def accounts_hold(connection: Connection) -> None:
    """Raise AssertionError for what does not add up. Not for a handshake, which keeps no records."""
    sender = connection.sender
    losses = sender.losses
    recovery = losses.recovery
    assert sender.snd_una <= sender.snd_nxt and sender.buffer.start <= sender.buffer.end, "SND.UNA is beyond SND.NXT"
    congestion = losses.congestion()
    assert congestion.cwnd >= congestion.mss, "cwnd is at least a segment"
    assert (recovery.phase == FAST) or recovery.prr is None, "PRR runs outside of recovery"
    assert recovery.phase in (NONE, FAST, LOSS)
    flight = losses.flight
    if flight is None:
        assert sender.snd_una == sender.snd_nxt, "something is out and nobody knows of it"
        assert recovery.phase == NONE, "nothing is out and recovery goes on"
        assert sender.rto_deadline == 0, "nothing is out and the retransmission timer runs"
        return
    board = flight.board
    records = board.records
    assert records and records[0].start == sender.snd_una and records[-1].end == sender.snd_nxt, "records leave a gap"
    sums = {IN_FLIGHT: 0, LOST: 0, SACKED: 0}
    at = sender.snd_una
    for record in records:
        assert record.start == at < record.end, "a gap or an empty record"
        at = record.end
        sums[int(record.state)] += record.end - record.start
        assert record.delivered <= losses.rate.delivered
    assert (board.in_flight, board.lost, board.sacked) == (
        sums[IN_FLIGHT],
        sums[LOST],
        sums[SACKED],
    ), "sums are wrong"
    chain = 0
    flying = board.oldest
    before = -1
    while flying is not None:
        assert flying.state == IN_FLIGHT and flying.sent_at >= before, "records out of the order of sending"
        before, chain = flying.sent_at, chain + flying.end - flying.start
        flying = flying.newer
    assert chain == board.in_flight, "the chain of records in flight is broken"
    assert 0 <= flight.pipe() <= board.in_flight
    probe = losses.path.excused if losses.path is not None else 0
    assert recovery.phase != NONE or board.lost <= probe or sender.snd_wnd == 0, "lost, and nobody mends it"
    assert sender.rto_deadline > 0, "something is out and the retransmission timer does not run"
