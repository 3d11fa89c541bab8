"""The few names of `librt.strings` that synfin uses, in plain Python, with the same signatures and the same errors.

Only `wire.endian` imports this, and only where librt is missing. Interpreted code then runs slower, never differently.
"""

import struct

from mypy_extensions import i16, i32, i64

_I16 = struct.Struct(">h")
_I32 = struct.Struct(">i")
_I64 = struct.Struct(">q")


class BytesWriter:
    """Bytes that grow at their end."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def append(self, x: int, /) -> None:
        """One byte, 0 to 255."""
        self._buffer.append(x)

    def write(self, b: bytes | bytearray, /) -> None:
        """Bytes, as they are."""
        self._buffer += b

    def getvalue(self) -> bytes:
        """All of it."""
        return bytes(self._buffer)

    def __len__(self) -> int:
        return len(self._buffer)


def read_i16_be(b: bytes, index: i64, /) -> i16:
    """Two bytes at `index`, signed. ValueError: below 0; IndexError: beyond the end, as with the next."""
    return int.from_bytes(_span(b, index, 2), "big", signed=True)


def read_i32_be(b: bytes, index: i64, /) -> i32:
    """Four bytes at `index`."""
    return int.from_bytes(_span(b, index, 4), "big", signed=True)


def read_i64_be(b: bytes, index: i64, /) -> i64:
    """Eight bytes at `index`."""
    return int.from_bytes(_span(b, index, 8), "big", signed=True)


def read_i16_le(b: bytes, index: i64, /) -> i16:
    """Two bytes at `index`, the low one first."""
    return int.from_bytes(_span(b, index, 2), "little", signed=True)


def read_i64_le(b: bytes, index: i64, /) -> i64:
    """Eight bytes at `index`, the low one first."""
    return int.from_bytes(_span(b, index, 8), "little", signed=True)


def write_i16_be(b: BytesWriter, n: i16, /) -> None:
    """Two bytes."""
    b.write(_I16.pack(n))


def write_i32_be(b: BytesWriter, n: i32, /) -> None:
    """Four bytes."""
    b.write(_I32.pack(n))


def write_i64_be(b: BytesWriter, n: i64, /) -> None:
    """Eight bytes."""
    b.write(_I64.pack(n))


def _span(b: bytes, index: i64, size: i64) -> bytes:
    if index < 0:
        raise ValueError("index must be non-negative")
    if index + size > len(b):
        raise IndexError("index out of range")
    return b[index : index + size]
