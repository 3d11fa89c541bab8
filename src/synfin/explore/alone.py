"""What holds of each host by itself in every state: deadlines, tables, accounts, bytes read at their places.

Each law raises Broken with what is wrong. They read what a stack keeps and change nothing.
"""

from __future__ import annotations

from typing import Final

from synfin.explore.accounts import accounts_hold
from synfin.explore.broken import Broken, demand
from synfin.explore.host import ExploredHost
from synfin.stack.stack import Stack
from synfin.tcp import states
from synfin.tcp.connection import Connection

WAITS_FOR_PEER: Final = (
    states.SYN_SENT,
    states.SYN_RCVD,
    states.FIN_WAIT_1,
    states.CLOSING,
    states.LAST_ACK,
)
_ENDED: Final = (states.CLOSED, states.TIME_WAIT)
_WAITS_FOR_USER: Final = (states.ESTABLISHED, states.CLOSE_WAIT, states.FIN_WAIT_2)


def check_alone(host: ExploredHost, now: int) -> None:
    """Raise Broken for the first law that does not hold of a host."""
    if host.life is not None:
        stack = host.life.stack
        _deadlines(host, stack, now)
        _tables(host, stack)
        for connection in stack.connections():
            if connection.state not in (*_ENDED, states.SYN_SENT, states.SYN_RCVD):
                try:
                    accounts_hold(connection)
                except AssertionError as error:
                    raise Broken(f"{host.name}: {error}") from None
    for program in host.programs:
        demand(not program.astray, f"{host.name} has read bytes that stand elsewhere in what the other wrote")


def is_half_open(connection: Connection) -> bool:
    """Its peer may be gone and it has nothing to ask: RFC 9293 3.5.1; it waits for a user."""
    return connection.state in _WAITS_FOR_USER and not waits_for_peer(connection) and connection.deadline == 0


def _deadlines(host: ExploredHost, stack: Stack, now: int) -> None:
    """Whoever waits for its peer has a deadline, and whoever waits for its user has none."""
    upcoming = stack.next_deadline()
    demand(
        upcoming is None or upcoming > now,
        f"{host.name}: a deadline in the past of an idle stack",
    )
    census = stack.census()
    waits = census["half_open"] + census["time_wait"] > 0
    for connection in stack.connections():
        if connection.state in _ENDED:
            continue
        name = states.NAMES[connection.state]
        deadline = connection.deadline
        if waits_for_peer(connection):
            waits = True
            demand(
                deadline > now,
                f"{host.name}: {name} waits for its peer without a deadline",
            )
            demand(
                upcoming is not None and upcoming <= deadline,
                f"{host.name}: {name} has a deadline nobody keeps",
            )
        elif connection.keepalive is None:
            demand(
                deadline <= now + stack.config.ack_delay_us,
                f"{host.name}: {name} waits for its user by a timer",
            )
            waits = waits or deadline != 0
        else:
            demand(deadline > now, f"{host.name}: {name} keeps nobody alive")
            waits = True
    demand(waits or upcoming is None, f"{host.name} is idle and has a deadline")


def waits_for_peer(connection: Connection) -> bool:
    """It has sent something that asks for an answer, or waits for a peer whose user is the only one left."""
    return (
        connection.state in WAITS_FOR_PEER
        or not connection.sender.idle()
        or (connection.state == states.FIN_WAIT_2 and connection.closer.reader_gone)
    )


def _tables(host: ExploredHost, stack: Stack) -> None:
    """The sums are those of their parts."""
    census = stack.census()
    connections = stack.connections()
    assert host.life is not None
    half_open = sum(listener.half_open() for listener in host.life.listeners.values())
    counted = (stack._env.half_open, stack._env.orphans)
    orphans = sum(connection.closer.orphan for connection in connections)
    demand(
        counted == (half_open, orphans),
        f"{host.name}: {counted} counted, {(half_open, orphans)} half open, orphans",
    )
    memory = sum(connection.charged for connection in connections)
    demand(
        census["memory"] == memory,
        f"{host.name}: {census['memory']} bytes are charged, and {memory} held",
    )
    demand(
        not census["outbox"] and not census["active"],
        f"{host.name}: something is left to send after a poll",
    )
