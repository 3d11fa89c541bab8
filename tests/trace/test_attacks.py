"""Attacks, each with what is lost at worst. docs/security.md names the test of each line."""

from __future__ import annotations

import random
import re
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from synfin.stack.ports import EphemeralPorts
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.tcp.config import COOKIES_OFF, Config
from synfin.tcp.reassembly import PIECE_COST, RUN_COST
from synfin.tcp.states import CLOSED, ESTABLISHED, FIN_WAIT_1
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, Segment, build, finish, parse_untrusted, split
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.trace.scene import DATA, SECOND, Peer, Scene, Stage, entropy, plain

ROOT = Path(__file__).resolve().parents[2]
HOST = b"\x0a\0\0\x01"
QUEUE = 20


def spoofed_syn(number: int, port: int = 80) -> bytes:
    """A SYN from an address that will never answer."""
    seg = Segment()
    seg.key = make_key(struct.pack("!I", 0xC6120000 + number), HOST, 1024 + number % 50_000, port)
    seg.flags = SYN
    seg.seq = number
    seg.mss = 1460
    return build(seg)


def flood(scene: Scene, count: int, port: int = 80, first: int = 0) -> int:
    """That many spoofed SYNs; how many packets the host sent for them."""
    answers = 0
    for number in range(first, first + count):
        scene.stack.receive(spoofed_syn(number, port), scene.now)
        answers += len(scene.stack.poll(scene.now, 1 << 20))
    return answers


def opens(scene: Scene, peer: Peer) -> None:
    """An honest client's three segments."""
    peer.sends(SYN, mss=1460)
    answer = scene.next_packet()
    assert answer is not None and answer.flags == SYN | ACK
    peer.heard = peer.relative(answer.seq, 0xFFFFFF00) + 1
    peer.sends(ACK)


# ---- the listener ----


def test_a_syn_flood_of_100_times_the_queue_neither_fills_memory_nor_keeps_a_client_out(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=QUEUE))
    host = scene.host
    host.listens()
    scene.stack.set_trace(None)  # the scene keeps what it hears
    flood(scene, 10 * QUEUE)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert flood(scene, 90 * QUEUE, first=10 * QUEUE) == 90 * QUEUE  # one answer each: no amplification
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()
    host.has(half_open=QUEUE, connections=0)
    host.counted(SyncookiesSent=99 * QUEUE, ListenDrops=0)
    opens(scene, scene.peer)
    host.accepts()
    host.is_in(ESTABLISHED)
    for _ in range(5):  # the entries' five retransmissions
        while scene.stack.next_deadline() is not None and scene.stack.census()["half_open"]:
            deadline = scene.stack.next_deadline()
            assert deadline is not None
            scene.now = deadline
            scene.stack.on_timer(deadline)
            scene.stack.poll(deadline, 1 << 20)
    host.has(half_open=0, timers=0)


def test_without_cookies_a_syn_flood_keeps_clients_out_until_its_entries_end_after_63_s(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=QUEUE, syn_cookies=COOKIES_OFF))
    host, peer = scene.host, scene.peer
    host.listens()
    assert flood(scene, 100 * QUEUE) == QUEUE
    host.counted(ListenDrops=99 * QUEUE, TCPReqQFullDrop=99 * QUEUE)
    peer.sends(SYN, mss=1460)
    host.is_silent()
    end = scene.now + 63 * SECOND
    while (deadline := scene.stack.next_deadline()) is not None and deadline <= end:
        scene.now = deadline
        scene.stack.on_timer(deadline)
        scene.stack.poll(deadline, 1 << 20)
    host.has(half_open=0)
    peer.seq = 0
    opens(scene, peer)
    host.accepts()


def test_a_flood_from_real_sources_ends_at_the_accept_queue(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=QUEUE))
    host = scene.host
    host.listens(backlog=5)
    for _ in range(5):
        opens(scene, scene.another_peer())
    for _ in range(100):
        scene.another_peer().sends(SYN, mss=1460)
    host.is_silent()
    host.has(accept_queue=5, half_open=0, connections=5)
    host.counted(ListenOverflows=100, ListenDrops=100)


