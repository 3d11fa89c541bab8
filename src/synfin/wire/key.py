"""Connection keys: the packet bytes that name a connection: source | destination | source port | destination port.

A connection is filed under the key of the packets it receives (peer | local | peer port | local port); what it sends
bears the reversed key. 12 bytes for IPv4, 36 for IPv6.
"""

from mypy_extensions import i64

from synfin.wire.endian import read_u16


def make_key(src: bytes, dst: bytes, src_port: int, dst_port: int) -> bytes:
    """The key of a packet from (src, src_port) to (dst, dst_port); addresses are 4 or 16 bytes."""
    return src + dst + src_port.to_bytes(2, "big") + dst_port.to_bytes(2, "big")


def reverse_key(key: bytes) -> bytes:
    """The key of packets in the other direction."""
    ports = len(key) - 4
    half = ports // 2
    return key[half:ports] + key[:half] + key[ports + 2 :] + key[ports : ports + 2]


def key_src(key: bytes) -> bytes:
    """Source address."""
    return key[: (len(key) - 4) // 2]


def key_dst(key: bytes) -> bytes:
    """Destination address."""
    return key[(len(key) - 4) // 2 : len(key) - 4]


def key_src_port(key: bytes) -> i64:
    """Source port."""
    return read_u16(key, len(key) - 4)


def key_dst_port(key: bytes) -> i64:
    """Destination port."""
    return read_u16(key, len(key) - 2)
