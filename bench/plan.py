"""What is measured, in which unit, and beside what.

Rule for the next editor: a benchmark is one entry here and one function in `served`, `embedded`, `in_memory`,
`flooded`, `relayed`, `tables`, `memory`, `simulation` or `campaigns`. Who is measured is a *subject*:
synfin in one of two modes with one of two kinds of user, asyncio over the kernel's sockets, or the kernel alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

MODES = ("interpreted", "compiled")

# Subjects. The first is what a result is about, the others are references.
PROTOCOL = "protocol"  # a synfin Host, its user an asyncio.Protocol
STREAMS = "streams"  # the same with StreamReader and StreamWriter
ASYNCIO = "asyncio"  # an asyncio.Protocol over the kernel's sockets, on a veth pair
KERNEL = "kernel"  # C on both sides of a veth pair
KERNEL_PLAIN = "kernel_plain"  # the same without segmentation and checksum offload
KERNELS = (KERNEL, KERNEL_PLAIN)

# What a user could pick instead; each is measured where it is installed (bench.peers).
GVISOR = "gvisor"
LWIP = "lwip"
PYTCP = "pytcp"
SLIRP4NETNS = "slirp4netns"
PASTA = "pasta"
CARRIERS = (SLIRP4NETNS, PASTA)  # from a network to the kernel's sockets outside of it
PEERS = (GVISOR, LWIP, PYTCP, *CARRIERS)

OBJECTS = (KERNEL,) if os.access("/proc/slabinfo", os.R_OK) else ()  # root alone may read how big the kernel's are

TABLES = {  # each measured with so many entries; ports end before 100,000
    "time_wait": (10, 1000, 100_000),
    "syn_queue": (10, 1000, 100_000),
    "accept_queue": (10, 1000, 100_000),
    "reassembly": (10, 1000, 100_000),
    "connect": (10, 1000, 60_000),
}

EMBEDDED = {  # two Hosts in one process: mtu, by outgoing() or a packet a turn, checksums trusted
    f"{way}_{mtu}{'_trusted' if trusted else ''}": (mtu, way == "batches", trusted)
    for way in ("packets", "batches")
    for mtu in (1280, 16000)
    for trusted in (False, True)
}

CONTROL = "cubic"  # what nearly every Linux has: with bbr a sender's pacing timers are most of what bulk measures

TUN = "tun"
PACKET = "packet"  # a packet socket on one end of a veth pair; load.c has the kernel's TCP at the other
RUN = "run"  # load.c is what `synfin run` runs, and serves outside as well
LINKS = (TUN, PACKET, RUN)

IN_SYNFIN = (PROTOCOL, STREAMS)  # measured anew in each mode


@dataclass(frozen=True)
class Benchmark:
    """One row of the table. `measure` is the worker's name for it; `offload` whether the device has it."""

    name: str
    unit: str
    measure: str
    references: tuple[str, ...] = ()
    offload: bool = True
    network: bool = True
    """False: no TUN device and no namespace are needed."""
    link: str = TUN
    """What carries synfin's packets."""