def test_of_a_full_syn_queue_a_closing_listener_resets_what_there_is_room_for_the_youngest_first(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=QUEUE, outbox_limit=QUEUE - 3, syn_cookies=COOKIES_OFF))
    host = scene.host
    listener = host.listens()
    peers = [scene.another_peer() for _ in range(QUEUE)]
    for peer in peers:
        peer.sends(SYN, mss=1460)
        host.emits(SYN | ACK, to=peer)
    scene.stack.close_listener(listener, scene.now)
    for peer in reversed(peers[3:]):
        host.emits(RST | ACK, seq=1, ack=1, to=peer)
    host.counted(OutRsts=QUEUE - 3, OutDiscards=3, AttemptFails=QUEUE)
    host.has_forgotten_all()


def test_slow_handshakes_are_bounded_over_all_listeners_of_a_stack(stage: Stage) -> None:
    scene = stage(plain(syn_queue_limit=QUEUE, half_open_limit=30, syn_cookies=COOKIES_OFF))
    host = scene.host
    listeners = []
    for port in (81, 82, 80):
        listeners.append(host.listens(port=port))
        flood(scene, 2 * QUEUE, port)
    host.has(half_open=30)
    host.counted(TCPReqQFullDrop=2 * QUEUE * 3 - 30)
    for listener in listeners:
        scene.stack.close_listener(listener, scene.now)
    assert len(scene.stack.poll(scene.now, 1 << 20)) == 30  # each is told
    host.has(half_open=0)
    host.listens(port=83)
    assert flood(scene, 2 * QUEUE, 83) == QUEUE  # what ended was given back
    scene.stack.close_listener(host.listener, scene.now)
    assert len(scene.stack.poll(scene.now, 1 << 20)) == QUEUE


def test_a_full_accept_queue_answers_the_third_segment_by_rst_when_asked_to(stage: Stage) -> None:
    # as Linux with tcp_abort_on_overflow
    scene = stage(plain(abort_on_overflow=True))
    host, peer = scene.host, scene.peer
    late = scene.another_peer()
    host.listens(backlog=1)
    for client in (peer, late):
        client.sends(SYN, mss=1460)
        host.emits(SYN | ACK, to=client)
    peer.sends(ACK)
    late.sends(ACK)
    host.emits(RST, seq=1, to=late)
    host.has(half_open=0, accept_queue=1)
    host.counted(ListenOverflows=1, ListenDrops=1, AttemptFails=1)


# ---- zero window ----


def test_a_peer_that_answers_a_closed_window_for_ever_does_not_hold_what_its_user_has_closed(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(orphan_retries=4))
    peer.sends(ACK, win=0)
    host.writes(100)
    host.closes()
    host.is_silent()
    peer.window = 0
    for _ in range(4):
        scene.tick_until_output()
        host.emits(ACK, 1, seq=1)
        peer.sends(ACK, ack=1)
        host.is_silent()
    scene.tick_until_output()
    host.emits(RST | ACK)
    host.counted(TCPAbortOnTimeout=1)
    host.has_forgotten_all()


def orphan_ends(scene: Scene, answer: Callable[[int], None], timeouts: int) -> None:
    """The peer answers each retransmission or probe, and still that many timeouts later its orphan is given up."""
    host = scene.host
    for number in range(timeouts):
        scene.tick_until_output()
        while scene.next_packet() is not None:
            pass
        answer(number)
        while scene.next_packet() is not None:
            pass
    scene.tick_until_output()
    host.emits(RST | ACK)
    host.counted(TCPAbortOnTimeout=1)
    host.has_forgotten_all()


def test_a_peer_that_takes_the_window_back_and_answers_for_ever_does_not_hold_an_orphan(stage: Stage) -> None:
    # As Linux: what was out goes again, a segment at a time, and each answer says ACK SND.UNA, window 0.
    scene, host, peer = stage.opened(plain(orphan_retries=4))
    host.writes(20_000)
    host.closes()
    for _ in range(10):
        host.emits(ACK, 1000)
    peer.window = 0
    peer.sends(ACK, ack=1)
    orphan_ends(scene, lambda _: peer.sends(ACK, ack=1), 4)


