"""RST, blind attacks, what the network says by ICMP, and keep-alive."""

from __future__ import annotations

import pytest

from synfin.tcp import errors
from synfin.tcp.states import CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, SYN_SENT
from synfin.tcp.turn import EOF, FAILED, GONE, READABLE
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN, URG
from tests.trace.scene import DATA, MS, RTO, SECOND, Host, Peer, Scene, Stage, plain

# ---- what belongs to nothing ----


def test_an_ack_to_nothing_is_reset_by_its_own_number(stage: Stage) -> None:
    # RFC 9293 3.10.7.1
    scene = stage()
    scene.peer.sends(ACK, seq=100, ack=5000)
    scene.host.emits(RST, seq=5000)
    scene.host.counted(OutRsts=1)


@pytest.mark.parametrize(("flags", "length", "ack"), [(SYN, 0, 101), (FIN, 0, 101), (0, 30, 130), (SYN | FIN, 5, 107)])
def test_a_segment_without_ack_to_nothing_is_reset_with_its_end_acknowledged(
    stage: Stage, flags: int, length: int, ack: int
) -> None:
    scene = stage()
    scene.peer.sends(flags, length, seq=100)
    answer = scene.host.emits(RST | ACK, ack=ack)
    assert answer.seq == 0


@pytest.mark.parametrize("flags", [RST, RST | ACK, RST | SYN, RST | FIN | PSH, RST | SYN | ACK | FIN | URG])
def test_a_rst_is_never_answered_by_a_rst(stage: Stage, flags: int) -> None:
    scene = stage()
    scene.peer.sends(flags, seq=100, ack=7)
    scene.host.is_silent()
    scene.host.listens()
    scene.peer.sends(flags, seq=100, ack=7)
    scene.host.is_silent()
    scene.host.has(half_open=0)


def test_a_segment_for_an_address_that_is_not_ours_is_dropped_and_counted(stage: Stage) -> None:
    scene = stage()

    seg = Segment()
    seg.key = make_key(b"\x0a\0\0\x02", b"\x0a\0\0\x63", 1000, 80)
    seg.flags = SYN
    scene.stack.receive(build(seg), scene.now)
    scene.host.is_silent()
    scene.host.counted(InAddrErrors=1, OutRsts=0)


@pytest.mark.parametrize("source", [b"\xe0\0\0\x01", b"\xff\xff\xff\xff", b"\0\0\0\0"])
def test_a_segment_from_a_group_address_gets_no_answer(stage: Stage, source: bytes) -> None:
    # RFC 9293 3.9.2.3, MUST-57
    scene = stage()

    scene.host.listens()
    seg = Segment()
    seg.key = make_key(source, b"\x0a\0\0\x01", 1000, 80)
    seg.flags = SYN
    scene.stack.receive(build(seg), scene.now)
    scene.host.is_silent()
    scene.host.has(half_open=0)


# ---- RST to a connection ----


def test_the_exact_rst_ends_the_connection_and_wakes_its_user(stage: Stage) -> None:
    # RFC 9293 3.10.7.4, second; a reset is no end of file
    _, host, peer = stage.opened()
    host.hears()
    peer.sends(RST, seq=1)
    host.hears(all_of=FAILED | GONE, none_of=EOF)
    host.is_silent()
    assert host.connection.error == errors.RESET
    host.counted(EstabResets=1)
    host.has_forgotten_all()
    with pytest.raises(ConnectionResetError):
        host.connection.write(b"x")


