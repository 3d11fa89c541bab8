"""BLAKE2s (RFC 7693) of many short texts at once, by numpy: what hashlib gives one by one, bit for bit.

The rows of an array are what a round of the function works on; each row has a column for each text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

BLOCK: Final = 64  # bytes; longer texts are not meant
_IV: Final = (
    *(0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19),
)  # fmt: skip
_SIGMA: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_CHUNK: Final = 4096  # texts at a time: enough to hide the cost of a call, and a state that stays in the cache


def numbers(np: Any, texts: Any, key: bytes, person: bytes = b"") -> Any:
    """int.from_bytes(blake2s(text, key=key, digest_size=4, person=person).digest(), "big") of each row of `texts`.

    np: numpy. texts: an array of bytes, a row for each, at most BLOCK of them. A uint32 for each.
    """
    count, length = texts.shape
    state = _keyed(np, key, person)
    found = np.empty(count, np.uint32)
    for start in range(0, count, _CHUNK):
        part = texts[start : start + _CHUNK]
        block = np.zeros((len(part), BLOCK), np.uint8)
        block[:, :length] = part
        words = np.ascontiguousarray(block.view("<u4").T)
        first = _compress(np, state, words, BLOCK + length, True, 1)[0]
        found[start : start + _CHUNK] = first.byteswap()
    return found


@lru_cache(maxsize=8)
def _keyed(np: Any, key: bytes, person: bytes) -> Any:
    """The state after the block that the key is: it is the same for all texts."""
    state = np.array(_IV, np.uint32)
    state[0] ^= 4 | len(key) << 8 | 1 << 16 | 1 << 24  # digest of 4 bytes, fanout 1, depth 1
    state[6:8] ^= np.frombuffer(person.ljust(8, b"\0"), "<u4")
    words = np.frombuffer(key.ljust(BLOCK, b"\0"), "<u4").reshape(16, 1)
    return _compress(np, state, words, BLOCK, False, 8)[:, 0]


def _compress(np: Any, state: Any, words: Any, count: int, last: bool, wanted: int) -> Any:
    """RFC 7693 3.2, for each column of `words`; the first `wanted` words of the states."""
    v = np.empty((16, words.shape[1]), np.uint32)
    v[:8] = state[:, None]
    v[8:] = np.array(_IV, np.uint32)[:, None]
    v[12] ^= np.uint32(count)
    if last:
        v[14] ^= np.uint32(0xFFFFFFFF)
    a, b, c, d = v[0:4], v[4:8], v[8:12], v[12:16]
    spare = np.empty_like(a)
    for order in _SIGMA:
        _mix(np, a, b, c, d, words[list(order[0:8:2])], words[list(order[1:8:2])], spare)
        b, c, d = b[[1, 2, 3, 0]], c[[2, 3, 0, 1]], d[[3, 0, 1, 2]]  # the diagonals become columns
        _mix(np, a, b, c, d, words[list(order[8:16:2])], words[list(order[9:16:2])], spare)
        b, c, d = b[[3, 0, 1, 2]], c[[2, 3, 0, 1]], d[[1, 2, 3, 0]]
    low = np.concatenate((a, b))[:wanted]
    high = np.concatenate((c, d))[:wanted]
    return state[:wanted, None] ^ low ^ high


def _mix(np: Any, a: Any, b: Any, c: Any, d: Any, x: Any, y: Any, spare: Any) -> None:
    """RFC 7693 3.1, in place, four at a time."""
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        a += b
        a += word
        d ^= a
        _rotate(np, d, first, spare)
        c += d
        b ^= c
        _rotate(np, b, second, spare)


def _rotate(np: Any, word: Any, right: int, spare: Any) -> None:
    np.left_shift(word, 32 - right, out=spare)
    np.right_shift(word, right, out=word)
    word |= spare