def test_a_peer_whose_window_opens_and_shuts_without_taking_anything_does_not_hold_an_orphan(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(orphan_retries=4))
    peer.sends(ACK, win=0)
    host.writes(20_000)
    host.closes()
    host.is_silent()

    def flaps(number: int) -> None:
        peer.window = 1000 + 10 * number
        peer.sends(ACK, ack=1)
        while scene.next_packet() is not None:
            pass
        peer.window = 0
        peer.sends(ACK, ack=1)

    orphan_ends(scene, flaps, 4)


def test_an_orphan_whose_peer_takes_something_goes_on(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(orphan_retries=2))
    host.writes(2000)
    host.closes()
    host.emits(ACK, 1000)
    host.emits(DATA | FIN, 1000)
    peer.window = 0
    peer.sends(ACK, ack=1)
    for number in range(1, 500):
        scene.tick_until_output()
        while scene.next_packet() is not None:
            pass
        peer.sends(ACK, ack=1 + number // 2)
        while scene.next_packet() is not None:
            pass
    host.is_in(FIN_WAIT_1)
    orphan_ends(scene, lambda _: peer.sends(ACK, ack=250), 1)


@pytest.mark.parametrize("out", [True, False])
def test_a_user_waits_for_a_closed_window_as_long_as_the_peer_answers_and_an_orphan_begins_to_count_then(
    stage: Stage, out: bool
) -> None:
    # RFC 9293 3.8.6.1, MUST-37
    scene, host, peer = stage.opened(plain(orphan_retries=3, retries=2))
    if out:
        host.writes(1000)
        host.emits(DATA, 1000)
    peer.window = 0
    peer.sends(ACK, ack=1)
    if not out:
        host.writes(1000)
        host.is_silent()
    for _ in range(20):
        scene.tick_until_output()
        assert scene.next_packet() is not None
        peer.sends(ACK, ack=1)
    host.closes()
    orphan_ends(scene, lambda _: peer.sends(ACK, ack=1), 3)


def test_more_orphans_than_the_limit_are_reset(stage: Stage) -> None:
    # as Linux with tcp_max_orphans
    scene = stage(plain(orphan_limit=2))
    host = scene.host
    host.listens()
    for number in range(3):
        peer = scene.another_peer()
        peer.window = 0
        opens(scene, peer)
        host.accepts()
        host._written = 1
        host.writes(100)
        host.closes()
        if number < 2:
            host.is_silent()
        else:
            host.emits(RST | ACK, to=peer)
    host.counted(TCPAbortOnMemory=1)
    host.has(connections=2)
    scene.stack.abort_all(scene.now)
    while scene.next_packet() is not None:
        pass
    assert scene.stack._env.orphans == 0


# ---- a receiver that lies in its ACKs, to be sent more than the path carries ----


def takes_all(scene: Scene) -> int:
    """What the host sends now never arrives; the number after its last byte."""
    while scene.next_packet() is not None:
        status = scene.host.status()
        assert status.unacknowledged <= scene.peer.window
    return scene.peer.heard


def test_optimistic_acks_let_out_no_more_at_once_than_the_window_and_nothing_that_was_not_written(stage: Stage) -> None:
    # Savage et al., "TCP congestion control with a misbehaving receiver", 1999; Sherwood et al., 2005
    scene, host, peer = stage.opened()
    size = 1_000_000
    host.connection.write(bytes(size))
    initial = host.status().cwnd
    while takes_all(scene) <= size:
        peer.sends(ACK)  # of all that was sent, while it is still on its way
        assert host.status().cwnd <= initial + peer.heard  # growth was sent before, byte by byte
    peer.sends(ACK)
    ended_at = host.status().cwnd
    assert ended_at <= 3 * peer.window  # twice what was out, and the ACK of as much: what was held back is no evidence
    for ahead in (1, 100_000):  # what was never sent
        scene.tick(SECOND)
        peer.sends(ACK, ack=peer.heard + ahead)
        host.emits(ACK)
    assert host.status().cwnd == ended_at
    host.counted(TCPChallengeACK=2)


def test_an_ack_cut_into_single_bytes_opens_the_window_no_further_than_one(stage: Stage) -> None:
    opened = []
    for step in (7_300, 1):
        scene, host, peer = stage.opened(plain(initial_window=10), mss=1460)
        host.connection.write(bytes(14_600 + 100 * 1460))
        takes_all(scene)
        for ack in range(1 + step, 14_602, step):
            peer.sends(ACK, ack=ack)
            takes_all(scene)
        opened.append(host.status().cwnd)
    assert opened == [29_200, 29_200]


def test_duplicate_acks_without_end_let_out_no_more_than_the_window(stage: Stage) -> None:
    scene, host, peer = stage.opened(mss=1460)
    host.connection.write(bytes(1_000_000))
    takes_all(scene)
    for _ in range(1000):
        peer.sends(ACK, ack=1)
        takes_all(scene)
    assert host.status().unacknowledged <= peer.window
    host.counted(TCPFastRetrans=1)
    assert host.status().cwnd <= 14_600


def test_who_acknowledges_what_was_lost_has_lost_it(stage: Stage) -> None:
    scene, host, peer = stage.opened(mss=1460)
    host.writes(14_600)
    takes_all(scene)
    peer.sends(ACK)
    scene.tick(60 * SECOND)
    host.is_silent()
    host.counted(RetransSegs=0)


# ---- blind attacks ----


def test_a_blind_rst_is_one_number_in_four_thousand_million(stage: Stage) -> None:
    # RFC 5961 3.2
    _, host, peer = stage.opened()
    for offset in range(-200_000, 200_000, 9_973):
        peer.sends(RST, seq=1 + offset)
        while host._scene.next_packet() is not None:
            pass
        host.is_in(ESTABLISHED)
    host.counted(EstabResets=0)


@pytest.mark.parametrize("offset", [-70_000, -1, 0, 1, 30_000, 70_000])
def test_a_blind_syn_ends_nothing_whatever_its_number(stage: Stage, offset: int) -> None:
    # RFC 5961 4.2
    _, host, peer = stage.opened()
    peer.sends(SYN, seq=1 + offset)
    host.emits(ACK, seq=1, ack=1)
    host.is_in(ESTABLISHED)


@pytest.mark.parametrize("ack", [-70_000, 500, 70_000, 1 << 31])
def test_blind_data_must_also_guess_the_ack(stage: Stage, ack: int) -> None:
    # RFC 5961 5.2
    scene, host, peer = stage.opened()
    peer.sends(DATA, b"forged", seq=1, ack=ack)
    assert scene.next_packet() is not None
    host.reads(0)


def duplicate_acks_in_an_upload(forge: Callable[[Segment, int], None], count: int) -> tuple[Stack, Stack]:
    """The stacks of an upload without SACK, half of whose first window is on its way while the attacker, who knows the
    four numbers of addresses and ports, sends the server text that `forge` has numbered."""
    server, client = Stack([HOST], entropy=entropy), Stack([b"\x0a\0\0\x02"], Config(sack=False), entropy=entropy)
    server.listen(80)
    connection = client.connect(HOST, 80, 0)
    for one, other in ((client, server), (server, client), (client, server)):
        for burst in one.poll(0, 1 << 20):
            other.receive(finish(burst), 0)
    listener = server.accepting()
    assert listener is not None and listener.accept() is not None
    connection.write(bytes(100_000))
    sent = [packet for burst in client.poll(0, 1 << 20) for packet in split(burst)]
    assert len(sent) == 10
    example = Segment()
    parsed = IpHeader()
    parse_ip(sent[5], parsed)
    parse_untrusted(sent[5], parsed, example, True, 0)
    for packet in sent[:5]:
        server.receive(packet, 0)
    server.poll(0, 1 << 20)  # its ACK is on its way back: to the client all ten are out
    for number in range(count):
        forged = Segment()
        forged.key = example.key
        forged.seq, forged.ack, forged.flags, forged.payload = example.seq, example.ack, ACK, b"forged"
        forged.has_ts, forged.ts_val, forged.ts_ecr = example.has_ts, example.ts_val, example.ts_ecr
        forge(forged, number)
        server.receive(build(forged), 0)
        for burst in server.poll(0, 1 << 20):
            for packet in split(burst):
                client.receive(packet, 0)
    return server, client


def test_forged_text_with_numbers_out_of_the_blue_draws_no_duplicate_acks_that_look_like_a_loss() -> None:
    rng = random.Random(1)

    def out_of_the_blue(forged: Segment, _: int) -> None:
        forged.seq, forged.ack = rng.getrandbits(32), rng.getrandbits(32)

    server, client = duplicate_acks_in_an_upload(out_of_the_blue, 1000)
    assert client.counters.TCPFastRetrans == client.counters.RetransSegs == 0
    assert server.counters.TCPACKSkippedSeq + server.counters.TCPACKSkippedChallenge >= 998


@pytest.mark.parametrize("right", ["seq", "ack"])
def test_forged_text_with_one_number_right_draws_no_duplicate_acks_either(right: str) -> None:
    def half_right(forged: Segment, number: int) -> None:
        if right == "seq":
            forged.seq = (forged.seq - 1000) & 0xFFFFFFFF
            forged.ack = (forged.ack + 1 + number * 1_000_003) & 0xFFFFFFFF
        else:
            forged.seq = (forged.seq + (1 << 24) + number * 1_000_003) & 0xFFFFFFFF

    server, client = duplicate_acks_in_an_upload(half_right, 1000)
    assert client.counters.TCPFastRetrans == 0
    assert server.counters.TCPACKSkippedSeq >= 998


@pytest.mark.parametrize("timestamp", [1, 0x80000001])
def test_an_old_timestamp_of_forged_text_draws_no_more(timestamp: int) -> None:
    def old(forged: Segment, number: int) -> None:
        forged.seq = (forged.seq + (1 << 24) + number * 1_000_003) & 0xFFFFFFFF
        forged.ts_val = (forged.ts_val - timestamp) & 0xFFFFFFFF

    server, client = duplicate_acks_in_an_upload(old, 1000)
    assert client.counters.TCPFastRetrans == 0
    assert server.counters.TCPACKSkippedSeq >= 998


def test_who_knows_both_numbers_can_make_a_sender_without_sack_halve_its_window_once() -> None:
    def known(forged: Segment, _: int) -> None:
        forged.seq = (forged.seq - 1000) & 0xFFFFFFFF

    _, client = duplicate_acks_in_an_upload(known, 1000)
    assert client.counters.TCPFastRetrans == 1


def test_what_an_honest_peer_sends_again_is_answered_each_time(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    peer.sends(DATA, 60_000)
    host.emits(ACK, ack=60_001)
    for seq in (1, 58_541, 59_999, 1):  # our ACK was lost; and again
        peer.sends(DATA, 1, seq=seq)
        host.emits(ACK, ack=60_001)
    peer.sends(FIN | ACK, seq=60_001 + 65_535)  # right of the window: it had been larger
    host.emits(ACK, ack=60_001)
    host.counted(TCPACKSkippedSeq=0)
    scene.tick(SECOND)


def test_it_is_also_answered_when_it_was_a_window_larger_than_the_first(stage: Stage) -> None:
    scene = stage(plain(window_scale=True, receive_buffer=131_072))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1460, wscale=0)
    host.emits(SYN | ACK, ack=1, win=65_535)
    peer.sends(DATA, 60_000)
    host.emits(ACK, ack=60_001, win=71_072 // 4)
    peer.sends(DATA, 60_000)
    host.emits(ACK, ack=120_001)
    peer.sends(DATA, 11_072)
    host.emits(ACK, ack=131_073)
    host.accepts()
    for _ in range(3):
        peer.sends(DATA, 1460, seq=60_001)
        host.emits(ACK, ack=131_073)


def test_challenge_acks_stop_at_a_limit_of_the_connection_and_one_of_the_stack_that_nobody_can_count(
    stage: Stage,
) -> None:
    # RFC 5961 7; CVE-2016-5696
    def challenges(victims: int) -> list[int]:
        """In each of 40 seconds some other connections are challenged first; how many an attacker's 20 get."""
        scene = Scene(plain(challenge_ack_limit=10))
        scene.host.listens()
        peers = [scene.another_peer() for _ in range(20 + victims)]
        for peer in peers:
            opens(scene, peer)
            scene.host.accepts()
        counts = []
        for _ in range(40):
            got = 0
            for peer in (*peers[20:], *peers[:20]):
                peer.sends(SYN, seq=500)
                got += scene.next_packet() is not None and peer not in peers[20:]
            counts.append(got)
            scene.now += SECOND
        return counts

    quiet, busy = challenges(0), challenges(1)
    # Which of the two worlds a count is from can't be told: one challenge less is lost in the spread.
    assert (min(quiet), max(quiet), min(busy), max(busy)) == (5, 15, 4, 14)
    assert len(set(quiet)) > 7 and len(set(quiet) & set(busy)) > 6
    scene, host, peer = stage.opened()
    for _ in range(10):  # one connection gets two in a second
        peer.sends(SYN, seq=500)
    host.emits(ACK)
    host.counted(TCPChallengeACK=1, TCPACKSkippedChallenge=9)
    scene.tick(SECOND // 2)
    peer.sends(SYN, seq=500)
    host.emits(ACK)


def test_the_stacks_limit_also_holds_for_half_open_entries_and_time_wait(stage: Stage) -> None:
    scene = stage(plain(challenge_ack_limit=4))
    host, peer = scene.host, scene.peer
    host.listens()
    peers = [peer] + [scene.another_peer() for _ in range(20)]
    for peer in peers:
        peer.sends(SYN, mss=1460)
        host.emits(SYN | ACK, to=peer)
    for peer in peers:
        peer.sends(SYN, seq=500)
        while scene.next_packet() is not None:
            pass
    counted = scene.stack.counters.as_dict()
    assert 2 <= counted["TCPChallengeACK"] <= 6
    assert counted["TCPChallengeACK"] + counted["TCPACKSkippedChallenge"] == 21
    for peer in peers:
        peer.sends(ACK, seq=1, ack=1)
        host.accepts()
        host.closes()
        host.emits(FIN | ACK, seq=1, to=peer)
        peer.sends(FIN | ACK, seq=1, ack=2)
        host.emits(ACK, ack=2, to=peer)
    scene.tick(SECOND)
    for peer in peers:
        peer.sends(ACK, seq=0)
        while scene.next_packet() is not None:
            pass
    later = scene.stack.counters.as_dict()
    assert 2 <= later["TCPChallengeACK"] - counted["TCPChallengeACK"] <= 6
    assert later["TCPChallengeACK"] + later["TCPACKSkippedChallenge"] == 21 + 21


def test_the_isn_of_one_connection_tells_nothing_of_anothers() -> None:
    # RFC 6528; the statistics are in tests/properties/test_isn.py
    stack = Stack([HOST], entropy=entropy)
    numbers = [stack.connect(bytes((10, 0, 0, last)), 80, 0).iss for last in range(2, 200)]
    steps = {(b - a) & 0xFFFFFFFF for a, b in pairwise(numbers)}
    assert len(steps) == len(numbers) - 1
    assert min(steps) < 1 << 29 and max(steps) > 7 << 29


def test_the_ports_seen_by_one_destination_tell_nothing_of_those_to_another() -> None:
    # RFC 6056 3.3.4
    ports = EphemeralPorts(bytes(range(32)), 32768, 60999)
    mine = [ports.choose(HOST, b"\x0a\0\0\x09", 80, lambda _: True) for _ in range(3)]
    assert [port - mine[0] for port in mine] == [0, 1, 2]  # its own are easy to follow
    others = [ports.choose(HOST, struct.pack("!I", n), 80, lambda _: True) - mine[-1] for n in range(1, 500)]
    assert len({offset % 28232 for offset in others}) > 480


# ---- ICMP ----


@pytest.mark.parametrize(("kind", "code"), [(3, 1), (3, 2), (3, 3), (11, 0)])
def test_no_forged_icmp_error_ends_a_connection(stage: Stage, kind: int, code: int) -> None:
    # RFC 5927 5.2
    _, host, peer = stage.opened()
    host.writes(100)
    host.emits(DATA, 100)
    peer.sends_icmp(kind, code, seq=1)
    host.is_in(ESTABLISHED)
    assert host.connection.error == errors.NONE
    peer.sends_icmp(kind, code, seq=100_000)
    host.counted(OutOfWindowIcmps=1)
    peer.sends(ACK, ack=101)


def test_a_forged_packet_too_big_needs_a_number_in_flight_and_ends_at_a_floor(stage: Stage) -> None:
    # RFC 5927 4.1 and 7.2
    _, host, peer = stage.opened(mss=1460)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=100_000, mtu=600)
    host.is_silent()
    host.counted(OutOfWindowIcmps=1)
    assert host.status().mss == 1460
    peer.sends_icmp(3, 4, seq=1, mtu=68)
    assert host.status().mss == 552 - 40
    host.emits(ACK, 512, seq=1)
    host.emits(ACK, 512, seq=513)
    host.emits(DATA, 436, seq=1025)


def test_a_packet_too_big_about_a_packet_that_was_not_is_no_more_believed_than_one_about_none(stage: Stage) -> None:
    # RFC 5927 7.2: the quoted packet passes by the size that is claimed, or nothing so large is in flight
    _, host, peer = stage.opened(mss=1460)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=1, mtu=600, size=600 - 40)
    host.counted(OutOfWindowIcmps=1)
    peer.sends(ACK, ack=1461)
    host.writes(400)
    host.emits(DATA, 400)
    peer.sends_icmp(3, 4, seq=1461, mtu=552)
    host.counted(OutOfWindowIcmps=2)
    assert host.status().mss == 1460
    peer.sends(ACK, ack=1861)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=1861, mtu=600, size=600 - 39)
    assert host.status().mss == 560
    host.emits(ACK, 560, seq=1861)
    host.emits(ACK, 560, seq=2421)
    host.emits(DATA, 340, seq=2981)


