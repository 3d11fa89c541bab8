"""STATUS: what held a sender up and for how long, what it sent again, and what ECN told."""

from __future__ import annotations

from synfin.tcp.status import ConnectionSnapshot
from synfin.wire.ip import CE, ECT_0
from synfin.wire.tcp_header import ACK, CWR, ECE, RST, SYN
from tests.trace.scene import DATA, MS, MSS, RTO, RTT, SECOND, Host, Scene, Stage, plain


def told(scene: Scene, host: Host) -> ConnectionSnapshot:
    """STATUS, now."""
    return host.connection.snapshot(scene.now)


def held_up(status: ConnectionSnapshot) -> tuple[int, int, int, int]:
    """Milliseconds: busy, held up by the peer, by the send buffer, by congestion control."""
    return (
        status.busy_us // MS,
        status.peer_limited_us // MS,
        status.buffer_limited_us // MS,
        status.congestion_limited_us // MS,
    )


def drain(scene: Scene) -> None:
    while scene.next_packet() is not None:
        pass


def test_who_has_sent_nothing_was_never_busy(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.reads(100)
    host.emits(ACK, ack=101)
    scene.tick(SECOND)
    assert held_up(told(scene, host)) == (0, 0, 0, 0)
    assert host.connection.sender.tally is None


def test_busy_is_the_time_until_all_is_acknowledged(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    for _ in range(2):
        host.writes(100)
        host.emits(DATA, 100)
        scene.tick(30 * MS)
        peer.sends(ACK)
        host.is_silent()
        scene.tick(SECOND)
    assert held_up(told(scene, host)) == (60, 0, 0, 0)


def test_the_peers_window_is_what_holds_up_a_sender_whom_cwnd_would_let_go_on(stage: Stage) -> None:
    scene, host, peer = stage.opened(win=3000)
    host.writes(6000)
    drain(scene)
    scene.tick(50 * MS)
    assert held_up(told(scene, host)) == (50, 50, 0, 0)  # also between its turns
    peer.sends(ACK, win=0)
    scene.tick(100 * MS)
    peer.sends(ACK, win=3000)
    drain(scene)
    scene.tick(20 * MS)
    peer.sends(ACK)
    host.is_silent()
    scene.tick(SECOND)
    assert held_up(told(scene, host)) == (170, 150, 0, 0)


def test_cwnd_is_what_holds_up_a_sender_where_the_window_is_as_full(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(initial_window=2), win=2000)
    host.writes(3000)
    drain(scene)
    scene.tick(40 * MS)
    peer.sends(ACK)
    drain(scene)
    scene.tick(10 * MS)
    peer.sends(ACK)
    assert held_up(told(scene, host)) == (50, 0, 0, 40)


def test_the_send_buffer_that_the_user_has_set_holds_up_its_sender(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.connection.set_send_buffer(4000)
    host.writes(6000)
    drain(scene)
    scene.tick(40 * MS)
    peer.sends(ACK)
    drain(scene)
    scene.tick(10 * MS)
    peer.sends(ACK)
    assert held_up(told(scene, host)) == (50, 0, 40, 0)


def test_nagle_holds_up_but_is_nobody_elses_fault(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    host.writes(100)
    scene.tick(40 * MS)
    peer.sends(ACK)
    host.emits(DATA, 100)
    scene.tick(10 * MS)
    peer.sends(ACK)
    assert held_up(told(scene, host)) == (50, 0, 0, 0)


def test_after_the_end_no_time_passes(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    scene.tick(40 * MS)
    host.aborts()
    host.emits(RST | ACK)
    scene.tick(SECOND)
    assert told(scene, host).busy_us <= 40 * MS


def test_what_is_sent_again_is_counted_in_bytes_and_segments(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(retries=15))
    host.writes(2500)
    drain(scene)
    scene.tick(RTO)
    host.emits(ACK, MSS, seq=1)
    peer.sends(ACK, ack=1001)
    drain(scene)
    peer.sends(ACK, ack=2501)
    host.is_silent()
    assert told(scene, host).resent == 2500
    tally = host.connection.sender.tally
    assert tally is not None and tally.resent_segments == 3


def test_the_shortest_round_trip_and_the_rates_are_told(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    assert told(scene, host).min_rtt_us == RTT and told(scene, host).delivery_rate == 0
    host.writes(5000)
    drain(scene)
    scene.tick(20 * MS)
    peer.sends(ACK)
    status = told(scene, host)
    assert status.min_rtt_us == RTT and status.delivery_rate == 5000 * 1000 // 20
    assert status.pacing_rate > 0


def test_a_rate_that_the_writer_limited_is_told_only_if_it_is_higher(stage: Stage) -> None:
    # tcp_rate_gen of Linux: what a connection could do is not forgotten for want of text
    scene, host, peer = stage.opened()
    for size, wait, rate in ((10_000, 20, 500_000), (100, 20, 500_000), (10_000, 10, 1_000_000)):
        host.writes(size)
        drain(scene)
        scene.tick(wait * MS)
        peer.sends(ACK)
        assert told(scene, host).delivery_rate == rate
        scene.tick(SECOND)


def test_without_ecn_there_is_nothing_to_tell_of_it(stage: Stage) -> None:
    scene, host, _ = stage.opened()
    status = told(scene, host)
    assert (status.ecn, status.received_ce, status.delivered_ce) == ("off", 0, 0)


def test_marks_are_counted_in_both_directions(stage: Stage) -> None:
    scene = stage(plain(ecn="on"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN | ECE | CWR, mss=MSS)
    host.emits(SYN | ACK | ECE, ack=1)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    peer.sends(DATA, 100, ecn=ECT_0)
    host.reads(100)
    drain(scene)
    assert (told(scene, host).ecn, told(scene, host).received_ce) == ("classic", 0)
    assert host.connection.receiver.echo is not None and host.connection.receiver.echo.seen_ect
    peer.sends(DATA, 100, ecn=CE)
    host.reads(100)
    drain(scene)
    host.writes(3000)
    drain(scene)
    scene.tick(20 * MS)
    peer.sends(ACK, ack=1001)
    peer.sends(ACK | ECE, ack=3001)
    drain(scene)
    assert (told(scene, host).received_ce, told(scene, host).delivered_ce) == (1, 2000)
