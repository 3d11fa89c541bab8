"""What a run is made of, outside: a host that takes every destination, its gateway, its network, what it records."""

from __future__ import annotations

import asyncio
import inspect
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from synfin.aio.host import Host
from synfin.gateway import Flow, Gateway, Limits
from synfin.gateway.dns import machine_resolvers
from synfin.gateway.flow import Counters
from synfin.links.tun import TunLink
from synfin.run.bad_link import BadLink
from synfin.run.drawing import Drawing
from synfin.run.fault_socket import fault_path, serve
from synfin.run.launch import LaunchError
from synfin.run.network import INSIDE, RunNetwork
from synfin.run.plan import GATEWAY, PROGRAM, Wanted
from synfin.run.policy import DENY, HOST
from synfin.run.publish import Published
from synfin.run.recorder import Distances, Recorder, follow
from synfin.run.report import Report
from synfin.sim.recording import Recording
from synfin.stack.admission import REFUSE
from synfin.tcp.config import Config
from synfin.tcp.trace import Event
from synfin.view.capture import AnnotatedCapture

LOOPBACK: Final = {4: "127.0.0.1", 6: "::1"}
# One inside host may be told a great deal at once. As many connections as the gateway takes, none of which reads, hold
# less than the last limit: they keep no other out.
CONFIG: Final = Config(icmp_ratelimit_us=0, tcp_mem=(96 << 20, 128 << 20, 1536 << 20))
_SETTLE_SECONDS: Final = 1.0  # for what is closing when the program has ended