# ---- memory and work ----


@pytest.mark.parametrize("hole", [0, 1])
def test_buffers_filled_on_many_connections_end_at_a_limit_of_the_stack_and_others_get_on(
    stage: Stage, hole: int
) -> None:
    # as Linux with tcp_mem: 40 connections could hold 2.5 MB, where no reader comes or the first byte is kept back
    high = 500_000
    scene = stage(plain(tcp_mem=(250_000, 300_000, high)))
    host = scene.host
    host.listens()
    peers = [scene.another_peer() for _ in range(40)]
    for peer in peers:
        opens(scene, peer)
        host.accepts()
    honest = scene.another_peer()
    opens(scene, honest)
    reader = host.accepts()
    for at in range(1, 60_000, 1000):
        for peer in peers:
            peer.sends(ACK, 1000, seq=at + hole)
            while scene.next_packet() is not None:
                pass
            assert scene.stack.census()["memory"] <= high + 1000  # what came since the last poll
        honest.sends(DATA, 1000)
        assert len(b"".join(reader.read(scene.now))) == 1000
        while scene.next_packet() is not None:
            pass
    counted = scene.stack.counters.as_dict()
    assert counted["TCPMemoryPressures"] >= 1 and counted["PruneCalled"] >= 1
    assert counted["OfoPruned"] >= 1 if hole else counted["RcvPruned"] >= 1
    scene.stack.abort_all(scene.now)
    while scene.next_packet() is not None:
        pass
    host.has(memory=0)


