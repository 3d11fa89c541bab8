"""Segments from an attacker, or bent on the way, in every state: nothing raises, nothing answers a RST by a RST, no two
stacks talk for ever, and a stream that the attacker's numbers miss arrives whole."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.links.faults import Faults
from synfin.stack.stack import Stack
from synfin.tcp import states
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.wire.errors import WireError
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, build, parse_untrusted, split
from synfin.wire.seq import unwrap, wrap
from synfin.wire.tcp_header import ACK, FIN, RST, SYN
from tests.properties.world import End, World

HOUR_US = 3_600_000_000
SEEDS = st.integers(0, 2**32)
FLAGS = (0, SYN, SYN | ACK, ACK, FIN, FIN | ACK, RST, RST | ACK, SYN | FIN, SYN | RST, FIN | RST, 0x38, 0xFF)
NUMBERS = (0, 1, -1, 2, 100, -100, 1000, 65535, 65536, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 32)


def parsed(packet: bytes) -> Segment:
    header = IpHeader()
    seg = Segment()
    parse_ip(packet, header)
    parse_untrusted(packet, header, seg, False, 0)
    return seg


def random_segment(draw: random.Random, connection: Connection) -> Segment:
    """Anything that bears the connection's key, mostly near its numbers."""
    sender, receiver = connection.sender, connection.receiver
    seg = Segment()
    seg.key = connection.key
    near = draw.choice((receiver.rcv_nxt, receiver.rcv_adv, 0))
    seg.seq = wrap(near + draw.choice(NUMBERS), connection.irs)
    seg.ack = wrap(draw.choice((sender.snd_una, sender.snd_nxt, 0)) + draw.choice(NUMBERS), connection.iss)
    seg.flags = draw.choice(FLAGS) if draw.random() < 0.9 else draw.randrange(256)
    seg.window = draw.choice((0, 1, 100, 65535))
    seg.urgent = draw.choice((0, 1, 65535))
    seg.payload = draw.randbytes(draw.choice((0, 0, 1, 2, 100, 1460)))
    if draw.random() < 0.6:
        seg.has_ts = True
        seg.ts_val = (connection.stamps.recent + draw.choice(NUMBERS)) & 0xFFFFFFFF
        seg.ts_ecr = draw.choice((0, 1 << 31, draw.randrange(1 << 32)))
    if draw.random() < 0.1:
        seg.mss = draw.choice((0, 1, 47, 536, 65535))
    if draw.random() < 0.1:
        seg.wscale = draw.choice((0, 7, 14, 15, 255))
    if draw.random() < 0.1:
        seg.sack = random_blocks(draw, seg.ack)
    return seg


def random_blocks(draw: random.Random, ack: int) -> list[tuple[int, int]]:
    """Blocks of SACK as nobody honest would send them, near an acknowledged number."""
    blocks = []
    for _ in range(draw.randrange(1, 3)):
        left = ack + draw.randrange(-2000, 20_000)
        blocks.append((left & 0xFFFFFFFF, (left + draw.choice((-1, 0, 1, 700, 5000, 1 << 31))) & 0xFFFFFFFF))
    return blocks


def bent(draw: random.Random, packet: bytes) -> bytes:
    """A real packet with a few bits of its TCP header changed and the checksum right again; or cut; or unreadable."""
    try:
        seg = parsed(packet)
    except WireError:
        return packet
    what = draw.randrange(8)
    if what == 0:
        seg.seq = (seg.seq + draw.choice(NUMBERS)) & 0xFFFFFFFF
    elif what == 1:
        seg.ack = (seg.ack + draw.choice(NUMBERS)) & 0xFFFFFFFF
    elif what == 2:
        seg.flags = draw.choice(FLAGS)
    elif what == 3:
        seg.window = draw.choice((0, 1, 65535))
    elif what == 4:
        seg.payload = bytes(seg.payload[draw.randrange(3) :]) + draw.randbytes(draw.randrange(3))
    elif what == 5 and seg.has_ts:
        seg.ts_val = (seg.ts_val + draw.choice(NUMBERS)) & 0xFFFFFFFF
    elif what == 6 and seg.has_ts:
        seg.has_ts, seg.ts_val, seg.ts_ecr = False, 0, 0
    else:
        at = draw.randrange(len(packet))
        return packet[:at] + bytes([packet[at] ^ (1 << draw.randrange(8))]) + packet[at + 1 :]
    return build(seg)


