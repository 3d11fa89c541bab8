"""What a review against the RFCs found wrong, each as the trace that showed it."""

from __future__ import annotations

import pytest

from synfin.links.faults import Faults
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.states import CLOSED, CLOSING, ESTABLISHED, LAST_ACK, SYN_RCVD, TIME_WAIT
from synfin.wire.segment import Segment, build
from synfin.wire.seq import wrap
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.properties.world import World, entropy
from tests.trace.scene import DATA, MSS, RTO, RTT, SECOND, Host, Peer, Scene, Stage, plain

# ---- sending ----


def test_no_fin_goes_out_after_a_probe_took_the_last_byte_unless_the_user_closed(stage: Stage) -> None:
    scene, host, peer = stage.opened(win=1000)
    host.writes(1001)
    host.emits(ACK, 1000)
    scene.tick(RTT)
    peer.sends(ACK, win=0)
    scene.tick(RTO)
    host.emits(ACK, 1, seq=1001)
    peer.sends(ACK, ack=1002, win=0)
    assert host.status().deadline == 0
    scene.tick(3600 * SECOND)
    host.is_in(ESTABLISHED)


def test_a_segment_of_the_largest_mtu_is_not_doubled_into_a_burst_that_no_packet_can_hold(stage: Stage) -> None:
    scene = stage(plain(mtu=65535, window_scale=True))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=65495, wscale=7)
    host.emits(SYN | ACK, ack=1, mss=65495, wscale=0)
    peer.sends(ACK)
    host.accepts()
    host.writes(200_000)
    assert [len(packet.payload) for packet in iter(scene.next_packet, None)] == [65495, 65495, 65495, 3515]


def test_lost_acks_do_not_raise_the_rto_by_the_echo_of_an_earlier_retransmission(stage: Stage) -> None:
    """The ACK of a retransmission is lost; the next one is a duplicate, whose refusal echoes the earlier TSval."""
    scene = stage(Config())
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460, ts=True)
    host.emits(SYN | ACK, ack=1, mss=1460)
    scene.tick(RTT)
    peer.sends(ACK)
    host.accepts()
    host.writes(10)
    host.emits(DATA, 10)  # lost
    scene.tick(RTO)
    arrived = host.emits(DATA, 10, seq=1)  # arrives, but its ACK is lost
    scene.tick(2 * RTO)
    host.emits(DATA, 10, seq=1)
    scene.tick(RTT)
    peer.sends(ACK, ack=11, ts=(peer.ts_now(), arrived.ts_val))
    assert host.status().rto_us == 8 * RTO / 2, "backed off, as Karn leaves it"
    assert host.status().srtt_us == RTT
    host.writes(10)
    host.emits(DATA, 10)
    scene.tick(RTT)
    peer.sends(ACK)
    assert host.status().rto_us == RTO


@pytest.mark.parametrize("seed", range(3))
def test_the_rto_does_not_grow_into_minutes_where_a_fifth_of_all_packets_is_lost(seed: int) -> None:
    """Each lost ACK made the next RTO the next RTT: half a megabyte took two hours."""
    world = World(seed, faults=Faults(loss=0.2))
    left, right = world.open_pair()
    left.write(bytes(500_000))
    assert world.link.run(lambda: right.read == 500_000, 900 * SECOND)


# ---- receiving ----


def test_out_of_order_text_that_finds_no_room_and_then_a_fin_do_not_end_the_receive_loop(stage: Stage) -> None:
    _scene, host, peer = stage.opened(plain(receive_buffer=2048))
    peer.sends(ACK, 2000, seq=2)
    host.emits(ACK, ack=1)
    peer.sends(ACK | FIN, 1, seq=1)
    host.emits(ACK, ack=3)


def test_a_peer_that_leaves_crumbs_of_the_window_cannot_fill_more_than_half_a_buffer_too_much(stage: Stage) -> None:
    """A scaled window is told in units; rounding it up must not hand out room for ever."""
    scene = stage(Config(timestamps=False, receive_buffer=4096, receive_buffer_max=6 * 1024 * 1024))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1000, wscale=7)
    host.emits(SYN | ACK, ack=1, mss=1460)
    peer.sends(ACK)
    host.accepts()
    for _ in range(400):
        window = host.connection.receiver.rcv_adv - host.connection.receiver.rcv_nxt
        if window < 2:
            break
        size = min(1000, window - 1)
        peer.sends(ACK, size)
        host.connection.receiver.acks.due = True
        host.connection.touch()
        while scene.next_packet() is not None:
            pass
        if peer.right_edge < peer.acked:
            break
        # The right edge may go left only where it has run far ahead of the buffer.
        peer.right_edge = -1
    assert host.status().unread <= 4096 * 3 // 2 + 128