def test_data_read_before_the_rst_stays_with_the_user(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(DATA, 100)
    host.emits(ACK)
    peer.sends(RST, seq=101)
    host.hears(all_of=READABLE | FAILED)
    host.reads(100)


@pytest.mark.parametrize("offset", [1, 1000, 65534])
def test_a_rst_elsewhere_in_the_window_is_challenged(stage: Stage, offset: int) -> None:
    # RFC 5961 3.2
    _, host, peer = stage.opened()
    peer.sends(RST, seq=1 + offset)
    host.emits(ACK, seq=1, ack=1)
    host.is_in(ESTABLISHED)
    host.counted(TCPChallengeACK=1)
    peer.sends(RST, seq=1)  # the honest peer's answer to the challenge
    host.is_silent()
    host.is_in(CLOSED)


@pytest.mark.parametrize("offset", [-1, 65536, 70000, -70000])
def test_a_rst_outside_the_window_is_dropped_silently(stage: Stage, offset: int) -> None:
    _, host, peer = stage.opened()
    peer.sends(RST, seq=1 + offset)
    host.is_silent()
    host.is_in(ESTABLISHED)


@pytest.mark.parametrize(("filled", "beyond"), [(0, 65535), (2048, 1)])
def test_a_peer_that_has_filled_the_window_or_probed_it_and_resets_is_asked_where_it_stands(
    stage: Stage, filled: int, beyond: int
) -> None:
    # RFC 9293 3.10.7.4, first: its SND.NXT is the right edge, or the number after the byte that its probe has counted
    _, host, peer = stage.opened(plain(receive_buffer=filled or 65535))
    if filled:
        peer.sends(DATA, filled, gso=1000)
        host.emits(ACK, win=0)
    peer.sends(RST, seq=1 + filled + beyond)
    host.emits(ACK, ack=1 + filled)
    peer.sends(RST, seq=1 + filled)
    host.is_in(CLOSED)


def test_a_rst_at_a_closed_window_counts_only_at_its_exact_number(stage: Stage) -> None:
    _, host, peer = stage.opened(plain(receive_buffer=2048))
    peer.sends(DATA, 2048, gso=1000)
    host.emits(ACK, win=0)
    for seq in (2048, 2051):
        peer.sends(RST, seq=seq)
        host.is_silent()
    host.is_in(ESTABLISHED)
    peer.sends(RST, seq=2049)
    host.is_silent()
    host.is_in(CLOSED)


def reach(stage: Stage, state: int) -> tuple[Scene, Host, Peer]:
    """A connection in a synchronized state, by its shortest way, with the user's close where there is one."""
    scene, host, peer = stage.opened()
    if state in (CLOSE_WAIT, LAST_ACK):
        peer.sends(FIN | ACK)
        host.emits(ACK)
    if state in (FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK):
        host.closes()
        host.emits(FIN | ACK)
    if state == FIN_WAIT_2:
        peer.sends(ACK)
    if state == CLOSING:
        peer.sends(FIN | ACK, ack=1)
        host.emits(ACK)
    host.is_in(state)
    return scene, host, peer


@pytest.mark.parametrize("peer_first", [False, True])
@pytest.mark.parametrize("acked", [0, 99, 100])
def test_a_rst_while_text_before_our_fin_is_unacknowledged_tells_its_writer(
    stage: Stage, peer_first: bool, acked: int
) -> None:
    # CLOSING and LAST-ACK: RFC 9293 3.10.7.4 is silent, the kernels say ECONNRESET; with the FIN alone nothing is lost
    _, host, peer = stage.opened()
    if peer_first:
        peer.sends(FIN | ACK)
        host.emits(ACK, ack=2)
    host.writes(100)
    host.shuts()
    host.emits(FIN | DATA, 100, ack=2 if peer_first else 1)
    if not peer_first:
        peer.sends(FIN | ACK, ack=1)
        host.emits(ACK, seq=102, ack=2)
    if acked:
        peer.sends(ACK, seq=2, ack=1 + acked)
    host.is_in(LAST_ACK if peer_first else CLOSING)
    peer.sends(RST, seq=2)
    host.is_in(CLOSED)
    assert host.connection.error == (errors.NONE if acked == 100 else errors.RESET)


SYNCHRONIZED = [ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT, CLOSING, LAST_ACK]


@pytest.mark.parametrize("state", SYNCHRONIZED)
def test_the_exact_rst_ends_every_synchronized_state(stage: Stage, state: int) -> None:
    _, host, peer = reach(stage, state)
    peer.sends(RST)
    host.is_silent()
    host.is_in(CLOSED)
    ended = {CLOSING: errors.NONE, LAST_ACK: errors.NONE, CLOSE_WAIT: errors.BROKEN_PIPE}
    assert host.connection.error == ended.get(state, errors.RESET)
    host.has_forgotten_all()


@pytest.mark.parametrize("state", SYNCHRONIZED)
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, SYN | FIN])
def test_a_syn_in_every_synchronized_state_is_challenged(stage: Stage, state: int, flags: int) -> None:
    # RFC 5961 4.2: whatever its number
    _, host, peer = reach(stage, state)
    peer.sends(flags, seq=peer.seq + 5, ack=peer.heard)
    host.emits(ACK)
    host.is_in(state)
    host.counted(TCPChallengeACK=1)


