"""What is measured, in which unit, and beside what.

Rule for the next editor: a benchmark is one entry here and one function in `worker`. Who is measured is a *subject*:
synfin in one of two modes with one of two kinds of user, asyncio over the kernel's sockets, or the kernel alone.
"""

from __future__ import annotations

from dataclasses import dataclass

MODES = ("interpreted", "compiled")

# Subjects. The first is what a result is about, the others are references.
PROTOCOL = "protocol"  # a synfin Host, its user an asyncio.Protocol
STREAMS = "streams"  # the same with StreamReader and StreamWriter
ASYNCIO = "asyncio"  # an asyncio.Protocol over the kernel's sockets, on a veth pair
KERNEL = "kernel"  # C on both sides of a veth pair
KERNEL_PLAIN = "kernel_plain"  # the same without segmentation and checksum offload

IN_SYNFIN = (PROTOCOL, STREAMS)  # measured anew in each mode


@dataclass(frozen=True)
class Benchmark:
    """One row of the table. `measure` is the function of `worker`; `offload` whether the device has it."""

    name: str
    unit: str
    measure: str
    references: tuple[str, ...] = ()
    offload: bool = True
    network: bool = True
    """False: no TUN device and no namespace are needed."""


BENCHMARKS = (
    Benchmark("bulk_receive_offload", "Gbit/s", "bulk_receive", (KERNEL,)),
    Benchmark("bulk_send_offload", "Gbit/s", "bulk_send", (KERNEL,)),
    Benchmark("bulk_receive_plain", "Gbit/s", "bulk_receive", (KERNEL, KERNEL_PLAIN), offload=False),
    Benchmark("bulk_send_plain", "Gbit/s", "bulk_send", (KERNEL, KERNEL_PLAIN), offload=False),
    Benchmark("short_connections", "1/s", "short_connections", (KERNEL, ASYNCIO, STREAMS)),
    Benchmark("ping_pong", "µs", "ping_pong", (KERNEL, ASYNCIO, STREAMS)),
    Benchmark("memory_idle_connection", "bytes", "memory_idle_connection", (STREAMS, ASYNCIO)),
    Benchmark("memory_link_segments", "1/s", "memory_link_segments", (KERNEL_PLAIN,), network=False),
)
