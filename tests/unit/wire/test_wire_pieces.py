"""Pieces of text: when a part is a view, and when a copy."""

import pytest

from synfin.wire.pieces import VIEW_FROM, Piece, as_bytes, cut, joined, part_of

WHOLE = bytes(range(256)) * 128  # 32 KB


@pytest.mark.parametrize(
    ("start", "end", "view"),
    [
        (0, len(WHOLE), True),
        (54, len(WHOLE), True),
        (len(WHOLE) // 2, len(WHOLE), True),
        (len(WHOLE) // 2 + 1, len(WHOLE), False),  # it would keep alive more than twice of what it shows
        (7, 7, False),
        (7, 7 + 1448, False),
    ],
)
def test_a_part_is_a_view_if_it_is_large_and_most_of_the_whole(start: int, end: int, view: bool) -> None:
    part = part_of(WHOLE, start, end)
    assert part == WHOLE[start:end] and isinstance(part, memoryview) == view
    again = cut(part_of(WHOLE, 0, len(WHOLE)), start, end)
    assert again == WHOLE[start:end] and isinstance(again, memoryview) == view


def test_a_small_part_of_a_small_whole_is_a_copy_however_much_of_it_it_is() -> None:
    whole = bytes(VIEW_FROM - 1)
    assert isinstance(part_of(whole, 0, len(whole)), bytes)
    assert isinstance(part_of(bytes(VIEW_FROM), 0, VIEW_FROM), memoryview)


def test_a_part_of_a_part_is_measured_by_the_whole() -> None:
    half = cut(part_of(WHOLE, 0, len(WHOLE)), 0, len(WHOLE) // 2)
    assert isinstance(half, memoryview)
    assert isinstance(cut(half, 0, len(half) - 1), bytes)


def test_what_is_bytes_already_is_not_copied() -> None:
    assert as_bytes(WHOLE) is WHOLE and joined([WHOLE]) is WHOLE
    pieces: list[Piece] = [b"ab", memoryview(b"cdef")[1:3], b""]
    assert joined(pieces) == b"abde" and joined([]) == b""
    assert joined([memoryview(WHOLE)]) == WHOLE
