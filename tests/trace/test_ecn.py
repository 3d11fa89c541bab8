"""ECN (RFC 3168): who asks for it and who agrees, which packets may be marked, what marks are told and answered."""

from __future__ import annotations

import pytest

from synfin.tcp.config import COOKIES_ALWAYS
from synfin.wire.ip import CE, ECT_0, ECT_1, NOT_ECT
from synfin.wire.tcp_header import ACK, CWR, ECE, FIN, RST, SYN
from tests.trace.scene import DATA, MSS, RTO, RTT, SECOND, Host, Peer, Scene, Stage, plain

ASKS = SYN | ECE | CWR
AGREES = SYN | ACK | ECE
SETTINGS = ["off", "accept", "on"]  # "accurate": test_accurate_ecn


def opened(stage: Stage, *, sack: bool = False, **settings: object) -> tuple[Scene, Host, Peer]:
    """A connection with ECN that the peer asked for."""
    scene = stage(plain(**settings))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS, sack_ok=sack)
    host.emits(AGREES, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.is_silent()
    return scene, host, peer


# ---- who asks, and who agrees ----


@pytest.mark.parametrize("setting", SETTINGS)
def test_only_on_asks_and_the_syn_itself_is_not_capable(stage: Stage, setting: str) -> None:
    # RFC 3168 6.1.1: "A host MUST NOT set ECT on SYN or SYN-ACK packets."
    scene = stage(plain(ecn=setting))
    scene.host.connects()
    scene.host.emits(ASKS if setting == "on" else SYN, seq=0)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("flags", [0, ECE, CWR, ECE | CWR])
def test_a_syn_with_both_flags_is_agreed_to_unless_ecn_is_off(stage: Stage, setting: str, flags: int) -> None:
    # RFC 3168 6.1.1
    scene = stage(plain(ecn=setting))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN | flags, mss=MSS)
    agrees = setting != "off" and flags == ECE | CWR
    host.emits(AGREES if agrees else SYN | ACK, ack=1)
    peer.sends(ACK)
    host.accepts()
    host.writes(100)
    host.emits(DATA, 100, ecn=ECT_0 if agrees else NOT_ECT)
    peer.sends(DATA, 100, ecn=CE)
    host.emits(ACK | ECE if agrees else ACK, ack=101)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("flags", [0, ECE, CWR, ECE | CWR])
