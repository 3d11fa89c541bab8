"""SYN cookies bit by bit: what they hold, how long they are good, and what is refused."""

from __future__ import annotations

import random

import pytest

from synfin.tcp.syn_cookies import (
    MSS_IPV4,
    MSS_IPV6,
    NO_SCALE,
    STEP_US,
    STEPS_PER_KEY,
    SynCookies,
    option_sack,
    option_wscale,
    pack_options,
    segment_size,
    stamp,
)

KEY4 = bytes(range(12))
KEY6 = bytes(range(36))
NOW = 1000 * STEP_US
IRS = 0xFFFFFFFF


def cookies(secret: bytes = bytes(range(32))) -> SynCookies:
    """Of one stack."""
    return SynCookies(secret)


def size_in(made: SynCookies, key: bytes, irs: int, iss: int, bits: int, now: int) -> int:
    """The segment size that the third segment brings back; -1: no cookie."""
    step = made.step(key, iss, bits, now)
    return segment_size(key, iss) if step >= 0 and made.proves(key, irs, iss, bits, step) else -1


@pytest.mark.parametrize(("key", "table"), [(KEY4, MSS_IPV4), (KEY6, MSS_IPV6)])
def test_each_of_eight_segment_sizes_comes_back_rounded_down(key: bytes, table: tuple[int, ...]) -> None:
    made = cookies()
    assert len(table) == 8 and list(table) == sorted(table)
    for index, mss in enumerate(table):
        above = table[index + 1] - 1 if index < 7 else 65535
        for said in (mss, above):
            iss = made.encode(key, IRS, said, 0, NOW)
            assert (iss >> 28) & 7 == index
            assert size_in(made, key, IRS, iss, 0, NOW) == mss


def test_a_size_below_the_table_is_taken_for_what_every_host_must_accept() -> None:
    # RFC 791: 576 bytes; RFC 8200: 1280
    made = cookies()
    assert size_in(made, KEY4, 7, made.encode(KEY4, 7, 100, 0, NOW), 0, NOW) == 536
    assert size_in(made, KEY6, 7, made.encode(KEY6, 7, 100, 0, NOW), 0, NOW) == 1220


def test_the_top_bit_is_the_parity_of_the_64_second_counter() -> None:
    made = cookies()
    for step in range(1000, 1010):
        assert made.encode(KEY4, IRS, 1460, 0, step * STEP_US) >> 31 == step & 1
        assert made.encode(KEY4, IRS, 1460, 0, (step + 1) * STEP_US - 1) >> 31 == step & 1


@pytest.mark.parametrize("made_at", [0, 1, STEP_US - 1])
def test_a_cookie_is_good_in_its_own_counter_step_and_the_next(made_at: int) -> None:
    made = cookies()
    iss = made.encode(KEY4, IRS, 1460, 5, NOW + made_at)
    for age_end in (NOW + made_at, NOW + STEP_US, NOW + 2 * STEP_US - 1):
        assert size_in(made, KEY4, IRS, iss, 5, age_end) == 1460
    for step in range(2, 70):
        assert size_in(made, KEY4, IRS, iss, 5, NOW + step * STEP_US) == -1


def test_a_cookie_from_the_future_is_none() -> None:
    made = cookies()
    iss = made.encode(KEY4, IRS, 1460, 0, NOW)
    assert size_in(made, KEY4, IRS, iss, 0, NOW - 1) == -1
    assert size_in(made, KEY4, IRS, made.encode(KEY4, IRS, 1460, 0, STEP_US), 0, 0) == -1


def test_every_altered_bit_of_the_cookie_is_refused() -> None:
    made = cookies()
    iss = made.encode(KEY4, IRS, 1460, 21, NOW)
    assert [bit for bit in range(32) if size_in(made, KEY4, IRS, iss ^ (1 << bit), 21, NOW) >= 0] == []


def test_the_cookie_is_bound_to_tuple_number_and_option_bits() -> None:
    made = cookies()
    iss = made.encode(KEY4, IRS, 1460, 21, NOW)
    for place in range(len(KEY4)):
        foreign = bytearray(KEY4)
        foreign[place] ^= 1
        assert size_in(made, bytes(foreign), IRS, iss, 21, NOW) == -1
    for bit in range(32):
        assert size_in(made, KEY4, IRS ^ (1 << bit), iss, 21, NOW) == -1
    for bit in range(6):
        assert size_in(made, KEY4, IRS, iss, 21 ^ (1 << bit), NOW) == -1


