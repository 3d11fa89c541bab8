"""Peers of one stack, made of bytes: nothing of a client exists but its number and what it read last.

Client `number` has an address of its own. Its first sequence number is FIRST.
"""

from __future__ import annotations

from zlib import crc32

from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

SERVER = "10.0.0.1"
PORT = 80
FIRST = 1000
_SERVER = bytes((10, 0, 0, 1))
_CLIENTS = 0x0A010000  # 10.1.0.0 and on
_LOWEST = 1024
_TEXT = bytes(100)


def key_of(number: int) -> bytes:
    """Its connection's key. Its port is anybody's guess, as a real client's is: whatever hashes keys gets no help."""
    address = (_CLIENTS + number).to_bytes(4, "big")
    port = _LOWEST + crc32(address) % (0x10000 - _LOWEST)
    return make_key(address, _SERVER, port, PORT)


def syn(number: int, now: int) -> bytes:
    """First segment, with the options that today's systems send."""
    seg = _segment(number, SYN, FIRST, 0, now)
    seg.mss = 1460
    seg.wscale = 7
    seg.sack_permitted = True
    return build(seg)


def ack(number: int, theirs: int, now: int) -> bytes:
    """Third segment. theirs: the sequence number of the server's SYN."""
    return build(_segment(number, ACK, FIRST + 1, theirs + 1, now))


def text(number: int, theirs: int, sent: int, now: int) -> bytes:
    """100 bytes that are to be acknowledged at once; `sent` bytes went before."""
    seg = _segment(number, ACK | PSH, FIRST + 1 + sent, theirs + 1, now)
    seg.payload = _TEXT
    return build(seg)


def fin(number: int, theirs: int, now: int) -> bytes:
    """The last segment of a client whose server has sent nothing but its FIN."""
    return build(_segment(number, ACK | FIN, FIRST + 1, theirs + 2, now))


def reset(number: int) -> bytes:
    """The end of a client that has sent no text."""
    return build(_segment(number, RST, FIRST + 1, 0, 0))


def shake_hands(stack: Stack, number: int, now: int) -> int:
    """A three-way handshake. The server's first sequence number; its connection waits to be accepted."""
    stack.receive(syn(number, now), now)
    (answer,) = stack.poll(now, 1 << 20)
    theirs = int.from_bytes(answer.head[24:28], "big")
    stack.receive(ack(number, theirs, now), now)
    return theirs


def open_one(stack: Stack, number: int, now: int) -> tuple[int, Connection]:
    """A three-way handshake. The server's first sequence number, and its connection, accepted."""
    theirs = shake_hands(stack, number, now)
    listener = stack.accepting()
    connection = None if listener is None else listener.accept()
    if connection is None:
        raise RuntimeError(f"the handshake of client {number} failed")
    while (waiting := stack.ready()) is not None:
        waiting.take_events()
    stack.poll(now, 1 << 20)
    return theirs, connection


def _segment(number: int, flags: int, seq: int, acknowledged: int, now: int) -> Segment:
    seg = Segment()
    seg.key = key_of(number)
    seg.flags = flags
    seg.seq = seq & 0xFFFFFFFF
    seg.ack = acknowledged & 0xFFFFFFFF
    seg.window = 65535
    seg.has_ts = True
    seg.ts_val = (now // 1000) & 0xFFFFFFFF
    return seg
