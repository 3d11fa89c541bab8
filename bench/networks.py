"""Two private networks joined by a veth pair: where the kernel's TCP talks to itself."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PEER_ADDRESS = "10.9.0.1"  # where load.c is
OUR_ADDRESS = "10.9.0.2"  # where the subject is
MTU = 1500


@contextmanager
def veth_pair(offload: bool, kernels: bool = True) -> Iterator[Callable[[list[str]], list[str]]]:
    """Enter a private network joined with a second one; gives what makes a command line run in the second.

    kernels: this end's address is the kernel's own.
    """
    from synfin.links import netns

    netns.enter_private_network()
    with netns.PrivateNetwork() as other:
        netns.add_pair("veth0", "veth1", other.pid)
        netns.configure("veth0", [f"{OUR_ADDRESS}/24"] if kernels else [], MTU)
        set_up = (
            f"from synfin.links import netns; netns.configure('veth1', ['{PEER_ADDRESS}/24'], {MTU}); "
            f"from bench import networks; {offload} or networks.without_offload('veth1')"
        )
        other.run([sys.executable, "-c", set_up], check=True)
        if not offload:
            without_offload("veth0")
        yield other.command


def without_offload(interface: str) -> None:
    """What `ethtool -K interface tx off tso off gso off gro off` does (ethtool.h)."""
    from fcntl import ioctl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (0x1F, 0x24, 0x2C, 0x17):  # ETHTOOL_STSO, SGSO, SGRO, STXCSUM
            request = bytearray(struct.pack("=II", command, 0))
            address = (ctypes.c_char * len(request)).from_buffer(request)
            ioctl(control, 0x8946, struct.pack("16sP16x", interface.encode(), ctypes.addressof(address)))


def crossed(interface: str) -> tuple[int, int]:
    """Bytes and packets that crossed the interface so far, both ways."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            fields = numbers.split()
            return int(fields[0]) + int(fields[8]), int(fields[1]) + int(fields[9])
    raise RuntimeError(f"no interface {interface}")
