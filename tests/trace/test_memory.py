"""One account of what all connections hold (Config.tcp_mem): what it holds, and what happens when it is too much.

In these scenes memory is short above 30 000 bytes until less than 20 000 are held, and full above 60 000.
"""

from __future__ import annotations

import errno

import pytest

from synfin.tcp.connection import Connection
from synfin.tcp.pressure import FULL, NONE, PRESSURE
from synfin.tcp.reassembly import PIECE_COST, RUN_COST
from synfin.tcp.scoreboard import RECORD_COST, RECORDS_FREE
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN
from tests.trace.scene import DATA, MSS, SECOND, Peer, Scene, Stage, plain, text

LIMITS = (20_000, 30_000, 60_000)
HOLE = 100  # bytes that are missing before what is sent out of order


def drain(scene: Scene) -> None:
    """Take all that comes out, whatever it is."""
    while scene.next_packet() is not None:
        pass


def opens(scene: Scene, **options: object) -> tuple[Peer, Connection]:
    """One more client, accepted."""
    peer = scene.another_peer()
    peer.sends(SYN, mss=MSS, **options)  # type: ignore[arg-type]
    answer = scene.next_packet()
    assert answer is not None and answer.flags == SYN | ACK
    scene.tick(SECOND // 2)
    peer.sends(ACK)
    connection = scene.host.accepts()
    drain(scene)
    return peer, connection


def crowd(stage: Stage, count: int, **settings: object) -> tuple[Scene, list[tuple[Peer, Connection]]]:
    """A scene with so many clients."""
    scene = stage(plain(**{"tcp_mem": LIMITS, **settings}))
    scene.host.listens()
    return scene, [opens(scene) for _ in range(count)]


def fills(scene: Scene, peer: Peer, size: int, *, behind_hole: bool = False, at_once: int = MSS) -> None:
    """The client sends so many bytes that nobody reads."""
    first = peer.seq + (HOLE if behind_hole else 0)
    for at in range(first, first + size, at_once):
        peer.sends(ACK, min(at_once, first + size - at), seq=at)
        drain(scene)
    if behind_hole:
        peer.seq = first - HOLE


def level(scene: Scene) -> int:
    """How short memory is."""
    return scene.stack._env.pressure.level


# ---- the account ----


def test_the_account_has_what_waits_for_the_reader_behind_holes_and_for_an_ack(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.has(memory=0)
    peer.sends(DATA, 300)
    drain(scene)
    host.has(memory=300)
    peer.sends(DATA, 200, seq=501)
    drain(scene)
    host.has(memory=500 + PIECE_COST + RUN_COST)
    host.writes(1500)
    drain(scene)
    host.has(memory=2000 + PIECE_COST + RUN_COST)
    peer.sends(ACK, ack=1001)
    drain(scene)
    host.has(memory=1000 + PIECE_COST + RUN_COST)
    host.reads(300)
    drain(scene)
    host.has(memory=700 + PIECE_COST + RUN_COST)
    peer.sends(DATA, 200, seq=301, ack=1001)
    drain(scene)
    host.has(memory=900)
    host.reads(400)
    peer.sends(ACK, ack=1501)
    drain(scene)
    host.has(memory=0)


@pytest.mark.parametrize("size", [1, 1000, 30_000])
def test_whatever_a_reader_takes_leaves_the_account_at_the_next_poll(stage: Stage, size: int) -> None:
    # also when that is no news for the peer
    scene, host, peer = stage.opened()
    for at in range(1, 30_001, MSS):
        peer.sends(ACK, MSS, seq=at)
    drain(scene)
    host.has(memory=30_000)
    host.reads(size, size)
    drain(scene)
    host.has(memory=30_000 - size)


def test_what_a_user_writes_beyond_the_share_of_the_sender_is_his_own(stage: Stage) -> None:
    scene, host, _ = stage.opened(plain(send_buffer=5000), win=1000)
    host.writes(1_000_000)
    drain(scene)
    share = host.connection.sender.share()
    assert share + host.connection.write_excess() == 1_000_000
    host.has(memory=share)
    scene.tick(SECOND // 10)
    host.aborts()
    host.emits(RST | ACK)
    host.has_forgotten_all()


def test_what_an_ended_connection_still_has_for_its_user_is_no_longer_the_stacks(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(DATA, 300)
    drain(scene)
    host.has(memory=300)
    peer.sends(RST, seq=301)
    host.has_forgotten_all()
    host.reads(300)
    host.has_forgotten_all()


def cut_to_crumbs(scene: Scene, size: int = 10_000) -> None:
    """The host's text of so many bytes is out; its peer reports every second one."""
    for at in range(2, size, 6):
        scene.peer.sends(ACK, ack=1, sack=[(at, at + 1), (at + 2, at + 3), (at + 4, at + 5)])
        drain(scene)


def with_text_out(stage: Stage, **settings: object) -> Scene:
    """A scene in which 10 000 bytes are out, and SACK was agreed on."""
    scene, host, _ = stage.opened(plain(nodelay=True, **settings), sack_ok=True)
    host.writes(10_000)
    drain(scene)
    host.has(memory=10_000)
    return scene


def test_text_that_is_out_is_charged_what_its_records_cost_once_a_peer_has_cut_it_to_crumbs(stage: Stage) -> None:
    scene = with_text_out(stage)
    cut_to_crumbs(scene)
    flight = scene.host.connection.sender.losses.flight
    assert flight is not None and len(flight.board.records) > 4000
    scene.host.has(memory=(len(flight.board.records) - RECORDS_FREE) * RECORD_COST)
    scene.peer.sends(ACK, ack=10_001)
    drain(scene)
    scene.host.has(memory=0)


def test_under_pressure_no_peer_cuts_text_into_records_that_cost_more_than_it(stage: Stage) -> None:
    scene = with_text_out(stage, tcp_mem=(8000, 9000, 1 << 30))
    assert level(scene) == PRESSURE
    cut_to_crumbs(scene)
    assert scene.stack.census()["memory"] <= 10_000 + 6 * RECORD_COST  # three blocks cut six times
    assert scene.stack.counters.as_dict()["TCPWqueueTooBig"] > 1000
    scene.peer.sends(ACK, ack=10_001)
    drain(scene)
    scene.host.has(memory=0)


# ---- pressure ----


def test_memory_is_short_above_one_limit_and_until_less_than_another_is_held(stage: Stage) -> None:
    scene, clients = crowd(stage, 4)
    for peer, _ in clients[:3]:
        fills(scene, peer, 10_000)
    assert level(scene) == NONE
    fills(scene, clients[3][0], 1)
    assert level(scene) == PRESSURE
    for _, connection in clients[:2]:
        connection.read(scene.now, 5000)
        drain(scene)
        assert level(scene) == PRESSURE
    clients[0][1].read(scene.now, 2)
    drain(scene)
    scene.host.has(memory=19_999)
    assert level(scene) == NONE
    fills(scene, clients[3][0], 10_002)
    scene.host.counted(TCPMemoryPressures=2, PruneCalled=0)
    assert level(scene) == PRESSURE


def test_under_pressure_who_is_behind_is_offered_four_segments_and_others_as_before(stage: Stage) -> None:
    scene, ((slow, slow_reader), (quick, quick_reader)) = crowd(stage, 2, tcp_mem=(20_000, 30_000, 200_000))
    fills(scene, slow, 64_000)  # nearly all of the 65535
    slow_reader.read(scene.now, 20_000)
    drain(scene)
    assert level(scene) == PRESSURE
    assert slow.right_edge == slow.acked + 4 * MSS
    fills(scene, quick, 34_000)
    quick_reader.read(scene.now)
    drain(scene)
    assert quick.right_edge == quick.acked + 65_535
    slow_reader.read(scene.now, 12_000)
    drain(scene)
    assert slow.right_edge == slow.acked + 65_535 - 32_000  # it holds less than half by now


def test_under_pressure_no_window_grows(stage: Stage) -> None:
    def window_after(others: int) -> int:
        scene, clients = crowd(stage, 2, receive_buffer=4000, receive_buffer_max=64_000)
        (peer, reader), (other, _) = clients
        other_peers = [opens(scene)[0] for _ in range(others)]
        for one in [other, *other_peers]:
            fills(scene, one, 3500)
        for _ in range(30):
            fills(scene, peer, 3000)
            reader.read(scene.now)
            drain(scene)
            scene.tick(100_000)
            drain(scene)
        return peer.right_edge - peer.acked

    assert window_after(others=0) > 5000
    assert window_after(others=8) == 4000


def test_under_pressure_a_writer_is_held_back_earlier(stage: Stage) -> None:
    scene, ((peer, writer), (other, _)) = crowd(stage, 2, send_buffer=2048)
    writer.write(text(1, 10_000))
    drain(scene)
    assert writer.write_excess() == 0  # cwnd lets out more than the buffer's size
    fills(scene, other, 30_000)
    assert level(scene) == PRESSURE and writer.write_excess() == 10_000 - 2048
    peer.sends(ACK, ack=10_001)
    drain(scene)
    assert writer.write_excess() == 0


# ---- full ----


def test_when_memory_is_full_what_waits_behind_holes_goes_the_most_of_it_first(stage: Stage) -> None:
    # RFC 2018 8: a receiver may drop what it has reported; its sender has it still
    scene = stage(plain(tcp_mem=LIMITS))
    host = scene.host
    host.listens()
    clients = [opens(scene, sack_ok=True) for _ in range(3)]
    for (peer, _), size in zip(clients, (10_000, 30_000, 18_000), strict=True):
        fills(scene, peer, size, behind_hole=True)
    host.counted(OfoPruned=0)
    fills(scene, clients[2][0], 2000, behind_hole=True)  # comes again: nothing new
    host.counted(OfoPruned=0, PruneCalled=0)
    last, last_reader = opens(scene, sack_ok=True)
    fills(scene, last, 5000, behind_hole=True)
    assert level(scene) == NONE
    host.counted(PruneCalled=1, OfoPruned=2)
    held = [connection.receiver.out_of_order_bytes() > 0 for _, connection in [*clients, (last, last_reader)]]
    assert held == [True, False, False, True]
    # Told again, it is all there: what was dropped, and what was not.
    for peer, connection in [*clients, (last, last_reader)]:
        peer.seq = 1
        received = b""
        for _ in range(31):
            peer.sends(ACK, MSS)
            drain(scene)
            received += b"".join(connection.read(scene.now))
        assert received == text(1, len(received)) and len(received) >= 31 * MSS
        drain(scene)
    host.has(memory=0)


def test_when_memory_is_full_a_reader_who_keeps_up_gets_on_and_one_who_is_behind_gets_no_more(stage: Stage) -> None:
    scene, ((slow, slow_reader), (slower, _), (quick, quick_reader)) = crowd(stage, 3)
    fills(scene, slow, 30_000)
    fills(scene, slower, 31_000)
    assert level(scene) == FULL
    before = slow.acked
    slow.sends(ACK, MSS)
    answer = scene.next_packet()
    assert answer is not None and answer.flags == ACK
    assert slow.acked == before
    scene.host.counted(RcvPruned=1)
    for _ in range(20):
        quick.sends(ACK | PSH, MSS)
        assert len(b"".join(quick_reader.read(scene.now))) == MSS
        drain(scene)
    quick.sends(ACK, MSS, seq=quick.seq + HOLE)
    drain(scene)
    scene.host.counted(RcvPruned=2)
    assert quick_reader.receiver.out_of_order_bytes() == 0
    # What was refused comes again, when there is room.
    assert len(b"".join(slow_reader.read(scene.now))) == 30_000
    drain(scene)
    slow.sends(ACK, MSS, seq=30_001)
    drain(scene)
    assert b"".join(slow_reader.read(scene.now)) == text(30_001, MSS)


def test_a_fin_is_heard_when_memory_is_full(stage: Stage) -> None:
    scene, ((peer, _), (other, _)) = crowd(stage, 2)
    fills(scene, peer, 30_000)
    fills(scene, other, 31_000)
    peer.sends(FIN | ACK)
    answer = scene.next_packet()
    assert answer is not None and answer.ack == peer.wire(30_002)


def test_when_memory_is_full_no_connection_begins(stage: Stage) -> None:
    scene, ((slow, slow_reader), (slower, _)) = crowd(stage, 2)
    fills(scene, slow, 30_000)
    fills(scene, slower, 31_000)
    late = scene.another_peer()
    late.sends(SYN, mss=MSS)
    scene.host.is_silent()
    scene.host.counted(ListenDrops=1)
    with pytest.raises(OSError, match="tcp_mem") as raised:
        scene.stack.connect("10.0.0.2", 80, scene.now)
    assert raised.value.errno == errno.ENOBUFS
    slow_reader.read(scene.now)
    drain(scene)
    late.seq = 0
    late.sends(SYN, mss=MSS)
    scene.host.emits(SYN | ACK, seq=0, ack=1, to=late)


def test_when_memory_is_full_what_is_closed_with_text_to_send_is_reset(stage: Stage) -> None:
    # as Linux: nobody is left to take it back
    scene, ((slow, _), (_, writer), (_, idle)) = crowd(stage, 3)
    fills(scene, slow, 52_000)
    writer.write(text(1, 10_000))
    drain(scene)
    assert level(scene) == FULL
    idle.close(scene.now)
    drain(scene)
    scene.host.counted(TCPAbortOnMemory=0)
    writer.close(scene.now)
    drain(scene)
    scene.host.counted(TCPAbortOnMemory=1)
    assert level(scene) == PRESSURE


def test_a_search_through_all_connections_is_paid_for_by_what_came_since_the_last(stage: Stage) -> None:
    scene, clients = crowd(stage, 6)
    (first, _), (second, _), *others = clients
    behind_holes = [connection.receiver.out_of_order_bytes for _, connection in others]
    fills(scene, first, 28_000)
    fills(scene, second, 29_000)
    for peer, _ in others[:3]:
        fills(scene, peer, 100, behind_hole=True)
    fills(scene, others[3][0], 2000, behind_hole=True)
    # All that there was goes, since that is not enough for the low limit.
    scene.host.counted(PruneCalled=1, OfoPruned=4)
    assert [size() for size in behind_holes] == [0, 0, 0, 0]
    # The next to bring too much loses what it brought, and nobody else is looked at.
    fills(scene, others[0][0], 100, behind_hole=True)
    fills(scene, others[1][0], 3000, behind_hole=True)
    scene.host.counted(PruneCalled=2, OfoPruned=5)
    assert [size() > 0 for size in behind_holes] == [True, False, False, False]
