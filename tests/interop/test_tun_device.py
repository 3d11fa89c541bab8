"""TunLink, namespaces and captures against the kernel, as root and as an ordinary user.

Each test runs in a process of its own that moves into a private network. As root there is a second variant that gives
up root first, with a device node of the usual mode (666) on a private mount: the machine's own is left alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import os
import select
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from synfin.aio.host import Host
from synfin.links.link import Link
from synfin.links.netns import (
    PrivateNetwork,
    configure,
    enter_private_network,
    private_network_available,
    tun_available,
)
from synfin.links.pcapng import PcapngWriter, PcapTap
from synfin.links.tun import KERNEL_QUEUE, TunLink
from synfin.wire.segment import Burst
from tests.conftest import ROOT, find_program, need
from tests.interop.naive_tcp import NaiveTcp, serve

pytestmark = pytest.mark.interop

NOBODY = 65534
HOSTS = ["10.9.0.1/24", "fd00:9::1/64"]
PEERS = {4: "10.9.0.2", 6: "fd00:9::2"}
DATA = bytes(range(251)) * 12_000  # 3 MB in which a shift or a swap shows

Apart = Callable[[Callable[[], None]], None]


@pytest.fixture(params=["root", "nobody"] if os.geteuid() == 0 else ["self"])
def apart(request: pytest.FixtureRequest, require_tun: None) -> Apart:
    """A decorator that runs a function at once, as this user, in a process and a private network of its own."""

    def run(body: Callable[[], None]) -> None:
        def in_private_network() -> None:
            if request.param == "nobody":
                give_up_root()
            enter_private_network()
            body()

        in_child(in_private_network)

    return run


def give_up_root() -> None:
    """Become an ordinary user who may open /dev/net/tun and run this interpreter."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        pytest.skip("root may not make a mount namespace here")
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "tmpfs", "/dev/net")
    os.mknod("/dev/net/tun", stat.S_IFCHR, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)
    open_the_way()
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: setuid() has taken /proc/self/uid_map away
    reason = private_network_available()
    if reason is not None:
        pytest.skip(reason)


def open_the_way() -> None:
    """What lies in root's home of this interpreter is shown again at the same place, above which the way is open."""
    handles = {Path(folder): os.open(folder, os.O_PATH) for folder in (sys.base_prefix, ROOT, sys.prefix)}
    for folder, handle in handles.items():
        closed = [above for above in folder.parents if not above.stat().st_mode & stat.S_IXOTH]
        if closed:
            mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed[-1]))
        if not folder.exists():
            folder.mkdir(parents=True)
            mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{handle}", str(folder))


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"root may not mount here: {done.stderr.strip()}")


def in_child(body: Callable[[], None]) -> None:
    """Run `body` in a child process; how it ends is how this test ends."""
    mine, childs = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = ["passed", ""]
        try:
            body()
        except pytest.skip.Exception as skipped:
            outcome = ["skipped", str(skipped)]
        except BaseException:
            outcome = ["failed", traceback.format_exc()]
        finally:
            os.write(childs, json.dumps(outcome).encode()[:60_000])
            os._exit(0)
    os.close(childs)
    with os.fdopen(mine, "rb") as pipe:
        written = pipe.read()
    os.waitpid(child, 0)
    verdict, text = json.loads(written) if written else ("failed", "the child died")
    if verdict == "failed":
        pytest.fail(text, pytrace=False)
    need(verdict == "passed", text)


def exchange(link: Link, version: int, mtu: int) -> NaiveTcp:
    """DATA both ways between the kernel's TCP and a naive one on the link; both must get it whole."""
    peer = NaiveTcp(mtu - (40 if version == 4 else 60), DATA)
    got: list[bytes] = []

    def kernel() -> None:
        with socket.create_connection((PEERS[version], 80), timeout=20) as connection:
            connection.sendall(DATA)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 20):
                got.append(chunk)

    thread = threading.Thread(target=kernel)
    thread.start()
    serve(link, peer, lambda: peer.closed)
    thread.join()
    assert b"".join(peer.got) == DATA
    assert b"".join(got) == DATA
    return peer


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
@pytest.mark.parametrize(
    ("version", "mtu"), [(4, 576), (4, 1500), (4, 9000), (4, 65535), (6, 1280), (6, 1500), (6, 65535)]
)
def test_data_crosses_whole_both_ways(apart: Apart, version: int, mtu: int, offload: bool) -> None:
    @apart
    def _() -> None:
        link = TunLink("synfin0", mtu, offload)
        configure("synfin0", HOSTS if version == 6 else HOSTS[:1])
        assert link.offload == offload
        peer = exchange(link, version, mtu)
        assert (link.refused, link.overflowed) == (0, 0)
        headers = 40 if version == 4 else 60
        if offload:
            assert peer.partial == peer.packets
            assert mtu == 65535 or peer.largest > mtu
            assert max(peer.gso_sizes) <= mtu - headers
        else:
            assert peer.partial == 0
            assert peer.largest <= mtu - headers
            assert peer.gso_sizes == {0}


