"""What holds in every state, and what at every end: deadlines, accounts, bytes, joint states.

Each law raises Broken with what is wrong. They read what a stack keeps and change nothing; `at_the_end` closes what
listens, and is the last that is done to a world.
"""

from __future__ import annotations

from typing import Final

from synfin.explore.accounts import accounts_hold
from synfin.explore.broken import Broken, demand
from synfin.explore.host import ExploredHost
from synfin.explore.joint import check_joint
from synfin.explore.world import World
from synfin.scenario.model import Step
from synfin.scenario.programs import DONE, FAILED, WAITING
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

# How a connection may fail where somebody crashed, aborted or forged (RFC 9293 3.10.7, 3.8.3).
ERRORS: Final = (
    "ECONNRESET",
    "EPIPE",
    "ETIMEDOUT",
    "ECONNREFUSED",
    "EADDRINUSE",
    "ENOTCONN",
)


def in_every_state(world: World) -> None:
    """Raise Broken for the first law that does not hold now."""
    for host in world.hosts:
        if host.life is not None:
            stack = host.life.stack
            _deadlines(host, stack, world.now)
            _tables(host, stack)
            for connection in stack.connections():
                if connection.state not in (*_ENDED, states.SYN_SENT, states.SYN_RCVD):
                    try:
                        accounts_hold(connection)
                    except AssertionError as error:
                        raise Broken(f"{host.name}: {error}") from None
        for program in host.programs:
            demand(
                not program.astray,
                f"{host.name} has read bytes that stand elsewhere in what the other wrote",
            )
    check_joint(world)
    if world.is_calm() and not any(_is_crowded(world, step) for step in world.scenario.steps):
        for host in world.hosts:
            if host.life is not None:
                counters = host.life.stack.counters
                demand(not counters.TCPAbortOnTimeout, f"{host.name} has given up although nobody was silent")
                again = world.is_whole() and counters.TCPTimeouts
                demand(not again, f"{host.name} waited in vain although nothing was lost")


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


# ---- at the end ----


def at_the_end(world: World) -> None:
    """Nothing can happen any more: raise Broken unless all has ended as it may."""
    violence = not world.is_calm()
    crowded = any(_is_crowded(world, step) for step in world.scenario.steps)
    refused = any(
        step.do == "open" and outcome.result == FAILED
        for step, outcome in zip(world.scenario.steps, world.outcomes, strict=True)
    )
    lonely = violence or crowded or refused
    for host in world.hosts:
        if host.life is None:
            continue
        stack = host.life.stack
        for listener in host.life.listeners.values():
            stack.close_listener(listener, world.now)
        host.settle(world.now)
        left = {name: count for name, count in stack.census().items() if count}
        if violence and all(_is_half_open(connection) for connection in stack.connections()):
            # Its peer is gone and it has nothing to ask: RFC 9293 3.5.1 calls it half-open, and waits for a user.
            for name in ("connections", "memory"):
                left.pop(name, None)
        demand(not left, f"{host.name}: at the end there is left {left}")
    for host in world.hosts:
        for program in host.programs:
            for step, outcome in program.steps:
                what = f"{host.name} {step.do}"
                excused = violence or (step.do == "open" and _may_fail(world, step, outcome.error))
                demand(
                    outcome.result != FAILED or excused,
                    f"{what} failed without a reason: {outcome.error}",
                )
                demand(
                    not outcome.error or any(each in outcome.error for each in ERRORS),
                    f"{what} failed by {outcome.error}",
                )
                demand(outcome.result != WAITING or lonely, f"{what} waits for ever")
                if step.do == "read" and outcome.result == DONE and not step.bytes and not outcome.forged:
                    _bytes_exact(world, outcome.step, what)


def _may_fail(world: World, opened: Step, error: str) -> bool:
    """In a simultaneous open nobody hears a SYN until he has sent his own; and a full queue costs patience."""
    if "REFUSED" in error:
        return not any(_hears(opened, step) for step in world.scenario.steps)
    return "ETIMEDOUT" in error and any(_is_crowded(world, step) for step in world.scenario.steps)


def _hears(opened: Step, step: Step) -> bool:
    return step.do == "listen" and step.host == opened.to and step.port == opened.port


def _is_crowded(world: World, listens: Step) -> bool:
    """More may come than may wait there, and who accepts takes his time: some SYN, or third segment, is never taken."""
    steps = world.scenario.steps
    late = any(
        step.do == "accept" and step.host == listens.host and (step.at_us > 0 or step.after_us > 0) for step in steps
    )
    opens = sum(step.do == "open" and _hears(step, listens) for step in steps)
    return listens.do == "listen" and late and listens.backlog < opens


def _is_half_open(connection: Connection) -> bool:
    return connection.state in _WAITS_FOR_USER and not waits_for_peer(connection) and connection.deadline == 0


def _bytes_exact(world: World, number: int, what: str) -> None:
    """A stream that ended in order has all that was written."""
    read, written = world.streams_of(number)
    demand(
        written is None or read == written,
        f"{what}: the stream ended after {read} bytes of {written} written",
    )
