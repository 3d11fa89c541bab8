"""A gateway between the kernel's programs and the kernel's sockets: what a program is told is what the kernel tells it.

One private network is both sides: `OUTSIDE` is a network behind the TUN device that the gateway leads to this machine's
loopback, and each program runs twice, once through the gateway and once without.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import synfin
from synfin.gateway import Flow, Gateway
from synfin.links.netns import configure, enter_private_network
from synfin.links.tun import TunLink
from synfin.tcp.config import Config
from tests.interop.harness import wait_until
from tests.interop.test_tun_device import in_child

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

OUTSIDE = {4: "203.0.113.7", 6: "2001:db8:7::7"}
HOME = {4: "127.0.0.1", 6: "::1"}
NO_WAY = {4: "198.51.100.1", 6: "2001:db8:8::1"}  # what a route of the kernel says is unreachable
PROHIBITED = {4: "198.51.101.1", 6: "2001:db8:9::1"}
DATA = bytes(range(251)) * 8_000  # 2 MB

Program = Callable[[str, int], object]


class Scene:
    """What a test has: a gateway, its flows that ended, and programs that run beside the loop."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.ended: list[Flow] = []
        self.leads: dict[int, tuple[str, int]] = {}  # by port: elsewhere than home
        self.servers: list[asyncio.Future[None]] = []
        self.gateway: Gateway

    def route(self, protocol: str, source: Any, destination: Any) -> tuple[str, int]:
        return self.leads.get(destination[1], (HOME[self.version], destination[1]))

    async def twice(self, program: Program, port: int, direct: tuple[str, int] | None = None) -> tuple[object, object]:
        """What a program tells: through the gateway, and without."""
        home = direct if direct is not None else (HOME[self.version], port)
        through = await asyncio.to_thread(told, program, OUTSIDE[self.version], port)
        return through, await asyncio.to_thread(told, program, *home)

    async def first_ended(self) -> Flow:
        """The flow that ended first, once one has: its program may know of it before the gateway does."""
        await asyncio.to_thread(wait_until, lambda: bool(self.ended), lambda: "no flow has ended")
        return self.ended[0]