def a_world_in_any_state(draw: random.Random) -> World:
    """Some connections, stopped at a random moment of their lives."""
    config = Config(
        timestamps=draw.random() < 0.7,
        window_scale=draw.random() < 0.7,
        sack=draw.random() < 0.7,
        receive_buffer=draw.choice((2048, 65535, 131072)),
        msl_us=1_000_000,
        retries=6,
    )
    world = World(draw.randrange(1 << 30), config=config, faults=Faults(loss=0.1, jitter_us=500))
    for _ in range(3):
        end = world.connect(draw.choice((world.left, world.right)))
        end.write(bytes(draw.randrange(10_000)))
    for _ in range(draw.randrange(30)):
        end = draw.choice(list(world.ends.values()))
        what = draw.randrange(6)
        if what == 0:
            end.connection.shutdown(world.now)
        elif what == 1:
            end.connection.close(world.now)
        elif what == 2:
            end.paused = not end.paused
        world.link.step()
    return world


def drain(stack: Stack, now: int) -> list[Segment]:
    """All that a stack sends now, parsed."""
    out: list[Segment] = []
    while bursts := stack.poll(now, 1 << 20):
        for burst in bursts:
            out.extend(parsed(packet) for packet in split(burst))
    return out


@settings(max_examples=100)
@given(SEEDS)
def test_no_segment_raises_in_any_state_and_no_rst_is_answered_by_a_rst(seed: int) -> None:
    draw = random.Random(seed)
    world = a_world_in_any_state(draw)
    for _ in range(60):
        stack = draw.choice((world.left, world.right))
        connections = [end.connection for end in world.ends.values() if end.stack is stack]
        if not connections:
            continue
        connection = draw.choice(connections)
        drain(stack, world.now)
        aborted = stack.counters.TCPAbortOnData
        seg = random_segment(draw, connection)
        stack.receive(build(seg), world.now)
        answers = drain(stack, world.now)
        # At most one answer of its own, and what the ACK in it lets out.
        assert sum(1 for answer in answers if not answer.payload) <= 2
        if seg.flags & RST:
            assert not any(answer.flags & RST for answer in answers), seg
        resets = [answer for answer in answers if answer.flags & RST]
        assert len(resets) <= 1 + stack.counters.TCPAbortOnData - aborted
        connection.snapshot()
        while (ready := stack.ready()) is not None:
            ready.take_events()
            ready.read(world.now, draw.choice((-1, 10)))
        if draw.random() < 0.3:
            connection.close(world.now)
        deadline = stack.next_deadline()
        if deadline is not None and draw.random() < 0.2:
            world.link.now = max(world.now, deadline)
            stack.on_timer(world.now)


def misses(seg: Segment, connection: Connection) -> bool:
    """Its numbers are outside the receive window: nothing of it may count."""
    receiver = connection.receiver
    seq = unwrap(seg.seq, connection.irs, receiver.rcv_nxt)
    length = len(seg.payload) + (1 if seg.flags & SYN else 0) + (1 if seg.flags & FIN else 0)
    if seg.flags & (SYN | RST):
        return not (seg.flags & RST and seq == receiver.rcv_nxt)
    return seq + length <= receiver.rcv_nxt - 1 or seq > receiver.rcv_adv