def test_a_syn_ack_agrees_by_ece_alone_and_only_to_who_asked(stage: Stage, asks: bool, flags: int) -> None:
    # RFC 3168 6.1.1.2: both flags come back from who sends back what it does not know.
    scene = stage(plain(ecn="on" if asks else "accept"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS if asks else SYN, seq=0)
    peer.sends(SYN | ACK | flags, mss=MSS)
    agreed = asks and flags == ECE
    host.emits(ACK, ack=1)
    host.writes(100)
    host.emits(DATA, 100, ecn=ECT_0 if agreed else NOT_ECT)


def test_a_syn_that_is_lost_goes_again_without_and_then_ect_is_not_set_though_the_first_was_agreed_to(
    stage: Stage,
) -> None:
    # RFC 3168 6.1.1.1, and 6.1.1: "and has sent no non-ECN-setup SYN"; what comes marked is echoed all the same.
    scene = stage(plain(ecn="on"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS, seq=0)
    scene.tick(SECOND)
    host.emits(SYN, seq=0)
    scene.tick(2 * SECOND)
    host.emits(SYN, seq=0)
    peer.sends(AGREES, mss=MSS)
    host.emits(ACK, ack=1)
    host.writes(100)
    host.emits(DATA, 100, ecn=NOT_ECT)
    peer.sends(DATA, 100, ecn=CE)
    host.emits(ACK | ECE, ack=101)


def test_a_peer_that_falls_back_gets_a_syn_ack_without_and_no_ecn(stage: Stage) -> None:
    # RFC 3168 6.1.1.1, the four steps of its example
    scene = stage(plain())
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(AGREES, ack=1)
    scene.tick(SECOND - 1)
    peer.sends(SYN, seq=0, mss=MSS)
    host.emits(SYN | ACK, seq=0, ack=1)
    scene.tick(SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(ACK, seq=1)
    host.accepts()
    host.writes(100)
    host.emits(DATA, 100, ecn=NOT_ECT)


def test_syn_acks_that_go_again_still_agree(stage: Stage) -> None:
    scene = stage(plain())
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(AGREES, ack=1)
    scene.tick(SECOND)
    host.emits(AGREES, seq=0, ack=1)
    peer.sends(ASKS, seq=0, mss=MSS)
    host.emits(AGREES, seq=0, ack=1)


@pytest.mark.parametrize("asks", [True, False])
def test_simultaneous_open_agrees_if_both_asked(stage: Stage, asks: bool) -> None:
    scene = stage(plain(ecn="on" if asks else "accept"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS if asks else SYN, seq=0)
    peer.sends(ASKS, mss=MSS)
    host.emits(AGREES if asks else SYN | ACK, seq=0, ack=1)
    peer.sends(ACK, seq=1, ack=1)
    host.writes(100)
    host.emits(DATA, 100, ecn=ECT_0 if asks else NOT_ECT)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("ts", [True, False])
def test_a_cookie_remembers_ecn_where_it_remembers_options(stage: Stage, asks: bool, ts: bool) -> None:
    scene = stage(plain(syn_cookies=COOKIES_ALWAYS, timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS if asks else SYN, mss=1460, ts=(1, 0) if ts else False)
    answer = scene.next_packet()
    assert answer is not None
    agrees = asks and ts
    assert answer.flags == (AGREES if agrees else SYN | ACK)
    peer.heard = peer.relative(answer.seq, 0xFFFFFF00) + 1
    peer.ts_recent = answer.ts_val
    peer.sends(ACK, ts=(1, answer.ts_val) if ts else False)
    host.accepts()
    peer.sends(DATA, 100, ecn=CE, ts=(1, answer.ts_val) if ts else False)
    reply = scene.next_packet()
    assert reply is not None and reply.flags == (ACK | ECE if agrees else ACK)


# ---- what the receiver tells ----


def test_a_mark_is_echoed_at_once_and_on_every_ack_until_the_peer_says_cwr(stage: Stage) -> None:
    # RFC 3168 6.1.3
    scene, host, peer = opened(stage)
    peer.sends(ACK, MSS, ecn=ECT_0)
    host.is_silent()  # one segment waits for another
    peer.sends(ACK, MSS, ecn=CE)
    host.emits(ACK | ECE, ack=2001)
    peer.sends(ACK, MSS, ecn=ECT_0)
    peer.sends(ACK, MSS, ecn=ECT_1)
    host.emits(ACK | ECE, ack=4001)
    host.writes(100)
    host.emits(DATA | ECE, 100, ecn=ECT_0)
    peer.sends(ACK | CWR, MSS, ecn=ECT_0)
    host.emits(ACK, ack=5001)
    peer.sends(ACK, MSS, ecn=ECT_0)
    host.is_silent()
    scene.tick(40_000)
    host.emits(ACK, ack=6001)
    host.counted(InCEPkts=1)


def test_a_mark_on_the_segment_that_says_cwr_is_echoed_again(stage: Stage) -> None:
    # RFC 3168 6.1.3
    _, host, peer = opened(stage)
    peer.sends(ACK, MSS, ecn=CE)
    host.emits(ACK | ECE, ack=1001)
    peer.sends(ACK | CWR, MSS, ecn=CE)
    peer.sends(ACK, MSS, ecn=ECT_0)
    host.emits(ACK | ECE, ack=3001)


def test_a_mark_changes_the_echo_within_a_batch_in_the_order_of_arrival(stage: Stage) -> None:
    _, host, peer = opened(stage)
    for ecn, flags in ((ECT_0, 0), (CE, 0), (ECT_0, 0), (ECT_0, CWR), (ECT_0, 0)):
        peer.sends(DATA | flags, MSS, ecn=ecn)
    host.emits(ACK | ECE, ack=2001)
    host.emits(ACK, ack=4001)
    host.emits(ACK, ack=5001)


def test_marks_of_what_lies_outside_the_window_and_of_pure_acks_are_not_echoed(stage: Stage) -> None:
    # RFC 3168 6.1.5
    _, host, peer = opened(stage)
    peer.sends(ACK, MSS, seq=70_000, ecn=CE)
    host.emits(ACK, ack=1)
    peer.seq = 1
    peer.sends(ACK, ecn=CE)
    peer.sends(DATA, MSS, seq=1)
    host.emits(ACK, ack=1001)


def test_out_of_order_and_fin_carry_the_echo(stage: Stage) -> None:
    _, host, peer = opened(stage, sack=True)
    peer.sends(ACK, MSS, seq=1001, ecn=CE)
    host.emits(ACK | ECE, ack=1, sack=[(1001, 2001)])
    peer.sends(ACK, MSS, seq=1)
    host.emits(ACK | ECE, ack=2001)
    host.shuts()
    host.emits(ACK | FIN | ECE, ack=2001)
    host.aborts()
    host.emits(ACK | RST, seq=102 - 100)


# ---- what the sender marks and answers ----


def test_new_text_may_be_marked_but_no_ack_fin_retransmission_or_keepalive(stage: Stage) -> None:
    # RFC 3168 6.1.4, 6.1.5
    scene, host, peer = opened(stage)
    host.writes(2 * MSS)
    host.emits(ACK, MSS, ecn=ECT_0)
    host.emits(DATA, MSS, ecn=ECT_0)
    scene.tick(RTO)
    host.emits(ACK, MSS, seq=1, ecn=NOT_ECT)
    peer.sends(ACK, ack=2001)
    host.is_silent()
    peer.sends(DATA, 10)
    host.emits(ACK, ack=11)
    host.shuts()
    host.emits(ACK | FIN)


def test_a_window_probe_is_not_ect(stage: Stage) -> None:
    # RFC 3168 6.1.6
    scene, host, peer = opened(stage)
    peer.sends(ACK, win=0)
    host.writes(10)
    assert scene.tick_until_output() == RTO
    host.emits(ACK, 1, seq=1, ecn=NOT_ECT)


def window_out(host: Host, segments: int) -> None:
    """So many full segments are out."""
    host.writes(segments * MSS)
    for place in range(segments):
        host.emits(DATA if place == segments - 1 else ACK, MSS, ecn=ECT_0)


def test_marks_are_answered_once_a_window_and_the_first_new_text_says_cwr(stage: Stage) -> None:
    # RFC 3168 6.1.2; RFC 8511: in slow start half
    _, host, peer = opened(stage)
    window_out(host, 10)
    assert host.status().cwnd == 10 * MSS
    peer.sends(ACK | ECE, ack=2001)
    assert (host.status().cwnd, host.status().ssthresh) == (5 * MSS, 5 * MSS)
    peer.sends(ACK | ECE, ack=4001)
    peer.sends(ACK | ECE, ack=10_001)
    assert host.status().cwnd == 5 * MSS
    host.counted(TCPEcnReductions=1)
    host.writes(5 * MSS)
    host.emits(ACK | CWR, MSS, ecn=ECT_0)
    for place in range(4):
        host.emits(DATA if place == 3 else ACK, MSS, ecn=ECT_0)
    peer.sends(ACK, ack=12_001)
    assert host.status().cwnd == 5 * MSS
    peer.sends(ACK | ECE, ack=13_001)  # CWR has arrived: this is a new mark. RFC 8511: four fifths of what is out
    assert host.status().cwnd == 3 * MSS * 4 // 5
    host.counted(TCPEcnReductions=2)


def test_an_ack_that_tells_of_marks_does_not_raise_cwnd(stage: Stage) -> None:
    # RFC 3168 6.1.2
    scene, host, peer = opened(stage)
    window_out(host, 10)
    peer.sends(ACK | ECE, ack=10_001)
    before = host.status().cwnd
    for _ in range(20):
        host.writes(5 * MSS)
        peer_ack = peer.heard
        while (seg := scene.next_packet()) is not None:
            assert seg.payload
        peer.sends(ACK | ECE, ack=peer_ack)
        assert host.status().cwnd <= before
    while scene.next_packet() is not None:
        pass


def test_what_is_sent_again_does_not_say_cwr_the_first_new_text_does(stage: Stage) -> None:
    # RFC 3168 6.1.2: a window is reduced "for any reason", and CWR goes "in the first new data packet"
    scene, host, peer = opened(stage, sack=True)
    window_out(host, 10)
    scene.tick(RTT)
    peer.sends(ACK | ECE, ack=1, sack=[(5001, 10_001)])
    for place in range(5):
        host.emits(ACK, MSS, seq=place * MSS + 1, ecn=NOT_ECT)
    host.writes(MSS)
    peer.sends(ACK | ECE, ack=10_001)
    host.emits(DATA | CWR, MSS, ecn=ECT_0)
    host.counted(TCPEcnReductions=0, TCPSackRecovery=1)


def test_a_loss_in_the_round_trip_of_an_answered_mark_is_not_answered_again(stage: Stage) -> None:
    # RFC 8511 4.2
    scene, host, peer = opened(stage, sack=True)
    window_out(host, 10)
    peer.sends(ACK | ECE, ack=1001)
    assert host.status().cwnd == 5 * MSS
    scene.tick(RTT)
    peer.sends(ACK | ECE, ack=1001, sack=[(5001, 10_001)])
    for place in range(1, 5):
        host.emits(ACK, MSS, seq=place * MSS + 1)
    assert host.status().ssthresh == 5 * MSS
    host.counted(TCPEcnReductions=1, TCPSackRecovery=1)
    peer.sends(ACK, ack=10_001)
    host.is_silent()


def test_an_echo_with_nothing_out_or_without_ecn_changes_nothing(stage: Stage) -> None:
    _, host, peer = opened(stage)
    before = host.status().cwnd
    peer.sends(ACK | ECE)
    assert host.status().cwnd == before
    _, other, stranger = stage.opened(plain(ecn="off"))
    other.writes(MSS)
    other.emits(DATA, MSS)
    stranger.sends(ACK | ECE, ack=1001)
    assert other.status().cwnd >= before
    other.counted(TCPEcnReductions=0)


def test_marks_without_end_leave_a_transfer_slow_but_whole(stage: Stage) -> None:
    # RFC 3168 6.1.2: cwnd does not fall below one segment.
    scene, host, peer = opened(stage)
    host.writes(50 * MSS)
    last = 0
    while peer.heard <= 50 * MSS:
        burst = 0
        while (seg := scene.next_packet()) is not None:
            burst += len(seg.payload)
        assert burst >= MSS
        last = burst
        peer.sends(ACK | ECE, ack=peer.heard)
    assert last == host.status().cwnd == MSS


def test_a_fin_is_no_text_and_its_ack_tells_no_new_marks(stage: Stage) -> None:
    # RFC 3168 6.1.2: CWR waits for new data, and until it is said the peer has to echo
    _, host, peer = opened(stage)
    window_out(host, 4)
    peer.sends(ACK | ECE, ack=3001)
    host.shuts()
    host.emits(ACK | FIN)
    peer.sends(ACK | ECE, ack=4002)
    host.counted(TCPEcnReductions=1)
