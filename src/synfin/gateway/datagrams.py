"""UDP through a gateway: a pair of endpoints for each sender and whom he sends to, until there is silence.

A resolver is one more destination, of which there may be several: what is asked again without having been answered is
asked of the next, and so is what one refuses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from synfin.aio.flows import FlowServer
from synfin.aio.host import Host
from synfin.gateway.connections import Route
from synfin.gateway.dialling import DialDatagrams, is_short, meaning, unreachable_code
from synfin.gateway.flow import GATEWAY, INSIDE, OUTSIDE, Counters, Flow, Ledger, Limits, Place
from synfin.stack.admission import ACCEPT, DROP

DNS_PORT: Final = 53
EARLY: Final = 16  # datagrams that wait until the outer endpoint stands
UNSENT: Final = 64 * 1024  # bytes that the outside has not taken; more is dropped


class Datagrams:
    """All UDP of one gateway."""

    def __init__(
        self,
        host: Host,
        dial: DialDatagrams,
        route: Route,
        ledger: Ledger,
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._host = host
        self._dial = dial
        self._route = route
        self._ledger = ledger
        self._limits = limits
        self.limit = limits.datagram_flows
        self.counters = counters
        self._accepted: dict[tuple[Place, Place], list[Place]] = {}  # until their flow begins, a moment later
        self._flows: OrderedDict[Relayed, float] = OrderedDict()  # and when each is idle; the longest silent first
        self._server: FlowServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Take what the inside sends."""
        self._server = self._host.create_datagram_server(_Arriving(self._begin), self._on_datagram)

    def close(self) -> None:
        """Take no more, and end all."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for flow in list(self._flows):
            flow.flow.close(GATEWAY)
            self.end(flow, "ended")
        for task in list(self._tasks):
            task.cancel()

    def _on_datagram(self, source: Place, destination: Place) -> int:
        places = self._route("udp", source, destination)
        if isinstance(places, int):
            flow = self._ledger.begin("udp", source, destination)
            flow.close(GATEWAY)
            self._ledger.end(flow, "dropped" if places == DROP else "refused")
            return places
        self._accepted[source, destination] = places
        return ACCEPT

    def _begin(self, transport: Any) -> asyncio.DatagramProtocol:
        """A flow has begun inside: what it has for its protocol."""
        source, destination = transport.get_extra_info("peername")[:2], transport.get_extra_info("sockname")[:2]
        places = self._accepted.pop((source, destination), [destination])
        is_dns = destination[1] == DNS_PORT and places != [destination]
        relayed = self.relay(self._ledger.begin("udp", source, destination), places, is_dns)
        relayed.inner = transport
        self.dial(relayed)
        return Inner(relayed)

    # ---- flows ----

    def from_client(self, client: Place, place: Place) -> Relayed:
        """A flow that a client outside has begun, at a published port."""
        return self.relay(self._ledger.begin("udp", client, place, inward=True), [place])

    def relay(self, flow: Flow, places: list[Place], is_dns: bool = False) -> Relayed:
        """Keep a flow, for which the one that was silent for the longest time may have to go."""
        if len(self._flows) >= self._limits.datagram_flows:
            oldest = next(iter(self._flows))
            self.counters.flows_dropped += 1
            oldest.flow.close(GATEWAY)
            self.end(oldest, "dropped")
        idle = self._limits.dns_seconds if is_dns else self._limits.datagram_seconds
        relayed = Relayed(flow, places, idle, is_dns, self)
        self.touch(relayed)
        return relayed

    def touch(self, relayed: Relayed) -> None:
        """Something was sent either way."""
        loop = asyncio.get_running_loop()
        self._flows[relayed] = loop.time() + relayed.idle
        self._flows.move_to_end(relayed)
        if self._timer is None:
            self._timer = loop.call_later(relayed.idle, self._on_timer)

    def _on_timer(self) -> None:
        """End those that have been silent for too long, and look again when the next may be."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for relayed in [relayed for relayed, until in self._flows.items() if until <= now]:
            error = relayed.flow.error
            self.end(relayed, meaning(error)[1] if error is not None and not relayed.flow.received else "idle")
        self._timer = loop.call_at(min(self._flows.values()), self._on_timer) if self._flows else None

    def dial(self, relayed: Relayed) -> None:
        """Reach the flow's next place."""
        self.spawn(self._reach(relayed))

    async def _reach(self, relayed: Relayed) -> None:
        place = relayed.place()
        relayed.flow.target = place
        try:
            await self._dial(lambda: _Outer(relayed), remote_addr=place)
        except OSError as error:
            if is_short(error):
                self.counters.outside_short += 1
            relayed.on_error(error)
            if not relayed.is_dns:
                self.end(relayed, meaning(error)[1], error)

    async def reach_inside(self, relayed: Relayed) -> None:
        """An endpoint of the host for what a client outside sends."""
        try:
            await self._host.create_datagram_endpoint(lambda: Inner(relayed), remote_addr=relayed.place())
        except OSError as error:
            self.end(relayed, meaning(error)[1], error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done, until the gateway ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stands(self, relayed: Relayed) -> None:
        """Both sides have it."""
        self._ledger.stands(relayed.flow)

    def end(self, relayed: Relayed, outcome: str, error: BaseException | None = None) -> None:
        """Close both endpoints."""
        if self._flows.pop(relayed, None) is None:
            return
        for transport in (relayed.inner, relayed.outer):
            if transport is not None:
                transport.close()
        self._ledger.end(relayed.flow, outcome, error)


class Relayed:
    """One flow. places: where it may go, in order of preference."""

    def __init__(self, flow: Flow, places: list[Place], idle: float, is_dns: bool, all_flows: Datagrams) -> None:
        self.flow = flow
        self.idle = idle
        self.is_dns = is_dns
        self.inner: Any = None
        self.outer: Any = None
        self._all = all_flows
        self._places = places
        self._tries = 0
        self._asked = False  # and not answered yet
        self._last: bytes | None = None  # that was sent out
        self._early: list[bytes] = []  # what came before the outer endpoint stood
        self._early_in: list[bytes] = []  # ... the inner one

    def place(self) -> Place:
        """Where it goes now."""
        return self._places[self._tries % len(self._places)]

    def from_inside(self, data: bytes) -> None:
        """On to the outside, or to wait for it."""
        self.flow.sent += len(data)
        self._all.touch(self)
        if self._asked and len(self._places) > 1:
            self._try_next()
        self._asked = True
        if self.outer is None:
            self._keep(self._early, data)
        elif self.outer.get_write_buffer_size() + len(data) > UNSENT:
            self._all.counters.datagrams_dropped += 1
        else:
            self._last = data
            self.outer.sendto(data)

    def _keep(self, early: list[bytes], data: bytes) -> None:
        if len(early) >= EARLY:
            self._all.counters.datagrams_dropped += 1
        else:
            early.append(data)

    def _try_next(self) -> None:
        """What was asked has not been answered: ask another."""
        self._tries += 1
        if self.outer is not None:
            self.outer.close()
            self.outer = None
        self._all.dial(self)

    def outer_stands(self, transport: Any) -> None:
        """What came early goes out."""
        if self.flow.ended is not None:
            transport.close()
            return
        self.outer = transport
        self._all.stands(self)
        early, self._early = self._early, []
        for data in early:
            self._last = data
            transport.sendto(data)

    def from_outside(self, data: bytes) -> None:
        """An answer."""
        self._asked = False
        self.flow.received += len(data)
        self._all.touch(self)
        if self.inner is None:
            self._keep(self._early_in, data)
        else:
            self.inner.sendto(data)

    def inner_stands(self, transport: Any) -> None:
        """The same for an endpoint that was made for a client outside."""
        if self.flow.ended is not None:
            transport.close()
            return
        self.inner = transport
        self._all.stands(self)
        early, self._early_in = self._early_in, []
        for data in early:
            transport.sendto(data)

    def on_error(self, error: BaseException) -> None:
        """The outside says that it arrives nowhere: so the inside hears, unless there is another to ask."""
        if self.is_dns and self._tries + 1 < len(self._places):
            self._early = [self._last] if self._last is not None else self._early
            self._try_next()
            return
        self.flow.error = error
        self.flow.close(OUTSIDE)
        code = unreachable_code(error)
        if code and self.inner is not None and hasattr(self.inner, "unreachable"):
            self.inner.unreachable(code)

    def on_inner_error(self) -> None:
        """A program inside hears no more (ICMP says so), or what was for it fits no packet."""
        self._all.counters.datagrams_dropped += 1

    def lost(self, side: str) -> None:
        """One of the endpoints is over."""
        self.flow.close(side)
        self._all.end(self, "closed")


class _Arriving(asyncio.DatagramProtocol):
    """Of a flow until it is known where it goes: no longer than its first call."""

    def __init__(self, begin: Callable[[Any], asyncio.DatagramProtocol]) -> None:
        self._begin = begin

    def __call__(self) -> _Arriving:
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._begin(transport))


