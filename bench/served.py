"""A server and its peer across a network: synfin on a TUN device, asyncio and the kernel on a veth pair.

The peer is always load.c.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.flooded import check_tables, route_back, syn_flood
from bench.networks import MTU, OUR_ADDRESS, PEER_ADDRESS, crossed, veth_pair
from bench.plan import KERNEL_PLAIN, PACKET, STREAMS
from bench.setting import Setting, finish
from bench.users import USERS, Idle, Sink, Source
from bench.watched import control_path, slowdown

if TYPE_CHECKING:
    from synfin.links.link import Link

PORT = 7000
PARALLEL = 32  # short connections, or handshakes, at a time
IDLE_CONNECTIONS = 1000
FIRST_CONNECTIONS = 50  # opened before memory is counted: what they cause once is nobody's
COOKIES_SYSCTL = Path("/proc/sys/net/ipv4/tcp_syncookies")  # of the private network


# ---- what a server is measured by, from the side of its peer ----

Measure = Callable[[Setting], Awaitable[float]]


async def ask_load(setting: Setting, *words: str | int) -> list[float]:
    """Run load.c to its end; the numbers it printed."""
    child = await asyncio.create_subprocess_exec(*setting.command(*words), stdout=subprocess.PIPE)
    try:
        output, _ = await asyncio.wait_for(child.communicate(), setting.patience)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"load {words[0]} ended with status {child.returncode}")
    return [float(word) for word in output.split()]


async def bulk_receive(setting: Setting) -> float:
    """Gbit/s that reach the Protocol."""
    duration = setting.warm_ms + setting.ms + 2000
    sending = asyncio.create_task(ask_load(setting, "send", OUR_ADDRESS, PORT, duration))
    await asyncio.sleep(setting.warm)
    bytes_before, before = Sink.received, time.perf_counter()
    await asyncio.sleep(setting.seconds)
    bytes_after, after = Sink.received, time.perf_counter()
    if not bytes_before or sending.done():
        raise RuntimeError("the sender did not begin in time, or ended too early")
    return (bytes_after - bytes_before) * 8 / (after - before) / 1e9


async def bulk_send(setting: Setting) -> float:
    """Gbit/s that load.c reads."""
    count, seconds = await ask_load(setting, "receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    return count * 8 / seconds / 1e9


async def cpu_receive(setting: Setting) -> float:
    """Seconds of this process's processor time for a gigabyte that reaches the Protocol."""
    duration = setting.warm_ms + setting.ms + 2000
    sending = asyncio.create_task(ask_load(setting, "send", OUR_ADDRESS, PORT, duration))
    spent = await _spent(setting, lambda: Sink.received)
    if sending.done():
        raise RuntimeError("the sender ended too early")
    return spent