BENCHMARKS = (
    Benchmark("bulk_receive_offload", "Gbit/s", "bulk_receive", (KERNEL, *CARRIERS)),
    Benchmark("bulk_send_offload", "Gbit/s", "bulk_send", (KERNEL, *CARRIERS)),
    Benchmark("bulk_receive_plain", "Gbit/s", "bulk_receive", (*KERNELS, *PEERS), offload=False),
    Benchmark("bulk_send_plain", "Gbit/s", "bulk_send", (*KERNELS, *PEERS), offload=False),
    Benchmark("bulk_receive_packet_offload", "Gbit/s", "bulk_receive", (KERNEL, GVISOR), link=PACKET),
    Benchmark("bulk_send_packet_offload", "Gbit/s", "bulk_send", (KERNEL, GVISOR), link=PACKET),
    Benchmark("bulk_receive_packet", "Gbit/s", "bulk_receive", (*KERNELS, GVISOR), offload=False, link=PACKET),
    Benchmark("bulk_send_packet", "Gbit/s", "bulk_send", (*KERNELS, GVISOR), offload=False, link=PACKET),
    Benchmark("short_connections_packet", "1/s", "short_connections", (KERNEL, ASYNCIO, GVISOR), link=PACKET),
    Benchmark("ping_pong_packet", "µs", "ping_pong", (KERNEL, ASYNCIO, GVISOR), link=PACKET),
    Benchmark("syn_flood", "1/s", "syn_flood", (KERNEL,), link=PACKET),
    Benchmark("cpu_receive_offload", "s/GB", "cpu_receive", (KERNEL,)),
    Benchmark("cpu_send_offload", "s/GB", "cpu_send", (KERNEL,)),
    Benchmark("cpu_receive_plain", "s/GB", "cpu_receive", (KERNEL_PLAIN,), offload=False),
    Benchmark("cpu_send_plain", "s/GB", "cpu_send", (KERNEL_PLAIN,), offload=False),
    Benchmark("watch_receive", "%", "watch_receive"),
    Benchmark("watch_receive_plain", "%", "watch_receive", offload=False),
    Benchmark("watch_cpu", "%", "watch_cpu"),
    Benchmark("watch_cpu_plain", "%", "watch_cpu", offload=False),
    Benchmark("short_connections", "1/s", "short_connections", (KERNEL, ASYNCIO, STREAMS, *PEERS)),
    Benchmark("handshakes", "1/s", "handshakes", (KERNEL, ASYNCIO)),
    Benchmark("handshakes_cookies", "1/s", "handshakes_cookies", (KERNEL,)),
    Benchmark("ping_pong", "µs", "ping_pong", (KERNEL, ASYNCIO, STREAMS, *PEERS)),
    Benchmark("run_send_65520", "Gbit/s", "bulk_receive", (KERNEL, *CARRIERS), link=RUN),  # sent by whom it carries
    Benchmark("run_receive_65520", "Gbit/s", "bulk_send", (KERNEL, *CARRIERS), link=RUN),
    Benchmark("run_send_1500", "Gbit/s", "bulk_receive", (KERNEL, *CARRIERS), offload=False, link=RUN),
    Benchmark("run_receive_1500", "Gbit/s", "bulk_send", (KERNEL, *CARRIERS), offload=False, link=RUN),
    Benchmark("run_short_connections", "1/s", "short_connections", (KERNEL, *CARRIERS), link=RUN),
    Benchmark("run_ping_pong", "µs", "ping_pong", (KERNEL, *CARRIERS), link=RUN),
    Benchmark("relay_share_offload", "share", "relay_share", (KERNEL,)),
    Benchmark("relay_share_plain", "share", "relay_share", (KERNEL_PLAIN,), offload=False),
    Benchmark("memory_idle_connection", "bytes", "memory_idle_connection", (STREAMS, ASYNCIO)),
    Benchmark("memory_link_segments", "1/s", "memory_link_segments", (KERNEL_PLAIN,), network=False),
    *(Benchmark(f"embedded_{name}", "MB/s", f"embedded_{name}", network=False) for name in EMBEDDED),
    Benchmark("syn_answered_cookies", "1/s", "syn_answered_cookies", network=False),
    Benchmark("segment_cost_10", "ns", "segment_cost_10", network=False),
    Benchmark("segment_cost_1000", "ns", "segment_cost_1000", network=False),
    Benchmark("segment_cost_100000", "ns", "segment_cost_100000", network=False),
    *(
        Benchmark(f"table_cost_{table}_{count}", "ns", f"table_cost_{table}_{count}", network=False)
        for table, counts in TABLES.items()
        for count in counts
    ),
    Benchmark("memory_half_open", "bytes", "memory_half_open", OBJECTS, network=False),
    Benchmark("memory_time_wait", "bytes", "memory_time_wait", OBJECTS, network=False),
    Benchmark("memory_established", "bytes", "memory_established", OBJECTS, network=False),
    Benchmark("sim_bulk_segments", "1/s", "sim_bulk_segments", network=False),
    Benchmark("sim_keepalive", "s/s", "sim_keepalive", network=False),
    Benchmark("sim_tests", "1/min", "sim_tests", network=False),
    Benchmark("campaign_seeds_bare", "1/s", "campaign_seeds_bare", network=False),
    Benchmark("campaign_seeds_1", "1/s", "campaign_seeds_1", network=False),
    Benchmark("campaign_seeds_2", "1/s", "campaign_seeds_2", network=False),
)