class Session:
    """One run. `report`, `drawing` and `capture` are there to be read when it is over."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        called = self._called = {address: name for name, address in wanted.names.items()}
        self.report = Report(lambda address: called.get(address, address), self._is_denied)
        self.drawing = Drawing({**called, PROGRAM[4].split("/")[0]: INSIDE, PROGRAM[6].split("/")[0]: INSIDE})
        self.capture: AnnotatedCapture | None = None
        self._recorder: Recorder | Distances = Distances()
        self._one_ended = asyncio.Event()
        self._gateway: Gateway | None = None

    @asynccontextmanager
    async def attend(self, link: TunLink) -> AsyncIterator[None]:
        """Serve the device as long as the context lasts. Raises LaunchError for what can't be had outside."""
        wanted = self._wanted
        self.report.began = asyncio.get_running_loop().time()
        async with AsyncExitStack() as stack:
            carried = link if wanted.network is None else self._bad(link, wanted.network)
            host = Host(
                [GATEWAY[family] for family in wanted.families],
                link=carried,
                any_destination=True,
                name=f"outside of {wanted.name}",
                trace=self._trace(stack),
                control=wanted.control,
                config=CONFIG,
            )
            await stack.enter_async_context(host)
            resolvers = machine_resolvers()
            servers = {GATEWAY[family].split("/")[0]: resolvers for family in wanted.families}
            gateway = Gateway(host, route=self._route, dns=servers, on_end=self._on_end, mark=wanted.mark)
            await stack.enter_async_context(gateway)
            self._gateway = gateway
            for published in wanted.published:
                await self._publish(gateway, published)
            await self._open_faults(stack)
            tasks = self._begin_network()
            try:
                yield
                await self._settle(gateway)
                host.set_trace(None)  # that what is left is cut short is no part of the story
            finally:
                for task in tasks:
                    task.cancel()

    def _bad(self, link: TunLink, network: RunNetwork) -> BadLink:
        carried = BadLink(link, network)
        if self._wanted.record is not None:
            self._recorder = follow(carried)
        return carried

    def recording(self) -> Recording:
        """What --record writes."""
        return self._recorder.recording()

    def _trace(self, stack: AsyncExitStack) -> Callable[[Event], None] | None:
        wanted = self._wanted
        if wanted.pcapng is not None:
            try:
                since = time.time_ns() // 1000 - time.monotonic_ns() // 1000
                self.capture = AnnotatedCapture(wanted.pcapng, epoch_us=since)
            except OSError as error:
                raise LaunchError(f"--pcapng {wanted.pcapng}: {error.strerror}", 2) from error
            stack.callback(self.capture.close)
        hooks = [hook for hook in (self.capture, self.drawing if wanted.diagram else None) if hook is not None]
        if len(hooks) < 2:
            return hooks[0] if hooks else None

        def both(event: Event) -> None:
            for hook in hooks:
                hook(event)

        return both

    def _on_end(self, flow: Flow) -> None:
        self.report.add(flow)
        if isinstance(self._recorder, Distances) and flow.protocol == "tcp" and not flow.inward:
            if flow.connected is not None:
                address, port = flow.dst
                name = self._called.get(address, f"[{address}]" if ":" in address else address)
                self._recorder.add(f"{name}:{port}", round((flow.connected - flow.began) * 1_000_000))
        self._one_ended.set()

    def _is_denied(self, address: str, port: int) -> bool:
        return self._wanted.policy.judge(address, port) == DENY

    def _route(self, protocol: str, src: tuple[str, int], dst: tuple[str, int]) -> Any:
        verdict = self._wanted.policy.judge(*dst)
        if verdict == DENY:
            return REFUSE
        if verdict == HOST:
            return LOOPBACK[6 if ":" in dst[0] else 4], dst[1]
        return None

    async def _publish(self, gateway: Gateway, published: Published) -> None:
        inner = PROGRAM[self._wanted.families[0]].split("/")[0]
        try:
            await gateway.publish(published.address, published.port, inner, published.inner, udp=published.udp)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error  # a loop's own text names the address once more
            raise LaunchError(f"--publish {published}: {why}", 1) from error

    async def _open_faults(self, stack: AsyncExitStack) -> None:
        control, network = self._wanted.control, self._wanted.network
        if control is None or network is None:
            return
        path = fault_path(control)
        server = await serve(path, network)
        stack.callback(path.unlink, missing_ok=True)
        stack.callback(server.close)

    def network_lines(self) -> list[str]:
        """What the bad network did to packets; nothing, if there was none."""
        network = self._wanted.network
        if network is None:
            return []
        lines = [f"seed {network.seed}"]
        for lane in network.lanes():
            ways = [
                f"{way} {direction.sent:,} packets, {direction.lost:,} lost"
                + (f" ({direction.queue_drops:,} at the queue)" if direction.queue_drops else "")
                for way, direction in (("up", lane.up), ("down", lane.down))
            ]
            lines.append(f"{lane.name}: {'; '.join(ways)}")
        return lines

    def limit_lines(self) -> list[str]:
        """Which limits were met, and how often; nothing, if none was."""
        counters = self._gateway.counters if self._gateway is not None else Counters()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        said = (
            (counters.outside_short, f"this machine had no descriptor (ulimit -Hn: {descriptors}), port or memory"),
            (
                counters.connections_dropped,
                f"there were {Limits().connections:,} connections already, or too much kept",
            ),
            (counters.flows_dropped, "a UDP conversation or ping that was silent had to make room"),
        )
        return [f"limit met {count:,} times: {what}" for count, what in said if count]

    def _begin_network(self) -> list[asyncio.Task[None]]:
        """What happens to the network while the program runs."""
        network = self._wanted.network
        if network is None:
            return []
        work: list[Coroutine[Any, Any, None]] = [_cut(network, *cut) for cut in self._wanted.cuts]
        if self._wanted.script is not None:
            made = self._wanted.script(network)
            if inspect.iscoroutine(made):
                work.append(_followed(made))
        return [asyncio.get_running_loop().create_task(one) for one in work]

    async def _settle(self, gateway: Gateway) -> None:
        """The program has ended, and so the kernel inside closes what it had; let that be told outside."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while any(flow.protocol == "tcp" for flow in gateway.flows):
                    self._one_ended.clear()
                    await self._one_ended.wait()


async def _cut(network: RunNetwork, begin: int, end: int | None) -> None:
    await asyncio.sleep(begin / 1_000_000)
    network.partition()
    if end is not None:
        await asyncio.sleep((end - begin) / 1_000_000)
        network.heal()


async def _followed(script: Coroutine[Any, Any, Any]) -> None:
    """A script that fails changes the network no more; the program goes on."""
    try:
        await script
    except Exception as error:
        print(f"synfin run: --rules: {error!r}: the network stays as it is now", file=sys.stderr)
