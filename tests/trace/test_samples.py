"""What the trace tells of a sender's figures: one sample after each ACK or timer while something is out, else none."""

from __future__ import annotations

from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED
from synfin.wire.tcp_header import ACK
from tests.trace.scene import DATA, MS, MSS, RTO, RTT, Stage, plain


def test_the_first_sample_is_told_with_the_handshake(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    [sample] = scene.samples
    assert (sample.at, sample.host, sample.key) == (scene.now, "host", host.connection.key)
    assert (sample.cwnd, sample.ssthresh, sample.in_flight) == (10 * MSS, UNLIMITED, 0)
    assert (sample.rtt, sample.srtt, sample.phase) == (RTT, RTT, NONE)


def test_an_ack_of_what_is_out_is_sampled_after_all_it_changed(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.writes(3 * MSS)
    host.emits(ACK, MSS)
    host.emits(ACK, MSS)
    host.emits(DATA, MSS)
    scene.tick(20 * MS)
    peer.sends(ACK, ack=1 + MSS)
    sample = scene.samples[-1]
    assert sample.at == scene.now
    assert sample.in_flight == 2 * MSS
    assert sample.rtt == 20 * MS
    assert sample.srtt == RTT + 10 * MS // 8
    assert sample.pacing_rate > 0
    assert len(scene.samples) == 2


def test_who_only_receives_has_nothing_to_sample(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    for _ in range(4):
        peer.sends(DATA, MSS)
    host.emits(ACK)
    assert len(scene.samples) == 1


def test_a_timeout_is_sampled_with_the_window_it_leaves(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    host.writes(MSS)
    host.emits(DATA, MSS)
    scene.tick(RTO)
    host.emits(DATA, MSS, seq=1)
    sample = scene.samples[-1]
    assert sample.at == scene.now
    assert (sample.cwnd, sample.phase, sample.rtt) == (MSS, LOSS, 0)
    assert sample.ssthresh == 2 * MSS


def test_fast_recovery_shows_from_the_ack_that_begins_it(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(nodelay=True))
    host.writes(10 * MSS)
    for _ in range(9):
        host.emits(ACK, MSS)
    host.emits(DATA, MSS)
    scene.tick(RTT)
    for _ in range(3):
        peer.sends(ACK, ack=1)
    host.emits(ACK, MSS, seq=1)
    assert [sample.phase for sample in scene.samples[-3:]] == [NONE, NONE, FAST]
    assert scene.samples[-1].ssthresh == 5 * MSS