@pytest.mark.parametrize("mss", [0, 1, 40])
def test_a_tiny_mss_is_not_followed_below_48_bytes(stage: Stage, mss: int) -> None:
    # CVE-2019-11479; 48 is TCP_MIN_SND_MSS of Linux
    _, host, _ = stage.opened(mss=mss)
    assert host.status().mss == 48
    host.writes(100)
    host.emits(ACK, 48)
    host.emits(ACK, 48)
    host.emits(DATA, 4)


def test_scattered_single_bytes_are_kept_in_bounded_number(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(reassembly_limit=50))
    for number in range(500):
        peer.sends(DATA, 1, seq=11 + 2 * number)
        while scene.next_packet() is not None:
            pass
    # Each is charged what it costs (tests/unit/tcp/test_record_sizes.py measures that), not only what it holds.
    assert host.status().out_of_order == 50 * (1 + PIECE_COST + RUN_COST)
    host.counted(TCPOFOQueue=50, TCPOFODrop=450)


def exchange(left: Stack, right: Stack, packets: list[Burst], limit: int) -> int:
    """Carry packets between two stacks until silence; how many were carried."""
    carried = 0
    here, there = left, right
    while packets and carried < limit:
        carried += len(packets)
        for burst in packets:
            there.receive(finish(burst), 0)
        here, there = there, here
        packets = here.poll(0, 1 << 20)
    return carried