def told(program: Program, address: str, port: int) -> object:
    """What it returns, or the errno that it got."""
    try:
        return program(address, port)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def connected(address: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    one.settimeout(60)
    try:
        one.connect((address, port))
    except BaseException:
        one.close()
        raise
    return one


def read_all(one: socket.socket) -> bytes:
    pieces = []
    while piece := one.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def connect_only(address: str, port: int) -> str:
    connected(address, port).close()
    return "connected"


def run_scene(version: int, body: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a test in a private network of its own, with its gateway."""

    def in_network() -> None:
        enter_private_network()
        link = TunLink("gw%d", mtu=1500)
        configure(
            link.name,
            ["10.9.0.1/24", "fd00:9::1/64"],
            routes=["203.0.113.0/24", "2001:db8:7::/64"],
        )
        for kind, network in (
            ("unreachable", "198.51.100.0/24"), ("unreachable", "2001:db8:8::/64"),
            ("prohibit", "198.51.101.0/24"), ("prohibit", "2001:db8:9::/64"),
        ):  # fmt: skip
            ip("route", "add", kind, network)
        setting("net/ipv4/tcp_syn_retries", "1")
        setting("net/ipv4/ping_group_range", "0 2147483647")
        asyncio.run(with_gateway(link))

    async def with_gateway(link: TunLink) -> None:
        scene = Scene(version)
        async with (
            synfin.Host(
                ["10.9.0.2/24", "fd00:9::2/64"], link=link, any_destination=True, config=Config(icmp_ratelimit_us=0)
            ) as host,
            Gateway(host, route=scene.route, on_end=scene.ended.append) as scene.gateway,
        ):
            await body(scene)
            for server in scene.servers:  # what went wrong in one is what the test tells
                if server.done():
                    server.result()

    in_child(in_network)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def setting(name: str, value: str) -> None:
    try:
        Path("/proc/sys", name).write_text(value)
    except OSError as refused:
        pytest.skip(f"{name} can't be set here: {refused}")


both_versions = pytest.mark.parametrize("version", [4, 6])


async def serve(scene: Scene, handler: Callable[[socket.socket], None]) -> int:
    """A server of the kernel's on the loopback, a thread for each connection; its port."""
    listening = socket.create_server(
        (HOME[scene.version], 0), family=socket.AF_INET6 if scene.version == 6 else socket.AF_INET
    )

    def take() -> None:
        with listening:
            for _ in range(2):
                one, _ = listening.accept()
                with one:
                    one.settimeout(60)
                    handler(one)

    port: int = listening.getsockname()[1]
    scene.servers.append(asyncio.get_running_loop().run_in_executor(None, take))
    return port


@both_versions
def test_a_program_talks_through_a_gateway_as_without_one(version: int) -> None:
    def echo(one: socket.socket) -> None:
        one.sendall(read_all(one))

    def program(address: str, port: int) -> object:
        with connected(address, port) as one:
            one.sendall(DATA)
            one.shutdown(socket.SHUT_WR)
            return len(read_all(one))

    async def body(scene: Scene) -> None:
        port = await serve(scene, echo)
        assert await scene.twice(program, port) == (len(DATA), len(DATA))
        flow = await scene.first_ended()
        assert scene.ended == [flow]
        assert (flow.outcome, flow.closed_by, flow.sent, flow.received) == ("closed", "inside", len(DATA), len(DATA))

    run_scene(version, body)


@both_versions
def test_refused_is_refused(version: int) -> None:
    async def body(scene: Scene) -> None:
        assert await scene.twice(connect_only, 1) == ("ECONNREFUSED", "ECONNREFUSED")

    run_scene(version, body)


@both_versions
def test_unreachable_is_unreachable(version: int) -> None:
    async def body(scene: Scene) -> None:
        scene.leads[9] = (NO_WAY[version], 9)
        through, direct = await scene.twice(connect_only, 9, (NO_WAY[version], 9))
        assert through == direct == "EHOSTUNREACH"

    run_scene(version, body)


@both_versions
def test_prohibited_is_what_icmp_has_for_it(version: int) -> None:
    async def body(scene: Scene) -> None:
        scene.leads[9] = (PROHIBITED[version], 9)
        through, direct = await scene.twice(connect_only, 9, (PROHIBITED[version], 9))
        assert direct == "EACCES"
        assert through == ("EHOSTUNREACH" if version == 4 else "EACCES")  # IPv4 has no other word for it

    run_scene(version, body)


@both_versions
def test_a_timeout_is_a_timeout(version: int) -> None:
    async def body(scene: Scene) -> None:
        full = socket.create_server(
            (HOME[version], 0), family=socket.AF_INET6 if version == 6 else socket.AF_INET, backlog=0
        )
        port = full.getsockname()[1]
        filling = [socket.socket(full.family) for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex((HOME[version], port))
        through, direct = await scene.twice(connect_only, port)
        assert through == direct == "ETIMEDOUT"
        for one in (*filling, full):
            one.close()

    run_scene(version, body)


@both_versions
def test_a_reset_in_the_middle_is_a_reset_behind_what_came_before(version: int) -> None:
    def hang_up(one: socket.socket) -> None:
        one.recv(1)
        one.sendall(b"x" * 10_000)
        one.recv(1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def program(address: str, port: int) -> object:
        with connected(address, port) as one:
            one.sendall(b"?")
            got = 0
            while got < 10_000:
                got += len(one.recv(65536))
            one.sendall(b"!")
            try:
                return got, one.recv(1)
            except OSError as error:
                return got, errno.errorcode[error.errno or 0]

    async def body(scene: Scene) -> None:
        port = await serve(scene, hang_up)
        through, direct = await scene.twice(program, port)
        assert through == direct == (10_000, "ECONNRESET")
        flow = await scene.first_ended()
        assert (flow.outcome, flow.closed_by) == ("reset", "outside")

    run_scene(version, body)


@both_versions
def test_a_reset_from_inside_reaches_the_server(version: int) -> None:
    heard: list[object] = []

    def wait(one: socket.socket) -> None:
        one.sendall(b"!")
        try:
            heard.append(read_all(one))
        except OSError as error:
            heard.append(errno.errorcode[error.errno or 0])

    def program(address: str, port: int) -> object:
        one = connected(address, port)
        one.recv(1)  # the server has it: a connection reset before accept() is ECONNABORTED there, and the server's end
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        return None

    async def body(scene: Scene) -> None:
        port = await serve(scene, wait)
        await scene.twice(program, port)
        await asyncio.to_thread(wait_until, lambda: len(heard) == 2, lambda: f"heard: {heard}")
        assert heard == ["ECONNRESET", "ECONNRESET"]

    run_scene(version, body)


@both_versions
def test_half_close_leaves_the_other_half(version: int) -> None:
    def talk_on(one: socket.socket) -> None:
        asked = read_all(one)
        for _ in range(20):
            one.sendall(asked)

    def program(address: str, port: int) -> object:
        with connected(address, port) as one:
            one.sendall(b"question")
            one.shutdown(socket.SHUT_WR)
            return read_all(one)

    async def body(scene: Scene) -> None:
        port = await serve(scene, talk_on)
        assert await scene.twice(program, port) == (b"question" * 20, b"question" * 20)

    run_scene(version, body)


@both_versions
def test_udp_is_answered_or_refused(version: int) -> None:
    def program(address: str, port: int) -> object:
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(60)
            one.connect((address, port))
            one.send(b"hello")
            return one.recv(100)

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data[::-1], address)

    async def body(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, (HOME[version], 0))
        port = transport.get_extra_info("sockname")[1]
        assert await scene.twice(program, port) == (b"olleh", b"olleh")
        assert await scene.twice(program, 1) == ("ECONNREFUSED", "ECONNREFUSED")
        transport.close()

    run_scene(version, body)


@both_versions
def test_pings_arrive_and_come_back_or_are_said_to_be_in_vain(
    require_program: Callable[[str], str], version: int
) -> None:
    ping = require_program("ping")

    async def pings(address: str) -> tuple[int | None, str]:
        child = await asyncio.create_subprocess_exec(
            ping, "-n", "-c", "1", "-W", "20", address, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await child.communicate()
        return child.returncode, said.decode()

    async def body(scene: Scene) -> None:
        code, said = await pings(OUTSIDE[version])
        assert code == 0, (said, scene.gateway.echo_refused)
        scene.leads[0] = (NO_WAY[version], 0)
        code, said = await pings(OUTSIDE[version][:-1] + "8")
        assert code == 1, said
        assert "nreachable" in said, said

    run_scene(version, body)
