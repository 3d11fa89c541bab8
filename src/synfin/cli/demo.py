"""`synfin demo`: the whole life of connections between the kernel's TCP and synfin's, drawn as it happens.

In a network namespace of its own, with a TUN device, the kernel (curl, or Python's http.client where there is none)
fetches a page and a large file from an asyncio HTTP server on a synfin Host. Where no TUN device can be had, two synfin
hosts do the same in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synfin._install import how_to_add
from synfin.aio.host import Host
from synfin.cli.http_answer import Resource
from synfin.cli.http_server import HttpServer
from synfin.cli.progress import bar
from synfin.cli.ss import control_socket
from synfin.tcp.config import Config
from synfin.tcp.trace import Event
from synfin.view.capture import AnnotatedCapture
from synfin.view.live import Live
from synfin.view.pictures import show
from synfin.view.plots import connection_figure
from synfin.view.ticks import BYTES, RATE
from synfin.view.timeline import Timelines

KERNEL = {4: "10.9.0.1", 6: "fd00:9::1"}
SYNFIN = {4: "10.9.0.2", 6: "fd00:9::2"}
SNAPLEN = 160  # headers and the beginning of the text: the file itself is of no interest
PLOTTED = 500_000  # packets that a plot is drawn from at most
MTU = 1500
PAGE = b"""<!doctype html>
<title>synfin</title>
<p>This page came from a TCP that runs in a Python process: SYN to FIN, no kernel socket on this side.</p>
"""
# The child that stands in for curl: fetches a URL, prints the SHA-256 and the number of bytes.
PYTHON_CLIENT = """
import hashlib, sys, urllib.request
digest, size = hashlib.sha256(), 0
with urllib.request.urlopen(sys.argv[1], timeout=600) as answer:
    while block := answer.read(1 << 20):
        digest.update(block)
        size += len(block)
print(digest.hexdigest(), size)
"""


class DemoSite:
    """A page at / and a file of `size` bytes at /file; `sent` counts what was handed to the connection of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        # Hexadecimal digits: whatever part of the text the capture keeps, Wireshark finds no odd HTTP header in it.
        self._block = hashlib.shake_128(b"synfin").hexdigest(1 << 19).encode()

    def find(self, path: str) -> Resource | None:
        """The page or file of this path; None: there is none."""
        if path == "/":
            return Resource(len(PAGE), "text/html; charset=utf-8", lambda start, stop: iter([PAGE[start:stop]]))
        if path == "/file":
            return Resource(self.size, "application/octet-stream", self._file)
        return None

    def server(self) -> HttpServer:
        """Serves this site."""
        return HttpServer(self, before_close=self._before_close)

    async def _before_close(self) -> None:
        """After the file the server takes a moment, so that all four segments of the close can be seen."""
        if self.sent:
            await asyncio.sleep(0.02)

    def digest(self) -> str:
        """SHA-256 of the file."""
        digest = hashlib.sha256()
        for chunk in self._chunks(0, self.size):
            digest.update(chunk)
        return digest.hexdigest()

    def _file(self, start: int, stop: int) -> Iterator[bytes]:
        for chunk in self._chunks(start, stop):
            self.sent += len(chunk)
            yield chunk

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            chunk = self._block[start % len(self._block) :][: stop - start]
            yield chunk
            start += len(chunk)


class Watch:
    """One trace, two or three readers: the terminal, the capture, and what is drawn at the end."""

    def __init__(self, live: Live, capture: AnnotatedCapture, timelines: Timelines | None) -> None:
        self.live = live
        self.capture = capture
        self.timelines = timelines

    def __call__(self, event: Event) -> None:
        self.live(event)
        self.capture(event)
        if self.timelines is not None:
            self.timelines(event)

    def draw(self) -> None:
        """What was sent over time in the largest transfer, if that is wanted."""
        connection = None if self.timelines is None else self.timelines.largest()
        if connection is not None:
            print()
            show(connection_figure(connection), sys.stdout)
            print()


def run(megabytes: int, capture: Path, memory: bool, ipv6: bool, cwnd: bool) -> int:
    """The command; its exit status."""
    family = 6 if ipv6 else 4
    why = "asked for by --memory" if memory else _no_tun()
    try:
        sink = capture.open("wb")
    except OSError as error:
        print(
            f"synfin demo: can't write {capture}: {error.strerror}; choose a place with --capture FILE", file=sys.stderr
        )
        return 2
    control: Path | None = None
    if why is None:
        from synfin.links.netns import enter_private_network

        control = control_socket("demo")  # its folder goes by the user, who is another one in the private network

        enter_private_network()
    else:
        print(f"Two synfin hosts in memory: {why}.\n")
    with sink:
        site = DemoSite(megabytes << 20)
        started = time.monotonic()

        def footer() -> str:
            if not 0 < site.sent < site.size:
                return ""
            return bar(site.sent, site.size, time.monotonic() - started)

        names = {KERNEL[family]: "Linux kernel" if why is None else "client", SYNFIN[family]: "synfin"}
        live = Live(names=names, both_ends=why is not None, footer=footer)
        epoch = int((time.time() - time.monotonic()) * 1_000_000)
        both = why is not None
        with AnnotatedCapture(sink, SNAPLEN, both_ends=both, epoch_us=epoch, samples=cwnd) as recorder:
            watch = Watch(live, recorder, Timelines(PLOTTED) if cwnd else None)
            job = _over_tun(site, watch, family, control) if why is None else _in_memory(site, watch, family)
            ok = asyncio.run(job)
            live.close()
    watch.draw()
    if recorder.error is not None:
        print(f"synfin demo: the capture is incomplete: {recorder.error}", file=sys.stderr)
        return 1
    print(f"capture     {capture}: each packet carries, as its comment, the transition it caused")
    return 0 if ok else 1