def threads_of_kernel(interface: str) -> int:
    """How many receive what is written to a device, as far as this machine shows them."""
    count = 0
    for place in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it may have ended
            count += place.read_text().startswith(f"napi/{interface}-")
    return count


def test_a_thread_of_the_kernel_receives_what_is_written_while_that_is_much(apart: Apart) -> None:
    @apart
    def _() -> None:
        link = TunLink("thread0", 1500, offload=False)
        need(link.thread, "this kernel's TUN devices can't have a thread")
        thread = link.thread
        assert thread is not None
        configure("thread0", HOSTS)
        shown = Path("/proc/2/comm").exists() and Path("/proc/2/comm").read_text() == "kthreadd\n"
        assert (thread.on, threads_of_kernel("thread0")) == (False, 0)
        peer = exchange(link, 4, 1500)
        assert (link.refused, link.overflowed, peer.gso_sizes) == (0, 0, {0})
        for on in (True, False, True):
            thread._turn(on)  # as at 400 Mbit/s and more, and at a quarter of it
            assert (thread.on, threads_of_kernel("thread0")) == (on, on and shown)
            exchange(link, 4, 1500)
        assert (link.refused, link.overflowed) == (0, 0)
        link.close()
        plain = TunLink("thread0", 1500, offload=False, thread=False)
        assert plain.thread is None and threads_of_kernel("thread0") == 0


