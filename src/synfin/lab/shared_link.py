"""One link that several connections share, in virtual time: a rate, a queue before it, a delay, and losses by chance.

Each connection has a host of its own, which sends as much as it may; all send to one server, over one bottleneck. The
way back has delay only. Nothing of TCP is here.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from synfin.lab.world import PORT, SECOND, entropy
from synfin.sim.link import LOST, Direction, LinkSettings
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.trace import Trace
from synfin.wire.key import key_src
from synfin.wire.segment import split

SERVER: Final = "10.0.1.1"
SLICE_US: Final = SECOND // 10  # of time, for which a rate and a window are kept
_CHUNK: Final = bytes(1 << 16)
_WAITING: Final = 4 * len(_CHUNK)  # in a connection that must never run dry
_SYN_BYTES: Final = 100  # what is shorter is spared by chance: a lost SYN tells nothing of congestion control


class Flow:
    """A host that sends without end, its connection, and what became of it."""

    def __init__(self, number: int, seed: int, config: Config, extra_us: int, trace: Trace | None) -> None:
        self.name = f"client {number}"
        self.address = bytes((10, 0, 0, number))
        self.extra_us = extra_us  # how much longer its way is than the others', each way
        self.connection: Connection | None = None
        self.received = 0  # bytes that the server's program got
        self.rates: list[float] = []  # bytes a second at the server, by slice
        self.windows: list[float] = []  # cwnd at the end of each slice
        self.stack = Stack([self.address], config, entropy=entropy(seed, self.name), name=self.name, trace=trace)

    def feed(self) -> None:
        """There is always something to send."""
        if self.connection is not None and not self.connection.error:
            while self.connection.queued_bytes() < max(_WAITING, 2 * self.cwnd()):
                self.connection.write(_CHUNK)

    def cwnd(self) -> int:
        """The congestion window, bytes."""
        return self.connection.sender.losses.congestion().cwnd if self.connection is not None else 0

    def rate(self, begin_us: int, end_us: int) -> float:
        """Bytes a second at the server in this stretch of time."""
        inside = self.rates[begin_us // SLICE_US : end_us // SLICE_US]
        return sum(inside) / len(inside) if inside else 0.0


class SharedLink:
    """rate: bits a second. queue: bytes. delay_us: one way. loss: share of the packets to the server."""

    def __init__(
        self, seed: int, *, rate: int, queue: int, delay_us: int, loss: float = 0.0, trace: Trace | None = None
    ) -> None:
        self.now = 0
        self.flows: list[Flow] = []
        self.rate = rate
        self._seed = seed
        self._trace = trace
        self._delay_us = delay_us
        self._bottleneck = Direction(
            LinkSettings(delay=delay_us, bandwidth=rate, queue=queue, loss=loss), f"{seed} bottleneck"
        )
        self._server = Stack([SERVER], Config(), entropy=entropy(seed, "server"), name="server", trace=trace)
        self._server.listen(PORT)
        self._by_address: dict[bytes, Flow] = {}
        self._travelling: list[tuple[int, int, Stack, bytes]] = []
        self._serial = 0

    def add(self, control: str, extra_us: int = 0) -> Flow:
        """One more host begins to send now, with this congestion control."""
        number = len(self.flows) + 1
        flow = Flow(number, self._seed, Config(congestion_control=control), extra_us, self._trace)
        self.flows.append(flow)
        self._by_address[flow.address] = flow
        flow.rates += [0.0] * (self.now // SLICE_US)
        flow.windows += [0.0] * (self.now // SLICE_US)
        flow.connection = flow.stack.connect(SERVER, PORT, self.now, local_port=40000)
        flow.feed()
        self._send(flow.stack)
        return flow

    def run(self, microseconds: int) -> None:
        """Let whole slices of time pass, and keep what each flow got in them."""
        for _ in range(microseconds // SLICE_US):
            before = [flow.received for flow in self.flows]
            self._advance(self.now + SLICE_US)
            for flow, had in zip(self.flows, before, strict=True):
                flow.rates.append((flow.received - had) * SECOND / SLICE_US)
                flow.windows.append(flow.cwnd())

    def _advance(self, end: int) -> None:
        stacks = [self._server, *(flow.stack for flow in self.flows)]
        while True:
            times = [deadline for stack in stacks if (deadline := stack.next_deadline()) is not None]
            if self._travelling:
                times.append(self._travelling[0][0])
            if not times or min(times) > end:
                break
            self.now = max(min(times), self.now)
            touched: dict[Stack, None] = {}
            while self._travelling and self._travelling[0][0] <= self.now:
                _, _, stack, packet = heappop(self._travelling)
                stack.receive(packet, self.now)
                touched[stack] = None
            for stack in stacks:
                deadline = stack.next_deadline()
                if deadline is not None and deadline <= self.now:
                    stack.on_timer(self.now)
                    touched[stack] = None
            self._serve()
            for stack in touched:
                self._send(stack)
        self.now = end

    def _serve(self) -> None:
        """The programs: the server's reads all, the clients write more."""
        server = self._server
        while (listener := server.accepting()) is not None:
            while (accepted := listener.accept()) is not None:
                accepted.remind()
        while (connection := server.ready()) is not None:
            connection.take_events()
            flow = self._by_address[key_src(connection.key)]
            flow.received += sum(len(piece) for piece in connection.read(self.now))
        for flow in self.flows:
            while (mine := flow.stack.ready()) is not None:
                mine.take_events()
            flow.feed()

    def _send(self, stack: Stack) -> None:
        while bursts := stack.poll(self.now, 1 << 20):
            for burst in bursts:
                for packet in split(burst):
                    self._carry(stack, packet)

    def _carry(self, sender: Stack, packet: bytes) -> None:
        if sender is self._server:
            flow = self._by_address[packet[16:20]]
            self._arrive(self.now + self._delay_us + flow.extra_us, flow.stack, packet)
            return
        flow = self._by_address[packet[12:16]]
        lost = len(packet) > _SYN_BYTES and self._bottleneck.draw()[0] == LOST
        arrival = -1 if lost else self._bottleneck.arrival(len(packet), self.now, 0, True)
        if arrival >= 0:
            self._arrive(arrival + flow.extra_us, self._server, packet)

    def _arrive(self, at: int, stack: Stack, packet: bytes) -> None:
        self._serial += 1
        heappush(self._travelling, (at, self._serial, stack, packet))
