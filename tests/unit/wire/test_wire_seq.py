from synfin.wire.seq import seq_add, seq_ge, seq_gt, seq_le, seq_lt, unwrap, wrap

TOP = 0xFFFFFFFF


def test_the_isn_is_offset_0() -> None:
    assert unwrap(1234, isn=1234, near=0) == 0
    assert wrap(0, isn=1234) == 1234


def test_unwrap_crosses_the_wrap_of_the_wire_number() -> None:
    assert unwrap(3, isn=TOP, near=1) == 4
    assert unwrap(0, isn=0, near=(1 << 32) - 5) == 1 << 32


def test_unwrap_takes_the_nearest_offset_below_and_above() -> None:
    near = 5 << 32
    assert unwrap(10, isn=0, near=near) == near + 10
    assert unwrap(TOP, isn=0, near=near) == near - 1


def test_unwrap_gives_a_negative_offset_for_a_number_before_the_isn() -> None:
    assert unwrap(999, isn=1000, near=0) == -1


def test_half_the_space_away_unwrap_takes_the_lower_offset() -> None:
    assert unwrap(0x80000000, isn=0, near=0) == -0x80000000
    assert unwrap(0x7FFFFFFF, isn=0, near=0) == 0x7FFFFFFF


def test_comparisons_hold_across_the_wrap() -> None:
    assert seq_lt(TOP, 0) and seq_le(TOP, 0) and seq_gt(0, TOP) and seq_ge(0, TOP)
    assert not (seq_lt(0, TOP) or seq_le(0, TOP) or seq_gt(TOP, 0) or seq_ge(TOP, 0))


def test_a_number_is_neither_before_nor_after_itself() -> None:
    assert not seq_lt(7, 7) and not seq_gt(7, 7)
    assert seq_le(7, 7) and seq_ge(7, 7)


def test_numbers_half_the_space_apart_are_in_no_order() -> None:
    for compare in (seq_lt, seq_le, seq_gt, seq_ge):
        assert not compare(0, 0x80000000)
        assert not compare(0x80000000, 0)


def test_seq_add_wraps_both_ways() -> None:
    assert seq_add(TOP, 2) == 1
    assert seq_add(1, -2) == TOP
