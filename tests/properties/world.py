"""Two stacks, their users and a faulty link, for properties that must hold after every step.

Every byte a user reads is compared at once with what the other user wrote at that place: nothing lost, nothing twice,
nothing out of order, at no time. No wall clock, no monkeypatching: the same for every build.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from synfin.links.faults import Faults
from synfin.links.memory import MemoryLink
from synfin.stack.stack import Stack
from synfin.tcp import states
from synfin.tcp import turn as tcp
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.trace import Trace

PORT = 80
ACK_DELAY_US = 40_000
BAD_NETWORK = Faults(loss=0.2, duplicate=0.05, reorder=0.1, jitter_us=500)
WAITS_FOR_PEER = (states.SYN_SENT, states.SYN_RCVD, states.FIN_WAIT_1, states.CLOSING, states.LAST_ACK)


def entropy(seed: int) -> Callable[[int], bytes]:
    """Secrets that are the same in every run."""
    return random.Random(seed).randbytes


class End:
    """One user of one connection: what it writes, and what it has read of what the other end wrote."""

    def __init__(self, connection: Connection, stack: Stack) -> None:
        self.connection = connection
        self.stack = stack
        self.other: End | None = None  # known once both ends are
        self.written = bytearray()
        self.read = 0
        self.events = 0  # all that it heard so far
        self.paused = False  # reads nothing
        self.read_in: dict[int, int] = {}  # bytes read, by state
        self.on_event: Callable[[End, int, int], None] | None = None

    def write(self, data: bytes) -> None:
        self.written += data
        self.connection.write(data)

    def ended(self) -> bool:
        return self.connection.state in (states.CLOSED, states.TIME_WAIT)

    def take(self, now: int, limit: int = -1) -> None:
        """Read what is ready; it must be what the other end wrote."""
        for piece in self.connection.read(now, limit):
            assert self.other is not None, "bytes without anybody who wrote them"
            expected = self.other.written[self.read : self.read + len(piece)]
            assert piece == expected, f"wrong bytes at {self.read} in {states.NAMES[self.connection.state]}"
            self.read += len(piece)
            state = int(self.connection.state)
            self.read_in[state] = self.read_in.get(state, 0) + len(piece)

    def serve(self, now: int) -> None:
        events = self.connection.take_events()
        self.events |= events
        if not self.paused:
            self.take(now)
        if self.on_event is not None:
            self.on_event(self, events, now)


class World:
    """`left` and `right` listen both; connect() opens from either side."""

    def __init__(
        self,
        seed: int = 0,
        *,
        config: Config | None = None,
        other_config: Config | None = None,
        faults: Faults | None = None,
        offload: bool = False,
        ipv6: bool = False,
        trace: Trace | None = None,
    ) -> None:
        config = config if config is not None else Config()
        names = ("fd00::1", "fd00::2") if ipv6 else ("10.0.0.1", "10.0.0.2")
        self.left = Stack([names[0]], config, entropy=entropy(1), name="left", trace=trace)
        self.right = Stack([names[1]], other_config or config, entropy=entropy(2), name="right", trace=trace)
        self.names = {self.left: names[0], self.right: names[1]}
        self.link = MemoryLink(self.left, self.right, seed=seed, faults=faults, offload=offload)
        self.link.users = {self.left: self._serve, self.right: self._serve}
        self.listeners = {stack: stack.listen(PORT, backlog=1000) for stack in (self.left, self.right)}
        self.ends: dict[Connection, End] = {}
        self.on_accept: Callable[[End, int], None] | None = None
        self._opened: dict[bytes, End] = {}  # by the key the other side will see

    @property
    def now(self) -> int:
        return self.link.now

    def peer_of(self, stack: Stack) -> Stack:
        return self.right if stack is self.left else self.left

    def connect(self, stack: Stack | None = None) -> End:
        stack = self.left if stack is None else stack
        connection = stack.connect(self.names[self.peer_of(stack)], PORT, self.now)
        end = End(connection, stack)
        self.ends[connection] = end
        self._opened[connection.key_out] = end
        return end

    def _serve(self, stack: Stack, now: int) -> None:
        while (listener := stack.accepting()) is not None:
            while (connection := listener.accept()) is not None:
                end = End(connection, stack)
                end.other = self._opened[connection.key]
                end.other.other = end
                self.ends[connection] = end
                connection.remind()
                if self.on_accept is not None:
                    self.on_accept(end, now)
        while (ready := stack.ready()) is not None:
            known = self.ends.get(ready)
            if known is None:
                ready.take_events()  # nobody has accepted it yet
            else:
                known.serve(now)

    def open_pair(self, now_in: Callable[[], bool] | None = None) -> tuple[End, End]:
        """A connection from left to right, established on both sides."""
        end = self.connect()
        assert self.link.run(lambda: end.other is not None, self.now + 600_000_000), "it does not open"
        assert end.other is not None
        return end, end.other

    def all_ended(self) -> bool:
        return not self.left.connections() and not self.right.connections()

    def check(self) -> None:
        """DESIGN's rule of deadlines, for an instant at which both stacks have sent all they could."""
        for stack in (self.left, self.right):
            upcoming = stack.next_deadline()
            assert upcoming is None or upcoming > self.now, f"{stack.name}: a deadline in the past of an idle stack"
            census = stack.census()
            waits = census["half_open"] + census["time_wait"] > 0
            for connection in stack.connections():
                if connection.state in (states.CLOSED, states.TIME_WAIT):
                    continue
                name = states.NAMES[connection.state]
                sender = connection.sender
                for_peer = (
                    connection.state in WAITS_FOR_PEER
                    or not sender.idle()
                    or (connection.state == states.FIN_WAIT_2 and connection.closer.reader_gone)
                )
                deadline = connection.deadline
                if for_peer:
                    waits = True
                    assert deadline > self.now, f"{stack.name}: {name} waits for its peer without a deadline"
                    assert upcoming is not None and upcoming <= deadline
                elif connection.keepalive is None:
                    assert deadline <= self.now + ACK_DELAY_US, f"{stack.name}: {name} waits for its user by a timer"
                    waits = waits or deadline != 0
                else:
                    assert deadline > self.now
                    waits = True
            assert waits or upcoming is None, f"{stack.name} is idle and has a deadline"

    def census(self) -> dict[str, int]:
        """What both stacks still hold, once their listeners are closed and all has been told."""
        for stack, listener in self.listeners.items():
            stack.close_listener(listener, self.now)
        self.link.run()
        held: dict[str, int] = {}
        for stack in (self.left, self.right):
            assert stack.next_deadline() is None
            for name, count in stack.census().items():
                held[name] = held.get(name, 0) + count
        held["in_flight"] = self.link.in_flight()
        return held


def heard(end: End, event: int) -> bool:
    """The user has heard of this event."""
    return end.events & event != 0


EOF = tcp.EOF
CONNECTED = tcp.CONNECTED
FAILED = tcp.FAILED