def test_a_user_without_rights_gets_a_prepared_device_without_a_thread(apart: Apart) -> None:
    @apart
    def _() -> None:
        from fcntl import ioctl

        prepared = TunLink("synfin0", 1500, offload=False)
        ioctl(prepared.fileno(), 0x400454CB, 1)  # TUNSETPERSIST
        ioctl(prepared.fileno(), 0x400454CC, os.geteuid())  # TUNSETOWNER
        prepared.close()
        configure("synfin0", HOSTS)
        drop_capabilities()
        link = TunLink("synfin0", 1500, offload=False)
        assert link.thread is None
        exchange(link, 4, 1500)


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_tshark_finds_nothing_wrong_in_a_capture(apart: Apart, offload: bool) -> None:
    tshark = find_program("tshark")
    need(tshark, "the program tshark is not installed")
    assert tshark is not None

    @apart
    def _() -> None:
        link = TunLink("synfin0", 1500, offload)
        configure("synfin0", HOSTS)
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"partial too", (PEERS[4], 9))
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"partial too", (PEERS[6], 9))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "link.pcapng")
            with PcapngWriter(path, epoch_us=time.time_ns() // 1000 - time.monotonic_ns() // 1000) as writer:
                writer.add_interface("synfin0")
                tap = PcapTap(link, writer, lambda: time.monotonic_ns() // 1000)
                peer = exchange(tap, 4, 1500)
            assert tap.error is None
            command = [tshark, "-r", str(path), "-n"]
            for protocol in ("ip", "tcp", "udp"):
                command += ["-o", f"{protocol}.check_checksum:TRUE"]
            bad = "_ws.malformed or _ws.expert.severity >= 8388608"
            for protocol in ("ip", "tcp", "udp"):
                bad += f" or {protocol}.checksum.status == 0"
            # A zero checksum that Linux wrote as 0xffff (see tests.interop.tshark) is the same sum; ours is never that.
            bad = f"({bad}) and not (tcp.checksum == 0xffff and ip.dst == {PEERS[4]})"
            done = subprocess.run([*command, "-Y", bad], capture_output=True, text=True, check=True)
            assert done.stdout == ""
            assert [line for line in done.stderr.splitlines() if "as user" not in line] == []
            good = ["-Y", "tcp.checksum.status == 1 and frame.packet_flags_direction == 1"]
            fields = ["-T", "fields", "-e", "frame.interface_name"]
            done = subprocess.run([*command, *good, *fields], capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == ["synfin0"] * peer.packets
            good = ["-Y", "udp.checksum.status == 1"]
            done = subprocess.run([*command, *good], capture_output=True, text=True, check=True)
            assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
def test_ping_is_answered(apart: Apart, offload: bool) -> None:
    ping = find_program("ping")
    need(ping, "the program ping is not installed")
    assert ping is not None

    @apart
    def _() -> None:
        link = TunLink("synfin0", 1500, offload)
        configure("synfin0", HOSTS)
        for address in PEERS.values():
            command = [ping, "-c", "2", "-i", "0.01", "-W", "9", address]
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            serve(link, NaiveTcp(1460), lambda running=running: running.poll() is not None)  # type: ignore[misc]
            assert running.returncode == 0


def test_a_name_with_a_pattern_becomes_a_free_number_and_the_mtu_is_set(apart: Apart) -> None:
    @apart
    def _() -> None:
        first, second = TunLink("try%d", 9000), TunLink("try%d", 576)
        assert (first.name, second.name) == ("try0", "try1")
        with IPRoute() as kernel:
            links = {link.get_attr("IFLA_IFNAME"): link for link in kernel.get_links()}
        assert links["try0"].get_attr("IFLA_MTU") == 9000
        assert links["try1"].get_attr("IFLA_MTU") == 576
        assert links["try1"].get_attr("IFLA_TXQLEN") == KERNEL_QUEUE
        first.close()
        second.close()
        assert {name for _, name in socket.if_nameindex()} == {"lo"}


def test_an_interface_prepared_by_root_serves_a_user_without_rights_at_its_own_mtu(apart: Apart) -> None:
    @apart
    def _() -> None:
        from fcntl import ioctl

        prepared = TunLink("synfin0", 1400)
        ioctl(prepared.fileno(), 0x400454CB, 1)  # TUNSETPERSIST
        ioctl(prepared.fileno(), 0x400454CC, os.geteuid())  # TUNSETOWNER
        prepared.close()
        configure("synfin0", HOSTS)
        drop_capabilities()
        with pytest.raises(PermissionError, match="has mtu 1400 and could not be given 1500"):
            TunLink("synfin0", 1500)
        with pytest.raises(PermissionError, match=r"enter_private_network\(\)"):
            TunLink("synfin1", 1500)
        exchange(TunLink("synfin0", 1400), 4, 1400)


def drop_capabilities() -> None:
    """What an ordinary user of a machine has: the identity stays, every right goes."""
    version_and_self = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(version_and_self, nothing) == 0


def test_a_name_that_is_taken_is_an_error_that_says_so(apart: Apart) -> None:
    @apart
    def _() -> None:
        link = TunLink("synfin0")
        with pytest.raises(OSError, match="in use by another process") as caught:
            TunLink("synfin0")
        assert caught.value.errno == errno.EBUSY
        with pytest.raises(OSError, match="is no TUN device"):
            TunLink("lo")
        link.close()


def test_an_interface_that_was_deleted_is_an_error_of_every_call(apart: Apart) -> None:
    @apart
    def _() -> None:
        link = TunLink("synfin0")
        configure("synfin0", HOSTS)
        with IPRoute() as kernel:
            kernel.link("del", index=socket.if_nametoindex("synfin0"))
        for _ in range(2):
            with pytest.raises(OSError, match="'synfin0' is gone"):
                link.receive(NaiveTcp(1460), lambda: 0, 10)
            with pytest.raises(OSError, match="'synfin0' is gone"):
                link.send([Burst(b"E" * 40, [], 0)])
        link.close()


def test_an_interface_that_is_down_loses_packets_and_comes_back(apart: Apart) -> None:
    @apart
    def _() -> None:
        link = TunLink("synfin0")
        writable = select.epoll()
        writable.register(link.fileno(), select.EPOLLOUT)
        assert not link.send([Burst(b"E" * 40, [], 0)]), "it is full until it is up"
        assert link.refused == 1
        assert link.last_error is not None and link.last_error.errno == errno.EIO
        assert link.receive(NaiveTcp(1460), lambda: 0, 10) == 0
        assert not writable.poll(0)
        configure("synfin0", HOSTS)
        assert writable.poll(0)
        assert not link.has_come_back()
        assert link.flush()
        assert link.has_come_back() and not link.has_come_back()
        exchange(link, 4, 1500)
        assert link.refused == 1


def test_a_host_ends_at_once_where_its_interface_is_down(apart: Apart) -> None:
    @apart
    def _() -> None:
        async def main() -> None:
            link = TunLink("synfin0")
            configure("synfin0", HOSTS)
            async with Host("10.9.0.2/24", link=link) as host:
                accepted = asyncio.Event()
                await host.create_server(lambda: Accepted(accepted), port=80)
                _, kernel = await asyncio.wait_for(asyncio.open_connection("10.9.0.2", 80), 20)
                await asyncio.wait_for(accepted.wait(), 20)
                await asyncio.to_thread(set_down, "synfin0")
                await asyncio.wait_for(host.aclose(grace=60), 30)
                assert link.refused, "its RST"
                kernel.transport.abort()

        asyncio.run(main())


def set_down(name: str) -> None:
    with IPRoute() as kernel:
        (index,) = kernel.link_lookup(ifname=name)
        kernel.link("set", index=index, state="down")


class Accepted(asyncio.Protocol):
    def __init__(self, accepted: asyncio.Event) -> None:
        self.accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.accepted.set()


def test_an_interface_that_persists_forgets_the_offload_of_its_last_user(apart: Apart) -> None:
    @apart
    def _() -> None:
        from fcntl import ioctl

        first = TunLink("synfin0", offload=True)
        ioctl(first.fileno(), 0x400454CB, 1)  # TUNSETPERSIST
        first.close()
        for offload in (False, True, False):
            link = TunLink("synfin0", 1500, offload)
            configure("synfin0", HOSTS)
            assert (exchange(link, 4, 1500).largest > 1460) == offload
            link.close()


def test_a_private_network_starts_with_loopback_alone_and_up(apart: Apart) -> None:
    @apart
    def _() -> None:
        assert {name for _, name in socket.if_nameindex()} == {"lo"}
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
        assert os.geteuid() == 0


def test_configure_gives_addresses_and_routes_at_once_and_may_be_repeated(apart: Apart) -> None:
    @apart
    def _() -> None:
        TunLink("synfin0")

        async def inside_a_loop() -> None:
            configure("synfin0", HOSTS, 1400, ["10.77.0.0/16", "fd77::/64", "0.0.0.0/0"])

        for _ in range(2):
            asyncio.run(inside_a_loop())
            for family, address in ((socket.AF_INET, "10.9.0.1"), (socket.AF_INET6, "fd00:9::1")):
                with socket.socket(family, socket.SOCK_STREAM) as bound:
                    bound.bind((address, 0))
            for family, address in (
                (socket.AF_INET, "10.77.1.1"),
                (socket.AF_INET6, "fd77::1"),
                (socket.AF_INET, "192.0.2.1"),
            ):
                with socket.socket(family, socket.SOCK_DGRAM) as routed:
                    routed.connect((address, 9))
                    assert routed.getsockname()[0] in ("10.9.0.1", "fd00:9::1")
        with pytest.raises(OSError, match="the kernel refuses address ff02::1/64 on synfin0"):
            configure("synfin0", ["ff02::1/64"])


def test_programs_run_in_a_private_network_that_ends_with_it(apart: Apart) -> None:
    @apart
    def _() -> None:
        with PrivateNetwork() as network:
            names = "import socket; print([name for _, name in socket.if_nameindex()])"
            TunLink("outside")
            done = network.run([sys.executable, "-c", names], capture_output=True, text=True, check=True)
            assert done.stdout.strip() == "['lo']"
            sleeper = network.popen(["sleep", "1000"])
        assert sleeper.returncode == -9
        assert not Path(f"/proc/{network.pid}").exists()
        network.close()


def test_the_probes_say_yes_where_it_works(apart: Apart) -> None:
    @apart
    def _() -> None:
        assert private_network_available() is None
        assert tun_available() is None


def test_a_command_can_be_run_in_a_private_network(require_netns: None) -> None:
    names = "import socket; print([name for _, name in socket.if_nameindex()])"
    command = [sys.executable, "-m", "synfin.links.netns", sys.executable, "-c", names]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "['lo']"