def _no_tun() -> str | None:
    if not sys.platform.startswith("linux"):
        return f"TUN devices and network namespaces are Linux's, and this is {sys.platform}"
    if find_spec("pyroute2") is None:
        return f"pyroute2, which gives a TUN device its addresses, is not installed (type: {how_to_add('cli')})"
    from synfin.links.netns import tun_available

    return tun_available()


async def _over_tun(site: DemoSite, watch: Watch, family: int, control: Path | None) -> bool:
    from synfin.links.netns import configure
    from synfin.links.tun import TunLink

    link = TunLink("synfin0", mtu=MTU)
    configure(link.name, [f"{KERNEL[4]}/24", f"{KERNEL[6]}/64"])
    async with Host([SYNFIN[4], SYNFIN[6]], link=link, trace=watch, name="synfin", control=control) as host:
        server = await host.start_server(site.server().serve, port=80)
        authority = SYNFIN[family] if family == 4 else f"[{SYNFIN[family]}]"
        for path, what in (("/", "a page"), ("/file", f"a file of {site.size >> 20} MB")):
            url = f"http://{authority}{path}"
            client = "curl" if shutil.which("curl") else "Python's http.client"
            print(f"{client} fetches {what} from {url}: the Linux kernel's TCP and synfin's")
            begun = time.monotonic()
            digest, size, seconds = await _fetch_by_kernel(url)
            await _settled(host, watch)
            if path == "/file":
                ok = _report(site, digest, size, seconds or time.monotonic() - begun)
            else:
                ok = size == len(PAGE)
                print(f"\npage        {size} bytes; three segments closed it: the server had no more to say, so its")
                print("            FIN went with the ACK of the client's\n")
            if not ok:
                return False
        server.close()
    return True


async def _fetch_by_kernel(url: str) -> tuple[str, int, float]:
    """(SHA-256, bytes, seconds of the transfer if the client measured it) of a URL, fetched by a child process."""
    if shutil.which("curl"):
        command = ["curl", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "600"]
        command += ["--output", "-", "--write-out", "%{stderr}%{time_total}", url]
        async with _child(*command, stdout=-1, stderr=-1) as child:
            assert child.stdout is not None and child.stderr is not None
            digest, size = hashlib.sha256(), 0
            while block := await child.stdout.read(1 << 20):
                digest.update(block)
                size += len(block)
            said = (await child.stderr.read()).decode(errors="replace").strip()
            if await child.wait() != 0:
                print(f"curl failed: {said}", file=sys.stderr)
                return "", 0, 0.0
        return digest.hexdigest(), size, float(said)
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    async with _child(sys.executable, "-c", PYTHON_CLIENT, url, stdout=-1, env=environment) as child:
        output, _ = await child.communicate()
    if child.returncode != 0:
        return "", 0, 0.0
    hexdigest, count = output.decode().split()
    return hexdigest, int(count), 0.0


@contextlib.asynccontextmanager
async def _child(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process that does not outlive the block."""
    child = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def _in_memory(site: DemoSite, watch: Watch, family: int) -> bool:
    """The same between two hosts, each other's tunnel."""
    loop = asyncio.get_running_loop()
    hosts: list[Host] = []
    config = Config(mtu=MTU)

    def to(index: int, packet: bytes) -> None:
        loop.call_soon(hosts[index].receive, packet)

    client = Host([KERNEL[family]], send=lambda packet: to(1, packet), trace=watch, name="client", config=config)
    server = Host([SYNFIN[family]], send=lambda packet: to(0, packet), trace=watch, name="synfin", config=config)
    hosts += [client, server]
    ok = False
    async with client, server:
        listening = await server.start_server(site.server().serve, port=80)
        for path, what in (("/", "a page"), ("/file", f"a file of {site.size >> 20} MB")):
            print(f"a client on synfin fetches {what} from a server on synfin")
            begun = time.monotonic()
            reader, writer = await client.open_connection(SYNFIN[family], 80)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: synfin\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            digest, size = hashlib.sha256(), 0
            while size < length and (block := await reader.read(1 << 20)):
                digest.update(block)
                size += len(block)
            seconds = time.monotonic() - begun
            writer.close()
            await _settled(client, watch)
            if not head.startswith(b"HTTP/1.1 200"):
                return False
            if path == "/file":
                ok = _report(site, digest.hexdigest(), size, seconds)
            else:
                print(f"\npage        {size} bytes\n")
        listening.close()
        for host in hosts:
            host.set_trace(None)  # that TIME-WAIT is cut short by our end is not part of the story
    return ok


async def _settled(host: Host, watch: Watch) -> None:
    """Until the last segments of a close have crossed, so that the diagram is whole."""
    for _ in range(200):
        if not host.stack.connections():
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    watch.live.flush()


def _report(site: DemoSite, digest: str, size: int, seconds: float) -> bool:
    expected = site.digest()
    ok = digest == expected and size == site.size
    rate = size / seconds if seconds else 0.0
    print(f"\nfile        {size:,} bytes in {seconds:.2f} s: {RATE.text(rate)} ({BYTES.text(rate)}/s)")
    print(f"sha256      {digest or '(nothing came)'}")
    print(f"            {'as sent' if ok else 'NOT as sent: ' + expected}")
    return ok