@pytest.mark.parametrize("state", SYNCHRONIZED)
def test_text_left_and_right_of_the_window_is_answered_by_an_ack_in_every_state(stage: Stage, state: int) -> None:
    # RFC 9293 3.10.7.4, first
    _, host, peer = reach(stage, state)
    peer.sends(DATA, 100, seq=-200, ack=1)
    host.emits(ACK)
    peer.sends(DATA, 100, seq=200_000, ack=1)
    host.emits(ACK)
    host.is_in(state)


@pytest.mark.parametrize("state", SYNCHRONIZED)
def test_a_segment_without_ack_is_dropped_in_every_state(stage: Stage, state: int) -> None:
    # RFC 9293 3.10.7.4, fifth
    _, host, peer = reach(stage, state)
    at = peer.seq
    peer.sends(PSH, 100, seq=at)
    peer.sends(FIN, seq=at)
    peer.sends(0, seq=at)
    host.is_silent()
    host.is_in(state)


@pytest.mark.parametrize("state", SYNCHRONIZED)
def test_an_ack_of_unsent_data_is_challenged_in_every_state(stage: Stage, state: int) -> None:
    _, host, peer = reach(stage, state)
    peer.sends(ACK, ack=peer.heard + 1)
    host.emits(ACK)
    host.is_in(state)


def test_challenge_acks_are_rare(stage: Stage) -> None:
    # RFC 5961 7: or two confused hosts answer each other for ever
    scene, host, peer = stage.opened()
    for _ in range(5):
        peer.sends(RST, seq=100)
    host.emits(ACK)
    host.is_silent()
    scene.tick(500 * MS - 1)
    peer.sends(RST, seq=100)
    host.is_silent()
    scene.tick(1)
    peer.sends(RST, seq=100)
    host.emits(ACK)


def test_a_peer_that_restarted_finds_out_and_clears_the_old_connection(stage: Stage) -> None:
    # RFC 9293 3.5, figure 9
    _, host, peer = stage.opened()
    peer.sends(SYN, seq=500_000, mss=1000)
    host.emits(ACK, seq=1, ack=1)
    peer.sends(RST, seq=1)
    host.is_silent()
    host.is_in(CLOSED)
    peer.acked = peer.right_edge = -1
    peer.sends(SYN, seq=500_000, mss=1000)
    host.emits(SYN | ACK, seq=0, ack=500_001)


def test_our_data_to_a_peer_that_forgot_us_ends_by_its_rst(stage: Stage) -> None:
    # RFC 9293 3.5, figure 10
    _, host, peer = stage.opened()
    host.writes(10)
    host.emits(DATA, 10)
    peer.sends(RST, seq=1)
    host.is_silent()
    assert host.connection.error == errors.RESET


