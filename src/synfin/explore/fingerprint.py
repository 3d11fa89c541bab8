"""The whole state of a host as plain values, and its hash: equal hashes mean that the same may follow.

A walk over every declared attribute of every object that can be reached from a Stack. Interpreted objects have a
__dict__; classes that mypyc compiled have one getter an attribute instead, and no other: both name the same fields.
Which fields are left out or read as differences to now is in `fields`; a few structures of which the order alone counts
are read by the functions below, each with its reason. What is of no known kind is refused, never passed over.
"""

from __future__ import annotations

import marshal
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from synfin.explore.fields import (
    CLASSES,
    LEFT_OUT,
    NOT_READ,
    READ_AS,
    STAMP,
    TICK,
    TIME,
)
from synfin.stack.ports import EphemeralPorts
from synfin.stack.time_wait_table import TimeWaitTable
from synfin.stack.timers import TimerQueue
from synfin.tcp.answers import INTERVAL_US, Answers
from synfin.tcp.challenge import SECOND_US, ChallengeBudget
from synfin.tcp.connection import Connection
from synfin.tcp.record_table import RecordTable
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.tcp.syn_queue import SynQueue
from synfin.tcp.syn_queue import unpack as unpack_half_open
from synfin.tcp.time_wait import unpack as unpack_time_wait
from synfin.tcp.timestamps import MASK, TICK_US

_PLAIN: Final = frozenset((int, bool, str, bytes, float, type(None)))
_NEVER: Final = 1 << 62
# What was earlier is all alike. The longest that a connection looks back on is five minutes, for the least round trip;
# but for PAWS, where it is days, and no path waits for so long.
_LONG_AGO_US: Final = 900_000_000
_SEEN: Final = "seen"
_MANY: Final = 100  # challenges, more than a path of a search can draw in a second

Plan = tuple[tuple[str, str], ...]


def fields_of(kind: type) -> list[str] | None:
    """The names of a compiled class's attributes, those of its bases first; None: its objects have a __dict__."""
    if kind.__dictoffset__ and not any(_getters(each) for each in kind.__mro__):
        return None
    return [name for each in reversed(kind.__mro__) for name in _getters(each)]


def _getters(kind: type) -> list[str]:
    return [
        name
        for name, what in vars(kind).items()
        if isinstance(what, (types.GetSetDescriptorType, types.MemberDescriptorType)) and not name.startswith("__")
    ]


def rule_of(kind: type, name: str) -> str:
    """How a field is read: "" as it is, LEFT_OUT, or as `fields` says."""
    for each in kind.__mro__:
        if (each.__name__, name) in NOT_READ:
            return LEFT_OUT
        found = READ_AS.get((each.__name__, name))
        if found is not None:
            return found
    return ""


_plans: dict[type, Plan] = {}
_plain_kinds: set[type] = set()
_left_out: set[type] = set()
_readers: dict[type, Callable[[Walk, Any], None]] = {}
_shapes: dict[tuple[type, tuple[str, ...]], Plan] = {}


