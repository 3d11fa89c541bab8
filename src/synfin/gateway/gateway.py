"""The face of a gateway: its arguments, its life, where things go, and its published ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import Any

from synfin.aio.host import Host
from synfin.gateway.connections import Connections
from synfin.gateway.datagrams import Datagrams
from synfin.gateway.dialling import Dial, DialDatagrams, by_kernel, datagrams_by_kernel, marked_datagrams
from synfin.gateway.dns import DNS_PORT
from synfin.gateway.echo import Pings
from synfin.gateway.flow import Counters, Flow, Ledger, Limits, Place
from synfin.gateway.published import publish_datagrams
from synfin.stack.admission import check_verdict

OnRoute = Callable[[str, Place, Place], "Place | int | None"]
Resolver = str | Place


class Gateway:
    """Relays what the inside, behind `host`, sends to anywhere. The host has any_destination=True and is open.

    dial: has the signature of loop.create_connection, as far as (protocol_factory, address, port). dial_datagrams: the
    same of loop.create_datagram_endpoint, with remote_addr. Both by default the running loop's.
    route(protocol, source, destination): asked for each new thing; protocol is "tcp", "udp" or "icmp". It answers None:
    as it is; (address, port): go there; or REFUSE, DROP or unreachable(errno).
    dns: {address inside: resolvers}; what is sent to port 53 there goes to them, the next where one does not answer.
    echo: relay pings. on_open, on_end: told of each Flow. mark: of all that the kernel dials (SO_MARK), for where
    routes lead everything else to this gateway; it takes CAP_NET_ADMIN. Raises TypeError or ValueError.
    """

    def __init__(
        self,
        host: Host,
        *,
        dial: Dial = by_kernel,
        dial_datagrams: DialDatagrams = datagrams_by_kernel,
        route: OnRoute | None = None,
        dns: Mapping[str, Iterable[Resolver]] | None = None,
        echo: bool = True,
        on_open: Callable[[Flow], object] | None = None,
        on_end: Callable[[Flow], object] | None = None,
        limits: Limits | None = None,
        mark: int = 0,
    ) -> None:
        if not isinstance(host, Host):
            raise TypeError(f"a gateway stands behind a synfin.Host, not a {type(host).__name__}")
        if not host.stack.reach.any_destination:
            raise ValueError("the Host of a gateway has any_destination=True")
        for name, call in (("dial", dial), ("dial_datagrams", dial_datagrams), ("route", route or dial)):
            if not callable(call):
                raise TypeError(f"{name} must be callable, {type(call).__name__} is not")
        limits = limits if limits is not None else Limits()
        self.counters = Counters()
        self._host = host
        self._on_route = route
        self._resolvers = _resolvers(dns or {})
        self._ledger = Ledger(on_open, on_end)
        self._connections = Connections(host, dial, self._route, self._ledger, limits, self.counters, mark)
        if mark and dial_datagrams is datagrams_by_kernel:
            dial_datagrams = partial(marked_datagrams, mark)
        self._datagrams = Datagrams(host, dial_datagrams, self._route, self._ledger, limits, self.counters)
        self._pings = Pings(host, self._route, self._ledger, limits, self.counters, mark) if echo else None
        self._published: list[Any] = []

    async def __aenter__(self) -> Gateway:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Relay from now on."""
        await self._connections.start()
        self._datagrams.start()
        if self._pings is not None:
            self._pings.start()

    async def aclose(self) -> None:
        """End: both sides of everything are reset. May be called again."""
        for published in self._published:
            published.close()
        self._published.clear()
        self._connections.close()
        self._datagrams.close()
        if self._pings is not None:
            self._pings.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # both ends of each have been told
        for flow in list(self._ledger.live):
            flow.close("gateway")
            self._ledger.end(flow, "ended")
        self._connections.release()

    @property
    def flows(self) -> list[Flow]:
        """All that live, the oldest first."""
        return list(self._ledger.live)

    @property
    def echo_refused(self) -> str:
        """Why pings can't be relayed; "": as far as is known they can, or need not."""
        return self._pings.refused if self._pings is not None else ""

    def _route(self, protocol: str, source: Place, destination: Place) -> list[Place] | int:
        """Where to dial, or a verdict."""
        if destination[1] == DNS_PORT and destination[0] in self._resolvers:
            return self._resolvers[destination[0]]
        if self._on_route is None:
            return [destination]
        said = self._on_route(protocol, source, destination)
        if said is None:
            return [destination]
        return check_verdict(said) if isinstance(said, int) else [(said[0], said[1])]

    # ---- published ports ----

    async def publish(
        self, address: str, port: int, to_address: str, to_port: int, *, udp: bool = False, as_client: bool = False
    ) -> Any:
        """Lead what comes from outside to (address, port) of this machine to a server inside.

        as_client: the server sees the client's own address as its peer, not the gateway's (TCP). Returns what listens:
        close() ends it, sockets or get_extra_info("sockname") tell where it is. Raises OSError.
        """
        place = (to_address, to_port)
        loop = asyncio.get_running_loop()
        if udp:
            published: Any = await publish_datagrams(self._datagrams, (address, port), place)
        else:
            published = await loop.create_server(lambda: self._connections.published(place, as_client), address, port)
        self._published.append(published)
        return published


def _resolvers(dns: Mapping[str, Iterable[Resolver]]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for inside, resolvers in dns.items():
        if isinstance(resolvers, str):
            raise TypeError("the resolvers of an address are a list of them, not one")
        places = [(one, DNS_PORT) if isinstance(one, str) else (one[0], one[1]) for one in resolvers]
        if not places:
            raise ValueError(f"no resolver is given for {inside}")
        found[str(ip_address(inside))] = places
    return found
