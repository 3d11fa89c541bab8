"""TCP through a gateway: the outer connection first, then the inner one, which hears what the outside said.

A SYN is held while its destination is dialled (`Host.decide_syns`), once however often it comes. When the outer
connection stands the handshake inside goes on; its third segment finds the outer end waiting under its addresses.

What is dialled by the kernel's sockets goes by `sockets`, without a task; any other dial function is a coroutine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from synfin.aio.admitting import Later
from synfin.aio.host import Host
from synfin.aio.server import Server
from synfin.gateway.attempts import KernelAttempt, TaskAttempt
from synfin.gateway.dialling import Dial, by_kernel, is_short, meaning
from synfin.gateway.flow import GATEWAY, INSIDE, OUTSIDE, Counters, Flow, Ledger, Limits, Place
from synfin.gateway.relay import End, Held
from synfin.gateway.sockets import Sockets, can_be_had
from synfin.stack.addresses import is_address, is_elsewhere, packed
from synfin.stack.admission import ACCEPT, DROP

BACKLOG: Final = 1024
FIRST_LOOK: Final = 0.001  # seconds until a connection that both sides have closed is looked at again; then doubled
LAST_LOOK: Final = 32.0
LATE: Final = 1.0  # seconds that a third segment takes
Route = Callable[[str, Place, Place], "list[Place] | int"]
"""Where to dial for (protocol, source, destination), in order of preference; or what to say instead."""


class Connections:
    """All TCP connections of one gateway, from the inside to anywhere and from published ports to the inside."""

    def __init__(
        self, host: Host, dial: Dial, route: Route, ledger: Ledger, limits: Limits, counters: Counters, mark: int = 0
    ) -> None:
        self._host = host
        self._mark = mark
        self._dial = dial
        self._route = route
        self._ledger = ledger
        self._limits = limits
        self._counters = counters
        self._held = Held(limits.memory)
        self._waiting: dict[tuple[Place, Place], tuple[End, asyncio.TimerHandle]] = {}  # for their inner connection
        self._ends: dict[End, None] = {}  # that stand
        self._dialled = 0  # attempts under way
        self._finishing: dict[Flow, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Server | None = None
        self._sockets: Sockets | None = None  # for what the kernel dials, where it can be had

    async def start(self) -> None:
        """Take what the inside asks for."""
        loop = asyncio.get_running_loop()
        if self._dial is by_kernel and can_be_had(loop):
            self._sockets = Sockets(loop, self._host.engine.driver.turn, self._held.read_size, self._mark)
        elif self._mark:
            raise RuntimeError("mark is of the kernel's own sockets, on an event loop of asyncio's own, on Linux")
        self._server = await self._host.create_server(self._inner_end, port="*", backlog=BACKLOG)
        self._host.decide_syns(self.on_syn, self.on_lost)

    def close(self) -> None:
        """Take no more, and reset all."""
        if self._server is not None:
            if self._host.is_open():
                self._host.decide_syns(None)
                self._server.close()
            self._server = None
        for end, timer in self._waiting.values():
            timer.cancel()
            end.end()
        self._waiting.clear()
        for end in list(self._ends):
            end.end()
        for task in list(self._tasks):
            task.cancel()
        for flow, timer in list(self._finishing.items()):
            timer.cancel()
            self._finish(flow, 2 * LAST_LOOK)

    def release(self) -> None:
        """All has been told of its end: keep nothing."""
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def has_room(self) -> bool:
        """For one more connection. Whose third segment has not come for the longest time, and late, makes it.

        So it is forged senders who are forgotten.
        """
        if self._held.is_full():
            return False
        count = self._dialled + len(self._waiting) + len(self._ends) // 2
        if count < self._limits.connections:
            return True
        if not self._waiting:
            return False
        key, (_, timer) = next(iter(self._waiting.items()))
        if timer.when() - asyncio.get_running_loop().time() > self._limits.handshake_seconds - LATE:
            return False
        timer.cancel()
        self._give_up_waiting(key)
        return True

    # ---- outwards ----

    def on_syn(self, source: Place, destination: Place) -> int | Later:
        """A program inside asks for a connection."""
        if (source, destination) in self._waiting:
            return ACCEPT  # behind a cookie a SYN that comes again looks like the first
        places = self._route("tcp", source, destination)
        flow = self._ledger.begin("tcp", source, destination)
        if isinstance(places, int):
            return self._give_up(flow, places, "dropped" if places == DROP else "refused", None)
        if not self.has_room():
            self._counters.connections_dropped += 1
            return self._give_up(flow, DROP, "dropped", None)
        self._dialled += 1
        if self._sockets is not None and all(is_address(place[0]) for place in places):
            return KernelAttempt(self._sockets, self._end(flow, OUTSIDE), places, self._on_dialled).begin()
        end = self._end(flow, OUTSIDE)
        return TaskAttempt(self._reach(end, places), end, self._on_dialled)

    def _give_up(self, flow: Flow, verdict: int, outcome: str, error: BaseException | None) -> int:
        flow.close(GATEWAY if error is None else OUTSIDE)
        self._ledger.end(flow, outcome, error)
        return verdict

    async def _reach(self, end: End, places: list[Place]) -> None:
        """Dial the first place that answers. Raises what the last one's dial does."""
        for place in places[:-1]:
            end.flow.target = place
            with suppress(OSError, TimeoutError):
                await self._dial(lambda: end, *place)
                return
        end.flow.target = places[-1]
        await self._dial(lambda: end, *places[-1])

    def _on_dialled(self, end: End, error: BaseException | None) -> int:
        """The outer end stands, or this is why it does not; the verdict on who asked for it."""
        self._dialled -= 1
        flow = end.flow
        if error is None:
            key = (flow.src, flow.dst)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._limits.handshake_seconds, self._give_up_waiting, key)
            self._waiting[key] = (end, timer)
            return ACCEPT
        if isinstance(error, (OSError, TimeoutError)):
            if is_short(error):
                self._counters.outside_short += 1
            return self._give_up(flow, *meaning(error), error)
        flow.close(INSIDE)
        self._ledger.end(flow, "dropped", None if isinstance(error, asyncio.CancelledError) else error)
        return DROP

    def on_lost(self, source: Place, destination: Place) -> None:
        """Who asked has reset it before it stood, or went silent."""
        waiting = self._waiting.get((source, destination))
        if waiting is not None:
            waiting[1].cancel()
            self._give_up_waiting((source, destination))

    def _give_up_waiting(self, key: tuple[Place, Place]) -> None:
        """The third segment has not come: a forged sender, or one that has gone."""
        end, _ = self._waiting.pop(key)
        self._counters.handshakes_lost += 1
        end.flow.close(INSIDE)
        end.abort()
        if end.lost:
            self._ledger.end(end.flow, _outcome(end.flow))

    def _inner_end(self) -> asyncio.BaseProtocol:
        return _Arriving(self._take)

    def _take(self, transport: Any) -> None:
        """The inner connection stands: its outer end waits for it."""
        key = (transport.get_extra_info("peername")[:2], transport.get_extra_info("sockname")[:2])
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            flow = Flow("tcp", *key, asyncio.get_running_loop().time())  # it came too late, and its story was told
        else:
            waiting[1].cancel()
            flow = waiting[0].flow
        inner = self._end(flow, INSIDE)
        transport.set_protocol(inner)
        inner.connection_made(transport)
        if waiting is None or waiting[0].lost:
            inner.abort()
        else:
            self._join(inner, waiting[0])

    # ---- inwards ----

    def published(self, place: Place, as_client: bool) -> asyncio.BaseProtocol:
        """The end of a connection from outside, for a server inside."""
        return _Arriving(lambda transport: self._lead_in(transport, place, as_client))

    def _lead_in(self, transport: Any, place: Place, as_client: bool) -> None:
        client: Place = transport.get_extra_info("peername")[:2]
        flow = self._ledger.begin("tcp", client, place, inward=True)
        outer = self._end(flow, OUTSIDE)
        transport.set_protocol(outer)
        outer.connection_made(transport)
        if not self.has_room() or not self._host.is_open():
            self._counters.connections_dropped += 1
            flow.close(GATEWAY)
            outer.abort()
            return
        self._dialled += 1
        task = asyncio.get_running_loop().create_task(self._connect_inside(outer, place, client if as_client else None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect_inside(self, outer: End, place: Place, client: Place | None) -> None:
        inner = self._end(outer.flow, INSIDE)
        try:
            local = None if client is None or not is_elsewhere(packed(client[0])) else (client[0], 0)
            await self._host.create_connection(lambda: inner, *place, local_addr=local)
        except (OSError, ValueError) as error:
            outer.flow.error = error
            outer.flow.close(INSIDE)
            outer.abort()
            return
        finally:
            self._dialled -= 1
        if outer.lost:
            inner.abort()
            return
        self._join(inner, outer)

    # ---- both ----

    def _end(self, flow: Flow, side: str) -> End:
        return End(flow, side, self._held, self._limits.buffer, self._limits.linger_seconds, self._on_end)

    def _join(self, inner: End, outer: End) -> None:
        self._ends[inner] = None
        self._ends[outer] = None
        inner.flow.inner = inner.transport
        inner.join(outer)
        self._ledger.stands(inner.flow)

    def _on_end(self, end: End) -> None:
        self._ends.pop(end, None)
        flow = end.flow
        if end.other_is_over():
            waiting = self._waiting.get((flow.src, flow.dst))
            if waiting is None or waiting[0] is not end:  # else its inner connection will be reset when it comes
                self._finish(flow, FIRST_LOOK)

    def _finish(self, flow: Flow, pause: float) -> None:
        """Both ends have been closed; the flow is over when its inner connection has delivered what it holds."""
        loop = asyncio.get_running_loop()
        self._finishing.pop(flow, None)
        flow.tcp = flow.snapshot()
        if pause <= LAST_LOOK and _delivers(flow):
            self._finishing[flow] = loop.call_later(pause, self._finish, flow, 2 * pause)
            return
        flow.inner = None
        self._ledger.end(flow, _outcome(flow))


def _delivers(flow: Flow) -> bool:
    """Its inner connection has something that its peer has not acknowledged."""
    status = flow.tcp
    if status is None or status.state in ("CLOSED", "TIME-WAIT"):
        return False
    return status.unsent + status.unacknowledged > 0


def _outcome(flow: Flow) -> str:
    if flow.closed_by == GATEWAY:
        return "ended" if flow.connected is not None else "dropped"
    if flow.connected is None and flow.inward and flow.error is not None:
        return meaning(flow.error)[1]
    if flow.error is not None:
        return "reset"
    return "closed" if flow.connected is not None else "timeout"


class _Arriving(asyncio.Protocol):
    """Of a connection until it is known whose it is: no longer than its first call."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self._take = take

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._take(transport)