def test_a_blind_fin_outside_the_window_ends_nothing(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(FIN | ACK, seq=90_000, ack=1)
    host.emits(ACK, ack=1)
    host.is_in(ESTABLISHED)


def test_bad_bytes_end_nothing(stage: Stage) -> None:
    _, host, peer = stage.opened()
    stack, now = host._scene.stack, host._scene.now
    for packet in (b"", b"\x45", bytes(20), bytes(40), b"\x60" + bytes(60), bytes.fromhex("4500") + b"\xff" * 100):
        stack.receive(packet, now)
    host.is_silent()
    peer.sends(DATA, 10)
    host.emits(ACK, ack=11)
    host.reads(10)
    assert stack.counters.as_dict()["InHdrErrors"] == 6


# ---- ICMP ----


@pytest.mark.parametrize("code", [2, 3])
def test_a_hard_error_ends_an_attempt_to_connect(stage: Stage, code: int) -> None:
    # RFC 5461 4, RFC 1122 4.2.3.9: protocol or port unreachable
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends_icmp(3, code, seq=0)
    host.is_in(CLOSED)
    assert host.connection.error == errors.REFUSED
    host.has_forgotten_all()


@pytest.mark.parametrize(("code", "error"), [(0, errors.NETWORK_UNREACHABLE), (1, errors.HOST_UNREACHABLE)])
def test_a_soft_error_is_told_only_when_the_attempt_gives_up(stage: Stage, code: int, error: int) -> None:
    # RFC 1122 4.2.3.9: must not abort; RFC 5461 2.1
    scene = stage(plain(syn_retries=1))
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends_icmp(3, code, seq=0)
    host.is_in(SYN_SENT)
    scene.tick(SECOND)
    host.emits(SYN, seq=0)
    scene.tick(2 * SECOND)
    host.is_in(CLOSED)
    assert host.connection.error == error


def test_no_icmp_error_ends_a_connection(stage: Stage) -> None:
    # RFC 5927 5.2
    scene, host, peer = stage.opened(plain(retries=1))
    host.writes(10)
    host.emits(DATA, 10)
    for code in range(16):
        if code != 4:
            peer.sends_icmp(3, code, seq=1)
    host.is_silent()
    host.is_in(ESTABLISHED)
    scene.tick(RTO)
    host.emits(DATA, 10, seq=1)
    scene.tick(2 * RTO)
    host.emits(RST | ACK)
    assert host.connection.error in (errors.HOST_UNREACHABLE, errors.NETWORK_UNREACHABLE)


def test_a_soft_error_is_forgotten_when_the_path_works_again(stage: Stage) -> None:
    scene, host, peer = stage.opened(plain(retries=1))
    host.writes(10)
    host.emits(DATA, 10)
    peer.sends_icmp(3, 1, seq=1)
    peer.sends(ACK)
    host.writes(10)
    host.emits(DATA, 10)
    scene.tick(RTO)
    host.emits(DATA, 10, seq=11)
    scene.tick(2 * RTO)
    host.emits(RST | ACK)
    assert host.connection.error == errors.TIMED_OUT


@pytest.mark.parametrize("seq", [-1, 1, 70000])
def test_icmp_about_what_is_not_in_flight_is_ignored_and_counted(stage: Stage, seq: int) -> None:
    # RFC 5927 4.1
    scene = stage()
    host, peer = scene.host, scene.peer
    host.connects()
    host.emits(SYN)
    peer.sends_icmp(3, 3, seq=seq)
    host.is_in(SYN_SENT)
    host.counted(OutOfWindowIcmps=1)


def test_packet_too_big_sends_what_was_lost_again_in_smaller_segments(stage: Stage) -> None:
    # RFC 1191 6.4
    _, host, peer = stage.opened(mss=1460)
    host.writes(2920)
    host.emits(ACK, 1460, seq=1)
    host.emits(DATA, 1460, seq=1461)
    peer.sends_icmp(3, 4, seq=1, mtu=1040)
    host.emits(ACK, 1000, seq=1)
    host.emits(ACK, 1000, seq=1001)
    host.emits(DATA, 920, seq=2001)
    peer.sends(ACK)
    host.writes(1000)
    host.emits(DATA, 1000)


def test_a_later_connection_to_the_same_host_knows_the_path(stage: Stage) -> None:
    scene, host, peer = stage.opened(mss=1460)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=1, mtu=1040)
    host.emits(ACK, 1000, seq=1)
    host.emits(DATA, 460, seq=1001)
    second = scene.another_peer()
    second.sends(SYN, mss=1460)
    host.emits(SYN | ACK, to=second, mss=1000)


def test_a_forged_packet_too_big_can_not_make_segments_tiny(stage: Stage) -> None:
    # RFC 5927 7.2; Linux: min_pmtu 552
    _, host, peer = stage.opened(mss=1460)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=1, mtu=68)
    for number in (1, 513):
        host.emits(ACK, 512, seq=number)
    host.emits(DATA, 436, seq=1025)


def test_packet_too_big_that_is_not_smaller_changes_nothing(stage: Stage) -> None:
    _, host, peer = stage.opened(mss=1460)
    host.writes(1460)
    host.emits(DATA, 1460)
    peer.sends_icmp(3, 4, seq=1, mtu=1500)
    peer.sends_icmp(3, 4, seq=9999, mtu=600)
    host.is_silent()
    assert host.status().mss == 1460
    peer.sends(ACK)


def test_ipv6_packet_too_big_is_heeded_down_to_1280(stage: Stage) -> None:
    # RFC 8201 4
    scene = stage(address=bytes.fromhex("fd000000000000000000000000000001"))
    host, peer = scene.host, scene.peer
    host.listens()
    peer.sends(SYN, mss=1440)
    host.emits(SYN | ACK)
    peer.sends(ACK)
    host.accepts()
    host.writes(1440)
    host.emits(DATA, 1440)
    peer.sends_icmp(2, 0, seq=1, mtu=600)
    host.emits(ACK, 1220, seq=1)
    host.emits(DATA, 220, seq=1221)


# ---- keep-alive ----


def test_without_keep_alive_an_idle_connection_is_silent_and_has_no_timer(stage: Stage) -> None:
    # RFC 9293 3.8.4, MUST-25: off by default
    scene, host, _ = stage.opened()
    assert scene.stack.next_deadline() is None
    scene.tick(30 * 86400 * SECOND)
    host.is_silent()


