"""The joint states of both ends of one connection: which can be at the same time, and why no others.

Each end's state is a function of four facts. What one end knows of the other is true before it is known:
an end whose FIN is acknowledged has a peer that has reached it, and an end that has reached the peer's FIN has a peer
that has sent it. All pairs of facts that do not contradict this are the pairs of states below; docs/states.md has the
table. An end that is gone (no connection, no TIME-WAIT: CLOSED, LISTEN, or the answer to a SYN by cookie) remembers
nothing, so it is a matter of what happened: GONE_WITH tells who may be left alone, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

from synfin.explore.broken import Broken
from synfin.explore.facts import End, Facts
from synfin.explore.stage import Stage
from synfin.tcp.config import COOKIES_OFF
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


def _near(a: int, b: int) -> bool:
    """Numbers of one direction of one incarnation, or one of them unknown."""
    return a < 0 or b < 0 or (a - b) & 0xFFFFFFFF < _SPACE or (b - a) & 0xFFFFFFFF < _SPACE


def check_joint(stage: Stage, hosts: Sequence[Facts], calm: bool, deceived: bool) -> None:
    """Raise Broken if both ends of a connection are in states that no order of events leads to."""
    for number, facts in enumerate(hosts):
        for key, here in facts.ends.items():
            peer = stage.number_of.get(key[:4])
            if peer is None or peer == number:
                continue
            there = hosts[peer].ends.get(reverse_key(key))
            # A cookie that comes again begins again what has ended here: its price, told in docs/security.md.
            again = facts.by_cookie and (there is None or there.state == TIME_WAIT)
            if not again and not (hosts[peer].by_cookie and here.state == TIME_WAIT):
                _check_pair(stage, (number, here), (peer, there), calm, deceived)


def _check_pair(stage: Stage, one: tuple[int, End], other: tuple[int, End | None], calm: bool, deceived: bool) -> None:
    (number, here), (peer, there) = one, other
    name, other_name = stage.names[number], stage.names[peer]
    if there is None or not (_near(here.iss, there.irs) and _near(here.irs, there.iss)):
        # Nobody, or another incarnation, which is the same to this one.
        if calm and (here.state not in GONE_WITH or not _may_be_alone(stage, peer, here.state)):
            raise Broken(f"{name} is in {NAMES[here.state]}, and {other_name} knows nothing of it")
        return
    if (here.state, there.state) not in JOINT and not deceived:
        raise Broken(f"{name} is in {NAMES[here.state]} while {other_name} is in {NAMES[there.state]}")
    accounted = here.una >= 0 and there.una >= 0
    if calm and accounted and SYN_SENT not in (here.state, there.state):
        _check_numbers(name, here, other_name, there)


def _may_be_alone(stage: Stage, peer: int, state: int) -> bool:
    if state in (ESTABLISHED, FIN_WAIT_1):
        return stage.configs[peer].syn_cookies != COOKIES_OFF
    if state in (CLOSE_WAIT, LAST_ACK):
        return not stage.reads_to_the_end(peer)
    return True


def _check_numbers(name: str, here: End, other_name: str, there: End) -> None:
    """What is acknowledged has arrived, and what has arrived was sent."""
    if (here.iss, here.irs) != (there.irs, there.iss):
        raise Broken(f"{name} and {other_name} do not agree on their first numbers")
    if not here.una <= there.rcv_nxt <= max(here.limit, 1):
        raise Broken(
            f"{name} has SND.UNA {here.una} and has sent up to {here.limit}; {other_name} has got {there.rcv_nxt}"
        )
