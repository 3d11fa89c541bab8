"""Accurate ECN (RFC 9768): the handshake that tells of itself, the counter in three flags, the option, and answers."""

from __future__ import annotations

import pytest

from synfin.stack.destinations import ECN_AGE_US, ECN_FAILURES
from synfin.tcp.accurate_ecn import CONTINUOUS
from synfin.tcp.config import COOKIES_ALWAYS
from synfin.wire.ip import CE, ECT_0, ECT_1, NOT_ECT
from synfin.wire.tcp_header import ACK, AE, CWR, ECE, RST, SYN
from tests.trace.scene import DATA, HOST_ISN, MSS, RTT, SECOND, Host, Peer, Scene, Stage, plain

ASKS = SYN | AE | CWR | ECE
TOLD = {NOT_ECT: CWR, ECT_1: CWR | ECE, ECT_0: AE, CE: AE | CWR}  # tables 2 and 3
FIRST = (0, 1, 0, 1)  # the option that begins
COMBINATIONS = [ae | cwr | ece for ae in (0, AE) for cwr in (0, CWR) for ece in (0, ECE)]


def ace(count: int) -> int:
    """The flags that tell of so many marked packets."""
    return (count & 7) << 6


def opened(stage: Stage, *, sack: bool = False, **settings: object) -> tuple[Scene, Host, Peer]:
    """A connection in this mode that the peer opened."""
    scene = stage(plain(ecn="accurate", **settings))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS, sack_ok=sack)
    host.emits(SYN | ACK | CWR, ack=1, accecn=FIRST)
    scene.tick(RTT)
    peer.sends(ACK | CWR)
    host.accepts()
    host.is_silent()
    return scene, host, peer


def window_out(host: Host, segments: int, ecn: int = ECT_0, flags: int = AE | ECE) -> None:
    """So many full segments are out. flags: the count of marks that arrived, 5 to begin with."""
    host.writes(segments * MSS)
    for place in range(segments):
        host.emits((DATA if place == segments - 1 else ACK) | flags, MSS, ecn=ecn)


# ---- the handshake ----


@pytest.mark.parametrize("ecn", [NOT_ECT, ECT_0, ECT_1, CE])
@pytest.mark.parametrize("flags", COMBINATIONS)
def test_the_syn_ack_agrees_to_what_the_syn_asks_and_tells_how_it_came(stage: Stage, flags: int, ecn: int) -> None:
    # RFC 9768 3.1.2, table 2; 3.1.3: combinations that mean nothing yet ask for this mode
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN | flags, mss=MSS, ecn=ecn)
    if flags == 0:
        host.emits(SYN | ACK, ack=1)
    elif flags == CWR | ECE:
        host.emits(SYN | ACK | ECE, ack=1)
    else:
        host.emits(SYN | ACK | TOLD[ecn], ack=1, accecn=FIRST)


@pytest.mark.parametrize("setting", ["accept", "on"])
def test_who_does_not_know_it_takes_it_for_ecn(stage: Stage, setting: str) -> None:
    scene = stage(plain(ecn=setting))
    scene.host.listens()
    scene.peer.sends(ASKS, mss=MSS)
    scene.host.emits(SYN | ACK | ECE, ack=1)


@pytest.mark.parametrize("ecn", [NOT_ECT, ECT_0, ECT_1, CE])
@pytest.mark.parametrize("flags", COMBINATIONS)
def test_the_client_takes_the_mode_of_the_syn_ack_and_tells_how_that_came(stage: Stage, flags: int, ecn: int) -> None:
    # RFC 9768 3.1.2, table 2; 3.2.2.1, table 3; 3.2.2.3: what says that our SYN was ECT says that it was changed
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS, seq=0)
    peer.sends(SYN | ACK | flags, mss=MSS, ecn=ecn)
    off, classic = flags in (0, AE | CWR | ECE), flags == ECE
    if off or classic:
        host.emits(ACK, ack=1)
        host.writes(100)
        host.emits(DATA, 100, ecn=NOT_ECT if off else ECT_0)
        return
    host.emits(ACK | TOLD[ecn], ack=1, accecn=(0, 1))
    host.writes(100)
    mangled = flags in (CWR | ECE, AE, AE | CWR)
    host.emits(DATA | ace(6 if ecn == CE else 5), 100, ecn=NOT_ECT if mangled else ECT_0)


