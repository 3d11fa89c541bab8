"""One measurement of a peer, asked by load.c what a synfin Host is asked.

gVisor, lwIP and PyTCP are the end of the connection, on a TUN device, or gVisor on a packet socket. slirp4netns and
pasta carry the connections of a network to the kernel's sockets outside of it, where load.c serves: one hop more. So
does `synfin run`, which is measured here as they are.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.networks import MTU, OUR_ADDRESS, PEER_ADDRESS, veth_pair
from bench.plan import CARRIERS, LWIP, PACKET, PASTA, PYTCP, RUN, SLIRP4NETNS
from bench.setting import Setting, finish

PORT = 7000
PARALLEL = 32  # as in served
SERVED = {
    "bulk_receive": "sink",
    "bulk_send": "source",
    "short_connections": "answer",
    "ping_pong": "echo",
}
GSO_BYTES = 65536
CARRIERS_MTU = 65520  # what all three can; 1500 beside what has no offload
GATEWAY = "10.0.2.2"  # the outside's own loopback, as the inside sees it; but for synfin's, which has an own
INSIDE = "10.0.2.100"
LWIP_WARM_MS, LWIP_MS = 50, 250  # it refuses a port for its TIME-WAIT, and load.c's come again: before that
PORTS_SYSCTL = Path("/proc/sys/net/ipv4/ip_local_port_range")  # of the private network
OUTSIDE = "10.77.0.2"  # pasta wants an interface with a default route to speak of

Command = Callable[[list[str]], list[str]]


def of_peer(setting: Setting) -> None:
    """Measure and finish."""
    around = _through_carrier if setting.subject in CARRIERS or setting.link == RUN else _at_its_end
    with around(setting) as (address, inside):
        finish(_ask(setting, address, inside))


def _ask(setting: Setting, address: str, inside: Command) -> float:
    def ask(*words: str | int) -> list[float]:
        command = inside(setting.command(*words))
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=setting.patience, check=True)
        return [float(word) for word in done.stdout.split()]

    if setting.measure == "short_connections":
        warm, length = setting.warm_ms, setting.ms
        if setting.subject == LWIP:
            warm, length = min(warm, LWIP_WARM_MS), min(length, LWIP_MS)
        count, seconds = ask("connect", address, PORT, PARALLEL, warm, length)
        return count / seconds
    if setting.measure == "ping_pong":
        return ask("ping", address, PORT, setting.warm_ms, setting.ms)[0]
    word = "acked" if setting.measure == "bulk_receive" else "receive"
    count, seconds = ask(word, address, PORT, setting.warm_ms, setting.ms)
    return count * 8 / seconds / 1e9


@contextmanager
def _ready(command: Sequence[str], **options: Any) -> Iterator[None]:
    """Run a server that prints "ready" and ends with its standard input."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, **options) as server:
        try:
            assert server.stdout is not None
            if not server.stdout.readline():
                raise RuntimeError(f"{command[0]} did not begin")
            yield
        finally:
            server.kill()


# ---- the end of the connection ----


@contextmanager
def _at_its_end(setting: Setting) -> Iterator[tuple[str, Command]]:
    words = [OUR_ADDRESS, PEER_ADDRESS, str(PORT), SERVED[setting.measure], str(MTU)]
    device = _packet_socket if setting.link == PACKET else _tun
    with device(setting) as (fd, inside, more), _ready([*setting.peer, str(fd), *words, *more], pass_fds=(fd,)):
        yield OUR_ADDRESS, inside


Device = tuple[int, Command, list[str]]


@contextmanager
def _tun(setting: Setting) -> Iterator[Device]:
    from fcntl import ioctl

    from synfin.links import netns

    netns.enter_private_network()
    flags = 0x0001 | (0 if setting.subject == PYTCP else 0x1000)  # IFF_TUN, IFF_NO_PI
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"bench0", flags))  # TUNSETIFF
    netns.configure("bench0", [f"{PEER_ADDRESS}/24"], MTU)
    PORTS_SYSCTL.write_text("1024 65535")
    yield fd, lambda words: words, []


@contextmanager
def _packet_socket(setting: Setting) -> Iterator[Device]:
    every = 3  # ETH_P_ALL
    with (
        veth_pair(setting.offload, kernels=False) as inside,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(every)) as packets,
    ):
        if setting.offload:
            packets.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        packets.bind(("veth0", every))
        ethernet = packets.getsockname()[4].hex(":")
        yield packets.fileno(), inside, [ethernet, *([str(GSO_BYTES)] if setting.offload else [])]


# ---- a carrier of connections ----


@contextmanager
def _through_carrier(setting: Setting) -> Iterator[tuple[str, Command]]:
    from synfin.links import netns

    mtu = CARRIERS_MTU if setting.offload else MTU
    carry = CARRY.get(setting.subject, _synfin_run)
    netns.enter_private_network()
    serve = setting.command("serve", "127.0.0.1", PORT, SERVED[setting.measure])
    with _ready(serve), carry(setting.peer, mtu) as (address, inside):
        yield address, inside


@contextmanager
def _synfin_run(program: list[str], mtu: int) -> Iterator[tuple[str, Command]]:
    """It is the command's parent. program: of no use."""
    from synfin.run.plan import GATEWAY as host

    words = [sys.executable, "-m", "synfin", "run", "--quiet", "--allow-host", f"--mtu={mtu}", "--"]
    yield host[4].split("/")[0], lambda command: [*words, *command]


@contextmanager
def _slirp4netns(program: list[str], mtu: int) -> Iterator[tuple[str, Command]]:
    from synfin.links import netns

    ready, told = os.pipe()
    with netns.PrivateNetwork() as other:
        words = ["--configure", f"--mtu={mtu}", f"--ready-fd={told}", str(other.pid), "tap0"]
        pipe = subprocess.PIPE
        with subprocess.Popen([*program, *words], stdout=pipe, stderr=pipe, pass_fds=(told,)) as carrier:
            os.close(told)
            try:
                with open(ready, "rb") as answer:
                    if not answer.read(1):
                        raise RuntimeError(carrier.communicate()[1].decode().strip())
                yield GATEWAY, other.command
            finally:
                carrier.kill()


@contextmanager
def _pasta(program: list[str], mtu: int) -> Iterator[tuple[str, Command]]:
    """It makes the network of the command that it is given, which waits until that is set up.

    As root it would take another user's rights itself, and then may not enter that network any more.
    """
    from synfin.links import netns

    netns.add_pair("out0", "out1")
    netns.configure("out1")
    netns.configure("out0", [f"{OUTSIDE}/24"], routes=["0.0.0.0/0"])
    words = ["--config-net", "--foreground", "--quiet", "--ipv4-only", "--ns-ifname", "tap0", "--mtu", str(mtu)]
    words += ["--address", INSIDE, "--netmask", "24", "--gateway", GATEWAY, "--interface", "out0"]
    words += [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    wait = ["sh", "-c", 'until grep -q tap0 /proc/net/route; do sleep 0.01; done; exec "$@"', "sh"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    yield GATEWAY, lambda command: [*nobody, "timeout", "-k", "1", "60", *program, *words, "--", *wait, *command]


CARRY = {SLIRP4NETNS: _slirp4netns, PASTA: _pasta}
