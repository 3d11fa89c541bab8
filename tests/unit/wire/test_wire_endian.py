"""The compiled, the interpreted and the librt-free readers and writers agree."""

import subprocess
import sys

import pytest

from synfin.wire import endian, endian_plain
from synfin.wire.endian import BytesWriter, put_u16, put_u32, read_u16, read_u32, signed32


def test_unsigned_numbers_keep_their_top_bit() -> None:
    assert read_u16(b"\x00\xff\xfe", 1) == 0xFFFE
    assert read_u32(b"\x00\xff\xff\xff\xfe", 1) == 0xFFFFFFFE


@pytest.mark.parametrize("n", [0, 1, 0x7FFF, 0x8000, 0xFFFF])
def test_what_put_u16_writes_read_u16_reads(n: int) -> None:
    w = BytesWriter()
    put_u16(w, n)
    assert w.getvalue() == n.to_bytes(2, "big")
    assert read_u16(w.getvalue(), 0) == n


@pytest.mark.parametrize("n", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_what_put_u32_writes_read_u32_reads(n: int) -> None:
    w = BytesWriter()
    put_u32(w, n)
    assert w.getvalue() == n.to_bytes(4, "big")
    assert read_u32(w.getvalue(), 0) == n
    assert signed32(n) == int.from_bytes(w.getvalue(), "big", signed=True)


def test_reading_beyond_the_end_raises_index_error() -> None:
    for at in (1, 5):
        with pytest.raises(IndexError):
            read_u32(b"abcd", at)
        with pytest.raises(IndexError):
            endian_plain.read_i32_be(b"abcd", at)


def test_a_negative_place_raises_value_error() -> None:
    with pytest.raises(ValueError, match="negative"):
        read_u32(b"abcd", -1)
    with pytest.raises(ValueError, match="negative"):
        endian_plain.read_i32_be(b"abcd", -1)


def test_the_plain_functions_agree_with_the_ones_in_use() -> None:
    data = bytes(range(0x7C, 0x90))
    for at in range(12):
        assert endian_plain.read_i16_be(data, at) == endian.read_i16_be(data, at)
        assert endian_plain.read_i32_be(data, at) == endian.read_i32_be(data, at)
        assert endian_plain.read_i64_be(data, at) == endian.read_i64_be(data, at)
        assert endian_plain.read_i16_le(data, at) == endian.read_i16_le(data, at)
        assert endian_plain.read_i64_le(data, at) == endian.read_i64_le(data, at)
    plain, used = endian_plain.BytesWriter(), endian.BytesWriter()
    plain.append(200)
    used.append(200)
    plain.write(b"xyz")
    used.write(b"xyz")
    endian_plain.write_i16_be(plain, -2)
    endian.write_i16_be(used, -2)
    endian_plain.write_i32_be(plain, -3)
    endian.write_i32_be(used, -3)
    endian_plain.write_i64_be(plain, -4)
    endian.write_i64_be(used, -4)
    assert plain.getvalue() == used.getvalue()
    assert len(plain) == len(used) == 18


@pytest.mark.skipif(not hasattr(read_u16, "__code__"), reason="a compiled build requires librt")
def test_a_packet_is_the_same_without_librt() -> None:
    program = """
import sys
{blocker}
from synfin.wire import endian, ip, segment
s = segment.Segment()
s.key = bytes(range(250, 256)) + bytes(range(6))
s.seq, s.ack, s.flags, s.window = 0xFFFFFFFE, 0x80000001, 0x12, 0xFFFF
s.mss, s.wscale, s.sack_permitted, s.has_ts, s.ts_val, s.ts_ecr = 1460, 7, True, True, 0xF0000000, 3
s.payload = b"odd"
x = segment.build(s)
h, t = ip.IpHeader(), segment.Segment()
ip.parse_untrusted(x, h)
segment.parse_untrusted(x, h, t, False, 0)
assert s == t
print(endian.BytesWriter.__module__, x.hex())
"""
    with_librt, without = (
        subprocess.run(
            [sys.executable, "-c", program.format(blocker=blocker)], capture_output=True, text=True, check=True
        ).stdout.split()
        for blocker in ("", "sys.modules['librt'] = sys.modules['librt.strings'] = None")
    )
    assert without[0] == "synfin.wire.endian_plain"
    assert without[1] == with_librt[1]