def test_the_tag_is_bound_to_tuple_size_step_and_option_bits_and_needs_no_number_of_the_client() -> None:
    made = cookies()
    iss = made.encode(KEY4, IRS, 1460, 21, NOW)
    assert made.step(KEY4, iss, 21, NOW) == made.step(KEY4, iss, 21, NOW + 2 * STEP_US - 1) == NOW // STEP_US
    assert made.encode(KEY4, IRS - 1, 1460, 21, NOW) & 0xFF == iss & 0xFF
    others = [made.step(bytes((number, *KEY4[1:])), iss, 21, NOW) for number in range(1, 256)]
    others += [made.step(KEY4, iss, bits, NOW) for bits in range(64) if bits != 21]
    others += [made.step(KEY4, iss, 21, NOW + step * STEP_US) for step in range(2, 100)]
    others += [made.step(KEY4, iss ^ index << 28, 21, NOW) for index in range(1, 8)]
    assert sum(step >= 0 for step in others) <= 5  # of 423, by chance
    assert all(made.step(KEY4, iss + sent, 21, NOW) == -1 for sent in range(1, 256))


def test_another_stacks_cookie_is_refused() -> None:
    iss = cookies(bytes(32)).encode(KEY4, IRS, 1460, 0, NOW)
    assert size_in(cookies(), KEY4, IRS, iss, 0, NOW) == -1


def test_a_guess_is_right_with_probability_2_to_the_minus_28() -> None:
    """28 bits of keyed hash stand in each cookie: over many they are uniform, and all else a guesser may choose."""
    made = cookies()
    ones = [0] * 28
    count = 2000
    for number in range(count):
        iss = made.encode(number.to_bytes(12, "big"), IRS, 1460, 0, NOW)
        assert iss >> 28 == (NOW // STEP_US & 1) << 3 | 6
        for bit in range(28):
            ones[bit] += iss >> bit & 1
    assert all(abs(seen - count / 2) < 5 * (count / 4) ** 0.5 for seen in ones)
    # Of 10,000 guesses for one tuple none is right, as 10,000 / 2^28 says.
    rng = random.Random(1)
    assert all(size_in(made, KEY4, IRS, rng.getrandbits(32), 0, NOW) == -1 for _ in range(10_000))


def test_keys_rotate_and_the_last_key_is_good_as_long_as_its_cookies() -> None:
    made = cookies()
    change = (1000 // STEPS_PER_KEY + 1) * STEPS_PER_KEY * STEP_US
    old = made.encode(KEY4, IRS, 1460, 0, change - 1)
    new = made.encode(KEY4, IRS, 1460, 0, change)
    for now in (change, change + STEP_US - 1):
        assert size_in(made, KEY4, IRS, old, 0, now) == size_in(made, KEY4, IRS, new, 0, now) == 1460
    assert size_in(made, KEY4, IRS, old, 0, change + STEP_US) == -1
    # A step later by one period, parity and all else alike, the hash is another one.
    later = made.encode(KEY4, IRS, 1460, 0, change - 1 + STEPS_PER_KEY * STEP_US)
    assert later != old


def test_a_secret_without_entropy_is_refused() -> None:
    with pytest.raises(ValueError, match="entropy"):
        SynCookies(bytes(8))


def test_six_option_bits_come_back() -> None:
    for wscale in (-1, *range(15)):
        for sack in (False, True):
            for ecn in (False, True):
                bits = pack_options(wscale, sack, ecn)
                assert 0 <= bits < 64
                assert (option_wscale(bits), option_sack(bits), bits >> 5 == 1) == (wscale, sack, ecn)
    assert pack_options(-1, False, False) == NO_SCALE == 15


def test_the_stamped_timestamp_is_rounded_down_so_that_no_later_value_goes_back() -> None:
    for now in (*range(200), 0x7FFFFFFF, 0x80000000, 0xFFFFFFC0, 0xFFFFFFFF):
        for bits in (0, 1, 31, 62, 63):
            value = stamp(now, bits)
            assert value & 63 == bits
            assert (now - value) & 0xFFFFFFFF < 64


def test_a_stamp_that_falls_below_zero_wraps() -> None:
    assert stamp(0, 63) == 0xFFFFFFFF