# ---- no endless talk ----


def _arrivals(world: World, bound: int) -> int:
    """Run until all is quiet; how many packets that took."""
    before = world.link.delivered
    while world.link.in_flight() or world.left.has_output() or world.right.has_output():
        world.link.step()
        assert world.link.delivered - before <= bound, "they talk for ever"
    return world.link.delivered - before


def test_two_hosts_that_find_each_other_s_timestamps_old_do_not_acknowledge_for_ever() -> None:
    world = World()
    left, right = world.open_pair()
    _arrivals(world, 10)
    for end in (left, right):
        # What a segment forged exactly would leave behind: TS.Recent far ahead of the peer's clock.
        stamps = end.connection.stamps
        stamps.recent = (stamps.recent + 1_000_000) & 0xFFFFFFFF
    left.write(b"x")
    world.link.flush()
    assert _arrivals(world, 20) <= 6


def test_two_time_wait_records_that_disagree_do_not_acknowledge_for_ever() -> None:
    world = World()
    left, right = world.open_pair()
    left.connection.close(world.now)
    right.connection.close(world.now)
    assert world.link.run(lambda: left.ended() and right.ended())
    assert world.left.census()["time_wait"] == world.right.census()["time_wait"] == 1
    _arrivals(world, 10)
    connection = left.connection
    seg = Segment()
    seg.key = connection.key_out
    seg.flags = ACK
    seg.seq = wrap(connection.sender.snd_nxt + 5, connection.iss)  # what forged text before the FIN would leave behind
    seg.ack = wrap(connection.receiver.rcv_nxt + 5, connection.irs)
    seg.has_ts, seg.ts_val = True, connection.stamps.value(world.now)
    world.right.receive(build(seg), world.now)
    world.link.flush()
    assert _arrivals(world, 5) == 1  # the answer, which agrees with what the other end remembers