def test_text_waits_for_the_pure_ack_that_tells_of_the_syn_ack(stage: Stage) -> None:
    # RFC 9768 3.2.2.1
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.writes(100)
    host.emits(ASKS, seq=0)
    peer.sends(SYN | ACK | CWR, mss=MSS, ecn=ECT_1)
    host.emits(ACK | TOLD[ECT_1], ack=1, accecn=(0, 1))
    host.emits(DATA | ace(5), 100, ecn=ECT_0)


def test_a_syn_ack_that_comes_again_is_told_of_again(stage: Stage) -> None:
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS, seq=0)
    peer.sends(SYN | ACK | CWR, mss=MSS, ecn=ECT_0)
    host.emits(ACK | AE, ack=1, accecn=(0, 1))
    scene.tick(SECOND)
    peer.sends(SYN | ACK | CWR, seq=0, mss=MSS, ecn=ECT_0)
    host.emits(ACK | AE, ack=1)


def test_two_syns_ask_and_the_third_does_not_but_then_ect_may_be_set(stage: Stage) -> None:
    # RFC 9768 3.1.4.1
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(ASKS, seq=0)
    scene.tick(SECOND)
    host.emits(ASKS, seq=0)
    scene.tick(2 * SECOND)
    host.emits(SYN, seq=0)
    peer.sends(SYN | ACK | CWR, mss=MSS)
    host.emits(ACK | CWR, ack=1, accecn=(0, 1))
    host.writes(100)
    host.emits(DATA | ace(5), 100, ecn=ECT_0)


def refused(scene: Scene) -> None:
    """A connection whose host is reached only by a SYN that does not ask, as it goes after three seconds."""
    host = scene.host
    host.connects()
    host.emits(ASKS, seq=0)
    scene.tick(SECOND)
    host.emits(ASKS, seq=0)
    scene.tick(2 * SECOND)
    host.emits(SYN, seq=0)
    answered(scene)


def answered(scene: Scene) -> None:
    """The SYN is, without ECN; and the connection ends."""
    host = scene.host
    scene.peer.sends(SYN | ACK, seq=0, mss=MSS)
    host.emits(ACK, ack=1)
    host.aborts()
    host.emits(RST | ACK)
    scene.peer.seq = scene.peer.heard = 0


def test_a_host_that_answers_no_syn_that_asks_is_not_asked_again_for_an_hour(stage: Stage) -> None:
    # RFC 9768 3.1.4.1: remembered, but only what is no chance, and tried again now and then
    scene = stage(plain(ecn="accurate"))
    for _ in range(ECN_FAILURES):
        refused(scene)
    scene.host.connects()
    scene.host.emits(SYN, seq=0)
    answered(scene)
    scene.tick(ECN_AGE_US)
    refused(scene)
    scene.host.connects()
    scene.host.emits(SYN, seq=0)
    answered(scene)


def test_the_second_syn_ack_has_no_option_and_the_third_no_ecn_and_then_ect_is_not_set(stage: Stage) -> None:
    # RFC 9768 3.2.3.2.2, 3.1.5
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(SYN | ACK | CWR, ack=1, accecn=FIRST)
    scene.tick(SECOND)
    host.emits(SYN | ACK | CWR, seq=0, ack=1)
    scene.tick(2 * SECOND)
    host.emits(SYN | ACK, seq=0, ack=1)
    peer.sends(ACK | CWR)
    host.accepts()
    host.writes(100)
    host.emits(DATA | ace(5), 100, ecn=NOT_ECT, accecn=(0, 1))
    peer.sends(DATA | ace(5), 100, ecn=CE)
    host.emits(ACK | ace(6), ack=101, accecn=(0, 1, 100))


def test_a_syn_that_comes_again_is_told_of_anew(stage: Stage) -> None:
    # RFC 9768 3.1.5
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(SYN | ACK | CWR, ack=1, accecn=FIRST)
    peer.sends(ASKS, seq=0, mss=MSS, ecn=CE)
    host.emits(SYN | ACK | TOLD[CE], seq=0, ack=1)


def test_a_syn_that_comes_again_without_ecn_keeps_the_mode_but_not_ect(stage: Stage) -> None:
    # RFC 9768 3.1.5
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(SYN | ACK | CWR, ack=1, accecn=FIRST)
    peer.sends(SYN, seq=0, mss=MSS)
    host.emits(SYN | ACK | CWR, seq=0, ack=1)
    peer.sends(ACK | CWR, seq=1)
    host.accepts()
    host.writes(100)
    host.emits(DATA | ace(5), 100, ecn=NOT_ECT, accecn=(0, 1))


