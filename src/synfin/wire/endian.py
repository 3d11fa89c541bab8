"""Integers in bytes, big-endian but where a sum does not care: the only door to `librt.strings`.

mypyc turns every use of the re-exported names, here and in importing modules, into inline machine code, so a compiled
build needs librt. Interpreted code uses librt's C functions where it is installed, else `endian_plain`.
On hot paths prefer `read_i64_be`/`write_i64_be` for two 32-bit fields at once: one call, and an i64 needs no
conversion. `signed32()` says how an unsigned upper half becomes the signed one that they want.
"""

from mypy_extensions import i64

try:
    from librt.strings import (
        BytesWriter,
        read_i16_be,
        read_i16_le,
        read_i32_be,
        read_i64_be,
        read_i64_le,
        write_i16_be,
        write_i32_be,
        write_i64_be,
    )
except ImportError:
    from synfin.wire.endian_plain import (  # type: ignore[assignment]
        BytesWriter,
        read_i16_be,
        read_i16_le,
        read_i32_be,
        read_i64_be,
        read_i64_le,
        write_i16_be,
        write_i32_be,
        write_i64_be,
    )

__all__ = [
    "BytesWriter",
    "put_u16",
    "put_u32",
    "read_i16_be",
    "read_i16_le",
    "read_i32_be",
    "read_i64_be",
    "read_i64_le",
    "read_u16",
    "read_u32",
    "signed32",
    "write_i16_be",
    "write_i32_be",
    "write_i64_be",
]


def read_u16(data: bytes, at: i64) -> i64:
    """The unsigned 16-bit number at `data[at:at+2]`; IndexError beyond the end."""
    number: int = read_i16_be(data, at)
    wide: i64 = number
    return wide & 0xFFFF


def read_u32(data: bytes, at: i64) -> i64:
    """The unsigned 32-bit number at `data[at:at+4]`; IndexError beyond the end."""
    number: int = read_i32_be(data, at)
    wide: i64 = number
    return wide & 0xFFFFFFFF


def put_u16(w: BytesWriter, n: i64) -> None:
    """Append 0 <= n <= 0xFFFF as two bytes."""
    number: int = (n ^ 0x8000) - 0x8000
    write_i16_be(w, number)


def put_u32(w: BytesWriter, n: i64) -> None:
    """Append 0 <= n <= 0xFFFFFFFF as four bytes."""
    number: int = signed32(n)
    write_i32_be(w, number)


def signed32(n: i64) -> i64:
    """The signed number with the same 32 bits as the unsigned `n`.

    >>> signed32(0xFFFFFFFE)
    -2
    """
    return (n ^ 0x80000000) - 0x80000000
