"""What a gateway tells of each thing it relays, how many there may be, and what it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from synfin.tcp.status import ConnectionSnapshot

Place = tuple[str, int]

INSIDE = "inside"
OUTSIDE = "outside"
GATEWAY = "gateway"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one gateway. Sizes are bytes, times seconds. Raises ValueError or TypeError for what makes no sense."""

    connections: int = 4096
    """TCP connections, dialled ones included; one more gets silence, and its client tries again."""
    buffer: int = 64 * 1024
    """What one direction of a connection keeps before its reader pauses; a read of at most 256 KiB comes on top."""
    memory: int = 768 << 20
    """What all directions that are held up keep; above it no new connection is taken."""
    handshake_seconds: float = 75.0
    """How long an outer connection waits for the third segment of the inner one."""
    linger_seconds: float = 2.0
    """How long a reset waits for what came before it to be delivered."""
    datagram_flows: int = 1024
    """UDP flows; whichever was silent for the longest time makes room."""
    datagram_seconds: float = 60.0
    """A UDP flow ends after such a silence."""
    dns_seconds: float = 10.0
    """The same, of one that asks a resolver."""
    pings: int = 128
    """Pairs of a pinging program and its target; whichever was silent for the longest time makes room."""
    ping_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"Limits.{field.name} is a number, not {type(value).__name__}")
            if not value > 0:
                raise ValueError(f"Limits.{field.name} is above 0, not {value}")


class Counters:
    """What a gateway has counted since it began."""

    def __init__(self) -> None:
        self.connections_dropped = 0  # SYNs above `connections` or `memory`
        self.handshakes_lost = 0  # outer connections whose inner one never came
        self.outside_short = 0  # attempts for which this machine had no descriptors, ports or memory
        self.datagrams_dropped = 0  # that the outside took no more of, or that fit no packet inside
        self.flows_dropped = 0  # UDP flows and pings that made room
        self.pings_dropped = 0  # for which there is no ping socket

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        return dict(vars(self))


class Flow:
    """A TCP connection, a UDP flow, the pings of a program to one target, or an attempt at one of them.

    protocol: "tcp", "udp" or "icmp". src and dst: (address, port) as the inside sees them. target: what was dialled.
    inward: it came from outside, to a published port. Times are the loop's, None until they have come.
    sent and received: bytes of payload, as the inside sees it.
    outcome: "" while it lives; then "closed" (in order), "reset", "refused", "unreachable", "timeout", "idle",
    "dropped" (by a limit or by word of `route`), "ended" (with the gateway).
    closed_by: who ended it or began to, "inside", "outside" or "gateway". error: what the outside gave.
    """

    def __init__(self, protocol: str, src: Place, dst: Place, began: float, inward: bool = False) -> None:
        self.protocol = protocol
        self.src = src
        self.dst = dst
        self.target: Place = dst
        self.inward = inward
        self.began = began
        self.connected: float | None = None
        self.ended: float | None = None
        self.sent = 0
        self.received = 0
        self.outcome = ""
        self.closed_by = ""
        self.error: BaseException | None = None
        self.tcp: ConnectionSnapshot | None = None
        """STATUS of the inner connection at its end."""
        self.inner: asyncio.BaseTransport | None = None
        """The inner connection's transport, while it lives."""

    def __repr__(self) -> str:
        state = self.outcome or ("open" if self.connected is not None else "opening")
        return f"<Flow {self.protocol} {self.src} -> {self.dst} {state} sent={self.sent} received={self.received}>"

    def snapshot(self) -> ConnectionSnapshot | None:
        """STATUS of the inner connection, as it is now or was at its end; None: there never was one."""
        if self.inner is None:
            return self.tcp
        now: Any = self.inner.get_extra_info("tcp_info")
        return now if isinstance(now, ConnectionSnapshot) else self.tcp

    def close(self, side: str) -> None:
        """`side` has begun to end it, unless another has."""
        if not self.closed_by:
            self.closed_by = side


class Ledger:
    """The flows that live, and who is told of them. What the user's callbacks raise goes to the loop's handler."""

    def __init__(self, on_open: Callable[[Flow], object] | None, on_end: Callable[[Flow], object] | None) -> None:
        self.live: dict[Flow, None] = {}
        self._on_open = on_open
        self._on_end = on_end

    def begin(self, protocol: str, src: Place, dst: Place, inward: bool = False) -> Flow:
        """Something is asked for."""
        flow = Flow(protocol, src, dst, asyncio.get_running_loop().time(), inward)
        self.live[flow] = None
        return flow

    def stands(self, flow: Flow) -> None:
        """Both sides have it."""
        if flow.connected is None and flow in self.live:
            flow.connected = asyncio.get_running_loop().time()
            self._tell(self._on_open, flow)

    def end(self, flow: Flow, outcome: str, error: BaseException | None = None) -> None:
        """It is over; only the first time counts."""
        if self.live.pop(flow, flow) is flow:
            return
        flow.ended = asyncio.get_running_loop().time()
        flow.outcome = outcome
        if flow.error is None:
            flow.error = error
        self._tell(self._on_end, flow)

    def _tell(self, call: Callable[[Flow], object] | None, flow: Flow) -> None:
        if call is None:
            return
        try:
            call(flow)
        except Exception as problem:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{call!r}, which is told of flows, failed", "exception": problem}
            )
