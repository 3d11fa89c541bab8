"""The Internet checksum (RFC 1071): 16-bit ones'-complement sums.

2^16 leaves 1 when divided by 65535, so the sum of the 16-bit words of any big-endian number is its remainder mod 65535.
A folded sum is 0 only if every word was 0; any other multiple of 65535 folds to 0xFFFF.
"""

from typing import Final

from mypy_extensions import i64

from synfin.wire.endian import read_i64_be, read_u16
from synfin.wire.pieces import Piece, as_bytes


def fold(total: i64) -> i64:
    """Add the carries of a sum (>= 0) back in until 16 bits are left."""
    if total <= 0xFFFF:
        return total
    rest = total % 0xFFFF
    return rest if rest else 0xFFFF


def complement(total: i64) -> i64:
    """The checksum field that belongs to the sum of everything else."""
    return 0xFFFF - fold(total)


# One big-integer remainder is the fastest loop the interpreter has; compiled code adds eight bytes a turn.
_COMPILED: Final = not hasattr(fold, "__code__")


def ones_sum(data: bytes) -> i64:
    """The folded sum of the 16-bit words of `data`; an odd last byte is padded with a zero byte."""
    return span_sum(data, 0, len(data))


def span_sum(data: bytes, start: i64, end: i64) -> i64:
    """`ones_sum(data[start:end])` for 0 <= start <= end <= len(data), without the copy when compiled."""
    total: i64 = 0
    if _COMPILED:
        at = start
        while at + 8 <= end:
            word = read_i64_be(data, at)
            total += ((word >> 32) & 0xFFFFFFFF) + (word & 0xFFFFFFFF)
            at += 8
        while at + 2 <= end:
            total += read_u16(data, at)
            at += 2
        if at < end:
            octet: i64 = data[at]
            total += octet << 8
        return fold(total)
    number: int = int.from_bytes(data[start:end], "big")
    if (end - start) & 1:
        number <<= 8
    total = number % 0xFFFF
    return total if total or not number else 0xFFFF


def swapped(total: i64) -> i64:
    """A folded sum for data at an odd offset: its words are byte-swapped, and so is their sum (RFC 1071 2 B)."""
    return ((total << 8) & 0xFF00) | (total >> 8)


def pieces_sum(pieces: list[Piece]) -> i64:
    """`ones_sum` of the pieces laid end to end, without joining them."""
    total: i64 = 0
    odd = False
    for piece in pieces:
        part = ones_sum(as_bytes(piece))
        total += swapped(part) if odd else part
        odd = odd != (len(piece) & 1 == 1)
    return fold(total)


def pseudo_sum(addresses: bytes, protocol: i64, length: i64) -> i64:
    """The folded sum of the pseudo header (RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6).

    `addresses` is source then destination (8 or 32 bytes), `length` that of the upper-layer header and data.
    """
    return fold(ones_sum(addresses) + protocol + length)