@pytest.mark.parametrize("flags", [RST, RST | ACK, ACK, SYN, SYN | ACK, FIN, FIN | ACK, 0])
def test_two_stacks_do_not_reflect_segments_for_ever(flags: int) -> None:
    one, other = Stack([HOST], entropy=entropy), Stack([b"\x0a\0\0\x02"], entropy=entropy)
    seg = Segment()
    seg.key = make_key(b"\x0a\0\0\x02", HOST, 7, 7)  # as if from the other
    seg.flags = flags
    seg.payload = b"x"
    one.receive(build(seg), 0)
    assert exchange(one, other, one.poll(0, 1 << 20), 100) <= 1


def test_time_wait_can_be_filled_but_not_beyond_its_limit(stage: Stage) -> None:
    scene = stage(plain(time_wait_limit=5))
    host = scene.host
    host.listens()
    for _ in range(20):
        peer = scene.another_peer()
        opens(scene, peer)
        host.accepts()
        host.closes()
        host.emits(FIN | ACK, to=peer)
        peer.sends(FIN | ACK)
        host.emits(ACK, to=peer)
    host.has(time_wait=5)
    host.counted(TCPTimeWaitOverflow=15)


def test_a_land_attack_is_answered_to_nobody_but_ourselves_and_ends(stage: Stage) -> None:
    # A SYN from our own address and port (CERT CA-1997-28)
    scene = stage()
    scene.host.listens()
    seg = Segment()
    seg.key = make_key(HOST, HOST, 80, 80)
    seg.flags = SYN
    seg.seq = 5
    scene.stack.receive(build(seg), scene.now)
    scene.host.is_silent()
    assert scene.stack.counters.as_dict()["InReceives"] < 10
    scene.tick(64 * SECOND)
    scene.host.has_forgotten_all()


