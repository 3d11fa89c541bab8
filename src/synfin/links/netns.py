"""Private networks: a Linux network namespace of one's own, without root where the system allows it.

A private network has its own interfaces, addresses and routes, and is gone with its last process. synfin's TUN link
and the programs it talks to (started as child processes) share one; nothing outside sees them. As an ordinary user
the process also gets a user namespace, in which it is root over its own network and over nothing else.

    python -m synfin.links.netns COMMAND ...      # runs COMMAND in a new private network
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from synfin._install import how_to_add
from synfin.links.link import check_mtu
from synfin.links.refusal import why_refused

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_IFA_F_NODAD: Final = 0x02
_PROBE_SECONDS: Final = 60.0  # a busy machine may take its time; longer is a hang


def enter_private_network() -> None:
    """Move this process, for good, into a new network namespace with its loopback interface up.

    Without the right to do so it moves into a new user namespace as well, where it is root over its own network.
    Raises RuntimeError if the process has more than one thread (a namespace is a thread's own), and OSError that says
    what is in the way.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "private networks are network namespaces, which only Linux has")
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"enter_private_network() needs a process of one thread, not {threads}: call it earlier")
    try:
        unshare(CLONE_NEWNET)
    except PermissionError:
        _enter_as_ordinary_user()
    loopback_up()


def _enter_as_ordinary_user() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")  # user_namespaces(7): before gid_map
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise OSError(error.errno, why_refused(error.errno or 0)) from error


def unshare(flags: int) -> None:
    """unshare(2); os.unshare is there from Python 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def loopback_up() -> None:
    """This process's loopback interface works from now on."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", b"lo"))
        (flags,) = struct.unpack_from("H", answer, 16)
        ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def configure(
    interface: str, addresses: Iterable[str] = (), mtu: int | None = None, routes: Iterable[str] = ()
) -> None:
    """Bring an interface up with addresses ("10.9.0.1/24", "fd00:9::1/64") and routes to it ("10.0.0.0/8").

    IPv6 addresses are usable at once (no duplicate address detection). Done again, it changes nothing. It may be
    called with an event loop running. mtu: bytes, 576 to 65535, 1280 at least with IPv6.
    Raises ValueError for what can't be meant, and OSError for what the kernel refuses.
    """
    hosts = [ipaddress.ip_interface(text) for text in addresses]
    networks = [ipaddress.ip_network(text) for text in routes]
    ipv6 = any(item.version == 6 for item in (*hosts, *networks))
    if mtu is not None:
        check_mtu(mtu, ipv6)

    def work(kernel: Any) -> None:
        index = _index(kernel, interface)
        if mtu is not None:
            _ask(f"mtu {mtu} for {interface}", kernel.link, "set", index=index, mtu=mtu)
        _ask(f"{interface} up", kernel.link, "set", index=index, state="up")
        for host in hosts:
            extra = {"flags": _IFA_F_NODAD} if host.version == 6 else {}
            prefix = host.network.prefixlen
            _ask(
                f"address {host} on {interface}",
                kernel.addr, "replace", index=index, address=str(host.ip), prefixlen=prefix, **extra,
            )  # fmt: skip
        for network in networks:
            _ask(f"route {network} via {interface}", kernel.route, "replace", dst=str(network), oif=index)

    with_kernel(work)


def add_pair(interface: str, other: str, network_of: int = 0) -> None:
    """A veth pair, whose ends are each other's cable; both are down. network_of: a process in whose network `other` is.

    Raises OSError for what the kernel refuses.
    """

    def work(kernel: Any) -> None:
        peer = {"ifname": other, "net_ns_pid": network_of} if network_of else {"ifname": other}
        _ask(f"the pair {interface} and {other}", kernel.link, "add", ifname=interface, kind="veth", peer=peer)

    with_kernel(work)