class Inner(asyncio.DatagramProtocol):
    """The program's side."""

    def __init__(self, relayed: Relayed) -> None:
        self._relayed = relayed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """What the program sends can be answered from now on."""
        self._relayed.inner_stands(transport)

    def datagram_received(self, data: bytes, _: Any) -> None:
        """One datagram of the program's, on its way out."""
        self._relayed.from_inside(data)

    def error_received(self, _: Exception) -> None:
        """The program does not take what it was sent."""
        self._relayed.on_inner_error()

    def connection_lost(self, _: Exception | None) -> None:
        """The inner half is over, and the relay with it."""
        self._relayed.lost(INSIDE)


class _Outer(asyncio.DatagramProtocol):
    """The other side."""

    def __init__(self, relayed: Relayed) -> None:
        self._relayed = relayed
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._relayed.outer_stands(transport)

    def datagram_received(self, data: bytes, _: Any) -> None:
        if self._relayed.outer is self._transport:
            self._relayed.from_outside(data)

    def error_received(self, error: Exception) -> None:
        if self._relayed.outer is self._transport:
            self._relayed.on_error(error)

    def connection_lost(self, error: Exception | None) -> None:
        if self._relayed.outer is self._transport and error is not None:
            self._relayed.lost(OUTSIDE)
