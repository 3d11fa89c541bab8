"""A team of stacks behind one address: each 4-tuple has one owner, and whoever meets a stray gives it to him."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.stack.stack import Stack
from synfin.stack.team import Team
from synfin.tcp.connection import Connection
from synfin.tcp.states import ESTABLISHED
from synfin.wire import icmp, udp
from synfin.wire.key import make_key
from synfin.wire.segment import finish, split

SERVICE, CLIENT = "10.0.0.1", "10.0.0.2"
SECRET = bytes(range(32))


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


class Mate(Team):
    """Hands over by a call."""

    def __init__(self, count: int, index: int, world: World) -> None:
        super().__init__(count, index, SECRET)
        self._world = world
        self.handed = 0

    def hand_over(self, owner: int, packet: bytes, start: int, checksum_ok: bool, gso_size: int) -> None:
        self.handed += 1
        self._world.members[owner].receive(packet, self._world.now, checksum_ok, gso_size, start)


class World:
    """One client, and a team whose device gives each packet to any member."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.now = 1000
        self.client = Stack([CLIENT], entropy=entropy(1000))
        self.teams = [Mate(count, index, self) for index in range(count)]
        self.members = [Stack([SERVICE], entropy=entropy(7), team=team) for team in self.teams]
        self.to_client: list[bytes] = []
        self._random = random.Random(seed)

    def run(self) -> None:
        """Until nothing goes either way."""
        while True:
            out = [p for burst in self.client.poll(self.now, 1 << 20) for p in split(burst)]
            back = [finish(burst) for member in self.members for burst in member.poll(self.now, 1 << 20)]
            for packet in out:
                self._random.choice(self.members).receive(packet, self.now)
            for packet in back:
                self.client.receive(packet, self.now, False, 0)
            self.to_client += back
            for member in self.members:
                while (listener := member.accepting()) is not None:
                    while (connection := listener.accept()) is not None:
                        connection.write(b"hello")
            self.now += 50
            if not out and not back:
                self.now += 40_000
                if not any(stack.has_output() for stack in (self.client, *self.members)):
                    return

    def by_member(self) -> list[int]:
        return [len(member.connections()) for member in self.members]

    def handed(self) -> int:
        return sum(team.handed for team in self.teams)


@given(st.integers(1, 5), st.integers(0, 1000))
def test_connections_live_whole_in_one_member_wherever_their_packets_come_out(count: int, seed: int) -> None:
    world = World(count, seed)
    for member in world.members:
        member.listen(80)
    clients = [world.client.connect(SERVICE, 80, world.now) for _ in range(12)]
    world.run()
    assert [b"".join(client.read(100)) for client in clients] == [b"hello"] * 12
    assert sum(world.by_member()) == 12
    for member, team in zip(world.members, world.teams, strict=True):
        assert all(team.is_mine(connection.key) for connection in member.connections())
        assert member.counters.OutRsts == 0
    assert count == 1 or world.handed() > 0


def test_a_member_connects_from_ports_whose_answers_are_its_own() -> None:
    world = World(4)
    listener = world.client.listen(80)
    opened = [member.connect(CLIENT, 80, world.now) for member in world.members for _ in range(6)]
    world.run()
    assert {connection.state for connection in opened} == {ESTABLISHED}
    assert listener.pending() == 24
    assert world.by_member() == [6, 6, 6, 6]


def test_a_port_whose_answers_are_another_members_is_refused() -> None:
    world = World(2)
    port = next(
        p for p in range(5000, 6000) if not world.teams[0].is_mine(make_key(b"\x0a\0\0\2", b"\x0a\0\0\1", 80, p))
    )
    with pytest.raises(OSError, match=f"port {port} "):
        world.members[0].connect(CLIENT, 80, world.now, local_port=port)


def test_what_belongs_to_nobody_is_reset_once_by_its_owner() -> None:
    world = World(3)
    client = world.client.connect(SERVICE, 99, world.now)
    world.run()
    assert client.error
    assert len(world.to_client) == 1
    assert sorted(member.counters.OutRsts for member in world.members) == [0, 0, 1]


def test_icmp_errors_reach_the_member_whose_packet_they_quote() -> None:
    world = World(3)
    opened: Connection = world.members[1].connect(CLIENT, 80, world.now)
    (syn,) = (finish(burst) for burst in world.members[1].poll(world.now, 1 << 20))
    error = icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_PORT_UNREACHABLE, b"\x0a\0\0\2", b"\x0a\0\0\1", syn)
    world.members[0].receive(error, world.now)
    assert opened.error
    assert world.teams[0].handed == 1


def test_a_datagram_without_a_port_here_goes_to_its_owner_who_alone_answers() -> None:
    world = World(2)
    for source in range(1000, 1016):
        key = make_key(b"\x0a\0\0\2", b"\x0a\0\0\1", source, 7)
        owner = world.teams[0].owner(key)
        world.members[1 - owner].receive(udp.build(key, b"?"), world.now)
        counts = [len(member.poll(world.now, 1 << 20)) for member in world.members]
        assert counts[1 - owner] == 0
        world.now += 1_000_000
    assert world.handed() == 16


class Recorder(Team):
    """Keeps what it is to hand over."""

    def __init__(self) -> None:
        super().__init__(2, 0, SECRET)
        self.told: list[tuple[int, bytes, int, bool, int]] = []

    def hand_over(self, owner: int, packet: bytes, start: int, checksum_ok: bool, gso_size: int) -> None:
        self.told.append((owner, packet, start, checksum_ok, gso_size))


def test_bursts_and_checksums_are_handed_over_as_they_came() -> None:
    team = Recorder()
    ports = range(1000, 1100)
    port = next(p for p in ports if not team.is_mine(make_key(b"\x0a\0\0\2", b"\x0a\0\0\1", p, 80)))
    client = Stack([CLIENT], entropy=entropy(5))
    client.connect(SERVICE, 80, 0, local_port=port)
    (syn,) = (finish(burst) for burst in client.poll(0, 1 << 20))
    Stack([SERVICE], entropy=entropy(7), team=team).receive(b"device" + syn, 0, True, 1448, 6)
    assert team.told == [(1, b"device" + syn, 6, True, 1448)]


@pytest.mark.parametrize(("count", "index"), [(0, 0), (2, 2), (2, -1)])
def test_a_team_without_such_a_member_is_refused(count: int, index: int) -> None:
    with pytest.raises(ValueError, match=f"a team of {count} has no member {index}"):
        Mate(count, index, World(1))
