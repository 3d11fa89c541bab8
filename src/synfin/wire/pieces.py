"""Pieces of text: bytes, or a view of bytes where a copy would cost more than the memory that the view holds on to.

Rule: a view is large, and most of the bytes that it keeps alive, so that what is counted is what is held.
"""

from typing import Final

from mypy_extensions import i64

Piece = bytes | memoryview

VIEW_FROM: Final = 8192  # bytes; below, a copy is as fast as making a view


def part_of(whole: bytes, start: i64, end: i64) -> Piece:
    """`whole[start:end]`, 0 <= start <= end <= len(whole)."""
    size = end - start
    if size >= VIEW_FROM and size * 2 >= len(whole):
        return memoryview(whole)[start:end]
    return whole[start:end]


def cut(piece: Piece, start: i64, end: i64) -> Piece:
    """`piece[start:end]`, 0 <= start <= end <= len(piece)."""
    if isinstance(piece, bytes):
        return piece[start:end]
    part = piece[start:end]
    if end - start >= VIEW_FROM and (end - start) * 2 >= len(piece.obj):  # type: ignore[arg-type]  # it is bytes
        return part
    return bytes(part)


def as_bytes(piece: Piece) -> bytes:
    """The piece itself, or a copy of what it shows."""
    return piece if isinstance(piece, bytes) else bytes(piece)


def joined(pieces: list[Piece]) -> bytes:
    """The pieces laid end to end, each copied once; a single one that is bytes already is not copied."""
    if len(pieces) == 1:
        return as_bytes(pieces[0])
    return b"".join(pieces)