def test_crafted_options_and_lengths_cost_one_counter_each_and_nothing_else(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    seg = Segment()
    seg.key = peer.key
    seg.flags = ACK
    seg.seq = peer.wire(1)
    good = build(seg)
    bent = [good[:32] + bytes((words << 4,)) + good[33:] for words in (0, 4, 6, 15)]  # data offsets
    bent += [good[:length] for length in range(0, 40, 3)]
    bent += [good[:2] + struct.pack("!H", length) + good[4:] for length in (0, 19, 39, 41, 65535)]
    for packet in bent:
        scene.stack.receive(packet, scene.now, True)
    host.is_silent()
    counted = scene.stack.counters.as_dict()
    assert counted["InErrs"] + counted["InHdrErrors"] == len(bent)
    host.is_in(ESTABLISHED)


def test_replies_that_the_link_does_not_take_are_bounded(stage: Stage) -> None:
    scene = stage(plain(outbox_limit=10))
    for number in range(100):
        scene.stack.receive(spoofed_syn(number, 9), scene.now)
    scene.host.has(outbox=10)
    scene.host.counted(OutRsts=10, OutDiscards=90)
    assert len(scene.stack.poll(scene.now, 1 << 20)) == 10


def test_linger_of_zero_resets_at_once_and_leaves_nothing(stage: Stage) -> None:
    _, host, _ = stage.opened()
    host.connection.closer.by_reset = True
    host.writes(100)
    host.closes()
    host.emits(DATA, 100)  # a kernel had sent it at the write
    host.emits(RST | ACK, seq=101)
    host.is_in(CLOSED)
    host.has_forgotten_all()


# ---- the document ----


def test_each_line_of_the_security_document_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| setting"))
    ]
    assert len(rows) >= 20
    defined = set()
    for folder in ("tests/trace", "tests/unit", "tests/properties", "tests/interop"):
        for path in (ROOT / folder).rglob("test_*.py"):
            defined |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= defined, set(named) - defined


def test_every_limit_of_the_settings_is_in_the_security_document() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    limits = [field.name for field in fields(Config) if field.name.endswith("_limit")]
    assert [name for name in limits if f"`{name}`" not in text] == []