@pytest.mark.parametrize(("first", "second"), [(ASKS, SYN | CWR | ECE), (SYN | CWR | ECE, ASKS)])
def test_a_syn_that_asks_for_one_mode_and_then_for_the_other_is_reset(stage: Stage, first: int, second: int) -> None:
    # RFC 9768 3.1.5
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(first, mss=MSS)
    assert scene.next_packet() is not None
    peer.sends(second, seq=0, mss=MSS)
    host.emits(RST | ACK, seq=-HOST_ISN & 0xFFFFFFFF, ack=1)
    host.has_forgotten_all()


@pytest.mark.parametrize("told", range(8))
def test_the_final_ack_tells_what_became_of_the_syn_ack(stage: Stage, told: int) -> None:
    # RFC 9768 3.2.2.1, table 4; 3.2.2.3
    scene = stage(plain(ecn="accurate"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(ASKS, mss=MSS)
    host.emits(SYN | ACK | CWR, ack=1, accecn=FIRST)
    peer.sends(ACK | ace(told))
    host.accepts()
    capable = told in (0b001, 0b010, 0b101, 0b111)
    window_out(host, 4, ecn=ECT_0 if capable else NOT_ECT)
    counted = 6 if told == 0b110 else 5
    peer.sends(ACK | ace(counted), ack=1001)
    host.counted(TCPEcnReductions=0)
    peer.sends(ACK | ace(counted + 1), ack=2001)
    host.counted(TCPEcnReductions=0 if told == 0 else 1)  # table 4, note 1
    peer.sends(ACK | ace(counted + 1), ack=4001)
    host.is_silent()


@pytest.mark.parametrize("flags", [ASKS, SYN | CWR | ECE, SYN])
def test_a_cookie_brings_back_the_mode(stage: Stage, flags: int) -> None:
    # RFC 9768 5.1
    scene = stage(plain(ecn="accurate", syn_cookies=COOKIES_ALWAYS, timestamps=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(flags, mss=1460, ts=(1, 0))
    answer = scene.next_packet()
    assert answer is not None
    assert answer.flags == SYN | ACK | {ASKS: CWR, SYN: 0}.get(flags, ECE)
    peer.heard = peer.relative(answer.seq, HOST_ISN) + 1
    stamps = (1, answer.ts_val)
    peer.sends(ACK | (CWR if flags == ASKS else 0), ts=stamps)
    host.accepts()
    peer.sends(DATA | (ace(5) if flags == ASKS else 0), 100, ecn=CE, ts=stamps)
    reply = scene.next_packet()
    assert reply is not None
    assert reply.flags == ACK | {ASKS: ace(6), SYN: 0}.get(flags, ECE)


# ---- what the receiver tells ----


def test_marks_are_counted_in_three_flags_and_bytes_in_the_option(stage: Stage) -> None:
    # RFC 9768 3.2.2.2, 3.2.2.5.1, 3.2.3.3
    _, host, peer = opened(stage)
    peer.sends(ACK | ace(5), MSS, ecn=ECT_0)
    host.is_silent()
    peer.sends(ACK | ace(5), MSS, ecn=ECT_0)
    host.emits(ACK | ace(5), ack=2001, accecn=(0, 2001))
    for count in range(6, 16):  # the second of a row in a row waits for a third
        peer.sends(ACK | ace(5), MSS, ecn=CE)
        if count == 6:
            host.emits(ACK | ace(6), ack=3001, accecn=(0, 2001, 1000))
        elif count % 2 == 0:
            marked = (count - 5) * MSS
            host.emits(ACK | ace(count), ack=2001 + marked, accecn=(0, 2001, marked))
    host.counted(InCEPkts=10)
    peer.sends(DATA | ace(5), MSS, ecn=NOT_ECT)
    host.emits(ACK | ace(15), ack=13_001, accecn=(0, 2001, 10_000))


def test_the_option_begins_with_the_codepoint_that_comes(stage: Stage) -> None:
    # RFC 9768 3.2.3
    _, host, peer = opened(stage)
    peer.sends(DATA | ace(5), 100, ecn=ECT_1)
    host.emits(ACK | ace(5), ack=101, accecn=(1, 101))
    peer.sends(DATA | ace(5), 100, ecn=CE)
    host.emits(ACK | ace(6), ack=201, accecn=(1, 101, 100))
    peer.sends(DATA | ace(5), 100, ecn=ECT_0)
    host.emits(ACK | ace(6), ack=301, accecn=(0, 101, 100, 101))
    peer.sends(DATA | ace(5), 100)
    host.emits(ACK | ace(6), ack=401)  # nothing has changed


def test_a_burst_counts_as_many_packets_as_it_was(stage: Stage) -> None:
    _, host, peer = opened(stage)
    peer.sends(DATA | ace(5), 2500, ecn=CE, gso=MSS)
    host.emits(ACK | ace(8), ack=2501, accecn=(0, 1, 2500))


def test_sack_goes_before_the_option(stage: Stage) -> None:
    # RFC 9768 3.2.3.3: "the Data Receiver MUST give precedence to the SACK option"
    _, host, peer = opened(stage, sack=True)
    for hole in range(1, 4):
        peer.sends(ACK | ace(5), 100, seq=hole * 1000, ecn=ECT_0)
    blocks = [(hole * 1000, hole * 1000 + 100) for hole in (3, 2, 1)]
    host.emits(ACK | ace(5), ack=1, sack=blocks[2:], accecn=(0, 101))
    host.emits(ACK | ace(5), ack=1, sack=blocks[1:], accecn=(0, 201))
    host.emits(ACK | ace(5), ack=1, sack=blocks, accecn=(0, 301))
    peer.sends(ACK | ace(5), 100, seq=4000, ecn=CE)
    host.emits(ACK | ace(6), ack=1, sack=[(4000, 4100), *blocks])


def test_marked_acks_are_counted_and_told_after_three(stage: Stage) -> None:
    # RFC 9768 3.2.2.5.1
    scene, host, peer = opened(stage)
    window_out(host, 3)
    for count in (1, 2, 3):
        host.is_silent()
        peer.sends(ACK | ace(5), ack=count * MSS + 1, ecn=CE)
    host.emits(ACK | ace(8), ack=1, accecn=(0, 1))
    scene.tick(SECOND)


# ---- what the sender answers ----


def test_marks_are_answered_once_a_window_and_cwr_is_never_said(stage: Stage) -> None:
    # RFC 9768 3.1.5: "MUST NOT set CWR to indicate that it has received and responded"
    scene, host, peer = opened(stage)
    window_out(host, 10)
    before = host.status().cwnd
    peer.sends(ACK | ace(6), ack=2001)
    after = host.status().cwnd
    assert after < before
    peer.sends(ACK | ace(7), ack=4001)
    peer.sends(ACK | ace(8), ack=10_001)
    host.counted(TCPEcnReductions=1)
    window_out(host, 3)
    peer.sends(ACK | ace(8), ack=11_001)
    host.counted(TCPEcnReductions=1)
    peer.sends(ACK | ace(9), ack=12_001)
    host.counted(TCPEcnReductions=2)
    peer.sends(ACK | ace(9), ack=13_001)
    scene.tick(SECOND)


@pytest.mark.parametrize("unmarked", [None, 0, 2])
def test_where_every_packet_comes_marked_into_the_fourth_window_marks_mean_nothing(
    stage: Stage, unmarked: int | None
) -> None:
    # RFC 9768 3.2.2.3: "the Data Sender ought to send non-ECN-capable packets", and not to respond. One packet that
    # comes unmarked in those windows shows that it is queues that mark.
    _, host, peer = opened(stage)
    acked, marked = 1, 5
    for window in range(CONTINUOUS):
        segments = host.status().cwnd // MSS
        window_out(host, segments)
        for number in range(segments):
            acked += MSS
            marked += 0 if window == unmarked and number == segments - 1 else 1
            peer.sends(ACK | ace(marked), ack=acked)
    host.counted(TCPEcnReductions=CONTINUOUS)
    window_out(host, 2, ecn=NOT_ECT if unmarked is None else ECT_0)
    peer.sends(ACK | ace(marked + 2), ack=acked + 2 * MSS)
    host.counted(TCPEcnReductions=CONTINUOUS if unmarked is None else CONTINUOUS + 1)


def test_an_old_ack_tells_no_marks(stage: Stage) -> None:
    # RFC 9768 A.1
    _, host, peer = opened(stage)
    window_out(host, 4)
    peer.sends(ACK | ace(5), ack=3001)
    peer.sends(ACK | ace(4), ack=1001)
    peer.sends(ACK | ace(4), ack=3001)
    host.counted(TCPEcnReductions=0)
    peer.sends(ACK | ace(5), ack=4001)
    host.counted(TCPEcnReductions=0)


def test_every_segment_of_a_burst_carries_the_counter(stage: Stage) -> None:
    # RFC 9768 3.3.4. `Scene.poll` splits bursts as a link without offload does.
    _, host, peer = opened(stage)
    peer.sends(DATA | ace(5), MSS, ecn=CE)
    host.emits(ACK | ace(6), ack=1001, accecn=(0, 1, 1000))
    window_out(host, 5, flags=ace(6))
    peer.sends(ACK | ace(5), ack=5001)
