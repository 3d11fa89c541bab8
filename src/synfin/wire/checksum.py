"""The Internet checksum (RFC 1071): 16-bit ones'-complement sums.

2^16 leaves 1 when divided by 65535, so the sum of the 16-bit words of any big-endian number is its remainder mod 65535.
A folded sum is 0 only if every word was 0; any other multiple of 65535 folds to 0xFFFF.
"""

from typing import Final

from mypy_extensions import i64

from synfin.wire.endian import read_i16_le, read_i64_le
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


# One big-integer remainder is the fastest loop the interpreter has; compiled code adds 32 bytes a turn.
_COMPILED: Final = not hasattr(fold, "__code__")


def ones_sum(data: bytes) -> i64:
    """The folded sum of the 16-bit words of `data`; an odd last byte is padded with a zero byte."""
    return span_sum(data, 0, len(data))


def span_sum(data: bytes, start: i64, end: i64) -> i64:
    """`ones_sum(data[start:end])` for 0 <= start <= end <= len(data), without the copy when compiled."""
    if _COMPILED:
        return swapped(fold(_little_endian_sum(data, start, end)))
    number: int = int.from_bytes(data[start:end], "big")
    if (end - start) & 1:
        number <<= 8
    total: i64 = number % 0xFFFF
    return total if total or not number else 0xFFFF


def _little_endian_sum(data: bytes, start: i64, end: i64) -> i64:
    """The sum of what a little-endian machine reads: no byte is swapped in the loop (RFC 1071 2 B)."""
    total: i64 = 0
    at = start
    while at + 32 <= end:
        first = read_i64_le(data, at)
        second = read_i64_le(data, at + 8)
        third = read_i64_le(data, at + 16)
        fourth = read_i64_le(data, at + 24)
        total += ((first >> 32) & 0xFFFFFFFF) + (first & 0xFFFFFFFF)
        total += ((second >> 32) & 0xFFFFFFFF) + (second & 0xFFFFFFFF)
        total += ((third >> 32) & 0xFFFFFFFF) + (third & 0xFFFFFFFF)
        total += ((fourth >> 32) & 0xFFFFFFFF) + (fourth & 0xFFFFFFFF)
        at += 32
    while at + 8 <= end:
        first = read_i64_le(data, at)
        total += ((first >> 32) & 0xFFFFFFFF) + (first & 0xFFFFFFFF)
        at += 8
    while at + 2 <= end:
        word: int = read_i16_le(data, at)
        wide: i64 = word
        total += wide & 0xFFFF
        at += 2
    if at < end:
        octet: i64 = data[at]
        total += octet
    return total


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