async def cpu_send(setting: Setting) -> float:
    """The same for a gigabyte that the Protocol writes."""
    reading = asyncio.create_task(ask_load(setting, "receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms + 2000))
    spent = await _spent(setting, lambda: Source.written)
    if reading.done():
        raise RuntimeError("the reader ended too early")
    return spent


async def _spent(setting: Setting, count: Callable[[], int]) -> float:
    await asyncio.sleep(setting.warm)
    bytes_before, before = count(), time.process_time()
    await asyncio.sleep(setting.seconds)
    bytes_after, after = count(), time.process_time()
    if bytes_after == bytes_before:
        raise RuntimeError("nothing was carried")
    return (after - before) / (bytes_after - bytes_before) * 1e9


async def short_connections(setting: Setting) -> float:
    """Connections a second: open, a request, an answer, the server closes."""
    words = ("connect", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
    count, seconds = await ask_load(setting, *words)
    return count / seconds


async def handshakes(setting: Setting) -> float:
    """Three-way handshakes a second; each connection is reset a while after it."""
    count, seconds = await ask_load(setting, "shake", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
    if Idle.made < count:
        raise RuntimeError(f"of {count:.0f} handshakes that the peer completed, the server saw {Idle.made}")
    return count / seconds


async def ping_pong(setting: Setting) -> float:
    """Median microseconds for a byte there and back."""
    median, _ = await ask_load(setting, "ping", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    return median


async def memory_idle_connection(setting: Setting) -> float:
    """Bytes of Python's memory for an open connection on which nothing happens, its user included."""
    tracemalloc.start()
    before = 0
    children = []  # kept, and with them their connections, until this process ends
    for count in (FIRST_CONNECTIONS, IDLE_CONNECTIONS):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        command = setting.command("hold", OUR_ADDRESS, PORT, count)
        pipe = subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        children.append(child)
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), setting.patience)
        await asyncio.sleep(0.3)  # the last ACKs
    if Idle.made != FIRST_CONNECTIONS + IDLE_CONNECTIONS:
        raise RuntimeError(f"{Idle.made} connections were made")
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / IDLE_CONNECTIONS


MEASURES: dict[str, Measure] = {
    "bulk_receive": bulk_receive,
    "bulk_send": bulk_send,
    "cpu_receive": cpu_receive,
    "cpu_send": cpu_send,
    "short_connections": short_connections,
    "handshakes": handshakes,
    "handshakes_cookies": handshakes,
    "ping_pong": ping_pong,
    "syn_flood": syn_flood,
    "memory_idle_connection": memory_idle_connection,
}


WATCHED = ("watch_receive", "watch_cpu")  # the host has a control socket, and somebody who asks it now and then


# ---- subjects ----


def of_synfin(setting: Setting) -> None:
    """A synfin Host; its peer is the kernel, across a TUN device or a veth pair."""
    from synfin.links import netns

    if setting.link == PACKET:
        with veth_pair(setting.offload, kernels=False) as inside:
            setting.command = lambda *words: inside([setting.load, *map(str, words)])  # type: ignore[method-assign]
            setting.inside = inside
            asyncio.run(_serve(setting, _packet_link(setting)))
    netns.enter_private_network()
    asyncio.run(_serve(setting, tun_link(setting)))


def _packet_link(setting: Setting) -> Link:
    from synfin.links.packet import PacketLink

    ours = f"{OUR_ADDRESS}/24"
    return PacketLink("veth0", ours, gateway=PEER_ADDRESS, offload=setting.offload, verify=False)


def tun_link(setting: Setting) -> Link:
    from synfin.links import netns
    from synfin.links.tun import TunLink

    link = TunLink("bench%d", mtu=MTU, offload=setting.offload)
    if link.offload != setting.offload:
        raise RuntimeError("this kernel's TUN device grants no offload")
    netns.configure(link.name, [f"{PEER_ADDRESS}/24"])
    return link


async def _serve(setting: Setting, link: Link) -> None:
    import synfin
    from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_WHEN_FULL, Config

    cookies = COOKIES_ALWAYS if setting.measure == "handshakes_cookies" else COOKIES_WHEN_FULL
    protocol, stream = USERS[setting.measure]
    control = control_path() if setting.measure in WATCHED else None
    async with synfin.Host([OUR_ADDRESS], link=link, config=Config(syn_cookies=cookies), control=control) as host:
        if setting.subject == STREAMS:
            assert stream is not None
            await host.start_server(stream, OUR_ADDRESS, PORT, backlog=1024)
        else:
            await host.create_server(protocol, OUR_ADDRESS, PORT, backlog=1024)
        if control is not None:
            by_processor = setting.measure == "watch_cpu"
            value = await slowdown(setting, control, OUR_ADDRESS, PORT, by_processor=by_processor)
        else:
            value = await MEASURES[setting.measure](setting)
        if setting.measure == "syn_flood":
            check_tables(host.stack)
        finish(value)


def of_asyncio(setting: Setting) -> None:
    """The same Protocol on asyncio's own transports; load.c at the other end of a veth pair."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(USERS[setting.measure][0], OUR_ADDRESS, PORT, backlog=1024)
        finish(await MEASURES[setting.measure](setting))

    with veth_pair(True) as inside:
        setting.command = lambda *words: inside([setting.load, *map(str, words)])  # type: ignore[method-assign]
        asyncio.run(run())


SERVED_BY_KERNEL = {
    "short_connections": "answer",
    "handshakes": "echo",
    "handshakes_cookies": "echo",
    "ping_pong": "echo",
    "syn_flood": "answer",
}


def of_kernel(setting: Setting) -> None:
    """load.c at both ends of a veth pair."""
    offload = setting.subject != KERNEL_PLAIN
    served = SERVED_BY_KERNEL.get(setting.measure, "source")
    with veth_pair(offload) as inside:
        if setting.measure == "handshakes_cookies":
            COOKIES_SYSCTL.write_text("2")  # always
        pipe = subprocess.PIPE
        with subprocess.Popen(setting.command("serve", OUR_ADDRESS, PORT, served), stdin=pipe, stdout=pipe) as server:
            assert server.stdout is not None
            try:
                server.stdout.readline()
                finish(_ask_kernel(setting, inside, server.pid))
            finally:
                server.kill()


def _ask_kernel(setting: Setting, inside: Callable[[list[str]], list[str]], server: int) -> float:
    def ask(*words: str | int) -> list[float]:
        command = inside(setting.command(*words))
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=setting.patience, check=True)
        return [float(word) for word in done.stdout.split()]

    if setting.measure == "short_connections":
        count, seconds = ask("connect", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
        return count / seconds
    if setting.measure in ("handshakes", "handshakes_cookies"):
        count, seconds = ask("shake", OUR_ADDRESS, PORT, PARALLEL, setting.warm_ms, setting.ms)
        return count / seconds
    if setting.measure == "syn_flood":
        setting.command = lambda *words: inside([setting.load, *map(str, words)])  # type: ignore[method-assign]
        setting.inside = inside
        route_back()
        return asyncio.run(syn_flood(setting))
    if setting.measure == "ping_pong":
        return ask("ping", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)[0]
    if setting.measure in ("cpu_receive", "cpu_send"):
        return _spent_by_kernel(setting, inside, server)
    before, begun = crossed("veth0")[1], time.perf_counter()
    count, seconds = ask("receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms)
    if setting.measure == "memory_link_segments":
        return (crossed("veth0")[1] - before) / (time.perf_counter() - begun)
    return count * 8 / seconds / 1e9


def _spent_by_kernel(setting: Setting, inside: Callable[[list[str]], list[str]], server: int) -> float:
    """Processor seconds a gigabyte, of the process that sends or of the one that receives."""
    command = inside(setting.command("receive", OUR_ADDRESS, PORT, setting.warm_ms, setting.ms + 2000))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
        measured = client.pid if setting.measure == "cpu_receive" else server
        time.sleep(setting.warm)
        bytes_before, before = crossed("veth0")[0], processor_ns(measured)
        time.sleep(setting.seconds)
        bytes_after, after = crossed("veth0")[0], processor_ns(measured)
        client.kill()
    return (after - before) / (bytes_after - bytes_before)


def processor_ns(process: int) -> int:
    """What a process has had of the processor."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0])
