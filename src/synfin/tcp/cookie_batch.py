"""SYN COOKIES of many SYNs at once, by numpy: the same numbers as `syn_cookies` makes, and the timestamps beside them.

Arrays have a row, or an element, for each SYN.
"""

from __future__ import annotations

from typing import Any

from synfin.tcp.blake2s_batch import numbers
from synfin.tcp.isn import OFFSETS, TimestampOffset
from synfin.tcp.syn_cookies import MSS_IPV4, MSS_IPV6, OPTION_MASK, PROOF_MASK, STEP_US, TAG_MASK, SynCookies
from synfin.tcp.timestamps import MASK, TICK_US


def encode(np: Any, cookies: SynCookies, keys: Any, irs: Any, mss: Any, bits: Any, now: int) -> Any:
    """SynCookies.encode() of each row. keys: bytes; irs, mss, bits: numbers."""
    count, size = keys.shape
    table = MSS_IPV4 if size == 12 else MSS_IPV6
    index = np.maximum(np.searchsorted(np.array(table), mss, side="right") - 1, 0).astype(np.uint8)
    counter = int(now // STEP_US)
    tail = np.empty((count, 10), np.uint8)
    tail[:, :8] = np.frombuffer(counter.to_bytes(8, "big"), np.uint8)
    tail[:, 8] = index
    tail[:, 9] = bits
    irs_bytes = irs.astype(">u4").view(np.uint8).reshape(count, 4)
    secret = cookies.key_at(now)
    proof = numbers(np, np.concatenate((keys, irs_bytes, tail), axis=1), secret).astype(np.int64)
    tag = numbers(np, np.concatenate((keys, tail), axis=1), secret).astype(np.int64)
    return (counter & 1) << 31 | index.astype(np.int64) << 28 | proof & PROOF_MASK | tag & TAG_MASK


def stamps(np: Any, offset: TimestampOffset, keys: Any, bits: Any, now: int) -> Any:
    """syn_cookies.stamp() of each connection's timestamp clock."""
    offsets = numbers(np, keys, offset.secret, OFFSETS).astype(np.int64)
    ticks = (now // TICK_US + offsets) & MASK
    value = (ticks & ~OPTION_MASK) | bits
    return np.where(value > ticks, value - (OPTION_MASK + 1), value) & MASK
