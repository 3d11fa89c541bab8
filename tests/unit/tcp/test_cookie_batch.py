"""Hashes and cookies of many at once are those of one by one."""

from __future__ import annotations

import random
from hashlib import blake2s
from importlib import import_module
from typing import Any

import pytest

from synfin.tcp.blake2s_batch import numbers
from synfin.tcp.cookie_batch import encode, stamps
from synfin.tcp.isn import TimestampOffset
from synfin.tcp.syn_cookies import STEP_US, STEPS_PER_KEY, SynCookies, stamp
from synfin.tcp.timestamps import ts_clock
from tests.conftest import need_library

need_library("numpy")
np: Any = import_module("numpy")


@pytest.mark.parametrize("length", [1, 12, 26, 46, 50, 63, 64])
@pytest.mark.parametrize("person", [b"", b"tsoffset"])
@pytest.mark.parametrize("key_length", [16, 32])
def test_each_row_has_the_hash_that_hashlib_gives_it(length: int, person: bytes, key_length: int) -> None:
    draw = random.Random(length)
    key = draw.randbytes(key_length)
    texts = [draw.randbytes(length) for _ in range(5000)]
    rows = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, length)
    expected = [blake2s(text, key=key, digest_size=4, person=person).digest() for text in texts]
    assert numbers(np, rows, key, person).tolist() == [int.from_bytes(digest, "big") for digest in expected]


def test_no_text_has_no_hash() -> None:
    assert numbers(np, np.empty((0, 20), np.uint8), bytes(32)).tolist() == []


@pytest.mark.parametrize("size", [12, 36])
@pytest.mark.parametrize("step", [0, 1, STEPS_PER_KEY - 1, STEPS_PER_KEY, 12345])
def test_each_row_has_the_cookie_and_the_stamp_of_its_own(size: int, step: int) -> None:
    draw = random.Random(size)
    cookies, offset = SynCookies(draw.randbytes(32)), TimestampOffset(draw.randbytes(32))
    now = step * STEP_US + draw.randrange(STEP_US)
    keys = [draw.randbytes(size) for _ in range(200)]
    irs = [draw.choice((0, 0xFFFFFFFF, draw.randrange(1 << 32))) for _ in keys]
    mss = [draw.choice((48, 535, 536, 1220, 1219, 1460, 8959, 65535)) for _ in keys]
    bits = [draw.randrange(64) for _ in keys]
    rows = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, size)
    made = encode(np, cookies, rows, np.array(irs), np.array(mss), np.array(bits), now)
    alone = [cookies.encode(*one, now) for one in zip(keys, irs, mss, bits, strict=True)]
    assert made.tolist() == alone
    stamped = stamps(np, offset, rows, np.array(bits), now)
    assert stamped.tolist() == [stamp(ts_clock(now, offset(key)), bit) for key, bit in zip(keys, bits, strict=True)]
