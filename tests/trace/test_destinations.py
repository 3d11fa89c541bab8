"""What one connection found out of the round trip to its host is told to the next (RFC 9040; Linux: tcp_metrics)."""

from __future__ import annotations

from synfin.tcp.connection import Connection
from synfin.wire.tcp_header import ACK, FIN, SYN
from tests.trace.scene import MS, MSS, SECOND, Peer, Scene, Stage, plain

LONG = 900 * MS  # a round trip by satellite
ENOUGH = 4


def drained(scene: Scene) -> None:
    while scene.next_packet() is not None:
        pass


def passes(scene: Scene, microseconds: int) -> None:
    """Time passes, whatever comes out meanwhile."""
    end = scene.now + microseconds
    while (deadline := scene.stack.next_deadline()) is not None and deadline <= end:
        scene.now = deadline
        scene.stack.on_timer(scene.now)
        drained(scene)
    scene.now = end


def accepted(scene: Scene, peer: Peer, round_trip: int) -> Connection:
    """A connection that the peer has opened; its SYN,ACK is answered a round trip later."""
    peer.sends(SYN, seq=0, mss=MSS)
    drained(scene)
    passes(scene, round_trip)
    peer.sends(ACK, seq=1, ack=1)
    drained(scene)
    return scene.host.accepts()


def serves(scene: Scene, peer: Peer, acks: int, *round_trips: int) -> None:
    """Such a connection gets text, which is acknowledged so many times, and both sides close."""
    connection = accepted(scene, peer, round_trips[0])
    for count in range(acks):
        connection.write(bytes(100))
        drained(scene)
        passes(scene, round_trips[count % len(round_trips)])
        peer.sends(ACK, seq=1, ack=101 + 100 * count)
    connection.close(scene.now)
    drained(scene)
    peer.sends(FIN | ACK, seq=1, ack=2 + 100 * acks)
    drained(scene)


def client_of(scene: Scene, peer: Peer, port: int) -> Peer:
    """Another connection from where `peer` is."""
    other = scene.another_peer(port)
    other.address = peer.address
    return other


def stage_with_listener(stage: Stage, **settings: object) -> Scene:
    scene = stage(plain(**settings))
    scene.host.listens()
    return scene


def test_the_first_timeout_is_as_long_as_former_connections_needed(stage: Stage) -> None:
    scene = stage_with_listener(stage)
    serves(scene, scene.peer, ENOUGH, LONG)
    again = accepted(scene, client_of(scene, scene.peer, 4001), 10 * MS)  # a quick SYN,ACK
    assert LONG < again.sender.rto.rto <= 3 * SECOND
    again.write(bytes(100))
    drained(scene)
    passes(scene, 10 * MS)
    scene.peers[-1].sends(ACK, seq=1, ack=101)
    drained(scene)
    assert again.sender.rto.rto == 200 * MS  # measured: what others knew is of no use any more


def test_fewer_acks_than_enough_teach_nothing(stage: Stage) -> None:
    scene = stage_with_listener(stage)
    serves(scene, scene.peer, ENOUGH - 2, LONG)  # and the FIN is acknowledged
    assert accepted(scene, client_of(scene, scene.peer, 4001), 10 * MS).sender.rto.rto == 200 * MS


def test_one_host_teaches_nothing_of_another(stage: Stage) -> None:
    scene = stage_with_listener(stage)
    serves(scene, scene.peer, 20, LONG, 100 * MS)
    stranger = client_of(scene, scene.peer, 4001)
    stranger.address = bytes((10, 0, 0, 77))
    assert accepted(scene, stranger, 10 * MS).sender.rto.rto == 200 * MS


def test_the_syn_of_an_active_open_waits_as_long_too(stage: Stage) -> None:
    # or it goes again for nothing, and costs the initial window and 3 s (RFC 5681 3.1, RFC 6298 5.7)
    scene = stage_with_listener(stage)
    serves(scene, scene.peer, 40, LONG, 500 * MS)
    connection = scene.stack.connect(scene.peer.address, 7, scene.now)
    known = scene.stack.counters.RetransSegs
    drained(scene)
    scene.tick(SECOND)
    assert scene.stack.counters.RetransSegs == known
    assert scene.tick_until_output() + SECOND == connection.sender.rto.rto
    drained(scene)
    connection.abort(scene.now)
    drained(scene)


def test_silence_makes_the_round_trip_unknown(stage: Stage) -> None:
    scene = stage_with_listener(stage, retries=2)
    serves(scene, scene.peer, ENOUGH, LONG)
    gone = accepted(scene, client_of(scene, scene.peer, 4001), 10 * MS)
    gone.write(bytes(100))
    drained(scene)
    passes(scene, 20 * SECOND)
    assert gone.error
    assert accepted(scene, client_of(scene, scene.peer, 4002), 10 * MS).sender.rto.rto == 200 * MS


def test_without_memory_each_connection_begins_anew(stage: Stage) -> None:
    scene = stage_with_listener(stage, no_metrics_save=True)
    serves(scene, scene.peer, ENOUGH, LONG)
    assert accepted(scene, client_of(scene, scene.peer, 4001), 10 * MS).sender.rto.rto == 200 * MS


def test_after_a_lost_syn_three_seconds_stay_three_seconds(stage: Stage) -> None:
    # RFC 6298 5.7
    scene = stage_with_listener(stage)
    serves(scene, scene.peer, ENOUGH, 300 * MS)
    peer = client_of(scene, scene.peer, 4001)
    peer.sends(SYN, seq=0, mss=MSS)
    drained(scene)
    passes(scene, SECOND)
    peer.sends(ACK, seq=1, ack=1)
    drained(scene)
    assert scene.host.accepts().sender.rto.rto == 3 * SECOND
