"""Reassembly, for any segments in any order: it does what a table of single bytes does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synfin.tcp.reassembly import JOIN_BELOW, KNOWN, NEW, Reassembly
from synfin.wire.pieces import Piece

# Small steps, so that segments touch, overlap and bridge; sizes on both sides of what is joined.
SMALL = st.tuples(st.integers(1, 60), st.integers(1, 12))
LARGE = st.tuples(st.integers(0, 12), st.integers(1, 5)).map(lambda two: (1 + two[0] * 2000, two[1] * 2000))
SEGMENTS = st.one_of(st.lists(SMALL, max_size=60), st.lists(LARGE, max_size=40))


def runs_of(known: dict[int, int]) -> list[tuple[int, int]]:
    """The runs of adjacent offsets."""
    runs: list[tuple[int, int]] = []
    for offset in sorted(known):
        if runs and runs[-1][1] == offset:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return runs


@given(SEGMENTS, st.integers(1, 30), st.integers(0, 60))
def test_what_is_held_and_taken_is_what_single_bytes_would_be(
    segments: list[tuple[int, int]], every: int, ahead: int
) -> None:
    held = Reassembly()
    known: dict[int, int] = {}
    reached = 0
    for number, (start, size) in enumerate(segments):
        start += reached
        data = bytes((number % 256,)) * size
        new = [offset for offset in range(start, start + size) if offset not in known]
        assert held.insert(start, data, 1 << 20, 1 << 40) == (NEW if new else KNOWN)
        known.update(dict.fromkeys(new, number % 256))
        assert list(zip(held.starts, held.ends, strict=True)) == runs_of(known)
        assert held.memory >= len(known)
        assert held.blocks(1)[0][0] <= start < held.blocks(1)[0][1]
        if number % every == every - 1:
            into: list[Piece] = []
            at = reached + ahead
            reached = held.take(at, into)
            expected = bytearray()
            while at in known:
                expected.append(known[at])
                at += 1
            assert (reached, b"".join(into)) == (at, bytes(expected))
            assert all(0 < len(piece) <= max(JOIN_BELOW, 10_000) for piece in into)
            known = {offset: byte for offset, byte in known.items() if offset >= reached}
    held.take(1 << 40, [])
    assert (held.memory, held.starts, held._pieces) == (0, [], {})
