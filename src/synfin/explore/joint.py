"""The joint states of both ends of one connection: which can be at the same time, and why no others.

Each end's state is a function of four facts. What one end knows of the other is true before it is known:
an end whose FIN is acknowledged has a peer that has reached it, and an end that has reached the peer's FIN has a peer
that has sent it. All pairs of facts that do not contradict this are the pairs of states below; docs/states.md has the
table. An end that is gone (no connection, no TIME-WAIT: CLOSED, LISTEN, or the answer to a SYN by cookie) remembers
nothing, so it is a matter of what happened: GONE_WITH tells who may be left alone, and why.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from synfin.explore.broken import Broken
from synfin.explore.host import ExploredHost
from synfin.explore.world import World
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF
from synfin.tcp.connection import Connection
from synfin.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    NAMES,
    SYN_RCVD,
    SYN_SENT,
    TIME_WAIT,
)
from synfin.wire.key import reverse_key

_SPACE: Final = 500_000  # less than lies between two incarnations' numbers (`host.Numbers`), more than any stream

# How long an end may be left alone by one that is gone, without a crash, an abort, a forgery.
GONE_WITH: Final[dict[int, str]] = {
    CLOSED: "before and after",
    SYN_SENT: "the SYN has not arrived, or was answered by a cookie",
    SYN_RCVD: "the peer has given up",
    ESTABLISHED: "the peer answered by a cookie, and the third segment has not arrived",
    FIN_WAIT_1: "the same, and the user has closed since",
    CLOSE_WAIT: "nobody reads there any more, and FIN-WAIT-2 has run out",
    LAST_ACK: "the same, and the user has closed since",
    TIME_WAIT: "the peer was in LAST-ACK",
}


class _Facts:
    """What one end can know, and the state that it is then in (RFC 9293 3.6); said here once more, since a fault in
    `tcp.close` must not be taken for a law."""

    def __init__(self, state: int, queued: bool, acked: bool, peer: bool, first: bool = False) -> None:
        self.state = state
        self.queued = queued  # our FIN was queued
        self.acked = acked  # and acknowledged
        self.peer = peer  # the peer's was reached
        self.first = first  # before ours was queued


_FACTS: Final = (
    _Facts(ESTABLISHED, False, False, False),
    _Facts(FIN_WAIT_1, True, False, False),
    _Facts(FIN_WAIT_2, True, True, False),
    _Facts(CLOSING, True, False, True),
    _Facts(TIME_WAIT, True, True, True),
    _Facts(CLOSE_WAIT, False, False, True, True),
    _Facts(LAST_ACK, True, False, True, True),
)


def _agree(a: _Facts, b: _Facts) -> bool:
    """What each knows of the other is so."""
    for one, other in ((a, b), (b, a)):
        if one.acked and not other.peer:
            return False
        if one.peer and not other.queued:
            return False
    return not (a.first and b.first)


def _possible() -> frozenset[tuple[int, int]]:
    pairs = {(a.state, b.state) for a, b in product(_FACTS, repeat=2) if _agree(a, b)}
    # Of a handshake each end knows what it has got: whoever is through has been acknowledged by one that had its SYN.
    for state in (SYN_SENT, SYN_RCVD):
        pairs |= {(SYN_SENT, state), (state, SYN_SENT)}
    for state in (SYN_RCVD, ESTABLISHED, FIN_WAIT_1):
        pairs |= {(SYN_RCVD, state), (state, SYN_RCVD)}
    return frozenset(pairs)


JOINT: Final = _possible()


class End:
    """One end of a connection: its state, and its numbers as far as it knows them. snd, rcv: -1 is unknown."""

    def __init__(self, state: int, iss: int, irs: int) -> None:
        self.state = state
        self.iss = iss
        self.irs = irs


def end_of(host: ExploredHost, key: bytes) -> End | None:
    """What a host has under a key; None: nothing."""
    if host.life is None:
        return None
    connections = host.life.stack._connections
    connection = connections.by_key.get(key)
    if connection is not None and connection.state not in (CLOSED, TIME_WAIT):
        return End(
            connection.state,
            connection.iss,
            connection.irs if connection.state != SYN_SENT else -1,
        )
    for listener in host.life.listeners.values():
        entry = listener._syns.get(key)
        if entry is not None:
            return End(SYN_RCVD, entry.iss, entry.irs)
    record = connections.time_wait.get(key)
    if record is not None:
        return End(TIME_WAIT, record.snd_nxt, record.rcv_nxt)
    return None


def _near(a: int, b: int) -> bool:
    """Numbers of one direction of one incarnation, or one of them unknown."""
    return a < 0 or b < 0 or (a - b) & 0xFFFFFFFF < _SPACE or (b - a) & 0xFFFFFFFF < _SPACE


def check_joint(world: World) -> None:
    """Raise Broken if both ends of a connection are in states that no order of events leads to."""
    calm = world.is_calm()
    for host in world.hosts:
        if host.life is None:
            continue
        for connection in host.life.stack.connections():
            _check_pair(world, host, connection, calm)


def _check_pair(world: World, host: ExploredHost, connection: Connection, calm: bool) -> None:
    here = end_of(host, connection.key)
    peer = world.host_of(connection.key[:4])
    if here is None or peer is None or peer is host:
        return
    there = end_of(peer, reverse_key(connection.key))
    if _began_by_cookie(host) and (there is None or there.state == TIME_WAIT):
        return  # a cookie that comes again begins again what has ended here: its price, told in docs/security.md
    if there is None or not (_near(here.iss, there.irs) and _near(here.irs, there.iss)):
        # Nobody, or another incarnation, which is the same to this one.
        if calm and (here.state not in GONE_WITH or not _may_be_alone(world, peer, here.state)):
            raise Broken(f"{host.name} is in {NAMES[here.state]}, and {peer.name} knows nothing of it")
        return
    if (here.state, there.state) not in JOINT and not world.is_deceived():
        raise Broken(f"{host.name} is in {NAMES[here.state]} while {peer.name} is in {NAMES[there.state]}")
    other = peer.life.stack._connections.by_key.get(reverse_key(connection.key)) if peer.life is not None else None
    if calm and other is not None and SYN_SENT not in (here.state, there.state):
        _check_numbers(host, connection, peer, other)


def _began_by_cookie(host: ExploredHost) -> bool:
    """What a host has may have begun so: a listener answers each SYN by a cookie, or has been full."""
    assert host.life is not None
    return host.config.syn_cookies == COOKIES_ALWAYS or any(
        listener._overflow_at >= 0 for listener in host.life.listeners.values()
    )


def _may_be_alone(world: World, peer: ExploredHost, state: int) -> bool:
    if state in (ESTABLISHED, FIN_WAIT_1):
        return peer.config.syn_cookies != COOKIES_OFF
    if state in (CLOSE_WAIT, LAST_ACK):
        return not world.reads_to_the_end(peer.number)
    return True


def _check_numbers(host: ExploredHost, connection: Connection, peer: ExploredHost, other: Connection) -> None:
    """What is acknowledged has arrived, and what has arrived was sent."""
    if (connection.iss, connection.irs) != (other.irs, other.iss):
        raise Broken(f"{host.name} and {peer.name} do not agree on their first numbers")
    una, limit = connection.sender.snd_una, connection.sender.ack_limit()
    nxt = other.receiver.rcv_nxt
    if not una <= nxt <= max(limit, 1):
        raise Broken(f"{host.name} has SND.UNA {una} and has sent up to {limit}; {peer.name} has got {nxt}")