@settings(max_examples=40)
@given(SEEDS, st.booleans())
def test_what_misses_the_window_changes_nothing_of_a_stream(seed: int, timestamps: bool) -> None:
    draw = random.Random(seed)
    size = 60_000
    config = Config(timestamps=timestamps, receive_buffer=draw.choice((5000, 131072)))
    world = World(seed, config=config, faults=Faults(jitter_us=500, loss=0.02))
    left, right = world.open_pair()
    left.write(draw.randbytes(size))
    right.write(draw.randbytes(size))
    right.connection.shutdown(world.now)
    injected = 0
    while not (left.read == size and right.read == size):
        end = draw.choice((left, right))
        seg = random_segment(draw, end.connection)
        # Most are answered, and each answer is one more step: a bound, or the attack would feed itself.
        if injected < 300 and misses(seg, end.connection):
            injected += 1
            end.stack.receive(build(seg), world.now)
        assert world.link.step(), "the stream stopped"
    assert left.connection.state == states.FIN_WAIT_2 or left.connection.state == states.CLOSE_WAIT
    left.connection.close(world.now)
    assert world.link.run()
    assert not left.connection.error
    assert not any(world.census().values())


@settings(max_examples=40)
@given(SEEDS, st.booleans())
def test_a_receiver_that_lies_in_its_sack_blocks_still_gets_every_byte(seed: int, offload: bool) -> None:
    """What it claims to hold and does not is sent again after a timeout (RFC 2018 8); nothing is ever left out."""
    draw = random.Random(seed)
    config = Config(retries=255, scoreboard_limit=draw.choice((4, 4096)))
    world = World(seed, config=config, faults=Faults(jitter_us=500, loss=0.02), offload=offload)
    left, right = world.open_pair()
    data = draw.randbytes(100_000)
    lies = 0

    def lie(now: int, stack: Stack, packet: bytes) -> None:
        nonlocal lies
        if stack is right.stack and (lies == 0 or draw.random() < 0.3):
            seg = parsed(packet)
            if seg.flags == ACK and not seg.payload:
                lies += 1
                seg.sack = random_blocks(draw, seg.ack)
                left.stack.receive(build(seg), now)

    world.link.tap = lie
    left.write(data)
    left.connection.shutdown(world.now)
    assert world.link.run(lambda: right.read == len(data), 24 * HOUR_US)
    world.link.tap = None
    right.connection.close(world.now)
    assert world.link.run()
    assert lies and not left.connection.error and not right.connection.error
    assert not any(world.census().values())


@settings(max_examples=60)
@given(SEEDS)
def test_two_stacks_that_get_bent_segments_never_talk_for_ever(seed: int) -> None:
    """Then both users close, and all comes to rest after a bounded number of packets."""
    draw = random.Random(seed)
    world = a_world_in_any_state(draw)
    sizes = sum(len(end.written) for end in world.ends.values())
    _discard(world)
    for _ in range(150):
        _bend_one(world, draw)
        world.link.step()
    for end in list(world.ends.values()):
        end.connection.close(world.now)
    world.on_accept = lambda end, now: end.connection.close(now)
    sent = 0

    def count(_now: int, _stack: Stack, _packet: bytes) -> None:
        nonlocal sent
        sent += 1

    world.link.tap = count
    assert world.link.run(limit_us=world.now + 6 * 3_600_000_000), "something still waits"
    assert sent <= 400 + 4 * sizes // 500
    assert not any(world.census().values())


def _discard(world: World) -> None:
    """What users read is no longer compared: bent bytes may have got into the window."""

    def serve(stack: Stack, now: int) -> None:
        while (listener := stack.accepting()) is not None:
            while (connection := listener.accept()) is not None:
                end = End(connection, stack)
                world.ends[connection] = end
                connection.remind()
        while (ready := stack.ready()) is not None:
            ready.take_events()
            ready.read(now)

    world.link.users = {world.left: serve, world.right: serve}


def _bend_one(world: World, draw: random.Random) -> None:
    """Poll one side by hand, and give the other what it sent, bent."""
    stack = draw.choice((world.left, world.right))
    for burst in stack.poll(world.now, 1 << 20):
        for packet in split(burst):
            world.peer_of(stack).receive(bent(draw, packet), world.now)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=100), max_size=20), SEEDS)
def test_bytes_that_are_no_packet_do_nothing(packets: list[bytes], seed: int) -> None:
    world = World(seed)
    left, right = world.open_pair()
    for packet in packets:
        world.left.receive(packet, world.now)
        world.left.receive(packet, world.now, True, 1460)
    left.write(b"still here")
    assert world.link.run(lambda: right.read == 10)
