"""Selective acknowledgements: RFC 2018 (what is told), RFC 2883 (what came twice), RFC 6675 (what follows from it)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synfin.tcp.congestion.base import AckSample, CongestionControl
from synfin.tcp.timer import TIMER_GRACE_US
from synfin.wire.tcp_header import ACK, FIN, SYN
from tests.trace.scene import DATA, MS, RTO, RTT, Host, Peer, Scene, Stage, plain

# ---- the opening ----


def test_sack_is_permitted_in_a_syn_ack_only_if_the_syn_permits_it(stage: Stage) -> None:
    # RFC 2018 2
    for permitted in (True, False):
        scene = stage()
        scene.host.listens()
        scene.peer.sends(SYN, mss=1000, sack_ok=permitted)
        assert scene.host.emits(SYN | ACK, ack=1).sack_permitted is permitted


def test_an_active_open_offers_sack_unless_it_is_switched_off(stage: Stage) -> None:
    for offered in (True, False):
        scene = stage(plain(sack=offered))
        scene.host.connects()
        assert scene.host.emits(SYN, seq=0).sack_permitted is offered
        scene.peer.sends(SYN | ACK, mss=1000, sack_ok=True)
        scene.host.emits(ACK, seq=1, ack=1)
        scene.peer.sends(DATA, 1000, seq=1001)
        scene.host.emits(ACK, ack=1, sack=[(1001, 2001)] if offered else None)


# ---- the receiver ----


def test_each_ack_tells_what_waits_behind_holes_the_latest_first(stage: Stage) -> None:
    # RFC 2018 4
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA, 1000, seq=1001)
    host.emits(ACK, ack=1, sack=[(1001, 2001)])
    peer.sends(DATA, 1000, seq=5001)
    host.emits(ACK, ack=1, sack=[(5001, 6001), (1001, 2001)])
    peer.sends(DATA, 1000, seq=2001)
    host.emits(ACK, ack=1, sack=[(1001, 3001), (5001, 6001)])
    peer.sends(DATA, 1000, seq=1)
    host.emits(ACK, ack=3001, sack=[(5001, 6001)])
    peer.sends(DATA, 2000, seq=3001)
    host.emits(ACK, ack=6001)
    host.reads(6000)


def test_four_blocks_fit_and_three_beside_timestamps(stage: Stage) -> None:
    # RFC 2018 3
    for timestamps in (False, True):
        scene = stage(plain(timestamps=timestamps))
        host, peer = scene.host, scene.peer
        host.listens()
        peer.sends(SYN, mss=1000, sack_ok=True, ts=(1, 0) if timestamps else None)
        host.emits(SYN | ACK, ack=1)
        peer.sends(ACK)
        host.accepts()
        host.is_silent()
        blocks: list[tuple[int, int]] = []
        for start in range(2001, 14001, 2000):
            peer.sends(DATA, 1000, seq=start)
            blocks = [(start, start + 1000), *blocks][: 3 if timestamps else 4]
            host.emits(ACK, ack=1, sack=blocks)


def test_text_that_came_twice_is_told_once_and_first(stage: Stage) -> None:
    # RFC 2883 4: below the ACK, or within what waits behind a hole
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA, 1000)
    host.emits(ACK, ack=1001)
    peer.sends(DATA, 1000, seq=1)
    host.emits(ACK, ack=1001, sack=[(1, 1001)])
    peer.sends(DATA, 1000, seq=3001)
    host.emits(ACK, ack=1001, sack=[(3001, 4001)])
    peer.sends(DATA, 500, seq=3001)
    host.emits(ACK, ack=1001, sack=[(3001, 3501), (3001, 4001)])
    peer.sends(DATA, 1000, seq=501)
    host.emits(ACK, ack=1501, sack=[(501, 1001), (3001, 4001)])
    peer.sends(DATA, 1500, seq=1501)
    host.emits(ACK, ack=4001)
    host.counted(TCPDSACKOldSent=2, TCPDSACKOfoSent=1)
    host.reads(4000)


@pytest.mark.parametrize(
    ("start", "length", "ack", "blocks"),
    [
        (1501, 1000, 1, [(2001, 2501), (1501, 3001)]),
        (1501, 2000, 1, [(2001, 3001), (1501, 3501)]),
        (2501, 1000, 1, [(2501, 3001), (2001, 3501)]),
        (1, 2500, 3001, [(2001, 2501)]),
        (1, 3500, 3501, [(2001, 3001)]),
        (1, 2000, 3001, None),
    ],
)
def test_text_that_repeats_part_of_what_waits_behind_a_hole_has_that_part_told_first(
    stage: Stage, start: int, length: int, ack: int, blocks: list[tuple[int, int]] | None
) -> None:
    # RFC 2883 4 (4) and 4.2: then the run that holds it, unless the ACK covers it by now
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA, 1000, seq=2001)
    host.emits(ACK, ack=1, sack=[(2001, 3001)])
    peer.sends(DATA, length, seq=start)
    host.emits(ACK, ack=ack, sack=blocks)
    above = blocks is not None and ack == 1
    host.counted(TCPDSACKOldSent=1 if blocks and not above else 0, TCPDSACKOfoSent=1 if above else 0)
    peer.sends(DATA, 1000, seq=4001)  # told once
    host.emits(ACK, ack=ack, sack=[(4001, 5001), *blocks[1:]] if blocks else [(4001, 5001)])


def test_a_fin_that_came_twice_is_told_by_its_number(stage: Stage) -> None:
    # As Linux: it takes a number like text, and its sender learns that the retransmission was spurious.
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA | FIN, 100)
    host.emits(ACK, ack=102)
    peer.sends(FIN | ACK, seq=101)
    host.emits(ACK, ack=102, sack=[(101, 102)])
    peer.sends(DATA | FIN, 50, seq=51)
    host.emits(ACK, ack=102, sack=[(51, 102)])
    host.reads(100)


def test_of_two_parts_that_came_twice_below_and_above_the_hole_the_first_is_told(stage: Stage) -> None:
    # RFC 2883 4.2.1 and 4.2.2, examples 4 and 5
    _, host, peer = stage.opened(sack_ok=True)
    peer.sends(DATA, 500)
    host.emits(ACK, ack=501)
    peer.sends(DATA, 500, seq=1501)
    host.emits(ACK, ack=501, sack=[(1501, 2001)])
    peer.sends(DATA, 500, seq=2501)
    host.emits(ACK, ack=501, sack=[(2501, 3001), (1501, 2001)])
    peer.sends(DATA, 2000, seq=1)
    host.emits(ACK, ack=2001, sack=[(1, 501), (2501, 3001)])


def test_of_two_parts_that_came_twice_behind_a_hole_the_first_is_told(stage: Stage) -> None:
    # RFC 2883 4.2.3, example 6
    _, host, peer = stage.opened(sack_ok=True)
    for start, blocks in ((3501, [(3501, 4001)]), (1501, [(1501, 2001), (3501, 4001)])):
        peer.sends(DATA, 500, seq=start)
        host.emits(ACK, ack=1, sack=blocks)
    peer.sends(DATA, 500, seq=2501)
    host.emits(ACK, ack=1, sack=[(2501, 3001), (1501, 2001), (3501, 4001)])
    peer.sends(DATA, 1500, seq=1501)
    host.emits(ACK, ack=1, sack=[(1501, 2001), (1501, 3001), (3501, 4001)])


def test_without_agreement_no_ack_bears_blocks_and_none_is_believed(stage: Stage) -> None:
    scene, host, peer = full_flight(stage, sack_ok=False)
    for _ in range(2):
        peer.sends(ACK, ack=1, sack=[(1001, 5001)])
        host.emits(ACK, 1000)
    assert not [note for note in scene.notes if "fast retransmit" in note]


# ---- the sender ----


def full_flight(stage: Stage, extra: int = 20000, sack_ok: bool = True) -> tuple[Scene, Host, Peer]:
    """Ten segments are out, `extra` bytes wait, one RTT has passed."""
    scene, host, peer = stage.opened(sack_ok=sack_ok)
    host.writes(10000 + extra)
    for _ in range(10 if extra else 9):
        host.emits(ACK, 1000)
    if not extra:
        host.emits(DATA, 1000)
    scene.tick(RTT)
    return scene, host, peer


def test_one_ack_that_shows_three_segments_behind_a_hole_is_enough(stage: Stage) -> None:
    # RFC 8985 6.2 step 4: no need for three duplicates; ssthresh is half of what was out
    scene, host, peer = full_flight(stage)
    peer.sends(ACK, ack=1, sack=[(1001, 4001)])
    host.emits(ACK, 1000, seq=1)
    assert host.status().ssthresh == 5000
    host.counted(TCPFastRetrans=1, TCPSackRecovery=1, RetransSegs=1)
    assert scene.notes[-1].startswith("sent before what has arrived")
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    while scene.next_packet() is not None:
        pass
    assert host.status().cwnd == 5000
    host.counted(TCPTimeouts=0, RetransSegs=1)


@pytest.mark.parametrize("end", [1101, 3001])
def test_a_hole_below_less_than_three_segments_is_a_loss_after_a_quarter_of_the_round_trip(
    stage: Stage, end: int
) -> None:
    # RFC 8985 6.2 step 5: no reordering was seen yet, but two segments may have changed places
    scene, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=1, sack=[(1001, end)])
    scene.tick(RTT // 4 + TIMER_GRACE_US - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=10001)
    host.counted(TCPFastRetrans=1, TCPTimeouts=0)


def test_what_is_written_in_recovery_is_not_taken_for_a_loss_at_once(stage: Stage) -> None:
    # RFC 8985 6.2: only what was sent before something delivered can be lost
    scene, host, peer = full_flight(stage, extra=0)
    for end in range(2001, 10002, 1000):
        peer.sends(ACK, ack=1, sack=[(1001, end)])
    host.emits(ACK, 1000, seq=1)
    host.writes(1000)
    host.emits(DATA, 1000, seq=10001)
    host.is_silent()
    scene.tick(RTT)
    peer.sends(ACK, ack=11001)
    host.counted(RetransSegs=1)


def test_congestion_control_learns_what_was_in_flight_and_what_arrived_of_it(stage: Stage) -> None:
    seen: list[tuple[int, int]] = []

    class Recorder(CongestionControl):
        def on_ack(self, sample: AckSample) -> None:
            seen.append((sample.prior_in_flight, sample.acked))

    scene = stage(plain(congestion_control=Recorder))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, sack_ok=True)
    host.emits(SYN | ACK, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.writes(4000)
    for flags in (ACK, ACK, ACK, DATA):
        host.emits(flags, 1000)
    scene.tick(RTT)
    peer.sends(ACK, ack=1001, sack=[(2001, 3001)])
    assert seen == [(4000, 2000)]
    peer.sends(ACK, ack=4001)
    assert seen == [(4000, 2000), (2000, 2000)]


def test_in_recovery_every_second_ack_lets_a_segment_out_until_half_the_window_is_in_flight(stage: Stage) -> None:
    # RFC 9937: above ssthresh in proportion to what arrives, here 5,000 of 10,000 bytes; at ssthresh one for one
    _, host, peer = full_flight(stage)
    peer.sends(ACK, ack=1, sack=[(1001, 4001)])
    host.emits(ACK, 1000, seq=1)
    new = 10001
    for end, in_flight, lets_out in (
        (5001, 6000, True),
        (6001, 6000, False),
        (7001, 5000, False),  # as much as ssthresh
        (8001, 4000, True),
        (9001, 4000, True),
        (10001, 4000, True),
    ):
        peer.sends(ACK, ack=1, sack=[(1001, end)])
        flight = host.connection.sender.losses.flight
        assert flight is not None and flight.pipe() == in_flight
        if lets_out:
            host.emits(ACK, 1000, seq=new)
            new += 1000
        host.is_silent()
    peer.sends(ACK, ack=10001)
    assert host.status().cwnd == 5000  # RFC 9937: at the end cwnd is ssthresh
    host.emits(ACK, 1000, seq=new)
    host.is_silent()


def test_several_holes_are_mended_in_one_round_trip(stage: Stage) -> None:
    # What NewReno needs a round trip each for
    scene, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=1, sack=[(1001, 2001)])
    peer.sends(ACK, ack=1, sack=[(3001, 4001), (1001, 2001)])
    peer.sends(ACK, ack=1, sack=[(5001, 6001), (3001, 4001), (1001, 2001)])
    host.emits(ACK, 1000, seq=1)
    peer.sends(ACK, ack=1, sack=[(5001, 7001), (3001, 4001), (1001, 2001)])
    peer.sends(ACK, ack=1, sack=[(5001, 8001), (3001, 4001), (1001, 2001)])
    host.emits(ACK, 1000, seq=2001)
    host.emits(ACK, 1000, seq=4001)
    peer.sends(ACK, ack=1, sack=[(5001, 9001), (3001, 4001), (1001, 2001)])
    peer.sends(ACK, ack=1, sack=[(5001, 10001), (3001, 4001), (1001, 2001)])
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    host.counted(TCPTimeouts=0, TCPFastRetrans=1, RetransSegs=3)


def test_the_last_segment_is_found_lost_by_the_ack_of_a_retransmission(stage: Stage) -> None:
    # RFC 8985 9.1, example 1: no SACK block can show that it is lost, but what was sent after it has arrived
    scene, host, peer = full_flight(stage, extra=0)
    for end in range(2001, 9002, 1000):
        peer.sends(ACK, ack=1, sack=[(1001, end)])
    host.emits(ACK, 1000, seq=1)
    host.is_silent()
    scene.tick(RTT)
    peer.sends(ACK, ack=9001)
    host.emits(DATA, 1000, seq=9001)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    host.counted(TCPTimeouts=0, TCPFastRetrans=1, RetransSegs=2)


def test_a_retransmission_that_is_lost_goes_again_after_one_round_trip(stage: Stage) -> None:
    # RFC 8985 9.1, example 2
    scene, host, peer = full_flight(stage, extra=0)
    for end in range(3001, 10002, 1000):
        peer.sends(ACK, ack=1, sack=[(2001, end)])
    host.emits(ACK, 1000, seq=1)
    host.emits(ACK, 1000, seq=1001)
    host.is_silent()
    scene.tick(RTT)
    peer.sends(ACK, ack=1, sack=[(1001, 10001)])
    host.emits(ACK, 1000, seq=1)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    host.counted(TCPTimeouts=0, TCPFastRetrans=1, RetransSegs=3)


def test_after_a_timeout_what_the_peer_holds_is_not_sent_again(stage: Stage) -> None:
    scene, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=1, sack=[(4001, 6001)])
    scene.tick(RTT)
    host.emits(ACK, 1000, seq=1)  # and it is lost as well
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1)
    host.counted(TCPTimeouts=1)
    peer.sends(ACK, ack=1001)
    host.emits(ACK, 1000, seq=1001)
    host.emits(ACK, 1000, seq=2001)
    peer.sends(ACK, ack=3001)
    host.emits(ACK, 1000, seq=3001)
    host.emits(ACK, 1000, seq=6001)
    peer.sends(ACK, ack=10001)
    host.counted(TCPTimeouts=1, TCPSACKReneging=0)


def test_a_peer_that_drops_what_it_reported_gets_it_again(stage: Stage) -> None:
    # RFC 2018 8
    scene, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=1, sack=[(1001, 3001)])
    host.is_silent()
    peer.sends(ACK, ack=1001)
    host.is_silent()
    scene.tick(RTO)
    host.emits(ACK, 1000, seq=1001)
    host.counted(TCPTimeouts=1, TCPSACKReneging=1)
    peer.sends(ACK, ack=2001)
    host.emits(ACK, 1000, seq=2001)
    host.emits(ACK, 1000, seq=3001)
    peer.sends(ACK, ack=10001)


def test_blocks_that_cannot_be_true_change_nothing(stage: Stage) -> None:
    _, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=1001)
    before = host.status()
    for left, right in ((10001, 11001), (3001, 10002), (4001, 4001), (6001, 3001), (1, 2001), (1 << 31, (1 << 31) + 9)):
        peer.sends(ACK, ack=1001, sack=[(left, right)])
        host.is_silent()
    assert replace(host.status(), busy_us=before.busy_us) == before
    host.counted(TCPSACKDiscard=6)


def test_a_report_of_something_twice_is_counted_and_no_loss(stage: Stage) -> None:
    # RFC 2883 4.1, 4.2
    _, host, peer = full_flight(stage, extra=0)
    peer.sends(ACK, ack=5001)
    peer.sends(ACK, ack=5001, sack=[(1001, 4001)])
    peer.sends(ACK, ack=5001, sack=[(6001, 6501), (6001, 7001)])
    host.is_silent()
    host.counted(TCPDSACKRecv=2, TCPFastRetrans=0, TCPSACKDiscard=0)


def test_single_reported_bytes_do_not_cut_the_scoreboard_without_end(stage: Stage) -> None:
    # CVE-2019-11478
    scene = stage(plain(scoreboard_limit=20))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, sack_ok=True)
    host.emits(SYN | ACK, ack=1)
    peer.sends(ACK)
    host.accepts()
    host.writes(10000)
    for _ in range(9):
        host.emits(ACK, 1000)
    host.emits(DATA, 1000)
    for at in range(2, 9000, 7):
        peer.sends(ACK, ack=1, sack=[(at, at + 1)])
        while scene.next_packet() is not None:
            pass
    assert host.connection.sender.losses.flight is not None
    board = host.connection.sender.losses.flight.board
    assert board.sacked <= 20
    assert len(board.records) <= 20 + 10
    counters = scene.stack.counters.as_dict()
    assert counters["TCPWqueueTooBig"] > 1000
    peer.sends(ACK, ack=10001)
    host.is_silent()


def test_a_fin_behind_sacked_text_is_the_last_segment_that_goes_again(stage: Stage) -> None:
    scene, host, peer = full_flight(stage, extra=0)
    host.shuts()
    host.emits(FIN | ACK, seq=10001)
    peer.sends(ACK, ack=1001, sack=[(2001, 10001)])
    host.emits(ACK, 1000, seq=1001)
    scene.tick(RTT)
    peer.sends(ACK, ack=10001)
    scene.tick(RTO - 1)  # sent together with what was acknowledged now: nothing shows that it is missing
    host.is_silent()
    scene.tick(1)
    host.emits(FIN | ACK, seq=10001)
    peer.sends(ACK, ack=10002)
    host.counted(RetransSegs=2)
    peer.sends(FIN | ACK)
    host.emits(ACK, ack=2)
    scene.tick(120_000 * MS)
