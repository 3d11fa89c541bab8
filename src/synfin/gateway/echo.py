"""Pings through a gateway, by ping sockets, which need no right where net.ipv4.ping_group_range allows them.

The kernel gives such a socket an identifier of its own and its answers to nobody else, so that a pinging program and
its target have one for themselves, until there is silence.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from synfin.aio.echo import Echo
from synfin.aio.host import Host
from synfin.gateway.connections import Route
from synfin.gateway.dialling import marked, unreachable_code
from synfin.gateway.flow import GATEWAY, OUTSIDE, Counters, Flow, Ledger, Limits
from synfin.wire.icmp import V4_ECHO, V4_ECHO_REPLY, V6_ECHO, V6_ECHO_REPLY

UNANSWERED: Final = 64  # pings of one flow that may wait
HEADER: Final = 8
LARGEST: Final = 65535


class Pings:
    """All pings of one gateway. refused: why there is no ping socket; "": nobody has asked yet, or there is."""

    def __init__(
        self, host: Host, route: Route, ledger: Ledger, limits: Limits, counters: Counters, mark: int = 0
    ) -> None:
        self._mark = mark
        self.refused = ""
        self._host = host
        self._route = route
        self._ledger = ledger
        self._limits = limits
        self._counters = counters
        self._flows: OrderedDict[tuple[str, str, int], _Pinging] = OrderedDict()  # the longest silent first
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take what the inside asks."""
        self._host.serve_echo(self._on_echo)

    def close(self) -> None:
        """End all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key in list(self._flows):
            self._end(key, "ended", GATEWAY)

    def _on_echo(self, echo: Echo) -> None:
        key = (echo.src, echo.dst, echo.identifier)
        pinging = self._flows.get(key)
        if pinging is None:
            pinging = self._begin(echo, key)
            if pinging is None:
                return
        self._flows.move_to_end(key)
        pinging.send(echo)
        self._arm()

    def _begin(self, echo: Echo, key: tuple[str, str, int]) -> _Pinging | None:
        """A socket for it; None: it has been answered otherwise, or gets silence."""
        source, destination = (echo.src, 0), (echo.dst, 0)
        places = self._route("icmp", source, destination)
        flow = self._ledger.begin("icmp", source, destination)
        if isinstance(places, int):
            flow.close(GATEWAY)
            self._ledger.end(flow, "dropped")
            return None
        flow.target = places[0]
        if len(self._flows) >= self._limits.pings:
            self._counters.flows_dropped += 1
            self._end(next(iter(self._flows)), "dropped", GATEWAY)
        try:
            pinging = _Pinging(places[0][0], flow, self._limits.ping_seconds, self._mark)
        except (OSError, NotImplementedError) as error:
            flow.close(GATEWAY)
            if unreachable_code(error) and not isinstance(error, PermissionError):
                echo.unreachable(unreachable_code(error))
                self._ledger.end(flow, "unreachable", error)
                return None
            self._counters.pings_dropped += 1
            self.refused = str(error)
            self._ledger.end(flow, "dropped", error)
            return None
        self._flows[key] = pinging
        self._ledger.stands(flow)
        return pinging

    def _arm(self) -> None:
        if self._timer is None and self._flows:
            first = next(iter(self._flows.values()))
            self._timer = asyncio.get_running_loop().call_at(first.idle_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._flows:
            key, first = next(iter(self._flows.items()))
            if first.idle_at > now:
                break
            self._end(key, "idle", "")
        self._arm()

    def _end(self, key: tuple[str, str, int], outcome: str, side: str) -> None:
        pinging = self._flows.pop(key)
        pinging.close()
        if side:
            pinging.flow.close(side)
        self._ledger.end(pinging.flow, outcome)


class _Pinging:
    """One program's pings of one target, by a socket of their own. Raises OSError where there can't be one."""

    def __init__(self, target: str, flow: Flow, idle: float, mark: int) -> None:
        ipv6 = ":" in target
        self._request = V6_ECHO if ipv6 else V4_ECHO
        self._reply = V6_ECHO_REPLY if ipv6 else V4_ECHO_REPLY
        self.flow = flow
        self.idle_at = 0.0
        self._idle = idle
        self._waiting: OrderedDict[int, Echo] = OrderedDict()  # by sequence number
        self._loop = asyncio.get_running_loop()
        family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if ipv6 else (socket.AF_INET, socket.IPPROTO_ICMP)
        self._socket = socket.socket(family, socket.SOCK_DGRAM, protocol)
        try:
            self._socket.setblocking(False)
            if hasattr(socket, "IP_RECVERR") and not ipv6:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVERR, 1)
            marked(self._socket, mark).connect((target, 0))
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
        except BaseException:
            self._socket.close()
            raise

    def send(self, echo: Echo) -> None:
        """On to the target."""
        self.idle_at = self._loop.time() + self._idle
        self.flow.sent += len(echo.data)
        if len(self._waiting) >= UNANSWERED:
            self._waiting.popitem(last=False)
        self._waiting[echo.sequence] = echo
        head = bytes((self._request, 0, 0, 0, 0, 0)) + echo.sequence.to_bytes(2, "big")
        try:
            self._socket.send(head + echo.data)
        except OSError as error:
            self._on_error(error)

    def _on_readable(self) -> None:
        try:
            answer = self._socket.recv(LARGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self._on_error(error)
            return
        if len(answer) < HEADER or answer[0] != self._reply:
            return
        echo = self._waiting.pop(int.from_bytes(answer[6:8], "big"), None)
        if echo is not None:
            self.flow.received += len(answer) - HEADER
            echo.answer()

    def _on_error(self, error: OSError) -> None:
        """The network says that the target can't be reached: so does the oldest ping hear."""
        if hasattr(socket, "MSG_ERRQUEUE"):
            with suppress(OSError):
                self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        self.flow.error = error
        self.flow.close(OUTSIDE)
        code = unreachable_code(error)
        if code and self._waiting:
            _, echo = self._waiting.popitem(last=False)
            echo.unreachable(errno.EHOSTUNREACH if code == errno.ECONNREFUSED else code)

    def close(self) -> None:
        """Answers find nobody any more."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
