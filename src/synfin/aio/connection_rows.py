"""A stack's connections as plain data: what the control socket tells, and the lab's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, Final

from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

ROWS: Final = 128  # connections that are told of in one turn of the loop
_TOLD: Final = ("InSegs", "OutSegs", "RetransSegs", "InErrs", "OutRsts", "ActiveOpens", "PassiveOpens", "TCPTimeouts")


def head(stack: Stack) -> dict[str, Any]:
    """What is said of a host beside its connections."""
    counters = stack.counters
    return {
        "census": stack.census(),
        "flood": {"batches": stack.flood().batches, "answered": stack.flood().answered},
        "counters": {name: int(getattr(counters, name)) for name in _TOLD},
    }


def describe(stack: Stack, now: int) -> list[dict[str, Any]]:
    """All connections of a stack, plain data. Times in microseconds; timer None: nothing is waited for."""
    return [row(connection, now) for connection in stack.connections()]


def table(stack: Stack, clock: Callable[[], int]) -> Iterator[list[dict[str, Any]]]:
    """The same in parts of at most ROWS, at least one. Connections that end in between are told of as they are then."""
    connections = stack.connections()
    for first in range(0, max(len(connections), 1), ROWS):
        now = clock()
        yield [row(connection, now) for connection in connections[first : first + ROWS]]


def row(connection: Connection, now: int) -> dict[str, Any]:
    """One connection. sent, received: how far the numbers of each direction have come, SYN and FIN included."""
    status = connection.snapshot(now)
    key = connection.key
    return {
        "key": key.hex(),
        "state": status.state,
        "local": _endpoint(key_dst(key), int(key_dst_port(key))),
        "peer": _endpoint(key_src(key), int(key_src_port(key))),
        "sent": status.snd_una,
        "received": status.rcv_nxt,
        "recv_queue": status.unread,
        "out_of_order": status.out_of_order,
        "send_queue": status.unsent + status.unacknowledged,
        "deadline": status.deadline,  # in the stack's time, 0: nothing is waited for
        "timer": max(0, status.deadline - now) if status.deadline else None,
        "timer_name": _timer_name(connection),
        "cwnd": status.cwnd,
        "ssthresh": status.ssthresh,
        "mss": status.mss,
        "snd_wnd": status.snd_wnd,
        "rcv_wnd": status.rcv_wnd,
        "srtt_us": status.srtt_us,
        "rto_us": status.rto_us,
        "in_flight": status.in_flight,
        "retries": status.retries,
        "delivery_rate": status.delivery_rate,
        "busy_us": status.busy_us,
        "peer_limited_us": status.peer_limited_us,
        "buffer_limited_us": status.buffer_limited_us,
        "congestion_limited_us": status.congestion_limited_us,
        "ecn": status.ecn,
    }


def _timer_name(connection: Connection) -> str:
    """What the earliest timer is for."""
    due = connection.deadline
    if not due:
        return ""
    if connection.handshake is not None:
        return "syn"
    if connection.sender.rto_deadline == due:
        return "rto"
    if connection.sender.persist is not None and connection.sender.persist.deadline == due:
        return "persist"
    if connection.receiver.acks.deadline == due:
        return "ack"
    if connection.keepalive is not None and connection.keepalive.deadline == due:
        return "keepalive"
    return "timer"


def _endpoint(address: bytes, port: int) -> str:
    text = str(ip_address(address))
    return f"{text}:{port}" if len(address) == 4 else f"[{text}]:{port}"