def with_kernel(work: Callable[[Any], None]) -> None:
    """Give `work` pyroute2's IPRoute. Raises OSError for what the kernel refuses.

    pyroute2 runs an event loop of its own, which can't be nested in the caller's; a new thread is in the same
    network."""

    def in_thread() -> None:
        try:
            from pyroute2 import IPRoute  # here only: it takes 300 ms
        except ImportError as error:
            raise ModuleNotFoundError(
                f"interfaces are set up by pyroute2, which is not installed. Type: {how_to_add('tun')}", name="pyroute2"
            ) from error

        from pyroute2.netlink.exceptions import NetlinkError

        with IPRoute() as kernel:
            try:
                work(kernel)
            except NetlinkError as error:
                raise OSError(error.code, os.strerror(error.code)) from error

    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_thread).result()


def _index(kernel: Any, interface: str) -> int:
    found = kernel.link_lookup(ifname=interface)
    if not found:
        raise OSError(errno.ENODEV, f"there is no interface {interface!r}")
    return int(found[0])


def _ask(what: str, call: Any, *args: Any, **settings: Any) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        call(*args, **settings)
    except NetlinkError as error:
        raise OSError(error.code, f"the kernel refuses {what}: {os.strerror(error.code)}") from error


def private_network_available() -> str | None:
    """None if enter_private_network() works here; else the reason in one line. Tried in a child process."""
    return _probe("from synfin.links.netns import enter_private_network; enter_private_network()")


def tun_available() -> str | None:
    """None if a private network with a TUN link can be had here; else the reason in one line."""
    return _probe(
        "from synfin.links.netns import enter_private_network; enter_private_network(); "
        "from synfin.links.tun import TunLink; TunLink().close()"
    )


def _probe(code: str) -> str | None:
    try:
        done = subprocess.run(_python(code), capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"the probe took longer than {_PROBE_SECONDS:g} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"the probe ended with status {done.returncode}"])[-1]
    return last.split("] ", 1)[-1] if "[Errno" in last else last


def _python(code: str) -> list[str]:
    """The command that runs `code` in an interpreter that finds what this one finds."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]


class PrivateNetwork:
    """A private network held open by a small child process, for programs that are to run in it.

    `with PrivateNetwork() as network: network.run(["ip", "addr"])`. It ends, with all it started, at close() or when
    this process dies, however it dies. Needs util-linux's nsenter. Raises OSError where there are no private networks.
    """

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[Any]] = []
        code = (
            "from synfin.links.netns import enter_private_network; enter_private_network(); "
            "print('ready', flush=True); sys.stdin.read()"
        )
        pipe = subprocess.PIPE
        self._holder = subprocess.Popen(_python(code), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            _, complaint = self._holder.communicate()
            raise OSError(errno.EPERM, (complaint.strip().splitlines() or ["no private network"])[-1])
        self._prefix = ["nsenter", "-t", str(self._holder.pid), "-n"]
        if os.stat(f"/proc/{self._holder.pid}/ns/user") != os.stat("/proc/self/ns/user"):
            self._prefix += ["-U", "--preserve-credentials"]

    @property
    def pid(self) -> int:
        """Of the process that holds the network open."""
        return self._holder.pid

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside."""
        return [*self._prefix, "--", *argv]

    def run(self, argv: Sequence[str], check: bool = False, **options: Any) -> subprocess.CompletedProcess[Any]:
        """subprocess.run() inside."""
        return subprocess.run(self.command(argv), check=check, **options)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """subprocess.Popen() inside; killed at close()."""
        child: subprocess.Popen[Any] = subprocess.Popen(self.command(argv), **options)
        self._children.append(child)
        return child

    def close(self) -> None:
        """Kill what popen() started and still runs, and let the network go. May be called twice."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
        for child in self._children:
            child.wait()
        self._children.clear()
        if self._holder.poll() is None:
            self._holder.communicate()

    def __enter__(self) -> PrivateNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m synfin.links.netns COMMAND [ARGUMENT ...]")
    enter_private_network()
    os.execvp(sys.argv[1], sys.argv[1:])
