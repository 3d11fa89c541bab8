"""What stands before a packet on a device with offload: `struct virtio_net_hdr`, 10 bytes, native order.

It says how much of a checksum is done, and how a burst is to be cut. On TUN devices it stands before the IP packet, on
packet sockets before the Ethernet frame.
"""

from __future__ import annotations

import struct
from typing import Final

from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, split

VNET_LEN: Final = 10
IOV_LIMIT: Final = 1000  # below IOV_MAX, 1024; longer bursts are joined
CHECKSUM_KNOWN: Final = 1 | 2  # NEEDS_CSUM: partial, the kernel vouches for it; DATA_VALID: the kernel has verified it
COMPLETE: Final = bytes(VNET_LEN)  # the checksum is there, and there is nothing to cut
GSO_SIZE: Final = struct.Struct("=H")  # 4 bytes from the beginning

_FIELDS: Final = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_NEEDS_CSUM: Final = 1
_GSO_TCPV4: Final = 1
_GSO_TCPV6: Final = 4
_GSO_ECN: Final = 0x80
_TCP_CSUM_OFFSET: Final = 16
_TCP_FLAGS_OFFSET: Final = 13
_CWR: Final = 0x80
_PARTIAL: Final = {
    start: _FIELDS.pack(_NEEDS_CSUM, 0, 0, 0, start, _TCP_CSUM_OFFSET) for start in (20, 40, 34, 54)
}  # without and with an Ethernet header


def complete(length: int) -> bytes:
    """The header of a frame of that length whose checksums are done; all of it is its `hdr_len`."""
    return _FIELDS.pack(0, 0, length, 0, 0, 0)


def partial(length: int, csum_start: int) -> bytes:
    """The same, for a frame whose TCP header begins at csum_start and has a partial checksum."""
    return _FIELDS.pack(_NEEDS_CSUM, 0, length, 0, csum_start, _TCP_CSUM_OFFSET)


def frames(burst: Burst) -> list[list[Piece]]:
    """The burst as a device takes it: one frame, unless its checksums are complete, which hold for one segment only."""
    cut = 0 < burst.gso_size < burst.payload_len
    if cut and (burst.csum_start == 0 or counts_by_cwr(burst)):
        return [[COMPLETE, packet] for packet in split(burst)]
    return [framed(burst)]


def framed(burst: Burst, before: bytes = b"") -> list[Piece]:
    """The burst as a device takes it: the vnet header, what stands before the packet, its head; then its pieces."""
    head = burst.head
    start = len(before) + burst.csum_start
    if burst.csum_start == 0:
        first = COMPLETE + before + head
    elif 0 < burst.gso_size < burst.payload_len:
        gso_type = _GSO_TCPV4 if head[0] >> 4 == 4 else _GSO_TCPV6
        if head[burst.csum_start + _TCP_FLAGS_OFFSET] & _CWR:
            gso_type |= _GSO_ECN
        length = len(before) + len(head)
        first = _FIELDS.pack(_NEEDS_CSUM, gso_type, length, burst.gso_size, start, _TCP_CSUM_OFFSET) + before + head
    else:
        first = (_PARTIAL.get(start) or partial(0, start)) + before + head
    if len(burst.pieces) > IOV_LIMIT:
        return [first, b"".join(burst.pieces)]
    return [first, *burst.pieces]


def counts_by_cwr(burst: Burst) -> bool:
    """Whoever cuts it for us would leave CWR on the first segment only: the vnet header knows nothing of RFC 9768."""
    return burst.ace and burst.head[burst.csum_start + _TCP_FLAGS_OFFSET] & _CWR != 0