def alive(stage: Stage) -> tuple[Scene, Host, Peer]:
    """Keep-alive after 100 s, three probes, ten seconds apart."""
    return stage.opened(plain(keepalive_idle_us=100 * SECOND, keepalive_interval_us=10 * SECOND, keepalive_probes=3))


def test_after_the_idle_time_a_probe_left_of_the_window_asks_whether_the_peer_lives(stage: Stage) -> None:
    # RFC 9293 3.8.4: SEG.SEQ = SND.NXT - 1, no text
    scene, host, peer = alive(stage)
    for _ in range(3):
        scene.tick(100 * SECOND - 1)
        host.is_silent()
        scene.tick(1)
        host.emits(ACK, seq=0, ack=1)
        peer.sends(ACK)
    host.counted(TCPKeepAlive=3)


def test_a_peer_that_answers_no_probe_is_given_up(stage: Stage) -> None:
    scene, host, _ = alive(stage)
    scene.tick(100 * SECOND)
    host.emits(ACK, seq=0)
    for _ in range(2):
        scene.tick(10 * SECOND)
        host.emits(ACK, seq=0)
    scene.tick(10 * SECOND - 1)
    host.is_in(ESTABLISHED)
    scene.tick(1)
    host.emits(RST | ACK, seq=1)
    assert host.connection.error == errors.TIMED_OUT
    host.has_forgotten_all()


def test_any_segment_of_the_peer_postpones_the_probe(stage: Stage) -> None:
    scene, host, peer = alive(stage)
    scene.tick(99 * SECOND)
    peer.sends(DATA, 10)
    host.emits(ACK)
    scene.tick(100 * SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, seq=0)


@pytest.mark.parametrize(
    ("flags", "seq", "ack"),
    [(ACK, 100_000, 1), (DATA, 100_000, 1), (ACK, 1, 100_000), (RST, 7, 0), (SYN, 1, 0), (0, 1, 0)],
)
def test_a_segment_that_fails_a_check_is_no_sign_of_life(stage: Stage, flags: int, seq: int, ack: int) -> None:
    # Or who knows but addresses and ports could keep the connection of a dead peer for ever.
    scene, host, peer = alive(stage)
    for at in range(50, 130, 10):
        scene.tick((50 if at == 50 else 10) * SECOND)
        while scene.next_packet() is not None:
            pass
        peer.sends(flags, seq=seq, ack=ack if flags & ACK else None)
        while scene.next_packet() is not None:
            pass
    host.counted(TCPKeepAlive=3)
    scene.tick(10 * SECOND)
    host.emits(RST | ACK, seq=1)
    host.is_in(CLOSED)


def test_the_peers_own_probe_is_no_sign_of_life_but_its_answers_are(stage: Stage) -> None:
    # As in Linux: it lies left of the window, and whoever sends it answers ours.
    scene, host, peer = alive(stage)
    scene.tick(60 * SECOND)
    peer.sends(ACK, seq=0)
    host.emits(ACK, seq=1)
    scene.tick(40 * SECOND)
    host.emits(ACK, seq=0)
    peer.sends(ACK, seq=1)
    scene.tick(100 * SECOND - 1)
    host.is_silent()
    scene.tick(1)
    host.emits(ACK, seq=0)


def test_while_data_is_out_no_keep_alive_probe_goes(stage: Stage) -> None:
    scene, host, _ = alive(stage)
    scene.tick(99 * SECOND + 900 * MS)
    host.writes(10)
    host.emits(DATA, 10)
    scene.tick_until_output()
    host.emits(DATA, 10, seq=1)
    host.counted(TCPKeepAlive=0)


def test_the_peers_keep_alive_probe_is_answered(stage: Stage) -> None:
    _, host, peer = stage.opened()
    peer.sends(ACK, seq=0)
    host.emits(ACK, seq=1, ack=1)
    peer.sends(ACK, b"\0", seq=0)
    host.emits(ACK, seq=1, ack=1)
    host.reads(0)


def test_keep_alive_can_be_switched_on_and_off_later(stage: Stage) -> None:
    scene, host, peer = stage.opened()
    host.connection.set_keepalive(5 * SECOND, SECOND, 2, scene.now)
    scene.tick(5 * SECOND)
    host.emits(ACK, seq=0)
    peer.sends(ACK)
    host.connection.set_keepalive(0, SECOND, 2, scene.now)
    scene.tick(3600 * SECOND)
    host.is_silent()