class Walk:
    """One reading at `now`; `out` is what was read, plain values one after another."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.out: list[Any] = []
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no address is used twice

    def read(self, value: Any) -> None:
        """Read a value and all that it leads to."""
        kind = type(value)
        if kind in _PLAIN:
            self.out.append(value)
            return
        if kind is list or kind is tuple or kind is deque:
            self.out.append(len(value))
            for each in value:
                self.read(each)
            return
        if kind is dict or kind is OrderedDict:
            self.out.append(len(value))  # in their order: tables are walked through, and the first entry makes room
            for key, each in value.items():
                self.read(key)
                self.read(each)
            return
        if kind is set or kind is frozenset:
            self.out.append(sorted(value))
            return
        if kind is bytearray or kind is memoryview:
            self.out.append(bytes(value))
            return
        self._object(value, kind)

    def time(self, at: int) -> None:
        """A time, as the difference to now."""
        self.out.append(max(at - self.now, -_LONG_AGO_US) if at > 0 else at - _NEVER)

    def _object(self, value: Any, kind: type) -> None:
        if kind in _left_out or kind.__name__ in CLASSES:
            _left_out.add(kind)
            return
        place = self._seen.get(id(value))
        if place is not None:
            self.out.append((_SEEN, place))
            return
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        reader = _readers.get(kind)
        if reader is not None:
            self.out.append(kind.__name__)
            reader(self, value)
        else:
            self.fields(value, kind)

    def fields(self, value: Any, kind: type) -> None:
        """Every field of an object, in the order of their names."""
        out = self.out
        plan = _plan_of(value, kind)
        out.append(kind.__name__)
        now = self.now
        for name, rule in plan:
            each = getattr(value, name)
            if rule == "":
                what = type(each)
                if what in _PLAIN:
                    out.append(each)
                else:
                    self.read(each)
            elif rule == TIME:
                out.append(max(each - now, -_LONG_AGO_US) if each > 0 else each - _NEVER)
            elif rule == STAMP:
                out.append((each - now // TICK_US) & MASK if each > 0 else each - _NEVER)
            elif rule == TICK:
                out.append(each - now // TICK_US if each >= 0 else -_NEVER)


def _plan_of(value: Any, kind: type) -> Plan:
    plan = _plans.get(kind)
    if plan is not None:
        return plan
    if kind not in _plain_kinds:
        if kind.__module__.partition(".")[0] != "synfin":
            raise TypeError(f"how is a state to be compared that holds {kind.__module__}.{kind.__qualname__}?")
        names = fields_of(kind)
        if names is not None:
            plan = _plans[kind] = _plan(kind, names)
            return plan
        _plain_kinds.add(kind)
    # The attributes of an interpreted object may grow after __init__: each set of them has a plan of its own.
    shape = (kind, tuple(vars(value)))
    plan = _shapes.get(shape)
    if plan is None:
        plan = _shapes[shape] = _plan(kind, list(shape[1]))
    return plan


def _plan(kind: type, names: list[str]) -> Plan:
    rules = ((name, rule_of(kind, name)) for name in sorted(set(names)))
    return tuple((name, rule) for name, rule in rules if rule != LEFT_OUT)


# ---- what is read by what it means ----


def _timer_queue(walk: Walk, queue: Any) -> None:
    """Entries that count, in the order in which they are due; a stale one wakes nobody, and serials only grow."""
    live = sorted(entry[:2] for entry in queue._heap if entry[1] == entry[2].ticket and entry[2].deadline)
    timed = {entry[1]: entry[2] for entry in queue._heap if entry[1] == entry[2].ticket}
    walk.out.append(len(live))
    for at, ticket in live:
        walk.time(at)
        walk.read(timed[ticket])


def _answers(walk: Walk, answers: Any) -> None:
    """Who was answered in this half second; in the next nobody was."""
    walk.read(answers._challenges)
    answered = answers._answered if walk.now // INTERVAL_US == answers._interval else set()
    walk.read(answered)


def _challenges(walk: Walk, budget: Any) -> None:
    """Whether there is one left in this second; hundreds are, by chance of the second some more or less."""
    walk.out.append(min(budget._left, _MANY) if budget._second == walk.now // SECOND_US else _MANY)


def _records(walk: Walk, table: RecordTable, queues: int, unpack: Callable[[bytes], Any]) -> None:
    """The records of each queue in their order; a place that is stale is passed over by whoever asks."""
    for number in range(queues):
        places = list(table._queues[number] or ())
        live = [
            (key, record) for key, record in zip(places[::2], places[1::2], strict=True) if table.get(key) is record
        ]
        walk.out.append(len(live))
        for key, record in live:
            walk.out.append(key)
            walk.read(unpack(record))


def _time_wait_table(walk: Walk, table: Any) -> None:
    _records(walk, table._records, 1, unpack_time_wait)


def _syn_queue(walk: Walk, queue: Any) -> None:
    _records(walk, queue._entries, queue.retries + 1, unpack_half_open)


def _ports(walk: Walk, ports: Any) -> None:
    """Counters that were moved, of thousands."""
    walk.read([(place, count) for place, count in enumerate(ports._table) if count])
    walk.read(ports._crowds)


def _connection(walk: Walk, connection: Any) -> None:
    """One that has ended is what its user can still learn and read; its place in the tables is taken by others."""
    if (connection.state == CLOSED or connection.state == TIME_WAIT) and not connection.active:
        receiver = connection.receiver
        walk.out += [
            connection.key, connection.state, connection.error, connection._events, connection.waiting,
            receiver.ready_bytes, receiver.fin_reached, connection.closer.reader_gone,
        ]  # fmt: skip
    else:
        walk.fields(connection, Connection)


_readers.update(
    {
        TimerQueue: _timer_queue,
        Answers: _answers,
        ChallengeBudget: _challenges,
        TimeWaitTable: _time_wait_table,
        SynQueue: _syn_queue,
        EphemeralPorts: _ports,
        Connection: _connection,
    }
)
READ_BY_MEANING: Final = frozenset((*_readers, RecordTable))


def digest(values: list[Any]) -> bytes:
    """16 bytes: two different states of a billion share one with a chance of one to 10^20."""
    return blake2b(marshal.dumps(values, 2), digest_size=16).digest()  # 2: without references, which depend on identity