def test_in_syn_rcvd_a_syn_that_is_not_the_peers_first_is_challenged_once_not_answered_each_time(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    peer.sends(SYN, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=1)
    host.is_in(SYN_RCVD)
    for _ in range(5):
        peer.sends(SYN | ACK, seq=7, ack=1, mss=1000)
    host.emits(ACK, seq=1, ack=1)
    scene.tick(RTT)
    host.is_silent()


# ---- closing ----


def _in_time_wait(stage: Stage, config: Config | None = None) -> tuple[Scene, Host, Peer]:
    scene, host, peer = stage.opened(config)
    host.closes()
    host.emits(ACK | FIN)
    peer.sends(ACK | FIN)
    host.emits(ACK, ack=2)
    host.has(time_wait=1)
    return scene, host, peer


def test_a_syn_that_finds_no_room_in_the_stack_does_not_end_time_wait(stage: Stage) -> None:
    scene, host, peer = _in_time_wait(stage, plain(half_open_limit=1))
    other = scene.another_peer()
    other.sends(SYN, mss=MSS)
    host.emits(SYN | ACK, ack=1, to=other)
    peer.sends(SYN, seq=100_000, mss=MSS)
    host.is_silent()
    host.has(time_wait=1, half_open=1)


def test_who_comes_again_in_time_wait_needs_no_room_in_a_queue_that_strangers_have_filled(stage: Stage) -> None:
    scene, host, peer = _in_time_wait(stage, plain(syn_queue_limit=1))
    other = scene.another_peer()
    other.sends(SYN, mss=MSS)
    host.emits(SYN | ACK, ack=1, to=other)
    peer.sends(SYN, seq=100_000, mss=MSS)
    host.emits(SYN | ACK, seq=3, ack=100_001)
    host.has(time_wait=1, half_open=2)
    host.counted(SyncookiesSent=0, ListenDrops=0)
    peer.sends(ACK, seq=100_001, ack=4)
    host.has(time_wait=0, half_open=1, connections=1)


def test_a_nonsense_syn_does_not_end_time_wait(stage: Stage) -> None:
    _scene, host, peer = _in_time_wait(stage)
    peer.sends(SYN | FIN, seq=100_000)
    host.emits(ACK, ack=2)
    host.has(time_wait=1, half_open=0)


def test_a_new_incarnation_is_traced_as_going_from_time_wait_to_syn_rcvd(stage: Stage) -> None:
    scene, host, peer = _in_time_wait(stage)
    peer.sends(SYN, seq=100_000, mss=MSS)
    host.has(time_wait=1, half_open=1)
    assert scene.transitions[-1] == (TIME_WAIT, SYN_RCVD)
    seen = scene.next_packet()
    assert seen is not None
    assert seen.flags == SYN | ACK


def test_abort_in_last_ack_with_bytes_still_unsent_tells_the_peer(stage: Stage) -> None:
    """LAST-ACK begins at close(): the peer waits in FIN-WAIT-2, which has no timer, for bytes that will never come."""
    scene, host, peer = stage.opened(win=1000)
    peer.sends(ACK | FIN)
    host.emits(ACK, ack=2)
    host.writes(5000)
    host.shuts()
    host.is_in(LAST_ACK)
    host.emits(ACK, 1000)
    scene.tick(RTT)
    host.aborts()
    host.emits(RST | ACK, seq=1001)
    host.is_in(CLOSED)


def test_abort_in_closing_with_bytes_still_unsent_tells_the_peer(stage: Stage) -> None:
    _scene, host, peer = stage.opened(win=1000)
    host.writes(5000)
    host.shuts()
    host.emits(ACK, 1000)
    peer.sends(ACK | FIN, ack=1)
    host.emits(ACK, ack=2, seq=1001)
    host.is_in(CLOSING)
    host.aborts()
    host.emits(RST | ACK, seq=1001)


def test_abort_in_last_ack_after_the_fin_was_sent_is_silent(stage: Stage) -> None:
    _scene, host, peer = stage.opened()
    peer.sends(ACK | FIN)
    host.emits(ACK, ack=2)
    host.shuts()
    host.emits(ACK | FIN)
    host.aborts()
    host.is_silent()


def test_a_rst_in_last_ack_before_all_bytes_were_sent_is_an_error(stage: Stage) -> None:
    _scene, host, peer = stage.opened(win=1000)
    peer.sends(ACK | FIN)
    host.emits(ACK, ack=2)
    host.writes(5000)
    host.shuts()
    host.emits(ACK, 1000)
    peer.sends(RST)
    assert host.connection.error
    host.is_silent()


# ---- timers ----


def test_keep_alive_asked_for_in_syn_sent_counts_from_the_end_of_the_handshake(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN, seq=0)
    host.connection.set_keepalive(RTT, SECOND, 3, scene.now)
    scene.tick(2 * RTT)
    peer.sends(SYN | ACK, mss=MSS)
    host.emits(ACK, seq=1, ack=1)
    assert host.status().deadline == scene.now + RTT


# ---- tables ----


def test_closing_a_listener_twice_leaves_its_successor_alone(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    first = host.listens()
    scene.stack.close_listener(first, scene.now)
    host.listens()
    scene.stack.close_listener(first, scene.now)
    peer.sends(SYN, mss=MSS)
    host.emits(SYN | ACK, ack=1)


def test_closing_a_listener_traces_the_end_of_its_half_open_entries(stage: Stage) -> None:
    scene = stage()
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=MSS)
    host.emits(SYN | ACK, ack=1)
    scene.stack.close_listener(host.listener, scene.now)
    host.emits(RST | ACK, seq=1, ack=1)
    assert scene.transitions[-1] == (SYN_RCVD, CLOSED)


def test_abort_all_forgets_time_wait(stage: Stage) -> None:
    scene, host, _peer = _in_time_wait(stage)
    scene.stack.abort_all(scene.now)
    assert scene.transitions[-1] == (TIME_WAIT, CLOSED)
    host.has_forgotten_all()


def test_the_timer_queue_does_not_grow_with_every_delayed_ack_under_keep_alive(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(keepalive_idle_us=7200 * SECOND))
    idle = scene.another_peer()  # its deadline stays at the head of the queue
    idle.sends(SYN, mss=MSS)
    host.emits(SYN | ACK, ack=1, to=idle)
    idle.sends(ACK)
    for _ in range(1000):
        peer.sends(ACK, 1)
        scene.tick_until_output()
        host.emits(ACK)
        host.reads(1)
    assert scene.stack.census()["timers"] <= 70


def test_the_timer_queue_does_not_keep_what_has_ended_until_its_keep_alive_would_have_been_due() -> None:
    world = World(config=Config(keepalive_idle_us=7200 * SECOND))
    keeper = world.connect()  # its nearer deadline keeps the others' from the head of the queue
    world.link.advance(SECOND)
    for _ in range(300):
        end = world.connect()
        world.link.advance(SECOND)
        end.connection.abort(world.now)
        world.link.advance(1000)
    assert keeper.connection.state == ESTABLISHED
    assert world.left.census()["timers"] <= 70
    assert world.right.census()["timers"] <= 70


def test_many_packets_to_an_own_address_are_told_apart_in_one_pass() -> None:
    """A thousand connections of a stack to itself, in one poll."""
    stack = Stack(["10.0.0.1"], entropy=entropy(1))
    stack.listen(80, backlog=2000)
    ends = [stack.connect("10.0.0.1", 80, 0) for _ in range(1000)]
    assert stack.poll(0, 1 << 20) == []
    assert all(connection.state == ESTABLISHED for connection in ends)
